# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Looking for a newer trust list."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from sqlalchemy import text

from broker.core.canonical import digest
from broker.core.errors import TrustListExpired, TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse, Member, TrustRule
from broker.flows.receive import _Arrived, _Believed
from broker.home import generate_keys, member_of
from broker.ports import TrustLook
from broker.storage.schema import exclusive
from broker.testing.world import World

FI = CountryCode("FI")


async def test_the_source_is_asked_at_most_once_a_minute(world: World) -> None:
    """However often an unknown key asks, a newer list is looked for once a minute."""
    ee = world["EE"]
    world.set_trust(lambda member: member)
    assert await ee.engine.refresh_trust()
    world.set_trust(lambda member: member)
    world.clock.advance(59)
    assert not await ee.engine.refresh_trust()
    world.clock.advance(1)
    assert await ee.engine.refresh_trust()
    trail = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=9))
    assert [(row.action, row.subject) for row in trail.items] == [
        ("trust-list-changed", "version-3"),
        ("trust-list-changed", "version-2"),
    ]


async def test_a_bad_list_calls_a_person_and_changes_nothing(world: World) -> None:
    """The previous list stays in force and work goes on under it; a good list closes the call."""
    ee, source = world["EE"], world["EE"].trust
    before = source.current()

    class Bad:
        current = source.current

        async def refresh(self, *, asked: bool) -> TrustLook:
            raise TrustListInvalid("The newer list is not signed by enough officers.")

    ee.engine.refresh_trust._trust = Bad()
    assert not await ee.engine.refresh_trust()
    assert await ee.attention() == ["trust-list"]
    assert source.current() is before
    request = await ee.submit("request.json")
    await world.settle()
    assert await ee.states(request) == ["handed-over"]

    ee.engine.refresh_trust._trust = source
    world.set_trust(lambda member: member)
    world.clock.advance(61)
    assert await ee.engine.refresh_trust()
    assert await ee.attention() == []


async def test_a_list_that_is_mended_to_the_version_in_force_closes_the_call(world: World) -> None:
    """Nobody has to make a newer list: the one in force, put back, is good again, and a restart changes nothing of it."""
    ee, source = world["EE"], world["EE"].trust

    class Bad:
        current = source.current

        async def refresh(self, *, asked: bool) -> TrustLook:
            raise TrustListInvalid

    for restarted in (False, True):
        world["EE"].engine.refresh_trust._trust = Bad()
        world.clock.advance(61)
        await world["EE"].engine.refresh_trust()
        assert await ee.attention() == ["trust-list"]
        if restarted:
            await world.restart("EE")
        world["EE"].engine.refresh_trust._trust = source
        world.clock.advance(61)
        assert not await world["EE"].engine.refresh_trust()
        assert await world["EE"].attention() == []


async def test_a_list_that_did_not_change_does_nothing(world: World) -> None:
    """Without a newer list nothing is sealed again and no audit row is written."""
    await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    assert not await world["EE"].engine.refresh_trust()
    assert (await world["EE"].counts())["outbox.published"] == 1
    trail = await world["EE"].store.read(lambda reader: reader.audit(cursor=None, limit=9))
    assert [row.action for row in trail.items] == ["submitted"]


async def _without_finlands_key(world: World, *, revoked: bool) -> None:
    """Let the newest list have a fresh encryption key of Finland, the old one revoked or no longer listed."""
    keys = generate_keys()

    def change(member: Member) -> Member:
        if member.country != FI:
            return member
        old = tuple(
            replace(key, revoked_at=world.clock.now()) if revoked else key
            for key in member.keys
            if revoked or key.use is not KeyUse.HPKE
        )
        fresh = member_of(FI, keys, now=world.clock.now(), authorities=(), messages={})
        return replace(member, keys=old + fresh.keys)

    world.set_trust(change)
    world.clock.advance(60)


async def test_a_key_that_is_listed_no_more_makes_us_seal_again(world: World) -> None:
    """An envelope to a key that the newer list left out is sealed anew, as for a revoked one."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    await _without_finlands_key(world, revoked=False)
    assert await world["EE"].engine.refresh_trust()
    assert await world["EE"].states(request) == ["recorded"]


async def test_a_list_that_changed_while_no_node_ran_makes_us_seal_again(world: World) -> None:
    """The first look after a start holds what is undelivered against the list that the node started with."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    await _without_finlands_key(world, revoked=True)
    await world["EE"].trust.refresh()
    await world.restart("EE")
    assert not await world["EE"].engine.refresh_trust()
    assert await world["EE"].states(request) == ["recorded"]


async def test_a_clock_that_is_set_back_does_not_stop_the_asking(world: World) -> None:
    """A minute is a minute whatever the clock on the wall says."""
    await world["EE"].engine.refresh_trust()
    world.set_trust(lambda member: member)
    world.clock.set_back(3600)
    world.clock.advance(61)
    assert await world["EE"].engine.refresh_trust()


def _ending(world: World, end: datetime | None, *, member: datetime | None = None) -> None:
    """Let the newest list end then, and Finland's entry at another time."""
    world.set_trust(lambda one: replace(one, expires=member) if one.country == FI else one)
    for name in ("EE", "FI"):
        world[name].trust.newest = replace(world[name].trust.newest, expires=end)


async def test_people_are_told_before_the_list_runs_out(world: World) -> None:
    """From 14 days before the end the federation is called; a renewed list closes the call."""
    ee = world["EE"]
    _ending(world, world.clock.now() + timedelta(days=14, seconds=1))
    await ee.engine.refresh_trust()
    assert await ee.attention() == []
    world.clock.advance(61)
    await ee.engine.refresh_trust()
    assert await ee.attention() == ["trust-expiring"]
    _ending(world, world.clock.now() + timedelta(days=30))
    world.clock.advance(61)
    await ee.engine.refresh_trust()
    assert await ee.attention() == []


async def test_after_the_grace_nothing_is_sent_and_everything_is_received(world: World) -> None:
    """What arrives is taken and recorded; what we owe waits, with a person called, and goes out under a renewed list."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    end = world.clock.now() - timedelta(days=14)
    _ending(world, end)
    await world["FI"].engine.refresh_trust()
    await world["EE"].engine.refresh_trust()
    await world["FI"].step()
    assert world["FI"].outcomes == ["recorded"]
    with pytest.raises(TrustListExpired):
        await world["EE"].submit("request.json")
    await world["FI"].step()
    assert await world["EE"].states(request) == ["published"]
    assert "not-sent" in await world["FI"].attention()

    _ending(world, world.clock.now() + timedelta(days=30))
    world.clock.advance(400)
    for name in ("EE", "FI"):
        await world[name].engine.refresh_trust()
    await world.settle()
    assert await world["EE"].states(request) == ["handed-over"]


async def test_one_sleepy_member_stops_only_what_goes_to_it(world: World) -> None:
    """A country whose officers renewed nothing is not sent to; the federation's list holds for everybody else."""
    _ending(world, None, member=world.clock.now() - timedelta(days=14))
    await world["EE"].engine.refresh_trust()
    with pytest.raises(TrustListExpired):
        await world["EE"].submit("request.json")
    assert await world["EE"].attention() == ["trust-expiring"]


async def test_a_members_refused_entry_calls_a_person(world: World) -> None:
    """The broken rule is told with the country, and a good entry closes the call."""
    ee, source = world["EE"], world["EE"].trust

    class Troubled:
        current = source.current
        troubles: ClassVar[dict[CountryCode, str]] = {FI: "threshold: A list is not signed by enough of its officers."}

        async def refresh(self, *, asked: bool) -> TrustLook:
            return TrustLook(troubles=self.troubles)

    ee.engine.refresh_trust._trust = Troubled()
    await ee.engine.refresh_trust()
    page = await ee.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(entry.code, entry.peer, entry.detail) for entry in page.items] == [
        ("trust-member", FI, Troubled.troubles[FI])
    ]  # fmt: skip
    Troubled.troubles = {}
    world.clock.advance(61)
    await ee.engine.refresh_trust()
    assert await ee.attention() == []


async def test_a_silent_source_is_told_after_a_day(world: World) -> None:
    """A night without a connection is no news; a day is."""
    ee, source = world["EE"], world["EE"].trust
    world.clock.advance(30 * 24 * 3600)
    await ee.engine.refresh_trust()  # the source answers; the day begins here
    world.clock.advance(61)

    class Silent:
        current = source.current

        async def refresh(self, *, asked: bool) -> TrustLook:
            raise TrustListInvalid("Nobody answers.", rule=TrustRule.UNREACHABLE)

    ee.engine.refresh_trust._trust = Silent()
    await ee.engine.refresh_trust()
    assert await ee.attention() == []
    ee.clock.set_back(6 * 3600)  # to the right time: the day is no longer for that
    world.clock.advance(24 * 3600)
    await ee.engine.refresh_trust()
    assert await ee.attention() == ["trust-source"]


async def test_who_asks_does_not_wait_for_the_regular_look(world: World) -> None:
    """Something unknown that came makes the next look an urgent one, once."""
    ee, source, seen = world["EE"], world["EE"].trust, []

    class Watched:
        current = source.current

        async def refresh(self, *, asked: bool) -> None:
            seen.append(asked)

    ee.engine.refresh_trust._trust = Watched()
    ee.engine.refresh_trust.ask()
    for _ in range(2):
        await ee.engine.refresh_trust()
        world.clock.advance(61)
    assert seen == [True, False]


async def test_a_document_of_a_newer_program_calls_the_operator(world: World) -> None:
    """The node's own operator reads which document it is, once; a look that reads everything closes the call."""
    ee, source = world["EE"], world["EE"].trust

    class Behind:
        current = source.current
        unread: ClassVar[dict[str, str]] = {"catalogue.json": "document: The member does not have its form."}

        async def refresh(self, *, asked: bool) -> TrustLook:
            return TrustLook(unread=self.unread)

    ee.engine.refresh_trust._trust = Behind()
    for _ in range(2):
        await ee.engine.refresh_trust()
        world.clock.advance(61)
    page = await ee.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(entry.code, entry.who) for entry in page.items] == [("trust-newer", "operator")]
    assert page.items[0].detail.startswith("catalogue.json: document")
    Behind.unread = {}
    await ee.engine.refresh_trust()
    assert await ee.attention() == []


# --- keys that count no longer ---------------------------------------------------------------------------------------


async def _revoke(world: World, name: str, use: KeyUse, at: datetime) -> None:
    """Let the newest list revoke a country's first key of that use from then on, and name fresh ones that it holds."""
    fresh, now = generate_keys(), world.clock.now()

    def change(member: Member) -> Member:
        if member.country != name:
            return member
        keys = (
            replace(key, revoked_at=at) if key.use is use and key.revoked_at is None else key for key in member.keys
        )
        more = member_of(member.country, fresh, now=now, authorities=(), messages={}).keys
        return replace(member, keys=(*keys, *more))

    world.set_trust(change)
    await world.restart(name, *fresh)


async def test_a_revocation_that_begins_later_takes_effect_at_its_moment(world: World) -> None:
    """What is under way stays so until then, and is sealed anew then, without a newer list and without a new look."""
    ee, at = world["EE"], world.clock.now() + timedelta(hours=1)
    request = await ee.submit("request.json")
    await ee.engine.dispatch()
    await _revoke(world, "FI", KeyUse.HPKE, at)
    await ee.engine.refresh_trust()
    world.clock.advance(3570)
    await ee.engine.refresh_trust()
    assert await ee.states(request) == ["published"]
    world.clock.advance(30)
    assert not await ee.engine.refresh_trust()
    assert await ee.states(request) == ["recorded"]


@pytest.mark.parametrize("damaged", [False, True])
async def test_receipts_that_nobody_believes_any_more_are_sent_again(world: World, *, damaged: bool) -> None:
    """Receipts under way when their signing key was revoked come again under the next one, and settle the message.

    Also those whose envelope no longer opens here.
    """
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await ee.engine.dispatch()
    await fi.step()
    await fi.engine.dispatch()  # the receipts are under way
    if damaged:
        with exclusive(fi.url) as connection:
            connection.execute(text("UPDATE case_key SET wrapped = zeroblob(61) WHERE scope = 'node'"))
        await fi.engine.next_epoch.if_owed()
    await _revoke(world, "FI", KeyUse.ML_DSA_65, world.clock.now())
    await ee.engine.refresh_trust()
    await ee.step()
    assert ee.outcomes == ["key-revoked"]
    assert await ee.states(request) == ["published"]

    await world["FI"].engine.refresh_trust()
    await world.settle()
    assert await ee.states(request) == ["handed-over"]
    sent = len(world.network.published)
    await world.restart("FI")
    await world["FI"].engine.refresh_trust()
    await world.settle()
    assert len(world.network.published) == sent


async def test_what_was_believed_after_its_keys_time_calls_security_once(world: World) -> None:
    """The call counts and names the messages that came between the revocation and the list that says so."""
    ee, fi = world["EE"], world["FI"]
    await ee.submit("request.json")
    await world.settle()
    world.clock.advance(600)
    revoked, late = world.clock.now(), []
    for _ in range(2):
        world.clock.advance(1)
        late.append(await ee.submit("request.json"))
    await world.settle()
    await _revoke(world, "EE", KeyUse.ED25519, revoked)
    await fi.engine.refresh_trust()
    page = await fi.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    (call,) = (entry for entry in page.items if entry.code == "believed-revoked")
    assert (call.who, call.peer, call.detail.split()[0]) == ("security officer", CountryCode("EE"), "2")
    assert all(item.message in call.detail for item in late)

    now = world.clock.now()
    await fi.store.run(lambda tx: tx.resolve_attention(call.code, call.subject, at=now, by="test"))
    world.set_trust(lambda member: member)
    world.clock.advance(61)
    assert await fi.engine.refresh_trust()
    assert await fi.attention() == []


async def test_what_is_recorded_by_the_list_before_is_told_too(world: World) -> None:
    """A message that was verified when a list with a revocation came, and recorded after, is named a minute later."""
    ee, fi = world["EE"], world["FI"]
    world.clock.advance(600)
    revoked = world.clock.now()
    world.clock.advance(1)
    sent = await ee.submit("request.json")
    await ee.engine.dispatch()
    (delivery,) = world.network.waiting[FI]
    arrived = _Arrived(delivery=delivery, raw_sha256=digest(delivery.raw))
    (found,) = await fi.engine.receive._look_at([arrived])
    await _revoke(world, "EE", KeyUse.ML_DSA_65, revoked)
    await fi.engine.refresh_trust()
    assert isinstance(found, _Believed)
    assert await fi.engine.receive._record(found, arrived.raw_sha256, world.clock.now()) == "recorded"
    assert "believed-revoked" not in await fi.attention()
    world.clock.advance(60)
    await fi.engine.refresh_trust()
    page = await fi.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    (call,) = (entry for entry in page.items if entry.code == "believed-revoked")
    assert sent.message in call.detail
