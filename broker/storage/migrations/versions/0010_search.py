# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What procedures are found by, and which of them are still to be made searchable."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables; every procedure that is here is owed its terms, which only the open vault can give."""
    op.create_table(
        "search_term",
        sa.Column("procedure", _TEXT, nullable=False),
        sa.Column("scope", _TEXT, nullable=False),
        sa.Column("buckets", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("procedure", name="pk_search_term"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_owed",
        sa.Column("procedure", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("procedure", name="pk_search_owed"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO search_owed (procedure) SELECT id FROM procedure")


def downgrade() -> None:
    """Drop them: an older program does not know them."""
    op.drop_table("search_owed")
    op.drop_table("search_term")
