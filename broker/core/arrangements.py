# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The arrangement register: which members may exchange which procedures, under which agreement, from when to when.

- A federation without a register has arranged everything: whoever is a member exchanges what the other lists.
- With a register, what no arrangement covers is not exchanged. Notices of danger, corrections, and what nodes and
  officers of the federation say to each other are never a matter of arrangement: a child in danger waits for no agreement.
- The day on which a message is written decides, not the day on which it arrives. What began under an arrangement is
  brought to its end when the arrangement ends; a suspended one covers nothing from that moment on.
- A message that stops something, reports what has happened or closes an alarm always passes: whoever dropped it would
  leave an enquiry running or a child's arrival unknown.
- A message says itself when it was written and its procedure opened. On arrival it is not believed to be older than some
  days: nobody opens under an arrangement that has ended by writing an earlier day.
- Days are days of UTC, so that both countries read the same register alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from broker.core.errors import NotArranged
from broker.core.ids import ArrangementId, CountryCode
from broker.core.messages import Header
from broker.core.procedures import ALARM_CLOSED, ActKind, ProcedureTable

__all__ = [
    "ALWAYS", "BACKDATING", "Arrangement", "ArrangementRegister", "ArrangementStatus", "Cover", "Judgement", "check_message", "exchangeable",
    "judge",
]  # fmt: skip

# Procedures that need no arrangement. To tell recipients what was wrong is a duty of law (GDPR 16-19), whatever was agreed.
ALWAYS = frozenset({"correction", "danger-notice", "node", "federation"})
BACKDATING = timedelta(days=7)  # a broken line or a long weekend keeps a message for less


class ArrangementStatus(StrEnum):
    """A suspended arrangement covers nothing, whatever its days say."""

    IN_FORCE = "IN_FORCE"
    SUSPENDED = "SUSPENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """What some members agreed to exchange.

    Raises:
        ValueError: fewer than two members, no procedure, or an end before the beginning.
    """

    id: ArrangementId
    title: str
    agreement: str  # reference of the agreement it rests on
    source: str  # where the agreement can be read
    members: frozenset[CountryCode]
    procedures: frozenset[str]
    first_day: date
    last_day: date | None = None  # it still holds on that day; None: without end
    status: ArrangementStatus = ArrangementStatus.IN_FORCE
    conditions: tuple[str, ...] = ()  # for people; no program reads them

    def __post_init__(self) -> None:
        if len(self.members) < 2 or not self.procedures:
            raise ValueError("an arrangement is between two members at least, about one procedure at least")
        if self.last_day is not None and self.last_day < self.first_day:
            raise ValueError("an arrangement ends before it begins")

    def between(self, one: CountryCode, other: CountryCode) -> bool:
        """Whether both are members of it."""
        return one != other and {one, other} <= self.members

    def cover(self, day: date) -> Cover:
        """Return whether it holds on a day, or why not."""
        if self.status is ArrangementStatus.SUSPENDED:
            return Cover.SUSPENDED
        if day < self.first_day:
            return Cover.NOT_YET
        if self.last_day is not None and day > self.last_day:
            return Cover.ENDED
        return Cover.COVERED


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrangementRegister:
    """Every arrangement of the federation.

    Raises:
        ValueError: two have one id.
    """

    arrangements: tuple[Arrangement, ...] = ()

    def __post_init__(self) -> None:
        if len({item.id for item in self.arrangements}) != len(self.arrangements):
            raise ValueError("two arrangements have one id")

    def find(self, wanted: ArrangementId) -> Arrangement | None:
        """Return the arrangement of that id."""
        return next((item for item in self.arrangements if item.id == wanted), None)


class Cover(StrEnum):
    """Why two members may exchange a procedure on a day, or why not."""

    COVERED = "COVERED"  # an arrangement of theirs holds
    ALWAYS = "ALWAYS"  # the procedure needs none
    NO_REGISTER = "NO_REGISTER"  # the federation keeps none
    NOT_YET = "NOT_YET"  # theirs begins later
    SUSPENDED = "SUSPENDED"  # theirs is suspended
    ENDED = "ENDED"  # theirs has ended
    MISSING = "MISSING"  # they have none


_ALLOWED = frozenset({Cover.COVERED, Cover.ALWAYS, Cover.NO_REGISTER})
_NEAREST = (Cover.COVERED, Cover.SUSPENDED, Cover.NOT_YET, Cover.ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether a procedure may be exchanged, why, and the arrangements that say so or come nearest."""

    procedure: str
    cover: Cover
    arrangements: tuple[Arrangement, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether it may be exchanged."""
        return self.cover in _ALLOWED

    @property
    def sentence(self) -> str:
        """Why, in plain words."""
        named = ", ".join(item.id for item in self.arrangements)
        return _SENTENCES[self.cover].format(named=named, procedure=self.procedure)


_SENTENCES: Mapping[Cover, str] = {
    Cover.COVERED: "Covered by {named}.",
    Cover.ALWAYS: "Always allowed: {procedure} needs no arrangement.",
    Cover.NO_REGISTER: "Allowed: the federation keeps no register of arrangements.",
    Cover.NOT_YET: "The arrangement about {procedure} begins later: {named}.",
    Cover.SUSPENDED: "The arrangement about {procedure} is suspended: {named}.",
    Cover.ENDED: "The arrangement about {procedure} has ended: {named}.",
    Cover.MISSING: "No arrangement between the two covers {procedure}.",
}


def judge(
    register: ArrangementRegister | None, procedure: str, one: CountryCode, other: CountryCode, day: date
) -> Judgement:
    """Say whether two members may exchange a procedure on a day, and why."""
    if procedure in ALWAYS:
        return Judgement(procedure=procedure, cover=Cover.ALWAYS)
    if register is None:
        return Judgement(procedure=procedure, cover=Cover.NO_REGISTER)
    theirs = [item for item in register.arrangements if item.between(one, other) and procedure in item.procedures]
    for cover in _NEAREST:
        found = tuple(item for item in theirs if item.cover(day) is cover)
        if found:
            return Judgement(procedure=procedure, cover=cover, arrangements=found)
    return Judgement(procedure=procedure, cover=Cover.MISSING)


def exchangeable(
    register: ArrangementRegister, one: CountryCode, other: CountryCode, day: date
) -> tuple[Judgement, ...]:
    """Judge every procedure that the register names and those that need no arrangement, in order of their names."""
    named = ALWAYS.union(*(item.procedures for item in register.arrangements))
    return tuple(judge(register, procedure, one, other, day) for procedure in sorted(named))


def check_message(
    register: ArrangementRegister | None,
    table: ProcedureTable,
    header: Header,
    *,
    arrived: datetime | None = None,
    known: datetime | None = None,
) -> None:
    """Refuse a message that the register does not let pass.

    Args:
        register: the federation's; None where it keeps none.
        table: of the message's procedure.
        header: of the message.
        arrived: when it came; None: it is written here and now.
        known: since when this node knows the procedure; None: its own word is good.

    Raises:
        NotArranged: no arrangement covers it; the sentence says which is missing.
    """
    name, act = header.type.act, table.acts.get(header.type.act)
    judgement = _judged(register, header, header.created, arrived)
    if judgement.allowed or name == ALARM_CLOSED or (act is not None and (act.stop or act.kind is ActKind.FACT)):
        return
    if act is not None and not act.opens and _opened_in_time(register, header, known):
        return
    raise NotArranged(judgement.sentence, where="/type")


def _judged(register: ArrangementRegister | None, header: Header, stated: datetime, seen: datetime | None) -> Judgement:
    """Judge a moment that the author states, and, where that is longer ago than is believed, the earliest believed one."""
    procedure, sender, recipient = header.type.procedure, header.sender.country, header.recipient.country
    judgement = judge(register, procedure, sender, recipient, stated.date())
    if not judgement.allowed or seen is None or stated >= seen - BACKDATING:
        return judgement
    return judge(register, procedure, sender, recipient, (seen - BACKDATING).date())


def _opened_in_time(register: ArrangementRegister | None, header: Header, known: datetime | None) -> bool:
    """Whether the message's procedure was covered on the day of its opening, which both sides read from its id."""
    if header.procedure is None:
        return False
    try:
        opened = datetime.fromtimestamp(header.procedure.id.made, UTC)
    except (ValueError, OverflowError, OSError):  # the id's time is a peer's to write, and may lie after year 9999
        return False
    return _judged(register, header, opened, known).allowed
