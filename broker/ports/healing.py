# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a restored node remembers of its asking, and what another one looks up for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from broker.core.healing import HealingRow, Missed, MissedState, Passed, Place, RestoredMark
from broker.core.ids import CountryCode, Digest, MessageId, ProcedureId
from broker.core.messages import OutboxEntry
from broker.security.at_rest import Scope

__all__ = ["HealingReader", "HealingWriter"]


class HealingReader(Protocol):
    """How far it is."""

    def rows(self) -> tuple[HealingRow, ...]:
        """Return every country that is or was asked."""
        ...

    def unfinished(self) -> bool:
        """Whether anybody is still to be asked."""
        ...

    def missed(self, peer: CountryCode, states: Sequence[MissedState], limit: int) -> tuple[Missed, ...]:
        """Return messages that the backup did not hold, our own first, each country's oldest first."""
        ...

    def passed(self, peer: CountryCode, *, since: datetime, after: Place | None, limit: int) -> tuple[Passed, ...]:
        """Return messages between us and a country that were not answered before a time, in the order of their ids."""
        ...


class HealingWriter(HealingReader, Protocol):
    """Within a transaction."""

    # the restored node
    def waits(self, peer: CountryCode) -> bool:
        """Whether nothing may be sent to a country yet."""
        ...

    def begin(self, peers: Sequence[CountryCode]) -> bool:
        """Name whom to ask, in place of "whoever there is"; False: that was done."""
        ...

    def row(self, peer: CountryCode) -> HealingRow | None: ...
    def lock(self, peer: CountryCode) -> HealingRow | None:
        """Return it for a change: nobody else asks, answers or ends there before this transaction does."""
        ...

    def save(self, row: HealingRow) -> None: ...
    def note_missed(self, item: Missed) -> bool:
        """Keep a message that lacks here. False: one of that digest is kept already."""
        ...

    def save_missed(self, item: Missed) -> None: ...
    def count_missed(self, peer: CountryCode) -> int:
        """Return how many messages a country says are or were missing here."""
        ...

    def missed_one(self, peer: CountryCode, digest: Digest) -> Missed | None: ...
    def settle_found(self, peer: CountryCode) -> int:
        """Note those that are in a record again; return how many."""
        ...

    def misplaced(self, peer: CountryCode) -> int:
        """Note that the refused ones of procedures that are here now are looked for once more; return how many, the first time."""
        ...

    def opener(self, peer: CountryCode, procedure: ProcedureId) -> CountryCode | None:
        """Return who opened a procedure with that country, as it says itself: no third one is asked."""
        ...

    def recorded(self, procedure: ProcedureId, digest: Digest) -> tuple[CountryCode, MessageId] | None:
        """Return author and id of a message that is in a procedure's record."""
        ...

    def is_destroyed(self, scope: Scope) -> bool:
        """Whether the key of what a scope covers is destroyed."""
        ...

    def add_sent(self, entry: OutboxEntry, *, published: datetime, terms: frozenset[str]) -> None:
        """Keep a message of ours that was sent before; it is not sent again.

        Raises:
            CaseErased: what it belongs to was erased; nothing was written.
        """
        ...

    # the other one
    def passed_one(self, peer: CountryCode, digest: Digest) -> Passed | None: ...
    def signatures(self, sender: CountryCode, message: MessageId) -> bytes | None:
        """Return both signatures of a received message, as they came; None: they were not kept."""
        ...

    def send_again(self, message: MessageId, *, now: datetime) -> bool:
        """Let an entry be sealed and published once more, whatever step it reached. False: there is none."""
        ...

    def marks(self, country: CountryCode) -> tuple[RestoredMark, ...]:
        """Return when a country said that it was restored."""
        ...

    def note_mark(self, mark: RestoredMark) -> bool:
        """Keep such a statement. False: it is known."""
        ...
