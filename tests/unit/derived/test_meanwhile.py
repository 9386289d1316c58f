# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What left and came in the case of a held message since it was written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.core.errors import SafeguardHeld
from broker.core.ids import Digest
from broker.derived.meanwhile import Newer
from broker.rows import Accepted, HeldDraft
from broker.schema_files import read_schema_file
from broker.testing.world import Country, World

BOARD, HELSINKI = "social-insurance-board", "helsinki-wellbeing-services"
WITHIN, APART = "acts/correction-birth-year.json", "correction/rectify-birth-year.json"


def _example(path: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{path}"))
    return data


def _corrects(path: str, target: Digest, *, held: bool) -> dict[str, Any]:
    """Return a correction; one that puts a name as a text in the place of a whole part waits for a second person."""
    data = _example(path)
    data["sender"] = {"authority": BOARD}
    data["recipient"] = {"country": "FI", "authority": HELSINKI}
    data["body"] |= {"target": target} if "target" in data["body"] else {"targets": [target]}
    pointer, now = ("/child", "Test-Mari") if held else ("/child/birth/value/date", "2015-01-01")
    data["body"]["fields"] = [{"pointer": pointer, "now": {"value": now}}]
    return data


async def _correct(country: Country, request: Accepted) -> Accepted:
    return await country.submit(_corrects(WITHIN, request.digest, held=False), procedure=request.procedure)


async def _held(country: Country, request: Accepted, path: str = WITHIN) -> HeldDraft:
    procedure = {"procedure": request.procedure} if path == WITHIN else {}
    with pytest.raises(SafeguardHeld):
        await country.submit(_corrects(path, request.digest, held=True), **procedure)
    page = await country.store.read(lambda reader: reader.drafts(None, cursor=None, limit=9))
    draft = await country.store.read(lambda reader: reader.draft(page.items[-1].id, None))
    assert draft is not None
    return draft


async def _since(country: Country, draft: HeldDraft) -> list[tuple[str, str, str]]:
    found: tuple[Newer, ...] = await country.desk.approve.newer(draft)
    return [(one.author, one.type, one.message) for one in found]


async def test_what_was_known_when_it_was_written_is_not_newer(world: World) -> None:
    """Neither in its own procedure nor elsewhere, and nothing of another case."""
    ee = world["EE"]
    request, other = await ee.submit("request.json"), await ee.submit("request.json")
    await world.settle()
    world.clock.advance(60)
    draft = await _held(ee, request)
    world.clock.advance(60)
    await _correct(ee, other)
    await world.settle()
    assert await _since(ee, draft) == []


async def test_what_left_and_came_in_its_procedure_is_newer(world: World) -> None:
    """Both directions, oldest first, with their times here and how far they got."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    draft = await _held(ee, request)
    world.clock.advance(60)
    ours = await _correct(ee, request)
    world.clock.advance(60)
    refusal = _example("acts/refusal-danger.json")
    refusal["sender"], refusal["recipient"] = {"authority": HELSINKI}, {"country": "EE", "authority": BOARD}
    theirs = await fi.submit(refusal, procedure=request.procedure)
    await world.settle()
    assert await _since(ee, draft) == [
        ("EE", "family-tracing.correction", ours.message),
        ("FI", "family-tracing.refusal", theirs.message),
    ]
    sent, came = await ee.desk.approve.newer(draft)
    assert (sent.direction, sent.state, came.direction) == ("out", "handed-over", "in")
    assert draft.at < sent.at < came.at
    assert {sent.procedure, came.procedure} == {request.procedure}


async def test_what_left_on_a_clock_that_was_set_back_is_newer_all_the_same(world: World) -> None:
    """The record tells it: the held message notes the heads that its author's side knew."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    draft = await _held(ee, request)
    ee.clock.set_back(3600)
    ours = await _correct(ee, request)
    (newer,) = await ee.desk.approve.newer(draft)
    assert newer.message == ours.message
    assert newer.at < draft.at


async def test_a_restriction_in_a_procedure_of_its_own_is_newer(world: World) -> None:
    """It names a message of the held one's procedure; one that names another case's message is not told."""
    ee = world["EE"]
    request, other = await ee.submit("request.json"), await ee.submit("request.json")
    await world.settle()
    draft = await _held(ee, request)
    world.clock.advance(60)
    sent = []
    for number, target in enumerate((request, other)):
        restrict = _example("correction/restrict-accuracy-contested.json")
        restrict["sender"]["authority"] = BOARD
        restrict["recipient"] = {"country": "FI", "authority": HELSINKI}
        restrict["body"]["targets"] = [target.digest]
        sent.append(await ee.submit(restrict, idempotency_key=f"restrict-{number}"))
    assert await _since(ee, draft) == [("EE", "correction.restrict", sent[0].message)]


async def test_what_happens_in_a_procedure_that_it_names_is_newer(world: World) -> None:
    """A held correction that opens a procedure of its own is about another: what is said there weighs for it."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await world.settle()
    draft = await _held(ee, request, APART)
    assert await _since(ee, draft) == []
    world.clock.advance(60)
    ours = await _correct(ee, request)
    assert await _since(ee, draft) == [("EE", "family-tracing.correction", ours.message)]
