# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Our own officers are urged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.ports import Transaction
from broker.testing.hostile import Hostile
from broker.testing.world import World, officer

HELSINKI = AuthorityId("helsinki-wellbeing-services")
HOUR = 3600


async def _looked(world: World, hours: float) -> list[str]:
    world.clock.advance(hours * HOUR)
    await world["FI"].engine.urge()
    return await world["FI"].attention()


async def test_a_message_that_our_officers_leave_unopened_calls_their_office(world: World) -> None:
    """A day after the hand-over the office is called, half a day later once more; opening closes both for good."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    assert await _looked(world, 23.9) == []
    assert await _looked(world, 0.2) == ["unread"]
    assert await _looked(world, 12) == ["unread", "unread-long"]
    page = await world["FI"].store.read(
        lambda reader: reader.attention(HELSINKI, open_only=True, cursor=None, limit=10)
    )
    assert {(entry.subject, entry.peer) for entry in page.items} == {(f"EE/{request.message}", "EE")}

    await world["FI"].desk.open_message(request.message, officer(HELSINKI))
    assert await _looked(world, 100) == []


async def test_what_was_opened_while_it_was_looked_at_calls_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the call: nothing would ever close that call."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    world.clock.advance(25 * HOUR)
    fi = world["FI"]
    run = fi.store.run

    async def opened(fn: Callable[[Transaction], Any], *, ahead: bool = False) -> Any:
        monkeypatch.undo()
        await fi.desk.open_message(request.message, officer(HELSINKI))
        return await run(fn, ahead=ahead)

    monkeypatch.setattr(fi.engine.urge._store, "run", opened)
    await fi.engine.urge()
    assert await fi.attention() == []


async def test_two_countries_may_use_one_id(world: World) -> None:
    """Each unopened message has a call of its own; opening one closes its own alone."""
    fi = world["FI"]
    first = Hostile(world["EE"], fi).message("request.json")
    second = Hostile(world["SE"], fi).message(
        "request.json",
        id=first.id,
        sender=Party(country=CountryCode("SE"), authority=AuthorityId("gender-equality-agency")),
    )
    assert await Hostile(world["EE"], fi).send(first) == "recorded"
    assert await Hostile(world["SE"], fi).send(second) == "recorded"
    assert await _looked(world, 25) == ["unread", "unread"]
    await fi.desk.open_message(first.id, officer(HELSINKI), peer=CountryCode("EE"))
    page = await fi.store.read(lambda reader: reader.attention(HELSINKI, open_only=True, cursor=None, limit=9))
    assert [entry.subject for entry in page.items] == [f"SE/{first.id}"]


async def test_what_waits_unread_since_now_is_told_before_all_that_nobody_will_ever_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next look, however many more than it takes wait for long; it says that more wait."""
    batch, fi = 3, world["FI"]
    monkeypatch.setattr("broker.flows.urge.WATCH_BATCH", batch)
    hostile = Hostile(world["EE"], fi)

    async def come(count: int) -> list[str]:
        messages = [hostile.message("request.json") for _ in range(count)]
        for message in messages:
            await hostile.send(message)
        while await fi.engine.deliver():
            pass
        return [f"EE/{message.id}" for message in messages]

    await come(batch + 1)
    world.clock.advance(50 * HOUR)
    (newest,) = await come(1)
    world.clock.advance(24 * HOUR)
    assert await fi.engine.urge()
    assert await fi.store.read(lambda reader: reader.called("unread", newest))
    assert (await fi.counts())["attention"] == batch + 1
    assert not await fi.engine.urge()
    assert (await fi.counts())["attention"] == batch + 2
    assert not await fi.engine.urge()

    (newer,) = await come(1)
    world.clock.advance(24 * HOUR)
    await fi.engine.urge()
    assert await fi.store.read(lambda reader: reader.called("unread", newer))
    assert await fi.store.read(lambda reader: reader.called("unread-long", newest))
