# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Tell people outside the database that something calls for attention; never what it is about."""

from __future__ import annotations

from collections.abc import Sequence

from broker.ports import Notifier, Store
from broker.rows import Attention

__all__ = ["Announce"]

_WINDOW = 1000  # numbers that are remembered one by one: a transaction may commit after one that took a later number
_BATCH = 2 * _WINDOW  # of which some are new, however many are remembered


class Announce:
    """Notifies each newly opened attention entry once per worker, after it is committed, however many open at once."""

    def __init__(self, *, store: Store, notifier: Notifier) -> None:
        self._store = store
        self._notifier = notifier
        self._known: set[int] | None = None  # numbers that were looked at; None before the first look
        self._floor = 0  # entries up to this number are no news

    async def __call__(self) -> int:
        """Tell what is new; return how many entries that were. The first look only remembers where to begin."""
        if self._known is None:
            newest = await self._store.read(lambda reader: reader.newest_call())
            self._floor = max(0, newest - _WINDOW)
        found = await self._store.read(lambda reader: reader.calls_behind(self._floor, limit=_BATCH))
        fresh = self._new(found)
        for attention in fresh:
            await self._notifier.notify(attention)
        return len(fresh)

    def _new(self, found: Sequence[Attention]) -> list[Attention]:
        ids = {attention.id for attention in found}
        known = ids if self._known is None else self._known
        fresh = [item for item in found if item.id not in known]
        self._floor = max(self._floor, max(known | ids, default=0) - _WINDOW)
        self._known = {number for number in known | ids if number > self._floor}
        return fresh
