# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Creating, upgrading and checking the tables. Alembic is loaded only when an older database must be upgraded."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    inspect,
    make_url,
    text,
)  # fmt: skip
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from broker.core.errors import BrokerError, SettingsInvalid, StoreNeedsMigration, StoreUnavailable
from broker.storage.columns import Raw
from broker.storage.faults import fault_of
from broker.storage.postgres import postgres_engine
from broker.storage.sqlite import sqlite_engine
from broker.storage.tables import metadata

__all__ = [
    "HEAD",
    "MIGRATIONS",
    "check",
    "checked",
    "create_at",
    "exclusive",
    "exclusively",
    "is_empty",
    "migrate",
    "parse_url",
    "reading",
    "refuse_newer",
    "rewrite_files",
    "shown",
    "sqlite_path",
    "upgrade",
    "writing_engine",
]

HEAD = "0015"  # the newest revision in migrations/versions
MIGRATIONS = Path(__file__).parent / "migrations"

_ALEMBIC = Table(  # as Alembic itself makes it
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7234906)")  # any number; processes that migrate share it
_SERVER = frozenset({"postgresql", "postgresql+psycopg"})


def parse_url(url: str) -> URL:
    """Return a database address of a kind that this program knows.

    Raises:
        SettingsInvalid: it is neither ``sqlite:///path`` nor ``postgresql://…``.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername in _SERVER:
            parsed.set(drivername="postgresql+psycopg").get_dialect()().create_connect_args(parsed)
    except (ArgumentError, ValueError):
        raise SettingsInvalid("The store's address is not a database URL.", where="store_url") from None
    sqlite_file = parsed.drivername == "sqlite" and parsed.database not in {None, "", ":memory:"}
    if not sqlite_file and parsed.drivername not in _SERVER:
        raise SettingsInvalid("The store's address must be sqlite:///path or postgresql://…", where="store_url")
    return parsed


def sqlite_path(url: URL) -> Path | None:
    """Return the file of an SQLite address; None for PostgreSQL."""
    return Path(url.database or "") if url.drivername == "sqlite" else None


def writing_engine(url: URL) -> Engine:
    """Return an engine of one writing connection."""
    path = sqlite_path(url)
    return postgres_engine(url, read_only=False) if path is None else sqlite_engine(path, read_only=False)


def check(url: str) -> None:
    """Return where the database has this program's schema.

    Raises:
        StoreNeedsMigration, StoreUnavailable, SettingsInvalid: as `checked`.
    """
    with checked(url):
        pass


@contextmanager
def checked(url: str) -> Iterator[Connection]:
    """Give a connection of its own for one look at a database that has this program's schema.

    Raises:
        StoreNeedsMigration: it is empty, older or newer.
        StoreUnavailable: it does not answer.
        SettingsInvalid: the address is none.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is not None and not path.exists():
        raise StoreNeedsMigration("There is no database file yet.")
    with _door(parsed) as engine, engine.connect() as connection:
        if _version(connection) != HEAD:
            raise StoreNeedsMigration
        yield connection


def is_empty(url: str) -> bool:
    """Return whether nothing was ever stored there: no file, or no table, which a node's first start makes.

    Raises:
        StoreUnavailable: it does not answer.
        SettingsInvalid: the address is none.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is not None and not path.exists():
        return True
    with _door(parsed) as engine, engine.connect() as connection:
        return not inspect(connection).get_table_names()


def migrate(url: str) -> None:
    """Bring the database to this program's schema, creating it where there is none; safe from several processes.

    Raises:
        StoreNeedsMigration: it was written by a newer program.
        StoreUnavailable, DiskFull: nothing was changed.
        SettingsInvalid: the address is none.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    with _door(parsed) as engine:
        if path is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # the WAL inherits the mode
        with exclusively(engine) as connection:
            version = _version(connection)
            if version is None and not inspect(connection).get_table_names():
                _create(connection)
            elif version != HEAD:
                upgrade(connection)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run Alembic's revisions on a connection that is inside a transaction.

    Raises:
        StoreNeedsMigration: the database names a revision that this program does not have.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError:
        raise StoreNeedsMigration("The database was written by a newer version of this program.") from None


def refuse_newer(revision: str) -> None:
    """Return where this program has that revision of the tables.

    Raises:
        StoreNeedsMigration: it was written by a newer program.
    """
    if not any(MIGRATIONS.glob(f"versions/{revision}_*.py")):
        raise StoreNeedsMigration("It was written by a newer version of this program: install that one, and try again.")


def create_at(connection: Connection, revision: str) -> None:
    """Make the tables of a revision in an empty database, inside a transaction.

    Raises:
        StoreNeedsMigration: it is a revision that this program does not have.
    """
    if revision == HEAD:
        _create(connection)
    else:
        upgrade(connection, revision)


@contextmanager
def exclusive(url: str) -> Iterator[Connection]:
    """Give a connection of its own, in one transaction that no other process writes beside.

    Raises:
        StoreUnavailable, DiskFull: nothing was changed.
    """
    with _door(parse_url(url)) as engine, exclusively(engine) as connection:
        yield connection


def rewrite_files(url: str) -> None:
    """Write the database's files anew, so that no page keeps what was there before; nobody may be working with it.

    Raises:
        StoreUnavailable, DiskFull: it could not be finished.
    """
    with _door(parse_url(url)) as engine, engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        if engine.dialect.name == "sqlite":
            alone.exec_driver_sql("VACUUM")
            alone.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            alone.exec_driver_sql("SET statement_timeout = 0")
            for table in ("outbox_content", "inbox_content", "idempotency"):
                alone.exec_driver_sql(f"VACUUM FULL {table}")


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """Give a connection of its own for one look, which waits for nobody.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    with _door(parse_url(url)) as engine, engine.connect() as connection:
        yield connection


@contextmanager
def exclusively(engine: Engine) -> Iterator[Connection]:
    """Hold one transaction that no other process changes the schema beside."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")
        else:
            connection.execute(_ONE_AT_A_TIME)
            yield connection
            connection.commit()


def _create(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        _say_conditions()
    metadata.create_all(connection, checkfirst=False)
    if connection.dialect.name == "postgresql":
        _store_bytes_as_they_are(connection)
    _ALEMBIC.create(connection, checkfirst=False)
    connection.execute(_ALEMBIC.insert(), {"version_num": HEAD})


def _store_bytes_as_they_are(connection: Connection) -> None:
    """Spare PostgreSQL the attempt to compress each value: ciphertext and signed bytes get no smaller."""
    for table in metadata.tables.values():
        for column in (column for column in table.columns if isinstance(column.type, Raw)):
            connection.exec_driver_sql(f'ALTER TABLE "{table.name}" ALTER COLUMN "{column.name}" SET STORAGE EXTERNAL')


def _say_conditions() -> None:
    """Give partial indexes their condition for PostgreSQL too; in `tables` it would load that dialect everywhere."""
    for index in (index for table in metadata.tables.values() for index in table.indexes):
        index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]


def _version(connection: Connection) -> str | None:
    """Return the revision that the database names; None where it names none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


def shown(url: str) -> str:
    """Return which database an address means, for people: its file, or the setting that holds a server's address.

    Raises:
        SettingsInvalid: the address is none.
    """
    return _shown(parse_url(url))


def _shown(url: URL) -> str:
    path = sqlite_path(url)
    return str(path) if path is not None else "store_url"


@contextmanager
def _door(url: URL) -> Iterator[Engine]:
    """Let no exception of the database layer out."""
    engine = writing_engine(url)
    try:
        yield engine
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        fault = fault_of(error)
        told = fault.error if fault is not None else StoreUnavailable()
        if isinstance(told, BrokerError):
            told.where = _shown(url)
        raise told from None
    finally:
        engine.dispose()
