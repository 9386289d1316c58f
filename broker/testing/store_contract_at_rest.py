# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What every store must do with the keys of cases; part of `StoreContract`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.core.errors import CaseErased
from broker.ports import Store, Transaction
from broker.rows import MessageFilter
from broker.security.at_rest import Scope
from broker.testing.store_rows import (
    CASE,
    FI,
    NOW,
    incoming,
    later,
    message_id,
    outgoing,
    procedure,
    procedure_id,
)

__all__ = ["AtRestContract"]

SCOPE = Scope(f"{FI}:{CASE}")
_EVERYTHING = MessageFilter()


async def fill(store: Store) -> None:
    """One message out and one in, in one case."""
    await store.run(lambda tx: tx.add_procedure(procedure(1)))
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    await store.run(lambda tx: tx.add_inbox(incoming(2), next_at=NOW))


class AtRestContract:
    """Keys are made by whoever is first, and destroyed for good."""

    async def test_workers_that_meet_a_case_at_once_share_its_key(self, store: Store, another: Store) -> None:
        """Each reads what the other wrote, whoever made the key, and whether or not it opened a procedure of it."""

        def add(number: int) -> Callable[[Transaction], None]:
            def fn(tx: Transaction) -> None:
                if number % 4 < 2:
                    tx.add_procedure(procedure(number))
                tx.add_outbox(replace(outgoing(number), procedure=procedure_id(number)), next_at=NOW)

            return fn

        await asyncio.gather(*((store, another)[n % 2].run(add(n)) for n in range(20)))
        for worker in (store, another):
            page = await worker.read(lambda reader: reader.messages(_EVERYTHING, cursor=None, limit=50))
            assert len({row.id for row in page.items}) == 20

    async def test_a_destroyed_case_is_seen_nowhere(self, store: Store, another: Store) -> None:
        """Neither worker shows, leases or lists what it held; digests and times stay; destroying again does nothing."""
        await fill(store)
        assert await another.run(lambda tx: tx.outbox(message_id(1))) is not None
        assert await store.run(lambda tx: tx.destroy_case(SCOPE, later(60))) is True
        assert await store.run(lambda tx: tx.destroy_case(SCOPE, later(61))) is False

        for worker in (store, another):
            assert await worker.run(lambda tx: tx.outbox(message_id(1))) is None
            assert await worker.run(lambda tx: tx.inbox(FI, message_id(2))) is None
            assert (await worker.read(lambda reader: reader.messages(_EVERYTHING, cursor=None, limit=9))).items == ()
            assert await worker.read(lambda reader: reader.messages_of(message_id(1), None)) == ()
            assert await worker.run(lambda tx: set(tx.outbox_briefs({message_id(1)}))) == {message_id(1)}
            assert len(await worker.read(lambda reader: reader.message_times(9))) == 2

    async def test_nothing_is_added_to_what_was_erased(self, store: Store) -> None:
        """A message of a procedure that was there then is refused, in either direction, and nothing of it is kept."""
        await fill(store)
        await store.run(lambda tx: tx.destroy_case(SCOPE, later(60)))
        with pytest.raises(CaseErased):
            await store.run(lambda tx: tx.add_outbox(outgoing(3), next_at=NOW))
        with pytest.raises(CaseErased):
            await store.run(lambda tx: tx.add_inbox(incoming(4), next_at=NOW))
        assert len(await store.read(lambda reader: reader.message_times(9))) == 2

    async def test_a_case_can_be_closed_to_messages_before_it_has_any(self, store: Store) -> None:
        """The mark alone keeps a key from being made."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        assert await store.run(lambda tx: tx.destroy_case(SCOPE, later(60))) is True
        with pytest.raises(CaseErased):
            await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))

    async def test_a_procedure_begun_after_the_erasure_has_a_key_of_its_own(self, store: Store) -> None:
        """Under the same case reference a child's new danger is taken; destroying that too ends it as well."""
        await fill(store)
        await store.run(lambda tx: tx.destroy_case(SCOPE, later(60)))
        begun = replace(procedure(7), opened=later(120))

        def begin(tx: Transaction) -> None:
            tx.add_procedure(begun)
            tx.add_inbox(incoming(8, in_procedure=7), next_at=NOW)

        await store.run(begin)
        row = await store.run(lambda tx: tx.inbox(FI, message_id(8)))
        assert row is not None
        assert row.entry == incoming(8, in_procedure=7)
        assert await store.run(lambda tx: tx.inbox(FI, message_id(2))) is None

        await store.run(lambda tx: tx.destroy_case(Scope(f"{FI}:{procedure_id(7)}"), later(200)))
        assert await store.run(lambda tx: tx.inbox(FI, message_id(8))) is None
        with pytest.raises(CaseErased):
            await store.run(lambda tx: tx.add_inbox(incoming(9, in_procedure=7), next_at=NOW))
