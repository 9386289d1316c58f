# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Carries sealed envelopes over RabbitMQ quorum queues.

- Publishing and consuming have a connection each: flow control against publishers must not delay acknowledgements.
- Chunks of attachments have two of their own: a message never waits behind megabytes on a slow line.
- What is published apart has one of its own, chunks another: on a channel that first meets a queue which does not answer,
  RabbitMQ lets all that comes after wait for it, whatever its queue.
- A publish is mandatory, persistent, confirmed and bounded as a whole, waiting for the connection included.
- After a publish of unknown outcome the connection is thrown away. A late return could otherwise be taken for the
  answer to the same message sent again, because the client library matches returns by message id.
- But one that the broker blocks, short of memory or disk, is kept: on it alone the broker says when it takes messages
  again. Nothing is published on it meanwhile, and a late return would do no more than have a message sent once more.
- A while after a refusal a new connection takes over, in case it was not the queue; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import aiormq.exceptions
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp import commands as spec

from broker.core.errors import NodeError, PublishRefused, PublishUnconfirmed, TransportUnavailable, Unroutable
from broker.core.ids import CountryCode
from broker.core.messages import Delivery, Sealed, SealedChunk
from broker.ports import Clock
from broker.transport.rabbit_delivery import RabbitTag, delivery_of, message_id_of, properties_for
from broker.transport.rabbit_link import RabbitLink, RabbitOptions, cancelled
from broker.transport.topology import EXCHANGE, chunk_key, chunk_queue, dead_queue, in_queue, routing_key

__all__ = ["RabbitOptions", "RabbitTransport"]

_BLOCKED = "The message broker is short of memory or disk and takes no messages: its operator must free some."
_REFUSED = (aiormq.exceptions.ChannelAccessRefused, aiormq.exceptions.ChannelPreconditionFailed)


class RabbitTransport:
    """Implements `ports.Transport`; connects at its first use."""

    def __init__(self, options: RabbitOptions, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        """Args:
        options: address, country and bounds.
        clock: waits between attempts; the bounds themselves are real time.
        jitter: a random number in [0, 1), so that not all nodes come back at once.

        Raises:
            SettingsInvalid: the address cannot be used.
        """
        self._options = options
        self._clock = clock
        self._jitter = jitter
        self._arrived: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._in_flight: dict[str, asyncio.Event] = {}
        self._pauses: set[asyncio.Task[None]] = set()
        self._closed = False
        self._publisher = self._publishing("rabbit-publish")
        self._publisher_apart = self._publishing("rabbit-publish-apart")
        self._carrier = self._publishing("rabbit-carry")
        self._carrier_apart = self._publishing("rabbit-carry-apart")
        self._consumer = self._consuming("rabbit-consume", "in", "dead")
        self._chunk_consumer = self._consuming("rabbit-chunks", "chunk")

    def _publishing(self, name: str) -> RabbitLink[_Publishing]:
        return RabbitLink(
            self._options, self._clock, self._jitter, name=name, open_session=_open_publishing, confirms=True
        )

    def _consuming(self, name: str, *kinds: str) -> RabbitLink[_Consuming]:
        async def open_session(channel: AbstractChannel, lost: asyncio.Event) -> _Consuming:
            session = _Consuming(channel, lost, self._arrived, self._clock, self._options, kinds)
            await session.begin()
            return session

        return RabbitLink(
            self._options, self._clock, self._jitter, name=name, open_session=open_session, confirms=False
        )

    async def publish(self, sealed: Sealed, *, apart: bool = False) -> None:
        """Publish and wait for the confirmation; see `ports.Transport.publish`.

        Raises:
            Unroutable: there is no queue for that country.
            PublishRefused: the broker said no.
            PublishUnconfirmed: unknown outcome.
            TransportUnavailable: no connection in time.
        """
        if self._closed:
            raise TransportUnavailable("This node is stopping.")
        chunk = isinstance(sealed, SealedChunk)
        if chunk:
            link = self._carrier_apart if apart else self._carrier
        else:
            link = self._publisher_apart if apart else self._publisher
        bound = self._options.chunk_timeout_seconds if chunk else self._options.publish_timeout_seconds
        link.start()
        session: _Publishing | None = None
        try:
            async with asyncio.timeout(bound), self._alone(message_id_of(sealed)):
                open_session = await link.session()
                await open_session.unblocked()
                session = open_session
                await session.publish(sealed)
        except asyncio.CancelledError as error:
            if session is not None:
                session.lost.set()
            if cancelled():
                raise
            raise _publish_error(error, session) from None  # a dying connection ends its waits with this error
        except Exception as error:
            if isinstance(error, TimeoutError) and session is not None and await session.trouble() is not None:
                raise PublishUnconfirmed from None
            raise _publish_error(error, session) from None

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield from all of our queues until closed; several iterators share what arrives."""
        if not self._closed:
            self._consumer.start()
            self._chunk_consumer.start()
        while (delivery := await self._arrived.get()) is not None:
            if not delivery.tag.lost.is_set():  # else it comes again on the next connection
                yield delivery
        self._arrived.put_nowait(None)  # for the other iterators

    async def done(self, delivery: Delivery) -> None:
        """Acknowledge; harmless when the connection is gone."""
        tag: RabbitTag = delivery.tag
        if tag.settle():
            # Nothing answers an acknowledgement: waiting for it to be written would tell no more.
            await self._tell(tag, tag.channel.basic_ack(tag.number, wait=False))

    async def again(self, delivery: Delivery) -> None:
        """Give back after a pause that grows with each return; until then it counts as unsettled."""
        if not self._closed:
            pause = asyncio.create_task(self._give_back(delivery.tag), name="rabbit-give-back")
            self._pauses.add(pause)
            pause.add_done_callback(self._pauses.discard)

    async def health(self) -> str | None:
        """Return None when both directions are connected, else one sentence."""
        if self._closed:
            return "The transport is closed."
        self._publisher.start()
        self._consumer.start()
        self._chunk_consumer.start()
        for link in (self._publisher, self._consumer, self._chunk_consumer):
            if (trouble := await link.trouble()) is not None:
                return trouble
        return None

    async def close(self) -> None:
        """Stop; what is unsettled comes again."""
        self._closed = True
        self._arrived.put_nowait(None)
        for pause in self._pauses:
            pause.cancel()
        await asyncio.gather(*self._pauses, return_exceptions=True)
        publishing = (self._publisher, self._publisher_apart, self._carrier, self._carrier_apart)
        await asyncio.gather(*(link.close() for link in (*publishing, self._consumer, self._chunk_consumer)))

    @contextlib.asynccontextmanager
    async def _alone(self, message: str) -> AsyncIterator[None]:
        while (other := self._in_flight.get(message)) is not None:
            await other.wait()
        mine = self._in_flight[message] = asyncio.Event()
        try:
            yield
        finally:
            del self._in_flight[message]
            mine.set()

    async def _give_back(self, tag: RabbitTag) -> None:
        longest = min(self._options.again_max_seconds, self._options.again_seconds * 2.0 ** min(tag.count, 16))
        await self._clock.sleep(longest * (0.5 + self._jitter() / 2))
        if tag.settle():
            # reject, not nack: RabbitMQ 4.3 counts only rejects towards the delivery limit.
            await self._tell(tag, tag.channel.basic_reject(tag.number, requeue=True, wait=True))

    async def _tell(self, tag: RabbitTag, settling: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._options.publish_timeout_seconds):
                await settling
        except asyncio.CancelledError:
            tag.lost.set()
            if cancelled():
                raise  # else it is the dying connection that ends its waits with this error
        except Exception:  # whatever it is: the message comes again on the next connection
            tag.lost.set()


class _Publishing:
    """One publishing channel, in doubt from the first refusal on.

    A channel that is opened while a cluster's queue has lost its leader can refuse all that goes there for ever, when
    the queue has long had another one and takes messages on every newer channel (seen on 3.10.8).
    """

    def __init__(self, channel: AbstractChannel, lost: asyncio.Event) -> None:
        self._channel = channel
        self.lost = lost
        self.doubted = False
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.crowded = False  # several publishes were in flight when one failed

    async def publish(self, sealed: Sealed) -> None:
        self._in_flight += 1
        self._idle.clear()
        try:
            answer = await self._channel.basic_publish(  # type: ignore[call-arg]  # its base class knows no `wait`
                sealed.raw,
                exchange=EXCHANGE,
                routing_key=_key_of(sealed),
                properties=properties_for(sealed),
                mandatory=True,
                # The confirmation bounds what is in flight; megabytes wait for the line besides.
                wait=isinstance(sealed, SealedChunk),
            )
        except BaseException as error:
            self.crowded |= self._in_flight > 1
            if isinstance(error, aiormq.exceptions.DeliveryError) and not isinstance(
                error, aiormq.exceptions.PublishError
            ):
                self.doubted = True
            raise
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
        if not isinstance(answer, spec.Basic.Ack):
            raise PublishUnconfirmed

    async def unblocked(self) -> None:
        """Wait until the broker takes messages on this connection."""
        await self._channel.connection.ready()

    async def trouble(self) -> str | None:
        try:
            async with asyncio.timeout(0):  # over only where the wait is one
                await self.unblocked()
        except TimeoutError:
            return _BLOCKED
        return None

    async def watch(self) -> None:
        await self.lost.wait()

    async def finish(self) -> None:
        await self._idle.wait()


async def _open_publishing(channel: AbstractChannel, lost: asyncio.Event) -> _Publishing:
    return _Publishing(channel, lost)


class _Consuming:
    """One consuming channel on some queues of a country."""

    doubted = False

    def __init__(
        self,
        channel: AbstractChannel,
        lost: asyncio.Event,
        arrived: asyncio.Queue[Delivery | None],
        clock: Clock,
        options: RabbitOptions,
        kinds: tuple[str, ...],
    ) -> None:
        self._channel = channel
        self.lost = lost
        self._arrived = arrived
        self._clock = clock
        self._options = options
        queues = queues_of(options.us)
        self._queues = {kind: queues[kind] for kind in kinds}
        self._since: Counter[str] = Counter()  # deliveries per queue since the watchdog looked
        self._unsettled: dict[str, set[int]] = {kind: set() for kind in self._queues}
        self._prefetch = {"in": options.prefetch, "chunk": options.chunk_prefetch, "dead": options.dead_prefetch}

    async def begin(self) -> None:
        self._channel.on_consumer_cancel_callbacks.add(lambda _: self.lost.set())
        for kind, queue in self._queues.items():
            await self._channel.basic_qos(prefetch_count=self._prefetch[kind])  # of the consumer that follows
            await self._channel.basic_consume(queue, self._taker(kind))

    async def trouble(self) -> str | None:
        return None  # a connection that publishes nothing is never blocked

    async def watch(self) -> None:
        """Give the connection up when the broker forgot us, or when nothing has come for long.

        A queue that was deleted and made again can count us as its consumer and hand us messages that never arrive:
        no question to the broker shows that, so a quiet consumer is renewed.
        """
        quiet_seconds = 0.0
        while quiet_seconds < self._options.renew_seconds:
            self._since.clear()
            await self._clock.sleep(self._options.watchdog_seconds)
            if await self._forgotten():
                return
            busy = self._since.total() or any(self._unsettled.values())
            quiet_seconds = 0.0 if busy else quiet_seconds + self._options.watchdog_seconds

    async def finish(self) -> None:
        """Nothing is waited for: what is unsettled comes again on the connection that took over."""

    async def _forgotten(self) -> bool:
        for kind, queue in self._queues.items():
            idle = not self._since[kind] and len(self._unsettled[kind]) < self._prefetch[kind]
            answer = await self._channel.queue_declare(
                queue, passive=True, timeout=self._options.connect_timeout_seconds
            )
            if not answer.consumer_count or (answer.message_count and idle):
                return True
        return False

    def _taker(self, kind: str) -> Callable[[DeliveredMessage], Coroutine[Any, Any, None]]:
        async def take(message: DeliveredMessage) -> None:
            self._since[kind] += 1
            self._arrived.put_nowait(delivery_of(message, queue=kind, lost=self.lost, unsettled=self._unsettled[kind]))

        return take


def queues_of(us: CountryCode) -> dict[str, str]:
    """Return the country's queues by the word that a delivery carries."""
    return {"in": in_queue(us), "chunk": chunk_queue(us), "dead": dead_queue(us)}


def _key_of(sealed: Sealed) -> str:
    chunk = isinstance(sealed, SealedChunk)
    return chunk_key(sealed.recipient) if chunk else routing_key(sealed.recipient)


def _publish_error(error: BaseException, session: _Publishing | None) -> NodeError:
    if session is None:
        return TransportUnavailable()
    if isinstance(error, aiormq.exceptions.PublishError):
        return Unroutable()
    if isinstance(error, aiormq.exceptions.DeliveryError):
        return PublishRefused()
    session.lost.set()
    # Such an error closes the channel under all publishes in flight, and does not say which of them it is about.
    if isinstance(error, aiormq.exceptions.ChannelNotFoundEntity) and not session.crowded:
        return Unroutable("The message broker has no exchange: import the definitions file.")
    if isinstance(error, _REFUSED) and not session.crowded:
        return PublishRefused()
    return PublishUnconfirmed()
