# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a message names by its digest, and what corrects other procedures, is found without reading all that ever passed."""

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_CORRECTION = sa.text("name = 'correction'")


def upgrade() -> None:
    """Add the indexes."""
    op.create_index(
        "ix_procedure_correction",
        "procedure",
        ["peer", "opened", "id"],
        sqlite_where=_CORRECTION,
        postgresql_where=_CORRECTION,
    )
    op.create_index("ix_record_entry_digest", "record_entry", ["digest"])
    op.create_index("ix_outbox_type", "outbox", ["type", "created", "id"])
    op.create_index("ix_inbox_type", "inbox", ["type", "received", "id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_inbox_type", "inbox")
    op.drop_index("ix_outbox_type", "outbox")
    op.drop_index("ix_record_entry_digest", "record_entry")
    op.drop_index("ix_procedure_correction", "procedure")
