# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sealed bytes of a simulated node, in memory."""

from __future__ import annotations

from broker.core.errors import BrokerError, StoreCorrupt
from broker.ports import Clock

__all__ = ["MemoryBlobs"]


class MemoryBlobs:
    """Implements `ports.Blobs`; survives the simulated node that used it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._written: dict[str, float] = {}
        self.held: dict[str, dict[int, bytes]] = {}
        self.fault: BrokerError | None = None  # raised by every `put` while it is set

    async def put(self, blob: str, index: int, raw: bytes) -> None:
        """Keep a chunk."""
        if self.fault is not None:
            raise self.fault
        self.held.setdefault(blob, {})[index] = raw
        self._written[blob] = self._clock.now().timestamp()

    async def get(self, blob: str, index: int) -> bytes:
        """Return a chunk.

        Raises:
            StoreCorrupt: it is not there.
        """
        try:
            return self.held[blob][index]
        except KeyError:
            raise StoreCorrupt from None

    async def drop(self, blob: str) -> None:
        """Forget a blob."""
        self.held.pop(blob, None)

    async def left_since(self, before: float, *, after: str, limit: int) -> tuple[str, ...]:
        """Return blobs that were not written to since, behind a name."""
        return tuple(sorted(blob for blob in self.held if self._written[blob] < before and blob > after)[:limit])
