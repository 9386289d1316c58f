# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keys of cases, and whose key encrypts a content."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_CONTENTS = ("outbox_content", "inbox_content")


def upgrade() -> None:
    """Add the tables; mark a database whose contents are in clear: the first start encrypts them."""
    op.create_table(
        "case_key",
        sa.Column("scope", _TEXT, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary()),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("destroyed", sa.BigInteger()),
        sa.PrimaryKeyConstraint("scope", name="pk_case_key"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_case_key_epoch", "case_key", ["epoch", "scope"])
    op.create_table(
        "key_epoch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_key_epoch"),
    )
    for table in _CONTENTS:
        op.add_column(table, sa.Column("scope", _TEXT))
    op.execute(
        "INSERT INTO counter (name, value) SELECT 'contents.clear', 1"
        " WHERE EXISTS (SELECT 1 FROM outbox_content) OR EXISTS (SELECT 1 FROM inbox_content)"
    )


def downgrade() -> None:
    """Drop what an older program does not know; it cannot read what was encrypted."""
    for table in _CONTENTS:
        with op.batch_alter_table(table) as batch:
            batch.drop_column("scope")
    op.execute("DELETE FROM counter WHERE name = 'contents.clear'")
    op.drop_table("key_epoch")
    op.drop_index("ix_case_key_epoch", "case_key")
    op.drop_table("case_key")
