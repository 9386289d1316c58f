# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A store that remembers that it had no room: readiness follows the first failed write, and not the loops that meet it later."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from broker.core.errors import DiskFull
from broker.ports import Clock, Reader, Store, Transaction

__all__ = ["FULL_SECONDS", "WatchedStore"]

T = TypeVar("T")

FULL_SECONDS = 60.0  # after the last write that found no room it counts as full: a smaller one may have found some


class WatchedStore:
    """Implements `ports.Store` over another one, and remembers that it had no room: its disk may be another machine's."""

    def __init__(self, inner: Store, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._full: tuple[float, str] | None = None  # when a write found no room last, and what it said

    def full(self) -> str | None:
        """Return what the newest write that found no room said; None where there was none within `FULL_SECONDS`."""
        if self._full is None or self._clock.monotonic() - self._full[0] >= FULL_SECONDS:
            return None
        return self._full[1]

    async def run(self, fn: Callable[[Transaction], T], *, ahead: bool = False) -> T:
        """Run in one transaction.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: nothing was committed.
        """
        try:
            return await self._inner.run(fn, ahead=ahead)
        except DiskFull as error:
            self._full = (self._clock.monotonic(), error.detail)
            raise

    async def read(self, fn: Callable[[Reader], T]) -> T:
        """Run on one view of what is committed.

        Raises:
            StoreUnavailable, StoreCorrupt: nothing could be read.
        """
        return await self._inner.read(fn)

    async def close(self) -> None:
        """Close it."""
        await self._inner.close()
