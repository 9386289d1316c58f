# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What other countries sign of their trails travels with receipts, is kept, and contradictions call a security officer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from broker.core.audit import GENESIS, Head
from broker.core.checkpoints import Checkpoint, KeptCheckpoint
from broker.core.healing import RestoredMark
from broker.core.ids import CountryCode, Digest, MessageType, SchemaVersion
from broker.core.receipts import MAX_RECEIPTS_WITH_CHECKPOINT
from broker.core.trust import Member
from broker.reception.witness import Witnessed, witness
from broker.security.checkpoints import read_checkpoint, sign_checkpoint
from broker.security.envelope import PADDED_LENGTHS
from broker.testing.world import Country, World

EE, FI = CountryCode("EE"), CountryCode("FI")


async def held(country: Country, whose: CountryCode) -> tuple[KeptCheckpoint, ...]:
    """Return what a country holds of another's trail."""
    begin = Head(position=-1, chain=GENESIS.chain)
    return await country.store.read(lambda reader: reader.witnesses(whose, begin, 100))


async def state(country: Country, whose: CountryCode, position: int, minutes: int, digit: str = "a") -> None:
    """Let a country hear a checkpoint of another's trail."""
    at = country.clock.now() + timedelta(minutes=minutes)
    kept = KeptCheckpoint(head=Head(position=position, chain=Digest(digit * 64)), at=at, cut=False, raw=b"signed")
    ledger, now = country.desk.ledger, country.clock.now()
    await country.store.run(lambda tx: witness(tx, ledger, whose, Witnessed(kept=kept), now=now))


async def test_a_head_travels_with_receipts_once(world: World) -> None:
    """Finland's head comes to Estonia in an envelope of receipts, as long as all others, and stays there, verifiable."""
    await world["EE"].submit("request.json")
    await world["EE"].step()
    await world["FI"].step()
    await world["FI"].engine.link_audit()
    await world.settle()
    (kept,) = await held(world["EE"], FI)
    checkpoint = read_checkpoint(kept.raw, world["EE"].trust.current().members[FI])
    own = await world["FI"].store.read(lambda reader: reader.newest_checkpoint())
    assert own is not None
    assert (checkpoint.head, kept.raw) == (own.head, own.raw)
    assert len({len(envelope.raw) for envelope in world.network.published}) == 1

    await world["EE"].submit("request.json")
    await world.settle()
    assert await held(world["EE"], FI) == (kept,)
    assert await world["EE"].attention() == []


async def test_an_envelope_with_a_head_takes_fewer_receipts_and_stays_as_short(world: World) -> None:
    """The signatures take the room of receipts, so that its length tells nobody that it brings a head."""
    for _ in range(MAX_RECEIPTS_WITH_CHECKPOINT + 2):
        await world["EE"].submit("request.json")
    await world["EE"].step()
    for delivery in list(world.network.waiting[FI]):
        await world["FI"].engine.receive(delivery)
        await world["FI"].transport.done(delivery)
    await world["FI"].engine.link_audit()
    before = len(world.network.published)
    await world.settle()
    lengths = {len(envelope.raw) for envelope in world.network.published[before:]}
    assert len(world.network.published) - before >= 2
    assert max(lengths) < PADDED_LENGTHS[1]
    assert len(await held(world["EE"], FI)) == 1


async def test_an_older_node_is_sent_no_head(world: World) -> None:
    """A country that lists only version 1.0 of the receipts gets those, and its receipts arrive all the same."""

    def older(member: Member) -> Member:
        only = {MessageType("node.receipts"): (SchemaVersion("1.0"),)}
        return replace(member, messages={**member.messages, **only}) if member.country == EE else member

    world.set_trust(older)
    for country in world.countries.values():
        await country.trust.refresh()
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    await world["FI"].step()
    await world["FI"].engine.link_audit()
    await world.settle()
    assert await world["EE"].states(request) == ["handed-over"]
    assert await held(world["EE"], FI) == ()


async def test_a_trail_that_became_shorter_calls_a_security_officer(world: World) -> None:
    """Less of a trail at a later time, or another head at one place: both statements are kept as the proof."""
    fi = world["FI"]
    await state(fi, EE, 9, 0)
    await state(fi, EE, 5, 1, "b")
    assert await fi.attention() == ["audit-contradicted"]
    assert [kept.head.position for kept in await held(fi, EE)] == [5, 9]
    await state(fi, EE, 20, 2, "c")
    assert [kept.head.position for kept in await held(fi, EE)] == [5, 9, 20]


async def test_what_a_restore_lost_is_no_contradiction(world: World) -> None:
    """A country said up to where its trail is what it was: less behind that place is no alert, less before it is."""
    fi, ee = world["FI"], world["EE"]
    await state(fi, EE, 9, 0)
    restored = ee.clock.now() + timedelta(minutes=1)
    mark = RestoredMark(country=EE, at=restored, position=4, head=Digest("a" * 64))
    await fi.store.run(lambda tx: tx.healing.note_mark(mark))
    await state(fi, EE, 6, 2, "b")
    assert await fi.attention() == []
    await state(fi, EE, 3, 3, "c")
    assert await fi.attention() == ["audit-contradicted"]
    assert [kept.head.position for kept in await held(fi, EE)] == [3, 6, 9]


async def test_another_head_at_one_place_calls_a_security_officer(world: World) -> None:
    """Both heads are kept, also when later ones come."""
    fi = world["FI"]
    await state(fi, EE, 5, 0)
    await state(fi, EE, 5, 1, "b")
    assert await fi.attention() == ["audit-contradicted"]
    await state(fi, EE, 9, 2, "c")
    assert [(kept.head.position, kept.head.chain[0]) for kept in await held(fi, EE)] == [(5, "a"), (5, "b"), (9, "c")]


async def test_envelopes_that_overtake_each_other_are_no_contradiction(world: World) -> None:
    """An earlier head that comes later fits between the others; one that comes again changes nothing."""
    fi = world["FI"]
    for position, minutes in ((1, 0), (9, 61), (5, 30), (9, 61)):
        await state(fi, EE, position, minutes)
    assert await fi.attention() == []
    assert [kept.head.position for kept in await held(fi, EE)] == [5, 9]


async def test_of_each_hour_the_last_head_is_kept(world: World) -> None:
    """A peer's busy day does not fill the store, and each country's trail is its own."""
    fi = world["FI"]
    for minute in range(0, 180, 10):
        await state(fi, EE, minute + 1, minute)
    await state(fi, CountryCode("SE"), 3, 200)
    assert [kept.head.position for kept in await held(fi, EE)] == [51, 111, 171]
    assert await fi.attention() == []


async def test_a_head_that_its_country_did_not_sign_is_told_and_its_receipts_count(world: World) -> None:
    """Whatever is wrong with the checkpoint, the receipts beside it are taken."""
    fi, ee = world["FI"], world["EE"]
    request = await ee.submit("request.json")
    await ee.step()
    await fi.step()
    signer = world["SE"].engine.link_audit._vault.signer(fi.trust.current(), world.clock.now())
    forged = Checkpoint(
        country=FI, head=Head(position=3, chain=Digest("a" * 64)), at=world.clock.now(), trust_version=1
    )
    kept = sign_checkpoint(forged, signer)
    assert set(json.loads(kept.raw)) == {"payload", "signatures"}
    await fi.store.run(lambda tx: tx.add_checkpoint(kept))
    await world.settle()
    assert await ee.states(request) == ["handed-over"]
    assert await ee.attention() == ["audit-contradicted"]
    assert await held(ee, FI) == ()
