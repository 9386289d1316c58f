# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keys for data at rest without a vault file, and a cipher that does nothing: so that looking for clear text finds it."""

from __future__ import annotations

import hashlib
from datetime import datetime

from broker.security.at_rest import EpochRing, WrappedKey
from broker.storage import AtRest

__all__ = ["UnsafeClear", "UnsafeEpochs", "unsafe_at_rest"]


class UnsafeEpochs:
    """Implements `security.at_rest.EpochVault` in memory; its keys follow from a name, in every process alike."""

    def __init__(self, name: str = "test") -> None:
        self._name = name
        self._last = 1
        self._ring = self._made({1})

    def ring(self) -> EpochRing:
        """Return the keys that are held."""
        return self._ring

    def begin_epoch(self, now: datetime) -> int:
        """Hold the next epoch's key too."""
        self._last += 1
        self._ring = self._made({*self._ring.epochs, self._last})
        return self._last

    def end_epochs(self, before: int, now: datetime) -> None:
        """Hold the keys before that one no more."""
        self._ring = self._made({number for number in self._ring.epochs if number >= before})

    def _made(self, epochs: set[int]) -> EpochRing:
        return EpochRing({number: self._key(str(number)) for number in epochs}, self._key("index"))

    def _key(self, what: str) -> bytes:
        return hashlib.sha256(f"{self._name} {what}".encode()).digest()


def unsafe_at_rest(name: str = "test") -> AtRest:
    """Return a cipher whose keys anybody can work out, for tests whose stores share a database."""
    return AtRest(UnsafeEpochs(name).ring)


class UnsafeClear(AtRest):
    """Stores everything as it is."""

    def __init__(self) -> None:
        super().__init__(UnsafeEpochs().ring)

    def encrypt(self, key: WrappedKey, plain: bytes, where: bytes) -> bytes:
        """Return it as it is."""
        return plain

    def decrypt(self, key: WrappedKey, stored: bytes, where: bytes) -> bytes:
        """Return it as it is."""
        return stored

    def token(self, purpose: str, *values: str) -> str:
        """Return what the token should hide."""
        return " ".join(values)

    def once(self) -> UnsafeClear:
        """Return itself."""
        return self
