# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Find the procedures that speak of a person, by name and birth, among those that the asking office takes part in.

The store knows only buckets that many names share; what may fit is opened here and compared. What does not open hides
nothing else: it is counted, for it may speak of the person. Who searched, for which office and what for is on record with
what was found, and never for whom; what cannot be recorded is not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.catalogue import Catalogue
from broker.core.audit import AuditAction, AuditRow, SearchReason, Who
from broker.core.corrected import as_corrected
from broker.core.errors import BadRequest, CaseKeyMissing, NotFound, StoreCorrupt
from broker.core.ids import CountryCode, ProcedureId
from broker.core.persons import PersonQuery
from broker.core.same_child import child_query
from broker.derived.archive import Archive, in_order
from broker.derived.speaking import speaks_of
from broker.ports import Clock, Reader, Store
from broker.rows import Page, ProcedureRow

__all__ = ["MOST_FOUND", "Found", "Search"]

MOST_FOUND = 20  # procedures; whoever gets more asks more exactly: a search is for one person, not for a list of many
_OPENED_AT_ONCE = 50  # procedures in one read: each read goes through the whole table of buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer."""

    items: tuple[ProcedureRow, ...]  # newest first
    more: bool  # there are more than are shown
    whole: bool  # False: messages from before there was a search are still being made searchable
    unreadable: int = 0  # procedures that may speak of the person and do not open


class Search:
    """Looks in every message of what may fit; what is erased is found by nothing."""

    def __init__(self, *, us: CountryCode, store: Store, catalogue: Catalogue, clock: Clock) -> None:
        self._us = us
        self._store = store
        self._catalogue = catalogue
        self._clock = clock

    async def __call__(self, query: PersonQuery, who: Who, *, reason: SearchReason) -> Found:
        """Return what was found, once it is on record.

        Raises:
            VaultLocked, KeyMissing: names are not to be had.
            StoreUnavailable, DiskFull: it is not on record, and not given.
        """
        return await self._find((query,), who, reason, of=None)

    async def others(self, procedure: ProcedureId, who: Who, *, reason: SearchReason) -> Found:
        """Return the other procedures of the office that may be about the child of this one; a person decides whether.

        No name is asked for and none is given back: what the procedure's newest message says of the child is compared, as
        it reads now and as it was written: what was corrected here may stand elsewhere as it stood here.

        Raises:
            NotFound: the office has no such procedure.
            BadRequest: it names no child, or not well enough.
            VaultLocked, KeyMissing: names are not to be had.
            StoreUnavailable, DiskFull: it is not on record, and not given.
        """
        queries = await self._store.read(lambda reader: self._child_of(reader, procedure, who))
        return await self._find(queries, who, reason, of=procedure)

    async def _find(
        self, queries: Sequence[PersonQuery], who: Who, reason: SearchReason, *, of: ProcedureId | None
    ) -> Found:
        found: dict[ProcedureId, ProcedureRow] = {}
        unreadable = 0
        for query in queries:
            rows, lacking = await self._pages(query, who, of)
            found |= {row.ref.id: row for row in rows}
            unreadable = max(unreadable, lacking)
        every = sorted(found.values(), key=lambda row: (row.opened, row.ref.id), reverse=True)
        whole = not await self._store.read(lambda reader: reader.search_owed(1))
        shown, more = tuple(every[:MOST_FOUND]), len(every) > MOST_FOUND
        answer = Found(items=shown, more=more, whole=whole, unreadable=unreadable)
        entry = self._entry(queries, answer, who, reason, of)
        await self._store.run(lambda tx: tx.audit(entry))
        return answer

    async def _pages(self, query: PersonQuery, who: Who, of: ProcedureId | None) -> tuple[Sequence[ProcedureRow], int]:
        """Return at least as many as are shown, if there are so many, and how many of those looked at do not open."""
        found: list[ProcedureRow] = []
        cursor, unreadable = None, 0
        while True:
            page = await self._store.read(lambda reader, after=cursor: self._look(reader, query, who, after))  # type: ignore[misc]
            found.extend(row for row in page.items if row.ref.id != of)
            unreadable += page.unreadable
            cursor = page.next
            if cursor is None or len(found) > MOST_FOUND:
                return found, unreadable

    def _look(self, reader: Reader, query: PersonQuery, who: Who, cursor: str | None) -> Page:
        page = reader.possible_procedures(query.terms, who.authority, cursor=cursor, limit=_OPENED_AT_ONCE)
        found, unreadable = list[ProcedureRow](), 0
        for row in page.items:
            try:
                if speaks_of(reader, self._catalogue, row, query):
                    found.append(row)
            except (CaseKeyMissing, StoreCorrupt):
                unreadable += 1
        return Page(items=tuple(found), next=page.next, unreadable=unreadable)

    def _child_of(self, reader: Reader, procedure: ProcedureId, who: Who) -> Sequence[PersonQuery]:
        """Return the searches for the child as the newest message that describes it does: corrected, and as written."""
        row = reader.procedure(procedure, who.authority)
        if row is None:
            raise NotFound
        archive = Archive(reader, self._us, row)
        read = archive.read(row, [entry.digest for entry in reader.record(procedure)])
        told = in_order(reader, (one for one in read if not one.said.withdrawn))
        readings = ((child_query(one.body) for one in reversed(some)) for some in (as_corrected(told), told))
        newest = (next((query for query in reading if query is not None), None) for reading in readings)
        queries = tuple(dict.fromkeys(query for query in newest if query is not None))
        if not queries:
            sentence = "The procedure names no child: it is about nobody, under a pseudonym, or erased."
            raise BadRequest(sentence, where="/procedure")
        return queries

    def _entry(
        self, queries: Sequence[PersonQuery], found: Found, who: Who, reason: SearchReason, of: ProcedureId | None
    ) -> AuditRow:
        ids = [row.ref.id for row in found.items]
        shown = [f"newest={ids[0]}", f"oldest={ids[-1]}"] if ids else []
        asked = [f"words={len(query.words)} born={_PRECISION[len(query.born or '')]}" for query in queries]
        lacking = ["more"] * found.more + [f"unreadable={found.unreadable}"] * (found.unreadable > 0)
        return AuditRow(
            at=self._clock.now(),
            actor=who.actor,
            role=who.role,
            authority=who.authority,
            action=AuditAction.SEARCHED,
            subject="people",
            detail=" ".join([f"items={len(ids)}", *shown, *asked, *lacking]),
            procedure=of,
            reason=reason,
        )


_PRECISION = {0: "no", 4: "year", 7: "month", 10: "date"}  # by the length of the text
