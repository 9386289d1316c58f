# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The tables. Large bytes stand in tables of their own: a change of state would otherwise rewrite them each time.

What protects a child's data at rest (the key of a case is in `case_key`, see `case_keys.py`):
- header and content of both boxes are ciphertext under the key of their case, and dead when that key is destroyed;
- `outbox_envelope.raw` is sealed to the recipient country's key, and that is ciphertext under the key of its case: dead with
  it, whoever holds the country's key; `quarantine.raw` and `parked.raw` are what came, sealed to one of our own encryption
  keys or to nobody's, of a case that nobody knows yet: each is ciphertext under a key of its own, which goes when it was
  decided or its place is needed; so is the key of an uploaded file, which goes when a message takes the file;
- what people are searched by is a bucket that many names share (`search_term`), and goes with the key of its case;
- digests are over bytes with a random nonce: they confirm no guess. Ids, countries, offices, types, states, times and
  codes stand in clear; so does a case reference, which is a pseudonym.

Nothing here creates anything; `schema.py` and `migrations/` do, and a test holds the two together.
A table with `info={LEFT_OUT: why}` is in no backup of data (`dump.py`); every other one is.
A partial index's condition is said once, as ``sqlite_where``; `schema.py` gives it to PostgreSQL too.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    and_,
    text,
)

from broker.core.erasures import DutyKind, ErasureState
from broker.core.healing import MissedState
from broker.core.ids import (
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    ErasureId,
    KeyId,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)
from broker.core.messages import OutboxKind
from broker.core.receipts import ReceiptKind
from broker.core.retention import EraseReason, HoldReason, KeepReason
from broker.core.roles import AuditRole
from broker.rows import DraftState, InboxState, OutboxState
from broker.storage.columns import Moment, Raw, Word, Words, fixed

__all__ = [
    "LEFT_OUT", "OWED_RECEIPTS", "RECEIPTED", "abuse", "attachment", "attention", "audit", "audit_checkpoint", "audit_told", "audit_witness", "case_key", "counter", "draft", "draft_content", "erase_duty", "erasure", "healing", "idempotency", "inbox", "inbox_content", "key_epoch", "lease", "metadata", "missed", "outbox",
    "outbox_content", "outbox_envelope", "parked", "parked_chunk", "participant", "procedure", "quarantine", "receipt", "record_entry", "restored_mark", "retained", "search_owed", "search_term", "seen_raw", "trust_list",
    "trust_memory", "upload",
]  # fmt: skip

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LEFT_OUT = "left out of backups"

_SERIAL = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER numbers rows by itself on SQLite

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", Word(), primary_key=True),
    Column("key", Word(), primary_key=True),
    Column("body_digest", Word(Digest), nullable=False),
    Column("message", Word(MessageId), nullable=False),
    Column("at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

procedure = Table(
    "procedure",
    metadata,
    Column("id", Word(ProcedureId), primary_key=True),
    Column("name", Word(), nullable=False),
    Column("version", Word(SchemaVersion), nullable=False),
    Column("digest", Word(Digest), nullable=False),
    Column("peer", Word(CountryCode), nullable=False),
    Column("opener", Word(CountryCode), nullable=False),
    Column("our_authority", Word(AuthorityId), nullable=False),
    Column("peer_authority", Word(AuthorityId), nullable=False),
    Column("case_ref", Word(CaseRef)),
    Column("exercise", Boolean, nullable=False),
    Column("opened", Moment, nullable=False),
    Column("state", Word(), nullable=False),
    Column("alarm", Boolean, nullable=False),
    Column("gap", Boolean, nullable=False),
    Column("erased", Moment),
    Index("ix_procedure_authority", "our_authority", "opened", "id"),
    Index("ix_procedure_opened", "opened", "id"),
    Index("ix_procedure_case", "case_ref"),
    sqlite_with_rowid=False,
)

participant = Table(  # our offices that take part, where they are others than those of the opening
    "participant",
    metadata,
    Column("procedure", Word(ProcedureId), ForeignKey("procedure.id"), primary_key=True),
    Column("authority", Word(AuthorityId), primary_key=True),
    Index("ix_participant_authority", "authority"),
    sqlite_with_rowid=False,
)

record_entry = Table(
    "record_entry",
    metadata,
    Column("procedure", Word(ProcedureId), ForeignKey("procedure.id"), primary_key=True),
    Column("digest", Word(Digest), primary_key=True),
    Column("message", Word(MessageId), nullable=False),
    Column("author", Word(CountryCode), nullable=False),
    Column("act", Word(), nullable=False),
    Column("parents", Words(Digest), nullable=False),
    Column("code", Word()),
    sqlite_with_rowid=False,
)

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
    sqlite_with_rowid=False,
)
_OWED = text("next_at IS NOT NULL")  # in state RECORDED, and in no other
Index("ix_outbox_owed", outbox.c.created, outbox.c.id, sqlite_where=_OWED)

OWED_RECEIPTS = and_(
    outbox.c.state.in_(fixed(OutboxState.RECORDED)),
    outbox.c.kind.in_(fixed(OutboxKind.RECEIPTS)),
)
RECEIPTED = outbox.c.state.in_(
    fixed(OutboxState.DELIVERED, OutboxState.HANDED_OVER, OutboxState.OPENED, OutboxState.REFUSED)
)
Index(
    "ix_outbox_owed_receipts", outbox.c.recipient, sqlite_where=OWED_RECEIPTS
)  # what peers_with_waiting_receipts asks
Index(
    "ix_outbox_receipted", outbox.c.recipient, outbox.c.published, sqlite_where=RECEIPTED
)  # what newest_receipted asks

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

case_key = Table(  # never part of a backup of data: it has one of its own, of which only the newest is kept
    "case_key",
    metadata,
    Column("scope", Word(), primary_key=True),
    Column("epoch", BigInteger, nullable=False),  # that it is wrapped under, or was destroyed in
    Column("wrapped", Raw),
    Column("created", Moment, nullable=False),
    Column("destroyed", Moment),  # not null: there is no key any more, and none is made again
    Index("ix_case_key_epoch", "epoch", "scope"),
    info={LEFT_OUT: "backed up with the vault"},
    sqlite_with_rowid=False,
)

search_term = Table(  # what the people of a procedure's messages are found by: see `search.py`
    "search_term",
    metadata,
    Column("procedure", Word(ProcedureId), primary_key=True),
    Column("scope", Word(), nullable=False),  # whose key's end is theirs
    Column("buckets", Word(), nullable=False),  # numbers between blanks, also at both ends
    sqlite_with_rowid=False,
    info={LEFT_OUT: "made again from the messages: a restored database owes them to all procedures"},
)

search_owed = Table(  # procedures whose messages are not searchable yet: stored before there was a search, or restored
    "search_owed",
    metadata,
    Column("procedure", Word(ProcedureId), primary_key=True),
    sqlite_with_rowid=False,
    info={LEFT_OUT: "filled after restoring"},
)

key_epoch = Table(  # one row; backed up with case_key
    "key_epoch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),  # that new keys are wrapped under
    info={LEFT_OUT: "backed up with the vault"},
)

retained = Table(
    "retained",
    metadata,
    Column("scope", Word(), primary_key=True),
    Column("hold", Word(HoldReason)),
    Column("held", Moment),
    Column("held_by", Word()),
    Column("keep_until", Word()),  # a day, ISO 8601
    Column("keep", Word(KeepReason)),
    Column("reviewed", Moment),
    Column("reviewed_by", Word()),
    sqlite_with_rowid=False,
)

erasure = Table(
    "erasure",
    metadata,
    Column("id", Word(ErasureId), primary_key=True),
    Column("scope", Word(), nullable=False),
    Column("peer", Word(CountryCode), nullable=False),
    Column("case_ref", Word(CaseRef)),
    Column("procedures", Words(ProcedureId), nullable=False),
    Column("authority", Word(AuthorityId), nullable=False),
    Column("reason", Word(EraseReason), nullable=False),
    Column("state", Word(ErasureState), nullable=False),
    Column("listed", Word(Digest), nullable=False),
    Column("proposed", Moment, nullable=False),
    Column("proposed_by", Word(), nullable=False),
    Column("role", Word(AuditRole), nullable=False),
    Column("asked_by", Word(MessageId)),
    Column("decided", Moment),
    Column("decided_by", Word()),
    Column("final", Moment),
    Index("ix_erasure_authority", "authority", "proposed", "id"),
    sqlite_with_rowid=False,
)
_UNDECIDED = text("decided IS NULL")
Index("ux_erasure_undecided", erasure.c.scope, unique=True, sqlite_where=_UNDECIDED)

erase_duty = Table(
    "erase_duty",
    metadata,
    Column("kind", Word(DutyKind), primary_key=True),
    Column("name", Word(), primary_key=True),
    Column("erasure", Word(ErasureId), nullable=False),
    Column("authority", Word(AuthorityId), nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("ix_erase_duty_next_at", "next_at"),
    Index("ix_erase_duty_erasure", "erasure"),
    sqlite_with_rowid=False,
)

receipt = Table(
    "receipt",
    metadata,
    Column("author", Word(CountryCode), primary_key=True),
    Column("message", Word(MessageId), primary_key=True),
    Column("kind", Word(ReceiptKind), primary_key=True),
    Column("issuer", Word(CountryCode), primary_key=True),
    Column("digest", Word(Digest), nullable=False),
    Column("at", Moment, nullable=False),
    Column("code", Word()),
    Column("heads", Words(Digest), nullable=False),
    Column("record_digest", Word(Digest)),
    Column("issued", Boolean, nullable=False),
    Column("queued", Moment),  # not null: waits for an envelope
    Column("envelope", Word(MessageId)),  # the one that it travelled in last
    sqlite_with_rowid=False,
)
_WAITING = text("queued IS NOT NULL")
Index("ix_receipt_waiting", receipt.c.author, receipt.c.queued, sqlite_where=_WAITING)

seen_raw = Table(
    "seen_raw",
    metadata,
    Column("sha256", Word(Digest), primary_key=True),
    Column("sender", Word(CountryCode)),
    Column("message", Word(MessageId)),
    Column("answered", Moment, nullable=False),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("sha256", Word(Digest), primary_key=True),
    Column("publisher", Word(), nullable=False),  # broker user; empty: unknown
    Column("received", Moment, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes of raw
    Column("code", Word(), nullable=False),
    Column("raw", Raw, nullable=False),
    Column("scope", Word()),  # of a key of its own; NULL: an older program stored it as it came
    Index("ix_quarantine_publisher", "publisher", "received", "sha256", "size"),
)

parked = Table(
    "parked",
    metadata,
    Column("sha256", Word(Digest), primary_key=True),
    Column("publisher", Word(), nullable=False),
    Column("received", Moment, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("code", Word(), nullable=False),
    Column("next_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("raw", Raw, nullable=False),
    Column("scope", Word()),
    Index("ix_parked_publisher", "publisher", "received", "sha256", "size"),
    Index("ix_parked_next_at", "next_at", "sha256"),
)

abuse = Table(
    "abuse",
    metadata,
    Column("publisher", Word(), primary_key=True),
    Column("code", Word(), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("last", Moment, nullable=False),
    sqlite_with_rowid=False,
)

counter = Table(
    "counter",
    metadata,
    Column("name", Word(), primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

attention = Table(
    "attention",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("code", Word(), nullable=False),
    Column("subject", Word(), nullable=False),
    Column("who", Word(), nullable=False),
    Column("at", Moment, nullable=False),
    Column("peer", Word(CountryCode)),
    Column("authority", Word(AuthorityId)),
    Column("detail", Word(), nullable=False),
    Column("resolved", Moment),
    Column("resolved_by", Word()),
    Index("ix_attention_at", "at", "id"),
    Index("ix_attention_authority", "authority", "at", "id"),
)
_OPEN = text("resolved IS NULL")
Index(
    "ux_attention_open",
    attention.c.code,
    attention.c.subject,
    unique=True,
    sqlite_where=_OPEN,
)

audit = Table(
    "audit",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("actor", Word(), nullable=False),
    Column("action", Word(), nullable=False),
    Column("subject", Word(), nullable=False),
    Column("detail", Word(), nullable=False),
    Column("role", Word(AuditRole), nullable=False, server_default="node"),
    Column("authority", Word(AuthorityId)),  # ours
    Column("procedure", Word(ProcedureId)),
    Column("peer", Word(CountryCode)),
    Column("reason", Word(), nullable=False, server_default=text("''")),
    Column("position", BigInteger),  # in the chain; null: not linked yet, which is all that is ever changed of a row
    Column("digest", Word(Digest)),
    Column("chain", Word(Digest)),
    sqlite_autoincrement=True,  # a number is never given twice, also after the newest rows were retained away
)

_UNLINKED = text("position IS NULL")
Index("ix_audit_unlinked", audit.c.id, sqlite_where=_UNLINKED)  # rows commit in another order than they are numbered
_LINKED = text("position IS NOT NULL")
Index("ux_audit_position", audit.c.position, unique=True, sqlite_where=_LINKED)

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("head", Word(Digest), nullable=False),
    Column("at", Moment, nullable=False),
    Column("cut", Boolean, nullable=False),  # what stood up to here was taken away when its retention ended
    Column("raw", Raw, nullable=False),  # as it was signed
)

audit_witness = Table(
    "audit_witness",
    metadata,
    Column("country", Word(CountryCode), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("head", Word(Digest), primary_key=True),  # two of one position are the proof of a contradiction
    Column("at", Moment, nullable=False),
    Column("raw", Raw, nullable=False),
)

audit_told = Table(
    "audit_told",
    metadata,
    Column("country", Word(CountryCode), primary_key=True),
    Column("position", BigInteger, nullable=False),  # of our newest checkpoint that went there
    sqlite_with_rowid=False,
)

restored_mark = Table(  # of other countries
    "restored_mark",
    metadata,
    Column("country", Word(CountryCode), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("head", Word(Digest), nullable=False),
    sqlite_with_rowid=False,
)

healing = Table(
    "healing",
    metadata,
    Column("peer", Word(), primary_key=True),  # empty: it is not known yet whom to ask
    Column("since", Moment, nullable=False),
    Column("restored", Moment, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("head", Word(Digest), nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("after_message", Word(MessageId)),
    Column("after_author", Word(CountryCode)),
    Column("question", Word(MessageId)),
    Column("attempts", Integer, nullable=False),
    Column("ended", Moment),
    sqlite_with_rowid=False,
)

missed = Table(
    "missed",
    metadata,
    Column("peer", Word(CountryCode), primary_key=True),
    Column("digest", Word(Digest), primary_key=True),
    Column("author", Word(CountryCode), nullable=False),
    Column("message", Word(MessageId), nullable=False),
    Column("procedure", Word(ProcedureId), nullable=False),
    Column("opener", Word(CountryCode), nullable=False),
    Column("act", Word(), nullable=False),
    Column("state", Word(MissedState), nullable=False),
    Column("code", Word()),
    Column("attempts", Integer, nullable=False),
    Index("ix_missed_procedure", "procedure"),
    sqlite_with_rowid=False,
)

lease = Table(
    "lease",
    metadata,
    Column("name", Word(), primary_key=True),
    Column("token", Word(), nullable=False),
    Column("until", Moment, nullable=False),
    info={LEFT_OUT: "held by a worker that runs"},
    sqlite_with_rowid=False,
)

trust_list = Table(
    "trust_list",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("root_version", BigInteger, nullable=False),
    Column("digest", Word(Digest), nullable=False),
    Column("accepted", Moment, nullable=False),
    Column("raw", Raw, nullable=False),
    Column("looked", Moment),  # when a look that gave this list last began; null: when it was accepted
    Index("ix_trust_list_version", "version", "accepted"),
)

trust_memory = Table(
    "trust_memory",
    metadata,
    Column("name", Word(), primary_key=True),  # of a file that the list's client keeps between two looks
    Column("raw", Raw, nullable=False),
)

upload = Table(
    "upload",
    metadata,
    Column("id", Word(), primary_key=True),
    Column("authority", Word(AuthorityId), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("key", Raw, nullable=False),
    Column("at", Moment, nullable=False),
    Column("media_type", Word()),
    Column("digest", Word(Digest)),
    Column("scope", Word()),  # of the key that encrypts `key`; NULL: an older program stored it in clear
    Index("ix_upload_at", "at"),
    info={LEFT_OUT: "its bytes are not backed up either: the file is uploaded again"},
)

attachment = Table(
    "attachment",
    metadata,
    Column("author", Word(CountryCode), primary_key=True),
    Column("message", Word(MessageId), primary_key=True),
    Column("handle", Word(Digest), primary_key=True),
    Column("peer", Word(CountryCode), nullable=False),
    Column("place", Integer, nullable=False),
    Column("blob", Word(), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("owed", Word(), nullable=False),  # `core.owed_chunks`
    Column("at", Moment, nullable=False),
    Column("moved", Moment, nullable=False),
    Column("next_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("complete", Moment),
    Column("code", Word()),
    Column("asked", Moment),
    Index("ix_attachment_blob", "blob"),
    sqlite_with_rowid=False,
)
Index("ix_attachment_owed", attachment.c.next_at, sqlite_where=_OWED)

parked_chunk = Table(
    "parked_chunk",
    metadata,
    Column("publisher", Word(), primary_key=True),
    Column("sender", Word(CountryCode), primary_key=True),
    Column("message", Word(MessageId), primary_key=True),
    Column("handle", Word(Digest), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("blob", Word(), nullable=False),
    Column("received", Moment, nullable=False),
    Index("ix_parked_chunk_blob", "blob"),
    Index("ix_parked_chunk_publisher", "publisher", "received", "blob"),
    sqlite_with_rowid=False,
)
