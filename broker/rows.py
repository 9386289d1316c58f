# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the store holds and gives back, as values: the rows of its tables, its lists, and the answer to a submission.

- All datetimes are aware UTC.
- `None` in a step's time: the step is not reached yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from broker.core import canonical
from broker.core.audit import AuditRow, Who
from broker.core.errors import NodeError
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, MessageId, MessageType, ProcedureId
from broker.core.messages import Header, InboxEntry, OutboxEntry, OutboxKind, ProcedureRef, SealedEnvelope
from broker.core.owed_chunks import OwedChunks
from broker.core.reasons import Reason
from broker.core.receipts import Receipt
from broker.core.record import RecordEntry
from broker.core.roles import AuditRole, Role

__all__ = [
    "ARRIVED",
    "NOT_KNOWN",
    "Accepted",
    "AttachmentRow",
    "Attention",
    "AuditFilter",
    "AuditRow",
    "DraftState",
    "HeldDelivery",
    "HeldDraft",
    "Idempotent",
    "InboxBrief",
    "InboxRow",
    "InboxState",
    "KeptRecord",
    "MessageFilter",
    "MessageRow",
    "MessageTimes",
    "OutboxBrief",
    "OutboxRow",
    "OutboxState",
    "OverdueEntry",
    "OwedEntry",
    "Page",
    "ParkedChunk",
    "ProcedureRow",
    "Release",
    "SeenRaw",
    "TrustRow",
    "UploadRow",
    "about",
    "arrival",
    "salted",
]

ARRIVED = "message-arrived"  # what a notifier is told of a handed-over message; nothing that calls for attention


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a caller is told: the message is stored and will be delivered, or a person will be told why not."""

    message: MessageId
    digest: Digest
    procedure: ProcedureId
    case_ref: CaseRef | None
    created: datetime
    warnings: tuple[Reason, ...] = field(default=(), compare=False)  # for its author; not stored
    repeated: bool = False  # the same idempotency key came before; nothing new was stored


class OutboxState(StrEnum):
    """Life of an outbox entry; the evidence ladder as the sender sees it."""

    RECORDED = "recorded"  # owed; not published yet (sealed or not)
    PUBLISHED = "published"  # the transport holds it
    DELIVERED = "delivered"  # the peer's node stored it
    HANDED_OVER = "handed-over"
    OPENED = "opened"
    REFUSED = "refused"
    DONE = "done"  # a receipts envelope after publishing: it gets no receipt


class InboxState(StrEnum):
    """Life of an inbox entry."""

    RECORDED = "recorded"  # stored, receipt owed, not yet taken by adapter or officers
    HANDED_OVER = "handed-over"
    OPENED = "opened"


class DraftState(StrEnum):
    """What became of a held message."""

    HELD = "held"  # waits for a second person
    RELEASED = "released"  # it left
    REJECTED = "rejected"
    EXPIRED = "expired"  # nobody decided in time


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDraft:
    """A message that a safeguard held: it waits for a second person."""

    id: MessageId  # that it will have when it leaves
    peer: CountryCode
    authority: AuthorityId  # ours
    type: MessageType
    author: str  # who submitted it: never who releases it
    role: AuditRole  # the author's
    route: str
    at: datetime
    reasons: tuple[Reason, ...]
    content: bytes | None  # canonical {"header", "body"}; None: settled
    state: DraftState = DraftState.HELD
    decided_by: str | None = None
    decided: datetime | None = None
    decision: str | None = None  # a code of the two lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A second person's decision that a held message may leave."""

    draft: HeldDraft
    by: str
    role: AuditRole
    reason: str  # of `ReleaseReason`


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureRow:
    """A procedure as this node holds it."""

    ref: ProcedureRef
    peer: CountryCode
    opener: CountryCode  # author of the first message: the requesting side
    our_authority: AuthorityId
    peer_authority: AuthorityId
    case_ref: CaseRef | None
    exercise: bool
    opened: datetime
    state: str = ""  # last folded state, for lists; the fold is the truth
    alarm: bool = False
    gap: bool = False
    erased: datetime | None = None  # since when nothing of its contents is here

    def role_of(self, country: CountryCode) -> Role:
        """Return the side that a country is on: who opened the procedure is the requesting one."""
        return Role.REQUESTING if self.opener == country else Role.REQUESTED


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """An entry with its life so far."""

    entry: OutboxEntry
    state: OutboxState
    attempts: int = 0
    resends: int = 0
    next_at: datetime | None = None
    error: str | None = None  # code of the last failure
    envelope: SealedEnvelope | None = None
    lease: str | None = None
    published: datetime | None = None
    delivered: datetime | None = None
    handed_over: datetime | None = None
    opened: datetime | None = None
    refused: datetime | None = None
    refusal_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedEntry:
    """A leased entry with what sending it takes; its header, encrypted beside the content, stays closed."""

    id: MessageId
    kind: OutboxKind
    recipient: CountryCode
    exercise: bool
    authority: AuthorityId  # of ours that sends it
    content: bytes = field(repr=False)
    created: datetime
    attempts: int
    error: str | None  # code of the last failure
    envelope: SealedEnvelope | None  # as it was sealed before
    fault: NodeError | None = None  # why what is stored of it does not open


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueEntry:
    """What is needed to call people for an outbox entry that waits, and to send it again."""

    id: MessageId
    recipient: CountryCode
    authority: AuthorityId  # ours
    procedure: ProcedureId | None
    since: datetime  # when it stepped into its state
    resends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow:
    """An entry with its life so far."""

    entry: InboxEntry
    state: InboxState
    attempts: int = 0
    next_at: datetime | None = None
    error: str | None = None
    lease: str | None = None
    handed_over: datetime | None = None
    opened: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxBrief:
    """What is needed to call people for an inbox entry that waits."""

    sender: CountryCode
    id: MessageId
    authority: AuthorityId  # ours
    since: datetime  # when it stepped into its state
    fault: NodeError | None = None  # why what is stored of it does not open; told where it is leased


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRaw:
    """Raw bytes that were decided before: a repeat is answered from here without cryptography."""

    sha256: Digest
    sender: CountryCode | None  # None: quarantined, nothing is answered
    message: MessageId | None
    answered: datetime  # when the stored receipt was last queued; again at most once a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDelivery:
    """A quarantined or parked delivery: sealed bytes and why."""

    sha256: Digest
    raw: bytes
    code: str
    user: str | None
    received: datetime
    next_at: datetime | None = None  # parked only: when it is offered again
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Something a person must look at (promise P7). No personal data: codes, ids and countries."""

    code: str  # e.g. "overdue-delivered", "security-id-reused", "adapter-failed"
    subject: str  # what it is about, a message as `message_subject` names it; code and subject together are unique while open
    who: str  # errors.Actor value
    at: datetime
    peer: CountryCode | None = None
    authority: AuthorityId | None = None  # None: the whole node's
    detail: str = ""  # one sentence, no content
    resolved: datetime | None = None
    resolved_by: str | None = None
    id: int = 0  # given by the store


def arrival(message: MessageId, *, sender: CountryCode, authority: AuthorityId, at: datetime) -> Attention:
    """Return what a notification of a handed-over message may say: that it is there, for which office; never what."""
    return Attention(code=ARRIVED, subject=message, who="officer", at=at, peer=sender, authority=authority)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What a look at the audit trail is limited to. None: not limited."""

    since: datetime | None = None
    until: datetime | None = None  # not included
    procedures: tuple[ProcedureId, ...] | None = None
    actor: str | None = None
    action: str | None = None


NOT_KNOWN = Digest("0" * 64)  # of what was asked: the message came back after a restore


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotent:
    """The answer that an idempotency key got before."""

    scope: str
    key: str
    body_digest: Digest  # of what was asked; as stored: `salted` with the message's nonce
    message: MessageId


def salted(body_digest: Digest, nonce: str) -> Digest:
    """Return a digest of what was asked that confirms no guess once the message and its nonce are erased."""
    return canonical.digest(f"{nonce}{body_digest}".encode("ascii"))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """A procedure with its record and the answers to the record's messages."""

    row: ProcedureRow
    entries: tuple[RecordEntry, ...]
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxBrief:
    """What a receipt is held against."""

    digest: Digest
    recipient: CountryCode
    procedure: ProcedureId | None
    attended: bool  # an attention entry about it is open, which a receipt may resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list; `next` is the cursor of the following one."""

    items: tuple[Any, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """What a list of messages is limited to. None: not limited."""

    direction: str | None = None  # "in" or "out"
    peer: CountryCode | None = None
    procedure: ProcedureId | None = None
    type: str | None = None
    state: str | None = None
    digest: Digest | None = None
    authority: AuthorityId | None = None  # our office; None only for the system itself, never from a token


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """A message in a list or alone, either direction."""

    direction: str  # "in" or "out"
    id: MessageId
    digest: Digest
    peer: CountryCode
    authority: AuthorityId  # ours
    header: Header
    state: str
    at: datetime  # recorded (out) or received (in)
    published: datetime | None = None
    delivered: datetime | None = None
    handed_over: datetime | None = None
    opened: datetime | None = None
    refused: datetime | None = None
    refusal_code: str | None = None
    error: str | None = None
    content: bytes | None = None  # only when read alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A message by which the opener of a procedure that is not over says what holds while it is open."""

    message: MessageId
    procedure: ProcedureId
    opener: CountryCode
    peer: CountryCode
    exercise: bool
    content: bytes | None  # canonical {"header", "body"}; None: it does not open here


def about(row: MessageRow, who: Who, *, at: datetime, action: str, detail: str = "", reason: str = "") -> AuditRow:
    """Return the audit row of what somebody did to a message."""
    return AuditRow(
        at=at,
        actor=who.actor,
        role=who.role,
        authority=row.authority,
        action=action,
        subject=row.id,
        detail=detail,
        procedure=row.header.procedure.id if row.header.procedure else None,
        peer=row.peer,
        reason=reason,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTimes:
    """How far a message of either direction got and when; needs no key, for nothing of its content is in it."""

    direction: str  # "in" or "out"
    id: MessageId
    peer: CountryCode
    at: datetime  # recorded (out) or received (in)
    published: datetime | None = None
    delivered: datetime | None = None
    handed_over: datetime | None = None
    opened: datetime | None = None
    refused: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRow:
    """A verified trust list as it was taken; none is ever changed, so that an old message is verified as of its day."""

    version: int
    root_version: int
    digest: Digest  # of raw
    raw: bytes  # its canonical form
    accepted: datetime
    looked: datetime | None = None  # when a look that gave it last began; None: when it was accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRow:
    """A file that an office is uploading, until a message takes it; after a day it is dropped with its key."""

    id: str  # also the name of its blob
    authority: AuthorityId
    size: int  # bytes, as announced
    key: bytes = field(repr=False)
    at: datetime
    received: int = 0  # bytes that are on the disk; whole chunks until the last
    media_type: str | None = None  # None: not complete yet
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRow:
    """How far the bytes of an attachment are: ours on their way out, another country's on their way in.

    What it is and what opens it stands in the message alone.
    """

    author: CountryCode
    message: MessageId
    handle: Digest
    peer: CountryCode
    place: int  # in the message's list
    blob: str
    size: int
    chunks: int
    owed: OwedChunks  # ours: not yet taken by the transport; another's: not yet here
    at: datetime
    moved: datetime  # when the last chunk left or came
    next_at: datetime | None = None  # ours: when chunks are sent; another's: when it is asked for; None: nothing owed
    attempts: int = 0
    complete: datetime | None = None  # another's: whole and verified; ours: all taken by the transport
    code: str | None = None  # another's: what its whole bytes turned out to be instead
    asked: datetime | None = None  # ours: when the other country last asked for chunks again


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedChunk:
    """A chunk whose message is not recorded yet."""

    publisher: str  # broker user; empty: unknown
    sender: CountryCode
    message: MessageId
    handle: Digest
    index: int
    blob: str
    received: datetime
