# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A child moves from Estonia to Finland: nothing but the acceptance of exactly this plan lets the child depart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from broker.core.errors import NotAllowed, SafeguardBlocked
from broker.core.record import Mark
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.world import Country, World

PLAN, ACCEPTANCE = "plan-to-aunt", "acceptance-plan-1"
CHECK, DEPARTURE = "pre-departure-six-questions", "departure-by-ferry"
LAST_DAY = "2027-01-31"


def _example(name: str, **changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/transfer/{name}.json"))
    data["body"].update(changes)
    return data


async def _send(country: Country, data: Mapping[str, Any], plan: Accepted | None, **changes: Any) -> Accepted:
    return await country.submit(data, procedure=None if plan is None else plan.procedure, **changes)


async def _withdraw(country: Country, plan: Accepted) -> Accepted:
    home = country.us == "EE"
    shown = _example(PLAN if home else ACCEPTANCE)
    return await _send(country, {**shown, "type": "transfer.withdrawal", "body": {"reason": "CONSENT_WITHDRAWN"}}, plan)


async def _planned(world: World) -> Accepted:
    plan = await _send(world["EE"], _example(PLAN), None)
    await world.settle()
    return plan


async def _accept(world: World, plan: Accepted, *, covers: Accepted | None = None, until: str = LAST_DAY) -> Accepted:
    body = {"covers": str((covers or plan).digest), "valid_until": until}
    accepted = await _send(world["FI"], _example(ACCEPTANCE, **body), plan)
    await world.settle()
    return accepted


async def _check(world: World, plan: Accepted, acceptance: Accepted) -> None:
    await _send(world["EE"], _example(CHECK, plan=str(plan.digest), acceptance=str(acceptance.digest)), plan)
    await world.settle()


async def _depart(world: World, plan: Accepted, acceptance: Accepted) -> Accepted:
    data = _example(DEPARTURE, plan=str(plan.digest), acceptance=str(acceptance.digest))
    return await _send(world["EE"], data, plan)


async def _states(world: World, plan: Accepted) -> set[str]:
    views = [await world[name].view(plan.procedure) for name in ("EE", "FI")]
    assert views[0].digest == views[1].digest
    return {view.state for view in views}


async def test_the_child_departs_with_the_acceptance_of_this_plan_and_arrives(world: World) -> None:
    """Plan, acceptance, check, departure, delay, arrival: the same state and record in both countries after each."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    assert await _states(world, plan) == {"PLAN_AGREED"}
    await _check(world, plan, acceptance)
    assert await _states(world, plan) == {"PRE_DEPARTURE_CHECKED"}
    await _depart(world, plan, acceptance)
    await world.settle()
    assert await _states(world, plan) == {"DEPARTED"}
    await _send(world["EE"], _example("delay-storm"), plan)
    await world.settle()
    assert await _states(world, plan) == {"DELAYED"}
    await _send(world["FI"], _example("arrival-received"), plan)
    await world.settle()

    assert await _states(world, plan) == {"ARRIVED_RECEIVED"}
    assert not (await world["FI"].view(plan.procedure)).alarm


async def test_without_an_acceptance_nothing_departs(world: World) -> None:
    """Neither the check nor the departure is taken, and nothing is stored of them."""
    plan = await _planned(world)
    for name in (CHECK, DEPARTURE):
        with pytest.raises(NotAllowed):
            await _send(world["EE"], _example(name, plan=str(plan.digest)), plan)

    assert await _states(world, plan) == {"PROPOSED"}
    assert (await world["EE"].counts())["outbox.handed-over"] == 1


async def test_an_acceptance_of_another_plan_clears_nothing(world: World) -> None:
    """The check is passed in good faith, and yet the departure is refused: the digest is not this plan's."""
    plan = await _planned(world)
    other = await _planned(world)
    acceptance = await _accept(world, plan, covers=other)
    await _check(world, plan, acceptance)
    with pytest.raises(NotAllowed, match="not agreed to exactly this"):
        await _depart(world, plan, acceptance)

    assert await _states(world, plan) == {"PRE_DEPARTURE_CHECKED"}
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _depart(world, plan, acceptance)


async def test_a_changed_plan_needs_a_new_acceptance(world: World) -> None:
    """The second plan puts the procedure back; the acceptance of the first clears it no more."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    second = await _send(world["EE"], _example(PLAN, plan_number=2, changes="A day later."), plan)
    await world.settle()
    assert await _states(world, plan) == {"PROPOSED"}
    with pytest.raises(NotAllowed):
        await _depart(world, plan, acceptance)

    renewed = await _accept(world, plan, covers=second)
    await _check(world, second, renewed)
    await _depart(world, second, renewed)
    await world.settle()
    assert await _states(world, plan) == {"DEPARTED"}


async def test_a_withdrawn_consent_lets_nobody_depart(world: World) -> None:
    """The receiving country withdraws: the departure is refused until it accepts anew."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _withdraw(world["FI"], plan)
    await world.settle()
    assert await _states(world, plan) == {"CONSENT_WITHDRAWN"}
    with pytest.raises(NotAllowed):
        await _depart(world, plan, acceptance)
    with pytest.raises(NotAllowed):
        await _check(world, plan, acceptance)

    again = await _accept(world, plan)
    await _check(world, plan, again)
    await _depart(world, plan, again)


async def test_an_acceptance_ends_on_its_date(world: World) -> None:
    """On the last day the child may depart, on the next no more."""
    plan = await _planned(world)
    day = world.clock.now().date().isoformat()
    acceptance = await _accept(world, plan, until=day)
    await _check(world, plan, acceptance)
    world.clock.advance(86_400)
    await _check(world, plan, acceptance)  # freshly confirmed: only the date hinders
    with pytest.raises(NotAllowed, match="or no longer"):
        await _depart(world, plan, acceptance)


async def test_what_the_sender_suspended_no_acceptance_lifts(world: World) -> None:
    """An appeal in the sending country: the other side's acceptance is refused, a new plan is needed."""
    plan = await _planned(world)
    await _accept(world, plan)
    await _send(world["EE"], _example("suspension-appeal"), plan)
    await world.settle()
    assert await _states(world, plan) == {"SUSPENDED_BY_SENDER"}
    with pytest.raises(NotAllowed):
        await _accept(world, plan)

    second = await _send(world["EE"], _example(PLAN, plan_number=2, changes="The appeal was dismissed."), plan)
    await world.settle()
    await _accept(world, plan, covers=second)
    assert await _states(world, plan) == {"PLAN_AGREED"}


@pytest.mark.parametrize("stop", ["withdrawal", "suspension"])
async def test_a_stop_that_crosses_the_departure_is_an_alarm_on_both_sides(world: World, stop: str) -> None:
    """Both were sent without knowing of the other; whatever the order, both countries see the alarm and the arrival."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    departure = await _depart(world, plan, acceptance)
    if stop == "withdrawal":
        await _withdraw(world["FI"], plan)
    else:
        await _send(world["FI"], _example("suspension-second-decision"), plan)
    await world.settle()

    views = [await world[name].view(plan.procedure) for name in ("EE", "FI")]
    assert [view.alarm for view in views] == [True, True]
    assert views[0].digest == views[1].digest
    marks = {line.act: line.mark for line in views[0].entries}
    assert Mark.ALARM in {marks["departure"], marks[stop]}
    assert departure.digest in {line.digest for line in views[1].entries}
    await _send(world["FI"], _example("arrival-received"), plan)
    await world.settle()
    assert await _states(world, plan) == {"ARRIVED_RECEIVED"}


async def test_silence_never_lets_a_child_depart(world: World) -> None:
    """A year without an answer: the plan is still only proposed, on whatever basis."""
    plan = await _planned(world)
    world.clock.advance(365 * 86_400)
    await world.settle()
    with pytest.raises(NotAllowed):
        await _send(world["EE"], _example(DEPARTURE, plan=str(plan.digest)), plan)

    assert await _states(world, plan) == {"PROPOSED"}


async def test_the_arrival_is_waited_for_by_the_newest_announcement(world: World) -> None:
    """Six full hours after the announced one; after a delay six hours after the new one, and the first is no longer due."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _depart(world, plan, acceptance)
    await world.settle()

    async def due() -> dict[str, datetime]:
        view = await world["EE"].view(plan.procedure)
        return {item.deadline.id: item.due for item in view.deadlines if item.deadline.id.startswith("arrival")}

    assert {name: str(at) for name, at in (await due()).items()} == {"arrival": "2026-12-01 16:00:00+00:00"}
    await _send(world["EE"], _example("delay-storm"), plan)
    await world.settle()
    assert {name: str(at) for name, at in (await due()).items()} == {"arrival-after-delay": "2026-12-01 22:00:00+00:00"}
    await _send(world["EE"], _example("delay-missed-connection"), plan)
    await world.settle()
    assert await _states(world, plan) == {"NOT_ARRIVED"}


async def test_a_check_that_finds_a_remedy_does_not_leave(world: World) -> None:
    """The safeguard stops it before anything is stored, although the table would allow it."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    body = _example(CHECK, plan=str(plan.digest), acceptance=str(acceptance.digest))
    body["body"]["is_it_safe"]["remedy"] = "OPEN_SUSPENSIVE"
    with pytest.raises(SafeguardBlocked):
        await _send(world["EE"], body, plan)

    assert await _states(world, plan) == {"PLAN_AGREED"}


@pytest.mark.parametrize(("hours", "departs"), [(18.8, True), (19.2, False)])
async def test_the_acceptance_ends_at_midnight_where_it_was_given(world: World, hours: float, departs: bool) -> None:
    """Its last day is a day of Finland, two hours ahead of UTC: at 00:10 there it is over, though UTC still has that day."""
    world.clock.advance(hours * 3600)
    plan = await _planned(world)
    acceptance = await _accept(world, plan, until="2026-11-22")
    await _check(world, plan, acceptance)
    if departs:
        await _depart(world, plan, acceptance)
    else:
        with pytest.raises(NotAllowed, match="no longer"):
            await _depart(world, plan, acceptance)
    await world.settle()
    assert await _states(world, plan) == {"DEPARTED" if departs else "PRE_DEPARTURE_CHECKED"}
