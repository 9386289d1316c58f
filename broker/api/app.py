# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Puts the API together from its services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from broker.api.attachments import Attachments
from broker.api.attention import AttentionList, AuditTrail
from broker.api.cases import Cases
from broker.api.directory import Directory
from broker.api.gate import Gate
from broker.api.health import Health
from broker.api.held import HeldMessages
from broker.api.messages import Messages
from broker.api.procedures import Procedures
from broker.api.requests import Query
from broker.api.retention import Retention
from broker.api.routes import ROUTES
from broker.api.services import ApiServices

__all__ = ["create_app"]


def create_app(services: ApiServices) -> web.Application:
    """Return the application; `serving.ApiRunner` runs it. It closes the token verifier when it ends."""
    app = web.Application(middlewares=[Gate(services).middleware], client_max_size=services.limits.body_bytes)
    handlers = _handlers(services)
    if handlers.keys() != {route.name for route in ROUTES}:
        raise RuntimeError("every route has exactly one handler")
    for route in ROUTES:
        app.router.add_route(route.method, route.template, handlers[route.name])
    app.on_cleanup.append(_closing(services))
    return app


def _closing(services: ApiServices) -> Callable[[web.Application], Awaitable[None]]:
    async def close(_: web.Application) -> None:
        await services.tokens.close()

    return close


def _handlers(services: ApiServices) -> dict[str, Handler]:
    messages, procedures = Messages(services), Procedures(services)
    held = HeldMessages(services)
    attention, health = AttentionList(services), Health(services)
    attachments, retention = Attachments(services), Retention(services)
    return {
        "submitMessage": messages.submit,
        "listMessages": messages.list,
        "readMessage": messages.read,
        "markOpened": messages.mark_opened,
        "resendMessage": messages.resend,
        "listHeld": held.list,
        "readHeld": held.read,
        "releaseHeld": held.release,
        "rejectHeld": held.reject,
        "beginUpload": attachments.begin,
        "findUpload": attachments.find,
        "showUpload": attachments.find,
        "appendUpload": attachments.append,
        "readAttachment": attachments.download,
        "listProcedures": procedures.list,
        "readProcedure": procedures.read,
        "listActions": procedures.actions,
        "readTimeline": procedures.timeline,
        "searchCases": Cases(services).search,
        "listRetention": retention.list,
        "holdCase": retention.hold,
        "reviewCase": retention.review,
        "proposeErasure": retention.propose,
        "listErasures": retention.erasures,
        "confirmErasure": retention.confirm,
        "rejectErasure": retention.reject,
        "passOn": retention.pass_on,
        "reportCorrection": retention.report,
        "listAttention": attention.list,
        "resolveAttention": attention.resolve,
        "listMembers": Directory(services).list,
        "listAudit": AuditTrail(services).list,
        "readHealth": health.read,
        "readMetrics": health.metrics,
        "readDescription": _description(services),
    }


def _description(services: ApiServices) -> Handler:
    @cache
    def document() -> bytes:
        from broker.api.openapi import describe  # few nodes are ever asked

        return orjson.dumps(describe(services))

    async def read(request: web.Request) -> web.Response:
        Query(request).finish()
        return web.Response(body=document(), content_type="application/json")

    return read
