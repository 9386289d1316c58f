# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What encrypts and opens the contents of this room's tables, with the cases' keys held ready for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

from broker.core.errors import VaultLocked
from broker.security.at_rest import CaseKey, EpochRing, Scope, WrappedKey, new_key

__all__ = ["AtRest", "Cipher", "locked"]

_HELD_KEYS = 2048  # cases whose keys are held unwrapped: about a megabyte


class Cipher(Protocol):
    """What a store needs to keep contents as ciphertext; tests that look for clear text give one that does nothing."""

    def newest_epoch(self) -> int: ...
    def new_key(self, scope: Scope, epoch: int) -> WrappedKey: ...
    def rewrap(self, key: WrappedKey, epoch: int) -> WrappedKey: ...
    def encrypt(self, key: WrappedKey, plain: bytes, where: bytes) -> bytes: ...
    def decrypt(self, key: WrappedKey, stored: bytes, where: bytes) -> bytes: ...
    def token(self, purpose: str, *values: str) -> str: ...
    def buckets(self, purpose: str, values: Iterable[str]) -> frozenset[int]: ...
    def once(self) -> Cipher: ...
    def forget(self) -> None:
        """Drop every key that is held unwrapped."""
        ...


class AtRest:
    """Implements `Cipher` over the keys that a vault gives."""

    def __init__(self, ring: Callable[[], EpochRing]) -> None:
        """Args:
        ring: the epochs' keys as they are now; another object whenever they changed.
        """
        self._ring_now = ring
        self._ring: EpochRing | None = None
        self._held: OrderedDict[WrappedKey, CaseKey] = OrderedDict()
        self._lock = threading.Lock()

    def newest_epoch(self) -> int:
        """Return the newest epoch of the vault.

        Raises:
            KeyMissing, VaultLocked: there is none to be had.
        """
        return self._current().newest

    def new_key(self, scope: Scope, epoch: int) -> WrappedKey:
        """Return a fresh case key, wrapped.

        Raises:
            KeyMissing, VaultLocked: that epoch's key is not to be had.
        """
        key = new_key()
        wrapped = self._current().wrap(key, scope, epoch)
        self._hold(wrapped, CaseKey(key))  # what it is made for is encrypted next
        return wrapped

    def rewrap(self, key: WrappedKey, epoch: int) -> WrappedKey:
        """Return the same key under another epoch.

        Raises:
            KeyMissing, VaultLocked, StoreCorrupt: one of both is not to be had, or it does not unwrap.
        """
        return self._current().rewrap(key, epoch)

    def encrypt(self, key: WrappedKey, plain: bytes, where: bytes) -> bytes:
        """Return the bytes to store at that place.

        Raises:
            KeyMissing, VaultLocked, StoreCorrupt: the case's key is not to be had.
        """
        return self._case_key(key).encrypt(plain, where)

    def decrypt(self, key: WrappedKey, stored: bytes, where: bytes) -> bytes:
        """Return what stands at that place.

        Raises:
            KeyMissing, VaultLocked: the case's key is not to be had.
            StoreCorrupt: it was not written for that place, or not under that key.
        """
        return self._case_key(key).decrypt(stored, where)

    def token(self, purpose: str, *values: str) -> str:
        """Return the text by which values are found again.

        Raises:
            KeyMissing, VaultLocked: there is no index key.
        """
        return self._current().token(purpose, *values)

    def buckets(self, purpose: str, values: Iterable[str]) -> frozenset[int]:
        """Return the numbers by which values are looked for.

        Raises:
            KeyMissing, VaultLocked: there is no index key.
        """
        return self._current().buckets(purpose, values)

    def forget(self) -> None:
        """Drop every key that is held unwrapped."""
        with self._lock:
            self._held.clear()

    def once(self) -> Cipher:
        """Return the same for one transaction that keeps every other writer out: it looks at the vault at most once.

        No epoch can begin meanwhile that this transaction could meet.
        """
        return _Once(self._current, self._held, self._lock)

    def _case_key(self, key: WrappedKey) -> CaseKey:
        # What is looked up is the wrapped key as it stands in the database: a destroyed or moved one is never found.
        ring = self._current()
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                self._held.move_to_end(key)
                return held
        made = CaseKey(ring.unwrap(key))
        self._hold(key, made)
        return made

    def _hold(self, key: WrappedKey, made: CaseKey) -> None:
        with self._lock:
            self._held[key] = made
            if len(self._held) > _HELD_KEYS:
                self._held.popitem(last=False)

    def _current(self) -> EpochRing:
        """Return the vault's keys; with other ones than a moment ago, all that they unwrapped is dropped."""
        ring = self._ring_now()
        if ring is not self._ring:
            self.forget()
            self._ring = ring
        return ring


class _Once(AtRest):
    """The cipher of one transaction, which shares what is held unwrapped."""

    def __init__(
        self, ring: Callable[[], EpochRing], held: OrderedDict[WrappedKey, CaseKey], lock: threading.Lock
    ) -> None:
        self._ring_now = ring
        self._ring = None
        self._held = held
        self._lock = lock

    def _current(self) -> EpochRing:
        if self._ring is None:
            self._ring = self._ring_now()
        return self._ring


def locked() -> AtRest:
    """Return the cipher of who has no vault open: what needs no content works, the rest is told to open it."""

    def refuse() -> EpochRing:
        raise VaultLocked("What is asked for is stored encrypted: this needs the vault.")

    return AtRest(refuse)
