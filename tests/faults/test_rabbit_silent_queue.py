# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One country's queue on a real RabbitMQ confirms nothing any more; what is sent to all others goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from broker.core.errors import PublishUnconfirmed
from broker.core.ids import CountryCode
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.transport_contract import EE, FI, FastClock, sealed, take
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.topology import in_queue

pytestmark = pytest.mark.rabbitmq

SE = CountryCode("SE")


@pytest.fixture
async def sender(rabbit: RabbitFederation) -> AsyncIterator[RabbitTransport]:
    """Give EE's transport with a short bound."""
    options = RabbitOptions(url=rabbit.url("EE"), us=EE, publish_timeout_seconds=3.0)
    transport = RabbitTransport(options, FastClock())
    yield transport
    await transport.close()


async def test_what_is_published_apart_keeps_nobody_waiting(rabbit: RabbitFederation, sender: RabbitTransport) -> None:
    """Twice a batch to a silent queue fails as a whole; meanwhile all that goes elsewhere is confirmed, and quickly."""
    batch = [sealed(recipient=FI) for _ in range(32)]
    elsewhere, clock = 0, asyncio.get_running_loop().time
    with rabbit.server.silent(in_queue(FI), vhost=rabbit.vhost):
        for _ in range(2):
            trying = asyncio.gather(*(sender.publish(one, apart=True) for one in batch), return_exceptions=True)
            while not trying.done():
                began = clock()
                await sender.publish(sealed(recipient=SE))
                assert clock() - began < 2
                elsewhere += 1
            assert {type(error) for error in await trying} == {PublishUnconfirmed}
    assert elsewhere > 10

    await asyncio.gather(*(sender.publish(one, apart=True) for one in batch))
    recipient = RabbitTransport(RabbitOptions(url=rabbit.url("FI"), us=FI), FastClock())
    came = {delivery.raw for delivery in await take(recipient, 32)}
    assert came <= {one.raw for one in batch}
    await recipient.close()
