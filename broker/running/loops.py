# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How a node's tasks wait and go on: wake by event, poll as truth, stop between two items, never give up silently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from broker.core.errors import BrokerError, Internal
from broker.logs import Event, Log

__all__ = ["Bell", "Bells", "Loop"]

PAUSE_MIN_SECONDS = 0.5
PAUSE_MAX_SECONDS = 30.0


class Bell:
    """Wakes one loop; ringing it before the loop waits is not lost."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the loop."""
        self._event.set()

    def heard(self) -> None:
        """Forget the rings so far: what they are about is looked for now."""
        self._event.clear()

    async def wait(self, seconds: float) -> None:
        """Return when rung since the last hearing, at the latest after that time."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass


class Bells:
    """The bells of a node by the name of the loop that waits for them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._bells = {name: Bell() for name in names}

    def __getitem__(self, name: str) -> Bell:
        return self._bells[name]

    def ring(self, *names: str) -> None:
        """Ring those, or all."""
        for name in names or self._bells:
            self._bells[name].ring()


class Loop:
    """One repeated piece of work. A failure is logged, told, and tried again after a growing pause."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[int | bool]],
        *,
        bell: Bell,
        poll_seconds: float,
        stopping: asyncio.Event,
    ) -> None:
        """Args:
        work: does one batch; returns how much it did, 0 or False when nothing waits.
        poll_seconds: how long it waits without being rung: the truth when a ring was lost or came from another process.
        """
        self.name = name
        self.trouble: BrokerError | None = None  # the last failure, until the next success
        self._work = work
        self._bell = bell
        self._poll_seconds = poll_seconds
        self._stopping = stopping
        self._log = Log("node")

    async def run(self) -> None:
        """Work until the node stops."""
        pause = PAUSE_MIN_SECONDS
        while not self._stopping.is_set():
            self._bell.heard()
            try:
                done = await self._work()
            except BrokerError as error:
                self._failed(error, error)
            except Exception as error:  # an unforeseen fault in one batch must not silence the whole node
                self._failed(Internal(), error)
            else:
                self.trouble, pause = None, PAUSE_MIN_SECONDS
                if not done:
                    await self._bell.wait(self._poll_seconds)
                continue
            await self._bell.wait(pause)
            pause = min(pause * 2, PAUSE_MAX_SECONDS)

    def _failed(self, trouble: BrokerError, cause: BaseException) -> None:
        self.trouble = trouble
        self._log.error(Event.LOOP_FAILED, cause, loop=self.name, code=trouble.code)
