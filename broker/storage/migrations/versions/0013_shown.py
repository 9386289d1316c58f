# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What one person was shown lately, and when a person was called last, found without reading whole tables (R-38)."""

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_SHOWN = sa.text("procedure IS NOT NULL AND action IN ('read', 'attachment-read')")


def upgrade() -> None:
    """Add two indexes."""
    op.create_index(
        "ix_audit_shown", "audit", ["actor", "at", "procedure"], sqlite_where=_SHOWN, postgresql_where=_SHOWN
    )
    op.create_index("ix_attention_called", "attention", ["code", "subject", "id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_attention_called", "attention")
    op.drop_index("ix_audit_shown", "audit")
