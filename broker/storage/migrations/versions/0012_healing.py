# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a restored node asks the others for; both signatures of what is received."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_AT = sa.BigInteger()


def upgrade() -> None:
    """Add three empty tables; what an older program received was stored without its signatures."""
    op.add_column("inbox_content", sa.Column("signatures", sa.LargeBinary()))
    op.create_table(
        "restored_mark",
        sa.Column("country", _TEXT, nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("head", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("country", "at", name="pk_restored_mark"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "healing",
        sa.Column("peer", _TEXT, nullable=False),
        sa.Column("since", _AT, nullable=False),
        sa.Column("restored", _AT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("head", _TEXT, nullable=False),
        sa.Column("next_at", _AT, nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("after_message", _TEXT),
        sa.Column("after_author", _TEXT),
        sa.Column("question", _TEXT),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ended", _AT),
        sa.PrimaryKeyConstraint("peer", name="pk_healing"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "missed",
        sa.Column("peer", _TEXT, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        *(
            sa.Column(name, _TEXT, nullable=False)
            for name in ("author", "message", "procedure", "opener", "act", "state")
        ),
        sa.Column("code", _TEXT),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("peer", "digest", name="pk_missed"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_missed_procedure", "missed", ["procedure"])


def downgrade() -> None:
    """Drop all of it: an older program asks nobody."""
    op.drop_index("ix_missed_procedure", "missed")
    for table in ("missed", "healing", "restored_mark"):
        op.drop_table(table)
    op.drop_column("inbox_content", "signatures")
