# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The first tables: casework, outbox, inbox, receipts, held deliveries, attention and audit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create everything in an empty database."""
    _casework()
    _outbox()
    _inbox()
    _evidence()
    _held()
    _people()


def downgrade() -> None:
    """Refuse: below the first revision there is no database to go back to, only casework to lose.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError("the first revision has nothing below it")


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _casework() -> None:
    """A procedure and its record."""
    op.create_table(
        "procedure",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("version", _TEXT, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("peer", _TEXT, nullable=False),
        sa.Column("opener", _TEXT, nullable=False),
        sa.Column("our_authority", _TEXT, nullable=False),
        sa.Column("peer_authority", _TEXT, nullable=False),
        sa.Column("case_ref", _TEXT),
        sa.Column("exercise", sa.Boolean(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("alarm", sa.Boolean(), nullable=False),
        sa.Column("gap", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_procedure"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_procedure_authority", "procedure", ["our_authority", "opened", "id"])
    op.create_index("ix_procedure_opened", "procedure", ["opened", "id"])
    op.create_table(
        "record_entry",
        sa.Column("procedure", _TEXT, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("author", _TEXT, nullable=False),
        sa.Column("act", _TEXT, nullable=False),
        sa.Column("parents", _TEXT, nullable=False),
        sa.Column("code", _TEXT),
        sa.ForeignKeyConstraint(["procedure"], ["procedure.id"], name="fk_record_entry_procedure"),
        sa.PrimaryKeyConstraint("procedure", "digest", name="pk_record_entry"),
        sqlite_with_rowid=False,
    )


def _outbox() -> None:
    """What is owed to other countries."""
    op.create_table(
        "outbox",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("recipient", _TEXT, nullable=False),
        sa.Column("exercise", sa.Boolean(), nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("procedure", _TEXT),
        sa.Column("type", _TEXT, nullable=False),
        sa.Column("authority", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("resends", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("error", _TEXT),
        sa.Column("lease", _TEXT),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("published", sa.BigInteger()),
        sa.Column("delivered", sa.BigInteger()),
        sa.Column("handed_over", sa.BigInteger()),
        sa.Column("opened", sa.BigInteger()),
        sa.Column("refused", sa.BigInteger()),
        sa.Column("refusal_code", _TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_outbox_authority", "outbox", ["authority", "created", "id"])
    op.create_index("ix_outbox_created", "outbox", ["created", "id"])
    _partial("ix_outbox_owed", "outbox", ["created", "id"], "next_at IS NOT NULL")
    _partial("ix_outbox_owed_receipts", "outbox", ["recipient"], "state IN ('recorded') AND kind IN ('receipts')")
    op.create_index("ix_outbox_procedure", "outbox", ["procedure", "created", "id"])
    _partial(
        "ix_outbox_receipted",
        "outbox",
        ["recipient", "published"],
        "state IN ('delivered', 'handed-over', 'opened', 'refused')",
    )
    op.create_index("ix_outbox_state", "outbox", ["state", "since"])
    op.create_table(
        "outbox_content",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["outbox.id"], name="fk_outbox_content_outbox", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_content"),
    )
    op.create_table(
        "outbox_envelope",
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("recipient_kid", _TEXT, nullable=False),
        sa.Column("ed25519_kid", _TEXT, nullable=False),
        sa.Column("ml_dsa_kid", _TEXT, nullable=False),
        sa.Column("trust_version", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["outbox.id"], name="fk_outbox_envelope_outbox", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_envelope"),
    )


def _inbox() -> None:
    """What was received and believed."""
    op.create_table(
        "inbox",
        sa.Column("sender", _TEXT, nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("procedure", _TEXT, nullable=False),
        sa.Column("type", _TEXT, nullable=False),
        sa.Column("authority", _TEXT, nullable=False),
        sa.Column("raw_sha256", _TEXT, nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("ed25519_kid", _TEXT, nullable=False),
        sa.Column("ml_dsa_kid", _TEXT, nullable=False),
        sa.Column("trust_version", sa.BigInteger(), nullable=False),
        sa.Column("mark", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("error", _TEXT),
        sa.Column("lease", _TEXT),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("handed_over", sa.BigInteger()),
        sa.Column("opened", sa.BigInteger()),
        sa.PrimaryKeyConstraint("sender", "id", name="pk_inbox"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_inbox_authority", "inbox", ["authority", "received", "id"])
    op.create_index("ix_inbox_id", "inbox", ["id"])
    _partial("ix_inbox_owed", "inbox", ["received", "id"], "handed_over IS NULL")
    op.create_index("ix_inbox_procedure", "inbox", ["procedure", "received", "id"])
    op.create_index("ix_inbox_received", "inbox", ["received", "id"])
    op.create_index("ix_inbox_state", "inbox", ["state", "since"])
    op.create_table(
        "inbox_content",
        sa.Column("sender", _TEXT, nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sender", "id"], ["inbox.sender", "inbox.id"], name="fk_inbox_content_inbox", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sender", "id", name="pk_inbox_content"),
    )


def _evidence() -> None:
    """Receipts, and answers that were given before."""
    op.create_table(
        "receipt",
        sa.Column("author", _TEXT, nullable=False),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("issuer", _TEXT, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("code", _TEXT),
        sa.Column("heads", _TEXT, nullable=False),
        sa.Column("record_digest", _TEXT),
        sa.Column("issued", sa.Boolean(), nullable=False),
        sa.Column("queued", sa.BigInteger()),
        sa.Column("envelope", _TEXT),
        sa.PrimaryKeyConstraint("author", "message", "kind", "issuer", name="pk_receipt"),
        sqlite_with_rowid=False,
    )
    _partial("ix_receipt_waiting", "receipt", ["author", "queued"], "queued IS NOT NULL")
    op.create_table(
        "idempotency",
        sa.Column("scope", _TEXT, nullable=False),
        sa.Column("key", _TEXT, nullable=False),
        sa.Column("body_digest", _TEXT, nullable=False),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name="pk_idempotency"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seen_raw",
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("sender", _TEXT),
        sa.Column("message", _TEXT),
        sa.Column("answered", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_seen_raw"),
        sqlite_with_rowid=False,
    )


def _held() -> None:
    """What could not be believed, and broken publishing rules."""
    op.create_table(
        "quarantine",
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("publisher", _TEXT, nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("code", _TEXT, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_quarantine"),
    )
    op.create_index("ix_quarantine_publisher", "quarantine", ["publisher", "received", "sha256", "size"])
    op.create_table(
        "parked",
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("publisher", _TEXT, nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("code", _TEXT, nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_parked"),
    )
    op.create_index("ix_parked_next_at", "parked", ["next_at", "sha256"])
    op.create_index("ix_parked_publisher", "parked", ["publisher", "received", "sha256", "size"])
    op.create_table(
        "abuse",
        sa.Column("publisher", _TEXT, nullable=False),
        sa.Column("code", _TEXT, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("publisher", "code", name="pk_abuse"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "counter",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
        sqlite_with_rowid=False,
    )


def _people() -> None:
    """What people must see, what they did, and which worker does what."""
    op.create_table(
        "attention",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("code", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("who", _TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("peer", _TEXT),
        sa.Column("authority", _TEXT),
        sa.Column("detail", _TEXT, nullable=False),
        sa.Column("resolved", sa.BigInteger()),
        sa.Column("resolved_by", _TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_attention"),
    )
    op.create_index("ix_attention_at", "attention", ["at", "id"])
    op.create_index("ix_attention_authority", "attention", ["authority", "at", "id"])
    _partial("ux_attention_open", "attention", ["code", "subject"], "resolved IS NULL", unique=True)
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", _TEXT, nullable=False),
        sa.Column("action", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("detail", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "lease",
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("token", _TEXT, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
        sqlite_with_rowid=False,
    )
