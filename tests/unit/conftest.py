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

from broker import logs, schema_files
from broker.catalogue import Catalogue
from broker.core.ids import MessageType, SchemaVersion
from broker.storage import migrate
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
