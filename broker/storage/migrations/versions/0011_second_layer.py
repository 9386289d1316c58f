# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sealed bytes and upload keys under a key of their case, or one of their own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_TABLES = ("outbox_envelope", "parked", "quarantine", "upload")


def upgrade() -> None:
    """Say whose key encrypts each; what is there stays as it is until it is decided, sealed anew or attached.

    What the other country has answered is not kept as it was: sent once more, it is sealed anew from the message.
    """
    for table in _TABLES:
        op.add_column(table, sa.Column("scope", _TEXT))
    op.execute(
        "DELETE FROM outbox_envelope WHERE id IN"
        " (SELECT id FROM outbox WHERE state IN ('delivered', 'handed-over', 'opened', 'refused'))"
    )


def downgrade() -> None:
    """Forget what an older program could not read."""
    for table in _TABLES:
        known = sa.table(table, sa.column("scope"))
        op.execute(sa.delete(known).where(known.c.scope.is_not(None)))
        op.drop_column(table, "scope")
