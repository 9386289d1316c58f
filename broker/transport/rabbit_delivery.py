# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What one AMQP message says about itself: the delivery, and which publishing rules its sender broke.

A node publishes with message_id, user_id, delivery_mode and content_type and with nothing else. Whatever else comes is
counted as abuse of the broker user that published, and the message is read all the same: a rule broken in transit must
never lose a message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp import commands as spec

from broker.core.messages import Delivery, Sealed, SealedChunk

__all__ = ["CHUNK_TYPE", "CONTENT_TYPE", "RabbitTag", "delivery_of", "message_id_of", "properties_for"]

CONTENT_TYPE = "application/jose+json"
CHUNK_TYPE = "application/octet-stream"

_PERSISTENT = 2
# Set by the broker: on a quorum queue's repeats, and on the way through a dead-letter exchange.
_BROKER_HEADERS = frozenset({
    "x-acquired-count",
    "x-death",
    "x-delivery-count",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
})  # fmt: skip
_FOREIGN = (
    "app_id",
    "cluster_id",
    "content_encoding",
    "correlation_id",
    "message_type",
    "priority",
    "reply_to",
    "timestamp",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RabbitTag:
    """What settling a delivery needs."""

    channel: AbstractChannel
    number: int  # delivery tag on that channel
    count: int  # how often it came back before
    lost: asyncio.Event  # of the session that it came by
    # Delivery tags of that queue that are neither acknowledged nor given back; shared.
    unsettled: set[int] = field(repr=False)

    def settle(self) -> bool:
        """Return whether this is the first settling; a second one would make the broker close the channel."""
        first = self.number in self.unsettled
        self.unsettled.discard(self.number)
        return first


def properties_for(sealed: Sealed) -> spec.Basic.Properties:
    """Return the only properties that a node sets; nothing in them tells about a case."""
    chunk = isinstance(sealed, SealedChunk)
    return spec.Basic.Properties(
        content_type=CHUNK_TYPE if chunk else CONTENT_TYPE,
        delivery_mode=_PERSISTENT,
        message_id=message_id_of(sealed),
        user_id=str(sealed.sender),
    )


def message_id_of(sealed: Sealed) -> str:
    """Return what the client library matches a return by: no two in flight have the same."""
    return f"{sealed.id}.{sealed.sha256[:16]}" if isinstance(sealed, SealedChunk) else str(sealed.id)


def delivery_of(message: DeliveredMessage, *, queue: str, lost: asyncio.Event, unsettled: set[int]) -> Delivery:
    """Return the delivery; never raises, whatever the message carries."""
    properties = message.header.properties
    unsettled.add(message.delivery_tag or 0)
    headers = properties.headers or {}
    count = headers.get("x-delivery-count")
    return Delivery(
        raw=bytes(message.body),
        queue=queue,
        user=properties.user_id or None,
        abuse=_abuse(properties),
        tag=RabbitTag(
            channel=message.channel,
            number=message.delivery_tag or 0,
            count=count if isinstance(count, int) and count > 0 else 0,
            lost=lost,
            unsettled=unsettled,
        ),
    )


def _abuse(properties: spec.Basic.Properties) -> tuple[str, ...]:
    # BCC cannot be seen here: the broker removes it. Its copies differ in nothing from a message of their own.
    headers = properties.headers or {}
    found = {
        "no-user": not properties.user_id,
        "copies": "CC" in headers,
        "headers": bool(set(headers) - _BROKER_HEADERS - {"CC"}),
        "expiration": properties.expiration is not None or _expired(headers),
        "properties": any(getattr(properties, name) not in {None, ""} for name in _FOREIGN),
        "content-type": properties.content_type not in {CONTENT_TYPE, CHUNK_TYPE},
        "not-persistent": properties.delivery_mode != _PERSISTENT,
        "no-message-id": not properties.message_id,
    }
    return tuple(name for name, broken in found.items() if broken)


def _expired(headers: Mapping[str, object]) -> bool:
    # Dead-lettering takes the property off; the broker's own note of the first death remains.
    return headers.get("x-first-death-reason") == "expired"
