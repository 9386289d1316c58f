# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is not known is never confused with what is not so, and what was found never with what somebody thinks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

SCHEMAS = Path(__file__).parents[3] / "schemas"
DOCUMENTS = {
    path.relative_to(SCHEMAS).as_posix(): json.loads(path.read_bytes())
    for folder in ("messages", "parts")
    for path in sorted((SCHEMAS / folder).rglob("*.json"))
}
FACT = "/parts/fact.json"

# What may be left out, because leaving it out says nothing but "no more to say": remarks, other ways to the same thing,
# details of what is stated beside it. Everything else is a fact, which says in one of four ways how it stands.
MORE_TO_SAY = {
    "note", "gap", "grounds", "limits", "mandate", "none_because", "to_tell", "weight", "words", "detail", "region", "town", "postcode", "street", "care_of", "address", "phone", "email", "contact", "languages",
    "aliases", "middle", "at_birth", "native_script", "corrected_name", "role", "authority", "reference",
    "as", "asked", "held_by", "about", "missing", "evidence", "measures", "preferred_persons", "informed", "attachment",
    "mediator", "interpreter_gender", "sign_language", "plain_language", "reads", "understood",
}  # fmt: skip
# Left out by a stated rule, which the field's own schema or LANGUAGE.md says.
BY_RULE = {
    "former_habitual_residence": "asked of a stateless person or an unstated nationality; R-01 reads its absence as unknown",
    "nationalities": "of a relative who is not sought; R-01 reads its absence as unknown",
    "feared_states": "left out it says that no further State is feared",
    "date": "a birth is a date, or an age on a day",
    "age_years": "a birth is a date, or an age on a day",
    "age_on": "a birth is a date, or an age on a day",
    "age_assessment": "only where one was made",
    "age_decision": "only where one says that somebody is no child; R-15 reads its absence as none",
    "on": "the day of what is stated beside it, where it has one",
    "amount_minor": "a cost may be described without an amount",
    "currency": "with an amount",
    "per": "with an amount",
    "appointed_on": "of a guardian who is appointed",
    "conflict_declared_absent": "R-06 reads its absence as not declared",
    "next_review": "where one is planned",
    "decision_due": "where one is planned",
    "requested_reply_on": "the asking office's wish; no deadline",
    "persons_sought": "child information may be asked without asking for anybody",
    "copy_of": "only a copy names its original",
    "request_received_on": "of proceedings that another State was asked to take over",
    "opinion": "of proceedings that ask for one",
    "vulnerabilities": "left out it says that nobody has looked",
    "group": "left out it says that nobody has looked",
    "accompanying_adult": "left out it says that nobody has looked",
    "non_disclosure": "a determination is made or not; R-03",
}
ALWAYS_OPTIONAL = {"/parts/sealed.json", "/parts/official-channel.json", "/parts/handling.json"}


@pytest.fixture(scope="module")
def objects() -> list[tuple[str, Mapping[str, Any], frozenset[str]]]:
    """Every object of every message and part, with the fields that a condition asks for or forbids somewhere in its file."""
    return [
        (path, found, frozenset(_conditional(data)))
        for path, data in DOCUMENTS.items()
        if not path.startswith("messages/node/")  # what nodes say to each other is no fact about a person
        for found in _objects(data)
    ]


def test_a_fact_has_exactly_four_ways() -> None:
    """Value, unknown, not applicable, withheld for a reason: one of them, never two, never none."""
    fact = DOCUMENTS["parts/fact.json"]

    assert set(fact["properties"]) == {"value", "unknown", "not_applicable", "withheld"}
    assert (fact["minProperties"], fact["maxProperties"], fact["additionalProperties"]) == (1, 1, False)
    assert fact["properties"]["withheld"]["$ref"] == "/codes/withheld-reason.json"
    assert all(fact["properties"][name]["const"] is True for name in ("unknown", "not_applicable"))


def test_what_may_be_missing_says_how(objects: list[tuple[str, Mapping[str, Any], frozenset[str]]]) -> None:
    """A field that is not asked for is one that only adds, or one whose absence a stated rule reads."""
    left_out: dict[str, list[str]] = {}
    for where, schema, conditional in objects:
        if "minProperties" in schema or "maxProperties" in schema:
            continue  # one of several ways, one of which is asked for
        for name, item in schema.get("properties", {}).items():
            if name in schema.get("required", ()) or name in conditional or item.get("$ref") in ALWAYS_OPTIONAL:
                continue
            left_out.setdefault(name, []).append(where)

    assert {name: places for name, places in left_out.items() if name not in MORE_TO_SAY | BY_RULE.keys()} == {}
    assert BY_RULE.keys() - left_out.keys() == set()


def test_each_fact_says_what_its_value_is(objects: list[tuple[str, Mapping[str, Any], frozenset[str]]]) -> None:
    """The form of the value stands where the fact is used."""
    assert [
        (where, name)
        for where, schema, _ in objects
        for name, item in schema.get("properties", {}).items()
        if item.get("$ref") == FACT and not item.get("properties", {}).get("value")
    ] == []


WHO = {"by", "found_by", "told_by", "answered_by", "responsible", "assessor"}
WHEN = {"on", "found_on"}


def test_what_is_a_fact_or_an_assessment_says_by_whom_and_when() -> None:
    """Wherever a statement is told to be one or the other, an office and a day are asked for beside or above it."""
    seen = 0
    for path, data in DOCUMENTS.items():
        dated = path.startswith("messages/")  # the header says when it was composed
        for where, asked in _natures(data, "", frozenset()):
            seen += 1
            assert asked & WHO, f"{path}{where}"
            assert dated or asked & WHEN, f"{path}{where}"
    assert seen > 20


def test_a_finding_that_is_an_assessment_gives_its_grounds() -> None:
    """What somebody thinks of a carer or a relative is asked to be explained; what was found has sources."""
    for path in ("parts/tracing-answer.json", "parts/carer-assessed.json"):
        found = [
            item for item in _objects(DOCUMENTS[path]) if {"nature", "sources"} <= item.get("properties", {}).keys()
        ]
        assert len(found) == 5, path
        for item in found:
            assert "sources" in item["required"]
            assert item["if"] == {"properties": {"nature": {"const": "ASSESSMENT"}}}
            assert item["then"] == {"required": ["explanation"]}


def _natures(schema: Any, where: str, above: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each object that says FACT or ASSESSMENT, with what it and those around it ask for."""
    if not isinstance(schema, Mapping):
        return
    asked = above | frozenset(schema.get("required", ()))
    if str(schema.get("properties", {}).get("nature", {}).get("$ref", "")).endswith("nature.json"):
        yield where, asked
    yield from _natures(schema.get("items"), where, asked)
    for name, item in schema.get("properties", {}).items():
        yield from _natures(item, f"{where}/{name}", asked)


def _objects(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, Mapping):
        if "properties" in schema and schema.get("$ref") != FACT:
            yield schema
        yield from _objects(schema.get("items"))
        for item in schema.get("properties", {}).values():
            yield from _objects(item)


def _conditional(schema: Any, *, within: bool = False) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _conditional(item, within=within)
    if isinstance(schema, Mapping):
        if within:
            yield from schema.get("required", ())
            yield from schema.get("properties", {})
        for name, item in schema.items():
            yield from _conditional(item, within=within or name in {"then", "else"})
