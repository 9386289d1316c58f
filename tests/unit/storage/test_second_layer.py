# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sealed bytes and the keys of uploads, seen through the tables themselves: whoever holds the private keys reads nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from broker.core.errors import CaseKeyMissing
from broker.core.messages import SealedEnvelope
from broker.ports import Store
from broker.rows import HeldDelivery, UploadRow
from broker.security.at_rest import Scope
from broker.storage.schema import exclusive
from broker.testing.at_rest import UnsafeEpochs
from broker.testing.backed_home import BackedHome, fill
from broker.testing.store_rows import (
    BOARD,
    CASE,
    FI,
    NOW,
    held,
    later,
    message_id,
    outgoing,
    sealed,
)  # fmt: skip

BYTES = b"these bytes are sealed to a key that lives on " * 5


def bytes_of(folder: Path) -> bytes:
    """Return every byte of the database's files."""
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


def waiting(number: int) -> HeldDelivery:
    """Return a delivery with those bytes."""
    return replace(held(number, due=0), raw=BYTES)


def upload(number: int) -> UploadRow:
    """Return an upload whose file has a key."""
    return UploadRow(id=f"{number:032x}", authority=BOARD, size=5, key=BYTES[:32], at=later(number))


async def seal(store: Store, number: int, raw: bytes = BYTES) -> SealedEnvelope:
    """Owe a message and keep it sealed."""
    envelope = replace(sealed(number), raw=raw)
    await store.run(lambda tx: tx.add_outbox(outgoing(number), next_at=NOW))
    await store.run(lambda tx: tx.lease_outbox(now=NOW, until=later(60), token="a", limit=9))
    assert await store.run(lambda tx: tx.save_sealed([envelope], token="a")) == {envelope.id}
    return envelope


async def next_epoch(store: Store, epochs: UnsafeEpochs) -> None:
    """Move what is left, and destroy the old wrapping key."""
    number = epochs.begin_epoch(NOW)
    await store.run(lambda tx: tx.begin_epoch(number))
    while (await store.run(lambda tx: tx.rewrap_keys(number, limit=50))).moved:
        pass
    epochs.end_epochs(number, NOW)


async def test_no_sealed_bytes_stand_in_the_files_as_they_are(store: Store, tmp_path: Path) -> None:
    """Envelope, parked and quarantined bytes and an upload's key come back whole, and are nowhere in the files."""
    envelope = await seal(store, 1)
    await store.run(lambda tx: tx.park(waiting(2), max_items=9, max_bytes=9999))
    await store.run(lambda tx: tx.quarantine(waiting(3), max_items=9, max_bytes=9999))
    await store.run(lambda tx: tx.add_upload(upload(4)))

    assert BYTES[:32] not in bytes_of(tmp_path)
    row = await store.run(lambda tx: tx.outbox(message_id(1)))
    assert row is not None
    assert row.envelope == envelope
    (parked,) = await store.run(lambda tx: tx.due_parked(now=later(9), limit=9))
    assert parked.raw == BYTES
    assert (await store.read(lambda reader: reader.upload(upload(4).id))) == upload(4)


async def test_an_erasure_reaches_what_was_sealed_for_others(store: Store, url: str, epochs: UnsafeEpochs) -> None:
    """A copy of the rows of before, with the key of before, opens nothing after the next epoch."""
    await seal(store, 1)
    with exclusive(url) as connection:
        copy = connection.execute(text("SELECT * FROM case_key WHERE scope LIKE 'FI:%'")).one()
    await store.run(lambda tx: tx.destroy_case(Scope(f"{FI}:{CASE}"), later(60)))
    await next_epoch(store, epochs)
    assert await store.run(lambda tx: tx.outbox(message_id(1))) is None
    with exclusive(url) as connection:
        words = "UPDATE case_key SET epoch = :epoch, wrapped = :wrapped, destroyed = NULL WHERE scope = :scope"
        connection.execute(text(words), {"epoch": copy.epoch, "wrapped": copy.wrapped, "scope": copy.scope})
    with pytest.raises(CaseKeyMissing):
        await store.run(lambda tx: tx.outbox(message_id(1)))


async def test_nothing_is_sealed_for_what_is_erased(store: Store) -> None:
    """A worker that sealed it meanwhile keeps nothing, and publishes nothing."""
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    await store.run(lambda tx: tx.lease_outbox(now=NOW, until=later(60), token="a", limit=9))
    await store.run(lambda tx: tx.destroy_case(Scope(f"{FI}:{CASE}"), later(30)))
    assert await store.run(lambda tx: tx.save_sealed([sealed(1)], token="a")) == frozenset()


async def test_a_key_goes_with_what_it_is_for(store: Store, url: str) -> None:
    """Decided, pushed out by newer ones, or attached: nothing is left of it; parked twice it has one."""

    def own_keys() -> list[str]:
        with exclusive(url) as connection:
            return sorted(connection.execute(text("SELECT scope FROM case_key")).scalars())

    for _ in range(2):
        await store.run(lambda tx: tx.park(waiting(1), max_items=9, max_bytes=9999))
        await store.run(lambda tx: tx.quarantine(waiting(1), max_items=9, max_bytes=9999))
    await store.run(lambda tx: tx.add_upload(upload(1)))
    sha256 = waiting(1).sha256
    assert own_keys() == [f"parked:{sha256}", f"quarantine:{sha256}", f"upload:{upload(1).id}"]

    await store.run(lambda tx: tx.unpark(sha256))
    await store.run(lambda tx: tx.quarantine(waiting(2), max_items=1, max_bytes=9999))
    await store.run(lambda tx: tx.drop_upload(upload(1).id))
    assert own_keys() == [f"quarantine:{waiting(2).sha256}"]


async def test_what_an_older_program_stored_is_read_as_it_is(store: Store, url: str) -> None:
    """Without a scope the bytes are what they are."""
    await seal(store, 1)
    await store.run(lambda tx: tx.park(waiting(2), max_items=9, max_bytes=9999))
    await store.run(lambda tx: tx.add_upload(upload(3)))
    with exclusive(url) as connection:
        for table, column in (("outbox_envelope", "raw"), ("parked", "raw"), ("upload", "key")):
            connection.execute(text(f"UPDATE {table} SET scope = NULL, {column} = :old"), {"old": BYTES[:32]})
    row = await store.run(lambda tx: tx.outbox(message_id(1)))
    assert row is not None
    assert row.envelope is not None
    assert row.envelope.raw == BYTES[:32]
    assert (await store.run(lambda tx: tx.due_parked(now=later(9), limit=9)))[0].raw == BYTES[:32]
    assert (await store.run(lambda tx: tx.upload(upload(3).id))) == upload(3)


def test_an_old_backup_does_not_open_what_was_decided_since(tmp_path: Path) -> None:
    """Its rows of then have no key in the newest backup of keys, and are dropped; what still waits is read."""
    home = BackedHome.create(tmp_path)
    fill(home, 1)
    for number in (5, 6):
        home.work(lambda tx, n=number: tx.park(waiting(n), max_items=9, max_bytes=9999))
    data, _ = home.back_up()
    home.work(lambda tx: tx.unpark(waiting(5).sha256))
    _, keys = home.back_up(60)
    home.restore(data.file, keys.file)

    found: list[HeldDelivery] = []
    home.anew().work(lambda tx: found.extend(tx.due_parked(now=later(9999), limit=9)))
    assert [(one.sha256, one.raw) for one in found] == [(waiting(6).sha256, BYTES)]
