# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The one writer of an SQLite database in this process: what waits is committed together.

One fsync then serves several transactions. One that fails takes nothing else with it: all is taken back, what was done
before it is done again, and from there on each runs in a savepoint of its own. In savepoints from the beginning SQLite
would copy every page that each changes, and nearly none fails. Nobody hears "done" before the commit of all. A group is
short: those whose work is done wait for its commit, and the threads that would do the next messages' cryptography
meanwhile have nothing to do.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine

from broker.core.errors import StoreUnavailable
from broker.core.ids import CountryCode
from broker.ports import Transaction
from broker.storage.at_rest import Cipher
from broker.storage.faults import fault_of
from broker.storage.transaction import SqlTransaction
from broker.threads import Line, Outcome, Reports

__all__ = ["GroupCommit"]

T = TypeVar("T")

_GROUP_SECONDS = 0.03  # of work before a commit
_GROUP_COMMITS = 4  # or as many times what a commit takes: on a slow disk more transactions share one
_LARGEST_GROUP = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    fn: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    reports: Reports
    ahead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    job: _Job
    result: Any = None
    error: BaseException | None = None


class GroupCommit:
    """A thread that owns the writing connection."""

    def __init__(self, engine: Engine, us: CountryCode, cipher: Cipher) -> None:
        self._engine = engine
        self._us = us
        self._cipher = cipher
        self._waiting: Line[_Job | None] = Line()
        self._door = threading.Lock()  # nothing is queued behind the sign to stop
        self._closed = False
        self._reports: Reports | None = None
        self._connection: Connection | None = None
        self._commit_seconds = 0.0  # of the last one
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    async def run(self, fn: Callable[[Transaction], T], *, ahead: bool = False) -> T:
        """Wait until the function's work is committed and return its result; see `ports.Store.run`.

        A caller that is cancelled while its function runs does not know the outcome; one cancelled earlier never ran.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: nothing was committed.
        """
        loop = asyncio.get_running_loop()
        if self._reports is None or self._reports.loop is not loop:
            self._reports = Reports(loop)
        job = _Job(fn=fn, future=loop.create_future(), reports=self._reports, ahead=ahead)
        with self._door:
            if self._closed:
                raise StoreUnavailable("The store is closed.")
            self._waiting.put(job, ahead=ahead)
        result: T = await job.future
        return result

    def close(self) -> None:
        """Finish what waits and end the thread; blocks."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (job := self._waiting.get()) is not None:
            _tell(self._commit(job))
        self._disconnect()

    def _commit(self, first: _Job) -> list[_Outcome]:
        """Run a group in one database transaction."""
        group, outcomes = [first], list[_Outcome]()
        apart = False  # each in a savepoint
        try:
            connection, driver = self._connect()
            driver.execute("BEGIN IMMEDIATE")
            until = time.monotonic() + max(_GROUP_SECONDS, _GROUP_COMMITS * self._commit_seconds)
            for job in group:  # grows meanwhile
                if not job.future.cancelled():
                    outcomes.append(self._run(job, connection, driver, apart=apart))
                    if outcomes[-1].error is not None and not apart:
                        apart = True
                        driver.execute("ROLLBACK")
                        driver.execute("BEGIN IMMEDIATE")
                        outcomes = [self._again(done, connection, driver) for done in outcomes]
                if not job.ahead and len(group) < _LARGEST_GROUP and time.monotonic() < until:
                    group += self._more(1)
            worked = time.monotonic()
            driver.execute("COMMIT")
            self._commit_seconds = time.monotonic() - worked
        except Exception as error:
            self._disconnect()  # rolls back whatever is left
            fault = fault_of(error)
            lost = error if fault is None else fault.error
            # Where another process holds the database, each of those that wait would wait as long again.
            group += self._more(_LARGEST_GROUP)
            return [_Outcome(job=job, error=lost) for job in group]
        return outcomes

    def _more(self, most: int) -> list[_Job]:
        """Return what waits now, but for the sign to stop."""
        jobs: list[_Job] = []
        with suppress(Empty):
            while len(jobs) < most:
                job = self._waiting.get(block=False)
                if job is None:
                    self._waiting.put(None)
                    break
                jobs.append(job)
        return jobs

    def _again(self, done: _Outcome, connection: Connection, driver: sqlite3.Connection) -> _Outcome:
        """Do what was taken back again; what failed stays failed."""
        return self._run(done.job, connection, driver, apart=True) if done.error is None else done

    def _run(self, job: _Job, connection: Connection, driver: sqlite3.Connection, *, apart: bool) -> _Outcome:
        """Run one function; not apart, what a failed one did is for the caller to take back.

        Raises:
            Exception: SQLite gave up the whole transaction; nobody's work in this group is left.
        """
        tx = SqlTransaction(connection, self._cipher.once(), self._us)
        if apart:
            driver.execute("SAVEPOINT job")
        result: Any = None
        failed: BaseException | None = None
        try:
            result = job.fn(tx)
        except BaseException as error:
            failed = error
        if tx.fault is not None:
            failed = tx.fault.error
        if failed is not None and not driver.in_transaction:
            raise StoreUnavailable if tx.fault is None else tx.fault.error
        if apart:
            if failed is not None:
                driver.execute("ROLLBACK TO job")
            driver.execute("RELEASE job")
        return _Outcome(job=job, result=result, error=failed)

    def _connect(self) -> tuple[Connection, sqlite3.Connection]:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection, cast("sqlite3.Connection", self._connection.connection.dbapi_connection)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()  # a connection with half a transaction must not go back to the pool
            with suppress(Exception):
                connection.close()


def _tell(outcomes: list[_Outcome]) -> None:
    """Wake the waiting tasks, each event loop once."""
    by_loop: dict[Reports, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_loop[outcome.job.reports].append((outcome.job.future, outcome.result, outcome.error))
    for reports, told in by_loop.items():
        reports.tell(*told)
