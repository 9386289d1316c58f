# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a believed message fits: what is arranged, its procedure, and who takes part."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.arrangements import Arrangement, ArrangementRegister
from broker.core.canonical import parse
from broker.core.content import entry_of
from broker.core.ids import ArrangementId, AuthorityId, CaseRef, CountryCode, Digest, SchemaVersion
from broker.core.messages import OutboxKind, Party, ProcedureRef
from broker.core.receipts import Receipt, ReceiptKind
from broker.core.trust import Authority
from broker.rows import Accepted, MessageFilter
from broker.schema_files import read_schema_file, read_schema_files
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
NOWHERE = Digest("0" * 64)


async def _about(country: Country, accepted: Any, author: CountryCode = EE) -> tuple[Receipt, ...]:
    message = accepted.message if isinstance(accepted, Accepted) else accepted.id
    return await country.store.read(lambda reader: reader.receipts_about(author, message))


async def test_an_office_that_is_not_listed_waits_for_the_trust_list(world: World, asking: Hostile) -> None:
    """It is neither taken nor refused: parked, and taken once the list names the office."""
    entry = asking.message("request.json", sender=Party(country=EE, authority=AuthorityId("new-office")))
    assert await asking.send(entry) == "unknown-authority"
    fi = world["FI"]
    assert (await fi.counts())["parked"] == 1
    assert await _about(fi, entry) == ()

    office = Authority(id=AuthorityId("new-office"), name="Uus amet (näidis)", languages=("et",))
    world.set_trust(
        lambda member: replace(member, authorities=(*member.authorities, office)) if member.country == EE else member
    )
    await fi.engine.refresh_trust()
    await fi.offer_parked()
    assert fi.outcomes == ["recorded"]
    assert (await fi.counts())["parked"] == 0


@pytest.mark.parametrize("side", ["sender", "recipient"])
async def test_a_follow_up_of_other_offices_is_refused(world: World, asking: Hostile, side: str) -> None:
    """Only the offices that opened the procedure write in it: a listed one of the same country is refused, signed."""
    request = asking.message("request.json")
    assert await asking.send(request) == "recorded"
    ours, theirs = AuthorityId("ministry-of-justice"), AuthorityId("ministry-of-justice")
    party = Party(country=EE, authority=ours) if side == "sender" else Party(country=FI, authority=theirs)
    follow_up = asking.message(
        "request.json", procedure=request.header.procedure, parents=(request.digest,),
        case_ref=request.header.case_ref, **{side: party},
    )  # fmt: skip
    assert await asking.send(follow_up) == "not-participant"

    (refusal,) = await _about(world["FI"], follow_up)
    assert (refusal.kind, refusal.code) == (ReceiptKind.REFUSED, "not-participant")
    listed = await world["FI"].store.read(
        lambda reader: reader.messages(MessageFilter(direction="in"), cursor=None, limit=10)
    )
    assert [row.id for row in listed.items] == [request.id]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recipient": Party(country=FI, authority=AuthorityId("nobody"))}, "procedure-mismatch"),
        ({"case_ref": None}, "procedure-mismatch"),
        ({"case_ref": CaseRef("EX-CR-00000000000000000000")}, "exercise-mismatch"),
        ({"exercise": True}, "exercise-mismatch"),
    ],
    ids=["no such office", "no case", "exercise case in a real message", "real case in an exercise"],
)
async def test_an_opening_that_does_not_fit_is_refused_without_a_procedure(
    world: World, asking: Hostile, changes: dict[str, Any], code: str
) -> None:
    """Its author gets a signed refusal with the code; no procedure is opened and nobody sees a message."""
    entry = asking.message("request.json", **changes)
    assert await asking.send(entry) == code
    assert [(receipt.kind, receipt.code) for receipt in await _about(world["FI"], entry)] == [("refused", code)]
    procedures = await world["FI"].store.read(lambda reader: reader.procedures(None, cursor=None, limit=9))
    assert procedures.items == ()
    assert not [name for name, n in (await world["FI"].counts()).items() if n and name.startswith("inbox")]


async def test_what_no_arrangement_covers_is_refused_and_signed_for(world: World, asking: Hostile) -> None:
    """Believed, but not arranged: the author learns the code at once, and nobody here sees the message."""
    entry = asking.message("request.json")
    world.set_arrangements(ArrangementRegister())
    await world["FI"].trust.refresh()
    assert await asking.send(entry) == "not-arranged"
    assert [(receipt.kind, receipt.code) for receipt in await _about(world["FI"], entry)] == [
        ("refused", "not-arranged")
    ]
    assert not [name for name, n in (await world["FI"].counts()).items() if n and name.startswith("inbox")]


def _about_tracing(*, last_day: date | None = None) -> ArrangementRegister:
    return ArrangementRegister(
        arrangements=(
            Arrangement(
                id=ArrangementId("example-tracing"),
                title="Example",
                agreement="Made up",
                source="tests",
                members=frozenset({EE, FI}),
                procedures=frozenset({"family-tracing"}),
                first_day=date(2020, 1, 1),
                last_day=last_day,
            ),
        )
    )


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=6)], ids=["right", "ahead"])
async def test_an_arrangement_that_our_list_does_not_know_yet_is_asked_for_first(
    world: World, asking: Hostile, ahead: timedelta
) -> None:
    """Under a list from before the message came, by whatever clock, nothing is refused: a newer one lets it in."""
    fi = world["FI"]
    world.set_arrangements(ArrangementRegister())
    fi.clock.ahead = ahead
    await fi.trust.refresh()
    fi.clock.ahead = timedelta(0)
    world.set_arrangements(_about_tracing())
    world.clock.advance(1)
    entry = asking.message("request.json")
    assert await asking.send(entry) == "trust-list-stale"
    assert (await fi.counts())["parked"] == 1
    assert await _about(fi, entry) == ()

    await fi.engine.refresh_trust()
    await fi.offer_parked()
    assert fi.outcomes == ["recorded"]
    assert (await fi.counts())["parked"] == 0


@pytest.mark.parametrize("source_answers", [True, False])
@pytest.mark.parametrize("which", ["register", "office"])
async def test_after_a_look_or_an_hour_the_refusal_is_final(
    world: World, asking: Hostile, which: str, source_answers: bool
) -> None:
    """A fresh list that knows no better decides; so does an hour in which the source gave none."""
    fi = world["FI"]
    if which == "register":
        world.set_arrangements(ArrangementRegister())
        await fi.trust.refresh()
    office = AuthorityId("nobody" if which == "office" else "helsinki-wellbeing-services")
    world.clock.advance(1)
    entry = asking.message("request.json", recipient=Party(country=FI, authority=office))
    assert await asking.send(entry) == "trust-list-stale"
    world.clock.advance(3540)
    await fi.offer_parked()
    assert fi.outcomes == ["trust-list-stale"]
    if source_answers:
        await fi.trust.refresh()
    world.clock.advance(60)
    await fi.offer_parked()
    code = "not-arranged" if which == "register" else "procedure-mismatch"
    assert fi.outcomes == ["trust-list-stale", code]
    assert [(receipt.kind, receipt.code) for receipt in await _about(fi, entry)] == [("refused", code)]


async def test_an_opening_of_an_earlier_day_opens_nothing_that_has_ended(world: World, asking: Hostile) -> None:
    """Neither the message's own day nor that in its procedure's id reaches back under an arrangement of last month."""
    world.set_arrangements(_about_tracing(last_day=(world.clock.now() - timedelta(days=8)).date()))
    await world["FI"].trust.refresh()
    backdated = asking.message("request.json", created=world.clock.now() - timedelta(days=20))
    assert await asking.send(backdated) == "not-arranged"
    assert not [name for name, n in (await world["FI"].counts()).items() if n and name.startswith("inbox")]


async def test_a_withdrawal_is_taken_without_an_arrangement(world: World, asking: Hostile) -> None:
    """The register empties while a request is open: what calls the enquiry off still takes effect."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    world.set_arrangements(ArrangementRegister())
    for country in ("EE", "FI"):
        await world[country].trust.refresh()
    data = json.loads(read_schema_file("examples/family-tracing/withdrawal-no-reason.json"))
    withdrawal = await world["EE"].submit(data, procedure=request.procedure)
    await world.settle()
    assert [receipt.kind for receipt in await _about(world["FI"], withdrawal)] == ["delivered", "handed-over"]
    assert (await world["FI"].view(request.procedure)).state == "WITHDRAWN"


async def test_a_newer_schema_version_waits(world: World, asking: Hostile) -> None:
    """A version that the catalogue does not have yet is parked, not refused: the catalogue may come."""
    assert await asking.send(asking.message("request.json", version=SchemaVersion("9.0"))) == "unknown-schema-version"
    assert (await world["FI"].counts())["parked"] == 1


async def test_a_newer_procedure_table_waits_for_its_catalogue(world: World, asking: Hostile) -> None:
    """Opened by a table that this node does not have, a procedure is parked, and taken once the catalogue is there."""
    fi, name = world["FI"], "family-tracing"
    raw = json.dumps(json.loads(read_schema_file(f"procedures/{name}.json")) | {"version": "9.0"}).encode()
    newer = Catalogue.from_files(read_schema_files(), {"procedures/newer.json": raw})
    table = newer.known_tables(name)[0]
    ref = ProcedureRef(id=world["EE"].ids.procedure_id(), name=name, version=table.version, digest=table.digest)
    entry = asking.message("request.json", procedure=ref)
    assert await asking.send(entry) == "unknown-schema-version"
    assert ((await fi.counts())["parked"], await _about(fi, entry)) == (1, ())

    admission = fi.engine.receive._reception._admission
    admission._catalogue = admission._ledger._catalogue = newer  # a node takes a newer one when it starts
    world.clock.advance(61)
    await fi.offer_parked()
    assert fi.outcomes == ["recorded"]
    assert (await fi.counts())["parked"] == 0


@pytest.mark.parametrize("exercise", [False, True], ids=["exercise in real", "real in exercise"])
async def test_a_later_message_keeps_the_exercise_mark(world: World, asked: Hostile, exercise: bool) -> None:
    """An exercise message in a real procedure, and the reverse, is refused and leaves a stub without effect."""
    request = await world["EE"].submit("request.json", exercise=exercise)
    await world.settle()
    view = await world["FI"].view(request.procedure)
    reference = ("" if exercise else "EX-") + "CR-00000000000000000000"
    answer = asked.message(
        "acknowledgement.json", procedure=view.row.ref, parents=view.heads,
        exercise=not exercise, case_ref=CaseRef(reference),
    )  # fmt: skip
    assert await asked.send(answer) == "exercise-mismatch"
    ours = await world["EE"].view(request.procedure)
    assert [(line.mark, line.code) for line in ours.entries] == [("effect", None), ("stub", "exercise-mismatch")]
    assert ours.state == "REQUESTED"


async def test_a_third_country_cannot_write_into_a_procedure(world: World, asked: Hostile) -> None:
    """A member that knows a foreign procedure's id is refused, and the procedure of the two gets no stub."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    before = await world["EE"].view(request.procedure)
    sweden = Hostile(world["SE"], world["EE"])
    intruder = sweden.message(
        "acknowledgement.json", procedure=before.row.ref, parents=before.heads,
        sender=Party(country=SE, authority=AuthorityId("gender-equality-agency")), case_ref=before.row.case_ref,
    )  # fmt: skip
    assert await sweden.send(intruder) == "procedure-mismatch"
    assert await world["EE"].view(request.procedure) == before
    refusal = await _about(world["EE"], intruder, SE)
    assert [(one.code, one.heads, one.record_digest) for one in refusal] == [("procedure-mismatch", (), None)]


async def test_a_later_message_of_another_case_is_refused(world: World, asked: Hostile) -> None:
    """One procedure is one child's: what names another case of the two countries is not put into its record as if it were."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    view = await world["FI"].view(request.procedure)
    answer = asked.message(
        "acknowledgement.json", procedure=view.row.ref, parents=view.heads, case_ref=CaseRef("CR-00000000000000000000")
    )
    assert await asked.send(answer) == "procedure-mismatch"
    ours = await world["EE"].view(request.procedure)
    assert [(line.mark, line.code) for line in ours.entries] == [("effect", None), ("stub", "procedure-mismatch")]
    assert ours.state == "REQUESTED"


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ({"version": SchemaVersion("7.0")}, "procedure-mismatch"),
        ({"name": "placement"}, "header-invalid"),
    ],
    ids=["another version of the table", "another procedure than the message's"],
)
async def test_a_procedure_that_is_not_what_it_says_is_not_opened(
    world: World, asking: Hostile, lie: dict[str, Any], code: str
) -> None:
    """Name and version are those of the table that its digest names: people read them, and it governs the procedure for good."""
    table = world["FI"].desk.catalogue.table("family-tracing")
    ref = ProcedureRef(
        id=world["EE"].ids.procedure_id(), name=table.procedure, version=table.version, digest=table.digest
    )
    entry = asking.message("request.json", procedure=replace(ref, **lie))
    assert await asking.send(entry) == code
    assert [(receipt.kind, receipt.code) for receipt in await _about(world["FI"], entry)] == [("refused", code)]
    procedures = await world["FI"].store.read(lambda reader: reader.procedures(None, cursor=None, limit=9))
    assert procedures.items == ()


async def test_casework_without_a_procedure_is_refused_and_signed_for(world: World, asking: Hostile) -> None:
    """There is no record that could keep its stub: its author hears why all the same."""
    made = asking.message("request.json")
    entry = entry_of(replace(made.header, procedure=None), parse(made.content)["body"], OutboxKind.MESSAGE)
    assert await asking.send(entry) == "header-invalid"
    assert [(receipt.kind, receipt.code) for receipt in await _about(world["FI"], entry)] == [
        ("refused", "header-invalid")
    ]
    assert await world["FI"].attention() == []
