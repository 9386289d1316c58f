# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Health and metrics over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from broker.api.app import create_app
from broker.core.errors import StoreUnavailable

HEALTH, METRICS = "/api/v1/health", "/api/v1/metrics"


async def fine() -> str | None:
    """In order."""
    return None


async def away() -> str | None:
    """Not in order."""
    return "The broker is away."


async def fails() -> str | None:
    """A check that raises with a text that nobody may see."""
    raise ValueError("Test-Maarika Näidis")


async def refuses() -> str | None:
    """A check that raises one of our errors."""
    raise StoreUnavailable


async def hangs() -> str | None:
    """A check that never answers."""
    await asyncio.Event().wait()
    return None


async def test_outsiders_learn_ready_or_not(open_desk: Callable[..., Any]) -> None:
    """Without a token the page says alive and ready, and nothing about what it consists of."""
    good = await (await open_desk(health={"store": fine})).ask("GET", HEALTH)
    bad = await (await open_desk(health={"store": fine, "transport": away})).ask("GET", HEALTH)

    assert (good.status, good.json) == (200, {"live": True, "ready": True})
    assert (bad.status, bad.json) == (503, {"live": True, "ready": False})


async def test_admin_sees_the_checks(open_desk: Callable[..., Any], services: Any, names: SimpleNamespace) -> None:
    """An admin sees each check; failing ones say one sentence, never an exception's text."""
    checks = {"a": fine, "b": away, "c": fails, "d": refuses, "e": hangs}
    desk = await open_desk(health=checks, limits=replace(services.limits, check_seconds=0.05))
    reply = await desk.ask("GET", HEALTH, token=desk.token(role="admin", authority=names.node))
    officer = await desk.ask("GET", HEALTH, token=desk.token())

    assert reply.status == 503
    assert reply.json["checks"] == [
        {"name": "a", "ok": True},
        {"name": "b", "ok": False, "detail": "The broker is away."},
        {"name": "c", "ok": False, "detail": "The check failed: ValueError."},
        {"name": "d", "ok": False, "detail": "The database does not answer."},
        {"name": "e", "ok": False, "detail": "The check did not answer in time."},
    ]
    assert "checks" not in officer.json


async def test_open_page_does_not_load_the_store(open_desk: Callable[..., Any]) -> None:
    """However often strangers ask, the checks run at most once a moment."""
    runs = 0

    async def counted() -> str | None:
        nonlocal runs
        runs += 1
        return None

    desk = await open_desk(health={"store": counted})
    await asyncio.gather(*(desk.ask("GET", HEALTH) for _ in range(20)))
    assert runs == 1
    desk.clock.advance(1)
    await desk.ask("GET", HEALTH)

    assert runs == 2


async def test_metrics_show_counts_and_requests(desk: Any, document: dict[str, Any], names: SimpleNamespace) -> None:
    """A scrape shows the store's gauges and the requests by route template."""
    await desk.submit(document)
    reply = await desk.ask("GET", METRICS, token=desk.token(role="admin", authority=names.node))

    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'trm_outbox{state="recorded"} 1.0' in reply.text
    assert 'trm_http_requests_total{method="POST",route="/api/v1/messages",status="202"} 1.0' in reply.text


@pytest.mark.parametrize(
    ("allowed", "headers", "status"),
    [
        (False, {}, 401),
        (True, {}, 200),
        (True, {"X-Forwarded-For": "192.0.2.1"}, 401),
        (True, {"Forwarded": "for=192.0.2.1"}, 401),
        (True, {"Authorization": "Bearer x.y.z"}, 401),
    ],
)
async def test_scrape_from_this_machine_by_setting_only(
    open_desk: Callable[..., Any], services: Any, allowed: bool, headers: dict[str, str], status: int
) -> None:
    """Without a token only this machine scrapes, only when the setting says so, and never through a proxy."""
    desk = await open_desk(limits=replace(services.limits, metrics_on_loopback=allowed))

    assert (await desk.ask("GET", METRICS, headers=headers)).status == status
    assert (await desk.ask("GET", "/api/v1/attention", headers=headers)).status == 401


class From:
    """A connection from an address."""

    def __init__(self, peername: object) -> None:
        self._peername = peername

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Tell where it comes from."""
        return self._peername if name == "peername" else default


@pytest.mark.parametrize(
    ("peername", "status"),
    [
        (("127.0.0.1", 9), 200), (("127.8.8.8", 9), 200), (("::1", 9, 0, 0), 200), (("192.0.2.7", 9), 401),
        (("2001:db8::7", 9, 0, 0), 401), (("0.0.0.0", 9), 401), (None, 401), ("", 401), (("here", 9), 401), ((), 401),
    ],
    ids=str,
)  # fmt: skip
async def test_only_loopback_scrapes_without_a_token(services: Any, peername: object, status: int) -> None:
    """The address of the connection decides; one that is not known is none of this machine."""
    app = create_app(replace(services, limits=replace(services.limits, metrics_on_loopback=True)))
    app.freeze()
    request = make_mocked_request("GET", METRICS, app=app, transport=From(peername))

    assert (await app._handle(request)).status == status
