# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL below its driver's cursors: prepared statements, sent together, waited for once.

- A statement that nobody asks anything of is only queued, so is BEGIN; the next question takes them along, and COMMIT takes
  the last. Of a transaction's time most went into waiting for the server's answers one by one, and of its processor time
  most into the driver's cursors (measured: 60 µs a statement against 20 µs).
- Between two calls the connection is as its driver left it unless something is queued: SQLAlchemy may use it too.
- Text goes in binary form, with its length: as a text with an end it would be cut at a NUL.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any

from psycopg import Connection, DataError, OperationalError
from psycopg.adapt import Transformer
from psycopg.errors import InFailedSqlTransaction, error_from_result
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

from broker.storage.prepared import Prepared

__all__ = ["Pipeline"]

_PATIENCE = 60_000  # milliseconds; a server that is there gives up each statement after half of that
_TEXT, _BINARY = int(Format.TEXT), int(Format.BINARY)
_DONE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}


class Pipeline:
    """One connection's queue; lives as long as the connection."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._libpq = connection.pgconn
        self._loads = Transformer(connection)
        self._names: dict[str, bytes] = {}  # of what the server has prepared, by text
        self._numbered = 0
        # What answers are on their way: to preparing a text, else to running something.
        self._queue: list[str | None] = []
        self._sent = False  # all of the queue, with its end: only the answers have not been read
        self._poll = select.poll()
        self._poll.register(self._libpq.socket, select.POLLIN)

    def rows(self, prepared: Prepared, values: list[Any]) -> list[tuple[Any, ...]]:
        """Return what a statement answers.

        Raises:
            psycopg.Error: it, or something queued before it, failed.
        """
        self.send(prepared, values)
        (result,) = self.wait(answers=1)
        self._loads.set_pgresult(result)
        return self._loads.load_rows(0, result.ntuples, tuple)

    def count(self, prepared: Prepared, values: list[Any]) -> int:
        """Return how many rows a statement wrote.

        Raises:
            psycopg.Error: it, or something queued before it, failed.
        """
        return self.counts(prepared, [values])[0]

    def counts(self, prepared: Prepared, values: Sequence[list[Any]]) -> list[int]:
        """Return how many rows a statement wrote for each of several parameters.

        Raises:
            psycopg.Error: it, or something queued before it, failed.
        """
        self.send_each(prepared, values)
        return [result.command_tuples or 0 for result in self.wait(answers=len(values))]

    def send(self, prepared: Prepared, values: list[Any]) -> None:
        """Queue a statement, behind a BEGIN where there is no transaction.

        Raises:
            psycopg.Error: the connection is lost.
        """
        encoded = _encoded(values)
        self._begin()
        self._send(prepared.text, encoded)

    def send_each(self, prepared: Prepared, values: Sequence[list[Any]]) -> None:
        """Queue a statement once for each of several parameters.

        Raises:
            psycopg.Error: the connection is lost.
        """
        for each in values:
            self.send(prepared, each)

    def wait(self, *, answers: int = 0) -> list[PGresult]:
        """Wait for everything queued; return so many of the last answers.

        Raises:
            psycopg.Error: something failed, and all behind it was not done.
        """
        if not self._queue:
            return []
        try:
            wanted, failed = self._answers(answers)
        except BaseException:
            self._libpq.finish()  # half read, its next user would take the rest for answers of its own
            raise
        if failed is not None:
            raise failed
        return wanted

    def commit(self, *, lasting: bool = True) -> None:
        """Commit, together with what is still queued: the server skips it where that fails.

        Args:
            lasting: it is on the disk before this returns; else within a second, or with the next commit that lasts.

        Raises:
            psycopg.Error: something queued before it failed, or the transaction had failed before, whoever knew of it:
                to the server it is no error then to answer COMMIT with ROLLBACK. Or the connection was lost.
        """
        self._begin()
        if not lasting:
            self._send("SET LOCAL synchronous_commit = off", ([], []))
        self._send("COMMIT", ([], []))
        (result,) = self.wait(answers=1)
        if result.command_status != b"COMMIT":
            raise InFailedSqlTransaction

    def rollback(self) -> None:
        """End the transaction without its changes; the answer is read when the connection is used again.

        Raises:
            psycopg.Error: the connection is lost.
        """
        self.wait()
        if self._libpq.transaction_status != TransactionStatus.IDLE:
            self._begin()
            self._send("ROLLBACK", ([], []))
            self._end()
            self._sent = True

    def _answers(self, last: int) -> tuple[list[PGresult], Exception | None]:
        """Read all that are on their way; return so many of the last, and the first error."""
        queue, sent, self._queue, self._sent = self._queue, self._sent, [], False
        if not sent:
            self._end()
        wanted: list[PGresult] = []
        failed: Exception | None = None
        for left, preparing in zip(range(len(queue), 0, -1), queue, strict=True):
            result = self._answer()
            self._answer()  # nothing: the end of this statement's answers
            if result.status not in _DONE:
                if preparing is not None:
                    del self._names[preparing]
                failed = failed or error_from_result(result)  # the first: what comes behind it is said to be aborted
            elif left <= last:
                wanted.append(result)
        self._answer()  # of the synchronisation itself
        self._libpq.exit_pipeline_mode()
        return wanted, failed

    def _end(self) -> None:
        self._libpq.pipeline_sync()
        self._flush()

    def _begin(self) -> None:
        """Open the queue, with a BEGIN where there is no transaction."""
        if self._sent:
            self.wait()
        if not self._queue:
            outside = self._libpq.transaction_status == TransactionStatus.IDLE and not self._connection.autocommit
            self._libpq.enter_pipeline_mode()
            if outside:
                self._send("BEGIN", ([], []))

    def _send(self, text: str, encoded: tuple[list[bytes | None], list[int]]) -> None:
        name = self._names.get(text)
        if name is None:
            self._numbered += 1
            name = b"trm_%d" % self._numbered
            self._libpq.send_prepare(name, text.encode())
            self._names[text] = name
            self._queue.append(text)
        self._libpq.send_query_prepared(name, *encoded, _BINARY)
        self._queue.append(None)

    def _flush(self) -> None:
        while self._libpq.flush():  # the server's answers may be what keeps it from reading on
            self._poll.modify(self._libpq.socket, select.POLLIN | select.POLLOUT)
            ready = self._ready()
            self._poll.modify(self._libpq.socket, select.POLLIN)
            if any(event & ~select.POLLOUT for _, event in ready):
                self._libpq.consume_input()

    def _answer(self) -> Any:
        libpq = self._libpq
        while libpq.is_busy():
            self._ready()
            libpq.consume_input()
        return libpq.get_result()

    def _ready(self) -> list[tuple[int, int]]:
        """Wait until there is something to read, or to write where that is waited for.

        Raises:
            psycopg.OperationalError: the server says nothing: it, or the way to it, is gone.
        """
        ready = self._poll.poll(_PATIENCE)
        if not ready:
            raise OperationalError("the server says nothing")
        return ready


def _encoded(values: list[Any]) -> tuple[list[bytes | None], list[int]]:
    """Return the parameters and the form of each."""
    sent: list[bytes | None] = []
    forms: list[int] = []
    for value in values:
        if isinstance(value, str):
            sent.append(value.encode())
            forms.append(_BINARY)
        elif value is None or isinstance(value, bytes):
            sent.append(value)
            forms.append(_BINARY)
        elif isinstance(value, bool):
            sent.append(b"t" if value else b"f")
            forms.append(_TEXT)
        elif isinstance(value, int):
            sent.append(b"%d" % value)
            forms.append(_TEXT)  # of whatever width the column is
        else:
            raise DataError(f"no column keeps a value of type {type(value).__name__}")
    return sent, forms
