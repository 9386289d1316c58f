# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who descends from whom in a record, as sets of bits over the one order that both nodes compute alike.

- Bit i stands for the i-th message of the order. Only messages whose whole ancestry is held are in it.
- Sets are Python integers: a union of a thousand messages is one machine loop, and a chain of a thousand costs
  milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from broker.core.ids import Digest

__all__ = ["Ancestry", "bits", "build"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestry:
    """The placed messages of a record and their ancestors."""

    order: tuple[Digest, ...]
    index: Mapping[Digest, int]
    parents: Sequence[tuple[int, ...]]
    above: Sequence[int]  # of each message: the set of its ancestors, itself not included
    missing: frozenset[Digest]  # parents that are named but not held

    def closure(self, heads: Iterable[Digest]) -> int | None:
        """Return the set of the heads and all their ancestors; None where one of them is not placed."""
        closure = 0
        for head in heads:
            position = self.index.get(head)
            if position is None:
                return None
            closure |= self.above[position] | 1 << position
        return closure

    def below(self) -> list[int]:
        """Return of each message the set of its descendants."""
        below = [0] * len(self.order)
        for position in range(len(self.order) - 1, -1, -1):
            reach = below[position] | 1 << position
            for parent in self.parents[position]:
                below[parent] |= reach
        return below

    def maximal(self, among: int) -> tuple[Digest, ...]:
        """Return the messages of a set that are no ancestor of another of them, sorted."""
        maximal, left = [], among
        while left:
            position = left.bit_length() - 1
            maximal.append(self.order[position])
            left &= ~(self.above[position] | 1 << position)
        return tuple(sorted(maximal))


def build(named: Mapping[Digest, tuple[Digest, ...]], first: Callable[[Digest], bool]) -> Ancestry:
    """Place every message after all its parents; among those that are ready, the `first` ones, then by digest.

    Args:
        named: parents of every held message; a message may name parents that are not held, then it is not placed.
        first: whether a message goes before others that are ready too.
    """
    children: dict[Digest, list[Digest]] = {}
    open_parents: dict[Digest, int] = {}
    ready: list[tuple[bool, Digest]] = []
    for digest, parents in named.items():
        distinct = set(parents) if len(parents) > 1 else parents
        open_parents[digest] = len(distinct)
        for parent in distinct:
            children.setdefault(parent, []).append(digest)
        if not distinct:
            ready.append((not first(digest), digest))
    heapq.heapify(ready)
    order: list[Digest] = []
    index: dict[Digest, int] = {}
    named_by: list[tuple[int, ...]] = []
    above: list[int] = []
    while ready:
        digest = heapq.heappop(ready)[1]
        positions = tuple([index[parent] for parent in named[digest]])
        ancestors = 0
        for position in positions:
            ancestors |= above[position] | 1 << position
        index[digest] = len(order)
        order.append(digest)
        named_by.append(positions)
        above.append(ancestors)
        for child in children.get(digest, ()):
            open_parents[child] -= 1
            if not open_parents[child]:
                heapq.heappush(ready, (not first(child), child))
    missing = frozenset(children.keys() - named.keys())
    return Ancestry(order=tuple(order), index=index, parents=named_by, above=above, missing=missing)


def bits(positions: int) -> Iterator[int]:
    """Yield the members of a set, lowest first."""
    while positions:
        lowest = positions & -positions
        yield lowest.bit_length() - 1
        positions ^= lowest
