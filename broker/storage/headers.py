# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A content header as it is encrypted beside the content: its own JSON, so that lists do not open whole messages."""

from __future__ import annotations

import orjson

from broker.core.content import decode_header
from broker.core.errors import HeaderInvalid, StoreCorrupt
from broker.core.messages import Header

__all__ = ["from_bytes", "of_content"]

_BEFORE = b',"header":'


def of_content(content: bytes) -> bytes:
    """Return the header's JSON as it stands in a message's canonical content, whose second and last member it is.

    Nothing behind it looks like its beginning: in texts quotes are escaped, and no part of a header has that name.
    """
    return content[content.rindex(_BEFORE) + len(_BEFORE) : -1]


def from_bytes(raw: bytes) -> Header:
    """Return the typed header.

    Raises:
        StoreCorrupt: these are not bytes that this program wrote.
    """
    try:
        return decode_header(orjson.loads(raw))
    except (HeaderInvalid, orjson.JSONDecodeError):
        raise StoreCorrupt from None
