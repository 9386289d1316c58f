# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A child moves from Estonia to Finland: nothing but the acceptance of exactly this plan lets the child depart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.core.delivery import ReleaseReason
from broker.core.errors import NotAllowed, SafeguardBlocked, SafeguardHeld
from broker.core.record import Mark
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.hostile import Hostile
from broker.testing.store_rows import procedure_id
from broker.testing.world import Country, World, officer

PLAN, ACCEPTANCE, CONSENT = "plan-to-aunt", "acceptance-plan-1", "decision-consent-for-a-year"
REMEDY, CLOSURE = "notice/remedy-appeal-stops-the-transfer", "notice/closure-proceedings-ended"
OBJECTION, ANSWER = "guardian/objection-flight-date", "guardian/answer-objection-followed"
CHECK, DEPARTURE = "pre-departure-six-questions", "departure-by-ferry"
LAST_DAY = "2027-01-31"


def _example(name: str, **changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/transfer/{name}.json"))
    if "eta" in data["body"]:  # no arrival is announced for more than a week ahead: the world's day is 22 November
        data["body"]["eta"]["at"] = data["body"]["eta"]["at"].replace("2026-12-01", "2026-11-24")
    data["body"].update(changes)
    return data


async def _send(country: Country, data: Mapping[str, Any], plan: Accepted | None, **changes: Any) -> Accepted:
    return await country.submit(data, procedure=None if plan is None else plan.procedure, **changes)


async def _withdraw(country: Country, plan: Accepted) -> Accepted:
    home = country.us == "EE"
    shown = _example(PLAN if home else ACCEPTANCE)
    return await _send(country, {**shown, "type": "transfer.withdrawal", "body": {"reason": "CONSENT_WITHDRAWN"}}, plan)


def _placement(name: str, country: str, **changes: Any) -> dict[str, Any]:
    """Return an example of a placement as the two countries of this world exchange it."""
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/placement/{name}.json"))
    ours, theirs = ("social-insurance-board", ("FI", "helsinki-wellbeing-services"))
    if country == "FI":
        ours, theirs = ("helsinki-wellbeing-services", ("EE", "social-insurance-board"))
    data |= {"sender": {"authority": ours}, "recipient": {"country": theirs[0], "authority": theirs[1]}}
    return {**data, "legal_basis": {"code": "B2B_82"}, "body": {**data["body"], **changes}}


async def _consented(world: World, **changes: Any) -> Accepted:
    """Return Finland's consent to the aunt's care from before the arrival on."""
    asked = await world["EE"].submit(world["EE"].sealed(_placement("request-aunt-in-estonia", "EE")))
    await world.settle()
    period = {"from": "2026-11-23", "until": {"value": "2027-12-31"}}
    said = {"covers": str(asked.digest), "care": "KINSHIP_CARE", "period": period, **changes}
    given = await world["FI"].submit(_placement(CONSENT, "FI", **said), procedure=asked.procedure)
    await world.settle()
    return given


def _plan(consent: Accepted, **changes: Any) -> dict[str, Any]:
    return _example(PLAN, placement_decision={"value": str(consent.digest)}, **changes)


async def _planned(world: World, **changes: Any) -> Accepted:
    plan = await _send(world["EE"], _plan(await _consented(world, **changes)), None)
    await world.settle()
    return plan


async def _accept(world: World, plan: Accepted, *, covers: Accepted | None = None, until: str = LAST_DAY) -> Accepted:
    body = {"covers": str((covers or plan).digest), "valid_until": until}
    accepted = await _send(world["FI"], _example(ACCEPTANCE, **body), plan)
    await world.settle()
    return accepted


async def _check(world: World, plan: Accepted, acceptance: Accepted) -> None:
    await _send(world["EE"], _example(CHECK, plan=str(plan.digest), acceptance=str(acceptance.digest)), plan)
    await world.settle()


async def _depart(world: World, plan: Accepted, acceptance: Accepted) -> Accepted:
    data = _example(DEPARTURE, plan=str(plan.digest), acceptance=str(acceptance.digest))
    return await _send(world["EE"], data, plan)


async def _departed(world: World) -> tuple[Accepted, Accepted]:
    """Let a child depart with everything in order; return the plan and the departure."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    departure = await _depart(world, plan, acceptance)
    await world.settle()
    return plan, departure


async def _states(world: World, plan: Accepted) -> set[str]:
    views = [await world[name].view(plan.procedure) for name in ("EE", "FI")]
    assert views[0].digest == views[1].digest
    return {view.state for view in views}


async def test_the_child_departs_with_the_acceptance_of_this_plan_and_arrives(world: World) -> None:
    """Plan, acceptance, check, departure, delay, arrival: the same state and record in both countries after each."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    assert await _states(world, plan) == {"PLAN_AGREED"}
    await _check(world, plan, acceptance)
    assert await _states(world, plan) == {"PRE_DEPARTURE_CHECKED"}
    await _depart(world, plan, acceptance)
    await world.settle()
    assert await _states(world, plan) == {"DEPARTED"}
    await _send(world["EE"], _example("delay-storm"), plan)
    await world.settle()
    assert await _states(world, plan) == {"DELAYED"}
    await _send(world["FI"], _example("arrival-received"), plan)
    await world.settle()

    assert await _states(world, plan) == {"ARRIVED_RECEIVED"}
    assert not (await world["FI"].view(plan.procedure)).alarm


async def test_without_an_acceptance_nothing_departs(world: World) -> None:
    """Neither the check nor the departure is taken, and nothing is stored of them."""
    plan = await _planned(world)
    for name in (CHECK, DEPARTURE):
        with pytest.raises(NotAllowed):
            await _send(world["EE"], _example(name, plan=str(plan.digest)), plan)

    assert await _states(world, plan) == {"PROPOSED"}
    assert (await world["EE"].counts())["outbox.handed-over"] == 2  # what asked for the consent, and the plan


async def test_an_acceptance_of_another_plan_clears_nothing(world: World) -> None:
    """The check is passed in good faith, and yet the departure is refused: the digest is not this plan's."""
    plan = await _planned(world)
    other = await _planned(world)
    acceptance = await _accept(world, plan, covers=other)
    await _check(world, plan, acceptance)
    with pytest.raises(NotAllowed, match="not agreed to exactly this"):
        await _depart(world, plan, acceptance)

    assert await _states(world, plan) == {"PRE_DEPARTURE_CHECKED"}
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _depart(world, plan, acceptance)


async def test_a_changed_plan_needs_a_new_acceptance(world: World) -> None:
    """The second plan puts the procedure back; the acceptance of the first clears it no more."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    second = await _send(world["EE"], _plan(await _consented(world), plan_number=2, changes="A day later."), plan)
    await world.settle()
    assert await _states(world, plan) == {"PROPOSED"}
    with pytest.raises(NotAllowed):
        await _depart(world, plan, acceptance)

    renewed = await _accept(world, plan, covers=second)
    await _check(world, second, renewed)
    await _depart(world, second, renewed)
    await world.settle()
    assert await _states(world, plan) == {"DEPARTED"}


async def test_a_withdrawn_consent_lets_nobody_depart(world: World) -> None:
    """The receiving country withdraws: the departure is refused until it accepts anew."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _withdraw(world["FI"], plan)
    await world.settle()
    assert await _states(world, plan) == {"CONSENT_WITHDRAWN"}
    with pytest.raises(NotAllowed, match="In the state CONSENT_WITHDRAWN this side may send: plan, "):
        await _depart(world, plan, acceptance)
    with pytest.raises(NotAllowed):
        await _check(world, plan, acceptance)

    again = await _accept(world, plan)
    await _check(world, plan, again)
    await _depart(world, plan, again)


async def test_an_acceptance_ends_on_its_date(world: World) -> None:
    """On the last day the child may depart, on the next no more."""
    plan = await _planned(world)
    day = world.clock.now().date().isoformat()
    acceptance = await _accept(world, plan, until=day)
    await _check(world, plan, acceptance)
    world.clock.advance(86_400)
    await _check(world, plan, acceptance)  # freshly confirmed: only the date hinders
    with pytest.raises(NotAllowed, match="or no longer does: The last day of what it agreed to has passed"):
        await _depart(world, plan, acceptance)


async def test_a_departure_is_refused_with_what_it_lacks(world: World) -> None:
    """Each thing in words: a message of ours that the other side has not confirmed, and a confirmation of hours ago."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    world.clock.advance(3 * 3600)
    with pytest.raises(NotAllowed, match=r"confirmed record: Its newest confirmation is more than two hours from now"):
        await _depart(world, plan, acceptance)
    status = json.loads(read_schema_file("examples/acts/status-not-started.json"))
    await _send(world["EE"], {**_example(CHECK), "type": "transfer.status", "body": status["body"]}, plan)
    with pytest.raises(NotAllowed, match="The other side has not confirmed every message of this side yet"):
        await _depart(world, plan, acceptance)
    await world.settle()
    await _depart(world, plan, acceptance)


async def test_what_the_sender_suspended_no_acceptance_lifts(world: World) -> None:
    """An appeal in the sending country: the other side's acceptance is refused, a new plan is needed."""
    plan = await _planned(world)
    await _accept(world, plan)
    await _send(world["EE"], _example("suspension-appeal"), plan)
    await world.settle()
    assert await _states(world, plan) == {"SUSPENDED_BY_SENDER"}
    with pytest.raises(NotAllowed):
        await _accept(world, plan)

    second = await _send(
        world["EE"], _plan(await _consented(world), plan_number=2, changes="The appeal was dismissed."), plan
    )
    await world.settle()
    await _accept(world, plan, covers=second)
    assert await _states(world, plan) == {"PLAN_AGREED"}


@pytest.mark.parametrize("stop", ["withdrawal", "suspension"])
async def test_a_stop_that_crosses_the_departure_is_an_alarm_on_both_sides(world: World, stop: str) -> None:
    """Both were sent without knowing of the other; whatever the order, both countries see the alarm and the arrival."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    departure = await _depart(world, plan, acceptance)
    if stop == "withdrawal":
        await _withdraw(world["FI"], plan)
    else:
        await _send(world["FI"], _example("suspension-second-decision"), plan)
    await world.settle()

    views = [await world[name].view(plan.procedure) for name in ("EE", "FI")]
    assert [view.alarm for view in views] == [True, True]
    assert views[0].digest == views[1].digest
    marks = {line.act: line.mark for line in views[0].entries}
    assert Mark.ALARM in {marks["departure"], marks[stop]}
    assert departure.digest in {line.digest for line in views[1].entries}
    await _send(world["FI"], _example("arrival-received"), plan)
    await world.settle()
    assert await _states(world, plan) == {"ARRIVED_RECEIVED"}


async def test_an_alarm_calls_each_office_until_both_have_closed_it(world: World) -> None:
    """Whoever closed it first sees that it is open still; with the other side's word the calls of both end by themselves."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _depart(world, plan, acceptance)
    await _withdraw(world["FI"], plan)
    await world.settle()
    closed = json.loads(read_schema_file("examples/family-tracing/alarm-closed.json"))["body"]
    for name, shown, left in (("EE", CHECK, ["alarm"]), ("FI", ACCEPTANCE, [])):
        assert [await world[one].attention() for one in ("EE", "FI")] == [["alarm"], ["alarm"]]
        await _send(world[name], {**_example(shown), "type": "transfer.alarm-closed", "body": closed}, plan)
        await world.settle()
        assert [await world[one].attention() for one in ("EE", "FI")] == [left, left]


async def _elsewhere(
    world: World, country: str, example: str, opened: Accepted | None = None, **changes: Any
) -> Accepted:
    """Send an example of another procedure, which it opens or belongs to."""
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{example}.json"))
    ours, theirs = ("social-insurance-board", ("FI", "helsinki-wellbeing-services"))
    if country == "FI":
        ours, theirs = ("helsinki-wellbeing-services", ("EE", "social-insurance-board"))
    data |= {"sender": {"authority": ours}, "recipient": {"country": theirs[0], "authority": theirs[1]}}
    data |= {"legal_basis": {"code": "AGREEMENT", "citation": "Test-agreement 3"}}
    data["body"].update(changes)
    sent = await world[country].submit(data, procedure=None if opened is None else opened.procedure)
    await world.settle()
    return sent


async def test_the_consent_that_a_plan_names_is_looked_up_where_it_was_given(world: World) -> None:
    """R-07: another digest, another care or other days let no plan leave; a consent that was withdrawn lets nobody depart."""
    with pytest.raises(SafeguardBlocked, match="No consent of this digest"):
        await _send(world["EE"], _example(PLAN), None)
    days = {"from": "2026-12-02", "until": {"value": "2027-12-31"}}
    for changes, said in (({"care": "FOSTER_CARE"}, "another form of care"), ({"period": days}, "does not cover")):
        with pytest.raises(SafeguardBlocked, match=said):
            await _send(world["EE"], _plan(await _consented(world, **changes)), None)
    given = await _consented(world)
    plan = await _send(world["EE"], _plan(given), None)
    await world.settle()
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    withdrawal = {**_placement(CONSENT, "FI"), "type": "placement.withdrawal", "body": {"reason": "CONSENT_WITHDRAWN"}}
    await world["FI"].submit(withdrawal, procedure=given.procedure)
    await world.settle()

    with pytest.raises(SafeguardBlocked, match="was withdrawn"):
        await _depart(world, plan, acceptance)
    assert await _states(world, plan) == {"PRE_DEPARTURE_CHECKED"}

    view = await world["EE"].view(plan.procedure)
    exempt = {"standing": "CONSENT_NOT_REQUIRED", "exemption": "RECEIVING_STATE_OWN_DECISION"}
    theirs = _example(PLAN, **exempt, placement_decision={"not_applicable": True})
    theirs |= {"sender": {"authority": view.row.peer_authority}}
    theirs |= {"recipient": {"country": "EE", "authority": view.row.our_authority}}
    hostile = Hostile(world["FI"], world["EE"])
    called = hostile.message(theirs, procedure=view.row.ref, parents=view.heads, case_ref=view.row.case_ref)
    assert await hostile.send(called) == "recorded"
    with pytest.raises(SafeguardBlocked, match="was withdrawn"):  # the other side's plan is none
        await _depart(world, plan, acceptance)


async def test_a_remedy_told_of_elsewhere_stops_the_step_that_it_is_against(world: World) -> None:
    """R-28: a notice names the plan: nothing departs until it is closed; one about another message stops nothing."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    open_one = {"remedy": "OPEN_SUSPENSIVE", "suspensive": "YES"}
    await _elsewhere(world, "EE", REMEDY, of={"value": "0" * 64}, **open_one)
    told = await _elsewhere(world, "EE", REMEDY, of={"value": str(plan.digest)}, **open_one)
    with pytest.raises(SafeguardBlocked, match="legal remedy that suspends"):
        await _depart(world, plan, acceptance)
    assert await _states(world, plan) == {"PRE_DEPARTURE_CHECKED"}
    await _elsewhere(world, "EE", CLOSURE, told)

    await _depart(world, plan, acceptance)


async def test_a_remedy_is_taken_back_by_whoever_told_of_it(world: World) -> None:
    """R-28: the receiving country says in our notice that nothing suspends; ours stands until we say so too."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    against = {"of": {"value": str(plan.digest)}}
    told = await _elsewhere(world, "EE", REMEDY, remedy="OPEN_SUSPENSIVE", suspensive="YES", **against)
    await _elsewhere(world, "FI", REMEDY, told, remedy="NONE_OPEN", suspensive="NO", **against)
    with pytest.raises(SafeguardBlocked, match="legal remedy that suspends"):
        await _depart(world, plan, acceptance)
    await _elsewhere(world, "EE", REMEDY, told, remedy="NONE_OPEN", suspensive="NO", **against)

    await _depart(world, plan, acceptance)


async def test_the_newest_word_on_a_remedy_is_what_follows_the_others(world: World) -> None:
    """R-28: whoever tells of it again stops the departure, also when the clock was set back meanwhile."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    against = {"of": {"value": str(plan.digest)}}
    told = await _elsewhere(world, "EE", REMEDY, remedy="NONE_OPEN", suspensive="NO", **against)
    world["EE"].clock.set_back(300)
    await _elsewhere(world, "EE", REMEDY, told, remedy="OPEN_SUSPENSIVE", suspensive="YES", **against)

    with pytest.raises(SafeguardBlocked, match="legal remedy that suspends"):
        await _depart(world, plan, acceptance)


async def test_an_objection_waits_for_its_answer_before_the_child_departs(world: World) -> None:
    """R-28: the guardian's words against the plan hold the departure; once they are answered in writing it leaves."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    guardian = await _elsewhere(world, "EE", "guardian/appointed-in-lithuania")
    raised = {"raised_on": "2026-11-21", "remedy": "NONE_OPEN"}
    await _elsewhere(world, "EE", OBJECTION, guardian, of={"value": str(plan.digest)}, **raised)
    with pytest.raises(SafeguardHeld, match="not answered in writing"):
        await _depart(world, plan, acceptance)
    assert await _states(world, plan) == {"PRE_DEPARTURE_CHECKED"}
    await _elsewhere(world, "FI", ANSWER, guardian, raised_on="2026-11-21")

    await _depart(world, plan, acceptance)


async def test_one_answer_answers_one_objection_of_a_day(world: World) -> None:
    """R-28: an answer names the day alone; the second objection of that day holds the departure until it has its own."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    guardian = await _elsewhere(world, "EE", "guardian/appointed-in-lithuania")
    for _ in range(2):
        raised = {"raised_on": "2026-11-21", "remedy": "NONE_OPEN", "of": {"value": str(plan.digest)}}
        await _elsewhere(world, "EE", OBJECTION, guardian, **raised)
    await _elsewhere(world, "FI", ANSWER, guardian, raised_on="2026-11-21")
    with pytest.raises(SafeguardHeld, match="not answered in writing"):
        await _depart(world, plan, acceptance)
    await _elsewhere(world, "FI", ANSWER, guardian, raised_on="2026-11-21")

    await _depart(world, plan, acceptance)


async def test_silence_never_lets_a_child_depart(world: World) -> None:
    """A year without an answer: the plan is still only proposed, on whatever basis."""
    plan = await _planned(world, valid_until="2028-12-31")
    world.clock.advance(365 * 86_400)
    await world.settle()
    with pytest.raises(NotAllowed):
        await _send(world["EE"], _example(DEPARTURE, plan=str(plan.digest)), plan)

    assert await _states(world, plan) == {"PROPOSED"}


async def test_the_arrival_is_waited_for_by_the_newest_announcement(world: World) -> None:
    """Six full hours after the announced one; after a delay six hours after the new one, and the first is no longer due."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _depart(world, plan, acceptance)
    await world.settle()

    async def due() -> dict[str, datetime]:
        view = await world["EE"].view(plan.procedure)
        return {item.deadline.id: item.due for item in view.deadlines if item.deadline.id.startswith("arrival")}

    assert {name: str(at) for name, at in (await due()).items()} == {"arrival": "2026-11-24 16:00:00+00:00"}
    await _send(world["EE"], _example("delay-storm"), plan)
    await world.settle()
    assert {name: str(at) for name, at in (await due()).items()} == {"arrival-after-delay": "2026-11-24 22:00:00+00:00"}
    await _send(world["EE"], _example("delay-missed-connection"), plan)
    await world.settle()
    assert await _states(world, plan) == {"NOT_ARRIVED"}


async def test_a_day_that_no_calendar_has_puts_no_alarm_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older program lets 31 November leave: it counts as the month's last day, a week at most, then both are called."""
    monkeypatch.setattr("broker.core.safeguards.moving", lambda *_: ())
    monkeypatch.setattr("broker.catalogue.compiled.unknown_place", lambda *_: [])
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _depart(world, plan, acceptance)
    delay = _example("delay-storm")
    delay["body"]["eta"]["at"] = "2026-11-31T09:00:00.000Z"
    await _send(world["EE"], delay, plan)
    await world.settle()

    for country in ("EE", "FI"):
        view = await world[country].view(plan.procedure)
        assert {
            item.deadline.id: str(item.due) for item in view.deadlines if item.deadline.id.startswith("arrival")
        } == {"arrival-after-delay": "2026-11-29 10:00:00+00:00"}


async def test_a_check_that_finds_a_remedy_does_not_leave(world: World) -> None:
    """The safeguard stops it before anything is stored, although the table would allow it."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    body = _example(CHECK, plan=str(plan.digest), acceptance=str(acceptance.digest))
    body["body"]["is_it_safe"]["remedy"] = "OPEN_SUSPENSIVE"
    with pytest.raises(SafeguardBlocked):
        await _send(world["EE"], body, plan)

    assert await _states(world, plan) == {"PLAN_AGREED"}


@pytest.mark.parametrize(("hours", "departs"), [(18.8, True), (19.2, False)])
async def test_the_acceptance_ends_at_midnight_where_it_was_given(world: World, hours: float, departs: bool) -> None:
    """Its last day is a day of Finland, two hours ahead of UTC: at 00:10 there it is over, though UTC still has that day."""
    world.clock.advance(hours * 3600)
    plan = await _planned(world)
    acceptance = await _accept(world, plan, until="2026-11-22")
    await _check(world, plan, acceptance)
    if departs:
        await _depart(world, plan, acceptance)
    else:
        with pytest.raises(NotAllowed, match="no longer"):
            await _depart(world, plan, acceptance)
    await world.settle()
    assert await _states(world, plan) == {"DEPARTED" if departs else "PRE_DEPARTURE_CHECKED"}


async def _correct(world: World, way: str, by: str, target: Accepted, pointer: str, now: str) -> None:
    """Correct a message, in its procedure or in one of its own; a second person releases what is held."""
    apart = way == APART
    name = "correction/rectify-birth-year" if apart else "acts/correction-birth-year"
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{name}.json"))
    ours, theirs = ("social-insurance-board", ("FI", "helsinki-wellbeing-services"))
    if by == "FI":
        ours, theirs = ("helsinki-wellbeing-services", ("EE", "social-insurance-board"))
    data |= {"type": way, "sender": {"authority": ours}, "recipient": {"country": theirs[0], "authority": theirs[1]}}
    data["body"] |= {"targets": [str(target.digest)]} if apart else {"target": str(target.digest)}
    data["body"]["fields"] = [{"pointer": pointer, "now": {"value": now}}]
    if not apart:
        data["legal_basis"] = {"code": "IR2055_11" if way.startswith("notice") else "B2B_82"}
    country = world[by]
    try:
        await country.submit(data, **({} if apart else {"procedure": target.procedure}))
    except SafeguardHeld:
        held = (await country.store.read(lambda reader: reader.drafts(None, cursor=None, limit=1))).items[0]
        await country.desk.approve.release(held.id, officer(held.authority, "second"), ReleaseReason.CHECKED)
    await world.settle()


APART = "correction.rectify"
ways = pytest.mark.parametrize("way", ["transfer.correction", APART])


@ways
@pytest.mark.parametrize(
    ("pointer", "now", "said"),
    [
        ("/valid_until", "2026-11-21", "the last day of its consent has passed"),
        ("/valid_until", "as long as it takes", "the last day of its consent has passed"),
        ("/consent", "CONSENT_REFUSED", "does not agree to this"),
        ("/covers", "0" * 64, "does not agree to this"),
    ],
)
async def test_a_corrected_acceptance_clears_no_more_than_it_says_now(
    world: World, way: str, pointer: str, now: str, said: str
) -> None:
    """R-07: the receiving country corrects its answer, in the procedure or apart; longer than it first said it never counts."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _correct(world, way, "FI", acceptance, pointer, now)
    with pytest.raises(SafeguardBlocked, match=said):
        await _depart(world, plan, acceptance)


@ways
async def test_a_plan_that_was_corrected_after_its_acceptance_needs_a_new_one(world: World, way: str) -> None:
    """CASEWORK C-19: the other side agreed to other words; once it has read these it agrees anew, and the child departs."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    world.clock.advance(1)
    await _correct(world, way, "EE", plan, "/reasons", "The aunt has moved to another town.")
    with pytest.raises(SafeguardBlocked, match="agree anew"):
        await _depart(world, plan, acceptance)
    world.clock.advance(1)
    again = await _accept(world, plan)
    await _check(world, plan, again)
    await _depart(world, plan, again)


@ways
async def test_what_the_other_side_had_read_is_told_by_what_it_answered_not_by_its_clock(
    world: World, way: str
) -> None:
    """CASEWORK C-19: its clock was ahead when it agreed and was set right before our correction came."""
    plan = await _planned(world)
    world["FI"].clock.set_back(-300)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    world["FI"].clock.set_back(300)
    world.clock.advance(1)
    await _correct(world, way, "EE", plan, "/reasons", "The aunt has moved to another town.")

    with pytest.raises(SafeguardBlocked, match="agree anew"):
        await _depart(world, plan, acceptance)


@ways
async def test_who_is_to_be_returned_departs_only_with_a_lawyer_as_the_check_reads_now(world: World, way: str) -> None:
    """R-42: a second person lets out that the lawyer has gone, which may be right for a transfer; a return it stops."""
    plan = await _send(
        world["EE"],
        _plan(await _consented(world), durable_solution="RETURN_REINTEGRATION_ORIGIN"),
        None,
    )
    await world.settle()
    acceptance = await _accept(world, plan)
    check = await _send(
        world["EE"], _example(CHECK, plan=str(plan.digest), acceptance=str(acceptance.digest)), plan
    )  # fmt: skip
    await world.settle()
    await _correct(world, way, "EE", check, "/who_is_there/lawyer/status", "NOT_AVAILABLE")
    with pytest.raises(SafeguardBlocked, match="R-42"):
        await _depart(world, plan, acceptance)


@pytest.mark.parametrize("way", ["placement.correction", APART])
async def test_a_corrected_consent_lets_nobody_depart_whom_it_does_not_cover(world: World, way: str) -> None:
    """R-07: the consent that a plan names counts as it reads now in its own procedure."""
    given = await _consented(world)
    plan = await _send(world["EE"], _plan(given), None)
    await world.settle()
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await _correct(world, way, "FI", given, "/care", "FOSTER_CARE")
    with pytest.raises(SafeguardBlocked, match="another form of care"):
        await _depart(world, plan, acceptance)


@pytest.mark.parametrize("way", ["notice.correction", APART])
async def test_a_corrected_notice_of_a_remedy_counts_as_it_reads_now(world: World, way: str) -> None:
    """R-28: it was told without the message that it is against, which its author adds."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    told = await _elsewhere(world, "FI", REMEDY, remedy="OPEN_SUSPENSIVE", suspensive="YES", of={"unknown": True})
    await _correct(world, way, "FI", told, "/of", str(plan.digest))
    with pytest.raises(SafeguardBlocked, match="legal remedy that suspends"):
        await _depart(world, plan, acceptance)


@ways
@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-23T09:00:00.000Z", "2026-11-23 16:00:00+00:00"),
        ("2026-11-28T09:00:00.000Z", "2026-11-24 16:00:00+00:00"),
        ("when the ferry comes", "2026-11-24 16:00:00+00:00"),
    ],
)
async def test_an_arrival_that_was_corrected_is_waited_for_no_longer(
    world: World, way: str, now: str, due: str
) -> None:
    """R-13: an earlier moment counts on both sides; a later one is a delay, which both sides tell and count."""
    plan, departure = await _departed(world)
    await _correct(world, way, "EE", departure, "/eta/at", now)
    for country in ("EE", "FI"):
        view = await world[country].view(plan.procedure)
        assert [str(item.due) for item in view.deadlines if item.deadline.id == "arrival"] == [due]


@ways
async def test_who_waits_for_an_arrival_that_was_moved_earlier_is_called_when_it_is_missed(
    world: World, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-13: at the next look on both sides, wherever it was corrected, however many newer procedures are open."""
    plan, departure = await _departed(world)
    for country in ("EE", "FI"):
        while await world[country].engine.remind() or await world[country].engine.link_audit():
            pass
    await _correct(world, way, "EE", departure, "/eta/at", "2026-11-23T09:00:00.000Z")
    world.clock.advance((datetime(2026, 11, 23, 16, 1, tzinfo=UTC) - world.clock.now()).total_seconds())
    monkeypatch.setattr("broker.flows.remind.REMIND_BATCH", 4)
    for country in ("EE", "FI"):
        node = world[country]
        row = await node.store.read(lambda reader: reader.procedure(plan.procedure, None))
        assert row is not None
        newer = [replace(row, ref=replace(row.ref, id=procedure_id(n)), opened=world.clock.now()) for n in range(9)]
        await node.store.run(lambda tx, newer=newer: [tx.add_procedure(one) for one in newer])  # type: ignore[misc]
        await node.engine.remind()
        calls = await node.store.read(lambda reader: reader.open_calls(["answer-overdue", "deadline-overdue"]))
        assert [call.subject for call in calls] == [f"{plan.procedure}/arrival/20261123"]


@pytest.mark.parametrize(
    ("way", "kind", "error"),
    [
        ("transfer.correction", "RESTRICT", SafeguardHeld),
        ("transfer.correction", "ERASE", SafeguardBlocked),
        ("correction.restrict", "accuracy-contested", SafeguardHeld),
        ("correction.erase", "wrong-child", SafeguardBlocked),
    ],
)
@pytest.mark.parametrize("what", ["acceptance", "consent"])
async def test_nobody_departs_on_what_its_author_lets_nobody_use(
    world: World, way: str, kind: str, error: type[SafeguardHeld | SafeguardBlocked], what: str
) -> None:
    """GDPR 17, 18: the receiving country says of its answer that it is contested, or was about another child."""
    given = await _consented(world)
    plan = await _send(world["EE"], _plan(given), None)
    await world.settle()
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    target = acceptance if what == "acceptance" else given
    within = way == "transfer.correction"
    name = "acts/correction-erase" if within else f"{way.replace('.', '/')}-{kind}"
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{name}.json"))
    data |= {"sender": {"authority": "helsinki-wellbeing-services"}}
    data |= {"recipient": {"country": "EE", "authority": "social-insurance-board"}}
    if within:
        data["body"] |= {"target": str(target.digest), "kind": kind}
        data |= {"type": way if what == "acceptance" else "placement.correction", "legal_basis": {"code": "B2B_82"}}
    else:
        data["body"]["targets"] = [str(target.digest)]
    await world["FI"].submit(data, **({"procedure": target.procedure} if within else {}))
    await world.settle()
    with pytest.raises(error, match="By the word of its own author"):
        await _depart(world, plan, acceptance)


@pytest.mark.parametrize("kind", ["RESTRICT", "ERASE"])
@pytest.mark.parametrize("what", ["the consent", "what the other side said"])
async def test_nothing_is_restricted_where_nobody_would_see_it(world: World, kind: str, what: str) -> None:
    """GDPR 17, 18: departures look for it where the consent was given; whoever says it in the transfer is told so."""
    given = await _consented(world)
    plan = await _send(world["EE"], _plan(given), None)
    await world.settle()
    data: dict[str, Any] = json.loads(read_schema_file("examples/acts/correction-erase.json"))
    data |= {"type": "transfer.correction", "legal_basis": {"code": "B2B_82"}}
    data |= {"sender": {"authority": "helsinki-wellbeing-services"}}
    data |= {"recipient": {"country": "EE", "authority": "social-insurance-board"}}
    data["body"] |= {"target": str(given.digest if what == "the consent" else plan.digest), "kind": kind}
    with pytest.raises(SafeguardHeld, match="in its own procedure"):
        await world["FI"].submit(data, procedure=plan.procedure)


@pytest.mark.parametrize(("kind", "error"), [("RESTRICT", SafeguardHeld), ("ERASE", SafeguardBlocked)])
async def test_nobody_departs_on_a_consent_that_its_author_corrected_in_the_transfer(
    world: World, kind: str, error: type[SafeguardHeld | SafeguardBlocked]
) -> None:
    """GDPR 17, 18: another country's program let that leave."""
    given = await _consented(world)
    plan = await _send(world["EE"], _plan(given), None)
    await world.settle()
    acceptance = await _accept(world, plan)
    await _check(world, plan, acceptance)
    await world.settle()
    hostile, view = Hostile(world["FI"], world["EE"]), await world["EE"].view(plan.procedure)
    data: dict[str, Any] = json.loads(read_schema_file("examples/acts/correction-erase.json"))
    data |= {"type": "transfer.correction", "legal_basis": {"code": "B2B_82"}}
    data |= {"sender": {"authority": "helsinki-wellbeing-services"}}
    data |= {"recipient": {"country": "EE", "authority": "social-insurance-board"}}
    data["body"] |= {"target": str(given.digest), "kind": kind}
    told = hostile.message(data, procedure=view.row.ref, parents=view.heads, case_ref=view.row.case_ref)
    assert await hostile.send(told) == "recorded"
    with pytest.raises(error, match="By the word of its own author"):
        await _depart(world, plan, acceptance)


@ways
@pytest.mark.parametrize(
    ("what", "pointer", "now", "rule"),
    [
        ("check", "/who_is_there/guardian/value/conflict_declared_absent", "NO", "R-06"),
        ("check", "/is_it_safe/carers/value/0/safety", "NOT_SAFE", "R-04"),
        ("check", "/is_it_safe/remedy", "OPEN_SUSPENSIVE", "R-28"),
        ("plan", "/carers/value/0/safety", "NOT_SAFE", "R-04"),
        ("plan", "/standing", "CONSENT_WITHDRAWN", "R-07"),
    ],
)
async def test_that_plan_or_check_were_wrong_is_told_and_nobody_departs(
    world: World, way: str, what: str, pointer: str, now: str, rule: str
) -> None:
    """R-04 … R-28: a second person lets the truth out, which the other side must know; the child stays where it is."""
    plan = await _planned(world)
    acceptance = await _accept(world, plan)
    body = {"plan": str(plan.digest), "acceptance": str(acceptance.digest)}
    check = await _send(world["EE"], _example(CHECK, **body), plan)
    await world.settle()
    await _correct(world, way, "EE", plan if what == "plan" else check, pointer, now)
    if what == "plan":
        world.clock.advance(1)
        acceptance = await _accept(world, plan)
        await _check(world, plan, acceptance)
    with pytest.raises(SafeguardBlocked, match=rule):
        await _depart(world, plan, acceptance)
