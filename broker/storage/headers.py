# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A content header as it is encrypted beside the content: its own JSON, so that lists do not open whole messages."""

from __future__ import annotations

import orjson

from broker.core.content import decode_header, encode_header
from broker.core.errors import HeaderInvalid, StoreCorrupt
from broker.core.messages import Header

__all__ = ["from_bytes", "to_bytes"]


def to_bytes(header: Header) -> bytes:
    """Return the header's JSON."""
    return orjson.dumps(encode_header(header))


def from_bytes(raw: bytes) -> Header:
    """Return the typed header.

    Raises:
        StoreCorrupt: these are not bytes that this program wrote.
    """
    try:
        return decode_header(orjson.loads(raw))
    except (HeaderInvalid, orjson.JSONDecodeError):
        raise StoreCorrupt from None
