# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL no longer tries to compress ciphertext, and the procedures that declare surge mode have an index (R-39)."""

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SURGE = sa.text("name = 'surge'")
_BYTES = (
    ("quarantine", "raw"),
    ("parked", "raw"),
    ("case_key", "wrapped"),
    ("upload", "key"),
    ("outbox_content", "header"),
    ("outbox_content", "content"),
    ("outbox_envelope", "raw"),
    ("draft_content", "content"),
    ("inbox_content", "header"),
    ("inbox_content", "content"),
    ("inbox_content", "signatures"),
    ("trust_list", "raw"),
    ("trust_memory", "raw"),
    ("audit_checkpoint", "raw"),
    ("audit_witness", "raw"),
)


def upgrade() -> None:
    """Store bytes as they are, of rows that come from now on, and add the index."""
    _store("EXTERNAL")
    op.create_index("ix_procedure_surge", "procedure", ["id"], sqlite_where=_SURGE, postgresql_where=_SURGE)


def downgrade() -> None:
    """Let PostgreSQL compress again, and drop the index."""
    op.drop_index("ix_procedure_surge", "procedure")
    _store("EXTENDED")


def _store(how: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        for table, column in _BYTES:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE {how}")
