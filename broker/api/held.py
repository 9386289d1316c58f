# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that a safeguard holds: a second person of the office looks, and releases or rejects (promise P6)."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from aiohttp import web

from broker.api import views
from broker.api.answers import answer
from broker.api.requests import PRINCIPAL, Query, path_id, read_reason, read_release
from broker.api.services import ApiServices
from broker.core.delivery import RejectReason
from broker.core.errors import NotFound
from broker.core.ids import MessageId

__all__ = ["HeldMessages"]

Code = TypeVar("Code", bound=StrEnum)


class HeldMessages:
    """Handlers under /held."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of what waits for a second person of the authority, oldest first, without content.

        Raises:
            BadRequest, BadCursor: a parameter is wrong.
        """
        principal = request[PRINCIPAL]
        cursor, limit = Query(request).page(self._services.limits)
        listed, surge = await self._desk.looked(
            lambda reader: reader.drafts(principal.authority, cursor=cursor, limit=limit)
        )
        await self._desk.consult.drafts(listed, principal.who)
        return answer(views.page(listed, views.held_item, surge))

    async def read(self, request: web.Request) -> web.Response:
        """Return one with its content and what left and came in its case since, or what became of it.

        Raises:
            NotFound: it is not here or another authority's.
        """
        Query(request).finish()
        principal, wanted = request[PRINCIPAL], path_id(request, MessageId)
        row = await self._desk.store.read(lambda reader: reader.draft(wanted, principal.authority))
        if row is None:
            raise NotFound
        since = await self._desk.approve.newer(row)
        await self._desk.consult.draft(row, principal.who)
        return answer(views.held(row, since))

    async def release(self, request: web.Request) -> web.Response:
        """Let one leave; 202 says that it is stored for delivery.

        Raises:
            BadRequest: the body is not one known reason, and the newer messages that were seen.
            BrokerError: it may not leave, or the caller may not decide; it waits on.
        """
        Query(request).finish()
        wanted = path_id(request, MessageId)
        reason, seen = await read_release(request, self._services.limits)
        accepted = await self._desk.approve.release(wanted, request[PRINCIPAL].who, reason, seen)
        return answer(views.accepted(accepted), status=202)

    async def reject(self, request: web.Request) -> web.Response:
        """Say that one does not leave.

        Raises:
            BadRequest: the body is not one known reason.
            NotFound, AlreadySettled: nothing waits under this id for the authority.
        """
        Query(request).finish()
        wanted = path_id(request, MessageId)
        reason = await read_reason(request, self._services.limits, RejectReason)
        await self._desk.approve.reject(wanted, request[PRINCIPAL].who, reason)
        return web.Response(status=204)
