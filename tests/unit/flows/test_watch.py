# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is overdue on the evidence ladder."""

from __future__ import annotations

from broker.core.ids import AuthorityId, CountryCode
from broker.testing.world import World

HOUR = 3600
FI = CountryCode("FI")
HELSINKI = AuthorityId("helsinki-wellbeing-services")


async def _looked(world: World, hours: float) -> list[str]:
    world.clock.advance(hours * HOUR)
    await world["EE"].engine.watch()
    await world["EE"].engine.watch()
    return await world["EE"].attention()


async def test_a_delivered_message_that_nobody_takes_is_overdue(world: World) -> None:
    """Twelve hours after delivery the sender is told once, after a day to telephone; the hand-over closes both."""
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

    await world["FI"].desk.open_message(request.message, authority=HELSINKI, actor="officer")
    await world.settle()
    assert await world["EE"].attention() == []
    assert await _looked(world, 100) == []


async def test_receipts_are_never_overdue(world: World) -> None:
    """The side that only sent receipts waits for nothing, however long."""
    await world["EE"].submit("request.json")
    await world.settle()
    world.clock.advance(1000 * HOUR)
    assert await world["FI"].engine.watch() == 0
    assert await world["FI"].attention() == []
