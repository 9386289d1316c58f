# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the demonstration says where it fails."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from broker.demo.client import DemoFailed, OfficeClient
from broker.demo.evidence import Evidence
from broker.demo.scenario import played


class _Failing:
    """A walk that waits in vain."""

    async def play(self) -> Evidence:
        raise DemoFailed("It did not happen within 20 seconds: request handed over in FI.")


async def _health(request: web.Request) -> web.Response:
    assert request.headers["Authorization"] == "Bearer an-admins"
    checks = [{"name": "disk", "ok": False, "detail": "Only 0 MiB are free."}, {"name": "store", "ok": True}]
    return web.json_response({"live": True, "ready": False, "checks": checks}, status=503)


async def test_a_step_that_did_not_happen_says_what_the_nodes_know() -> None:
    """What fails in a node is in the sentence, by country; a node that does not answer is named too."""
    app = web.Application()
    app.router.add_get("/api/v1/health", _health)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        urls = {"EE": str(server.make_url("/")), "FI": "http://127.0.0.1:1"}
        clients = [
            OfficeClient(country=name, url=url, http=http, system="", officer="", admin="an-admins")
            for name, url in urls.items()
        ]
        with pytest.raises(DemoFailed) as failed:
            await played(_Failing(), clients)
    assert failed.value.detail == (
        "It did not happen within 20 seconds: request handed over in FI. "
        "EE's node says: Only 0 MiB are free. FI's node says: It does not answer."
    )
