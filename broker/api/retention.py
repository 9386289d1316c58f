# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How long cases are kept, their erasure by two persons, and what is passed on; which case stands in the body."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar

from aiohttp import web

from broker.api import retention_views, views
from broker.api.answers import answer
from broker.api.requests import PRINCIPAL, Query, path_id, read_json, truth
from broker.api.services import ApiServices
from broker.core.errors import BadRequest
from broker.core.ids import CaseRef, ErasureId, MessageId, ProcedureId
from broker.core.retention import EraseReason, HoldReason, KeepReason
from broker.flows.retain.pass_on import Answer, Outcome, Passing, PassingKind

__all__ = ["Retention"]

Code = TypeVar("Code", bound=StrEnum)
_MOST = 200


class Retention:
    """Handlers under /retention, /erasures and /corrections."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk

    async def list(self, request: web.Request) -> web.Response:
        """Return until when the authority's cases are kept, the next review first.

        Raises:
            BadRequest: a parameter is wrong.
        """
        query = Query(request)
        due = query.take("due", truth)
        query.finish()
        found = await self._desk.keep.listed(request[PRINCIPAL].authority, due_only=bool(due))
        return answer({"items": [retention_views.standing(item) for item in found.items], "truncated": found.truncated})

    async def hold(self, request: web.Request) -> web.Response:
        """Put a case under a legal hold, or release it.

        Raises:
            BadRequest: the body is not one of the two.
            SenderError: not this case, or not now.
        """
        body = await self._body(request, {"case"}, {"why", "release"})
        case, who, keep = _case(body), request[PRINCIPAL].who, self._desk.keep
        if body.get("release", False) is True and "why" not in body:
            return answer(retention_views.standing(await keep.release(case, who)))
        if "release" in body:
            raise BadRequest("Say either why it is held, or that it is released.", where="/release")
        return answer(retention_views.standing(await keep.hold(case, _code(HoldReason, body, "why"), who)))

    async def review(self, request: web.Request) -> web.Response:
        """Keep a case on until a day, for a reason.

        Raises:
            BadRequest: the body is no review.
            SenderError: not this case.
        """
        body = await self._body(request, {"case", "keep_until", "why"}, set())
        until, why = _day(body), _code(KeepReason, body, "why")
        found = await self._desk.keep.review(_case(body), until, why, request[PRINCIPAL].who)
        return answer(retention_views.standing(found))

    async def propose(self, request: web.Request) -> web.Response:
        """List what an erasure takes away and, unless only that is asked for, propose it.

        Raises:
            BadRequest: the body names no case and reason.
            SenderError: it cannot be erased now.
        """
        body = await self._body(request, {"case", "reason"}, {"dry_run"})
        case, reason, who = _case(body), _code(EraseReason, body, "reason"), request[PRINCIPAL].who
        only = _dry_run(body)
        found, listed = await self._desk.erase.look(case, reason, authority=who.authority)
        document = {"reason": reason.value, "law": reason.law, "listed": retention_views.listed(found, listed)}
        if not only:
            document["erasure"] = retention_views.erasure(await self._desk.erase.propose(case, reason, who))
        return answer(document)

    async def erasures(self, request: web.Request) -> web.Response:
        """Return the authority's newest erasures.

        Raises:
            BadRequest: an unknown parameter came.
        """
        Query(request).finish()
        office = request[PRINCIPAL].authority
        found = await self._desk.store.read(
            lambda reader: [
                retention_views.erasure(row, reader.retention.duties_of(row.id))
                for row in reader.retention.erasures(office, limit=_MOST)
            ]
        )
        return answer({"items": found})

    async def confirm(self, request: web.Request) -> web.Response:
        """Erase what another person proposed.

        Raises:
            SenderError: it cannot be erased now, or not by this caller.
        """
        Query(request).finish()
        done = await self._desk.erase.confirm(path_id(request, ErasureId), request[PRINCIPAL].who)
        return answer(retention_views.erasure(done))

    async def reject(self, request: web.Request) -> web.Response:
        """Say that a case is not erased.

        Raises:
            BadRequest: another country asked for it, and no reason is given.
            SenderError: it does not wait for the authority.
        """
        body = await self._body(request, set(), {"why"})
        why = _code(KeepReason, body, "why") if "why" in body else None
        done = await self._desk.erase.reject(path_id(request, ErasureId), request[PRINCIPAL].who, why)
        return answer(retention_views.erasure(done))

    async def pass_on(self, request: web.Request) -> web.Response:
        """Tell every office that was sent the case what is decided here.

        Raises:
            BadRequest: the body does not say what.
            SenderError: not this case.
        """
        body = await self._body(request, {"case", "kind"}, {"reason", "details", "messages", "office_kind", "dry_run"})
        kind = _code(PassingKind, body, "kind")
        if ("reason" in body) is not (kind is PassingKind.ERASE):
            raise BadRequest("An erasure has a reason of the list, and nothing else has.", where="/reason")
        passing = Passing(
            kind=kind,
            reason=_code(EraseReason, body, "reason") if "reason" in body else None,
            details=_details(body),
            messages=_messages(body),
            office_kind=_text(body, "office_kind"),
        )
        only = _dry_run(body)
        found = await self._desk.pass_on(_case(body), passing, request[PRINCIPAL].who, dry_run=only)
        return answer({"items": [retention_views.told(one) for one in found]})

    async def report(self, request: web.Request) -> web.Response:
        """Answer another country's correction; 202 says that the report is stored for delivery.

        Raises:
            BadRequest: the body is no answer.
            SenderError: there is no such correction, or the report may not leave now.
        """
        body = await self._body(request, {"outcome"}, {"why", "office_kind"})
        said = Answer(
            outcome=_code(Outcome, body, "outcome"),
            why=_text(body, "why") or "",
            office_kind=_text(body, "office_kind"),
        )
        accepted = await self._desk.pass_on.answer(path_id(request, MessageId), said, request[PRINCIPAL].who)
        return answer(views.accepted(accepted), status=202)

    async def _body(self, request: web.Request, needed: set[str], more: set[str]) -> Mapping[str, Any]:
        Query(request).finish()
        data = await read_json(request, self._services.limits)
        if not isinstance(data, dict) or not needed <= data.keys() <= needed | more:
            raise BadRequest("The body has other members than the API's description says.", where="")
        return data


def _case(body: Mapping[str, Any]) -> CaseRef | ProcedureId:
    text = body["case"]
    if isinstance(text, str):
        for kind in (CaseRef, ProcedureId):
            try:
                return kind(text)
            except ValueError:
                continue
    raise BadRequest("This is neither a case reference nor a procedure.", where="/case")


def _code(kind: type[Code], body: Mapping[str, Any], name: str) -> Code:
    if body.get(name) not in list(kind):
        raise BadRequest("This is one code of the list in the API's description.", where=f"/{name}")
    return kind(body[name])


def _day(body: Mapping[str, Any]) -> date:
    try:
        return date.fromisoformat(body["keep_until"])
    except (ValueError, TypeError):
        raise BadRequest("This is not a day like 2027-06-30.", where="/keep_until") from None


def _dry_run(body: Mapping[str, Any]) -> bool:
    value = body.get("dry_run", False)
    if not isinstance(value, bool):
        raise BadRequest("This is true or false.", where="/dry_run")
    return value


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if name in body and not isinstance(value, str):
        raise BadRequest("This is a text.", where=f"/{name}")
    return value


def _details(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    value = body.get("details", {})
    if not isinstance(value, dict):
        raise BadRequest("This is an object: members of the message's body.", where="/details")
    return value


def _messages(body: Mapping[str, Any]) -> tuple[MessageId, ...]:
    value = body.get("messages", [])
    try:
        if isinstance(value, list):
            return tuple(MessageId(item) for item in value)
    except ValueError:
        pass  # answered below like every other wrong value; the error's own text could repeat it
    raise BadRequest("This is a list of messages' ids.", where="/messages")
