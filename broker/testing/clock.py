# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A clock that only moves when a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

__all__ = ["HandClock", "OwnClock"]

_START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


class HandClock:
    """Implements the Clock port; sleepers wake in the order of their time, then of their call."""

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._elapsed = 0.0  # seconds
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._calls = 0
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the time to the millisecond, as the real clock does."""
        moment = self._start + timedelta(seconds=self._elapsed)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return self._elapsed

    @property
    def sleeping(self) -> int:
        """How many tasks wait for time."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved that far; with nothing to wait for, let other tasks run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._calls, future))
        self._tell_watchers()
        await future

    def set_back(self, seconds: float) -> None:
        """Make the wall clock wrong by that much; the monotonic clock goes on."""
        self._start -= timedelta(seconds=seconds)

    def advance(self, seconds: float) -> None:
        """Move forward and wake whose time has come; they run when the caller next awaits."""
        self._move_to(self._elapsed + seconds)

    async def pass_by(self, seconds: float) -> None:
        """Move forward from sleeper to sleeper, letting each run, also those that fall asleep again meanwhile."""
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self._move_to(self._sleepers[0][0])
            await _settle()
        self._move_to(end)
        await _settle()

    async def until_sleeping(self, count: int = 1) -> None:
        """Wait until that many tasks wait for time: every loop has finished what it had in hand."""
        if self.sleeping < count:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watchers.append((count, future))
            await future

    def _move_to(self, elapsed: float) -> None:
        self._elapsed = max(self._elapsed, elapsed)
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():  # its task may have been cancelled
                future.set_result(None)

    def _tell_watchers(self) -> None:
        sleeping = self.sleeping
        for count, future in self._watchers:
            if count <= sleeping and not future.done():
                future.set_result(None)
        self._watchers = [item for item in self._watchers if not item[1].done()]


class OwnClock(HandClock):
    """One country's clock: goes with the world's, and says a wrong time for as long as a test wants."""

    def __init__(self, world: HandClock) -> None:
        super().__init__()
        self._world = world
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the world's time, wrong by as much as this clock is ahead."""
        return self._world.now() + self.ahead

    def monotonic(self) -> float:
        """Return the world's seconds: no steady clock is set."""
        return self._world.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait until the world's clock has been moved that far."""
        await self._world.sleep(seconds)

    def set_back(self, seconds: float) -> None:
        """Be behind by that much more."""
        self.ahead -= timedelta(seconds=seconds)

    def advance(self, seconds: float) -> None:
        """Move the world's clock."""
        self._world.advance(seconds)


async def _settle() -> None:
    """Let every task that can run do so; a few rounds, because one task wakes another."""
    for _ in range(20):
        await asyncio.sleep(0)
