# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Faults as context managers: around any transport, and a TCP proxy in front of a real broker.

Chances come from a seeded generator, so a failing run can be run again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Self

from broker.core.errors import PublishUnconfirmed
from broker.core.messages import Delivery, SealedEnvelope
from broker.ports import Clock, Transport

__all__ = ["FaultyTransport", "TcpProxy"]

_CHUNK = 65_536  # bytes


class FaultyTransport:
    """A transport with faults that can be switched on; without one it changes nothing."""

    def __init__(self, inner: Transport, clock: Clock, *, seed: int = 0) -> None:
        self._inner = inner
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311  predictable on purpose
        self._drop = self._duplicate = self._unconfirmed = 0.0
        self._delay_seconds = 0.0
        self._window = 0
        self._kept: list[SealedEnvelope] = []
        self.dropped = 0

    @contextlib.asynccontextmanager
    async def drop(self, chance: float = 1.0) -> AsyncIterator[None]:
        """Say yes to a publish and lose it, as a broker restored from yesterday's disk does."""
        self._drop = chance
        try:
            yield
        finally:
            self._drop = 0.0

    @contextlib.asynccontextmanager
    async def duplicate(self, chance: float = 1.0) -> AsyncIterator[None]:
        """Hand an envelope over twice."""
        self._duplicate = chance
        try:
            yield
        finally:
            self._duplicate = 0.0

    @contextlib.asynccontextmanager
    async def unconfirmed(self, chance: float = 1.0) -> AsyncIterator[None]:
        """Hand an envelope over and raise PublishUnconfirmed all the same."""
        self._unconfirmed = chance
        try:
            yield
        finally:
            self._unconfirmed = 0.0

    @contextlib.asynccontextmanager
    async def delay(self, seconds: float) -> AsyncIterator[None]:
        """Let a publish take that long on the clock."""
        self._delay_seconds = seconds
        try:
            yield
        finally:
            self._delay_seconds = 0.0

    @contextlib.asynccontextmanager
    async def reorder(self, window: int) -> AsyncIterator[None]:
        """Say yes at once, and hand over in another order when that many wait, or at the end."""
        self._window = window
        try:
            yield
        finally:
            self._window = 0
            await self._flush()

    async def publish(self, envelope: SealedEnvelope, *, apart: bool = False) -> None:
        """Publish through the faults that are on.

        Raises:
            PublishUnconfirmed: by that fault, and whatever the transport itself raises.
        """
        if self._delay_seconds:
            await self._clock.sleep(self._delay_seconds)
        if self._random.random() < self._drop:
            self.dropped += 1
            return
        if self._window:
            self._kept.append(envelope)
            if len(self._kept) >= self._window:
                await self._flush()
            return
        await self._inner.publish(envelope)
        if self._random.random() < self._duplicate:
            await self._inner.publish(envelope)
        if self._random.random() < self._unconfirmed:
            raise PublishUnconfirmed

    def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield what the transport yields."""
        return self._inner.deliveries()

    async def done(self, delivery: Delivery) -> None:
        """Settle."""
        await self._inner.done(delivery)

    async def again(self, delivery: Delivery) -> None:
        """Give back."""
        await self._inner.again(delivery)

    async def health(self) -> str | None:
        """Return the transport's health."""
        return await self._inner.health()

    async def close(self) -> None:
        """Close the transport."""
        await self._inner.close()

    async def _flush(self) -> None:
        kept, self._kept = self._kept, []
        self._random.shuffle(kept)
        for envelope in kept:
            await self._inner.publish(envelope)


class TcpProxy:
    """Forwards loopback connections to a server until it cuts them, refuses them or lets them hang."""

    def __init__(self, host: str, port: int) -> None:
        """Args:
        host: of the real server.
        port: of the real server.
        """
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.connections = 0  # accepted so far

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()

    async def cut(self) -> None:
        """Break every open connection in the middle; new ones are taken."""
        self._flowing.set()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def refuse(self) -> None:
        """Break every open connection and take no new one."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def mend(self) -> None:
        """Take and forward connections again, on the same port."""
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    @contextlib.asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Be away, then back."""
        await self.refuse()
        try:
            yield
        finally:
            await self.mend()

    @contextlib.asynccontextmanager
    async def hanging(self) -> AsyncIterator[None]:
        """Keep every connection open and forward nothing, as a hung server or a dead route does."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        serving = asyncio.create_task(self._serve(reader, writer), name="proxy-connection")
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        try:
            from_there, there = await asyncio.open_connection(*self._target)
            self._open.add(there)
            ways = [
                asyncio.create_task(self._forward(reader, there), name="proxy-there"),
                asyncio.create_task(self._forward(from_there, writer), name="proxy-back"),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            for end in (writer, there):
                if end is not None:
                    await self._end(end)

    async def _forward(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(_CHUNK):
                await self._flowing.wait()
                target.write(chunk)
                await target.drain()

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._open.discard(writer)
