# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The embedded store: SQLite in WAL mode, one writer thread, two reading connections."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from broker.core.errors import StoreUnavailable
from broker.core.ids import CountryCode
from broker.ports import Reader, Transaction
from broker.storage.at_rest import Cipher
from broker.storage.faults import fault_of
from broker.storage.group_commit import GroupCommit
from broker.storage.reader import SqlReader
from broker.threads import Threads

__all__ = ["SqliteStore", "sqlite_engine"]

T = TypeVar("T")

_READERS = 2
_STATEMENTS = 256  # that a connection keeps prepared: all that messages need, and the sizes of their lists
_BUSY_MS = 10_000  # how long another process may hold the database before we give up
_WRITER_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit is on the disk before anybody hears of it
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # what is deleted is overwritten: also a wrapped key, and what is left of a search index
    "PRAGMA journal_size_limit = 67108864",  # bytes that the WAL keeps after a burst
)
_COMMON_PRAGMAS = (
    f"PRAGMA busy_timeout = {_BUSY_MS}",
    "PRAGMA temp_store = MEMORY",  # no temporary file with somebody's data
    "PRAGMA cache_size = -8192",  # KiB
)


def sqlite_engine(path: Path, *, read_only: bool, connections: int = 1) -> Engine:
    """Return an engine whose connections begin no transaction by themselves: this room writes BEGIN."""
    mode = "ro" if read_only else "rw"  # never "rwc": a mistyped path must not become an empty store
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            address,
            uri=True,
            isolation_level=None,
            timeout=_BUSY_MS / 1000,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
        )

    engine = create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        isolation_level="AUTOCOMMIT",
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        execution_options={"preserve_rowcount": True},  # of inserts too: what a unique key decided
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        for pragma in (*_COMMON_PRAGMAS, *(("PRAGMA query_only = ON",) if read_only else _WRITER_PRAGMAS)):
            connection.execute(pragma)

    return engine


class SqliteStore:
    """Implements `ports.Store`."""

    def __init__(self, path: Path, us: CountryCode, cipher: Cipher) -> None:
        self._cipher = cipher
        self._writing = sqlite_engine(path, read_only=False)
        self._reading = sqlite_engine(path, read_only=True, connections=_READERS)
        self._writer = GroupCommit(self._writing, us, cipher)
        self._readers = Threads(_READERS, name="store-reader")
        self._idle: SimpleQueue[Connection] = SimpleQueue()  # reading connections stay open between two reads
        self._closed = False

    async def run(self, fn: Callable[[Transaction], T], *, ahead: bool = False) -> T:
        """Run in one transaction, committed together with what else waits.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: nothing was committed.
        """
        return await self._writer.run(fn, ahead=ahead)

    async def read(self, fn: Callable[[Reader], T]) -> T:
        """Run on one unchanging view of what is committed.

        Raises:
            StoreUnavailable, StoreCorrupt: nothing could be read.
        """
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        return await self._readers.run(lambda: self._read(fn))

    async def close(self) -> None:
        """Finish what waits, then release the file."""
        self._closed = True
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._readers.close)
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()
        self._writing.dispose()
        self._reading.dispose()

    def _read(self, fn: Callable[[Reader], T]) -> T:
        try:
            with self._view() as connection:
                return fn(SqlReader(connection, self._cipher))
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            raise fault.error from None

    @contextmanager
    def _view(self) -> Iterator[Connection]:
        """Lend a connection that sees what is committed now; one that does not end its view well is thrown away."""
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._reading.connect()
        try:
            driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
            driver.execute("BEGIN")
            try:
                yield connection
            finally:
                driver.execute("ROLLBACK")
        except sqlite3.Error:
            connection.invalidate()
            connection.close()
            raise
        except BaseException:
            self._idle.put(connection)
            raise
        self._idle.put(connection)
