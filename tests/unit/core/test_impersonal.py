# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What holds or blocks a message that names nobody: each gap, by its rule."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.core.ids import CaseRef
from broker.core.impersonal import personal_purpose, possible_names
from broker.core.reasons import Level
from broker.core.safeguards import Cleared, decide
from broker.testing.valid_messages import valid_message

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"
Change = Callable[[Any], object]


def _reasons(
    example: str, change: Change, country: str = "SE", *, purpose: str | None = None, case_ref: CaseRef | None = None
) -> list[tuple[str, str, Level]]:
    data = json.loads((EXAMPLES / f"{example}.json").read_text(encoding="utf-8"))
    body = copy.deepcopy(data["body"])
    change(body)
    message = valid_message(data["type"], body, recipient=f"{country}/agency", purpose=purpose, case_ref=case_ref)
    decision = decide(message)
    return [] if isinstance(decision, Cleared) else [(item.rule, item.where, item.level) for item in decision.reasons]


def _as_it_is(body: Any) -> None:
    pass


HOUSE, TOGETHER, APART, YEAR = (
    "surge/registration-children-of-one-house",
    "surge/allocation-siblings-together",
    "surge/allocation-siblings-separated",
    "federation/statistics-year-2025",
)
BLOCK, HOLD = Level.BLOCK, Level.HOLD
CASES: dict[str, tuple[str, Change, list[tuple[str, str, Level]]]] = {
    "a group whose origin is known and elsewhere": (HOUSE, _as_it_is, []),
    "nobody recorded what the group fled from": (
        HOUSE,
        lambda body: body.update(origin_states={"unknown": True}),
        [("R-01", "/origin_states", HOLD)],
    ),
    "a withheld origin could be the addressee": (
        HOUSE,
        lambda body: body.update(origin_states={"withheld": "DANGER"}),
        [("R-01", "/origin_states", HOLD)],
    ),
    "a group that fled from nowhere": (
        HOUSE,
        lambda body: body.update(origin_states={"not_applicable": True}),
        [],
    ),
    "sending the list would endanger": (
        HOUSE,
        lambda body: body["danger_assessment"].update(would_endanger="YES"),
        [("R-02", "/danger_assessment/would_endanger", BLOCK)],
    ),
    "nobody knows whether it endangers": (
        TOGETHER,
        lambda body: body["danger_assessment"].update(would_endanger="UNKNOWN"),
        [("R-02", "/danger_assessment/would_endanger", BLOCK)],
    ),
    "surge mode goes on and on": (
        HOUSE,
        lambda body: body["declaration"].update(renewals=3),
        [("R-39", "/declaration/renewals", HOLD)],
    ),
    "siblings stay together, with a confirmed carer": (TOGETHER, _as_it_is, []),
    "a place together with an unchecked adult": (
        TOGETHER,
        lambda body: body["children"][1]["with_adult"]["value"].update(checked="UNKNOWN"),
        [("R-25", "/children/1/with_adult/value/checked", HOLD)],
    ),
    "siblings at two places, with reasons": (APART, _as_it_is, [("R-35", "/separated", HOLD)]),
    "siblings at two places, without reasons": (
        APART,
        lambda body: body["separated"].clear(),
        [("R-35", "/separated", BLOCK)],
    ),
    "only one of two siblings has a place": (
        TOGETHER,
        lambda body: body["children"][0].update(outcome="NO_PLACE", ground="CAPACITY_NOT_AVAILABLE"),
        [("R-35", "/separated", BLOCK)],
    ),
    "two hidden numbers beside a total": (YEAR, _as_it_is, []),
    "one hidden number beside a total": (
        YEAR,
        lambda body: body["tables"][1]["rows"][2].update(number={"count": 9}),
        [("R-41", "/tables/1/rows", BLOCK)],
    ),
    "one hidden number beside a hidden total": (
        YEAR,
        lambda body: (
            body["tables"][1]["rows"][2].update(number={"count": 9}),
            body["tables"][1].update(total={"suppressed": "SMALL"}),
        ),
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_gap_is_held_or_blocked_by_its_rule(case: str) -> None:
    """The rule, its place and its level are as expected, and nothing else is said."""
    example, change, expected = CASES[case]

    assert _reasons(example, change) == expected


@pytest.mark.parametrize(
    "other", [{"country": "NO"}, {"kind": "CENTRAL_AUTHORITY"}, {"name": "Another house"}, {"care": "OTHER"}]
)
def test_siblings_are_together_at_one_office_in_one_form_of_care_alone(other: dict[str, str]) -> None:
    """R-35: an office of the same name elsewhere, or of another kind, is another place; so is another form of care."""

    def apart(body: Any) -> None:
        first, second = (child for child in body["children"] if "value" in child["siblings"])
        first["to"] = {**second["to"], **{name: text for name, text in other.items() if name != "care"}}
        first["care"] = other.get("care", second["care"])

    assert ("R-35", "/separated", BLOCK) in _reasons(TOGETHER, apart)
    assert _reasons(TOGETHER, _as_it_is) == []


def test_nothing_goes_to_the_country_that_a_group_fled_from() -> None:
    """R-01 for a group has no release."""
    assert _reasons(HOUSE, _as_it_is, country="UA") == [("R-01", "/origin_states", BLOCK)]


def test_one_hidden_number_of_each_breakdown_is_counted_by_itself() -> None:
    """A single hidden number by sex is not covered by another one by form in the same table."""

    def merge(body: Any) -> None:
        body["tables"][0]["rows"][0]["number"] = {"suppressed": "SMALL"}
        body["tables"][0]["rows"].extend(body["tables"][1]["rows"])

    assert ("R-41", "/tables/0/rows", BLOCK) in _reasons(YEAR, merge)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("She is called Test-Maarika Näidis, and is afraid.", ["Test-Maarika Näidis"]),
        ("Kalnins, Juris Test O'Brien came", ["Kalnins Juris", "Juris Test", "Test O'Brien"]),
        ("No. One sentence. Another one.", []),
        ("what does it cost in Riga", []),
        ("SERVICES", []),
    ],
)
def test_two_words_that_begin_as_names_do_may_be_one(text: str, found: list[str]) -> None:
    """R-41: they are looked up; a sentence's beginning, a single name and a code are not."""
    assert list(possible_names({"a": [{"text": text}], "n": 7})) == [("/a/0/text", words) for words in found]


def test_no_text_makes_the_node_look_for_ever() -> None:
    """Of a text made of names alone the first fifty are looked up."""
    assert len(list(possible_names({"text": "Abc Def " * 400}))) == 50


@pytest.mark.parametrize(
    ("purpose", "blocked"),
    [
        ("Agree on places for children who arrive", False),
        ("About who was born on 3.5.2012", True),
        ("Call back test@example.test", True),
        ("Person 45005120123", True),
    ],
)
def test_the_purpose_of_a_message_about_nobody_is_no_way_around(purpose: str, blocked: bool) -> None:
    """R-41: what no text of such a message may hold, its purpose may not either."""
    assert _reasons(YEAR, _as_it_is, purpose=purpose) == ([("R-41", "", Level.BLOCK)] if blocked else [])


def test_the_purpose_of_a_message_of_a_case_may_name_what_identifies_a_person() -> None:
    """R-41 is about messages of no case: the others are about somebody."""
    case_ref = CaseRef("CR-00000000000000000000")
    found = _reasons(YEAR, _as_it_is, purpose="Person 45005120123", case_ref=case_ref)
    assert "R-41" not in {rule for rule, _, _ in found}


def test_the_purpose_refuses_what_the_texts_schema_refuses() -> None:
    """R-41: one pattern in two places stays one pattern."""
    schema = json.loads((EXAMPLES.parent / "parts" / "impersonal-text.json").read_text("utf-8"))
    for text in ("a@b", "12345", "1.2.2012", "2012-02-01", "010212-123", "010212A123", "\x07", "1234", "12.13", "x"):
        assert bool(list(personal_purpose(text))) == bool(re.search(schema["not"]["pattern"], text)), text
