# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which offices of this country take part in a procedure beside, or instead of, the one of its opening."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Add an empty table: until now no office ever changed."""
    op.create_table(
        "participant",
        sa.Column("procedure", _TEXT, nullable=False),
        sa.Column("authority", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(["procedure"], ["procedure.id"], name="fk_participant_procedure"),
        sa.PrimaryKeyConstraint("procedure", "authority", name="pk_participant"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_participant_authority", "participant", ["authority"])


def downgrade() -> None:
    """Drop it: an older program knows the opening's offices alone."""
    op.drop_index("ix_participant_authority", "participant")
    op.drop_table("participant")
