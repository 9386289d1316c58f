# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What of a case went to whom, on which basis, and what is not confirmed."""

from __future__ import annotations

import json

import pytest

from broker.core.audit import AuditReason, Who
from broker.core.errors import NotFound
from broker.core.ids import AuthorityId, CaseRef, ProcedureId
from broker.core.roles import AuditRole
from broker.schema_files import read_schema_file
from broker.testing.world import World, officer

HELSINKI, CORRECTION = AuthorityId("helsinki-wellbeing-services"), "correction-birth-year"
BOARD, OTHER = AuthorityId("social-insurance-board"), AuthorityId("ministry-of-justice")
OPERATOR = Who(actor="cli:someone", role=AuditRole.OPERATOR, authority=BOARD)
ACCESS = AuditReason.ACCESS_REQUEST


async def test_both_directions_are_listed_with_basis_and_purpose(world: World) -> None:
    """What was sent says to whom, when, why and whether it arrived; what was received says from whom."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await world.settle()
    world.clock.advance(60)
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    assert request.case_ref is not None
    found = await ee.desk.disclosures(request.case_ref, OPERATOR, reason=ACCESS)

    assert [row.ref.id for row in found.procedures] == [request.procedure]
    out, back = found.items
    assert (out.direction, out.message, out.header.recipient.country) == ("out", request.message, "FI")
    assert (out.header.legal_basis and out.header.legal_basis.code, out.header.purpose is None) == ("B2B_80_1_B", False)
    assert out.reached == out.at
    assert (back.direction, back.header.sender.country, back.header.recipient.authority) == ("in", "FI", BOARD)
    assert found.corrections == ()
    assert await ee.desk.disclosures(request.procedure, OPERATOR, reason=ACCESS) == found


async def test_that_it_was_shown_is_on_record_in_each_procedure(world: World) -> None:
    """Who asked, under which role and why; a second request of the same case is a second entry."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await ee.desk.disclosures(request.procedure, OPERATOR, reason=ACCESS)
    (row, *_) = (await ee.store.read(lambda reader: reader.audit(cursor=None, limit=1))).items
    assert (row.actor, row.role, row.action) == ("cli:someone", "operator", "disclosures-shown")
    assert (row.subject, row.procedure, row.peer, row.reason) == (
        request.procedure, request.procedure, "FI", "access-request",
    )  # fmt: skip


async def test_another_office_and_an_unknown_case_have_nothing(world: World) -> None:
    """An office sees its own procedures alone, and what was not found leaves no entry."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    assert request.case_ref is not None
    stranger = Who(actor="cli:someone", role=AuditRole.OPERATOR, authority=OTHER)
    nothing = CaseRef("CR-00000000000000000000"), ProcedureId("01920000-0000-7000-8000-000000000009")
    for case, who in (
        (request.case_ref, stranger),
        (request.procedure, stranger),
        *((case, OPERATOR) for case in nothing),
    ):
        with pytest.raises(NotFound):
            await ee.desk.disclosures(case, who, reason=ACCESS)
    assert len((await ee.store.read(lambda reader: reader.audit(cursor=None, limit=9))).items) == 1


async def test_a_correction_is_unconfirmed_until_the_other_side_reports(world: World) -> None:
    """What was passed on stands there without a confirmation, and with its time once it came (GDPR 19)."""
    ee, fi = world["EE"], world["FI"]
    request, other = await ee.submit("request.json"), await ee.submit("request.json")
    await world.settle()
    restrict = json.loads(read_schema_file("examples/correction/restrict-accuracy-contested.json"))
    restrict["sender"]["authority"] = BOARD
    restrict["recipient"] = {"country": "FI", "authority": "helsinki-wellbeing-services"}
    restrict["body"]["targets"] = [request.digest]
    sent = await ee.submit(restrict, idempotency_key="restrict")
    await world.settle()
    for case in (sent.procedure, request.procedure):  # the correction itself, and the case that it corrects
        (waiting,) = (await ee.desk.disclosures(case, OPERATOR, reason=ACCESS)).corrections
        assert (waiting.disclosure.message, waiting.confirmed) == (sent.message, None)
        assert waiting.pending
    # another child's case shows nothing of it
    assert (await ee.desk.disclosures(other.procedure, OPERATOR, reason=ACCESS)).corrections == ()

    report = json.loads(read_schema_file("examples/correction/report-done.json"))
    report["recipient"] = {"country": "EE", "authority": BOARD}
    report["body"]["outcomes"] = [{"target": request.digest, "outcome": "DONE", "on": "2026-11-22"}]
    world.clock.advance(3600)
    await fi.submit(report, procedure=sent.procedure, idempotency_key="report")
    await world.settle()
    (confirmed,) = (await ee.desk.disclosures(sent.procedure, OPERATOR, reason=ACCESS)).corrections
    assert (confirmed.confirmed, confirmed.pending) == (world.clock.now(), False)


async def test_a_correction_within_a_procedure_is_confirmed_when_it_was_seen(world: World) -> None:
    """It waits until an officer there has opened it."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    act = json.loads(read_schema_file(f"examples/acts/{CORRECTION}.json"))
    ours = {**act, "sender": {"authority": BOARD}, "body": {**act["body"], "target": request.digest}}
    sent = await ee.submit(ours, procedure=request.procedure, idempotency_key="ours")
    await world.settle()
    (waiting,) = (await ee.desk.disclosures(request.procedure, OPERATOR, reason=ACCESS)).corrections
    assert (waiting.disclosure.message, waiting.confirmed, waiting.pending) == (sent.message, None, True)
    await fi.desk.open_message(sent.message, officer(HELSINKI, "o"))
    await world.settle()
    (seen,) = (await ee.desk.disclosures(request.procedure, OPERATOR, reason=ACCESS)).corrections
    assert (seen.confirmed, seen.pending) == (world.clock.now(), False)


async def test_what_did_not_arrive_reached_nobody(world: World) -> None:
    """A person who asks who has the data is not told of a country that never got it; who sent the data stands beside."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    (waiting,) = (await ee.desk.disclosures(request.procedure, OPERATOR, reason=ACCESS)).items
    assert waiting.reached is None
    await world.settle()
    (arrived,) = (await ee.desk.disclosures(request.procedure, OPERATOR, reason=ACCESS)).items
    assert arrived.reached is not None


async def test_a_rectification_is_listed_where_it_was_passed_on(world: World) -> None:
    """Whoever received it passed nothing on; the other side still has it to answer. The operator's look is the office's."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    rectify = json.loads(read_schema_file("examples/correction/rectify-birth-year.json"))
    rectify["sender"]["authority"] = BOARD
    rectify["recipient"] = {"country": "FI", "authority": str(HELSINKI)}
    rectify["body"] |= {"targets": [request.digest]}
    rectify["body"]["fields"][0]["pointer"] = "/child/birth/value/date"
    sent = await ee.submit(rectify)
    await world.settle()
    node = Who(actor="cli:someone", role=AuditRole.OPERATOR)
    (ours,) = (await ee.desk.disclosures(request.procedure, node, reason=ACCESS)).corrections
    assert (ours.disclosure.message, ours.pending) == (sent.message, True)
    assert (await fi.desk.disclosures(request.procedure, node, reason=ACCESS)).corrections == ()
    for country, office in ((ee, BOARD), (fi, HELSINKI)):
        (row,) = (await country.store.read(lambda reader: reader.audit(cursor=None, limit=1))).items
        assert (row.action, row.authority) == ("disclosures-shown", office)
