# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What this node sends, holds back for a second person, and received."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    FromClause,
    Index,
    Integer,
    Table,
    and_,
    text,
)

from broker.core.ids import AuthorityId, CountryCode, Digest, KeyId, MessageId, MessageType, ProcedureId
from broker.core.messages import OutboxKind
from broker.core.roles import AuditRole
from broker.rows import DraftState, InboxState, OutboxState
from broker.storage.columns import Moment, Raw, Word, fixed
from broker.storage.tables.metadata import LEFT_OUT, metadata

__all__ = [
    "OWED_RECEIPTS",
    "draft",
    "draft_content",
    "inbox",
    "inbox_content",
    "outbox",
    "outbox_content",
    "outbox_envelope",
    "receipted",
]

outbox = Table(
    "outbox",
    metadata,
    Column("id", Word(MessageId), primary_key=True),
    Column("kind", Word(OutboxKind), nullable=False),
    Column("recipient", Word(CountryCode), nullable=False),
    Column("exercise", Boolean, nullable=False),
    Column("digest", Word(Digest), nullable=False),
    Column("created", Moment, nullable=False),
    Column("procedure", Word(ProcedureId)),
    Column("type", Word(MessageType), nullable=False),
    Column("authority", Word(AuthorityId), nullable=False),  # ours
    Column("state", Word(OutboxState), nullable=False),
    Column("since", Moment, nullable=False),  # when it stepped into the state
    Column("attempts", Integer, nullable=False),
    Column("resends", Integer, nullable=False),
    Column("next_at", Moment),
    Column("error", Word()),
    Column("lease", Word()),
    Column("lease_until", Moment),
    Column("published", Moment),
    Column("delivered", Moment),
    Column("handed_over", Moment),
    Column("opened", Moment),
    Column("refused", Moment),
    Column("refusal_code", Word()),
    Index("ix_outbox_state", "state", "since"),
    Index("ix_outbox_created", "created", "id"),
    Index("ix_outbox_authority", "authority", "created", "id"),
    Index("ix_outbox_procedure", "procedure", "created", "id"),
    Index("ix_outbox_type", "type", "created", "id"),
    sqlite_with_rowid=False,
)
_OWED = text("next_at IS NOT NULL")  # in state RECORDED, and in no other
Index("ix_outbox_owed", outbox.c.created, outbox.c.id, sqlite_where=_OWED)

OWED_RECEIPTS = and_(
    outbox.c.state.in_(fixed(OutboxState.RECORDED)),
    outbox.c.kind.in_(fixed(OutboxKind.RECEIPTS)),
)


def receipted(box: FromClause) -> ColumnElement[bool]:
    """Return the condition that the recipient has answered an entry."""
    return box.c.state.in_(
        fixed(OutboxState.DELIVERED, OutboxState.HANDED_OVER, OutboxState.OPENED, OutboxState.REFUSED)
    )


RECEIPTED = receipted(outbox)
# What peers_with_waiting_receipts and lost_outbox ask.
Index("ix_outbox_owed_receipts", outbox.c.recipient, sqlite_where=OWED_RECEIPTS)
Index("ix_outbox_receipted", outbox.c.recipient, outbox.c.published, sqlite_where=RECEIPTED)

outbox_content = Table(
    "outbox_content",
    metadata,
    Column("id", Word(MessageId), ForeignKey("outbox.id", ondelete="CASCADE"), primary_key=True),
    Column("header", Raw, nullable=False),  # its JSON again, so that a list does not open megabytes of content
    Column("content", Raw, nullable=False),
    Column("scope", Word()),  # whose key encrypts both; NULL: an older program wrote them in clear, see `encrypting.py`
)

outbox_envelope = Table(
    "outbox_envelope",
    metadata,
    Column("id", Word(MessageId), ForeignKey("outbox.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", Word(Digest), nullable=False),
    Column("expires", Moment, nullable=False),
    Column("recipient_kid", Word(KeyId), nullable=False),
    Column("ed25519_kid", Word(KeyId), nullable=False),
    Column("ml_dsa_kid", Word(KeyId), nullable=False),
    Column("trust_version", BigInteger, nullable=False),
    Column("raw", Raw, nullable=False),
    Column("scope", Word()),  # whose key encrypts what is sealed; NULL: an older program stored it as it was sealed
    info={LEFT_OUT: "sealed again from the message"},
)

draft = Table(  # held by a safeguard; under the id that the message will have
    "draft",
    metadata,
    Column("id", Word(MessageId), primary_key=True),
    Column("peer", Word(CountryCode), nullable=False),
    Column("authority", Word(AuthorityId), nullable=False),
    Column("type", Word(MessageType), nullable=False),
    Column("author", Word(), nullable=False),
    Column("role", Word(AuditRole), nullable=False),  # of the author
    Column("route", Word(), nullable=False),
    Column("at", Moment, nullable=False),
    Column("reasons", Word(), nullable=False),  # JSON: rules, codes and places, nothing of the content
    Column("state", Word(DraftState), nullable=False),
    Column("decided_by", Word()),
    Column("decided", Moment),
    Column("decision", Word()),
    Index("ix_draft_state", "state", "at", "id"),
    sqlite_with_rowid=False,
)

draft_content = Table(
    "draft_content",
    metadata,
    Column("id", Word(MessageId), ForeignKey("draft.id", ondelete="CASCADE"), primary_key=True),
    Column("content", Raw, nullable=False),
    Column("scope", Word(), nullable=False),  # whose key encrypts it
)

inbox = Table(
    "inbox",
    metadata,
    Column("sender", Word(CountryCode), primary_key=True),
    Column("id", Word(MessageId), primary_key=True),
    Column("digest", Word(Digest), nullable=False),
    Column("procedure", Word(ProcedureId), nullable=False),
    Column("type", Word(MessageType), nullable=False),
    Column("authority", Word(AuthorityId), nullable=False),  # ours
    Column("raw_sha256", Word(Digest), nullable=False),
    Column("received", Moment, nullable=False),
    Column("ed25519_kid", Word(KeyId), nullable=False),
    Column("ml_dsa_kid", Word(KeyId), nullable=False),
    Column("trust_version", BigInteger, nullable=False),
    Column("mark", Word(), nullable=False),
    Column("state", Word(InboxState), nullable=False),
    Column("since", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment),
    Column("error", Word()),
    Column("lease", Word()),
    Column("lease_until", Moment),
    Column("handed_over", Moment),
    Column("opened", Moment),
    Index("ix_inbox_state", "state", "since"),
    Index("ix_inbox_id", "id"),
    Index("ix_inbox_received", "received", "id"),
    Index("ix_inbox_authority", "authority", "received", "id"),
    Index("ix_inbox_procedure", "procedure", "received", "id"),
    Index("ix_inbox_type", "type", "received", "id"),
    sqlite_with_rowid=False,
)
_TO_HAND_OVER = text("handed_over IS NULL")
Index("ix_inbox_owed", inbox.c.received, inbox.c.id, sqlite_where=_TO_HAND_OVER)  # what lease_inbox looks through

inbox_content = Table(
    "inbox_content",
    metadata,
    Column("sender", Word(CountryCode), primary_key=True),
    Column("id", Word(MessageId), primary_key=True),
    Column("header", Raw, nullable=False),
    Column("content", Raw, nullable=False),
    Column("scope", Word()),
    Column(
        "signatures", Raw
    ),  # both, as they came: with the content they prove who wrote it; NULL: by an older program
    ForeignKeyConstraint(["sender", "id"], ["inbox.sender", "inbox.id"], ondelete="CASCADE"),
)
