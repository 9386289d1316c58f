# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look at procedures: their record, what may be done next, and what proves each step."""

from __future__ import annotations

from aiohttp import web

from broker.api import views
from broker.api.answers import answer
from broker.api.requests import PRINCIPAL, Query, path_id
from broker.api.services import ApiServices
from broker.core.ids import ProcedureId
from broker.flows.inspect import ProcedureView

__all__ = ["Procedures"]


class Procedures:
    """Handlers under /procedures."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of the authority's procedures.

        Raises:
            BadRequest, BadCursor: a parameter is wrong.
        """
        us, principal = self._desk.us, request[PRINCIPAL]
        cursor, limit = Query(request).page(self._services.limits)
        listed, surge = await self._desk.looked(
            lambda reader: reader.procedures(principal.authority, cursor=cursor, limit=limit)
        )
        await self._desk.consult.procedures(listed, principal.who)
        return answer(views.page(listed, lambda row: views.procedure_item(row, us), surge))

    async def read(self, request: web.Request) -> web.Response:
        """Return a procedure with its record.

        Raises:
            NotFound: it is not here or another authority's.
        """
        view = await self._view(request)
        return answer(views.procedure(view, self._desk.us))

    async def actions(self, request: web.Request) -> web.Response:
        """Return what this side may do next, as message types.

        Raises:
            NotFound: it is not here or another authority's.
        """
        view = await self._view(request)
        return answer({"procedure": str(view.row.ref.id), "state": view.state, "items": views.actions(view)})

    async def timeline(self, request: web.Request) -> web.Response:
        """Return every step, oldest first.

        Raises:
            NotFound: it is not here or another authority's.
        """
        view = await self._view(request)
        wanted = view.row.ref.id
        lines = await self._desk.inspect.timeline(wanted, authority=request[PRINCIPAL].authority)
        return answer({"procedure": str(wanted), "items": [views.timeline(line) for line in lines]})

    async def _view(self, request: web.Request) -> ProcedureView:
        """Return the procedure that the path names, once it is on record who looks at it."""
        Query(request).finish()
        principal, wanted = request[PRINCIPAL], path_id(request, ProcedureId)
        view = await self._desk.inspect.procedure(wanted, authority=principal.authority)
        await self._desk.consult.procedure(view.row, principal.who)
        return view
