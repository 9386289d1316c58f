# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Looking for a newer trust list."""

from __future__ import annotations

from dataclasses import replace

from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse, Member
from broker.home import generate_keys, member_of
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

        async def refresh(self) -> bool:
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

        async def refresh(self) -> bool:
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
