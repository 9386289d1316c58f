# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What several transactions at once, and a server that falls silent, must not do to each other on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest

from broker.core.audit import AuditAction, AuditRow
from broker.core.errors import StoreUnavailable, TooManyCases
from broker.core.receipts import ReceiptKind
from broker.core.roles import AuditRole
from broker.ledger import Ledger
from broker.ports import Store, Transaction
from broker.restraint import MOST_AN_HOUR, Restraint
from broker.schema_files import load_catalogue
from broker.storage import migrate, open_store, pipeline, postgres
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.postgres import postgres_server
from broker.testing.store_rows import BOARD, EE, FI, NOW, later, message_id, outgoing, procedure_id, receipt

pytestmark = pytest.mark.postgres


@pytest.fixture
async def store(postgres_store_url: str) -> AsyncIterator[Store]:
    """A store on a database of its own."""
    store = open_store(postgres_store_url, us=EE, cipher=unsafe_at_rest())
    yield store
    await store.close()


async def test_a_receipt_that_changes_while_it_is_put_into_an_envelope_waits_for_the_next(store: Store) -> None:
    """The answer that takes a refusal's place meanwhile is not taken for the one that travels."""
    expired = receipt(1, ReceiptKind.REFUSED, issuer=EE, author=FI, at=1, code="expired")
    answer = replace(expired, at=later(2), code="schema-invalid")
    await store.run(lambda tx: tx.issue_receipt(expired))
    loop = asyncio.get_running_loop()
    answering: list[asyncio.Future[bool]] = []

    async def answer_now() -> None:
        answering.append(asyncio.ensure_future(store.run(lambda tx: tx.add_receipt(answer, issued=True))))
        with suppress(TimeoutError):  # it may have to wait for the envelope
            await asyncio.wait_for(asyncio.shield(answering[0]), 0.3)

    def write(tx: Transaction) -> None:
        waiting = tx.waiting_receipts(FI, 10)
        assert waiting == (expired,)
        asyncio.run_coroutine_threadsafe(answer_now(), loop).result()
        tx.assign_receipts(waiting, message_id(50))

    await store.run(write)
    assert await answering[0]
    assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (answer,)


async def test_receipts_settle_messages_in_one_order(store: Store) -> None:
    """However a country orders them: two workers never wait for each other, and none begins anew."""
    for number in (1, 2):
        await store.run(lambda tx, n=number: tx.add_outbox(outgoing(n), next_at=NOW))  # type: ignore[misc]
    loop = asyncio.get_running_loop()
    runs: list[str] = []
    settling: list[asyncio.Future[int]] = []

    def settle(tx: Transaction) -> int:
        runs.append("settle")
        return tx.settle_outbox([receipt(2), receipt(1)])

    async def settle_now() -> None:
        settling.append(asyncio.ensure_future(store.run(settle)))
        with suppress(TimeoutError):  # it waits for the first
            await asyncio.wait_for(asyncio.shield(settling[0]), 0.3)

    def reopen(tx: Transaction) -> None:
        runs.append("reopen")
        for number in (1, 2):
            assert tx.reopen_outbox(message_id(number), now=NOW, reseal=False, count_resend=False)
            if number == 1:
                asyncio.run_coroutine_threadsafe(settle_now(), loop).result()

    await store.run(reopen)
    assert await settling[0] == 2
    assert runs == ["reopen", "settle"]


async def test_what_one_person_is_shown_is_exceeded_by_no_more_than_runs_at_once(store: Store) -> None:
    """R-38: who asks for everything at once is shown a few more, the security officer is called, and then nothing more."""
    restraint = Restraint(store=store, ledger=Ledger(us=EE, catalogue=load_catalogue()))

    def look(number: int) -> AuditRow:
        return AuditRow(
            at=NOW, actor="officer-7", role=AuditRole.OFFICER, authority=BOARD, action=AuditAction.READ,
            subject="record", procedure=procedure_id(number),
        )  # fmt: skip

    asked = (restraint.record(look(number)) for number in range(1, 3 * MOST_AN_HOUR))
    refused = [one for one in await asyncio.gather(*asked, return_exceptions=True) if one is not None]
    assert {type(one) for one in refused} == {TooManyCases}
    shown = await store.run(lambda tx: tx.shown("officer-7", since=later(-60)))
    assert MOST_AN_HOUR <= len(shown) < MOST_AN_HOUR + postgres._WRITERS
    with pytest.raises(TooManyCases):
        await restraint.record(look(1_000))
    (call,) = (await store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))).items
    assert (call.code, call.subject) == ("bulk-reading", "officer-7")


async def test_a_server_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it for ever: the work is begun again on another connection, and nobody reads the old one's answers."""
    monkeypatch.setattr(pipeline, "_PATIENCE", 300)
    with postgres_server(lambda _: None, ours=True) as server, ExitStack() as silence:
        store = open_store(server.database(like=migrate), us=EE, cipher=unsafe_at_rest())
        backends: list[int] = []

        def work(tx: Transaction) -> bool:
            backends.append(tx._driver._libpq.backend_pid)  # type: ignore[attr-defined]
            if len(backends) == 1:
                silence.enter_context(server.silent(backends[0]))
            tx.add_outbox(outgoing(len(backends)), next_at=NOW)
            return tx.take_lease("trust", token="a", now=NOW, until=later(60))

        for _ in range(5):
            assert await store.run(work)
        assert len(set(backends)) == 2
        assert len(backends) == 6
        assert (await store.read(lambda reader: reader.counts()))["outbox.recorded"] == 5
        await store.close()


async def test_a_server_that_stays_silent_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the time for it is over no further connection is tried: who waits hears that the database does not answer."""
    monkeypatch.setattr(pipeline, "_PATIENCE", 300)
    monkeypatch.setattr(postgres, "_REPEATING_SECONDS", 0.5)
    with postgres_server(lambda _: None, ours=True) as server, ExitStack() as silence:
        store = open_store(server.database(like=migrate), us=EE, cipher=unsafe_at_rest())
        backends: list[int] = []

        def work(tx: Transaction) -> None:
            backends.append(tx._driver._libpq.backend_pid)  # type: ignore[attr-defined]
            silence.enter_context(server.silent(backends[-1]))
            tx.take_lease("trust", token="a", now=NOW, until=later(60))

        with pytest.raises(StoreUnavailable):
            await store.run(work)
        assert 1 < len(backends) < 4
        await store.close()
