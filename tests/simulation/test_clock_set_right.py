# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A country's clock is six hours ahead for ten minutes and then right: what it wrote meanwhile makes nothing late.

But for its casework messages of those minutes: the time in them is signed, so the other country believes them when that has
come (PROTOCOL 8.16), and calls a person at once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from broker.core.delivery import ReleaseReason
from broker.core.errors import SafeguardHeld
from broker.core.ids import CountryCode
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.security.chunks import is_chunk
from broker.testing.world import Country, World, officer
from tests.simulation.test_attachments import THREE, send

EE, FI = CountryCode("EE"), CountryCode("FI")
AHEAD = timedelta(hours=6)
STEP_SECONDS = 120


async def _work(country: Country) -> None:
    """Do what the loops of a node do besides the exchange itself."""
    for part in (country.engine.refresh_trust, country.engine.watch, country.engine.urge, country.engine.remind):
        await part()
    await country.offer_parked()


async def _go_on(world: World, seconds: float = STEP_SECONDS) -> None:
    for country in world.countries.values():
        await _work(country)
    await world.settle()
    world.clock.advance(seconds)


async def _minutes_until(world: World, condition: Callable[[], Awaitable[bool]], *, longest: float = 500) -> float:
    began = world.clock.monotonic()
    while world.clock.monotonic() - began < longest * 60:
        await _go_on(world)
        if await condition():
            break
    return (world.clock.monotonic() - began) / 60


async def _resend(country: Country, sent: Accepted) -> None:
    """A person sends it again."""
    await country.store.run(
        lambda tx: tx.reopen_outbox(sent.message, now=country.clock.now(), reseal=False, count_resend=False)
    )


def _lose_chunks(world: World) -> None:
    world.network.waiting[FI] = [item for item in world.network.waiting[FI] if not is_chunk(item.raw)]


@pytest.mark.parametrize("wrong", ["EE", "FI"])
async def test_what_was_exchanged_goes_on_at_once(world: World, wrong: str) -> None:
    """Only what the wrong clock wrote waits for its time, of that people hear on both sides at once, and nothing is lost."""
    other = {"EE": "FI", "FI": "EE"}[wrong]
    request = await world["EE"].submit("request.json")
    await world.settle()
    world[wrong].clock.ahead = AHEAD
    written = {
        "EE": await world["EE"].submit("request.json"),
        "FI": await world["FI"].submit("acknowledgement.json", procedure=request.procedure),
    }
    for _ in range(5):
        await _go_on(world)
    world[wrong].clock.ahead = timedelta(0)

    async def arrived(name: str) -> bool:
        return await world[name].states(written[name]) == ["handed-over"]

    assert "clock" in await world[other].attention()
    assert await _minutes_until(world, lambda: arrived(other)) <= 2
    assert "clock" in await world[wrong].attention()
    assert 330 < await _minutes_until(world, lambda: arrived(wrong)) <= 345


async def test_a_message_that_comes_again_is_answered_again(world: World) -> None:
    """The receipts of those minutes were lost: who sends the message again hears of it, and not hours later."""
    world["FI"].clock.ahead = AHEAD
    sent = await world["EE"].submit("request.json")
    for name in ("EE", "FI", "FI"):
        await world[name].step()
    world.network.waiting[EE].clear()
    world.clock.advance(600)
    world["FI"].clock.ahead = timedelta(0)
    await _resend(world["EE"], sent)

    async def answered() -> bool:
        return await world["EE"].states(sent) == ["handed-over"]

    assert await _minutes_until(world, answered) <= 2


@pytest.mark.parametrize("wrong", ["EE", "FI"])
async def test_chunks_that_are_missing_are_asked_for_and_sent(world: World, wrong: str) -> None:
    """Asked for and sent in those minutes, and lost: neither does the question wait for hours, nor its answer."""
    sent = await send(world["EE"], THREE)
    await world["EE"].engine.dispatch()
    while await world["EE"].engine.carry():
        pass
    _lose_chunks(world)
    await world["FI"].step()
    world.clock.advance(599)
    world[wrong].clock.ahead = AHEAD
    for _ in range(4):
        for name in ("FI", "EE"):
            await world[name].step()
        _lose_chunks(world)
        world.clock.advance(STEP_SECONDS)
    world[wrong].clock.ahead = timedelta(0)

    async def whole() -> bool:
        return await world["EE"].states(sent) == ["handed-over"]

    assert await _minutes_until(world, whole) <= 12


async def test_nobody_is_called_hours_late(world: World) -> None:
    """What began to wait in those minutes is told of when it has waited for its time, as counted from then."""
    for country in world.countries.values():
        country.clock.ahead = AHEAD
    await world["EE"].submit("request.json")
    await world.settle()
    await world["EE"].submit("request.json")
    await world["EE"].step()
    world.network.waiting[FI].clear()
    for _ in range(5):
        await _go_on(world)
    for country in world.countries.values():
        country.clock.ahead = timedelta(0)

    hours = await _called_after(world, {"EE": {"overdue-delivered", "overdue-opened"}, "FI": {"unread"}})
    assert hours == {
        ("EE", "overdue-delivered"): pytest.approx(1, abs=0.5),
        ("EE", "overdue-opened"): pytest.approx(24, abs=0.5),
        ("FI", "unread"): pytest.approx(24, abs=0.5),
    }


async def _called_after(world: World, codes: dict[str, set[str]]) -> dict[tuple[str, str], float]:
    """Return after how many hours each call is made."""
    found: dict[tuple[str, str], float] = {}
    for half_hours in range(80):
        for name, country in world.countries.items():
            await _work(country)
            for code in codes.get(name, set()) & set(await country.attention()):
                found.setdefault((name, code), half_hours / 2)
        world.clock.advance(1800)
    return found


async def test_an_alert_is_taken_up_within_hours_of_the_right_clock(world: World) -> None:
    """Its receipt was signed six hours ahead: the alerted office is called after four hours and the one begun, not six more."""
    world["FI"].clock.ahead = AHEAD
    data = json.loads(read_schema_file("examples/danger-notice/alert-bus-to-germany.json"))
    data["sender"]["authority"] = "social-insurance-board"
    data["recipient"] = {"country": "FI", "authority": "helsinki-wellbeing-services"}
    ee = world["EE"]
    with pytest.raises(SafeguardHeld):
        await ee.submit(ee.sealed(data))
    (held,) = (await ee.store.read(lambda reader: reader.drafts(None, cursor=None, limit=9))).items
    await ee.desk.approve.release(held.id, officer(held.authority, "second"), ReleaseReason.CHECKED)
    await world.settle()
    world.clock.advance(600)
    world["FI"].clock.ahead = timedelta(0)

    hours = await _called_after(world, {"EE": {"answer-overdue"}, "FI": {"deadline-overdue"}})
    assert hours == {
        ("EE", "answer-overdue"): pytest.approx(5, abs=0.5),
        ("FI", "deadline-overdue"): pytest.approx(5, abs=0.5),
    }
