# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the API is given: the desk whose use cases it calls, who may call it, and its limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from broker.api.tokens import TokenVerifier
from broker.catalogue import Catalogue
from broker.core.ids import MessageType
from broker.desk import Desk
from broker.metrics import Metrics

__all__ = ["ApiLimits", "ApiServices", "HealthCheck", "casework_types"]

_NODE = "node"  # the procedure name of the nodes' own messages

HealthCheck = Callable[[], Awaitable[str | None]]  # None: in order; else one sentence for an operator


def casework_types(catalogue: Catalogue) -> tuple[MessageType, ...]:
    """Return the types that people submit; the nodes' own are none of them."""
    return tuple(known for known in catalogue.types() if known.procedure != _NODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """What one caller may ask of this node."""

    body_bytes: int = 1_200_000  # largest request body; the largest message is 1 MiB
    body_seconds: float = 30.0  # for a caller to send the whole body
    page: int = 200  # most items in one page
    in_flight: int = 256  # requests answered at the same time; more are told to come again
    check_seconds: float = 2.0  # for one health check
    health_cache_seconds: float = 1.0  # the health page is open to anyone: it must not be a way to load the store
    metrics_on_loopback: bool = False  # serve metrics without a token to this machine; never behind a local proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServices:
    """All collaborators of the API."""

    desk: Desk
    tokens: TokenVerifier
    metrics: Metrics
    health: Mapping[str, HealthCheck] = field(default_factory=dict)
    limits: ApiLimits = field(default_factory=ApiLimits)
