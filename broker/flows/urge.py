# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Urge our own officers: what came in, was handed over and is not opened by anybody (promises P7, P9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from broker.core.attention import AttentionCode, message_subject
from broker.core.delivery import WATCH_BATCH, LadderLimits
from broker.ledger import Ledger
from broker.ports import Clock, Store, Transaction
from broker.rows import InboxBrief, InboxState

__all__ = ["Urge"]


class Urge:
    """Calls the addressed office by the same limits by which the sending side calls its own.

    Each look takes a bounded number of entries that nobody is called for yet, the latest first, and tells when more are left.
    """

    def __init__(self, *, store: Store, ledger: Ledger, clock: Clock, limits: LadderLimits) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._limits = limits

    async def __call__(self) -> bool:
        """Look once; return whether there may be more to call for."""
        now, limit = self._clock.now(), self._limits.handed_over
        failed = now - limit.fail
        long = await self._call(AttentionCode.UNREAD_LONG, None, failed)
        return await self._call(AttentionCode.UNREAD, failed, now - limit.warn) or long

    async def _call(self, code: AttentionCode, after: datetime | None, until: datetime) -> bool:
        rows = await self._store.read(
            lambda reader: reader.overdue_inbox(
                state=InboxState.HANDED_OVER, code=code, after=after, until=until, limit=WATCH_BATCH
            )
        )
        if rows:
            await self._store.run(lambda tx: self._call_each(tx, code, rows))
        return len(rows) == WATCH_BATCH

    def _call_each(self, tx: Transaction, code: AttentionCode, rows: Sequence[InboxBrief]) -> None:
        now = self._clock.now()
        for row in rows:
            if tx.inbox_waits(row.sender, row.id, state=InboxState.HANDED_OVER, since=row.since):
                self._ledger.call(
                    tx, code, message_subject(row.sender, row.id), peer=row.sender, authority=row.authority, now=now
                )
