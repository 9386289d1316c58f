# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Receipts of the other node: which change something, which are an alert, which are strange."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from broker.core import canonical
from broker.core.content import entry_of
from broker.core.delivery import RESENDS_BY_ITSELF
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageType, SchemaVersion
from broker.core.messages import OutboxEntry, OutboxKind
from broker.core.missing import Missing, to_body
from broker.core.owed_chunks import OwedChunks
from broker.core.receipts import Receipt, ReceiptKind
from broker.core.retention import EraseReason
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.storage.schema import exclusive
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World, officer

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
NOWHERE = Digest("0" * 64)
BOARD = AuthorityId("social-insurance-board")


async def _about(country: Country, accepted: Any, author: CountryCode = EE) -> tuple[Receipt, ...]:
    message = accepted.message if isinstance(accepted, Accepted) else accepted.id
    return await country.store.read(lambda reader: reader.receipts_about(author, message))


async def test_strange_receipts_change_nothing(world: World, asked: Hostile) -> None:
    """Receipts about an unknown message, other bytes, or another country's message call security; no entry moves."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    unknown = world["SE"].ids.message_id()
    sweden = Hostile(world["SE"], world["EE"])
    delivered = ReceiptKind.DELIVERED
    assert await asked.send(asked.receipts(asked.receipt(unknown, request.digest, delivered))) == "receipts"
    assert await asked.send(asked.receipts(asked.receipt(request.message, NOWHERE, delivered))) == "receipts"
    assert await sweden.send(sweden.receipts(sweden.receipt(request.message, request.digest, delivered))) == "receipts"

    page = await world["EE"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert {(entry.code, entry.subject) for entry in page.items} == {
        ("strange-receipt", "FI"), ("strange-receipt", f"EE/{request.message}"),
    }  # fmt: skip
    assert await world["EE"].states(request) == ["published"]
    assert await _about(world["EE"], request) == ()


async def test_a_receipt_about_the_message_of_another_author_is_strange(world: World, asked: Hostile) -> None:
    """Whoever says that Sweden wrote what we wrote says nothing about our message, also beside one that does."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    other = asked.receipt(request.message, request.digest, ReceiptKind.OPENED, author=SE)
    assert await asked.send(asked.receipts(other)) == "receipts"
    assert await world["EE"].attention() == ["strange-receipt"]
    assert await world["EE"].states(request) == ["published"]
    assert await _about(world["EE"], request) == await _about(world["EE"], request, SE) == ()

    ours = asked.receipt(request.message, request.digest, ReceiptKind.DELIVERED)
    assert await asked.send(asked.receipts(ours, other)) == "receipts"
    assert await world["EE"].states(request) == ["delivered"]
    assert await _about(world["EE"], request) == (ours,)


@pytest.mark.parametrize(
    "changes",
    [{"author": "FI"}, {"kind": "seen"}, {"message": "x"}],
    ids=["by its author", "of no kind", "of no message"],
)
async def test_a_receipt_without_its_form_takes_none_with_it(
    world: World, asked: Hostile, changes: dict[str, str]
) -> None:
    """Nobody asks for one again that says no more than that an officer saw a message: it would be lost for good."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    assert await world["EE"].states(request) == ["handed-over"]
    opened = asked.receipt(request.message, request.digest, ReceiptKind.OPENED)
    entry = asked.receipts(opened, opened)
    first, second = canonical.parse(entry.content)["body"]["receipts"]
    both = entry_of(entry.header, {"receipts": [first | changes, second]}, OutboxKind.RECEIPTS)
    assert await asked.send(both) == "receipts"

    assert await world["EE"].states(request) == ["opened"]
    assert opened in await _about(world["EE"], request)
    page = await world["EE"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(entry.code, entry.subject) for entry in page.items] == [("strange-receipt", "FI")]
    assert "the others count" in page.items[0].detail


@pytest.mark.parametrize(
    ("header", "receipt", "code"),
    [
        ({}, {"kind": "seen"}, "schema-invalid"),
        ({"version": SchemaVersion("0.9")}, {}, "version-not-supported"),
        ({"purpose": "A purpose"}, {}, "header-invalid"),
    ],
    ids=["of no kind", "of a version that never was", "with a purpose"],
)
async def test_receipts_of_which_none_counts_are_an_alert(
    world: World, asked: Hostile, header: dict[str, Any], receipt: dict[str, str], code: str
) -> None:
    """A node that writes all of its receipts wrongly believes to have confirmed what is overdue here: both hear why."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    entry = asked.receipts(asked.receipt(request.message, request.digest, ReceiptKind.DELIVERED))
    (only,) = canonical.parse(entry.content)["body"]["receipts"]
    wrong = entry_of(replace(entry.header, **header), {"receipts": [only | receipt]}, OutboxKind.RECEIPTS)
    assert [await asked.send(wrong), await asked.send(wrong)] == [code, code]

    assert await world["EE"].states(request) == ["published"]
    page = await world["EE"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(entry.code, entry.subject) for entry in page.items] == [("strange-receipt", "FI")]
    assert f"({code}): none of them counts" in page.items[0].detail


async def test_taking_receipts_is_on_record_and_the_same_bytes_are_a_repeat(world: World, asked: Hostile) -> None:
    """Who sent them, and when; they are not read again."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    delivery = asked.seal(asked.receipts(asked.receipt(request.message, request.digest, ReceiptKind.DELIVERED)))
    assert await world["EE"].engine.receive(delivery) == "receipts"
    assert await world["EE"].engine.receive(delivery) == "repeat"
    rows = (await world["EE"].store.read(lambda reader: reader.audit(cursor=None, limit=9))).items
    taken = [(row.actor, row.role, row.peer) for row in rows if row.action == "receipts-taken"]
    assert taken == [("FI", "peer", FI)]


async def test_receipts_of_a_version_to_come_wait_for_their_schema(world: World, asked: Hostile) -> None:
    """They are parked as any message of a newer catalogue; nothing of them counts."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    entry = asked.receipts(asked.receipt(request.message, request.digest, ReceiptKind.DELIVERED))
    newer = replace(entry.header, version=SchemaVersion("9.0"))
    body = canonical.parse(entry.content)["body"]
    assert await asked.send(entry_of(newer, body, OutboxKind.RECEIPTS)) == "unknown-schema-version"
    assert await world["EE"].states(request) == ["published"]


async def test_receipts_get_no_receipts(world: World, asked: Hostile) -> None:
    """An envelope of receipts, also a malformed one, is never answered."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    sent = len(world.network.published)
    good = asked.receipts(asked.receipt(request.message, request.digest, ReceiptKind.DELIVERED))
    bad = asked.receipts(asked.receipt(request.message, request.digest, ReceiptKind.OPENED, author=FI))
    assert await asked.send(good) == "receipts"
    assert await asked.send(bad) == "schema-invalid"
    while await world["EE"].step():
        pass
    to_fi = [envelope for envelope in world.network.published[sent:] if envelope.recipient == FI]
    assert to_fi == []
    assert (await world["EE"].counts())["receipts.waiting"] == 0


async def test_the_first_answer_stands(world: World, asked: Hostile) -> None:
    """A peer that refuses what it had taken is told of to security; the entry and the record stay."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    before = await world["EE"].view(request.procedure)
    refusal = asked.receipt(request.message, request.digest, ReceiptKind.REFUSED, code="schema-invalid")
    assert await asked.send(asked.receipts(refusal)) == "receipts"
    assert await world["EE"].attention() == ["contradiction"]
    assert await world["EE"].states(request) == ["handed-over"]
    assert await world["EE"].view(request.procedure) == before


async def test_a_message_is_sealed_anew_a_few_times_for_a_country_that_calls_all_expired(
    world: World, asked: Hostile
) -> None:
    """Its clock is wrong: after the resends that a node makes by itself nothing is sent any more, and a person is called."""
    request = await world["EE"].submit("request.json")
    resends = []
    for number in range(RESENDS_BY_ITSELF + 2):
        while await world["EE"].step():
            pass
        refusal = asked.receipt(request.message, request.digest, ReceiptKind.REFUSED, code="expired")
        refusal = replace(refusal, at=world.clock.now() + timedelta(seconds=number))
        assert await asked.send(asked.receipts(refusal)) == "receipts"
        row = await world["EE"].store.run(lambda tx: tx.outbox(request.message))
        assert row is not None
        resends.append((row.state, row.resends))
    assert resends[-3:] == [("recorded", RESENDS_BY_ITSELF), *[("published", RESENDS_BY_ITSELF)] * 2]


@pytest.mark.parametrize("code", ["expired", "expiry-too-far"])
async def test_what_is_refused_for_its_envelope_leaves_in_another_one(world: World, asked: Hostile, code: str) -> None:
    """The same bytes would be looked up there and never opened: the same message is sealed anew, and that is on record."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await ee.engine.dispatch()
    refusal = asked.receipt(request.message, request.digest, ReceiptKind.REFUSED, code=code)
    assert await asked.send(asked.receipts(refusal)) == "receipts"
    await ee.engine.dispatch()
    first, second = world.network.published
    assert (first.recipient, second.recipient) == (FI, FI)
    assert first.raw != second.raw
    rows = (await ee.store.read(lambda reader: reader.audit(cursor=None, limit=20))).items
    assert [(row.subject, row.procedure, row.peer, row.reason) for row in rows if row.action == "resent"] == [
        (request.message, request.procedure, FI, code)
    ]
    await world.settle()
    assert await ee.states(request) == ["handed-over"]


async def test_what_was_erased_is_not_sealed_anew(world: World, asked: Hostile) -> None:
    """A refusal of its envelope that comes after the erasure is taken as any other receipt: there is nothing to send."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await ee.engine.dispatch()
    world.clock.advance(100 * 24 * 3600)  # nobody waits for the answer any more
    erasure = await ee.desk.erase.propose(request.procedure, EraseReason.COURT_ORDER, officer(BOARD, "first"))
    await ee.desk.erase.confirm(erasure.id, officer(BOARD, "second"))
    refusal = asked.receipt(request.message, request.digest, ReceiptKind.REFUSED, code="expired")
    assert await asked.send(asked.receipts(refusal)) == "receipts"
    assert await ee.engine.dispatch() == 0
    assert await ee.attention() == []


@pytest.mark.parametrize("code", ["expired", "schema-invalid"])
async def test_a_refused_message_that_does_not_open_keeps_no_other_receipt_away(
    world: World, asked: Hostile, code: str
) -> None:
    """Sealed anew it cannot be, nor can who takes part be read again; what came in the same envelope counts."""
    ee = world["EE"]
    other = await ee.submit("request.json")
    request = await ee.submit("request.json")
    world.clock.advance(1)
    joins = json.loads(read_schema_file("examples/acts/participant-change-guardianship-joins.json"))
    joins["body"]["changes"][0]["office"] |= {"country": EE, "authority": "ministry-of-justice"}
    handed = await ee.submit(joins, procedure=request.procedure)
    await ee.engine.dispatch()
    with exclusive(ee.url) as connection:
        damaged = {"one": request.message, "two": handed.message}
        connection.execute(text("UPDATE outbox_content SET content = zeroblob(61) WHERE id IN (:one, :two)"), damaged)
    refusal = asked.receipt(handed.message, handed.digest, ReceiptKind.REFUSED, code=code)
    delivered = asked.receipt(other.message, other.digest, ReceiptKind.DELIVERED)
    assert await asked.send(asked.receipts(refusal, delivered)) == "receipts"
    assert await ee.states(other) == ["delivered"]
    assert refusal in await _about(ee, handed)


async def test_a_different_record_is_an_alert(world: World, asked: Hostile) -> None:
    """A receipt whose record digest differs over heads that we hold calls security; our record stays as it is."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    lie = asked.receipt(
        request.message, request.digest, ReceiptKind.DELIVERED, heads=(request.digest,), record_digest=NOWHERE
    )
    assert await asked.send(asked.receipts(lie)) == "receipts"
    assert await world["EE"].attention() == ["divergence"]
    assert [line.mark for line in (await world["EE"].view(request.procedure)).entries] == ["effect"]


async def test_a_record_that_cannot_be_compared_yet_is_no_alert(world: World, asked: Hostile) -> None:
    """Heads that have not arrived are on their way: the receipt counts, and nobody is called."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    ahead = asked.receipt(
        request.message, request.digest, ReceiptKind.DELIVERED, heads=(NOWHERE,), record_digest=NOWHERE
    )
    assert await asked.send(asked.receipts(ahead)) == "receipts"
    assert await world["EE"].states(request) == ["delivered"]
    assert await world["EE"].attention() == []
    assert (await world["EE"].view(request.procedure)).gap


async def test_a_receipt_comes_twice_and_counts_once(world: World, asked: Hostile) -> None:
    """The same receipt in another envelope changes neither the time nor the entry."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    (first, *_) = await _about(world["EE"], request)
    world.clock.advance(500)
    later = replace(first, at=world.clock.now())
    assert await asked.send(asked.receipts(later)) == "receipts"
    assert (await _about(world["EE"], request))[0] == first


async def test_a_handed_over_receipt_does_not_need_the_delivered_one(world: World, asked: Hostile) -> None:
    """Receipts may be overtaken: the ladder only goes up."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    for kind in (ReceiptKind.OPENED, ReceiptKind.DELIVERED, ReceiptKind.HANDED_OVER):
        await asked.send(asked.receipts(asked.receipt(request.message, request.digest, kind)))
        assert await world["EE"].states(request) == ["opened"]


async def test_receipts_for_several_messages_come_in_one_envelope(world: World, asked: Hostile) -> None:
    """Every message goes as high as its receipts say; of two answers to one message the first one counts."""
    first = await world["EE"].submit("request.json")
    second = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    said = [
        asked.receipt(one.message, one.digest, kind)
        for one in (first, second)
        for kind in (ReceiptKind.HANDED_OVER, ReceiptKind.DELIVERED)
    ]
    refusal = asked.receipt(second.message, second.digest, ReceiptKind.REFUSED, code="schema-invalid")
    assert await asked.send(asked.receipts(*said, *said, refusal)) == "receipts"
    assert await world["EE"].states(first, second) == ["handed-over", "handed-over"]
    assert await world["EE"].attention() == ["contradiction"]
    assert set(await _about(world["EE"], first)) == set(said[:2])
    assert set(await _about(world["EE"], second)) == set(said[2:])
    assert [line.mark for line in (await world["EE"].view(second.procedure)).entries] == ["effect"]


# --- chunks that a peer lacks ---------------------------------------------------------------------------------------


async def _sent_with_file(world: World) -> tuple[Accepted, Digest]:
    """Send a request with a file of two chunks, none of which is owed any more; return it with the file's handle."""
    ee = world["EE"]
    accepted = await ee.submit("request.json", attachments=(await ee.upload(b"synthetic " * 150_000),))
    await world.settle()
    ((handle, owed),) = await _owed(ee, accepted)
    assert owed == ""
    return accepted, handle


async def _owed(country: Country, accepted: Accepted) -> list[tuple[Digest, str]]:
    rows = await country.store.run(lambda tx: tx.attachments_of(EE, accepted.message))
    return [(row.handle, row.owed.text) for row in rows]


def _question(asking: Hostile, **item: Any) -> OutboxEntry:
    header = replace(asking.receipts().header, type=MessageType("node.missing"))
    return entry_of(header, to_body([Missing(**item)]), OutboxKind.RECEIPTS)


async def test_chunks_are_owed_again_to_whom_they_were_sent(world: World, asked: Hostile) -> None:
    """As often as every five minutes, and on record each time."""
    accepted, handle = await _sent_with_file(world)
    item = {"message": accepted.message, "digest": accepted.digest, "handle": handle}
    assert await asked.send(_question(asked, **item, chunks=OwedChunks({1}))) == "missing"
    assert await _owed(world["EE"], accepted) == [(handle, "1")]
    world.clock.advance(299)
    await asked.send(_question(asked, **item, chunks=OwedChunks({0})))
    assert await _owed(world["EE"], accepted) == [(handle, "1")]
    world.clock.advance(1)
    await asked.send(_question(asked, **item, chunks=OwedChunks({0})))
    assert await _owed(world["EE"], accepted) == [(handle, "0-1")]
    rows = (await world["EE"].store.read(lambda reader: reader.audit(cursor=None, limit=50))).items
    found = [(row.actor, row.subject, row.procedure, row.peer) for row in rows if row.action == "chunks-asked"]
    assert found == [("FI", accepted.message, accepted.procedure, FI)] * 2


async def test_the_same_question_in_the_same_bytes_is_looked_up_and_not_opened(world: World, asked: Hostile) -> None:
    """A broker that hands it out again and again costs a look into the store each time, and nothing is sent for it."""
    accepted, handle = await _sent_with_file(world)
    item = {"message": accepted.message, "digest": accepted.digest, "handle": handle}
    delivery = asked.seal(_question(asked, **item, chunks=OwedChunks({1})))
    assert [await world["EE"].engine.receive(delivery) for _ in range(2)] == ["missing", "repeat"]


async def test_a_question_that_does_not_fit_makes_nothing_owed(world: World, asked: Hostile) -> None:
    """Another country, another message, another file, or a chunk that there is not: nothing leaves for it."""
    accepted, handle = await _sent_with_file(world)
    right: dict[str, Any] = {"message": accepted.message, "digest": accepted.digest, "handle": handle}
    first, beyond, sweden = OwedChunks({0}), OwedChunks({0, 2}), Hostile(world["SE"], world["EE"])
    for asking, item in (
        (sweden, right | {"chunks": first}),
        (asked, right | {"chunks": beyond}),
        (asked, right | {"chunks": first, "digest": NOWHERE}),
        (asked, right | {"chunks": first, "handle": NOWHERE}),
        (asked, right | {"chunks": first, "message": world["FI"].ids.message_id()}),
    ):
        assert await asking.send(_question(asking, **item)) == "missing"
        assert await _owed(world["EE"], accepted) == [(handle, "")]
        world.clock.advance(300)
