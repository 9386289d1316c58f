# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The schemas of documents that people write by hand say what the strict readers do, as far as a schema can."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from broker.core.errors import CatalogueInvalid, TrustListInvalid
from broker.core.profile_questions import QUESTIONS
from broker.core.retention import LONGEST_LIMITS, parse_rules
from broker.manual import document_schemas
from broker.schema_files import RETENTION_RULES, list_profiles, read_schema_file
from broker.trust.arrangement_documents import parse_arrangements
from broker.trust.document_schemas import ARRANGEMENTS_SCHEMA, PROFILE_SCHEMA, RETENTION_SCHEMA
from broker.trust.profile_documents import parse_profile

REGISTER = json.loads((Path(__file__).parents[3] / "keys" / "demo" / "arrangements.json").read_bytes())
PROFILE = json.loads(read_schema_file(list_profiles()["EE"]))
PROFILES = Draft202012Validator(document_schemas()[PROFILE_SCHEMA])
RULES = json.loads(read_schema_file(RETENTION_RULES))
RETENTION = Draft202012Validator(document_schemas()[RETENTION_SCHEMA])
REGISTERS = Draft202012Validator(document_schemas()[ARRANGEMENTS_SCHEMA])


@pytest.mark.parametrize("path", [PROFILE_SCHEMA, ARRANGEMENTS_SCHEMA, RETENTION_SCHEMA])
def test_the_files_are_those_that_the_lists_make(path: str) -> None:
    """`python -m broker.manual` writes them anew; they are schemas of the dialect."""
    schema = json.loads(read_schema_file(path))
    assert schema == document_schemas()[path]
    Draft202012Validator.check_schema(schema)


def test_what_the_readers_take_fits() -> None:
    """Every shipped profile, the example of a register and the product's retention rules are valid by both."""
    assert list(RETENTION.iter_errors(RULES)) == []
    for path in list_profiles().values():
        assert list(PROFILES.iter_errors(json.loads(read_schema_file(path)))) == []
    assert list(REGISTERS.iter_errors(REGISTER)) == []


def test_every_question_stands_in_the_schema_with_its_text() -> None:
    """An editor shows what is asked; nothing is asked that the program does not know."""
    sections = document_schemas()[PROFILE_SCHEMA]["properties"]["versions"]["items"]["properties"]["answers"][
        "properties"
    ]
    told = {
        f"{section}.{name}": answer["title"]
        for section, schema in sections.items()
        for name, answer in schema["properties"].items()
    }
    assert told == {name: question.text for name, question in QUESTIONS.items()}


def _answers(data: Any) -> Any:
    return data["versions"][0]["answers"]


BROKEN_PROFILES: dict[str, Callable[[Any], object]] = {
    "another format": lambda data: data.update(format="trm-profile/2"),
    "another spelling of a country": lambda data: data.update(country="EL"),
    "no version": lambda data: data.update(versions=[]),
    "an unknown section": lambda data: _answers(data).update(weather={}),
    "an unknown question": lambda data: _answers(data)["child"].update(weather={"unknown": True, "note": "x"}),
    "no source": lambda data: _answers(data)["calendar"]["time_zone"].pop("source"),
    "a standing that is none": lambda data: _answers(data)["calendar"]["time_zone"].update(standing="UNKNOWN"),
    "unknown with a value": lambda data: _answers(data)["calendar"]["time_zone"].update(unknown=True),
    "a null": lambda data: _answers(data)["calendar"]["time_zone"].update(note=None),
    "an empty text": lambda data: _answers(data)["calendar"]["time_zone"].update(value=""),
    "a text with a space behind it": lambda data: _answers(data)["calendar"]["time_zone"].update(value="Europe/Tallinn "),
    "a day without its month": lambda data: data["versions"][0].update(valid_from="2026-1-1"),
    "a number for a text": lambda data: _answers(data)["calendar"]["time_zone"].update(value=1),
}  # fmt: skip


@pytest.mark.parametrize("change", BROKEN_PROFILES.values(), ids=BROKEN_PROFILES)
def test_what_a_reader_of_profiles_refuses_does_not_fit(change: Callable[[Any], object]) -> None:
    """One thing wrong at a time is wrong by both."""
    data = copy.deepcopy(PROFILE)
    change(data)
    assert list(PROFILES.iter_errors(data))
    with pytest.raises(TrustListInvalid):
        parse_profile(data)


BROKEN_REGISTERS: dict[str, Callable[[Any], object]] = {
    "an unknown member": lambda item: item.update(trusted=True),
    "one country": lambda item: item.update(members=["EE"]),
    "a country twice": lambda item: item.update(members=["EE", "EE"]),
    "no procedure": lambda item: item.update(procedures=[]),
    "a procedure that is none": lambda item: item.update(procedures=["Family Tracing"]),
    "no condition": lambda item: item.update(conditions=[]),
    "a status that is none": lambda item: item.update(status="ENDED"),
    "no agreement": lambda item: item.pop("agreement"),
    "a null": lambda item: item.update(last_day=None),
}  # fmt: skip


@pytest.mark.parametrize("change", BROKEN_REGISTERS.values(), ids=BROKEN_REGISTERS)
def test_what_a_reader_of_registers_refuses_does_not_fit(change: Callable[[Any], object]) -> None:
    """One thing wrong at a time is wrong by both."""
    data = copy.deepcopy(REGISTER)
    change(data["arrangements"][0])
    assert list(REGISTERS.iter_errors(data))
    with pytest.raises((TrustListInvalid, ValueError)):
        parse_arrangements(data)


def _limit(data: Any, **limit: object) -> None:
    data["default"]["limit"] = limit


BROKEN_RULES: dict[str, Callable[[Any], object]] = {
    "an unknown member": lambda data: data.update(version=1),
    "no default": lambda data: data.pop("default"),
    "a procedure that is none": lambda data: data["procedures"].update({"Family Tracing": data["default"]}),
    "a procedure without a rule": lambda data: data["procedures"].update({"notice": None}),
    "an unknown member of a rule": lambda data: data["default"].update(note="x"),
    "no source": lambda data: data["default"].pop("source"),
    "an empty source": lambda data: data["default"].update(source=""),
    "a kind that is none": lambda data: data["default"].update(kind="LAW"),
    "a unit that is none": lambda data: _limit(data, years=1),
    "two units": lambda data: _limit(data, months=1, days=1),
    "no unit": _limit,
    "nothing": lambda data: _limit(data, months=0),
    "a truth for a number": lambda data: _limit(data, months=True),
    **{
        f"too many {unit.value}": lambda data, unit=unit, most=most: _limit(data, **{unit.value: most + 1})
        for unit, most in LONGEST_LIMITS.items()
    },
}


@pytest.mark.parametrize("change", BROKEN_RULES.values(), ids=BROKEN_RULES)
def test_what_the_reader_of_retention_rules_refuses_does_not_fit(change: Callable[[Any], object]) -> None:
    """One thing wrong at a time is wrong by both."""
    data = copy.deepcopy(RULES)
    change(data)
    assert list(RETENTION.iter_errors(data))
    with pytest.raises(CatalogueInvalid):
        parse_rules(json.dumps(data).encode())


@pytest.mark.parametrize(("unit", "most"), LONGEST_LIMITS.items())
def test_the_longest_limit_of_each_unit_fits_both(unit: str, most: int) -> None:
    """Where the reader ends, the schema ends."""
    data = copy.deepcopy(RULES)
    _limit(data, **{unit: most})
    assert list(RETENTION.iter_errors(data)) == []
    assert parse_rules(json.dumps(data).encode()).default.limit.count == most
