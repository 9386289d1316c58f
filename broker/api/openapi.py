# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, made from the route table, the error tree and the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from broker.api import problems
from broker.api.attachments import BYTES_TYPE
from broker.api.components import components
from broker.api.messages import STATES, Direction
from broker.api.requests import DEFAULT_PAGE, IDEMPOTENCY_KEY
from broker.api.routes import ROUTES, Route
from broker.api.schema_forms import Schema, identifier, reference, types_schema
from broker.api.services import ApiLimits, ApiServices, casework_types
from broker.core.attachments import MAX_BYTES, MEDIA_TYPES
from broker.core.attention import AttentionCode
from broker.core.errors import (
    BadRequest,
    BrokerError,
    Forbidden,
    Internal,
    IssuerUnavailable,
    Overloaded,
    StoreUnavailable,
    Unauthenticated,
)
from broker.core.ids import CountryCode, Digest, MessageId, MessageType, ProcedureId

__all__ = ["describe"]

API_VERSION = "1.0"
_EVERYWHERE: tuple[type[BrokerError], ...] = (BadRequest, Internal, StoreUnavailable, Overloaded)
_WITH_TOKEN: tuple[type[BrokerError], ...] = (Unauthenticated, Forbidden, IssuerUnavailable)
_PATH_IDS: dict[str, type[MessageId | ProcedureId]] = {
    "/messages/{id}": MessageId,
    "/held/{id}": MessageId,
    "/erasures/{id}": MessageId,  # of the same form
    "/procedures/{id}": ProcedureId,
}


def describe(services: ApiServices) -> dict[str, Any]:
    """Return the document."""
    types = casework_types(services.desk.catalogue)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, types, services.limits)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "trm-broker API",
            "version": API_VERSION,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This node."}],
        "paths": paths,
        "components": {
            "schemas": components(services.desk.catalogue),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": _TOKENS},
            },
        },
    }


_INTRODUCTION = """\
One country's node of the transnational referral mechanism. Every request but health and this document carries a bearer
token with a role and an authority; what belongs to another authority is answered like what does not exist. Every
refusal is a problem document (RFC 9457) with a stable code, the place, and who must act."""
_TOKENS = """\
A token comes from the identity provider that the node's settings name, else from the node itself (`trm token`, which its
operator runs). It names a person or system, a role, and the one authority that it speaks for: as such it must stand in
`sender` of what is submitted."""


def _operation(route: Route, types: Sequence[MessageType], limits: ApiLimits) -> dict[str, Any]:
    roles = "anyone" if route.roles is None else ", ".join(sorted(route.roles))
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"Open to: {roles}.",
        "security": [{}, {"token": []}] if route.name == "readHealth" else _security(route),
        "responses": _responses(route),
    }
    parameters = _parameters(route, types, limits)
    if parameters:
        operation["parameters"] = parameters
    if route.submission:
        media = {"schema": reference("Submission"), "examples": _examples(types)}
        operation["requestBody"] = {"required": True, "content": {"application/json": media}}
    if route.takes:
        media = {BYTES_TYPE: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": route.method == "PATCH", "content": media}
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": reference(route.body)}},
        }
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    return [] if route.roles is None else [{"token": []}]


def _parameters(route: Route, types: Sequence[MessageType], limits: ApiLimits) -> list[Schema]:
    known = _queries(types, limits)
    parameters = [
        {"name": name, "in": "query", "required": False, "schema": known[name], "description": _ABOUT[name]}
        for name in route.query
    ]
    if "{digest}" in route.path:
        digest = {"name": "digest", "in": "path", "required": True, "schema": identifier(Digest)}
        parameters.insert(0, digest)
    if "{id}" in route.path:
        parameters.insert(0, {"name": "id", "in": "path", "required": True, "schema": _path_schema(route)})
    number = {"type": "integer", "minimum": 0, "maximum": MAX_BYTES}
    parameters += [{"name": name, "in": "header", "required": True, "schema": number} for name in route.takes]
    if route.submission:
        key = {"type": "string", "pattern": "^[!-~]{1,128}$", "examples": ["0f3a-2026-11-22"]}
        about = "Names this request: sent again with the same body, it gives the same answer and stores nothing."
        parameters.append(
            {"name": IDEMPOTENCY_KEY, "in": "header", "required": True, "schema": key, "description": about}
        )
    return parameters


_ABOUT = {
    "direction": "Received or sent by this node.",
    "peer": "The other country.",
    "procedure": "Messages of one procedure.",
    "type": "Messages of one type.",
    "state": "Where the message stands on the evidence ladder.",
    "code": "What a person is called for.",
    "open": "false: entries that were looked after, too.",
    "due": "true: only what is to be reviewed now.",
    "cursor": "The `next` of the page before.",
    "limit": "Most items in the page.",
}


def _queries(types: Sequence[MessageType], limits: ApiLimits) -> dict[str, Schema]:
    default = min(DEFAULT_PAGE, limits.page)
    return {
        "direction": {"type": "string", "enum": [direction.value for direction in Direction]},
        "peer": identifier(CountryCode),
        "procedure": identifier(ProcedureId),
        "type": types_schema(types),
        "state": {"type": "string", "enum": list(STATES)},
        "code": {"type": "string", "enum": [code.value for code in AttentionCode]},
        "open": {"type": "boolean", "default": True},
        "due": {"type": "boolean", "default": False},
        "cursor": {"type": "string", "pattern": "^[A-Za-z0-9_.:=~-]{1,256}$"},
        "limit": {"type": "integer", "minimum": 1, "maximum": limits.page, "default": default},
    }


def _path_schema(route: Route) -> Schema:
    if route.path.startswith("/attachments/"):
        return {"type": "string", "pattern": "^[0-9a-f]{32}$"}
    for path, kind in _PATH_IDS.items():
        if route.path.startswith(path):
            return identifier(kind)
    return {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {str(route.status): _success(route)}
    errors = (
        *_EVERYWHERE,
        *(_WITH_TOKEN if route.roles is not None or route.name == "readHealth" else ()),
        *route.errors,
    )
    by_status: dict[int, set[str]] = {}
    for error in errors:
        by_status.setdefault(error.http_status, set()).add(error.code)
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = _refusal(codes)
    if route.name == "readHealth":
        not_ready = {"schema": {"oneOf": [reference("Health"), reference("Problem")]}}
        responses["503"] = {
            "description": "Alive, but not ready.",
            "content": {"application/json": not_ready, problems.MEDIA_TYPE: {"schema": reference("Problem")}},
        }
    return responses


def _success(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": route.summary}
    if route.answer is not None:
        success["content"] = {"application/json": {"schema": reference(route.answer)}}
    elif route.file:
        binary = {"schema": {"type": "string", "format": "binary"}}
        success["content"] = dict.fromkeys(sorted(MEDIA_TYPES), binary)
    elif route.name == "readMetrics":
        success["content"] = {"text/plain": {"schema": {"type": "string"}}}
    if route.submission:
        where = {"type": "string", "description": "Where the message can be read."}
        success["headers"] = {"Location": {"required": True, "schema": where}}
    return success


def _refusal(codes: Iterable[str]) -> dict[str, Any]:
    return {
        "description": "Problem: " + ", ".join(f"`{code}`" for code in sorted(codes)) + ".",
        "content": {problems.MEDIA_TYPE: {"schema": reference("Problem")}},
    }


def _examples(types: Sequence[MessageType]) -> dict[str, Any]:
    """Return a message about nobody that begins a procedure and is valid as it stands, where the catalogue knows it."""
    return {"question": {"value": _QUESTION}} if _QUESTION["type"] in map(str, types) else {}


_QUESTION: dict[str, Any] = {
    "type": "consultation.question",
    "sender": {"authority": "social-insurance-board"},
    "recipient": {"country": "FI", "authority": "national-assistance-system"},
    "legal_basis": {"code": "B2B_77"},
    "purpose": "Learn which office is competent",
    "urgency": "ROUTINE",
    "language": "en",
    "exercise": True,
    "body": {
        "topics": ["COMPETENT_OFFICE"],
        "questions": [{"question": "Q1", "text": "Which office takes over when a child turns 18 during a procedure?"}],
        "situation": {
            "age_group": {"not_applicable": True},
            "forms": {"not_applicable": True},
            "needs": {"not_applicable": True},
            "national_of_asked_state": {"not_applicable": True},
        },
        "contact": {
            "office": {
                "name": "Example office (synthetic)",
                "kind": "FOCAL_POINT",
                "country": "EE",
                "authority": "social-insurance-board",
            },
            "phone": "+372 000 0000",
            "availability": "OFFICE_HOURS",
            "languages": ["en"],
        },
    },
}
