# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Placement in another State: what its messages must say, what each basis makes of silence, and what unlocks the order."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.deadlines import DeadlineKind
from broker.core.ids import MessageType, SchemaVersion
from broker.core.procedures import Role, Silence

V1 = SchemaVersion("1.0")
A, B = Role.REQUESTING, Role.REQUESTED
Examples = Mapping[str, dict[str, Any]]
Change = Callable[[dict[str, Any]], Any]
REQUEST = "placement/request-aunt-in-estonia.json"
CONSENT = "placement/decision-consent-for-a-year.json"
NONE_NEEDED = "placement/decision-none-needed.json"
UNKNOWN = {"unknown": True}

CASES: dict[str, tuple[str, Change, str]] = {
    "a request without the report on the child": (REQUEST, lambda body: body.pop("report"), "/body/report"),
    "a request without reasons": (REQUEST, lambda body: body.pop("reasons"), "/body/reasons"),
    "a request that is silent on the costs": (REQUEST, lambda body: body.update(funding=UNKNOWN), "/body/funding/items"),
    "a request that is silent on contact with the family": (
        REQUEST, lambda body: body.pop("contact_kept"), "/body/contact_kept",
    ),
    "a request that is silent on supervision": (
        REQUEST, lambda body: body["care"].pop("supervision"), "/body/care/supervision",
    ),
    "brothers and sisters apart without contact": (
        REQUEST, lambda body: body.update(siblings={"value": {"together": "NO", "reasons": "No room."}}),
        "/body/siblings/value/contact",
    ),
    "the carer's address in the open": (
        REQUEST, lambda body: body["care"]["carer"]["value"].update(address={"country": "EE"}), "/body/care/carer/value",
    ),
    "a decision that says no": (CONSENT, lambda body: body.update(consent="CONSENT_REFUSED"), "/body/consent"),
    "a decision that is still conditional": (CONSENT, lambda body: body.update(consent="CONSENT_CONDITIONAL"), "/body/consent"),
    "a consent for nobody in particular": (CONSENT, lambda body: body.update({"with": UNKNOWN}), "/body/with/value"),
    "a consent without a last day": (CONSENT, lambda body: body.pop("valid_until"), "/body/valid_until"),
    "no consent needed, without a reason": (NONE_NEEDED, lambda body: body.pop("exemption"), "/body/exemption"),
    "a notified category that nobody names": (
        NONE_NEEDED, lambda body: body.update(notified_category=UNKNOWN), "/body/notified_category/value",
    ),
    "conditions that nobody names": (
        "placement/consent-in-principle-conditions.json", lambda body: body.pop("conditions"), "/body/conditions",
    ),
    "an order without consent": ("placement/order-by-the-court.json", lambda body: body.pop("consent"), "/body/consent"),
    "an order of which the child was not told": (
        "placement/order-by-the-court.json", lambda body: body.update(informed=[]), "/body/informed",
    ),
    "another reason for lapsing, unsaid": (
        "placement/lapse-carer-ill.json", lambda body: body.update(reason="OTHER"), "/body/note",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_changes_the_meaning_is_refused_at_its_place(spoilt: Callable[..., list[str]], case: str) -> None:
    """The example is valid; the same with one thing missing or contradicted is not, and the place is named."""
    path, change, pointer = CASES[case]

    assert pointer in spoilt(path, change)


@pytest.mark.parametrize(
    ("basis", "exemption", "refused"),
    [
        ("B2B_82", "WITH_PARENT", False),
        ("B2B_82", "NOTIFIED_RELATIVE_CATEGORY", False),
        ("B2B_82", "RECEIVING_STATE_OWN_DECISION", False),
        ("H96_33", "RECEIVING_STATE_OWN_DECISION", False),
        ("H96_33", "NOTIFIED_RELATIVE_CATEGORY", True),
        ("H96_33", "WITH_PARENT", True),
    ],
)
def test_an_exemption_belongs_to_its_legal_basis(
    catalogue: Catalogue, examples: Examples, basis: str, exemption: str, refused: bool
) -> None:
    """CASEWORK C-03: under the 1996 convention no category of relatives is exempt."""
    data = copy.deepcopy(examples[NONE_NEEDED])
    data["legal_basis"] = {"code": basis}
    data["body"]["exemption"] = exemption

    found = [problem.rule for problem in catalogue.explain_submission(data)]

    assert found == (["x-trm-exemption"] if refused else [])


def test_silence_is_consent_under_neither_basis(catalogue: Catalogue) -> None:
    """R-08: what it means that nothing came is looked up under the basis, and both times it is: no consent."""
    table = catalogue.table("placement")

    assert {code: basis.silence for code, basis in table.bases.items()} == {
        "B2B_82": Silence.NOT_CONSENT,
        "H96_33": Silence.NOT_CONSENT,
    }
    assert all("consent" in item.silence for item in table.deadlines)


def test_three_months_are_law_in_the_regulation_and_a_proposal_in_the_convention(catalogue: Catalogue) -> None:
    """B2b 82(6) sets the time; H96 33 sets none, and the product says that its own is one."""
    table = catalogue.table("placement")
    deciding = {item.id: item for item in table.deadlines if item.id.startswith("decide")}

    assert {name: (item.kind, sorted(item.basis)) for name, item in deciding.items()} == {
        "decide-b2b": (DeadlineKind.STATUTORY, ["B2B_82"]),
        "decide-h96": (DeadlineKind.PRODUCT_DEFAULT, ["H96_33"]),
    }
    assert {(item.limit.unit, item.limit.count) for item in deciding.values()} == {("months", 3)}
    assert all(item.extension is None and item.until == ("decision", "refusal") for item in deciding.values())


FIRST = [("request", A), ("acknowledgement", B)]
WALKS: dict[str, tuple[list[tuple[str, Role]], str | None]] = {
    "consent, order, end of the period": (
        [*FIRST, ("decision", B), ("order", A), ("lapse", A)], "LAPSED",
    ),
    "nothing is ordered without a decision": ([*FIRST, ("order", A)], None),
    "nothing is ordered on a consent in principle": ([*FIRST, ("consent-in-principle", B), ("order", A)], None),
    "nor on the second decision alone": (
        [*FIRST, ("consent-in-principle", B), ("second-decision", B), ("order", A)], None,
    ),
    "conditions met, second decision, consent": (
        [*FIRST, ("consent-in-principle", B), ("second-decision", B), ("decision", B)], "CONSENTED",
    ),
    "a withdrawn consent orders nothing": ([*FIRST, ("decision", B), ("withdrawal", B), ("order", A)], None),
    "a withdrawn consent may be given again": (
        [*FIRST, ("decision", B), ("withdrawal", B), ("decision", B)], "CONSENTED",
    ),
    "a changed request needs a new consent": ([*FIRST, ("decision", B), ("request", A), ("order", A)], None),
    "what was ordered is not withdrawn": ([*FIRST, ("decision", B), ("order", A), ("withdrawal", A)], None),
    "what was ordered is not refused": ([*FIRST, ("decision", B), ("order", A), ("refusal", B)], None),
    "a given consent is withdrawn, not refused": ([*FIRST, ("decision", B), ("refusal", B)], None),
    "a consent that lapsed before the order orders nothing": (
        [*FIRST, ("decision", B), ("lapse", B), ("order", A)], None,
    ),
    "more time is a new request in a new procedure": (
        [*FIRST, ("decision", B), ("order", A), ("lapse", A), ("request", A)], None,
    ),
    "a refusal may be taken up again": ([*FIRST, ("refusal", B), ("reopening", A), ("decision", B)], "CONSENTED"),
    "the asking side does not consent for the other": ([*FIRST, ("decision", A)], None),
}  # fmt: skip


@pytest.mark.parametrize("case", WALKS)
def test_the_table_allows_exactly_the_casework(ends: Callable[..., str | None], case: str) -> None:
    """Each sequence of acts ends where casework says, or at the act that is not allowed."""
    steps, end = WALKS[case]

    assert ends("placement", steps) == end


def test_the_order_is_cleared_by_a_consent_to_exactly_the_newest_request(catalogue: Catalogue) -> None:
    """R-07: an irreversible act; its clearance is a decision that covers the request, which the deciding office sends."""
    order = catalogue.table("placement").acts["order"]

    assert order.irreversible
    assert order.clearance is not None
    assert (order.clearance.act, order.clearance.covers) == ("decision", "request")
    assert str(catalogue.table("placement").acts["decision"].sender) == "DECIDING"
    assert {"covers", "valid_until"} <= set(catalogue.schema(MessageType("placement.decision"), V1)["required"])
