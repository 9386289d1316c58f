# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look for a person among the office's procedures; what is looked for stands in the body, for addresses are logged."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from broker.api import views
from broker.api.answers import answer
from broker.api.requests import PRINCIPAL, Query, read_json
from broker.api.services import ApiServices
from broker.core.audit import SearchReason
from broker.core.errors import BadRequest
from broker.core.ids import ProcedureId
from broker.core.persons import PersonQuery

__all__ = ["Cases"]

_KNOWN = frozenset({"name", "born", "procedure", "reason"})


class Cases:
    """The handler of /cases/search."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk

    async def search(self, request: web.Request) -> web.Response:
        """Return the procedures that speak of that person, or may be about the child of that procedure, without contents.

        Raises:
            BadRequest: the body is not a search, or asks for too many people at once.
            NotFound: the office has no such procedure.
        """
        Query(request).finish()
        asked, reason = _asked(await read_json(request, self._services.limits))
        search, who = self._desk.search, request[PRINCIPAL].who
        if isinstance(asked, PersonQuery):
            found = await search(asked, who, reason=reason)
        else:
            found = await search.others(asked, who, reason=reason)
        return answer(views.found(found, self._desk.us))


def _asked(data: Any) -> tuple[PersonQuery | ProcedureId, SearchReason]:
    if not isinstance(data, dict) or not data.keys() <= _KNOWN:
        raise BadRequest("The body gives name, born and reason, or procedure and reason, and nothing else.", where="")
    for member, value in data.items():
        if not isinstance(value, str):
            raise BadRequest("This is a text.", where=f"/{member}")
    if data.get("reason") not in set(SearchReason):
        raise BadRequest("The body gives one reason, of the list in the API's description.", where="/reason")
    reason = SearchReason(data["reason"])
    if "procedure" not in data:
        return PersonQuery.of(data.get("name"), data.get("born")), reason
    if data.keys() & {"name", "born"}:
        raise BadRequest(
            "A procedure is asked about alone: what it says of its child is looked for.", where="/procedure"
        )
    try:
        return ProcedureId(data["procedure"]), reason
    except ValueError:
        raise BadRequest("This is no procedure.", where="/procedure") from None
