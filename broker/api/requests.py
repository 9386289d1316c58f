# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Reads what a caller sent: bounded and checked before anything is done with it.

- Sizes, times and depths are limited before parsing; unknown and repeated query parameters are refused.
- An error names the parameter of ours that is wrong, never the caller's text.
- A member name that comes twice counts once, with its last value: what is stored and signed is made by this node from
  the parsed value, so a second reading of the caller's bytes does not exist.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar

import aiohttp
import orjson
from aiohttp import hdrs, web

from broker.api.services import ApiLimits
from broker.api.tokens import NODE_ROLES, WHOLE_NODE, Principal
from broker.core.audit import Who
from broker.core.canonical import MAX_DEPTH
from broker.core.delivery import ReleaseReason
from broker.core.errors import BadRequest, NotFound, RequestTooLarge, UnsupportedMediaType
from broker.core.ids import AuthorityId, MessageId

__all__ = [
    "DEFAULT_PAGE",
    "IDEMPOTENCY_KEY",
    "PRINCIPAL",
    "Query",
    "acting",
    "idempotency_key",
    "number",
    "path_id",
    "read_json",
    "read_reason",
    "read_release",
    "scope",
    "truth",
]

T = TypeVar("T")
Code = TypeVar("Code", bound=StrEnum)

DEFAULT_PAGE = 50
IDEMPOTENCY_KEY = "Idempotency-Key"
PRINCIPAL = web.RequestKey("principal", Principal)

_KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_CURSOR = re.compile(r"[A-Za-z0-9_.:=~-]{1,256}", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


async def read_json(request: web.Request, limits: ApiLimits) -> Any:
    """Return the body's JSON value.

    Raises:
        UnsupportedMediaType: it is not plain application/json.
        RequestTooLarge: it is larger than this node takes.
        BadRequest: it is not JSON, nested too deep, or did not arrive in time.
    """
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() != "utf-8":
        raise UnsupportedMediaType
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise UnsupportedMediaType("A compressed request body is not taken.")
    if (request.content_length or 0) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(limits) from None
    except TimeoutError:
        raise BadRequest("The request body did not arrive in time.") from None
    except (aiohttp.ClientPayloadError, web.RequestPayloadError):
        raise BadRequest("The request body did not arrive whole.") from None
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadRequest("The request body is not JSON.") from None
    if _too_deep(value):
        raise BadRequest("The request body is nested too deep.")
    return value


async def read_reason(request: web.Request, limits: ApiLimits, codes: Iterable[Code]) -> Code:
    """Return the one reason that the body gives, of a closed list.

    Raises:
        BadRequest: the body is anything else.
        BrokerError: as `read_json`.
    """
    data = await read_json(request, limits)
    return _reason(data if isinstance(data, dict) and data.keys() == {"reason"} else {}, codes)


async def read_release(request: web.Request, limits: ApiLimits) -> tuple[ReleaseReason, frozenset[MessageId]]:
    """Return the reason for a release that the body gives, and the newer messages that it names as seen.

    Raises:
        BadRequest: the body is anything else.
        BrokerError: as `read_json`.
    """
    data = await read_json(request, limits)
    given = data if isinstance(data, dict) and data.keys() <= {"reason", "seen"} else {}
    reason, seen = _reason(given, ReleaseReason), given.get("seen", [])
    if not isinstance(seen, list):
        raise BadRequest("What was seen is a list of ids of messages.", where="/seen")
    try:
        return reason, frozenset(MessageId(one) for one in seen)
    except ValueError:
        raise BadRequest("What was seen is a list of ids of messages.", where="/seen") from None


def _reason(data: dict[str, Any], codes: Iterable[Code]) -> Code:
    given = data.get("reason")
    for code in codes:
        if given == code:
            return code
    raise BadRequest("The body gives one reason, of the list in the API's description.", where="/reason")


def _too_large(limits: ApiLimits) -> RequestTooLarge:
    return RequestTooLarge(f"The request body is larger than the {limits.body_bytes} bytes that this node takes.")


def idempotency_key(request: web.Request) -> str:
    """Return the key by which the caller may ask the same thing again.

    Raises:
        BadRequest: it is missing, comes twice, or is not 1 to 128 printable ASCII characters.
    """
    keys = request.headers.getall(IDEMPOTENCY_KEY, [])
    if len(keys) != 1:
        raise BadRequest("Exactly one Idempotency-Key is required.", where=f"header {IDEMPOTENCY_KEY}")
    if _KEY.fullmatch(keys[0]) is None:
        raise BadRequest(
            "The Idempotency-Key is 1 to 128 printable ASCII characters.", where=f"header {IDEMPOTENCY_KEY}"
        )
    return keys[0]


def scope(principal: Principal) -> AuthorityId | None:
    """Return the office that a request is limited to; None is the whole node."""
    whole = principal.authority == WHOLE_NODE and principal.role in NODE_ROLES
    return None if whole else principal.authority


def acting(principal: Principal) -> Who:
    """Return the caller as who acts, within what the request is limited to."""
    return replace(principal.who, authority=scope(principal))


def path_id(request: web.Request, parse: Callable[[str], T], *, name: str = "id") -> T:
    """Return the identifier in the path; an impossible one does not exist.

    Raises:
        NotFound: it does not have the identifier's form.
    """
    try:
        return parse(request.match_info[name])
    except ValueError:
        raise NotFound from None


def number(text: str) -> int:
    """Return a positive whole number.

    Raises:
        ValueError: it is not one.
    """
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("not a positive number")
    return int(text)


def truth(text: str) -> bool:
    """Return whether the text is true and not false.

    Raises:
        ValueError: it is neither.
    """
    if text not in {"true", "false"}:
        raise ValueError("neither true nor false")
    return text == "true"


class Query:
    """Takes parameters out of a query one by one, so that what is left over is unknown."""

    def __init__(self, request: web.Request) -> None:
        self._left: dict[str, str] = {}
        for name, value in request.query.items():
            if name in self._left:
                raise BadRequest("A query parameter comes twice.", where="query")
            self._left[name] = value

    def take(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return a parameter's parsed value, None where it is absent.

        Raises:
            BadRequest: it does not have its form.
        """
        if name not in self._left:
            return None
        try:
            return parse(self._left.pop(name))
        except ValueError:
            raise BadRequest("The query parameter does not have its form.", where=f"query {name}") from None

    def page(self, limits: ApiLimits) -> tuple[str | None, int]:
        """Return cursor and limit, and refuse whatever else is left.

        Raises:
            BadRequest: one of them does not have its form, or an unknown parameter came.
        """
        cursor = self.take("cursor", _cursor)
        limit = self.take("limit", number)
        if limit is not None and limit > limits.page:
            raise BadRequest("The page limit is larger than this node allows.", where="query limit")
        self.finish()
        return cursor, limit or min(DEFAULT_PAGE, limits.page)

    def finish(self) -> None:
        """Refuse what is left.

        Raises:
            BadRequest: an unknown parameter came.
        """
        if self._left:
            raise BadRequest("An unknown query parameter.", where="query")


def _cursor(text: str) -> str:
    if _CURSOR.fullmatch(text) is None:
        raise ValueError("not a cursor")
    return text


def _too_deep(value: Any) -> bool:
    """Look level by level: depth cannot exhaust the stack."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for container in level
            if isinstance(container, list | dict)
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, list | dict)
        ]
        if not level:
            return False
    return True
