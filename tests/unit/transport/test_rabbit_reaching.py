# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which of the machines behind the message broker's name is tried first, and which after it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

from broker.transport.rabbit_reaching import Reaching

URL_OF_ALL = URL("amqp://EE@rabbitmq.example:5672/trm")


@pytest.fixture
async def ports() -> AsyncIterator[list[int]]:
    """Give three machines that listen."""
    async with AsyncExitStack() as stack:
        servers = [await asyncio.start_server(_take, "127.0.0.1", 0) for _ in range(3)]
        for server in servers:
            await stack.enter_async_context(server)
        yield [server.sockets[0].getsockname()[1] for server in servers]


async def _take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.fixture
async def refusing() -> AsyncIterator[int]:
    """Give a port that nobody listens on and nobody else gets."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


async def _reached(monkeypatch: pytest.MonkeyPatch, *ports: int, turn: int) -> int:
    async def found(_: object, host: str, port: int, **__: Any) -> Any:
        assert (host, port) == ("rabbitmq.example", 5672)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", at)) for at in ports]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
    _, writer = await Reaching(None, turn=turn).create(URL_OF_ALL)
    port = writer.get_extra_info("peername")[1]
    writer.close()
    return int(port)


async def test_each_failure_lets_the_next_attempt_begin_with_another_machine(ports, monkeypatch) -> None:
    """The first attempt begins with the first, and after the last comes the first again."""
    reached = [await _reached(monkeypatch, *ports, turn=turn) for turn in range(4)]
    assert reached == [*ports, ports[0]]


async def test_a_machine_that_refuses_is_followed_by_the_others_in_the_same_attempt(
    ports, refusing, monkeypatch
) -> None:
    """Wherever in the row it stands."""
    assert await _reached(monkeypatch, refusing, ports[0], turn=0) == ports[0]
    assert await _reached(monkeypatch, ports[0], refusing, turn=1) == ports[0]


async def test_where_no_machine_answers_the_last_ones_error_is_told(refusing, monkeypatch) -> None:
    """As the library's own error, which the link makes a sentence of."""
    with pytest.raises(AMQPConnectionError) as raised:
        await _reached(monkeypatch, refusing, refusing, turn=0)
    assert isinstance(raised.value.__cause__, ConnectionRefusedError)
