# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One country's queue on a real RabbitMQ is full and refuses; what is sent to all others goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from broker.core.errors import PublishRefused
from broker.core.ids import CountryCode
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.transport_contract import EE, FI, FastClock, sealed, take
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.topology import QueueLimits

pytestmark = pytest.mark.rabbitmq

SE = CountryCode("SE")


@pytest.fixture
async def sender(rabbit: RabbitFederation) -> AsyncIterator[RabbitTransport]:
    """Give EE's transport, which would wait five seconds at least before it made a connection anew."""
    rabbit.server.delete_vhost(rabbit.vhost)
    rabbit.join(limits=QueueLimits(max_messages=4))
    options = RabbitOptions(url=rabbit.url("EE"), us=EE, retry_seconds=1_000.0, retry_max_seconds=1_000.0)
    transport = RabbitTransport(options, FastClock())
    yield transport
    await transport.close()


async def test_while_one_queue_is_full_what_goes_elsewhere_waits_for_no_new_connection(
    rabbit: RabbitFederation, sender: RabbitTransport
) -> None:
    """Each refusal has a new connection take over a while later; there is one at every moment, and what comes arrives."""
    recipient = RabbitTransport(RabbitOptions(url=rabbit.url("SE"), us=SE), FastClock())
    clock, sessions, refused = asyncio.get_running_loop().time, list[object](), 0
    async with asyncio.timeout(60):
        while len(sessions) < 4:
            try:
                await sender.publish(sealed(recipient=FI))
            except PublishRefused:
                refused += 1
            envelope, began = sealed(recipient=SE), clock()
            await sender.publish(envelope)
            assert clock() - began < 3
            (delivery,) = await take(recipient, 1)
            assert delivery.raw == envelope.raw
            session = await sender._publisher.session()
            if session not in sessions:
                sessions.append(session)
    assert refused >= 3
    await recipient.close()
