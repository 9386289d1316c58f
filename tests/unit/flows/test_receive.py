# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Taking what a transport brings."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from broker.core.canonical import b64url_decode, b64url_encode, digest, dump, parse
from broker.core.errors import CaseKeyMissing, DiskFull, KeyMissing, NodeError, StoreCorrupt, StoreUnavailable
from broker.core.ids import CountryCode
from broker.core.messages import Delivery
from broker.core.receipts import ReceiptKind
from broker.core.trust import KeyUse
from broker.security.envelope import MAX_ENVELOPE
from broker.storage.schema import exclusive
from broker.testing.hostile import Hostile
from broker.testing.world import World
from broker.vault import FileVault

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")


@pytest.fixture
def hostile(world: World) -> Hostile:
    """Estonia, speaking to Finland whatever it likes."""
    return Hostile(world["EE"], world["FI"])


async def test_a_known_id_with_other_content_is_an_attack(world: World, hostile: Hostile) -> None:
    """The second content is kept sealed, nobody is answered, security is called, and the record stays as it was."""
    first = hostile.message("request.json")
    second = hostile.message("request.json", id=first.id, procedure=first.header.procedure, purpose="Something else")
    assert await hostile.send(first) == "recorded"
    await world.settle()
    before = await world["FI"].view(first.procedure)
    sent = len(world.network.published)

    assert await hostile.send(second) == "id-reused"
    await world.settle()
    assert await world["FI"].attention() == ["id-reused"]
    assert (await world["FI"].counts())["quarantine"] == 1
    assert await world["FI"].view(first.procedure) == before
    assert len(world.network.published) == sent


async def test_a_message_from_the_future_is_parked_and_a_person_told_at_once(world: World, hostile: Hostile) -> None:
    """A clock that is an hour apart calls a person with a sentence about clocks, once; when the time has come it is taken."""
    entry = hostile.message("request.json", created=world.clock.now() + timedelta(hours=1))
    assert await hostile.send(entry) == "clock-ahead"
    assert (await world["FI"].counts())["parked"] == 1
    world.clock.advance(59)
    await world["FI"].offer_parked()
    assert world["FI"].outcomes == []
    world.clock.advance(2)
    await world["FI"].offer_parked()
    page = await world["FI"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(entry.code, entry.who, "clock" in entry.detail) for entry in page.items] == [("clock", "operator", True)]

    world.clock.advance(3600)
    await world["FI"].offer_parked()
    assert world["FI"].outcomes == ["clock-ahead", "recorded"]
    assert (await world["FI"].counts())["parked"] == 0


async def test_the_call_about_a_clock_names_the_country_that_signed(world: World, hostile: Hostile) -> None:
    """A folder tells no user, and a broker's user is a hint: whose message it is says its signatures."""
    entry = hostile.message("request.json", created=world.clock.now() + timedelta(hours=1))
    for user in (None, SE):
        sealed = replace(hostile.seal(entry), user=user)
        assert await world["FI"].engine.receive(sealed) == "clock-ahead"
    page = await world["FI"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(call.code, call.subject) for call in page.items] == [("clock", "EE")]


async def test_ten_minutes_of_difference_are_tolerated(world: World, hostile: Hostile) -> None:
    """A message from nine minutes ahead is taken, and no person is called."""
    entry = hostile.message("request.json", created=world.clock.now() + timedelta(minutes=9))
    assert await hostile.send(entry) == "recorded"
    assert await world["FI"].attention() == []


async def test_an_expiry_too_far_ahead_is_refused_and_the_same_message_taken_later(
    world: World, hostile: Hostile
) -> None:
    """An envelope that lives too long is refused for itself alone: no stub, and sealed anew the message is recorded."""
    entry = hostile.message("request.json")
    far = hostile.seal(entry, expires=world.clock.now() + timedelta(days=90))
    assert await world["FI"].engine.receive(far) == "expiry-too-far"
    assert (await world["FI"].store.read(lambda reader: reader.procedures(None, cursor=None, limit=9))).items == ()
    assert await hostile.send(entry) == "recorded"
    assert [line.mark for line in (await world["FI"].view(entry.procedure)).entries] == ["effect"]


async def test_expired_receipts_are_taken_all_the_same(world: World, hostile: Hostile) -> None:
    """Evidence about something past does not spoil: receipts in an expired envelope settle the entry."""
    asked = Hostile(world["FI"], world["EE"])
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    receipts = asked.receipts(asked.receipt(request.message, request.digest, ReceiptKind.DELIVERED))
    late = asked.seal(receipts, expires=world.clock.now() + timedelta(days=1))
    world.clock.advance(2 * 24 * 3600)
    assert await world["EE"].engine.receive(late) == "receipts"
    assert await world["EE"].states(request) == ["delivered"]


async def test_too_many_bytes_are_refused_before_anything_is_read(world: World) -> None:
    """An envelope over the limit is quarantined, and no more of it is kept than the limit."""
    flood = Delivery(raw=b"{" * (MAX_ENVELOPE + 1), queue="in", user="EE")
    assert await world["FI"].engine.receive(flood) == "too-large"
    assert await world["FI"].engine.receive(flood) == "repeat"
    assert (await world["FI"].counts())["quarantine"] == 1
    assert await world["FI"].attention() == ["quarantined"]
    rows = (await world["FI"].store.read(lambda reader: reader.audit(cursor=None, limit=9))).items
    assert [(row.subject, row.detail) for row in rows if row.action == "quarantined"] == [
        (digest(flood.raw), "too-large")
    ]


async def test_broken_publishing_rules_are_counted_and_the_message_is_read_all_the_same(
    world: World, hostile: Hostile
) -> None:
    """A rule broken in transit counts against the broker user and loses nothing."""
    delivery = replace(hostile.seal(hostile.message("request.json")), abuse=("foreign-property",))
    assert await world["FI"].engine.receive(delivery) == "recorded"
    total = await world["FI"].store.run(lambda tx: tx.count_abuse("EE", "foreign-property", world.clock.now()))
    assert total == 2


async def test_a_failing_store_decides_nothing(world: World, hostile: Hostile) -> None:
    """Our own fault is raised, so that the transport offers the same delivery again; then it is taken."""
    delivery = hostile.seal(hostile.message("request.json"))
    fi, real = world["FI"], world["FI"].engine.receive._store

    class FullStore:
        read = real.read

        async def run(self, fn: object) -> None:
            raise StoreUnavailable

    fi.engine.receive._store = FullStore()
    with pytest.raises(StoreUnavailable):
        await fi.engine.receive(delivery)
    fi.engine.receive._store = real
    assert await fi.engine.receive(delivery) == "recorded"


async def test_what_arrives_together_is_read_and_opened_together_and_decided_one_by_one(
    world: World, hostile: Hostile
) -> None:
    """Eight deliveries take one look into the store and one at the vault; a bad one among them is its own affair."""
    receive, looks = world["FI"].engine.receive, 0

    class Watched:
        def opener(self, real: Any = receive._vault) -> Any:
            nonlocal looks
            looks += 1
            return real.opener()

    for _ in range(6):
        await world["EE"].submit("request.json")
    await world["EE"].step()
    good = list(world.network.waiting[FI])
    assert await receive(good[0]) == "recorded"
    bad = Delivery(raw=b"{}", queue="in", user="EE")
    elses = hostile.seal(hostile.message("request.json"), to=SE)
    receive._vault = Watched()  # type: ignore[assignment]
    outcomes = await asyncio.gather(*(receive(delivery) for delivery in (bad, *good, elses)))
    assert outcomes == ["envelope-members", "repeat", *["recorded"] * 5, "not-for-us"]
    assert looks == 1
    assert (await world["FI"].counts())["quarantine"] == 2


async def test_nothing_stays_of_what_nobody_believes(world: World) -> None:
    """The bytes of such deliveries are free at once: a flood of them must not wait until garbage is looked for."""

    class Tag:
        pass

    tags = [Tag() for _ in range(8)]
    held = [weakref.ref(tag) for tag in tags]
    flood = [Delivery(raw=b"{%d" % number, queue="in", tag=tag) for number, tag in enumerate(tags)]
    gc.collect()
    gc.disable()
    try:
        outcomes = await asyncio.gather(*map(world["FI"].engine.receive, flood))
        del flood, tags
        assert outcomes == ["not-canonical"] * 8
        for _ in range(100):  # a thread of the store lets go of its last work a moment after it has told the outcome
            await world["FI"].store.read(lambda reader: None)
            await world["FI"].store.run(lambda tx: None)
        assert [one() for one in held] == [None] * 8
    finally:
        gc.enable()


async def test_what_was_set_aside_is_not_decided_again(world: World, hostile: Hostile) -> None:
    """A delivery that was kept after an unforeseen fault comes back as a repeat without an answer."""
    delivery = hostile.seal(hostile.message("request.json"))
    await world["FI"].engine.receive.set_aside(delivery)
    assert await world["FI"].engine.receive(delivery) == "repeat"
    await world.settle()
    counts = await world["FI"].counts()
    assert (counts["quarantine"], counts.get("inbox.handed-over", 0)) == (1, 0)
    assert world.network.published == []


async def test_somebody_elses_envelope_is_kept_sealed(world: World, hostile: Hostile) -> None:
    """An envelope for Sweden on Finland's queue is quarantined and nobody is answered."""
    delivery = hostile.seal(hostile.message("request.json"), to=SE)
    assert await world["FI"].engine.receive(delivery) == "not-for-us"
    await world.settle()
    assert world.network.published == []


async def test_the_same_message_sealed_anew_is_answered_again(world: World, hostile: Hostile) -> None:
    """Other bytes around a known message bring the stored receipt again and no second entry."""
    entry = hostile.message("request.json")
    assert [await hostile.send(entry), await hostile.send(entry)] == ["recorded", "repeat"]
    assert (await world["FI"].counts())["inbox.handed-over"] == 1
    page = await world["FI"].store.read(lambda reader: reader.receipts_about(EE, entry.id))
    assert [receipt.kind for receipt in page] == ["delivered", "handed-over"]


async def test_what_was_taken_is_counted(world: World) -> None:
    """A recorded message counts by type, a receipt by kind, and the way from submit to delivered in seconds."""
    await world["EE"].submit("request.json")
    world.clock.advance(2.5)
    await world.settle()
    assert ("received", "EE", "family-tracing.request") in world["FI"].tally.counted
    assert ("receipt", "in", "FI", "delivered") in world["EE"].tally.counted
    assert ("delivered", "FI", "2.500") in world["EE"].tally.counted
    assert sum(line[0] == "delivered" for line in world["EE"].tally.counted) == 1


async def test_only_what_is_receipted_wakes_the_dispatcher(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message's receipts wait to be sent; receipts themselves are owed nothing."""
    woken: list[str] = []
    for country in (EE, FI):
        monkeypatch.setattr(world[country].engine.receive, "_wake", partial(woken.append, country))
    await world["EE"].submit("request.json")
    await world.settle()
    assert ("receipt", "in", "FI", "delivered") in world["EE"].tally.counted
    assert woken == [FI]


async def test_a_key_of_ours_that_the_vault_lost_calls_our_operator(world: World, hostile: Hostile) -> None:
    """What came under it is kept and offered again; when the vault has the key back it is taken, and the call closed."""
    fi = world["FI"]
    entry = hostile.message("request.json")
    whole, lost = fi.engine.receive._vault, [key for key in fi.keys if key.use is not KeyUse.HPKE]
    fi.engine.receive._vault = FileVault(FI, lost)
    assert await hostile.send(entry) == "own-key-missing"
    counts = await fi.counts()
    assert (counts["parked"], counts["quarantine"]) == (1, 0)
    page = await fi.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    (listed,) = (key.kid for key in world["FI"].trust.current().members[FI].keys if key.use is KeyUse.HPKE)
    assert [(call.code, call.who, call.subject) for call in page.items] == [("own-key-missing", "operator", listed)]

    fi.engine.receive._vault = whole
    world.clock.advance(61)
    await fi.offer_parked()
    assert fi.outcomes == ["recorded"]
    assert ((await fi.counts())["parked"], await fi.attention()) == (0, [])


async def test_naming_our_signing_key_calls_no_operator(world: World, hostile: Hostile) -> None:
    """No envelope is sealed to a key that signs: whoever names it says nothing about our vault, and is quarantined."""
    fi = world["FI"]
    (signing,) = (key.kid for key in fi.trust.current().members[FI].keys if key.use is KeyUse.ED25519)
    sealed = hostile.seal(hostile.message("request.json"))
    envelope: Any = parse(sealed.raw)
    header: Any = parse(b64url_decode(envelope["protected"]))
    named = {**envelope, "protected": b64url_encode(dump({**header, "kid": str(signing)}))}

    assert await fi.engine.receive(replace(sealed, raw=dump(named))) == "unknown-recipient-key"
    assert await fi.attention() == ["quarantined"]


async def test_a_key_that_was_rightly_destroyed_calls_security(world: World, hostile: Hostile) -> None:
    """After its acceptance has ended nobody expects the vault to hold it: what comes under it is quarantined."""
    fi = world["FI"]
    ended = world.clock.now() - timedelta(seconds=1)
    late = hostile.seal(hostile.message("request.json"))
    world.set_trust(
        lambda member: (
            replace(member, keys=tuple(replace(key, accept_until=ended) for key in member.keys))
            if member.country == FI
            else member
        )
    )
    await fi.trust.refresh()
    fi.engine.receive._vault = FileVault(FI, [key for key in fi.keys if key.use is not KeyUse.HPKE])
    assert await fi.engine.receive(late) == "unknown-recipient-key"
    assert await fi.attention() == ["quarantined"]


@pytest.mark.parametrize("kind", [["node.receipts"], {"node": "held"}, 7, None, "node.receipts\n"])
async def test_a_type_that_is_no_type_is_refused_and_answered(world: World, hostile: Hostile, kind: Any) -> None:
    """Whatever stands in its place: the author hears that its header has not its form, and nobody here is called."""
    entry = hostile.message("request.json")
    content = parse(entry.content)
    content["header"]["type"] = kind
    assert await hostile.send(replace(entry, content=dump(content))) == "header-invalid"
    (receipt,) = await world["FI"].store.read(lambda reader: reader.receipts_about(EE, entry.id))
    assert (receipt.kind, receipt.code) == ("refused", "header-invalid")
    assert await world["FI"].attention() == []


@pytest.mark.parametrize("fault", [StoreCorrupt(), KeyMissing(), CaseKeyMissing(), DiskFull()])
async def test_a_fault_of_ours_over_one_message_puts_it_nowhere_aside(
    world: World, hostile: Hostile, monkeypatch: pytest.MonkeyPatch, fault: NodeError
) -> None:
    """However well the store works otherwise: nothing is quarantined or parked, the transport keeps it, and it is taken later."""
    fi, delivery = world["FI"], hostile.seal(hostile.message("request.json"))
    reception = fi.engine.receive._reception

    def fails(*_: Any, **__: Any) -> str:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(reception, "record", fails)
        with pytest.raises(type(fault)):
            await fi.engine.receive(delivery)
    counts = await fi.counts()
    assert (counts["quarantine"], counts["parked"], await fi.attention()) == (0, 0, [])
    assert await fi.engine.receive(delivery) == "recorded"


@pytest.mark.parametrize("damage", ["parked SET raw = zeroblob(99)", "case_key SET wrapped = zeroblob(61)"])
async def test_what_is_parked_and_does_not_open_keeps_no_other_waiting(
    world: World, hostile: Hostile, damage: str
) -> None:
    """It is dropped and counted; the other one is taken, and so is the first when its sender sends it again."""
    fi, ahead = world["FI"], world.clock.now() + timedelta(hours=1)
    lost, kept = (hostile.seal(hostile.message("request.json", created=ahead)) for _ in range(2))
    for delivery in (lost, kept):
        assert await fi.engine.receive(delivery) == "clock-ahead"
    column = "scope" if damage.startswith("case_key") else "'parked:' || sha256"
    with exclusive(fi.url) as connection:
        words = text(f"UPDATE {damage} WHERE {column} = :scope")
        assert connection.execute(words, {"scope": f"parked:{digest(lost.raw)}"}).rowcount == 1
    world.clock.advance(3600)
    await fi.offer_parked()
    assert fi.outcomes == ["recorded"]
    counts = await fi.counts()
    assert (counts["parked"], counts["parked.dropped"]) == (0, 1)
    assert await fi.engine.receive(lost) == "recorded"


async def test_what_was_parked_and_came_once_more_meanwhile_waits_no_longer(world: World, hostile: Hostile) -> None:
    """The second copy was decided; the one that waits here is found to be the same, and is not offered for ever."""
    fi, entry = world["FI"], hostile.message("request.json", created=world.clock.now() + timedelta(hours=1))
    delivery = hostile.seal(entry)
    assert await fi.engine.receive(delivery) == "clock-ahead"
    world.clock.advance(3600)
    assert await fi.engine.receive(delivery) == "recorded"
    assert (await fi.counts())["parked"] == 1
    await fi.offer_parked()
    assert fi.outcomes == ["repeat"]
    assert (await fi.counts())["parked"] == 0
