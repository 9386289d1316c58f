# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What keeps the daily check short, and what tests of several rooms use."""

from __future__ import annotations

import errno
import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection

from broker import logs, schema_files
from broker.catalogue import Catalogue
from broker.core.ids import MessageType, SchemaVersion
from broker.security import primitives
from broker.storage import migrate, schema, sqlite
from broker.system import SystemClock

if TYPE_CHECKING:
    from broker.testing.federation import Federation


@pytest.fixture(scope="session", autouse=True)
def _each_catalogue_is_read_once() -> Iterator[None]:
    """Read the same files once per worker: a catalogue never changes, and reading the shipped one takes long."""
    reading = Catalogue.__dict__["from_files"]

    @lru_cache(maxsize=16)
    def read(files: frozenset[tuple[str, bytes]], earlier: frozenset[tuple[str, bytes]]) -> Catalogue:
        made: Catalogue = reading.__func__(Catalogue, dict(files), dict(earlier))
        return made

    def from_files(
        cls: type[Catalogue], files: Mapping[str, bytes], earlier: Mapping[str, bytes] = MappingProxyType({})
    ) -> Catalogue:
        return read(frozenset(files.items()), frozenset(earlier.items()))

    Catalogue.from_files = classmethod(from_files)  # type: ignore[assignment, method-assign]
    yield
    Catalogue.from_files = reading


@pytest.fixture(scope="session", autouse=True)
def _each_public_key_is_worked_out_once() -> Iterator[None]:
    """Keep the public keys of a worker: its tests open vaults with the same few private ones thousands of times."""
    working_out = primitives.public_of
    primitives.public_of = lru_cache(maxsize=1024)(working_out)
    yield
    primitives.public_of = working_out


@pytest.fixture(scope="module", autouse=True)  # of the session it would hold for other rooms in the same run
def _no_disk_is_waited_for() -> Iterator[None]:
    """Let no commit wait until it is on the disk: no test of this room cuts the power, others do (tests/faults)."""
    lasting = sqlite._WRITER_PRAGMAS
    sqlite._WRITER_PRAGMAS = tuple(line.replace("synchronous = FULL", "synchronous = OFF") for line in lasting)
    assert lasting != sqlite._WRITER_PRAGMAS
    yield
    sqlite._WRITER_PRAGMAS = lasting


@pytest.fixture(scope="session", autouse=True)
def _the_tables_are_written_once() -> Iterator[None]:
    """Make the tables of an empty SQLite database from the words of the first one: SQLAlchemy writes them anew each time."""
    creating, made = schema._create, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    words: list[str] = []

    def create(connection: Connection) -> None:
        if words and connection.dialect.name == "sqlite":
            for line in words:
                connection.exec_driver_sql(line)
            connection.execute(schema._ALEMBIC.insert(), {"version_num": schema.HEAD})
            return
        creating(connection)
        if connection.dialect.name == "sqlite":
            words.extend(line for (line,) in connection.exec_driver_sql(made))

    schema._create = create
    yield
    schema._create = creating


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Give what makes the system refuse to say what lies in one folder, also to root, who may read all."""

    def make(folder: Path) -> None:
        def refusing(whole: Callable[..., object]) -> Callable[..., object]:
            def look(place: str | Path = ".") -> object:
                if Path(place) == folder:
                    raise PermissionError(errno.EACCES, "not allowed", str(place))
                return whole(place)

            return look

        for name in ("listdir", "scandir"):  # which one pathlib asks depends on the version of Python
            monkeypatch.setattr(os, name, refusing(getattr(os, name)))

    return make


@pytest.fixture(scope="session", autouse=True)
def _shipped_schemas_are_read_once() -> Iterator[None]:
    """Read the program's own schemas from the disk once per worker; a folder of a test's own is read each time."""
    walk, shipped = schema_files._walk, schema_files._root(None)

    @cache
    def whole() -> list[tuple[str, bytes]]:
        return walk(shipped, "")

    def read(folder: Traversable, below: str) -> list[tuple[str, bytes]]:
        return whole() if folder == shipped else walk(folder, below)

    schema_files._walk = read
    yield
    schema_files._walk = walk


@pytest.fixture
def log_text() -> Iterator[io.StringIO]:
    """Everything that is logged, as an operator would find it; the process's logging is put back afterwards."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers[:] = []
    stream = io.StringIO()
    logs.configure("DEBUG", stream)
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = kept
    root.setLevel(level)


@pytest.fixture(scope="session")
def founded(
    tmp_path_factory: pytest.TempPathFactory, spoken: Mapping[MessageType, tuple[SchemaVersion, ...]]
) -> Federation:
    """A federation of EE and FI over a spool, which no test touches."""
    from broker.testing.federation import make_federation  # loads the trust repository; most tests found nothing

    return make_federation(tmp_path_factory.mktemp("founded"), ("EE", "FI"), messages=spoken, now=SystemClock().now())


@pytest.fixture
def federation(founded: Federation, tmp_path: Path) -> Federation:
    """A federation of EE and FI over a spool."""
    return founded.copied(tmp_path)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database, made once and copied for each test."""
    path = tmp_path_factory.mktemp("empty") / "trm.db"
    migrate(f"sqlite:///{path}")
    return path
