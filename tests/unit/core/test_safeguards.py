# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about what clears, holds and blocks a message."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.errors import SafeguardBlocked, SafeguardHeld
from broker.core.ids import MessageType
from broker.core.messages import ValidMessage
from broker.core.reasons import block, hold, warn
from broker.core.safeguards import Blocked, Cleared, Held, Level, decide, refusal, weighs, weighs_for_good
from broker.testing.valid_messages import valid_message

ROOT = Path(__file__).parents[3] / "schemas"
EXAMPLES = sorted((ROOT / "examples").rglob("*.json"))
REQUEST = json.loads((ROOT / "examples" / "demo" / "request.json").read_text(encoding="utf-8"))["body"]


def _message(body: Any, *, kind: str = "family-tracing.request", to: str = "FI") -> ValidMessage:
    return valid_message(kind, body, recipient=f"{to}/central-authority")


def _body(
    *,
    claim: str = "NONE",
    nationalities: Any = ("EE",),
    sought: str = "NONE",
    sought_nationalities: Any = ("EE",),
    relatives: Any = None,
    feared: Any = None,
    residence: Any = None,
    danger: str = "NO",
    outcome: str = "NO_DANGER_SEEN",
    wish: str = "YES",
) -> dict[str, Any]:
    body: dict[str, Any] = copy.deepcopy(REQUEST)
    body["protection_claim"] = {"status": claim}
    body["child"]["nationalities"] = _fact(nationalities)
    if feared is not None:
        body["protection_claim"]["feared_states"] = _fact(feared)
    if residence is not None:
        body["child"]["former_habitual_residence"] = _fact(residence)
    person = body["persons_sought"][0]
    person["protection_claim"] = {"status": sought}
    person["nationalities"] = _fact(sought_nationalities)
    body["persons_sought"] = [person]
    body["family_protection_claims"] = relatives or {"not_applicable": True}
    body["danger_assessment"] |= {"would_endanger": danger, "outcome": outcome}
    body["child_wish"] = {"heard": {"wants_tracing": wish}}
    return body


def _fact(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"value": list(value)}


def _relative(status: str, nationalities: Any = None, feared: Any = None, residence: Any = None) -> dict[str, Any]:
    relative: dict[str, Any] = {"relationship": "SIBLING", "claim": {"status": status}}
    if nationalities is not None:
        relative["nationalities"] = _fact(nationalities)
    if residence is not None:
        relative["former_habitual_residence"] = _fact(residence)
    if feared is not None:
        relative["claim"]["feared_states"] = _fact(feared)
    return {"value": [relative]}


UNKNOWN, STATELESS, FINNISH = {"unknown": True}, ("XXA",), ("EE", "FI")
SERIOUS = "SERIOUS_DANGER"
# What is recorded → what the rules say about a message to Finland: nothing, or level and code.
CASES: dict[str, tuple[dict[str, Any], str | None]] = {
    "nothing stands against it": ({}, None),
    "no claim, and the child is Finnish": ({"nationalities": FINNISH}, None),
    "a pending claim of a child who is not Finnish": ({"claim": "PENDING"}, None),
    "a pending claim against Finland": ({"claim": "PENDING", "nationalities": FINNISH}, "block contact-with-origin"),
    "protection granted against Finland": ({"claim": "GRANTED", "nationalities": FINNISH}, "block contact-with-origin"),
    "a possible claim against Finland": ({"claim": "POSSIBLE", "nationalities": FINNISH}, "block contact-with-origin"),
    "a claim that nobody recorded, Finnish": (
        {"claim": "NOT_RECORDED", "nationalities": FINNISH}, "hold claim-not-recorded",
    ),
    "a claim that nobody recorded, not Finnish": ({"claim": "NOT_RECORDED"}, None),
    "a claim of a kind that is new, Finnish": ({"claim": "NEWER", "nationalities": FINNISH}, "hold claim-not-recorded"),
    "a withdrawn claim would show": ({"claim": "WITHDRAWN", "nationalities": FINNISH}, "block claim-would-show"),
    "a rejected claim would show": ({"claim": "REJECTED_FINAL", "nationalities": FINNISH}, "block claim-would-show"),
    "temporary protection, Finnish": (
        {"claim": "TEMPORARY_PROTECTION", "nationalities": FINNISH}, "hold temporary-protection",
    ),
    "temporary protection and serious danger": (
        {"claim": "TEMPORARY_PROTECTION", "nationalities": FINNISH, "outcome": SERIOUS},
        "block temporary-protection-danger",
    ),
    "protection and a nationality nobody knows": (
        {"claim": "GRANTED", "nationalities": UNKNOWN}, "hold origin-not-known",
    ),
    "protection and a nationality that is withheld": (
        {"claim": "GRANTED", "nationalities": {"withheld": "DANGER"}}, "hold origin-not-known",
    ),
    "protection of a stateless child": ({"claim": "PENDING", "nationalities": STATELESS}, "hold origin-not-known"),
    "temporary protection and a nationality nobody knows": (
        {"claim": "TEMPORARY_PROTECTION", "nationalities": UNKNOWN}, "hold origin-not-known",
    ),
    "a withdrawn claim and a nationality nobody knows": (
        {"claim": "WITHDRAWN", "nationalities": UNKNOWN}, "hold origin-not-known",
    ),
    "a rejected claim of a stateless child": (
        {"claim": "REJECTED_FINAL", "nationalities": STATELESS}, "hold origin-not-known",
    ),
    "no claim and a nationality nobody knows": ({"nationalities": UNKNOWN}, None),
    "neither claim nor nationality recorded": (
        {"claim": "NOT_RECORDED", "nationalities": UNKNOWN}, "hold claim-not-recorded",
    ),
    "protection of a stateless child who lived in Finland": (
        {"claim": "GRANTED", "nationalities": STATELESS, "residence": ("FI",)}, "block contact-with-origin",
    ),
    "protection of a stateless child who lived elsewhere": (
        {"claim": "GRANTED", "nationalities": STATELESS, "residence": ("LV",)}, None,
    ),
    "protection of an Estonian child who once lived in Finland": ({"claim": "GRANTED", "residence": ("FI",)}, None),
    "an unknown nationality and a former home in Finland": (
        {"claim": "PENDING", "nationalities": UNKNOWN, "residence": ("FI",)}, "block contact-with-origin",
    ),
    "an unknown nationality and a former home elsewhere": (
        {"claim": "PENDING", "nationalities": UNKNOWN, "residence": ("LV",)}, "hold origin-not-known",
    ),
    "Finland is feared": ({"claim": "PENDING", "feared": ("LV", "FI")}, "block contact-with-feared"),
    "Finland is feared, with temporary protection": (
        {"claim": "TEMPORARY_PROTECTION", "feared": ("FI",)}, "block contact-with-feared",
    ),
    "Finland is feared, the claim withdrawn": ({"claim": "WITHDRAWN", "feared": ("FI",)}, "block contact-with-feared"),
    "Finland is feared, without a claim": ({"feared": ("FI",)}, "hold feared-state"),
    "Finland is feared, the claim not recorded": (
        {"claim": "NOT_RECORDED", "feared": ("FI",)}, "hold feared-state",
    ),
    "another State is feared": ({"claim": "PENDING", "feared": ("LV",)}, None),
    "nobody knows who is feared": ({"claim": "PENDING", "feared": UNKNOWN}, "hold origin-not-known"),
    "who is feared is withheld": ({"claim": "PENDING", "feared": {"withheld": "DANGER"}}, "hold origin-not-known"),
    "there is no State that is feared": ({"claim": "PENDING", "feared": {"not_applicable": True}}, None),
    "the mother's claim against Finland": (
        {"sought": "PENDING", "sought_nationalities": FINNISH}, "block contact-with-origin",
    ),
    "the mother's claim, the child Finnish": (
        {"sought": "GRANTED", "nationalities": FINNISH}, "block contact-with-origin",
    ),
    "a sibling's claim, the child Finnish": (
        {"relatives": _relative("PENDING"), "nationalities": FINNISH}, "block contact-with-origin",
    ),
    "a Finnish sibling's claim": ({"relatives": _relative("PENDING", FINNISH)}, "block contact-with-origin"),
    "a sibling's claim, the nationality left out": ({"relatives": _relative("PENDING")}, "hold origin-not-known"),
    "a sibling's claim, the nationality unknown": (
        {"relatives": _relative("GRANTED", UNKNOWN)}, "hold origin-not-known",
    ),
    "a sibling's claim of another nationality": ({"relatives": _relative("GRANTED", ("LV",))}, None),
    "a stateless sibling from Finland": (
        {"relatives": _relative("GRANTED", STATELESS, residence=("FI",))}, "block contact-with-origin",
    ),
    "a sibling who fears Finland": (
        {"relatives": _relative("POSSIBLE", ("LV",), feared=("FI",))}, "block contact-with-feared",
    ),
    "a sibling of whom neither claim nor nationality is recorded": (
        {"relatives": _relative("NOT_RECORDED")}, "hold claim-not-recorded",
    ),
    "relatives of whom nothing is known": ({"relatives": UNKNOWN}, "hold claim-not-recorded"),
    "a sibling without claim": ({"relatives": _relative("NONE"), "nationalities": FINNISH}, None),
    "relatives of whom nothing is known, Finnish": (
        {"relatives": UNKNOWN, "nationalities": FINNISH}, "hold claim-not-recorded",
    ),
    "relatives' claims withheld, Finnish": (
        {"relatives": {"withheld": "DANGER"}, "nationalities": FINNISH}, "hold claim-not-recorded",
    ),
    "sending would endanger": ({"danger": "YES"}, "block would-endanger"),
    "nobody knows whether sending endangers": ({"danger": "UNKNOWN"}, "block danger-not-known"),
    "the child does not want it": ({"wish": "NO"}, "hold child-does-not-want"),
    "the child has not decided": ({"wish": "UNDECIDED"}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_request_is_judged_by_what_is_recorded(name: str) -> None:
    """Each recorded fact clears, holds or blocks as the rules say."""
    facts, expected = CASES[name]
    decision = decide(_message(_body(**facts)))
    if expected is None:
        assert isinstance(decision, Cleared)
        return
    level, code = expected.split()
    assert isinstance(decision, Blocked if level == "block" else Held)
    assert (level, code) in {(reason.level.value, reason.code) for reason in decision.reasons}


def test_serious_danger_forbids_contact_under_temporary_protection_alone() -> None:
    """R-01: whoever seeks none may be asked about at home, and it is the claim under which nobody may that is named."""
    assert isinstance(decide(_message(_body(nationalities=FINNISH, outcome=SERIOUS))), Cleared)
    decision = decide(_message(_body(claim="TEMPORARY_PROTECTION", nationalities=FINNISH, outcome=SERIOUS)))
    assert isinstance(decision, Blocked)
    assert [(reason.code, reason.where) for reason in decision.reasons] == [
        ("temporary-protection-danger", "/protection_claim/status")
    ]


@pytest.mark.parametrize(
    ("nationalities", "residence", "judged"),
    [
        (STATELESS, ("FI",), True),
        (("XXA", "FI"), None, True),
        (("LV",), ("FI",), False),
        (STATELESS, ("LV",), False),
        (("XXA", "LV"), ("SE",), False),
    ],
)
def test_a_stateless_child_may_have_fled_from_where_it_lived_and_from_no_other(
    nationalities: Any, residence: Any, judged: bool
) -> None:
    """R-01: of a child with a nationality that one counts, and of one without any where it used to live."""
    facts = {"claim": "PENDING", "nationalities": nationalities}
    decision = decide(_message(_body(**facts, **({} if residence is None else {"residence": residence}))))
    assert isinstance(decision, Blocked if judged else Cleared)


FACTS = st.sampled_from(
    [None, UNKNOWN, {"withheld": "DANGER"}, {"not_applicable": True}, ["FI"], ["LV", "FI"], ["LV"], STATELESS]
)
STATES = st.sampled_from([None, UNKNOWN, {"withheld": "DANGER"}, ["FI"], ["LV", "FI"], ["LV"]])
CLAIMED = st.sampled_from(
    ["PENDING", "GRANTED", "POSSIBLE", "TEMPORARY_PROTECTION", "REJECTED_FINAL", "WITHDRAWN", "NOT_RECORDED", "NEWER"]
)


@settings(max_examples=300)
@given(
    who=st.sampled_from(["child", "sought", "relative"]),
    claim=CLAIMED,
    nationalities=FACTS,
    residence=STATES,
    feared=STATES,
)
def test_no_claim_that_could_be_against_the_addressee_is_cleared(
    who: str, claim: str, nationalities: Any, residence: Any, feared: Any
) -> None:
    """Whoever claims: a State that matches, or may match because it is not stated, is held or blocked."""
    body = _body(relatives=_relative("NONE"))
    person, place = {
        "child": (body["child"], body["protection_claim"]),
        "sought": (body["persons_sought"][0], body["persons_sought"][0]["protection_claim"]),
        "relative": (
            body["family_protection_claims"]["value"][0],
            body["family_protection_claims"]["value"][0]["claim"],
        ),
    }[who]
    place["status"] = claim
    nationalities = UNKNOWN if nationalities is None and who != "relative" else nationalities
    for holder, name, fact in (
        (person, "nationalities", nationalities),
        (person, "former_habitual_residence", residence),
        (place, "feared_states", feared),
    ):
        holder.pop(name, None)
        if fact is not None:
            holder[name] = _fact(fact)
    cleared = isinstance(decide(_message(body)), Cleared)

    elsewhere = [["LV"]]
    safe_origin = nationalities in elsewhere or (nationalities == STATELESS and residence in elsewhere)
    assert cleared == (safe_origin and feared in [None, ["LV"]])


def test_a_child_that_was_not_heard_yet_for_a_lawful_reason_is_no_obstacle() -> None:
    """The schema asks for the reason; the rule accepts it."""
    body = _body()
    body["child_wish"] = {"not_heard": {"because": ["TOO_YOUNG_ASSESSED"]}}
    assert isinstance(decide(_message(body)), Cleared)


def test_what_is_cleared_names_the_rules_that_looked() -> None:
    """The cleared message carries the very message and the rules' names."""
    message = _message(_body())
    decision = decide(message)
    assert isinstance(decision, Cleared)
    assert decision.message.message is message
    assert decision.message.reasons == ("R-01", "R-02", "R-05", "R-17")


def test_a_block_lists_the_holds_too() -> None:
    """Whoever mends a blocked message sees everything at once; the place is the block's."""
    message = _message(_body(danger="YES", wish="NO"))
    decision = decide(message)
    assert isinstance(decision, Blocked)
    assert [reason.level for reason in decision.reasons] == [Level.BLOCK, Level.HOLD]
    error = refusal(decision)
    assert isinstance(error, SafeguardBlocked)
    assert error.where == "/body/danger_assessment/would_endanger"
    assert "R-02" in error.detail
    assert "R-05" in error.detail


def test_the_place_of_a_block_is_told_before_that_of_a_hold() -> None:
    """Whatever stands first among the reasons: nobody can release the block."""
    held, blocked = hold("R-01", "a", "/held", "Held."), block("R-02", "b", "/blocked", "Blocked.")
    assert refusal(Blocked(reasons=(held, blocked))).where == "/body/blocked"
    assert refusal(Held(reasons=(warn("R-05", "c", "/warned", "Warned."), held))).where == "/body/held"


def test_a_release_covers_the_reasons_that_were_seen_and_no_other() -> None:
    """By rule, code and place; a remark needs nobody's release."""
    seen = (hold("R-01", "a", "/one", "One."), hold("R-02", "b", "/two", "Two."))
    remark = warn("R-05", "c", "/three", "Three.")
    assert Held(reasons=seen).within(seen)
    assert Held(reasons=(*seen[:1], remark)).within(seen)
    assert not Held(reasons=seen).within(seen[:1])
    for other in ({"rule": "R-03"}, {"code": "z"}, {"where": "/elsewhere"}):
        assert not Held(reasons=(replace(seen[0], **other),)).within(seen)


@pytest.mark.parametrize(
    ("kind", "weighed", "for_good"),
    [
        ("family-tracing.request", True, True),  # states a claim to protection
        ("transfer.acceptance", True, True),  # gives a consent
        ("correction.access-forward", True, True),
        ("placement.correction", True, True),
        ("family-tracing.result", True, False),  # the danger of its day
        ("contact.stop", False, False),
        ("placement.acknowledgement", False, False),
        ("unknown.kind", False, False),
    ],
)
def test_what_weighs_in_the_decision_about_a_later_message(kind: str, weighed: bool, for_good: bool) -> None:
    """Claims, consents and what changes another message weigh for good, an assessed danger as long as it is new."""
    assert (weighs(MessageType(kind)), weighs_for_good(MessageType(kind))) == (weighed, for_good)


def test_a_hold_is_refused_with_its_reason_and_no_value() -> None:
    """The caller reads the rule; nothing of the message is repeated."""
    message = _message(_body(claim="NOT_RECORDED", nationalities=FINNISH))
    decision = decide(message)
    assert isinstance(decision, Held)
    error = refusal(decision)
    assert isinstance(error, SafeguardHeld)
    assert error.where == "/body/protection_claim/status"
    assert "R-01" in error.detail
    assert not any(value in str(error) for value in ("NOT_RECORDED", "FI", "Maarika"))


def test_a_type_without_rules_does_not_leave() -> None:
    """What nobody has thought about is blocked."""
    decision = decide(_message({}, kind="nothing.known"))
    assert isinstance(decision, Blocked)
    assert decision.reasons[0].code == "no-rules"


@pytest.mark.parametrize("kind", ["family-tracing.withdrawal", "family-tracing.alarm-closed", "any.alarm-closed"])
def test_a_stop_and_the_closing_of_an_alarm_always_get_out(kind: str) -> None:
    """They say nothing about a person."""
    assert isinstance(decide(_message({}, kind=kind)), Cleared)


@pytest.mark.parametrize("kind", ["family-tracing.result", "family-tracing.partial-result"])
@pytest.mark.parametrize(("danger", "outcome"), [("NO", Cleared), ("YES", Blocked), ("UNKNOWN", Blocked)])
def test_an_answer_passes_the_danger_test_too(kind: str, danger: str, outcome: type) -> None:
    """R-02 holds for requests and replies alike."""
    assert isinstance(decide(_message({"danger_assessment": {"would_endanger": danger}}, kind=kind)), outcome)


def test_every_casework_type_that_ships_has_rules() -> None:
    """No schema ships whose messages could not be judged."""
    shown = {data["type"]: data["body"] for data in (json.loads(path.read_text("utf-8")) for path in EXAMPLES)}
    for folder in (ROOT / "messages").glob("*/*/"):
        kind = f"{folder.parent.name}.{folder.name}"
        if folder.parent.name not in {"node", "header"}:
            decision = decide(_message(shown[kind], kind=kind))
            codes = () if isinstance(decision, Cleared) else [reason.code for reason in decision.reasons]
            assert "no-rules" not in codes, kind


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_example_that_ships_is_blocked(path: Path) -> None:
    """What people are shown as an example leaves, or at most waits for a second person; the demo's leaves."""
    example = json.loads(path.read_text(encoding="utf-8"))
    decision = decide(_message(example["body"], kind=example["type"], to=example["recipient"]["country"]))
    assert not isinstance(decision, Blocked)
    assert isinstance(decision, Cleared) or path.parent.name != "demo"


def _example(path: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((ROOT / "examples" / path).read_text(encoding="utf-8"))["body"]
    return body


def test_no_shown_type_is_without_rules() -> None:
    """Each message type that an example shows is judged by rules of its own or of its shared act."""
    for path in EXAMPLES:
        data = json.loads(path.read_text(encoding="utf-8"))
        decision = decide(_message(data["body"], kind=data["type"], to=data["recipient"]["country"]))
        codes = () if isinstance(decision, Cleared) else [reason.code for reason in decision.reasons]
        assert "no-rules" not in codes, path.name


@pytest.mark.parametrize("path", ["referral/request-nail-studio.json", "danger-notice/alert-bus-to-germany.json"])
def test_a_named_or_unnamed_child_of_any_family_is_kept_from_the_origin(path: str) -> None:
    """R-01 holds for every request about a child; under a pseudonym no country can be ruled out."""
    kind = f"{path.partition('/')[0]}.{path.partition('/')[2].partition('-')[0]}"
    body = _example(path)
    body["protection_claim"] = {"status": "PENDING"}
    body["child"]["named"]["nationalities"] = _fact(("LT",))
    assert isinstance(decide(_message(body, kind=kind, to="LT")), Blocked)
    body["child"] = {"pseudonym": {"label": "Test-A", "sex": "FEMALE", "birth": {"unknown": True}, "why": "x"}}
    decision = decide(_message(body, kind=kind, to="LT"))
    assert isinstance(decision, Held)
    assert "origin-not-known" in [reason.code for reason in decision.reasons]


def test_a_referral_that_the_child_does_not_want_is_held() -> None:
    """R-05: the answer in the child's views counts as the one about tracing does."""
    body = _example("referral/request-nail-studio.json")
    assert isinstance(decide(_message(body, kind="referral.request")), Cleared)
    body["views"]["heard"]["wants"] = "NO"
    decision = decide(_message(body, kind="referral.request"))
    assert isinstance(decision, Held)
    assert [reason.where for reason in decision.reasons] == ["/views/heard/wants"]


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        ("child-information.request", "child-information/request-mother-in-estonia.json"),
        ("carer-assessment.request", "carer-assessment/request-aunt.json"),
    ],
)
def test_a_request_waits_for_a_translation_that_a_person_has_read(kind: str, example: str) -> None:
    """R-20; B2b 80(3): for information as for a placement; that none is needed can be said."""
    body = _example(example)
    for stated, where in (
        ({"not_applicable": True}, []),
        ({"unknown": True}, ["/translation"]),
        ({"value": {**body["translation"]["value"], "kind": "MACHINE"}}, ["/translation/value/kind"]),
    ):
        decision = decide(_message({**body, "translation": stated}, kind=kind, to="EE"))
        reasons = () if isinstance(decision, Cleared) else decision.reasons
        assert [one.where for one in reasons if one.rule == "R-20"] == where


def test_an_answer_about_nobody_needs_no_danger_assessment() -> None:
    """Of a clarification's answer only what concerns a person is assessed; unknown or withheld danger blocks."""
    body = _example("acts/clarification-answer-no-person.json")
    kind = "referral.clarification-answer"
    assert isinstance(decide(_message(body, kind=kind)), Cleared)
    for stated in ({"unknown": True}, {"withheld": "DANGER"}):
        assert isinstance(decide(_message({**body, "danger_assessment": stated}, kind=kind)), Blocked)


@pytest.mark.parametrize("act", ["appointed", "handover-accepted"])
def test_a_guardian_in_conflict_with_the_child_is_not_made_known_unseen(act: str) -> None:
    """R-06: a second person decides; a declaration that is not known is shown and holds nothing back."""
    names = {"appointed": "appointed-in-lithuania", "handover-accepted": "handover-accepted-from-september"}
    body = _example(f"guardian/{names[act]}.json")
    for stated in ({"value": "YES"}, {"unknown": True}):
        body["guardianship"]["conflict_declared_absent"] = stated
        assert isinstance(decide(_message(body, kind=f"guardian.{act}")), Cleared)
    body["guardianship"]["conflict_declared_absent"] = {"value": "NO"}
    decision = decide(_message(body, kind=f"guardian.{act}"))
    assert isinstance(decision, Held)
    assert [reason.code for reason in decision.reasons] == ["guardian-in-conflict"]


def test_contact_waits_where_nobody_looked_at_the_person_or_the_child_does_not_want_it() -> None:
    """R-04 and R-05: the proposal is held; a stop is never."""
    body = _example("contact/proposal-letters-to-mother.json")
    assert isinstance(decide(_message(body, kind="contact.proposal")), Cleared)
    body["checked"] = {"unknown": True}
    body["arrangement"]["child_wishes"] = "NO"
    decision = decide(_message(body, kind="contact.proposal"))
    assert isinstance(decision, Held)
    assert [reason.code for reason in decision.reasons] == ["relative-not-checked", "child-does-not-want"]
    assert isinstance(decide(_message(_example("contact/stop-no-reason.json"), kind="contact.stop")), Cleared)


@pytest.mark.parametrize("path", ["alert-bus-to-germany", "locate-after-ticket"])
def test_a_public_appeal_waits_for_a_second_person(path: str) -> None:
    """R-37: the child is shown in public only after somebody has seen the reference of the police."""
    body, kind = _example(f"danger-notice/{path}.json"), f"danger-notice.{path.partition('-')[0]}"

    def appeals(**changes: Any) -> list[str]:
        decision = decide(_message({**body, **changes}, kind=kind))
        reasons = () if isinstance(decision, Cleared) else decision.reasons
        assert not any(one.level is Level.BLOCK for one in reasons)
        return [one.text for one in reasons if (one.rule, one.where) == ("R-37", "/publicity")]

    assert appeals() == []
    assert appeals(publicity="POLICE_APPEAL", police_reference={"value": "Test-1"}) == [
        "The child would be shown in public."
    ]
    assert "no reference of the police" in appeals(publicity="POLICE_APPEAL", police_reference={"unknown": True})[0]
