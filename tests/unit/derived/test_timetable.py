# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Deadlines as officers of both countries see them."""

from __future__ import annotations

import json

import pytest

from broker.api.views import deadline
from broker.core.content import time_to_text
from broker.core.ids import AuthorityId, MessageId
from broker.rows import MessageRow
from broker.schema_files import read_schema_file
from broker.storage.reader import SqlReader
from broker.testing.world import World


async def test_both_sides_see_the_same_deadlines(world: World) -> None:
    """Counted in Finland's calendar on both sides, from the delivered receipt; only who must act differs."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    ours, theirs = await world["EE"].view(request.procedure), await world["FI"].view(request.procedure)

    assert [item.due for item in ours.deadlines] == [item.due for item in theirs.deadlines]
    assert {(item.calendar, item.zone) for item in (*ours.deadlines, *theirs.deadlines)} == {("FI", "Europe/Helsinki")}
    assert {item.ours for item in ours.deadlines} == {False}
    assert {item.ours for item in theirs.deadlines} == {True}


async def test_messages_that_no_deadline_asks_for_are_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the offices tell each other how it stands, opening the procedure opens the request and the answer alone."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    for _ in range(3):
        await world["FI"].submit("../acts/status-waiting-for-court.json", procedure=request.procedure)
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    read: list[str] = []

    def counted(reader: SqlReader, message: MessageId, authority: AuthorityId | None) -> tuple[MessageRow, ...]:
        found = original(reader, message, authority)
        read.extend(row.header.type.act for row in found)
        return found

    original = SqlReader.messages_of
    monkeypatch.setattr(SqlReader, "messages_of", counted)
    view = await world["EE"].view(request.procedure)

    assert len(view.entries) == 5
    assert view.deadlines[0].met is not None
    assert set(read) == {"acknowledgement", "request"}


async def test_nothing_runs_before_the_request_is_delivered(world: World) -> None:
    """Recording and publishing start no clock."""
    request = await world["EE"].submit("request.json")
    assert (await world["EE"].view(request.procedure)).deadlines == ()


async def test_a_deadline_says_what_a_person_needs(world: World) -> None:
    """Due moment, local day, kind, source and what silence means; law is told from a proposal of the product."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    acknowledge, answer = map(deadline, (await world["EE"].view(request.procedure)).deadlines)

    assert acknowledge["kind"] == "PRODUCT_DEFAULT"
    assert answer == {
        "id": "answer-b2b-80",
        "title": "Transmit the information",
        "by": "REQUESTED",
        "ours": False,
        "due": "2027-02-22T22:00:00.000Z",
        "due_local": "2027-02-22",
        "time_zone": "Europe/Helsinki",
        "calendar": "FI",
        "holidays_known": True,
        "open_questions": [
            "Nobody has said for FI: Under which key does the calendar library know its public holidays? (calendar.holidays)",
            "Nobody has said for FI: Which time zone of the IANA database holds there? (calendar.time_zone)",
        ],
        "phase": "OPEN",
        "meaning": "It is running.",
        "extended": False,
        "extendable": False,
        "kind": "STATUTORY",
        "source": "B2b 80(4), save exceptional circumstances; days by Reg 1182/71",
        "source_read": True,
        "silence": "Silence is never an answer: after the day the request is overdue and nothing follows from it.",
    }


async def test_a_met_deadline_says_when(world: World) -> None:
    """The time of the settling message is named, and nothing is due any more."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    answer = await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    acknowledge = deadline((await world["EE"].view(request.procedure)).deadlines[0])
    assert (acknowledge["phase"], acknowledge["met"]) == ("MET", time_to_text(answer.created))


async def test_what_was_held_up_on_its_way_accuses_nobody(world: World) -> None:
    """Sent in time into a broken line, it came after the end: both sides say so alike, and hold the same record."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    answer = await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    on_its_way = deadline((await world["FI"].view(request.procedure)).deadlines[0])
    assert (on_its_way["phase"], "came" in on_its_way) == ("MET", False)

    world.clock.advance(10 * 86_400)
    not_there = deadline((await world["FI"].view(request.procedure)).deadlines[0])
    assert not_there["phase"] == "CAME_LATE"
    assert "nothing says yet that it is with the other side" in not_there["meaning"]
    assert deadline((await world["EE"].view(request.procedure)).deadlines[0])["phase"] == "OVERDUE"
    await world.settle()
    ours, theirs = await world["EE"].view(request.procedure), await world["FI"].view(request.procedure)
    assert (ours.state, ours.digest) == (theirs.state, theirs.digest)
    for view in (ours, theirs):
        shown = deadline(view.deadlines[0])
        assert (shown["phase"], shown["met"]) == ("CAME_LATE", time_to_text(answer.created))
        assert shown["came"] > shown["due"]
        assert "ask, before anybody is blamed" in shown["meaning"]


async def test_an_announced_extension_lengthens_the_deadline_that_it_names(world: World) -> None:
    """Two weeks for the standard form, two more once the requested side has announced them in time, on both sides."""
    asked = json.loads(read_schema_file("examples/demo/request.json"))
    notice = json.loads(read_schema_file("examples/family-tracing/request-notice-of-official-channel.json"))
    body = {**asked["body"], "official_channel": notice["body"]["official_channel"]}
    request = await world["EE"].submit({**asked, "legal_basis": notice["legal_basis"], "body": body})
    await world.settle()
    before = (await world["EE"].view(request.procedure)).deadlines[1]
    assert (before.deadline.id, before.due_local, before.extended) == ("answer-ir2055-11", "2026-12-07", False)

    await world["FI"].submit("../acts/extension-notice-two-weeks.json", procedure=request.procedure)
    await world.settle()
    for country in ("EE", "FI"):
        acknowledge, answer = (await world[country].view(request.procedure)).deadlines
        assert (answer.due_local, answer.extended) == ("2026-12-21", True)
        assert not acknowledge.extended
