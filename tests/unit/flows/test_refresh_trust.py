# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Looking for a newer trust list."""

from __future__ import annotations

from broker.core.errors import TrustListInvalid
from broker.testing.world import World


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


async def test_a_list_that_did_not_change_does_nothing(world: World) -> None:
    """Without a newer list nothing is sealed again and no audit row is written."""
    await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    assert not await world["EE"].engine.refresh_trust()
    assert (await world["EE"].counts())["outbox.published"] == 1
    trail = await world["EE"].store.read(lambda reader: reader.audit(cursor=None, limit=9))
    assert [row.action for row in trail.items] == ["submitted"]
