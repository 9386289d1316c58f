# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the node is alive and ready, and its metrics.

Alive is that this answers at all; ready is that every check passes (503 otherwise). Which check failed, and why, is for
the node's admin only. The answer is kept for a moment: the page is open to anyone and each check costs something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import hdrs, web

from broker.api.answers import answer
from broker.api.requests import PRINCIPAL, Query
from broker.api.services import ApiServices, HealthCheck
from broker.api.tokens import Role
from broker.core.errors import BrokerError
from broker.metrics import CONTENT_TYPE

__all__ = ["Health"]


class Health:
    """Handlers of /health and /metrics."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk
        self._found: Mapping[str, str | None] = {}
        self._at: float | None = None
        self._lock = asyncio.Lock()

    async def read(self, request: web.Request) -> web.Response:
        """Return the node's health.

        Raises:
            BadRequest: a parameter came.
        """
        Query(request).finish()
        found = await self._checks()
        ready = not any(found.values())
        data: dict[str, Any] = {"live": True, "ready": ready}
        principal = request.get(PRINCIPAL)
        if principal is not None and principal.role is Role.ADMIN:
            data["checks"] = [
                {"name": name, "ok": problem is None, **({"detail": problem} if problem else {})}
                for name, problem in sorted(found.items())
            ]
        return answer(data, status=200 if ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """Return the metrics, gauges as of now.

        Raises:
            NodeError: the store does not answer.
        """
        Query(request).finish()
        counts = await self._desk.store.read(lambda reader: reader.counts())
        body = self._services.metrics.exposition(counts)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})

    async def _checks(self) -> Mapping[str, str | None]:
        async with self._lock:  # one round for all who ask at the same time
            now = self._desk.clock.monotonic()
            if self._at is None or now - self._at >= self._services.limits.health_cache_seconds:
                names = tuple(self._services.health)
                results = await asyncio.gather(*(self._check(self._services.health[name]) for name in names))
                self._found, self._at = dict(zip(names, results, strict=True)), now
            return self._found

    async def _check(self, check: HealthCheck) -> str | None:
        try:
            async with asyncio.timeout(self._services.limits.check_seconds):
                return await check()
        except TimeoutError:
            return "The check did not answer in time."
        except BrokerError as error:
            return error.detail
        except Exception as error:
            return f"The check failed: {type(error).__name__}."
