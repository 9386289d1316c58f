# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A person is called when a deadline is due soon or overdue, once, until it is settled."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from broker.core.delivery import REMIND_BATCH
from broker.core.errors import DiskFull, StoreCorrupt, by_code
from broker.core.ids import ProcedureId
from broker.core.messages import RecordEntry
from broker.ports import Transaction
from broker.rows import Accepted, Attention
from broker.schema_files import read_schema_file
from broker.storage.reader import SqlReader
from broker.testing.store_rows import procedure_id
from broker.testing.world import Country, World, officer

HELSINKI = ZoneInfo("Europe/Helsinki")


async def _asked(world: World) -> Accepted:
    request = await world["EE"].submit("request.json")
    await world.settle()
    return request


def _go_to(world: World, year: int, month: int, day: int, hour: int = 12) -> None:
    """Move the clock to a local time in Helsinki."""
    moment = datetime(year, month, day, hour, tzinfo=HELSINKI)
    world.clock.set_back((world.clock.now() - moment).total_seconds())


async def _calls(country: Country, *, open_only: bool = True) -> list[Attention]:
    await country.engine.remind()
    page = await country.store.read(lambda reader: reader.attention(None, open_only=open_only, cursor=None, limit=99))
    mine = ("deadline-soon", "deadline-overdue", "answer-overdue")
    return sorted((entry for entry in page.items if entry.code in mine), key=lambda entry: (entry.code, entry.subject))


async def _codes(country: Country) -> list[str]:
    return [entry.code for entry in await _calls(country)]


async def test_nobody_is_called_while_there_is_time(world: World) -> None:
    """Right after the request nothing is soon due."""
    await _asked(world)
    assert await _codes(world["EE"]) == await _codes(world["FI"]) == []


async def test_soon_is_told_to_the_side_that_must_act_alone(world: World) -> None:
    """Acknowledging is due after five working days: three days before, Finland is told, Estonia is not."""
    await _asked(world)
    _go_to(world, 2026, 11, 26)
    [call] = await _calls(world["FI"])
    assert call.code == "deadline-soon"
    assert call.detail == "Acknowledge the request: due 2026-11-27 (Europe/Helsinki; PRODUCT_DEFAULT)."
    assert await _calls(world["EE"]) == []


async def test_overdue_is_told_to_both_sides_and_says_what_silence_means(world: World) -> None:
    """Both see the same deadline overdue from the same moment, in their own words; silence is never an answer."""
    await _asked(world)
    _go_to(world, 2026, 11, 27, 23)
    assert await _codes(world["EE"]) == []
    _go_to(world, 2026, 11, 28, 0)
    [ours], [theirs] = await _calls(world["EE"]), await _calls(world["FI"])
    assert (ours.code, theirs.code) == ("answer-overdue", "deadline-overdue")
    assert "Silence is never an answer" in ours.detail
    assert (ours.authority, ours.peer) == ("social-insurance-board", "FI")


async def test_what_is_over_keeps_no_deadline_waiting(world: World) -> None:
    """After years nearly every procedure is closed or erased; the one that is not is looked at with the first look."""
    request = await _asked(world)
    ee = world["EE"]
    [row] = (await ee.store.read(lambda reader: reader.procedures(None, cursor=None, limit=9))).items
    assert row.ref.id == request.procedure
    later = row.opened + timedelta(minutes=1)

    def closed(tx: Transaction) -> None:
        for number in range(REMIND_BATCH):
            state, erased = ("CLOSED", None) if number % 2 else (row.state, later)
            ref = replace(row.ref, id=procedure_id(number))
            tx.add_procedure(replace(row, ref=ref, opened=later, state=state, erased=erased))

    await ee.store.run(closed)
    _go_to(world, 2026, 11, 30)
    [call] = await _calls(ee)
    assert call.subject.startswith(request.procedure)


async def _behind_others(
    world: World, request: Accepted, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...] = ("EE", "FI")
) -> None:
    """Let a procedure wait for its turn behind newer ones that are open, of which a look takes one."""
    monkeypatch.setattr("broker.flows.remind.REMIND_BATCH", 1)
    for country in (world[name] for name in names):
        while await country.engine.link_audit():  # what is not linked yet is looked at each time
            pass
        row = await country.store.read(lambda reader: reader.procedure(request.procedure, None))
        assert row is not None
        newer = [replace(row, ref=replace(row.ref, id=procedure_id(n)), opened=world.clock.now()) for n in range(9)]
        await country.store.run(lambda tx, newer=newer: [tx.add_procedure(one) for one in newer])  # type: ignore[misc]


async def test_a_deadline_that_was_seen_to_run_is_told_when_it_passes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A danger is answered within hours: its alarm does not wait for the turn of one among thousands of open procedures."""
    request = await _asked(world)
    fi = world["FI"]
    assert await _codes(fi) == []
    world.clock.advance(60)
    await _behind_others(world, request, monkeypatch)
    _go_to(world, 2026, 11, 26)
    assert await _codes(fi) == ["deadline-soon"]
    _go_to(world, 2026, 11, 30)
    assert await _codes(fi) == ["deadline-overdue"]


async def test_what_is_new_in_an_old_procedure_starts_its_deadlines_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to look through the newer ones first; what one look does not take, the next ones do."""
    requests = [await _asked(world) for _ in range(3)]
    fi = world["FI"]
    world.clock.advance(60)
    await _behind_others(world, requests[0], monkeypatch)
    for _ in range(4):
        await fi.engine.remind()
    _go_to(world, 2026, 11, 26)
    for _ in range(3):
        await fi.engine.remind()
    assert {call.subject.partition("/")[0] for call in await _calls(fi)} == {one.procedure for one in requests}


async def test_a_deadline_that_begins_with_a_late_receipt_is_told_when_it_passes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other country was away for hours: its receipt says nothing in our procedure, and begins its time to answer."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await ee.engine.dispatch()
    assert await _codes(ee) == []
    await _behind_others(world, request, monkeypatch, ("EE",))
    for _ in range(3):
        world.clock.advance(3600)
        await ee.engine.remind()
    await world.settle()
    world.clock.advance(3600)
    assert await _codes(ee) == []
    _go_to(world, 2026, 11, 30)
    assert await _codes(ee) == ["answer-overdue"]


async def test_a_country_that_is_silent_for_long_is_looked_at_seldom(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of its procedures there may be thousands, which must not take the others' place in each look."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await ee.engine.dispatch()
    await ee.engine.remind()
    await _behind_others(world, request, monkeypatch, ("EE",))
    world.clock.advance(3600 * 24 * 300)
    read, record = list[ProcedureId](), SqlReader.record

    def counted(reader: SqlReader, procedure: ProcedureId) -> tuple[RecordEntry, ...]:
        read.append(procedure)
        return record(reader, procedure)

    monkeypatch.setattr(SqlReader, "record", counted)
    for _ in range(9):
        await ee.engine.remind()
        world.clock.advance(3600 * 24)
    assert read.count(request.procedure) == 1


async def test_what_settles_a_call_closes_it_at_the_next_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many procedures are open: who is called about something that is done learns to pass calls by."""
    request = await _asked(world)
    ee, fi = world["EE"], world["FI"]
    _go_to(world, 2026, 11, 30)
    assert len(await _calls(ee)) == len(await _calls(fi)) == 1
    await _behind_others(world, request, monkeypatch)
    await fi.submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    assert await _calls(ee) == await _calls(fi) == []


async def test_a_call_about_what_ended_while_nobody_looked_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More happened since than a node that was started anew looks through, and what is over has no turn."""
    request = await _asked(world)
    fi = world["FI"]
    _go_to(world, 2026, 11, 30)
    assert await _codes(fi) == ["deadline-overdue"]
    await world["EE"].submit("../family-tracing/withdrawal-no-reason.json", procedure=request.procedure)
    await world.settle()
    while await fi.engine.link_audit():
        pass
    await world.restart("FI")
    monkeypatch.setattr("broker.storage.trail._TOUCHED_FIRST", 0)
    assert await _codes(world["FI"]) == []


async def test_what_could_not_be_told_is_looked_at_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store had no room for the call: the next look makes it, and not the one whose turn comes hours later."""
    request = await _asked(world)
    fi = world["FI"]
    assert await _codes(fi) == []
    await _behind_others(world, request, monkeypatch)
    _go_to(world, 2026, 11, 30)

    async def full(_: object) -> None:
        raise DiskFull

    with monkeypatch.context() as patched:
        patched.setattr(fi.engine.remind._store, "run", full)
        with pytest.raises(DiskFull):
            await fi.engine.remind()
    assert await _codes(fi) == ["deadline-overdue"]


async def test_a_procedure_is_judged_once_a_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where somebody is called about it: that nobody answers may last for years, and be so of thousands."""
    await _asked(world)
    ee = world["EE"]
    _go_to(world, 2026, 11, 30)
    assert len(await _calls(ee)) == 1
    read, record = list[ProcedureId](), SqlReader.record

    def counted(reader: SqlReader, procedure: ProcedureId) -> tuple[RecordEntry, ...]:
        read.append(procedure)
        return record(reader, procedure)

    monkeypatch.setattr(SqlReader, "record", counted)
    await ee.engine.remind()
    assert len(read) == 1


async def test_a_person_who_closed_a_call_is_not_called_again(world: World) -> None:
    """Resolved is resolved, also after a restart; the overdue deadline stays visible in the procedure."""
    request = await _asked(world)
    _go_to(world, 2026, 11, 30)
    [call] = await _calls(world["EE"])
    await world["EE"].desk.attend.resolve(call.id, officer("social-insurance-board"))
    assert await _calls(world["EE"]) == []
    await world.restart("EE")
    assert await _calls(world["EE"]) == []
    view = await world["EE"].view(request.procedure)
    assert [item.phase for item in view.deadlines] == ["OVERDUE", "OPEN"]


async def test_a_clock_that_was_ahead_takes_no_deadlines_call_away(world: World) -> None:
    """Called hours too early, the call is closed when the clock is set right, and made again when the deadline has passed."""
    await _asked(world)
    for day, hour, expected in (
        (27, 20, ["deadline-soon"]),
        (28, 2, ["deadline-overdue"]),  # six hours ahead, for ten minutes
        (27, 21, ["deadline-soon"]),
        (28, 2, ["deadline-overdue"]),
    ):
        _go_to(world, 2026, 11, day, hour)
        assert await _codes(world["FI"]) == await _codes(world["FI"]) == expected


async def test_whoever_closed_what_a_clock_that_was_ahead_called_for_is_called_when_it_is_time(world: World) -> None:
    """A person closes the call as wrong, and rightly so: the deadline has not passed yet. When it has, somebody is called once."""
    await _asked(world)
    fi = world["FI"]
    _go_to(world, 2026, 11, 28, 2)  # six hours ahead
    [early] = await _calls(fi)
    await fi.desk.attend.resolve(early.id, officer("helsinki-wellbeing-services"))
    for day, hour, expected in (
        (27, 21, ["deadline-soon"]),
        (28, 1, ["deadline-overdue"]),
        (28, 4, ["deadline-overdue"]),
    ):
        _go_to(world, 2026, 11, day, hour)
        assert await _codes(fi) == expected
    [call] = await _calls(fi)
    await fi.desk.attend.resolve(call.id, officer("helsinki-wellbeing-services"))
    assert await _calls(fi) == []


async def test_an_answer_closes_the_calls(world: World) -> None:
    """Once the office has acknowledged, nobody is called about it any more, on either side."""
    request = await _asked(world)
    _go_to(world, 2026, 11, 30)
    assert len(await _calls(world["EE"])) == len(await _calls(world["FI"])) == 1

    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    assert await _calls(world["EE"]) == await _calls(world["FI"]) == []
    view = await world["FI"].view(request.procedure)
    assert [(item.deadline.id, item.phase) for item in view.deadlines] == [
        ("acknowledge", "MET_LATE"),
        ("answer-b2b-80", "OPEN"),
    ]


async def test_a_deadline_that_passes_changes_no_state(world: World) -> None:
    """However long nobody answers, the procedure stands where its messages left it, and the acts stay allowed."""
    request = await _asked(world)
    before = await world["FI"].view(request.procedure)
    world.clock.advance(3600 * 24 * 200)
    assert await _codes(world["FI"]) == ["deadline-overdue", "deadline-overdue"]
    after = await world["FI"].view(request.procedure)
    assert (after.state, after.digest, after.actions) == (before.state, before.digest, before.actions)


async def test_the_end_of_a_procedure_closes_its_calls(world: World) -> None:
    """A withdrawn request is nobody's deadline any more."""
    request = await _asked(world)
    _go_to(world, 2026, 11, 30)
    assert await _codes(world["FI"]) == ["deadline-overdue"]
    await world["EE"].submit("../family-tracing/withdrawal-no-reason.json", procedure=request.procedure)
    await world.settle()
    assert await _codes(world["FI"]) == []
    view = await world["FI"].view(request.procedure)
    assert {item.phase for item in view.deadlines} == {"ENDED"}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ("DELETE FROM case_key WHERE scope = :scope", "case-key-missing"),
        ("UPDATE outbox_content SET header = x'00' WHERE scope = :scope", "store-corrupt"),
    ],
)
async def test_a_procedure_that_does_not_open_hides_the_deadlines_of_no_other(
    world: World, spoil: str, code: str
) -> None:
    """P7, P9: its office is called for it, until it opens again; the others' deadlines are told in the same look."""
    estonia = world["EE"]
    spoilt, whole = await _asked(world), await _asked(world)
    _go_to(world, 2026, 11, 28)
    path, kept = estonia.url.removeprefix("sqlite:///"), {}
    with closing(sqlite3.connect(path)) as db, db:
        for table in ("case_key", "outbox_content"):
            kept[table] = db.execute(f"SELECT * FROM {table}").fetchall()
        db.execute(spoil, {"scope": f"FI:{spoilt.case_ref}"})
    for _ in range(2):
        [late] = await _calls(estonia)
        assert late.subject.startswith(whole.procedure)
    page = await estonia.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    [call] = [entry for entry in page.items if entry.code == "unreadable"]
    assert (call.subject, call.authority) == (spoilt.procedure, "social-insurance-board")
    assert call.detail == by_code()[code]().detail

    with closing(sqlite3.connect(path)) as db, db:
        for table, rows in kept.items():
            db.execute(f"DELETE FROM {table}")
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    assert len(await _calls(estonia)) == 2
    assert "unreadable" not in await estonia.attention()


@pytest.mark.parametrize("damaged", ["the correction", "what it corrects"])
async def test_a_correction_that_does_not_open_hides_no_deadline(world: World, damaged: str) -> None:
    """Nor one of a message that does not open: what it corrects is looked at anew with it, as far as it is known."""
    ee, fi = world["EE"], world["FI"]
    request, other = await _asked(world), await _asked(world)
    correction = json.loads(read_schema_file("examples/correction/restrict-accuracy-contested.json"))
    correction["sender"]["authority"] = "social-insurance-board"
    correction["recipient"] = {"country": "FI", "authority": "helsinki-wellbeing-services"}
    correction["body"]["targets"] = [request.digest]
    made = await ee.submit(correction)
    await world.settle()
    spoilt = made if damaged == "the correction" else request
    with closing(sqlite3.connect(fi.url.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE inbox_content SET header = x'00' WHERE id = ?", (spoilt.message,))
    _go_to(world, 2026, 11, 30)
    assert other.procedure in {call.subject.partition("/")[0] for call in await _calls(fi)}


async def test_a_case_whose_key_is_lost_takes_what_comes_and_is_told_on(world: World) -> None:
    """P7: a message about a child in danger waits for no repair; a new key makes nobody believe that the old one is back."""
    estonia = world["EE"]
    asked = await _asked(world)
    with closing(sqlite3.connect(estonia.url.removeprefix("sqlite:///"))) as db, db:
        db.execute("DELETE FROM case_key WHERE scope = :scope", {"scope": f"FI:{asked.case_ref}"})
    came = await world["FI"].submit("acknowledgement.json", procedure=asked.procedure)
    await world.settle()
    [shown] = await estonia.store.read(lambda reader: reader.messages_of(came.message, None))
    assert shown.digest == came.digest
    with pytest.raises(StoreCorrupt):
        await estonia.store.read(lambda reader: reader.messages_of(asked.message, None))
    await estonia.engine.remind()
    assert "unreadable" in await estonia.attention()
