# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What people see of a procedure."""

from __future__ import annotations

import pytest

from broker.core.errors import NotFound
from broker.core.ids import AuthorityId, ProcedureId
from broker.testing.world import World

OFFICE, OTHER = AuthorityId("social-insurance-board"), AuthorityId("ministry-of-justice")


async def test_each_side_sees_what_it_may_do_next(world: World) -> None:
    """After the request the requesting side may withdraw, the requested side answer and either ask; nobody may request again."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    ours, theirs = await world["EE"].view(request.procedure), await world["FI"].view(request.procedure)
    assert (ours.role, theirs.role) == ("REQUESTING", "REQUESTED")
    either = {"status", "clarification", "clarification-answer", "participant-change", "correction"}
    answers = {"acknowledgement", "partial-result", "result", "refusal", "forward-notice", "extension-notice"}
    assert set(ours.actions) == {"withdrawal"} | either
    assert set(theirs.actions) == answers | either


async def test_what_belongs_to_another_office_is_not_there(world: World) -> None:
    """Procedure and timeline are shown to the office that they belong to, and unknown ones to nobody."""
    request = await world["EE"].submit("request.json")
    inspect = world["EE"].desk.inspect
    assert (await inspect.procedure(request.procedure, authority=OFFICE)).state == "REQUESTED"
    for procedure, office in ((request.procedure, OTHER), (ProcedureId(request.message), OFFICE)):
        with pytest.raises(NotFound):
            await inspect.procedure(procedure, authority=office)
        with pytest.raises(NotFound):
            await inspect.timeline(procedure, authority=office)


async def test_a_message_becomes_final_by_the_other_sides_receipt(world: World) -> None:
    """Before the receipt the own message may still change its place; afterwards it may not."""
    request = await world["EE"].submit("request.json")
    assert [line.final for line in (await world["EE"].view(request.procedure)).entries] == [False]
    await world.settle()
    assert [line.final for line in (await world["EE"].view(request.procedure)).entries] == [True]


async def test_the_timeline_of_the_receiving_side_begins_with_its_receipt(world: World) -> None:
    """The recipient did not see the recording and publishing; its steps are what it signed itself."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    lines = await world["FI"].desk.inspect.timeline(request.procedure, authority=None)
    assert [(line.who, line.state) for line in lines] == [("FI", "delivered"), ("FI", "handed-over")]
