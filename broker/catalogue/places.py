# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where a body names countries, languages and moments: a schema holds their form only, not whether one exists.

A time on 31 November has the form of one. Countries and languages are asked of `nations`. Asked of what leaves alone: another node's registers may be newer, and what it sent is not refused for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from broker.catalogue.nations import is_country, is_language, is_nationality

__all__ = ["Places", "places_in", "unknown_language", "unknown_place"]

Schema = Mapping[str, Any]
_Found = tuple[tuple[str, str], ...]  # places, and what to tell of each
_LANGUAGE = "parts/language.json"
_KEPT = lru_cache(maxsize=1024)  # codes; there are about 250 countries and as many languages of daily work


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


# Part → what a person is told, and who knows.
_ASKED: Mapping[str, tuple[str, Callable[[str], bool]]] = MappingProxyType(
    {
        "parts/country.json": ("There is no country of that code (ISO 3166-1).", _KEPT(is_country)),
        "parts/nationality.json": (
            "There is no country of that code (ISO 3166-1; XXA: stateless).",
            _KEPT(is_nationality),
        ),
        "parts/time.json": ("The calendar has no such day.", _is_moment),
        _LANGUAGE: ("There is no language of that tag (BCP 47).", _KEPT(is_language)),
    }
)


class Places:
    """The members of a schema that lead to countries, languages and moments, and nothing else of it."""

    __slots__ = ("asked", "items", "members")

    def __init__(self) -> None:
        self.asked: tuple[tuple[str, Callable[[str], bool]], ...] = ()
        self.members: dict[str, Places] = {}
        self.items: Places | None = None


def places_in(documents: Mapping[str, Schema], path: str) -> Places | None:
    """Return where the schema at a path leads to countries, languages and moments; None: nowhere."""
    return _found(documents, documents[path], ())


def unknown_place(places: Places | None, node: Any, where: str) -> list[tuple[str, str]]:
    """Return the place of each code that does not exist, and what to tell of it; sorted."""
    return [] if places is None else sorted((where + place, told) for place, told in _unknown(places, node))


def _unknown(places: Places, node: Any) -> _Found:
    """Return what does not exist, with its place below the node: written on the way back, for most lead to nothing."""
    found: _Found = ()
    if type(node) is dict:
        for name, inner in places.members.items():
            if name in node and (below := _unknown(inner, node[name])):
                found += _placed(name, below)
    elif type(node) is str:
        for told, exists in places.asked:
            if not exists(node):
                found += (("", told),)
    elif type(node) is list and places.items is not None:
        for position, item in enumerate(node):
            if below := _unknown(places.items, item):
                found += _placed(position, below)
    return found


def _placed(step: str | int, below: _Found) -> _Found:
    return tuple((f"/{step}{place}", told) for place, told in below)


def unknown_language(tag: str, where: str) -> Iterator[tuple[str, str]]:
    """Yield the place of a language that does not exist, and what to tell of it."""
    told, exists = _ASKED[_LANGUAGE]
    if not exists(tag):
        yield where, told


def _found(documents: Mapping[str, Schema], schema: Any, above: tuple[str, ...]) -> Places | None:
    """Merge what a schema and the ones that it refers to lead to; a part inside itself leads nowhere new."""
    found = Places()
    for name, sub in schema.get("properties", {}).items() if isinstance(schema, Mapping) else ():
        _merge(found.members, name, _found(documents, sub, above))
    if isinstance(schema, Mapping):
        items = schema.get("items")
        found.items = None if items is None else _found(documents, items, above)
        reference = str(schema.get("$ref", "")).removeprefix("/")
        if reference in _ASKED:
            found.asked += (_ASKED[reference],)
        elif reference in documents and reference not in above:
            _join(found, _found(documents, documents[reference], (*above, reference)))
    return found if found.asked or found.members or found.items else None


def _merge(members: dict[str, Places], name: str, more: Places | None) -> None:
    if more is not None:
        _join(members.setdefault(name, Places()), more)


def _join(into: Places, more: Places | None) -> None:
    if more is None:
        return
    into.asked = tuple(dict.fromkeys((*into.asked, *more.asked)))
    for name, places in more.members.items():
        _merge(into.members, name, places)
    into.items = into.items or more.items
