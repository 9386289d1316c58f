# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Erasures, what keeps a case, and what is still to be removed outside of the database."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_AT = sa.BigInteger()


def upgrade() -> None:
    """Add three empty tables; no procedure was erased by an older program."""
    op.add_column("procedure", sa.Column("erased", _AT))
    op.create_index("ix_procedure_case", "procedure", ["case_ref"])
    op.create_table(
        "retained",
        sa.Column("scope", _TEXT, nullable=False),
        *(sa.Column(name, kind) for name, kind in (("hold", _TEXT), ("held", _AT), ("held_by", _TEXT))),
        *(sa.Column(name, _TEXT) for name in ("keep_until", "keep")),
        *(sa.Column(name, kind) for name, kind in (("reviewed", _AT), ("reviewed_by", _TEXT))),
        sa.PrimaryKeyConstraint("scope", name="pk_retained"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "erasure",
        *(sa.Column(name, _TEXT, nullable=False) for name in ("id", "scope", "peer")),
        sa.Column("case_ref", _TEXT),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("procedures", "authority", "reason", "state", "listed")),
        sa.Column("proposed", _AT, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("proposed_by", "role")),
        sa.Column("asked_by", _TEXT),
        *(sa.Column(name, kind) for name, kind in (("decided", _AT), ("decided_by", _TEXT), ("final", _AT))),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_erasure_authority", "erasure", ["authority", "proposed", "id"])
    undecided = sa.text("decided IS NULL")
    op.create_index(
        "ux_erasure_undecided", "erasure", ["scope"], unique=True, sqlite_where=undecided, postgresql_where=undecided
    )
    op.create_table(
        "erase_duty",
        *(sa.Column(name, _TEXT, nullable=False) for name in ("kind", "name", "erasure", "authority")),
        sa.Column("next_at", _AT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_erase_duty"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_erase_duty_next_at", "erase_duty", ["next_at"])
    op.create_index("ix_erase_duty_erasure", "erase_duty", ["erasure"])


def downgrade() -> None:
    """Drop them: an older program erases nothing, and what was erased stays so."""
    for table in ("erase_duty", "erasure", "retained"):
        op.drop_table(table)
    op.drop_index("ix_procedure_case", "procedure")
    with op.batch_alter_table("procedure") as batch:
        batch.drop_column("erased")
