# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The real clock, randomness and worker threads of a node; simulators stand in `broker/testing`."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import uuid_utils

from broker.core.canonical import b64url_encode
from broker.core.ids import CaseRef, MessageId, ProcedureId
from broker.threads import Threads

__all__ = ["CROCKFORD", "SystemClock", "SystemIds", "ThreadCompute"]

T = TypeVar("T")

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: a reference is read out over the telephone
_CASE_REF_LENGTH = 20  # 100 bits: nobody guesses another case's reference
_NONCE_BYTES = 16
# A machine's clock that is set back by no more is waited for. Half of what two countries' clocks may differ by (PROTOCOL
# 8.16): what is written meanwhile must be believed at once.
_WAITED_FOR = timedelta(minutes=5)


def _machine_time() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """The machine's time, cut to the millisecond: what messages and receipts carry is exactly what is stored.

    It does not go back with a machine that is set back by minutes, as after a start without a time server: it goes on at
    half speed until the machine has caught up. Where no message names another, only its time tells which was written first,
    and a correction must not look older than what was agreed to before it.
    """

    def __init__(
        self,
        *,
        after: datetime | None = None,
        machine: Callable[[], datetime] = _machine_time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        after: the last moment that is known to have been, as by what was stored then.
        machine: the machine's time.
        monotonic: seconds of a clock that never goes back.
        """
        self._machine = machine
        self._monotonic = monotonic
        self._last = after or datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()
        self._slow: datetime | None = None  # the last moment that was told at half speed
        self._base, self._since = self._last, 0.0  # where that began, and at which monotonic second

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        moment = self._machine()
        if moment < self._last:
            moment = self._slower(moment)
        else:
            self._last = moment
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def _slower(self, moment: datetime) -> datetime:
        with self._lock:
            if self._last - moment > _WAITED_FOR:
                self._last = moment
                return moment
            if self._last is not self._slow:
                self._base, self._since = self._last, self._monotonic()
            passed = timedelta(seconds=(self._monotonic() - self._since) / 2)
            self._last = self._slow = max(moment, self._base + passed)
            return self._last

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return self._monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that long; other tasks run meanwhile."""
        await asyncio.sleep(seconds)


class SystemIds:
    """Fresh identifiers; whatever must not be guessed comes from the operating system's random source."""

    def __init__(self) -> None:
        self._random = secrets.SystemRandom()

    def message_id(self) -> MessageId:
        """Return a new UUIDv7."""
        return MessageId.known(str(uuid_utils.uuid7()))

    def procedure_id(self) -> ProcedureId:
        """Return a new UUIDv7."""
        return ProcedureId.known(str(uuid_utils.uuid7()))

    def case_ref(self, *, exercise: bool) -> CaseRef:
        """Return a new pseudonymous reference; nothing about the case is in it."""
        number = secrets.randbits(5 * _CASE_REF_LENGTH)  # five bits choose one of 32 characters
        text = "".join(CROCKFORD[number >> 5 * place & 31] for place in range(_CASE_REF_LENGTH))
        return CaseRef.known(f"EX-CR-{text}" if exercise else f"CR-{text}")

    def nonce(self) -> str:
        """Return 16 random bytes, base64url."""
        return b64url_encode(secrets.token_bytes(_NONCE_BYTES))

    def token(self) -> str:
        """Return a random lease token."""
        return secrets.token_hex(16)

    def key(self) -> bytes:
        """Return 32 random bytes."""
        return secrets.token_bytes(32)

    def jitter(self) -> float:
        """Return a random number in [0, 1)."""
        return self._random.random()


class ThreadCompute:
    """Runs CPU-heavy pure functions in a few threads; the cryptography releases the interpreter's lock."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = Threads(threads, name="trm-compute")

    async def run(self, fn: Callable[[], T]) -> T:
        """Run the function in a thread and return its result or raise its exception."""
        return await self._threads.run(fn)

    def close(self) -> None:
        """Let running functions finish, drop waiting ones, end the threads."""
        self._threads.close(drop=True)
