# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The real clock, randomness and worker threads of a node; simulators stand in `broker/testing`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
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


class SystemClock:
    """The machine's time, cut to the millisecond: what messages and receipts carry is exactly what is stored."""

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()

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
