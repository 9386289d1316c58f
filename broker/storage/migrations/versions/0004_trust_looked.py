# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""When the source was last asked and gave the list in force."""

import sqlalchemy as sa
from alembic import op

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of lists kept before nobody knows more than when they were taken."""
    op.add_column("trust_list", sa.Column("looked", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop it: an older program does not know it."""
    op.drop_column("trust_list", "looked")
