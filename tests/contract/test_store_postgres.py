# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store contract on PostgreSQL, and what only a server can get wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from broker.core.audit import AuditAction
from broker.core.errors import DiskFull, StoreUnavailable
from broker.core.ids import MessageId
from broker.ports import Reader, Store, Transaction
from broker.rows import AuditRow
from broker.storage import migrate, open_store, postgres, trail
from broker.storage.execution import Execution
from broker.storage.postgres import postgres_engine
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.postgres import URL_VARIABLE, PostgresServer, postgres_server
from broker.testing.store_contract import StoreContract
from broker.testing.store_rows import EE, NOW, later, message_id, outgoing, procedure, procedure_id

pytestmark = pytest.mark.postgres


@pytest.fixture
async def store(postgres_store_url: str) -> AsyncIterator[Store]:
    """A store on a database of its own."""
    store = open_store(postgres_store_url, us=EE, cipher=unsafe_at_rest())
    yield store
    await store.close()


class TestPostgres(StoreContract):
    @pytest.fixture
    async def store(self, postgres_store_url: str) -> AsyncIterator[Store]:
        """A store on a database of its own."""
        store = open_store(postgres_store_url, us=EE, cipher=unsafe_at_rest())
        yield store
        await store.close()

    @pytest.fixture
    async def another(self, postgres_store_url: str, store: Store) -> AsyncIterator[Store]:
        """Another store on the same database."""
        another = open_store(postgres_store_url, us=EE, cipher=unsafe_at_rest())
        yield another
        await another.close()


async def test_lost_connections_are_replaced(
    store: Store, postgres_run: PostgresServer, postgres_store_url: str
) -> None:
    """After the server cut every connection, as a restart does, the next work succeeds unasked."""
    await asyncio.gather(
        *(store.run(lambda tx, n=n: tx.add_outbox(outgoing(n), next_at=NOW)) for n in range(8))  # type: ignore[misc]
    )
    await store.read(lambda reader: reader.counts())
    assert postgres_run.disconnect_all(postgres_store_url) >= 2
    await asyncio.gather(
        *(store.run(lambda tx, n=n: tx.add_outbox(outgoing(n), next_at=NOW)) for n in range(8, 16))  # type: ignore[misc]
    )
    assert (await store.read(lambda reader: reader.counts()))["outbox.recorded"] == 16


async def test_one_transaction_gets_past_every_lost_connection(
    store: Store, postgres_run: PostgresServer, postgres_store_url: str
) -> None:
    """Though it meets each of those that lay idle, one after the other."""
    together = threading.Barrier(postgres._WRITERS)
    await asyncio.gather(*(store.run(lambda _: together.wait(10)) for _ in range(postgres._WRITERS)))
    assert postgres_run.disconnect_all(postgres_store_url) >= postgres._WRITERS
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    assert (await store.read(lambda reader: reader.counts()))["outbox.recorded"] == 1


async def test_a_connection_lost_in_the_middle_is_begun_again(
    store: Store, postgres_run: PostgresServer, postgres_store_url: str
) -> None:
    """The function runs once more on a new connection, and its work is there once."""
    runs: list[int] = []

    def work(tx: Transaction) -> None:
        tx.add_outbox(outgoing(1), next_at=NOW)
        runs.append(1)
        if len(runs) == 1:
            postgres_run.disconnect_all(postgres_store_url)
        tx.add_outbox(outgoing(2), next_at=NOW)

    await store.run(work)
    assert len(runs) == 2
    assert (await store.read(lambda reader: reader.counts()))["outbox.recorded"] == 2


async def test_a_connection_lost_at_commit_is_not_begun_again(
    store: Store, postgres_run: PostgresServer, postgres_store_url: str
) -> None:
    """Nobody knows the outcome, so the caller is told and the function is not run a second time."""
    runs: list[int] = []

    def work(tx: Transaction) -> None:
        tx.take_lease("trust", token="a", now=NOW, until=later(60))
        runs.append(1)
        postgres_run.disconnect_all(postgres_store_url)

    with pytest.raises(StoreUnavailable):
        await store.run(work)
    assert len(runs) == 1
    assert await store.run(lambda tx: tx.take_lease("trust", token="b", now=NOW, until=later(60))) is True


async def test_what_was_on_its_way_when_the_connection_was_lost_is_begun_again(
    store: Store, postgres_run: PostgresServer, postgres_store_url: str
) -> None:
    """What was written and not waited for is waited for before the commit: lost there, nothing is committed."""
    runs: list[int] = []

    def work(tx: Transaction) -> None:
        tx.audit(AuditRow(at=NOW, actor="a", action=AuditAction.RECEIVED, subject="s"))
        runs.append(1)
        if len(runs) == 1:
            postgres_run.disconnect_all(postgres_store_url)

    await store.run(work)
    assert len(runs) == 2
    assert len(await store.read(lambda reader: reader.unlinked_audit(10))) == 1


async def test_who_does_not_settle_waits_for_each_write(store: Store, postgres_store_url: str) -> None:
    """A restore and other work outside of the store's own transactions commits what it wrote, all of it."""
    engine = postgres_engine(make_url(postgres_store_url), read_only=False)
    with engine.begin() as connection:
        trail.add(Execution(connection), AuditRow(at=NOW, actor="a", action=AuditAction.RECEIVED, subject="s"))
    engine.dispose()
    assert len(await store.read(lambda reader: reader.unlinked_audit(10))) == 1


async def test_a_write_that_fails_unwaited_for_ends_its_transaction_alone(store: Store) -> None:
    """A key that is taken is told at the next answer or at the end; the connection's next user meets nothing of it."""
    await store.run(lambda tx: tx.add_procedure(procedure(1)))

    def twice(tx: Transaction) -> None:
        tx.add_outbox(outgoing(1), next_at=NOW)
        tx.add_procedure(procedure(1))

    for _ in range(5):  # every pooled connection
        with pytest.raises(RuntimeError):
            await store.run(twice)
    assert await store.run(lambda tx: tx.outbox(message_id(1))) is None
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    assert await store.run(lambda tx: tx.outbox(message_id(1))) is not None


async def test_a_transaction_that_failed_unnoticed_is_not_taken_for_committed(store: Store) -> None:
    """PostgreSQL answers its COMMIT with ROLLBACK and no error: the caller hears that nothing was kept."""

    def fails(tx: Transaction) -> str:
        tx.add_outbox(outgoing(1), next_at=NOW)
        tx.settle()  # type: ignore[attr-defined]
        with suppress(DBAPIError):  # past everything that would remember it
            tx._connection.execute(text("SELECT 1 / 0"))  # type: ignore[attr-defined]
        return "done"

    with pytest.raises(StoreUnavailable):
        await store.run(fails)
    assert await store.run(lambda tx: tx.outbox(message_id(1))) is None
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    assert await store.run(lambda tx: tx.outbox(message_id(1))) is not None


async def test_a_deadlock_is_begun_again(store: Store, postgres_store_url: str) -> None:
    """Two workers that lock two procedures crosswise both get their work done."""
    for number in (1, 2):
        await store.run(lambda tx, n=number: tx.add_procedure(procedure(n)))  # type: ignore[misc]
    barrier: list[object] = []
    both = threading.Barrier(2)

    def crosswise(first: int, second: int) -> object:
        def fn(tx: Transaction) -> None:
            tx.lock_procedure(procedure_id(first))
            if len(barrier) < 2:
                barrier.append(fn)
                both.wait(20)
            tx.lock_procedure(procedure_id(second))
            tx.add_outbox(outgoing(first), next_at=NOW)

        return fn

    await asyncio.gather(store.run(crosswise(1, 2)), store.run(crosswise(2, 1)))  # type: ignore[arg-type]
    assert (await store.read(lambda reader: reader.counts()))["outbox.recorded"] == 2


async def test_a_server_that_is_away_is_unavailable(postgres_store_url: str) -> None:
    """Opening says so and which setting names it: an address is never shown, nor its password."""
    away = make_url(postgres_store_url).set(host="127.0.0.1", port=1, password="hunter2", query={})
    with pytest.raises(StoreUnavailable) as caught:
        open_store(away.render_as_string(hide_password=False), us=EE, cipher=unsafe_at_rest())
    assert caught.value.where == "store_url"
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_no_value_leaves_in_an_error(store: Store) -> None:
    """PostgreSQL names the row in its message; ours and its chain do not show it."""
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    with pytest.raises(RuntimeError) as caught:
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    error: BaseException | None = caught.value
    while error is not None:
        assert message_id(1) not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


async def test_readers_cannot_write(store: Store) -> None:
    """The reading connections are read-only to the server itself."""

    def write(reader: Reader) -> None:
        reader.changed(text("DELETE FROM outbox"))  # type: ignore[attr-defined]

    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    with pytest.raises(StoreUnavailable):
        await store.read(write)
    assert await store.run(lambda tx: tx.outbox(message_id(1))) is not None


async def test_a_full_disk_is_told_apart(store: Store) -> None:
    """The server's own code for it becomes DiskFull, and nothing was committed."""

    def work(tx: Transaction) -> None:
        tx.add_outbox(outgoing(1), next_at=NOW)
        tx.all(text("DO $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$"))  # type: ignore[attr-defined]

    with pytest.raises(DiskFull):
        await store.run(work)
    assert await store.run(lambda tx: tx.outbox(message_id(1))) is None


async def test_texts_sort_by_their_bytes(postgres_store_url: str) -> None:
    """Every text column has the C collation, so that both databases page in the same order."""
    url = make_url(postgres_store_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'text'"
        ).fetchall()
    assert len(rows) > 80
    assert {row[2] for row in rows} == {"C"}


async def test_a_text_is_kept_whole_or_refused(store: Store) -> None:
    """PostgreSQL keeps no NUL: such a text is not cut there, nothing of its transaction is kept."""

    def work(tx: Transaction) -> None:
        tx.audit(AuditRow(at=NOW, actor="a", action=AuditAction.RECEIVED, subject="s"))
        tx.audit(AuditRow(at=NOW, actor="a", action=AuditAction.RECEIVED, subject="s", detail="before\0behind"))

    with pytest.raises(RuntimeError):
        await store.run(work)
    assert await store.read(lambda reader: reader.unlinked_audit(10)) == ()


async def test_more_than_a_connection_takes_at_once_is_written(store: Store) -> None:
    """What is queued in one transaction may be larger than any buffer on its way."""
    entries = [outgoing(number, said="x" * 100_000) for number in range(100)]

    def work(tx: Transaction) -> None:
        for entry in entries:
            tx.add_outbox(entry, next_at=NOW)

    await store.run(work)
    row = await store.run(lambda tx: tx.outbox(message_id(99)))
    assert row is not None
    assert row.entry == entries[99]


async def test_a_rollback_leaves_prepared_what_was_prepared(store: Store) -> None:
    """Also where a statement of another kind ran so often that the driver would prepare it, and forget all at the end."""

    def look(reader: Reader) -> object:
        for _ in range(10):
            reader.audit(cursor=None, limit=5, wanted=None)
        return reader.unlinked_audit(1)

    for _ in range(6):  # each of the connections is used again
        assert await store.read(look) == ()


async def test_a_statement_first_met_behind_a_failed_one_is_known_the_next_time(store: Store) -> None:
    """The server prepared nothing that stood behind the failure, and is asked to once more."""
    row = AuditRow(at=NOW, actor="a", action=AuditAction.RECEIVED, subject="s")
    await store.run(lambda tx: tx.add_procedure(procedure(1)))

    def fails(tx: Transaction) -> None:
        tx.add_procedure(procedure(1))
        tx.audit(row)

    for _ in range(2):
        with pytest.raises(RuntimeError):
            await store.run(fails)
        await store.run(lambda tx: tx.audit(row))
    assert len(await store.read(lambda reader: reader.unlinked_audit(10))) == 2


async def test_a_crash_undoes_what_may_be_lost_and_nothing_else() -> None:
    """What a later commit that waited for the disk took along stays; a lease behind that is free for the next who asks."""
    with postgres_server(lambda _: None, ours=True) as server:
        store = open_store(server.database(like=migrate), us=EE, cipher=unsafe_at_rest())
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        with server.crashing():
            assert await store.run(lambda tx: _leased(tx, "a")) == [message_id(1)]
            await store.run(lambda tx: tx.add_outbox(outgoing(2), next_at=NOW))
            assert await store.run(lambda tx: _leased(tx, "b")) == [message_id(2)]
        assert await store.run(lambda tx: tx.mark_published([message_id(1)], at=NOW, token="a")) == 1
        assert await store.run(lambda tx: tx.mark_published([message_id(2)], at=NOW, token="b")) == 0
        assert await store.run(lambda tx: _leased(tx, "c")) == [message_id(2)]
        await store.close()


def test_a_server_that_others_use_is_not_made_to_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that the settings name is left as it was found."""
    monkeypatch.setenv(URL_VARIABLE, "postgresql://test@localhost/none")
    with pytest.raises(RuntimeError), PostgresServer("postgresql://test@localhost/none").crashing():
        pass


def _leased(tx: Transaction, token: str) -> list[MessageId]:
    tx.may_be_lost()
    return [entry.id for entry in tx.lease_outbox(now=NOW, until=later(60), token=token, limit=10)]
