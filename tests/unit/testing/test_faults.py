# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The fault wrappers do what they say and nothing when they are off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.core.errors import PublishUnconfirmed
from broker.testing.clock import HandClock
from broker.testing.faults import FaultyTransport, TcpProxy
from broker.testing.transport_contract import EE, FI, sealed
from broker.transport.spool import SpoolTransport, create


@pytest.fixture
async def faulty(tmp_path: Path) -> AsyncIterator[FaultyTransport]:
    """Give EE's transport with faults over a spool."""
    create(tmp_path, [EE, FI])
    clock = HandClock()
    transport = FaultyTransport(SpoolTransport(tmp_path, EE, clock), clock)
    transport.folder = tmp_path / "FI" / "new"
    transport.hand = clock
    yield transport
    await transport.close()


def arrived(faulty: FaultyTransport) -> list[str]:
    """Return the message ids that lie in FI's folder."""
    return sorted(path.name[:36] for path in faulty.folder.iterdir())


async def test_without_a_fault_nothing_changes(faulty: FaultyTransport) -> None:
    """Publishing goes straight through."""
    envelope = sealed()
    await faulty.publish(envelope)
    assert arrived(faulty) == [envelope.id]
    assert await faulty.health() is None


async def test_a_dropped_publish_says_yes_and_is_lost(faulty: FaultyTransport) -> None:
    """Inside the fault nothing arrives; after it publishing works again."""
    async with faulty.drop():
        await faulty.publish(sealed())
    assert arrived(faulty) == []
    assert faulty.dropped == 1
    envelope = sealed()
    await faulty.publish(envelope)
    assert arrived(faulty) == [envelope.id]


async def test_an_unconfirmed_publish_arrives_and_raises(faulty: FaultyTransport) -> None:
    """The sender does not know what the recipient has."""
    envelope = sealed()
    async with faulty.unconfirmed():
        with pytest.raises(PublishUnconfirmed):
            await faulty.publish(envelope)
    assert arrived(faulty) == [envelope.id]


async def test_a_delayed_publish_waits_for_the_clock(faulty: FaultyTransport) -> None:
    """It arrives when the clock has moved that far, not before."""
    async with faulty.delay(30.0):
        publishing = asyncio.create_task(faulty.publish(sealed()))
        await faulty.hand.until_sleeping()
        assert arrived(faulty) == []
        faulty.hand.advance(30.0)
        await publishing
    assert len(arrived(faulty)) == 1


async def test_reordered_publishes_all_arrive_by_the_end(faulty: FaultyTransport) -> None:
    """What waits is handed over when the window is full and when the fault ends."""
    envelopes = [sealed() for _ in range(5)]
    async with faulty.reorder(3):
        for envelope in envelopes:
            await faulty.publish(envelope)
        assert len(arrived(faulty)) == 3
    assert arrived(faulty) == sorted(envelope.id for envelope in envelopes)


async def test_the_proxy_forwards_cuts_and_refuses() -> None:
    """Bytes pass both ways; a cut ends the connection; while refusing nobody gets in; afterwards all is well."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(100):
            writer.write(chunk)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        await proxy.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        async with proxy.refusing():
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", proxy.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"pong")
        assert await reader.readexactly(4) == b"pong"
        writer.close()
        await writer.wait_closed()
