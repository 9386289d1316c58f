# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Holds an audit trail against its own chain and against what was signed of it, entry by entry in the chain's order.

- Up to the newest head that a checkpoint states, nothing can be removed, changed, inserted or moved unseen: whoever
  rewrites everything behind a place gets another head.
- Where a whole part was linked anew, the chain alone cannot say which entry it began with: a finding then reaches from
  behind the last head that agreed to the first place that does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from broker.core.audit import GENESIS, Entry, Head, Linked, link_bytes
from broker.core.ids import CountryCode, Digest

__all__ = ["MAX_FINDINGS", "Anchor", "Finding", "Tampering", "TrailCheck", "outside"]

MAX_FINDINGS = 100  # that are told; all are counted
LATE = timedelta(minutes=15)  # how much later than its time an entry may be committed and linked


class Tampering(StrEnum):
    """What is wrong with a trail at a place."""

    REMOVED = "removed"  # entries are missing
    DOUBLED = "doubled"  # a place is taken twice
    CHANGED = "changed"  # an entry is not the one that was linked
    BROKEN = "broken"  # an entry does not follow the one before: one of them was inserted, moved, removed or changed
    CUT_OFF = "cut-off"  # the trail ends before a head that was signed
    REWRITTEN = "rewritten"  # the chain holds, and is not the one that was signed
    NOT_SIGNED = "not-signed"  # a stored checkpoint was not signed by this node's keys
    OUTSIDE = "outside"  # an entry is in no chain although a later time is signed
    WITHHELD = "withheld"  # a file that says that it leaves nothing out holds an entry's digest alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A head that was signed, and who holds the proof."""

    head: Head
    held_by: CountryCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: the earliest place that it may concern and the place where it shows."""

    kind: Tampering
    first: int
    last: int
    held_by: CountryCode | None = None  # whose proof it contradicts; None: the chain contradicts itself


class TrailCheck:
    """Takes the entries of one trail in their order."""

    def __init__(self, anchors: Iterable[Anchor] = (), *, start: Head = GENESIS) -> None:
        """Args:
        anchors: the heads that were signed, in no particular order.
        start: the end of what is not looked at, and trusted.
        """
        self._anchors = _by_position(anchors)
        self.start = start
        self._position, self._chain = start.position, str(start.chain)
        self.proven = start.position  # up to here a signed head agrees
        self.count = 0
        self.findings: list[Finding] = []
        self.found = 0
        self._meet()

    @property
    def head(self) -> Head:
        """The place that the check has come to."""
        return Head(position=self._position, chain=Digest(self._chain))

    def take(self, linked: Linked) -> None:
        """Check the next entry; behind a fault the check goes on from what is stored."""
        place, digest, chain, raw = linked
        expected = self._position + 1
        if place > expected:
            self.note(Tampering.REMOVED, expected, place - 1)
        elif place < expected:
            self.note(Tampering.DOUBLED, place, place)
        if sha256(raw).hexdigest() != digest:
            self.note(Tampering.CHANGED, place, place)
        elif place == expected and sha256(link_bytes(self._chain, place, digest)).hexdigest() != chain:
            self.note(Tampering.BROKEN, self.proven + 1, place)
        self.count += 1
        self._position, self._chain = place, chain
        if place in self._anchors:
            self._meet()

    def take_all(self, links: Iterable[Linked]) -> None:
        """Check the next entries."""
        for linked in links:
            self.take(linked)

    def finish(self) -> None:
        """Check that nothing is missing at the end."""
        for position in sorted(self._anchors):
            if position > self._position:
                for anchor in self._anchors[position]:
                    self.note(Tampering.CUT_OFF, self._position + 1, position, anchor.held_by)

    def note(self, kind: Tampering, first: int, last: int, held_by: CountryCode | None = None) -> None:
        """Keep a finding."""
        self.found += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(kind=kind, first=first, last=last, held_by=held_by))

    def _meet(self) -> None:
        for anchor in self._anchors.get(self._position, ()):
            if anchor.head.chain == self._chain:
                self.proven = max(self.proven, self._position)
            else:
                self.note(Tampering.REWRITTEN, self.proven + 1, self._position, anchor.held_by)


def outside(waiting: Iterable[Entry], signed: datetime | None) -> tuple[Entry, ...]:
    """Return entries that should have been linked before the time of the newest checkpoint: somebody put them there.

    A checkpoint is made when nothing waits; what is younger simply waits for its turn.
    """
    return tuple(entry for entry in waiting if signed is not None and entry.row.at < signed - LATE)


def _by_position(anchors: Iterable[Anchor]) -> Mapping[int, list[Anchor]]:
    found: dict[int, list[Anchor]] = {}
    for anchor in anchors:
        found.setdefault(anchor.head.position, []).append(anchor)
    return found
