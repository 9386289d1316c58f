# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a schema asks of one field because of another one, in sentences for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broker.catalogue.reference.markdown import joined, names

__all__ = ["conditions"]

Schema = Mapping[str, Any]

_OF_A_FACT = {
    "value": "is known",
    "unknown": "is unknown",
    "not_applicable": "does not apply",
    "withheld": "is withheld",
}
_ANNOTATIONS = frozenset({"title", "description"})
_BOUNDS = {
    "minItems": "has at least {} entries",
    "maxItems": "has at most {} entries",
    "minimum": "is at least {}",
    "maximum": "is at most {}",
}
_READ = frozenset({"required", "properties", "const", "enum", "not", "contains", "items", "anyOf", "pattern", *_BOUNDS})


def conditions(schema: Schema, at: str = "") -> Iterator[str]:
    """Yield each condition of a schema and of what stands in it, as one sentence."""
    if "if" in schema:
        when = joined(tuple(_said(schema["if"], at)) or ("the schema file says so",), "and")
        for branch, word in (("then", "If"), ("else", "Unless")):
            if branch in schema:
                yield f"{word} {when}: {joined(tuple(_said(schema[branch], at)) or ('see the schema file',), 'and')}."
    if "anyOf" in schema:
        yield f"{_alternatives(schema['anyOf'], at).capitalize()}."
    for item in schema.get("allOf", ()):
        yield from conditions(item, at)
    if "items" in schema:
        yield from conditions(schema["items"], f"{at}[]")
    for name, item in schema.get("properties", {}).items():
        yield from conditions(item, at if name == "value" else _below(at, name))


def _said(schema: Schema, at: str) -> Iterator[str]:
    """Yield what a condition or its consequence says, each as a clause about the field at that place."""
    field = f"`{at}`" if at else "it"
    if schema.keys() - _READ - _ANNOTATIONS:
        yield f"{field} is as the schema file says"
    properties = schema.get("properties", {})
    yield from (_stated(name, at) for name in schema.get("required", ()) if name not in properties)
    for name, item in properties.items():
        if item == {"not": {}}:
            yield f"`{_below(at, name)}` is left out"
        else:
            yield from _said(item, at if name == "value" else _below(at, name))
    if "const" in schema:
        yield f"{field} is `{schema['const']}`"
    if "enum" in schema:
        yield f"{field} is {joined([f'`{code}`' for code in schema['enum']], 'or')}"
    if "not" in schema:
        yield _denied(schema["not"], at)
    if "contains" in schema:
        yield f"{field} has {_entry(schema['contains'])}"
    if "items" in schema:
        yield from _said(schema["items"], f"{at}[]")
    if "anyOf" in schema:
        yield _alternatives(schema["anyOf"], at)
    if "pattern" in schema:
        yield f"{field} has the form `{schema['pattern']}`"
    yield from (f"{field} {words.format(schema[bound])}" for bound, words in _BOUNDS.items() if bound in schema)


def _denied(schema: Schema, at: str) -> str:
    if not schema:
        return f"`{at}` is left out"
    if schema.keys() - _ANNOTATIONS == {"required"}:
        return f"{names(_below(at, name) for name in schema['required'])} is left out"
    if schema.keys() - _ANNOTATIONS == {"enum"}:
        return f"`{at}` is not {joined([f'`{code}`' for code in schema['enum']], 'or')}"
    return f"it is not so that {joined(tuple(_said(schema, at)), 'and')}"


def _entry(schema: Schema) -> str:
    return str(schema["title"]) if "title" in schema else f"an entry where {joined(tuple(_said(schema, '')), 'and')}"


def _alternatives(items: list[Schema], at: str) -> str:
    return joined([joined(tuple(_said(item, at)) or ("see the schema file",), "and") for item in items], "or")


def _stated(name: str, at: str) -> str:
    return f"`{at}` {_OF_A_FACT[name]}" if at and name in _OF_A_FACT else f"`{_below(at, name)}` is stated"


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
