# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where a submission belongs, and to whom it may not go."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.catalogue import Catalogue
from broker.core.arrangements import Arrangement, ArrangementRegister
from broker.core.errors import (
    ExerciseMismatch,
    NotAllowed,
    NotArranged,
    ProcedureMismatch,
    RecipientSuspended,
    VersionNotSupported,
)
from broker.core.ids import ArrangementId, AuthorityId, CountryCode, SchemaVersion
from broker.core.messages import Party
from broker.core.trust import Member, MemberStatus
from broker.schema_files import read_schema_file, read_schema_files
from broker.testing.world import Country, World
from broker.wiring import wire_desk


async def _nothing_stored(country: Country) -> None:
    assert not [name for name, number in (await country.counts()).items() if number]
    trail = await country.store.read(lambda reader: reader.audit(cursor=None, limit=5))
    assert trail.items == ()


async def test_what_opens_nothing_is_refused_before_a_safeguard_holds_it(world: World) -> None:
    """An answer that names no procedure is refused with the place that lacks: nothing waits for a second person."""
    with pytest.raises(NotAllowed) as caught:
        await world["FI"].submit("acknowledgement.json")
    assert caught.value.where == "/procedure"
    await _nothing_stored(world["FI"])


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


async def test_the_newest_common_version_is_taken(world: World) -> None:
    """A caller that names no version gets the newest one that the recipient lists."""
    accepted = await world["EE"].submit("request.json", version=None)
    row = await world["EE"].store.run(lambda tx: tx.outbox(accepted.message))
    assert row is not None
    assert row.entry.header.version == "1.0"


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
