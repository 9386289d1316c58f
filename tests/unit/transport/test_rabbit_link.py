# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The supervised connection: addresses, pauses, sentences; what needs a server stands in the contract and fault tests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.certificates.folder import CertificateFolder
from broker.core.errors import SettingsInvalid, TransportUnavailable
from broker.core.ids import CountryCode
from broker.testing.clock import HandClock
from broker.testing.rabbitmq_private import free_ports
from broker.testing.transport_contract import sealed
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.rabbit_tls import ClientTls, tls_of

EE = CountryCode("EE")
TLS = ClientTls(CertificateFolder(Path("/nowhere"), EE), lambda: datetime.now(UTC))


def transport(
    url: str, *, tls: ClientTls | None = None, clock: HandClock | None = None, **options: float
) -> RabbitTransport:
    """Return a transport of EE whose pauses are not shortened by chance."""
    made = RabbitOptions(url=url, us=EE, tls=tls, **options)
    return RabbitTransport(made, clock or HandClock(), jitter=lambda: 1.0)


@pytest.mark.parametrize(
    "url", ["", "http://host/trm", "amqp://", "no url", "amqp://host:port/trm", "amqps://host/trm"]
)
def test_an_address_that_cannot_work_is_refused_at_once(url: str) -> None:
    """A wrong scheme, no host, no number as port, or TLS without certificate files is a settings error."""
    with pytest.raises(SettingsInvalid) as refused:
        transport(url)
    assert refused.value.where == "broker.url"


def test_plain_amqp_with_a_tls_context_is_refused() -> None:
    """Certificates beside an address without TLS are a mistake that would go unnoticed."""
    with pytest.raises(SettingsInvalid):
        transport("amqp://EE:secret@host/trm", tls=TLS)


def test_a_query_of_the_address_cannot_switch_checks_off() -> None:
    """Only our own query is used: `no_verify_ssl` is gone, and without a password the certificate logs in."""
    made = transport("amqps://host/trm?no_verify_ssl=2&auth=plain", tls=TLS)
    assert dict(made._publisher._url.query) == {"heartbeat": "20", "auth": "EXTERNAL"}
    plain = transport("amqps://EE:secret@host/trm", tls=TLS)
    assert dict(plain._publisher._url.query) == {"heartbeat": "20"}


def test_the_options_do_not_show_the_password() -> None:
    """Printing the options shows neither address nor TLS context."""
    assert "secret" not in repr(RabbitOptions(url="amqp://EE:secret@host/trm", us=EE))


async def test_an_address_with_tls_and_no_certificate_is_told_in_words() -> None:
    """The node starts, connects to nobody, and says which file is missing; there is no way without TLS."""
    made = transport("amqps://host/trm", tls=TLS, publish_timeout_seconds=0.05)
    assert await made.health() == "There is no node.pem; `trm broker certificate` makes it."
    with pytest.raises(TransportUnavailable):
        await made.publish(sealed())
    await made.close()


def test_a_certificate_beside_an_address_without_tls_is_refused(tmp_path: Path) -> None:
    """Who has a certificate meant to use it: the node does not start on a plain connection."""
    assert tls_of("amqp://EE:x@host/trm", tmp_path, EE, lambda: datetime.now(UTC)) is None
    (tmp_path / "node.pem").write_text("anything")
    with pytest.raises(SettingsInvalid):
        tls_of("amqp://EE:x@host/trm", tmp_path, EE, lambda: datetime.now(UTC))
    assert tls_of("amqps://host/trm", tmp_path, EE, lambda: datetime.now(UTC)) is not None


async def test_pauses_between_attempts_double_up_to_a_limit() -> None:
    """With nobody there the loop waits 2, 4, 8, 10, 10 seconds (full jitter), and never spins."""
    clock = HandClock()
    (port,) = free_ports(1)
    made = transport(
        f"amqp://EE:x@127.0.0.1:{port}/trm", clock=clock, retry_max_seconds=10.0, publish_timeout_seconds=0.05
    )
    made._publisher.start()
    waits = []
    for _ in range(5):
        await clock.until_sleeping()
        waits.append(clock._sleepers[0][0] - clock.monotonic())
        clock.advance(waits[-1])
    assert waits == [2.0, 4.0, 8.0, 10.0, 10.0]
    await made.close()


async def test_nobody_there_is_told_in_words_and_refuses_publishing_in_time() -> None:
    """Health gives a sentence without the address, publishing fails within its bound, closing is clean."""
    (port,) = free_ports(1)
    made = transport(f"amqp://EE:x@127.0.0.1:{port}/trm", publish_timeout_seconds=0.05)
    assert await made.health() == "The message broker cannot be reached."
    with pytest.raises(TransportUnavailable):
        await made.publish(sealed())
    await made.close()
    assert len(asyncio.all_tasks()) == 1


async def test_something_that_speaks_no_amqp_is_told_in_words() -> None:
    """A server that answers something else is not taken for a broker."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        made = transport(f"amqp://EE:x@127.0.0.1:{server.sockets[0].getsockname()[1]}/trm")
        assert await made.health() in {
            "The message broker cannot be used.",
            "The message broker cannot be reached.",
            "The message broker does not answer in time.",
        }
        await made.close()


async def test_a_cancelled_publish_stays_cancelled() -> None:
    """Cancelling the caller is not turned into an error of the transport."""
    (port,) = free_ports(1)
    made = transport(f"amqp://EE:x@127.0.0.1:{port}/trm")
    publishing = asyncio.create_task(made.publish(sealed()))
    await asyncio.sleep(0)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    await made.close()
