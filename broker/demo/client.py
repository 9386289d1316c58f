# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One office's system at the HTTP API of its country's node, the way a national system would use it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from broker.core.errors import NodeError
from broker.demo.evidence import Line

__all__ = ["DemoFailed", "OfficeClient", "until"]

_POLL_SECONDS = 0.05


class DemoFailed(NodeError):
    """A step of the demonstration did not happen."""

    code = "demo-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficeClient:
    """Calls one node as one office; `system` is its system's token, `officer` a person's, `admin` its operator's."""

    country: str
    url: str
    http: aiohttp.ClientSession
    system: str
    officer: str
    admin: str = ""

    async def submit(self, data: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Submit and return the acceptance.

        Raises:
            DemoFailed: the node refused.
        """
        headers = {"Idempotency-Key": key}
        return await self._call("POST", "/messages", token=self.system, json=data, headers=headers, wanted=202)

    async def messages(self, procedure: str | None = None) -> list[dict[str, Any]]:
        """Return the office's messages, without content."""
        query = {"procedure": procedure} if procedure else {}
        answer = await self._call("GET", "/messages", token=self.system, params=query)
        return list(answer["items"])

    async def message(self, message: str) -> dict[str, Any]:
        """Return one message with its content."""
        return await self._call("GET", f"/messages/{message}", token=self.system)

    async def open(self, message: str) -> None:
        """State that an officer has seen it."""
        await self._call("POST", f"/messages/{message}/opened", token=self.officer)

    async def procedure(self, procedure: str) -> dict[str, Any]:
        """Return the record."""
        return await self._call("GET", f"/procedures/{procedure}", token=self.system)

    async def procedure_status(self, procedure: str) -> int:
        """Return the HTTP status that asking for the procedure gives."""
        async with self.http.get(self._address(f"/procedures/{procedure}"), headers=_bearer(self.system)) as response:
            return response.status

    async def timeline(self, procedure: str) -> tuple[Line, ...]:
        """Return every step, oldest first."""
        answer = await self._call("GET", f"/procedures/{procedure}/timeline", token=self.system)
        return tuple(
            Line(
                at=item["at"], who=item["who"], what=item["what"], state=item.get("state", ""),
                evidence=item.get("evidence", ""), message=item.get("message", ""),
            )
            for item in answer["items"]
        )  # fmt: skip

    async def attention(self) -> tuple[str, ...]:
        """Return the codes of what waits for a person."""
        answer = await self._call("GET", "/attention", token=self.officer, params={"open": "true"})
        return tuple(item["code"] for item in answer["items"])

    async def unwell(self) -> tuple[str, ...]:
        """Return what is wrong with the node by its own health checks, one sentence each."""
        try:
            async with self.http.get(self._address("/health"), headers=_bearer(self.admin)) as response:
                data: dict[str, Any] = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return ("It does not answer.",)
        return tuple(check["detail"] for check in data.get("checks", ()) if "detail" in check)

    async def metrics(self) -> str:
        """Return the node's metrics in Prometheus' text format."""
        async with self.http.get(self._address("/metrics"), headers=_bearer(self.system)) as response:
            self._hold(response.status, 200, "GET /metrics")
            return await response.text()

    async def _call(
        self,
        method: str,
        path: str,
        *,
        token: str,
        wanted: int = 200,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        all_headers = {**_bearer(token), **(headers or {})}
        async with self.http.request(method, self._address(path), headers=all_headers, **more) as response:
            data: dict[str, Any] = await response.json(content_type=None)
            self._hold(response.status, wanted, f"{method} {path}", data)
            return data

    def _address(self, path: str) -> str:
        return f"{self.url.rstrip('/')}/api/v1{path}"

    def _hold(self, status: int, wanted: int, what: str, data: Mapping[str, Any] | None = None) -> None:
        if status != wanted:
            said = {name: (data or {}).get(name) for name in ("code", "detail", "where", "errors")}
            reasons = ", ".join(f"{name} {value}" for name, value in said.items() if value)
            raise DemoFailed(f"{self.country}'s node answered {status} to {what}: {reasons or 'no reason'}.")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def until(what: str, look: Callable[[], Awaitable[Any]], *, seconds: float) -> Any:
    """Look until there is something to see, and return it.

    Raises:
        DemoFailed: there was nothing within that time.
    """
    end = time.monotonic() + seconds
    while True:
        seen = await look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise DemoFailed(f"It did not happen within {seconds:.0f} seconds: {what}.")
        await asyncio.sleep(_POLL_SECONDS)
