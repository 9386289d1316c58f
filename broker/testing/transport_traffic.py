# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Messages on their way over a transport while something is done to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from broker.core.errors import NodeError
from broker.core.messages import SealedEnvelope
from broker.testing.transport_contract import sealed
from broker.transport.rabbit import RabbitTransport

__all__ = ["Traffic"]


class Traffic:
    """A sender that repeats what was not confirmed, as dispatch does, and a reader that settles all it gets."""

    def __init__(self, sender: RabbitTransport, recipient: RabbitTransport) -> None:
        self.sender = sender
        self.recipient = recipient
        self.confirmed: set[bytes] = set()
        self.came: list[bytes] = []
        self.faults = 0

    async def run(self, count: int, disturb: Callable[[], object]) -> None:
        """Send that many, with the disturbance after a third of them, until all have come."""
        reading = asyncio.create_task(self._read())
        window = asyncio.Semaphore(20)
        try:
            async with asyncio.timeout(120), asyncio.TaskGroup() as group:
                for number in range(count):
                    await window.acquire()
                    sending = group.create_task(self._send(sealed()))
                    sending.add_done_callback(lambda _: window.release())
                    if number == count // 3:
                        group.create_task(self._disturb(disturb))
            async with asyncio.timeout(120):
                while not self.confirmed <= set(self.came):
                    await asyncio.sleep(0.05)
                    assert not reading.done(), "the reader ended"
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _disturb(self, disturb: Callable[[], object]) -> None:
        outcome = disturb()
        if asyncio.iscoroutine(outcome):
            await outcome

    async def _send(self, envelope: SealedEnvelope) -> None:
        while True:
            try:
                await self.sender.publish(envelope)
            except NodeError:
                self.faults += 1
                await asyncio.sleep(0.05)
            else:
                self.confirmed.add(envelope.raw)
                return

    async def _read(self) -> None:
        async for delivery in self.recipient.deliveries():
            self.came.append(delivery.raw)
            await self.recipient.done(delivery)
