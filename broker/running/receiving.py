# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Feeds deliveries to the receive flow, many at a time, and settles each with the transport when it is decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from broker.core import canonical
from broker.core.attention import AttentionCode
from broker.core.delivery import (
    ATTENTION_AFTER_ATTEMPTS,
    PARKED_ATTENTION_HOURS,
    PARKED_MAX_BYTES,
    PARKED_MAX_ITEMS,
    PARKED_RETRY_SECONDS,
)
from broker.core.errors import (
    BrokerError,
    DiskFull,
    Fate,
    Internal,
    NodeError,
    StoreUnavailable,
    UntrustedError,
    by_code,
)
from broker.core.messages import Delivery
from broker.flows.receive import PARKED, Receive
from broker.flows.take_chunk import TakeChunk
from broker.ledger import Ledger
from broker.logs import Event, Log
from broker.metrics import Metrics
from broker.ports import Clock, Store, Transaction, Transport, TrustSource
from broker.rows import HeldDelivery
from broker.security.chunks import is_chunk

__all__ = ["Receiving"]

_PARKED_BATCH = 8  # in memory at a time, each up to a megabyte and a half; the next that are due follow at once
_TROUBLED_MAX = 1_000  # deliveries
_FOREIGN = "foreign-user"  # published by a broker user that is no member's
_EVENTS = {
    Fate.REFUSE: Event.MESSAGE_REFUSED,
    Fate.DROP: Event.CHUNK_DROPPED,
    Fate.QUARANTINE: Event.MESSAGE_QUARANTINED,
    Fate.PARK: Event.MESSAGE_PARKED,
    Fate.RETRY: Event.MESSAGE_UNDECIDED,
}


class Receiving:
    """The inbound side of a running node."""

    def __init__(
        self,
        *,
        transport: Transport,
        receive: Receive,
        take_chunk: TakeChunk,
        trust: TrustSource,
        store: Store,
        ledger: Ledger,
        metrics: Metrics,
        clock: Clock,
        concurrency: int,
    ) -> None:
        self._transport = transport
        self._receive = receive
        self._take_chunk = take_chunk
        self._trust = trust
        self._store = store
        self._ledger = ledger
        self._metrics = metrics
        self._clock = clock
        self._places = asyncio.Semaphore(concurrency)
        self._troubled: dict[str, tuple[int, str]] = {}  # by the delivery's digest: how often undecided, last code
        self._log = Log("receive")

    async def run(self) -> None:
        """Take deliveries until the transport is closed; finish what is in hand."""
        async with asyncio.TaskGroup() as tasks:
            async for delivery in self._transport.deliveries():
                await self._places.acquire()
                tasks.create_task(self._one(self._of_a_member(delivery)))

    async def offer_parked(self) -> int:
        """Offer again what was not yet believable; call a person for what stays so."""
        now = self._clock.now()
        due = await self._store.run(lambda tx: tx.due_parked(now=now, limit=_PARKED_BATCH))
        waiting = [held for held in due if await self._offer(held)]
        old = [held for held in waiting if now - held.received >= timedelta(hours=PARKED_ATTENTION_HOURS)]
        if old:
            await self._store.run(lambda tx: self._call(tx, old))
        elif not waiting:
            await self._close_if_none()
        return len(due)

    async def _close_if_none(self) -> None:
        """Close what people were called for once nothing is parked any more."""
        calls = await self._store.read(lambda reader: reader.open_calls([AttentionCode.PARKED]))
        if calls and not (await self._store.read(lambda reader: reader.counts()))["parked"]:
            now = self._clock.now()
            await self._store.run(
                lambda tx: [tx.resolve_attention(one.code, one.subject, at=now, by="node") for one in calls]
            )

    async def _offer(self, held: HeldDelivery) -> bool:
        """Offer one parked delivery; return whether it stays parked.

        Raises:
            StoreUnavailable, DiskFull: none can be decided now.
        """
        delivery = Delivery(raw=held.raw, queue=PARKED, user=held.user, arrived=held.received)
        try:
            outcome = await self._receive(delivery)
        except (StoreUnavailable, DiskFull):
            raise
        except BrokerError as error:  # about this one alone: it waits again, and the others are offered all the same
            self._undecided(error, error)
            await self._store.run(lambda tx: self._postpone(tx, held))
            return True
        except Exception as error:  # an unforeseen fault in one must not keep the others waiting for ever
            self._undecided(Internal(), error)
            await self._receive.set_aside(delivery)
            return False
        self._count(outcome)
        error_class = by_code().get(outcome)
        return error_class is not None and error_class.fate is Fate.PARK

    def _postpone(self, tx: Transaction, held: HeldDelivery) -> None:
        next_at = self._clock.now() + timedelta(seconds=PARKED_RETRY_SECONDS)
        tx.park(replace(held, next_at=next_at), max_items=PARKED_MAX_ITEMS, max_bytes=PARKED_MAX_BYTES)

    def _call(self, tx: Transaction, old: list[HeldDelivery]) -> None:
        for held in old:
            detail = by_code()[held.code]().detail if held.code in by_code() else ""
            self._ledger.call(tx, AttentionCode.PARKED, held.user or "unknown", now=self._clock.now(), detail=detail)

    def _of_a_member(self, delivery: Delivery) -> Delivery:
        """Name no publisher but a member: whoever runs the message broker can make up as many users as he likes.

        Each would have a space of its own in quarantine and parking, and a call with his name in it.
        """
        if delivery.user is None or delivery.user in self._trust.current().members:
            return delivery
        return replace(delivery, user=None, abuse=(*delivery.abuse, _FOREIGN))

    async def _one(self, delivery: Delivery) -> None:
        self._metrics.seen()
        for broken in delivery.abuse:
            self._metrics.abused(delivery.user or "unknown", broken)
        try:
            outcome = await (self._take_chunk if is_chunk(delivery.raw) else self._receive)(delivery)
            await self._transport.done(delivery)
            self._count(outcome)
            await self._decided(delivery)
        except NodeError as error:
            self._undecided(error, error)
            await self._tell(delivery, error)
            await self._transport.again(delivery)
        except Exception as error:  # an unforeseen fault: kept sealed for people, or it would come back for ever
            self._undecided(Internal(), error)
            await self._set_aside(delivery)
        finally:
            self._places.release()

    async def _tell(self, delivery: Delivery, error: NodeError) -> None:
        """Count how often this delivery was undecided, and call a person for what does not go away by itself."""
        raw = canonical.digest(delivery.raw)
        times = self._troubled.pop(raw, (0, ""))[0] + 1
        self._troubled[raw] = (times, error.code)  # behind all others: the first is the one that waits longest
        if len(self._troubled) > _TROUBLED_MAX:
            self._troubled.pop(next(iter(self._troubled)))
        if times < ATTENTION_AFTER_ATTEMPTS:
            return
        await self._note(
            lambda tx: self._ledger.call(
                tx, AttentionCode.UNDECIDED, error.code, now=self._clock.now(), detail=error.detail
            )
        )

    async def _decided(self, delivery: Delivery) -> None:
        """Close the call when the last delivery that was troubled so is decided."""
        if not self._troubled:
            return
        _, code = self._troubled.pop(canonical.digest(delivery.raw), (0, ""))
        if not code or any(other == code for _, other in self._troubled.values()):
            return
        await self._note(
            lambda tx: tx.resolve_attention(AttentionCode.UNDECIDED, code, at=self._clock.now(), by="node")
        )

    async def _note(self, fn: Callable[[Transaction], object]) -> None:
        try:
            await self._store.run(fn)
        except BrokerError as trouble:  # the store itself is away: health and log say so
            self._log.error(Event.STORE_FAILED, trouble)

    async def _set_aside(self, delivery: Delivery) -> None:
        try:
            await self._receive.set_aside(delivery)
            await self._transport.done(delivery)
            await self._decided(delivery)
        except BrokerError as error:
            self._undecided(error, error)
            await self._transport.again(delivery)

    def _undecided(self, error: BrokerError, cause: BaseException) -> None:
        self._metrics.rejected(Fate.RETRY, error.code)
        self._log.error(Event.MESSAGE_UNDECIDED, cause, code=error.code)

    def _count(self, outcome: str) -> None:
        error = by_code().get(outcome)
        if outcome == "repeat":
            self._metrics.repeated()
        elif error is not None:
            fate = error.fate if issubclass(error, UntrustedError) else Fate.REFUSE
            self._metrics.rejected(fate, outcome)
            self._log.warning(_EVENTS[fate], code=outcome)
