# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Lets the client library read whatever a publisher may have written around a message, and no longer body than is taken.

It gives the whole connection up over a property that it cannot put into a Python value: a time after the year 9999, a text
that is not UTF-8. The broker lets anybody write them, and hands the message out anew on the next connection: one such
message would end every connection of its recipient, and nothing behind it would ever arrive.

How long a body may be is the broker's to say, by default 128 MiB: a few dozen of those, on their way to a node at the same
time, would take all its memory before anything looked at them, and its officers' work with it.
"""

from __future__ import annotations

from typing import Any

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp import commands as spec
from pamqp import decode
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from broker.transport.topology import MAX_MESSAGE_BYTES

__all__ = ["read_whatever_comes"]

_library_reads = ContentHeader.unmarshal


def read_whatever_comes() -> None:
    """Put our readers in the place of the library's, for all connections of this process; again is harmless."""
    decode.METHODS["shortstr"] = _short_text
    ContentHeader.unmarshal = _content_header  # type: ignore[method-assign,assignment]  # there is no other place to say it
    Channel._read_content = _content  # type: ignore[method-assign,assignment]  # noqa: SLF001  nor here


def _short_text(value: bytes) -> tuple[int, str]:
    """Return how many bytes it takes, and a text without what is none: a routing key or a property."""
    end = int.from_bytes(value[:1]) + 1
    return end, value[1:end].decode("utf-8", errors="replace")


def _content_header(header: ContentHeader, data: bytes) -> None:
    """Read the size of a message and its properties; those that cannot be read count as none, which is abuse."""
    try:
        _library_reads(header, data)
    except Exception:  # of many kinds: a table in a table in a table ends in a RecursionError
        header.properties = spec.Basic.Properties()


async def _content(channel: Channel, frame: Any, header: ContentHeader) -> DeliveredMessage:
    """Read a body to its end; of one that is too long keep what shows that, which is quarantined as any other."""
    body, left = bytearray(), header.body_size or 0
    while left > 0:
        part = await channel._get_frame()  # noqa: SLF001
        if not isinstance(part, ContentBody):
            raise ValueError("not a part of a body")  # as the library does: it gives the connection up
        left -= len(part.value)
        body += part.value[: MAX_MESSAGE_BYTES + 1 - len(body)]
    return DeliveredMessage(delivery=frame, header=header, body=bytes(body), channel=channel)
