# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON schemas of the OpenAPI document: what `views` writes and what a submission must look like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broker.api.directory import directory_schemas
from broker.api.messages import STATES, Direction
from broker.api.procedure_schemas import procedure_schemas
from broker.api.retention_schemas import retention_schemas
from broker.api.schema_forms import (
    PREFIX,
    SURGE,
    TEXT,
    TIME,
    TRUTH,
    Schema,
    array_of,
    identifier,
    list_of,
    object_of,
    reference,
    types_schema,
)
from broker.api.services import casework_types
from broker.catalogue import Catalogue
from broker.core.attachments import MAX_BYTES, MEDIA_TYPES
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
from broker.core.reasons import Level
from broker.core.receipts import ReceiptKind
from broker.core.roles import AuditRole
from broker.rows import DraftState

__all__ = ["components"]


def components(catalogue: Catalogue) -> dict[str, Schema]:
    """Return every schema by name."""
    types = casework_types(catalogue)
    item = _message_item(types)
    return {
        **_submission(catalogue, types),
        **_bodies(catalogue, types),
        "Problem": _problem(by_code().values()),
        "Accepted": _accepted(),
        "Reason": _reason(),
        "MessageItem": item,
        "MessageList": list_of("MessageItem", unreadable=_unreadable()),
        "Upload": _upload(),
        "Receipt": _receipt(),
        "Message": _message(item),
        "Resend": object_of(
            {"reason": {"type": "string", "enum": [str(reason) for reason in ResendReason.of_people()]}}
        ),
        "Resent": object_of({"message": identifier(MessageId), "at": TIME}),
        "Surge": _surge(),
        "HeldItem": _held_item(),
        "HeldList": list_of("HeldItem"),
        "Held": _held(),
        "Newer": _newer(),
        "Release": _release(),
        "Reject": object_of({"reason": {"type": "string", "enum": [reason.value for reason in RejectReason]}}),
        "Opened": object_of({"message": identifier(MessageId), "opened": TIME}),
        **procedure_schemas(),
        "Attention": _attention(),
        "AttentionList": list_of("Attention"),
        "AuditRow": _audit_row(),
        "AuditList": list_of("AuditRow"),
        "HealthCheck": object_of({"name": TEXT, "ok": TRUTH, "detail": TEXT}, optional=("detail",)),
        "Health": object_of(
            {"live": TRUTH, "ready": TRUTH, "checks": array_of(reference("HealthCheck"))}, optional=("checks",)
        ),
        "Description": {"type": "object", "description": "An OpenAPI 3.1 document.", "required": ["openapi"]},
        **directory_schemas(),
        **retention_schemas(),
    }


def _problem(errors: Iterable[type[BrokerError]]) -> Schema:
    fault = object_of({"pointer": TEXT, "reason": TEXT})
    return object_of(
        {
            "type": {"type": "string", "pattern": "^/problems/[a-z0-9-]+$"},
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "One sentence, without any value of the request."},
            "code": {"type": "string", "enum": sorted(error.code for error in errors)},
            "who_must_act": {"type": "string", "enum": [actor.value for actor in Actor]},
            "where": {"type": "string", "description": "JSON pointer into the body, or the header or parameter."},
            "errors": array_of(fault),
            "reference": {"type": "string", "description": "Finds the failure in the node's log."},
        },
        optional=("where", "errors", "reference"),
    )


def _submission(catalogue: Catalogue, types: Sequence[MessageType]) -> dict[str, Schema]:
    """Return the submission's schema and the parts it refers to, from the catalogue's own bytes."""
    found = _hoisted("Submission", catalogue.submission_schema(prefix=PREFIX))
    submission = found["Submission"]
    submission["properties"] = {**submission["properties"], "type": types_schema(types)}
    return found


def _bodies(catalogue: Catalogue, types: Sequence[MessageType]) -> dict[str, Schema]:
    """Return each body schema under its type and version; a submission's `body` is one of them."""
    found: dict[str, Schema] = {}
    for known in types:
        for version in catalogue.versions(known):
            found |= _hoisted(f"{known}.{version}", catalogue.schema(known, version, prefix=PREFIX))
    return found


def _hoisted(name: str, schema: Schema) -> dict[str, Schema]:
    definitions: dict[str, Schema] = schema.get("$defs", {})
    whole = {key: value for key, value in schema.items() if key not in {"$schema", "$id", "$defs"}}
    return {name: whole, **definitions}


def _accepted() -> Schema:
    repeated = {**TRUTH, "description": "The same Idempotency-Key came before; nothing new was stored."}
    return object_of(
        {
            "message": identifier(MessageId),
            "digest": identifier(Digest, "SHA-256 of the message's content: its name in both countries."),
            "procedure": identifier(ProcedureId),
            "case_ref": identifier(CaseRef),
            "created": TIME,
            "repeated": repeated,
            "warnings": {
                **array_of(reference("Reason")),
                "description": "What its author may have to ask or to follow up.",
            },
        },
        optional=("case_ref", "warnings"),
    )


def _surge() -> Schema:
    until = {
        "type": "string",
        "format": "date",
        "description": "The last day of it; absent where the message that says so does not open.",
    }
    countries = {"declared_by": identifier(CountryCode), "towards": identifier(CountryCode)}
    exercise = {**TRUTH, "description": "In force for drills alone."}
    return object_of({**countries, "until": until, "exercise": exercise}, optional=("until",))


def _held_item() -> Schema:
    properties = {
        "id": identifier(MessageId, "That it will have when it leaves."),
        "type": identifier(MessageType),
        "peer": identifier(CountryCode),
        "author": {"type": "string", "description": "Who submitted it: another person releases it."},
        "at": TIME,
        "state": {"type": "string", "enum": [state.value for state in DraftState]},
        "reasons": array_of(reference("Reason")),
        "decided_by": TEXT,
        "decided": TIME,
        "decision": TEXT,
    }
    return object_of(properties, optional=("decided_by", "decided", "decision"))


def _held() -> Schema:
    item = _held_item()
    content = {"type": "object", "description": "Header and body; absent once it waits no more."}
    since = {
        **array_of(reference("Newer")),
        "description": "What left and came in its case since it was written, oldest first: a release names each as seen. "
        "Absent where nothing did.",
    }
    return {**item, "properties": {**item["properties"], "since": since, "content": content}}


def _newer() -> Schema:
    return object_of(
        {
            "id": identifier(MessageId),
            "direction": {"type": "string", "enum": ["in", "out"]},
            "type": identifier(MessageType),
            "procedure": identifier(ProcedureId, "That of the held message, or one that is about it."),
            "at": {**TIME, "description": "Recorded (out) or received (in)."},
            "state": TEXT,
        }
    )


def _release() -> Schema:
    seen = {
        **array_of(identifier(MessageId)),
        "description": "Messages of `since` that were looked at: with another one there the release is refused.",
    }
    reason = {"type": "string", "enum": [reason.value for reason in ReleaseReason]}
    return object_of({"reason": reason, "seen": seen}, optional=("seen",))


def _unreadable() -> Schema:
    return {
        "type": "integer",
        "minimum": 1,
        "description": "Messages of this page that do not open and are not shown: the operator restores the newest backup.",
    }


def _reason() -> Schema:
    return object_of(
        {
            "rule": {"type": "string", "description": "Of the safety rules: R-01 …"},
            "code": TEXT,
            "level": {"type": "string", "enum": [level.value for level in Level]},
            "where": {"type": "string", "description": "JSON pointer into the body."},
            "text": TEXT,
        }
    )


def _message_item(types: Sequence[MessageType]) -> Schema:
    steps = dict.fromkeys(("published", "delivered", "handed_over", "opened", "refused"), TIME)
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
        "exercise": TRUTH,
        "digest": identifier(Digest),
        "state": {"type": "string", "enum": list(STATES)},
        "at": TIME,
        "refusal_code": TEXT,
        "error": TEXT,
        **steps,
    }
    return object_of(properties, optional=("procedure", "case_ref", "urgency", "refusal_code", "error", *steps))


def _upload() -> Schema:
    size: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_BYTES}
    properties: dict[str, Schema] = {
        "upload": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "size": size,
        "offset": {**size, "description": "Bytes that are kept; go on from here."},
        "media_type": {"type": "string", "enum": sorted(MEDIA_TYPES)},
        "digest": identifier(Digest, "SHA-256 of the file: compare it with your own."),
    }
    return object_of(properties, optional=("media_type", "digest"))


def _receipt() -> Schema:
    properties = {
        "issuer": identifier(CountryCode),
        "kind": {"type": "string", "enum": [kind.value for kind in ReceiptKind]},
        "at": TIME,
        "digest": identifier(Digest),
        "code": TEXT,
        "heads": array_of(identifier(Digest)),
        "record_digest": identifier(Digest),
    }
    return object_of(properties, optional=("code", "record_digest"))


def _message(item: Schema) -> Schema:
    content = object_of({"header": {"type": "object"}, "body": {"type": "object"}})
    evidence = array_of(reference("Receipt"))
    number: Schema = {"type": "integer", "minimum": 0}
    moved: dict[str, Schema] = {"place": number, "chunks": number, "moved": number, "complete": TRUTH, "code": TEXT}
    progress = object_of(moved, optional=("code",))
    return {
        **item,
        "properties": {
            **item["properties"],
            "content": content,
            "attachments": array_of(progress),
            "evidence": evidence,
            "surge": SURGE,
        },
        "required": [*item["required"], "evidence"],
    }


def _attention() -> Schema:
    properties = {
        "id": {"type": "integer", "minimum": 1},
        "code": TEXT,
        "subject": TEXT,
        "meaning": {"type": "string", "description": "Absent where another release of the program wrote the code."},
        "who_must_act": TEXT,
        "at": TIME,
        "peer": identifier(CountryCode),
        "authority": identifier(AuthorityId),
        "detail": TEXT,
        "resolved": TIME,
        "resolved_by": TEXT,
    }
    return object_of(properties, optional=("meaning", "peer", "authority", "resolved", "resolved_by"))


def _audit_row() -> Schema:
    properties = {
        "position": {"type": "integer", "minimum": 1, "description": "In the chain; absent until it is linked."},
        "at": TIME,
        "actor": TEXT,
        "role": {"type": "string", "enum": [role.value for role in AuditRole]},
        "authority": identifier(AuthorityId),
        "action": TEXT,
        "subject": TEXT,
        "procedure": identifier(ProcedureId),
        "peer": identifier(CountryCode),
        "reason": TEXT,
        "detail": TEXT,
    }
    return object_of(properties, optional=("position", "authority", "procedure", "peer"))
