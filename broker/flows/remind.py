# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look at the deadlines of open procedures for people: what is due soon, and what is overdue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.core.attention import AttentionCode
from broker.core.deadlines import Phase
from broker.core.delivery import REMIND_BATCH
from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.ids import ProcedureId
from broker.derived.archive import CORRECTION, procedures_named
from broker.derived.timetable import Standing, Timetable
from broker.ledger import Book, Ledger
from broker.ports import Clock, Reader, Store, Transaction
from broker.rows import Attention, ProcedureRow

__all__ = ["Remind"]

_CODES = frozenset(
    {
        AttentionCode.DEADLINE_SOON,
        AttentionCode.DEADLINE_OVERDUE,
        AttentionCode.ANSWER_OVERDUE,
        AttentionCode.UNREADABLE,
    }
)

_SOONEST = timedelta(minutes=1)  # after which a receipt that has not come is looked for again

_Call = tuple[ProcedureRow, AttentionCode, str, str]  # procedure, code, subject, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one look found."""

    calls: tuple[_Call, ...]
    settled: tuple[Attention, ...]
    turns: Mapping[ProcedureId, datetime | None]  # of what was judged: when a deadline of it stands otherwise
    waiting: frozenset[ProcedureId]  # something happened in them, and this look did not take them
    place: int  # in the audit trail, up to which something was seen to happen
    next: str | None


class Remind:
    """Calls a person once for each deadline that is due soon or overdue; closes the call when it no longer is.

    Each look takes a bounded number of procedures, and the next one goes on behind them: the truth, for a procedure of which
    nothing is known. Most are judged when it is time: something happened in them, or a deadline passes that was seen to run.
    So neither a deadline of hours nor a call that is settled waits for the turn of its procedure among thousands; what is
    over or erased, which with the years is nearly everything, has no turn. A person who has closed a call
    is not called about the same thing again; but what was called for too early, by a clock that was ahead, is called for
    once more when it is time. A procedure that does not open hides the deadlines of no other.
    """

    def __init__(self, *, store: Store, ledger: Ledger, timetable: Timetable, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._timetable = timetable
        self._clock = clock
        self._cursor: str | None = None  # where the last look ended; None: begin anew
        self._place: int | None = None  # in the audit trail, where the last look ended; None: there was none
        self._agenda: dict[ProcedureId, datetime] = {}  # when to judge a procedure, whether or not it is its turn

    async def __call__(self) -> int:
        """Look once; return how many calls were made or closed."""
        seen = await self._store.read(self._look)
        self._cursor = seen.next
        done = await self._store.run(lambda tx: self._act(tx, seen)) if seen.calls or seen.settled else 0
        self._remember(seen)  # only now: what could not be told is looked at again
        return done

    def _look(self, reader: Reader) -> _Seen:
        page = reader.open_procedures(self._ledger.over(), cursor=self._cursor, limit=REMIND_BATCH)
        touched = reader.touched(self._place)
        wanted = self._wanted(touched.procedures)
        turns: dict[ProcedureId, datetime | None] = dict.fromkeys(wanted)
        called = defaultdict[ProcedureId, list[Attention]](list)
        for call in reader.open_calls(sorted(_CODES)):
            called[ProcedureId(call.subject.partition("/")[0])].append(call)
        calls, settled = list[_Call](), list[Attention]()
        for row in _rows(reader, page.items, wanted):
            about: Sequence[Attention] = called.pop(row.ref.id, ())
            turns[row.ref.id] = None
            try:
                standings, turns[row.ref.id] = self._judge(reader, row)
            except (CaseKeyMissing, StoreCorrupt) as error:
                calls.append((row, AttentionCode.UNREADABLE, str(row.ref.id), error.detail))
                continue
            calls += self._calls(reader, row, standings)
            stands = {(_code(standing), _subject(row.ref.id, standing)) for standing in standings}
            settled += (call for call in about if (call.code, call.subject) not in stands)
        for procedure, about in called.items():  # what is over has no turn; to judge all others takes too long
            held = reader.procedure(procedure, None)
            settled += about if held is None or self._is_over(held) else ()
        return _Seen(
            calls=tuple(calls),
            settled=tuple(settled),
            turns=turns,
            waiting=touched.procedures - turns.keys(),
            place=touched.place,
            next=page.next,
        )

    def _wanted(self, touched: Collection[ProcedureId]) -> tuple[ProcedureId, ...]:
        """Return a bounded number of those that it is time to judge, longest waiting first."""
        now = self._clock.now()
        agenda = {**dict.fromkeys(touched, now), **{one: at for one, at in self._agenda.items() if at <= now}}
        return tuple(sorted(agenda, key=lambda one: (agenda[one], one))[:REMIND_BATCH])

    def _remember(self, seen: _Seen) -> None:
        """Note when to judge again what was judged, and as soon as possible what was left of what is touched."""
        self._place, now = seen.place, self._clock.now()
        for procedure in seen.waiting:
            self._agenda[procedure] = min(now, self._agenda.get(procedure, now))
        for procedure, at in seen.turns.items():
            if at is None:
                self._agenda.pop(procedure, None)
            else:
                self._agenda[procedure] = at

    def _calls(self, reader: Reader, row: ProcedureRow, standings: Iterable[Standing]) -> Iterator[_Call]:
        for standing in standings:
            code, subject = _code(standing), _subject(row.ref.id, standing)
            if code is not None and not reader.called(code, subject, now=self._clock.now()):
                yield row, code, subject, _sentence(standing)

    def _judge(self, reader: Reader, row: ProcedureRow) -> tuple[tuple[Standing, ...], datetime | None]:
        """Return how its deadlines stand, and when to look again though nothing happens in it; None: not before its turn."""
        if self._is_over(row):
            return (), None
        book, now = self._ledger.read(reader, row), self._clock.now()
        standings = self._timetable.standings(reader, book, book.fold(), now=now)
        turns = (item.turns for item in standings if item.turns is not None)
        return standings, min((*turns, *_receipts_due(book, now)), default=None)

    def _is_over(self, row: ProcedureRow) -> bool:
        """Whether no deadline of it is left."""
        table = self._ledger.table(row)
        return row.erased is not None or row.state in table.final or not table.deadlines

    def _act(self, tx: Transaction, seen: _Seen) -> int:
        now = self._clock.now()
        for row, code, subject, detail in seen.calls:
            self._ledger.call(tx, code, subject, peer=row.peer, row=row, detail=detail, now=now)
        for call in seen.settled:
            tx.resolve_attention(call.code, call.subject, at=now, by="node")
        return len(seen.calls) + len(seen.settled)


def _rows(reader: Reader, page: Sequence[ProcedureRow], wanted: Iterable[ProcedureId]) -> Iterator[ProcedureRow]:
    """Yield those whose turn it is, those that are wanted, and those that corrections of their own among these are about."""
    yield from page
    met = {row.ref.id for row in page}
    found = [held for one in wanted if (held := reader.procedure(one, None)) is not None]
    corrected = [other for held in found if held.ref.name == CORRECTION for other in _corrected(reader, held)]
    for row in (*found, *corrected):
        if row.ref.id not in met:
            met.add(row.ref.id)
            yield row


def _corrected(reader: Reader, correction: ProcedureRow) -> Iterator[ProcedureRow]:
    """Yield the procedures with what a correction names; nothing of it need be theirs."""
    for entry in reader.record(correction.ref.id):
        yield from procedures_named(reader, correction.peer, entry.message, entry.digest, readable_only=True)


def _receipts_due(book: Book, now: datetime) -> Iterator[datetime]:
    """Yield when to look for the receipts of our messages, with which deadlines of the other side begin.

    They are noted in no procedure's trail. The longer one has not come, the less often: a country may be silent for years.
    """
    peer = book.row.peer
    answered = {receipt.digest for receipt in book.receipts if receipt.issuer == peer and receipt.answers}
    for entry in book.entries:
        if entry.author != peer and entry.code is None and entry.digest not in answered:
            waits = now - datetime.fromtimestamp(entry.message.made, UTC)
            yield now + max(waits / 4, _SOONEST)


def _subject(procedure: ProcedureId, standing: Standing) -> str:
    """Name the deadline with its end: one that begins anew or is extended is another."""
    return f"{procedure}/{standing.deadline.id}/{standing.due:%Y%m%d}"


def _code(standing: Standing) -> AttentionCode | None:
    match standing.phase:
        case Phase.SOON if standing.ours:
            return AttentionCode.DEADLINE_SOON
        case Phase.OVERDUE:
            return AttentionCode.DEADLINE_OVERDUE if standing.ours else AttentionCode.ANSWER_OVERDUE
        case _:
            return None


def _sentence(standing: Standing) -> str:
    """Say what is due, when, by which right, and what silence means: words of the table, nothing of the case."""
    deadline = standing.deadline
    due = f"{deadline.title}: due {standing.due_local} ({standing.zone}; {deadline.kind})."
    return due if standing.phase is Phase.SOON else f"{due} {deadline.silence}"
