# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where a body speaks of people, and whom: read off the schemas' parts about a person (`x-trm-person`).

A name is a name in its parts (`parts/name.json`), or one line that such a part calls a name, a label or aliases. What is
sealed for one office, and what stands in free text, is found by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broker.core.persons import MAX_NAME, Person, name_words

__all__ = ["People", "corrected_in", "people_in", "spoken_of"]

Schema = Mapping[str, Any]
_NAMING = frozenset({"name", "label", "aliases"})  # members that name somebody: in a place as in a part about a person
_NAME = "/parts/name.json"
_BIRTH = "/parts/birth.json"
_LINE = "/parts/line.json"


class People:
    """The members of a schema that lead to people, and nothing else of it."""

    __slots__ = ("births", "items", "lines", "members", "names")

    def __init__(self) -> None:
        self.names: set[str] = set()  # members with a name in its parts
        self.lines: set[str] = set()  # members with a name as one text, or several
        self.births: set[str] = set()
        self.members: dict[str, People] = {}
        self.items: People | None = None


def people_in(documents: Mapping[str, Schema], path: str) -> People | None:
    """Return where the schema at a path speaks of people; None: nowhere."""
    return _found(documents, documents[path], (), about=bool(documents[path].get("x-trm-person")))


def spoken_of(people: People | None, body: Any) -> list[Person]:
    """Return everyone whom a body that fits its schema names, or tells the birth of."""
    found: list[Person] = []
    if people is not None:
        _find(people, body, found)
    return found


def corrected_in(body: Any) -> list[Person]:
    """Return what a correction puts in the place of a name or a birth, each alone: whose it is, the corrected message says."""
    found: list[Person] = []
    for field in body.get("fields", ()):
        steps, now = field["pointer"].split("/"), field["now"].get("value")
        if now is None or len(now) > MAX_NAME:
            continue
        if not _NAMING.isdisjoint(steps):
            found.append(Person(words=name_words(now)))
        elif "birth" in steps and steps[-1] == "date":
            found.append(Person(words=frozenset(), births=frozenset({now})))
    return found


def _find(people: People, node: Any, found: list[Person]) -> None:
    if isinstance(node, dict):
        if people.names or people.lines or people.births:
            _describe(people, node, found)
        for name, inner in people.members.items():
            if name in node:
                _find(inner, node[name], found)
    elif isinstance(node, list) and people.items is not None:
        for item in node:
            _find(people.items, item, found)


def _describe(people: People, node: Mapping[str, Any], found: list[Person]) -> None:
    texts: list[str] = []
    for name in people.names:
        if name in node:  # each part of a name is a fact that may be missing
            texts += [fact["value"] for fact in node[name].values() if "value" in fact]
    for name in people.lines:
        if name in node:
            line = node[name]
            texts += line if isinstance(line, list) else (line,)
    births = frozenset([born for name in people.births if name in node for born in _births(node[name])])
    if texts or births:
        found.append(Person(words=name_words(" ".join(texts)), births=births))


def _births(fact: Any) -> Iterator[str]:
    birth = fact.get("value", {})
    if "date" in birth:
        yield str(birth["date"])
    elif "age_years" in birth:
        year = int(str(birth["age_on"])[:4]) - int(birth["age_years"])
        yield from (f"{year:04}", f"{year - 1:04}")


def _found(documents: Mapping[str, Schema], schema: Any, above: tuple[str, ...], *, about: bool) -> People | None:
    """Merge what a schema and the ones that it refers to lead to; a part inside itself leads nowhere new."""
    if not isinstance(schema, Mapping):
        return None
    found = People()
    for name, sub in schema.get("properties", {}).items():
        given, inner = sub.get("$ref"), sub.get("properties", {}).get("value", {})
        if given == _NAME:
            found.names.add(name)
        elif inner.get("$ref") == _BIRTH:
            found.births.add(name)
        elif about and name in _NAMING and _LINE in {given, sub.get("items", {}).get("$ref")}:
            found.lines.add(name)
        else:
            _merge(found.members, name, _found(documents, sub, above, about=about))
    found.items = _found(documents, schema.get("items"), above, about=about)
    reference = str(schema.get("$ref", "")).removeprefix("/")
    if reference in documents and reference not in above:
        part = documents[reference]
        _join(found, _found(documents, part, (*above, reference), about=bool(part.get("x-trm-person"))))
    return found if found.names or found.lines or found.births or found.members or found.items else None


def _merge(members: dict[str, People], name: str, more: People | None) -> None:
    if more is not None:
        _join(members.setdefault(name, People()), more)


def _join(into: People, more: People | None) -> None:
    if more is None:
        return
    into.names |= more.names
    into.lines |= more.lines
    into.births |= more.births
    for name, people in more.members.items():
        _merge(into.members, name, people)
    into.items = into.items or more.items
