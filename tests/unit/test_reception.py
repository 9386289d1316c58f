# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Deciding about a believed message: recorded, refused with a stub, or receipts taken."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core import capacity
from broker.core.arrangements import Arrangement, ArrangementRegister
from broker.core.ids import ArrangementId, AuthorityId, CaseRef, CountryCode, Digest, MessageType, SchemaVersion
from broker.core.messages import Party, ProcedureRef
from broker.core.receipts import Receipt, ReceiptKind
from broker.core.trust import Authority
from broker.rows import Accepted, MessageFilter
from broker.schema_files import read_schema_file, read_schema_files
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
NOWHERE = Digest("0" * 64)


@pytest.fixture
def asking(world: World) -> Hostile:
    """Estonia, speaking to Finland whatever it likes."""
    return Hostile(world["EE"], world["FI"])


@pytest.fixture
def asked(world: World) -> Hostile:
    """Finland, speaking to Estonia whatever it likes."""
    return Hostile(world["FI"], world["EE"])


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


async def test_a_full_record_grows_no_more_and_still_takes_a_stop(
    world: World, asking: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that floods a procedure gets signed refusals without a stub; its withdrawal and our own answer still fit."""
    monkeypatch.setattr(capacity, "MOST_BY_ONE_SIDE", 5)
    monkeypatch.setattr(capacity, "RESERVED", 1)
    fi, request = world["FI"], asking.message("request.json")
    assert await asking.send(request) == "recorded"
    again = {"procedure": request.header.procedure, "case_ref": request.header.case_ref}
    parent, outcomes = request.digest, []
    for _ in range(5):
        entry = asking.message("request.json", parents=(parent,), **again)
        outcomes.append(await asking.send(entry))
        parent = entry.digest if outcomes[-1] == "recorded" else parent
    assert outcomes == ["recorded"] * 3 + ["record-full"] * 2
    (refusal,) = await _about(fi, entry)
    assert (refusal.kind, refusal.code, refusal.heads) == (ReceiptKind.REFUSED, "record-full", ())
    invalid = asking.message("request.json", parents=(parent,), body={}, **again)
    assert await asking.send(invalid) == "schema-invalid"
    assert len(await fi.store.read(lambda reader: reader.record(request.header.procedure.id))) == 4

    stop = asking.message(_withdrawal_example(), parents=(parent,), **again)
    assert await asking.send(stop) == "recorded"
    assert len(await fi.store.read(lambda reader: reader.record(request.header.procedure.id))) == 5


# --- messages that are refused --------------------------------------------------------------------------------------


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


async def test_an_arrangement_that_our_list_does_not_know_yet_is_asked_for_first(world: World, asking: Hostile) -> None:
    """Under a list from before the message came nothing is refused: it waits, and the newer list lets it in."""
    fi = world["FI"]
    world.set_arrangements(ArrangementRegister())
    await fi.trust.refresh()
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


async def test_a_body_that_does_not_fit_its_schema_is_refused(world: World, asking: Hostile) -> None:
    """Schemas hold also for what comes in, whatever the other side's node let out."""
    entry = asking.message("request.json", body={"child": {}})
    assert await asking.send(entry) == "schema-invalid"
    assert [receipt.code for receipt in await _about(world["FI"], entry)] == ["schema-invalid"]


async def test_a_refused_opening_stays_as_a_stub_that_the_mended_one_descends_from(
    world: World, asking: Hostile
) -> None:
    """The author's next message names the stub as its parent: it is placed and takes effect, no gap is left."""
    refused = asking.message("request.json", body={"child": {}})
    assert await asking.send(refused) == "schema-invalid"
    mended = asking.message(
        "request.json", procedure=refused.header.procedure, parents=(refused.digest,), case_ref=refused.header.case_ref
    )
    assert await asking.send(mended) == "recorded"

    assert mended.procedure is not None
    view = await world["FI"].desk.inspect.procedure(mended.procedure, authority=None)
    assert [(line.mark, line.code) for line in view.entries] == [("stub", "schema-invalid"), ("effect", None)]
    assert (view.state, view.gap) == ("REQUESTED", False)
    assert await world["FI"].attention() == []


async def test_an_unknown_act_opens_a_record_without_effect(world: World, asking: Hostile) -> None:
    """It is refused and signed for; its stub keeps the place that later messages descend from."""
    entry = asking.message("request.json", type=MessageType("family-tracing.rumour"))
    assert await asking.send(entry) == "unknown-type"
    assert entry.procedure is not None
    view = await world["FI"].view(entry.procedure)
    assert ([line.mark for line in view.entries], view.state) == (["stub"], "NEW")
    assert not [name for name, n in (await world["FI"].counts()).items() if n and name.startswith("inbox")]


async def test_a_refused_message_with_thousands_of_parents_leaves_no_stub(world: World, asking: Hostile) -> None:
    """It is refused and signed for, but would make every later fold of a record slow."""
    parents = tuple(Digest(f"{number:064x}") for number in range(1000))
    entry = asking.message("request.json", parents=parents)
    assert await asking.send(entry) == "header-invalid"
    assert entry.procedure is not None
    procedure = entry.procedure
    assert [receipt.code for receipt in await _about(world["FI"], entry)] == ["header-invalid"]
    assert await world["FI"].store.run(lambda tx: tx.record(procedure)) == ()


async def test_a_message_under_an_id_of_ours_is_taken_as_its_authors(world: World, asked: Hostile) -> None:
    """The key of a message is author and id: the peer's message under our id is recorded and answered, not a repeat."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    view = await world["FI"].view(request.procedure)
    entry = asked.message(
        "acknowledgement.json",
        procedure=view.row.ref, parents=view.heads, case_ref=view.row.case_ref, id=request.message,
    )  # fmt: skip
    assert await asked.send(entry) == "recorded"
    assert [receipt.kind for receipt in await _about(world["EE"], entry, FI)] == ["delivered", "handed-over"]
    assert (await world["EE"].view(request.procedure)).state == "ACKNOWLEDGED"


async def test_a_message_whose_parents_are_missing_has_a_receipt_that_its_author_can_read(
    world: World, asking: Hostile
) -> None:
    """Nothing is placed, so the receipt states neither heads nor a digest; one that did would be refused whole."""
    entry = asking.message("request.json", parents=(NOWHERE,))
    assert await asking.send(entry) == "recorded"
    for receipt in await _about(world["FI"], entry):
        assert (receipt.heads, receipt.record_digest) == ((), None)
    await world.settle()
    assert set(world["EE"].outcomes) == {"receipts"}
    assert await world["EE"].attention() == ["strange-receipt"]  # a message that Estonia's node never made


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

    reception = fi.engine.receive._reception
    reception._catalogue = reception._ledger._catalogue = newer  # a node takes a newer one when it starts
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


async def test_a_refused_message_is_the_same_stub_on_both_sides(world: World, asked: Hostile) -> None:
    """The recipient's signed refusal makes the stub: same marks, state and digest, the author's people are called."""
    request = await world["EE"].submit("request.json")
    await world.settle()

    def without_office(member: Any) -> Any:
        return replace(member, authorities=member.authorities[1:]) if member.country == EE else member

    acknowledgement = await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    world.set_trust(without_office)
    await world["EE"].trust.refresh()
    await world.settle()

    assert await world["FI"].states(acknowledgement) == ["refused"]
    ours, theirs = await world["EE"].view(request.procedure), await world["FI"].view(request.procedure)
    assert [(line.digest, line.mark, line.code) for line in ours.entries] == [
        (line.digest, line.mark, line.code) for line in theirs.entries
    ]
    assert [line.mark for line in ours.entries] == ["effect", "stub"]
    assert ours.digest == theirs.digest is not None
    assert (ours.state, theirs.state) == ("REQUESTED", "REQUESTED")
    assert (await world["EE"].attention(), await world["FI"].attention()) == ([], ["refused"])


async def test_a_stub_is_a_parent_like_any_other(world: World) -> None:
    """After a refusal the procedure goes on, and both sides keep the same record."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    catalogue = world["EE"].desk.trust.current()
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    world.set_trust(
        lambda member: replace(member, authorities=member.authorities[1:]) if member.country == EE else member
    )
    await world["EE"].trust.refresh()
    await world.settle()
    world.set_trust(lambda member: catalogue.members[member.country])
    await world["EE"].trust.refresh()
    await world["FI"].submit("result.json", procedure=request.procedure)
    await world.settle()

    ours, theirs = await world["EE"].view(request.procedure), await world["FI"].view(request.procedure)
    assert [line.mark for line in ours.entries] == ["effect", "stub", "effect"]
    assert ours.digest == theirs.digest is not None
    assert ours.state == theirs.state == "ANSWERED"


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


async def test_a_refusal_is_answered_again_not_decided_again(world: World, asking: Hostile) -> None:
    """The refused message sealed anew gets the stored refusal; there is one receipt."""
    entry = asking.message("request.json", body={})
    assert [await asking.send(entry), await asking.send(entry)] == ["schema-invalid", "repeat"]
    assert len(await _about(world["FI"], entry)) == 1


# --- gaps and forks -------------------------------------------------------------------------------------------------


async def test_a_gap_delays_effect_never_sight(world: World) -> None:
    """A message whose parent is missing is handed over and shown as waiting; the parent's arrival resolves the gap."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world["FI"].engine.dispatch()
    kept = world.network.waiting[EE].copy()
    world.network.waiting[EE].clear()
    await world["FI"].submit("result.json", procedure=request.procedure)
    await world.settle()

    view = await world["EE"].view(request.procedure)
    assert [line.mark for line in view.entries] == ["effect", "waiting"]
    assert (view.state, view.gap, view.row.gap) == ("REQUESTED", True, True)
    assert await world["EE"].attention() == ["gap"]
    assert (await world["EE"].counts())["inbox.handed-over"] == 1

    world.network.waiting[EE].extend(kept)
    await world.settle()
    views = [await world[name].view(request.procedure) for name in ("EE", "FI")]
    assert [line.mark for line in views[0].entries] == ["effect", "effect", "effect"]
    assert views[0].digest == views[1].digest is not None
    assert (views[0].state, views[0].row.gap) == ("ANSWERED", False)
    assert await world["EE"].attention() == await world["FI"].attention() == []


async def test_a_message_may_overtake_the_one_that_opens_its_procedure(world: World) -> None:
    """A withdrawal before its request makes the procedure with a gap; the request closes it and the withdrawal holds."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    kept = world.network.waiting[FI].copy()
    world.network.waiting[FI].clear()
    await world["EE"].submit(_withdrawal(world, request), procedure=request.procedure)
    await world.settle()
    assert await world["FI"].attention() == ["gap"]

    world.network.waiting[FI].extend(kept)
    await world.settle()
    views = [await world[name].view(request.procedure) for name in ("EE", "FI")]
    assert {view.state for view in views} == {"WITHDRAWN"}
    assert views[0].digest == views[1].digest is not None
    assert await world["FI"].attention() == []


def _withdrawal_example() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file("examples/family-tracing/withdrawal-no-reason.json"))
    return data


def _withdrawal(world: World, request: Accepted) -> dict[str, Any]:
    return {**_withdrawal_example(), "procedure": request.procedure}


async def test_a_fork_is_kept_and_has_no_effect(world: World, asked: Hostile) -> None:
    """A result that ignores its author's own acknowledgement is delivered and marked, security is called, nothing moves."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    heads = (await world["FI"].view(request.procedure)).heads
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    before = await world["EE"].view(request.procedure)
    fork = asked.message(
        "result.json", procedure=before.row.ref, parents=heads, case_ref=before.row.case_ref,
    )  # fmt: skip
    assert await asked.send(fork) == "recorded"
    await world["EE"].engine.deliver()

    view = await world["EE"].view(request.procedure)
    assert {line.message: line.mark for line in view.entries}[fork.id] == "forked"
    assert (view.state, view.heads) == (before.state, before.heads)
    row = await world["EE"].store.run(lambda tx: tx.inbox(FI, fork.id))
    assert row is not None
    assert (row.entry.mark, row.state) == ("forked", "handed-over")
    assert await world["EE"].attention() == ["forked"]


async def test_an_adapter_is_told_that_a_message_is_forked(world: World, asked: Hostile) -> None:
    """The national system gets the message with its mark, so that nobody acts on it."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    given = []

    class System:
        manifest: Any = None

        async def deliver(self, message: Any) -> None:
            given.append(message)

    world["EE"].adapters[AuthorityId("social-insurance-board")] = System()  # type: ignore[assignment]
    view = await world["FI"].view(request.procedure)
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    await asked.send(
        asked.message("result.json", procedure=view.row.ref, parents=view.heads, case_ref=view.row.case_ref)
    )
    await world["EE"].engine.deliver()
    assert [message.forked for message in given] == [False, True]


# --- receipts -------------------------------------------------------------------------------------------------------


async def test_strange_receipts_change_nothing(world: World, asked: Hostile) -> None:
    """Receipts about an unknown message, other bytes, or another country's message call security; no entry moves."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    unknown = world["SE"].ids.message_id()
    sweden = Hostile(world["SE"], world["EE"])
    delivered = ReceiptKind.DELIVERED
    assert await asked.send(asked.receipts(asked.receipt(unknown, request.digest, delivered))) == "receipts"
    assert await asked.send(asked.receipts(asked.receipt(request.message, NOWHERE, delivered))) == "receipts"
    assert await sweden.send(sweden.receipts(sweden.receipt(request.message, request.digest, delivered))) == "receipts"

    page = await world["EE"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert {(entry.code, entry.subject) for entry in page.items} == {
        ("strange-receipt", "FI"), ("strange-receipt", f"EE/{request.message}"),
    }  # fmt: skip
    assert await world["EE"].states(request) == ["published"]
    assert await _about(world["EE"], request) == ()


async def test_receipts_get_no_receipts(world: World, asked: Hostile) -> None:
    """An envelope of receipts, also a malformed one, is never answered."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    sent = len(world.network.published)
    good = asked.receipts(asked.receipt(request.message, request.digest, ReceiptKind.DELIVERED))
    bad = asked.receipts(asked.receipt(request.message, request.digest, ReceiptKind.OPENED, author=FI))
    assert await asked.send(good) == "receipts"
    assert await asked.send(bad) == "schema-invalid"
    while await world["EE"].step():
        pass
    to_fi = [envelope for envelope in world.network.published[sent:] if envelope.recipient == FI]
    assert to_fi == []
    assert (await world["EE"].counts())["receipts.waiting"] == 0


async def test_the_first_answer_stands(world: World, asked: Hostile) -> None:
    """A peer that refuses what it had taken is told of to security; the entry and the record stay."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    before = await world["EE"].view(request.procedure)
    refusal = asked.receipt(request.message, request.digest, ReceiptKind.REFUSED, code="schema-invalid")
    assert await asked.send(asked.receipts(refusal)) == "receipts"
    assert await world["EE"].attention() == ["contradiction"]
    assert await world["EE"].states(request) == ["handed-over"]
    assert await world["EE"].view(request.procedure) == before


async def test_a_different_record_is_an_alert(world: World, asked: Hostile) -> None:
    """A receipt whose record digest differs over heads that we hold calls security; our record stays as it is."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    lie = asked.receipt(
        request.message, request.digest, ReceiptKind.DELIVERED, heads=(request.digest,), record_digest=NOWHERE
    )
    assert await asked.send(asked.receipts(lie)) == "receipts"
    assert await world["EE"].attention() == ["divergence"]
    assert [line.mark for line in (await world["EE"].view(request.procedure)).entries] == ["effect"]


async def test_a_record_that_cannot_be_compared_yet_is_no_alert(world: World, asked: Hostile) -> None:
    """Heads that have not arrived are on their way: the receipt counts, and nobody is called."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    ahead = asked.receipt(
        request.message, request.digest, ReceiptKind.DELIVERED, heads=(NOWHERE,), record_digest=NOWHERE
    )
    assert await asked.send(asked.receipts(ahead)) == "receipts"
    assert await world["EE"].states(request) == ["delivered"]
    assert await world["EE"].attention() == []
    assert (await world["EE"].view(request.procedure)).gap


async def test_a_receipt_comes_twice_and_counts_once(world: World, asked: Hostile) -> None:
    """The same receipt in another envelope changes neither the time nor the entry."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    (first, *_) = await _about(world["EE"], request)
    world.clock.advance(500)
    later = replace(first, at=world.clock.now())
    assert await asked.send(asked.receipts(later)) == "receipts"
    assert (await _about(world["EE"], request))[0] == first


async def test_a_handed_over_receipt_does_not_need_the_delivered_one(world: World, asked: Hostile) -> None:
    """Receipts may be overtaken: the ladder only goes up."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    for kind in (ReceiptKind.OPENED, ReceiptKind.DELIVERED, ReceiptKind.HANDED_OVER):
        await asked.send(asked.receipts(asked.receipt(request.message, request.digest, kind)))
        assert await world["EE"].states(request) == ["opened"]
