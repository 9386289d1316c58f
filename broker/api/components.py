# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON schemas of the OpenAPI document: what `views` writes and what a submission must look like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from broker.api.messages import STATES, Direction
from broker.api.retention_schemas import retention_schemas
from broker.api.services import casework_types
from broker.catalogue import Catalogue
from broker.core.attachments import MAX_BYTES, MEDIA_TYPES
from broker.core.audit import SearchReason
from broker.core.deadlines import DeadlineKind, Phase
from broker.core.delivery import RejectReason, ReleaseReason, ResendReason
from broker.core.errors import Actor, BrokerError, by_code
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
from broker.core.messages import Urgency
from broker.core.persons import MAX_NAME
from broker.core.procedures import ParticipantRole, Role
from broker.core.reasons import Level
from broker.core.receipts import ReceiptKind
from broker.core.roles import AuditRole
from broker.rows import DraftState

__all__ = ["Schema", "components", "identifier", "reference", "types_schema"]

Schema = dict[str, Any]

_Id = type[AuthorityId | CaseRef | CountryCode | Digest | MessageId | MessageType | ProcedureId | SchemaVersion]

_TIME = {
    "type": "string",
    "description": "RFC 3339, UTC, milliseconds.",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
    "examples": ["2026-11-22T03:00:00.000Z"],
}
_TRUTH: Schema = {"type": "boolean"}
_TEXT: Schema = {"type": "string"}
_PREFIX = "#/components/schemas/"
_COUNTRY_PATTERN = "^[A-Z]{2}$"  # without the look-ahead that excludes EL and UK: generators cannot read it


def reference(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": _PREFIX + name}


def identifier(kind: _Id, description: str = "") -> Schema:
    """Return the schema of one of our identifiers."""
    pattern = _COUNTRY_PATTERN if kind is CountryCode else f"^{kind.pattern.pattern}$"
    described = {"description": description} if description else {}
    return {"type": "string", "pattern": pattern, **described}


def types_schema(types: Sequence[MessageType]) -> Schema:
    """Return the schema of the message types that this node knows."""
    return {"type": "string", "enum": sorted(str(known) for known in types)} if types else identifier(MessageType)


def components(catalogue: Catalogue) -> dict[str, Schema]:
    """Return every schema by name."""
    types = casework_types(catalogue)
    item = _message_item(types)
    procedure = _procedure_item()
    return {
        **_submission(catalogue, types),
        **_bodies(catalogue, types),
        "Problem": _problem(by_code().values()),
        "Accepted": _accepted(),
        "Reason": _reason(),
        "MessageItem": item,
        "MessageList": _list("MessageItem"),
        "Upload": _upload(),
        "Receipt": _receipt(),
        "Message": _message(item),
        "Resend": _object({"reason": {"type": "string", "enum": [str(reason) for reason in ResendReason.of_people()]}}),
        "Resent": _object({"message": identifier(MessageId), "at": _TIME}),
        "HeldItem": _held_item(),
        "HeldList": _list("HeldItem"),
        "Held": _held(),
        "Release": _object({"reason": {"type": "string", "enum": [reason.value for reason in ReleaseReason]}}),
        "Reject": _object({"reason": {"type": "string", "enum": [reason.value for reason in RejectReason]}}),
        "Opened": _object({"message": identifier(MessageId), "opened": _TIME}),
        "ProcedureItem": procedure,
        "ProcedureList": _list("ProcedureItem"),
        "CaseSearch": _case_search(),
        "CasesFound": _object(
            {
                "items": _array(reference("ProcedureItem")),
                "more": {"type": "boolean", "description": "There are more: ask more exactly."},
                "whole": {"type": "boolean", "description": "false: older messages are still being made searchable."},
            }
        ),
        "Participant": _participant(),
        "RecordLine": _record_line(),
        "Procedure": _procedure(procedure),
        "Actions": _object(
            {"procedure": identifier(ProcedureId), "state": _TEXT, "items": _array(identifier(MessageType))}
        ),
        "TimelineLine": _timeline_line(),
        "Deadline": _deadline(),
        "Timeline": _object({"procedure": identifier(ProcedureId), "items": _array(reference("TimelineLine"))}),
        "Attention": _attention(),
        "AttentionList": _list("Attention"),
        "AuditRow": _audit_row(),
        "AuditList": _list("AuditRow"),
        "HealthCheck": _object({"name": _TEXT, "ok": _TRUTH, "detail": _TEXT}, optional=("detail",)),
        "Health": _object(
            {"live": _TRUTH, "ready": _TRUTH, "checks": _array(reference("HealthCheck"))}, optional=("checks",)
        ),
        "Description": {"type": "object", "description": "An OpenAPI 3.1 document.", "required": ["openapi"]},
        **retention_schemas(_TIME),
    }


def _object(properties: dict[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    absent = set(optional)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in absent],
        "additionalProperties": False,
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _list(item: str) -> Schema:
    cursor = {"type": "string", "description": "Cursor of the next page; absent on the last one."}
    return _object({"items": _array(reference(item)), "next": cursor}, optional=("next",))


def _problem(errors: Iterable[type[BrokerError]]) -> Schema:
    fault = _object({"pointer": _TEXT, "reason": _TEXT})
    return _object(
        {
            "type": {"type": "string", "pattern": "^/problems/[a-z0-9-]+$"},
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "One sentence, without any value of the request."},
            "code": {"type": "string", "enum": sorted(error.code for error in errors)},
            "who_must_act": {"type": "string", "enum": [actor.value for actor in Actor]},
            "where": {"type": "string", "description": "JSON pointer into the body, or the header or parameter."},
            "errors": _array(fault),
            "reference": {"type": "string", "description": "Finds the failure in the node's log."},
        },
        optional=("where", "errors", "reference"),
    )


def _submission(catalogue: Catalogue, types: Sequence[MessageType]) -> dict[str, Schema]:
    """Return the submission's schema and the parts it refers to, from the catalogue's own bytes."""
    found = _hoisted("Submission", catalogue.submission_schema(prefix=_PREFIX))
    submission = found["Submission"]
    submission["properties"] = {**submission["properties"], "type": types_schema(types)}
    return found


def _bodies(catalogue: Catalogue, types: Sequence[MessageType]) -> dict[str, Schema]:
    """Return each body schema under its type and version; a submission's `body` is one of them."""
    found: dict[str, Schema] = {}
    for known in types:
        for version in catalogue.versions(known):
            found |= _hoisted(f"{known}.{version}", catalogue.schema(known, version, prefix=_PREFIX))
    return found


def _hoisted(name: str, schema: Schema) -> dict[str, Schema]:
    definitions: dict[str, Schema] = schema.get("$defs", {})
    whole = {key: value for key, value in schema.items() if key not in {"$schema", "$id", "$defs"}}
    return {name: whole, **definitions}


def _accepted() -> Schema:
    repeated = {**_TRUTH, "description": "The same Idempotency-Key came before; nothing new was stored."}
    return _object(
        {
            "message": identifier(MessageId),
            "digest": identifier(Digest, "SHA-256 of the message's content: its name in both countries."),
            "procedure": identifier(ProcedureId),
            "case_ref": identifier(CaseRef),
            "created": _TIME,
            "repeated": repeated,
            "warnings": {
                **_array(reference("Reason")),
                "description": "What its author may have to ask or to follow up.",
            },
        },
        optional=("case_ref", "warnings"),
    )


def _held_item() -> Schema:
    properties = {
        "id": identifier(MessageId, "That it will have when it leaves."),
        "type": identifier(MessageType),
        "peer": identifier(CountryCode),
        "author": {"type": "string", "description": "Who submitted it: another person releases it."},
        "at": _TIME,
        "state": {"type": "string", "enum": [state.value for state in DraftState]},
        "reasons": _array(reference("Reason")),
        "decided_by": _TEXT,
        "decided": _TIME,
        "decision": _TEXT,
    }
    return _object(properties, optional=("decided_by", "decided", "decision"))


def _held() -> Schema:
    item = _held_item()
    content = {"type": "object", "description": "Header and body; absent once it waits no more."}
    return {**item, "properties": {**item["properties"], "content": content}}


def _reason() -> Schema:
    return _object(
        {
            "rule": {"type": "string", "description": "Of the safety rules: R-01 …"},
            "code": _TEXT,
            "level": {"type": "string", "enum": [level.value for level in Level]},
            "where": {"type": "string", "description": "JSON pointer into the body."},
            "text": _TEXT,
        }
    )


def _message_item(types: Sequence[MessageType]) -> Schema:
    steps = dict.fromkeys(("published", "delivered", "handed_over", "opened", "refused"), _TIME)
    properties = {
        "id": identifier(MessageId),
        "direction": {"type": "string", "enum": [direction.value for direction in Direction]},
        "type": types_schema(types),
        "version": identifier(SchemaVersion),
        "peer": identifier(CountryCode),
        "authority": identifier(AuthorityId),
        "procedure": identifier(ProcedureId),
        "case_ref": identifier(CaseRef),
        "urgency": {"type": "string", "enum": [urgency.value for urgency in Urgency]},
        "exercise": _TRUTH,
        "digest": identifier(Digest),
        "state": {"type": "string", "enum": list(STATES)},
        "at": _TIME,
        "refusal_code": _TEXT,
        "error": _TEXT,
        **steps,
    }
    return _object(properties, optional=("procedure", "case_ref", "urgency", "refusal_code", "error", *steps))


def _upload() -> Schema:
    size: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_BYTES}
    properties: dict[str, Schema] = {
        "upload": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "size": size,
        "offset": {**size, "description": "Bytes that are kept; go on from here."},
        "media_type": {"type": "string", "enum": sorted(MEDIA_TYPES)},
        "digest": identifier(Digest, "SHA-256 of the file: compare it with your own."),
    }
    return _object(properties, optional=("media_type", "digest"))


def _receipt() -> Schema:
    properties = {
        "issuer": identifier(CountryCode),
        "kind": {"type": "string", "enum": [kind.value for kind in ReceiptKind]},
        "at": _TIME,
        "digest": identifier(Digest),
        "code": _TEXT,
        "heads": _array(identifier(Digest)),
        "record_digest": identifier(Digest),
    }
    return _object(properties, optional=("code", "record_digest"))


def _message(item: Schema) -> Schema:
    content = _object({"header": {"type": "object"}, "body": {"type": "object"}})
    evidence = _array(reference("Receipt"))
    number: Schema = {"type": "integer", "minimum": 0}
    moved: dict[str, Schema] = {"place": number, "chunks": number, "moved": number, "complete": _TRUTH, "code": _TEXT}
    progress = _object(moved, optional=("code",))
    return {
        **item,
        "properties": {**item["properties"], "content": content, "attachments": _array(progress), "evidence": evidence},
        "required": [*item["required"], "evidence"],
    }


def _procedure_item() -> Schema:
    properties = {
        "id": identifier(ProcedureId),
        "name": _TEXT,
        "version": identifier(SchemaVersion),
        "table": identifier(Digest, "Of the procedure table that governs it for its whole life."),
        "peer": identifier(CountryCode),
        "role": {"type": "string", "enum": [role.value for role in Role]},
        "our_authority": identifier(AuthorityId),
        "peer_authority": identifier(AuthorityId),
        "case_ref": identifier(CaseRef),
        "exercise": _TRUTH,
        "opened": _TIME,
        "state": _TEXT,
        "alarm": _TRUTH,
        "gap": _TRUTH,
    }
    return _object(properties, optional=("case_ref",))


def _record_line() -> Schema:
    properties = {
        "digest": identifier(Digest),
        "message": identifier(MessageId),
        "author": identifier(CountryCode),
        "act": _TEXT,
        "mark": _TEXT,
        "final": {**_TRUTH, "description": "The other country proved that it holds this and all before it."},
        "code": {"type": "string", "description": "Of a refusal."},
    }
    return _object(properties, optional=("code",))


def _procedure(item: Schema) -> Schema:
    more = {
        "digest": identifier(Digest, "Of the whole record; absent while something is missing."),
        "heads": _array(identifier(Digest)),
        "participants": _array(reference("Participant")),
        "entries": _array(reference("RecordLine")),
        "deadlines": _array(reference("Deadline")),
    }
    return {
        **item,
        "properties": {**item["properties"], **more},
        "required": [*item["required"], "heads", "participants", "entries", "deadlines"],
    }


def _case_search() -> Schema:
    about = "Whole words, in any order; case, accents and marks do not count. Nothing is found by a part of a word."
    found = _object(
        {
            "name": {"type": "string", "maxLength": MAX_NAME, "description": about},
            "born": {
                "type": "string",
                "description": "As much as is known: 2014-05-03, 2014-05 or 2014. Alone it must be a whole date.",
                "pattern": "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$",
            },
            "procedure": {
                **identifier(ProcedureId),
                "description": "Instead of name and born: the other procedures that may be about the child of this one.",
            },
            "reason": {"type": "string", "enum": [reason.value for reason in SearchReason]},
        },
        optional=("name", "born", "procedure"),
    )
    alone = {"required": ["procedure"], "properties": {"name": False, "born": False}}
    return {**found, "anyOf": [{"required": ["name"]}, {"required": ["born"]}, alone]}


def _participant() -> Schema:
    properties = {
        "country": identifier(CountryCode),
        "authority": identifier(AuthorityId),
        "role": {"type": "string", "enum": [role.value for role in ParticipantRole]},
    }
    return _object(properties)


def _deadline() -> Schema:
    return _object(
        {
            "id": _TEXT,
            "title": _TEXT,
            "by": {"type": "string", "enum": [role.value for role in Role]},
            "ours": {**_TRUTH, "description": "This side must act."},
            "due": {**_TIME, "description": "The first moment that is too late."},
            "due_local": {"type": "string", "description": "Last day in time; of hours the moment, in that time zone."},
            "time_zone": _TEXT,
            "calendar": identifier(CountryCode),
            "holidays_known": {**_TRUTH, "description": "False: only weekends were taken into account."},
            "open_questions": {**_array(_TEXT), "description": "What nobody has said of that country's calendar."},
            "phase": {"type": "string", "enum": [phase.value for phase in Phase]},
            "meaning": {"type": "string", "description": "What it means that it stands so; silence is never consent."},
            "extended": _TRUTH,
            "extendable": {**_TRUTH, "description": "Its source allows a longer time, once, and it has not passed."},
            "extendable_until": {
                "type": "string",
                "format": "date",
                "description": "Absent where it is not extendable: the last day that its source allows.",
            },
            "met": _TIME,
            "kind": {"type": "string", "enum": [kind.value for kind in DeadlineKind]},
            "source": _TEXT,
            "source_read": {**_TRUTH, "description": "False: taken from a secondary source, not verified."},
            "silence": _TEXT,
        },
        optional=("met", "extendable_until"),
    )


def _timeline_line() -> Schema:
    return _object(
        {
            "at": _TIME,
            "who": identifier(CountryCode),
            "what": _TEXT,
            "state": _TEXT,
            "evidence": _TEXT,
            "message": identifier(MessageId),
        }
    )


def _attention() -> Schema:
    properties = {
        "id": {"type": "integer", "minimum": 1},
        "code": _TEXT,
        "subject": _TEXT,
        "who_must_act": _TEXT,
        "at": _TIME,
        "peer": identifier(CountryCode),
        "authority": identifier(AuthorityId),
        "detail": _TEXT,
        "resolved": _TIME,
        "resolved_by": _TEXT,
    }
    return _object(properties, optional=("peer", "authority", "resolved", "resolved_by"))


def _audit_row() -> Schema:
    properties = {
        "at": _TIME,
        "actor": _TEXT,
        "role": {"type": "string", "enum": [role.value for role in AuditRole]},
        "authority": identifier(AuthorityId),
        "action": _TEXT,
        "subject": _TEXT,
        "procedure": identifier(ProcedureId),
        "peer": identifier(CountryCode),
        "reason": _TEXT,
        "detail": _TEXT,
    }
    return _object(properties, optional=("authority", "procedure", "peer"))
