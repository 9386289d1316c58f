# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store for more than one machine: PostgreSQL over psycopg 3, a thread for each connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine

from broker.core.errors import StoreUnavailable
from broker.core.ids import CountryCode
from broker.ports import Reader, Transaction
from broker.storage.at_rest import Cipher
from broker.storage.execution import Execution, driver_of
from broker.storage.faults import Fault, fault_of
from broker.storage.reader import SqlReader
from broker.storage.transaction import SqlTransaction
from broker.threads import Threads

__all__ = ["PostgresStore", "postgres_engine"]

T = TypeVar("T")

# A transaction mostly waits for the server. While eight do, more comes together for the steps that take many messages at
# once, and a message costs a sixth less processor time than with four; with twelve it was no better.
_WRITERS = 8
_READERS = 2
_ATTEMPTS = _WRITERS + 1  # runs of one transaction in all: each idle connection may have been lost
_REPEATING_SECONDS = 90.0  # no run begins later: each may wait a minute for a server that says nothing
_OPTIONS = {
    "synchronous_commit": "on",  # a commit is on the disk before anybody hears of it, but for what may be lost
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
}
# Every statement here finds a few rows by an index. How, is planned when a connection first uses it, often while the tables
# are still nearly empty, and kept until the server looks at the tables again: it would read all of them until then. And a
# plan that reads much by an index looks so dear that it would be compiled, which takes longer than running it.
_BY_INDEX = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "jit": "off",
}
_READ_ONLY = {"default_transaction_read_only": "on", "default_transaction_isolation": r"repeatable\ read"}


class _Again(Exception):
    """This run of the transaction met a fault that the next one may not meet."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__()


def postgres_engine(url: URL, *, read_only: bool, connections: int = 1) -> Engine:
    """Return an engine; writers see what is committed at each statement, readers one unchanging view."""
    options = (
        _OPTIONS | _BY_INDEX | (_READ_ONLY if read_only else {"default_transaction_isolation": r"read\ committed"})
    )
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
        execution_options={"preserve_rowcount": True},  # of inserts too: what a unique key decided
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "connect_timeout": 10,  # seconds
            # A server that vanished without a word, or a firewall that forgot the connection, is noticed within a minute
            # or so; the system's own limits are a quarter of an hour for a question and two hours for its answer.
            "keepalives_idle": 30,  # seconds
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,  # milliseconds
            "application_name": "trm-broker",
            # What the driver prepares by itself it has the server forget behind a ROLLBACK, with all that we prepared.
            "prepare_threshold": None,
        },
    )


class _Connections:
    """Connections that stay open between two transactions: the engine's pool costs half as much as a short transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: SimpleQueue[Connection] = SimpleQueue()

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """Lend a connection outside of any transaction; what is not committed in the end is rolled back."""
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._engine.connect()
        try:
            yield connection
        finally:
            try:
                _end(connection)
            except Exception:  # whatever state it is in must not reach its next user
                _throw_away(connection)
            else:
                self._idle.put(connection)

    def close(self) -> None:
        """Close those that nobody uses."""
        with suppress(Empty):
            while True:
                _throw_away(self._idle.get_nowait())
        self._engine.dispose()


class PostgresStore:
    """Implements `ports.Store`."""

    def __init__(self, url: URL, us: CountryCode, cipher: Cipher) -> None:
        self._us = us
        self._cipher = cipher
        self._writing = _Connections(postgres_engine(url, read_only=False, connections=_WRITERS))
        self._reading = _Connections(postgres_engine(url, read_only=True, connections=_READERS))
        self._writers = Threads(_WRITERS, name="store-writer")
        self._readers = Threads(_READERS, name="store-reader")
        self._closed = False

    async def run(self, fn: Callable[[Transaction], T], *, ahead: bool = False) -> T:
        """Run in one transaction; again after a deadlock, a lost connection or another worker's equal key.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: nothing was committed, unless the connection was lost during the
                very commit: then nobody knows, and only repeating the work by its key tells.
        """
        return await self._in(self._writers, lambda: self._repeat(lambda: self._write(fn)), ahead=ahead)

    async def read(self, fn: Callable[[Reader], T]) -> T:
        """Run on one unchanging view of what is committed.

        Raises:
            StoreUnavailable, StoreCorrupt: nothing could be read.
        """
        return await self._in(self._readers, lambda: self._repeat(lambda: self._read(fn)))

    async def close(self) -> None:
        """Finish what runs, then release the connections."""
        self._closed = True
        await asyncio.to_thread(self._writers.close)
        await asyncio.to_thread(self._readers.close)
        self._writing.close()
        self._reading.close()

    async def _in(self, threads: Threads, work: Callable[[], T], *, ahead: bool = False) -> T:
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        return await threads.run(work, ahead=ahead)

    def _repeat(self, work: Callable[[], T]) -> T:
        until = time.monotonic() + _REPEATING_SECONDS
        runs = 0
        while True:
            runs += 1
            try:
                return work()
            except _Again as error:
                if runs == _ATTEMPTS or time.monotonic() >= until:
                    raise error.fault.error from None

    def _write(self, fn: Callable[[Transaction], T]) -> T:
        tx: SqlTransaction | None = None
        committing = False
        try:
            with self._writing.one() as connection:
                tx = SqlTransaction(connection, self._cipher, self._us, settles=True)
                try:
                    result = fn(tx)
                except BaseException:
                    tx.settle()  # a fault of what is still on its way comes first: running again may not meet it
                    raise
                if tx.fault is not None:  # the function swallowed it
                    raise tx.fault.error
                if not tx.answered:
                    tx.settle()  # lost since its last use, the connection is noticed before anything can be committed
                committing = True
                tx.commit()
                return result
        except Exception as error:
            raise _outcome(error, tx, outcome_known=not committing) from None

    def _read(self, fn: Callable[[Reader], T]) -> T:
        reader: SqlReader | None = None
        try:
            with self._reading.one() as connection:
                reader = SqlReader(connection, self._cipher)
                return fn(reader)
        except Exception as error:
            raise _outcome(error, reader, outcome_known=True) from None


def _end(connection: Connection) -> None:
    """End what transaction there still is; nobody waits for that but who uses the connection next."""
    driver = driver_of(connection)
    driver.wait()
    if connection.in_transaction():  # SQLAlchemy began it
        connection.rollback()
    driver.rollback()


def _throw_away(connection: Connection) -> None:
    with suppress(Exception):
        connection.invalidate()
    with suppress(Exception):
        connection.close()


def _outcome(error: Exception, db: Execution | None, *, outcome_known: bool) -> Exception:
    """Return what to raise for an exception out of one run."""
    fault = db.fault if db is not None and db.fault is not None else fault_of(error)
    if fault is None:
        return error
    if fault.again or (fault.disconnected and outcome_known):
        return _Again(fault)
    return fault.error
