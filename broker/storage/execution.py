# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Runs prepared statements on one connection, within one transaction, for every subject's functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, Executable, Row, Table
from sqlalchemy.dialects import sqlite

from broker.core.errors import BrokerError, StoreCorrupt
from broker.core.ids import ProcedureId
from broker.storage.at_rest import Cipher, locked
from broker.storage.faults import Fault, fault_of
from broker.storage.prepared import Driver, Prepared, prepare

__all__ = ["Execution", "PerDialect", "insert_new"]

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


class Execution:
    """A connection inside a transaction; after its first fault every further statement meets the same fault.

    PostgreSQL behaves so by itself. SQLite may have rolled back the whole transaction and would run the next statements
    in transactions of their own: a function that swallowed the error would commit half of its work.
    """

    __slots__ = (
        "_asking", "_connection", "_dialect", "_driver", "_line", "_pipeline", "_settles", "begun", "cipher", "fault",
    )  # fmt: skip

    def __init__(self, connection: Connection, cipher: Cipher | None = None, *, settles: bool = False) -> None:
        """Args:
        connection: inside a transaction.
        cipher: what opens contents; None: nothing that is asked for has any.
        settles: whether the caller calls `settle` before it commits; without that nothing is left on its way.
        """
        self._connection = connection
        self.cipher = cipher or locked()
        self._dialect = connection.dialect.name
        self._driver = cast("Driver", connection.connection.dbapi_connection)
        # What is asked is answered before the next question: one cursor will do, and psycopg makes none for less than
        # a statement costs on SQLite. What is written in the pipeline has cursors of its own.
        self._asking = self._driver if self._dialect == "sqlite" else cast("Driver", self._driver.cursor())
        self._line = ExitStack()  # PostgreSQL's pipeline, while statements are on their way that nobody has waited for
        self._pipeline: Any = None
        self._settles = settles
        self.fault: Fault | None = None
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
            return [prepared.made(row) for row in prepared.run(self._asking, parameters or {}).fetchall()]
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
            prepared = self._prepared(statement, parameters)
            if prepared is None:
                raise RuntimeError("the statement cannot be prepared")
            return prepared.run(self._asking, parameters).fetchall()
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
            cursor = prepared.run(self._asking, parameters or {})
            if self._pipeline is not None:
                self._pipeline.sync()  # no count is known before
            return cursor.rowcount
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
            if self._pipeline is None and self._settles and self._dialect != "sqlite":
                self._pipeline = self._line.enter_context(cast("Any", self._driver).pipeline())
            prepared.run(self._driver, parameters or {})
        except Exception as error:
            raise self._failed(error) from None

    def settle(self) -> None:
        """Wait for all that was written.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        if self._pipeline is not None:
            self._pipeline = None
            try:
                self._line.close()
            except Exception as error:
                raise self._failed(error) from None

    def changed_each(self, statement: Executable | PerDialect, parameters: Sequence[Parameters]) -> int:
        """Run a statement once for each of several parameters and return how many rows were written in all.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        if not parameters:
            return 0
        try:
            prepared = self._prepared(statement, parameters[0])
            if prepared is None:
                raise RuntimeError("the statement cannot be prepared")
            cursor = prepared.run_each(self._driver, parameters)
            if self._pipeline is not None:
                self._pipeline.sync()  # no count is known before
            return cursor.rowcount
        except Exception as error:
            raise self._failed(error) from None

    def _prepared(self, statement: Executable | PerDialect, parameters: Parameters | None) -> Prepared | None:
        if self.fault is not None:
            raise self.fault.error
        if isinstance(statement, PerDialect):
            statement = statement.sqlite if self._dialect == "sqlite" else statement.postgresql
        return prepare(statement, tuple(parameters or ()), self._connection.dialect)

    def _execute(self, statement: Executable | PerDialect, parameters: Parameters | None) -> CursorResult[Any]:
        if self.fault is not None:
            raise self.fault.error
        if isinstance(statement, PerDialect):
            statement = statement.sqlite if self._dialect == "sqlite" else statement.postgresql
        self.settle()  # SQLAlchemy asks at once
        return self._connection.execute(statement, parameters)

    def _failed(self, error: Exception) -> Exception:
        if self.fault is None:
            unreadable = isinstance(error, (ValueError, TypeError, BrokerError))  # a stored value is not of its kind
            self.fault = fault_of(error) or Fault(error=StoreCorrupt() if unreadable else error)
        return self.fault.error
