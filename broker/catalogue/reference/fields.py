# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A schema as people read it: what it is, which fields it has at every depth, and which conditions hold between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broker.catalogue.bundle import CodeList
from broker.catalogue.reference.conditions import conditions
from broker.catalogue.reference.markdown import Row, anchor, names, source_cell, table

__all__ = ["code_section", "schema_section"]

Schema = Mapping[str, Any]

_FACT = "/parts/fact.json"
_HEAD = ("field", "says", "form", "required", "source")


def schema_section(name: str, data: Schema, to: str) -> Iterator[str]:
    """Yield the lines of one message, act or part.

    Args:
        name: the heading.
        data: the schema as it stands in its file.
        to: the way from the page to the folder of the pages, empty or ``../``.
    """
    yield f"### {name}\n"
    marks = {"about a person": data.get("x-trm-person"), "only inside a sealed part": data.get("x-trm-special")}
    yield f"**{data['title']}.** {data['description']}{''.join(f' *({mark})*' for mark, holds in marks.items() if holds)}\n"
    cited = source_cell(str(data.get("x-trm-source", "")), data.get("x-trm-verified", True))
    if cited:
        yield f"Source: {cited}\n"
    rows = list(_rows(data, "", to))
    if rows:
        yield table(_HEAD, rows)
    found = list(dict.fromkeys(conditions(data)))
    if found:
        yield "\n".join(f"- {sentence}" for sentence in found) + "\n"


def code_section(codes: CodeList, description: str) -> Iterator[str]:
    """Yield the lines of one code list."""
    yield f"### {codes.name}\n"
    cited = source_cell(codes.source, codes.verified)
    yield f"**{codes.title}.** {description}{f' Source: {cited}' if cited else ''}\n"
    rows = (
        (f"`{code}`", item["title"], source_cell(item.get("source", ""), item.get("verified", True)))
        for code, item in codes.codes.items()
    )
    yield table(("code", "means", "source"), rows)


def _rows(schema: Schema, at: str, to: str) -> Iterator[Row]:
    """Yield a row for each field, and below it for those that it holds without a part of their own."""
    for name, item in schema.get("properties", {}).items():
        place = f"{at}{name}"
        says = ": ".join(str(item[words]) for words in ("title", "description") if words in item)
        source = source_cell(str(item.get("x-trm-source", "")), item.get("x-trm-verified", True))
        yield f"`{place}`", says, _form(item, to), "yes" if name in schema.get("required", ()) else "", source
        inner, several = _inner(item)
        yield from _rows(inner, f"{place}{'[]' * several}.", to)


def _inner(item: Schema) -> tuple[Schema, int]:
    """Return what a field holds where its own schema says it, and of how many lists it is an entry."""
    if item.get("$ref") == _FACT:
        return _inner(item.get("properties", {}).get("value", {}))
    if item.get("type") == "array":
        inner, several = _inner(item["items"])
        return inner, several + 1
    return ({} if "$ref" in item else item), 0


def _form(item: Schema, to: str) -> str:
    if "x-trm-sealed" in item:
        return f"sealed for one office: {_link(item['x-trm-sealed'], to)}"
    if item.get("$ref") == _FACT:
        value = item.get("properties", {}).get("value", {})
        return f"fact: {_form(value, to)}" if value else "fact"
    if "$ref" in item:
        return _link(item["$ref"], to)
    if item.get("type") == "array":
        return f"list of {_form(item['items'], to)}"
    if item.get("type") == "object":
        return "these fields:" if item.get("properties") else "object"
    if "enum" in item:
        return names(item["enum"])
    return str(item.get("type", item.get("const", "")))


def _link(path: str, to: str) -> str:
    folder, _, name = path.removeprefix("/").removesuffix(".json").partition("/")
    return f"{'code ' if folder == 'codes' else ''}[{name}]({to}{folder}.md#{anchor(name)})"
