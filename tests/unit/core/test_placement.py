# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What keeps a carer from being called safe, a placement from being asked for, consented to or ordered: by its rule."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.core.safeguards import Blocked, Cleared, Decision, Held, decide
from broker.testing.valid_messages import valid_message

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"
Change = Callable[[Any], object]
BODIES = {
    kind: json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))["body"]
    for kind, name in {
        "placement.request": "placement/request-aunt-in-estonia",
        "placement.decision": "placement/decision-consent-for-a-year",
        "placement.order": "placement/order-by-the-court",
        "placement.lapse": "placement/lapse-carer-ill",
        "carer-assessment.report": "carer-assessment/report-aunt-safe-and-able",
    }.items()
}


def _decide(kind: str, change: Change) -> Decision:
    changed = copy.deepcopy(BODIES[kind])
    change(changed)
    return decide(valid_message(kind, changed, sender="DE/board", recipient="EE/county"))


def _put(*path: str | int, value: Any) -> Change:
    def change(body: Any) -> None:
        for step in path[:-1]:
            body = body[step]
        body[path[-1]] = value

    return change


UNKNOWN = {"unknown": True}
NOT_HEARD = {"not_heard": {"because": ["TOO_YOUNG_ASSESSED"]}}
BY_LAW = {"coded_basis": {"code": "LEGAL_OBLIGATION", "reason": "A court decided."}}
FLED = {"status": "PENDING", "feared_states": {"value": ["EE"]}}
APART = {"value": {"together": "NO", "reasons": "Her brother stays.", "contact": "Every week."}}

BLOCKS: dict[str, tuple[str, Change, str, str]] = {
    "a child who fled from the country asked": (
        "placement.request", _put("protection_claim", value=FLED), "R-01", "/protection_claim/status",
    ),
    "danger": (
        "placement.request", _put("danger_assessment", "would_endanger", value="YES"), "R-02", "/danger_assessment/would_endanger",
    ),
    "a carer who is not safe": (
        "placement.request", _put("carers", "value", 0, "safety", value={"value": "NOT_SAFE"}), "R-04", "/carers/value/0/safety",
    ),
    "a closed placement without a court": ("placement.request", _put("care", "closed", value={"value": "YES"}), "R-34", "/closed_order"),
    "a consent that does not say whether there is a second decision": (
        "placement.decision", _put("second_decision", value=UNKNOWN), "R-34", "/second_decision",
    ),
    "a consent that would endanger": (
        "placement.decision", _put("danger_assessment", "would_endanger", value="UNKNOWN"), "R-02", "/danger_assessment/would_endanger",
    ),
    "an order while a remedy suspends it": ("placement.order", _put("remedy", value="OPEN_SUSPENSIVE"), "R-28", "/remedy"),
}  # fmt: skip

HOLDS: dict[str, tuple[str, Change, str, str]] = {
    "the child was not heard": ("placement.request", _put("views", value=NOT_HEARD), "R-05", "/views"),
    "the child does not want it": ("placement.request", _put("views", "heard", "wants", value="NO"), "R-05", "/views/heard/wants"),
    "no translation": ("placement.request", _put("translation", value=UNKNOWN), "R-20", "/translation"),
    "a machine's translation": (
        "placement.request", _put("translation", "value", "kind", value="MACHINE"), "R-20", "/translation/value/kind",
    ),
    "nobody consented": ("placement.request", _put("child_consent", value=BY_LAW), "R-33", "/child_consent/coded_basis"),
    "liberty is not spoken of": ("placement.request", _put("care", "closed", value=UNKNOWN), "R-34", "/care/closed"),
    "brothers and sisters apart": ("placement.request", _put("siblings", value=APART), "R-35", "/siblings/value/together"),
    "brothers and sisters unknown": ("placement.request", _put("siblings", value=UNKNOWN), "R-35", "/siblings"),
    "the child was not told of the consent": ("placement.decision", _put("informed", value=[]), "R-46", "/informed"),
    "a carer called safe whose part in it is unknown": (
        "carer-assessment.report", _put("persons", 0, "involvement", value=UNKNOWN), "R-04", "/persons/0/involvement",
    ),
    "a carer called safe who had a part in it": (
        "carer-assessment.report", _put("persons", 0, "involvement", "value", "outcome", value="INVOLVED"),
        "R-04", "/persons/0/involvement",
    ),
    "a remedy that nobody knows of": ("placement.order", _put("remedy", value="UNKNOWN"), "R-28", "/remedy"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BODIES)
def test_an_example_without_a_gap_leaves(kind: str) -> None:
    """No rule finds anything in a complete message."""
    assert isinstance(_decide(kind, lambda _: None), Cleared)


@pytest.mark.parametrize("case", BLOCKS)
def test_what_no_one_releases(case: str) -> None:
    """The message is blocked, and rule and place are named."""
    kind, change, rule, where = BLOCKS[case]
    decision = _decide(kind, change)

    assert isinstance(decision, Blocked)
    assert (rule, where) in [(reason.rule, reason.where) for reason in decision.reasons]


@pytest.mark.parametrize("case", HOLDS)
def test_what_a_second_person_decides(case: str) -> None:
    """The message waits, and each reason names the rule and the place."""
    kind, change, rule, where = HOLDS[case]
    decision = _decide(kind, change)

    assert isinstance(decision, Held)
    assert {(reason.rule, reason.where) for reason in decision.reasons} == {(rule, where)}


@pytest.mark.parametrize(
    "answered",
    [
        {"care": {**BODIES["placement.request"]["care"], "closed": {"value": "YES"}}, "closed_order": {"value": {}}},
        {"siblings": {"value": {"together": "YES"}}},
    ],
)
def test_what_is_answered_hinders_no_request(answered: Any) -> None:
    """A court that has decided on the liberty, brothers and sisters who come along: nobody is asked again."""
    assert isinstance(_decide("placement.request", lambda body: body.update(answered)), Cleared)
