# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A schema ready for use decides as it is written."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from broker.catalogue.bundle import Bundle
from broker.catalogue.compiled import CompiledSchema, validator_of
from broker.core.errors import CatalogueInvalid
from broker.core.messages import LegalBasis

_CODE = {"type": "string", "maxLength": 9, "pattern": r"^[A-Z]{2}(?![\s\S])"}
_SCHEMA: dict[str, Any] = {
    "$id": "https://trm.invalid/m.json",
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "x-trm-bases": {"B2B_82": {"exemptions": ["WITH_PARENT"], "requires": ["code"]}, "H96_33": {}},
    "properties": {"code": _CODE, "pattern": {"const": "(?![\\s\\S])x"}, "exemption": {"x-trm-exemption": True}},
    "additionalProperties": False,
}


def _compiled(schema: dict[str, Any]) -> CompiledSchema:
    return CompiledSchema.of(Bundle(documents={"m.json": schema}, messages={}, codes={}, tables={}), "m.json")


@pytest.mark.parametrize("text", ["EE\n", "EE\r", "EE\u2028", "EE ", "\nEE", "EEE", "EE\nFI", ""])
def test_a_pattern_ends_where_the_text_ends(text: str) -> None:
    """A line's end inside or behind it is not the end of the text, and it begins at its beginning."""
    validator = validator_of(_CODE)
    assert validator.is_valid("EE")
    assert not validator.is_valid(text)


def test_the_schema_is_shown_as_it_is_written() -> None:
    """Only the validator gets its patterns in another spelling, and nothing but patterns."""
    before = copy.deepcopy(_SCHEMA)
    compiled = _compiled(_SCHEMA)
    assert before == _SCHEMA
    assert compiled.schema["properties"]["code"]["pattern"].endswith(r"(?![\s\S])")
    assert compiled.accepts({"code": "EE", "pattern": "(?![\\s\\S])x"})
    assert not compiled.accepts({"pattern": "$"})


def test_a_schema_that_cannot_be_compiled_is_refused() -> None:
    """It names the file."""
    with pytest.raises(CatalogueInvalid) as refused:
        _compiled({**_SCHEMA, "properties": {"code": {"pattern": "["}}})
    assert refused.value.where == "m.json"


@pytest.mark.parametrize(
    ("basis", "body", "rules"),
    [
        ("B2B_82", {"code": "EE"}, []),
        ("B2B_82", {}, ["x-trm-bases"]),
        ("B2B_82", {"code": "EE", "exemption": "WITH_PARENT"}, []),
        ("H96_33", {"exemption": "WITH_PARENT"}, ["x-trm-exemption"]),
        ("B2B_82", {"exemption": "OTHER"}, ["x-trm-exemption", "x-trm-bases"]),
        ("ATD_11_4", {"code": "EE"}, ["x-trm-bases"]),
    ],
)
def test_a_basis_allows_its_exemptions_and_asks_for_its_members(basis: str, body: Any, rules: list[str]) -> None:
    """Any other combination is refused at the basis."""
    found = _compiled(_SCHEMA).basis_problems(LegalBasis(code=basis), body)
    assert [item.rule for item in found] == rules
    assert {item.pointer for item in found} <= {"/legal_basis/code"}
