# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that a safeguard holds until a second person decides."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Add two empty tables: until now a held message was refused."""
    op.create_table(
        "draft",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("peer", _TEXT, nullable=False),
        sa.Column("authority", _TEXT, nullable=False),
        sa.Column("type", _TEXT, nullable=False),
        sa.Column("author", _TEXT, nullable=False),
        sa.Column("role", _TEXT, nullable=False),
        sa.Column("route", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reasons", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("decided_by", _TEXT),
        sa.Column("decided", sa.BigInteger()),
        sa.Column("decision", _TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_draft"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_draft_state", "draft", ["state", "at", "id"])
    op.create_table(
        "draft_content",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("scope", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(["id"], ["draft.id"], name="fk_draft_content_draft", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_draft_content"),
    )


def downgrade() -> None:
    """Drop both: an older program refuses what is held."""
    op.drop_table("draft_content")
    op.drop_index("ix_draft_state", "draft")
    op.drop_table("draft")
