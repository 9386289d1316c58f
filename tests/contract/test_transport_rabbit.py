# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The transport contract on a real RabbitMQ; an outage is a proxy in between that refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker.core.ids import CountryCode
from broker.testing.faults import TcpProxy
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.transport_contract import FastClock, TransportContract
from broker.transport.rabbit import RabbitOptions, RabbitTransport


class RabbitHarness:
    def __init__(self, federation: RabbitFederation, proxy: TcpProxy) -> None:
        self.federation = federation
        self.proxy = proxy
        self.opened: list[RabbitTransport] = []

    def open(self, country: CountryCode) -> RabbitTransport:
        options = RabbitOptions(
            url=self.federation.url(country, port=self.proxy.port),
            us=country,
            prefetch=10,
            watchdog_seconds=3_600.0,
        )
        self.opened.append(RabbitTransport(options, FastClock()))
        return self.opened[-1]

    async def outage(self) -> None:
        await self.proxy.refuse()

    async def recovery(self) -> None:
        await self.proxy.mend()


@pytest.mark.rabbitmq
class TestRabbit(TransportContract):
    @pytest.fixture
    async def harness(self, rabbit: RabbitFederation) -> AsyncIterator[RabbitHarness]:
        async with TcpProxy(rabbit.server.host, rabbit.server.port) as proxy:
            harness = RabbitHarness(rabbit, proxy)
            yield harness
            for transport in harness.opened:
                await transport.close()
