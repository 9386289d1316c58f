# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a database driver's exception means for us. Its text never leaves: drivers put values into it."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import dataclass

from sqlalchemy.exc import DataError, DBAPIError, NotSupportedError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from broker.core.errors import DiskFull, StoreCorrupt, StoreUnavailable

__all__ = ["Fault", "fault_of"]

_SQLITE_FULL = {sqlite3.SQLITE_FULL}
_SQLITE_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SQLITE_BARRED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
_SQLITE_MISUSE = {
    sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_TOOBIG,
}  # fmt: skip

_POSTGRES_AGAIN = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock timeout
_POSTGRES_GONE = {"57P01", "57P02", "57P03"}  # the server ends or starts; class 08: the connection is lost
_POSTGRES_FULL = "53100"
_POSTGRES_CORRUPT = {"XX001", "XX002"}
_POSTGRES_MISUSE = {"0A", "21", "22", "23", "26", "34", "42"}  # classes: what a program did wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The error that our caller gets, and what may be tried before it does."""

    error: Exception
    again: bool = False  # running the whole transaction again may succeed
    disconnected: bool = False  # nothing of the transaction is left; a new connection may do


def fault_of(error: BaseException) -> Fault | None:
    """Return what an exception out of the database layer means; None where it did not come from there."""
    if isinstance(error, DBAPIError):
        if isinstance(error.orig, sqlite3.Error):
            return _of_sqlite(error.orig)
        return _of_postgres(error)
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    if type(error).__module__.startswith("psycopg"):  # a prepared statement's; SQLAlchemy did not wrap it
        return _of_psycopg(error)
    if isinstance(error, PoolTimeout):
        return Fault(error=StoreUnavailable())
    if isinstance(error, SQLAlchemyError):
        return Fault(error=_misuse())
    if isinstance(error, OSError):
        return Fault(error=DiskFull() if error.errno == errno.ENOSPC else StoreUnavailable())
    return None


def _of_sqlite(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by the driver itself, e.g. on a closed connection
        return Fault(error=_misuse() if isinstance(error, sqlite3.ProgrammingError) else StoreUnavailable())
    primary = code & 0xFF
    if primary in _SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:  # no room for the WAL's index either
        return Fault(error=DiskFull())
    if primary in _SQLITE_BARRED:
        return Fault(
            error=StoreUnavailable("The database file cannot be opened or written: see its owner and its disk.")
        )
    if primary in _SQLITE_CORRUPT:
        return Fault(error=StoreCorrupt())
    if primary in _SQLITE_MISUSE or primary == sqlite3.SQLITE_CONSTRAINT:
        return Fault(error=_misuse())
    return Fault(error=StoreUnavailable())


def _of_postgres(error: DBAPIError) -> Fault:
    if error.connection_invalidated:
        return Fault(error=StoreUnavailable(), disconnected=True)
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # raised by the driver itself: it could not connect, or it would not take a value
        unfit = isinstance(error, (DataError, ProgrammingError, NotSupportedError))
        return Fault(error=_misuse() if unfit else StoreUnavailable())
    return _of_state(state)


def _of_psycopg(error: BaseException) -> Fault:
    state = getattr(error, "sqlstate", None)
    kind = type(error).__name__
    if state is None:  # raised by the driver itself: the connection is gone, or it would not take a value
        unfit = kind in {"DataError", "ProgrammingError", "NotSupportedError"}
        return Fault(error=_misuse()) if unfit else Fault(error=StoreUnavailable(), disconnected=True)
    if state in _POSTGRES_GONE or state[:2] == "08":
        return Fault(error=StoreUnavailable(), disconnected=True)
    return _of_state(state)


def _of_state(state: str) -> Fault:
    if state == _POSTGRES_FULL:
        return Fault(error=DiskFull("There is no room left on the disk of PostgreSQL's server."))
    if state in _POSTGRES_CORRUPT:
        return Fault(error=StoreCorrupt())
    if state in _POSTGRES_AGAIN:
        return Fault(error=StoreUnavailable(), again=True)
    if state[:2] in _POSTGRES_MISUSE:
        # Another worker may have written the same key a moment ago: the second run reads it and decides anew.
        return Fault(error=_misuse(), again=state[:2] == "23")
    return Fault(error=StoreUnavailable())


def _misuse() -> RuntimeError:
    return RuntimeError("the program asked the database for something that its schema does not allow")
