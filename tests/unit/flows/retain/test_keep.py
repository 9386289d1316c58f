# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A case is held and kept by persons, for reasons, with a date."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from broker.core.audit import Who
from broker.core.errors import AlreadySettled, BadRequest, Forbidden, NotFound
from broker.core.ids import AuthorityId
from broker.core.retention import LONGEST_KEEP_DAYS, HoldReason, KeepReason
from broker.core.roles import AuditRole
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.world import World


async def test_every_case_has_a_review_date(world: World, ended: Accepted, first: Who) -> None:
    """A year from its newest message, on the calendar; a list names the next one first and only what is due if asked."""
    ee = world["EE"]
    standing = await ee.desk.keep.standing(ended.procedure, first.authority)
    assert standing.review == date(standing.last.year + 1, standing.last.month, standing.last.day)
    world.clock.advance(40 * 86_400)
    later = await ee.submit("request.json")
    listed = await ee.desk.keep.listed(first.authority, due_only=False)
    assert [item.case.procedures[0] for item in listed.items] == [ended.procedure, later.procedure]
    assert (await ee.desk.keep.listed(first.authority, due_only=True)).items == ()
    assert (await ee.desk.keep.listed(AuthorityId("ministry-of-justice"), due_only=False)).items == ()

    world.clock.advance(330 * 86_400)
    due = await ee.desk.keep.listed(first.authority, due_only=True)
    assert [item.case.procedures[0] for item in due.items] == [ended.procedure]


async def test_a_legal_hold_is_set_and_released_on_record(world: World, ended: Accepted, first: Who) -> None:
    """Once each; the trail says who, when and why, with the case's reference."""
    ee = world["EE"]
    held = await ee.desk.keep.hold(ended.procedure, HoldReason.COURT_PROCEEDINGS, first)
    assert held.retained is not None
    assert (held.retained.hold, held.retained.held_by) == (HoldReason.COURT_PROCEEDINGS, "first")
    with pytest.raises(AlreadySettled):
        await ee.desk.keep.hold(ended.procedure, HoldReason.COMPLAINT, first)
    released = await ee.desk.keep.release(ended.procedure, first)
    assert released.retained is not None
    assert released.retained.hold is None
    with pytest.raises(AlreadySettled):
        await ee.desk.keep.release(ended.procedure, first)
    page = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=2))
    assert [(row.action, row.actor, row.subject, row.reason) for row in page.items] == [
        ("legal-hold-ended", "first", ended.case_ref, "court-proceedings"),
        ("legal-hold", "first", ended.case_ref, "court-proceedings"),
    ]


async def test_a_review_counts_until_something_new_comes(world: World, ended: Accepted, first: Who) -> None:
    """The day that a person gave stands; a later message begins the rule's time anew."""
    ee = world["EE"]
    until = world.clock.now().date() + timedelta(days=1000)
    kept = await ee.desk.keep.review(ended.procedure, until, KeepReason.CLAIMS_POSSIBLE, first)
    assert kept.review == until
    sooner = world.clock.now().date() + timedelta(days=10)
    assert (await ee.desk.keep.review(ended.procedure, sooner, KeepReason.CASE_GOES_ON, first)).review == sooner

    world.clock.advance(5 * 86_400)
    assert (await ee.desk.keep.standing(ended.procedure, first.authority)).review == sooner
    reopening = json.loads(read_schema_file("examples/acts/reopening-new-information.json"))
    await world["FI"].submit(reopening, procedure=ended.procedure)
    await world.settle()
    assert (await ee.desk.keep.standing(ended.procedure, first.authority)).review > sooner + timedelta(days=300)


async def test_nobody_else_decides(world: World, ended: Accepted, first: Who) -> None:
    """No system, no other office; no day behind us or without end. Nothing is stored."""
    ee = world["EE"]
    today = world.clock.now().date()
    with pytest.raises(Forbidden):
        await ee.desk.keep.hold(ended.procedure, HoldReason.COMPLAINT, replace(first, role=AuditRole.SYSTEM))
    stranger = replace(first, authority=AuthorityId("ministry-of-justice"))
    with pytest.raises(NotFound):
        await ee.desk.keep.hold(ended.procedure, HoldReason.COMPLAINT, stranger)
    for day in (today, today + timedelta(days=LONGEST_KEEP_DAYS + 1)):
        with pytest.raises(BadRequest):
            await ee.desk.keep.review(ended.procedure, day, KeepReason.DUTY_OF_LAW, first)
    assert (await ee.desk.keep.standing(ended.procedure, first.authority)).retained is None


async def test_a_long_list_is_read_to_its_end_or_says_that_there_is_more(
    world: World, first: Who, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No case is out of sight because others are before it."""
    monkeypatch.setattr("broker.flows.retain.keep._PAGE", 1)
    ee = world["EE"]
    for _ in range(3):
        await ee.submit("request.json")
    whole = await ee.desk.keep.listed(first.authority, due_only=False)
    assert (len(whole.items), whole.truncated) == (3, False)
    monkeypatch.setattr("broker.flows.retain.keep._MOST", 2)
    part = await ee.desk.keep.listed(first.authority, due_only=False)
    assert (len(part.items), part.truncated) == (2, True)
