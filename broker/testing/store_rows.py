# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Plain example rows for the store's suites, numbered so that a larger number is later."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from broker.core.content import entry_of
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
from broker.core.messages import (
    Header,
    InboxEntry,
    LegalBasis,
    OutboxEntry,
    OutboxKind,
    Party,
    ProcedureRef,
    RecordEntry,
    SealedEnvelope,
    Urgency,
)
from broker.core.receipts import Receipt, ReceiptKind
from broker.rows import Attention, HeldDelivery, ProcedureRow

__all__ = [
    "BOARD", "CASE", "COURT", "EE", "FI", "NOW", "SE", "attention", "digest", "header", "held", "incoming", "kid",
    "later", "message_id", "outgoing", "procedure", "procedure_id", "receipt", "record_entry", "sealed",
]  # fmt: skip

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")  # the store under test is EE's
BOARD, COURT = AuthorityId("social-insurance-board"), AuthorityId("central-authority")  # ours
CASE = CaseRef("CR-" + "0" * 20)
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def later(seconds: float) -> datetime:
    """Return a moment after NOW."""
    return NOW + timedelta(seconds=seconds)


def message_id(number: int) -> MessageId:
    """Return a UUIDv7."""
    return MessageId(f"01900000-0000-7000-8000-{number:012x}")


def procedure_id(number: int) -> ProcedureId:
    """Return a UUIDv7."""
    return ProcedureId(f"01900000-0000-7000-9000-{number:012x}")


def digest(of: object) -> Digest:
    """Return a digest that belongs to the object's text."""
    return Digest(hashlib.sha256(repr(of).encode()).hexdigest())


def kid(letter: str) -> KeyId:
    """Return a key's name."""
    return KeyId(letter * 43)


def procedure(number: int, *, peer: CountryCode = FI, authority: AuthorityId = BOARD) -> ProcedureRow:
    """Return a procedure that we opened."""
    return ProcedureRow(
        ref=ProcedureRef(
            id=procedure_id(number), name="family-tracing", version=SchemaVersion("1.0"), digest=digest("table")
        ),
        peer=peer,
        opener=EE,
        our_authority=authority,
        peer_authority=AuthorityId("wellbeing-county"),
        case_ref=CASE,
        exercise=False,
        opened=later(number),
    )


def header(number: int, *, sender: Party, recipient: Party, act: str = "request", in_procedure: int = 1) -> Header:
    """Return a full header."""
    return Header(
        id=message_id(number),
        type=MessageType(f"family-tracing.{act}"),
        version=SchemaVersion("1.0"),
        sender=sender,
        recipient=recipient,
        created=later(number),
        exercise=False,
        nonce="AAAAAAAAAAAAAAAAAAAAAA",
        language="en",
        urgency=Urgency.URGENT,
        purpose="FAMILY_TRACING",
        legal_basis=LegalBasis(code="BIIB_80_1_B"),
        case_ref=CASE,
        procedure=procedure(in_procedure).ref,
        parents=(digest("parent"),),
    )


def outgoing(
    number: int,
    *,
    recipient: CountryCode = FI,
    authority: AuthorityId = BOARD,
    kind: OutboxKind = OutboxKind.MESSAGE,
    said: str = "Test-Maarika Näidis",
    **about: Any,
) -> OutboxEntry:
    """Return an entry that we owe to a country."""
    ours = Party(country=EE, authority=authority)
    theirs = Party(country=recipient, authority=AuthorityId("wellbeing-county"))
    return entry_of(header(number, sender=ours, recipient=theirs, **about), {"child": said}, kind)


def incoming(number: int, *, sender: CountryCode = FI, authority: AuthorityId = BOARD, **about: Any) -> InboxEntry:
    """Return an entry that we believed."""
    theirs = Party(country=sender, authority=AuthorityId("wellbeing-county"))
    ours = Party(country=EE, authority=authority)
    entry = entry_of(
        header(number, sender=theirs, recipient=ours, **about), {"child": "Test-Maarika Näidis"}, OutboxKind.MESSAGE
    )
    return InboxEntry(
        id=entry.id,
        sender=sender,
        digest=entry.digest,
        content=entry.content,
        header=entry.header,
        procedure=procedure_id(about.get("in_procedure", 1)),
        raw_sha256=digest(("raw", number)),
        received=later(number),
        signer_kids=(kid("a"), kid("b")),
        trust_version=7,
    )


def sealed(number: int, *, recipient: CountryCode = FI, to: str = "r", size: int = 1000) -> SealedEnvelope:
    """Return sealed bytes of an entry; `to` names the recipient's key."""
    raw = number.to_bytes(8, "big") * (size // 8)
    return SealedEnvelope(
        id=message_id(number),
        sender=EE,
        recipient=recipient,
        raw=raw,
        sha256=Digest(hashlib.sha256(raw).hexdigest()),
        expires=later(86400),
        recipient_kid=kid(to),
        signer_kids=(kid("e"), kid("m")),
        trust_version=7,
    )


def receipt(
    number: int,
    kind: ReceiptKind = ReceiptKind.DELIVERED,
    *,
    issuer: CountryCode = FI,
    author: CountryCode = EE,
    at: float = 100,
    code: str | None = None,
) -> Receipt:
    """Return evidence about a message."""
    return Receipt(
        issuer=issuer,
        author=author,
        message=message_id(number),
        digest=digest(number),
        kind=kind,
        at=later(at),
        code=code,
        heads=(digest("head"), digest("other head")),
        record_digest=digest("record"),
    )


def record_entry(number: int, *, author: CountryCode = EE, parents: tuple[Digest, ...] = ()) -> RecordEntry:
    """Return a member of a record."""
    return RecordEntry(digest=digest(number), message=message_id(number), author=author, act="request", parents=parents)


def held(number: int, *, user: str | None = "FI", size: int = 10, due: float | None = None) -> HeldDelivery:
    """Return a delivery to quarantine, or to park where it is due again."""
    raw = number.to_bytes(4, "big") + b"x" * (size - 4)
    return HeldDelivery(
        sha256=Digest(hashlib.sha256(raw).hexdigest()),
        raw=raw,
        code="bad-signature",
        user=user,
        received=later(number),
        next_at=None if due is None else later(due),
    )


def attention(
    subject: str = "message-1", *, code: str = "overdue-delivered", at: float = 0, authority: AuthorityId | None = BOARD,
    peer: CountryCode | None = FI,
) -> Attention:  # fmt: skip
    """Return an entry to open."""
    return Attention(
        code=code,
        subject=subject,
        who="operator",
        at=later(at),
        peer=peer,
        authority=authority,
        detail="No receipt has come yet.",
    )
