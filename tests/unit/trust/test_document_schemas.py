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

from broker.core.errors import TrustListInvalid
from broker.core.profile_questions import QUESTIONS
from broker.manual import document_schemas
from broker.schema_files import list_profiles, read_schema_file
from broker.trust.arrangement_documents import parse_arrangements
from broker.trust.document_schemas import ARRANGEMENTS_SCHEMA, PROFILE_SCHEMA
from broker.trust.profile_documents import parse_profile

REGISTER = json.loads((Path(__file__).parents[3] / "keys" / "demo" / "arrangements.json").read_bytes())
PROFILE = json.loads(read_schema_file(list_profiles()["EE"]))
PROFILES = Draft202012Validator(document_schemas()[PROFILE_SCHEMA])
REGISTERS = Draft202012Validator(document_schemas()[ARRANGEMENTS_SCHEMA])


@pytest.mark.parametrize("path", [PROFILE_SCHEMA, ARRANGEMENTS_SCHEMA])
def test_the_files_are_those_that_the_lists_make(path: str) -> None:
    """`python -m broker.manual` writes them anew; they are schemas of the dialect."""
    schema = json.loads(read_schema_file(path))
    assert schema == document_schemas()[path]
    Draft202012Validator.check_schema(schema)


def test_what_the_readers_take_fits() -> None:
    """Every shipped profile and the example of a register are valid by both."""
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
