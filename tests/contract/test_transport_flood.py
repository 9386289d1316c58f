# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A flood of the largest envelopes on a real RabbitMQ: what waits here is bounded, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aio_pika
import pytest

from broker.core.canonical import digest
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.transport_contract import EE, FI, FastClock, sealed, take
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.rabbit_delivery import properties_for
from broker.transport.topology import EXCHANGE, in_queue

pytestmark = pytest.mark.rabbitmq

MIB = 1024 * 1024  # bytes
LARGEST = 2 * MIB  # what the broker lets anybody publish; more than a node takes
FLOOD = 100  # messages: 200 MiB


@pytest.fixture
async def workers(rabbit: RabbitFederation) -> AsyncIterator[Callable[[str], RabbitTransport]]:
    """Give transports of EE and FI with the bounds of a running node, closed afterwards."""
    opened = []

    def opener(country: str) -> RabbitTransport:
        options = RabbitOptions(url=rabbit.url(country), us={"EE": EE, "FI": FI}[country], watchdog_seconds=3_600)
        opened.append(RabbitTransport(options, FastClock()))
        return opened[-1]

    yield opener
    for transport in opened:
        await transport.close()


def _resident() -> int:
    """Return the bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


async def _round_trips(transport: RabbitTransport, enough: Callable[[], bool]) -> None:
    """Ask the broker something on the consuming channel, behind what it has sent there, until it is enough."""
    session = await transport._consumer.session()
    async with asyncio.timeout(60):
        while not enough():
            await session._channel.queue_declare(in_queue(FI), passive=True)


async def test_a_broker_that_takes_bodies_of_any_length_fills_no_memory(
    rabbit: RabbitFederation, workers: Callable[[str], RabbitTransport]
) -> None:
    """Of a body longer than any that is taken no more is kept than shows it; what comes behind it is read as ever."""
    recipient, envelope = workers("FI"), sealed()
    with rabbit.server.taking_bodies_of(64 * MIB):
        connection = await aio_pika.connect(rabbit.url("EE"))
        channel = await (await connection.channel()).get_underlay_channel()
        long = bytes(40 * MIB)
        for _ in range(8):
            await channel.basic_publish(
                long, exchange=EXCHANGE, routing_key="FI", properties=properties_for(envelope), timeout=60
            )
        del long
        await connection.close()
    await workers("EE").publish(envelope)
    gc.collect()
    before = _resident()
    came = await take(recipient, 9)

    assert [len(delivery.raw) for delivery in came] == [LARGEST + 1] * 8 + [len(envelope.raw)]
    assert _resident() - before < 64 * MIB


async def test_a_flood_of_large_envelopes_fills_no_memory(workers: Callable[[str], RabbitTransport]) -> None:
    """While nothing is settled, at most the bound of deliveries is held; settling brings all of them, once each."""
    sender, recipient = workers("EE"), workers("FI")
    sent = set()
    for _ in range(FLOOD):
        envelope = sealed(size=LARGEST)
        await sender.publish(envelope)
        sent.add(envelope.sha256)
    del envelope
    gc.collect()
    before, bound = _resident(), RabbitOptions(url="amqp://x", us=FI).prefetch

    assert await recipient.health() is None
    arrived, asked = recipient._arrived, iter(range(50))
    await _round_trips(recipient, lambda: arrived.qsize() >= bound)
    await _round_trips(recipient, lambda: next(asked, None) is None)
    held = arrived.qsize()
    grown = _resident() - before

    assert held == bound
    assert grown < (bound * 2 + 32) * MIB  # the bodies, and what the driver allocates around them
    came = []
    async with asyncio.timeout(60):
        async for delivery in recipient.deliveries():
            came.append(digest(delivery.raw))
            await recipient.done(delivery)
            if len(came) == FLOOD:
                break
    assert sorted(came) == sorted(sent)
