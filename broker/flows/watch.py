# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look at the clock for people: what is overdue on the evidence ladder, and what shows a sign of loss."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from broker.core.delivery import (
    SIGN_OF_LOSS_SECONDS,
    WATCH_BATCH,
    AttentionCode,
    LadderLimits,
    Overdue,
    resend_due,
)
from broker.ledger import Ledger
from broker.ports import Clock, OutboxRow, OutboxState, Store, Transaction

__all__ = ["Watch"]

# Which step an entry waits in, and since when.
_WAITING: tuple[tuple[OutboxState, Callable[[OutboxRow], datetime | None]], ...] = (
    (OutboxState.PUBLISHED, lambda row: row.published),
    (OutboxState.DELIVERED, lambda row: row.delivered),
    (OutboxState.HANDED_OVER, lambda row: row.handed_over),
)


class Watch:
    """No sign of life: tell a person, do not resend. A sign of loss: send the same message again, at most three times."""

    def __init__(
        self, *, store: Store, ledger: Ledger, clock: Clock, limits: LadderLimits, wake: Callable[[], None]
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._limits = limits
        self._wake = wake

    async def __call__(self) -> int:
        """Look once; return how many entries were sent again."""
        resent = await self._store.run(self._look)
        if resent:
            self._wake()
        return resent

    def _look(self, tx: Transaction) -> int:
        now = self._clock.now()
        for state, since in _WAITING:
            self._call_overdue(tx, state, since, now)
        return self._resend_lost(tx, now)

    def _call_overdue(
        self, tx: Transaction, state: OutboxState, since: Callable[[OutboxRow], datetime | None], now: datetime
    ) -> None:
        warn = now - self._limits.warn(state)
        for row in tx.overdue_outbox(state=state, before=warn, limit=WATCH_BATCH):
            overdue = self._limits.judge(state, since(row) or now, now)
            code = AttentionCode.for_overdue(state, failed=overdue is Overdue.FAIL)
            self._ledger.call(tx, code, row.entry.id, peer=row.entry.recipient, now=now)

    def _resend_lost(self, tx: Transaction, now: datetime) -> int:
        """A receipt for something published well after an entry, while that one has none, is a sign of loss."""
        resent = 0
        settled = now - timedelta(seconds=SIGN_OF_LOSS_SECONDS)
        for row in tx.overdue_outbox(state=OutboxState.PUBLISHED, before=settled, limit=WATCH_BATCH):
            newest = tx.newest_receipted(row.entry.recipient)
            if resend_due(published=row.published, receipted=False, resends=row.resends, newest_receipted=newest):
                resent += tx.reopen_outbox(row.entry.id, now=now, reseal=False, count_resend=True)
        return resent
