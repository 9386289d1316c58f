# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Problem documents (RFC 9457), built here only: what is wrong, where, and who must act.

- No value of a request appears in one: `detail` is our own sentence, `where` a pointer of names.
- An error that is not ours gives the caller a reference number and nothing else; the log has its class and place.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import hdrs, web

from broker.catalogue import Problem
from broker.core.errors import (
    BadRequest,
    BrokerError,
    Internal,
    MethodNotAllowed,
    NodeError,
    NotFound,
    Overloaded,
    RequestTooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)

__all__ = ["MEDIA_TYPE", "document", "from_http", "new_reference", "respond", "type_of"]

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = 5
_MAX_FAULTS = 50  # a longer list helps nobody
_SEGMENT = re.compile(r"[a-z][a-z0-9_]{0,63}|[0-9]{1,6}|\??", re.ASCII)  # our schemas' names, positions in lists

_BY_STATUS: Mapping[int, type[BrokerError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: RequestTooLarge,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaType,
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.SERVICE_UNAVAILABLE: Overloaded,
    HTTPStatus.GATEWAY_TIMEOUT: Overloaded,
}


def type_of(code: str) -> str:
    """Return the problem's type: a URI reference that is the same on every node."""
    return f"/problems/{code}"


def new_reference() -> str:
    """Return a random number that joins a caller's problem document with a line of this node's log."""
    return secrets.token_hex(8)


def document(error: BrokerError, *, faults: Sequence[Problem] = (), reference: str | None = None) -> dict[str, Any]:
    """Return the problem document of one of our errors."""
    title = (type(error).__doc__ or error.code).split("\n")[0]
    problem: dict[str, Any] = {
        "type": type_of(error.code),
        "title": title,
        "status": error.http_status,
        "detail": error.detail,
        "code": error.code,
        "who_must_act": str(error.who),
    }
    if error.where:
        problem["where"] = _pointer(error.where)
    if faults:
        problem["errors"] = [
            {"pointer": _pointer(fault.pointer), "reason": fault.sentence} for fault in faults[:_MAX_FAULTS]
        ]
    if reference is not None:
        problem["reference"] = reference
    return problem


def respond(
    error: BrokerError,
    *,
    faults: Sequence[Problem] = (),
    reference: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return the HTTP answer that carries the problem document."""
    extra = dict(headers or {})
    if isinstance(error, Unauthenticated):
        extra.setdefault(hdrs.WWW_AUTHENTICATE, 'Bearer realm="trm"')
    elif isinstance(error, NodeError) and error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault(hdrs.RETRY_AFTER, str(_RETRY_AFTER_SECONDS))
    problem = document(error, faults=faults, reference=reference)
    return web.Response(status=error.http_status, body=orjson.dumps(problem), content_type=MEDIA_TYPE, headers=extra)


def from_http(status: int) -> BrokerError:
    """Return our error for a status that the HTTP library decided on; its text stays behind."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known()
    return BadRequest() if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR else Internal()


def _pointer(where: str) -> str:
    """Keep a pointer's plain names; a name that is not plain was the caller's own and could be a person's."""
    head, *segments = where.split("/")
    return "/".join([head, *(part if _SEGMENT.fullmatch(part) else "?" for part in segments)])
