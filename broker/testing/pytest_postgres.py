# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""pytest plugin: one PostgreSQL for the whole run, and a database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from broker.testing.postgres import PostgresServer

__all__ = ["postgres_database", "postgres_run", "postgres_store_url"]


@pytest.fixture(scope="session")
def postgres_run(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """Find or start a PostgreSQL; ends with the run.

    Raises:
        RuntimeError: none can be had: these tests fail, they are not skipped.
    """
    from broker.testing.postgres import postgres_server  # loads two database libraries; most runs need neither

    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    with postgres_server(reporter.write_line if reporter is not None else print) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_run: PostgresServer) -> Iterator[str]:
    """Give the URL of an empty database, removed afterwards."""
    url = postgres_run.database()
    yield url
    postgres_run.drop(url)


@pytest.fixture
def postgres_store_url(postgres_run: PostgresServer) -> Iterator[str]:
    """Give the URL of a database with the store's tables, all empty."""
    from broker.storage import migrate

    url = postgres_run.database(like=migrate)
    yield url
    postgres_run.give_back(url, like=migrate)
