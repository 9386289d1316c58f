# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the API is given: the flows it calls and the views it reads, as Protocols that the real ones fit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from broker.api.tokens import TokenVerifier
from broker.catalogue import Problem
from broker.core.ids import (
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)
from broker.core.messages import Submission
from broker.metrics import Metrics
from broker.ports import Clock, ProcedureRow, Store

__all__ = [
    "Accepted",
    "ApiLimits",
    "ApiServices",
    "Attend",
    "Catalogue",
    "HealthCheck",
    "Inspect",
    "OpenMessage",
    "ProcedureView",
    "RecordLine",
    "Submit",
    "TimelineLine",
    "casework_types",
]

_NODE = "node"  # the procedure name of the nodes' own messages

HealthCheck = Callable[[], Awaitable[str | None]]  # None: in order; else one sentence for an operator


class Accepted(Protocol):
    """The answer to a submission: it is stored and will be delivered."""

    @property
    def message(self) -> MessageId: ...
    @property
    def digest(self) -> Digest: ...
    @property
    def procedure(self) -> ProcedureId: ...
    @property
    def case_ref(self) -> CaseRef | None: ...
    @property
    def created(self) -> datetime: ...
    @property
    def repeated(self) -> bool: ...


class Submit(Protocol):
    """Takes a message from a caller."""

    async def __call__(self, submission: Submission, /) -> Accepted: ...


class OpenMessage(Protocol):
    """Marks an inbound message as seen by an officer."""

    async def __call__(self, message: MessageId, /, *, authority: AuthorityId, actor: str) -> datetime: ...


class RecordLine(Protocol):
    """One entry of a procedure's record."""

    @property
    def digest(self) -> Digest: ...
    @property
    def message(self) -> MessageId: ...
    @property
    def author(self) -> CountryCode: ...
    @property
    def act(self) -> str: ...
    @property
    def mark(self) -> str: ...
    @property
    def final(self) -> bool: ...
    @property
    def code(self) -> str | None: ...


class ProcedureView(Protocol):
    """A procedure's record, folded now."""

    @property
    def row(self) -> ProcedureRow: ...
    @property
    def state(self) -> str: ...
    @property
    def alarm(self) -> bool: ...
    @property
    def gap(self) -> bool: ...
    @property
    def role(self) -> str: ...
    @property
    def digest(self) -> Digest | None: ...
    @property
    def heads(self) -> Sequence[Digest]: ...
    @property
    def actions(self) -> Sequence[str]: ...
    @property
    def entries(self) -> Sequence[RecordLine]: ...


class TimelineLine(Protocol):
    """One step of a procedure for people."""

    @property
    def at(self) -> datetime: ...
    @property
    def who(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def evidence(self) -> str: ...
    @property
    def message(self) -> MessageId: ...


class Inspect(Protocol):
    """Looks at one procedure; NotFound also where it is another authority's."""

    async def procedure(self, procedure: ProcedureId, /, *, authority: AuthorityId | None) -> ProcedureView: ...

    async def timeline(self, procedure: ProcedureId, /, *, authority: AuthorityId | None) -> Sequence[TimelineLine]: ...


class Attend(Protocol):
    """Closes an attention entry."""

    async def resolve(self, attention: int, /, *, actor: str, authority: AuthorityId | None) -> object: ...


class Catalogue(Protocol):
    """Reads submissions, knows the message types, and explains what is wrong."""

    def parse_submission(self, data: Any, /, *, actor: str, route: str, idempotency_key: str) -> Submission: ...

    def types(self) -> Sequence[MessageType]: ...

    def versions(self, message_type: MessageType, /) -> Sequence[SchemaVersion]: ...

    def explain_submission(self, data: Any, /) -> Sequence[Problem]: ...

    def submission_schema(self, *, prefix: str) -> dict[str, Any]: ...

    def schema(self, message_type: MessageType, version: SchemaVersion, /, *, prefix: str) -> dict[str, Any]: ...


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
    open_message: OpenMessage
    inspect: Inspect
    attend: Attend
    catalogue: Catalogue
    tokens: TokenVerifier
    clock: Clock
    metrics: Metrics
    health: Mapping[str, HealthCheck] = field(default_factory=dict)
    limits: ApiLimits = field(default_factory=ApiLimits)
