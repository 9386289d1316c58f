# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Services that tests share, and which of them must not run beside each other."""

from pathlib import Path

import pytest

pytest_plugins = ["broker.testing.pytest_postgres", "broker.testing.pytest_rabbitmq", "broker.testing.pytest_world"]

_TIMED = {"acceptance", "faults"}  # whole nodes as processes, killed and measured: not several at once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep on one worker what needs the same service, so that each is started once; all else is shared out."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "rabbit_server" in fixtures or _TIMED & set(Path(item.nodeid).parts):
            item.add_marker(pytest.mark.xdist_group("rabbitmq"))
        elif "postgres_run" in fixtures:
            item.add_marker(pytest.mark.xdist_group("postgres"))
