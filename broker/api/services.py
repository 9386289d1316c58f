# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the API is given: the flows that it calls, the store that it reads, and its limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from broker.api.tokens import TokenVerifier
from broker.catalogue import Catalogue
from broker.core.ids import CountryCode, MessageType
from broker.core.surge import SurgeMode
from broker.flows.approve import Approve
from broker.flows.attend import Attend
from broker.flows.consult import Consult
from broker.flows.inspect import Inspect
from broker.flows.open import Open
from broker.flows.read_attachment import ReadAttachment
from broker.flows.resend import Resend
from broker.flows.retain.erase import Erase
from broker.flows.retain.keep import Keep
from broker.flows.retain.pass_on import PassOn
from broker.flows.search import Search
from broker.flows.submit import Submit
from broker.flows.upload import Upload
from broker.metrics import Metrics
from broker.ports import Clock, Reader, Store
from broker.surges import with_surge

__all__ = ["ApiLimits", "ApiServices", "HealthCheck", "casework_types"]

T = TypeVar("T")

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

    us: CountryCode
    store: Store
    submit: Submit
    open_message: Open
    inspect: Inspect
    approve: Approve
    attend: Attend
    resend: Resend
    consult: Consult
    search: Search
    upload: Upload
    read_attachment: ReadAttachment
    erase: Erase
    keep: Keep
    pass_on: PassOn
    catalogue: Catalogue
    tokens: TokenVerifier
    clock: Clock
    metrics: Metrics
    health: Mapping[str, HealthCheck] = field(default_factory=dict)
    limits: ApiLimits = field(default_factory=ApiLimits)

    async def looked(self, look: Callable[[Reader], T]) -> tuple[T, tuple[SurgeMode, ...]]:
        """Return what somebody looks at, and where surge mode is on: no list is shown without it (R-39).

        Raises:
            StoreUnavailable: it cannot be read.
        """
        return await with_surge(self.store, self.us, self.clock, look)
