# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the application: no access log of raw paths, and problem documents even for what is not HTTP.

aiohttp answers a request that it cannot parse below every middleware, with the offending bytes in text and log.
"""

from __future__ import annotations

import os

from aiohttp import web

from broker.api import problems
from broker.api.gate import SECURITY_HEADERS
from broker.core.errors import SettingsInvalid
from broker.logs import Event, Log

__all__ = ["ApiRunner", "listen"]

KEEPALIVE_SECONDS = 30.0


class _Protocol(web.RequestHandler):
    """A connection whose library-made answers are ours."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what never reached the application; neither text nor log repeats any of it."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun already")
        reference = problems.new_reference() if status >= 500 else None
        fields = {} if reference is None else {"reference": reference}
        Log("api").error(Event.HTTP_MALFORMED, exc, status=status, **fields)
        response = problems.respond(problems.from_http(status), reference=reference, headers=SECURITY_HEADERS)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class ApiRunner(web.AppRunner):
    """An AppRunner with this product's connections."""

    def __init__(self, app: web.Application) -> None:
        super().__init__(app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        kwargs = {"debug": False, **self._kwargs}
        return _Server(made.request_handler, request_factory=made.request_factory, **kwargs)


async def listen(runner: web.AppRunner, host: str, port: int) -> str:
    """Start answering; return the address.

    Raises:
        SettingsInvalid: the address is in use or not this machine's.
    """
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        said = os.strerror(error.errno).lower() if error.errno else type(error).__name__
        detail = f"The API cannot listen there: {said}."
        raise SettingsInvalid(detail, where="api_host, api_port") from None
    bound = runner.addresses[0]
    name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return f"http://{name}:{bound[1]}"
