# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What every store must do with the audit trail's chain and what was signed of it; part of `StoreContract`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from broker.core.audit import GENESIS, AuditRow, Head, Linked, chained
from broker.core.checkpoints import KeptCheckpoint
from broker.core.ids import ProcedureId
from broker.core.roles import AuditRole
from broker.core.trail import TrailCheck
from broker.ports import Store, Transaction
from broker.testing.store_rows import BOARD, FI, NOW, SE, digest, later, procedure_id

__all__ = ["TrailContract"]


def said(subject: str) -> AuditRow:
    """Return an entry in which every member is given."""
    return AuditRow(
        at=later(0.001), actor="officer-ä", role=AuditRole.OFFICER, authority=BOARD, action="read", subject=subject,
        detail='a "quoted" one', procedure=procedure_id(1), peer=FI, reason="casework",
    )  # fmt: skip


async def write(store: Store, *subjects: str) -> None:
    """Write one entry after another; every second one says as little as an entry may."""
    for number, subject in enumerate(subjects):
        row = said(subject) if number % 2 == 0 else AuditRow(at=NOW, actor="node", action="x", subject=subject)
        await store.run(lambda tx, one=row: tx.audit(one))  # type: ignore[misc]


async def link(store: Store, most: int = 100) -> tuple[Linked, ...]:
    """Link what waits, as the linker does."""
    waiting = await store.read(lambda reader: reader.unlinked_audit(most))
    head = await store.read(lambda reader: reader.audit_head())
    links = chained(head, waiting)
    await store.run(lambda tx: tx.link_audit(waiting, links))
    return links


async def trail(store: Store, after: int = 0) -> tuple[Linked, ...]:
    """Return the chain behind a place."""
    return await store.read(lambda reader: reader.audit_trail(after, 100))


def kept(position: int, *, of: str = "", seconds: float = 0, cut: bool = False) -> KeptCheckpoint:
    """Return a checkpoint of that place."""
    head = Head(position=position, chain=digest((position, of)))
    return KeptCheckpoint(head=head, at=later(seconds), cut=cut, raw=f"signed {position} {of}".encode())


class TrailContract:
    """Entries keep what they say and their place; what was signed of them is kept once."""

    async def test_what_one_person_was_shown_since_a_time_is_found(self, store: Store, another: Store) -> None:
        """Contents and attachments, each procedure once, whichever worker showed them; no list, nobody else, nothing earlier."""
        shown = said("a")
        rows = [
            shown,
            replace(shown, action="attachment-read", procedure=procedure_id(2), at=later(1)),
            replace(shown, action="attachment-read", at=later(2)),
            replace(shown, action="listed", procedure=procedure_id(3)),
            replace(shown, actor="officer-2", procedure=procedure_id(4)),
            replace(shown, procedure=None),
            replace(shown, procedure=procedure_id(5), at=NOW),
        ]
        for number, row in enumerate(rows):
            await (store, another)[number % 2].run(lambda tx, one=row: tx.audit(one))  # type: ignore[misc]
        since = await store.run(lambda tx: [tx.shown(shown.actor, since=at) for at in (NOW, later(1), later(2))])
        assert since == [{procedure_id(1), procedure_id(2)}, {procedure_id(1)}, set()]

    async def test_in_which_procedures_something_happened_is_told_from_place_to_place(
        self, store: Store, another: Store
    ) -> None:
        """Each once more when it is linked, whichever worker wrote it; who read it, and who was called, changes nothing."""

        async def happened(*numbers: int, action: str = "received") -> None:
            for number in numbers:
                row = replace(said("a"), action=action, procedure=procedure_id(number))
                await another.run(lambda tx, one=row: tx.audit(one))  # type: ignore[misc]

        async def touched(after: int | None) -> tuple[set[ProcedureId], int]:
            found = await store.read(lambda reader: reader.touched(after))
            return set(found.procedures), found.place

        assert await touched(None) == (set(), 0)
        await happened(1, 1)
        await happened(2, action="read")
        await happened(3, action="attention-raised")
        await another.run(lambda tx: tx.audit(replace(said("a"), action="x", procedure=None)))
        assert await touched(0) == ({procedure_id(1)}, 0)
        await link(another)
        assert await touched(None) == await touched(0) == ({procedure_id(1)}, 5)
        await happened(4)
        assert await touched(5) == ({procedure_id(4)}, 5)
        await link(another)
        assert await touched(5) == ({procedure_id(4)}, 6)
        assert await touched(6) == await touched(99) == (set(), 6)

    async def test_a_chain_is_over_the_bytes_that_are_stored(self, store: Store, another: Store) -> None:
        """Whatever worker wrote and linked them; what is read back has the digests that were linked."""
        await write(store, "a", "b")
        await write(another, "c")
        links = await link(another, 2) + await link(store)
        found = await trail(another)
        assert (found, [item.position for item in found]) == (links, [1, 2, 3])
        check = TrailCheck(start=GENESIS)
        check.take_all(found)
        assert check.findings == []
        assert await store.read(lambda reader: reader.audit_head()) == links[-1].head
        assert await store.run(lambda tx: (tx.audit_head(), tx.audit_link(2))) == (links[-1].head, links[1].chain)
        assert await store.read(lambda reader: reader.unlinked_audit(9)) == ()
        page = await store.read(lambda reader: reader.audit(cursor=None, limit=9))
        assert [(row.subject, row.position) for row in page.items] == [("c", 3), ("b", 2), ("a", 1)]
        assert replace(page.items[2], position=None) == said("a")

    async def test_entries_of_many_workers_are_linked_once(self, store: Store, another: Store) -> None:
        """Each has one place, none is left out, and the order of linking is the truth."""
        await asyncio.gather(*(write((store, another)[n % 2], f"entry-{n}") for n in range(12)))
        while await link(store, 5):
            pass
        found = await trail(store)
        assert [item.position for item in found] == list(range(1, 13))
        assert len({item.raw for item in found}) == 12

    async def test_one_checkpoint_is_kept_of_a_place(self, store: Store, another: Store) -> None:
        """The first stands; one may take another's place; they are listed in order, and the newest is the highest."""
        assert await store.run(lambda tx: tx.newest_checkpoint()) is None
        for position in (3, 9, 5):
            assert await store.run(lambda tx, p=position: tx.add_checkpoint(kept(p))) is True  # type: ignore[misc]
        assert await another.run(lambda tx: tx.add_checkpoint(kept(5, of="other"))) is False
        assert await another.run(lambda tx: tx.add_checkpoint(kept(7, cut=True), instead_of=kept(5))) is True
        assert await store.read(lambda reader: reader.newest_checkpoint()) == kept(9)
        assert await store.run(lambda tx: tx.newest_checkpoint()) == kept(9)
        assert await store.read(lambda reader: reader.checkpoints(3, 9)) == (kept(7, cut=True), kept(9))
        assert await store.read(lambda reader: reader.checkpoints(0, 1)) == (kept(3),)

    async def test_a_country_is_told_of_the_newest_head_once(self, store: Store, another: Store) -> None:
        """Each country by itself, and again when there is a newer one."""

        async def owed(position: int | None) -> None:
            found = await store.run(lambda tx: (tx.checkpoint_for(FI), tx.checkpoint_for(SE)))
            newest = await store.run(lambda tx: tx.newest_checkpoint())
            assert found == (None if position is None else kept(position), newest)

        await owed(None)
        await store.run(lambda tx: tx.add_checkpoint(kept(3)))
        await owed(3)
        await another.run(lambda tx: tx.told_checkpoint(FI, 3))
        await owed(None)
        await store.run(lambda tx: tx.add_checkpoint(kept(8)))
        await owed(8)
        await store.run(lambda tx: tx.told_checkpoint(FI, 8))
        await owed(None)

    async def test_what_others_signed_is_kept_beside_what_contradicts_it(self, store: Store) -> None:
        """The same head once, another head of the same place as well; of a place the nearest on both sides are given."""

        def keep(tx: Transaction) -> Sequence[bool]:
            known = [tx.add_witness(FI, kept(position)) for position in (2, 5, 9)]
            return [
                *known,
                tx.add_witness(FI, kept(5)),
                tx.add_witness(FI, kept(5, of="x")),
                tx.add_witness(SE, kept(5)),
            ]

        assert await store.run(keep) == [True, True, True, False, True, True]
        assert await store.run(lambda tx: tx.witnessed(FI, 6)) in _either(kept(9))
        around = await store.run(lambda tx: tx.witnessed(FI, 5))
        assert (around[0], set(around[1:3]), around[3:]) == (kept(2), {kept(5), kept(5, of="x")}, (kept(9),))
        assert await store.run(lambda tx: tx.witnessed(SE, 4)) == (kept(5),)

        assert await store.run(lambda tx: tx.add_witness(FI, kept(10), instead_of=kept(9))) is True
        pages, behind = [], Head(position=-1, chain=GENESIS.chain)
        while page := await store.read(lambda reader, after=behind: reader.witnesses(FI, after, 2)):  # type: ignore[misc]
            pages += page
            behind = page[-1].head
        assert [one.head.position for one in pages] == [2, 5, 5, 10]
        assert set(pages) == {kept(2), kept(5), kept(5, of="x"), kept(10)}


def _either(above: KeptCheckpoint) -> list[tuple[KeptCheckpoint, ...]]:
    """Return both answers that name one of the two heads of place 5 as the nearest below."""
    return [(kept(5), above), (kept(5, of="x"), above)]
