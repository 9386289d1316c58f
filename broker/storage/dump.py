# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of whole tables out of a running store, and into an empty one: the same on both databases.

- What is written out is one unchanging view: SQLite's read transaction over the WAL, PostgreSQL's REPEATABLE READ. The
  node goes on meanwhile.
- A row is one line of JSON with the driver's own values in the order of the columns, bytes as base64: a backup of one
  database is restored into the other. Contents stay the ciphertext that they are.
- Rows come in in one transaction: an interrupted restore leaves an empty database.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Boolean, Connection, Table, bindparam, inspect, select, text

from broker.core.attachments import chunk_count
from broker.core.audit import AuditRow, Head
from broker.core.errors import BackupInvalid, HomeInvalid
from broker.core.ids import CountryCode
from broker.core.owed_chunks import OwedChunks
from broker.storage import attachments, held, search, trail
from broker.storage.columns import Raw
from broker.storage.encrypting import refuse_clear
from broker.storage.erasing import erased_cases, mark_destroyed
from broker.storage.execution import Execution, insert_new
from broker.storage.faults import fault_of
from broker.storage.healing import begin_healing
from broker.storage.postgres import postgres_engine
from broker.storage.presence import refuse_beside_server
from broker.storage.schema import HEAD, checked, create_at, exclusive, parse_url, sqlite_path, upgrade
from broker.storage.sqlite import sqlite_engine
from broker.storage.tables import LEFT_OUT, attachment, case_key, counter, key_epoch, metadata, parked_chunk, upload

__all__ = ["KEY_TABLES", "Loading", "Snapshot", "StoredFile", "data_tables", "loading", "restored_already", "snapshot"]

KEY_TABLES = (str(case_key.name), str(key_epoch.name))
_BATCH = 500  # rows
_BLOCK = 512 * 1024  # bytes of lines that are handed on together
_MARK = "restored."  # of a row of `counter`: which backup a database was restored from
_ADD_MARK = insert_new(counter)
_FIND_MARK = select(counter.c.value).where(counter.c.name == bindparam("name_"))
_EPOCHS = select(case_key.c.epoch).where(case_key.c.wrapped.is_not(None)).distinct()
_FILES = select(
    attachment.c.author, attachment.c.message, attachment.c.blob, attachment.c.chunks, attachment.c.owed
).where(attachment.c.code.is_(None))  # what was not what its message says was deleted, and a person called


def data_tables() -> tuple[str, ...]:
    """Return the tables of a backup of data, in an order in which none refers to a later one."""
    return tuple(str(table.name) for table in metadata.sorted_tables if LEFT_OUT not in table.info)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """Sealed bytes on the disk that the tables name."""

    name: str
    owner: str  # the message that it is of, or the upload that no message took yet
    chunks: int  # that are here by what the tables say; the others are on their way in


class Snapshot:
    """One view of a store's tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.dbapi_connection
        self._server = connection.dialect.name == "postgresql"

    @property
    def schema(self) -> str:
        """The revision of the tables."""
        return HEAD

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the columns in the order of a row's values."""
        return tuple(str(name) for name in metadata.tables[table].columns.keys())  # noqa: SIM118

    def rows(self, table: str) -> Iterator[bytes]:
        """Yield the rows as blocks of lines."""
        known, block, size = metadata.tables[table], [], 0
        convert = _converters(known)
        for rows in self._batches(known):
            for row in rows:
                line = orjson.dumps(
                    [value if fn is None else fn(value) for fn, value in zip(convert, row, strict=True)]
                )
                block.append(line)
                size += len(line) + 1
                if size >= _BLOCK:
                    yield b"\n".join(block) + b"\n"
                    block, size = [], 0
        if block:
            yield b"\n".join(block) + b"\n"

    def numbers(self) -> Mapping[str, int]:
        """Return the highest number that was ever given to rows that are numbered, by table."""
        return {name: self._highest(name) for name in _numbered()}

    def files(self, us: CountryCode) -> tuple[StoredFile, ...]:
        """Return the files of messages, ours and others', chunks that came before their message, and uploads.

        A message that waits for a second person names uploads, for a week: without them it could not be released.
        """
        parked = self._connection.execute(select(parked_chunk.c.blob, parked_chunk.c.message))
        found = [StoredFile(name=row.blob, owner=row.message, chunks=1) for row in parked]
        for row in self._connection.execute(_FILES):
            owed = 0 if row.author == us else len(OwedChunks.from_text(row.owed))  # of ours: what is still to be sent
            found.append(StoredFile(name=row.blob, owner=row.message, chunks=row.chunks - owed))
        uploads = self._connection.execute(select(upload.c.id, upload.c.received))
        found += [StoredFile(name=one.id, owner=one.id, chunks=chunk_count(one.received)) for one in uploads]
        return tuple(sorted(found, key=lambda file: file.name))

    def audit_head(self) -> Head:
        """Return the end of the audit trail's chain."""
        return trail.head(Execution(self._connection))

    def epochs(self) -> frozenset[int]:
        """Return the epochs that keys of cases are wrapped under."""
        return frozenset(self._connection.execute(_EPOCHS).scalars())

    def _batches(self, table: Table) -> Iterator[Sequence[Sequence[Any]]]:
        columns = ", ".join(f'"{name}"' for name in table.columns.keys())  # noqa: SIM118
        keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
        cursor = self._driver.cursor(name=f"dump_{table.name}") if self._server else self._driver.cursor()
        try:
            words = f'SELECT {columns} FROM "{table.name}" ORDER BY {keys}'  # noqa: S608  names of our own tables
            cursor.execute(words)
            while rows := cursor.fetchmany(_BATCH):
                yield rows
        finally:
            cursor.close()

    def _highest(self, table: str) -> int:
        if self._server:
            row = self._driver.execute(f"SELECT last_value, is_called FROM {table}_id_seq").fetchone()  # noqa: S608
            return int(row[0]) if row[1] else 0
        kept = self._driver.execute("SELECT name FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone()
        row = None
        if kept is not None:
            row = self._driver.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        if row is None:
            row = self._driver.execute(f'SELECT MAX(id) FROM "{table}"').fetchone()  # noqa: S608
        return int(row[0] or 0)


@contextmanager
def snapshot(url: str) -> Iterator[Snapshot]:
    """Give one unchanging view of a store that may be in use.

    Raises:
        StoreNeedsMigration: it is empty, of another version, or an older program left messages in clear.
        StoreUnavailable, StoreCorrupt: it cannot be read.
    """
    with checked(url) as connection:
        refuse_clear(connection)
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    engine = postgres_engine(parsed, read_only=True) if path is None else sqlite_engine(path, read_only=True)
    try:
        with engine.connect() as connection:
            if path is None:
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            else:
                connection.exec_driver_sql("BEGIN")
            yield Snapshot(connection)
            connection.exec_driver_sql("ROLLBACK")
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault.error from None
    finally:
        engine.dispose()


class Loading:
    """A transaction that fills an empty database."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.dbapi_connection
        self._server = connection.dialect.name == "postgresql"
        self._schema = schema
        self._columns: dict[str, dict[str, Any]] = {}
        self._inspected = inspect(connection)

    def take(self, table: str, columns: Sequence[str], block: bytes) -> None:
        """Add a block of lines.

        Raises:
            BackupInvalid: it does not fit the tables.
        """
        kinds = self._kinds(table)
        if not set(columns) <= kinds.keys() or not columns:
            raise BackupInvalid("The backup has a table or column that its version does not have.")
        convert = [_reader(kinds[name], server=self._server) for name in columns]
        mark = "%s" if self._server else "?"
        named = ", ".join(f'"{name}"' for name in columns)
        words = f'INSERT INTO "{table}" ({named}) VALUES ({", ".join([mark] * len(columns))})'  # noqa: S608  checked above
        try:
            rows = [
                [value if fn is None or value is None else fn(value) for fn, value in zip(convert, row, strict=True)]
                for row in map(orjson.loads, block.splitlines())
            ]
        except (ValueError, TypeError):
            raise BackupInvalid("The backup has a row that is none.") from None
        cursor = self._driver.cursor()
        cursor.executemany(words, rows)
        cursor.close()

    def bring_to(self, schema: str) -> None:
        """Bring the tables to the version of what comes next, where that is a later one.

        Raises:
            StoreNeedsMigration: they cannot be brought there.
        """
        if schema > self._schema:
            upgrade(self._connection, schema)
            self._schema = schema
            self._columns.clear()
            self._inspected = inspect(self._connection)

    def count_on(self, numbers: Mapping[str, int]) -> None:
        """Let no number be given a second time."""
        for table, highest in numbers.items():
            if table not in _numbered():
                raise BackupInvalid("The backup counts a table that has no numbers.")
            if self._server:
                known = max(int(highest), 1)
                words = f"SELECT setval('{table}_id_seq', {known}, {'true' if highest else 'false'})"
                self._driver.execute(words)
            elif metadata.tables[table].dialect_options["sqlite"]["autoincrement"]:
                self._driver.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
                self._driver.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, int(highest)))

    def finish(self, mark: str, note: AuditRow, since: datetime, *, us: CountryCode, lacking: Sequence[str]) -> int:
        """Bring the tables to this program's version, note which backup it was; return how many cases are erased.

        Args:
            mark: of the backup.
            note: for the audit trail.
            since: when the backup was begun.
            us: whose node it is.
            lacking: messages of whose files the backup lacks bytes.

        Raises:
            StoreNeedsMigration: they cannot be brought there.
        """
        self.bring_to(HEAD)
        db = Execution(self._connection)
        mark_destroyed(db)
        search.owe_all(db)
        held.drop_unreadable(db)
        attachments.doubt(db, us, lacking, at=note.at)
        last = trail.head(db)
        trail.add(db, note)
        begin_healing(db, since=since, restored=note.at, position=last.position, head=last.chain)
        db.changed(_ADD_MARK, {"name": f"{_MARK}{mark}", "value": 1})
        return erased_cases(db)

    def _kinds(self, table: str) -> dict[str, Any]:
        if table not in self._columns:
            known = table if self._inspected.has_table(table) else None
            found = [] if known is None else self._inspected.get_columns(table)
            self._columns[table] = {column["name"]: column["type"] for column in found}
        return self._columns[table]


@contextmanager
def loading(url: str, schema: str) -> Iterator[Loading]:
    """Give an empty database with the tables of a version, in one transaction.

    Raises:
        HomeInvalid: the database is not empty.
        StoreNeedsMigration: the version is newer than this program.
        StoreUnavailable, DiskFull, StoreCorrupt: nothing was changed.
    """
    try:
        with exclusive(url) as connection:
            refuse_beside_server(connection)
            if inspect(connection).get_table_names():
                raise HomeInvalid("The database is not empty: nothing is ever restored over something.", where="store")
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            create_at(connection, schema)
            yield Loading(connection, schema)
    except Exception as error:  # the driver's own too: rows go past SQLAlchemy
        fault = fault_of(error)
        if fault is None:
            raise
        raise fault.error from None


def restored_already(url: str, mark: str) -> int | None:
    """Return how many cases are erased in a database that was restored from that backup; None where it was not.

    Raises:
        StoreUnavailable: it does not answer.
    """
    path = sqlite_path(parse_url(url))
    if path is not None and not path.exists():
        return None
    with exclusive(url) as connection:
        if not inspect(connection).has_table(counter.name):
            return None
        db = Execution(connection)
        return None if db.first(_FIND_MARK, {"name_": f"{_MARK}{mark}"}) is None else erased_cases(db)


def _numbered() -> tuple[str, ...]:
    """Return the tables whose rows the database numbers."""
    return tuple(str(table.name) for table in metadata.sorted_tables if table.autoincrement_column is not None)


def _converters(table: Table) -> list[Any]:
    return [_writer(column.type) for column in table.columns]


def _writer(kind: Any) -> Any:
    if isinstance(kind, Raw):
        return _to_text
    return _to_bool if isinstance(kind, Boolean) else None


def _reader(kind: Any, *, server: bool) -> Any:
    name = type(kind).__name__.upper()
    if name in {"BLOB", "BYTEA"}:
        return b64decode
    return bool if name == "BOOLEAN" and server else None


def _to_text(value: Any) -> str | None:
    return None if value is None else b64encode(value).decode("ascii")


def _to_bool(value: Any) -> bool | None:
    return None if value is None else bool(value)
