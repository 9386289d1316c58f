# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Services that tests share, and which of them must not run beside each other."""

import gc
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from broker.core.ids import MessageType, SchemaVersion

# Machines are shared: how long one example takes says nothing about the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

pytest_plugins = ["broker.testing.pytest_postgres", "broker.testing.pytest_rabbitmq", "broker.testing.pytest_world"]


@pytest.fixture(scope="session")
def spoken() -> Mapping[MessageType, tuple[SchemaVersion, ...]]:
    """Every message type of the shipped catalogue with its versions: what the members of a test's federation take."""
    from broker.schema_files import load_catalogue  # reads the whole catalogue; most tests make no federation

    catalogue = load_catalogue()
    return {kind: catalogue.versions(kind) for kind in catalogue.types()}


def pytest_collection_finish() -> None:
    """Take out of the garbage collector's rounds what stays until the end anyway: going through it took a tenth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # new objects before a round; the default is 700


def pytest_sessionfinish() -> None:
    """Look for garbage before pytest does, which goes five times through all that stays (its own count)."""
    gc.collect()
    gc.collect()  # what the first round set free
    gc.freeze()


_TIMED = {"acceptance", "faults"}  # whole nodes as processes, killed and measured: not several at once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep on one worker what needs the same service, so that each is started once; all else is shared out."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "rabbit_server" in fixtures or _TIMED & set(Path(item.nodeid).parts):
            item.add_marker(pytest.mark.xdist_group("rabbitmq"))
        elif "postgres_run" in fixtures:
            item.add_marker(pytest.mark.xdist_group("postgres"))
