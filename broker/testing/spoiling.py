# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Systematic ways to spoil a valid body: every single step that its schema must refuse, and the place it must name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.testing.schema_walk import places

__all__ = ["Mutation", "examples", "mutations"]

SCHEMAS = Path(__file__).parents[2] / "schemas"  # of the checkout: the installed package is not tested by itself


def examples() -> dict[str, dict[str, Any]]:
    """Return every example by its path below ``schemas/examples``."""
    folder = SCHEMAS / "examples"
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"))
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One spoilt copy of a valid body and the place that an explanation must name."""

    kind: str
    pointer: str
    body: Any


def mutations(schema: Mapping[str, Any], body: Any) -> Iterator[Mutation]:
    """Yield every single-step mutation of a valid body that its schema must refuse."""
    for path, parts, value in places(schema, [schema], body, alternatives=False):
        pointer = "/body" + "".join(f"/{step}" for step in path)

        def put(kind: str, new: Any, place: str = pointer, path: tuple[str | int, ...] = path) -> Mutation:
            return Mutation(kind=kind, pointer=place, body=_replaced(body, path, new))

        yield put("null", None)
        if isinstance(value, dict):
            yield put("unknown member", {**value, "näidis".encode().hex(): "Näidis"})
            for name in {name for part in parts for name in part.get("required", ()) if name in value}:
                left = {key: item for key, item in value.items() if key != name}
                yield put("required member dropped", left, f"{pointer}/{name}")
            if any(part.get("maxProperties") == 1 for part in parts):
                yield put("no form", {})
                yield put("two forms", {**value, "unknown": True, "not_applicable": True})
            if any("withheld" in part.get("properties", {}) for part in parts):
                yield put("unknown is false", {"unknown": False}, f"{pointer}/unknown")
                yield put("not applicable is a text", {"not_applicable": "yes"}, f"{pointer}/not_applicable")
                yield put("withheld for no known reason", {"withheld": "BECAUSE"}, f"{pointer}/withheld")
                yield put("bare value instead of a fact", "Näidis")
        for part in parts:
            if "enum" in part:
                yield put("unknown code", "NO_SUCH_CODE")
            if "maxLength" in part:
                yield put("too long", "x" * (part["maxLength"] + 1))
            if "pattern" in part:
                yield put("line end behind the form", f"{value}\n")
            if part.get("minLength"):
                yield put("empty text", "")
            if "minimum" in part:
                yield put("too small", part["minimum"] - 1)
            if part.get("uniqueItems") and value:
                yield put("the same item twice", [*value, value[0]])
            if "maximum" in part:
                yield put("too large", part["maximum"] + 1)
            if "maxItems" in part and value:
                yield put("too many items", value * (part["maxItems"] + 1))
            if "minItems" in part:
                yield put("no items", [])


def _replaced(body: Any, path: Sequence[str | int], new: Any) -> Any:
    """Return the body with another value at one place; what does not lead there is the body's own."""
    if not path:
        return new
    step, *rest = path
    changed = body.copy()
    changed[step] = _replaced(body[step], rest, new)
    return changed
