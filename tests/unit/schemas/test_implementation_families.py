# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What help with carrying out a decision refuses, where the meaning is at stake, and how its procedure goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.deadlines import DeadlineKind
from broker.core.ids import SchemaVersion
from broker.core.procedures import Role

V1 = SchemaVersion("1.0")
A, B = Role.REQUESTING, Role.REQUESTED
Examples = Mapping[str, dict[str, Any]]
ACCESS = "implementation/request-supervised-access.json"
REPORT = "implementation/report-first-visits.json"

CASES: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "a decision says whether a remedy is open": (
        ACCESS,
        lambda body: body["decision"].pop("remedy"),
        "/body/decision/remedy",
    ),
    "whether it is enforceable is said in one of four ways": (
        ACCESS,
        lambda body: body["decision"].update(enforceable="YES"),
        "/body/decision/enforceable",
    ),
    "something is asked for": (ACCESS, lambda body: body["steps"].clear(), "/body/steps"),
    "the child was heard, or there is a reason": (ACCESS, lambda body: body.pop("views"), "/body/views"),
    "machine translation alone is a kind that shows": (
        ACCESS,
        lambda body: body["translations"]["value"][0].pop("kind"),
        "/body/translations/value/0/kind",
    ),
    "where the child is travels sealed": (
        ACCESS,
        lambda body: body.update(whereabouts={"place": {"country": "FI"}}),
        "/body/whereabouts",
    ),
    "what the child did not want is written out": (
        "implementation/report-child-refused.json",
        lambda body: body["steps"][0].pop("note"),
        "/body/steps/0/note",
    ),
    "a report says in which manner it was enquired": (
        REPORT,
        lambda body: body.pop("manner_used"),
        "/body/manner_used",
    ),
    "fact and assessment are told apart": (
        REPORT,
        lambda body: body["steps"][0].pop("nature"),
        "/body/steps/0/nature",
    ),
    "an assessment says how sure it is": (
        REPORT,
        lambda body: body["statements"]["value"][1].pop("confidence"),
        "/body/statements/value/1/confidence",
    ),
    "another end is written out": (
        "implementation/closure-other.json",
        lambda body: body.pop("note"),
        "/body/note",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_changes_the_meaning_is_refused_at_its_place(spoilt: Callable[..., list[str]], case: str) -> None:
    """The example is valid; the same with one thing missing or contradicted is not, and the place is named."""
    path, change, pointer = CASES[case]

    assert pointer in spoilt(path, change)


WALKS: dict[str, tuple[list[tuple[str, Role]], str | None]] = {
    "asked, reported, closed": ([("request", A), ("report", B), ("report", B), ("closure", A)], "CLOSED"),
    "who helps may end it after a report alone": ([("request", A), ("acknowledgement", B), ("closure", B)], None),
    "after a report there is no refusal": ([("request", A), ("report", B), ("refusal", B)], None),
    "a late report moves nothing": ([("request", A), ("report", B), ("closure", A), ("report", B)], "CLOSED"),
    "withdrawn": ([("request", A), ("report", B), ("withdrawal", A)], "WITHDRAWN"),
    "opened again": ([("request", A), ("report", B), ("closure", B), ("reopening", A)], "IN_PROGRESS"),
}


@pytest.mark.parametrize("case", WALKS)
def test_the_table_allows_exactly_the_casework(ends: Callable[..., str | None], case: str) -> None:
    """Each sequence of acts ends where casework says, or at the act that is not allowed."""
    steps, end = WALKS[case]

    assert ends("implementation", steps) == end


def test_no_law_sets_a_time_for_it(catalogue: Catalogue) -> None:
    """B2b 81 and H96 35 set none: every deadline is the product's, and none can be extended."""
    deadlines = catalogue.table("implementation").deadlines

    assert {item.kind for item in deadlines} == {DeadlineKind.PRODUCT_DEFAULT}
    assert [item for item in deadlines if item.extension] == []
