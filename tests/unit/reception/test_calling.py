# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a received message calls a person for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from broker.core.delivery import ReleaseReason
from broker.core.errors import SafeguardHeld
from broker.core.ids import AuthorityId
from broker.core.trust import Authority, Member
from broker.schema_files import read_schema_file
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World, officer


def _competent(office: str, *competences: str) -> Authority:
    return Authority(id=AuthorityId(office), name=f"Test {office}", languages=("fi",), competences=competences)


async def _list(world: World, country: str, *offices: Authority) -> None:
    """Let Finland alone read a list with these offices of a country: what Estonia sends is judged by the older one."""

    def change(member: Member) -> Member:
        kept = tuple(one for one in member.authorities if one.id not in {office.id for office in offices})
        return replace(member, authorities=(*kept, *offices)) if member.country == country else member

    world.set_trust(change)
    await world["FI"].engine.refresh_trust()


def _withdrawal() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
    return {**data, "type": "family-tracing.withdrawal", "body": {"reason": "NO_LONGER_NEEDED"}}


async def _detail(country: Country, code: str) -> str:
    page = await country.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=10))
    return next(entry.detail for entry in page.items if entry.code == code)


async def test_an_office_that_is_not_asked_on_that_basis_is_told_which_one_is(world: World) -> None:
    """R-31, B2b 76: the request is taken all the same, and a person is called once to forward it."""
    county, ministry = (
        _competent("helsinki-wellbeing-services", "B2B_82:RECEIVE"),
        _competent("ministry-of-justice", "B2B_80_1_B:RECEIVE"),
    )
    await _list(world, "FI", county, ministry)
    request = await world["EE"].submit("request.json")
    await world.settle()

    assert await world["FI"].attention() == ["not-competent"]
    told = await _detail(world["FI"], "not-competent")
    assert "Test ministry-of-justice" in told
    assert "forward-notice" in told
    assert await world["EE"].states(request) == ["handed-over"]


@pytest.mark.parametrize(
    ("country", "office", "competences", "called"),
    [
        ("FI", "helsinki-wellbeing-services", ("B2B_80_1_B:RECEIVE",), []),
        ("FI", "helsinki-wellbeing-services", (), []),
        ("EE", "social-insurance-board", ("B2B_82:SEND",), ["not-competent"]),
        ("EE", "social-insurance-board", ("B2B_80_1_B:SEND",), []),
    ],
)
async def test_a_competent_office_and_one_of_which_nobody_knows_are_called_for_nothing(
    world: World, country: str, office: str, competences: tuple[str, ...], called: list[str]
) -> None:
    """R-31 asks a person only where the list says that another office is meant, of either side."""
    await _list(world, country, _competent(office, *competences))
    await world["EE"].submit("request.json")
    await world.settle()
    assert await world["FI"].attention() == called


async def test_only_the_opening_is_asked_about(world: World) -> None:
    """R-31: whoever took a procedure over in the older list is not asked again at each message."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await world.settle()
    await _list(world, "FI", _competent("helsinki-wellbeing-services", "B2B_82:RECEIVE"))
    await ee.submit(_withdrawal(), procedure=request.procedure)
    await world.settle()
    assert await world["FI"].attention() == []


async def test_whoever_asked_is_called_when_the_enquiry_went_too_far(world: World) -> None:
    """R-30: what a second person let out there is looked at at once here; the answer is in the record of both."""
    ee, fi = world["EE"], world["FI"]
    data: dict[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
    data["body"]["persons_sought"][0]["approach"] = "RECORDS_ONLY"
    opening = await ee.submit(data)
    await world.settle()
    with pytest.raises(SafeguardHeld):
        await fi.submit("result.json", procedure=opening.procedure)
    held = (await fi.store.read(lambda reader: reader.drafts(None, cursor=None, limit=1))).items[0]
    await fi.desk.approve.release(held.id, officer(held.authority, "second"), ReleaseReason.CHECKED)
    await world.settle()

    assert await ee.attention() == ["enquiry-too-far"]
    assert len((await ee.view(opening.procedure)).entries) == 2


async def test_an_enquiry_as_it_was_asked_for_calls_nobody(world: World) -> None:
    """R-30: the demo's request allows contact, and its answer used it."""
    opening = await world["EE"].submit("request.json")
    await world.settle()
    await world["FI"].submit("result.json", procedure=opening.procedure)
    await world.settle()
    assert await world["EE"].attention() == []


async def test_an_answer_to_nothing_that_was_asked_calls_nobody(world: World, asked: Hostile) -> None:
    """R-30: without a request of ours in the record nothing was allowed or forbidden."""
    await asked.send(asked.message("result.json"))
    assert "enquiry-too-far" not in await world["EE"].attention()
