# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message is stored under its procedure's lock, with everything that belongs to it."""

from __future__ import annotations

import asyncio
import json

import pytest

from broker.core import capacity
from broker.core.errors import NotAllowed, NotParticipant, RecordFull
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.core.roles import AuditRole
from broker.schema_files import read_schema_file
from broker.testing.world import World


async def test_two_callers_cannot_both_take_one_step(world: World) -> None:
    """Of two acknowledgements at the same moment one is recorded and the other is refused by the state it made."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    answers = await asyncio.gather(
        *(world["FI"].submit("acknowledgement.json", procedure=request.procedure) for _ in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Accepted", NotAllowed.__name__]
    assert len((await world["FI"].view(request.procedure)).entries) == 2


async def test_nobody_is_asked_about_what_the_procedure_has_no_place_for(world: World) -> None:
    """It is refused as one that no safeguard holds would be: a second person could not let it leave either."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    again = json.loads(read_schema_file("examples/demo/request.json"))
    again["body"]["child_wish"]["heard"]["wants_tracing"] = "NO"
    with pytest.raises(NotAllowed, match=r"In the state REQUESTED this side may send: .*withdrawal") as refused:
        await ee.submit(again, procedure=request.procedure)
    assert refused.value.where == "/type"
    assert (await ee.store.read(lambda reader: reader.drafts(None, cursor=None, limit=9))).items == ()
    assert await ee.attention() == []


async def test_each_accepted_message_has_its_audit_row(world: World) -> None:
    """The trail says who disclosed what to whom on which basis, under which role; a repetition adds no row."""
    for _ in range(2):
        accepted = await world["EE"].submit("request.json", idempotency_key="k", role=AuditRole.OPERATOR)
    (row,) = (await world["EE"].store.read(lambda reader: reader.audit(cursor=None, limit=5))).items
    assert (row.actor, row.role, row.action, row.subject) == ("test", "operator", "submitted", accepted.message)
    assert (row.detail, row.procedure, row.peer) == ("family-tracing.request", accepted.procedure, "FI")
    assert (row.authority, row.reason) == ("social-insurance-board", "B2B_80_1_B")


async def test_a_message_goes_to_the_office_that_has_the_procedure(world: World) -> None:
    """Another office of the same country is refused: it would read about a child whose case it does not have."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    elsewhere = Party(country=CountryCode("EE"), authority=AuthorityId("ministry-of-justice"))
    with pytest.raises(NotParticipant) as refused:
        await world["FI"].submit("acknowledgement.json", procedure=request.procedure, recipient=elsewhere)
    assert refused.value.where == "/recipient/authority"
    assert "social-insurance-board" in refused.value.detail
    assert (await world["FI"].counts())["outbox.recorded"] == 0


async def test_a_full_record_takes_only_what_must_get_through(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its room this side is told so and nothing is stored; a withdrawal still goes out."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    monkeypatch.setattr(capacity, "MOST_BY_ONE_SIDE", 2)
    monkeypatch.setattr(capacity, "RESERVED", 1)
    with pytest.raises(RecordFull) as caught:
        await world["EE"].submit("request.json", procedure=request.procedure)
    assert caught.value.where == "/procedure"
    assert len(await world["EE"].store.read(lambda reader: reader.record(request.procedure))) == 1

    withdrawal = json.loads(read_schema_file("examples/family-tracing/withdrawal-no-reason.json"))
    sent = await world["EE"].submit({**withdrawal, "procedure": request.procedure})
    assert sent.procedure == request.procedure
