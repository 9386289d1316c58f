# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a country's broker user can and cannot do on a real RabbitMQ, row by row; what cannot be refused stands here too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aio_pika
import aiormq.exceptions
import pytest
from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel
from pamqp import commands as spec

from broker.core.errors import NodeError, PublishRefused
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.transport_contract import EE, FI, SE, FastClock, sealed, take
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.rabbit_delivery import CONTENT_TYPE
from broker.transport.topology import DEAD_EXCHANGE, EXCHANGE, QueueLimits, dead_queue, in_queue

pytestmark = pytest.mark.rabbitmq

REFUSED = aiormq.exceptions.ChannelAccessRefused
PRECONDITION = aiormq.exceptions.ChannelPreconditionFailed


class Attacker:
    """A program with EE's own password and no manners."""

    def __init__(self, connection: AbstractConnection) -> None:
        self.connection = connection

    async def channel(self) -> AbstractChannel:
        """Return a fresh channel: a refusal closes the one it happens on."""
        channel = await self.connection.channel(publisher_confirms=True, on_return_raises=True)
        self._kept = channel
        return await channel.get_underlay_channel()

    async def publish(
        self,
        body: bytes = b"anything",
        *,
        exchange: str = EXCHANGE,
        key: str = "FI",
        mandatory: bool = True,
        user: str | None = "EE",
        **properties: object,
    ) -> object:
        """Publish with confirmation and return the broker's answer."""
        channel = await self.channel()
        return await channel.basic_publish(
            body,
            exchange=exchange,
            routing_key=key,
            mandatory=mandatory,
            properties=spec.Basic.Properties(
                content_type=CONTENT_TYPE, delivery_mode=2, message_id="m", user_id=user, **properties
            ),
            timeout=20,
        )


@pytest.fixture
async def ee(rabbit: RabbitFederation) -> AsyncIterator[Attacker]:
    """Give EE's own access, used by somebody else."""
    connection = await aio_pika.connect(rabbit.url("EE"))
    yield Attacker(connection)
    await connection.close()


@pytest.fixture
async def open_transport(rabbit: RabbitFederation) -> AsyncIterator[Callable[[str], RabbitTransport]]:
    """Give our transports of the test's countries, closed afterwards."""
    opened = []

    def opener(country: str) -> RabbitTransport:
        options = RabbitOptions(url=rabbit.url(country), us={"EE": EE, "FI": FI, "SE": SE}[country])
        opened.append(RabbitTransport(options, FastClock()))
        return opened[-1]

    yield opener
    for transport in opened:
        await transport.close()


async def depth(rabbit: RabbitFederation, queue: str) -> int:
    """Return how many messages wait, as the administrator sees it."""
    async with await aio_pika.connect(rabbit.url()) as connection:
        channel = await connection.channel()
        return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count


async def until_depth(rabbit: RabbitFederation, queue: str, count: int) -> None:
    """Wait until that many messages wait."""
    async with asyncio.timeout(30):
        while await depth(rabbit, queue) != count:  # noqa: ASYNC110  the broker tells only when asked
            await asyncio.sleep(0.05)


async def test_publishing_to_a_country_needs_write_only(ee: Attacker, rabbit: RabbitFederation) -> None:
    """A mandatory, confirmed publish to the exchange works with nothing but write permission on it."""
    assert isinstance(await ee.publish(), spec.Basic.Ack)
    await until_depth(rabbit, in_queue(FI), 1)


async def test_an_unroutable_key_is_returned_only_when_mandatory(ee: Attacker) -> None:
    """The broker confirms what it has thrown away, unless the publish is mandatory."""
    with pytest.raises(aiormq.exceptions.PublishError):
        await ee.publish(key="ZZ")
    assert isinstance(await ee.publish(key="ZZ", mandatory=False), spec.Basic.Ack)


async def test_another_countrys_user_id_is_refused(ee: Attacker, rabbit: RabbitFederation) -> None:
    """EE cannot publish as SE."""
    with pytest.raises(PRECONDITION):
        await ee.publish(user="SE")
    assert await depth(rabbit, in_queue(FI)) == 0


async def test_a_missing_user_id_is_accepted_and_counted(ee: Attacker, open_transport) -> None:
    """The broker takes a message without user_id; the reader reads it and counts it as abuse."""
    assert isinstance(await ee.publish(b"nobody", user=None), spec.Basic.Ack)
    (delivery,) = await take(open_transport("FI"))
    assert (delivery.raw, delivery.user, delivery.abuse) == (b"nobody", None, ("no-user",))


@pytest.mark.parametrize("exchange", ["", DEAD_EXCHANGE, "amq.direct", "amq.topic", "amq.fanout", "amq.headers"])
async def test_no_other_exchange_can_be_written(ee: Attacker, rabbit: RabbitFederation, exchange: str) -> None:
    """The default exchange would reach any queue by name, the dead-letter exchange any dead queue: both refuse."""
    with pytest.raises(REFUSED):
        await ee.publish(exchange=exchange, key=in_queue(FI) if not exchange else "FI")
    assert await depth(rabbit, in_queue(FI)) == await depth(rabbit, dead_queue(FI)) == 0


async def _ignore(_: object) -> None: ...


FORBIDDEN: dict[str, Callable[[AbstractChannel], Awaitable[object]]] = {
    "read one message of FI's queue": lambda channel: channel.basic_get(in_queue(FI)),
    "read one message of FI's dead queue": lambda channel: channel.basic_get(dead_queue(FI)),
    "consume FI's queue": lambda channel: channel.basic_consume(in_queue(FI), _ignore),
    "empty FI's queue": lambda channel: channel.queue_purge(in_queue(FI)),
    "unbind FI's queue": lambda channel: channel.queue_unbind(in_queue(FI), EXCHANGE, "FI"),
    "bind its own queue to FI's key": lambda channel: channel.queue_bind(in_queue(EE), EXCHANGE, "FI"),
    "bind an exchange": lambda channel: channel.exchange_bind("amq.direct", EXCHANGE, "FI"),
    "delete FI's queue": lambda channel: channel.queue_delete(in_queue(FI)),
    "delete its own queue": lambda channel: channel.queue_delete(in_queue(EE)),
    "declare a queue": lambda channel: channel.queue_declare("mine", durable=True),
    "declare an exchange": lambda channel: channel.exchange_declare("mine"),
    "delete the exchange": lambda channel: channel.exchange_delete(EXCHANGE),
}


@pytest.mark.parametrize("attempt", FORBIDDEN)
async def test_nothing_else_may_be_read_or_changed(ee: Attacker, rabbit: RabbitFederation, attempt: str) -> None:
    """Reading another country's queues and changing anything are refused, and the topology stays as it was."""
    topology = rabbit.server.call("GET", f"/api/definitions/{rabbit.vhost}")
    with pytest.raises(REFUSED):
        await FORBIDDEN[attempt](await ee.channel())
    after = rabbit.server.call("GET", f"/api/definitions/{rabbit.vhost}")
    for part in ("queues", "exchanges", "bindings"):
        assert sorted(map(str, after[part])) == sorted(map(str, topology[part]))


async def test_looking_at_the_own_queue_needs_no_configure_permission(ee: Attacker) -> None:
    """A passive declare of the own queues works: the watchdog lives on it."""
    answer = await (await ee.channel()).queue_declare(in_queue(EE), passive=True)
    assert (answer.message_count, answer.consumer_count) == (0, 0)


async def test_residual_queue_depths_of_others_can_be_seen_before_4_2_6(ee: Attacker, rabbit: RabbitFederation) -> None:
    """By a passive declare of another country's queue: depth and consumer count. Newer brokers refuse it."""
    await ee.publish()
    looking = (await ee.channel()).queue_declare(in_queue(FI), passive=True)
    version = tuple(map(int, rabbit.server.call("GET", "/api/overview")["rabbitmq_version"].split(".")))
    if version >= (4, 2, 6):
        with pytest.raises(REFUSED):
            await looking
        return
    answer = await looking
    assert (answer.message_count, answer.consumer_count) == (1, 0)


async def test_residual_copies_reach_other_countries_and_cc_is_counted(ee: Attacker, open_transport) -> None:
    """One publish can copy sealed bytes to any country; CC is seen and counted, BCC is taken off by the broker."""
    fi, se = open_transport("FI"), open_transport("SE")
    await ee.publish(b"copied", headers={"CC": ["SE"]})
    for country in (fi, se):
        (delivery,) = await take(country)
        assert (delivery.raw, delivery.user, delivery.abuse) == (b"copied", "EE", ("copies",))
    await ee.publish(b"hidden", headers={"BCC": ["SE"]})
    for country in (fi, se):
        (delivery,) = await take(country)
        assert (delivery.raw, delivery.user, delivery.abuse) == (b"hidden", "EE", ())


async def test_residual_an_expired_message_comes_by_the_dead_queue(
    ee: Attacker, rabbit: RabbitFederation, open_transport
) -> None:
    """`expiration` takes a message out of the input unread; the second input delivers it, and it counts as abuse."""
    await ee.publish(b"hasty", expiration="1")
    await until_depth(rabbit, dead_queue(FI), 1)
    (delivery,) = await take(open_transport("FI"))
    assert (delivery.raw, delivery.queue, delivery.user) == (b"hasty", "dead", "EE")
    assert delivery.abuse == ("expiration",)


async def test_an_expired_copy_lands_in_its_own_countrys_dead_queue_only(
    ee: Attacker, rabbit: RabbitFederation
) -> None:
    """With CC and expiration each country's dead queue gets its own copy and no other's."""
    await ee.publish(b"spread", expiration="1", headers={"CC": ["SE"]})
    await until_depth(rabbit, dead_queue(FI), 1)
    await until_depth(rabbit, dead_queue(SE), 1)
    assert (
        await depth(rabbit, dead_queue(EE))
        == await depth(rabbit, in_queue(FI))
        == await depth(rabbit, in_queue(SE))
        == 0
    )
    assert (await depth(rabbit, dead_queue(FI)), await depth(rabbit, dead_queue(SE))) == (1, 1)


async def test_residual_a_full_queue_refuses_everybody_until_the_flooder_is_deleted(
    rabbit: RabbitFederation, open_transport
) -> None:
    """EE fills FI's queue: SE is refused too and keeps its message; deleting EE cuts it off, and SE gets through."""
    rabbit.server.delete_vhost(rabbit.vhost)
    rabbit.join(limits=QueueLimits(max_messages=5))
    flooder = await aio_pika.connect(rabbit.url("EE"))
    try:
        attacker = Attacker(flooder)
        cut = asyncio.Event()
        flooder.close_callbacks.add(lambda *_: cut.set())
        with pytest.raises(aiormq.exceptions.DeliveryError):
            await _publish_often(attacker)
        envelope, honest = sealed(SE, FI), open_transport("SE")
        with pytest.raises(PublishRefused):
            await honest.publish(envelope)
        rabbit.server.delete_user("EE")
        async with asyncio.timeout(30):
            await cut.wait()
        with pytest.raises(aiormq.exceptions.AMQPConnectionError):
            await aio_pika.connect(rabbit.url("EE"))
        fi = open_transport("FI")
        users = {d.user for d in await take(fi, 5)}
        assert users == {"EE"}
        await _publish_when_there_is_room(honest, envelope)
        while (delivery := (await take(fi))[0]).user == "EE":
            pass
        assert delivery.raw == envelope.raw
    finally:
        await flooder.close()
        rabbit.join()


async def _publish_often(attacker: Attacker) -> None:
    for _ in range(50):  # the limit is soft by a few messages
        await attacker.publish()


async def _publish_when_there_is_room(transport: RabbitTransport, envelope) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                return await transport.publish(envelope)
            except NodeError:
                await asyncio.sleep(0.05)


async def test_a_body_above_the_limit_is_refused(ee: Attacker, rabbit: RabbitFederation, open_transport) -> None:
    """20 MiB is refused by `max_message_size`; a node's own publish of that size is PublishRefused."""
    with pytest.raises(PRECONDITION):
        await ee.publish(bytes(20 * 1024 * 1024))
    with pytest.raises(PublishRefused):
        await open_transport("EE").publish(sealed(size=3_000_000))
    assert await depth(rabbit, in_queue(FI)) == 0


async def test_the_only_properties_of_a_node_are_four(rabbit: RabbitFederation, open_transport) -> None:
    """A node's message carries message_id, user_id, delivery_mode and content_type, and nothing else (promise P5)."""
    envelope = sealed()
    await open_transport("EE").publish(envelope)
    async with await aio_pika.connect(rabbit.url("FI")) as connection:
        channel = await connection.channel()
        wire = await channel.get_underlay_channel()
        message = await wire.basic_get(in_queue(FI), no_ack=True)
    carried = {name: value for name, value in message.header.properties if value not in (None, "", {})}
    assert set(carried.pop("headers", {})) <= {"x-delivery-count"}  # the broker's own
    assert carried == {
        "message_id": envelope.id,
        "user_id": "EE",
        "delivery_mode": 2,
        "content_type": CONTENT_TYPE,
    }
    assert (message.exchange, message.routing_key) == ("trm", "FI")
