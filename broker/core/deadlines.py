# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Deadlines of a procedure: what the table says, from when each runs, what settles it, and how it stands at a moment.

- A deadline is a view over the record and never state: nothing happens when it passes, and silence is never an answer.
- It starts with a message that took effect: at its delivered receipt, when it was composed, or on a day that it states.
  Where that act came several times the newest one counts; an act of `until` that stands later in the record settles it.
- It is counted in the requested side's calendar and time zone (`Calendar`; DESIGN: record of a procedure).
- Questions, incompleteness and holidays of the requesting side stop no clock (CASEWORK C-13). Only an act that the table
  names extends one: by its own side, in time, once, where the message names this deadline. An act may put another
  deadline in its place: a delay announces a new arrival (CASEWORK C-20). An arrival is expected within a week of the
  message that announces it, the next visit within a year, whatever day that names: no far year puts an alarm off (R-13, R-14).
- In time is what is dated in time *and came* in time: a date is its author's word alone. What came is told by the node
  that has it, with all of its files, by its delivered receipt, so that both sides see the same. What is dated in time and came later neither met the deadline nor missed it (`CAME_LATE`): it may have been held
  up on its way, and whoever needs to know asks. An extension that came so extends nothing: the other side was not told
  of it while the deadline ran (IR2055 1 and 6: delivery is the time, and an outage suspends nothing).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Protocol

from broker.core.roles import Role

__all__ = [
    "CLOCKS_DIFFER",
    "EXTENSION_NOTICE",
    "LONGEST_INTERVAL",
    "LONGEST_JOURNEY",
    "Calendar",
    "Deadline",
    "DeadlineKind",
    "Event",
    "Extension",
    "Limit",
    "Moment",
    "Phase",
    "Running",
    "Unit",
    "run",
]

EXTENSION_NOTICE = "extension-notice"  # the act by which a side takes the longer time that a source allows it
LONGEST_JOURNEY = timedelta(days=7)  # IR2055 24: by then an arrival is confirmed, or the child has not appeared
LONGEST_INTERVAL = timedelta(days=366)  # between two visits after a move: R-14's last default interval is a year
CLOCKS_DIFFER = timedelta(minutes=10)  # so far two countries' clocks may (PROTOCOL 8.16): what came so late is in time

# By when after the message a stated moment is expected at the latest: a far year would keep everybody waiting unalarmed.
_AT_MOST: Mapping[str, timedelta] = {"/eta/at": LONGEST_JOURNEY, "/visit/next_on": LONGEST_INTERVAL}


class Unit(StrEnum):
    """What a limit is counted in."""

    HOURS = "hours"
    DAYS = "days"
    WORKING_DAYS = "working_days"
    WEEKS = "weeks"
    MONTHS = "months"  # of the calendar


class DeadlineKind(StrEnum):
    """Where a deadline comes from (DOMAIN 7.8); only the first two are law. Codes of the list ``deadline-kind``."""

    STATUTORY = "STATUTORY"
    CONVENTION = "CONVENTION"
    AGREED = "AGREED"
    PRODUCT_DEFAULT = "PRODUCT_DEFAULT"


class Moment(StrEnum):
    """Which moment of a message starts a deadline."""

    DELIVERED = "delivered"  # `at` of the other side's delivered receipt
    CREATED = "created"  # when its author composed it
    STATED = "stated"  # a day or time in its body


class Phase(StrEnum):
    """How a deadline stands; codes of the list ``deadline-phase-2``."""

    OPEN = "OPEN"
    SOON = "SOON"
    OVERDUE = "OVERDUE"
    MET = "MET"
    MET_LATE = "MET_LATE"
    CAME_LATE = "CAME_LATE"  # dated in time, and not with the other side in time
    ENDED = "ENDED"  # the procedure ended before anything settled it


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How long."""

    unit: Unit
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """The act that lengthens a deadline and by how much; only where the source allows it."""

    act: str
    limit: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """One deadline of a procedure table. Built by `deadline_tables.parse_deadline`."""

    id: str
    title: str
    act: str  # the message that starts it
    moment: Moment
    stated_at: str | None  # JSON pointer below the body, with STATED
    by: Role  # who must act
    until: tuple[str, ...]  # acts of that side that settle it
    replaced_by: tuple[str, ...]  # acts of either side with a deadline of their own that takes its place
    limit: Limit
    extension: Extension | None
    before: bool  # counted back from its start
    ends_on_date: bool  # a period of consent or reflection: does not move to a working day (CASEWORK C-13)
    basis: frozenset[str]  # legal bases it holds under; empty: all
    urgency: frozenset[str]  # urgencies it holds for; empty: all
    kind: DeadlineKind
    verified: bool  # False: the source was not read itself
    source: str
    silence: str  # what it means that nothing came

    def holds(self, basis: str | None, urgency: str | None) -> bool:
        """Whether it holds in a procedure opened on that basis with that urgency."""
        return (not self.basis or basis in self.basis) and (not self.urgency or urgency in self.urgency)


class Calendar(Protocol):
    """Time computation in one country: its holidays, its time zone."""

    @property
    def zone(self) -> tzinfo: ...
    @property
    def zone_name(self) -> str: ...
    @property
    def holidays_known(self) -> bool: ...
    def end(self, start: datetime | date, limit: Limit, *, before: bool, ends_on_date: bool) -> datetime:
        """Return the first moment that is too late, aware UTC.

        Args:
            start: when the event happened; a day where only that is stated.
            limit: how long.
            before: count back from the start.
            ends_on_date: never move the end to a working day.
        """
        ...

    def last_day(self, due: datetime) -> date:
        """Return the last day on which something due then is in time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A message that took effect, in the record's order, with what can start or settle a deadline."""

    act: str
    by: Role
    created: datetime  # its author's word
    delivered: datetime | None  # from when a deadline of the recipient runs
    came: datetime | None  # when the recipient had it whole; None: it has it not, as far as is known here
    stated: Mapping[str, datetime | date] = field(default_factory=dict)  # deadline id → what the body says
    extends: str | None = None  # id of the deadline that the message extends

    def in_time(self, due: datetime, now: datetime) -> bool:
        """Whether it is dated before that moment and came by then; what has not come yet comes now at the earliest."""
        return self.created < due and (self.came or now) < due + CLOCKS_DIFFER


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A deadline in a procedure."""

    deadline: Deadline
    start: datetime | date
    due: datetime  # the first moment that is too late
    longest: datetime  # the same, as far as the source lets it be extended
    extended: bool
    extension_came_late: bool  # a longer time was announced, dated in time, and came later: it counts not
    settled: Event | None  # the message that settles it
    ended: bool  # the procedure is in a final state

    @property
    def extendable(self) -> bool:
        """Whether its source allows a longer time that nobody has announced yet; whether it is too late says `phase`."""
        return self.deadline.extension is not None and not self.extended and self.settled is None and not self.ended

    def phase(self, now: datetime, *, soon: timedelta) -> Phase:
        """Return how it stands; a short deadline is soon due only in its last half."""
        if self.settled is not None:
            if self.settled.created >= self.due:
                return Phase.MET_LATE
            return Phase.MET if self.settled.in_time(self.due, now) else Phase.CAME_LATE
        if self.ended:
            return Phase.ENDED
        if now >= self.due:
            return Phase.OVERDUE
        return Phase.SOON if now >= self.due - self._notice(soon) else Phase.OPEN

    def turns(self, now: datetime, *, soon: timedelta) -> datetime | None:
        """Return when an unsettled one is soon due or overdue, whichever comes next; None: neither."""
        match self.phase(now, soon=soon):
            case Phase.OPEN:
                return self.due - self._notice(soon)
            case Phase.SOON:
                return self.due
            case _:
                return None

    def _notice(self, soon: timedelta) -> timedelta:
        if self.deadline.before or not isinstance(self.start, datetime):
            return soon
        return min(soon, (self.due - self.start) / 2)


def run(
    deadlines: Sequence[Deadline],
    events: Sequence[Event],
    *,
    basis: str | None,
    urgency: str | None,
    ended: bool,
    calendar: Calendar,
    now: datetime,
) -> tuple[Running, ...]:
    """Return every deadline that has started, in the table's order.

    Args:
        deadlines: of the procedure's table.
        events: messages that took effect, in the record's order.
        basis: legal basis of the opening message.
        urgency: urgency of the opening message.
        ended: whether the procedure is in a final state.
        calendar: of the requested side.
        now: the current time.
    """
    found = (_running(item, events, ended, calendar, now) for item in deadlines if item.holds(basis, urgency))
    return tuple(item for item in found if item is not None)


def _running(
    deadline: Deadline, events: Sequence[Event], ended: bool, calendar: Calendar, now: datetime
) -> Running | None:
    for position in reversed(range(len(events))):
        start = _start(deadline, events[position]) if events[position].act == deadline.act else None
        if start is not None:
            break
    else:
        return None
    later = events[position + 1 :]
    if any(event.act in deadline.replaced_by for event in later):
        return None
    due = calendar.end(start, deadline.limit, before=deadline.before, ends_on_date=deadline.ends_on_date)
    extension = deadline.extension
    longest = due if extension is None else _extended(deadline, extension, start, due, calendar)
    notices = [event for event in later if extension is not None and _extends(event, deadline, extension, due)]
    extended = any(event.in_time(due, now) for event in notices)
    due = longest if extended else due
    settling = [event for event in later if event.by is deadline.by and event.act in deadline.until]
    in_time = (event for event in settling if event.in_time(due, now))
    return Running(
        deadline=deadline,
        start=start,
        due=due,
        longest=longest,
        extended=extended,
        extension_came_late=bool(notices) and not extended,
        settled=next(in_time, next(iter(settling), None)),
        ended=ended,
    )


def _extends(event: Event, deadline: Deadline, extension: Extension, due: datetime) -> bool:
    dated = event.act == extension.act and event.by is deadline.by and event.created < due
    return dated and event.extends == deadline.id


def _start(deadline: Deadline, event: Event) -> datetime | date | None:
    match deadline.moment:
        case Moment.DELIVERED:
            return event.delivered
        case Moment.CREATED:
            return event.created
        case Moment.STATED:
            stated, at_most = event.stated.get(deadline.id), _AT_MOST.get(deadline.stated_at or "")
            if stated is None or at_most is None:
                return stated
            latest = event.created + at_most
            return min(stated, latest) if isinstance(stated, datetime) else min(stated, latest.date())


def _extended(
    deadline: Deadline, extension: Extension, start: datetime | date, due: datetime, calendar: Calendar
) -> datetime:
    """Like units are one period from the start; others run on from the first end (Reg 1182/71 says nothing)."""
    limit, more = deadline.limit, extension.limit
    if limit.unit is more.unit:
        whole = Limit(unit=limit.unit, count=limit.count + more.count)
        return calendar.end(start, whole, before=deadline.before, ends_on_date=deadline.ends_on_date)
    last = due - timedelta(microseconds=1)
    return calendar.end(last, more, before=deadline.before, ends_on_date=deadline.ends_on_date)
