# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Hand what was received over to the national system of its office, and say so to its sender.

What no adapter takes is in the officers' inbox, and handed over, by the transaction that records it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

from broker.adapter_api import Adapter, inbound_message
from broker.core.attachments import CHUNK_BYTES, Attachment
from broker.core.attention import AttentionCode, message_subject
from broker.core.delivery import (
    DELIVER_BATCH,
    HAND_OVER_PAUSE_SECONDS,
    HAND_OVER_SECONDS,
    HAND_OVER_SLOW_SECONDS,
    LEASE_SECONDS,
    retry,
)
from broker.core.errors import AdapterFailed, BrokerError, StoreCorrupt
from broker.core.ids import AuthorityId
from broker.core.messages import InboxEntry
from broker.ledger import Ledger
from broker.ports import Clock, Ids, Notifier, Store, Transaction
from broker.rows import InboxBrief, InboxRow, arrival

__all__ = ["Deliver"]


class Deliver:
    """InboxEntry → adapter → handed-over receipt.

    A batch lasts as long as its slowest hand-over. So an office whose adapter took long is served *apart*, in a loop of its
    own, until its adapter is quick again: as often as ever, and nobody else waits for it. And an adapter that took long to
    fail is not asked for a while: what waits for it fails at once meanwhile.
    """

    def __init__(
        self,
        *,
        store: Store,
        adapter_for: Callable[[AuthorityId], Adapter | None],
        read: Callable[[InboxEntry, Attachment], AsyncIterator[bytes]],
        ledger: Ledger,
        notifier: Notifier,
        clock: Clock,
        ids: Ids,
        wake: Callable[[], None],
    ) -> None:
        """Args:
        adapter_for: the adapter of an authority; None: its officers' inbox has what came while there was one.
        read: the bytes of an attachment, noted in the audit trail.
        wake: called when a receipt waits for the dispatcher.
        """
        self._store = store
        self._adapter_for = adapter_for
        self._read = read
        self._ledger = ledger
        self._notifier = notifier
        self._clock = clock
        self._ids = ids
        self._wake = wake
        self._paused: dict[AuthorityId, float] = {}  # whose adapter is left alone, and until when on the steady clock
        self._slow: frozenset[AuthorityId] = frozenset()  # who is served apart

    async def __call__(self) -> int:
        """Hand over one batch; return how many entries were taken."""
        return await self._serve(self._take)

    async def apart(self) -> int:
        """Hand over one batch to the offices whose adapter took long; return how many entries were taken."""
        return await self._serve(self._take_apart) if self._slow else 0

    def _take(self, tx: Transaction, token: str) -> tuple[InboxRow | InboxBrief, ...]:
        now = self._clock.now()
        until = now + timedelta(seconds=LEASE_SECONDS)
        return tx.lease_inbox(now=now, until=until, token=token, limit=DELIVER_BATCH, but=self._slow)

    def _take_apart(self, tx: Transaction, token: str) -> tuple[InboxRow | InboxBrief, ...]:
        """Lease some for each: one of them must not wait behind all that another does not take."""
        slow, now = sorted(self._slow), self._clock.now()
        until = now + timedelta(seconds=LEASE_SECONDS)
        most = max(DELIVER_BATCH // max(len(slow), 1), 1)
        leased = (tx.lease_inbox(now=now, until=until, token=token, limit=most, only={office}) for office in slow)
        return tuple(row for rows in leased for row in rows)

    async def _serve(self, take: Callable[[Transaction, str], tuple[InboxRow | InboxBrief, ...]]) -> int:
        token = self._ids.token()
        due = await self._store.run(lambda tx: take(tx, token))
        if not due:
            return 0
        rows = [row for row in due if isinstance(row, InboxRow)]
        damaged = [row for row in due if isinstance(row, InboxBrief)]
        errors = await asyncio.gather(*(self._hand_over(row) for row in rows))
        outcomes = list(zip(rows, errors, strict=True))
        await asyncio.shield(self._store.run(lambda tx: self._settle(tx, outcomes, damaged, token)))
        self._wake()
        for row, error in outcomes:
            if error is None:
                entry, office = row.entry, row.entry.header.recipient.authority
                told = arrival(entry.id, sender=entry.sender, authority=office, at=entry.received)
                await self._notifier.notify(told)
        return len(due)

    async def _hand_over(self, row: InboxRow) -> BrokerError | None:
        office = row.entry.header.recipient.authority
        adapter = self._adapter_for(office)
        if adapter is None:
            return None
        started = self._clock.monotonic()
        if started < self._paused.get(office, started):
            return AdapterFailed("The adapter failed a moment ago, and slowly.")
        error, expired = await self._offer(row, adapter)
        slow = expired or self._clock.monotonic() >= started + HAND_OVER_SLOW_SECONDS
        if slow:
            self._slow |= {office}
        elif error is None:
            self._slow -= {office}
        if error is not None and slow:
            self._paused[office] = self._clock.monotonic() + HAND_OVER_PAUSE_SECONDS
        elif error is None:
            self._paused.pop(office, None)
        return error

    async def _offer(self, row: InboxRow, adapter: Adapter) -> tuple[BrokerError | None, bool]:
        """Return why the adapter did not take it, and whether it ran out of time."""
        try:
            size = sum(attachment.size for attachment in row.entry.header.attachments)
            async with asyncio.timeout(HAND_OVER_SECONDS + size / CHUNK_BYTES) as bound:
                await adapter.deliver(inbound_message(row.entry, functools.partial(self._read, row.entry)))
        except BrokerError as error:
            return error, False
        except TimeoutError as error:
            expired = bound.expired()
            late = "did not answer in time" if expired else f"raised {type(error).__name__}"
            return AdapterFailed(f"The adapter {late}."), expired
        except Exception as error:
            return AdapterFailed(f"The adapter raised {type(error).__name__}."), False
        return None, False

    def _settle(
        self,
        tx: Transaction,
        outcomes: list[tuple[InboxRow, BrokerError | None]],
        damaged: list[InboxBrief],
        token: str,
    ) -> None:
        now = self._clock.now()
        for brief in damaged:
            self._retry(tx, brief, 0, brief.fault or StoreCorrupt(), token, now)
        for row, error in outcomes:
            entry = row.entry
            if error is not None:
                office = entry.header.recipient.authority
                waits = InboxBrief(sender=entry.sender, id=entry.id, authority=office, since=entry.received)
                self._retry(tx, waits, row.attempts, error, token, now)
                continue
            if not tx.mark_handed_over(entry.sender, entry.id, at=now, token=token):
                continue  # the lease was lost; whoever has it now testifies
            self._ledger.hand_over(tx, entry, now=now)
            if row.error is not None:
                subject = message_subject(entry.sender, entry.id)
                tx.resolve_attention(AttentionCode.NOT_HANDED_OVER, subject, at=now, by="node")

    def _retry(
        self, tx: Transaction, waits: InboxBrief, attempts: int, error: BrokerError, token: str, now: datetime
    ) -> None:
        decision = retry(attempts, error, now=now, jitter=self._ids.jitter())
        tx.retry_inbox(waits.sender, waits.id, next_at=decision.next_at, error=error.code, token=token)
        if decision.call_person:
            self._ledger.call(
                tx, AttentionCode.NOT_HANDED_OVER, message_subject(waits.sender, waits.id),
                peer=waits.sender, authority=waits.authority, now=now, detail=error.detail,
            )  # fmt: skip
