# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Each lock on PostgreSQL: what waits for whom, and what is passed by. Without the lock named, its case fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from broker.core.erasures import Duty, DutyKind
from broker.core.errors import NodeRunning, StoreUnavailable
from broker.core.messages import OutboxKind
from broker.core.receipts import Receipt, ReceiptKind
from broker.ports import Store, Transaction
from broker.security.at_rest import Scope
from broker.storage import AtRest, open_store
from broker.storage.presence import Presence, announce_presence, refuse_beside_server
from broker.storage.schema import exclusive
from broker.testing.at_rest import UnsafeEpochs
from broker.testing.postgres import waits_for_lock
from broker.testing.store_contract_attachments import attachment, upload
from broker.testing.store_contract_healing import restored
from broker.testing.store_contract_retention import erasure
from broker.testing.store_rows import (
    BOARD,
    CASE,
    EE,
    FI,
    NOW,
    SE,
    incoming,
    later,
    message_id,
    outgoing,
    procedure,
    procedure_id,
    receipt,
    sealed,
)

pytestmark = pytest.mark.postgres

SCOPE = Scope(f"{FI}:{CASE}")
Work = Callable[[Transaction], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What came of a transaction that another one began beside."""

    waited: bool  # the other, for this one's end
    given: Any  # what the other returned
    runs: int  # of both together; two where neither began anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """A store, and a look at who waits in its database."""

    store: Store
    url: str

    async def beside(self, first: Work, second: Work, then: Work = lambda _: None) -> Beside:
        """Run the first; begin the second while it is open; then end the first, with something more if there is."""
        loop = asyncio.get_running_loop()
        others: list[Any] = []
        runs: list[bool] = []
        waited: list[bool] = []

        def other(tx: Transaction) -> Any:
            runs.append(True)
            return second(tx)

        def one(tx: Transaction) -> None:
            runs.append(True)
            first(tx)
            tx.settle()  # type: ignore[attr-defined]  # what is only queued holds no lock yet
            if not others:
                others.append(asyncio.run_coroutine_threadsafe(self.store.run(other), loop))
                waited.append(waits_for_lock(self.url, others[0].done))
            then(tx)

        await self.store.run(one)
        return Beside(waited=waited[0], given=await asyncio.wrap_future(others[0]), runs=len(runs))


@pytest.fixture
def url(postgres_store_url: str) -> str:
    """Return the address of a database of its own, as its driver takes it."""
    return make_url(postgres_store_url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def epochs() -> UnsafeEpochs:
    """Return the wrapping keys."""
    return UnsafeEpochs()


@pytest.fixture
async def workers(postgres_store_url: str, url: str, epochs: UnsafeEpochs) -> AsyncIterator[Workers]:
    """Two messages of ours, the first leased; two of theirs; files, an erasure and duties: all in one case."""
    store = open_store(postgres_store_url, us=EE, cipher=AtRest(epochs.ring))
    await store.run(_fill)
    yield Workers(store=store, url=url)
    await store.close()


def _fill(tx: Transaction) -> None:
    for number in (1, 2):
        tx.add_procedure(procedure(number))
        tx.add_outbox(outgoing(number), next_at=NOW)
    tx.lease_outbox(now=NOW, until=later(9), token="t", limit=9)
    tx.mark_published([message_id(2)], at=NOW, token="t")
    for number in (3, 4):
        tx.add_outbox(outgoing(number), next_at=NOW)
        tx.add_inbox(incoming(number), next_at=NOW)
        tx.add_attachment(attachment(number, author=FI))
        tx.issue_receipt(receipt(number, ReceiptKind.DELIVERED, issuer=EE, author=FI, at=number))
        tx.retention.add_duty(Duty(kind=DutyKind.BLOB, name=str(number), erasure=erasure(1).id, authority=BOARD), NOW)
    for name in "ab":
        tx.add_attachment(replace(attachment(2), handle=attachment(ord(name)).handle, blob=name * 32))
    tx.add_upload(upload(1))
    tx.retention.add_erasure(erasure(1))
    restored(tx)
    tx.healing.begin([SE])


def _due(tx: Transaction) -> dict[str, Any]:
    return {"now": later(5), "until": later(60), "limit": 1}


PASSED_BY: dict[str, Work] = {
    "messages that leave": lambda tx: tx.lease_outbox(token="u", **_due(tx)),
    "messages for adapters": lambda tx: tx.lease_inbox(token="u", **_due(tx)),
    "chunks that leave": lambda tx: tx.lease_leaving(**_due(tx)),
    "chunks that lack": lambda tx: tx.lease_arriving(**_due(tx)),
    "receipts": lambda tx: tx.waiting_receipts(FI, 1),
    "duties to erase": lambda tx: tx.retention.lease_duties(**_due(tx)),
}


@pytest.mark.parametrize("take", PASSED_BY.values(), ids=PASSED_BY.keys())
async def test_what_one_worker_takes_the_other_passes_by(workers: Workers, take: Work) -> None:
    """Nobody waits for whoever works on something else, and nothing is taken twice."""
    taken: list[Any] = []
    found = await workers.beside(lambda tx: taken.extend(take(tx)), take)
    assert (found.waited, len(taken), len(found.given)) == (False, 1, 1)
    assert taken != list(found.given)


async def test_keys_in_use_are_passed_by_when_keys_are_moved(workers: Workers, epochs: UnsafeEpochs) -> None:
    """A message that is just stored holds up no epoch: its key is moved the next time."""
    epochs.begin_epoch(NOW)
    before = await workers.store.run(lambda tx: sum(tx.keys_before(2).values()))
    found = await workers.beside(
        lambda tx: tx.add_outbox(outgoing(9), next_at=NOW), lambda tx: tx.rewrap_keys(2, limit=9).moved
    )
    assert (found.waited, found.given) == (False, before - 1)
    assert await workers.store.run(lambda tx: tx.rewrap_keys(2, limit=9).moved) == 1


def _open_towards_another(tx: Transaction) -> None:
    tx.add_procedure(procedure(7, peer=SE))
    tx.add_outbox(outgoing(7, recipient=SE, in_procedure=7), next_at=NOW)


WAITING: dict[str, tuple[Work, Work]] = {
    "a procedure": (lambda tx: tx.lock_procedure(procedure_id(1)), lambda tx: tx.lock_procedure(procedure_id(1))),
    "records": (lambda tx: tx.lock_procedure(procedure_id(1)), lambda tx: tx.lock_records([procedure_id(1)])),
    "an upload": (lambda tx: tx.upload(upload(1).id), lambda tx: tx.upload(upload(1).id)),
    "an attachment": (
        lambda tx: tx.attachment(FI, message_id(3), attachment(3).handle),
        lambda tx: tx.attachment(FI, message_id(3), attachment(3).handle),
    ),
    "an erasure": (lambda tx: tx.retention.erasure(erasure(1).id), lambda tx: tx.retention.erasure(erasure(1).id)),
    "the asking after a restore": (lambda tx: tx.healing.lock(SE), lambda tx: tx.healing.lock(SE)),
    "the key that a message is stored under, by who would erase the case": (
        lambda tx: tx.add_outbox(outgoing(9), next_at=NOW),
        lambda tx: tx.hold_case(SCOPE),
    ),
    "a case that is looked through for its erasure, by who would store a message": (
        lambda tx: tx.hold_case(SCOPE),
        lambda tx: tx.add_outbox(outgoing(9), next_at=NOW),
    ),
    "the epoch that a first key is made in": (_open_towards_another, lambda tx: tx.begin_epoch(2)),
    "the epoch that a key is made in": (
        lambda tx: tx.add_upload(upload(9)),
        lambda tx: tx.begin_epoch(2),
    ),
    "the epoch that a key is destroyed in": (
        lambda tx: tx.destroy_case(SCOPE, later(9)),
        lambda tx: tx.begin_epoch(2),
    ),
}


@pytest.mark.parametrize("works", WAITING.values(), ids=WAITING.keys())
async def test_who_would_change_what_another_works_on_waits_for_its_end(
    workers: Workers, works: tuple[Work, Work]
) -> None:
    """Neither decides by what the other is about to change, and neither has to begin anew."""
    found = await workers.beside(*works)
    assert (found.waited, found.runs) == (True, 2)


async def test_what_is_sealed_while_its_key_is_given_up_is_sealed_anew(workers: Workers) -> None:
    """A worker that looked at its lease stores its bytes; who reopens the message waits for that, and drops them."""

    def seal(tx: Transaction) -> None:
        assert tx.save_sealed([sealed(1)], token="t") == {message_id(1)}

    found = await workers.beside(
        seal, lambda tx: tx.reopen_outbox(message_id(1), now=NOW, reseal=True, count_resend=False)
    )
    assert (found.waited, found.given) == (True, True)
    (owed,) = await workers.store.run(lambda tx: tx.lease_outbox(token="u", **_due(tx)))
    assert (owed.id, owed.envelope) == (message_id(1), None)


async def test_records_are_locked_in_one_order(workers: Workers) -> None:
    """However they are asked for: who has the first one gets the second too, and nobody begins anew."""
    found = await workers.beside(
        lambda tx: tx.lock_procedure(procedure_id(1)),
        lambda tx: tx.lock_records([procedure_id(2), procedure_id(1)]),
        then=lambda tx: tx.lock_procedure(procedure_id(2)),
    )
    assert (found.waited, len(found.given), found.runs) == (True, 2, 2)


async def test_receipts_settle_messages_in_one_order(workers: Workers) -> None:
    """However a country orders them: two workers never wait for each other, and none begins anew."""

    def reopen(number: int) -> Work:
        return lambda tx: tx.reopen_outbox(message_id(number), now=NOW, reseal=False, count_resend=False)

    found = await workers.beside(reopen(3), lambda tx: tx.settle_outbox([receipt(4), receipt(3)]), then=reopen(4))
    assert (found.waited, found.given, found.runs) == (True, 2, 2)


async def test_a_receipt_that_changes_while_it_is_put_into_an_envelope_waits_for_the_next(workers: Workers) -> None:
    """The answer that takes a refusal's place meanwhile is not taken for the one that travels."""
    expired = receipt(1, ReceiptKind.REFUSED, issuer=EE, author=FI, at=1, code="expired")
    answer = replace(expired, at=later(2), code="schema-invalid")
    await workers.store.run(lambda tx: tx.issue_receipt(expired))
    waiting: list[Receipt] = []
    found = await workers.beside(
        lambda tx: waiting.extend(tx.waiting_receipts(FI, 10)),
        lambda tx: tx.add_receipt(answer, issued=True),
        then=lambda tx: tx.assign_receipts(waiting, message_id(50)),
    )
    assert (found.waited, found.given, waiting[0]) == (True, True, expired)
    assert await workers.store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (answer,)


async def test_a_key_between_nodes_that_does_not_open_is_replaced_by_one_of_two(workers: Workers) -> None:
    """The other waits and leaves it: the first may have written under its own by then."""
    of_nodes = replace(outgoing(8), kind=OutboxKind.RECEIPTS, procedure=None)
    await workers.store.run(lambda tx: tx.add_outbox(of_nodes, next_at=NOW))
    with psycopg.connect(workers.url) as connection:
        changed = connection.execute("UPDATE case_key SET wrapped = '\\x00' WHERE scope = 'node'")
        assert changed.rowcount == 1
    given: list[bool] = []
    found = await workers.beside(lambda tx: given.append(tx.renew_node_key()), lambda tx: tx.renew_node_key())
    assert (found.waited, given, found.given, found.runs) == (True, [True], False, 2)
    assert await workers.store.run(lambda tx: tx.renew_node_key()) is False


def test_processes_change_the_schema_one_after_the_other(workers: Workers, postgres_store_url: str) -> None:
    """A second one that starts meanwhile waits for the first, whatever either finds there."""
    entered: list[bool] = []

    def second() -> None:
        with exclusive(postgres_store_url):
            entered.append(True)

    with exclusive(postgres_store_url):
        beside = threading.Thread(target=second)
        beside.start()
        assert waits_for_lock(workers.url, lambda: not beside.is_alive())
    beside.join()
    assert entered == [True]


def test_nodes_run_together_and_a_restore_alone(postgres_store_url: str) -> None:
    """Each of two nodes keeps a restore away until it ends; the restore keeps nodes away until its transaction does."""
    nodes = [announce_presence(postgres_store_url) for _ in range(2)]
    for node in nodes:
        with exclusive(postgres_store_url) as connection, pytest.raises(NodeRunning):
            refuse_beside_server(connection)
        node.close()
    with exclusive(postgres_store_url) as connection:
        refuse_beside_server(connection)
        with pytest.raises(NodeRunning):
            announce_presence(postgres_store_url)
    announce_presence(postgres_store_url).close()


def test_a_node_that_does_nothing_is_still_known_to_run(postgres_store_url: str, url: str) -> None:
    """A server that closes idle connections closes another one that came later, and not the sign."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET idle_session_timeout = 200")  # milliseconds
        node = _announced(postgres_store_url)
        later_one = psycopg.connect(url)
        pid = later_one.info.backend_pid
        while connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone() is not None:
            pass
        later_one.close()
        connection.execute(f"ALTER DATABASE {connection.info.dbname} RESET idle_session_timeout")
    with exclusive(postgres_store_url) as alone, pytest.raises(NodeRunning):
        refuse_beside_server(alone)
    node.close()


def _announced(url: str) -> Presence:
    """Announce a node, again where the machine was so slow that the server closed the connection before its first word."""
    while True:
        with suppress(StoreUnavailable):
            return announce_presence(url)
