# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Walking a JSON value beside its schema: at each place, all that is said of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Path", "Schema", "members", "parts_of", "places"]

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]


def parts_of(root: Schema, schemas: Iterable[Schema], *, alternatives: bool) -> list[Schema]:
    """Return the schemas of one place with all that they refer to.

    Args:
        root: has them in ``$defs``.
        schemas: of the place.
        alternatives: also what may or must hold beside them (``anyOf``, ``allOf``), conditions left out.
    """
    found: list[Schema] = []
    for schema in schemas:
        found.append(schema)
        if "$ref" in schema:
            referred = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
            found += parts_of(root, (referred,), alternatives=alternatives)
        if alternatives:
            beside = (*schema.get("allOf", ()), *schema.get("anyOf", ()))
            found += parts_of(root, beside, alternatives=True)
    return found


def members(parts: Iterable[Schema]) -> dict[str, list[Schema]]:
    """Return what may stand in an object of those schemas, each with all that is said of it."""
    found: dict[str, list[Schema]] = {}
    for part in parts:
        for name, item in part.get("properties", {}).items():
            found.setdefault(name, []).append(item)
    return found


def places(
    root: Schema, schemas: Sequence[Schema], value: Any, *, alternatives: bool, path: Path = ()
) -> Iterator[tuple[Path, list[Schema], Any]]:
    """Yield every place of a value with its schemas and what stands there, from the outside in."""
    parts = parts_of(root, schemas, alternatives=alternatives)
    yield path, parts, value
    if isinstance(value, dict):
        known = members(parts)
        for name, item in value.items():
            yield from places(root, known.get(name, []), item, alternatives=alternatives, path=(*path, name))
    if isinstance(value, list):
        items = [part["items"] for part in parts if "items" in part]
        for position, item in enumerate(value):
            yield from places(root, items, item, alternatives=alternatives, path=(*path, position))
