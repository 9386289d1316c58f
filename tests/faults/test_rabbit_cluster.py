# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A real cluster of three loses its nodes in the middle of traffic; what it confirmed is never lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from broker.core.errors import PublishUnconfirmed, TransportUnavailable
from broker.testing.rabbitmq_cluster import RabbitCluster, rabbitmq_cluster
from broker.testing.transport_contract import EE, FI, FastClock, sealed
from broker.testing.transport_traffic import Traffic
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.topology import VHOST, in_queue

pytestmark = pytest.mark.rabbitmq

NAME = "rabbitmq.example"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RabbitCluster]:
    """Give three nodes with EE and FI on them."""
    with rabbitmq_cluster() as cluster:
        cluster.server.join(EE, FI)
        yield cluster


@pytest.fixture
async def traffic(cluster: RabbitCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Traffic]:
    """Give EE and FI, which know the cluster by a name that has an address for each of its nodes."""
    look = asyncio.BaseEventLoop.getaddrinfo

    async def found(loop: asyncio.BaseEventLoop, host: Any, port: Any, **more: Any) -> Any:
        if host != NAME:
            return await look(loop, host, port, **more)
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, ("127.0.0.1", node.port)) for node in cluster.nodes]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)

    def opened(us: Any) -> RabbitTransport:
        url = cluster.server.url(us).replace("127.0.0.1", NAME)
        return RabbitTransport(RabbitOptions(url=url, us=us, publish_timeout_seconds=2.0), FastClock())

    traffic = Traffic(opened(EE), opened(FI))
    yield traffic
    await asyncio.gather(traffic.sender.close(), traffic.recipient.close())


async def test_the_loss_of_the_leader_loses_nothing_and_the_others_go_on(
    cluster: RabbitCluster, traffic: Traffic
) -> None:
    """SIGKILL of the node that leads the queue and has both connections; two are enough from then on."""
    leader = cluster.leader(in_queue(FI), vhost=VHOST)
    assert leader is cluster.nodes[0]  # where the name leads first, too
    await traffic.run(300, lambda: asyncio.to_thread(leader.kill))
    assert traffic.faults > 0
    assert len(traffic.confirmed) == 300
    assert set(traffic.came) == traffic.confirmed

    await asyncio.to_thread(leader.start)
    await traffic.run(30, lambda: None)
    assert len(traffic.confirmed) == 330


async def test_nothing_is_confirmed_without_a_majority_and_nothing_is_lost(
    cluster: RabbitCluster, traffic: Traffic
) -> None:
    """Two of three are killed in the middle of 300 messages, and started again when one had failed for it."""
    _, second, third = cluster.nodes
    failed = []

    async def outage() -> None:
        await asyncio.gather(*(asyncio.to_thread(node.kill) for node in (second, third)))
        confirmed = len(traffic.confirmed)
        while not failed:
            try:
                await traffic.sender.publish(sealed())
            except (PublishUnconfirmed, TransportUnavailable) as error:
                failed.append(error)
        assert len(traffic.confirmed) - confirmed < 40  # what was under way
        await asyncio.gather(*(asyncio.to_thread(node.start) for node in (second, third)))

    await traffic.run(300, outage)
    assert len(traffic.confirmed) == 300
    assert traffic.confirmed <= set(traffic.came)
