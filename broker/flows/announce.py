# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Tell people outside the database that something calls for attention; never what it is about."""

from __future__ import annotations

from broker.ports import Attention, Notifier, Reader, Store

__all__ = ["Announce"]

_BATCH = 200


class Announce:
    """Notifies each newly opened attention entry once per worker, after it is committed."""

    def __init__(self, *, store: Store, notifier: Notifier) -> None:
        self._store = store
        self._notifier = notifier
        self._told: int | None = None  # id of the newest entry that was looked at

    async def __call__(self) -> int:
        """Tell what is new; return how many entries that were."""
        fresh = await self._store.read(self._fresh)
        for attention in fresh:
            await self._notifier.notify(attention)
        return len(fresh)

    def _fresh(self, reader: Reader) -> list[Attention]:
        """Return what was opened since the last look; the first look only remembers where to begin."""
        newest: tuple[Attention, ...] = reader.attention(None, open_only=True, cursor=None, limit=_BATCH).items
        told, self._told = self._told, max((attention.id for attention in newest), default=self._told or 0)
        if told is None:
            return []
        return sorted((attention for attention in newest if attention.id > told), key=lambda attention: attention.id)
