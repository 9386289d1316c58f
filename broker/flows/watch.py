# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look at the clock for people: what is overdue on the evidence ladder, what shows a sign of loss, who sends without end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from broker.core.attention import WAITS_STILL, AttentionCode, message_subject
from broker.core.audit import AuditAction
from broker.core.delivery import (
    FAR_OVER_USUAL,
    HOLD_DAYS,
    MANY_OPENED,
    SIGN_OF_LOSS_SECONDS,
    UNSENT_HOURS,
    WATCH_BATCH,
    LadderLimits,
    Overdue,
    ResendReason,
    resend_due,
)
from broker.core.ids import CountryCode
from broker.ledger import Ledger
from broker.ports import Clock, Store, Transaction
from broker.rows import AuditRow, DraftState, OutboxState, OverdueEntry

__all__ = ["Watch"]

_SETTLED = timedelta(seconds=SIGN_OF_LOSS_SECONDS)

_UNSENT = timedelta(hours=UNSENT_HOURS)
_DAY, _MONTH = timedelta(days=1), timedelta(days=31)
_WAITING = (OutboxState.RECORDED, OutboxState.PUBLISHED, OutboxState.DELIVERED, OutboxState.HANDED_OVER)


class Watch:
    """No sign of life: tell a person, do not resend. A sign of loss: send the same message again, at most three times.

    Each look takes a bounded number of entries and the next one goes on behind them: what waits for one silent country
    must not hide what waits for the others.
    """

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        ledger: Ledger,
        clock: Clock,
        limits: LadderLimits,
        wake: Callable[[], None],
    ) -> None:
        self._us = us
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._limits = limits
        self._wake = wake
        self._places: Mapping[OutboxState, OverdueEntry] = {}  # where each step's last look ended; absent: begin anew

    async def __call__(self) -> int:
        """Look once; return how many entries were sent again."""
        resent, self._places = await self._store.run(self._look)
        if resent:
            self._wake()
        return resent

    def _look(self, tx: Transaction) -> tuple[int, Mapping[OutboxState, OverdueEntry]]:
        now, resent = self._clock.now(), 0
        tx.set_right(now=now)
        self._expire(tx, now)
        self._call_for_many(tx, now)
        places: dict[OutboxState, OverdueEntry] = {}
        for state in _WAITING:
            wait = _UNSENT if state is OutboxState.RECORDED else self._limits.warn(state)
            if state is OutboxState.PUBLISHED:
                wait = min(wait, _SETTLED)
            before, after = now - wait, self._places.get(state)
            rows = tx.overdue_outbox(state=state, before=before, limit=WATCH_BATCH, after=after)
            for row in rows:
                if state is OutboxState.RECORDED:
                    self._call_unsent(tx, row, now)
                    continue
                self._call_overdue(tx, row, state, now)
                if state is OutboxState.PUBLISHED:
                    resent += self._resend_lost(tx, row, now)
            if len(rows) == WATCH_BATCH:
                places[state] = rows[-1]
        return resent, places

    def _expire(self, tx: Transaction, now: datetime) -> None:
        """End the waiting of held messages that nobody decided about; they are not sent."""
        for draft in tx.lapsed_drafts(before=now - timedelta(days=HOLD_DAYS), limit=WATCH_BATCH):
            if not tx.settle_draft(draft.id, DraftState.EXPIRED, by="node", at=now, decision=""):
                continue
            tx.audit(
                AuditRow(
                    at=now, actor="node", action=AuditAction.HOLD_EXPIRED, subject=draft.id,
                    authority=draft.authority, detail=draft.type, peer=draft.peer,
                )
            )  # fmt: skip
            subject = message_subject(self._us, draft.id)
            tx.resolve_attention(AttentionCode.HELD, subject, at=now, by="node")
            self._ledger.call(
                tx, AttentionCode.HOLD_EXPIRED, subject, peer=draft.peer, authority=draft.authority, now=now
            )

    def _call_for_many(self, tx: Transaction, now: datetime) -> None:
        """Tell a person early, once a day, who opens procedures as if without end: well-formed, each is taken (P1)."""
        many = {peer: n for peer, n in tx.opened_by_others(now - _DAY, now + _DAY).items() if n >= MANY_OPENED}
        usual = tx.opened_by_others(now - _MONTH, now - _DAY) if many else {}
        for peer, opened in many.items():
            subject = f"{peer}/{now:%Y-%m-%d}"
            far_over = opened * (_MONTH / _DAY - 1) >= FAR_OVER_USUAL * usual.get(peer, 0)
            if far_over and tx.last_call(AttentionCode.MANY_PROCEDURES, subject) is None:
                detail = f"It opened {opened} within 24 hours, and {usual.get(peer, 0)} in the 30 days before."
                self._ledger.call(tx, AttentionCode.MANY_PROCEDURES, subject, peer=peer, detail=detail, now=now)

    def _call_unsent(self, tx: Transaction, row: OverdueEntry, now: datetime) -> None:
        """Whatever keeps it here: a dispatcher that stands still fails at no entry, and would tell nobody."""
        self._ledger.call(
            tx, AttentionCode.NOT_SENT, message_subject(self._us, row.id),
            peer=row.recipient, authority=row.authority, now=now, detail=WAITS_STILL,
        )  # fmt: skip

    def _call_overdue(self, tx: Transaction, row: OverdueEntry, state: OutboxState, now: datetime) -> None:
        overdue = self._limits.judge(state, row.since, now)
        if overdue is None:
            return
        code = AttentionCode.for_overdue(state, failed=overdue is Overdue.FAIL)
        subject = message_subject(self._us, row.id)
        self._ledger.call(tx, code, subject, peer=row.recipient, authority=row.authority, now=now)

    def _resend_lost(self, tx: Transaction, row: OverdueEntry, now: datetime) -> bool:
        """A receipt for something published well after an entry, while that one has none, is a sign of loss."""
        newest = tx.newest_receipted(row.recipient, now=now)
        if not resend_due(published=row.since, receipted=False, resends=row.resends, newest_receipted=newest):
            return False
        if not tx.reopen_outbox(row.id, now=now, reseal=False, count_resend=True):
            return False
        tx.audit(
            AuditRow(
                at=now,
                actor="node",
                action=AuditAction.RESENT,
                subject=row.id,
                authority=row.authority,
                procedure=row.procedure,
                peer=row.recipient,
                reason=ResendReason.SIGN_OF_LOSS,
            )
        )
        return True
