# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Explanations are sentences about the rule, made of the schema alone."""

from __future__ import annotations

import pytest

from broker.catalogue.explaining import MAX_ITEMS, MAX_PROBLEMS, MAX_VALUES, Problem, pointer, problems

SECRET = "Zzyzx-Kanarilind"
NAME = {"title": "Name", "type": "string"}
CASES = {
    "type": ({"type": "integer"}, SECRET, "This must be a whole number."),
    "enum": ({"enum": ["A", "B"]}, SECRET, "This must be one of: A, B."),
    "const": ({"const": True}, SECRET, "This must be true."),
    "minLength": ({"minLength": 100}, SECRET, "The text is shorter than 100 characters."),
    "maxLength": ({"maxLength": 3}, SECRET, "The text is longer than 3 characters."),
    "minimum": ({"minimum": 7}, 5, "The number is smaller than 7."),
    "maximum": ({"maximum": 3}, 5, "The number is larger than 3."),
    "minItems": ({"minItems": 2}, [SECRET], "The list has fewer than 2 items."),
    "maxItems": ({"maxItems": 0}, [SECRET], "The list has more than 0 items."),
    "uniqueItems": ({"uniqueItems": True}, [SECRET, SECRET], "The list holds the same item twice."),
    "format": ({"format": "date"}, SECRET, "This is not a day of the calendar."),
    "pattern": ({"pattern": "^a", "description": "Begins with a."}, SECRET, "The text does not have the form: Begins with a."),
    "not": ({"not": {"pattern": "[A-Z]"}}, SECRET, "The text holds control characters."),
    "additionalProperties": (
        {"properties": {"b": NAME, "a": NAME}, "additionalProperties": False},
        {SECRET: SECRET},
        "There is a member that this version does not know. Known here: a, b.",
    ),
    "maxProperties": (
        {"properties": {"value": NAME, "unknown": NAME}, "minProperties": 1, "maxProperties": 1},
        {"value": SECRET, "unknown": SECRET},
        "This must have exactly one of: value, unknown.",
    ),
    "minProperties": ({"minProperties": 1}, {}, "There are fewer than 1 members."),
    "anyOf": (
        {"anyOf": [{"title": "a number", "required": ["n"]}, {"title": "an address", "required": ["a"]}]},
        {SECRET: SECRET},
        "This must give a number or an address.",
    ),
    "contains": ({"contains": {"title": "a good reason", "const": "A"}}, [SECRET], "The list lacks a good reason."),
    "not ": ({"not": {}}, SECRET, "This member does not belong here."),
    "required": ({"required": ["a"]}, {SECRET: SECRET}, "This member is required."),
    "dependentRequired": (
        {"dependentRequired": {"a": ["b"]}},
        {"a": SECRET},
        "This member is required beside the others given.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", CASES)
def test_each_rule_has_its_sentence(rule):
    """A broken rule is named with its sentence, and the value is nowhere in it."""
    schema, instance, sentence = CASES[rule]

    found = problems({"properties": {"field": schema}}, {"field": instance}, "/body")

    assert [(item.rule, item.sentence) for item in found] == [(rule.strip(), sentence)]
    assert found[0].pointer.startswith("/body/field")
    assert SECRET not in repr(found)


def test_nothing_wrong_is_nothing_said():
    """A fitting instance has no problems."""
    assert problems({"type": "object"}, {}, "/body") == ()


def test_explanations_are_bounded():
    """No more than a page of problems is said, whatever the number of faults."""
    schema = {"items": {"type": "integer"}, "type": "array"}

    assert len(problems(schema, ["x"] * MAX_ITEMS, "/body")) == MAX_PROBLEMS


def test_a_list_beyond_every_bound_is_said_at_once():
    """A huge list is one problem; nothing is compared pair by pair."""
    found = problems({"uniqueItems": True}, {"a": [0, "x"] * MAX_ITEMS}, "/body")

    assert found == (Problem(pointer="/body", rule="maxItems", sentence=f"A list has more than {MAX_ITEMS} items."),)


def test_more_values_than_a_message_has_are_not_looked_through():
    """However many short lists hold them: half a megabyte would be looked through for seconds while all others wait."""
    schema = {"properties": {"a": {"items": {"items": {"type": "string"}}}}, "required": ["b"]}
    few, many = ({"a": [["x"] * 30] * (number // 31)} for number in (MAX_VALUES - 100, MAX_VALUES + 100))

    assert [item.rule for item in problems(schema, few, "/body")] == ["required"]
    (found,) = problems(schema, many, "/body")
    assert (found.pointer, found.rule) == ("/body", "maxItems")
    assert str(MAX_VALUES) in found.sentence


def test_pointers_are_escaped():
    """Slash and tilde in a member name are written as RFC 6901 says."""
    assert pointer("/body", ("a/b", 0, "c~d")) == "/body/a~1b/0/c~0d"
