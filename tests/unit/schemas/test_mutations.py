# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a schema demands, its absence is refused and explained at the right place."""

from __future__ import annotations

import copy

import jsonschema_rs
import pytest

from broker.core.ids import MessageType, SchemaVersion

V1 = SchemaVersion("1.0")
REQUEST = MessageType("family-tracing.request")
RESULT = MessageType("family-tracing.result")


def test_each_single_mutation_of_an_example_is_refused(catalogue, examples, spoil):
    """Dropping, emptying, overfilling or miscoding any one field of a type's first example is refused.

    The contract suite takes every example, and holds the places that explanations name.
    """
    first = {data["type"]: data for data in reversed(examples.values())}
    accepted, tried = [], 0
    for kind, data in first.items():
        schema = catalogue.schema(MessageType(kind), SchemaVersion(data["version"]))
        decide = jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid
        for mutation in spoil(schema, data["body"]):
            tried += 1
            if decide(mutation.body):
                accepted.append((kind, mutation.kind, mutation.pointer))

    assert accepted == []
    assert tried > 2000


def test_each_kind_of_mutation_is_explained_at_its_place(catalogue, examples, spoil):
    """The explanation of each kind of mutation at each depth contains the pointer of what is wrong."""
    seen: set[tuple[str, int]] = set()
    for data in {data["type"]: data for data in examples.values()}.values():
        kind, version = MessageType(data["type"]), SchemaVersion(data["version"])
        for mutation in spoil(catalogue.schema(kind, version), data["body"]):
            family = (mutation.kind, mutation.pointer.count("/"))
            if family not in seen:
                seen.add(family)
                pointers = [problem.pointer for problem in catalogue.explain(kind, version, mutation.body)]
                assert mutation.pointer in pointers, mutation

    assert len(seen) > 80


@pytest.mark.parametrize(
    "name", ["protection_claim", "family_protection_claims", "danger_assessment", "approach", "child_wish", "consent"]
)
def test_a_request_without_what_safeguards_need_is_refused(catalogue, examples, name):
    """A tracing request that lacks one of the facts that later safeguards need does not pass."""
    body = copy.deepcopy(examples["demo/request.json"]["body"])
    del body[name]

    problems = catalogue.explain(REQUEST, V1, body)

    assert [(item.pointer, item.rule) for item in problems] == [(f"/body/{name}", "required")]


def _drop(place, *names):
    for name in names:
        del place[name]


CASES = {
    "a recorded claim needs who recorded it": (
        REQUEST,
        lambda body: _drop(body["protection_claim"], "recorded_by"),
        "/body/protection_claim/recorded_by",
    ),
    "a relative's recorded claim needs when it was recorded": (
        REQUEST,
        lambda body: _drop(body["persons_sought"][0]["protection_claim"], "recorded_on"),
        "/body/persons_sought/0/protection_claim/recorded_on",
    ),
    "a person sought needs an approach of its own": (
        REQUEST,
        lambda body: _drop(body["persons_sought"][0], "approach"),
        "/body/persons_sought/0/approach",
    ),
    "a missing interpreter alone is no reason not to hear the child": (
        REQUEST,
        lambda body: body.update(child_wish={"not_heard": {"because": ["NO_INTERPRETER"]}}),
        "/body/child_wish/not_heard/because",
    ),
    "another reason not to hear the child is written out": (
        REQUEST,
        lambda body: body.update(child_wish={"not_heard": {"because": ["OTHER_REASONED"]}}),
        "/body/child_wish/not_heard/reason",
    ),
    "urgency needs the day by which the child is heard": (
        REQUEST,
        lambda body: body.update(child_wish={"not_heard": {"because": ["URGENT_FOLLOW_UP_DUE"]}}),
        "/body/child_wish/not_heard/to_be_heard_by",
    ),
    "heard and not heard exclude each other": (
        REQUEST,
        lambda body: body["child_wish"].update(not_heard={"because": ["HEALTH"]}),
        "/body/child_wish",
    ),
    "an age needs the day it refers to": (
        REQUEST,
        lambda body: body["child"].update(birth={"value": {"age_years": 12, "estimated": True}}),
        "/body/child/birth/value/age_on",
    ),
    "a birth says neither date nor age": (
        REQUEST,
        lambda body: body["child"].update(birth={"value": {"estimated": True}}),
        "/body/child/birth/value",
    ),
    "the thirtieth of February is no day": (
        REQUEST,
        lambda body: body["danger_assessment"].update(assessed_on="2026-02-30"),
        "/body/danger_assessment/assessed_on",
    ),
    "EL is no country inside": (
        REQUEST,
        lambda body: body["child"].update(place_of_birth={"value": {"country": "EL"}}),
        "/body/child/place_of_birth/value/country",
    ),
    "a contact has a number or an address": (
        REQUEST,
        lambda body: _drop(body["contact"], "phone", "email"),
        "/body/contact",
    ),
    "an answer without the manner used is refused": (
        RESULT,
        lambda body: _drop(body["answers"][0], "manner_used"),
        "/body/answers/0/manner_used",
    ),
    "a finding without the manner used is refused": (
        RESULT,
        lambda body: _drop(body["answers"][0]["findings"]["safety"]["value"], "manner_used"),
        "/body/answers/0/findings/safety/value/manner_used",
    ),
    "an assessment without grounds is refused": (
        RESULT,
        lambda body: _drop(body["answers"][0]["findings"]["safety"]["value"], "explanation"),
        "/body/answers/0/findings/safety/value/explanation",
    ),
    "no finding is verified": (
        RESULT,
        lambda body: body["answers"][0]["findings"]["identity"]["value"].update(outcome="VERIFIED"),
        "/body/answers/0/findings/identity/value/outcome",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_only_a_combination_shows_is_refused(catalogue, examples, case):
    """A rule between fields is held, and the explanation names the field that is wrong or missing."""
    kind, change, pointer = CASES[case]
    body = copy.deepcopy(examples[f"demo/{kind.act}.json"]["body"])
    assert catalogue.explain(kind, V1, body) == ()
    change(body)

    assert [problem.pointer for problem in catalogue.explain(kind, V1, body)] == [pointer]


def test_the_four_forms_of_a_fact_are_all_taken_and_stay_distinct(catalogue, examples):
    """Value, unknown, not applicable and withheld are each valid for the same field."""
    for form in ({"value": "2026"}, {"unknown": True}, {"not_applicable": True}, {"withheld": "DANGER"}):
        body = copy.deepcopy(examples["demo/request.json"]["body"])
        body["separation"]["date"] = form

        assert catalogue.explain(REQUEST, V1, body) == ()
