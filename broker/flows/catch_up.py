# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Let messages be found by people that were stored before there was a search, or restored: bit by bit, beside the work."""

from __future__ import annotations

import orjson

from broker.catalogue import Catalogue
from broker.core.ids import CountryCode, ProcedureId
from broker.core.persons import terms_of
from broker.core.record import RecordEntry
from broker.ports import Store, Transaction

__all__ = ["CatchUp"]

_BATCH = 20  # procedures between two looks for other work; each has a transaction of its own


class CatchUp:
    """Reads a procedure's messages under its lock; interrupted anywhere, the next call goes on."""

    def __init__(self, *, us: CountryCode, store: Store, catalogue: Catalogue) -> None:
        self._us = us
        self._store = store
        self._catalogue = catalogue

    async def __call__(self) -> int:
        """Make some procedures searchable; return how many.

        Raises:
            NodeError: one could not be; nothing of it was written.
        """
        owed = await self._store.read(lambda reader: reader.search_owed(_BATCH))
        for procedure in owed:
            await self._store.run(lambda tx, one=procedure: self._settle(tx, one))  # type: ignore[misc]
        return len(owed)

    def _settle(self, tx: Transaction, procedure: ProcedureId) -> None:
        tx.lock_procedure(procedure)  # a message that comes now brings its own terms
        terms = frozenset[str]().union(*(self._terms(tx, entry) for entry in tx.record(procedure)))
        tx.settle_search(procedure, terms)

    def _terms(self, tx: Transaction, entry: RecordEntry) -> frozenset[str]:
        row = tx.outbox(entry.message) if entry.author == self._us else tx.inbox(entry.author, entry.message)
        if row is None or row.entry.digest != entry.digest:
            return frozenset()  # refused, erased, or not here
        return terms_of(self._catalogue.people(row.entry.header, orjson.loads(row.entry.content)["body"]))
