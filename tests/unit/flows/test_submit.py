# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Taking a message from a caller."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core import capacity
from broker.core.arrangements import Arrangement, ArrangementRegister
from broker.core.errors import (
    ExerciseMismatch,
    NotAllowed,
    NotArranged,
    NotParticipant,
    ProcedureMismatch,
    RecipientSuspended,
    RecordFull,
    SafeguardBlocked,
    SenderError,
    TooLargeToSend,
    VersionNotSupported,
)
from broker.core.ids import ArrangementId, AuthorityId, CountryCode, SchemaVersion
from broker.core.messages import Party
from broker.core.roles import AuditRole
from broker.core.trust import Member, MemberStatus
from broker.rows import Accepted
from broker.schema_files import read_schema_file, read_schema_files
from broker.testing.world import Country, World
from broker.wiring import wire_desk


def _request() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
    return data


def _endangering() -> dict[str, Any]:
    data = _request()
    data["body"]["danger_assessment"]["would_endanger"] = "YES"
    return data


def _huge() -> dict[str, Any]:
    data = _request()
    person = data["body"]["persons_sought"][0]
    lines = [f"{number:02}" + "\U0001f54a" * 190 for number in range(20)]
    person |= {"aliases": lines, "do_not_tell": lines, "note": "\U0001f54a" * 1990}
    person["evidence"] = [dict(person["evidence"][0], description=line) for line in lines[:10]]
    people = [copy.deepcopy(person) for _ in range(20)]
    data["body"]["persons_sought"] = [dict(one, person=f"P{number}") for number, one in enumerate(people, 1)]
    return data


async def _nothing_stored(country: Country) -> None:
    assert not [name for name, number in (await country.counts()).items() if number]
    page = await country.store.read(lambda reader: reader.procedures(None, cursor=None, limit=5))
    trail = await country.store.read(lambda reader: reader.audit(cursor=None, limit=5))
    assert (page.items, trail.items) == ((), ())


@pytest.mark.parametrize(
    ("data", "error", "where"),
    [
        (_endangering(), SafeguardBlocked, "/body/danger_assessment/would_endanger"),
        (_huge(), TooLargeToSend, "/body"),
    ],
    ids=["blocked", "too large"],
)
async def test_what_may_not_leave_is_not_stored(
    world: World, data: dict[str, Any], error: type[SenderError], where: str
) -> None:
    """A blocked or too large message leaves no entry, no procedure and no audit row; its key stays free."""
    with pytest.raises(error) as caught:
        await world["EE"].submit(data, idempotency_key="k")
    assert caught.value.where == where
    await _nothing_stored(world["EE"])

    mended = await world["EE"].submit("request.json", idempotency_key="k")
    assert not mended.repeated


async def test_a_procedure_keeps_its_exercise_mark(world: World) -> None:
    """Nobody goes on with a real procedure as an exercise, nor with an exercise as real; nothing is added."""
    for exercise in (False, True):
        request = await world["EE"].submit("request.json", exercise=exercise)
        await world.settle()
        with pytest.raises(ExerciseMismatch) as caught:
            await world["FI"].submit("acknowledgement.json", procedure=request.procedure, exercise=not exercise)
        assert caught.value.where == "/exercise"
        assert len((await world["FI"].view(request.procedure)).entries) == 1


async def test_a_procedure_stays_between_its_two_countries(world: World) -> None:
    """A message of an open procedure cannot be addressed to a third country."""
    request = await world["EE"].submit("request.json")
    elsewhere = Party(country=CountryCode("SE"), authority=AuthorityId("gender-equality-agency"))
    with pytest.raises(ProcedureMismatch) as caught:
        await world["EE"].submit("request.json", procedure=request.procedure, recipient=elsewhere)
    assert caught.value.where == "/recipient/country"
    assert (await world["EE"].counts())["outbox.recorded"] == 1


async def test_a_suspended_country_is_sent_nothing(world: World) -> None:
    """Addressing a suspended country is refused before anything is stored."""

    def change(member: Member) -> Member:
        return replace(member, status=MemberStatus.SUSPENDED) if member.country == "FI" else member

    world.set_trust(change)
    await world["EE"].trust.refresh()
    with pytest.raises(RecipientSuspended):
        await world["EE"].submit("request.json")
    await _nothing_stored(world["EE"])


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


async def test_an_idempotency_key_belongs_to_actor_office_and_route(world: World) -> None:
    """The same key of another actor or route stands for another message."""
    ee = world["EE"]
    answers = [
        await ee.submit("request.json", idempotency_key="k", **changes)
        for changes in ({}, {"actor": "somebody-else"}, {"route": "filedrop"})
    ]
    assert len({answer.message for answer in answers}) == 3
    assert not any(answer.repeated for answer in answers)


async def test_each_accepted_message_has_its_audit_row(world: World) -> None:
    """The trail says who disclosed what to whom on which basis, under which role; a repetition adds no row."""
    for _ in range(2):
        accepted = await world["EE"].submit("request.json", idempotency_key="k", role=AuditRole.OPERATOR)
    (row,) = (await world["EE"].store.read(lambda reader: reader.audit(cursor=None, limit=5))).items
    assert (row.actor, row.role, row.action, row.subject) == ("test", "operator", "submitted", accepted.message)
    assert (row.detail, row.procedure, row.peer) == ("family-tracing.request", accepted.procedure, "FI")
    assert (row.authority, row.reason) == ("social-insurance-board", "B2B_80_1_B")


async def test_the_newest_common_version_is_taken(world: World) -> None:
    """A caller that names no version gets the newest one that the recipient lists."""
    accepted = await world["EE"].submit("request.json", version=None)
    row = await world["EE"].store.run(lambda tx: tx.outbox(accepted.message))
    assert row is not None
    assert row.entry.header.version == "1.0"


async def test_what_was_accepted_stays_accepted(world: World) -> None:
    """A caller that repeats gets its first answer also when the message would be refused by now."""
    first = await world["EE"].submit("request.json", idempotency_key="k")
    world.set_trust(lambda member: replace(member, status=MemberStatus.SUSPENDED) if member.country == "FI" else member)
    await world["EE"].trust.refresh()
    again = await world["EE"].submit("request.json", idempotency_key="k")
    assert again == replace(first, repeated=True)
    with pytest.raises(RecipientSuspended):
        await world["EE"].submit("request.json", idempotency_key="another")


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


def _arranged(world: World, *countries: str) -> ArrangementRegister:
    """Return a register by which family tracing is arranged between these countries, up to today."""
    today = world.clock.now().date()
    arrangement = Arrangement(
        id=ArrangementId("example"),
        title="Example",
        agreement="Made up",
        source="tests",
        members=frozenset(map(CountryCode, countries)),
        procedures=frozenset({"family-tracing"}),
        first_day=today - timedelta(days=1),
        last_day=today,
    )
    return ArrangementRegister(arrangements=(arrangement,))


async def test_what_no_arrangement_covers_is_not_sent(world: World) -> None:
    """Under a register of others' arrangements a request is refused before anything is stored; who must act is named."""
    world.set_arrangements(_arranged(world, "EE", "SE"))
    await world["EE"].trust.refresh()
    with pytest.raises(NotArranged) as refused:
        await world["EE"].submit("request.json")
    assert (refused.value.where, str(refused.value.who)) == ("/type", "federation")
    await _nothing_stored(world["EE"])

    world.set_arrangements(_arranged(world, "EE", "FI"))
    await world["EE"].trust.refresh()
    assert not (await world["EE"].submit("request.json")).repeated


async def test_an_open_case_is_brought_to_its_end_when_its_arrangement_ends(world: World) -> None:
    """The answer and the withdrawal of yesterday's request leave today; a new request does not."""
    world.set_arrangements(_arranged(world, "EE", "FI"))
    for country in ("EE", "FI"):
        await world[country].trust.refresh()
    request = await world["EE"].submit("request.json")
    await world.settle()
    world.clock.advance(timedelta(days=1).total_seconds())

    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    with pytest.raises(NotArranged):
        await world["EE"].submit("request.json")
    await world.settle()
    assert (await world["EE"].view(request.procedure)).state == "ACKNOWLEDGED"


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


# --- which table opens a procedure -----------------------------------------------------------------------------------


def _listing(world: World, *versions: str, country: str = "FI") -> None:
    """Let a country list these versions of family tracing, and one of something else."""
    listed = {"family-tracing": tuple(map(SchemaVersion, versions))} if versions else {}
    world.set_trust(
        lambda member: (
            replace(member, procedures={**listed, "notice": (SchemaVersion("1.0"),)})
            if member.country == "FI"
            else member
        )
    )


async def test_a_procedure_that_the_recipient_does_not_list_is_not_opened(world: World) -> None:
    """The refusal says who must act, and nothing is stored; what is open already goes on by its own table."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await world.settle()
    for versions in ((), ("2.0",)):
        _listing(world, *versions)
        await ee.trust.refresh()
        with pytest.raises(VersionNotSupported, match="officers have signed a member document"):
            await ee.submit("request.json")
    procedures = await ee.store.read(lambda reader: reader.procedures(None, cursor=None, limit=9))
    assert [row.ref.id for row in procedures.items] == [request.procedure]
    _listing(world, "2.0", country="EE")
    await world["FI"].trust.refresh()
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    assert (await ee.view(request.procedure)).state == "ACKNOWLEDGED"


async def test_the_newest_table_that_the_recipient_lists_opens_it(world: World) -> None:
    """A country that upgraded first still opens by the table that the other one has."""
    ee = world["EE"]
    raw = json.dumps(json.loads(read_schema_file("procedures/family-tracing.json")) | {"version": "0.9"}).encode()
    both = Catalogue.from_files(read_schema_files(), {"procedures/before.json": raw})
    desk = wire_desk(
        ee.us,
        store=ee.store,
        blobs=ee.blobs,
        compute=ee.desk.compute,
        catalogue=both,
        trust=ee.trust,
        clock=world.clock,
        ids=ee.ids,
        wake=lambda: None,
    )
    for versions, chosen in ((("0.9",), "0.9"), (("0.9", "1.0"), "1.0"), (("0.8", "0.9"), "0.9")):
        _listing(world, *versions)
        await ee.trust.refresh()
        made = await desk.submit(ee.submission("request.json"))
        row = await ee.store.read(lambda reader, made=made: reader.procedure(made.procedure, None))
        assert row is not None
        assert row.ref.version == chosen


async def _asylum_request(world: World) -> Accepted:
    data = json.loads(read_schema_file("examples/family-tracing/request-notice-of-official-channel.json"))
    data["recipient"] = {"country": "FI", "authority": "helsinki-wellbeing-services"}
    data["sender"] = {"authority": "social-insurance-board"}
    data["body"]["family_protection_claims"] = {"not_applicable": True}
    for claimed in (data["body"], *data["body"]["persons_sought"]):
        claimed["protection_claim"] = {**data["body"]["protection_claim"], "status": "NONE"}
    request = await world["EE"].submit(data)
    await world.settle()
    return request


async def _extend(world: World, request: Accepted, deadline: str) -> Accepted:
    data: dict[str, Any] = json.loads(read_schema_file("examples/acts/extension-notice-two-weeks.json"))
    data["body"]["deadline"] = deadline
    return await world["FI"].submit(data, procedure=request.procedure)


async def test_a_deadline_is_extended_only_where_its_source_allows_it_and_once(world: World) -> None:
    """IR2055 11 allows two weeks more; the acknowledgement's time and a statutory one without such words do not move."""
    request = await _asylum_request(world)
    for deadline in ("acknowledge", "no-such-deadline"):
        with pytest.raises(NotAllowed) as refused:
            await _extend(world, request, deadline)
        assert refused.value.where == "/body/deadline"
        assert "answer-ir2055-11" in refused.value.detail
    await _extend(world, request, "answer-ir2055-11")
    with pytest.raises(NotAllowed) as refused:
        await _extend(world, request, "answer-ir2055-11")
    assert "none" in refused.value.detail
    assert [line.act for line in (await world["FI"].view(request.procedure)).entries] == ["request", "extension-notice"]


async def test_a_deadline_that_has_passed_is_not_extended(world: World) -> None:
    """Whoever announces it too late is late."""
    request = await _asylum_request(world)
    world.clock.advance(16 * 24 * 3600)
    with pytest.raises(NotAllowed):
        await _extend(world, request, "answer-ir2055-11")
    assert len((await world["FI"].view(request.procedure)).entries) == 1


async def test_what_is_not_known_of_a_country_is_told_to_the_author(world: World) -> None:
    """The message leaves, with the open question; a repetition of the key tells it again."""
    accepted = await world["EE"].submit("request.json", idempotency_key="k")
    assert [(one.rule, one.code) for one in accepted.warnings] == [("R-31", "competence-not-known")]
    again = await world["EE"].submit("request.json", idempotency_key="k")
    assert (again.repeated, again.warnings) == (True, accepted.warnings)
