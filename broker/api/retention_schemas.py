# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON schemas of keeping, erasing and passing on, for the OpenAPI document: what `flows/retain/described` writes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from broker.core.deadlines import DeadlineKind, Unit
from broker.core.erasures import ErasureState, Obstacle
from broker.core.retention import EraseReason, HoldReason, KeepReason
from broker.flows.retain.pass_on import Outcome, PassingKind

__all__ = ["retention_schemas"]

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TRUTH: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_DAY: Schema = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2027-06-30"]}
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_REF = r"(?:EX-)?CR-[0-9A-HJKMNP-TV-Z]{20}"
_CASE: Schema = {
    "type": "string",
    "pattern": f"^(?:{_UUID}|{_REF})$",
    "description": "A case reference or a procedure.",
}


def retention_schemas(time: Schema) -> dict[str, Schema]:
    """Return the schemas by name; `time` is the schema of a moment."""
    erasure = _erasure(time)
    return {
        "Erasing": _object(
            {"case": _CASE, "reason": _one_of(EraseReason.of_people()), "dry_run": _TRUTH}, optional=("dry_run",)
        ),
        "ErasureListed": _object(
            {"reason": _one_of(EraseReason), "law": _TEXT, "listed": _listed(time), "erasure": erasure},
            optional=("erasure",),
        ),
        "Erasure": erasure,
        "Erasures": _object({"items": _array(erasure)}),
        "NotErasing": _object({"why": _one_of(KeepReason)}, optional=("why",)),
        "Retained": _standing(time),
        "RetentionList": _object({"items": _array(_standing(time)), "truncated": _TRUTH}),
        "Hold": _object(
            {"case": _CASE, "why": _one_of(HoldReason), "release": {"const": True}}, optional=("why", "release")
        ),
        "Review": _object({"case": _CASE, "keep_until": _DAY, "why": _one_of(KeepReason)}),
        "PassOn": _object(
            {
                "case": _CASE,
                "kind": _one_of(PassingKind),
                "reason": _one_of(EraseReason),
                "details": {"type": "object", "description": "Further members of the message's body."},
                "messages": _array({"type": "string", "pattern": f"^{_UUID}$"}),
                "office_kind": {"type": "string", "description": "Code of the list actor-kind."},
                "dry_run": _TRUTH,
            },
            optional=("reason", "details", "messages", "office_kind", "dry_run"),
        ),
        "PassedOn": _object({"items": _array(_told())}),
        "Report": _object(
            {"outcome": _one_of(Outcome), "why": _TEXT, "office_kind": _TEXT}, optional=("why", "office_kind")
        ),
    }


def _erasure(time: Schema) -> Schema:
    properties = {
        "id": {"type": "string", "pattern": f"^{_UUID}$"},
        "peer": _TEXT,
        "case": _TEXT,
        "procedures": _array(_TEXT),
        "reason": _one_of(EraseReason),
        "law": _TEXT,
        "state": _one_of(ErasureState),
        "proposed": time,
        "proposed_by": {"type": "string", "description": "Another person confirms."},
        "asked_by": {"type": "string", "description": "The other country's message that asks for it."},
        "decided": time,
        "decided_by": _TEXT,
        "final": {**time, "description": "Since when no older copy of the database opens it either."},
        "to_remove": {**_COUNT, "description": "Copies outside of the database that are still to go."},
    }
    return _object(properties, optional=("case", "asked_by", "decided", "decided_by", "final", "to_remove"))


def _listed(time: Schema) -> Schema:
    message = _object({"id": _TEXT, "direction": {"enum": ["in", "out"]}, "type": _TEXT, "at": time})
    hindrance = _object({"code": _one_of(Obstacle), "subjects": _array(_TEXT), "detail": _TEXT})
    properties = {
        "case": _TEXT,
        "peer": _TEXT,
        "procedures": _array(_TEXT),
        "messages": _array(message),
        "held": _array(_TEXT),
        "attachments": _COUNT,
        "uploads": _COUNT,
        "hindrances": _array(hindrance),
    }
    return _object(properties, optional=("case",))


def _standing(time: Schema) -> Schema:
    rule = _object({"count": _COUNT, "unit": _one_of(Unit), "kind": _one_of(DeadlineKind), "source": _TEXT})
    properties = {
        "case": _TEXT,
        "peer": _TEXT,
        "procedures": _array(_TEXT),
        "last": time,
        "review": _DAY,
        "due": _TRUTH,
        "rule": rule,
        "hold": _object({"why": _one_of(HoldReason), "by": _TEXT, "since": time}),
        "keep": _object({"why": _one_of(KeepReason), "by": _TEXT, "until": _DAY}),
    }
    return _object(properties, optional=("case", "hold", "keep"))


def _told() -> Schema:
    recipient = _object({"country": _TEXT, "authority": _TEXT})
    return _object(
        {"recipient": recipient, "targets": _array(_TEXT), "message": _TEXT, "code": _TEXT},
        optional=("message", "code"),
    )


def _one_of(codes: Iterable[StrEnum]) -> Schema:
    return {"type": "string", "enum": [code.value for code in codes]}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(properties: dict[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    absent = set(optional)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in absent],
        "additionalProperties": False,
    }
