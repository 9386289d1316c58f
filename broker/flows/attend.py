# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A person looked after something that called for attention."""

from __future__ import annotations

from broker.core.audit import AuditAction, Who
from broker.core.errors import NotFound
from broker.ports import Clock, Store, Transaction
from broker.rows import Attention, AuditRow

__all__ = ["Attend"]


class Attend:
    """Closes attention entries, by whom and when on record."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def resolve(self, attention: int, who: Who) -> Attention:
        """Close an open entry and return it.

        Raises:
            NotFound: there is no such open entry for that office.
        """
        entry = await self._store.read(lambda reader: reader.attention_entry(attention, who.authority))
        if entry is None or entry.resolved is not None:
            raise NotFound
        await self._store.run(lambda tx: self._close(tx, entry, who))
        return entry

    def _close(self, tx: Transaction, entry: Attention, who: Who) -> None:
        now = self._clock.now()
        if not tx.resolve_attention(entry.code, entry.subject, at=now, by=who.actor):
            raise NotFound
        tx.audit(
            AuditRow(
                at=now,
                actor=who.actor,
                role=who.role,
                authority=entry.authority,
                action=AuditAction.ATTENTION_RESOLVED,
                subject=entry.subject,
                detail=entry.code,
                peer=entry.peer,
            )
        )
