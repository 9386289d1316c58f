# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The audit trail's chain, as a transaction holds it: our own, and what other countries state of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from broker.core.audit import Entry, Head, Linked
from broker.core.checkpoints import KeptCheckpoint
from broker.core.ids import CountryCode, Digest

__all__ = ["TrailWriter"]


class TrailWriter(Protocol):
    """Links what `Transaction.audit` added, and keeps the signed heads of trails."""

    def audit_head(self) -> Head:
        """Return the end of the chain."""
        ...

    def link_audit(self, entries: Sequence[Entry], links: Sequence[Linked]) -> None:
        """Give entries their places in the chain."""
        ...

    def audit_link(self, position: int) -> Digest | None:
        """Return the link at a place; None where there is none any more."""
        ...

    def newest_checkpoint(self) -> KeptCheckpoint | None:
        """Return our checkpoint of the highest place."""
        ...

    def add_checkpoint(self, kept: KeptCheckpoint, *, instead_of: KeptCheckpoint | None = None) -> bool:
        """Keep a checkpoint of ours. False: there is one of its place."""
        ...

    def checkpoint_for(self, peer: CountryCode) -> KeptCheckpoint | None:
        """Return our newest checkpoint, or None where that country was sent it already."""
        ...

    def told_checkpoint(self, peer: CountryCode, position: int) -> None:
        """Remember up to where a country was told of our trail."""
        ...

    def witnessed(self, country: CountryCode, position: int) -> tuple[KeptCheckpoint, ...]:
        """Return what a country stated of that place in its trail, and of the nearest places before and behind it."""
        ...

    def add_witness(
        self, country: CountryCode, kept: KeptCheckpoint, *, instead_of: KeptCheckpoint | None = None
    ) -> bool:
        """Keep another country's checkpoint. False: it is held already."""
        ...
