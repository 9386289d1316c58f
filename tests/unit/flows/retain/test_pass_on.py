# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is decided here reaches every office that had the data, by ordinary messages; and whoever tells us is answered."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.core.audit import AuditReason, Who
from broker.core.erasures import Erasure
from broker.core.errors import AlreadySettled, BadRequest, CorrectionPending, Forbidden, NotFound
from broker.core.ids import AuthorityId, MessageId
from broker.core.retention import PROPOSAL_DAYS, EraseReason, KeepReason
from broker.core.roles import AuditRole
from broker.flows.retain.pass_on import Answer, Outcome, Passing, PassingKind
from broker.rows import Accepted, MessageFilter
from broker.schema_files import read_schema_file
from broker.testing.world import Country, World

from .conftest import BOARD

UNLAWFUL = EraseReason.UNLAWFUL
ERASE = Passing(kind=PassingKind.ERASE, reason=UNLAWFUL)
HELSINKI = AuthorityId("helsinki-wellbeing-services")


async def _pending(country: Country, case: Accepted, who: Who) -> list[bool]:
    found = await country.desk.disclosures(case.procedure, who, reason=AuditReason.ACCESS_REQUEST)
    return [item.pending for item in found.corrections]


@pytest.fixture
async def told(world: World, ended: Accepted, first: Who) -> MessageId:
    """FI is asked to erase what EE had sent."""
    (one,) = await world["EE"].desk.pass_on(ended.procedure, ERASE, first)
    assert one.message is not None
    await world.settle()
    await world["FI"].engine.review()
    return one.message


async def test_every_office_that_was_sent_the_data_is_told_once(world: World, ended: Accepted, first: Who) -> None:
    """Of each message that it was sent; a list alone sends nothing, and a second time there is nobody left to tell."""
    ee = world["EE"]
    (listed,) = await ee.desk.pass_on(ended.procedure, ERASE, first, dry_run=True)
    assert (listed.recipient.country, listed.recipient.authority, listed.targets) == ("FI", HELSINKI, (ended.digest,))
    assert await _pending(ee, ended, first) == []
    (sent,) = await ee.desk.pass_on(ended.procedure, ERASE, first)
    assert (sent.targets, sent.code) == (listed.targets, None)
    assert await _pending(ee, ended, first) == [True]
    assert await ee.desk.pass_on(ended.procedure, ERASE, first) == ()
    await world.settle()
    row = await world["FI"].store.run(lambda tx: tx.inbox(ee.us, sent.message or ended.message))
    assert row is not None
    assert row.entry.header.type == "correction.erase"


async def test_it_waits_for_the_answer_before_it_is_erased_here(
    world: World, ended: Accepted, told: MessageId, first: Who, second: Who
) -> None:
    """The other country erases by two persons and reports by itself; then nothing is pending here."""
    ee, fi = world["EE"], world["FI"]
    with pytest.raises(CorrectionPending, match=told):
        await ee.desk.erase.propose(ended.procedure, UNLAWFUL, first)
    one, two = (replace(who, authority=HELSINKI) for who in (first, second))
    proposed = await fi.desk.erase.propose(ended.procedure, UNLAWFUL, one)
    await fi.desk.erase.confirm(proposed.id, two)
    await world.settle()

    assert await _pending(ee, ended, first) == [False]
    mine = await ee.desk.erase.propose(ended.procedure, UNLAWFUL, first)
    await ee.desk.erase.confirm(mine.id, second)
    assert await ee.store.run(lambda tx: tx.outbox(ended.message)) is None


async def test_an_order_waits_for_no_answer(
    world: World, ended: Accepted, told: MessageId, first: Who, second: Who
) -> None:
    """A country that is silent does not keep us from what a court ordered."""
    ee = world["EE"]
    proposed = await ee.desk.erase.propose(ended.procedure, EraseReason.COURT_ORDER, first)
    assert (await ee.desk.erase.confirm(proposed.id, second)).decided_by == "second"


async def test_who_keeps_it_says_why(world: World, ended: Accepted, told: MessageId, first: Who) -> None:
    """One person does not erase it; it is not refused without a reason; with one, also late, the other country is told."""
    ee, fi = world["EE"], world["FI"]
    who = replace(first, authority=HELSINKI)
    (asked,) = await fi.store.read(lambda reader: reader.retention.erasures(None, limit=9))
    with pytest.raises(AlreadySettled, match="proposes it first"):
        await fi.desk.erase.confirm(asked.id, who)
    world.clock.advance(timedelta(days=PROPOSAL_DAYS + 1).total_seconds())  # what another country asks for never lapses
    with pytest.raises(BadRequest, match="why the case is kept"):
        await fi.desk.erase.reject(asked.id, who)
    await fi.desk.erase.reject(asked.id, who, KeepReason.CLAIMS_POSSIBLE)
    await world.settle()
    assert await _pending(ee, ended, first) == [False]
    assert await fi.store.run(lambda tx: tx.inbox(ee.us, ended.message)) is not None


async def test_what_nobody_answers_calls_a_person(world: World, ended: Accepted, told: MessageId, first: Who) -> None:
    """After the deadline of the message, which counts working days of the asked country."""
    ee = world["EE"]
    world.clock.advance(timedelta(days=10).total_seconds())
    await ee.engine.remind()
    assert "answer-overdue" in await ee.attention()


async def test_a_restriction_is_passed_on_and_answered(world: World, ended: Accepted, first: Who) -> None:
    """With what a person says of it; the answer is a person's too, where no erasure was asked for."""
    ee, fi = world["EE"], world["FI"]
    details = {"ground": "ACCURACY_CONTESTED", "reason": "The child's guardian contests the year."}
    restrict = Passing(kind=PassingKind.RESTRICT, details=details, messages=(ended.message,))
    (sent,) = await ee.desk.pass_on(ended.procedure, restrict, first)
    assert sent.message is not None
    await world.settle()
    who = replace(first, authority=HELSINKI)
    done = Answer(outcome=Outcome.PARTLY, why="One copy is with a court.")
    await fi.desk.pass_on.answer(sent.message, done, who)
    await world.settle()
    assert await _pending(ee, ended, first) == [False]


async def test_nobody_else_passes_on_or_answers(world: World, ended: Accepted, told: MessageId, first: Who) -> None:
    """No system, no other office, and not what was no correction."""
    ee, fi = world["EE"], world["FI"]
    with pytest.raises(Forbidden):
        await ee.desk.pass_on(ended.procedure, ERASE, replace(first, role=AuditRole.SYSTEM))
    with pytest.raises(NotFound):
        await ee.desk.pass_on(ended.procedure, ERASE, replace(first, authority=AuthorityId("ministry-of-justice")))
    helsinki = replace(first, authority=HELSINKI)
    for country, message, who in ((fi, ended.message, helsinki), (fi, told, first), (ee, told, first)):
        with pytest.raises(NotFound):
            await country.desk.pass_on.answer(message, Answer(outcome=Outcome.DONE), who)


async def test_what_a_safeguard_says_no_to_is_told(world: World, ended: Accepted, first: Who) -> None:
    """The list says why it did not leave."""
    wrong = Passing(kind=PassingKind.RESTRICT, details={"ground": "NONE", "reason": "x"})
    (one,) = await world["EE"].desk.pass_on(ended.procedure, wrong, first)
    assert (one.message, one.code) == (None, "schema-invalid")


async def test_an_office_that_never_named_itself_is_asked_what_it_is(world: World, first: Who) -> None:
    """Nothing is guessed: the message says of what kind it is."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    (sent,) = await ee.desk.pass_on(request.procedure, ERASE, first)
    assert sent.message is not None
    await world.settle()
    who = replace(first, authority=HELSINKI)
    with pytest.raises(BadRequest, match="what kind of office"):
        await fi.desk.pass_on.answer(sent.message, Answer(outcome=Outcome.DONE), who)
    await fi.engine.review()
    assert "erasure-asked" in await fi.attention()
    answer = Answer(outcome=Outcome.NOT_HELD, office_kind="LOCAL_AUTHORITY")
    await fi.desk.pass_on.answer(sent.message, answer, who)
    await world.settle()
    assert await _pending(ee, request, first) == [False]
    assert "erasure-asked" not in await fi.attention()


async def test_who_was_told_one_thing_is_still_told_another(world: World, ended: Accepted, first: Who) -> None:
    """A restriction is no erasure; what is rectified once may be rectified again; who chose messages tells of those alone."""
    ee = world["EE"]
    other = await ee.submit(json.loads(read_schema_file("examples/acts/reopening-new-information.json")) | {
        "sender": {"authority": "social-insurance-board"},
        "recipient": {"country": "FI", "authority": str(HELSINKI)},
    }, procedure=ended.procedure)  # fmt: skip
    await world.settle()
    details = {"ground": "ACCURACY_CONTESTED", "reason": "The child's guardian contests the year."}
    restrict = Passing(kind=PassingKind.RESTRICT, details=details, messages=(ended.message,))
    fields = [{"pointer": "/child/birth/value/date", "now": {"value": "2015-04-02"}}]
    rectify = Passing(
        kind=PassingKind.RECTIFY,
        messages=(ended.message,),
        details={"fields": fields, "rests_on": {"value": "Birth certificate"}, "reason": "As the register says."},
    )
    (restricted,) = await ee.desk.pass_on(ended.procedure, restrict, first)
    assert (restricted.targets, restricted.code) == ((ended.digest,), None)
    (rectified,) = await ee.desk.pass_on(ended.procedure, rectify, first)
    assert (rectified.targets, rectified.code) == ((ended.digest,), None)
    assert await ee.desk.pass_on(ended.procedure, restrict, first) == ()
    for passing, targets in ((rectify, (ended.digest,)), (ERASE, (ended.digest, other.digest))):
        (listed,) = await ee.desk.pass_on(ended.procedure, passing, first, dry_run=True)
        assert listed.targets == targets


async def test_more_messages_than_one_correction_may_name_are_told_in_several(
    world: World, ended: Accepted, first: Who, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is left out."""
    monkeypatch.setattr("broker.flows.retain.pass_on._MOST_TARGETS", 1)
    ee = world["EE"]
    act = json.loads(read_schema_file("examples/acts/correction-birth-year.json"))
    act = {**act, "sender": {"authority": "social-insurance-board"}, "body": {**act["body"], "target": ended.digest}}
    second = await ee.submit(act, procedure=ended.procedure)
    await world.settle()
    told = await ee.desk.pass_on(ended.procedure, ERASE, first)
    assert [one.targets for one in told] == [(ended.digest,), (second.digest,)]


async def test_what_another_country_refused_it_is_not_asked_to_erase(world: World, first: Who, second: Who) -> None:
    """It never had it."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    one, two = (replace(who, authority=HELSINKI) for who in (first, second))
    proposed = await fi.desk.erase.propose(request.procedure, EraseReason.COURT_ORDER, one)
    await fi.desk.erase.confirm(proposed.id, two)
    act = json.loads(read_schema_file("examples/acts/correction-birth-year.json"))
    act = {**act, "sender": {"authority": "social-insurance-board"}, "body": {**act["body"], "target": request.digest}}
    await ee.submit(act, procedure=request.procedure)
    await world.settle()
    (listed,) = await ee.desk.pass_on(request.procedure, ERASE, first, dry_run=True)
    assert listed.targets == (request.digest,)


async def test_what_is_told_of_an_exercise_is_one(world: World, first: Who) -> None:
    """R-40: on both ways; no officer erases a real case because of a drill. The office is of the kind that a person says."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json", exercise=True)
    await world.settle()
    (sent,) = await ee.desk.pass_on(request.procedure, replace(ERASE, office_kind="CENTRAL_AUTHORITY"), first)
    assert sent.message is not None
    await world.settle()
    who = replace(first, authority=HELSINKI)
    answer = Answer(outcome=Outcome.NOT_HELD, office_kind="LOCAL_AUTHORITY")
    report = await fi.desk.pass_on.answer(sent.message, answer, who)
    await world.settle()
    came = await fi.store.run(lambda tx: tx.inbox(ee.us, sent.message or report.message))
    back = await ee.store.run(lambda tx: tx.inbox(fi.us, report.message))
    assert came is not None
    assert back is not None
    assert (came.entry.header.exercise, back.entry.header.exercise) == (True, True)
    assert json.loads(came.entry.content)["body"]["corrected_by"]["kind"] == "CENTRAL_AUTHORITY"


async def test_what_is_passed_on_after_the_proposal_is_waited_for(
    world: World, ended: Accepted, first: Who, second: Who
) -> None:
    """Who confirms looks anew: what the other country is asked now has no answer yet. No other office rejects for them."""
    ee = world["EE"]
    proposed = await ee.desk.erase.propose(ended.procedure, UNLAWFUL, first)
    await ee.desk.pass_on(ended.procedure, ERASE, first)
    with pytest.raises(CorrectionPending):
        await ee.desk.erase.confirm(proposed.id, second)
    with pytest.raises(NotFound):
        await ee.desk.erase.reject(proposed.id, replace(second, authority=AuthorityId("ministry-of-justice")))
    assert await ee.store.run(lambda tx: tx.outbox(ended.message)) is not None


async def test_what_the_other_node_refused_has_told_nobody(world: World, ended: Accepted, first: Who) -> None:
    """Its office was not listed there: nobody waits for an answer, and once it can be told, it is, on the same day too."""
    ee, fi = world["EE"], world["FI"]
    before = fi.trust.current()
    fi.trust.newest = replace(
        before,
        members={
            name: replace(one, authorities=tuple(office for office in one.authorities if office.id != HELSINKI))
            for name, one in before.members.items()
        },
    )
    await fi.trust.refresh()
    (lost,) = await ee.desk.pass_on(ended.procedure, ERASE, first)
    await world.settle()
    assert await ee.attention() == ["refused"]
    assert await _pending(ee, ended, first) == [False]
    await ee.desk.erase.propose(ended.procedure, EraseReason.NO_LONGER_NEEDED, first)

    fi.trust.newest = before
    await fi.trust.refresh()
    (told,) = await ee.desk.pass_on(ended.procedure, ERASE, first)
    assert (told.targets, told.code) == (lost.targets, None)
    assert told.message not in {None, lost.message}
    assert await ee.desk.pass_on(ended.procedure, ERASE, first) == ()
    await world.settle()
    row = await fi.store.run(lambda tx: tx.inbox(ee.us, told.message or ended.message))
    assert row is not None
    assert row.entry.header.type == "correction.erase"
    assert sorted(await _pending(ee, ended, first)) == [False, True]


async def test_who_was_told_and_told_that_it_does_not_hold_is_told_again(
    world: World, ended: Accepted, first: Who
) -> None:
    """A correction that was taken back has told nobody: made anew, it reaches the office that has the data."""
    ee = world["EE"]
    (told,) = await ee.desk.pass_on(ended.procedure, ERASE, first)
    assert told.message is not None
    await world.settle()
    row = await ee.store.run(lambda tx: tx.outbox(told.message))
    assert row is not None
    assert row.entry.procedure is not None
    withdrawal = json.loads(read_schema_file("examples/correction/erase-wrong-child.json")) | {
        "type": "correction.withdrawal", "sender": {"authority": str(BOARD)}, "body": {"reason": "SENT_IN_ERROR"},
        "recipient": {"country": "FI", "authority": str(HELSINKI)},
    }  # fmt: skip
    await ee.submit(withdrawal, procedure=row.entry.procedure)
    await world.settle()
    assert (await ee.view(row.entry.procedure)).state == "WITHDRAWN"

    (again,) = await ee.desk.pass_on(ended.procedure, ERASE, first)
    assert (again.targets, again.code) == (told.targets, None)
    assert again.message not in {None, told.message}


async def test_what_lapsed_after_another_country_asked_for_it_is_still_asked_for(
    world: World, ended: Accepted, told: MessageId, first: Who, second: Who
) -> None:
    """Nobody confirmed it within the week: proposed once more and erased, the country that asked is told, and the call ends."""
    ee, fi = world["EE"], world["FI"]
    one, two = (replace(who, authority=HELSINKI) for who in (first, second))
    await fi.desk.erase.propose(ended.procedure, UNLAWFUL, one)
    world.clock.advance(timedelta(days=PROPOSAL_DAYS + 1).total_seconds())
    await fi.engine.review()
    assert {"erasure-asked", "erasure-lapsed"} <= set(await fi.attention())

    proposed = await fi.desk.erase.propose(ended.procedure, UNLAWFUL, one)
    await fi.desk.erase.confirm(proposed.id, two)
    await world.settle()
    assert await _pending(ee, ended, first) == [False]
    assert "erasure-asked" not in await fi.attention()


@pytest.mark.parametrize("erased_first", [True, False])
async def test_of_several_cases_that_one_request_names_each_is_answered_as_it_was_decided(
    world: World, ended: Accepted, first: Who, second: Who, *, erased_first: bool
) -> None:
    """No country hears that a child's data is erased which is kept; and until all are decided, the office stays called."""
    ee, fi = world["EE"], world["FI"]
    other = await ee.submit("request.json")
    await world.settle()
    await fi.submit("acknowledgement.json", procedure=other.procedure)
    await world.settle()
    asked = json.loads(read_schema_file("examples/correction/erase-wrong-child.json"))
    asked["sender"]["authority"] = str(BOARD)
    asked["recipient"] = {"country": "FI", "authority": str(HELSINKI)}
    asked["body"]["targets"] = [ended.digest, other.digest, "0" * 64]
    await ee.submit(asked)
    await world.settle()
    await fi.engine.review()
    one, two = (replace(who, authority=HELSINKI) for who in (first, second))

    async def erase() -> None:
        proposed = await fi.desk.erase.propose(ended.procedure, UNLAWFUL, one)
        await fi.desk.erase.confirm(proposed.id, two)

    async def keep() -> None:
        (kept,) = [item for item in await _erasures(fi) if item.procedures == (other.procedure,)]
        await fi.desk.erase.reject(kept.id, two, KeepReason.CLAIMS_POSSIBLE)

    steps = (erase, keep) if erased_first else (keep, erase)
    await steps[0]()
    await world.settle()
    assert (await _outcomes(ee), "erasure-asked" in await fi.attention()) == ([], True)
    await steps[1]()
    await world.settle()
    assert "erasure-asked" not in await fi.attention()
    found = await _outcomes(ee)
    assert [(item["target"], item["outcome"]) for item in found] == [
        (ended.digest, "DONE"), (other.digest, "KEPT"), ("0" * 64, "NOT_HELD"),
    ]  # fmt: skip
    assert [bool(item.get("reason")) for item in found] == [False, True, False]


async def _erasures(country: Country) -> tuple[Erasure, ...]:
    return await country.store.read(lambda reader: reader.retention.erasures(None, limit=9))


async def _outcomes(country: Country) -> list[dict[str, str]]:
    """Return what a country was told of the messages that it wanted erased."""
    wanted = MessageFilter(direction="in", type="correction.report")
    page = await country.store.read(lambda reader: reader.messages(wanted, cursor=None, limit=9))
    rows = [
        row for brief in page.items for row in await country.store.read(lambda r, b=brief: r.messages_of(b.id, None))
    ]
    return [item for row in rows for item in json.loads(row.content or b"")["body"]["outcomes"]]
