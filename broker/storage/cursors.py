# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Page cursors: the sort key of the last row given, opaque to callers."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from broker.core.canonical import b64url_decode, b64url_encode
from broker.core.errors import BadCursor

__all__ = ["Key", "from_cursor", "to_cursor"]

Key = tuple[int | str, ...]


def to_cursor(key: Sequence[int | str]) -> str:
    """Return the cursor of a sort key."""
    return b64url_encode(orjson.dumps(list(key)))


def from_cursor(cursor: str | None, shape: tuple[type[int | str], ...]) -> Key | None:
    """Return the sort key of a cursor; None where there is none.

    Raises:
        BadCursor: we did not make it, or not for this list.
    """
    if cursor is None:
        return None
    try:
        key = orjson.loads(b64url_decode(cursor))
    except ValueError:
        raise BadCursor from None
    if not isinstance(key, list) or [type(part) for part in key] != list(shape):
        raise BadCursor
    if any(type(part) is int and abs(part) >= 2**63 for part in key):  # no database would take it
        raise BadCursor
    if any(type(part) is str and "\0" in part for part in key):  # PostgreSQL would not take it
        raise BadCursor
    return tuple(key)
