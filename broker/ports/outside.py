# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Time, chance, computing, keys, trust, transport and people, as the flows need them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from broker.core.ids import CaseRef, CountryCode, MessageId, ProcedureId
from broker.core.messages import Delivery, Sealed
from broker.core.trust import TrustList
from broker.rows import (
    Attention,
)
from broker.security.suite import Opener, Signer

__all__ = ["Clock", "Compute", "Ids", "Notifier", "Tally", "Transport", "TrustLook", "TrustSource", "Vault"]

T = TypeVar("T")


class Clock(Protocol):
    """The time. Simulators move it by hand."""

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; the only way that a loop waits for time."""
        ...


class Ids(Protocol):
    """Fresh identifiers and randomness for flows."""

    def message_id(self) -> MessageId:
        """Return a new UUIDv7."""
        ...

    def procedure_id(self) -> ProcedureId:
        """Return a new UUIDv7."""
        ...

    def case_ref(self, *, exercise: bool) -> CaseRef:
        """Return a new pseudonymous reference."""
        ...

    def nonce(self) -> str:
        """Return 16 random bytes, base64url."""
        ...

    def token(self) -> str:
        """Return a random token of 32 hex digits, for a lease or a blob."""
        ...

    def key(self) -> bytes:
        """Return 32 random bytes."""
        ...

    def jitter(self) -> float:
        """Return a random number in [0, 1)."""
        ...


class Compute(Protocol):
    """Where CPU-heavy pure functions run: two threads in a node, inline in a simulator."""

    async def run(self, fn: Callable[[], T]) -> T:
        """Run the function and return its result or raise its exception."""
        ...


# --- vault and trust --------------------------------------------------------------------------------------------------


class Vault(Protocol):
    """Where private keys live; they never come out."""

    def signer(self, trust: TrustList, now: datetime) -> Signer:
        """Return a signer over this node's signing keys that the trust list allows now.

        Raises:
            KeyMissing: the trust list gives no usable signing key whose private part is here.
        """
        ...

    def opener(self) -> Opener:
        """Return the opener over all private encryption keys that are still here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustLook:
    """What the source of the trust list gave that was not taken."""

    troubles: Mapping[CountryCode, str] = field(default_factory=dict)  # members' documents that were refused
    unread: Mapping[str, str] = field(default_factory=dict)  # the federation's documents that this program cannot read


class TrustSource(Protocol):
    """The newest verified trust list."""

    def current(self) -> TrustList:
        """Return the list in force; cheap, no I/O."""
        ...

    def looked(self) -> datetime:
        """Return when the source was last asked and gave the list in force: what was published later may be unknown."""
        ...

    async def refresh(self, *, asked: bool) -> TrustLook | None:
        """Look for a newer list and take it into force; None: it was not time to look, and what others took is taken.

        Args:
            asked: something came that the list in force does not know; do not wait for the next regular look.

        Raises:
            TrustListInvalid: the newer one is bad; the previous one stays.
        """
        ...


# --- transport --------------------------------------------------------------------------------------------------------


class Transport(Protocol):
    """Carries sealed envelopes and chunks between members. At least once: duplicates and reordering are normal."""

    async def publish(self, sealed: Sealed, *, apart: bool = False) -> None:
        """Hand an envelope or a chunk over; returns only when the other side of the transport holds it durably.

        Args:
            sealed: what is handed over.
            apart: its recipient took long before: whatever it does now, nothing to any other may wait for it. To one
                recipient at a time.

        Raises:
            Unroutable: there is no such destination.
            PublishRefused: it was refused (full, no permission).
            PublishUnconfirmed: no confirmation in time; it may or may not have arrived.
            TransportUnavailable: not connected.
        """
        ...

    def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield what arrived for this node, input and dead queue alike, until closed; waits while disconnected."""
        ...

    async def done(self, delivery: Delivery) -> None:
        """Settle a delivery: its outcome is committed. Failing to settle is harmless (it comes again)."""
        ...

    async def again(self, delivery: Delivery) -> None:
        """Give a delivery back undecided (our own fault); it comes again later."""
        ...

    async def health(self) -> str | None:
        """Return None when connected, else one sentence for an operator."""
        ...

    async def close(self) -> None:
        """Stop consuming and release everything; unsettled deliveries come again."""
        ...


# --- counting ---------------------------------------------------------------------------------------------------------


class Tally(Protocol):
    """Counts what a running node's flows did, after it is committed; countries, codes and kinds, nothing of a case."""

    def published(self, peer: str) -> None: ...
    def publish_failed(self, peer: str, code: str) -> None: ...
    def received(self, peer: str, message_type: str) -> None: ...
    def receipts(self, *, direction: str, peer: str, kind: str, number: int) -> None: ...
    def delivered(self, peer: str, seconds: float) -> None: ...


# --- people and national systems --------------------------------------------------------------------------------------


class Notifier(Protocol):
    """Tells people that something waits; never what."""

    async def notify(self, attention: Attention) -> None:
        """Never raises: what it tells of is stored already."""
        ...
