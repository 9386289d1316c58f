# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A node's question for chunks that it lacks: the body of ``node.missing`` 1.0 (PROTOCOL 15.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.errors import SchemaInvalid
from broker.core.ids import Digest, MessageId
from broker.core.owed_chunks import OwedChunks

__all__ = ["MAX_MISSING", "Missing", "from_body", "to_body"]

MAX_MISSING = 20  # in one question
_MEMBERS = {"message", "digest", "handle", "chunks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What lacks of one attachment."""

    message: MessageId
    digest: Digest  # of the message
    handle: Digest
    chunks: OwedChunks


def to_body(missing: Iterable[Missing]) -> dict[str, Any]:
    """Return the body of the question."""
    return {
        "missing": [
            {"message": item.message, "digest": item.digest, "handle": item.handle, "chunks": item.chunks.text}
            for item in missing
        ]
    }


def from_body(body: Any) -> tuple[Missing, ...]:
    """Return what is asked for.

    Raises:
        SchemaInvalid: the body does not have its form; ``where`` points at it.
    """
    items = body.get("missing") if isinstance(body, Mapping) and set(body) == {"missing"} else None
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_MISSING:
        raise SchemaInvalid(f"This is a list of 1 to {MAX_MISSING} attachments.", where="/body/missing")
    return tuple(_decode(item, f"/body/missing/{position}") for position, item in enumerate(items))


def _decode(item: Any, where: str) -> Missing:
    if not isinstance(item, Mapping) or set(item) != _MEMBERS:
        raise SchemaInvalid("This is an object of message, digest, handle and chunks.", where=where)
    try:
        missing = Missing(
            message=MessageId(item["message"]),
            digest=Digest(item["digest"]),
            handle=Digest(item["handle"]),
            chunks=OwedChunks.from_text(item["chunks"]),
        )
    except (ValueError, TypeError):
        raise SchemaInvalid("A member does not have its form.", where=where) from None
    if not missing.chunks:
        raise SchemaInvalid("At least one chunk is asked for.", where=f"{where}/chunks")
    return missing
