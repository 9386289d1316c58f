# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Let messages be found by people that were stored before there was a search, or restored: bit by bit, beside the work."""

from __future__ import annotations

import orjson

from broker.catalogue import Catalogue
from broker.core.attention import AttentionCode
from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.ids import CountryCode, ProcedureId
from broker.core.messages import RecordEntry
from broker.core.persons import terms_of
from broker.ledger import Ledger
from broker.ports import Clock, Store, Transaction

__all__ = ["CatchUp"]

_BATCH = 20  # procedures between two looks for other work; each has a transaction of its own


class CatchUp:
    """Reads a procedure's messages under its lock; interrupted anywhere, the next call goes on.

    A procedure that does not open keeps no other from being found: a person is called, and its turn comes again.
    """

    def __init__(self, *, us: CountryCode, store: Store, ledger: Ledger, catalogue: Catalogue, clock: Clock) -> None:
        self._us = us
        self._store = store
        self._ledger = ledger
        self._catalogue = catalogue
        self._clock = clock
        self._cursor: ProcedureId | None = None  # where the last look ended; None: begin anew

    async def __call__(self) -> int:
        """Make some procedures searchable; return how many were looked at, 0 where nothing more can be done now.

        Raises:
            NodeError: one could not be; nothing of it was written.
        """
        owed = await self._store.read(lambda reader: reader.search_owed(_BATCH, after=self._cursor))
        done = 0
        for procedure in owed:
            try:
                await self._store.run(lambda tx, one=procedure: self._settle(tx, one))  # type: ignore[misc]
                done += 1
            except (CaseKeyMissing, StoreCorrupt):
                await self._store.run(lambda tx, one=procedure: self._call(tx, one))  # type: ignore[misc]
        more = len(owed) == _BATCH
        self._cursor = owed[-1] if more else None
        return len(owed) if more else done

    def _settle(self, tx: Transaction, procedure: ProcedureId) -> None:
        tx.lock_procedure(procedure)  # a message that comes now brings its own terms
        terms = frozenset[str]().union(*(self._terms(tx, entry) for entry in tx.record(procedure)))
        tx.settle_search(procedure, terms)
        tx.resolve_attention(AttentionCode.UNSEARCHABLE, procedure, at=self._clock.now(), by="node")

    def _call(self, tx: Transaction, procedure: ProcedureId) -> None:
        row = tx.lock_procedure(procedure)
        peer, now = row.peer if row else None, self._clock.now()
        self._ledger.call(tx, AttentionCode.UNSEARCHABLE, procedure, peer=peer, row=row, now=now)

    def _terms(self, tx: Transaction, entry: RecordEntry) -> frozenset[str]:
        row = tx.outbox(entry.message) if entry.author == self._us else tx.inbox(entry.author, entry.message)
        if row is None or row.entry.digest != entry.digest:
            return frozenset()  # refused, erased, or not here
        return terms_of(self._catalogue.people(row.entry.header, orjson.loads(row.entry.content)["body"]))
