# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What every request passes: counting, the token and its role, problem documents, security headers, one log line.

The log line holds method, route template, status, milliseconds, role and authority; never a raw path, a query, or the
token's subject, which names a member of staff.
"""

from __future__ import annotations

import ipaddress

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from broker.api import problems
from broker.api.requests import PRINCIPAL
from broker.api.routes import ROUTES, Route
from broker.api.services import ApiServices
from broker.api.tokens import NODE_ROLES, WHOLE_NODE, Principal
from broker.core.errors import BrokerError, Forbidden, Internal, Overloaded, Unauthenticated
from broker.logs import Event, Log

__all__ = ["SECURITY_HEADERS", "Gate"]

SECURITY_HEADERS = {
    hdrs.CACHE_CONTROL: "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    hdrs.SERVER: "trm",
}
_SCHEME = "bearer"
_UNMATCHED = "unmatched"
_METRICS = "readMetrics"
_FORWARDED = (hdrs.FORWARDED, hdrs.X_FORWARDED_FOR, "X-Real-IP", "Via")


class Gate:
    """Stands before every handler."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk
        self._routes = {(route.method, route.template): route for route in ROUTES}
        self._in_flight = 0
        self._log = Log("api")

    @property
    def middleware(self) -> Middleware:
        """The gate as aiohttp takes it."""

        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._pass(request, handler)

        return gate

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = self._desk.clock.monotonic()
        resource = request.match_info.route.resource  # None where nothing matches
        route = None if resource is None else self._routes.get((request.method, resource.canonical))
        self._in_flight += 1
        try:
            response = await self._answer(request, handler, route)
        finally:
            self._in_flight -= 1
        response.headers.update(SECURITY_HEADERS)
        self._account(request, route, response.status, self._desk.clock.monotonic() - started)
        return response

    async def _answer(self, request: web.Request, handler: Handler, route: Route | None) -> web.StreamResponse:
        try:
            if self._in_flight > self._services.limits.in_flight:
                raise Overloaded
            if route is not None:
                await self._admit(request, route)
            return await handler(request)
        except web.HTTPException as refusal:
            allow = refusal.headers.get(hdrs.ALLOW)
            return problems.respond(
                problems.from_http(refusal.status), headers={hdrs.ALLOW: allow} if allow is not None else None
            )
        except BrokerError as error:
            return self._refuse(error)
        except Exception as error:  # the last door: whatever it is, its text stays inside
            reference = problems.new_reference()
            self._log.error(Event.HTTP_FAILED, error, reference=reference)
            return problems.respond(Internal(), reference=reference)

    def _refuse(self, error: BrokerError) -> web.Response:
        if error.http_status < 500 or isinstance(error, Overloaded):
            return problems.respond(error)
        reference = problems.new_reference()
        self._log.error(Event.HTTP_FAILED, error, reference=reference)
        return problems.respond(error, reference=reference)

    async def _admit(self, request: web.Request, route: Route) -> None:
        """Verify the token and its role; an open endpoint takes a token too, but then a valid one.

        Raises:
            Unauthenticated: no token where one is needed, or one that proves nothing.
            Forbidden: the role does not permit this endpoint, or casework is asked for in no office's name.
        """
        token = _bearer(request)
        if token is None:
            if route.roles is None or self._is_local_scrape(request, route):
                return
            raise Unauthenticated
        principal = await self._services.tokens.verify(token)
        if route.roles is not None and principal.role not in route.roles:
            raise Forbidden("The token's role does not permit this.")
        of_no_office = principal.authority == WHOLE_NODE and principal.role not in NODE_ROLES
        if of_no_office and route.roles is not None and route.name != _METRICS:
            raise Forbidden("A token of no office reads metrics alone.")
        request[PRINCIPAL] = principal

    def _is_local_scrape(self, request: web.Request, route: Route) -> bool:
        """A request through a proxy on this machine also comes from loopback: its marks are refused."""
        if not (self._services.limits.metrics_on_loopback and route.name == _METRICS):
            return False
        if any(mark in request.headers for mark in _FORWARDED):
            return False
        try:
            peer = request.transport.get_extra_info("peername") if request.transport else None
            return peer is not None and ipaddress.ip_address(peer[0]).is_loopback
        except (ValueError, IndexError, TypeError):
            return False

    def _account(self, request: web.Request, route: Route | None, status: int, seconds: float) -> None:
        template = route.template if route is not None else _UNMATCHED
        principal: Principal | None = request.get(PRINCIPAL)
        caller = {} if principal is None else {"role": principal.role.value, "authority": str(principal.authority)}
        self._services.metrics.request(method=request.method, route=template, status=status, seconds=seconds)
        self._log.info(
            Event.HTTP_REQUEST,
            method=request.method,
            route=template,
            status=status,
            ms=round(seconds * 1000, 1),
            **caller,
        )


def _bearer(request: web.Request) -> str | None:
    """Return the token of the Authorization header; a token in a query is never looked at (RFC 6750 section 5.3).

    Raises:
        Unauthenticated: more than one header, or another scheme.
    """
    values = request.headers.getall(hdrs.AUTHORIZATION, [])
    if not values:
        return None
    scheme, _, token = values[0].partition(" ")
    if len(values) != 1 or scheme.lower() != _SCHEME:
        raise Unauthenticated
    return token.strip()
