# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A transport between simulated nodes: what is published waits in a list per country until the simulation delivers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from broker.core.errors import BrokerError, Unroutable
from broker.core.ids import CountryCode
from broker.core.messages import Delivery, Sealed

__all__ = ["Endpoint", "Network"]


@dataclass(slots=True)
class Network:
    """What is on its way, until it is settled; a test may reorder, duplicate, change or drop it."""

    waiting: dict[CountryCode, list[Delivery]] = field(default_factory=dict)
    published: list[Sealed] = field(default_factory=list)  # everything that ever left, in order
    fault: BrokerError | None = None  # raised by every publish while it is set

    def endpoint(self, us: CountryCode) -> Endpoint:
        """Return a country's end of the network."""
        self.waiting.setdefault(us, [])
        return Endpoint(self, us)


class Endpoint:
    """Implements `ports.Transport` for one country."""

    def __init__(self, network: Network, us: CountryCode) -> None:
        self._network = network
        self._us = us
        self._closed = asyncio.Event()

    async def publish(self, sealed: Sealed, *, apart: bool = False) -> None:
        """Put an envelope on its way.

        Raises:
            Unroutable: no such country is on the network.
        """
        if self._network.fault is not None:
            raise self._network.fault
        if sealed.recipient not in self._network.waiting:
            raise Unroutable
        self._network.published.append(sealed)
        self._network.waiting[sealed.recipient].append(Delivery(raw=sealed.raw, queue="in", user=self._us))

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield what waits, then wait for more until closed."""
        while not self._closed.is_set():
            while self._network.waiting[self._us]:
                yield self._network.waiting[self._us].pop(0)
            await asyncio.sleep(0)

    async def done(self, delivery: Delivery) -> None:
        """Forget it; what was taken and never settled still waits, as with a real transport."""
        waiting = self._network.waiting[self._us]
        for position, other in enumerate(waiting):
            if other is delivery:  # one of several copies
                del waiting[position]
                return

    async def again(self, delivery: Delivery) -> None:
        """Let it wait again."""
        self._network.waiting[self._us].append(delivery)

    async def health(self) -> str | None:
        """Return the network's fault, if any."""
        return self._network.fault.detail if self._network.fault is not None else None

    async def close(self) -> None:
        """End the deliveries."""
        self._closed.set()
