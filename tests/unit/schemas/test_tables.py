# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The procedure table of family tracing and the message schemas fit together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.core import canonical
from broker.core.deadlines import DeadlineKind
from broker.core.procedures import ALARM_CLOSED, Role

SCHEMAS = Path(__file__).parents[3] / "schemas"


def test_each_act_has_a_message_type_and_the_reverse(catalogue):
    """The acts of each table and the reserved one are exactly the message types of the procedure."""
    for table in catalogue.tables():
        acts = {kind.act for kind in catalogue.types() if kind.procedure == table.procedure}

        assert acts == {*table.acts, ALARM_CLOSED}


def test_a_stated_day_is_a_member_that_an_example_shows(catalogue, examples):
    """Each deadline that runs from a day in a body points at a member of that act, known in at least one example."""
    for table in catalogue.tables():
        for item in table.deadlines:
            if item.stated_at is not None:
                kind = f"{table.procedure}.{item.act}"
                bodies = [data["body"] for data in examples.values() if data["type"] == kind]
                assert any(_stated(body, item.stated_at) for body in bodies), (kind, item.id)


def _stated(body, pointer):
    for name in pointer.split("/")[1:]:
        body = body.get(name, {})
    return isinstance(body, str) or "value" in body


def test_the_digest_is_that_of_the_canonical_bytes(catalogue):
    """The table is found by the SHA-256 of its canonical JSON, and by no other."""
    raw = (SCHEMAS / "procedures" / "family-tracing.json").read_bytes()
    digest = canonical.digest(canonical.dump(json.loads(raw)))

    assert catalogue.table("family-tracing").digest == digest
    assert catalogue.table_by_digest(digest) is catalogue.table("family-tracing")
    assert catalogue.table_by_digest(canonical.digest(raw)) is None


A, B = Role.REQUESTING, Role.REQUESTED
WALKS = {
    "request, acknowledgement, result": ([("request", A), ("acknowledgement", B), ("result", B)], "ANSWERED"),
    "a result may come without an acknowledgement": ([("request", A), ("result", B)], "ANSWERED"),
    "several partial results, then the final one": (
        [("request", A), ("partial-result", B), ("partial-result", B), ("result", B)],
        "ANSWERED",
    ),
    "withdrawn before any answer": ([("request", A), ("withdrawal", A)], "WITHDRAWN"),
    "withdrawn after a partial result": ([("request", A), ("partial-result", B), ("withdrawal", A)], "WITHDRAWN"),
    "the requested side cannot withdraw": ([("request", A), ("withdrawal", B)], None),
    "the requesting side cannot answer itself": ([("request", A), ("result", A)], None),
    "nothing comes before the request": ([("result", B)], None),
    "nothing follows the final result": ([("request", A), ("result", B), ("partial-result", B)], None),
    "a closed answer is opened again": ([("request", A), ("result", B), ("reopening", A)], "ACKNOWLEDGED"),
    "a withdrawn one is not": ([("request", A), ("withdrawal", A), ("reopening", B)], None),
    "a refusal ends it": ([("request", A), ("refusal", B), ("result", B)], None),
    "a question moves nothing": ([("request", A), ("clarification", B), ("clarification-answer", A)], "REQUESTED"),
    "a correction is taken after the end": ([("request", A), ("result", B), ("correction", B)], "ANSWERED"),
    "nothing follows a withdrawal": ([("request", A), ("withdrawal", A), ("result", B)], None),
    "one request per procedure": ([("request", A), ("request", A)], None),
}


@pytest.mark.parametrize("case", WALKS)
def test_the_table_allows_exactly_the_casework(ends, case):
    """Each sequence of acts ends where casework says, or at the act that is not allowed."""
    steps, end = WALKS[case]

    assert ends("family-tracing", steps) == end


def test_withdrawal_is_the_only_stop(catalogue):
    """Stops go before what crosses them; in tracing that is the withdrawal alone."""
    table = catalogue.table("family-tracing")

    assert [name for name, act in table.acts.items() if act.stop] == ["withdrawal"]
    assert table.has_subject


def test_each_basis_has_one_deadline_to_acknowledge_and_one_to_answer(catalogue, examples):
    """No allowed basis is without a date, and only what the law sets is called statutory."""
    table = catalogue.table("family-tracing")
    bases = catalogue.bases(next(kind for kind in catalogue.types() if kind == "family-tracing.request"))
    by_basis = {code: [item for item in table.deadlines if item.holds(code, None)] for code in bases}

    assert {code: len(found) for code, found in by_basis.items()} == dict.fromkeys(bases, 2)
    assert {item.id for item in table.deadlines if item.kind is DeadlineKind.STATUTORY} == {
        "answer-b2b-80",
        "answer-ir2055-11",
    }
    assert {item.id: (item.limit.unit, item.limit.count) for item in table.deadlines} == {
        "acknowledge": ("working_days", 5),
        "answer-b2b-80": ("months", 3),
        "answer-ir2055-11": ("weeks", 2),
        "answer-h96": ("months", 3),
        "answer-other": ("months", 3),
    }
    assert all(item.silence.startswith("Silence is never an answer") for item in table.deadlines)
