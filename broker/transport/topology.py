# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What stands on the message broker: names, queue arguments, permissions, and the definitions file that makes it so.

The operator imports the file; a node declares nothing at run time and may not. Per country there are three quorum queues:

- ``trm.in.CC`` takes what others publish to the direct exchange ``trm`` with key ``CC``.
- ``trm.chunk.CC`` takes chunks of attachments, with key ``CC.chunk``: no message waits behind a hundred MiB.
- ``trm.dead.CC`` takes what expired or came back too often, by the exchange ``trm.dead``. Its country reads it as a
  second input, so dead-lettering loses nothing.

A full queue refuses (``reject-publish``) instead of dropping its oldest message, and a dead-lettered message leaves its
queue only when the dead queue has confirmed it (``at-least-once``): then the sender keeps what has no room.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.ids import CountryCode

__all__ = [
    "DEAD_EXCHANGE",
    "EXCHANGE",
    "MAX_MESSAGE_BYTES",
    "VHOST",
    "Permissions",
    "QueueLimits",
    "chunk_key",
    "chunk_queue",
    "dead_queue",
    "definitions",
    "in_queue",
    "password_hash",
    "permissions",
    "queue_arguments",
    "routing_key",
]

VHOST = "trm"
EXCHANGE = "trm"
DEAD_EXCHANGE = "trm.dead"
MAX_MESSAGE_BYTES = 2_097_152  # `max_message_size` of rabbitmq.conf; the largest envelope is smaller

# RabbitMQ 4 gives a queue without this argument a limit of 20, after which it drops; -1 makes 4.x grow its segments.
_NEVER = 1_000_000_000

Salt = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """The three anchored patterns of a broker user."""

    configure: str
    write: str
    read: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How much one country's queue holds before it refuses, and how often it offers a message."""

    max_messages: int = 100_000
    max_bytes: int = 2_147_483_648
    delivery_limit: int = 20  # deliveries; then the message goes to the dead queue


def in_queue(country: CountryCode) -> str:
    """Return the name of the queue that others publish into."""
    return f"trm.in.{country}"


def chunk_queue(country: CountryCode) -> str:
    """Return the name of the queue for chunks of attachments."""
    return f"trm.chunk.{country}"


def dead_queue(country: CountryCode) -> str:
    """Return the name of the country's second input."""
    return f"trm.dead.{country}"


def routing_key(country: CountryCode) -> str:
    """Return the key that leads to the country, on both exchanges."""
    return str(country)


def chunk_key(country: CountryCode) -> str:
    """Return the key that leads to the country's queue for chunks."""
    return f"{country}.chunk"


def permissions(country: CountryCode) -> Permissions:
    """Return what the country's user may do: publish to one exchange, read its own three queues, configure nothing."""
    return Permissions(
        configure="^$",
        write=f"^{re.escape(EXCHANGE)}$",
        read=rf"^trm\.(in|chunk|dead)\.{re.escape(country)}$",
    )


def queue_arguments(country: CountryCode, *, dead: bool, limits: QueueLimits) -> dict[str, Any]:
    """Return the arguments of one queue; all kinds dead-letter into the country's dead queue and never drop."""
    return {
        "x-dead-letter-exchange": DEAD_EXCHANGE,
        # Without a key of its own a message copied by CC would dead-letter to the other countries' dead queues too.
        "x-dead-letter-routing-key": routing_key(country),
        "x-dead-letter-strategy": "at-least-once",
        "x-delivery-limit": _NEVER if dead else limits.delivery_limit,
        "x-max-length": limits.max_messages,
        "x-max-length-bytes": limits.max_bytes,
        "x-overflow": "reject-publish",  # drop-head would silently turn at-least-once into at-most-once
        "x-queue-type": "quorum",
    }


def password_hash(password: str, salt: bytes) -> str:
    """Return RabbitMQ's salted SHA-256 of a password; the salt has 4 bytes.

    Raises:
        RuntimeError: the salt has another length.
    """
    if len(salt) != 4:
        raise RuntimeError("RabbitMQ's password hash takes a salt of 4 bytes")
    return b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def definitions(
    members: Iterable[CountryCode],
    *,
    passwords: Mapping[CountryCode, str] | None = None,
    suspended: Iterable[CountryCode] = (),
    vhost: str = VHOST,
    limits: QueueLimits | None = None,
    salt: Salt = secrets.token_bytes,
) -> dict[str, Any]:
    """Return the definitions file for RabbitMQ, in an order that depends on the countries only.

    Args:
        members: countries that may connect.
        passwords: their passwords; a country without one can log in by its certificate only (EXTERNAL).
        suspended: countries that keep their queues, so that nothing for them is lost, and get no user.
        vhost: the virtual host that holds it all.
        limits: of every queue.
        salt: source of the password hashes' salt.
    """
    active = sorted(set(members) - set(suspended))
    countries = sorted({*active, *suspended})
    limits = limits or QueueLimits()
    return {
        "vhosts": [{"name": vhost}],
        "users": [_user(country, (passwords or {}).get(country), salt) for country in active],
        "permissions": [_permission(country, vhost) for country in active],
        "exchanges": [_exchange(name, vhost) for name in (EXCHANGE, DEAD_EXCHANGE)],
        "queues": [_queue(name, country, vhost, limits) for country in countries for name in _queues(country)],
        "bindings": [
            _binding(source, key, name, vhost)
            for country in countries
            for name, (source, key) in _queues(country).items()
        ],
    }


def _user(country: CountryCode, password: str | None, salt: Salt) -> dict[str, Any]:
    return {
        "name": str(country),
        "password_hash": "" if password is None else password_hash(password, salt(4)),  # empty: no password fits
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
        "limits": {"max-connections": 64, "max-channels": 256},
    }


def _permission(country: CountryCode, vhost: str) -> dict[str, Any]:
    rights = permissions(country)
    return {
        "user": str(country),
        "vhost": vhost,
        "configure": rights.configure,
        "write": rights.write,
        "read": rights.read,
    }


def _exchange(name: str, vhost: str) -> dict[str, Any]:
    # No alternate exchange: a message that it took would not be returned to its publisher as unroutable.
    return {
        "name": name,
        "vhost": vhost,
        "type": "direct",
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _queues(country: CountryCode) -> dict[str, tuple[str, str]]:
    """Return the country's queues, each with the exchange and key that lead to it."""
    return {
        in_queue(country): (EXCHANGE, routing_key(country)),
        chunk_queue(country): (EXCHANGE, chunk_key(country)),
        dead_queue(country): (DEAD_EXCHANGE, routing_key(country)),
    }


def _queue(name: str, country: CountryCode, vhost: str, limits: QueueLimits) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": vhost,
        "durable": True,
        "auto_delete": False,
        "arguments": queue_arguments(country, dead=name == dead_queue(country), limits=limits),
    }


def _binding(source: str, key: str, name: str, vhost: str) -> dict[str, Any]:
    return {
        "source": source,
        "vhost": vhost,
        "destination": name,
        "destination_type": "queue",
        "routing_key": key,
        "arguments": {},
    }
