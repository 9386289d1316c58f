# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about asking a sender to seal a faulty part anew."""

from __future__ import annotations

from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.errors import BadRequest
from broker.core.ids import MessageType, ProcedureId, SchemaVersion
from broker.sealed.clarifying import clarification
from broker.sealed.opening import Fault, Surroundings
from tests.unit.sealed.conftest import RECIPIENT, SENDER

FAULT = Fault(place="/whereabouts", code="schema-invalid", where="/whereabouts/place", detail="A member is missing.")
AROUND = Surroundings(
    sender=SENDER,
    recipient=RECIPIENT,
    type=MessageType("danger-notice.found"),
    version=SchemaVersion("1.0"),
    procedure=ProcedureId("01920000-0000-7000-8000-000000000001"),
    exercise=False,
)
HEADER: dict[str, Any] = {
    "legal_basis": {"code": "H96_36"}, "purpose": "Protecting the child", "urgency": "IMMEDIATE", "language": "en",
}  # fmt: skip
OFFICE = {"name": "Test-Office", "kind": "CP_SERVICE", "country": "FI"}


def test_the_question_fits_its_schema_and_names_place_and_code(catalogue: Catalogue) -> None:
    """It goes back to the office that sent, in the same procedure, on the same basis."""
    asked = clarification(AROUND, HEADER, [FAULT, FAULT], asked_by=OFFICE, digest="0" * 64)
    assert catalogue.explain_submission(asked) == ()
    assert (asked["type"], asked["recipient"]["country"]) == ("danger-notice.clarification", "EE")
    first = asked["body"]["questions"][0]
    assert "/whereabouts/place" in first["text"]
    assert "schema-invalid" in first["text"]


def test_without_a_fault_or_a_procedure_there_is_nothing_to_ask() -> None:
    """Nor without the basis that the message was written on."""
    for around, header, faults in (
        (AROUND, HEADER, []),
        (AROUND, {}, [FAULT]),
    ):
        with pytest.raises(BadRequest):
            clarification(around, header, faults, asked_by=OFFICE, digest="0" * 64)
