# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Uploads, attachments and parked chunks; their bytes lie in files."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Add three empty tables: no message has had attachments before."""
    op.create_table(
        "upload",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("authority", _TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("media_type", _TEXT),
        sa.Column("digest", _TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_upload"),
    )
    op.create_index("ix_upload_at", "upload", ["at"])
    op.create_table(
        "attachment",
        sa.Column("author", _TEXT, nullable=False),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("handle", _TEXT, nullable=False),
        sa.Column("peer", _TEXT, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("blob", _TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("owed", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("moved", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("complete", sa.BigInteger()),
        sa.Column("code", _TEXT),
        sa.Column("asked", sa.BigInteger()),
        sa.PrimaryKeyConstraint("author", "message", "handle", name="pk_attachment"),
        sqlite_with_rowid=False,
    )
    owed = sa.text("next_at IS NOT NULL")
    op.create_index("ix_attachment_owed", "attachment", ["next_at"], sqlite_where=owed, postgresql_where=owed)
    op.create_index("ix_attachment_blob", "attachment", ["blob"])
    op.create_table(
        "parked_chunk",
        sa.Column("publisher", _TEXT, nullable=False),
        sa.Column("sender", _TEXT, nullable=False),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("handle", _TEXT, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("blob", _TEXT, nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("publisher", "sender", "message", "handle", "place", name="pk_parked_chunk"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_parked_chunk_blob", "parked_chunk", ["blob"])
    op.create_index("ix_parked_chunk_publisher", "parked_chunk", ["publisher", "received", "blob"])


def downgrade() -> None:
    """Drop them: an older program does not know them."""
    for table in ("parked_chunk", "attachment", "upload"):
        op.drop_table(table)
