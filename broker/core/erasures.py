# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""An erasure from its proposal to its end, what keeps one from being carried out, and what is still to be removed.

- *Four eyes*: one person proposes, another confirms exactly what was listed; a list that has changed is listed anew.
- *What goes*: contents, search entries, attachments, uploads, held messages, copies that an adapter handed over.
- *What stays*: digests, times, receipts, the record of each procedure, the audit trail. Nothing of them says what was said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from broker.core import canonical
from broker.core.errors import CaseOpen, CorrectionPending, LegalHold, MessagesOwed, SenderError
from broker.core.ids import (
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    ErasureId,
    MessageId,
    MessageType,
    ProcedureId,
)
from broker.core.retention import EraseReason, HoldReason, KeepReason
from broker.core.roles import AuditRole

__all__ = [
    "OWED_DAYS", "CaseMessage", "Duty", "DutyKind", "Erasure", "ErasureState", "Hindrance", "Listed", "Obstacle", "Retained",
    "owed",
]  # fmt: skip

OWED_DAYS = 60  # the longest that an envelope may travel: what nobody answered by then is owed no longer


class ErasureState(StrEnum):
    """Life of an erasure."""

    ASKED = "asked"  # another country asks for it; nobody here has decided
    PROPOSED = "proposed"  # one person proposed it
    REJECTED = "rejected"
    LAPSED = "lapsed"  # no second person decided in time
    ERASED = "erased"  # the keys are destroyed


class DutyKind(StrEnum):
    """What is removed outside of the database after an erasure."""

    BLOB = "blob"  # sealed bytes of an attachment or upload
    ADAPTER = "adapter"  # what an adapter had handed over


class Obstacle(StrEnum):
    """Why an erasure is not carried out now."""

    LEGAL_HOLD = "legal-hold"
    CASE_OPEN = "case-open"
    MESSAGES_OWED = "messages-owed"
    CORRECTION_PENDING = "correction-pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMessage:
    """A message of a case as its row says it: no key is needed, nothing of its content is here."""

    direction: str  # "in" or "out"
    id: MessageId
    digest: Digest
    peer: CountryCode
    authority: AuthorityId  # ours
    procedure: ProcedureId
    type: MessageType
    at: datetime  # recorded (out) or received (in)
    settled: bool  # out: delivered or refused; in: adapter or officers' inbox has it

    @property
    def subject(self) -> str:
        """The message as calls for people and adapters' duties name it; ours is told by its direction."""
        return f"{self.direction}/{self.peer}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """One thing that speaks against erasing now."""

    obstacle: Obstacle
    subjects: tuple[str, ...]  # procedures, messages or a reason's code

    @property
    def error(self) -> SenderError:
        """The refusal that it makes."""
        named = ", ".join(self.subjects)
        match self.obstacle:
            case Obstacle.LEGAL_HOLD:
                return LegalHold(f"The case is under a legal hold ({named}): release that first.")
            case Obstacle.CASE_OPEN:
                return CaseOpen(f"Bring to its end first, or give the reason of an order: procedure {named}.")
            case Obstacle.MESSAGES_OWED:
                return MessagesOwed(f"Not delivered or not taken yet: message {named}.")
            case Obstacle.CORRECTION_PENDING:
                return CorrectionPending(f"Not answered yet: correction {named}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Exactly what an erasure takes away, and what stays."""

    procedures: tuple[ProcedureId, ...]
    messages: tuple[CaseMessage, ...]
    drafts: tuple[MessageId, ...]  # held messages, also those that somebody has decided about
    attachments: int
    uploads: int  # files of held messages
    hindrances: tuple[Hindrance, ...] = ()

    @property
    def digest(self) -> Digest:
        """What a second person confirms: another one when anything came or went since it was proposed."""
        held = sorted([*(message.digest for message in self.messages), *self.drafts])
        return canonical.digest(canonical.dump({"held": [str(item) for item in held]}))


def owed(messages: Iterable[CaseMessage], now: datetime) -> tuple[CaseMessage, ...]:
    """Return the messages that still wait for the other side, or for somebody here."""
    since = now - timedelta(days=OWED_DAYS)
    return tuple(message for message in messages if not message.settled and message.at > since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A proposal to erase a case towards one country, and what became of it."""

    id: ErasureId
    scope: str  # of the case's key
    peer: CountryCode
    case_ref: CaseRef | None
    procedures: tuple[ProcedureId, ...]
    authority: AuthorityId  # ours
    reason: EraseReason
    state: ErasureState
    listed: Digest  # of what was shown when it was proposed
    proposed: datetime
    proposed_by: str
    role: AuditRole  # of who proposed it
    asked_by: MessageId | None = None  # the other country's message that asks for it
    decided: datetime | None = None
    decided_by: str | None = None
    final: datetime | None = None  # since when no older copy of any key opens it either


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What persons decided about keeping a case; a case without it has the review date of its rule alone."""

    scope: str
    hold: HoldReason | None = None
    held: datetime | None = None
    held_by: str | None = None
    keep_until: date | None = None
    keep: KeepReason | None = None
    reviewed: datetime | None = None
    reviewed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something to be removed outside of the database; kept until whoever holds it has confirmed."""

    kind: DutyKind
    name: str  # of a blob; of a message as `CaseMessage.subject`
    erasure: ErasureId
    authority: AuthorityId
    attempts: int = 0
