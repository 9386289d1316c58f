# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Offices come into a procedure and leave it by signed messages, on both sides alike."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from broker.core import capacity
from broker.core.errors import NotAllowed, NotFound, NotParticipant, UnknownRecipient
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.core.participants import Participant
from broker.core.procedures import ParticipantRole
from broker.rows import Accepted, MessageFilter
from broker.schema_files import read_schema_file
from broker.testing.world import Country, World

EE, FI = CountryCode("EE"), CountryCode("FI")
BOARD, HELSINKI = AuthorityId("social-insurance-board"), AuthorityId("helsinki-wellbeing-services")
ASSISTANCE, MINISTRY = AuthorityId("national-assistance-system"), AuthorityId("ministry-of-justice")
ASSISTED = Party(country=FI, authority=ASSISTANCE)


def _example(path: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{path}"))
    return data


def _office(authority: str, country: str = "FI") -> dict[str, Any]:
    return {"name": "Esimerkki", "kind": "FOCAL_POINT", "country": country, "authority": authority}


def _forward(to: str = ASSISTANCE, country: str = "FI") -> dict[str, Any]:
    data = _example("acts/forward-notice-to-county.json")
    data["sender"] = {"authority": str(HELSINKI)}
    data["body"]["forwarded_to"] = _office(to, country)
    return data


def _change(change: str, role: str, office: str = MINISTRY) -> dict[str, Any]:
    data = _forward() | {"type": "family-tracing.participant-change"}
    entry = {"change": change, "office": _office(office), "role": role, "from": "2026-12-01"}
    data["body"] = {"changes": [entry], "decided_by": _office(HELSINKI)}
    return data


async def _asked(world: World) -> Accepted:
    request = await world["EE"].submit("request.json")
    await world.settle()
    return request


async def _who(country: Country, request: Accepted) -> list[tuple[str, str, str]]:
    view = await country.view(request.procedure)
    return [(one.country, one.authority, one.role.value) for one in view.participants]


async def _seen_by(country: Country, authority: AuthorityId, request: Accepted) -> list[str]:
    wanted = MessageFilter(procedure=request.procedure, authority=authority)
    page = await country.store.read(lambda reader: reader.messages(wanted, cursor=None, limit=9))
    return [row.header.type.act for row in page.items]


async def test_forwarding_hands_the_procedure_over_on_both_sides(world: World) -> None:
    """The office named answers and is written to; the one that forwarded keeps what it had and sees nothing new."""
    ee, fi = world["EE"], world["FI"]
    request = await _asked(world)
    await fi.submit(_forward(), procedure=request.procedure)
    await world.settle()
    expected = [("EE", BOARD, "REQUESTING"), ("FI", ASSISTANCE, "REQUESTED")]
    assert await _who(ee, request) == await _who(fi, request) == expected
    assert (await ee.view(request.procedure)).row.peer_authority == ASSISTANCE

    with pytest.raises(NotFound):
        await fi.submit("acknowledgement.json", procedure=request.procedure)
    answer = await fi.submit("acknowledgement.json", procedure=request.procedure, sender_authority=ASSISTANCE)
    await world.settle()
    assert (await ee.view(request.procedure)).state == "ACKNOWLEDGED"
    with pytest.raises(NotParticipant) as refused:
        await ee.submit(_withdrawal(), procedure=request.procedure)
    assert (refused.value.where, ASSISTANCE in refused.value.detail) == ("/recipient/authority", True)
    await ee.submit(_withdrawal(), procedure=request.procedure, recipient=ASSISTED)
    await world.settle()
    assert (await fi.view(request.procedure)).state == "WITHDRAWN"
    assert await ee.attention() == []
    assert sorted(await _seen_by(fi, ASSISTANCE, request)) == [
        "acknowledgement", "forward-notice", "request", "withdrawal",
    ]  # fmt: skip
    assert sorted(await _seen_by(fi, HELSINKI, request)) == ["forward-notice", "request"]
    assert await fi.store.read(lambda reader: reader.messages_of(answer.message, HELSINKI)) == ()
    assert len(await fi.store.read(lambda reader: reader.messages_of(request.message, ASSISTANCE))) == 1


def _withdrawal() -> dict[str, Any]:
    return _example("family-tracing/withdrawal-no-reason.json") | {
        "recipient": {"country": "FI", "authority": str(HELSINKI)}, "sender": {"authority": str(BOARD)},
    }  # fmt: skip


async def test_the_office_that_takes_over_is_called(world: World) -> None:
    """A procedure that is handed on has somebody who was told; the lists of the two offices change."""
    fi, request = world["FI"], await _asked(world)
    await fi.submit(_forward(), procedure=request.procedure)
    called = await fi.store.read(lambda reader: reader.attention(ASSISTANCE, open_only=True, cursor=None, limit=9))
    assert [one.code for one in called.items] == ["handed-on"]
    for office, number in ((HELSINKI, 0), (ASSISTANCE, 1)):
        page = await fi.store.read(lambda reader, who=office: reader.procedures(who, cursor=None, limit=9))
        assert len(page.items) == number


async def test_what_was_under_way_to_the_office_that_forwarded_is_taken(world: World) -> None:
    """The other side could not know yet; both sides end with the same offices."""
    ee, fi = world["EE"], world["FI"]
    request = await _asked(world)
    await fi.submit(_forward(), procedure=request.procedure)
    await ee.submit(_withdrawal(), procedure=request.procedure)
    await world.settle()
    assert "not-participant" not in fi.outcomes + ee.outcomes
    assert (await fi.view(request.procedure)).state == "WITHDRAWN"
    assert await _who(ee, request) == await _who(fi, request)


async def test_an_answer_of_the_new_office_may_overtake_the_notice(world: World) -> None:
    """It waits for the message that brought its office in, and is not refused for coming first."""
    ee, fi = world["EE"], world["FI"]
    request = await _asked(world)
    await fi.submit(_forward(), procedure=request.procedure)
    await fi.submit("acknowledgement.json", procedure=request.procedure, sender_authority=ASSISTANCE)
    await fi.engine.dispatch()
    waiting = world.network.waiting[EE]
    waiting[:] = list(reversed(waiting))
    await world.settle()
    assert "not-participant" not in ee.outcomes
    view = await ee.view(request.procedure)
    assert (view.state, view.gap) == ("ACKNOWLEDGED", False)


async def test_all_answers_of_the_new_office_may_overtake_the_notice(world: World) -> None:
    """The second one names the first, which is here and waits itself: nobody knows yet who takes part."""
    ee, fi = world["EE"], world["FI"]
    request = await _asked(world)
    await fi.submit(_forward(), procedure=request.procedure)
    await fi.submit("acknowledgement.json", procedure=request.procedure, sender_authority=ASSISTANCE)
    question = _example("acts/clarification-two-questions.json")
    await fi.submit(question, procedure=request.procedure, sender_authority=ASSISTANCE)
    await fi.engine.dispatch()
    notice, first, second = world.network.waiting[EE]
    world.network.waiting[EE][:] = [first, second, notice]
    await world.settle()
    assert "not-participant" not in ee.outcomes
    views = [await country.view(request.procedure) for country in (ee, fi)]
    assert [view.gap for view in views] == [False, False]
    assert views[0].digest == views[1].digest is not None


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_an_office_that_joined_may_overtake_the_opening(world: World, order: tuple[int, ...]) -> None:
    """In whatever order request, joining and the new office's withdrawal come: nothing is refused, and all offices are the same."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    joining = _change("JOINS", "EXECUTING") | {
        "recipient": {"country": "FI", "authority": str(HELSINKI)}, "sender": {"authority": str(BOARD)},
    }  # fmt: skip
    joining["body"]["changes"][0]["office"] = _office(MINISTRY, "EE")
    await ee.submit(joining, procedure=request.procedure)
    await ee.submit(_withdrawal(), procedure=request.procedure, sender_authority=MINISTRY)
    await ee.engine.dispatch()
    sent = world.network.waiting[FI].copy()
    assert len(sent) == 3
    world.network.waiting[FI].clear()
    for place in order:
        world.network.waiting[FI].append(sent[place])
        await world.settle()

    assert "not-participant" not in fi.outcomes
    views = [await country.view(request.procedure) for country in (ee, fi)]
    assert [view.state for view in views] == ["WITHDRAWN", "WITHDRAWN"]
    assert views[0].digest == views[1].digest is not None
    assert await _who(ee, request) == await _who(fi, request)
    assert (views[1].row.our_authority, views[1].row.peer_authority) == (HELSINKI, BOARD)
    assert await fi.attention() == []


async def test_other_offices_join_and_an_observer_is_silent(world: World) -> None:
    """Who joins sees the whole procedure; an observer sends nothing, whoever left sees it no more."""
    fi, request = world["FI"], await _asked(world)
    await fi.submit(_change("JOINS", "OBSERVING"), procedure=request.procedure)
    await world.settle()
    assert (await world["EE"].view(request.procedure)).participants[-1] == Participant(
        country=FI, authority=MINISTRY, role=ParticipantRole.OBSERVING
    )
    assert sorted(await _seen_by(fi, MINISTRY, request)) == ["participant-change", "request"]
    assert (await fi.desk.inspect.procedure(request.procedure, authority=MINISTRY)).actions == ()
    with pytest.raises(NotParticipant) as refused:
        await fi.submit("acknowledgement.json", procedure=request.procedure, sender_authority=MINISTRY)
    assert refused.value.where == "/sender/authority"
    await fi.submit(_change("LEAVES", "OBSERVING"), procedure=request.procedure)
    assert await _seen_by(fi, MINISTRY, request) == []
    with pytest.raises(NotFound):
        await fi.desk.inspect.procedure(request.procedure, authority=MINISTRY)


@pytest.mark.parametrize("office", [("nobody", "FI"), ("ministry-of-justice", "EE")])
async def test_only_listed_offices_of_this_country_take_over(world: World, office: tuple[str, str]) -> None:
    """A name that the trust list does not hold would leave the child without an office."""
    fi, request = world["FI"], await _asked(world)
    with pytest.raises(UnknownRecipient) as refused:
        await fi.submit(_forward(*office), procedure=request.procedure)
    assert refused.value.where == "/body/forwarded_to"
    assert await _who(fi, request) == [("EE", BOARD, "REQUESTING"), ("FI", HELSINKI, "REQUESTED")]


async def test_a_forwarding_that_is_refused_is_undone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the other side's signed refusal the office that wanted to hand on has the procedure again."""
    ee, fi = world["EE"], world["FI"]
    request = await _asked(world)
    await fi.submit(_forward(), procedure=request.procedure)
    with monkeypatch.context() as patched:
        patched.setattr(capacity, "MOST_BY_ONE_SIDE", 0)
        await world.settle()
    assert "record-full" in ee.outcomes
    assert await _who(ee, request) == await _who(fi, request)
    assert (await fi.view(request.procedure)).row.our_authority == HELSINKI
    assert await _seen_by(fi, ASSISTANCE, request) == []


async def test_a_forwarding_that_crossed_a_withdrawal_changes_nothing(world: World) -> None:
    """A stop stands first: the notice has no effect, and the office that had the procedure has it still, on both sides."""
    ee, fi = world["EE"], world["FI"]
    request = await _asked(world)
    await ee.submit(_withdrawal(), procedure=request.procedure)
    await fi.submit(_forward(), procedure=request.procedure)
    await world.settle()
    assert await _who(ee, request) == await _who(fi, request)
    assert (await fi.view(request.procedure)).row.our_authority == HELSINKI
    with pytest.raises(NotAllowed):
        await fi.submit(_forward(), procedure=request.procedure)
