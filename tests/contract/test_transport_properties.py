# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Message properties that no node writes, on a real RabbitMQ: whatever one publisher puts there, all messages arrive."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable

import pytest
from pamqp import commands as spec

from broker.core.canonical import digest
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.transport_contract import EE, FI, FastClock, sealed
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.topology import EXCHANGE, routing_key

pytestmark = pytest.mark.rabbitmq


def _table(value: bytes, *, name: bytes = b"x") -> bytes:
    """Return a header table of one field with that type and value."""
    field = bytes([len(name)]) + name + value
    return struct.pack(">I", len(field)) + field


def _nested(depth: int) -> bytes:
    table = _table(b"t\x01")
    for _ in range(depth):
        table = _table(b"F" + table)
    return table


# flags of the property (AMQP 0-9-1, 4.2.6.1), and its bytes
STRANGE = {
    "a time after the year 9999": (0x0040, struct.pack(">Q", 10**18)),
    "a message id that is no text": (0x0080, b"\x04\xff\xfe\xff\xfe"),
    "a content type that is no text": (0x8000, b"\x02\xff\xfe"),
    "a header with a time after the year 9999": (0x2000, _table(b"T" + struct.pack(">Q", 10**18))),
    "a header with a text that is none": (0x2000, _table(b"S\x00\x00\x00\x02\xff\xfe")),
    "a header with a decimal of many places": (0x2000, _table(b"D\xff" + struct.pack(">I", 1))),
    "tables in a table, too deep to go into": (0x2000, _nested(3_000)),
    "a routing key that is no text": (0x2000, _table(b"A" + struct.pack(">I", 7) + b"S\x00\x00\x00\x02FI", name=b"CC")),
}


class _NoText(str):
    """A short text that is written as bytes which are none."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


class _Raw(spec.Basic.Properties):
    """Properties that are written as they are given."""

    written = b""

    def marshal(self) -> bytes:
        return self.written


@pytest.fixture
async def workers(rabbit: RabbitFederation) -> AsyncIterator[Callable[[str], RabbitTransport]]:
    """Give transports of EE and FI, closed afterwards."""
    opened = []

    def opener(country: str) -> RabbitTransport:
        options = RabbitOptions(
            url=rabbit.url(country),
            us={"EE": EE, "FI": FI}[country],
            watchdog_seconds=3_600,
            retry_seconds=0.1,
        )
        opened.append(RabbitTransport(options, FastClock()))
        return opened[-1]

    yield opener
    for transport in opened:
        await transport.close()


@pytest.mark.parametrize("name", STRANGE)
async def test_strange_properties_hold_up_nothing(name: str, workers: Callable[[str], RabbitTransport]) -> None:
    """A message with them is read all the same, counted as abuse, and what was sent behind it arrives."""
    sender, recipient = workers("EE"), workers("FI")
    poison, behind = sealed(), sealed()
    flag, value = STRANGE[name]
    properties = _Raw()
    properties.written = struct.pack(">H", flag) + value
    key = _NoText("??") if "routing key" in name else routing_key(FI)
    await sender.health()
    session = await sender._publisher.session()
    await session._channel.basic_publish(
        poison.raw, exchange=EXCHANGE, routing_key=key, properties=properties, mandatory=True
    )
    await sender.publish(behind)
    came = {}
    async with asyncio.timeout(20):
        async for delivery in recipient.deliveries():
            came[digest(delivery.raw)] = delivery
            await recipient.done(delivery)
            if len(came) == 2:
                break
    assert set(came) == {poison.sha256, behind.sha256}
    assert came[poison.sha256].abuse
    assert not came[behind.sha256].abuse
    assert [came[one.sha256].queue for one in (poison, behind)] == ["in", "in"]
