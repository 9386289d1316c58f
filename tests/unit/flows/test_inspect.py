# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What people see of a procedure."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import NotFound
from broker.core.ids import AuthorityId, ProcedureId
from broker.schema_files import read_schema_file
from broker.testing.world import World

OFFICE, OTHER = AuthorityId("social-insurance-board"), AuthorityId("ministry-of-justice")


async def test_each_side_sees_what_it_may_do_next(world: World) -> None:
    """After the request the requesting side may withdraw, the requested side answer and either ask; nobody may request again."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    ours, theirs = await world["EE"].view(request.procedure), await world["FI"].view(request.procedure)
    assert (ours.role, theirs.role) == ("REQUESTING", "REQUESTED")
    either = {"status", "clarification", "clarification-answer", "participant-change", "correction"}
    answers = {"acknowledgement", "partial-result", "result", "refusal", "forward-notice"}
    assert set(ours.actions) == {"withdrawal"} | either
    assert set(theirs.actions) == answers | either


async def test_what_belongs_to_another_office_is_not_there(world: World) -> None:
    """Procedure and timeline are shown to the office that they belong to, and unknown ones to nobody."""
    request = await world["EE"].submit("request.json")
    inspect = world["EE"].desk.inspect
    assert (await inspect.procedure(request.procedure, authority=OFFICE)).state == "REQUESTED"
    for procedure, office in ((request.procedure, OTHER), (ProcedureId(request.message), OFFICE)):
        with pytest.raises(NotFound):
            await inspect.procedure(procedure, authority=office)
        with pytest.raises(NotFound):
            await inspect.timeline(procedure, authority=office)


async def test_a_message_becomes_final_by_the_other_sides_receipt(world: World) -> None:
    """Before the receipt the own message may still change its place; afterwards it may not."""
    request = await world["EE"].submit("request.json")
    assert [line.final for line in (await world["EE"].view(request.procedure)).entries] == [False]
    await world.settle()
    assert [line.final for line in (await world["EE"].view(request.procedure)).entries] == [True]


async def test_the_timeline_of_the_receiving_side_begins_with_its_receipt(world: World) -> None:
    """The recipient did not see the recording and publishing; its steps are what it signed itself."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    lines = await world["FI"].desk.inspect.timeline(request.procedure, authority=None)
    assert [(line.who, line.state) for line in lines] == [("FI", "delivered"), ("FI", "handed-over")]


def _born(day: str, **birth: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
    data["body"]["child"]["birth"] = {"value": {"date": day, "estimated": False, **birth}}
    return data


async def test_who_opens_a_procedure_sees_six_months_ahead_when_the_child_comes_of_age(world: World) -> None:
    """R-36: both countries' officers, as the birth reads corrected; no call and no row of the store tells it."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit(_born("2009-04-01"))
    await world.settle()
    for country in (ee, fi):
        found = (await country.view(request.procedure)).coming_of_age
        assert found is not None
        assert (found.on, found.reached) == (date(2027, 4, 1), False)
        await country.engine.remind()
        assert await country.attention() == []
    stored = Path(ee.url.removeprefix("sqlite:///"))
    for file in stored.parent.glob(f"{stored.name}*"):
        assert not [day for day in (b"2009-04", b"2027-04") if day in file.read_bytes()]

    change = json.loads(read_schema_file("examples/acts/correction-birth-year.json"))
    change["body"]["target"] = request.digest
    change["body"]["fields"][0]["now"]["value"] = "2009-09-01"
    await ee.submit(change, procedure=request.procedure)
    await world.settle()
    for country in (ee, fi):
        assert (await country.view(request.procedure)).coming_of_age is None
    world.clock.advance(86_400 * 300)
    reached = (await fi.view(request.procedure)).coming_of_age
    assert reached is not None
    assert reached.reached


async def test_an_age_that_is_not_certain_ends_nothing(world: World) -> None:
    """R-15: whoever may be a child is treated as one; nothing is told of the day."""
    certain = await world["EE"].submit(_born("2008-12-01"))
    assert (await world["EE"].view(certain.procedure)).coming_of_age is not None
    estimated = await world["EE"].submit(_born("2008-12-01", estimated=True))
    assert (await world["EE"].view(estimated.procedure)).coming_of_age is None


async def test_what_has_ended_asks_for_nothing_more(world: World) -> None:
    """R-36: only what goes on is settled before the day."""
    ee = world["EE"]
    request = await ee.submit(_born("2008-12-01"))
    over = json.loads(read_schema_file("examples/demo/request.json"))
    over |= {"type": "family-tracing.withdrawal", "body": {"reason": "NO_LONGER_NEEDED"}}
    await ee.submit(over, procedure=request.procedure)
    view = await ee.view(request.procedure)
    assert (view.state, view.coming_of_age) == ("WITHDRAWN", None)
