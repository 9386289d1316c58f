# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which chunks of an attachment are still owed: to be sent, or to come. A set of indices with a short text form.

``0-99`` becomes ``0-6,8-99`` when chunk 7 is there; the empty text owes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from broker.core.attachments import MAX_CHUNKS

__all__ = ["OwedChunks"]

_TEXT = re.compile(r"(?:[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?)*)?", re.ASCII)


class OwedChunks(frozenset[int]):
    """Indices of chunks."""

    __slots__ = ()

    @classmethod
    def all_of(cls, count: int) -> OwedChunks:
        """Return every chunk of an attachment of that many."""
        return cls(range(count))

    @classmethod
    def from_text(cls, text: str) -> OwedChunks:
        """Return the set of its one text form.

        Raises:
            ValueError: any other spelling, or more than an attachment has.
        """
        if _TEXT.fullmatch(text) is None:
            raise ValueError("not a list of chunks")
        found: set[int] = set()
        for part in filter(None, text.split(",")):
            first, _, last = part.partition("-")
            found.update(range(int(first), min(int(last or first), MAX_CHUNKS) + 1))
        owed = cls(found)
        if owed.text != text or any(index >= MAX_CHUNKS for index in owed):
            raise ValueError("not a list of chunks")
        return owed

    @property
    def text(self) -> str:
        """The ascending ranges, the shortest way to write them."""
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self._ranges())

    def without(self, indices: Iterable[int]) -> OwedChunks:
        """Return the set when those are there."""
        return OwedChunks(self.difference(indices))

    def within(self, count: int) -> bool:
        """Whether an attachment of that many chunks can owe these."""
        return all(index < count for index in self)

    def _ranges(self) -> list[tuple[int, int]]:
        ranges: list[tuple[int, int]] = []
        for index in sorted(self):
            if ranges and ranges[-1][1] == index - 1:
                ranges[-1] = (ranges[-1][0], index)
            else:
                ranges.append((index, index))
        return ranges
