# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is overdue on the evidence ladder."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.attention import WAITS_STILL, AttentionCode, message_subject
from broker.core.delivery import HOLD_DAYS, LEASE_SECONDS, WATCH_BATCH, ReleaseReason
from broker.core.errors import (
    KeyMissing,
    PublishRefused,
    PublishUnconfirmed,
    RecipientSuspended,
    SafeguardHeld,
    TransportUnavailable,
    Unroutable,
)
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import SealedEnvelope
from broker.core.receipts import ReceiptKind
from broker.core.trust import KeyUse, Member, MemberStatus
from broker.flows import watch
from broker.ports import Transaction
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.storage.healing import begin_healing
from broker.testing.hostile import Hostile
from broker.testing.store_rows import EE, SE, digest, message_id, outgoing
from broker.testing.world import Country, World, officer

HOUR = 3600
FI = CountryCode("FI")
HELSINKI = AuthorityId("helsinki-wellbeing-services")
BOARD = AuthorityId("social-insurance-board")


class _System:
    """A national system that takes everything."""

    manifest: Any = None

    async def deliver(self, message: Any) -> None: ...

    async def erased(self, message: Any) -> None: ...

    async def run(self, context: Any) -> None: ...

    async def close(self) -> None: ...


async def _held(country: Country) -> tuple[Accepted, dict[str, Any]]:
    """Open a procedure and let a correction in it wait for a second person."""
    request = await country.submit("request.json")
    correction = json.loads(read_schema_file("examples/acts/correction-birth-year.json"))
    correction["body"] |= {"target": request.digest, "fields": [{"pointer": "/child", "now": {"value": "Test-Mari"}}]}
    with pytest.raises(SafeguardHeld):
        await country.submit(correction, procedure=request.procedure)
    return request, correction


async def _looked(world: World, hours: float) -> list[str]:
    world.clock.advance(hours * HOUR)
    await world["EE"].engine.watch()
    await world["EE"].engine.watch()
    return await world["EE"].attention()


async def test_a_delivered_message_that_nobody_takes_is_overdue(world: World) -> None:
    """Twelve hours after delivery the sender is told once, after a day to telephone; the hand-over closes both."""
    world["FI"].adapters[HELSINKI] = _System()
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    for delivery in world.network.waiting[FI]:
        await world["FI"].engine.receive(delivery)
    world.network.waiting[FI].clear()
    await world["FI"].engine.dispatch()
    await world["EE"].step()
    assert await world["EE"].states(request) == ["delivered"]
    assert await _looked(world, 11.9) == []
    assert await _looked(world, 0.2) == ["overdue-handed-over"]
    assert await _looked(world, 12) == ["failed-handed-over", "overdue-handed-over"]

    await world.settle()
    assert await world["EE"].attention() == []


async def test_a_message_that_no_officer_reads_is_overdue(world: World) -> None:
    """A day after the hand-over the sender is told, after a day and a half to telephone; the reading closes both."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    assert await _looked(world, 23.9) == []
    assert await _looked(world, 0.2) == ["overdue-opened"]
    assert await _looked(world, 12) == ["failed-opened", "overdue-opened"]

    await world["FI"].desk.open_message(request.message, officer(HELSINKI))
    await world.settle()
    assert await world["EE"].attention() == []
    assert await _looked(world, 100) == []


async def test_whoever_is_asked_to_release_is_told_of_newer_messages(world: World) -> None:
    """Once for each time that more left or came, with their types and ids; a person's word that it is seen holds till then."""
    ee = world["EE"]
    request, correction = await _held(ee)
    assert await _looked(world, 0.1) == ["held"]

    correction["body"]["fields"] = [{"pointer": "/child/birth/value/date", "now": {"value": "2015-01-01"}}]
    newer = []
    for _ in range(2):
        newer.append(await ee.submit(correction, procedure=request.procedure))
        assert await _looked(world, 0.1) == ["held", "held-overtaken"]
        (call,) = await ee.store.read(lambda reader: reader.open_calls(["held-overtaken"]))
        assert f"EE family-tracing.correction {newer[-1].message}" in call.detail
        assert call.authority == BOARD
        await ee.desk.attend.resolve(call.id, officer(BOARD))
        assert await _looked(world, 0.1) == ["held"]

    newer.append(await ee.submit(correction, procedure=request.procedure))
    assert await _looked(world, 0.1) == ["held", "held-overtaken"]
    (held,) = (await ee.store.read(lambda reader: reader.drafts(None, cursor=None, limit=9))).items
    seen = [one.message for one in newer]
    await ee.desk.approve.release(held.id, officer(BOARD, "second"), ReleaseReason.CHECKED, seen)
    assert await _looked(world, 0.1) == []


async def test_a_call_about_newer_messages_that_nobody_closed_names_what_came_since(world: World) -> None:
    """It would hide the newest ones from whoever releases the message: the list of calls shows it as it was."""
    ee = world["EE"]
    request, correction = await _held(ee)
    correction["body"]["fields"] = [{"pointer": "/child/birth/value/date", "now": {"value": "2015-01-01"}}]
    for number in (1, 2):
        newest = await ee.submit(correction, procedure=request.procedure)
        await ee.engine.watch()
        (call,) = await ee.store.read(lambda reader: reader.open_calls(["held-overtaken"]))
        assert call.detail.startswith(f"Since it was written {number} left or came, the newest: ")
        assert newest.message in call.detail
        assert call.peer == FI


async def test_nobody_is_called_about_a_held_message_that_was_released_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the call: nothing would ever close that call."""
    ee = world["EE"]
    request, correction = await _held(ee)
    correction["body"]["fields"] = [{"pointer": "/child/birth/value/date", "now": {"value": "2015-01-01"}}]
    newer = await ee.submit(correction, procedure=request.procedure)
    (held,) = (await ee.store.read(lambda reader: reader.drafts(None, cursor=None, limit=9))).items
    run = ee.store.run

    async def released(fn: Callable[[Transaction], Any], *, ahead: bool = False) -> Any:
        if "_call_overtaken" in repr(fn):
            monkeypatch.undo()
            await ee.desk.approve.release(
                held.id, officer(BOARD, "second"), ReleaseReason.CHECKED, [newer.message, request.message]
            )
        return await run(fn, ahead=ahead)

    monkeypatch.setattr(ee.engine.watch._store, "run", released)
    await ee.engine.watch()
    assert ee.engine.watch._store.run != released
    assert await ee.attention() == []


async def test_receipts_are_never_overdue(world: World) -> None:
    """The side that only sent receipts waits for nothing, however long."""
    await world["EE"].submit("request.json")
    await world.settle()
    world.clock.advance(1000 * HOUR)
    assert await world["FI"].engine.watch() == 0
    assert await world["FI"].attention() == []


async def test_the_call_goes_to_the_office_that_wrote_the_message(world: World) -> None:
    """The officers who must telephone see it in their own list, with the country; another office does not."""
    await world["EE"].submit("request.json")
    await world["EE"].step()
    await _looked(world, 13)

    async def seen(office: str) -> list[tuple[CountryCode | None, str]]:
        listed = await world["EE"].store.read(
            lambda reader: reader.attention(AuthorityId(office), open_only=True, cursor=None, limit=9)
        )
        return [(item.peer, item.detail) for item in listed.items]

    assert await seen("social-insurance-board") == [(FI, AttentionCode.FAILED_DELIVERED.meaning)]
    assert await seen("ministry-of-justice") == []


async def _long_published(country: Country, count: int) -> None:
    """Let so many messages have been published a year ago, to a country that answers none."""
    ids = [message_id(number) for number in range(count)]
    at = country.clock.now() - timedelta(days=365)

    def owe(tx: Transaction) -> None:
        for number in range(count):
            tx.add_outbox(replace(outgoing(number, recipient=SE), created=at), next_at=at)
        tx.lease_outbox(now=at, until=at + timedelta(hours=1), token="long", limit=count)
        assert tx.mark_published(ids, at=at, token="long") == count

    await country.store.run(owe)


@pytest.mark.parametrize("called", [True, False], ids=["called for", "not called for yet"])
async def test_what_is_overdue_since_now_is_told_before_all_that_nobody_will_ever_answer(
    world: World, called: bool
) -> None:
    """At the next look, late and then failed, whether or not people were called for the others: a deadline may be hours."""
    ee = world["EE"]
    await _long_published(ee, 2 * WATCH_BATCH + 1)
    while called and await ee.engine.watch():
        pass
    assert (await ee.counts())["attention"] == (2 * WATCH_BATCH + 1 if called else 0)
    request = await ee.submit("request.json")
    await ee.engine.dispatch()
    subject, late = message_subject(EE, request.message), ["overdue-delivered", "failed-delivered"]
    codes = list[list[str]]()
    for hours in (0.9, 0.1, 10.9, 0.1):
        world.clock.advance(hours * HOUR)
        await ee.engine.watch()
        codes.append(
            [code for code in late if await ee.store.read(lambda reader, code=code: reader.called(code, subject))]
        )  # type: ignore[misc]
    assert codes == [[], late[:1], late[:1], late]


async def test_what_was_answered_while_it_was_looked_at_calls_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the call: nothing would ever close that call."""
    ee = world["EE"]
    await ee.submit("request.json")
    await ee.engine.dispatch()
    world.clock.advance(2 * HOUR)
    run = ee.store.run

    async def answered(fn: Callable[[Transaction], Any], *, ahead: bool = False) -> Any:
        if fn.__name__ != "_settle":
            monkeypatch.undo()
            await world.settle()
        return await run(fn, ahead=ahead)

    monkeypatch.setattr(ee.engine.watch._store, "run", answered)
    await ee.engine.watch()
    assert await ee.attention() == []


async def test_what_two_workers_see_to_be_lost_is_sent_again_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else three workers would use up at once what a message is sent again by itself."""
    ee, other = world["EE"], world.colleague("EE")
    late = await ee.submit("request.json")
    await ee.engine.dispatch()
    world.network.waiting[FI].clear()
    world.clock.advance(2 * 60)
    await ee.submit("request.json")
    await world.settle()
    world.clock.advance(2 * 60)
    run = ee.store.run

    async def behind(fn: Callable[[Transaction], Any], *, ahead: bool = False) -> Any:
        if fn.__name__ != "_settle":
            monkeypatch.undo()
            assert await other.engine.watch() == 1
        return await run(fn, ahead=ahead)

    monkeypatch.setattr(ee.engine.watch._store, "run", behind)
    assert await ee.engine.watch() == 0
    row = await ee.store.run(lambda tx: tx.outbox(late.message))
    assert row is not None
    assert row.resends == 1
    await world.settle()
    assert await ee.states(late) == ["handed-over"]
    await other.store.close()


async def test_one_silent_country_does_not_hide_what_the_others_owe(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More entries than one look takes wait: it says so, and the next looks take the others."""
    monkeypatch.setattr("broker.flows.watch.WATCH_BATCH", 2)
    for _ in range(5):
        await world["EE"].submit("request.json")
        await world["EE"].engine.dispatch()
        world.clock.advance(1)
    world.clock.advance(2 * HOUR)
    found = []
    for _ in range(3):
        more = await world["EE"].engine.watch()
        found.append((len(await world["EE"].attention()), bool(more)))
    assert found == [(2, True), (4, True), (5, False)]

    world.clock.advance(11 * HOUR)
    for _ in range(3):
        await world["EE"].engine.watch()
    assert (await world["EE"].attention()).count("failed-delivered") == 5


async def test_a_peers_clock_that_is_ahead_does_not_put_off_the_call(world: World) -> None:
    """Finland signs its receipt for next year: the hand-over is overdue half a day after the receipt came."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    hostile = Hostile(world["FI"], world["EE"])
    ahead = world.clock.now() + timedelta(days=365)
    receipt = hostile.receipt(request.message, request.digest, ReceiptKind.DELIVERED, at=ahead)
    assert await hostile.send(hostile.receipts(receipt)) == "receipts"
    assert await _looked(world, 12.1) == ["overdue-handed-over"]
    held = await world["EE"].store.read(lambda reader: reader.receipts_about(CountryCode("EE"), request.message))
    assert [item.at for item in held] == [ahead]


async def test_what_is_damaged_is_overdue_like_any_other(world: World) -> None:
    """Nothing of a message is opened to see that its answer is missing, and none hides the next one."""
    damaged, whole = (await world["EE"].submit("request.json"), await world["EE"].submit("request.json"))
    await world["EE"].engine.dispatch()
    with closing(sqlite3.connect(world["EE"].url.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE outbox_content SET content = x'00', header = x'00' WHERE id = ?", (damaged.message,))
    assert await _looked(world, 1.1) == ["overdue-delivered", "overdue-delivered"]
    assert await world["EE"].states(whole) == ["published"]


async def _unsent(world: World, hours: float) -> list[tuple[str, str]]:
    """Let time pass at a node that tries to send all the while; return what the office is called for, and why."""
    estonia = world["EE"]
    for _ in range(20):
        world.clock.advance(hours * HOUR / 20)
        with contextlib.suppress(KeyMissing):
            await estonia.engine.dispatch()
        await estonia.engine.watch()
    page = await estonia.store.read(lambda reader: reader.attention(BOARD, open_only=True, cursor=None, limit=9))
    return [(entry.code, entry.detail) for entry in page.items]


async def _without_key(world: World) -> None:
    def change(member: Member) -> Member:
        return replace(member, keys=tuple(key for key in member.keys if key.use is not KeyUse.HPKE))

    world.set_trust(lambda member: change(member) if member.country == FI else member)
    await world["EE"].engine.refresh_trust()


async def _suspended(world: World) -> None:
    world.set_trust(lambda member: replace(member, status=MemberStatus.SUSPENDED) if member.country == FI else member)
    await world["EE"].engine.refresh_trust()


async def _failing(world: World, error: Exception) -> None:
    async def publish(envelope: SealedEnvelope, *, apart: bool = False) -> None:
        raise error

    world["EE"].engine.dispatch._transport.publish = publish  # type: ignore[method-assign]


async def _leased(world: World) -> None:
    """A worker takes what is owed again and again, and dies each time before it does anything."""

    async def dies() -> int:
        now = world.clock.now()
        until = now + timedelta(seconds=LEASE_SECONDS)
        await world["EE"].store.run(lambda tx: tx.lease_outbox(now=now, until=until, token="dead", limit=9))
        return 0

    object.__setattr__(world["EE"].engine, "dispatch", dies)


async def _nothing_opens(world: World) -> None:
    """The dispatcher fails before it takes any: this machine's vault lacks the wrapping key that the database names."""

    async def fails() -> int:
        raise KeyMissing

    object.__setattr__(world["EE"].engine, "dispatch", fails)


UNSENT: dict[str, tuple[Callable[[World], Awaitable[None]], str]] = {
    "no key of the recipient": (_without_key, "The addressed country has no usable encryption key in the trust list."),
    "the recipient is suspended": (_suspended, RecipientSuspended().detail),
    "no route": (lambda world: _failing(world, Unroutable()), Unroutable().detail),
    "the broker is away": (lambda world: _failing(world, TransportUnavailable()), TransportUnavailable().detail),
    "the broker refuses": (lambda world: _failing(world, PublishRefused()), PublishRefused().detail),
    "the broker never confirms": (lambda world: _failing(world, PublishUnconfirmed()), PublishUnconfirmed().detail),
    "workers die with it": (_leased, WAITS_STILL),
    "no case opens on this machine": (_nothing_opens, WAITS_STILL),
}


@pytest.mark.parametrize("way", UNSENT)
async def test_whatever_keeps_a_message_here_its_office_is_called_within_the_hour(world: World, way: str) -> None:
    """P7: once, with what is known of it, however long it lasts."""
    prepare, why = UNSENT[way]
    await world["EE"].submit("request.json")
    await prepare(world)
    assert await _unsent(world, 1.1) == [("not-sent", why)]
    assert await _unsent(world, 20 * 24) == [("not-sent", why)]
    assert (await world["EE"].counts())["outbox.recorded"] == 1


async def test_after_a_restore_the_office_hears_that_its_message_waits_for_silent_countries(world: World) -> None:
    """P7: the operator is called for the country, and who owns the message for the message."""
    estonia = world["EE"]
    request = await estonia.submit("request.json")
    at = world.clock.now()
    await estonia.store.run(
        lambda tx: begin_healing(tx, since=at, restored=at, position=0, head=digest("0"))  # type: ignore[arg-type]
    )
    assert await _unsent(world, 2) == [("not-sent", WAITS_STILL)]
    assert await estonia.states(request) == ["recorded"]


async def test_a_call_for_what_waited_ends_when_it_leaves(world: World) -> None:
    """Also where no attempt had failed: nobody is sent after a message that is on its way."""
    estonia = world["EE"]
    request = await estonia.submit("request.json")
    world.clock.advance(2 * HOUR)
    await estonia.engine.watch()
    assert await estonia.attention() == ["not-sent"]
    await estonia.engine.dispatch()
    assert await estonia.states(request) == ["published"]
    assert await estonia.attention() == []


async def test_a_country_that_opens_procedures_without_end_is_told_of_once_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far over its usual, and never for few: each of them is taken, and a security officer hears of it on the same day."""
    monkeypatch.setattr(watch, "MANY_OPENED", 3)
    ee, fi = world["EE"], world["FI"]
    for _ in range(3):
        assert await fi.attention() == []
        await ee.submit("request.json")
        await world.settle()
        world.clock.advance(7 * HOUR)
        await fi.engine.watch()
    assert await fi.attention() == ["many-procedures"]
    assert await ee.attention() == []
    [call] = (await fi.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=5))).items
    assert (call.peer, call.detail) == ("EE", "It opened 3 within 24 hours, and 0 in the 30 days before.")

    await fi.desk.attend.resolve(call.id, officer())
    await fi.engine.watch()
    assert await fi.attention() == []
    world.clock.advance(26 * HOUR)
    for _ in range(3):  # a tenth of which is usual by now
        await ee.submit("request.json")
    await world.settle()
    monkeypatch.setattr(watch, "FAR_OVER_USUAL", 31)
    await fi.engine.watch()
    assert "many-procedures" not in await fi.attention()


async def test_a_held_message_that_does_not_open_hides_nothing(world: World) -> None:
    """What is overdue is told all the same, what is newer than another held one too; after seven days nobody decided."""
    ee = world["EE"]
    await _held(ee)
    with closing(sqlite3.connect(ee.url.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE draft_content SET content = zeroblob(200)")
    await ee.step()
    assert await _looked(world, 2) == ["held", "overdue-delivered"]

    request, correction = await _held(ee)
    correction["body"]["fields"] = [{"pointer": "/child/birth/value/date", "now": {"value": "2015-01-01"}}]
    await ee.submit(correction, procedure=request.procedure)
    assert await _looked(world, 0.1) == ["held", "held", "held-overtaken", "overdue-delivered"]
    assert (await _looked(world, 24 * HOLD_DAYS)).count("hold-expired") == 2
