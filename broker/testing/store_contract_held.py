# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite about raw deliveries, quarantine, parking, abuse, attention and audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from broker.core.ids import Digest
from broker.ports import Store
from broker.rows import AuditRow, HeldDelivery, SeenRaw
from broker.testing.store_rows import FI, NOW, attention, digest, held, later, message_id

__all__ = ["HeldContract"]


async def quarantine(store: Store, *rows: HeldDelivery, items: int = 3, size: int = 1000) -> None:
    """Quarantine within limits."""
    for row in rows:
        await store.run(lambda tx, row=row: tx.quarantine(row, max_items=items, max_bytes=size))  # type: ignore[misc]


async def park(store: Store, *rows: HeldDelivery, items: int = 3, size: int = 1000) -> None:
    """Park within limits."""
    for row in rows:
        await store.run(lambda tx, row=row: tx.park(row, max_items=items, max_bytes=size))  # type: ignore[misc]


async def parked(store: Store, *, now: float = 10_000, limit: int = 100) -> list[Digest]:
    """Return what is due."""
    return [row.sha256 for row in await store.run(lambda tx: tx.due_parked(now=later(now), limit=limit))]


async def count(store: Store, gauge: str) -> int:
    """Return one gauge."""
    return (await store.read(lambda reader: reader.counts()))[gauge]


async def _seen(store: Store, *digests: Digest) -> Mapping[Digest, SeenRaw]:
    return await store.read(lambda reader: reader.seen(digests))


class HeldContract:
    """What we could not believe, and what people must see."""

    async def test_seen_bytes_are_remembered(self, store: Store) -> None:
        """With what they were, and when they were answered last."""
        row = SeenRaw(sha256=digest("raw"), sender=FI, message=message_id(1), answered=NOW)
        assert await _seen(store, row.sha256) == {}
        await store.run(lambda tx: tx.save_seen(row))
        assert await _seen(store, row.sha256) == {row.sha256: row}
        answered = replace(row, answered=later(60))
        await store.run(lambda tx: tx.save_seen(answered))
        assert await _seen(store, row.sha256) == {row.sha256: answered}
        bare = SeenRaw(sha256=digest("other"), sender=None, message=None, answered=NOW)
        await store.run(lambda tx: tx.save_seen(bare))
        both = {row.sha256: answered, bare.sha256: bare}
        assert await _seen(store, row.sha256, digest("third"), bare.sha256, row.sha256) == both
        assert await _seen(store, *(digest(f"new-{n}") for n in range(40)), bare.sha256) == {bare.sha256: bare}

    async def test_quarantine_keeps_the_newest_items_of_each_user(self, store: Store) -> None:
        """One user's flood drops that user's oldest, is counted, and takes nobody else's space."""
        await quarantine(store, held(100, user="SE"), held(101, user=None))
        await quarantine(store, *(held(n) for n in range(5)))
        assert await count(store, "quarantine") == 5
        assert await count(store, "quarantine.dropped") == 2
        await quarantine(store, held(4))
        assert await count(store, "quarantine") == 5
        assert await count(store, "quarantine.dropped") == 2

    async def test_quarantine_keeps_within_its_bytes(self, store: Store) -> None:
        """As many of the oldest go as the newest needs; what is larger than all space goes itself."""
        await quarantine(store, *(held(n, size=100) for n in range(10)), items=100, size=1000)
        assert await count(store, "quarantine.dropped") == 0
        await quarantine(store, held(20, size=250), items=100, size=1000)
        assert await count(store, "quarantine") == 8
        assert await count(store, "quarantine.dropped") == 3
        await quarantine(store, held(21, size=1001), items=100, size=1000)
        assert await count(store, "quarantine") == 8
        assert await count(store, "quarantine.dropped") == 4

    async def test_a_large_eviction_is_complete(self, store: Store) -> None:
        """Limits that were lowered are reached by the next item, however many must go."""
        await quarantine(store, *(held(n) for n in range(150)), items=1000, size=10_000)
        await quarantine(store, held(200), items=2, size=10_000)
        assert await count(store, "quarantine") == 2
        assert await count(store, "quarantine.dropped") == 149

    async def test_parked_bytes_are_offered_when_due(self, store: Store) -> None:
        """As they were, longest due first, within the limit, until they are unparked."""
        rows = [held(1, due=30), held(2, user=None, due=10), held(3, due=20)]
        await park(store, *rows)
        assert await parked(store, now=9.999) == []
        due = await store.run(lambda tx: tx.due_parked(now=later(20), limit=10))
        assert due == (rows[1], rows[2])
        assert await parked(store, limit=1) == [rows[1].sha256]
        await store.run(lambda tx: tx.unpark(rows[1].sha256))
        assert await parked(store) == [rows[2].sha256, rows[0].sha256]
        assert await count(store, "parked") == 2
        assert await parked(store, now=-2 * 3_600) == [rows[2].sha256, rows[0].sha256]  # the clock was set right since

    async def test_all_that_is_parked_can_be_made_due(self, store: Store) -> None:
        """What was due before keeps its place in front; nothing else of it changes."""
        rows = [held(1, due=30), held(2, due=10), held(3, due=40)]
        await park(store, *rows)
        await store.run(lambda tx: tx.hasten_parked(now=later(20)))
        due = await store.run(lambda tx: tx.due_parked(now=later(20), limit=10))
        assert due[0] == rows[1]
        assert set(due[1:]) == {replace(rows[0], next_at=later(20)), replace(rows[2], next_at=later(20))}

    async def test_parking_again_counts_and_keeps_the_first_reception(self, store: Store) -> None:
        """Code and next time are the new ones; nothing is dropped for it."""
        await park(store, held(1, due=10), items=1)
        again = replace(held(1, due=70), received=later(500), code="unknown-key")
        await park(store, again, items=1)
        (row,) = await store.run(lambda tx: tx.due_parked(now=later(1000), limit=10))
        assert row == replace(held(1, due=70), code="unknown-key", attempts=1)
        assert await count(store, "parked.dropped") == 0

    async def test_parking_keeps_the_newest_of_each_user(self, store: Store) -> None:
        """By items and by bytes, counted apart from quarantine."""
        await park(store, held(100, user="SE", due=1))
        await park(store, *(held(n, due=10 + n) for n in range(5)))
        kept = await parked(store)
        assert kept == [held(100).sha256, *(held(n).sha256 for n in (2, 3, 4))]
        await park(store, held(9, size=990, due=30), size=1000)
        assert len(await parked(store)) == 3
        await park(store, held(10, size=2000, due=30), size=1000)
        assert len(await parked(store)) == 3
        assert (await count(store, "parked.dropped"), await count(store, "quarantine.dropped")) == (5, 0)

    async def test_broken_rules_are_counted_by_user_and_code(self, store: Store) -> None:
        """Each answer is the total of that pair."""
        totals = [await store.run(lambda tx: tx.count_abuse("FI", "user-id", NOW)) for _ in range(3)]
        assert totals == [1, 2, 3]
        assert await store.run(lambda tx: tx.count_abuse("FI", "too-large", NOW)) == 1
        assert await store.run(lambda tx: tx.count_abuse("SE", "user-id", NOW)) == 1

    async def test_attention_is_open_once_per_code_and_subject(self, store: Store) -> None:
        """It can be raised again after somebody resolved it."""
        row = attention()
        assert await store.run(lambda tx: tx.raise_attention(row)) is True
        assert await store.run(lambda tx: tx.raise_attention(replace(row, detail="Again."))) is False
        assert await store.run(lambda tx: tx.raise_attention(replace(row, code="adapter-failed"))) is True
        assert await store.run(lambda tx: tx.raise_attention(replace(row, subject="message-2"))) is True
        assert await count(store, "attention") == 3
        resolved = await store.run(lambda tx: tx.resolve_attention(row.code, row.subject, at=later(9), by="officer"))
        assert resolved is True
        assert await count(store, "attention") == 2
        assert not await store.run(lambda tx: tx.resolve_attention(row.code, row.subject, at=later(10), by="x"))
        assert await store.run(lambda tx: tx.raise_attention(row)) is True

    async def test_audit_rows_are_kept_in_order(self, store: Store) -> None:
        """Newest first, equal ones too."""
        rows = [AuditRow(at=later(n), actor="officer-1", action="submit", subject=f"m{n}") for n in (1, 1, 2)]
        for row in rows:
            await store.run(lambda tx, row=row: tx.audit(row))  # type: ignore[misc]
        page = await store.read(lambda reader: reader.audit(cursor=None, limit=10))
        assert page.items == tuple(reversed(rows))
        assert page.next is None
