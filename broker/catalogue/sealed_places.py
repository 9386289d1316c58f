# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where a body holds what its schema wants sealed, and by which schema the inside is judged (``x-trm-sealed``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["sealed_places"]

_KEYWORD = "x-trm-sealed"


def sealed_places(documents: Mapping[str, Mapping[str, Any]], path: str, body: Any) -> Iterator[tuple[str, str]]:
    """Yield each place of a body that the schema at a path wants sealed, and the path of the inside's schema.

    Sealed already or not: what stands there is not looked at.
    """
    yield from _found(documents, documents[path], body, "")


def _found(documents: Mapping[str, Any], schema: Any, node: Any, where: str) -> Iterator[tuple[str, str]]:
    """Walk schema and body side by side; the body's depth ends it, for schemas may contain themselves."""
    if not isinstance(schema, Mapping):
        return
    if _KEYWORD in schema:
        yield where, str(schema[_KEYWORD]).removeprefix("/")
        return
    reference = str(schema.get("$ref", "")).removeprefix("/")
    if reference in documents:
        yield from _found(documents, documents[reference], node, where)
    if isinstance(node, Mapping):
        properties = schema.get("properties", {})
        for name in node.keys() & properties.keys():
            yield from _found(documents, properties[name], node[name], f"{where}/{name}")
    elif isinstance(node, list):
        for position, item in enumerate(node):
            yield from _found(documents, schema.get("items"), item, f"{where}/{position}")
