# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How a RabbitMQ is found; starting one is proven by every test that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from broker.testing import rabbitmq as module
from broker.testing.rabbitmq import RabbitMissing, RabbitServer, RabbitStartFailed, broker_start, rabbitmq_program


def test_a_named_server_is_used_and_not_ours_to_stop(monkeypatch) -> None:
    """The environment's address wins over the installed program, and killing it is refused."""
    monkeypatch.setenv("TRM_TEST_AMQP_URL", "amqp://admin:pw@127.0.0.1:5999/%2F")
    monkeypatch.delenv("TRM_TEST_AMQP_ADMIN_URL", raising=False)
    said: list[str] = []
    server = broker_start(said.append)
    assert said == ["RabbitMQ: using the server that the settings name"]
    assert (server.port, server.admin_url) == (5999, "http://admin:pw@127.0.0.1:15672")
    assert not server.restartable
    with pytest.raises(RuntimeError):
        server.kill()
    server.close()


def test_nothing_to_be_had_is_one_clear_error(monkeypatch) -> None:
    """Without server, program, package and container the caller can fall back to the spool."""
    monkeypatch.delenv("TRM_TEST_AMQP_URL", raising=False)
    monkeypatch.setattr(module, "installed_program", lambda: None)
    monkeypatch.setattr(module, "install_package", lambda _log: False)
    monkeypatch.setattr(module, "container_runs", lambda: False)
    with pytest.raises(RabbitMissing):
        broker_start(lambda _: None)


def test_who_starts_it_in_another_way_gets_the_program_installed_first(monkeypatch) -> None:
    """On an empty machine the program is installed once, then found; where that fails, it is the same clear error."""
    here: list[Path] = []
    monkeypatch.setattr(module, "installed_program", lambda: here[0] if here else None)
    monkeypatch.setattr(module, "install_package", lambda _log: here.append(Path("rabbitmq-server")) is None)
    assert rabbitmq_program(lambda _: None) == Path("rabbitmq-server")
    assert rabbitmq_program(lambda _: None) == here.pop()
    assert here == []
    monkeypatch.setattr(module, "install_package", lambda _log: False)
    with pytest.raises(RabbitMissing):
        rabbitmq_program(lambda _: None)


def test_addresses_quote_what_they_carry() -> None:
    """A virtual host and a password with special characters stay whole, and a proxy's port replaces the server's."""
    server = RabbitServer(url="amqp://admin:pw@127.0.0.1:5999/%2F", admin_url="http://admin:pw@127.0.0.1:1")
    password = server.password("EE")
    assert server.url("EE", vhost="a/b", port=7) == f"amqp://EE:{password}@127.0.0.1:7/a%2Fb"
    assert server.url() == "amqp://admin:pw@127.0.0.1:5999/trm"


@contextmanager
def _api(*statuses: int) -> Iterator[RabbitServer]:
    """Yield a server whose management API answers so, one after the other."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = b'{"reason": "vhost_is_down"}'
            self.send_response(left.pop(0))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_DELETE  # noqa: N815  as the library asks for it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield RabbitServer(url="amqp://a:b@127.0.0.1:1/%2F", admin_url=f"http://a:b@127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
    assert left == []


@pytest.fixture
def at_once(monkeypatch) -> None:
    """Let no wait between two questions pass."""
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_server_error_of_the_management_api_is_asked_again() -> None:
    """A virtual host that was just made does not yet take the queues of the import: a moment later it does."""
    with _api(500, 503, 200) as server:
        server.load({})


@pytest.mark.usefixtures("at_once")
def test_what_went_although_the_server_failed_is_gone() -> None:
    """Deleting again what the failed answer had deleted is no error."""
    with _api(500, 404) as server:
        server.delete_vhost("t-1")


def test_a_refusal_of_the_management_api_is_told_with_its_words() -> None:
    """What the server says of a bad request is in the error, and it is asked once."""
    with _api(400) as server, pytest.raises(RabbitStartFailed, match=r"400: .*vhost_is_down"):
        server.load({})
    with _api(404) as server, pytest.raises(RabbitStartFailed, match="404"):
        server.delete_vhost("t-1")


def test_a_server_error_that_stays_is_told(monkeypatch) -> None:
    """Patience ends."""
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.0)
    with _api(500) as server, pytest.raises(RabbitStartFailed, match="500"):
        server.load({})
