# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keeping a procedure's row true to its record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.core.attention import AttentionCode
from broker.core.errors import CatalogueInvalid
from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.messages import RecordEntry
from broker.core.receipts import Receipt, ReceiptKind
from broker.ports import Transaction
from broker.rows import ProcedureRow
from broker.testing.world import World

EE, FI = CountryCode("EE"), CountryCode("FI")


async def _row(world: World) -> ProcedureRow:
    request = await world["EE"].submit("request.json")
    await world.settle()
    return (await world["EE"].view(request.procedure)).row


def _entry(world: World, author: str, act: str, *parents: Digest) -> RecordEntry:
    message = world["SE"].ids.message_id()
    digest = Digest((message.replace("-", "") * 2)[:64])
    return RecordEntry(
        digest=digest, message=MessageId(message), author=CountryCode(author), act=act, parents=tuple(parents)
    )


async def test_an_open_procedure_needs_its_table(world: World) -> None:
    """Without the table that a procedure was opened under nothing is folded, and the operator is told which."""
    row = await _row(world)
    lost = replace(row, ref=replace(row.ref, digest=Digest("1" * 64)))
    with pytest.raises(CatalogueInvalid) as caught:
        world["EE"].desk.ledger.table(lost)
    assert caught.value.where == "family-tracing"


async def test_a_state_is_over_only_if_no_table_goes_on_from_it(world: World) -> None:
    """A name may be an end in one table and a step in another; each table that this node knows is asked."""
    ee = world["EE"]
    over = ee.desk.ledger.over()
    table = ee.desk.catalogue.table("family-tracing")
    assert over & table.final
    assert table.initial not in over
    for one in ee.desk.catalogue.every_table():
        assert over & one.states.keys() <= one.final


async def test_a_call_is_made_once_while_it_is_open(world: World) -> None:
    """The same code and subject open one entry with one audit row; closed, it may be opened anew."""
    ee, now = world["EE"], world.clock.now()
    ledger = ee.desk.ledger

    async def call() -> None:
        await ee.store.run(lambda tx: ledger.call(tx, AttentionCode.ALARM, "s", now=now))

    await call()
    await call()
    assert await ee.attention() == ["alarm"]
    await ee.store.run(lambda tx: tx.resolve_attention(AttentionCode.ALARM, "s", at=now, by="x"))
    await call()
    trail = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=9))
    assert [row.action for row in trail.items] == ["attention-raised"] * 2


async def test_a_call_belongs_to_the_office_of_its_procedure(world: World) -> None:
    """With a procedure the entry is its office's, without one the whole node's; the sentence is the code's own."""
    row, ee = await _row(world), world["EE"]
    now = world.clock.now()
    await ee.store.run(lambda tx: ee.desk.ledger.call(tx, AttentionCode.GAP, "a", now=now, row=row, peer=FI))
    await ee.store.run(lambda tx: ee.desk.ledger.call(tx, AttentionCode.PARKED, "b", now=now))
    page = await ee.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert {(entry.subject, entry.authority, entry.detail) for entry in page.items} == {
        ("a", "social-insurance-board", AttentionCode.GAP.meaning),
        ("b", None, AttentionCode.PARKED.meaning),
    }


async def test_the_row_follows_the_record(world: World) -> None:
    """Entering a message keeps state and gap in the row, and the book that comes back is what the store holds."""
    row, ee = await _row(world), world["EE"]
    now = world.clock.now()
    head = (await ee.view(row.ref.id)).heads[0]
    first = _entry(world, "FI", "acknowledgement", head)
    second = _entry(world, "FI", "result", first.digest)

    def enter(entry: RecordEntry) -> tuple[str, bool]:
        def step(tx):  # type: ignore[no-untyped-def]
            held = tx.lock_procedure(row.ref.id)
            book, folded = ee.desk.ledger.enter(tx, ee.desk.ledger.read(tx, held), entry, now=now)
            assert set(book.entries) == set(tx.record(row.ref.id))
            assert book.row == tx.lock_procedure(row.ref.id)
            return folded.state.name, book.row.gap

        return step  # type: ignore[return-value]

    assert await ee.store.run(enter(second)) == ("REQUESTED", True)  # type: ignore[arg-type]
    assert await ee.attention() == ["gap"]
    assert await ee.store.run(enter(first)) == ("ANSWERED", False)  # type: ignore[arg-type]
    assert await ee.attention() == []
    assert (await ee.view(row.ref.id)).row.state == "ANSWERED"


async def test_an_answer_that_is_held_already_changes_nothing(world: World) -> None:
    """Taking the same answer twice says so; a refusal after a delivery is a contradiction and is not stored."""
    row, ee = await _row(world), world["EE"]
    (held, *_) = await ee.store.read(lambda reader: reader.procedure_receipts(row.ref.id))
    now = world.clock.now() + timedelta(seconds=5)

    async def take(receipt: Receipt) -> bool:
        said = [(receipt, row.ref.id)]
        return await ee.store.run(lambda tx: ee.desk.ledger.take_receipts(tx, said, now=now)) == (receipt,)

    assert not await take(held)
    assert await ee.attention() == []
    refusal = replace(held, kind=ReceiptKind.REFUSED, code="schema-invalid", heads=(), record_digest=None)
    assert not await take(refusal)
    assert await ee.attention() == ["contradiction"]
    assert await ee.store.read(lambda reader: reader.procedure_receipts(row.ref.id)) == (held,)


@pytest.mark.parametrize("together", [True, False], ids=["together", "last, after a clock was set back"])
async def test_every_new_statement_is_compared(world: World, together: bool) -> None:
    """A different record is noticed in the oldest of many statements, whether it comes with them or after them."""
    row, ee = await _row(world), world["EE"]
    heads, now = (await ee.view(row.ref.id)).heads, world.clock.now()
    entries = [_entry(world, "EE", "clarification-answer", *heads)]
    while len(entries) < 8:
        entries.append(_entry(world, "EE", "clarification-answer", entries[-1].digest))

    def take(tx: Transaction) -> int:
        said, book = [], ee.desk.ledger.read(tx, row)
        for place, entry in enumerate(entries):
            book, _ = ee.desk.ledger.enter(tx, book, entry, now=now)
            stated = Receipt(
                issuer=FI, author=EE, message=entry.message, digest=entry.digest, kind=ReceiptKind.DELIVERED,
                at=now + timedelta(seconds=place), heads=(Digest("0" * 64),) if place else heads, record_digest=heads[0],
            )  # fmt: skip
            said.append((stated, row.ref.id))
        parts = [said] if together else [said[1:], said[:1]]
        return sum(len(ee.desk.ledger.take_receipts(tx, part, now=now)) for part in parts)

    assert await ee.store.run(take) == len(entries)
    assert await ee.attention() == ["divergence"]
