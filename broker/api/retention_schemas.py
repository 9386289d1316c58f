# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON schemas of keeping, erasing and passing on, for the OpenAPI document: what `retention_views` writes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from broker.api.schema_forms import TEXT, TIME, TRUTH, Schema, array_of, object_of
from broker.core.deadlines import DeadlineKind, Unit
from broker.core.erasures import ErasureState, Obstacle
from broker.core.retention import EraseReason, HoldReason, KeepReason
from broker.flows.retain.pass_on import Outcome, PassingKind

__all__ = ["retention_schemas"]

_COUNT: Schema = {"type": "integer", "minimum": 0}
_DAY: Schema = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2027-06-30"]}
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_REF = r"(?:EX-)?CR-[0-9A-HJKMNP-TV-Z]{20}"
_CASE: Schema = {
    "type": "string",
    "pattern": f"^(?:{_UUID}|{_REF})$",
    "description": "A case reference or a procedure.",
}


def retention_schemas() -> dict[str, Schema]:
    """Return the schemas by name."""
    erasure = _erasure()
    return {
        "Erasing": object_of(
            {"case": _CASE, "reason": _one_of(EraseReason.of_people()), "dry_run": TRUTH}, optional=("dry_run",)
        ),
        "ErasureListed": object_of(
            {"reason": _one_of(EraseReason), "law": TEXT, "listed": _listed(), "erasure": erasure},
            optional=("erasure",),
        ),
        "Erasure": erasure,
        "Erasures": object_of({"items": array_of(erasure)}),
        "NotErasing": object_of({"why": _one_of(KeepReason)}, optional=("why",)),
        "Retained": _standing(),
        "RetentionList": object_of({"items": array_of(_standing()), "truncated": TRUTH}),
        "Hold": object_of(
            {"case": _CASE, "why": _one_of(HoldReason), "release": {"const": True}}, optional=("why", "release")
        ),
        "Review": object_of({"case": _CASE, "keep_until": _DAY, "why": _one_of(KeepReason)}),
        "PassOn": object_of(
            {
                "case": _CASE,
                "kind": _one_of(PassingKind),
                "reason": _one_of(EraseReason),
                "details": {"type": "object", "description": "Further members of the message's body."},
                "messages": array_of({"type": "string", "pattern": f"^{_UUID}$"}),
                "office_kind": {"type": "string", "description": "Code of the list actor-kind."},
                "dry_run": TRUTH,
            },
            optional=("reason", "details", "messages", "office_kind", "dry_run"),
        ),
        "PassedOn": object_of({"items": array_of(_told())}),
        "Report": object_of(
            {"outcome": _one_of(Outcome), "why": TEXT, "office_kind": TEXT}, optional=("why", "office_kind")
        ),
    }


def _erasure() -> Schema:
    properties = {
        "id": {"type": "string", "pattern": f"^{_UUID}$"},
        "peer": TEXT,
        "case": TEXT,
        "procedures": array_of(TEXT),
        "reason": _one_of(EraseReason),
        "law": TEXT,
        "state": _one_of(ErasureState),
        "proposed": TIME,
        "proposed_by": {"type": "string", "description": "Another person confirms."},
        "asked_by": {"type": "string", "description": "The other country's message that asks for it."},
        "decided": TIME,
        "decided_by": TEXT,
        "final": {**TIME, "description": "Since when no older copy of the database opens it either."},
        "to_remove": {**_COUNT, "description": "Copies outside of the database that are still to go."},
    }
    return object_of(properties, optional=("case", "asked_by", "decided", "decided_by", "final", "to_remove"))


def _listed() -> Schema:
    message = object_of({"id": TEXT, "direction": {"enum": ["in", "out"]}, "type": TEXT, "at": TIME})
    hindrance = object_of({"code": _one_of(Obstacle), "subjects": array_of(TEXT), "detail": TEXT})
    properties = {
        "case": TEXT,
        "peer": TEXT,
        "procedures": array_of(TEXT),
        "messages": array_of(message),
        "held": array_of(TEXT),
        "attachments": _COUNT,
        "uploads": _COUNT,
        "hindrances": array_of(hindrance),
    }
    return object_of(properties, optional=("case",))


def _standing() -> Schema:
    rule = object_of({"count": _COUNT, "unit": _one_of(Unit), "kind": _one_of(DeadlineKind), "source": TEXT})
    properties = {
        "case": TEXT,
        "peer": TEXT,
        "procedures": array_of(TEXT),
        "last": TIME,
        "review": _DAY,
        "due": TRUTH,
        "rule": rule,
        "hold": object_of({"why": _one_of(HoldReason), "by": TEXT, "since": TIME}),
        "keep": object_of({"why": _one_of(KeepReason), "by": TEXT, "until": _DAY}),
    }
    return object_of(properties, optional=("case", "hold", "keep"))


def _told() -> Schema:
    recipient = object_of({"country": TEXT, "authority": TEXT})
    return object_of(
        {"recipient": recipient, "targets": array_of(TEXT), "message": TEXT, "code": TEXT},
        optional=("message", "code"),
    )


def _one_of(codes: Iterable[StrEnum]) -> Schema:
    return {"type": "string", "enum": [code.value for code in codes]}
