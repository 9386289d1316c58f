# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What several transactions at once, and a server that falls silent, must not do to each other on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from broker.core.audit import AuditAction, AuditRow
from broker.core.errors import StoreUnavailable, TooManyCases
from broker.core.roles import AuditRole
from broker.derived.restraint import MOST_AN_HOUR, Restraint
from broker.ledger import Ledger
from broker.ports import Store, Transaction
from broker.schema_files import load_catalogue
from broker.storage import migrate, open_store, pipeline, postgres
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.clock import HandClock
from broker.testing.postgres import postgres_server
from broker.testing.store_rows import BOARD, EE, NOW, later, outgoing, procedure_id

pytestmark = pytest.mark.postgres


@pytest.fixture
async def store(postgres_store_url: str) -> AsyncIterator[Store]:
    """A store on a database of its own."""
    store = open_store(postgres_store_url, us=EE, cipher=unsafe_at_rest())
    yield store
    await store.close()


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
    patience = pipeline._PATIENCE
    with postgres_server(lambda _: None, ours=True) as server, ExitStack() as silence:
        store = open_store(server.database(like=migrate), us=EE, cipher=unsafe_at_rest())
        backends: list[int] = []

        def work(tx: Transaction) -> bool:
            backends.append(tx._driver._libpq.backend_pid)  # type: ignore[attr-defined]
            if len(backends) == 1:
                silence.enter_context(server.silent(backends[0]))
            # Short for the silent one alone: on a busy machine the others may take long to answer.
            monkeypatch.setattr(pipeline, "_PATIENCE", 300 if len(backends) == 1 else patience)
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
    clock = HandClock()
    monkeypatch.setattr(postgres, "time", clock)
    with postgres_server(lambda _: None, ours=True) as server, ExitStack() as silence:
        store = open_store(server.database(like=migrate), us=EE, cipher=unsafe_at_rest())
        backends: list[int] = []

        def work(tx: Transaction) -> None:
            backends.append(tx._driver._libpq.backend_pid)  # type: ignore[attr-defined]
            silence.enter_context(server.silent(backends[-1]))
            clock.advance(60)  # as long as each waits
            tx.take_lease("trust", token="a", now=NOW, until=later(60))

        with pytest.raises(StoreUnavailable):
            await store.run(work)
        assert len(backends) == 2
        await store.close()
