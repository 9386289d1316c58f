# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is not loaded where it is not used: every module costs each node memory, and each start time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from broker.api.local_issuer import LocalIssuer
from broker.core.ids import CountryCode, MessageType, SchemaVersion
from broker.settings import TOKEN_KEY_FILE
from broker.system import SystemClock
from broker.testing.federation import make_federation
from broker.transport.spool import create

NOT_IN_A_NODE = {  # on SQLite and the spool
    "psycopg", "sqlalchemy.dialects.postgresql", "sqlalchemy.orm",  # only with PostgreSQL, or not at all
    "alembic", "mako",  # only to bring an older database up to date
    "aio_pika", "aiormq", "pamqp",  # only with RabbitMQ
    "jsonschema", "referencing", "broker.api.openapi",  # only to explain
    "rich", "pygments", "broker.demo", "broker.doctor", "broker.manual",  # only at the command line
    "broker.testing", "hypothesis", "pytest", "schemathesis",  # never
}  # fmt: skip
NOT_IN_HELP = {
    "broker.node", "broker.logs", "broker.settings", "aiohttp", "asyncio", "cryptography", "jsonschema_rs", "orjson", "pydantic",
    "rich", "sqlalchemy", "structlog",
}  # fmt: skip
REPORTS_ITS_MODULES = """
import atexit, sys
from broker.cli import main
atexit.register(lambda: print("\\n".join(sys.modules)))
sys.exit(main(sys.argv[1:]))
"""


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after the statement."""
    program = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


@pytest.fixture
def home(tmp_path: Path, spoken: Mapping[MessageType, tuple[SchemaVersion, ...]]) -> Path:
    """A home of Estonia's node, over the spool."""
    clock = SystemClock()
    federation = make_federation(tmp_path, ("EE",), messages=spoken, now=clock.now())
    create(federation.spool_folder, federation.homes)
    home = federation.homes[CountryCode("EE")]
    LocalIssuer.create(home / TOKEN_KEY_FILE, us=CountryCode("EE"), clock=clock)
    return home


def test_node_loads_what_it_uses() -> None:
    """A node's code brings neither another database, nor another transport, nor the command line."""
    loaded = loaded_by("import broker.node")

    assert "broker.storage.sqlite" in loaded
    assert loaded & {*NOT_IN_A_NODE, "typer"} == set()


def test_running_node_loads_no_more(home: Path) -> None:
    """A node that was started, got ready and was stopped has not loaded any of that either."""
    command = [sys.executable, "-c", REPORTS_ITS_MODULES, "serve", "--home", str(home), "--json", "--until-eof"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TRM_")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=outside
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        ready = json.loads(node.stdout.readline())
        node.stdin.close()
        loaded = set(node.stdout.read().split())

    assert (ready["event"], node.returncode) == ("ready", 0)
    assert {"broker.node", "broker.transport.spool", "sqlite3"} <= loaded
    assert loaded & NOT_IN_A_NODE == set()


@pytest.mark.parametrize("module", ["broker.cli", "broker.cli.app"])
def test_help_loads_no_node(module: str) -> None:
    """The command line's names and help load nothing that works."""
    loaded = loaded_by(f"import {module}")

    assert module in loaded
    assert loaded & NOT_IN_HELP == set()


def test_log_leaves_rich_to_others() -> None:
    """The log's library is loaded without rich, and whoever wants rich afterwards gets it."""
    assert "rich" not in loaded_by("import broker.logs")
    assert "rich.console" in loaded_by("import broker.logs\nimport rich.console")
    assert "rich.console" in loaded_by("import rich.console\nimport broker.logs")
