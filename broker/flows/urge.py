# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Urge our own officers: what came in, was handed over and is not opened by anybody (promises P7, P9)."""

from __future__ import annotations

from datetime import datetime

from broker.core.attention import AttentionCode, message_subject
from broker.core.delivery import WATCH_BATCH, LadderLimits, LadderStep, Overdue
from broker.ledger import Ledger
from broker.ports import Clock, Store, Transaction
from broker.rows import InboxBrief, InboxState

__all__ = ["Urge"]


class Urge:
    """Calls the addressed office by the same limits by which the sending side calls its own.

    Each look takes a bounded number of entries and the next one goes on behind them.
    """

    def __init__(self, *, store: Store, ledger: Ledger, clock: Clock, limits: LadderLimits) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._limits = limits
        self._after: InboxBrief | None = None  # where the last look ended; None: begin anew

    async def __call__(self) -> int:
        """Look once; return 0, for nothing has to follow at once."""
        self._after = await self._store.run(self._look)
        return 0

    def _look(self, tx: Transaction) -> InboxBrief | None:
        now = self._clock.now()
        before = now - self._limits.warn(LadderStep.HANDED_OVER)
        rows = tx.overdue_inbox(state=InboxState.HANDED_OVER, before=before, limit=WATCH_BATCH, after=self._after)
        for row in rows:
            self._call(tx, row, now)
        return rows[-1] if len(rows) == WATCH_BATCH else None

    def _call(self, tx: Transaction, row: InboxBrief, now: datetime) -> None:
        overdue = self._limits.judge(LadderStep.HANDED_OVER, row.since, now)
        if overdue is None:
            return
        code = AttentionCode.UNREAD_LONG if overdue is Overdue.FAIL else AttentionCode.UNREAD
        self._ledger.call(
            tx, code, message_subject(row.sender, row.id), peer=row.sender, authority=row.authority, now=now
        )
