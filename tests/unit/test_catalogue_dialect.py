# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The lint refuses each thing that validators disagree about or that leaves a schema open."""

from __future__ import annotations

import pytest

from broker.catalogue.dialect import lint

END = "(?![\\s\\S])"
TOP = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "x", "title": "x", "description": "x"}
CLEAN = {
    "plain text": {"type": "string", "maxLength": 5},
    "pattern": {"type": "string", "maxLength": 5, "pattern": f"^[0-9]+{END}"},
    "fact": {"$ref": "/parts/fact.json", "properties": {"value": {"title": "x", "type": "string", "maxLength": 5}}},
    "closed object": {"type": "object", "properties": {"a": {"title": "x", "type": "boolean"}}, "additionalProperties": False},
    "codes": {"type": "string", "enum": ["A"], "x-trm-codes": {"A": {"title": "x"}}},
    "condition": {"type": "object", "if": {"properties": {"a": {"pattern": "^node"}}}, "then": {"properties": {"a": {"not": {}}}}},
}  # fmt: skip
FOUL = {
    "another format": {"type": "string", "maxLength": 5, "format": "email"},
    "multipleOf": {"type": "integer", "minimum": 0, "maximum": 9, "multipleOf": 2},
    "fractions": {"type": "number"},
    "a fractional bound": {"type": "integer", "minimum": 0.5, "maximum": 9},
    "oneOf": {"type": "object", "oneOf": [{"title": "x", "required": ["a"]}]},
    "unevaluatedProperties": {"type": "object", "unevaluatedProperties": False},
    "digits of all scripts": {"type": "string", "maxLength": 5, "pattern": f"^\\d{END}"},
    "a dollar": {"type": "string", "maxLength": 5, "pattern": "^[0-9]$"},
    "a pattern without start": {"type": "string", "maxLength": 5, "pattern": f"[0-9]{END}"},
    "a pattern without end": {"type": "string", "maxLength": 5, "pattern": "^[0-9]"},
    "a pattern beyond ASCII": {"type": "string", "maxLength": 5, "pattern": f"^[äö]{END}"},
    "a pattern that is no text": {"type": "string", "maxLength": 5, "pattern": 5},
    "a text without end": {"type": "string"},
    "a list without end": {"type": "array", "items": {"type": "boolean"}},
    "a list of anything": {"type": "array", "maxItems": 3},
    "a number without bound": {"type": "integer", "minimum": 0},
    "an open object": {"type": "object", "properties": {"a": {"title": "x", "type": "boolean"}}},
    "a property without title": {"type": "object", "properties": {"a": {"type": "boolean"}}, "additionalProperties": False},
    "a property of any type": {"type": "object", "properties": {"a": {"title": "x"}}, "additionalProperties": False},
    "a foreign property name": {"type": "object", "properties": {"ä": {"title": "x", "type": "boolean"}}, "additionalProperties": False},
    "a fact with its forms redefined": {"$ref": "/parts/fact.json", "properties": {"unknown": {"title": "x", "type": "boolean"}}},
    "an alternative without title": {"type": "object", "anyOf": [{"required": ["a"]}]},
    "a code without title": {"type": "string", "enum": ["A"], "x-trm-codes": {"A": {}}},
    "codes that differ from enum": {"type": "string", "enum": ["A", "B"], "x-trm-codes": {"A": {"title": "x"}}},
    "an unknown mark": {"type": "boolean", "x-trm-verified": "maybe"},
    "an older draft": {"type": "boolean", "$schema": "http://json-schema.org/draft-07/schema#"},
    "no identifier": {"type": "boolean", "$id": None},
    "a boolean schema": {"type": "object", "properties": {"a": False}, "additionalProperties": False},
    "nested": {"type": "array", "maxItems": 1, "items": {"type": "string"}},
}  # fmt: skip


@pytest.mark.parametrize("case", CLEAN)
def test_a_schema_inside_the_dialect_is_clean(case):
    """The lint finds nothing in it."""
    assert lint({**TOP, **CLEAN[case]}) == []


@pytest.mark.parametrize("case", FOUL)
def test_a_schema_outside_the_dialect_is_found(case):
    """The lint names at least one place."""
    schema = {name: item for name, item in {**TOP, **FOUL[case]}.items() if item is not None}

    assert lint(schema) != []


@pytest.mark.parametrize("schema", [None, [], 5, "text"])
def test_what_is_no_schema_is_found(schema):
    """A file that holds no object is no schema."""
    assert lint(schema) != []
