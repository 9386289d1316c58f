# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""An erasure that meets a worker in the middle of its transaction leaves nothing that nobody can read, on either store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from broker.core.errors import CaseErased
from broker.flows.retain.list_case import case_of, list_case, locked_case
from broker.ports import Store, Transaction
from broker.security.at_rest import Scope
from broker.storage import migrate, open_store
from broker.storage.schema import exclusive
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.store_rows import CASE, EE, FI, NOW, incoming, later, message_id, outgoing, procedure
from broker.testing.store_rows import sealed as envelope

SCOPE = Scope(f"{FI}:{CASE}")
CONTENTS = ("outbox_content", "outbox_envelope", "inbox_content")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database of its own."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_store_url"))
    migrate(made := f"sqlite:///{tmp_path / 'trm.db'}")
    return made


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """One message each way in a case; ours is leased, its sealed bytes are not stored yet."""
    store = open_store(url, us=EE, cipher=unsafe_at_rest())
    await store.run(lambda tx: tx.add_procedure(procedure(1)))
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    await store.run(lambda tx: tx.add_inbox(incoming(2), next_at=None, handed_over=NOW))
    await store.run(lambda tx: tx.lease_outbox(now=NOW, until=later(60), token="t", limit=9))
    yield store
    await store.close()


def erase(tx: Transaction) -> None:
    """Erase the case as `flows.retain.erase` does."""
    case = locked_case(tx, case_of(tx, tx.retention.case_of(FI, CASE)[0]))
    for scope in case.scopes:
        tx.destroy_case(scope, later(30))
    for message in list_case(tx, case, EE).messages:
        tx.retention.forget(message)


async def meanwhile(store: Store, work: Callable[[Transaction], None]) -> None:
    """Begin the erasure after what a worker's transaction does, and before it commits; both end."""
    loop = asyncio.get_running_loop()
    erasing: list[asyncio.Future[None]] = []

    async def begin() -> None:
        erasing.append(asyncio.ensure_future(store.run(erase)))
        with suppress(TimeoutError):  # it has to wait for the worker, sooner or later
            await asyncio.wait_for(asyncio.shield(erasing[0]), 0.3)

    def both(tx: Transaction) -> None:
        work(tx)
        if not erasing:
            asyncio.run_coroutine_threadsafe(begin(), loop).result()

    with suppress(CaseErased):
        await store.run(both)
    await erasing[0]


def left(url: str) -> dict[str, int]:
    """Return how much ciphertext of each kind is there."""
    with exclusive(url) as connection:
        return {table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in CONTENTS}


async def test_what_is_sealed_meanwhile_goes_with_the_case(store: Store, url: str) -> None:
    """P8: the worker's bytes are stored or refused; when both are done nothing of them is there."""

    def seal(tx: Transaction) -> None:
        tx.save_sealed([envelope(1)], token="t")

    await meanwhile(store, seal)
    assert left(url) == dict.fromkeys(CONTENTS, 0)


async def test_nothing_is_sealed_or_published_afterwards(store: Store, url: str) -> None:
    """The lease is gone with the content: the worker's next step writes nothing."""
    await store.run(erase)
    assert await store.run(lambda tx: tx.save_sealed([envelope(1)], token="t")) == frozenset()
    assert await store.run(lambda tx: tx.mark_published([message_id(1)], at=later(40), token="t")) == 0
    assert left(url) == dict.fromkeys(CONTENTS, 0)


async def test_what_is_stored_meanwhile_is_seen_before_the_key_goes(store: Store, url: str) -> None:
    """P1, P8: also what opens another procedure of the case, under no lock but the key's; it is listed, and goes too."""
    came = incoming(3, in_procedure=2)

    def open_another(tx: Transaction) -> None:
        tx.add_procedure(replace(procedure(2), opener=FI))
        tx.add_inbox(came, next_at=None, handed_over=NOW)

    await meanwhile(store, open_another)
    assert left(url) == dict.fromkeys(CONTENTS, 0)
