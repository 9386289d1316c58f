# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Show a procedure to people: what state it is in, what they may do next, and what proves each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.core.adulthood import ComingOfAge, coming_of_age
from broker.core.capacity import has_room
from broker.core.deadlines import EXTENSION_NOTICE
from broker.core.errors import NotFound
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId, MessageType, ProcedureId
from broker.core.ladder import in_order
from broker.core.messages import RecordEntry
from broker.core.participants import Participant, Roster, may_send
from broker.core.procedures import allowed
from broker.core.record import Folded, closure_digest, is_unheld
from broker.core.surge import SurgeMode
from broker.derived.casefile import child_described
from broker.derived.participation import Participation
from broker.derived.surges import surge_modes
from broker.derived.timetable import Standing, Timetable
from broker.ledger import Book, Ledger
from broker.ports import Clock, Reader, Store
from broker.rows import ProcedureRow

__all__ = ["Inspect", "ProcedureView", "RecordLine", "TimelineLine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLine:
    """One message of the record, in the record's order."""

    digest: Digest
    message: MessageId
    author: CountryCode
    act: str
    mark: str
    final: bool
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureView:
    """A procedure as its officers see it."""

    row: ProcedureRow
    state: str
    alarm: bool
    gap: bool
    role: str
    digest: Digest | None  # of the whole record; None while something is missing
    heads: tuple[Digest, ...]
    participants: tuple[Participant, ...]  # in the order of joining
    actions: tuple[str, ...]  # acts that the office may send next, or this side where none is named
    entries: tuple[RecordLine, ...]
    deadlines: tuple[Standing, ...]
    surge: tuple[SurgeMode, ...]  # in force between the two countries
    coming_of_age: ComingOfAge | None  # while it goes on: opened here, for whoever looks


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineLine:
    """One step, for people: when, whose, what, where it left the message, and what proves it."""

    at: datetime
    who: CountryCode
    what: str
    state: str
    evidence: str
    message: MessageId


class Inspect:
    """Reads only."""

    def __init__(self, *, us: CountryCode, store: Store, ledger: Ledger, timetable: Timetable, clock: Clock) -> None:
        self._us = us
        self._store = store
        self._ledger = ledger
        self._timetable = timetable
        self._clock = clock
        self._participation = Participation(us=us, ledger=ledger)

    async def procedure(self, procedure: ProcedureId, *, authority: AuthorityId | None) -> ProcedureView:
        """Return the procedure with its folded record.

        Raises:
            NotFound: there is none for that authority.
        """
        return await self._store.read(lambda reader: self._view(reader, procedure, authority))

    async def timeline(self, procedure: ProcedureId, *, authority: AuthorityId | None) -> tuple[TimelineLine, ...]:
        """Return every step of every message of the procedure, oldest first and in the ladder's order.

        Raises:
            NotFound: there is none for that authority.
        """
        return await self._store.read(lambda reader: self._timeline(reader, procedure, authority))

    def _view(self, reader: Reader, procedure: ProcedureId, authority: AuthorityId | None) -> ProcedureView:
        row = reader.procedure(procedure, authority)
        if row is None:
            raise NotFound
        book = self._ledger.read(reader, row)
        table, entries, receipts = book.table, book.entries, book.receipts
        folded = book.fold()
        role = row.role_of(self._us)
        now, found = self._clock.now(), self._participation.seen(reader, book, folded)
        standings = self._timetable.standings(reader, book, folded, now=now)
        modes = surge_modes(reader, self._us, now.date())
        return ProcedureView(
            row=row,
            state=folded.state.name,
            alarm=folded.state.alarmed,
            gap=bool(folded.missing),
            role=role,
            digest=closure_digest(table, row.opener, entries, receipts, folded.heads, whole=folded),
            heads=folded.heads,
            participants=found.now,
            actions=self._actions(book, folded, found, standings, authority),
            entries=_lines(entries, folded),
            deadlines=standings,
            coming_of_age=self._coming_of_age(reader, book, ended=folded.state.name in table.final),
            surge=tuple(mode for mode in modes if mode.concerns(row.peer, exercise=row.exercise)),
        )

    def _actions(
        self, book: Book, folded: Folded, found: Roster, standings: tuple[Standing, ...], authority: AuthorityId | None
    ) -> tuple[str, ...]:
        """Return what that office may send as the record stands: what a safeguard says of it depends on what it would say."""
        if book.row.erased is not None or is_unheld(book.entries, book.receipts):
            return ()  # nothing is added to it any more
        extendable = any(item.ours and item.extendable for item in standings)
        return tuple(
            act
            for act in allowed(book.table, folded.state, book.row.role_of(self._us))
            if (extendable or act != EXTENSION_NOTICE)
            and has_room(book.table, book.entries, self._us, act)
            and (authority is None or may_send(book.table.acts.get(act), found, self._us, authority))
        )

    def _coming_of_age(self, reader: Reader, book: Book, *, ended: bool) -> ComingOfAge | None:
        row = book.row
        if ended or row.erased is not None or row.case_ref is None:
            return None
        return coming_of_age(child_described(reader, self._us, row, book.entries), self._clock.now().date())

    def _timeline(
        self, reader: Reader, procedure: ProcedureId, authority: AuthorityId | None
    ) -> tuple[TimelineLine, ...]:
        row = reader.procedure(procedure, authority)
        if row is None:
            raise NotFound
        entries = reader.record(procedure)
        kinds = {act: MessageType(f"{row.ref.name}.{act}") for act in {entry.act for entry in entries}}
        record = {(entry.author, entry.message): (kinds[entry.act], entry.digest) for entry in entries}
        lines = [*self._sent(reader, procedure, record), *_proven(reader, procedure, record)]
        return in_order(
            lines, message=lambda line: line.message, state=lambda line: line.state, at=lambda line: line.at
        )

    def _sent(self, reader: Reader, procedure: ProcedureId, record: _Record) -> Iterator[TimelineLine]:
        """Yield what this node did with each message of its own."""
        for times in reader.procedure_sent(procedure):
            if (self._us, times.id) not in record:
                continue
            kind, digest = record[self._us, times.id]
            stored = f"stored at {self._us}, digest {digest[:12]}"
            yield _line(kind, times.id, times.at, self._us, "recorded", stored)
            if times.published is not None:
                yield _line(kind, times.id, times.published, self._us, "published", "confirmed by the transport")


_Record = Mapping[tuple[CountryCode, MessageId], tuple[MessageType, Digest]]


def _proven(reader: Reader, procedure: ProcedureId, record: _Record) -> Iterator[TimelineLine]:
    for receipt in reader.procedure_evidence(procedure):
        kind, _ = record[receipt.author, receipt.message]
        proof = f"receipt signed by {receipt.issuer}"
        yield _line(kind, receipt.message, receipt.at, receipt.issuer, receipt.kind, proof)


def _line(
    what: MessageType, message: MessageId, at: datetime, who: CountryCode, state: str, evidence: str
) -> TimelineLine:
    return TimelineLine(at=at, who=who, what=what, state=state, evidence=evidence, message=message)


def _lines(entries: tuple[RecordEntry, ...], folded: Folded) -> tuple[RecordLine, ...]:
    by_digest = {entry.digest: entry for entry in entries}
    ordered, final = set(folded.order), folded.final
    waiting = tuple(digest for digest in by_digest if digest not in ordered)
    return tuple(
        RecordLine(
            digest=digest,
            message=by_digest[digest].message,
            author=by_digest[digest].author,
            act=by_digest[digest].act,
            mark=folded.marks[digest],
            final=digest in final,
            code=by_digest[digest].code,
        )
        for digest in folded.order + waiting
    )
