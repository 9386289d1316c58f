# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Runs prepared statements on one connection, within one transaction, for every subject's functions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Protocol, cast

from sqlalchemy import Connection, CursorResult, Executable, Row, Table
from sqlalchemy.dialects import sqlite

from broker.core.errors import BrokerError, StoreCorrupt
from broker.core.ids import ProcedureId
from broker.storage.at_rest import Cipher, locked
from broker.storage.faults import Fault, fault_of
from broker.storage.prepared import Prepared, prepare

__all__ = ["Driver", "Execution", "PerDialect", "driver_of", "insert_new"]

Parameters = Mapping[str, Any]


class PerDialect:
    """One insert in both databases' words; PostgreSQL's are found at its first use, SQLite's node never loads them."""

    def __init__(self, table: Table, words: Callable[[Any], Executable]) -> None:
        """Args:
        table: where the rows go.
        words: makes the statement of either dialect's plain insert.
        """
        self.sqlite: Executable = words(sqlite.insert(table))
        self._table = table
        self._words = words

    @cached_property
    def postgresql(self) -> Executable:
        """The statement for PostgreSQL."""
        from sqlalchemy.dialects import postgresql

        return self._words(postgresql.insert(self._table))


def insert_new(table: Table) -> PerDialect:
    """Return an insert that writes nothing where a unique key is taken; the row count tells."""
    return PerDialect(table, lambda insert: insert.on_conflict_do_nothing())


class Driver(Protocol):
    """A driver's connection, as far as prepared statements need it."""

    def rows(self, prepared: Prepared, values: list[Any]) -> list[tuple[Any, ...]]: ...
    def count(self, prepared: Prepared, values: list[Any]) -> int: ...
    def counts(self, prepared: Prepared, values: Sequence[list[Any]]) -> list[int]: ...
    def send(self, prepared: Prepared, values: list[Any]) -> None:
        """Run or queue a statement that nobody asks anything of."""
        ...

    def send_each(self, prepared: Prepared, values: Sequence[list[Any]]) -> None: ...
    def wait(self) -> object:
        """Return when nothing is queued any more."""
        ...

    def commit(self, *, lasting: bool = True) -> None:
        """Commit, together with what is queued; wait for the disk unless a crash may undo it."""
        ...

    def rollback(self) -> None:
        """End the transaction without its changes, if there is one."""
        ...


class _Direct:
    """Implements `Driver` on SQLite, where every statement is done when its call returns."""

    __slots__ = ("_cursor",)

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._cursor = driver.cursor()  # of its own for every statement it would cost as much as a short one's work

    def rows(self, prepared: Prepared, values: list[Any]) -> list[tuple[Any, ...]]:
        return self._cursor.execute(prepared.text, values).fetchall()

    def count(self, prepared: Prepared, values: list[Any]) -> int:
        return self._cursor.execute(prepared.text, values).rowcount

    def send(self, prepared: Prepared, values: list[Any]) -> None:
        self._cursor.execute(prepared.text, values)

    def counts(self, prepared: Prepared, values: Sequence[list[Any]]) -> list[int]:
        return [self._cursor.execute(prepared.text, each).rowcount for each in values]

    def send_each(self, prepared: Prepared, values: Sequence[list[Any]]) -> None:
        self._cursor.executemany(prepared.text, values)

    def wait(self) -> None:
        pass

    def commit(self, *, lasting: bool = True) -> None:
        self._cursor.execute("COMMIT")

    def rollback(self) -> None:
        if self._cursor.connection.in_transaction:
            self._cursor.execute("ROLLBACK")


def driver_of(connection: Connection) -> Driver:
    """Return what a connection is spoken with, which lasts as long as its driver's connection."""
    pooled = connection.connection
    known = pooled.info.get("driver")
    if known is None:
        if connection.dialect.name == "sqlite":
            known = _Direct(cast("sqlite3.Connection", pooled.dbapi_connection))
        else:
            from broker.storage.pipeline import Pipeline

            known = Pipeline(cast("Any", pooled.dbapi_connection))
        pooled.info["driver"] = known
    return cast("Driver", known)


class Execution:
    """A connection inside a transaction; after its first fault every further statement meets the same fault.

    PostgreSQL behaves so by itself. SQLite may have rolled back the whole transaction and would run the next statements
    in transactions of their own: a function that swallowed the error would commit half of its work.
    """

    __slots__ = ("_connection", "_driver", "_settles", "answered", "begun", "cipher", "dialect", "fault", "lasting")

    def __init__(self, connection: Connection, cipher: Cipher | None = None, *, settles: bool = False) -> None:
        """Args:
        connection: inside a transaction, or on PostgreSQL about to begin one.
        cipher: what opens contents; None: nothing that is asked for has any.
        settles: whether the caller calls `settle`; without that nothing is left on its way.
        """
        self._connection = connection
        self.cipher = cipher or locked()
        self.dialect = connection.dialect.name
        self._driver = driver_of(connection)
        self._settles = settles
        self.answered = False  # whether the database has answered: its connection was alive in this transaction
        self.fault: Fault | None = None
        self.lasting = True  # its commit waits for the disk
        self.begun: set[ProcedureId] = set()  # opened by this transaction: nothing of them needs looking up

    def all(self, statement: Executable | PerDialect, parameters: Parameters | None = None) -> Sequence[Row[Any]]:
        """Return every row.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        try:
            prepared = self._prepared(statement, parameters)
            if prepared is None:
                return self._execute(statement, parameters).all()
            rows = self._driver.rows(prepared, prepared.values(parameters or {}))
            self.answered = True
            return [prepared.made(row) for row in rows]
        except Exception as error:
            raise self._failed(error) from None

    def first(self, statement: Executable | PerDialect, parameters: Parameters | None = None) -> Row[Any] | None:
        """Return the first row or None.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        rows = self.all(statement, parameters)
        return rows[0] if rows else None

    def listed(self, statement: Executable, parameters: Parameters) -> Sequence[Row[Any]]:
        """Return every row of a statement that was made for this one call: preparing it would not pay.

        Raises:
            StoreUnavailable, StoreCorrupt: the transaction is lost.
        """
        try:
            return self._execute(statement, parameters).all()
        except Exception as error:
            raise self._failed(error) from None

    def plain(self, statement: Executable, parameters: Parameters) -> Sequence[tuple[Any, ...]]:
        """Return every row as the driver gives it: for whole tables, where a named row each would cost most of the time.

        Raises:
            StoreUnavailable, StoreCorrupt: the transaction is lost.
        """
        try:
            prepared = self._must_prepare(statement, parameters)
            return self._driver.rows(prepared, prepared.values(parameters))
        except Exception as error:
            raise self._failed(error) from None

    def changed(self, statement: Executable | PerDialect, parameters: Parameters | None = None) -> int:
        """Return how many rows were written.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        try:
            prepared = self._prepared(statement, parameters)
            if prepared is None:
                return self._execute(statement, parameters).rowcount
            count = self._driver.count(prepared, prepared.values(parameters or {}))
            self.answered = True
            return count
        except Exception as error:
            raise self._failed(error) from None

    def write(self, statement: Executable | PerDialect, parameters: Parameters | None = None) -> None:
        """Write, where nobody asks how many rows were: PostgreSQL is not waited for until something is asked of it.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost; on PostgreSQL perhaps only told later, at
                the latest by `settle`.
        """
        try:
            prepared = self._prepared(statement, parameters)
            if prepared is None:
                self._execute(statement, parameters)
                return
            self._driver.send(prepared, prepared.values(parameters or {}))
            if not self._settles:
                self._driver.wait()
        except Exception as error:
            raise self._failed(error) from None

    def changed_each(self, statement: Executable | PerDialect, parameters: Sequence[Parameters]) -> list[int]:
        """Run a statement once for each of several parameters and return how many rows each wrote.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        if not parameters:
            return []
        try:
            prepared = self._must_prepare(statement, parameters[0])
            counts = self._driver.counts(prepared, [prepared.values(each) for each in parameters])
            self.answered = True
            return counts
        except Exception as error:
            raise self._failed(error) from None

    def write_each(self, statement: Executable | PerDialect, parameters: Sequence[Parameters]) -> None:
        """Run a statement once for each of several parameters, as `write` does.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost; for when see `write`.
        """
        if not parameters:
            return
        try:
            prepared = self._must_prepare(statement, parameters[0])
            self._driver.send_each(prepared, [prepared.values(each) for each in parameters])
            if not self._settles:
                self._driver.wait()
        except Exception as error:
            raise self._failed(error) from None

    def settle(self) -> None:
        """Wait for all that was written.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        try:
            self._driver.wait()
        except Exception as error:
            raise self._failed(error) from None

    def commit(self) -> None:
        """Commit all that was written, what is still on its way as well.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: nothing was committed, unless the connection was lost meanwhile.
        """
        try:
            self._driver.commit(lasting=self.lasting)
        except Exception as error:
            raise self._failed(error) from None

    def _prepared(self, statement: Executable | PerDialect, parameters: Parameters | None) -> Prepared | None:
        if self.fault is not None:
            raise self.fault.error
        if isinstance(statement, PerDialect):
            statement = statement.sqlite if self.dialect == "sqlite" else statement.postgresql
        return prepare(statement, tuple(parameters or ()), self.dialect)

    def _must_prepare(self, statement: Executable | PerDialect, parameters: Parameters) -> Prepared:
        prepared = self._prepared(statement, parameters)
        if prepared is None:
            raise RuntimeError("the statement cannot be prepared")
        return prepared

    def _execute(self, statement: Executable | PerDialect, parameters: Parameters | None) -> CursorResult[Any]:
        if self.fault is not None:
            raise self.fault.error
        if isinstance(statement, PerDialect):
            statement = statement.sqlite if self.dialect == "sqlite" else statement.postgresql
        self.settle()  # SQLAlchemy asks at once
        return self._connection.execute(statement, parameters)

    def _failed(self, error: Exception) -> Exception:
        with suppress(Exception):  # what is still on its way must not reach the connection's next user
            self._driver.wait()
        if self.fault is None:
            unreadable = isinstance(error, (ValueError, TypeError, BrokerError))  # a stored value is not of its kind
            self.fault = fault_of(error) or Fault(error=StoreCorrupt() if unreadable else error)
        return self.fault.error
