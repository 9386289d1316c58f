# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What was corrected holds for every later message, whichever procedure said so; and nobody lowers another's protection by it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest

from broker.core.delivery import ReleaseReason
from broker.core.errors import SafeguardBlocked, SafeguardHeld
from broker.core.ids import Digest
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World, officer

OFFICE = {"EE": "social-insurance-board", "FI": "helsinki-wellbeing-services"}
MINISTRY = {"authority": "ministry-of-justice"}
WITHIN, APART = "family-tracing.correction", "correction.rectify"
Field = tuple[str, Mapping[str, Any]]

CLAIM: Field = ("/protection_claim/status", {"value": "PENDING"})
FLED_FROM_FINLAND: Field = ("/child/nationalities", {"value": "FI"})
NO_CLAIM: Field = ("/protection_claim/status", {"value": "NONE"})
RECORDS: Field = ("/persons_sought/0/approach", {"value": "RECORDS_ONLY"})
CONTACT: Field = ("/persons_sought/0/approach", {"value": "CONTACT_ALLOWED"})
DANGER: Field = ("/danger_assessment/would_endanger", {"value": "YES"})
NO_DANGER: Field = ("/danger_assessment/would_endanger", {"value": "NO"})
GROWN: Field = ("/child/birth/value/date", {"value": "2001-05-03"})


def _example(path: str, by: str) -> dict[str, Any]:
    """Return an example as that country's office writes it to the other one's."""
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{path}.json"))
    other = "FI" if by == "EE" else "EE"
    return {**data, "sender": {"authority": OFFICE[by]}, "recipient": {"country": other, "authority": OFFICE[other]}}


def _corrects(way: str, by: str, target: Digest, *fields: Field) -> dict[str, Any]:
    within = way == WITHIN
    data = _example("acts/correction-birth-year" if within else "correction/rectify-birth-year", by)
    data["body"] |= {"target": target} if within else {"targets": [target]}
    data["body"]["fields"] = [{"pointer": pointer, "now": dict(now)} for pointer, now in fields]
    return data


def _request(by: str = "FI", *fields: tuple[str, Any]) -> dict[str, Any]:
    data = _example("demo/request", by)
    for pointer, value in fields:
        *path, last = pointer.split("/")[1:]
        place: Any = data["body"]
        for step in path:
            place = place[int(step) if isinstance(place, list) else step]
        place[last] = value
    return data


def _status(by: str) -> dict[str, Any]:
    body = json.loads(read_schema_file("examples/acts/status-not-started.json"))["body"]
    return {**_example("demo/request", by), "type": "family-tracing.status", "body": body}


class Case:
    """A procedure between Finland, which asked, and Estonia, which is going to answer."""

    def __init__(self, world: World, request: Accepted) -> None:
        self.world, self.request = world, request
        self.hostile = Hostile(world["FI"], world["EE"])

    async def correct(self, way: str, *fields: Field, target: Digest | None = None, by: str = "FI") -> Accepted:
        """Correct honestly; a second person releases what is held."""
        data = _corrects(way, by, target or self.request.digest, *fields)
        accepted = await _let_out(
            self.world[by], data, **({"procedure": self.request.procedure} if way == WITHIN else {})
        )
        await self.world.settle()
        return accepted

    async def say(self, way: str, *fields: Field, target: Digest | None = None, **changes: Any) -> Digest:
        """Correct as a node does that asks no safeguard; changes are of the submission, or of the header."""
        data = _corrects(way, "FI", target or self.request.digest, *fields)
        data |= {name: changes.pop(name) for name in ("sender", "exercise") if name in changes}
        if way == WITHIN:
            view = await self.world["EE"].view(self.request.procedure)
            changes |= {"procedure": view.row.ref, "parents": view.heads, "case_ref": view.row.case_ref}
        entry = self.hostile.message(data, **changes)
        assert await self.hostile.send(entry) == "recorded"
        await self.world.settle()
        self.world.clock.advance(1)
        return entry.digest

    async def answer(self, data: Mapping[str, Any] | None = None) -> Accepted:
        """Let Estonia say something, by default how it stands."""
        return await self.world["EE"].submit(data or _status("EE"), procedure=self.request.procedure)


async def _let_out(country: Country, data: Mapping[str, Any], **changes: Any) -> Accepted:
    try:
        return await country.submit(data, **changes)
    except SafeguardHeld:
        held = (await country.store.read(lambda reader: reader.drafts(None, cursor=None, limit=1))).items[0]
        return await country.desk.approve.release(held.id, officer(held.authority, "second"), ReleaseReason.CHECKED)


@pytest.fixture
async def asked(world: World) -> Case:
    """Finland has asked Estonia, and nothing stands in the way of an answer."""
    return await _asked(world)


async def _asked(world: World, *fields: tuple[str, Any]) -> Case:
    data = _request("FI", *fields)
    accepted = await _let_out(world["FI"], data)
    await world.settle()
    world.clock.advance(1)
    return Case(world, accepted)


ways = pytest.mark.parametrize("way", [WITHIN, APART])


@ways
async def test_whom_a_correction_lets_fear_a_country_nothing_is_told_to_it(asked: Case, way: str) -> None:
    """R-01: the claim and the State come by a correction, in the procedure or in one of its own."""
    await asked.answer()
    await asked.correct(way, CLAIM, FLED_FROM_FINLAND)
    with pytest.raises(SafeguardBlocked, match="R-01"):
        await asked.answer()


@ways
async def test_a_corrected_manner_of_enquiry_binds_the_answer(asked: Case, way: str) -> None:
    """R-30: whoever enquired further than the request allows now waits for a second person."""
    await asked.correct(way, RECORDS)
    with pytest.raises(SafeguardHeld, match="R-30"):
        await asked.answer(_example("demo/result", "EE"))


@ways
async def test_an_answer_that_went_further_than_we_allow_now_calls_us(asked: Case, way: str) -> None:
    """R-30: the asking office is called by what it says now, although its first words allowed that much."""
    await asked.answer(_example("demo/result", "EE"))
    await asked.correct(way, RECORDS)
    await asked.world.settle()
    assert "enquiry-too-far" in await asked.world["FI"].attention()


async def test_what_we_allowed_and_took_back_allows_nothing(world: World) -> None:
    """R-30: the answer crossed the withdrawal, and somebody was asked whom nobody was to ask: we are called."""
    case = await _asked(world, ("/persons_sought/0/approach", "RECORDS_ONLY"))
    allowed = await case.correct(APART, CONTACT)
    await case.answer(_example("demo/result", "EE"))
    withdrawal = _corrects(APART, "FI", case.request.digest) | {"type": "correction.withdrawal"}
    withdrawal["body"] = {"reason": "SENT_IN_ERROR"}
    await world["FI"].submit(withdrawal, procedure=allowed.procedure)
    await world.settle()
    assert "enquiry-too-far" in await world["FI"].attention()


async def test_what_we_allow_now_is_what_was_said_last_also_after_a_clock_was_set_back(asked: Case) -> None:
    """R-30: allowed by mistake, corrected at once, and the asking side's clock was set right in between."""
    await asked.answer(_example("demo/result", "EE"))
    for now in (CONTACT, RECORDS):
        data = _corrects(WITHIN, "FI", asked.request.digest, now)
        await _let_out(asked.world["FI"], data, procedure=asked.request.procedure)
        asked.world["FI"].clock.set_back(300)
    await asked.world.settle()
    assert "enquiry-too-far" in await asked.world["FI"].attention()


async def test_a_correction_of_another_case_that_does_not_open_keeps_no_answer_out(world: World, asked: Case) -> None:
    """P1, R-30: the answer is taken whatever became of that key; what nobody can read may have allowed less, so we are called."""
    other = await world["FI"].submit(_request("FI"))
    corrected = await asked.correct(APART, RECORDS, target=other.digest)
    await asked.answer(_example("demo/result", "EE"))
    with closing(sqlite3.connect(world["FI"].url.removeprefix("sqlite:///"))) as db, db:
        ((scope,),) = db.execute("SELECT scope FROM outbox_content WHERE id = ?", (corrected.message,))
        db.execute("DELETE FROM case_key WHERE scope = ?", (scope,))
    await world.settle()
    assert len((await world["FI"].view(asked.request.procedure)).entries) == 2
    assert "enquiry-too-far" in await world["FI"].attention()


@ways
async def test_a_corrected_danger_stops_every_further_word(asked: Case, way: str) -> None:
    """R-02: by whatever way the other side tells that its assessment was wrong."""
    await asked.say(way, DANGER)
    with pytest.raises(SafeguardBlocked, match="R-02"):
        await asked.answer()


@ways
async def test_a_danger_that_was_told_last_counts_also_where_the_clock_of_who_told_it_was_set_back(
    asked: Case, way: str
) -> None:
    """R-02: corrected twice; apart nothing names what it follows, and neither clock is taken at its word."""
    await asked.say(way, NO_DANGER)
    asked.world["FI"].clock.set_back(300)
    await asked.say(way, DANGER)
    with pytest.raises(SafeguardBlocked, match="R-02"):
        await asked.answer()


@ways
async def test_nobody_makes_an_adult_by_correcting_a_birth(world: World, asked: Case, way: str) -> None:
    """R-15: without a decision on age the child stays one on the other side too, whatever its own safeguards let out."""
    await asked.say(way, GROWN)
    assert "turned-of-age" not in {one.code for one in (await asked.answer()).warnings}
    assert (await world["EE"].view(asked.request.procedure)).coming_of_age is None


@ways
async def test_a_correction_of_a_correction_is_what_counts(asked: Case, way: str) -> None:
    """R-01: what was corrected by mistake is put right by correcting the correction, which lifts it for nobody else."""
    first = await asked.say(way, CLAIM, FLED_FROM_FINLAND)
    with pytest.raises(SafeguardBlocked, match="R-01"):
        await asked.answer()
    await asked.say(way, ("/fields/0/now", {"value": "NONE"}), target=first)
    await asked.answer()
    await asked.say(
        way, ("/fields/0/pointer", {"value": "in words"}), ("/fields/1/now", {"unknown": True}), target=first
    )
    await asked.answer()


async def test_a_correction_that_was_taken_back_lowers_nothing(asked: Case) -> None:
    """R-01: neither what it raised, nor what it had lowered: its author says anew what holds."""
    for now, then in ((CLAIM, NO_CLAIM), (NO_CLAIM, CLAIM)):
        case = await _asked(
            asked.world, ("/child/nationalities", {"value": ["FI"]}), ("/protection_claim/status", then[1]["value"])
        )
        raised = await case.correct(APART, now)
        withdrawal = _corrects(APART, "FI", case.request.digest) | {"type": "correction.withdrawal"}
        withdrawal["body"] = {"reason": "SENT_IN_ERROR"}
        await asked.world["FI"].submit(withdrawal, procedure=raised.procedure)
        await asked.world.settle()
        with pytest.raises(SafeguardBlocked, match="R-01"):
            await case.answer()


@pytest.mark.parametrize(
    "changes",
    [{"sender": MINISTRY}, {"exercise": True}],
    ids=["another office", "an exercise"],
)
async def test_what_has_no_right_to_correct_lowers_nothing(world: World, changes: dict[str, Any]) -> None:
    """R-01: another office of that country, an exercise."""
    case = await _asked(world, ("/child/nationalities", {"value": ["FI"]}), ("/protection_claim/status", "PENDING"))
    with pytest.raises(SafeguardBlocked, match="R-01"):
        await case.answer()
    await case.say(APART, NO_CLAIM, **changes)
    with pytest.raises(SafeguardBlocked, match="R-01"):
        await case.answer()
    await case.say(APART, NO_CLAIM)
    await case.answer()


@ways
async def test_nobody_corrects_what_another_country_said(world: World, way: str) -> None:
    """R-30: Finland makes Estonia's request allow what it never allowed, and enquires: Estonia is called all the same."""
    data = _request("EE", ("/persons_sought/0/approach", "RECORDS_ONLY"))
    case = Case(world, await world["EE"].submit(data))
    await world.settle()
    world.clock.advance(1)
    allowed: Field = ("/persons_sought/0/approach", {"value": "CONTACT_ALLOWED"})
    await case.say(way, allowed)
    view = await world["EE"].view(case.request.procedure)
    answer = case.hostile.message(
        _example("demo/result", "FI"), procedure=view.row.ref, parents=view.heads, case_ref=view.row.case_ref
    )
    assert await case.hostile.send(answer) == "recorded"
    assert "enquiry-too-far" in await world["EE"].attention()


async def test_what_is_corrected_later_than_it_was_acted_on_changes_no_record(world: World, asked: Case) -> None:
    """P3: both countries hold the same record and state after corrections of both kinds, and nothing of it is undone."""
    await asked.answer(_example("demo/result", "EE"))
    await world.settle()
    before = await world["EE"].view(asked.request.procedure)
    await asked.correct(WITHIN, RECORDS)
    await asked.correct(APART, GROWN)
    views = [await world[name].view(asked.request.procedure) for name in ("EE", "FI")]
    assert views[0].digest == views[1].digest
    assert [view.state for view in views] == [before.state, before.state]
    assert [view.alarm for view in views] == [False, False]
