# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The examples are valid, plainly invented, and cover every message type of a procedure."""

from __future__ import annotations

from collections import Counter

import pytest

from broker.core.ids import MessageType, SchemaVersion


def test_every_example_can_be_submitted(catalogue, examples):
    """Each example fits submission schema, body schema and the legal bases of its type."""
    problems = {path: catalogue.explain_submission(data) for path, data in examples.items()}

    assert {path: found for path, found in problems.items() if found} == {}


def test_every_message_type_has_two_examples(catalogue, examples):
    """No message type is shown by fewer than two examples; a shared act's are shown once for all procedures."""
    shown = Counter(data["type"] for data in examples.values())
    of_act = Counter(data["type"].partition(".")[2] for data in examples.values())
    shared = catalogue.shared_acts()

    few = {kind for kind in catalogue.types() if (of_act[kind.act] if kind.act in shared else shown[kind]) < 2}

    assert few == {"node.held", "node.missing", "node.receipts", "node.restored"}


def test_a_shared_acts_examples_are_valid_in_every_procedure_that_has_it(catalogue, examples):
    """What one procedure's status, refusal or correction looks like, every procedure's does."""
    for data in examples.values():
        act = MessageType(data["type"]).act
        for kind in catalogue.types() if act in catalogue.shared_acts() else ():
            if kind.act == act:
                assert catalogue.explain(kind, SchemaVersion(data["version"]), data["body"]) == (), kind


def test_example_people_are_plainly_invented(examples):
    """Each given name that an example states starts with "Test-"."""

    def names(value):
        if isinstance(value, dict):
            given = value.get("given")
            if isinstance(given, dict) and isinstance(given.get("value"), str):
                yield given["value"]
            for item in value.values():
                yield from names(item)
        elif isinstance(value, list):
            for item in value:
                yield from names(item)

    found = [name for data in examples.values() for name in names(data)]

    assert found
    assert [name for name in found if not name.startswith("Test-")] == []


@pytest.mark.parametrize("act", ["request", "acknowledgement", "result"])
def test_the_demo_walks_between_estonia_and_finland(examples, act):
    """The demo's files are one procedure between the same two offices, on Brussels IIb article 80(1)(b)."""
    data = examples[f"demo/{act}.json"]
    asking = act == "request"

    assert data["type"] == f"family-tracing.{act}"
    assert data["legal_basis"] == {"code": "B2B_80_1_B"}
    assert data["sender"]["authority"] == ("social-insurance-board" if asking else "helsinki-wellbeing-services")
    assert data["recipient"]["country"] == ("FI" if asking else "EE")
    assert "procedure" not in data
