# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One country's queue on a real RabbitMQ confirms nothing any more; what is sent to all others goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from broker.core.errors import PublishUnconfirmed, TransportUnavailable
from broker.core.ids import CountryCode
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.transport_contract import EE, FI, FastClock, publish_until_taken, sealed, take
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
    """Twice a batch to a silent queue fails as a whole; what goes elsewhere is confirmed meanwhile, one after the other."""
    batch = [sealed(recipient=FI) for _ in range(32)]
    elsewhere = 0
    with rabbit.server.silent(in_queue(FI), vhost=rabbit.vhost):
        for _ in range(2):
            trying = asyncio.gather(*(sender.publish(one, apart=True) for one in batch), return_exceptions=True)
            while not trying.done():
                await publish_until_taken(sender, sealed(recipient=SE))
                elsewhere += 1
            assert {type(error) for error in await trying} <= {PublishUnconfirmed, TransportUnavailable}
    assert elsewhere > 10  # who waited for the batch each time would send two

    for one in batch:
        await publish_until_taken(sender, one, apart=True)
    recipient = RabbitTransport(RabbitOptions(url=rabbit.url("FI"), us=FI), FastClock())
    came = {delivery.raw for delivery in await take(recipient, 32)}
    assert came <= {one.raw for one in batch}
    await recipient.close()
