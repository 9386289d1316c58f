# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sending what is owed."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from broker.core.delivery import ATTENTION_AFTER_ATTEMPTS, LEASE_SECONDS, RETRY_TRANSPORT_MAX_SECONDS
from broker.core.errors import (
    CaseKeyMissing,
    KeyMissing,
    PublishRefused,
    PublishUnconfirmed,
    TransportUnavailable,
    TrustListExpired,
    Unroutable,
)
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party, ProfileHeader, SealedEnvelope
from broker.core.trust import KeyUse, Member, MemberKey, MemberStatus, RevocationReason
from broker.rows import Accepted
from broker.security.sealing import seal
from broker.storage import AtRest, open_store
from broker.testing.world import Country, World
from broker.vault import FileVault

T = TypeVar("T")
DAY = 24 * 3600  # seconds
EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
IN_SWEDEN = Party(country=SE, authority=AuthorityId("gender-equality-agency"))


class PausedCompute:
    """Does something else between the lease and the sealing, once."""

    def __init__(self, meanwhile: Callable[[], Any]) -> None:
        self._meanwhile = meanwhile
        self._paused = False

    async def run(self, fn: Callable[[], T]) -> T:
        if not self._paused:
            self._paused = True
            await self._meanwhile()
        return fn()


@pytest.fixture
async def colleague(world: World) -> AsyncIterator[Country]:
    """Yield Estonia's second worker over the same store."""
    made = world.colleague("EE")
    yield made
    await made.store.close()


def _to(world: World, country: CountryCode) -> list[str]:
    return [envelope.id for envelope in world.network.published if envelope.recipient == country]


async def _submit(country: Country, count: int) -> list[str]:
    return [(await country.submit("request.json")).message for _ in range(count)]


async def test_receipts_beyond_twenty_travel_in_further_envelopes(world: World) -> None:
    """Thirteen messages make 26 receipts at once: an envelope of twenty and one of six; receipts get no receipts."""
    sent = await _submit(world["EE"], 13)
    await world["EE"].step()
    fi = world["FI"]
    for delivery in world.network.waiting[FI]:
        await fi.engine.receive(delivery)
    world.network.waiting[FI].clear()
    await fi.engine.deliver()
    fi.tally.counted.clear()
    assert (await fi.engine.dispatch(), await fi.engine.dispatch()) == (2, 0)
    words = " ".join(line[0] for line in fi.tally.counted).split("published")[1:]
    assert sorted(word.count("receipt") for word in words) == [6, 20]  # sealed side by side: either is first

    await world.settle()
    assert len(_to(world, EE)) == 2
    assert len(_to(world, FI)) == len(sent)
    assert (await fi.counts())["receipts.waiting"] == 0
    assert (await world["EE"].counts())["receipts.waiting"] == 0


async def test_messages_go_ahead_and_receipts_alone_wait_their_turn(world: World) -> None:
    """A batch that holds a message is stored and settled before what waits; one of receipts fills up behind it."""
    await _submit(world["EE"], 1)
    for name, expected in (("EE", [True, True, True]), ("FI", [True, False, False])):
        dispatch, real, asked = world[name].engine.dispatch, world[name].engine.dispatch._store, []

        class Watched:
            async def run(self, fn: Any, *, ahead: bool = False, real: Any = real, asked: list[bool] = asked) -> Any:
                asked.append(ahead)
                return await real.run(fn, ahead=ahead)

        dispatch._store = Watched()
        assert await dispatch() == 1
        assert asked == expected
        for delivery in world.network.waiting[FI]:
            await world["FI"].engine.receive(delivery)
        world.network.waiting[FI].clear()


async def test_the_vault_is_asked_once_for_what_a_thread_seals(world: World) -> None:
    """Of four messages each thread seals two with one signer; what is sealed already needs none."""
    dispatch, asked = world["EE"].engine.dispatch, 0

    class Watched:
        def signer(self, *given: Any, real: Any = dispatch._vault) -> Any:
            nonlocal asked
            asked += 1
            return real.signer(*given)

    dispatch._vault = Watched()  # type: ignore[assignment]
    await _submit(world["EE"], 4)
    world.network.fault = PublishRefused()
    assert (await dispatch(), asked) == (4, 2)
    world.network.fault = None
    world.clock.advance(3600)
    assert (await dispatch(), asked) == (4, 2)
    assert len(world.network.published) == 4


async def test_one_receipts_envelope_is_in_flight_per_peer(world: World) -> None:
    """While an envelope of receipts cannot leave, later receipts wait and travel together in the next one."""
    await _submit(world["EE"], 2)
    await world["EE"].step()
    first, second = world.network.waiting[FI]
    world.network.waiting[FI].clear()
    fi = world["FI"]
    await fi.engine.receive(first)
    world.network.fault = PublishRefused()
    await fi.engine.dispatch()
    await fi.engine.receive(second)
    await fi.engine.dispatch()
    counts = await fi.counts()
    assert (counts["outbox.recorded"], counts["receipts.waiting"]) == (1, 2)

    world.network.fault = None
    world.clock.advance(10)
    await world.settle()
    assert len(_to(world, EE)) == 2


async def test_a_worker_that_lost_its_lease_does_not_publish(world: World, colleague: Country) -> None:
    """A worker that was too slow to seal finds its lease taken and leaves the sending to whoever took it."""
    (message,) = await _submit(world["EE"], 1)
    ee = world["EE"]

    async def overtake() -> None:
        world.clock.advance(61)
        assert await colleague.engine.dispatch() == 1

    ee.engine.dispatch._compute = PausedCompute(overtake)
    assert await ee.engine.dispatch() == 1
    assert _to(world, FI) == [message]
    await world.settle()
    assert [line[0] for line in ee.tally.counted].count("published") == 0


async def test_a_worker_that_publishes_late_sends_the_same_bytes(world: World, colleague: Country) -> None:
    """A lease that ends between sealing and confirmation brings the same envelope twice, and one outcome."""
    (message,) = await _submit(world["EE"], 1)
    ee, real = world["EE"], world["EE"].engine.dispatch._transport

    class SlowTransport:
        async def publish(self, envelope: Any, *, apart: bool = False) -> None:
            world.clock.advance(61)
            await colleague.engine.dispatch()
            await real.publish(envelope)

    ee.engine.dispatch._transport = SlowTransport()
    await ee.engine.dispatch()
    assert _to(world, FI) == [message, message]
    assert len({envelope.raw for envelope in world.network.published}) == 1
    await world.settle()
    assert world["FI"].outcomes.count("recorded") == 1


async def test_a_missing_key_calls_a_person_at_once(world: World) -> None:
    """Without its signing keys a node keeps the message and says so at the first failure; with them it is sent."""
    (message,) = await _submit(world["EE"], 1)
    ee = world["EE"]
    whole = ee.engine.dispatch._vault
    ee.engine.dispatch._vault = FileVault(EE, ())
    await ee.engine.dispatch()
    assert await ee.attention() == ["not-sent"]
    assert _to(world, FI) == []

    ee.engine.dispatch._vault = whole
    world.clock.advance(301)
    await world.settle()
    assert _to(world, FI) == [message]
    assert await ee.attention() == []


async def test_a_message_waits_for_a_suspension_to_end(world: World) -> None:
    """What was accepted before its recipient was suspended is not sealed, a person is told, and it leaves afterwards."""
    await _submit(world["EE"], 1)

    def suspended(member: Member) -> Member:
        return replace(member, status=MemberStatus.SUSPENDED) if member.country == FI else member

    world.set_trust(suspended)
    await world["EE"].trust.refresh()
    await world["EE"].engine.dispatch()
    assert (await world["EE"].attention(), _to(world, FI)) == (["not-sent"], [])

    world.set_trust(lambda member: replace(member, status=MemberStatus.ACTIVE))
    await world["EE"].trust.refresh()
    world.clock.advance(301)
    await world["EE"].engine.dispatch()
    assert (await world["EE"].attention(), len(_to(world, FI))) == ([], 1)


@pytest.mark.parametrize("whose", [FI, EE], ids=["the recipient's", "ours"])
async def test_nothing_leaves_when_an_entry_of_the_trust_list_ran_out(world: World, whose: CountryCode) -> None:
    """Nobody vouches for its keys any more: its office is called at once, and the message leaves when the entry is renewed."""
    ee = world["EE"]
    await _submit(ee, 1)
    before, long_ago = ee.trust.current().members[whose], world.clock.now() - timedelta(days=100)
    world.set_trust(lambda member: replace(member, expires=long_ago) if member.country == whose else member)
    await ee.trust.refresh()
    await ee.engine.dispatch()
    assert _to(world, FI) == []
    calls = await ee.store.read(lambda reader: reader.open_calls(["not-sent"]))
    assert [(call.authority, call.detail) for call in calls] == [("social-insurance-board", TrustListExpired().detail)]

    world.set_trust(lambda member: before if member.country == whose else member)
    await ee.trust.refresh()
    world.clock.advance(301)
    await ee.engine.dispatch()
    assert (len(_to(world, FI)), await ee.attention()) == (1, [])


async def test_a_recipient_without_a_usable_key_is_told_of(world: World) -> None:
    """With the recipient's encryption key past its time nothing is sealed under it."""
    await _submit(world["EE"], 1)

    def keyless(member: Member) -> Member:
        return replace(member, keys=tuple(key for key in member.keys if key.use is not KeyUse.HPKE))

    world.set_trust(keyless)
    await world["EE"].trust.refresh()
    await world["EE"].engine.dispatch()
    assert (await world["EE"].attention(), _to(world, FI)) == (["not-sent"], [])


async def test_a_country_without_a_queue_calls_a_person_at_once(world: World) -> None:
    """An unroutable message is kept and told of at the first attempt, a broker that is away only after several."""
    ee = world["EE"]
    await _submit(ee, 1)
    world.network.fault = TransportUnavailable()
    for _ in range(ATTENTION_AFTER_ATTEMPTS):
        assert await ee.attention() == []
        assert await ee.engine.dispatch() == 1
        world.clock.advance(RETRY_TRANSPORT_MAX_SECONDS)
    assert await ee.attention() == ["not-sent"]

    world.network.fault = Unroutable()
    await _submit(ee, 1)
    await ee.engine.dispatch()
    calls = await ee.store.read(lambda reader: reader.open_calls(["not-sent"]))
    assert [(call.peer, call.detail) for call in calls][1:] == [("FI", Unroutable().detail)]
    assert ("publish-failed", "FI", "unroutable") in ee.tally.counted


async def test_a_publish_that_fails_does_not_hold_up_the_others(world: World) -> None:
    """In one batch each entry has its own outcome."""
    sent = await _submit(world["EE"], 3)
    ee, real = world["EE"], world["EE"].engine.dispatch._transport
    turns = itertools.count()

    class OneFails:
        async def publish(self, envelope: Any, *, apart: bool = False) -> None:
            if next(turns) == 1:
                raise PublishRefused
            await real.publish(envelope)

    ee.engine.dispatch._transport = OneFails()
    assert await ee.engine.dispatch() == 3
    counts = await ee.counts()
    assert (counts["outbox.published"], counts["outbox.recorded"]) == (2, 1)
    world.clock.advance(10)
    await world.settle()
    assert sorted(_to(world, FI)) == sorted(sent)


async def test_a_queue_that_confirms_nothing_does_not_hold_up_the_other_countries(world: World) -> None:
    """Each batch waits ten seconds for it: what is tried again leaves turns for what is written later."""
    await _submit(world["EE"], 150)
    ee, real = world["EE"], world["EE"].engine.dispatch._transport

    class OneHangs:
        async def publish(self, envelope: Any, *, apart: bool = False) -> None:
            if envelope.recipient == FI:
                raise PublishUnconfirmed
            await real.publish(envelope)

    ee.engine.dispatch._transport = OneHangs()
    for _ in range(60):
        await ee.engine.dispatch()
        world.clock.advance(10)
    await ee.submit("request.json", recipient=IN_SWEDEN)
    for _ in range(6):
        await ee.engine.dispatch()
        world.clock.advance(10)
    assert len(_to(world, SE)) == 1


class SilentQueue:
    """A transport on which one country's queue confirms nothing: what is sent to it together fails after ten seconds."""

    def __init__(self, world: World, country: CountryCode, real: Any, error: Any = PublishUnconfirmed) -> None:
        self._world, self._country, self._real, self._error = world, country, real, error
        self.silent = True
        self.asked = 0
        self.apart: list[tuple[str, bool]] = []

    async def publish(self, envelope: Any, *, apart: bool = False) -> None:
        self.apart.append((envelope.recipient, apart))
        if self.silent and envelope.recipient == self._country:
            self.asked += 1
            started = self._world.clock.monotonic()
            await asyncio.sleep(0)  # all of the batch are asked by now
            self._world.clock.advance(started + 10 - self._world.clock.monotonic())
            raise self._error
        await self._real.publish(envelope, apart=apart)


async def test_what_waits_for_a_silent_queue_holds_up_other_countries_for_one_batch_only(world: World) -> None:
    """It is found out in ten seconds and sent to apart from then on; what waited leaves when the queue is back."""
    sent = await _submit(world["EE"], 200)
    ee = world["EE"]
    queue = SilentQueue(world, FI, ee.engine.dispatch._transport)
    ee.engine.dispatch._transport = queue
    world.clock.advance(1)
    await ee.submit("request.json", recipient=IN_SWEDEN)
    began = world.clock.monotonic()
    while not _to(world, SE):
        await ee.engine.dispatch()
    assert world.clock.monotonic() - began <= 10
    assert (await ee.engine.dispatch(), queue.asked) == (0, 32)

    tried = [await ee.engine.dispatch.apart() for _ in range(30)]  # five minutes, in which each is tried several times
    assert set(tried) == {32}
    assert await ee.attention() == ["not-sent"] * 100  # of 200, as many as a page shows

    queue.silent = False
    assert (await ee.engine.dispatch.apart(), await ee.engine.dispatch.apart()) == (32, 0)
    world.clock.advance(301)
    await world.settle()
    assert sorted(_to(world, FI)) == sorted(sent)
    assert await ee.attention() == []


async def test_a_country_whose_queue_is_back_does_not_wait_behind_one_whose_queue_is_not(world: World) -> None:
    """Those that are sent to apart have turns, and each batch is one country's alone."""
    await _submit(world["EE"], 100)
    ee, real = world["EE"], world["EE"].engine.dispatch._transport
    ee.engine.dispatch._transport = SilentQueue(world, FI, SilentQueue(world, SE, real))
    await ee.engine.dispatch()
    await ee.submit("request.json", recipient=IN_SWEDEN)
    await ee.engine.dispatch()

    ee.engine.dispatch._transport = queue = SilentQueue(world, FI, real)
    world.clock.advance(2)
    turns = [await ee.engine.dispatch.apart() for _ in range(3)]
    assert sorted(turns) == [1, 32, 32]
    assert len(set(queue.apart[:32])) == 1
    assert {apart for _, apart in queue.apart} == {True}
    await ee.submit("request.json", recipient=IN_SWEDEN)
    assert await ee.engine.dispatch() == 1
    assert queue.apart[-1] == (SE, False)
    assert len(_to(world, SE)) == 2


async def test_without_a_connection_nobody_is_sent_to_apart(world: World) -> None:
    """A broker that is away says nothing about any country's queue."""
    await _submit(world["EE"], 1)
    ee = world["EE"]
    ee.engine.dispatch._transport = SilentQueue(world, FI, None, TransportUnavailable())
    await ee.engine.dispatch()
    world.clock.advance(301)
    assert (await ee.engine.dispatch.apart(), await ee.engine.dispatch()) == (0, 1)


async def test_what_waited_for_the_broker_leaves_soon_though_its_first_outcome_is_unknown(world: World) -> None:
    """After an hour without it, a queue that is not quite back yet puts nothing off for minutes."""
    (sent,) = await _submit(world["EE"], 1)
    for fault in (*[TransportUnavailable()] * 120, PublishUnconfirmed(), None):
        world.network.fault = fault
        await world["EE"].engine.dispatch()
        world.clock.advance(31)
    assert _to(world, FI) == [sent]


async def test_a_cancelled_worker_remembers_what_it_published(world: World) -> None:
    """A node that is stopped while the outcome is written writes it to the end."""
    await _submit(world["EE"], 1)
    ee, real = world["EE"], world["EE"].engine.dispatch._store
    reached, go_on = asyncio.Event(), asyncio.Event()
    calls = itertools.count()

    class SlowStore:
        async def run(self, fn: Any, *, ahead: bool = False) -> Any:
            if next(calls) == 2:  # lease, save sealed, settle
                reached.set()
                await go_on.wait()
            return await real.run(fn, ahead=ahead)

    ee.engine.dispatch._store = SlowStore()
    work = asyncio.create_task(ee.engine.dispatch())
    await reached.wait()
    work.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    while (await ee.counts()).get("outbox.published") != 1:  # noqa: ASYNC110 - the shielded rest has no name here
        await asyncio.sleep(0)
    assert len(_to(world, FI)) == 1


async def test_what_was_sent_is_counted_by_country(world: World) -> None:
    """Publishes, and receipts by kind, are counted after they are committed."""
    await _submit(world["EE"], 1)
    await world.settle()
    assert world["EE"].tally.counted[0] == ("published", "FI")
    told = world["FI"].tally.counted
    assert ("published", "EE") in told
    assert [line for line in told if line[:2] == ("receipt", "out")] == [
        ("receipt", "out", "EE", "delivered"),
        ("receipt", "out", "EE", "handed-over"),
    ]


async def test_an_unforeseen_fault_over_one_entry_does_not_hold_up_its_batch(world: World) -> None:
    """The others leave; that one is tried again, and its office is told which kind of fault it was."""
    first, second = await _submit(world["EE"], 2)
    dispatch = world["EE"].engine.dispatch
    whole = dispatch._transport.publish

    async def publish(envelope: Any, *, apart: bool = False) -> None:
        if envelope.id == first:
            raise ZeroDivisionError("Näidis")
        await whole(envelope)

    dispatch._transport.publish = publish
    for _ in range(6):
        await dispatch()
        world.clock.advance(400)
    assert _to(world, FI) == [second]
    page = await world["EE"].store.read(
        lambda reader: reader.attention(AuthorityId("social-insurance-board"), open_only=True, cursor=None, limit=9)
    )
    assert [(entry.code, entry.detail) for entry in page.items] == [
        ("not-sent", "Publishing raised ZeroDivisionError."),
    ]


async def test_what_is_damaged_holds_up_nothing_else(world: World) -> None:
    """The others leave; of that one a person hears at once, and it leaves when it is whole again."""
    first, second, third = await _submit(world["EE"], 3)
    path = world["EE"].url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as db, db:
        ((whole,),) = db.execute("SELECT content FROM outbox_content WHERE id = ?", (first,))
        db.execute("UPDATE outbox_content SET content = zeroblob(100) WHERE id = ?", (first,))
    assert await world["EE"].engine.dispatch() == 3
    assert sorted(_to(world, FI)) == sorted([second, third])
    assert await world["EE"].attention() == ["not-sent"]
    assert (await world["EE"].counts())["outbox.recorded"] == 1

    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE outbox_content SET content = ? WHERE id = ?", (whole, first))
    world.clock.advance(400)
    await world.settle()
    assert sorted(_to(world, FI)) == sorted([first, second, third])
    assert await world["EE"].attention() == []


async def test_a_case_without_its_key_holds_up_nothing_else(world: World) -> None:
    """P7: the others leave; of that one its office hears at once and why, and it goes on when the key is back."""
    first, second, third = await _submit(world["EE"], 3)
    path = world["EE"].url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as db, db:
        ((scope,),) = db.execute("SELECT scope FROM outbox_content WHERE id = ?", (first,))
        (kept,) = db.execute("SELECT * FROM case_key WHERE scope = ?", (scope,))
        db.execute("DELETE FROM case_key WHERE scope = ?", (scope,))
    assert await world["EE"].engine.dispatch() == 3
    assert sorted(_to(world, FI)) == sorted([second, third])
    page = await world["EE"].store.read(
        lambda reader: reader.attention(AuthorityId("social-insurance-board"), open_only=True, cursor=None, limit=9)
    )
    assert [(entry.code, entry.detail) for entry in page.items] == [("not-sent", CaseKeyMissing().detail)]

    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"INSERT INTO case_key VALUES ({', '.join('?' * len(kept))})", kept)
    world.clock.advance(400)
    await world.settle()
    assert sorted(_to(world, FI)) == sorted([first, second, third])
    assert await world["EE"].attention() == []


async def test_a_machine_without_the_newest_wrapping_key_takes_nothing_from_the_others(world: World) -> None:
    """It opens no case at all: that is told of the machine, and no entry is put off or its office called."""
    old = world["EE"].epochs.ring()
    await _submit(world["EE"], 1)
    estonia = world["EE"]
    await estonia.engine.next_epoch()
    behind = open_store(estonia.url, us=estonia.us, cipher=AtRest(lambda: old))
    now = world.clock.now()
    with pytest.raises(KeyMissing):
        await behind.run(lambda tx: tx.lease_outbox(now=now, until=now, token="behind", limit=9))
    await behind.close()
    assert await estonia.engine.dispatch() == 1
    assert await estonia.attention() == []


async def _sealed_and_kept(world: World) -> tuple[Accepted, SealedEnvelope]:
    """Seal a message that the broker then refuses; return it with the bytes that wait."""
    ee = world["EE"]
    accepted = await ee.submit("request.json")
    world.network.fault = PublishRefused()
    await ee.engine.dispatch()
    world.network.fault = None
    world.clock.advance(301)
    row = await ee.store.run(lambda tx: tx.outbox(accepted.message))
    assert row is not None
    assert row.envelope is not None
    return accepted, row.envelope


async def test_what_is_tried_again_leaves_in_the_bytes_that_were_stored(world: World) -> None:
    """However often: the other country knows them again by their digest alone."""
    _, sealed = await _sealed_and_kept(world)
    world.clock.advance(26 * DAY)
    await world["EE"].engine.dispatch()
    assert [one.raw for one in world.network.published] == [sealed.raw]


async def test_what_waited_until_its_envelope_is_nearly_over_is_sealed_anew(world: World) -> None:
    """Under way it would expire: the other country would refuse it, and its sender hear of that a day later."""
    accepted, sealed = await _sealed_and_kept(world)
    world.clock.advance(28 * DAY)
    await world["EE"].engine.dispatch()
    (left,) = world.network.published
    assert (left.id, left.raw == sealed.raw) == (accepted.message, False)
    world.clock.advance(10 * DAY)
    await world.settle()
    assert world["FI"].outcomes == ["recorded"]


def _revoked(world: World) -> Callable[[MemberKey], list[MemberKey]]:
    return lambda key: [replace(key, revoked_at=world.clock.now(), revoked_because=RevocationReason.COMPROMISED)]


def _over(world: World) -> Callable[[MemberKey], list[MemberKey]]:
    return lambda key: [replace(key, sign_until=world.clock.now(), accept_until=world.clock.now())]


def _listed_no_more(_: World) -> Callable[[MemberKey], list[MemberKey]]:
    return lambda key: []


@pytest.mark.parametrize("change", [_revoked, _over, _listed_no_more])
@pytest.mark.parametrize(("whose", "use"), [(FI, KeyUse.HPKE), (EE, KeyUse.ED25519), (EE, KeyUse.ML_DSA_65)])
async def test_stored_bytes_under_a_key_that_counts_no_more_do_not_leave(
    world: World, whose: CountryCode, use: KeyUse, change: Any
) -> None:
    """Whoever stole it could read them, or nobody would believe them; without another key a person is called."""
    ee = world["EE"]
    await _sealed_and_kept(world)
    before, made = ee.trust.current(), change(world)
    world.set_trust(
        lambda member: (
            replace(member, keys=tuple(k for key in member.keys for k in (made(key) if key.use is use else [key])))
            if member.country == whose
            else member
        )
    )
    await ee.trust.refresh()
    await ee.engine.dispatch()
    assert (world.network.published, await ee.attention()) == ([], ["not-sent"])

    world.set_trust(lambda member: before.members[member.country])
    await ee.trust.refresh()
    world.clock.advance(301)
    await world.settle()
    assert (world["FI"].outcomes, await ee.attention()) == (["recorded"], [])


async def test_a_message_for_a_country_that_is_a_member_no_more_waits_and_is_told_of(world: World) -> None:
    """It left the federation after the message was accepted: nothing is sealed for it, and it leaves if it comes back."""
    ee = world["EE"]
    await ee.submit("request.json")
    before = ee.trust.current()
    ee.trust.newest = replace(before, members={name: one for name, one in before.members.items() if name != FI})
    await ee.trust.refresh()
    await ee.engine.dispatch()
    assert (world.network.published, await ee.attention()) == ([], ["not-sent"])

    ee.trust.newest = before
    await ee.trust.refresh()
    world.clock.advance(301)
    await world.settle()
    assert (world["FI"].outcomes, await ee.attention()) == (["recorded"], [])


async def test_a_fault_of_sealing_that_nobody_foresaw_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of the batch leave; that one is tried again, and what the fault says is kept nowhere."""
    first, *others = await _submit(world["EE"], 3)

    def fails_once(content: bytes, *, profile: ProfileHeader, **more: Any) -> SealedEnvelope:
        if profile.id == first:
            raise ValueError("Test-Maarika")
        return seal(content, profile=profile, **more)

    monkeypatch.setattr("broker.flows.dispatch.seal", fails_once)
    assert await world["EE"].engine.dispatch() == 3
    assert sorted(_to(world, FI)) == sorted(others)
    monkeypatch.undo()
    world.clock.advance(301)
    await world["EE"].engine.dispatch()
    assert sorted(_to(world, FI)) == sorted([first, *others])


@pytest.mark.parametrize("apart", [False, True])
async def test_what_one_worker_sends_no_other_takes_until_it_must_have_died(world: World, apart: bool) -> None:
    """For as long as sealing and sending may take; afterwards what a dead worker held leaves by another, once."""
    ee = world["EE"]
    (message,) = await _submit(ee, 1)
    dispatch = ee.engine.dispatch
    if apart:
        dispatch._apart.failed(FI, PublishUnconfirmed(), 60)
    take, send = (dispatch._take_apart, dispatch.apart) if apart else (dispatch._take, dispatch)
    assert len(await ee.store.run(lambda tx: take(tx, "dies"))) == 1
    world.clock.advance(LEASE_SECONDS - 1)
    assert [await dispatch(), await dispatch.apart()] == [0, 0]
    world.clock.advance(1)
    assert (await send(), _to(world, FI)) == (1, [message])


@pytest.mark.parametrize("damage", ["case_key SET wrapped", "outbox_content SET content"])
async def test_receipts_that_do_not_open_make_way_for_others(world: World, damage: str) -> None:
    """Written and not yet sent when the disk damages them, they travel in another envelope; the operator hears of it."""
    ee, fi = world["EE"], world["FI"]
    asked = await ee.submit("request.json")
    await ee.engine.dispatch()
    await fi.step()
    world.network.fault = TransportUnavailable()
    await fi.engine.dispatch()
    world.network.fault = None
    with closing(sqlite3.connect(fi.url.removeprefix("sqlite:///"))) as db, db:
        db.execute(f"UPDATE {damage} = zeroblob(61) WHERE scope = 'node'")
    await world.restart("FI")
    fi = world["FI"]
    await fi.engine.next_epoch.if_owed()
    world.clock.advance(RETRY_TRANSPORT_MAX_SECONDS)
    await world.settle()

    assert await ee.states(asked) == ["handed-over"]
    calls = await fi.store.read(lambda reader: reader.open_calls(["not-sent"]))
    assert [(call.who, call.peer, call.authority) for call in calls] == [("operator", EE, None)]
    later_one = await ee.submit("request.json")
    await world.settle()
    assert await ee.states(later_one) == ["handed-over"]
