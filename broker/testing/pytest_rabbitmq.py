# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""pytest plugin: one RabbitMQ for the whole run, and a fresh virtual host with EE, FI and SE on it for each test."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import pytest

from broker.core.ids import CountryCode
from broker.testing.rabbitmq import RabbitServer, rabbitmq
from broker.transport.topology import QueueLimits

__all__ = ["RabbitFederation", "rabbit", "rabbit_server"]

_MEMBERS = (CountryCode("EE"), CountryCode("FI"), CountryCode("SE"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitFederation:
    """Three countries on a virtual host of their own."""

    server: RabbitServer
    vhost: str
    said_before: int  # characters of the server's log when the test began

    def url(self, user: str | None = None, *, port: int | None = None) -> str:
        """Return the address of a country, or the administrator's; `port` for a proxy in between."""
        return self.server.url(user, vhost=self.vhost, port=port)

    def join(self, *, limits: QueueLimits | None = None) -> None:
        """Import the definitions of the three countries again."""
        self.server.join(*_MEMBERS, vhost=self.vhost, limits=limits)

    def said(self) -> str:
        """Return the warnings and errors of the server since the test began."""
        return self.server.said()[self.said_before :]


@pytest.fixture(scope="session")
def rabbit_server(pytestconfig: pytest.Config) -> Iterator[RabbitServer]:
    """Find or start a RabbitMQ; ends with the run.

    Raises:
        RabbitMissing: none can be had: these tests fail, they are not skipped.
    """
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    with rabbitmq(reporter.write_line if reporter is not None else print) as server:
        yield server


@pytest.fixture
def rabbit(rabbit_server: RabbitServer) -> Iterator[RabbitFederation]:
    """Give a fresh virtual host, removed afterwards."""
    federation = RabbitFederation(
        server=rabbit_server, vhost=f"t-{secrets.token_hex(6)}", said_before=len(rabbit_server.said())
    )
    federation.join()
    yield federation
    rabbit_server.delete_vhost(federation.vhost)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the server said meanwhile: its fault looks like ours from outside, and its log goes."""
    report = yield
    federation = getattr(item, "funcargs", {}).get("rabbit")
    if report.failed and isinstance(federation, RabbitFederation):
        report.sections.append(("RabbitMQ's warnings and errors during the test", federation.said()))
    return report
