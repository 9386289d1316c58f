# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from broker.core.errors import DiskFull, StoreCorrupt, StoreUnavailable
from broker.storage.faults import fault_of

_NAME = "Test-Maarika Näidis"


def of_sqlite(code: int) -> sqlite3.Error:
    """Return the driver's exception, with a value in its text."""
    error = sqlite3.OperationalError(_NAME)
    error.sqlite_errorcode = code
    return error


def of_postgres(state: str | None, *, lost: bool = False) -> DBAPIError:
    """Return SQLAlchemy's exception around the driver's."""
    cause = psycopg.errors.lookup(state)(_NAME) if state else psycopg.OperationalError(_NAME)
    return OperationalError("SELECT", {"name": _NAME}, cause, connection_invalidated=lost)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, DiskFull),
        (sqlite3.SQLITE_BUSY, StoreUnavailable),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreUnavailable),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreUnavailable),
        (sqlite3.SQLITE_CANTOPEN, StoreUnavailable),
        (sqlite3.SQLITE_READONLY, StoreUnavailable),
        (sqlite3.SQLITE_CORRUPT, StoreCorrupt),
        (sqlite3.SQLITE_NOTADB, StoreCorrupt),
        (sqlite3.SQLITE_ERROR, RuntimeError),
        (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, RuntimeError),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_sqlite_codes_have_their_error(code: int, expected: type[Exception], wrapped: bool) -> None:
    """Plain and extended codes, whether SQLAlchemy or this room ran the statement; nothing is tried again."""
    error: Exception = of_sqlite(code)
    if wrapped:
        error = OperationalError("INSERT", {"name": _NAME}, error)
    fault = fault_of(error)
    assert fault is not None
    assert type(fault.error) is expected
    assert (fault.again, fault.disconnected) == (False, False)
    assert _NAME not in str(fault.error)


@pytest.mark.parametrize(
    ("state", "expected", "again"),
    [
        ("53100", DiskFull, False),
        ("40001", StoreUnavailable, True),
        ("40P01", StoreUnavailable, True),
        ("55P03", StoreUnavailable, True),
        ("57014", StoreUnavailable, False),
        ("53300", StoreUnavailable, False),
        ("25006", StoreUnavailable, False),
        ("XX001", StoreCorrupt, False),
        ("23505", RuntimeError, True),
        ("42P01", RuntimeError, False),
        ("22021", RuntimeError, False),
        (None, StoreUnavailable, False),
    ],
)
def test_postgres_states_have_their_error(state: str | None, expected: type[Exception], again: bool) -> None:
    """What may go well in a second run is marked so; a unique key is decided by the second run."""
    fault = fault_of(of_postgres(state))
    assert fault is not None
    assert type(fault.error) is expected
    assert fault.again is again
    assert _NAME not in str(fault.error)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY])
def test_a_file_that_may_not_be_written_is_told_as_that(code: int) -> None:
    """There is no server that somebody could start."""
    fault = fault_of(of_sqlite(code))
    assert fault is not None
    assert "cannot be opened or written" in str(fault.error)


def test_a_full_disk_is_postgres_servers_where_it_says_so() -> None:
    """Who frees room on the node's own disk instead would wait in vain."""
    fault = fault_of(of_postgres("53100"))
    assert fault is not None
    assert str(fault.error) == "disk-full: There is no room left on the disk of PostgreSQL's server."


@pytest.mark.parametrize("state", ["57P01", None])
def test_a_lost_connection_is_known(state: str | None) -> None:
    """Nothing of the transaction is left, so a new connection may try."""
    fault = fault_of(of_postgres(state, lost=True))
    assert fault is not None
    assert fault.disconnected
    assert type(fault.error) is StoreUnavailable


def test_a_value_that_the_driver_refuses_is_misuse() -> None:
    """PostgreSQL's driver takes no NUL in a text; that is no outage."""
    fault = fault_of(DataError("INSERT", {"name": _NAME}, psycopg.DataError(_NAME)))
    assert fault is not None
    assert type(fault.error) is RuntimeError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PoolTimeout(), StoreUnavailable),
        (StatementError(_NAME, "SELECT", {}, TypeError(_NAME)), RuntimeError),
        (OSError(errno.ENOSPC, _NAME), DiskFull),
        (PermissionError(errno.EACCES, _NAME), StoreUnavailable),
        (sqlite3.ProgrammingError(_NAME), RuntimeError),
        (sqlite3.OperationalError(_NAME), StoreUnavailable),
    ],
)
def test_other_exceptions_of_the_layer_are_known(error: Exception, expected: type[Exception]) -> None:
    """Pool, statements, files and the driver's own complaints."""
    fault = fault_of(error)
    assert fault is not None
    assert type(fault.error) is expected
    assert _NAME not in str(fault.error)


def test_foreign_exceptions_are_not_ours() -> None:
    """What a flow raises itself reaches its caller unchanged."""
    assert fault_of(KeyError("x")) is None
