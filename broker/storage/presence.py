# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""That a node runs on a database: held by the operating system or the database server, which let go when it dies.

Several workers hold it together. Whoever makes a database anew asks for it alone, and is refused while one runs.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, text

from broker.core.errors import NodeRunning, StoreUnavailable
from broker.storage.faults import fault_of
from broker.storage.postgres import postgres_engine
from broker.storage.schema import parse_url, sqlite_path

__all__ = ["Presence", "announce_presence", "refuse_beside", "refuse_beside_server"]

_LOCK = 7234907  # any number; the nodes and the restores of one database share it
_TOGETHER = text(f"SELECT pg_try_advisory_lock_shared({_LOCK})")
_ALONE = text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")


class Presence:
    """The sign of one worker."""

    def __init__(self, release: Callable[[], None]) -> None:
        self._release = release

    def close(self) -> None:
        """Take the sign away."""
        self._release()


def announce_presence(url: str) -> Presence:
    """Hold the sign that a node runs on this database.

    Raises:
        NodeRunning: somebody is making the database anew.
        StoreUnavailable: the sign cannot be held.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is not None:
        descriptor = _locked(_lock_file(path), fcntl.LOCK_SH)
        return Presence(lambda: os.close(descriptor))
    engine = postgres_engine(parsed, read_only=False)
    try:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("SET idle_session_timeout = 0"))
        if not connection.execute(_TOGETHER).scalar():
            connection.close()
            engine.dispose()
            raise NodeRunning("A restore is filling this database; wait for its end.")
    except Exception as error:
        engine.dispose()
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault.error from None

    def release() -> None:
        connection.close()
        engine.dispose()

    return Presence(release)


def refuse_beside(path: Path) -> None:
    """Return where no node runs on that SQLite file.

    Raises:
        NodeRunning: one does.
    """
    lock = _lock_file(path)
    if lock.exists():
        os.close(_locked(lock, fcntl.LOCK_EX))


def refuse_beside_server(connection: Connection) -> None:
    """Keep nodes away until the end of this connection's transaction; on SQLite there is nothing to do.

    Raises:
        NodeRunning: one runs on the database.
    """
    if connection.dialect.name == "postgresql" and not connection.execute(_ALONE).scalar():
        raise NodeRunning


def _lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _locked(file: Path, how: int) -> int:
    """Return the descriptor that holds the lock; the system closes it with the process."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        raise StoreUnavailable("The lock file beside the database cannot be opened.", where=str(file)) from None
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise NodeRunning(where=str(file)) from None
    except OSError:
        os.close(descriptor)
        raise StoreUnavailable("The lock file beside the database cannot be locked.", where=str(file)) from None
    return descriptor
