# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Identifiers that are the same in every run of a test."""

from __future__ import annotations

import random
from uuid import UUID

from broker.core.canonical import b64url_encode
from broker.core.ids import CaseRef, MessageId, ProcedureId
from broker.ports import Clock

__all__ = ["SeededIds"]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SeededIds:
    """Implements the Ids port from a seed and a clock; two nodes of a simulation take two seeds."""

    def __init__(self, seed: str, clock: Clock) -> None:
        self._random = random.Random(seed)  # noqa: S311  predictable on purpose
        self._clock = clock

    def message_id(self) -> MessageId:
        """Return the next UUIDv7."""
        return MessageId(self._uuid7())

    def procedure_id(self) -> ProcedureId:
        """Return the next UUIDv7."""
        return ProcedureId(self._uuid7())

    def case_ref(self, *, exercise: bool) -> CaseRef:
        """Return the next reference."""
        text = "".join(self._random.choices(_CROCKFORD, k=20))
        return CaseRef(f"EX-CR-{text}" if exercise else f"CR-{text}")

    def nonce(self) -> str:
        """Return the next 16 bytes, base64url."""
        return b64url_encode(self._random.randbytes(16))

    def token(self) -> str:
        """Return the next lease token."""
        return self._random.randbytes(16).hex()

    def key(self) -> bytes:
        """Return the next 32 bytes."""
        return self._random.randbytes(32)

    def jitter(self) -> float:
        """Return the next number in [0, 1)."""
        return self._random.random()

    def _uuid7(self) -> str:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        value = (milliseconds & (1 << 48) - 1) << 80 | self._random.getrandbits(80)
        value = value & ~(0xF << 76) | 0x7 << 76  # version
        value = value & ~(0x3 << 62) | 0x2 << 62  # variant
        return str(UUID(int=value))
