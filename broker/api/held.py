# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that a safeguard holds: a second person of the office looks, and releases or rejects (promise P6)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from aiohttp import web

from broker.api import views
from broker.api.requests import PRINCIPAL, Query, path_id, read_json
from broker.api.services import ApiServices
from broker.core.delivery import RejectReason, ReleaseReason
from broker.core.errors import BadRequest, NotFound
from broker.core.ids import MessageId

__all__ = ["HeldMessages"]

Code = TypeVar("Code", bound=StrEnum)


class HeldMessages:
    """Handlers under /held."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of what waits for a second person of the authority, oldest first, without content.

        Raises:
            BadRequest, BadCursor: a parameter is wrong.
        """
        principal = request[PRINCIPAL]
        cursor, limit = Query(request).page(self._services.limits)
        listed = await self._services.store.read(
            lambda reader: reader.drafts(principal.authority, cursor=cursor, limit=limit)
        )
        await self._services.consult.drafts(listed, principal.who)
        return views.answer(views.page(listed, views.held_item))

    async def read(self, request: web.Request) -> web.Response:
        """Return one with its content, or what became of it.

        Raises:
            NotFound: it is not here or another authority's.
        """
        Query(request).finish()
        principal, wanted = request[PRINCIPAL], path_id(request, MessageId)
        row = await self._services.store.read(lambda reader: reader.draft(wanted, principal.authority))
        if row is None:
            raise NotFound
        await self._services.consult.draft(row, principal.who)
        return views.answer(views.held(row))

    async def release(self, request: web.Request) -> web.Response:
        """Let one leave; 202 says that it is stored for delivery.

        Raises:
            BadRequest: the body is not one known reason.
            BrokerError: it may not leave, or the caller may not decide; it waits on.
        """
        Query(request).finish()
        principal, wanted = request[PRINCIPAL], path_id(request, MessageId)
        reason = _reason(ReleaseReason, await read_json(request, self._services.limits))
        accepted = await self._services.approve.release(
            wanted,
            authority=principal.authority,
            actor=principal.subject,
            role=principal.audit_role,
            reason=reason,
        )
        return views.answer(views.accepted(accepted), status=202)

    async def reject(self, request: web.Request) -> web.Response:
        """Say that one does not leave.

        Raises:
            BadRequest: the body is not one known reason.
            NotFound, AlreadySettled: nothing waits under this id for the authority.
        """
        Query(request).finish()
        principal, wanted = request[PRINCIPAL], path_id(request, MessageId)
        reason = _reason(RejectReason, await read_json(request, self._services.limits))
        await self._services.approve.reject(
            wanted,
            authority=principal.authority,
            actor=principal.subject,
            role=principal.audit_role,
            reason=reason,
        )
        return web.Response(status=204)


def _reason(kind: type[Code], data: Any) -> Code:
    given = data["reason"] if isinstance(data, dict) and data.keys() == {"reason"} else None
    if given not in list(kind):
        raise BadRequest("The body gives one reason, of the list in the API's description.", where="/reason")
    return kind(given)
