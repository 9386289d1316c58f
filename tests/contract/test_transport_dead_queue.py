# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The dead queue as second input on a real RabbitMQ: dead-lettering loses nothing, and nothing is dropped there either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import aio_pika
import pytest

from broker.core.messages import Delivery
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.transport_contract import EE, FI, FastClock, sealed, take
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.topology import QueueLimits, dead_queue, in_queue

pytestmark = pytest.mark.rabbitmq


class HastyClock(FastClock):
    factor = 10_000.0

    async def sleep(self, seconds: float) -> None:
        """Take the watchdog's minute as it is and hurry the rest."""
        await super().sleep(seconds if seconds < 3_000 else seconds * self.factor)


@pytest.fixture
async def workers(rabbit: RabbitFederation) -> AsyncIterator[Callable[[str], RabbitTransport]]:
    """Give transports of EE and FI, closed afterwards."""
    opened = []

    def opener(country: str) -> RabbitTransport:
        options = RabbitOptions(url=rabbit.url(country), us={"EE": EE, "FI": FI}[country], watchdog_seconds=3_600)
        opened.append(RabbitTransport(options, HastyClock()))
        return opened[-1]

    yield opener
    for transport in opened:
        await transport.close()


async def _undecided(transport: RabbitTransport, times: int) -> list[Delivery]:
    came: list[Delivery] = []
    async with asyncio.timeout(60):
        async for delivery in transport.deliveries():
            came.append(delivery)
            if len(came) == times:
                return came
            await transport.again(delivery)
    return came


async def test_what_nobody_can_decide_moves_to_the_dead_queue_and_is_offered_there_without_end(
    rabbit: RabbitFederation, workers
) -> None:
    """After the delivery limit a message comes from the dead queue, and goes on coming past that limit too."""
    limit = 3
    rabbit.server.delete_vhost(rabbit.vhost)
    rabbit.join(limits=QueueLimits(delivery_limit=limit))
    envelope, fi = sealed(), workers("FI")
    await workers("EE").publish(envelope)
    came = await _undecided(fi, limit + 1 + 3 * limit)
    assert {delivery.raw for delivery in came} == {envelope.raw}
    assert [delivery.queue for delivery in came] == ["in"] * (limit + 1) + ["dead"] * 3 * limit
    assert all(delivery.abuse == () for delivery in came)  # our own undecidedness is nobody's abuse
    await fi.done(came[-1])
    last = sealed()
    await workers("EE").publish(last)
    assert [delivery.raw for delivery in await take(fi)] == [last.raw]


async def test_a_crash_loop_ends_in_the_dead_queue_not_in_loss(rabbit: RabbitFederation, workers) -> None:
    """Workers that die holding a message push it over the limit; the next worker still gets it."""
    rabbit.server.delete_vhost(rabbit.vhost)
    rabbit.join(limits=QueueLimits(delivery_limit=2))
    envelope = sealed()
    await workers("EE").publish(envelope)
    queues = []
    for _ in range(5):
        worker = workers("FI")
        (delivery,) = await take(worker, settle=False)
        queues.append(delivery.queue)
        await worker.close()
    assert queues == ["in", "in", "in", "dead", "dead"]
    (delivery,) = await take(workers("FI"))
    assert delivery.raw == envelope.raw


async def test_a_full_dead_queue_keeps_messages_in_the_input(rabbit: RabbitFederation) -> None:
    """When the dead queue has no room, an expired message stays with its source until there is some (at least once)."""
    rabbit.server.delete_vhost(rabbit.vhost)
    rabbit.join(limits=QueueLimits(max_messages=4))
    async with await aio_pika.connect(rabbit.url("EE")) as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.get_exchange("trm", ensure=False)
        published = 0
        async with asyncio.timeout(60):
            while published < 12:
                message = aio_pika.Message(str(published).encode(), user_id="EE", expiration=0.001)
                try:
                    await exchange.publish(message, "FI")
                    published += 1
                except aio_pika.exceptions.DeliveryError:
                    break  # both queues are full: the sender keeps the rest
    assert published > 4
    bodies = await _read_all(rabbit, published)
    assert bodies == {str(number).encode() for number in range(published)}


async def _read_all(rabbit: RabbitFederation, count: int) -> set[bytes]:
    bodies: set[bytes] = set()
    async with await aio_pika.connect(rabbit.url("FI")) as connection, asyncio.timeout(240):
        channel = await connection.channel()
        while len(bodies) < count:
            for name in (dead_queue(FI), in_queue(FI)):
                queue = await channel.get_queue(name, ensure=False)
                message = await queue.get(fail=False)
                if message is not None:
                    bodies.add(message.body)
                    await message.ack()
            await asyncio.sleep(0.01)
    return bodies
