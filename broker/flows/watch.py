# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look at the clock for people: what is overdue on the evidence ladder, what shows a sign of loss, who sends without end."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.core.attention import WAITS_STILL, AttentionCode, message_subject
from broker.core.audit import AuditAction
from broker.core.delivery import (
    FAR_OVER_USUAL,
    HOLD_DAYS,
    MANY_OPENED,
    UNSENT_HOURS,
    WATCH_BATCH,
    LadderLimits,
    LadderStep,
    ResendReason,
)
from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.ids import CountryCode, MessageId
from broker.derived.meanwhile import Newer, newer_than
from broker.ledger import Ledger
from broker.ports import Clock, Reader, Store, Transaction
from broker.rows import AuditRow, DraftState, HeldDraft, OutboxState, OverdueEntry

__all__ = ["Watch"]

_UNSENT = timedelta(hours=UNSENT_HOURS)
_NAMED = 3  # newer messages, in a call
_WAS_AHEAD = (
    "This node's clock was ahead and was set right. Other countries take what left meanwhile when the time has come that it "
    "names: what is not delivered by then, send again (trm resend)."
)
_DAY, _MONTH = timedelta(days=1), timedelta(days=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Late:
    """Entries that wait in a state since between two moments, and what a person is called for by them."""

    state: OutboxState
    code: AttentionCode
    after: datetime | None  # not included
    until: datetime


class Watch:
    """No sign of life: tell a person, do not resend. A sign of loss: send the same message again, at most three times.

    Each look takes a bounded number of entries that nobody is called for yet, the latest first, and tells when more are left:
    a hundred thousand for which people were called, and that nobody will ever answer, hide nothing that is overdue since.
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
        self._cursor: str | None = None  # of the held messages, where the last look ended; None: begin anew

    async def __call__(self) -> int:
        """Look once; return how many entries were sent again, or that more of them wait to be told of."""
        await self._store.run(self._settle)
        more = False
        for late in self._late(self._clock.now()):
            more |= await self._call(late)
        resent = await self._resend()
        if resent:
            self._wake()
        await self._tell_newer()
        return resent or more

    def _settle(self, tx: Transaction) -> None:
        now = self._clock.now()
        if tx.set_right(now=now):
            self._ledger.call(tx, AttentionCode.CLOCK, self._us, now=now, detail=_WAS_AHEAD)
        self._expire(tx, now)
        self._call_for_many(tx, now)

    def _late(self, now: datetime) -> Iterator[_Late]:
        """Yield what is called for, and since when it waits then."""
        yield _Late(state=OutboxState.RECORDED, code=AttentionCode.NOT_SENT, after=None, until=now - _UNSENT)
        for state in LadderStep:
            limit = self._limits.of(state)
            warn, fail = (AttentionCode.for_overdue(state, failed=failed) for failed in (False, True))
            failed = now - limit.fail
            yield _Late(state=OutboxState(state), code=fail, after=None, until=failed)
            yield _Late(state=OutboxState(state), code=warn, after=failed, until=now - limit.warn)

    async def _call(self, late: _Late) -> bool:
        """Call people for some entries; return whether there may be more."""
        rows = await self._store.read(
            lambda reader: reader.overdue_outbox(
                self._us, state=late.state, code=late.code, after=late.after, until=late.until, limit=WATCH_BATCH
            )
        )
        if rows:
            await self._store.run(lambda tx: self._call_each(tx, late, rows))
        return len(rows) == WATCH_BATCH

    def _call_each(self, tx: Transaction, late: _Late, rows: Sequence[OverdueEntry]) -> None:
        now = self._clock.now()
        # Whatever keeps it here: a dispatcher that stands still fails at no entry, and would tell nobody.
        detail = WAITS_STILL if late.code is AttentionCode.NOT_SENT else ""
        for row in rows:
            if tx.outbox_waits(row.id, state=late.state, since=row.since):
                self._ledger.call(
                    tx, late.code, message_subject(self._us, row.id),
                    peer=row.recipient, authority=row.authority, now=now, detail=detail,
                )  # fmt: skip

    async def _resend(self) -> int:
        now = self._clock.now()
        rows = await self._store.read(lambda reader: reader.lost_outbox(now=now, limit=WATCH_BATCH))
        return await self._store.run(lambda tx: sum(self._resend_lost(tx, row, now) for row in rows)) if rows else 0

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
            tx.resolve_attentions(AttentionCode.about_held(), subject, at=now, by="node")
            self._ledger.call(
                tx, AttentionCode.HOLD_EXPIRED, subject, peer=draft.peer, authority=draft.authority, now=now
            )

    async def _tell_newer(self) -> None:
        """Call the office of a held message when something left or came in its case: once for each time that more did."""
        cursor, self._cursor = self._cursor, None
        page = await self._store.read(lambda reader: reader.drafts(None, cursor=cursor, limit=WATCH_BATCH))
        self._cursor = page.next
        for draft in page.items:
            with suppress(CaseKeyMissing, StoreCorrupt):  # of one; whoever releases it is told of that
                newer = await self._store.read(functools.partial(self._newer, message=draft.id))
                if newer:
                    await self._store.run(functools.partial(self._call_overtaken, draft=draft, newer=newer))

    def _newer(self, reader: Reader, message: MessageId) -> tuple[Newer, ...]:
        draft = reader.draft(message, None)
        return () if draft is None else newer_than(reader, self._us, draft)

    def _call_overtaken(self, tx: Transaction, draft: HeldDraft, newer: Sequence[Newer]) -> None:
        code, subject, now = AttentionCode.HELD_OVERTAKEN, message_subject(self._us, draft.id), self._clock.now()
        newest = ", ".join(f"{one.author} {one.type} {one.message}" for one in newer[-_NAMED:])
        detail = f"Since it was written {len(newer)} left or came, the newest: {newest}. trm held show {draft.id}"
        last, held = tx.last_call(code, subject), tx.draft(draft.id)
        if held is None or held.state is not DraftState.HELD or (last is not None and last.detail == detail):
            return
        tx.resolve_attention(code, subject, at=now, by="node")
        self._ledger.call(tx, code, subject, peer=draft.peer, authority=draft.authority, detail=detail, now=now)

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

    def _resend_lost(self, tx: Transaction, row: OverdueEntry, now: datetime) -> bool:
        """Send it again, unless it was answered or sent again since it was seen to be lost."""
        if not tx.outbox_waits(row.id, state=OutboxState.PUBLISHED, since=row.since):
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
