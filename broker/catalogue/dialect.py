# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
r"""The part of JSON Schema 2020-12 in which both validators, and other countries' ones, agree; everything else is refused.

- No ``format`` but ``date``, no ``multipleOf``, no fractions, no ``oneOf``, ``unevaluated…``, true or false.
- Patterns are ASCII, run from ``^`` to the end ``(?![\s\S])`` (but in conditions and negations), and write ``[0-9]``:
  ``\d``, ``\w``, ``\b`` and ``$`` mean different things in different languages.
- Objects are closed, texts, lists and numbers are bounded; every schema and every property says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["END", "lint"]

_ANNOTATIONS = frozenset(
    {
        "$id", "$schema", "title", "description", "x-trm-act", "x-trm-bases", "x-trm-codes", "x-trm-exemption", "x-trm-person", "x-trm-sealed",
        "x-trm-source", "x-trm-special", "x-trm-type", "x-trm-verified", "x-trm-version",
    }
)  # fmt: skip
_ASSERTIONS = frozenset(
    {
        "$ref", "additionalProperties", "allOf", "anyOf", "const", "contains", "dependentRequired", "else", "enum", "format", "if", "items",
        "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "not", "pattern", "properties",
        "required", "then", "type", "uniqueItems",
    }
)  # fmt: skip
_TYPES = frozenset({"object", "array", "string", "integer", "boolean"})
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
END = r"(?![\s\S])"  # of the text, in every language
_FORBIDDEN_ESCAPE = re.compile(r"\\[dDwWbBpPZzAk]")
_FACT = "/parts/fact.json"
_SEALED = "/parts/sealed.json"


def lint(schema: Any) -> list[str]:
    """Return what stands outside the dialect, each as ``pointer: rule``; an empty list is a clean schema."""
    problems = list(_node(schema, "", closed=True))
    if isinstance(schema, Mapping):
        problems += [
            f": {name} is missing" for name in ("$schema", "$id", "title", "description") if name not in schema
        ]
        problems += _code_list(schema)
    return problems


def _node(schema: Any, where: str, *, closed: bool) -> Iterator[str]:
    """Walk one schema; ``closed`` is false for the conditions and alternatives beside a closed object."""
    if not isinstance(schema, Mapping):  # also true and false: one library loses the place of what false refuses
        yield f"{where}: a schema is an object"
        return
    for keyword in schema:
        if keyword not in _ANNOTATIONS and keyword not in _ASSERTIONS:
            yield f"{where}/{keyword}: this keyword is not in the dialect"
    if schema.get("format", "date") != "date":
        yield f"{where}/format: the only format is date"
    if schema.get("$schema", _DRAFT) != _DRAFT:
        yield f"{where}/$schema: the dialect is JSON Schema 2020-12"
    if schema.get("x-trm-verified", False) not in {False, "PRODUCT_DEFAULT"}:
        yield f"{where}/x-trm-verified: false or PRODUCT_DEFAULT"
    for keyword in ("x-trm-exemption", "x-trm-person", "x-trm-special"):
        if schema.get(keyword, True) is not True:
            yield f"{where}/{keyword}: true or absent"
    if (schema.get("$ref") == _SEALED) is not ("x-trm-sealed" in schema):
        yield f"{where}: x-trm-sealed names the schema of what a sealed part holds"
    yield from _pattern(schema, where, whole=closed)
    if closed:
        yield from _bounds(schema, where)
    yield from _inside(schema, where, closed=closed)


def _inside(schema: Mapping[str, Any], where: str, *, closed: bool) -> Iterator[str]:
    fact = schema.get("$ref") == _FACT
    any_value = str(schema.get("$id", "")).endswith(_FACT)  # its form stands where the fact is used
    for name, item in schema.get("properties", {}).items():
        place = f"{where}/properties/{name}"
        if not name.isascii():
            yield f"{place}: member names are ASCII"
        if closed and isinstance(item, Mapping) and "title" not in item:
            yield f"{place}: title is missing"
        if fact and name != "value":
            yield f"{place}: beside a fact only its value is described"
        yield from _node(item, place, closed=closed and not (any_value and name == "value"))
    if "items" in schema:
        yield from _node(schema["items"], f"{where}/items", closed=closed)
    for keyword in ("if", "then", "else", "not", "contains"):
        if keyword in schema:
            yield from _node(schema[keyword], f"{where}/{keyword}", closed=False)
    for keyword in ("allOf", "anyOf"):
        for position, item in enumerate(schema.get(keyword, ())):
            place = f"{where}/{keyword}/{position}"
            if keyword == "anyOf" and "title" not in item:
                yield f"{place}: an alternative needs a title to be explained by"
            yield from _node(item, place, closed=False)


def _pattern(schema: Mapping[str, Any], where: str, *, whole: bool) -> Iterator[str]:
    pattern = schema.get("pattern")
    if pattern is None:
        return
    place = f"{where}/pattern"
    if not isinstance(pattern, str) or not pattern.isascii():
        yield f"{place}: a pattern is ASCII text"
        return
    if _FORBIDDEN_ESCAPE.search(pattern):
        yield f"{place}: this escape means different things in different languages"
    if "$" in pattern:
        yield f"{place}: the end anchor is {END}"
    if whole and not (pattern.startswith("^") and pattern.endswith(END)):
        yield f"{place}: a pattern covers the whole text"


def _bounds(schema: Mapping[str, Any], where: str) -> Iterator[str]:
    kind = schema.get("type")
    if kind is not None and kind not in _TYPES:
        yield f"{where}/type: one of {', '.join(sorted(_TYPES))}"
    if kind == "string" and "maxLength" not in schema and "enum" not in schema:
        yield f"{where}: maxLength is missing"
    if kind == "array" and not {"maxItems", "items"} <= schema.keys():
        yield f"{where}: maxItems or items is missing"
    if kind == "integer" and not {"minimum", "maximum"} <= schema.keys():
        yield f"{where}: minimum or maximum is missing"
    for name in ("minimum", "maximum", "maxLength", "minLength", "maxItems", "minItems"):
        if name in schema and (not isinstance(schema[name], int) or isinstance(schema[name], bool)):
            yield f"{where}/{name}: an integer"
    if "properties" in schema and schema.get("$ref") != _FACT and schema.get("additionalProperties") is not False:
        yield f"{where}: additionalProperties is not false"
    if not schema.keys() & {"$ref", "type", "const", "enum"}:
        yield f"{where}: says nothing about the type"


def _code_list(schema: Mapping[str, Any]) -> Iterator[str]:
    codes = schema.get("x-trm-codes")
    if codes is None:
        return
    if not isinstance(codes, Mapping) or list(codes) != schema.get("enum"):
        yield "/x-trm-codes: the codes are not those of enum, in its order"
        return
    for code, item in codes.items():
        if not isinstance(item, Mapping) or "title" not in item:
            yield f"/x-trm-codes/{code}: title is missing"
