# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The deadlines of a procedure as they stand: read from its record, counted in the requested side's calendar.

- A view: nothing here is stored, and no state comes of it.
- Where a country's holidays are not known only its weekends count, and the deadline says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, TypeVar

import orjson

from broker.core.corrected import as_corrected
from broker.core.deadlines import Calendar, Deadline, Event, Moment, Phase, Running, Unit, run
from broker.core.ids import CountryCode, Digest
from broker.core.messages import Body, RecordEntry
from broker.core.procedures import ActKind, ProcedureTable, Role
from broker.core.receipts import ReceiptKind
from broker.core.record import Folded, Mark
from broker.derived.archive import Archive, in_order
from broker.ledger import Book
from broker.ports import Reader
from broker.rows import MessageRow

__all__ = ["Standing", "Timetable", "UsesCalendar"]

D = TypeVar("D", bound=date)

_LAST_DAYS = ("30", "29", "28")  # of months that have no 31st


class UsesCalendar(Protocol):
    """Gives the calendar of a country, and what nobody has said of it."""

    def __call__(self, country: str, /) -> Calendar: ...
    def open_questions(self, country: str, /) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One deadline for people."""

    deadline: Deadline
    due: datetime  # the first moment that is too late, UTC
    due_local: str  # last day in time; with hours the moment, in the time zone below
    zone: str
    calendar: CountryCode  # whose holidays count
    holidays_known: bool
    open_questions: tuple[str, ...]  # what nobody has said of that country's calendar, as sentences
    phase: Phase
    extended: bool
    extendable: bool  # once, by this deadline's own side, while it has not passed
    last_day: date  # in time, as it stands
    longest_day: date  # in time, once it is extended as far as its source allows
    met: datetime | None  # the date of the message that settled it
    came: datetime | None  # when that was with the other side, with its files; None: not yet, as far as is known here
    extension_came_late: bool
    ours: bool  # this side must act
    turns: datetime | None  # when it is soon due or overdue, if nothing comes before; None: no more

    @property
    def meaning(self) -> str:
        """What it means for people that it stands so."""
        if self.phase is Phase.CAME_LATE and self.came is None:
            means = _NOT_THERE_YET
        else:
            means = self.deadline.silence if self.phase is Phase.OVERDUE else _MEANINGS[self.phase]
        return f"{means} {_EXTENSION_CAME_LATE}" if self.extension_came_late else means


_MEANINGS = {
    Phase.OPEN: "It is running.",
    Phase.SOON: "It is due soon.",
    Phase.MET: "It was met.",
    Phase.MET_LATE: "It was met, but late.",
    Phase.CAME_LATE: (
        "The message that settles it is dated in time, and was not with the other side in time. A date proves nothing, and "
        "a message may be held up on its way: ask, before anybody is blamed."
    ),
    Phase.ENDED: "It no longer runs: the procedure has ended.",
}

_NOT_THERE_YET = (
    "The message that settles it is dated in time, and nothing says yet that it is with the other side, with all of its files: "
    "it may be held up on its way, or only its receipt. Telephone, if it matters today."
)

_EXTENSION_CAME_LATE = (
    "A longer time was announced, dated in time; it came only after the end and does not count: ask what held it up."
)


class Timetable:
    """Tells how the deadlines of a procedure stand."""

    def __init__(self, *, us: CountryCode, calendar_of: UsesCalendar, soon: timedelta) -> None:
        """Take how long before its end a deadline is due soon."""
        self._us = us
        self._calendar_of = calendar_of
        self._soon = soon

    def standings(
        self,
        reader: Reader,
        book: Book,
        folded: Folded,
        *,
        now: datetime,
    ) -> tuple[Standing, ...]:
        """Return how every deadline that has started stands now, in the table's order."""
        row, table = book.row, book.table
        if not table.deadlines:
            return ()
        messages = _messages(reader, book, folded, self._us)
        events = tuple(_events(book, folded, messages, _corrected(reader, book, messages, self._us)))
        opening = next((messages[digest].header for digest in folded.order if digest in messages), None)
        country = row.peer if row.opener == self._us else self._us
        calendar = self._calendar_of(country)
        found = run(
            table.deadlines,
            events,
            basis=opening.legal_basis.code if opening and opening.legal_basis else None,
            urgency=opening.urgency if opening else None,
            ended=folded.state.name in table.final,
            calendar=calendar,
            now=now,
        )
        role = row.role_of(self._us)
        return tuple(self._standing(running, calendar, country, role, now) for running in found)

    def today(self, country: CountryCode, now: datetime) -> date:
        """Return the day that it is in a country: a period of consent ends on its date there (CASEWORK C-13)."""
        return now.astimezone(self._calendar_of(country).zone).date()

    def _standing(
        self, running: Running, calendar: Calendar, country: CountryCode, role: Role, now: datetime
    ) -> Standing:
        return Standing(
            deadline=running.deadline,
            due=running.due,
            due_local=_local(running, calendar),
            zone=calendar.zone_name,
            calendar=country,
            holidays_known=calendar.holidays_known,
            open_questions=self._calendar_of.open_questions(country),
            phase=running.phase(now, soon=self._soon),
            extended=running.extended,
            extendable=running.extendable and now < running.due,
            last_day=calendar.last_day(running.due),
            longest_day=calendar.last_day(running.longest),
            met=None if running.settled is None else running.settled.created,
            came=None if running.settled is None else running.settled.came,
            extension_came_late=running.extension_came_late,
            ours=running.deadline.by is role,
            turns=running.turns(now, soon=self._soon),
        )


def _local(running: Running, calendar: Calendar) -> str:
    if running.deadline.limit.unit is Unit.HOURS:
        return running.due.astimezone(calendar.zone).strftime("%Y-%m-%d %H:%M")
    return calendar.last_day(running.due).isoformat()


def _messages(reader: Reader, book: Book, folded: Folded, us: CountryCode) -> dict[Digest, MessageRow]:
    """Return the message that opened the procedure, and those whose act a deadline asks for: the others change none."""
    asked = {act for item in book.table.deadlines for act in (item.act, *item.until, *item.replaced_by)}
    asked |= {item.extension.act for item in book.table.deadlines if item.extension is not None}
    held = {entry.digest: entry for entry in book.entries}
    found: dict[Digest, MessageRow] = {}
    for digest in folded.order:
        entry = held[digest]
        if not found or entry.act in asked:
            found |= {message.digest: message for message in _stored(reader, entry, us)}
    return found


def _corrected(
    reader: Reader, book: Book, messages: Mapping[Digest, MessageRow], us: CountryCode
) -> Mapping[Digest, Sequence[Body]]:
    """Return what the messages that state a moment say now, wherever they were corrected; hardly any was.

    What was taken back is read with it and without: nobody has said anew which of the two holds.
    """
    starting = {item.act for item in book.table.deadlines if item.moment is Moment.STATED}
    wanted = {entry.digest for entry in book.entries if entry.act in starting and entry.digest in messages}
    read = Archive(reader, us, book.row).read(book.row, wanted, alone=True) if wanted else []
    if all(one.row.digest in wanted for one in read):
        return {}
    found = dict[Digest, list[Body]]()
    for some in (read, [one for one in read if not one.said.withdrawn]):
        for item in as_corrected(in_order(reader, some)):
            found.setdefault(Digest(item.digest), []).append(item.body)
    return found


def _stored(reader: Reader, entry: RecordEntry, us: CountryCode) -> Iterator[MessageRow]:
    wanted = ("out" if entry.author == us else "in", entry.digest)
    yield from (row for row in reader.messages_of(entry.message, None) if (row.direction, row.digest) == wanted)


def _events(
    book: Book, folded: Folded, messages: Mapping[Digest, MessageRow], corrected: Mapping[Digest, Sequence[Body]]
) -> Iterator[Event]:
    """What took effect, in the record's order; a fact that raised an alarm has happened all the same."""
    table = book.table
    held = {entry.digest: entry for entry in book.entries}
    delivered = {receipt.digest: receipt.at for receipt in book.receipts if receipt.kind is ReceiptKind.DELIVERED}
    for digest in folded.order:
        entry, message = held[digest], messages.get(digest)
        if message is None or not _happened(table, entry, folded.marks[digest]):
            continue
        received = _delivered(message, delivered.get(digest))
        yield Event(
            act=entry.act,
            by=book.row.role_of(entry.author),
            created=message.header.created,
            delivered=received,
            came=received,
            **_said(table, message, entry.act, corrected.get(digest, ())),
        )


def _delivered(message: MessageRow, stated: datetime | None) -> datetime | None:
    """Return when a message was delivered; a clock that is or was ahead, a peer's or our own, or a lie puts off no deadline."""
    # With us, where the receipt states a later moment. What came is handed over when it is delivered, or later; and where
    # our own clock signed a later time, that was set right (`set_right`).
    came = message.delivered if message.direction == "out" else message.handed_over
    return stated if stated is None or came is None else min(stated, came)


def _happened(table: ProcedureTable, entry: RecordEntry, mark: Mark) -> bool:
    act = table.acts.get(entry.act)
    if mark is not Mark.ALARM or act is None:
        return mark is Mark.EFFECT
    return act.kind is ActKind.FACT or act.irreversible  # a child that left is on the way, whatever stopped it


def _said(table: ProcedureTable, message: MessageRow, act: str, now: Sequence[Body]) -> dict[str, Any]:
    """Return what the body says of deadlines; it is parsed only where the table points into it.

    A moment that was corrected to an earlier one counts so; a later one puts no alarm off, and no deadline of its author.
    """
    starts = [item for item in table.deadlines if item.moment is Moment.STATED and item.act == act]
    extends = any(item.extension is not None and item.extension.act == act for item in table.deadlines)
    if message.content is None or not (starts or extends):
        return {}
    body = orjson.loads(message.content)["body"]
    stated = dict[str, datetime | date]()
    for said in (body, *now):
        found = ((item.id, _moment(_at(said, item.stated_at or ""))) for item in starts)
        stated |= {name: moment for name, moment in found if moment is not None and _sooner(moment, stated.get(name))}
    return {"stated": stated, "extends": body.get("deadline") if extends else None}


def _sooner(moment: datetime | date, other: datetime | date | None) -> bool:
    """Whether a moment comes before another one, which may be missing; a day and a time are compared by their days."""
    return other is None or moment.isoformat() < other.isoformat()


def _at(body: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        body = body.get(step) if isinstance(body, Mapping) else None
    return body.get("value", body) if isinstance(body, Mapping) else body  # a fact that may be missing


def _moment(stated: Any) -> datetime | date | None:
    """Return a day or a time as the schemas write them; anything less exact starts nothing.

    The schemas let a time on 31 November through, which is read as the month's last day: no slip puts an alarm off.
    """
    text = str(stated)
    if "T" not in text:
        return _read(date.fromisoformat, text)
    days = (text[8:10], *_LAST_DAYS)
    readings = (_read(datetime.fromisoformat, f"{text[:8]}{day}{text[10:]}") for day in days)
    return next((moment.astimezone(UTC) for moment in readings if moment is not None), None)


def _read(reading: Callable[[str], D], text: str) -> D | None:
    try:
        return reading(text)
    except ValueError:
        return None
