# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store contract on SQLite, and what only SQLite can get wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import DiskFull, StoreCorrupt, StoreNeedsMigration, StoreUnavailable
from broker.ports import Store, Transaction
from broker.storage import check, group_commit, migrate, open_store
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.store_contract import StoreContract
from broker.testing.store_rows import EE, NOW, later, message_id, outgoing, procedure, procedure_id, record_entry

_OTHER_PROCESS = """
import asyncio, sys
from broker.storage import open_store
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.store_rows import EE, FI, later, message_id, procedure_id, record_entry

def count(tx):
    row = tx.lock_procedure(procedure_id(1))
    tx.add_record_entry(row.ref.id, record_entry(len(tx.record(row.ref.id))))

async def main():
    store = open_store(sys.argv[1], us=EE, cipher=unsafe_at_rest())
    for _ in range(int(sys.argv[2])):
        await store.run(count)
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database file with the store's tables."""
    url = f"sqlite:///{tmp_path / 'node' / 'store.db'}"
    migrate(url)
    return url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """A store on the file."""
    store = open_store(url, us=EE, cipher=unsafe_at_rest())
    yield store
    await store.close()


def path_of(url: str) -> Path:
    """Return the file."""
    return Path(url.removeprefix("sqlite:///"))


class TestSqlite(StoreContract):
    @pytest.fixture
    async def store(self, url: str) -> AsyncIterator[Store]:
        """A store on the file."""
        store = open_store(url, us=EE, cipher=unsafe_at_rest())
        yield store
        await store.close()

    @pytest.fixture
    async def another(self, url: str, store: Store) -> AsyncIterator[Store]:
        """Another store on the same file."""
        another = open_store(url, us=EE, cipher=unsafe_at_rest())
        yield another
        await another.close()


async def test_two_processes_on_one_file_are_correct(store: Store, url: str) -> None:
    """Counting in one row by two processes at once loses no count."""
    await store.run(lambda tx: tx.add_procedure(procedure(1)))
    command = [sys.executable, "-c", _OTHER_PROCESS, url, "40"]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)

    def count(tx: Transaction) -> None:
        row = tx.lock_procedure(procedure_id(1))
        assert row is not None
        tx.add_record_entry(row.ref.id, record_entry(len(tx.record(row.ref.id))))

    for _ in range(40):
        await store.run(count)
    _, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    record = await store.run(lambda tx: tx.record(procedure_id(1)))
    assert {entry.message for entry in record} == {message_id(n) for n in range(80)}


async def test_a_full_disk_commits_nothing_and_is_survived(store: Store, url: str) -> None:
    """The caller hears DiskFull, what was there stays, and with room again the store works without a restart."""
    await store.run(lambda tx: tx.add_outbox(outgoing(0), next_at=NOW))
    writer = store._writer  # type: ignore[attr-defined]

    def limit(pages: int) -> None:
        writer._connect()[1].execute(f"PRAGMA max_page_count = {pages}")

    used = await store.run(lambda tx: writer._connect()[1].execute("PRAGMA page_count").fetchone()[0])
    await store.run(lambda tx: limit(used + 3))

    def work(number: int) -> object:
        def fn(tx: Transaction) -> None:
            tx.add_outbox(outgoing(number), next_at=NOW)
            tx.add_outbox(outgoing(number + 1000, said="x" * 20_000), next_at=NOW)

        return fn

    outcomes = await asyncio.gather(*(store.run(work(n)) for n in range(1, 5)), return_exceptions=True)  # type: ignore[arg-type]
    assert [type(outcome) for outcome in outcomes] == [DiskFull] * 4
    rows = await store.run(lambda tx: tx.lease_outbox(now=NOW, until=later(1), token="t", limit=10))
    assert [row.id for row in rows] == [message_id(0)]
    await store.run(lambda tx: limit(1_000_000))
    await store.run(work(1))  # type: ignore[arg-type]
    assert await store.run(lambda tx: tx.outbox(message_id(1001))) is not None


async def test_a_commit_that_fails_fails_everybody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """All who wait for the same commit hear the error, nothing of theirs is there, and the next group works."""
    writer = store._writer  # type: ignore[attr-defined]
    connect = writer._connect

    class Broken:
        """The driver's connection, whose disk is full at the last moment."""

        def __init__(self, driver: sqlite3.Connection) -> None:
            self.driver = driver

        def __getattr__(self, name: str) -> object:
            return getattr(self.driver, name)

        def execute(self, statement: str) -> object:
            if statement == "COMMIT":
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return self.driver.execute(statement)

    def broken() -> tuple[object, Broken]:
        connection, driver = connect()
        return connection, Broken(driver)

    monkeypatch.setattr(writer, "_connect", broken)
    outcomes = await asyncio.gather(
        *(store.run(lambda tx, n=n: tx.add_outbox(outgoing(n), next_at=NOW)) for n in range(5)),  # type: ignore[misc]
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [DiskFull] * 5
    monkeypatch.undo()
    counts = await store.read(lambda reader: reader.counts())
    assert counts["outbox.recorded"] == 0
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    assert (await store.read(lambda reader: reader.counts()))["outbox.recorded"] == 1


@asynccontextmanager
async def busy(store: Store, ending: Callable[[], None] = lambda: None) -> AsyncIterator[list[str]]:
    """Keep the writer at one transaction, which then ends so; what is asked for in the block waits behind it.

    Gives the statements that follow, and does not end before all that was asked for has been queued.
    """
    writer = store._writer  # type: ignore[attr-defined]
    statements: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        writer._connect()[1].set_trace_callback(statements.append)
        begun.set()
        go_on.wait(10)
        ending()

    held = asyncio.create_task(store.run(hold))
    await asyncio.to_thread(begun.wait, 10)
    yield statements
    await asyncio.sleep(0)
    go_on.set()
    await held


async def test_what_waits_together_is_committed_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has come while others were written shares one commit, 128 at the most."""
    monkeypatch.setattr(group_commit, "_GROUP_SECONDS", 60)  # a slow machine ends no group before
    async with busy(store) as statements:
        rest = [
            asyncio.create_task(store.run(lambda tx, n=n: tx.add_outbox(outgoing(n), next_at=NOW)))  # type: ignore[misc]
            for n in range(500)
        ]
    await asyncio.gather(*rest)
    sizes = [0]
    for statement in statements:
        if statement.startswith("INSERT INTO outbox ("):
            sizes[-1] += 1
        elif statement == "COMMIT":
            sizes.append(0)
    assert sizes == [127, 128, 128, 117, 0]
    assert all(statement == "BEGIN IMMEDIATE" for statement in statements if statement.startswith("BEGIN"))


async def test_a_group_is_short(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is time to commit, what waits besides is left to the next group."""
    monkeypatch.setattr(group_commit, "_GROUP_SECONDS", 0)
    monkeypatch.setattr(group_commit, "_GROUP_COMMITS", 0)
    async with busy(store) as statements:
        rest = [asyncio.create_task(store.run(lambda _: None)) for _ in range(4)]
    await asyncio.gather(*rest)
    assert statements.count("COMMIT") == 5


async def test_on_a_slow_disk_more_share_a_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group may last several times what the last commit took, or most of the time would go into waiting for the disk."""
    monkeypatch.setattr(group_commit, "_GROUP_SECONDS", 0)
    await store.run(lambda _: None)
    store._writer._commit_seconds = 60  # type: ignore[attr-defined]
    async with busy(store) as statements:
        rest = [asyncio.create_task(store.run(lambda _: None)) for _ in range(4)]
    await asyncio.gather(*rest)
    assert statements.count("COMMIT") == 1


async def test_a_group_holds_the_file_on_when_its_first_failed(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the next one reads no other process changes before it writes: it would have to begin anew, and cannot."""
    monkeypatch.setattr(group_commit, "_GROUP_SECONDS", 60)  # a slow machine ends no group before

    def fail() -> None:
        raise ValueError("the first")

    def look(_: Transaction) -> str:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                return str(error)
        return "the file was free"

    with pytest.raises(ValueError, match="the first"):
        async with busy(store, fail):
            looking = asyncio.create_task(store.run(look))
    assert await looking == "database is locked"


async def test_what_fails_has_those_before_it_done_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their work is there, once, and each hears of its last run; after a first failure nobody's work is taken back."""
    monkeypatch.setattr(group_commit, "_GROUP_SECONDS", 60)  # a slow machine ends no group before
    runs: list[int] = []

    def work(number: int) -> Callable[[Transaction], int]:
        def fn(tx: Transaction) -> int:
            runs.append(number)
            tx.add_outbox(outgoing(number), next_at=NOW)
            if number in {3, 5}:
                raise ValueError(number)
            return runs.count(number)

        return fn

    async with busy(store) as statements:
        asked = [asyncio.create_task(store.run(work(number))) for number in range(1, 7)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert runs == [1, 2, 3, 1, 2, 4, 5, 6]
    assert [one if isinstance(one, int) else type(one) for one in outcomes] == [2, 2, ValueError, 1, ValueError, 1]
    assert statements.count("COMMIT") == 1
    kept = await store.run(lambda tx: tx.lease_outbox(now=NOW, until=later(1), token="t", limit=10))
    assert [row.id for row in kept] == [message_id(number) for number in (1, 2, 4, 6)]


async def test_no_page_is_copied_for_what_does_not_fail(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A savepoint has SQLite copy each page before its first change: a group is without, unless one of it failed."""
    monkeypatch.setattr(group_commit, "_GROUP_SECONDS", 60)  # a slow machine ends no group before
    async with busy(store) as statements:
        asked = [asyncio.create_task(store.run(lambda _: None)) for _ in range(3)]
    await asyncio.gather(*asked)
    assert statements == ["COMMIT"]


async def test_what_was_given_up_before_its_turn_never_runs(store: Store) -> None:
    """A caller that is cancelled while others are written finds its work undone, and not done behind its back."""
    ran: list[str] = []
    async with busy(store):
        given_up = asyncio.create_task(store.run(lambda _: ran.append("given up")))
        await asyncio.sleep(0)
        behind = asyncio.create_task(store.run(lambda _: ran.append("behind")))
        given_up.cancel()
    await asyncio.wait({given_up, behind})
    assert ran == ["behind"]


async def test_what_goes_ahead_waits_for_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs next, and is committed before those that waited longer begin."""
    monkeypatch.setattr(group_commit, "_GROUP_SECONDS", 60)  # a slow machine ends no group before
    done: list[tuple[str, int]] = []
    async with busy(store) as statements:

        def note(what: str) -> Callable[[Transaction], None]:
            return lambda _: done.append((what, statements.count("COMMIT")))

        rest = [asyncio.create_task(store.run(note("rest"))) for _ in range(3)]
        await asyncio.sleep(0)
        ahead = asyncio.create_task(store.run(note("ahead"), ahead=True))
    await asyncio.gather(ahead, *rest)
    assert done == [("ahead", 0), ("rest", 1), ("rest", 1), ("rest", 1)]


async def test_the_file_is_durable_and_private(store: Store, url: str) -> None:
    """WAL, full synchronisation and foreign keys are on where it is written, and nobody else may read it."""
    writer = store._writer  # type: ignore[attr-defined]

    def pragmas(_: object) -> list[object]:
        driver = writer._connect()[1]
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [driver.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await store.run(pragmas) == ["wal", 2, 1, 10_000]
    files = list(path_of(url).parent.iterdir())
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


async def test_readers_cannot_write(store: Store) -> None:
    """The reading connections are read-only to SQLite itself."""

    def write(reader: object) -> None:
        reader._connection.exec_driver_sql("DELETE FROM outbox")  # type: ignore[attr-defined]

    with pytest.raises(StoreUnavailable):
        await store.read(write)


async def test_reading_works_before_anything_was_written(url: str) -> None:
    """A store that only reads needs no writer first."""
    store = open_store(url, us=EE, cipher=unsafe_at_rest())
    assert (await store.read(lambda reader: reader.counts()))["outbox.recorded"] == 0
    await store.close()


async def test_a_reading_connection_that_breaks_is_replaced(store: Store) -> None:
    """Only the reader that met it hears of it; the next one gets another connection."""

    def breaks(reader: Any) -> None:
        reader._connection.connection.dbapi_connection.close()

    for _ in range(3):
        with pytest.raises(RuntimeError):
            await store.read(breaks)
        assert (await store.read(lambda reader: reader.counts()))["parked"] == 0


async def test_a_locked_file_is_unavailable(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program that keeps the file locked costs a bounded wait, not a hang; afterwards all works."""
    writer = store._writer  # type: ignore[attr-defined]
    await store.run(lambda tx: writer._connect()[1].execute("PRAGMA busy_timeout = 50"))
    other = sqlite3.connect(path_of(url), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await store.run(lambda tx: tx.outbox(message_id(1)))
    other.execute("ROLLBACK")
    other.close()
    assert await store.run(lambda tx: tx.outbox(message_id(1))) is None


async def test_a_row_that_we_did_not_write_is_corruption(store: Store, url: str) -> None:
    """A value that is not of its kind, and a header that is none, are StoreCorrupt."""
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    other = sqlite3.connect(path_of(url))
    other.execute("UPDATE outbox_content SET header = '{}'")
    other.commit()
    with pytest.raises(StoreCorrupt):
        await store.run(lambda tx: tx.outbox(message_id(1)))
    other.execute("UPDATE outbox SET state = 'sideways'")
    other.commit()
    other.close()
    with pytest.raises(StoreCorrupt) as caught:
        await store.run(lambda tx: tx.outbox(message_id(1)))
    assert "sideways" not in str(caught.value)


def test_a_missing_file_needs_migration(tmp_path: Path) -> None:
    """Opening never makes a file: a mistyped path does not become an empty store."""
    path = tmp_path / "nowhere.db"
    with pytest.raises(StoreNeedsMigration):
        open_store(f"sqlite:///{path}", us=EE, cipher=unsafe_at_rest())
    assert not path.exists()


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    """It is said without its content, and the file is left alone."""
    path = tmp_path / "store.db"
    path.write_bytes(b"Test-Maarika" * 1000)
    for door in (check, migrate):
        with pytest.raises(StoreCorrupt) as caught:
            door(f"sqlite:///{path}")
        assert "Maarika" not in str(caught.value)
    assert path.read_bytes() == b"Test-Maarika" * 1000


def test_an_unwritable_place_is_unavailable(tmp_path: Path) -> None:
    """A folder that is a file cannot hold a database."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        migrate(f"sqlite:///{tmp_path / 'file' / 'store.db'}")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
