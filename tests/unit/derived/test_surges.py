# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where surge mode is on: for the safeguards, and for whoever looks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.delivery import ReleaseReason
from broker.core.errors import SafeguardHeld
from broker.core.ids import CountryCode
from broker.core.surge import SurgeMode
from broker.derived.surges import surge_modes
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.storage import locked, open_store
from broker.testing.world import Country, World, officer

EE, FI = CountryCode("EE"), CountryCode("FI")


def _example(path: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{path}"))
    return data


async def _seen(country: Country) -> tuple[SurgeMode, ...]:
    day = country.clock.now().date()
    return await country.store.read(lambda reader: surge_modes(reader, country.us, day))


def _placement(world: World) -> dict[str, Any]:
    """Return a placement request whose translation is still missing."""
    data = _example("placement/request-aunt-in-estonia.json")
    data["sender"] = {"authority": "helsinki-wellbeing-services"}
    data["body"]["translation"] = {"unknown": True}
    return world["FI"].sealed(data)


async def _declare(world: World, **declaration: Any) -> Accepted:
    return await _register(world, {}, **declaration)


async def _register(world: World, changes: dict[str, Any], **declaration: Any) -> Accepted:
    data = _example("surge/registration-children-of-one-house.json")
    data["sender"] = {"authority": "helsinki-wellbeing-services"}
    data["recipient"] = {"country": "EE", "authority": "social-insurance-board"}
    data["body"]["declaration"] |= {"declared_on": world.clock.now().date().isoformat(), "renewals": 0, **declaration}
    accepted = await world["FI"].submit(data, **changes)
    await world.settle()
    return accepted


async def _withdraw(world: World, declared: Accepted) -> None:
    over = _example("surge/registration-children-of-one-house.json")
    over |= {"type": "surge.withdrawal", "body": {"reason": "NO_LONGER_NEEDED"}}
    over |= {"sender": {"authority": "helsinki-wellbeing-services"}}
    over |= {"recipient": {"country": "EE", "authority": "social-insurance-board"}}
    await world["FI"].submit(over, procedure=declared.procedure)
    await world.settle()


async def test_surge_mode_lets_a_translation_follow_and_calls_a_person_for_it(world: World) -> None:
    """R-39, R-20: held before the declaration and after its end; in it the message leaves, and what is owed is on a list."""
    fi = world["FI"]
    with pytest.raises(SafeguardHeld):
        await fi.submit(_placement(world))
    await _declare(world, days=3)
    accepted = await fi.submit(_placement(world))
    assert [warning.code for warning in accepted.warnings if warning.rule == "R-20"] == ["surge-translation-missing"]
    assert "surge-owed" in await fi.attention()
    world.clock.advance(seconds=3 * 86_400)
    with pytest.raises(SafeguardHeld):
        await fi.submit(_placement(world))


async def test_surge_mode_relaxes_nothing_else_and_for_nobody_else(world: World) -> None:
    """R-39: another hold still holds, and the declaration of the other country is not ours."""
    ee, fi = world["EE"], world["FI"]
    await _declare(world)
    refused = _example("placement/request-aunt-in-estonia.json")
    refused["body"]["views"]["heard"]["wants"] = "NO"
    refused["sender"] = {"authority": "helsinki-wellbeing-services"}
    with pytest.raises(SafeguardHeld):
        await fi.submit(fi.sealed(refused))
    back = _example("placement/request-aunt-in-estonia.json")
    back["recipient"] = {"country": "FI", "authority": "helsinki-wellbeing-services"}
    back["sender"] = {"authority": "social-insurance-board"}
    back["body"]["translation"] = {"unknown": True}
    with pytest.raises(SafeguardHeld):
        await ee.submit(ee.sealed(back))
    assert "surge-owed" not in await fi.attention() + await ee.attention()


async def test_surge_mode_ends_with_its_procedure(world: World) -> None:
    """R-39: a declaration that was withdrawn is in force no more, whatever days it named."""
    fi = world["FI"]
    declared = await _declare(world)
    await fi.submit(_placement(world))
    await _withdraw(world, declared)
    with pytest.raises(SafeguardHeld):
        await fi.submit(_placement(world))


async def test_both_countries_see_until_when_it_is_on(world: World) -> None:
    """R-39: as soon as it is declared, to the end of its last day and no longer; of several the one that lasts longest."""
    ee, fi = world["EE"], world["FI"]
    assert (await _seen(ee), await _seen(fi)) == ((), ())
    await _declare(world, days=3)
    today = world.clock.now().date()
    mode = SurgeMode(declared_by=FI, towards=EE, until=today + timedelta(days=2), exercise=False)
    assert (await _seen(ee), await _seen(fi)) == ((mode,), (mode,))
    await _declare(world, days=2)
    assert await _seen(ee) == (mode,)
    longer = await _declare(world, days=5)
    assert await _seen(ee) == await _seen(fi) == (replace(mode, until=today + timedelta(days=4)),)
    await _withdraw(world, longer)
    assert await _seen(ee) == await _seen(fi) == (mode,)
    world.clock.advance(seconds=3 * 86_400)
    assert (await _seen(ee), await _seen(fi)) == ((), ())


async def test_a_renewal_in_the_same_procedure_counts_alone(world: World) -> None:
    """R-39: the newest registration of a procedure says until when, also where it says less."""
    declared = await _declare(world, days=9)
    today = world.clock.now().date()
    world.clock.advance(seconds=60)
    await _register(world, {"procedure": declared.procedure}, days=4)
    for country in (world["EE"], world["FI"]):
        assert [mode.until for mode in await _seen(country)] == [today + timedelta(days=3)]


@pytest.mark.parametrize(("days", "left"), [("4", 4), ("12", 9), ("until the ferry is full", None)])
async def test_a_correction_ends_it_sooner_and_never_later(world: World, days: str, left: int | None) -> None:
    """R-39: by a procedure of its own as by any other; in words nobody can say until when, and nothing waits any more."""
    ee, fi = world["EE"], world["FI"]
    declared = await _declare(world, days=9)
    data = _example("correction/rectify-birth-year.json")
    data |= {"sender": {"authority": "helsinki-wellbeing-services"}}
    data |= {"recipient": {"country": "EE", "authority": "social-insurance-board"}}
    data["body"] |= {"targets": [str(declared.digest)]}
    data["body"]["fields"] = [{"pointer": "/declaration/days", "now": {"value": days}}]
    await fi.submit(data)
    await world.settle()
    today = world.clock.now().date()
    for country in (ee, fi):
        until = None if left is None else today + timedelta(days=left - 1)
        assert [mode.until for mode in await _seen(country)] == [until]
    if left is None:
        with pytest.raises(SafeguardHeld):
            await fi.submit(_placement(world))


async def test_a_renewal_counts_also_where_its_clock_was_set_back(world: World) -> None:
    """R-39: of both countries' registrations what follows the others is the newest, not what has the highest id."""
    declared = await _declare(world, days=9)
    today = world.clock.now().date()
    world["FI"].clock.set_back(300)
    await _register(world, {"procedure": declared.procedure}, days=4)
    for country in (world["EE"], world["FI"]):
        assert [mode.until for mode in await _seen(country)] == [today + timedelta(days=3)]


async def test_a_renewal_that_waited_for_a_second_person_comes_after_what_left_meanwhile(world: World) -> None:
    """R-39: every renewal waits, under an id that is older than that of a registration which did not."""
    declared = await _declare(world, days=2)
    today = world.clock.now().date()
    with pytest.raises(SafeguardHeld):
        await _register(world, {"procedure": declared.procedure}, days=9, renewals=1)
    world.clock.advance(seconds=60)
    newer = await _register(world, {"procedure": declared.procedure}, days=3)
    fi = world["FI"]
    (held,) = (await fi.store.read(lambda reader: reader.drafts(None, cursor=None, limit=2))).items
    second = officer(held.authority, "second")
    await fi.desk.approve.release(held.id, second, ReleaseReason.CHECKED, [newer.message])
    await world.settle()
    for country in (world["EE"], world["FI"]):
        assert [mode.until for mode in await _seen(country)] == [today + timedelta(days=8)]


async def test_a_drill_is_no_surge_and_concerns_drills_alone(world: World) -> None:
    """R-39, R-40: it is shown as what it is, and relaxes nothing of a real procedure."""
    await _register(world, {"exercise": True})
    (mode,) = await _seen(world["EE"])
    assert mode.exercise
    assert mode.concerns(FI, exercise=True)
    assert not mode.concerns(FI, exercise=False)
    assert not mode.concerns(CountryCode("SE"), exercise=True)
    with pytest.raises(SafeguardHeld):
        await world["FI"].submit(_placement(world))


async def test_where_the_vault_is_locked_it_may_be_on(world: World) -> None:
    """P8, P7: until when is content; the list is shown all the same, and says that nobody can tell from here."""
    await _declare(world)
    store = open_store(world["EE"].url, us=EE, cipher=locked())
    day = world.clock.now().date()
    seen = await store.read(lambda reader: surge_modes(reader, EE, day))
    await store.close()
    assert seen == (SurgeMode(declared_by=FI, towards=EE, until=None, exercise=False),)


async def test_a_procedure_view_shows_the_mode_between_its_two_countries(world: World) -> None:
    """R-39: whoever works on it sees it there, and not what stands between others."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    assert (await ee.view(request.procedure)).surge == ()
    await _declare(world)
    for country in (ee, fi):
        assert [mode.declared_by for mode in (await country.view(request.procedure)).surge] == [FI]
