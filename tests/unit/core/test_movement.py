# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What keeps a child from being moved: each gap in the plan or in the check before departure, by its rule."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.core.ids import CaseRef, CountryCode, Digest, MessageType
from broker.core.movement import moving
from broker.core.reasons import Earlier, Level, Reason
from broker.core.safeguards import Blocked, Cleared, Decision, Held, decide, weighs_for_good
from broker.testing.valid_messages import valid_message

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples" / "transfer"
CHECK = json.loads((EXAMPLES / "pre-departure-six-questions.json").read_text(encoding="utf-8"))["body"]
PLAN = json.loads((EXAMPLES / "plan-to-aunt.json").read_text(encoding="utf-8"))["body"]
Change = Callable[[Any], object]


def _decide(kind: str, body: Any, change: Change) -> Decision:
    changed = copy.deepcopy(body)
    change(changed)
    return decide(valid_message(kind, changed))


def _found(decision: Decision) -> list[tuple[str, str]]:
    return [] if isinstance(decision, Cleared) else [(reason.rule, reason.where) for reason in decision.reasons]


def _put(*path: str, value: Any) -> Change:
    def change(body: Any) -> None:
        for step in path[:-1]:
            body = body[step]
        body[path[-1]] = value

    return change


def _carer(**values: Any) -> Change:
    return lambda body: body["is_it_safe"]["carers"]["value"][0].update(values)


SAFE, KNOWS, THERE, MEETS = "is_it_safe", "knows_and_wants", "who_is_there", "who_meets"
UNKNOWN = {"unknown": True}
NO = {"value": "NO"}
NOT_HEARD = {"not_heard": {"because": ["TOO_YOUNG_ASSESSED"]}}


def _not_asked(body: Any) -> None:
    body[KNOWS]["child_consent"] = {"coded_basis": {"code": "LEGAL_OBLIGATION", "reason": "A court decided."}}


def _running_and_not_asked(body: Any) -> None:
    body[SAFE]["reflection_running"] = {"value": "YES"}
    _not_asked(body)


def _running_and_asked_by(who: str) -> Change:
    def change(body: Any) -> None:
        body[SAFE]["reflection_running"] = {"value": "YES"}
        body[KNOWS]["child_consent"]["given"]["by"] = [who]

    return change


BLOCKS: dict[str, tuple[Change, str, str]] = {
    "danger": (_put("danger_assessment", "would_endanger", value="YES"), "R-02", "/danger_assessment/would_endanger"),
    "a carer is not safe": (_carer(safety={"value": "NOT_SAFE"}), "R-04", f"/{SAFE}/carers/value/0"),
    "a carer's safety is not known": (_carer(safety=UNKNOWN), "R-04", f"/{SAFE}/carers/value/0"),
    "a carer may be another person": (
        _carer(identity={"value": "CANDIDATE_FOUND"}), "R-04", f"/{SAFE}/carers/value/0",
    ),
    "nobody knows who verified the carers": (_put(SAFE, "carers", value=UNKNOWN), "R-04", f"/{SAFE}/carers"),
    "the child was not heard": (_put(KNOWS, "views", value=NOT_HEARD), "R-05", f"/{KNOWS}/views"),
    "no guardian here": (_put(THERE, "guardian", value=UNKNOWN), "R-06", f"/{THERE}/guardian"),
    "no guardian there": (
        _put(THERE, "guardian_there", value={"not_applicable": True}), "R-06", f"/{THERE}/guardian_there",
    ),
    "a conflict is not excluded": (
        _put(THERE, "guardian", "value", "conflict_declared_absent", value=UNKNOWN), "R-06", f"/{THERE}/guardian",
    ),
    "not assessed": (
        _put(SAFE, "individual_assessment", value={"value": {"not_done": {"reason": "later", "planned_on": UNKNOWN}}}),
        "R-10", f"/{SAFE}/individual_assessment",
    ),
    "nobody is confirmed to meet the child": (
        _put(MEETS, "receiving", "confirmed_on", value=UNKNOWN), "R-11", f"/{MEETS}/receiving/confirmed_on",
    ),
    "the reflection period runs and nobody asked": (_running_and_not_asked, "R-27", f"/{SAFE}/reflection_running"),
    "the reflection period runs and only the child asked": (_running_and_asked_by("CHILD"), "R-27", f"/{SAFE}/reflection_running"),
    "the reflection period runs and only the guardian asked": (
        _running_and_asked_by("GUARDIAN"), "R-27", f"/{SAFE}/reflection_running",
    ),
    "a remedy suspends": (_put(SAFE, "remedy", value="OPEN_SUSPENSIVE"), "R-28", f"/{SAFE}/remedy"),
}  # fmt: skip

HOLDS: dict[str, tuple[Change, str, str]] = {
    "the child does not want it": (_put(KNOWS, "views", "heard", "wants", value="NO"), "R-05", f"/{KNOWS}/views/heard/wants"),
    "nobody travels with the child": (_put(THERE, "escort", value={"not_applicable": True}), "R-11", f"/{THERE}/escort"),
    "it is not settled who the child is": (
        _put("which_child", "identity_settled", value="NO"), "R-15", "/which_child/identity_settled",
    ),
    "identification is open, and child and guardian ask for the move": (
        _put(SAFE, "identification_open", value={"value": "YES"}), "R-27", f"/{SAFE}/identification_open",
    ),
    "it is not known whether identification is open": (
        _put(SAFE, "identification_open", value=UNKNOWN), "R-27", f"/{SAFE}/identification_open",
    ),
    "nobody knows of a remedy": (_put(SAFE, "remedy", value="UNKNOWN"), "R-28", f"/{SAFE}/remedy"),
    "an objection is not answered": (
        _put(SAFE, "objection_open", value={"value": "YES"}), "R-28", f"/{SAFE}/objection_open",
    ),
    "proceedings go on without an arrangement": (
        _put(SAFE, "proceedings", "value", value=[{**CHECK[SAFE]["proceedings"]["value"][0], "arrangement": UNKNOWN}]),
        "R-29", f"/{SAFE}/proceedings/value/0/arrangement",
    ),
    "nobody knows the proceedings": (_put(SAFE, "proceedings", value=UNKNOWN), "R-29", f"/{SAFE}/proceedings"),
    "there is no lawyer": (_put(THERE, "lawyer", value={"status": "REQUESTED"}), "R-42", f"/{THERE}/lawyer/status"),
}  # fmt: skip


def test_a_check_with_all_answers_passes() -> None:
    """Six questions answered well: nothing hinders, and nothing is asked twice."""
    assert isinstance(_decide("transfer.pre-departure", CHECK, lambda _: None), Cleared)
    assert isinstance(_decide("transfer.plan", PLAN, lambda _: None), Cleared)


@pytest.mark.parametrize("case", BLOCKS)
def test_no_one_lifts_what_would_hurt_the_child(case: str) -> None:
    """The check before departure does not leave; the reason names the rule and the place."""
    change, rule, where = BLOCKS[case]
    decision = _decide("transfer.pre-departure", CHECK, change)

    assert isinstance(decision, Blocked)
    assert _found(decision) == [(rule, where)]


@pytest.mark.parametrize("case", HOLDS)
def test_a_second_person_decides_about_what_is_open(case: str) -> None:
    """The check waits for a second person; unknown is never read as no."""
    change, rule, where = HOLDS[case]
    decision = _decide("transfer.pre-departure", CHECK, change)

    assert isinstance(decision, Held)
    assert _found(decision) == [(rule, where)]


@pytest.mark.parametrize(
    "standing", ["CONSENT_REFUSED", "CONSENT_OVERDUE_NO_REPLY", "CONSENT_LAPSED", "CONSENT_WITHDRAWN"]
)
def test_no_plan_is_sent_on_a_consent_that_is_none(standing: str) -> None:
    """Silence after three months is no consent either (R-07)."""
    decision = _decide("transfer.plan", PLAN, _put("standing", value=standing))

    assert isinstance(decision, Blocked)
    assert _found(decision) == [("R-07", "/standing")]


def test_a_plan_to_relatives_needs_their_verification() -> None:
    """That nobody was verified because it does not apply is true of an institution alone (R-04)."""
    decision = _decide("transfer.plan", PLAN, _put("carers", value={"not_applicable": True}))
    assert _found(decision) == [("R-04", "/carers")]

    def stay_with_relatives(body: Any) -> None:
        body.update(carers={"not_applicable": True}, durable_solution="TRANSFER_TO_FAMILY_OTHER_STATE")
        body["care"]["kind"] = "RESIDENTIAL_CARE"

    assert _found(_decide("transfer.plan", PLAN, stay_with_relatives)) == [("R-04", "/carers")]

    def institution(body: Any) -> None:
        body.update(carers={"not_applicable": True}, durable_solution="INTEGRATION_HOST")
        body["care"]["kind"] = "RESIDENTIAL_CARE"

    assert _found(_decide("transfer.plan", PLAN, institution)) == []


@pytest.mark.parametrize(
    "kind",
    ["PARENTS", "STEP_PARENT", "CUSTOMARY_CAREGIVER", "ADULT_SIBLING", "KINSHIP_CARE", "UNRELATED_ADULT"],
)
def test_whoever_takes_a_child_in_at_home_is_verified(kind: str) -> None:
    """R-04: a parent as much as a stranger, whatever the solution is called."""

    def at_home(body: Any) -> None:
        body.update(carers={"not_applicable": True}, durable_solution="INTEGRATION_HOST")
        body["care"]["kind"] = kind

    assert _found(_decide("transfer.plan", PLAN, at_home)) == [("R-04", "/carers")]


def test_a_plan_says_how_it_is_with_brothers_and_sisters() -> None:
    """R-35: where nobody has said it a second person looks."""
    assert _found(_decide("transfer.plan", PLAN, _put("siblings", value=UNKNOWN))) == [("R-35", "/siblings")]
    assert _found(_decide("transfer.plan", PLAN, _put("siblings", value={"not_applicable": True}))) == []


def test_what_has_happened_is_told_whatever_else_is_wrong() -> None:
    """A delay, a missing arrival and a suspension are held up by nothing."""
    for kind in ("transfer.delay", "transfer.not-arrived", "transfer.suspension", "transfer.withdrawal"):
        assert isinstance(_decide(kind, {}, lambda _: None), Cleared)


def _moving(kind: str, body: Any, *earlier: Earlier) -> list[Reason]:
    return list(moving(valid_message(kind, body), earlier, date(2026, 11, 22)))


@pytest.mark.parametrize(
    ("kind", "at", "blocked"),
    [
        ("transfer.delay", "2026-11-29T03:00:00.000Z", False),
        ("transfer.delay", "2026-11-29T03:00:00.001Z", True),
        ("transfer.delay", "2026-11-31T00:00:00.000Z", True),
        ("transfer.departure", "2126-11-24T09:00:00.000Z", True),
        ("transfer.arrival", "2126-11-24T09:00:00.000Z", False),
    ],
)
def test_nobody_is_told_to_wait_longer_than_a_week_for_a_child_on_its_way(kind: str, at: str, blocked: bool) -> None:
    """R-13: a day of the wrong year, or none, would put the alarm off; what passes is waited for to its moment."""
    found = _moving(kind, {"eta": {"at": at}})
    told = [(one.rule, one.level, one.where) for one in found]
    assert told == ([("R-13", Level.BLOCK, "/eta/at")] if blocked else [])
    assert all("transfer.not-arrived" in one.text and "2126" not in one.text for one in found)


@pytest.mark.parametrize(
    ("next_on", "held"),
    [
        ({"value": "2027-11-23"}, False),
        ({"value": "2027-11-24"}, True),
        ({"unknown": True}, True),
        ({"not_applicable": True}, False),
    ],
)
def test_a_report_names_a_next_visit_within_a_year(next_on: Any, held: bool) -> None:
    """R-14: its day is what becomes overdue; a second person decides about a longer time, or none."""
    found = [(one.rule, one.level, one.where) for one in _moving("monitoring.report", {"visit": {"next_on": next_on}})]
    assert found == ([("R-14", Level.HOLD, "/visit/next_on")] if held else [])


@pytest.mark.parametrize(
    ("on", "code"),
    [
        ("2026-05-22", None),
        ("2026-11-23", None),
        ("2026-05-21", "carer-verified-long-ago"),
        ("2024-11-22", "carer-verified-long-ago"),
        ("2026-11-24", "carer-verified-ahead"),
        ("2062-05-22", "carer-verified-ahead"),
    ],
)
def test_what_was_found_of_a_carer_holds_for_six_months(on: str, code: str | None) -> None:
    """R-04: neither a plan nor the check rests on an older verification, or on one of a day that is still to come."""
    for kind, given, at in (("transfer.plan", PLAN, ""), ("transfer.pre-departure", CHECK, "/is_it_safe")):
        body = copy.deepcopy(given)
        part = body["is_it_safe"] if at else body
        part["carers"]["value"][0]["on"] = on
        found = [(one.rule, one.code, one.where) for one in _moving(kind, body)]
        where = f"{at}/carers/value/0/on"
        assert found == ([("R-04", code, where)] if code else [])


@pytest.mark.parametrize(
    ("solution", "lawyer", "blocked"),
    [
        ("RETURN_REINTEGRATION_ORIGIN", "REQUESTED", True),
        ("RETURN_COUNTRY_OF_RETURN", "NOT_AVAILABLE", True),
        ("RETURN_REINTEGRATION_ORIGIN", "NAMED", False),
        ("TRANSFER_TO_FAMILY_OTHER_STATE", "REQUESTED", False),
    ],
)
def test_no_child_is_returned_without_a_lawyer(solution: str, lawyer: str, blocked: bool) -> None:
    """R-42: by our newest plan; what a second person may release for a transfer nobody releases for a return."""
    plans = [
        Earlier(type=MessageType("transfer.plan"), digest=Digest(f"{n}" * 64), author=CountryCode(author), body=body)
        for n, (author, body) in enumerate(
            [
                ("EE", PLAN),
                ("EE", {**PLAN, "durable_solution": solution}),
                ("FI", {**PLAN, "durable_solution": "PENDING"}),
            ]
        )
    ]
    check = copy.deepcopy(CHECK)
    check["who_is_there"]["lawyer"] = {"status": lawyer}
    found = [(one.rule, one.level, one.code) for one in _moving("transfer.pre-departure", check, *plans)]
    assert found == ([("R-42", Level.BLOCK, "no-lawyer-for-return")] if blocked else [])


def test_a_case_changes_its_court_with_a_lawyer_beside_the_child() -> None:
    """R-42 holds for a change of jurisdiction as for a transfer."""
    folder = EXAMPLES.parent / "jurisdiction"
    request = json.loads((folder / "request-take-over-the-case.json").read_text(encoding="utf-8"))["body"]
    invitation = json.loads((folder / "invitation-until-november.json").read_text(encoding="utf-8"))["body"]

    for kind, body in (("jurisdiction.request", request), ("jurisdiction.invitation", invitation)):
        assert isinstance(_decide(kind, body, lambda _: None), Cleared)
        held = _decide(kind, body, _put("lawyer", value={"status": "REQUESTED"}))
        assert isinstance(held, Held)
        assert _found(held) == [("R-42", "/lawyer/status")]


def _earlier(kind: str, body: Any, number: int, author: str = "EE") -> Earlier:
    return Earlier(type=MessageType(kind), digest=Digest(f"{number}" * 64), author=CountryCode(author), body=body)


def _corrected(number: int, target: int, pointer: str, now: str, author: str = "EE") -> Earlier:
    field = {"pointer": pointer, "now": {"value": now}}
    body = {"target": Digest(f"{target}" * 64), "fields": [field]}
    return _earlier("transfer.correction", body, number, author)


TO_FAMILY = {**PLAN, "durable_solution": "TRANSFER_TO_FAMILY_OTHER_STATE"}
NO_LAWYER = {**CHECK, "who_is_there": {**CHECK["who_is_there"], "lawyer": {"status": "REQUESTED"}}}
SOLUTION, CARER = "/durable_solution", "/is_it_safe/carers/value/0"
LAWYER = "/who_is_there/lawyer/status"


@pytest.mark.parametrize(
    ("plan", "check", "corrections", "code"),
    [
        (TO_FAMILY, CHECK, (), None),
        (TO_FAMILY, NO_LAWYER, (), None),
        (TO_FAMILY, NO_LAWYER, ((SOLUTION, "RETURN_REINTEGRATION_ORIGIN", 1, "EE"),), "no-lawyer-for-return"),
        (TO_FAMILY, CHECK, ((LAWYER, "REQUESTED", 2, "EE"),), None),
        (TO_FAMILY, NO_LAWYER, ((SOLUTION, "RETURN_REINTEGRATION_ORIGIN", 1, "EE"), (LAWYER, "NAMED", 2, "EE")), None),
        (
            {**PLAN, "durable_solution": "RETURN_COUNTRY_OF_RETURN"}, CHECK,
            ((SOLUTION, "TRANSFER_TO_FAMILY_OTHER_STATE", 1, "EE"), (LAWYER, "REQUESTED", 2, "EE")), "no-lawyer-for-return",
        ),
        (TO_FAMILY, CHECK, ((f"{CARER}/on", "2026-05-21", 2, "EE"),), "carer-verified-long-ago"),
        (TO_FAMILY, CHECK, ((f"{CARER}/on", "2026-05-21", 2, "FI"),), None),
        (TO_FAMILY, CHECK, ((f"{CARER}/on", "last spring", 2, "EE"),), "correction-not-judged"),
        (TO_FAMILY, CHECK, ((f"{CARER}/safety", "NOT_SAFE", 2, "EE"),), "carer-not-verified"),
    ],
)  # fmt: skip
def test_the_child_departs_on_what_plan_and_check_say_on_the_day(
    plan: Any, check: Any, corrections: Any, code: str | None
) -> None:
    """R-04, R-42: what nobody may release stops the departure too, as it reads after all corrections of our own."""
    told = [_earlier("transfer.plan", plan, 1), _earlier("transfer.pre-departure", check, 2)]
    told += [
        _corrected(number, target, pointer, now, author)
        for number, (pointer, now, target, author) in enumerate(corrections, 3)
    ]
    departure = json.loads((EXAMPLES / "departure-by-ferry.json").read_text(encoding="utf-8"))["body"]
    departure["eta"]["at"] = "2026-11-24T10:00:00.000Z"
    found = {one.code for one in _moving("transfer.departure", departure, *told)}
    assert found == ({code} if code else set())


def test_an_order_rests_on_what_our_request_says_now() -> None:
    """R-34: a correction that locks the child in, where no court decided that, stops the order."""
    folder = EXAMPLES.parent / "placement"
    asked = json.loads((folder / "request-aunt-in-estonia.json").read_text(encoding="utf-8"))["body"]
    order = json.loads((folder / "order-by-the-court.json").read_text(encoding="utf-8"))["body"]
    request = _earlier("placement.request", asked, 1)
    locked = _corrected(2, 1, "/care/closed/value", "YES")
    assert _moving("placement.order", order, request) == []
    assert [one.code for one in _moving("placement.order", order, request, locked)] == ["no-court-decision"]


def test_what_a_plan_says_wrongly_can_be_put_right_and_moves_nobody() -> None:
    """R-04: a correction that makes our plan read worse waits for a second person: kept back, the other side would go by it."""
    plan = _earlier("transfer.plan", PLAN, 1)
    worse = _corrected(2, 1, "/carers/value/0/safety/value", "NOT_SAFE")
    case = CaseRef("CR-" + "0" * 20)
    decision = decide(valid_message("transfer.correction", worse.body, case_ref=case), (plan,))
    assert isinstance(decision, Held)
    assert [(one.code, one.where) for one in decision.reasons] == [("carer-not-verified", "/fields")]
    endangered = _corrected(2, 1, "/danger_assessment/would_endanger", "YES")
    assert isinstance(decide(valid_message("transfer.correction", endangered.body, case_ref=case), (plan,)), Blocked)


def test_no_check_is_too_old_to_be_read() -> None:
    """R-42: the departure rests on it, however many messages with an assessment of danger came after it."""
    assert weighs_for_good(MessageType("transfer.pre-departure"))


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        (("RESTRICT",), ["hold rests-on-restricted"]),
        (("RESTRICT", "UNRESTRICT"), []),
        (("ERASE", "UNRESTRICT"), ["block rests-on-restricted"]),
        (("RECTIFY",), []),
    ],
)
@pytest.mark.parametrize("target", [1, 2])
def test_the_child_departs_on_no_plan_and_no_check_that_is_restricted(
    kinds: tuple[str, ...], found: list[str], target: int
) -> None:
    """GDPR 17, 18: what is kept and not used is no ground for a move, until the restriction is over."""
    told = [_earlier("transfer.plan", TO_FAMILY, 1), _earlier("transfer.pre-departure", CHECK, 2)]
    for number, kind in enumerate(kinds, 3):
        body = {"target": Digest(f"{target}" * 64), "kind": kind}
        told += [_earlier("transfer.correction", body, number + 3, "FI"), _earlier("transfer.correction", body, number)]
    departure = json.loads((EXAMPLES / "departure-by-ferry.json").read_text(encoding="utf-8"))["body"]
    departure["eta"]["at"] = "2026-11-24T10:00:00.000Z"
    assert [f"{one.level.value} {one.code}" for one in _moving("transfer.departure", departure, *told)] == found
