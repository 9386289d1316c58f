# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A connection to a real RabbitMQ from which a new one takes over: how long it may still end what it has in flight."""

from __future__ import annotations

import asyncio
from typing import Self

import pytest
from aiormq.abc import AbstractChannel

from broker.core.ids import CountryCode
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.transport_contract import FastClock
from broker.transport.rabbit import RabbitOptions
from broker.transport.rabbit_link import RabbitLink

pytestmark = pytest.mark.rabbitmq

_WAIT_SECONDS = 30.0


class Session:
    """A session with something in flight until `settled` is set; the first one of a link is doubted."""

    def __init__(self, channel: AbstractChannel, lost: asyncio.Event, settled: asyncio.Event, doubted: bool) -> None:
        self.channel = channel
        self.lost = lost
        self.doubted = doubted
        self.finishing = asyncio.Event()
        self._settled = settled

    async def trouble(self) -> str | None:
        return None

    async def watch(self) -> None:
        await self.lost.wait()

    async def finish(self) -> None:
        self.finishing.set()
        await self._settled.wait()

    async def until_closed(self) -> None:
        """Wait until the connection is closed."""
        async with asyncio.timeout(_WAIT_SECONDS):
            await asyncio.wait({self.channel.closing})


class Link:
    """A link of such sessions."""

    def __init__(self, rabbit: RabbitFederation, settled: asyncio.Event, **seconds: float) -> None:
        options = RabbitOptions(url=rabbit.url("EE"), us=CountryCode("EE"), **seconds)
        self._settled = settled
        self._first: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._link = RabbitLink(
            options, FastClock(), lambda: 1.0, name="rabbit-doubted", open_session=self._open, confirms=True
        )

    async def __aenter__(self) -> Self:
        self._link.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._link.close()

    async def first(self) -> Session:
        """Return the first session once another one has taken over."""
        async with asyncio.timeout(_WAIT_SECONDS):
            first = await self._first
            await first.finishing.wait()
        return first

    async def _open(self, channel: AbstractChannel, lost: asyncio.Event) -> Session:
        session = Session(channel, lost, self._settled, doubted=not self._first.done())
        if session.doubted:
            self._first.set_result(session)
        return session


async def test_a_connection_that_another_takes_over_from_has_the_time_of_a_files_part(
    rabbit: RabbitFederation,
) -> None:
    """The time of a message's publish, here none at all, does not end it; once it is settled, its connection closes."""
    settled = asyncio.Event()
    async with Link(rabbit, settled, publish_timeout_seconds=0.0) as link:
        first = await link.first()
        await first.channel.basic_qos(prefetch_count=1)  # the broker answers on it
        assert not first.lost.is_set()
        settled.set()
        await first.until_closed()


async def test_what_is_never_settled_keeps_no_old_connection_open(rabbit: RabbitFederation) -> None:
    """After the time of a file's part, here none at all, the connection is closed."""
    async with Link(rabbit, asyncio.Event(), chunk_timeout_seconds=0.0) as link:
        first = await link.first()
        await first.until_closed()
