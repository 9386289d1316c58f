# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the families without a child refuse: surges by number, and what members tell each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.ids import SchemaVersion
from broker.core.procedures import Role

V1 = SchemaVersion("1.0")
A, B = Role.REQUESTING, Role.REQUESTED
Examples = Mapping[str, dict[str, Any]]
HOUSE = "surge/registration-children-of-one-house.json"
YEAR = "federation/statistics-year-2025.json"

CASES: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "a child of a group has no name": (
        HOUSE,
        lambda body: body["children"][0].update(name="Test-Child"),
        "/body/children/0",
    ),
    "a child of a group has no nationality": (
        HOUSE,
        lambda body: body["children"][0].update(nationalities={"value": ["UA"]}),
        "/body/children/0",
    ),
    "a birth date in the remarks is seen": (
        HOUSE,
        lambda body: body.update(note="The eldest was born on 3.4.2011."),
        "/body/note",
    ),
    "a birth date in the name of the group is seen": (
        HOUSE,
        lambda body: body.update(group="Test-Child 2011-04-03"),
        "/body/group",
    ),
    "a personal number as the title of a table is seen": (
        YEAR,
        lambda body: body["tables"][0].update(title="030411A123X"),
        "/body/tables/0/title",
    ),
    "surge mode lasts 14 days": (HOUSE, lambda body: body["declaration"].update(days=15), "/body/declaration/days"),
    "one person alone declares no surge": (
        HOUSE,
        lambda body: body["declaration"]["declared_by"].pop(),
        "/body/declaration/declared_by",
    ),
    "a surge is shown on its registration": (HOUSE, lambda body: body.pop("declaration"), "/body/declaration"),
    "whether a child was heard is said": (
        HOUSE,
        lambda body: body["children"][0].pop("heard"),
        "/body/children/0/heard",
    ),
    "nationality is no triage": (
        HOUSE,
        lambda body: body["children"][0].update(triage="UA"),
        "/body/children/0/triage",
    ),
    "a place has an office": (
        "surge/allocation-siblings-together.json",
        lambda body: body["children"][0].pop("to"),
        "/body/children/0/to",
    ),
    "no place has a ground": (
        "surge/allocation-siblings-together.json",
        lambda body: body["children"][3].pop("ground"),
        "/body/children/3/ground",
    ),
    "separated siblings have a plan of contact": (
        "surge/allocation-siblings-separated.json",
        lambda body: body["separated"][0].pop("contact_plan"),
        "/body/separated/0/contact_plan",
    ),
    "a small number does not travel": (
        YEAR,
        lambda body: body["tables"][0]["rows"][0].update(number={"count": 3}),
        "/body/tables/0/rows/0/number/count",
    ),
    "nor does zero": (
        YEAR,
        lambda body: body["tables"][0].update(total={"count": 0}),
        "/body/tables/0/total/count",
    ),
    "a number is shown or not": (
        YEAR,
        lambda body: body["tables"][0]["total"].update(suppressed="SMALL"),
        "/body/tables/0/total",
    ),
    "statistics have no rows of persons": (
        YEAR,
        lambda body: body["tables"][0]["rows"][0].update(birth="2011-04-03"),
        "/body/tables/0/rows/0",
    ),
    "a trend names no address of mail": (
        "federation/trend-begging-by-bus.json",
        lambda body: body.update(text="Write to test-person@example.org"),
        "/body/text",
    ),
    "an outage that is over has an end": (
        "federation/outage-over.json",
        lambda body: body.update(until={"unknown": True}),
        "/body/until/value",
    ),
    "a drill says one thing at a time": (
        "federation/exercise-result.json",
        lambda body: body["says"].update(erased={"on": "2026-12-01", "messages": 40, "proof": {"unknown": True}}),
        "/body/says",
    ),
    "an arrangement has points": (
        "federation/arrangement-joint-controllers-proposed.json",
        lambda body: body["points"].clear(),
        "/body/points",
    ),
    "another arrangement is written out": (
        "federation/arrangement-joint-controllers-proposed.json",
        lambda body: body.update(kind="OTHER"),
        "/body/note",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_changes_the_meaning_is_refused_at_its_place(spoilt: Callable[..., list[str]], case: str) -> None:
    """The example is valid; the same with one thing missing or contradicted is not, and the place is named."""
    path, change, pointer = CASES[case]

    assert pointer in spoilt(path, change)


@pytest.mark.parametrize("name", ["surge", "federation"])
def test_a_family_without_a_child_reaches_no_person_and_seals_nothing(catalogue: Catalogue, name: str) -> None:
    """CASEWORK E-1: no case reference, no part about a person, no sealed part."""
    assert not catalogue.table(name).has_subject
    for kind in catalogue.types():
        if kind.procedure == name and kind.act not in catalogue.shared_acts():
            schema = catalogue.schema(kind, V1)
            assert "x-trm-person" not in str(schema), kind
            assert "x-trm-sealed" not in str(schema), kind


WALKS: dict[str, tuple[str, list[tuple[str, Role]], str | None]] = {
    "registered, offered, allocated, closed": (
        "surge", [("registration", A), ("capacity", B), ("allocation", B), ("closure", A)], "CLOSED",
    ),
    "more children come": ("surge", [("registration", A), ("allocation", B), ("registration", A)], "REGISTERED"),
    "who asks allocates nothing": ("surge", [("registration", A), ("allocation", A)], None),
    "after an allocation there is no refusal": ("surge", [("registration", A), ("allocation", B), ("refusal", B)], None),
    "an outage, noted, and its end": ("federation", [("outage", A), ("acknowledgement", B), ("outage", A)], "SENT"),
    "an arrangement needs the other side": ("federation", [("arrangement", A), ("arrangement", A)], None),
    "an arrangement that both agree to": ("federation", [("arrangement", A), ("arrangement", B)], "AGREED"),
    "an acknowledged arrangement is not agreed": ("federation", [("arrangement", A), ("acknowledgement", B)], "PROPOSED"),
    "a refused arrangement": ("federation", [("arrangement", A), ("refusal", B)], "REFUSED"),
    "nobody refuses a bulletin": ("federation", [("trend", A), ("refusal", B)], None),
}  # fmt: skip


@pytest.mark.parametrize("case", WALKS)
def test_the_tables_allow_exactly_the_casework(ends: Callable[..., str | None], case: str) -> None:
    """Each sequence of acts ends where casework says, or at the act that is not allowed."""
    name, steps, end = WALKS[case]

    assert ends(name, steps) == end
