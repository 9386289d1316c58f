# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A real RabbitMQ is killed, restarted and cut off in the middle of traffic; what it confirmed is never lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiormq.exceptions
import pytest

from broker.core.errors import PublishRefused, PublishUnconfirmed, TransportUnavailable
from broker.testing.faults import TcpProxy
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.testing.pytest_rabbitmq import pytest_runtest_makereport as told
from broker.testing.transport_contract import EE, FI, FastClock, publish_until_taken, sealed, take
from broker.testing.transport_traffic import Traffic
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.topology import in_queue

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
async def workers(rabbit: RabbitFederation) -> AsyncIterator[Callable[..., RabbitTransport]]:
    """Give transports of EE and FI, closed afterwards.

    They are patient where a test is not about a bound: RabbitMQ confirms nothing while its disk, which others use too, is slow.
    """
    opened = []

    def opener(
        country: str,
        *,
        port: int | None = None,
        patience_seconds: float = 30.0,
        watchdog_seconds: float = 3_600,
        renew_seconds: float = 36_000,
    ) -> RabbitTransport:
        options = RabbitOptions(
            url=rabbit.url(country, port=port),
            us={"EE": EE, "FI": FI}[country],
            publish_timeout_seconds=patience_seconds,
            connect_timeout_seconds=patience_seconds,
            watchdog_seconds=watchdog_seconds,
            renew_seconds=renew_seconds,
        )
        opened.append(RabbitTransport(options, FastClock()))
        return opened[-1]

    yield opener
    for transport in opened:
        await transport.close()


async def test_a_killed_broker_loses_nothing_that_it_confirmed(rabbit: RabbitFederation, workers) -> None:
    """SIGKILL and restart in the middle of 300 messages: all arrive, and both directions resume by themselves."""
    traffic = Traffic(workers("EE", patience_seconds=2), workers("FI", patience_seconds=2))

    async def power_cut() -> None:
        await asyncio.to_thread(rabbit.server.kill)
        await asyncio.to_thread(rabbit.server.start)

    await traffic.run(300, power_cut)
    assert traffic.faults > 0
    assert len(traffic.confirmed) == 300
    assert set(traffic.came) == traffic.confirmed


async def test_dead_letter_workers_that_crash_take_no_queue_with_them(rabbit: RabbitFederation, workers) -> None:
    """A private broker bears what newer versions do; else each queue of the run would be gone from then on."""
    for _ in range(2):
        await asyncio.to_thread(rabbit.server.crash_dead_letter_workers)
    rabbit.server.delete_vhost(rabbit.vhost)
    rabbit.join()
    envelope = sealed()
    await publish_until_taken(workers("EE"), envelope)
    assert (await take(workers("FI")))[0].raw == envelope.raw


async def test_a_connection_cut_again_and_again_loses_nothing(rabbit: RabbitFederation, workers) -> None:
    """Eight cuts in the middle of frames: everything confirmed arrives."""
    async with TcpProxy(rabbit.server.host, rabbit.server.port) as proxy:
        sender, recipient = (workers(country, port=proxy.port, patience_seconds=2) for country in ("EE", "FI"))
        traffic = Traffic(sender, recipient)

        async def cuts() -> None:
            for _ in range(8):
                await proxy.cut()
                await asyncio.sleep(0.1)

        await traffic.run(300, cuts)
        assert proxy.connections > 2
        assert set(traffic.came) == traffic.confirmed
        assert len(traffic.confirmed) == 300
        await asyncio.gather(traffic.sender.close(), traffic.recipient.close())


async def test_a_hung_broker_fails_a_publish_within_its_bound(rabbit: RabbitFederation, workers) -> None:
    """When nothing is forwarded any more the publish is unconfirmed in time, and a new connection works afterwards."""
    async with TcpProxy(rabbit.server.host, rabbit.server.port) as proxy:
        sender, recipient = workers("EE", port=proxy.port, patience_seconds=2), workers("FI")
        for each in (workers("EE"), sender):
            await each.publish(sealed())
        await take(recipient, 2)
        envelope = sealed()
        async with proxy.hanging():
            started = time.monotonic()
            with pytest.raises(PublishUnconfirmed):
                await sender.publish(envelope)
            assert time.monotonic() - started < 6
            started = time.monotonic()
            with pytest.raises(TransportUnavailable):
                await sender.publish(envelope)
            assert time.monotonic() - started < 6
        await publish_until_taken(sender, envelope)
        (delivery,) = await take(recipient)
        assert delivery.raw == envelope.raw
        await sender.close()


async def test_a_server_that_never_answers_is_unavailable_in_time(workers) -> None:
    """A port that accepts and stays silent fails a publish within its bound, and closing does not wait for it."""
    accepted: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: accepted.append(writer), "127.0.0.1", 0)
    async with silent:
        sender = workers("EE", port=silent.sockets[0].getsockname()[1], patience_seconds=2)
        started = time.monotonic()
        with pytest.raises(TransportUnavailable):
            await sender.publish(sealed())
        assert await sender.health() == "The message broker does not answer in time."
        await sender.close()
        assert time.monotonic() - started < 15
        for writer in accepted:
            writer.close()
            await writer.wait_closed()


@contextlib.contextmanager
def _unanswered() -> Iterator[int]:
    """Yield a port that leaves whoever calls without any answer, as a machine does whose line is cut."""
    with socket.socket() as full, contextlib.ExitStack() as callers:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # Linux drops the greetings of all who find its queue full
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        yield full.getsockname()[1]


@pytest.fixture
async def named(
    rabbit: RabbitFederation, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., RabbitTransport]]:
    """Give transports of EE that know the broker by a name with several addresses, closed afterwards."""
    opened = []

    def opener(*ports: int) -> RabbitTransport:
        async def found(*_: Any, **__: Any) -> Any:
            kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*kind, ("127.0.0.1", port)) for port in ports]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
        url = rabbit.url("EE").replace("127.0.0.1", "rabbitmq.example")
        opened.append(RabbitTransport(RabbitOptions(url=url, us=EE, connect_timeout_seconds=5.0), FastClock()))
        return opened[-1]

    yield opener
    for transport in opened:
        await transport.close()


async def test_a_machine_that_does_not_answer_keeps_nobody_from_the_next_one(rabbit: RabbitFederation, named) -> None:
    """Where the name's first address says nothing, not even no, the first publish goes over its second."""
    with _unanswered() as silent:
        await named(silent, rabbit.server.port).publish(sealed())


async def test_a_machine_that_hangs_keeps_nobody_from_the_next_one(rabbit: RabbitFederation, named) -> None:
    """Where the first address takes the connection and says nothing on it, the second attempt begins with the other."""
    accepted: list[asyncio.StreamWriter] = []
    hung = await asyncio.start_server(lambda _reader, writer: accepted.append(writer), "127.0.0.1", 0)
    async with hung:
        await named(hung.sockets[0].getsockname()[1], rabbit.server.port).publish(sealed())
        assert accepted
        for writer in accepted:
            writer.close()
            await writer.wait_closed()


async def test_a_consumer_whose_queue_was_made_anew_resumes(rabbit: RabbitFederation, workers) -> None:
    """When the queue is deleted under the consumer and made again, it says nothing; a quiet consumer is renewed."""
    sender, recipient = workers("EE"), workers("FI", watchdog_seconds=20, renew_seconds=60)
    await sender.publish(sealed())
    await take(recipient)
    rabbit.server.call("DELETE", f"/api/queues/{rabbit.vhost}/{in_queue(FI)}")
    rabbit.join()
    envelope = sealed()
    await sender.publish(envelope)
    assert [d.raw for d in await take(recipient)] == [envelope.raw]


async def test_a_consumer_that_the_server_cancels_is_given_up(rabbit: RabbitFederation, workers) -> None:
    """The server's word that a consumer is over ends its session at once, without the watchdog."""
    recipient = workers("FI")
    assert await recipient.health() is None
    session = await recipient._consumer.session()
    for callback in session._channel.on_consumer_cancel_callbacks:
        callback(None)
    async with asyncio.timeout(20):
        await session.lost.wait()
        assert await recipient._consumer.session() is not session


async def test_a_consumer_that_silently_vanished_is_noticed(rabbit: RabbitFederation, workers) -> None:
    """With the consumer gone and the connection standing, the watchdog opens a new one."""
    sender, recipient = workers("EE"), workers("FI", watchdog_seconds=20)
    await sender.publish(sealed())
    await take(recipient)
    session = await recipient._consumer.session()
    for tag in list(session._channel.consumers):
        await session._channel.basic_cancel(tag)  # as if the server had forgotten it without a word
    assert not session.lost.is_set()
    envelope = sealed()
    await sender.publish(envelope)
    assert [d.raw for d in await take(recipient)] == [envelope.raw]
    assert session.lost.is_set()


async def test_the_watchdog_leaves_a_busy_consumer_alone(rabbit: RabbitFederation, workers) -> None:
    """A reader that holds as much as it may is not reconnected, although more waits in the queue."""
    sender, recipient = workers("EE"), workers("FI", watchdog_seconds=1)
    object.__setattr__(recipient._options, "prefetch", 3)
    await asyncio.gather(*(sender.publish(sealed()) for _ in range(6)))
    held = await take(recipient, 3, settle=False)
    session = await recipient._consumer.session()
    await asyncio.sleep(0.5)  # fifty looks of the watchdog
    assert recipient._consumer._session is session
    for delivery in held:
        await recipient.done(delivery)
    assert len({d.raw for d in held} | {d.raw for d in await take(recipient, 3)}) == 6


async def test_a_missing_queue_is_told_in_words_and_healed_by_the_import(rabbit: RabbitFederation, workers) -> None:
    """Without its queue a node says what to do; after the import it consumes without a restart."""
    rabbit.server.call("DELETE", f"/api/queues/{rabbit.vhost}/{in_queue(FI)}")
    recipient, sender = workers("FI"), workers("EE")
    assert await recipient.health() == "A queue or exchange of this node is missing: import the definitions file."
    rabbit.join()
    envelope = sealed()
    await sender.publish(envelope)
    assert [d.raw for d in await take(recipient)] == [envelope.raw]


async def test_a_wrong_password_is_told_in_words(rabbit: RabbitFederation) -> None:
    """A refused login gives a sentence without address or password."""
    url = rabbit.url("EE").replace(rabbit.server.password("EE"), "wrong-password")
    transport = RabbitTransport(RabbitOptions(url=url, us=EE), FastClock())
    sentence = await transport.health()
    assert sentence == "The message broker refuses this node's user, password or certificate."
    await transport.close()


async def test_a_failed_test_shows_what_the_broker_said_meanwhile(rabbit: RabbitFederation, request) -> None:
    """The broker's warnings since the test began stand in its report, and a test that passed shows none."""
    transport = RabbitTransport(RabbitOptions(url=rabbit.url("EE").replace("EE:", "nobody:"), us=EE), FastClock())
    await transport.health()
    await transport.close()
    async with asyncio.timeout(30):
        while "nobody" not in rabbit.said():  # noqa: ASYNC110  the broker writes its log when it likes
            await asyncio.sleep(0.05)

    shown = {}
    for outcome in ("failed", "passed"):
        report = pytest.TestReport("id", ("file", 1, "name"), {}, outcome, None, "call")
        made = told(request.node)
        next(made)
        with pytest.raises(StopIteration):
            made.send(report)
        shown[outcome] = "".join(text for _, text in report.sections)

    assert "nobody" in shown["failed"]
    assert shown["passed"] == ""


async def test_a_refusal_beside_other_publishes_is_called_unknown(rabbit: RabbitFederation, workers) -> None:
    """A refusal closes the channel under all publishes in flight: none of them is told a false outcome."""
    sender = workers("EE")
    await sender.publish(sealed())
    outcomes = await asyncio.gather(
        *(sender.publish(sealed()) for _ in range(5)),
        sender.publish(sealed(sender=FI)),  # user_id is not ours: refused by the broker
        return_exceptions=True,
    )
    assert type(outcomes[-1]) in {PublishUnconfirmed, PublishRefused}
    assert {type(outcome) for outcome in outcomes[:-1]} <= {type(None), PublishUnconfirmed}
    assert not any(isinstance(outcome, aiormq.exceptions.AMQPError) for outcome in outcomes)


@pytest.mark.parametrize("turns", range(6))
async def test_closing_while_a_connection_is_given_up_leaves_none_open(workers, turns: int) -> None:
    """However far giving up has come when the node stops, the connection is ended and no task of it stays."""
    sender = workers("EE")
    await sender.publish(sealed())
    session = await sender._publisher.session()
    session.lost.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    await sender.close()
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  the library's own ends a few turns later
            await asyncio.sleep(0.01)


async def test_a_broker_short_of_memory_is_told_so_and_nothing_is_lost(rabbit: RabbitFederation, workers) -> None:
    """One connection waits through the whole alarm: health says why, nothing piles up on it, and then all arrive."""
    sender, recipient = workers("EE", patience_seconds=2), workers("FI")
    for each in (workers("EE"), sender):
        await each.publish(sealed())
    first = await sender._publisher.session()
    envelopes = [sealed() for _ in range(3)]
    with rabbit.server.short_of_memory():
        for expected in (PublishUnconfirmed, TransportUnavailable):
            with pytest.raises(expected):
                await sender.publish(envelopes[0])
        said = await sender.health()
        assert await sender._publisher.session() is first
    await _until_well(sender)

    for envelope in envelopes:
        await sender.publish(envelope)
    assert said is not None
    assert "memory or disk" in said
    came = {delivery.raw for delivery in await take(recipient, 6)}  # one of them twice: its outcome was unknown
    assert came >= {envelope.raw for envelope in envelopes}
    assert await sender._publisher.session() is first


async def test_a_virtual_host_that_is_not_there_is_told_in_words(rabbit: RabbitFederation) -> None:
    """Who leaves the virtual host out of the address, or mistypes it, reads that it is this and nothing else."""
    url = rabbit.server.url("EE", vhost="nowhere")
    transport = RabbitTransport(RabbitOptions(url=url, us=EE), FastClock())
    said = await transport.health()
    await transport.close()

    assert said is not None
    assert "virtual host" in said


async def _until_well(transport: RabbitTransport) -> None:
    async with asyncio.timeout(30):
        while await transport.health() is not None:  # noqa: ASYNC110  the broker tells the library alone
            await asyncio.sleep(0.05)
