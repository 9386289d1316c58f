# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Assessment of a carer: what a report must say, what stays sealed, and when it no longer holds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.deadlines import DeadlineKind
from broker.core.ids import MessageType, SchemaVersion
from broker.core.procedures import Role

V1 = SchemaVersion("1.0")
A, B = Role.REQUESTING, Role.REQUESTED
Examples = Mapping[str, dict[str, Any]]
Change = Callable[[dict[str, Any]], Any]
REQUEST = "carer-assessment/request-aunt.json"
REPORT = "carer-assessment/report-aunt-safe-and-able.json"
PERSON = "/body/persons/0"

CASES: dict[str, tuple[str, Change, str]] = {
    "nobody to be assessed": (REQUEST, lambda body: body.update(persons_sought=[]), "/body/persons_sought"),
    "a person without a claim to protection of its own": (
        REQUEST, lambda body: body["persons_sought"][0].pop("protection_claim"), "/body/persons_sought/0/protection_claim",
    ),
    "a person without a word on the exploitation": (
        REPORT, lambda body: body["persons"][0].pop("involvement"), f"{PERSON}/involvement",
    ),
    "a verified person": (
        REPORT, lambda body: body["persons"][0]["safety"]["value"].update(outcome="VERIFIED"),
        f"{PERSON}/safety/value/outcome",
    ),
    "an assessment without grounds": (
        REPORT, lambda body: body["persons"][0]["capacity"]["value"].pop("explanation"),
        f"{PERSON}/capacity/value/explanation",
    ),
    "a criminal record in the open": (
        REPORT, lambda body: body["persons"][0].update(criminal_record={"value": "None"}), PERSON,
    ),
    "an address in the open": (REPORT, lambda body: body["persons"][0].update(address={"country": "EE"}), f"{PERSON}/address"),
    "a name in the household": (
        REPORT, lambda body: body["persons"][0]["household"]["value"][0].update(name="Test-Jaan"),
        f"{PERSON}/household/value/0",
    ),
    "an assessor who looked for no conflict of interest": (
        REPORT, lambda body: body["assessor"].pop("conflict_checked_on"), "/body/assessor/conflict_checked_on",
    ),
    "a report that holds for ever": (REPORT, lambda body: body.pop("valid_until"), "/body/valid_until"),
    "a lapse that names nobody": (
        "carer-assessment/lapse-somebody-moved-in.json", lambda body: body.update(persons=[]), "/body/persons",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_changes_the_meaning_is_refused_at_its_place(spoilt: Callable[..., list[str]], case: str) -> None:
    """The example is valid; the same with one thing missing or contradicted is not, and the place is named."""
    path, change, pointer = CASES[case]

    assert pointer in spoilt(path, change)


def test_a_relative_is_asked_about_on_the_bases_for_relatives_alone(catalogue: Catalogue, examples: Examples) -> None:
    """CASEWORK C-02: locating the child is no basis; on the asylum form's basis the message is the notice of it."""
    assert set(catalogue.bases(MessageType("carer-assessment.request"))) == {
        "B2B_80_1_B",
        "H96_32",
        "H96_34",
        "IR2055_11",
    }
    data = copy.deepcopy(examples[REQUEST])
    data["legal_basis"] = {"code": "IR2055_11"}
    assert [problem.pointer for problem in catalogue.explain_submission(data)] == ["/legal_basis/code"]

    data["body"]["official_channel"] = {"channel": "DUBLINET", "reference": "DE09-example", "sent_on": "2026-07-20"}
    assert catalogue.explain_submission(data) == ()


def test_only_the_regulation_sets_the_three_months(catalogue: Catalogue) -> None:
    """B2b 80(4) and the asylum form's two weeks are law; every other day is the product's proposal."""
    kinds = {item.id: item.kind for item in catalogue.table("carer-assessment").deadlines}

    assert {name for name, kind in kinds.items() if kind is DeadlineKind.STATUTORY} == {
        "report-b2b-80",
        "report-ir2055-11",
    }
    assert set(kinds.values()) == {DeadlineKind.STATUTORY, DeadlineKind.PRODUCT_DEFAULT}


WALKS: dict[str, tuple[list[tuple[str, Role]], str]] = {
    "asked and reported": ([("request", A), ("acknowledgement", B), ("report", B)], "REPORTED"),
    "what no longer holds waits for somebody": ([("request", A), ("report", B), ("lapse", B)], "LAPSED"),
    "the asking side may know first": ([("request", A), ("report", B), ("lapse", A)], "LAPSED"),
    "a new report holds again": ([("request", A), ("report", B), ("lapse", B), ("report", B)], "REPORTED"),
    "or the request ends": ([("request", A), ("report", B), ("lapse", B), ("withdrawal", A)], "WITHDRAWN"),
}


@pytest.mark.parametrize("case", WALKS)
def test_the_table_allows_the_casework(ends: Callable[..., str | None], case: str) -> None:
    """Each sequence of acts ends where casework says."""
    steps, end = WALKS[case]

    assert ends("carer-assessment", steps) == end


def test_a_lapse_is_a_fact_that_goes_before_what_crosses_it(catalogue: Catalogue) -> None:
    """Nobody is placed with a carer on an assessment that the other side knows to be over."""
    lapse = catalogue.table("carer-assessment").acts["lapse"]

    assert (str(lapse.kind), lapse.stop) == ("fact", True)
