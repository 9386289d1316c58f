# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The node calls people for reviews and for erasures that others ask for; by itself it erases exercises alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from broker.core.audit import Who
from broker.core.erasures import ErasureState
from broker.core.errors import SafeguardHeld
from broker.core.ids import AuthorityId
from broker.core.messages import Party
from broker.core.retention import EXERCISE_KEPT, PROPOSAL_DAYS, EraseReason, HoldReason, KeepReason
from broker.rows import Accepted, Attention
from broker.schema_files import read_schema_file
from broker.storage.reader import SqlReader
from broker.testing.federation import OFFICES
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World

YEAR = 367 * 86_400


async def test_a_due_review_calls_a_person_once(world: World, ended: Accepted, first: Who) -> None:
    """Until it is decided; nothing is erased. A review puts it off, a closed call alone does not."""
    ee = world["EE"]
    assert await ee.engine.review() == 0
    world.clock.advance(YEAR)
    assert await ee.engine.review() == 1
    assert await ee.engine.review() == 0
    assert await ee.attention() == ["review-due"]
    assert await _called(ee, first.authority) == [("review-due", "FI")]
    assert await ee.store.run(lambda tx: tx.outbox(ended.message)) is not None

    until = world.clock.now().date().replace(year=world.clock.now().year + 1)
    await ee.desk.keep.review(ended.procedure, until, KeepReason.CHILD_MAY_ASK, first)
    assert await ee.attention() == []
    assert await ee.engine.review() == 0


async def test_a_case_is_reviewed_after_the_newest_of_its_procedures(world: World, ended: Accepted, first: Who) -> None:
    """What another country began in it since keeps all of it: nobody is asked to erase a case that goes on."""
    ee, finland = world["EE"], Hostile(world["FI"], world["EE"])
    before = await ee.desk.keep.standing(ended.procedure, first.authority)
    world.clock.advance(100 * 86_400)
    board = Party(country=ee.us, authority=AuthorityId("social-insurance-board"))
    await finland.send(finland.message("request.json", recipient=board, case_ref=ended.case_ref))
    after = await ee.desk.keep.standing(ended.procedure, first.authority)
    assert after.last == world.clock.now()
    assert after.review - before.review >= timedelta(days=99)


async def test_something_new_closes_the_call(world: World, ended: Accepted, first: Who) -> None:
    """Its time begins anew; nobody has to say so."""
    ee = world["EE"]
    soon = world.clock.now().date() + timedelta(days=10)
    await ee.desk.keep.review(ended.procedure, soon, KeepReason.CASE_GOES_ON, first)
    world.clock.advance(11 * 86_400)
    await ee.engine.review()
    reopening = json.loads(read_schema_file("examples/acts/reopening-new-information.json"))
    await world["FI"].submit(reopening, procedure=ended.procedure)
    await world.settle()
    assert "review-due" in await ee.attention()
    assert await ee.engine.review() == 1
    assert "review-due" not in await ee.attention()


async def test_something_new_closes_the_call_at_the_next_look(
    world: World, ended: Accepted, first: Who, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when the turn of its case comes, among all that there ever were: nobody is called about what is done."""
    ee = world["EE"]
    soon = world.clock.now().date() + timedelta(days=10)
    await ee.desk.keep.review(ended.procedure, soon, KeepReason.CASE_GOES_ON, first)
    world.clock.advance(11 * 86_400)
    await ee.engine.review()
    assert "review-due" in await ee.attention()
    for _ in range(3):
        await ee.submit("request.json")
    monkeypatch.setattr("broker.flows.retain.review.REMIND_BATCH", 1)
    assert await ee.engine.review() == 0
    await world["FI"].submit(
        json.loads(read_schema_file("examples/acts/reopening-new-information.json")), procedure=ended.procedure
    )
    await world.settle()
    assert await ee.engine.review() == 1
    assert "review-due" not in await ee.attention()


async def test_the_open_calls_are_read_once_a_look(
    world: World, ended: Accepted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for each case that is due: an office that has left thousands of reviews for later would hold up its node."""
    ee = world["EE"]
    for _ in range(3):
        await ee.submit("request.json")
    world.clock.advance(4 * YEAR)
    assert await ee.engine.review() == 4

    asked, open_calls = list[tuple[str, ...]](), SqlReader.open_calls

    def counted(reader: SqlReader, codes: Sequence[str]) -> tuple[Attention, ...]:
        asked.append(tuple(codes))
        return open_calls(reader, codes)

    monkeypatch.setattr(SqlReader, "open_calls", counted)
    assert await ee.engine.review() == 0
    assert asked == [("review-due",)]


async def test_an_exercise_is_erased_after_the_drill(world: World, ended: Accepted) -> None:
    """On both sides, a month after its last message, whatever its state; a real case beside it stays (R-40)."""
    drill = await world["EE"].submit("request.json", exercise=True)
    await world.settle()
    for country in (world["EE"], world["FI"]):
        world.clock.advance(EXERCISE_KEPT.total_seconds() / 2 + 60)
        await country.engine.review()
    ee, fi = world["EE"], world["FI"]
    await ee.engine.review()
    for country in (ee, fi):
        row = await country.store.read(lambda reader: reader.procedure(drill.procedure, None))
        assert row is not None
        assert row.erased is not None
        (made,) = await country.store.read(lambda reader: reader.retention.erasures(None, limit=9))
        assert (made.reason, made.state, made.decided_by) == (EraseReason.EXERCISE, ErasureState.ERASED, "node")
    assert await ee.store.run(lambda tx: tx.outbox(drill.message)) is None
    assert await ee.store.run(lambda tx: tx.outbox(ended.message)) is not None
    assert await ee.engine.review() == 0


async def test_an_exercise_that_never_arrived_is_erased_like_any_other(world: World) -> None:
    """Nobody waits for an answer to a drill: its data are not kept for what its envelope may still travel."""
    ee = world["EE"]
    drill = await ee.submit("request.json", exercise=True)
    world.clock.advance(EXERCISE_KEPT.total_seconds() + 60)
    await ee.engine.review()
    assert await ee.store.run(lambda tx: tx.outbox(drill.message)) is None


async def test_an_exercise_under_a_legal_hold_stays(world: World, first: Who) -> None:
    """Somebody complained about the drill itself; a hold that nobody thinks of any more is reviewed as any case is."""
    ee = world["EE"]
    drill = await ee.submit("request.json", exercise=True)
    await ee.desk.keep.hold(drill.procedure, HoldReason.COMPLAINT, first)
    world.clock.advance(EXERCISE_KEPT.total_seconds() + 60)
    await ee.engine.review()
    assert await ee.store.run(lambda tx: tx.outbox(drill.message)) is not None
    assert await ee.attention() == []
    world.clock.advance(YEAR)
    await ee.engine.review()
    assert await ee.attention() == ["review-due"]


async def test_what_comes_into_an_exercise_at_the_last_moment_is_not_erased_unseen(world: World) -> None:
    """Between the look at it and the erasure: its month begins anew."""
    ee, fi = world["EE"], world["FI"]
    drill = await ee.submit("request.json", exercise=True)
    await world.settle()
    world.clock.advance(EXERCISE_KEPT.total_seconds() + 60)
    review = ee.engine.review
    (case,) = (await ee.store.read(review._look)).drilled
    await fi.submit("acknowledgement.json", procedure=drill.procedure, exercise=True)
    await world.settle()
    world.clock.advance(60)
    assert await ee.store.run(lambda tx: review._erase(tx, case)) == 0
    assert await ee.store.run(lambda tx: tx.outbox(drill.message)) is not None


async def test_an_exercise_is_erased_once_and_not_while_persons_decide_about_it(
    world: World, first: Who, second: Who
) -> None:
    """A proposal of a person goes before the node's own; another worker that was first has done it."""
    ee = world["EE"]
    one, two = await ee.submit("request.json", exercise=True), await ee.submit("request.json", exercise=True)
    await world.settle()
    world.clock.advance(EXERCISE_KEPT.total_seconds())
    proposed = await ee.desk.erase.propose(one.procedure, EraseReason.COURT_ORDER, first)
    world.clock.advance(60)
    review = ee.engine.review
    drilled = (await ee.store.read(review._look)).drilled
    assert {case.procedures for case in drilled} == {(one.procedure,), (two.procedure,)}
    for expected in (1, 0):
        assert sum([await ee.store.run(lambda tx, case=case: review._erase(tx, case)) for case in drilled]) == expected  # type: ignore[misc]
    assert await ee.store.run(lambda tx: tx.outbox(one.message)) is not None
    assert await ee.store.run(lambda tx: tx.outbox(two.message)) is None
    assert (await ee.desk.erase.reject(proposed.id, second)).state is ErasureState.REJECTED


async def test_a_case_whose_erasure_is_decided_about_is_not_reviewed_beside(
    world: World, ended: Accepted, first: Who
) -> None:
    """Two persons look at it already; where they let it lapse it is reviewed as before."""
    ee = world["EE"]
    world.clock.advance(YEAR)
    await ee.desk.erase.propose(ended.procedure, EraseReason.NO_LONGER_NEEDED, first)
    for seconds in (0, PROPOSAL_DAYS * 86_400 - 1):  # a second person has the whole week
        world.clock.advance(seconds)
        await ee.engine.review()
        assert await ee.attention() == ["erasure-waits"]
    world.clock.advance(86_400)
    await ee.engine.review()
    await ee.engine.review()
    assert sorted(await _called(ee, first.authority)) == [("erasure-lapsed", "FI"), ("review-due", "FI")]
    trail = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=9))
    assert [(row.actor, row.authority, row.reason) for row in trail.items if row.action == "erasure-lapsed"] == [
        ("node", first.authority, "no-longer-needed")
    ]


async def test_a_review_is_due_on_its_day_and_a_hold_is_none(world: World, ended: Accepted, first: Who) -> None:
    """Not a day later; a legal hold keeps the case, and whoever set it has still not said until when."""
    ee = world["EE"]
    soon = world.clock.now().date() + timedelta(days=10)
    await ee.desk.keep.review(ended.procedure, soon, KeepReason.CASE_GOES_ON, first)
    world.clock.advance(9 * 86_400)
    assert not (await ee.desk.keep.standing(ended.procedure, first.authority)).due
    world.clock.advance(86_400)
    assert (await ee.desk.keep.standing(ended.procedure, first.authority)).due
    await ee.engine.review()
    await ee.desk.keep.hold(ended.procedure, HoldReason.LEGAL_CLAIM, first)
    assert await ee.attention() == ["review-due"]


async def _called(country: Country, office: AuthorityId | None) -> list[tuple[str, str | None]]:
    """Return what an office is called for, and about which country."""
    page = await country.store.read(lambda reader: reader.attention(office, open_only=True, cursor=None, limit=9))
    return [(entry.code, entry.peer) for entry in page.items]


async def _ask(country: Country, request: Accepted) -> Accepted:
    """Ask the other country to erase a message."""
    asked = json.loads(read_schema_file("examples/correction/erase-wrong-child.json"))
    asked["sender"]["authority"] = "social-insurance-board"
    asked["recipient"] = {"country": "FI", "authority": "helsinki-wellbeing-services"}
    asked["body"]["targets"] = [request.digest]
    return await country.submit(asked)


async def test_an_erasure_that_is_asked_for_waits_for_two_persons(
    world: World, ended: Accepted, first: Who, second: Who
) -> None:
    """A person is called with a prepared proposal; the recipient is a controller of its own, and nothing goes by itself."""
    fi = world["FI"]
    sent = await _ask(world["EE"], ended)
    await world.settle()
    assert await fi.engine.review() == 1
    assert await fi.engine.review() == 0
    assert ("erasure-asked", "EE") in await _called(fi, AuthorityId("helsinki-wellbeing-services"))
    (asked,) = await fi.store.read(lambda reader: reader.retention.erasures(None, limit=9))
    assert (asked.state, asked.asked_by, asked.procedures) == (ErasureState.ASKED, sent.message, (ended.procedure,))
    assert await fi.store.run(lambda tx: tx.inbox(world["EE"].us, ended.message)) is not None

    one, two = (Who(actor=who.actor, role=who.role, authority=asked.authority) for who in (first, second))
    proposed = await fi.desk.erase.propose(ended.procedure, EraseReason.WRONG_PERSON, one)
    assert (proposed.id, proposed.asked_by) == (asked.id, sent.message)
    done = await fi.desk.erase.confirm(proposed.id, two)
    assert not {"erasure-asked", "erasure-waits"} & set(await fi.attention())
    assert done.state is ErasureState.ERASED
    assert await fi.store.run(lambda tx: tx.inbox(world["EE"].us, ended.message)) is None
    assert await fi.store.run(lambda tx: tx.inbox(world["EE"].us, sent.message)) is not None


DAMAGES = {
    "the request itself": (
        "UPDATE inbox_content SET content = x'00', header = x'00' WHERE id = :asked",
        ["unreadable"],
    ),
    "what the request says": (
        "UPDATE inbox_content SET content = x'00' WHERE id = :asked",
        ["erasure-asked", "unreadable"],
    ),
    "what it wants erased": (
        "UPDATE outbox_content SET header = x'00' WHERE id = :wanted",
        ["erasure-asked", "unreadable"],
    ),
    "what waits for a second person in that case": (
        "UPDATE draft_content SET content = zeroblob(200)",
        ["erasure-asked"],
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_an_erasure_request_that_does_not_open_holds_up_no_other_review(world: World, damage: str) -> None:
    """One damaged message in years, and nobody would be called for any case any more, nor an exercise be erased."""
    ee, fi = world["EE"], world["FI"]
    request = await fi.submit(_from_finland("demo/request.json"))
    correction = _from_finland("acts/correction-birth-year.json")
    correction["body"] |= {"target": request.digest, "fields": [{"pointer": "/child", "now": {"value": "Test-Mari"}}]}
    with pytest.raises(SafeguardHeld):
        await fi.submit(correction, procedure=request.procedure)
    drill = await fi.submit(_from_finland("demo/request.json"), exercise=True)
    await world.settle()
    asked = await _ask(ee, request)
    await world.settle()
    spoil, called = DAMAGES[damage]
    with closing(sqlite3.connect(fi.url.removeprefix("sqlite:///"))) as db, db:
        names = {"asked": asked.message, "wanted": request.message}
        assert db.execute(spoil, {name: value for name, value in names.items() if f":{name}" in spoil}).rowcount == 1

    for look in (fi.engine.review, fi.engine.remind):
        await look()
    assert [code for code in await fi.attention() if code != "held"] == called
    world.clock.advance(EXERCISE_KEPT.total_seconds() + 60)
    await fi.engine.review()
    assert await fi.store.run(lambda tx: tx.outbox(drill.message)) is None
    world.clock.advance(4 * YEAR)
    await fi.engine.review()
    assert "review-due" in await fi.attention()


def _from_finland(example: str) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(read_schema_file(f"examples/{example}"))
    message["sender"]["authority"] = "helsinki-wellbeing-services"
    message["recipient"] = {"country": "EE", "authority": "social-insurance-board"}
    return message


async def test_no_country_asks_to_erase_what_another_one_sent(world: World, ended: Accepted) -> None:
    """A digest that Sweden learnt somewhere gets nothing of Estonia's case prepared for erasure."""
    fi, sweden = world["FI"], Hostile(world["SE"], world["FI"])
    asked = json.loads(read_schema_file("examples/correction/erase-wrong-child.json"))
    helsinki = Party(country=fi.us, authority=AuthorityId("helsinki-wellbeing-services"))
    asked["sender"]["authority"] = str(OFFICES["SE"][0].id)
    asked["recipient"] = {"country": "FI", "authority": str(helsinki.authority)}
    asked["body"]["targets"] = [ended.digest]
    assert await sweden.send(sweden.message(asked, recipient=helsinki)) == "recorded"
    await fi.engine.review()
    assert "erasure-asked" in await fi.attention()
    assert await fi.store.read(lambda reader: reader.retention.erasures(None, limit=9)) == ()


async def test_no_country_adds_to_what_another_one_asks_to_erase(world: World, ended: Accepted) -> None:
    """Sweden uses the id of Estonia's request, and names another of Estonia's cases: nothing of that is prepared."""
    ee, fi, sweden = world["EE"], world["FI"], Hostile(world["SE"], world["FI"])
    other = await ee.submit("request.json")
    await world.settle()
    sent = await _ask(ee, ended)
    await world.settle()
    asked = json.loads(read_schema_file("examples/correction/erase-wrong-child.json"))
    helsinki = Party(country=fi.us, authority=AuthorityId("helsinki-wellbeing-services"))
    asked["sender"]["authority"] = str(OFFICES["SE"][0].id)
    asked["recipient"] = {"country": "FI", "authority": str(helsinki.authority)}
    asked["body"]["targets"] = [other.digest]
    assert await sweden.send(sweden.message(asked, recipient=helsinki, id=sent.message)) == "recorded"
    await fi.engine.review()
    (made,) = await fi.store.read(lambda reader: reader.retention.erasures(None, limit=9))
    assert made.procedures == (ended.procedure,)
