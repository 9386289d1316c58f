# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Verified trust lists, and what the next look for one must know."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add two empty tables: the first start fetches the list."""
    op.create_table(
        "trust_list",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("root_version", sa.BigInteger(), nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trust_list"),
    )
    op.create_index("ix_trust_list_version", "trust_list", ["version", "accepted"])
    op.create_table(
        "trust_memory",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_trust_memory"),
    )


def downgrade() -> None:
    """Drop both: an older program does not know them."""
    op.drop_table("trust_memory")
    op.drop_index("ix_trust_list_version", "trust_list")
    op.drop_table("trust_list")
