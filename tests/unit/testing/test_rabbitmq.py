# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How a RabbitMQ is found; starting one is proven by every test that uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.testing import rabbitmq as module
from broker.testing.rabbitmq import RabbitMissing, RabbitServer, broker_start, rabbitmq_program


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
