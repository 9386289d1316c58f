# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What every store must do, as one abstract test suite; a store subclasses it and gives the two fixtures.

The store under test belongs to EE. Suites by subject stand in `store_contract_*.py`; here is how transactions run.
"""

# ruff: noqa: S106 - tokens here are those of leases, no secrets

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from broker.core.errors import NotAllowed, StoreUnavailable
from broker.ports import Reader, Store, Transaction
from broker.rows import Attention, AuditRow, Idempotent, Page
from broker.testing.store_contract_at_rest import AtRestContract
from broker.testing.store_contract_attachments import AttachmentContract
from broker.testing.store_contract_attention import AttentionContract
from broker.testing.store_contract_future import FutureContract
from broker.testing.store_contract_healing import HealingContract
from broker.testing.store_contract_held import HeldContract
from broker.testing.store_contract_inbox import InboxContract
from broker.testing.store_contract_ladder import LadderContract
from broker.testing.store_contract_outbox import OutboxContract
from broker.testing.store_contract_reader import ReaderContract
from broker.testing.store_contract_record import RecordContract
from broker.testing.store_contract_retention import RetentionContract
from broker.testing.store_contract_search import SearchContract
from broker.testing.store_contract_trail import TrailContract
from broker.testing.store_contract_trust import TrustContract
from broker.testing.store_rows import (
    NOW,
    attention,
    digest,
    later,
    message_id,
    outgoing,
    procedure,
    procedure_id,
    record_entry,
)

__all__ = ["StoreContract"]


class RunContract:
    """One function is one commit."""

    async def test_work_is_committed_when_the_function_returns(self, store: Store) -> None:
        """What a function wrote is there for the next one, and its result comes back."""

        def work(tx: Transaction) -> str:
            tx.add_outbox(outgoing(1), next_at=NOW)
            return "done"

        assert await store.run(work) == "done"
        assert await store.run(lambda tx: tx.outbox(message_id(1))) is not None
        assert await store.run(lambda tx: tx.outbox(message_id(1)), ahead=True) is not None

    async def test_an_exception_rolls_back_and_reaches_the_caller(self, store: Store) -> None:
        """The caller gets its own exception, and nothing of the function's work is left."""

        def work(tx: Transaction) -> None:
            tx.add_outbox(outgoing(1), next_at=NOW)
            tx.audit(AuditRow(at=NOW, actor="test", action="submit", subject="x"))
            raise NotAllowed("not now")

        with pytest.raises(NotAllowed, match="not now"):
            await store.run(work)
        assert await store.run(lambda tx: tx.outbox(message_id(1))) is None
        page: Page = await store.read(lambda reader: reader.audit(cursor=None, limit=10))
        assert page.items == ()

    async def test_one_that_fails_takes_nothing_else_with_it(self, store: Store) -> None:
        """Of many that wait together, those that raise are undone and all others are kept."""

        def work(number: int) -> Callable[[Transaction], int]:
            def fn(tx: Transaction) -> int:
                tx.add_outbox(outgoing(number), next_at=NOW)
                if number % 3 == 0:
                    raise NotAllowed
                return number

            return fn

        outcomes = await asyncio.gather(*(store.run(work(n)) for n in range(300)), return_exceptions=True)
        kept = [outcome for outcome in outcomes if isinstance(outcome, int)]
        assert kept == [n for n in range(300) if n % 3]
        assert all(isinstance(o, NotAllowed) for o in outcomes if not isinstance(o, int))
        counts = await store.read(lambda reader: reader.counts())
        assert counts["outbox.recorded"] == 200

    async def test_work_runs_beside_the_event_loop(self, store: Store) -> None:
        """A transaction and a reading function that take long do not stop other tasks."""
        running, go_on = threading.Event(), threading.Event()

        def slow(_: object) -> bool:
            running.set()
            return go_on.wait(30)

        for start in (store.run, store.read):
            running.clear()
            go_on.clear()
            task = asyncio.ensure_future(start(slow))
            await asyncio.to_thread(running.wait, 30)
            assert not task.done()  # this line runs while the function still waits
            go_on.set()
            assert await task is True

    async def test_who_gives_up_waiting_does_not_stop_the_store(self, store: Store) -> None:
        """A cancelled caller is gone, and those after it are served."""
        running, go_on = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            running.set()
            go_on.wait(30)
            tx.add_outbox(outgoing(1), next_at=NOW)

        task = asyncio.ensure_future(store.run(slow))
        await asyncio.to_thread(running.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await store.run(lambda tx: tx.add_outbox(outgoing(2), next_at=NOW))
        assert await store.run(lambda tx: tx.outbox(message_id(2))) is not None

    async def test_a_taken_key_is_the_programs_mistake(self, store: Store) -> None:
        """Adding what is there already is a RuntimeError that tells no value, and the row stays as it was."""
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        with pytest.raises(RuntimeError) as caught:
            await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=later(5)))
        assert "019" not in str(caught.value)
        row = await store.run(lambda tx: tx.outbox(message_id(1)))
        assert row is not None
        assert row.next_at == NOW

    async def test_a_swallowed_fault_commits_nothing(self, store: Store) -> None:
        """A function that goes on after a failed statement does not get half of its work committed."""

        def work(tx: Transaction) -> None:
            tx.add_outbox(outgoing(2), next_at=NOW)
            with pytest.raises(RuntimeError):
                tx.add_outbox(outgoing(1), next_at=NOW)

        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        with pytest.raises(RuntimeError):
            await store.run(work)
        assert await store.run(lambda tx: tx.outbox(message_id(2))) is None

    async def test_a_reader_sees_one_moment(self, store: Store) -> None:
        """What is committed while a reading function runs is not half seen by it."""
        counted, written = threading.Event(), threading.Event()

        def look(reader: Reader) -> tuple[int, int]:
            before = reader.counts()["outbox.recorded"]
            counted.set()
            written.wait(30)
            return before, reader.counts()["outbox.recorded"]

        task = asyncio.ensure_future(store.read(look))
        await asyncio.to_thread(counted.wait, 30)
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        written.set()
        assert await task == (0, 0)
        assert (await store.read(lambda reader: reader.counts()))["outbox.recorded"] == 1

    async def test_a_reader_that_fails_leaves_no_old_view_behind(self, store: Store) -> None:
        """Whoever reads next, however often one raised, sees what has been committed meanwhile."""

        def fails(reader: Reader) -> None:
            reader.counts()
            raise LookupError

        for number in range(1, 9):
            with pytest.raises(LookupError):
                await store.read(fails)
            await store.run(lambda tx, number=number: tx.add_procedure(procedure(number)))  # type: ignore[misc]
            found = await store.read(lambda reader, number=number: reader.procedure(procedure_id(number), None))  # type: ignore[misc]
            assert found is not None

    async def test_a_closed_store_says_so(self, store: Store) -> None:
        """After close, work is refused as unavailable, and what was promised before is kept."""
        kept = asyncio.gather(
            *(store.run(lambda tx, n=n: tx.add_outbox(outgoing(n), next_at=NOW)) for n in range(20))  # type: ignore[misc]
        )
        await asyncio.sleep(0)
        await store.close()
        await kept
        with pytest.raises(StoreUnavailable):
            await store.run(lambda tx: tx.outbox(message_id(1)))
        with pytest.raises(StoreUnavailable):
            await store.read(lambda reader: reader.counts())


class WorkersContract:
    """Several workers of one country on the same data."""

    async def test_each_entry_is_leased_by_one_worker(self, store: Store, another: Store) -> None:
        """Two workers that lease at once share the entries without one in both hands."""
        for number in range(40):
            await store.run(lambda tx, n=number: tx.add_outbox(outgoing(n), next_at=NOW))  # type: ignore[misc]

        async def worker(mine: Store, token: str) -> list[str]:
            taken: list[str] = []
            while rows := await mine.run(lambda tx: tx.lease_outbox(now=NOW, until=later(60), token=token, limit=3)):
                assert len(rows) <= 3
                taken += [row.id for row in rows]
            return taken

        hands = await asyncio.gather(worker(store, "a"), worker(another, "b"))
        taken = [message for hand in hands for message in hand]
        assert sorted(taken) == [message_id(n) for n in range(40)]

    async def test_workers_wait_for_a_locked_procedure(self, store: Store, another: Store) -> None:
        """Counting in a procedure's row by many transactions of two workers loses no count."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))

        def count(tx: Transaction) -> None:
            row = tx.lock_procedure(procedure_id(1))
            assert row is not None
            tx.add_record_entry(row.ref.id, record_entry(len(tx.record(row.ref.id))))

        await asyncio.gather(*(worker.run(count) for worker in (store, another) for _ in range(15)))
        record = await store.run(lambda tx: tx.record(procedure_id(1)))
        assert {entry.message for entry in record} == {message_id(n) for n in range(30)}

    async def test_an_equal_first_message_is_decided_again(self, store: Store, another: Store) -> None:
        """Workers that open the same procedure at once end with one row and no error."""

        def open_once(tx: Transaction) -> bool:
            if tx.lock_procedure(procedure_id(1)) is not None:
                return False
            tx.add_procedure(procedure(1))
            return True

        opened = await asyncio.gather(*(worker.run(open_once) for worker in (store, another) for _ in range(5)))
        assert sorted(opened) == [False] * 9 + [True]

    async def test_an_idempotency_key_is_used_once(self, store: Store, another: Store) -> None:
        """Equal submissions at once get one answer."""

        def submit(number: int) -> Callable[[Transaction], str]:
            def fn(tx: Transaction) -> str:
                row = Idempotent(
                    scope="token/board/api", key="key-1", body_digest=digest("body"), message=message_id(number)
                )
                if tx.add_idempotent(row, NOW):
                    return row.message
                known = tx.find_idempotent("token/board/api", "key-1")
                assert known is not None
                return known.message

            return fn

        answers = await asyncio.gather(
            *(worker.run(submit(2 * n + m)) for n in range(5) for m, worker in enumerate((store, another)))
        )
        assert len(set(answers)) == 1

    async def test_a_named_lease_has_one_holder(self, store: Store, another: Store) -> None:
        """It is renewed by its holder, refused to others until it is over, then anybody's."""

        def take(token: str, now: float, until: float) -> Callable[[Transaction], bool]:
            return lambda tx: tx.take_lease("trust", token=token, now=later(now), until=later(until))

        assert await store.run(take("a", 0, 10)) is True
        assert await another.run(take("b", 5, 15)) is False
        assert await store.run(take("a", 8, 20)) is True
        assert await another.run(take("b", 12, 30)) is False
        assert await another.run(take("b", 20, 30)) is True
        assert await store.run(take("a", 25, 40)) is False
        assert await store.run(lambda tx: tx.take_lease("other", token="a", now=NOW, until=later(1))) is True

    async def test_a_lease_of_a_clock_that_was_ahead_is_anybodys(self, store: Store, another: Store) -> None:
        """No lease is for hours: one that would end then was taken before the clock was set right."""
        hours = 2 * 3600
        assert await store.run(lambda tx: tx.take_lease("trust", token="a", now=later(hours), until=later(hours + 60)))
        for worker, token, taken in ((another, "b", True), (store, "a", False)):
            assert (
                await worker.run(
                    lambda tx, token=token: tx.take_lease("trust", token=token, now=NOW, until=later(60))  # type: ignore[misc]
                )
                is taken
            )

    async def test_the_same_attention_is_raised_once(self, store: Store, another: Store) -> None:
        """Workers that notice the same thing open one entry."""
        same: Attention = attention()
        raised = await asyncio.gather(
            *(worker.run(lambda tx: tx.raise_attention(same)) for worker in (store, another) for _ in range(5))
        )
        assert sorted(raised) == [False] * 9 + [True]


class StoreContract(
    AtRestContract,
    AttachmentContract,
    FutureContract,
    RunContract,
    WorkersContract,
    LadderContract,
    OutboxContract,
    InboxContract,
    RecordContract,
    HealingContract,
    HeldContract,
    ReaderContract,
    AttentionContract,
    RetentionContract,
    SearchContract,
    TrailContract,
    TrustContract,
):
    """The whole suite; a subclass overrides both fixtures."""

    @pytest.fixture
    async def store(self) -> Store:
        """A store of EE on empty tables, closed by the fixture; closing twice is allowed."""
        raise NotImplementedError("a subclass gives the store")

    @pytest.fixture
    async def another(self, store: Store) -> Store:
        """A second store on the same data, as another worker has it."""
        raise NotImplementedError("a subclass gives the second store")
