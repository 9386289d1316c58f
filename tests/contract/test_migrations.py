# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A fresh schema and a migrated one are the same, on both databases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from broker.core.errors import SettingsInvalid, StoreNeedsMigration
from broker.ports import Store
from broker.storage import check, migrate, open_store
from broker.storage.schema import HEAD, MIGRATIONS, exclusively, parse_url, upgrade, writing_engine
from broker.storage.tables import metadata
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.postgres import PostgresServer
from broker.testing.store_rows import EE, NOW, message_id, outgoing


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for a database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def second_url(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Another empty place of the same kind."""
    if url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'second.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_run")
    second = server.database()
    yield second
    server.drop(second)


def touch(url: str) -> None:
    """Make the empty file that SQLite begins with."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()


@contextmanager
def inside(url: str) -> Iterator[Connection]:
    """Give a connection in a transaction that is committed at the end."""
    engine = writing_engine(parse_url(url))
    try:
        with exclusively(engine) as connection:
            yield connection
    finally:
        engine.dispose()


def by_alembic(url: str) -> None:
    """Bring an empty database to the head by the revisions alone."""
    touch(url)
    with inside(url) as connection:
        upgrade(connection)


def as_declared(connection: Connection) -> Any:
    """Return the differences that Alembic sees between the database and our tables."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return compare_metadata(context, metadata)


def described(url: str) -> Any:
    """Return every table, index and rule as the database itself tells it."""
    with inside(url) as connection:
        if url.startswith("sqlite"):
            rows = connection.execute(text("SELECT type, name, sql FROM sqlite_master ORDER BY type, name"))
            return {(kind, name): squeezed(sql) for kind, name, sql in rows}
        columns = connection.execute(
            text(
                "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default,"
                " collation_name, is_identity FROM information_schema.columns WHERE table_schema = 'public'"
            )
        ).all()
        indexes = connection.execute(text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
        rules = connection.execute(
            text(
                "SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace"
            )
        )
        storage = connection.execute(
            text(
                "SELECT attrelid::regclass::text, attname, attstorage FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
                " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0"
            )
        )
        return {tuple(row) for row in (*columns, *indexes, *rules, *storage)}


def squeezed(sql: str | None) -> list[str]:
    """Return a statement's parts in an order of their own: where white space and constraints stand is no difference."""
    return sorted(part.strip(" (),") for part in " ".join((sql or "").split()).split(","))


def test_a_fresh_schema_equals_a_migrated_one(url: str, second_url: str) -> None:
    """Created at once or by every revision in turn, the database describes itself alike."""
    migrate(url)
    by_alembic(second_url)
    fresh = described(url)
    assert len(fresh) > 30
    assert described(second_url) == fresh


@pytest.mark.parametrize("way", [migrate, by_alembic])
def test_the_database_is_as_the_tables_declare(url: str, way: Any) -> None:
    """Alembic finds nothing to do, whichever way it was made."""
    way(url)
    with inside(url) as connection:
        assert as_declared(connection) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_the_program_names_the_newest_revision() -> None:
    """The head that is checked at every start is the end of the one line of revisions."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_migrating_again_changes_nothing(url: str) -> None:
    """A database in use keeps its rows."""
    migrate(url)
    store: Store = open_store(url, us=EE, cipher=unsafe_at_rest())
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    await store.close()
    migrate(url)
    check(url)
    store = open_store(url, us=EE, cipher=unsafe_at_rest())
    assert await store.run(lambda tx: tx.outbox(message_id(1))) is not None
    await store.close()


def test_an_empty_database_needs_migration(url: str) -> None:
    """Nothing is created by looking."""
    touch(url)
    for door in (check, lambda u: open_store(u, us=EE, cipher=unsafe_at_rest())):
        with pytest.raises(StoreNeedsMigration):
            door(url)
    with inside(url) as connection:
        assert inspect(connection).get_table_names() == []


def test_a_newer_database_is_left_alone(url: str) -> None:
    """A program that is too old neither opens nor changes it."""
    migrate(url)
    with inside(url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = described(url)
    for door in (check, migrate, lambda u: open_store(u, us=EE, cipher=unsafe_at_rest())):
        with pytest.raises(StoreNeedsMigration):
            door(url)
    assert described(url) == before


def test_foreign_tables_are_not_built_over(url: str) -> None:
    """A database with tables of somebody else, and none of ours, is migrated beside them or not at all."""
    touch(url)
    with inside(url) as connection:
        connection.execute(text("CREATE TABLE outbox (theirs INTEGER)"))
    with pytest.raises(RuntimeError):
        migrate(url)
    with inside(url) as connection:
        assert inspect(connection).get_table_names() == ["outbox"]
        assert [column["name"] for column in inspect(connection).get_columns("outbox")] == ["theirs"]


def test_processes_that_migrate_at_once_agree(url: str) -> None:
    """One creates, the others find it done."""
    command = [sys.executable, "-c", "import sys; from broker.storage import migrate; migrate(sys.argv[1])", url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    problems = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], problems
    check(url)


def test_an_up_to_date_start_does_not_load_alembic(tmp_path: Path) -> None:
    """Neither creating nor opening costs its memory."""
    program = (
        "import sys; from broker.storage import locked, migrate, open_store; from broker.core.ids import CountryCode\n"
        "migrate(sys.argv[1]); open_store(sys.argv[1], us=CountryCode('EE'), cipher=locked())\n"
        "print([m for m in ('alembic', 'mako', 'psycopg') if m in sys.modules])"
    )
    url = f"sqlite:///{tmp_path / 'store.db'}"
    done = subprocess.run([sys.executable, "-c", program, url], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "address", ["", "store.db", "sqlite://", "sqlite:///:memory:", "mysql://x/y", "postgresql+asyncpg://x/y", "://"]
)
def test_other_addresses_are_refused(address: str) -> None:
    """Only the two databases of this program are taken, and a password in the address is not repeated."""
    for door in (check, migrate, lambda u: open_store(u, us=EE, cipher=unsafe_at_rest())):
        with pytest.raises(SettingsInvalid):
            door(address)
