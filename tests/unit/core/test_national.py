# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the law and the offices of two countries ask of a message, and what is not known of them."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from broker.core.ids import AuthorityId, CountryCode, Digest, MessageType
from broker.core.messages import ValidMessage
from broker.core.national import national
from broker.core.profiles import CountryProfile, Entry, ProfileVersion, Source, Standing, Value
from broker.core.reasons import Earlier, Level
from broker.core.safeguards import Blocked, Cleared, Held, decide
from broker.core.sides import Side, Sides, sides_of
from broker.core.trust import Authority, Member, TrustList
from broker.testing.valid_messages import valid_message

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"
EE, FI = CountryCode("EE"), CountryCode("FI")
BOARD, COUNTY = AuthorityId("board"), AuthorityId("county")
SOURCE = Source(document="A made-up act")
DAY = date(2026, 11, 22)


def _body(path: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((EXAMPLES / path).read_text("utf-8"))["body"]
    return body


def _message(kind: str, body: Any, *, basis: str = "B2B_82") -> ValidMessage:
    return valid_message(kind, body, basis=basis)


def _profile(standing: Standing = Standing.VERIFIED, **answers: Value) -> ProfileVersion:
    entries = {
        name.replace("__", "."): Entry(standing=standing, value=value, source=SOURCE) for name, value in answers.items()
    }
    return ProfileVersion(valid_from=date(2026, 7, 1), edited=DAY, editor="Test", because="x", entries=entries)


def _sides(
    here: ProfileVersion | None = None, there: ProfileVersion | None = None,
    ours: tuple[str, ...] = (), theirs: tuple[str, ...] = (), more: tuple[Authority, ...] = (), opening: bool = False,
) -> Sides:  # fmt: skip
    return Sides(
        here=Side(country=EE, office=BOARD, profile=here, offices=(Authority(id=BOARD, name="Amet", competences=ours),)),
        there=Side(
            country=FI, office=COUNTY, profile=there,
            offices=(Authority(id=COUNTY, name="Alue", competences=theirs), *more),
        ),
        opening=opening,
        day=DAY,
    )  # fmt: skip


def _found(message: ValidMessage, sides: Sides, *earlier: Earlier) -> list[str]:
    return [f"{reason.level.value} {reason.code}" for reason in national(message, earlier, sides)]


OTHER = Authority(id=AuthorityId("ministry"), name="Test-Ministeriö", competences=("B2B-82:RECEIVE",))


@pytest.mark.parametrize(
    ("ours", "theirs", "more", "expected"),
    [
        ((), (), (), ["warn competence-not-known"]),
        (("B2B_82:SEND",), ("B2B_82:RECEIVE",), (), []),
        (("B2B-82:SEND",), ("B2B-82:RECEIVE",), (), []),
        (("H96_33:SEND",), ("B2B_82:RECEIVE",), (), ["block office-not-competent"]),
        (("B2B_82:SEND",), ("B2B_82:DECIDE",), (), ["block office-not-competent"]),
        (("B2B_82:SEND",), ("B2B_82:SEND",), (OTHER,), ["block office-not-competent"]),
        (("B2B_82:SEND",), (), (OTHER,), ["hold other-office-competent"]),
    ],
)
def test_an_office_is_asked_on_a_basis_that_it_is_competent_for(
    ours: tuple[str, ...], theirs: tuple[str, ...], more: tuple[Authority, ...], expected: list[str]
) -> None:
    """R-31: the right office is named; what nobody listed is told, and later messages of a procedure are not judged."""
    message = _message("family-tracing.request", {})
    sides = _sides(ours=ours, theirs=theirs, more=more, opening=True)
    assert _found(message, sides) == expected
    assert all("Test-Ministeriö" in reason.text for reason in national(message, (), sides)) or not more
    assert _found(message, _sides(ours=ours, theirs=theirs, more=more)) == []


def test_what_members_tell_each_other_needs_no_competence() -> None:
    """R-31 is about legal bases: a bulletin or a question without names rests on none, whatever the offices are listed for."""
    sides = _sides(ours=("B2B_82:SEND",), theirs=("B2B_82:RECEIVE",), opening=True)

    assert _found(_message("federation.trend", {}, basis="NONE_FEDERATION"), sides) == []
    assert _found(_message("federation.statistics", {}, basis="ATD_19A"), sides) == ["block office-not-competent"] * 2


RELATIVES = {"placement__relative_categories": ("KINSHIP_CARE",)}


@pytest.mark.parametrize(
    ("profile", "care", "basis", "expected"),
    [
        (None, "KINSHIP_CARE", "B2B_82", ["block exemption-not-known"]),
        (_profile(), "KINSHIP_CARE", "B2B_82", ["block exemption-not-known"]),
        (_profile(**RELATIVES), "KINSHIP_CARE", "B2B_82", []),
        (_profile(Standing.SECONDARY, **RELATIVES), "KINSHIP_CARE", "B2B_82", ["block exemption-not-notified"]),
        (_profile(**RELATIVES), "FOSTER_CARE", "B2B_82", ["block exemption-not-notified"]),
        (_profile(**RELATIVES), "KINSHIP_CARE", "H96_33", ["block exemption-not-notified"]),
        (_profile(**RELATIVES, placement__consent_for_all=True), "KINSHIP_CARE", "B2B_82",
         ["block exemption-not-notified"]),
    ],
)  # fmt: skip
def test_relatives_are_exempt_only_where_the_country_notified_them(
    profile: ProfileVersion | None, care: str, basis: str, expected: list[str]
) -> None:
    """R-07, C-03: unknown is never exempt, and the open question is named; the placing country's own answer counts alike."""
    plan = {"standing": "CONSENT_NOT_REQUIRED", "exemption": "NOTIFIED_RELATIVE_CATEGORY", "care": {"kind": care}}
    given = _profile(placement__child_consent_age=18, placement__guardian_consent=False)
    sides = _sides(here=given, there=profile)
    plan |= {"child_consent": {"given": {"by": ["CHILD", "GUARDIAN"]}}, "child": {}}
    message = _message("transfer.plan", plan, basis=basis)
    assert _found(message, sides) == expected
    unknown = [reason.text for reason in national(message, (), sides) if reason.code == "exemption-not-known"]
    assert all("placement.relative_categories" in text for text in unknown)
    decision = {"consent": "CONSENT_NOT_REQUIRED", "exemption": "NOTIFIED_RELATIVE_CATEGORY", "care": care}
    assert _found(_message("placement.decision", decision, basis=basis), _sides(here=profile)) == expected
    before = Earlier(type=MessageType("transfer.plan"), digest=Digest("a" * 64), author=FI, body=plan)
    acceptance = {name: decision[name] for name in ("consent", "exemption")}
    ours = replace(before, digest=Digest("b" * 64), author=EE, body={**plan, "care": {"kind": "PARENTS"}})
    assert (
        _found(_message("transfer.acceptance", acceptance, basis=basis), _sides(here=profile), before, ours) == expected
    )


def test_being_with_a_parent_is_no_name_for_other_care() -> None:
    """R-07: the exemption fits the care."""
    decision = {"consent": "CONSENT_NOT_REQUIRED", "exemption": "WITH_PARENT", "care": "FOSTER_CARE"}
    assert _found(_message("placement.decision", decision), _sides()) == ["block not-with-parent"]
    assert _found(_message("placement.decision", {**decision, "care": "PARENTS"}), _sides()) == []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_example_can_be_judged_by_what_is_known_of_both_countries(path: Path) -> None:
    """Whatever a message of that form says: the rules answer, and never with a fault of their own."""
    data = json.loads(path.read_text(encoding="utf-8"))
    if "type" in data:
        profile = _profile(**RELATIVES)
        message = _message(data["type"], data["body"], basis=data.get("legal_basis", {}).get("code", "B2B_82"))
        for opening in (True, False):
            assert decide(message, (), _sides(here=profile, there=profile, opening=opening))


AGE, SIGNS = "child__referral_consent_age", "child__referral_guardian_signs"
NONE = {"coded_basis": {"code": "VITAL_INTEREST", "reason": "x"}}
CHILD, GUARDIAN = {"given": {"by": ["CHILD"]}}, {"given": {"by": ["GUARDIAN"]}}
BOTH = {"given": {"by": ["CHILD", "REPRESENTATIVE"]}}


@pytest.mark.parametrize(
    ("birth", "consent", "there", "expected"),
    [
        ("2010-11-23", NONE, {AGE: 15, SIGNS: False}, ["hold child-has-not-consented"]),
        ("2011-11-22", NONE, {AGE: 15, SIGNS: False}, ["hold child-has-not-consented"]),
        ("2011-11-23", NONE, {AGE: 15, SIGNS: False}, []),
        ("2011", NONE, {AGE: 15, SIGNS: False}, ["hold child-has-not-consented"]),
        ("2012", NONE, {AGE: 15, SIGNS: False}, []),
        (None, NONE, {AGE: 15, SIGNS: False}, ["hold child-has-not-consented"]),
        ("2010-11-23", CHILD, {AGE: 15, SIGNS: False}, []),
        ("2010-11-23", CHILD, {AGE: 15, SIGNS: True}, ["hold guardian-has-not-consented"]),
        ("2010-11-23", GUARDIAN, {AGE: 15, SIGNS: True}, ["hold child-has-not-consented"]),
        ("2010-11-23", BOTH, {AGE: 15, SIGNS: True}, []),
        ("2010-11-23", BOTH, {}, []),
        ("2010-11-23", NONE, {}, ["warn consent-age-not-known", "warn guardian-consent-not-known"]),
    ],
)
def test_a_child_consents_where_either_law_asks_for_it(
    birth: str | None, consent: Any, there: dict[str, Value], expected: list[str]
) -> None:
    """R-33: an age that is not known may be any; what nobody has said of a country's law is told as the open question."""
    body = copy.deepcopy(_body("referral/request-nail-studio.json"))
    body["child"]["named"]["birth"] = (
        {"unknown": True} if birth is None else {"value": {"date": birth, "estimated": False}}
    )
    body["consent"] = consent
    asks_nothing = _profile(**{AGE: 18, SIGNS: False})
    message = _message("referral.request", body, basis="ATD_11_4")
    assert _found(message, _sides(here=asks_nothing, there=_profile(**there))) == expected
    if "warn" not in "".join(expected):
        assert _found(message, _sides(here=_profile(**there), there=asks_nothing)) == expected


def test_where_the_law_makes_consent_a_condition_a_refusal_blocks() -> None:
    """R-33: nobody releases what a child of that age refuses."""
    body = copy.deepcopy(_body("referral/request-nail-studio.json"))
    body["child"]["named"]["birth"] = {"value": {"age_years": 15, "age_on": "2026-10-01", "estimated": False}}
    body["consent"], body["views"]["heard"]["wants"] = GUARDIAN, "NO"
    sides = _sides(here=_profile(**{AGE: 18}), there=_profile(**{AGE: 15}))
    message = _message("referral.request", body, basis="ATD_11_4")
    assert "block child-has-not-consented" in _found(message, sides)
    assert isinstance(decide(message, (), sides), Blocked)


def test_an_estimated_age_is_no_age() -> None:
    """R-15: who may be older is asked like one who is; who may be younger is protected by the other rules."""
    body = copy.deepcopy(_body("referral/request-nail-studio.json"))
    body["child"]["named"]["birth"] = {"value": {"age_years": 10, "age_on": "2026-10-01", "estimated": True}}
    body["consent"] = GUARDIAN
    sides = _sides(here=_profile(**{AGE: 18}), there=_profile(**{AGE: 15}))
    assert _found(_message("referral.request", body, basis="ATD_11_4"), sides) == ["hold child-has-not-consented"]
    body["child"]["named"]["birth"]["value"]["estimated"] = False
    assert _found(_message("referral.request", body, basis="ATD_11_4"), sides) == []


def test_the_age_is_taken_from_an_earlier_message_where_this_one_says_none() -> None:
    """R-33: the check before departure names no birth; the newest message that says one counts, unknown is any age."""
    named = copy.deepcopy(_body("transfer/plan-to-aunt.json"))
    check = copy.deepcopy(_body("transfer/pre-departure-six-questions.json"))
    check["knows_and_wants"]["child_consent"] = NONE
    asks = _sides(
        here=_profile(placement__child_consent_age=18, placement__guardian_consent=False),
        there=_profile(placement__child_consent_age=15, placement__guardian_consent=False),
    )
    for born, expected in (("2010-01-01", ["hold child-has-not-consented"]), ("2015-01-01", [])):
        child = named["child"].get("named", named["child"].get("pseudonym"))
        child["birth"] = {"value": {"date": born, "estimated": False}}
        plan = Earlier(type=MessageType("transfer.plan"), digest=Digest("a" * 64), author=EE, body=copy.deepcopy(named))
        later = Earlier(
            type=MessageType("transfer.plan"), digest=Digest("b" * 64), author=EE, body={"child": {"pseudonym": {}}}
        )
        found = list(national(_message("transfer.pre-departure", check), (plan, later), asks))
        assert [f"{one.level.value} {one.code}" for one in found] == expected
        assert {one.where for one in found} <= {"/knows_and_wants/child_consent"}
    assert _found(_message("transfer.pre-departure", check), asks) == ["hold child-has-not-consented"]


@pytest.mark.parametrize(
    ("kind", "nationalities", "consular", "expected"),
    [
        ("urgent-measures.notice", ["RO"], "PENDING_DECISION", ["warn consulate-not-decided"]),
        ("urgent-measures.notice", ["RO"], "NOT_DONE_DANGER", []),
        ("urgent-measures.notice", ["EE", "RO"], "PENDING_DECISION", []),
        ("urgent-measures.notice", None, "PENDING_DECISION", ["warn consulate-not-decided"]),
        ("placement.order", ["EE"], None, ["warn consulate-not-decided"]),
        ("placement.order", ["FI"], None, []),
        ("family-tracing.status", ["RO"], None, []),
    ],
)
def test_the_author_is_reminded_that_the_consulate_is_a_decision(
    kind: str, nationalities: list[str] | None, consular: str | None, expected: list[str]
) -> None:
    """R-45: for a child who is not of the country that takes it into care; nothing is blocked and nothing is sent."""
    nationality = {"unknown": True} if nationalities is None else {"value": nationalities}
    body = {} if consular is None else {"consular": consular}
    first = Earlier(
        type=MessageType("placement.request"), digest=Digest("a" * 64), author=EE,
        body={"child": {"named": {"nationalities": nationality}}},
    )  # fmt: skip
    assert _found(_message(kind, body), _sides(), first) == expected


@pytest.mark.parametrize(
    ("needed", "decision", "expected"),
    [
        (True, {"unknown": True}, ["block second-decision-missing"]),
        (True, {"value": {}}, []),
        (False, {"unknown": True}, []),
        (None, {"unknown": True}, ["warn second-decision-not-known"]),
        (None, {"value": {}}, []),
    ],
)
def test_a_consent_counts_with_the_second_decision_that_the_law_asks_for(
    needed: bool | None, decision: Any, expected: list[str]
) -> None:
    """R-34: for who gives the consent, and for who lets the child depart on it; the newest consent counts."""
    profile = None if needed is None else _profile(placement__second_decision=needed)
    told = {"status_recognised": {"value": {"status": "IDENTIFIED"}}, "services": {"value": []}}
    acceptance = {"consent": "CONSENT_GRANTED", "decision": decision, **told}
    assert _found(_message("transfer.acceptance", acceptance), _sides(here=profile)) == expected
    older = Earlier(
        type=MessageType("transfer.acceptance"), digest=Digest("a" * 64), author=FI,
        body={"consent": "CONSENT_GRANTED", "decision": {"value": {}} if expected else {"unknown": True}, **told},
    )  # fmt: skip
    newest = Earlier(type=older.type, digest=Digest("b" * 64), author=FI, body=acceptance)
    assert _found(_message("transfer.departure", {}), _sides(there=profile), older, newest) == expected
    assert _found(_message("transfer.departure", {}), _sides(there=profile)) == []


@pytest.mark.parametrize(
    ("status", "services", "held"),
    [
        ({"value": {"status": "AT_RISK"}}, {"value": []}, 0),
        ({"not_applicable": True}, {"value": []}, 0),
        ({"withheld": "NOT_COMPETENT"}, {"value": []}, 1),
        ({"unknown": True}, {"unknown": True}, 2),
    ],
)
def test_a_departure_waits_until_the_receiving_country_says_what_awaits_the_child(
    status: Any, services: Any, held: int
) -> None:
    """R-09: status and services are confirmed in the newest acceptance, or a second person decides."""
    acceptance = Earlier(
        type=MessageType("transfer.acceptance"), digest=Digest("a" * 64), author=FI,
        body={"consent": "CONSENT_NOT_REQUIRED", "status_recognised": status, "services": services},
    )  # fmt: skip
    assert _found(_message("transfer.departure", {}), _sides(), acceptance) == ["hold recognition-not-confirmed"] * held


@pytest.mark.parametrize(
    ("status", "decisions", "expected"),
    [
        ("IDENTIFIED", ["ACCEPTED", "DECLINED"], []),
        ("AT_RISK", ["FORWARDED"], []),
        ("NOT_CONFIRMED", ["ACCEPTED"], ["hold not-recognised"]),
        ("STATUS_UNKNOWN", ["DECLINED"], ["hold not-recognised", "hold services-declined"]),
    ],
)
def test_a_departure_into_no_recognition_and_no_services_waits(
    status: str, decisions: list[str], expected: list[str]
) -> None:
    """R-09: that the answer was given is not enough, if it is no; another way is looked for."""
    acceptance = Earlier(
        type=MessageType("transfer.acceptance"), digest=Digest("a" * 64), author=FI,
        body={
            "consent": "CONSENT_NOT_REQUIRED",
            "status_recognised": {"value": {"status": status}},
            "services": {"value": [{"decision": one} for one in decisions]},
        },
    )  # fmt: skip
    assert _found(_message("transfer.departure", {}), _sides(), acceptance) == expected


@pytest.mark.parametrize(
    ("pointer", "now", "expected"),
    [
        ("/status_recognised", {"value": "Identified on 3 December"}, ["hold recognition-in-words"]),
        ("/services", {"value": "All are arranged"}, ["hold recognition-in-words"]),
        ("/services/value/0/decision", {"value": "declined"}, ["hold recognition-in-words"]),
        ("/status_recognised/value/status", {"value": "not confirmed"}, ["hold recognition-in-words"]),
        ("/status_recognised/value/status", {"value": "not_confirmed"}, ["hold not-recognised"]),
        ("/services", {"withheld": {"why": "x"}}, ["hold recognition-not-confirmed"]),
    ],
)
def test_a_recognition_that_was_told_in_words_is_read_by_a_second_person(
    pointer: str, now: Any, expected: list[str]
) -> None:
    """R-09: who did not know at first tells it by a correction, which holds text alone; a person reads it."""
    told: dict[str, Any] = {
        "status_recognised": {"value": {"status": "IDENTIFIED"}},
        "services": {"value": [{"decision": "ACCEPTED"}]},
    }
    if "value" not in pointer:
        told[pointer[1:]] = {"unknown": {"why": "x"}}
    body = {"consent": "CONSENT_NOT_REQUIRED", **told}
    acceptance = Earlier(type=MessageType("transfer.acceptance"), digest=Digest("a" * 64), author=FI, body=body)
    correction = Earlier(
        type=MessageType("transfer.correction"), digest=Digest("b" * 64), author=FI,
        body={"target": acceptance.digest, "fields": [{"pointer": pointer, "now": now}]},
    )  # fmt: skip
    assert _found(_message("transfer.departure", {}), _sides(), acceptance, correction) == expected


def test_a_birth_that_was_corrected_counts_as_corrected() -> None:
    """R-33: whose age was a slip of the pen is asked for its consent by the right one; words, or a day to come, are no age."""
    check = copy.deepcopy(_body("transfer/pre-departure-six-questions.json"))
    check["knows_and_wants"]["child_consent"] = NONE
    profile = _profile(placement__child_consent_age=15, placement__guardian_consent=False)
    child = {"named": {"birth": {"value": {"date": "2019-05-03", "estimated": False}}}}
    plan = Earlier(type=MessageType("transfer.plan"), digest=Digest("a" * 64), author=EE, body={"child": child})
    for now, expected in (("2009-05-03", 2), ("in spring", 2), ("2018-05-03", 0), ("2109-05-03", 2)):
        field = {"pointer": "/child/named/birth/value/date", "now": {"value": now}}
        correction = Earlier(
            type=MessageType("transfer.correction"), digest=Digest("b" * 64), author=EE,
            body={"target": plan.digest, "fields": [field]},
        )  # fmt: skip
        sides = _sides(here=profile, there=profile)
        found = national(_message("transfer.pre-departure", check), (plan, correction), sides)
        assert [one.code for one in found if one.rule == "R-33"] == ["child-has-not-consented"] * expected


@pytest.mark.parametrize(
    ("basis", "arrival", "expected"),
    [
        ("AMMR_48", "2026-12-13T09:00:00.000Z", []),
        ("AMMR_48", "2026-12-12T09:00:00.000Z", ["hold notice-too-short"]),
        ("AMMR_48", "2027-02-31T09:00:00.000Z", ["hold notice-too-short"]),
        ("B2B_82", "2026-11-23T09:00:00.000Z", []),
    ],
)
def test_a_plan_in_an_asylum_transfer_goes_out_three_weeks_before(
    basis: str, arrival: str, expected: list[str]
) -> None:
    """R-12: shorter notice waits for a second person, who sees that both authorities agree."""
    asks = _profile(placement__child_consent_age=18, placement__guardian_consent=False)
    plan = {**_body("transfer/plan-to-aunt.json"), "arrival": {"at": arrival}}
    found = _found(_message("transfer.plan", plan, basis=basis), _sides(here=asks, there=asks))
    assert [one for one in found if "notice" in one] == expected


def test_what_is_only_to_be_asked_lets_a_message_leave() -> None:
    """A remark is told with the clearance; a hold of another rule stays a hold."""
    body = _body("referral/request-nail-studio.json")
    message = _message("referral.request", body, basis="ATD_11_4")
    cleared = decide(message, (), _sides(opening=True))
    assert isinstance(cleared, Cleared)
    assert {reason.level for reason in cleared.warnings} == {Level.WARN}
    assert "competence-not-known" in {reason.code for reason in cleared.warnings}
    body["views"]["heard"]["wants"] = "NO"
    assert isinstance(decide(_message("referral.request", body, basis="ATD_11_4"), (), _sides(opening=True)), Held)


def test_the_sides_are_those_of_the_messages_day() -> None:
    """The profile's version of the day of writing, the members' offices; a country without either is unknown."""
    later = ProfileVersion(valid_from=date(2026, 12, 1), edited=DAY, editor="Test", because="x")
    now = _profile(**{AGE: 15})
    profile = CountryProfile(country=FI, versions=(now, later))
    office = Authority(id=COUNTY, name="Alue")
    trust = TrustList(version=1, members={FI: Member(country=FI, authorities=(office,))}, profiles={FI: profile})
    sides = sides_of(trust, _message("family-tracing.request", {}).header, opening=True)
    assert (sides.there.profile, sides.there.listed, sides.opening) == (now, office, True)
    assert (sides.here.profile, sides.here.listed, sides.here.offices) == (None, None, ())


def test_whoever_may_be_old_enough_is_asked_also_when_an_older_message_was_certain() -> None:
    """R-15, R-33: an age that is contested now may be any."""
    check = copy.deepcopy(_body("transfer/pre-departure-six-questions.json"))
    check["knows_and_wants"]["child_consent"] = NONE
    profile = _profile(placement__child_consent_age=15, placement__guardian_consent=False)
    plans = tuple(
        Earlier(
            type=MessageType("transfer.plan"), digest=Digest(f"{n}" * 64), author=EE,
            body={"child": {"pseudonym": {"birth": {"value": {"date": "2015-01-01", "estimated": estimated}}}}},
        )
        for n, estimated in enumerate((False, True))
    )  # fmt: skip
    for earlier, expected in ((plans[:1], []), (plans, ["hold child-has-not-consented"] * 2)):
        found = list(national(_message("transfer.pre-departure", check), earlier, _sides(here=profile, there=profile)))
        assert [f"{one.level.value} {one.code}" for one in found if one.rule == "R-33"] == expected
