# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the JSON schemas of the OpenAPI document are made of: texts, times, identifiers, objects, lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from broker.core.ids import (
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)

__all__ = [
    "PREFIX",
    "SURGE",
    "TEXT",
    "TIME",
    "TRUTH",
    "Schema",
    "array_of",
    "identifier",
    "list_of",
    "object_of",
    "reference",
    "types_schema",
]

Schema = dict[str, Any]

SURGE: Schema = {
    "type": "array",
    "items": {"$ref": "#/components/schemas/Surge"},
    "description": "Where surge mode is on now (R-39): absent where it is nowhere.",
}
_Id = type[AuthorityId | CaseRef | CountryCode | Digest | MessageId | MessageType | ProcedureId | SchemaVersion]

TIME: Schema = {
    "type": "string",
    "description": "RFC 3339, UTC, milliseconds.",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
    "examples": ["2026-11-22T03:00:00.000Z"],
}
TRUTH: Schema = {"type": "boolean"}
TEXT: Schema = {"type": "string"}
PREFIX = "#/components/schemas/"
_COUNTRY_PATTERN = "^[A-Z]{2}$"  # without the look-ahead that excludes EL and UK: generators cannot read it


def reference(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": PREFIX + name}


def identifier(kind: _Id, description: str = "") -> Schema:
    """Return the schema of one of our identifiers."""
    pattern = _COUNTRY_PATTERN if kind is CountryCode else f"^{kind.pattern.pattern}$"
    described = {"description": description} if description else {}
    return {"type": "string", "pattern": pattern, **described}


def types_schema(types: Sequence[MessageType]) -> Schema:
    """Return the schema of the message types that this node knows."""
    return {"type": "string", "enum": sorted(str(known) for known in types)} if types else identifier(MessageType)


def object_of(properties: dict[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    """Return the schema of an object of exactly these members."""
    absent = set(optional)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in absent],
        "additionalProperties": False,
    }


def array_of(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def list_of(item: str, **more: Schema) -> Schema:
    """Return the schema of a page of a list, with members that it may have beside those of every list."""
    cursor = {"type": "string", "description": "Cursor of the next page; absent on the last one."}
    members = {"items": array_of(reference(item)), "next": cursor, "surge": SURGE}
    return object_of({**members, **more}, optional=("next", "surge", *more))
