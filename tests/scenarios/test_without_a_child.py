# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures without a child between two countries: a surge by numbers alone, and an arrangement among members."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.core.errors import NotAllowed, SafeguardBlocked, SafeguardHeld
from broker.core.ids import CountryCode
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.world import World

OFFICE = {"EE": "social-insurance-board", "FI": "helsinki-wellbeing-services"}
EE, FI = CountryCode("EE"), CountryCode("FI")


def _example(name: str, sender: str, **changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{name}.json"))
    other = "FI" if sender == "EE" else "EE"
    data["sender"] = {"authority": OFFICE[sender]}
    data["recipient"] = {"country": other, "authority": OFFICE[other]}
    data["body"].update(changes)
    return data


async def _send(world: World, data: dict[str, Any], opening: Accepted | None = None) -> Accepted:
    country = world["EE" if data["recipient"]["country"] == "FI" else "FI"]
    accepted = await country.submit(data, **({} if opening is None else {"procedure": opening.procedure}))
    await world.settle()
    return accepted


async def _state(world: World, opening: Accepted) -> str:
    """Return the state that both countries hold, by the same record."""
    views = [await world[name].view(opening.procedure) for name in ("EE", "FI")]
    assert views[0].digest == views[1].digest
    assert views[0].state == views[1].state
    return str(views[0].state)


async def test_a_name_of_a_case_in_a_text_about_nobody_waits_for_a_second_person(world: World) -> None:
    """R-41: what no schema sees is looked up among the people of this node's cases, of whichever office; another name leaves."""
    await world["EE"].submit("request.json")
    said = {"question": "Q1", "text": "What can you offer? She is called Test-Maarika Näidis, and is afraid."}
    question = _example("consultation/question-nail-studio", "EE")
    asked = [said, *question["body"]["questions"][1:]]
    for office in (OFFICE["EE"], "ministry-of-justice"):
        with pytest.raises(SafeguardHeld) as held:
            await world["EE"].submit(
                {**question, "sender": {"authority": office}, "body": {**question["body"], "questions": asked}}
            )
        assert (held.value.where, "R-41" in held.value.detail) == ("/body/questions/0/text", True)
        assert "Maarika" not in held.value.detail
    plain = {**question, "purpose": "Help for Test-Maarika Näidis"}
    with pytest.raises(SafeguardHeld) as held:
        await world["EE"].submit(plain)
    assert ("R-41" in held.value.detail, "Maarika" in held.value.detail) == (True, False)
    said["text"] = "What can you offer in Test-Tartu County? She is called Somebody Else."
    opening = await _send(world, {**question, "body": {**question["body"], "questions": asked}})
    assert await _state(world, opening) == "REQUESTED"


async def test_a_surge_is_registered_offered_and_allocated_without_a_case(world: World) -> None:
    """Both countries hold one record; no message of it names a case; each child moves in a procedure of its own."""
    opening = await _send(world, _example("surge/registration-children-of-one-house", "EE"))
    assert await _state(world, opening) == "REGISTERED"
    await _send(world, _example("surge/capacity-foster-and-residential", "FI"), opening)
    assert await _state(world, opening) == "OFFERED"
    allocation = _example("surge/allocation-siblings-together", "FI", registration=str(opening.digest))
    await _send(world, allocation, opening)
    assert await _state(world, opening) == "ALLOCATED"
    await _send(world, _example("surge/closure-all-allocated", "EE"), opening)

    assert await _state(world, opening) == "CLOSED"
    for name in ("EE", "FI"):
        row = await world[name].store.read(lambda reader: reader.procedure(opening.procedure, None))
        assert row is not None
        assert row.case_ref is None


async def test_a_group_is_not_registered_with_the_country_that_it_fled_from(world: World) -> None:
    """R-01 has no release for a group either, and nothing was sent."""
    fled = _example("surge/registration-children-of-one-house", "EE", origin_states={"value": ["FI"]})

    with pytest.raises(SafeguardBlocked) as refused:
        await world["EE"].submit(fled)

    assert refused.value.where == "/body/origin_states"
    assert world.network.waiting[FI] == []


async def test_an_arrangement_holds_only_once_both_sides_agreed(world: World) -> None:
    """A proposal and an acknowledgement bind nobody; the other side's agreement to this text does, and ends it."""
    opening = await _send(world, _example("federation/arrangement-joint-controllers-proposed", "FI"))
    assert await _state(world, opening) == "PROPOSED"
    agreed = _example("federation/arrangement-joint-controllers-agreed", "EE", agrees_to={"value": str(opening.digest)})
    await _send(world, agreed, opening)
    assert await _state(world, opening) == "AGREED"

    with pytest.raises(NotAllowed):
        await world["EE"].submit(agreed, procedure=opening.procedure)


async def test_an_outage_that_is_over_is_told_after_the_first_notice_was_noted(world: World) -> None:
    """Facts about a node can always be told: the end of an outage opens the noted notice again."""
    opening = await _send(world, _example("federation/outage-planned", "EE"))
    noted = _example("family-tracing/acknowledgement-date-unknown", "FI")
    noted |= {"type": "federation.acknowledgement", "legal_basis": {"code": "NONE_FEDERATION"}}
    await _send(world, noted, opening)
    assert await _state(world, opening) == "NOTED"
    await _send(world, _example("federation/outage-over", "EE"), opening)

    assert await _state(world, opening) == "SENT"
