# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The keys of cases between epochs, seen through the tables themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from broker.core.content import entry_of
from broker.core.errors import CaseKeyMissing, KeyMissing, StoreCorrupt, VaultLocked
from broker.core.ids import MessageId
from broker.core.messages import OutboxEntry, OutboxKind
from broker.ports import Store, Transaction
from broker.rows import MessageFilter
from broker.security.at_rest import NO_EPOCHS, EpochRing, Scope
from broker.storage import AtRest, locked, open_store
from broker.storage.schema import exclusive
from broker.storage.tables import case_key
from broker.testing.at_rest import UnsafeEpochs
from broker.testing.store_rows import EE, FI, NOW, incoming, later, message_id, outgoing, procedure, procedure_id


def alone(number: int) -> OutboxEntry:
    """Return an entry in a procedure without a case: each has a key of its own."""
    header = replace(outgoing(number, in_procedure=number).header, case_ref=None)
    return entry_of(header, {}, OutboxKind.MESSAGE)


def own_scope(number: int) -> Scope:
    """Return what covers it."""
    return Scope(f"{FI}:{procedure_id(number)}")


def stored(url: str) -> dict[str, tuple[int | None, bytes | None]]:
    """Return every key as it stands in its table."""
    with exclusive(url) as connection:
        return {row.scope: (row.epoch, row.wrapped) for row in connection.execute(select(case_key))}


async def rewrap(store: Store, number: int) -> int:
    """Move up to two keys."""
    return (await store.run(lambda tx: tx.rewrap_keys(number, limit=2))).moved


async def test_every_key_moves_to_the_next_epoch(store: Store, url: str, epochs: UnsafeEpochs) -> None:
    """In bounded steps, keeping what they open, while messages go on; then the old epoch's key is needed no more."""
    for number in range(5):
        await store.run(lambda tx, n=number: tx.add_outbox(alone(n), next_at=NOW))  # type: ignore[misc]
    await store.run(lambda tx: tx.destroy_case(own_scope(0), later(60)))
    before = stored(url)

    assert epochs.begin_epoch(NOW) == 2
    await store.run(lambda tx: tx.begin_epoch(2))
    assert await rewrap(store, 2) == 2
    await store.run(lambda tx: tx.add_outbox(alone(9), next_at=NOW))
    assert await store.run(lambda tx: tx.keys_before(2)) == {1: 2}
    assert [await rewrap(store, 2), await rewrap(store, 2)] == [2, 0]
    epochs.end_epochs(2, NOW)

    after = stored(url)
    assert after[own_scope(0)] == (1, None)
    assert {epoch for scope, (epoch, _) in after.items() if scope != own_scope(0)} == {2}
    assert all(after[scope][1] != wrapped for scope, (_, wrapped) in before.items() if wrapped is not None)
    for number in (1, 4, 9):
        row = await store.run(lambda tx, n=number: tx.outbox(message_id(n)))  # type: ignore[misc]
        assert row is not None
        assert row.entry == alone(number)


async def test_the_database_says_which_epoch_wraps(store: Store, url: str, epochs: UnsafeEpochs) -> None:
    """A vault that is ahead waits; a worker whose vault is behind makes no key, and opens what it can."""
    await store.run(lambda tx: tx.add_outbox(alone(1), next_at=NOW))
    behind = epochs.ring()
    epochs.begin_epoch(NOW)
    await store.run(lambda tx: tx.add_outbox(alone(2), next_at=NOW))
    assert stored(url)[own_scope(2)][0] == 1

    await store.run(lambda tx: tx.begin_epoch(2))
    await store.run(lambda tx: tx.begin_epoch(1))  # there is no way back
    late = open_store(url, us=EE, cipher=AtRest(lambda: behind))
    with pytest.raises(KeyMissing):
        await late.run(lambda tx: tx.add_outbox(alone(3), next_at=NOW))
    assert await late.run(lambda tx: tx.outbox(message_id(1))) is not None
    await late.close()
    await store.run(lambda tx: tx.add_outbox(alone(3), next_at=NOW))
    assert stored(url)[own_scope(3)][0] == 2


async def test_a_transaction_looks_at_the_vault_once(url: str, epochs: UnsafeEpochs) -> None:
    """However much it encrypts; an epoch that begins in one of a group counts for the next one of that group."""
    looks: list[int] = []

    def ring() -> EpochRing:
        looks.append(1)
        return epochs.ring()

    def three(tx: Transaction) -> None:
        for number in (1, 2, 3):
            tx.add_outbox(alone(number), next_at=NOW)

    def begin(tx: Transaction) -> None:
        epochs.begin_epoch(NOW)
        tx.begin_epoch(2)

    store = open_store(url, us=EE, cipher=AtRest(ring))
    await store.run(three)
    assert len(looks) == 1
    await asyncio.gather(store.run(begin), store.run(lambda tx: tx.add_outbox(alone(4), next_at=NOW)))
    assert len(looks) == 2
    assert stored(url)[own_scope(4)][0] == 2
    await store.close()


def opening(number: int) -> Callable[[Transaction], None]:
    """Return what opens a procedure with its first message."""

    def fn(tx: Transaction) -> None:
        tx.add_procedure(replace(procedure(number), case_ref=None))
        tx.add_outbox(alone(number), next_at=NOW)

    return fn


async def test_a_key_made_with_its_procedure_is_of_the_databases_epoch_too(
    store: Store, url: str, epochs: UnsafeEpochs
) -> None:
    """Also without looking first: with a vault that is ahead, one that is behind, and as they are mostly."""
    await store.run(opening(1))
    behind = epochs.ring()
    epochs.begin_epoch(NOW)
    await store.run(opening(2))
    await store.run(lambda tx: tx.begin_epoch(2))
    late = open_store(url, us=EE, cipher=AtRest(lambda: behind))
    with pytest.raises(KeyMissing):
        await late.run(opening(3))
    await late.close()
    await store.run(opening(4))
    kept = stored(url)
    assert {scope: epoch for scope, (epoch, _) in kept.items()} == {own_scope(1): 1, own_scope(2): 1, own_scope(4): 2}
    for number in (1, 2, 4):
        assert await store.run(lambda tx, n=number: tx.outbox(message_id(n))) is not None  # type: ignore[misc]


async def test_a_key_brought_back_from_an_old_copy_is_dead(store: Store, url: str, epochs: UnsafeEpochs) -> None:
    """Destroyed, followed by a new epoch: what a backup of the key table held opens nothing."""
    await store.run(lambda tx: tx.add_outbox(alone(1), next_at=NOW))
    copy = stored(url)[own_scope(1)]
    await store.run(lambda tx: tx.destroy_case(own_scope(1), later(60)))
    epochs.begin_epoch(NOW)
    await store.run(lambda tx: tx.begin_epoch(2))
    await rewrap(store, 2)
    epochs.end_epochs(2, NOW)

    with exclusive(url) as connection:
        connection.execute(
            case_key.update().where(case_key.c.scope == own_scope(1)).values(
                epoch=copy[0], wrapped=copy[1], destroyed=None
            )
        )  # fmt: skip
    with pytest.raises(CaseKeyMissing):
        await store.run(lambda tx: tx.outbox(message_id(1)))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("DELETE FROM case_key", CaseKeyMissing),
        ("UPDATE outbox_content SET content = zeroblob(80)", StoreCorrupt),
        ("UPDATE outbox_content SET content = header", StoreCorrupt),
        ("UPDATE outbox_content SET header = (SELECT header FROM inbox_content)", StoreCorrupt),
        ("UPDATE case_key SET wrapped = zeroblob(61)", StoreCorrupt),
        ("UPDATE outbox_content SET scope = 'node'", CaseKeyMissing),
    ],
)
async def test_what_was_changed_in_the_database_is_told_not_shown(
    store: Store, url: str, change: str, error: type[Exception]
) -> None:
    """A missing key, another column's or row's bytes, another case's key: none of it opens, none of it is passed over."""
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    await store.run(lambda tx: tx.add_inbox(incoming(1), next_at=NOW))
    with exclusive(url) as connection:
        connection.execute(text(change))
    with pytest.raises(error):
        await store.run(lambda tx: tx.outbox(message_id(1)))
    with pytest.raises(error):
        await store.read(lambda reader: reader.messages_of(message_id(1), None))


@pytest.mark.parametrize(
    "change",
    [
        f"DELETE FROM case_key WHERE scope = '{own_scope(2)}'",
        f"UPDATE outbox_content SET header = zeroblob(80) WHERE id = '{message_id(2)}'",
    ],
)
async def test_a_list_for_people_counts_what_does_not_open(store: Store, url: str, change: str) -> None:
    """The others are shown, page by page; who decides something by a list is told that it is not whole."""
    for number in (1, 2, 3):
        await store.run(lambda tx, n=number: tx.add_outbox(alone(n), next_at=NOW))  # type: ignore[misc]
    with exclusive(url) as connection:
        connection.execute(text(change))

    seen, cursor = list[tuple[list[MessageId], int]](), None
    while not seen or cursor:
        page = await store.read(
            lambda reader, at=cursor: reader.messages(MessageFilter(), cursor=at, limit=1, readable_only=True)  # type: ignore[misc]
        )
        seen, cursor = [*seen, ([row.id for row in page.items], page.unreadable)], page.next
    assert seen == [([message_id(3)], 0), ([], 1), ([message_id(1)], 0)]
    with pytest.raises((CaseKeyMissing, StoreCorrupt)):
        await store.read(lambda reader: reader.messages(MessageFilter(), cursor=None, limit=9))


async def test_without_the_vault_all_works_that_needs_no_content(store: Store, url: str) -> None:
    """Counting, times and evidence; content and new messages are refused with what is needed."""
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    closed = open_store(url, us=EE, cipher=locked())

    def send(tx: Transaction) -> Any:
        return tx.add_outbox(outgoing(2), next_at=NOW)

    assert (await closed.read(lambda reader: reader.counts()))["outbox.recorded"] == 1
    assert len(await closed.read(lambda reader: reader.message_times(5))) == 1
    assert await closed.run(lambda tx: set(tx.outbox_briefs({message_id(1)}))) == {message_id(1)}
    for work in (send, lambda tx: tx.outbox(message_id(1))):
        with pytest.raises(VaultLocked):
            await closed.run(work)
    await closed.close()


async def test_a_vault_without_keys_says_which_command_makes_them(url: str) -> None:
    """Nothing is stored in clear instead."""
    store = open_store(url, us=EE, cipher=AtRest(lambda: NO_EPOCHS))
    with pytest.raises(KeyMissing, match="trm keys generate"):
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    assert stored(url) == {}
    await store.close()


async def test_held_keys_are_bounded_and_dropped_when_the_vault_changed(epochs: UnsafeEpochs) -> None:
    """A cipher unwraps a key once, forgets the least used beyond its bound, and all of them under other keys."""
    asked: list[int] = []

    class Counting(EpochRing):
        def unwrap(self, stored: Any) -> bytes:
            asked.append(1)
            return super().unwrap(stored)

    rings = [Counting({1: bytes(32)}, None), Counting({1: bytes(32)}, None)]
    now = rings[0]
    cipher = AtRest(lambda: now)
    keys = [cipher.new_key(Scope(f"FI:{n}"), 1) for n in range(2050)]
    for key in (*keys, keys[-1], keys[0]):
        cipher.encrypt(key, b"x", b"")
    assert len(asked) == 2051  # the first was pushed out, the last one not
    now = rings[1]
    cipher.encrypt(keys[-1], b"x", b"")
    cipher.forget()
    cipher.encrypt(keys[-1], b"x", b"")
    assert len(asked) == 2053
