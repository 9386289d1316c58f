# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is not even HTTP."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from broker.api.serving import ApiRunner, listen
from broker.core.errors import SettingsInvalid

NAME = b"Test-Maarika"

RAW = {
    "no HTTP": b"\x16\x03\x01 " + NAME + b"\r\n\r\n",
    "a bad method": NAME + b"@ / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown method": NAME.upper() + b" /api/v1/audit HTTP/1.1\r\nHost: x\r\n\r\n",
    "a bad version": b"GET / HTTP/" + NAME + b"\r\nHost: x\r\n\r\n",
    "a bad header": b"GET / HTTP/1.1\r\nHost: x\r\n" + NAME + b" \x01: x\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: x\r\n" + NAME + b"\r\n\r\n",
    "a null in a header": b"GET / HTTP/1.1\r\nHost: x\r\nX-Child: " + NAME + b"\x00\r\n\r\n",
    "two lengths": b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": (
        b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a length that is none": b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: " + NAME + b"\r\n\r\n",
    "a very long line": b"GET /" + NAME * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a very long header": b"GET / HTTP/1.1\r\nHost: x\r\nX-Child: " + NAME * 2000 + b"\r\n\r\n",
}


async def exchange(url: str, sent: bytes) -> bytes:
    """Send bytes and read until the other side closes."""
    parts = URL(url)
    reader, writer = await asyncio.open_connection(parts.host, parts.port)
    writer.write(sent)
    received = await reader.read(65536)
    writer.close()
    await writer.wait_closed()
    return received


@pytest.mark.parametrize("case", RAW)
async def test_broken_http_is_a_problem_document(desk: Any, log_text: io.StringIO, case: str) -> None:
    """What the HTTP parser refuses is answered with a problem document; neither it nor the log repeats any of it."""
    received = await exchange(desk.url, RAW[case])
    head, _, body = received.partition(b"\r\n\r\n")

    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), received
    assert b"application/problem+json" in head
    assert b"Server: trm" in head
    assert json.loads(body)["code"] == "bad-request"
    assert b"maarika" not in received.lower()
    assert "maarika" not in log_text.getvalue().lower()
    assert "http.malformed" in log_text.getvalue()


async def test_body_with_a_broken_chunk_is_refused(desk: Any, log_text: io.StringIO) -> None:
    """A chunk that is none ends the request with 400, and nothing of it is repeated."""
    head = (
        f"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {desk.token()}\r\n"
        "Content-Type: application/json\r\nIdempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    received = await exchange(desk.url, head.encode() + NAME + b"\r\n")

    assert b"400" in received.split(b"\r\n")[0]
    assert b"Maarika" not in received
    assert "Maarika" not in log_text.getvalue()


async def test_taken_port_is_said_clearly(desk: Any) -> None:
    """When another program has the port, the setting is named."""
    runner = ApiRunner(web.Application())
    port = URL(desk.url).port
    assert port is not None
    with pytest.raises(SettingsInvalid) as refusal:
        await listen(runner, "127.0.0.1", port)
    await runner.cleanup()

    assert "api_port" in str(refusal.value)


async def test_address_names_the_free_port(open_desk: Callable[..., Any]) -> None:
    """Port 0 takes a free one and the address says which."""
    first, second = await open_desk(), await open_desk()

    assert first.url != second.url
    assert URL(first.url).port
