# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What other procedures say of a step that moves a child."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from broker.core.elsewhere import Consent, Elsewhere, elsewhere, looks_elsewhere, named_consents
from broker.core.ids import CountryCode, Digest, MessageType
from broker.core.messages import Body, ValidMessage
from broker.core.reasons import Earlier
from broker.core.safeguards import Blocked, decide
from broker.testing.valid_messages import valid_message

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"
EE, FI = CountryCode("EE"), CountryCode("FI")
GIVEN = Digest("5f" * 32)  # that the example of a plan names
DEPARTURE = MessageType("transfer.departure")


def _body(path: str, **changes: Any) -> dict[str, Any]:
    return {**json.loads((EXAMPLES / path).read_text("utf-8"))["body"], **changes}


PLAN = _body("transfer/plan-to-aunt.json")
CONSENT = _body(
    "placement/decision-consent-for-a-year.json", care="KINSHIP_CARE", valid_until="2026-12-31",
    period={"from": "2026-12-01", "until": {"value": "2027-12-01"}},
)  # fmt: skip
REMEDY = _body("notice/remedy-appeal-stops-the-transfer.json")
OBJECTION = _body("guardian/objection-flight-date.json")


def _message(kind: str, body: Body, basis: str = "B2B_82") -> ValidMessage:
    return valid_message(kind, body, basis=basis)


def _known(*, in_effect: bool = True, ordered: bool = False, **changes: Any) -> Elsewhere:
    said = Earlier(type=MessageType("placement.decision"), digest=GIVEN, author=FI, body={**CONSENT, **changes})
    return Elsewhere(consents={GIVEN: Consent(said=said, in_effect=in_effect, ordered=ordered)})


def _found(message: ValidMessage, known: Elsewhere, *earlier: Earlier) -> list[str]:
    return [f"{reason.level.value} {reason.code}" for reason in elsewhere(message, earlier, known)]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (_known(), []),
        (Elsewhere(), ["block consent-not-found"]),
        (_known(in_effect=False), ["block consent-not-in-effect"]),
        (_known(valid_until="2026-11-21"), ["block consent-ended"]),
        (_known(valid_until="2026-11-22"), []),
        (_known(valid_until="2026-11-21", ordered=True), []),
        (_known(care="FOSTER_CARE"), ["block consent-to-other-care"]),
        (_known(period={"from": "2026-12-02", "until": {"unknown": True}}), ["block consent-to-other-days"]),
        (_known(period={"from": "2026-01-01", "until": {"value": "2026-11-30"}}), ["block consent-to-other-days"]),
        (_known(period={"from": "2026-12-01", "until": {"unknown": True}}), []),
    ],
)
def test_a_plan_rests_on_the_consent_that_it_names(known: Elsewhere, expected: list[str]) -> None:
    """R-07: looked up by its digest, in effect, for this care and these days; the departure is judged by its plan again."""
    plan = Earlier(type=MessageType("transfer.plan"), digest=Digest("a" * 64), author=EE, body=PLAN)
    assert _found(_message("transfer.plan", PLAN), known) == expected
    assert _found(_message(DEPARTURE, {}), known, plan) == expected
    assert _found(_message("transfer.delay", {}), known, plan) == []


def test_a_missing_consent_is_named_where_the_plan_names_it() -> None:
    """In the plan at its place; in a departure nowhere, for the plan is another message."""
    plan = Earlier(type=MessageType("transfer.plan"), digest=Digest("a" * 64), author=EE, body=PLAN)
    (of_plan,) = elsewhere(_message("transfer.plan", PLAN), (), Elsewhere())
    (of_departure,) = elsewhere(_message(DEPARTURE, {}), (plan,), Elsewhere())
    assert (of_plan.where, of_departure.where) == ("/placement_decision", "")


def test_a_departure_goes_by_our_plan_whatever_we_said_since() -> None:
    """R-07: neither another message of ours nor what the other side calls a plan takes its place."""
    told = [
        Earlier(type=MessageType(kind), digest=Digest(letter * 64), author=author, body=body)
        for letter, kind, author, body in (
            ("a", "transfer.plan", EE, PLAN),
            ("b", "transfer.plan", FI, {**PLAN, "placement_decision": {"value": "0" * 64}}),
            ("c", "transfer.status", EE, {"next_step": "x"}),
        )
    ]
    assert _found(_message(DEPARTURE, {}), _known(), *told) == []
    assert _found(_message(DEPARTURE, {}), Elsewhere(), *told) == ["block consent-not-found"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("family-tracing.clarification-answer", "warn adult-again"),
        ("relationship.reply", "hold adult-again"),
    ],
)
def test_an_adult_who_came_with_another_child_too_is_told_of(kind: str, expected: str) -> None:
    """R-43: an answer about that adult waits for a second person; any other message about the child says it."""
    assert expected in _found(_message(kind, {}), Elsewhere(adult_again=True))
    assert _found(_message(kind, {}), Elsewhere()) == []


def test_the_newest_plan_counts() -> None:
    """A second plan may rest on another consent."""
    other = {**PLAN, "placement_decision": {"value": "0" * 64}}
    plans = [
        Earlier(type=MessageType("transfer.plan"), digest=Digest(letter * 64), author=EE, body=body)
        for letter, body in (("a", other), ("b", PLAN))
    ]
    assert named_consents({}, plans, EE) == {GIVEN}
    assert named_consents(other, plans, EE) == {"0" * 64}
    assert named_consents({}, (), EE) == frozenset()
    assert named_consents({}, plans, FI) == frozenset()  # what the other side calls a plan is none
    assert _found(_message(DEPARTURE, {}), _known(), *plans) == []


@pytest.mark.parametrize(
    ("basis", "standing", "expected"),
    [
        ("B2B_82", "CONSENT_GRANTED", ["hold consent-not-named"]),
        ("H96_33", "CONSENT_GRANTED", ["hold consent-not-named"]),
        ("AMMR_48", "CONSENT_GRANTED", []),
        ("B2B_82", "CONSENT_NOT_REQUIRED", []),
    ],
)
def test_a_consent_that_is_claimed_and_not_named_waits_for_a_second_person(
    basis: str, standing: str, expected: list[str]
) -> None:
    """R-07: only on the bases on which a placement without it is void."""
    plan = {**PLAN, "standing": standing, "placement_decision": {"unknown": True}}
    assert _found(_message("transfer.plan", plan, basis), Elsewhere()) == expected


@pytest.mark.parametrize(
    ("remedy", "suspensive", "expected"),
    [
        ("OPEN_SUSPENSIVE", "YES", ["block remedy-told"]),
        ("OPEN_NOT_SUSPENSIVE", "NO", []),
        ("UNKNOWN", "UNKNOWN", ["hold remedy-told-not-known"]),
        ("OPEN_NOT_SUSPENSIVE", "UNKNOWN", ["hold remedy-told-not-known"]),
        ("NONE_OPEN", "NO", []),
    ],
)
def test_a_remedy_against_the_step_holds_it(remedy: str, suspensive: str, expected: list[str]) -> None:
    """R-28: before each last step; a plan may still be written."""
    known = Elsewhere(remedies=({**REMEDY, "remedy": remedy, "suspensive": suspensive},))
    for kind in ("transfer.pre-departure", DEPARTURE, "placement.order"):
        assert _found(_message(kind, {}), known) == expected
    assert _found(_message("transfer.plan", {**PLAN, "standing": "CONSENT_REQUESTED"}), known) == []


def test_an_objection_without_an_answer_holds_the_step() -> None:
    """R-28: a second person decides; where a suspensive remedy comes with it nobody does."""
    waits = Elsewhere(objections=({**OBJECTION, "remedy": "NONE_OPEN"},))
    suspends = Elsewhere(objections=({**OBJECTION, "remedy": "OPEN_SUSPENSIVE"},))
    assert _found(_message(DEPARTURE, {}), waits) == ["hold objection-unanswered"]
    assert _found(_message(DEPARTURE, {}), suspends) == ["block objection-suspends"]
    for known in (waits, suspends):
        assert all(
            "answered one by one (guardian.answer)" in one.text for one in elsewhere(_message(DEPARTURE, {}), (), known)
        )


def test_the_decision_counts_other_procedures() -> None:
    """What blocks elsewhere blocks here; other procedures are read for the steps that need them alone."""
    departure = _message(DEPARTURE, _body("transfer/departure-by-ferry.json"))
    known = Elsewhere(remedies=({**REMEDY, "remedy": "OPEN_SUSPENSIVE"},))
    assert isinstance(decide(departure, (), None, known), Blocked)
    assert [
        kind
        for kind in ("transfer.plan", "transfer.delay", "family-tracing.request")
        if looks_elsewhere(MessageType(kind))
    ] == ["transfer.plan"]


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("transfer.withdrawal", {"reason": "CONSENT_WITHDRAWN"}, []),
        ("transfer.withdrawal", {"reason": "CONSENT_WITHDRAWN", "note": "x"}, ["hold correction-unread"]),
        ("contact.stop", {"from": "2026-11-22", "decided_by": {}, "to_tell": []}, []),
        ("transfer.status", {}, ["hold correction-unread"]),
    ],
)
def test_a_correction_that_does_not_open_stops_nothing_that_protects(
    kind: str, body: dict[str, Any], expected: list[str]
) -> None:
    """Nobody knows what it is about: words wait for a second person, and a stop without words gets out at once."""
    assert _found(_message(kind, body), Elsewhere(unread=True)) == expected
