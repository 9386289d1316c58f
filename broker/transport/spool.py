# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Carries sealed envelopes through a directory: embedded default, air-gapped sites, crisis fallback, a USB stick.

- The folder is the truth and is polled; `wake` only shortens the wait inside one process.
- Who wrote a file is not known here: `Delivery.user` is None, and only the signatures inside tell the sender.
- A process that dies gives its claims back by dying; one that hangs, by their expiry. The repeat is harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from broker.core.errors import NodeError, PublishUnconfirmed, TransportUnavailable
from broker.core.ids import CountryCode
from broker.core.messages import Delivery, Sealed
from broker.ports import Clock
from broker.transport.spool_folder import Claim, SpoolFolder, create

__all__ = ["SpoolTransport", "create"]

T = TypeVar("T")

_CLAIM_SECONDS = 900.0  # how long a process may hold a delivery where locks do not work
_RECOVER_SECONDS = 10.0  # between two looks for what others claimed and left
_MEDIUM_SECONDS = 30.0  # a USB stick may need seconds for one file


class SpoolTransport:
    """Implements `ports.Transport` on a directory that `create` has made."""

    def __init__(
        self,
        folder: Path,
        us: CountryCode,
        clock: Clock,
        *,
        jitter: Callable[[], float] = random.random,
        poll_seconds: float = 0.5,
        prefetch: int = 200,
    ) -> None:
        """Args:
        folder: the spool, with a folder per country.
        us: whose input is read.
        clock: waits between looks, and dates claims.
        jitter: a random number in [0, 1), for the pause of an undecided delivery.
        poll_seconds: between two looks into an empty folder.
        prefetch: unsettled deliveries at most.
        """
        self._clock = clock
        self._jitter = jitter
        self._poll_seconds = poll_seconds
        self._prefetch = prefetch
        self._files = SpoolFolder(folder, us, secrets.token_hex(8))
        self._held: set[Claim] = set()  # all that is claimed and not settled
        self._waiting: deque[Claim] = deque()  # those of them that were not yielded yet
        self._returns: Counter[str] = Counter()
        self._pauses: set[asyncio.Task[None]] = set()
        self._look = asyncio.Lock()
        self._wake = asyncio.Event()
        self._recover_at = 0.0
        self._closed = False

    async def publish(self, sealed: Sealed, *, apart: bool = False) -> None:
        """Write an envelope or chunk into the recipient's folder, a file of its own; see `ports.Transport.publish`.

        Raises:
            Unroutable: the country has no folder.
            DiskFull: no room.
            PublishRefused: the folder may not be written.
            PublishUnconfirmed: the medium did not answer in time.
            TransportUnavailable: the spool is missing or fails.
        """
        if self._closed:
            raise TransportUnavailable("This node is stopping.")
        await self._run(lambda: self._files.put(sealed))

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield what lies in our folder until closed; a missing medium is waited for."""
        while not self._closed:
            if not self._waiting:
                self._wake.clear()  # before looking: what wakes during the look must not be lost
                with contextlib.suppress(NodeError):  # `health` tells the operator
                    await self._claim()
            if not self._waiting:
                await self._wait()
                continue
            claim = self._waiting.popleft()
            if (raw := await self._read(claim)) is not None:
                yield Delivery(raw=raw, queue="in", tag=claim)

    async def done(self, delivery: Delivery) -> None:
        """Remove the file; when that fails it comes again."""
        claim: Claim = delivery.tag
        if claim in self._held:
            self._held.discard(claim)
            del self._returns[claim.name]
            await asyncio.to_thread(self._files.remove, claim)
            if len(self._held) == self._prefetch - 1:
                self.wake()

    async def again(self, delivery: Delivery) -> None:
        """Give back after a pause that grows with each return."""
        if not self._closed and delivery.tag in self._held:
            self._pause(delivery.tag)

    async def health(self) -> str | None:
        """Return None when the folder can be used, else one sentence."""
        return "The transport is closed." if self._closed else await asyncio.to_thread(self._files.trouble)

    async def close(self) -> None:
        """Stop; what is unsettled lies in the folder again."""
        self._closed = True
        self.wake()
        for pause in self._pauses:
            pause.cancel()
        await asyncio.gather(*self._pauses, return_exceptions=True)
        self._waiting.clear()
        async with self._look:
            for claim in list(self._held):
                await self._give_back(claim)
            await asyncio.to_thread(self._files.close)

    def wake(self) -> None:
        """Look at once: somebody in this process has just written."""
        self._wake.set()

    async def _claim(self) -> None:
        async with self._look:
            room = self._prefetch - len(self._held)
            if self._closed or self._waiting or room <= 0:
                return
            now = self._clock.now().timestamp()
            if self._clock.monotonic() >= self._recover_at:
                await self._run(lambda: self._files.recover(int(now)))
                self._recover_at = self._clock.monotonic() + _RECOVER_SECONDS
            claims = await self._run(lambda: self._files.claim(room, int(now + _CLAIM_SECONDS)))
            self._held.update(claims)
            self._waiting.extend(claims)

    async def _read(self, claim: Claim) -> bytes | None:
        try:
            raw = await self._run(lambda: self._files.read(claim))
        except NodeError:
            self._pause(claim)  # at once would be a hot loop over a bad sector
            return None
        if raw is None or self._closed:
            await self._give_back(claim)
            return None
        return raw

    def _pause(self, claim: Claim) -> None:
        pause = asyncio.create_task(self._later(claim), name="spool-give-back")
        self._pauses.add(pause)
        pause.add_done_callback(self._pauses.discard)

    async def _later(self, claim: Claim) -> None:
        self._returns[claim.name] += 1
        longest = min(60.0, 0.5 * 2.0 ** min(self._returns[claim.name], 16))
        await self._clock.sleep(longest * (0.5 + self._jitter() / 2))
        await self._give_back(claim)
        self.wake()

    async def _give_back(self, claim: Claim) -> None:
        if claim in self._held:
            self._held.discard(claim)
            await asyncio.to_thread(self._files.give_back, claim)

    async def _wait(self) -> None:
        pause = asyncio.create_task(self._clock.sleep(self._poll_seconds), name="spool-poll")
        woken = asyncio.create_task(self._wake.wait(), name="spool-wake")
        try:
            await asyncio.wait((pause, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            woken.cancel()
            await asyncio.gather(pause, woken, return_exceptions=True)

    async def _run(self, fn: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(_MEDIUM_SECONDS):
                return await asyncio.to_thread(fn)
        except TimeoutError:
            raise PublishUnconfirmed("The spool's medium did not answer in time.") from None
