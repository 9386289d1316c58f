# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a caller asked for and was told, and what waits for a second person before it leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.core import canonical
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, MessageId, MessageType, ProcedureId
from broker.core.reasons import Reason
from broker.core.roles import AuditRole

__all__ = ["NOT_KNOWN", "Accepted", "DraftState", "HeldDraft", "Idempotent", "Release", "salted"]


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
    content: bytes | None  # canonical {"header", "body"}; None: settled, or not asked for
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
    seen: frozenset[MessageId] = frozenset()  # newer messages of the case that the second person knows of


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
