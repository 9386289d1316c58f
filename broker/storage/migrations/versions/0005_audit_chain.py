# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The audit trail says role, office, procedure, country and reason, and is chained; its heads go to and come from others."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_NEW = ("role", "authority", "procedure", "peer", "reason", "position", "digest", "chain")
_ROLE_BY_ACTOR = """
    UPDATE audit SET role = CASE
        WHEN actor = 'node' THEN 'node'
        WHEN actor LIKE 'adapter:%' THEN 'adapter'
        WHEN actor LIKE 'cli:%' THEN 'operator'
        WHEN length(actor) = 2 AND upper(actor) = actor THEN 'peer'
        ELSE 'officer'
    END
"""


def upgrade() -> None:
    """Add columns and tables; what stands in the trail is linked by the next start, in the order of its numbers."""
    op.add_column("audit", sa.Column("role", _TEXT, nullable=False, server_default="node"))
    op.add_column("audit", sa.Column("authority", _TEXT))
    op.add_column("audit", sa.Column("procedure", _TEXT))
    op.add_column("audit", sa.Column("peer", _TEXT))
    op.add_column("audit", sa.Column("reason", _TEXT, nullable=False, server_default=sa.text("''")))
    op.add_column("audit", sa.Column("position", sa.BigInteger()))
    op.add_column("audit", sa.Column("digest", _TEXT))
    op.add_column("audit", sa.Column("chain", _TEXT))
    op.execute(_ROLE_BY_ACTOR)
    _partial_index("ix_audit_unlinked", ["id"], "position IS NULL", unique=False)
    _partial_index("ux_audit_position", ["position"], "position IS NOT NULL", unique=True)
    op.create_table(
        "audit_checkpoint",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("head", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("cut", sa.Boolean(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_checkpoint"),
    )
    op.create_table(
        "audit_witness",
        sa.Column("country", _TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("head", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("country", "position", "head", name="pk_audit_witness"),
    )
    op.create_table(
        "audit_told",
        sa.Column("country", _TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("country", name="pk_audit_told"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them: an older program does not know them."""
    for table in ("audit_told", "audit_witness", "audit_checkpoint"):
        op.drop_table(table)
    op.drop_index("ux_audit_position", "audit")
    op.drop_index("ix_audit_unlinked", "audit")
    for column in reversed(_NEW):
        op.drop_column("audit", column)


def _partial_index(name: str, columns: list[str], condition: str, *, unique: bool) -> None:
    where = sa.text(condition)
    op.create_index(name, "audit", columns, unique=unique, sqlite_where=where, postgresql_where=where)
