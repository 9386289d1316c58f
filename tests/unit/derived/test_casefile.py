# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What was exchanged before is at hand when the next message is judged."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from broker.core.errors import SafeguardBlocked, SafeguardHeld
from broker.core.ids import AuthorityId, Digest
from broker.derived.casefile import Casefile, read_casefile
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World, officer


def _example(path: str, target: Digest | None = None, *fields: tuple[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{path}"))
    if target is not None:
        data["body"]["target" if "target" in data["body"] else "targets"] = (
            target if "target" in data["body"] else [target]
        )
        data["body"]["fields"] = [{"pointer": pointer, "now": {"value": value}} for pointer, value in fields]
    return data


async def _correct(country: Country, request: Accepted, *fields: tuple[str, str]) -> Accepted:
    example = _example("acts/correction-birth-year.json", request.digest, *fields)
    return await country.submit(example, procedure=request.procedure)


async def _rectify(country: Country, target: Digest, *fields: tuple[str, str]) -> Accepted:
    example = _example("correction/rectify-birth-year.json", target, *fields)
    example["sender"] = {"authority": "social-insurance-board"}
    return await country.submit(example)


async def _found_somebody(country: Country, request: Accepted) -> Accepted:
    """Answer with an assessment of danger in it."""
    partial = _example("family-tracing/partial-result-found.json")
    partial["recipient"] = {"country": "EE", "authority": "social-insurance-board"}
    return await country.submit(partial, procedure=request.procedure)


async def _known(country: Country, request: Accepted) -> Casefile:
    """Return what weighs in that country's next message of the procedure."""
    view = await country.view(request.procedure)
    draft = (await country.store.read(lambda reader: reader.messages_of(request.message, None)))[0].header
    return await country.store.read(
        lambda reader: read_casefile(reader, country.us, view.row, draft, {}, country.desk.catalogue)
    )


CLAIM = ("/protection_claim/status", "PENDING")
FINNISH = ("/child/nationalities", "FI")


async def test_a_correction_is_judged_with_those_before_it(world: World) -> None:
    """One alone may leave, the second would make of the child somebody who fled from the addressee."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await _correct(ee, request, CLAIM)
    with pytest.raises(SafeguardBlocked) as caught:
        await _correct(ee, request, FINNISH)
    assert caught.value.where == "/body/fields"
    assert "R-01" in caught.value.detail
    assert len((await ee.view(request.procedure)).entries) == 2


async def test_a_correction_in_a_procedure_of_its_own_finds_the_message_that_it_names(world: World) -> None:
    """The other procedure's message is read; one that is not here cannot be judged."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    with pytest.raises(SafeguardBlocked):
        await _rectify(ee, request.digest, CLAIM, FINNISH)
    with pytest.raises(SafeguardHeld):
        await _rectify(ee, Digest("0" * 64), CLAIM)
    corrected = await _rectify(ee, request.digest, ("/child/birth/value/date", "2015-01-01"))
    assert (await ee.view(corrected.procedure)).row.ref.name == "correction"


async def test_only_the_newest_assessments_are_read(world: World) -> None:
    """The request weighs for good, of the answers three; what the record was is said, to be compared later."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    for _ in range(4):
        await _found_somebody(fi, request)
        world.clock.advance(seconds=1)
    known = await _known(fi, request)
    assert [item.type.act for item in known.earlier] == ["request"] + ["partial-result"] * 3
    assert known.record == {line.digest for line in (await fi.view(request.procedure)).entries}
    assert len(known.record) == 5


async def test_the_newest_assessments_are_those_that_follow_the_others(world: World) -> None:
    """Also when the clock was set back after each of them: the three that were written last are read, in that order."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    sent = []
    for _ in range(5):
        sent.append((await _found_somebody(fi, request)).digest)
        fi.clock.set_back(10)
    known = await _known(fi, request)
    assert [item.digest for item in known.earlier] == [request.digest, *sent[-3:]]


async def test_a_message_is_judged_again_when_another_came_in_between(world: World) -> None:
    """Two at one moment both leave, the second of them judged by what the first one said."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    answers = await asyncio.gather(
        _correct(ee, request, CLAIM), _correct(ee, request, FINNISH), return_exceptions=True
    )  # fmt: skip
    assert sorted(type(answer).__name__ for answer in answers) == ["Accepted", "SafeguardBlocked"]
    assert len((await ee.view(request.procedure)).entries) == 2


async def test_an_enquiry_that_went_too_far_waits_for_a_second_person(world: World) -> None:
    """R-30: the answer is held against the request that the other side sent, and leaves unchanged once it was released."""
    ee, fi = world["EE"], world["FI"]
    request = _example("demo/request.json")
    request["body"]["persons_sought"][0]["approach"] = "RECORDS_ONLY"
    opening = await ee.submit(request)
    await world.settle()
    with pytest.raises(SafeguardHeld) as held:
        await fi.submit("result.json", procedure=opening.procedure)
    assert ("R-30" in held.value.detail, held.value.where) == (True, "/body/answers/0/manner_used")
    assert len((await fi.view(opening.procedure)).entries) == 1


async def test_who_would_see_what_is_not_to_be_disclosed_waits_for_a_second_person(world: World) -> None:
    """R-03: a determination that the other side sent holds an office of ours that would join, wherever it stands in the record."""
    ee, fi = world["EE"], world["FI"]
    opening = await ee.submit("request.json")
    await world.settle()
    partial = _example("family-tracing/partial-result-found.json")
    partial["recipient"] = {"country": "EE", "authority": "social-insurance-board"}
    partial["body"]["non_disclosure"] = _example("family-tracing/result-found-not-safe.json")["body"]["non_disclosure"]
    await fi.submit(partial, procedure=opening.procedure)
    await world.settle()
    joins = _example("acts/participant-change-guardianship-joins.json")
    joins["type"], joins["sender"] = "family-tracing.participant-change", {"authority": "social-insurance-board"}
    joins["legal_basis"] = _example("demo/request.json")["legal_basis"]
    joins["recipient"] = {"country": "FI", "authority": "helsinki-wellbeing-services"}
    joins["body"]["changes"][0]["office"] |= {"country": "EE", "authority": "ministry-of-justice"}
    with pytest.raises(SafeguardHeld) as held:
        await ee.submit(joins, procedure=opening.procedure)
    assert ("R-03" in held.value.detail, held.value.where) == (True, "/body/changes/0/office")


def _relationship(given: str) -> dict[str, Any]:
    """Return Estonia's question about an adult with a child of that name."""
    data = _example("relationship/request-uncle-at-the-ferry.json")
    data["sender"] = {"authority": "social-insurance-board"}
    data["recipient"] = {"country": "FI", "authority": "helsinki-wellbeing-services"}
    data["body"]["child"]["named"]["name"]["given"]["value"] = given
    return data


async def test_one_adult_with_several_children_is_told_here_and_to_nobody_else(world: World) -> None:
    """R-43: whoever asks is warned at the second child; the answer that would let it go waits for a second person."""
    ee, fi = world["EE"], world["FI"]
    first = await ee.submit(_relationship("Test-First"))
    assert "R-43" not in {warning.rule for warning in first.warnings}
    again = await ee.submit(_relationship("Test-First"))
    assert "R-43" not in {warning.rule for warning in again.warnings}
    second = await ee.submit(_relationship("Test-Second"))
    assert [warning.code for warning in second.warnings if warning.rule == "R-43"] == ["adult-again"]
    await world.settle()

    reply = _example("relationship/reply-confirmed-without-authority.json")
    reply["sender"] = {"authority": "helsinki-wellbeing-services"}
    reply["recipient"] = {"country": "EE", "authority": "social-insurance-board"}
    with pytest.raises(SafeguardHeld) as held:
        await fi.submit(reply, procedure=second.procedure)
    assert ("R-43" in held.value.detail, held.value.where) == (True, "/body/answer")
    assert "Jonas" not in held.value.detail
    assert len((await fi.view(second.procedure)).entries) == 1


async def test_whoever_opens_what_is_about_an_adult_who_came_before_is_called(world: World) -> None:
    """R-43: not for the first child, nor for the same one once more, nor abroad; for another one, before anybody answers."""
    fi, office = world["FI"], AuthorityId("helsinki-wellbeing-services")
    called: list[list[str]] = []
    for name in ("Test-First", "Test-First", "Test-Second"):
        accepted = await world["EE"].submit(_relationship(name))
        await world.settle()
        await fi.desk.open_message(accepted.message, officer(office))
        called.append(await fi.attention())
    page = await fi.store.read(lambda reader: reader.attention(office, open_only=True, cursor=None, limit=9))
    await world.settle()

    assert called == [[], [], ["adult-again"]]
    assert [(item.subject, item.who) for item in page.items] == [(accepted.procedure, "caller")]
    assert "Jonas" not in page.items[0].detail
    assert await world["EE"].attention() == []


async def test_a_case_that_does_not_open_stops_no_other_about_the_same_adult(world: World) -> None:
    """R-43: whether the adult came with another child there nobody knows: it is told, and the message is sent and opened."""
    ee, fi, office = world["EE"], world["FI"], AuthorityId("helsinki-wellbeing-services")
    first = await ee.submit(_relationship("Test-First"))
    await world.settle()
    for country, table in ((ee, "outbox_content"), (fi, "inbox_content")):
        with closing(sqlite3.connect(country.url.removeprefix("sqlite:///"))) as db, db:
            ((scope,),) = db.execute(f"SELECT scope FROM {table} WHERE id = ?", (first.message,))
            db.execute("DELETE FROM case_key WHERE scope = ?", (scope,))
    again = await ee.submit(_relationship("Test-First"))
    assert [warning.code for warning in again.warnings if warning.rule == "R-43"] == ["adult-again"]
    await world.settle()
    await fi.desk.open_message(again.message, officer(office))
    assert "adult-again" in await fi.attention()


async def test_an_old_assessment_that_is_corrected_is_read(world: World) -> None:
    """R-02: however many answers came after it, its author's newest word is that it was wrong."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    sent = []
    for _ in range(5):
        sent.append(await _found_somebody(fi, request))
        await world.settle()
        world.clock.advance(seconds=1)
    wrong = _example(
        "acts/correction-birth-year.json", sent[0].digest, ("/danger_assessment/would_endanger", "YES")
    )  # fmt: skip
    wrong |= {"sender": {"authority": "helsinki-wellbeing-services"}}
    wrong |= {"recipient": {"country": "EE", "authority": "social-insurance-board"}}
    view, hostile = await ee.view(request.procedure), Hostile(fi, ee)
    told = hostile.message(wrong, procedure=view.row.ref, parents=view.heads, case_ref=view.row.case_ref)
    assert await hostile.send(told) == "recorded"
    status = _example("acts/status-not-started.json")
    status |= {name: _example("demo/request.json")[name] for name in ("sender", "recipient", "legal_basis")}
    with pytest.raises(SafeguardBlocked, match="R-02"):
        await ee.submit({**status, "type": "family-tracing.status"}, procedure=request.procedure)


async def test_a_correction_that_does_not_open_holds_what_it_may_be_about(world: World) -> None:
    """Nobody knows which procedure it is about: a second person decides. Neither what protects somebody waits, nor another case."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    corrected = await _rectify(ee, request.digest, ("/child/birth/value/date", "2015-01-01"))
    await world.settle()
    assert await _correct(ee, request, ("/child/name/given", "Test-Mari"))
    with closing(sqlite3.connect(ee.url.removeprefix("sqlite:///"))) as db, db:
        ((scope,),) = db.execute("SELECT scope FROM outbox_content WHERE id = ?", (corrected.message,))
        db.execute("DELETE FROM case_key WHERE scope = ?", (scope,))
    with pytest.raises(SafeguardHeld, match="does not open here"):
        await _correct(ee, request, ("/child/name/given", "Test-Maria"))
    assert await ee.submit("request.json")
    withdrawal = {**_example("demo/request.json"), "type": "family-tracing.withdrawal"}
    withdrawal["body"] = {"reason": "NO_LONGER_NEEDED"}
    assert await ee.submit(withdrawal, procedure=request.procedure)
