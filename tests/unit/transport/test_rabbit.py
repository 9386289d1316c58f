# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Settling and errors of the RabbitMQ transport; what needs a server stands in the contract and fault tests."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import aiormq.exceptions
import pytest
from pamqp import commands as spec

from broker.core.errors import NodeError, PublishRefused, PublishUnconfirmed, TransportUnavailable, Unroutable
from broker.core.messages import Delivery
from broker.testing.clock import HandClock
from broker.testing.transport_contract import EE, sealed
from broker.transport.rabbit import RabbitOptions, RabbitTransport, _publish_error, _Publishing
from broker.transport.rabbit_delivery import RabbitTag


class Wire:
    """The settling half of a channel of the client library."""

    def __init__(self, *, broken: BaseException | None = None) -> None:
        self.broken = broken
        self.sent: list[tuple[str, int, bool | None]] = []

    async def basic_ack(self, number: int, *, wait: bool) -> None:
        """Note an acknowledgement."""
        await self._send("ack", number, None)

    async def basic_reject(self, number: int, *, requeue: bool, wait: bool) -> None:
        """Note a rejection."""
        await self._send("reject", number, requeue)

    async def _send(self, what: str, number: int, requeue: bool | None) -> None:
        if self.broken is not None:
            raise self.broken
        self.sent.append((what, number, requeue))


def transport(clock: HandClock) -> RabbitTransport:
    """Return a transport that is never connected."""
    return RabbitTransport(RabbitOptions(url="amqp://EE:x@127.0.0.1:1/trm", us=EE), clock, jitter=lambda: 1.0)


def delivery(wire: Wire, count: int = 0) -> Delivery:
    """Return a delivery that came back that often before."""
    tag = RabbitTag(channel=wire, number=7, count=count, lost=asyncio.Event(), unsettled={7})
    return Delivery(raw=b"raw", queue="in", user="EE", tag=tag)


@pytest.mark.parametrize(("count", "pause"), [(0, 1.0), (1, 2.0), (3, 8.0), (40, 60.0)])
async def test_giving_back_waits_longer_each_time_and_rejects(count: int, pause: float) -> None:
    """No hot loop: the rejection with requeue is sent when its pause is over, not before."""
    clock, wire = HandClock(), Wire()
    made = transport(clock)
    await made.again(delivery(wire, count))
    await clock.until_sleeping()
    await clock.pass_by(pause - 0.01)
    assert wire.sent == []
    await clock.pass_by(0.01)
    assert wire.sent == [("reject", 7, True)]
    await made.close()


async def test_closing_during_the_pause_sends_nothing() -> None:
    """The broker gives the message to the next worker because the connection ends."""
    clock, wire = HandClock(), Wire()
    made = transport(clock)
    await made.again(delivery(wire))
    await clock.until_sleeping()
    await made.close()
    await clock.pass_by(100.0)
    assert wire.sent == []


@pytest.mark.parametrize(
    "broken",
    [aiormq.exceptions.ChannelInvalidStateError(), ConnectionResetError(), KeyError("x"), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
async def test_settling_on_a_dead_channel_is_swallowed_and_gives_the_session_up(broken: BaseException) -> None:
    """An acknowledgement that cannot be sent raises nothing, not even the library's cancellation; it comes again."""
    made, wire = transport(HandClock()), Wire(broken=broken)
    item = delivery(wire)
    await made.done(item)
    assert item.tag.lost.is_set()
    await made.close()


async def test_settling_twice_is_sent_once() -> None:
    """A second acknowledgement of one tag would make the broker close the channel."""
    made, wire = transport(HandClock()), Wire()
    item = delivery(wire)
    await made.done(item)
    await made.done(item)
    assert wire.sent == [("ack", 7, None)]
    await made.close()


@pytest.mark.parametrize(
    ("error", "crowded", "expected", "given_up"),
    [
        (aiormq.exceptions.DeliveryError(None, spec.Basic.Nack()), False, PublishRefused, False),
        (aiormq.exceptions.ChannelAccessRefused("x"), False, PublishRefused, True),
        (aiormq.exceptions.ChannelPreconditionFailed("x"), False, PublishRefused, True),
        (aiormq.exceptions.ChannelNotFoundEntity("x"), False, Unroutable, True),
        (aiormq.exceptions.ChannelAccessRefused("x"), True, PublishUnconfirmed, True),
        (aiormq.exceptions.ChannelInvalidStateError("x"), False, PublishUnconfirmed, True),
        (aiormq.exceptions.AMQPConnectionError("x"), False, PublishUnconfirmed, True),
        (TimeoutError(), False, PublishUnconfirmed, True),
        (KeyError("x"), False, PublishUnconfirmed, True),
    ],
)
async def test_each_failure_of_a_publish_has_its_error(
    error: Exception, crowded: bool, expected: type[NodeError], given_up: bool
) -> None:
    """A refusal is certain only when it can be about nothing else; everything uncertain ends the connection."""
    session = _Publishing(None, asyncio.Event())
    session.crowded = crowded
    assert type(_publish_error(error, session)) is expected
    assert session.lost.is_set() is given_up


def test_without_a_connection_it_is_unavailable() -> None:
    """What was never sent has no unknown outcome."""
    assert type(_publish_error(TimeoutError(), None)) is TransportUnavailable


class _Saying:
    """A channel whose broker confirms, or fails, whatever is published."""

    def __init__(self) -> None:
        self.says: Exception | None = None

    async def basic_publish(self, *_: object, **__: object) -> spec.Basic.Ack:
        """Answer as told."""
        if self.says is not None:
            raise self.says
        return spec.Basic.Ack()


async def test_a_refusal_puts_the_connection_in_doubt_and_gives_it_not_up() -> None:
    """It may be the channel that is refused, and not the queue; a confirmation, or a return, tells nothing of that."""
    channel = _Saying()
    session = _Publishing(channel, asyncio.Event())  # type: ignore[arg-type]  # as much of a channel as is used
    await session.publish(sealed())
    returned = SimpleNamespace(delivery=spec.Basic.Return())
    channel.says = aiormq.exceptions.PublishError(returned, spec.Basic.Return())  # type: ignore[arg-type]
    with pytest.raises(aiormq.exceptions.PublishError):
        await session.publish(sealed())
    assert not session.doubted

    channel.says = aiormq.exceptions.DeliveryError(None, spec.Basic.Nack())
    with pytest.raises(aiormq.exceptions.DeliveryError):
        await session.publish(sealed())
    assert session.doubted
    assert not session.lost.is_set()
