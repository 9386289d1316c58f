# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the API answers where nothing is refused; a refusal is a document of `problems`."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

__all__ = ["answer"]


def answer(data: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return the HTTP answer that carries the data as JSON."""
    return web.Response(status=status, body=orjson.dumps(data), content_type="application/json", headers=headers)
