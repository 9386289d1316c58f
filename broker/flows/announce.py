# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Tell people outside the database that something calls for attention; never what it is about."""

from __future__ import annotations

from broker.ports import Notifier, Reader, Store
from broker.rows import Attention

__all__ = ["Announce"]

_BATCH = 200
_WINDOW = 1000  # ids that are remembered one by one: a transaction may commit after one that took a later id


class Announce:
    """Notifies each newly opened attention entry once per worker, after it is committed."""

    def __init__(self, *, store: Store, notifier: Notifier) -> None:
        self._store = store
        self._notifier = notifier
        self._known: set[int] | None = None  # ids that were looked at; None before the first look
        self._floor = 0  # entries up to this id are no news

    async def __call__(self) -> int:
        """Tell what is new; return how many entries that were. The first look only remembers where to begin."""
        newest = await self._store.read(_newest)
        fresh = self._new(newest)
        for attention in fresh:
            await self._notifier.notify(attention)
        return len(fresh)

    def _new(self, newest: tuple[Attention, ...]) -> list[Attention]:
        ids = {attention.id for attention in newest}
        if self._known is None:
            self._floor = min(ids) if len(newest) == _BATCH else 0  # older open ones come to light as newer ones close
            known = ids
        else:
            known = self._known
        fresh = [item for item in newest if item.id > self._floor and item.id not in known]
        self._floor = max(self._floor, max(known | ids, default=0) - _WINDOW)
        self._known = {number for number in known | ids if number > self._floor}
        return sorted(fresh, key=lambda attention: attention.id)


def _newest(reader: Reader) -> tuple[Attention, ...]:
    return tuple(reader.attention(None, open_only=True, cursor=None, limit=_BATCH).items)
