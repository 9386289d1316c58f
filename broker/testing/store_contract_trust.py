# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite about trust lists: none that was in force is lost, and a look's memory is replaced whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from broker.core.errors import NotAllowed
from broker.ports import Store, Transaction
from broker.rows import TrustRow
from broker.testing.store_rows import digest, later

__all__ = ["TrustContract"]

_MEMORY = {"metadata/timestamp.json": b"{}", "targets/catalogue.json": bytes(range(256)) * 2000}


def trust_row(version: int, *, accepted: float, text: str = "") -> TrustRow:
    """Return a list of that version, taken so many seconds after the suite's now."""
    return TrustRow(
        version=version,
        root_version=1,
        digest=digest((version, text)),
        raw=f"list {version} {text}\x00\xff".encode("latin-1"),
        accepted=later(accepted),
    )


class TrustContract:
    """What the node believed, and when."""

    async def test_an_empty_store_holds_no_list(self, store: Store) -> None:
        """Before the first look there is neither a list nor a memory, of no version and no time."""
        assert await store.run(lambda tx: (tx.trust_list(), dict(tx.trust_memory()))) == (None, {})
        assert await store.read(lambda reader: reader.trust_list_at(1, later(1e6))) is None

    async def test_a_list_comes_back_as_it_was_taken(self, store: Store, another: Store) -> None:
        """Bytes, digest and time are the same for every worker, and so is each file of the memory."""
        row = trust_row(7, accepted=0.25)
        assert await store.run(lambda tx: tx.save_trust(row, _MEMORY)) is True
        assert await another.run(lambda tx: (tx.trust_list(), dict(tx.trust_memory()))) == (row, _MEMORY)

    async def test_the_same_list_is_kept_once(self, store: Store) -> None:
        """A look that gives the list in force adds none, leaves its day as it was, and takes over look and memory."""
        row = trust_row(1, accepted=0)
        await store.run(lambda tx: tx.save_trust(replace(row, looked=later(-1)), _MEMORY))
        assert await store.run(lambda tx: tx.trust_list()) == replace(row, looked=later(-1))
        memory = {"metadata/timestamp.json": b"newer"}
        row = replace(row, looked=later(59))
        assert await store.run(lambda tx: tx.save_trust(replace(row, accepted=later(60)), memory)) is False
        assert await store.run(lambda tx: (tx.trust_list(), dict(tx.trust_memory()))) == (row, memory)
        assert await store.read(lambda reader: reader.trust_list_at(1, later(60))) == row

    async def test_the_list_taken_last_is_in_force(self, store: Store) -> None:
        """What was taken last counts, also below an earlier number: after a recovery the numbers begin anew."""
        rows = [trust_row(1_000_000, accepted=0), trust_row(3, accepted=10)]
        for row in rows:
            assert await store.run(lambda tx, row=row: tx.save_trust(row, {})) is True  # type: ignore[misc]
        assert await store.run(lambda tx: tx.trust_list()) == rows[1]

    async def test_each_list_is_found_as_of_its_day(self, store: Store) -> None:
        """A message of last year is verified by the list of that version and day, whatever came after."""
        first, other = trust_row(1, accepted=0), trust_row(1, accepted=20, text="a member's entry was mended")
        second = trust_row(2, accepted=10)
        for row in (first, second, other):
            await store.run(lambda tx, row=row: tx.save_trust(row, {}))  # type: ignore[misc]
        asked = [(1, -0.001), (1, 0), (1, 19.999), (1, 20), (2, 9.999), (2, 10), (3, 100)]
        found = [
            await store.read(lambda reader, version=version, at=at: reader.trust_list_at(version, later(at)))  # type: ignore[misc]
            for version, at in asked
        ]
        assert found == [None, first, first, other, None, second, None]

    async def test_list_and_memory_are_kept_together_or_not_at_all(self, store: Store) -> None:
        """A look whose transaction fails leaves list and memory as the one before left them."""
        row = trust_row(1, accepted=0)
        await store.run(lambda tx: tx.save_trust(row, _MEMORY))

        def broken(tx: Transaction) -> None:
            tx.save_trust(trust_row(2, accepted=1), {"metadata/timestamp.json": b"newer"})
            raise NotAllowed

        with pytest.raises(NotAllowed):
            await store.run(broken)
        assert await store.run(lambda tx: (tx.trust_list(), dict(tx.trust_memory()))) == (row, _MEMORY)
        assert await store.read(lambda reader: reader.trust_list_at(2, later(10))) is None

    async def test_two_workers_keep_one_list(self, store: Store, another: Store) -> None:
        """Workers that took the same list at the same time leave a whole memory, of one of them."""
        row = trust_row(1, accepted=0)
        await store.run(lambda tx: tx.save_trust(trust_row(0, accepted=-1), _MEMORY))
        memories = [dict.fromkeys(("one", "two", "three"), worker) for worker in (b"A", b"B")]
        await asyncio.gather(
            store.run(lambda tx: tx.save_trust(row, memories[0])),
            another.run(lambda tx: tx.save_trust(row, memories[1])),
        )
        assert await store.run(lambda tx: dict(tx.trust_memory())) in memories
        assert await another.run(lambda tx: tx.trust_list()) == row
