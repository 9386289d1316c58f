# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the families around the guardian refuse, where the meaning is at stake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from broker.core.ids import SchemaVersion

V1 = SchemaVersion("1.0")
Examples = Mapping[str, dict[str, Any]]

CASES: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "a guardian is reached through an office": (
        "guardian/appointed-in-lithuania.json",
        lambda body: body["guardianship"].pop("contact"),
        "/body/guardianship/contact",
    ),
    "a handover says until when the present guardian stays": (
        "guardian/handover-two-weeks-overlap.json",
        lambda body: body.pop("stays_until"),
        "/body/stays_until",
    ),
    "no handover leaves a gap": (
        "guardian/handover-two-weeks-overlap.json",
        lambda body: body.update(overlap_days=-1),
        "/body/overlap_days",
    ),
    "an objection asks for its answer by a day": (
        "guardian/objection-flight-date.json",
        lambda body: body.update(answer_by={"unknown": True}),
        "/body/answer_by",
    ),
    "an answer has reasons": (
        "guardian/answer-objection-followed.json",
        lambda body: body.pop("reasons"),
        "/body/reasons",
    ),
    "contact is described, with what must not be said": (
        "contact/proposal-letters-to-mother.json",
        lambda body: body["arrangement"].pop("must_not_be_said"),
        "/body/arrangement/must_not_be_said",
    ),
    "the other person agrees or does not": (
        "contact/agreement-letters.json",
        lambda body: body.update(person_agrees={"unknown": True}),
        "/body/person_agrees",
    ),
    "a stop gives no reason": (
        "contact/stop-no-reason.json",
        lambda body: body.update(reason="The child is afraid"),
        "/body",
    ),
    "no biometric data travel": (
        "identity/request-found-at-harbour.json",
        lambda body: body.update(fingerprints="x"),
        "/body",
    ),
    "a photograph is sealed": (
        "identity/request-found-at-harbour.json",
        lambda body: body.update(photograph={"shows": "A boy"}),
        "/body/photograph",
    ),
    "nobody is treated as an adult without a decision": (
        "identity/reply-birth-on-record.json",
        lambda body: body.update(treated_as_child="NO"),
        "/body/age_decision",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_changes_the_meaning_is_refused_at_its_place(spoilt: Callable[..., list[str]], case: str) -> None:
    """The example is valid; the same with one thing missing or contradicted is not, and the place is named."""
    path, change, pointer = CASES[case]

    assert pointer in spoilt(path, change)
