# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The stages of a message, each its own frozen type, each built in exactly one module.

Outbound  Submission → Draft → ValidMessage → ClearedMessage → OutboxEntry → SealedEnvelope
Inbound   Delivery → Envelope → OpenedMessage → VerifiedMessage → ValidMessage → InboxEntry

A function's signature therefore proves what has already been checked; a half-checked message cannot be passed on.
(`Envelope` and `OpenedMessage` hold wire syntax and stand in `broker/security`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from broker.core.attachments import Attachment
from broker.core.ids import (
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    KeyId,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)
from broker.core.roles import AuditRole

__all__ = [
    "NODE",
    "Body",
    "ClearedMessage",
    "Delivery",
    "Draft",
    "Header",
    "InboxEntry",
    "LegalBasis",
    "OutboxEntry",
    "OutboxKind",
    "Party",
    "ProcedureRef",
    "ProfileHeader",
    "RecordEntry",
    "Sealed",
    "SealedChunk",
    "SealedEnvelope",
    "Submission",
    "Uploaded",
    "Urgency",
    "ValidMessage",
    "VerifiedMessage",
]

Body = Mapping[str, Any]  # the JSON body, held by the schema of its type and version


class Urgency(StrEnum):
    """How quickly the other side must look (DOMAIN 7.8)."""

    IMMEDIATE = "IMMEDIATE"
    URGENT = "URGENT"
    PRIORITY = "PRIORITY"
    ROUTINE = "ROUTINE"


NODE = AuthorityId("node")  # which says what a node itself says; no office has this name (PROTOCOL 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One side of a message: the member country and the office inside it."""

    country: CountryCode
    authority: AuthorityId

    def to_json(self) -> dict[str, str]:
        """Return the form that it has in headers."""
        return {"country": str(self.country), "authority": str(self.authority)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalBasis:
    """The one primary legal basis (DOMAIN 7.7 as corrected by CASEWORK C-02, C-18)."""

    code: str
    citation: str | None = None  # required by the schema for NATIONAL_LAW and AGREEMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureRef:
    """Which procedure, and the table that governs it for its whole life."""

    id: ProcedureId
    name: str
    version: SchemaVersion
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The content header: what both nodes know about every message (PROTOCOL section 4)."""

    id: MessageId
    type: MessageType
    version: SchemaVersion
    sender: Party
    recipient: Party
    created: datetime  # aware UTC, millisecond precision
    exercise: bool
    nonce: str  # 16 random bytes, base64url: a digest that outlives an erased case cannot be confirmed by guessing
    language: str | None = None  # BCP 47; None only for node messages
    urgency: Urgency | None = None
    purpose: str | None = None
    legal_basis: LegalBasis | None = None
    case_ref: CaseRef | None = None  # None where the procedure has no subject (CASEWORK E-1) and for node messages
    procedure: ProcedureRef | None = None  # None only for node messages (receipts)
    parents: tuple[Digest, ...] = ()  # heads of the author's record, sorted
    attachments: tuple[Attachment, ...] = ()  # with their keys: a header is as secret as its body

    @property
    def procedure_id(self) -> ProcedureId | None:
        """The procedure's id alone."""
        return None if self.procedure is None else self.procedure.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """An uploaded file that a submission attaches, and what it is called there."""

    upload: str
    name: str = field(repr=False)  # may name a person
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a caller (API, console, adapter) asks to be sent; nothing is checked yet but the identifiers' form."""

    type: MessageType
    version: SchemaVersion | None  # None: the newest one that the recipient lists
    sender_authority: AuthorityId
    recipient: Party
    procedure: ProcedureId | None  # None: this message opens a new procedure
    legal_basis: LegalBasis
    purpose: str
    urgency: Urgency
    language: str
    exercise: bool
    body: Body
    actor: str  # who submits, for the audit trail: a subject of a token, never a child's data
    route: str  # "api", "filedrop", "cli" …: part of the idempotency scope
    idempotency_key: str
    role: AuditRole = AuditRole.OFFICER  # under which the actor submits
    attachments: tuple[Uploaded, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message with identifier, time and nonce, not checked yet. Built by `submission/placing`."""

    header: Header
    body: Body


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidMessage:
    """Header and body fit their schemas. Built by `catalogue`, for both directions."""

    header: Header
    body: Body


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearedMessage:
    """A safeguard decision let it pass. Built by `core/safeguards`."""

    message: ValidMessage
    reasons: tuple[str, ...]  # codes of the rules that were looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileHeader:
    """The ``trm`` member, byte-equal in the encryption header and both signature headers (PROTOCOL section 3)."""

    sender: CountryCode  # "from"
    recipient: CountryCode  # "to"
    id: MessageId
    expires: int  # "exp": Unix seconds
    exercise: bool
    v: int = 1


class OutboxKind(StrEnum):
    """Casework gets receipts; an envelope of receipts gets none."""

    MESSAGE = "message"
    RECEIPTS = "receipts"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """A message we accepted and owe to a country. Built by `core/content`."""

    id: MessageId
    kind: OutboxKind
    recipient: CountryCode
    exercise: bool
    content: bytes  # canonical {"header", "body"}; its SHA-256 is the message digest
    digest: Digest
    created: datetime
    header: Header
    procedure: ProcedureId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEnvelope:
    """Bytes ready for any transport, and what they were made with. Built by `security/sealing`."""

    id: MessageId
    sender: CountryCode
    recipient: CountryCode
    raw: bytes
    sha256: Digest  # of raw
    expires: datetime
    recipient_kid: KeyId
    signer_kids: tuple[KeyId, KeyId]  # Ed25519, ML-DSA-65
    trust_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedChunk:
    """A part of an attachment, ready for any transport. Built by `security/chunks`."""

    id: MessageId  # of the message that the attachment belongs to
    sender: CountryCode
    recipient: CountryCode
    raw: bytes
    sha256: Digest  # of raw
    index: int


Sealed = SealedEnvelope | SealedChunk  # what a transport carries


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Bytes that a transport handed over, with its hints; nothing of it is believed. Built by `transport`."""

    raw: bytes
    queue: str  # "in", "chunk" or "dead", what expired or came back too often; "parked": offered again from the store
    user: str | None = None  # broker user that published: whose parking and quarantine space it uses
    abuse: tuple[str, ...] = ()  # codes of broken publishing rules, counted against that user
    arrived: datetime | None = None  # of what was parked: when it came first; None: now
    tag: Any = None  # the transport's own handle for settling


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedMessage:
    """Both signatures are the stated member's and the headers agree. Built by `security/sealing`."""

    profile: ProfileHeader
    content: bytes
    digest: Digest
    header: Mapping[str, Any]  # not yet held against its schema
    body: Any
    sender: CountryCode
    signer_kids: tuple[KeyId, KeyId]
    recipient_kid: KeyId
    trust_version: int
    received: datetime
    signatures: bytes = b""  # the member of the signed object, as it came: with the content the proof


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEntry:
    """A believed and valid message, recorded here. Built by `reception/deciding`."""

    id: MessageId
    sender: CountryCode
    digest: Digest
    content: bytes
    header: Header
    procedure: ProcedureId
    raw_sha256: Digest
    received: datetime
    signer_kids: tuple[KeyId, KeyId]
    trust_version: int
    signatures: bytes | None = None  # as they came; None: not asked for, or stored by an older program
    mark: str = "message"  # the record mark at reception: message or forked


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEntry:
    """A message in the set; a stub where the recipient signed a refusal."""

    digest: Digest
    message: MessageId
    author: CountryCode
    act: str
    parents: tuple[Digest, ...]
    code: str | None = None  # the refusal's code: then it is a stub

    @classmethod
    def of(cls, header: Header, digest: Digest, *, code: str | None = None) -> RecordEntry:
        """Return the entry of the message with that header."""
        return cls(
            digest=digest,
            message=header.id,
            author=header.sender.country,
            act=header.type.act,
            parents=header.parents,
            code=code,
        )

    @property
    def stub(self) -> bool:
        """Whether the recipient refused it."""
        return self.code is not None
