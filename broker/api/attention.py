# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What people must look at, and the trail of who did what.

An admin or auditor of the authority ``node`` speaks for the installation itself and sees what concerns no single office.
"""

from __future__ import annotations

from aiohttp import web

from broker.api import views
from broker.api.answers import answer
from broker.api.requests import PRINCIPAL, Query, acting, number, path_id, scope, truth
from broker.api.services import ApiServices
from broker.api.tokens import WHOLE_NODE
from broker.core.attention import AttentionCode
from broker.core.audit import AuditReason
from broker.core.errors import Forbidden
from broker.core.ids import CountryCode

__all__ = ["AttentionList", "AuditTrail"]

_CODES = {code.value: code for code in AttentionCode}


class AttentionList:
    """Handlers under /attention."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of entries, open ones only unless asked otherwise.

        Raises:
            BadRequest, BadCursor: a parameter is wrong.
        """
        authority = scope(request[PRINCIPAL])
        query = Query(request)
        open_only = query.take("open", truth) is not False
        peer, code = query.take("peer", CountryCode), query.take("code", _code)
        cursor, limit = query.page(self._services.limits)
        listed, surge = await self._desk.looked(
            lambda reader: reader.attention(
                authority, open_only=open_only, peer=peer, code=code, cursor=cursor, limit=limit
            )
        )
        return answer(views.page(listed, views.attention, surge))

    async def resolve(self, request: web.Request) -> web.Response:
        """State that a person has looked after an entry.

        Raises:
            NotFound: there is no such open entry for the authority.
        """
        Query(request).finish()
        await self._desk.attend.resolve(path_id(request, number), acting(request[PRINCIPAL]))
        return web.Response(status=204)


class AuditTrail:
    """The handler of /audit."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk

    async def list(self, request: web.Request) -> web.Response:
        """Return a page of the node's audit trail.

        Raises:
            Forbidden: the trail is the whole node's, and the token speaks for one office.
            BadRequest, BadCursor: a parameter is wrong.
        """
        cursor, limit = Query(request).page(self._services.limits)
        principal = request[PRINCIPAL]
        if principal.authority != WHOLE_NODE:
            raise Forbidden("The audit trail is the whole node's; the token must be of the authority `node`.")
        listed = await self._desk.store.read(lambda reader: reader.audit(cursor=cursor, limit=limit))
        await self._desk.consult.trail(listed, principal.who, reason=AuditReason.SELF_MONITORING)
        return answer(views.page(listed, views.audit_row))


def _code(text: str) -> AttentionCode:
    if text not in _CODES:
        raise ValueError("no code")
    return _CODES[text]
