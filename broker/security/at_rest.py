# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Data at rest: a key per case, wrapped under the key of an epoch; blind tokens to find by without storing (DESIGN 8).

- Every case has a key of its own (AES-256-GCM). Destroying that key erases all that the case's key encrypted.
- Case keys are stored wrapped under the newest epoch's key. After an erasure the remaining ones are wrapped under the
  next epoch's key and the old one is destroyed: what backups, free pages and journals hold of older wrappings is dead.
- What is encrypted is bound to its place (table, column, row), a wrapped key to its scope and epoch: nothing that is
  moved to another place opens.
- An index token is an HMAC-SHA-256 under a key of its own: equal values are found, no value is read back or guessed.
- What people are searched by is less than a token: one of a few thousand buckets, told by the same HMAC. Several names
  share each, so that equal ones confirm no name, and how often one comes says less of it; who finds, opens and compares.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NewType, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from broker.core.canonical import b64url_encode
from broker.core.errors import CaseKeyMissing, KeyMissing, StoreCorrupt
from broker.core.ids import CaseRef, CountryCode, ProcedureId

__all__ = [
    "BUCKETS", "KEY_BYTES", "NO_EPOCHS", "NO_PROCEDURE", "CaseKey", "EpochRing", "EpochVault", "Rewrapped", "Scope", "WrappedKey", "covered", "new_key",
    "place", "scope_of", "scopes_of",
]  # fmt: skip

KEY_BYTES = 32
_VERSION = b"\x01"  # of the bytes that `CaseKey.encrypt` and `EpochRing.wrap` make: version, nonce, ciphertext with tag
_NONCE_BYTES = 12
_TAG_BYTES = 16
BUCKETS = 4096  # of a search: 10,000 names are two to three in each; 100,000 procedures leave some hundreds to compare
_TOKEN_BYTES = 16  # of an index token: half of the HMAC is far more than any register has entries

Scope = NewType("Scope", str)  # what one case key covers
NO_PROCEDURE = Scope("node")  # of messages between nodes: receipts, which hold nothing of a case


def scope_of(peer: CountryCode, case_ref: CaseRef | None, procedure: ProcedureId | None) -> Scope:
    """Return what covers a message: its case towards that country, or its procedure where there is no case.

    The country belongs to it: another one that learnt a case reference must not get its own procedures under the same key.
    """
    if procedure is None:
        return NO_PROCEDURE
    return Scope(f"{peer}:{case_ref or procedure}")


def scopes_of(peer: CountryCode, case_ref: CaseRef | None, procedure: ProcedureId) -> tuple[Scope, ...]:
    """Return every scope that may hold something of a procedure: what erasing it must destroy.

    A procedure that was begun under the reference of an erased case has its own scope.
    """
    return tuple(dict.fromkeys((scope_of(peer, case_ref, procedure), scope_of(peer, None, procedure))))


def covered(scope: Scope) -> tuple[CountryCode, CaseRef | ProcedureId] | None:
    """Return what such a scope covers; None: it belongs to no case, as a file's that no message took yet."""
    peer, _, name = scope.partition(":")
    with suppress(ValueError):
        return CountryCode(peer), CaseRef(name) if "CR-" in name else ProcedureId(name)
    return None


def place(table: str, column: str, *row: str) -> bytes:
    """Return where something encrypted stands; lengths keep two places from having the same bytes."""
    return b"".join((_column(table, column), *map(_measured, row)))


@lru_cache(maxsize=256)  # every column that is encrypted
def _column(table: str, column: str) -> bytes:
    return _measured(table) + _measured(column)


def _measured(part: str) -> bytes:
    raw = part.encode()
    return len(raw).to_bytes(2) + raw


def new_key() -> bytes:
    """Return a fresh key of a case, an epoch or an index."""
    return secrets.token_bytes(KEY_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A case key as it is stored."""

    scope: Scope
    epoch: int
    wrapped: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapped:
    """What one step from earlier epochs to another one did."""

    moved: int  # keys
    stuck: tuple[WrappedKey, ...]  # do not unwrap and stay as they are
    last: WrappedKey | None  # go on behind it; None: no key came


class CaseKey:
    """A case's key, ready for use; its text form shows nothing of it."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def encrypt(self, plain: bytes, where: bytes) -> bytes:
        """Return the bytes to store at a place (see `place`)."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, where)

    def decrypt(self, stored: bytes, where: bytes) -> bytes:
        """Return what was encrypted for that place.

        Raises:
            StoreCorrupt: it was not, or not under this key.
        """
        return _opened(self._cipher, stored, where)


class EpochRing:
    """The keys of the epochs that are still held, and the index key."""

    __slots__ = ("_ciphers", "_index", "epochs")

    def __init__(self, epochs: Mapping[int, bytes], index: bytes | None) -> None:
        """Args:
        epochs: number → key, those that are not destroyed.
        index: the key of index tokens; None: the vault has none.
        """
        self.epochs = tuple(sorted(epochs))
        self._ciphers = {number: AESGCM(key) for number, key in epochs.items()}
        self._index = None if index is None else HMAC(index, SHA256())  # copied for each: setting up costs most

    def __repr__(self) -> str:
        return f"EpochRing(epochs={self.epochs})"

    @property
    def newest(self) -> int:
        """The epoch that begins or has begun last.

        Raises:
            KeyMissing: there is none.
        """
        return self._held()[-1]

    @property
    def oldest(self) -> int:
        """The first epoch that has not ended: what was destroyed before it opens nothing any more.

        Raises:
            KeyMissing: there is none.
        """
        return self._held()[0]

    def _held(self) -> tuple[int, ...]:
        if not self.epochs:
            raise KeyMissing("The vault holds no key for data at rest: trm keys generate --which wrapping makes it.")
        return self.epochs

    def wrap(self, key: bytes, scope: Scope, epoch: int) -> WrappedKey:
        """Return a case key as it is stored.

        Raises:
            KeyMissing: that epoch's key is not here.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        wrapped = self._cipher(epoch).encrypt(nonce, key, _bound(scope, epoch))
        return WrappedKey(scope=scope, epoch=epoch, wrapped=_VERSION + nonce + wrapped)

    def unwrap(self, stored: WrappedKey) -> bytes:
        """Return the case key.

        Raises:
            CaseKeyMissing: its epoch has ended here, and the others' keys went on without it.
            KeyMissing: its epoch's key is not here.
            StoreCorrupt: it is not a key that was wrapped for that scope in that epoch.
        """
        if self.epochs and stored.epoch < self.epochs[0]:
            raise CaseKeyMissing
        return _opened(self._cipher(stored.epoch), stored.wrapped, _bound(stored.scope, stored.epoch))

    def rewrap(self, stored: WrappedKey, epoch: int) -> WrappedKey:
        """Return the same case key under another epoch.

        Raises:
            CaseKeyMissing, KeyMissing, StoreCorrupt: it does not unwrap, or that epoch's key is not here.
        """
        return self.wrap(self.unwrap(stored), stored.scope, epoch)

    def token(self, purpose: str, *values: str) -> str:
        """Return the text by which values are found again; equal values for one purpose have equal tokens.

        Raises:
            KeyMissing: there is no index key.
        """
        return b64url_encode(self._begun("token", purpose, *values).finalize()[:_TOKEN_BYTES])

    def buckets(self, purpose: str, values: Iterable[str]) -> frozenset[int]:
        """Return the numbers by which values are looked for; many values share one, so that it confirms none.

        Raises:
            KeyMissing: there is no index key.
        """
        begun = self._begun("bucket", purpose)
        return frozenset(int.from_bytes(_mac(begun, _measured(value))[:4]) % BUCKETS for value in values)

    def _begun(self, *values: str) -> HMAC:
        if self._index is None:
            raise KeyMissing("The vault holds no index key: trm keys generate --which wrapping makes it.")
        begun = self._index.copy()
        begun.update(place(*values))
        return begun

    def _cipher(self, epoch: int) -> AESGCM:
        cipher = self._ciphers.get(epoch)
        if cipher is None:
            raise KeyMissing("The vault does not hold the wrapping key of that epoch.", where=str(epoch))
        return cipher


NO_EPOCHS = EpochRing({}, None)


class EpochVault(Protocol):
    """Who keeps the epochs' keys."""

    def ring(self) -> EpochRing:
        """Return the keys that are held now; cheap where nothing changed."""
        ...

    def begin_epoch(self, now: datetime) -> int:
        """Make the next epoch's key, durably, and return the epoch's number.

        Raises:
            NodeError: the vault cannot be written; nothing has changed.
        """
        ...

    def end_epochs(self, before: int, now: datetime) -> None:
        """Destroy the keys of all epochs before that one for good.

        Raises:
            NodeError: the vault cannot be written; nothing has changed.
        """
        ...


def _mac(begun: HMAC, rest: bytes) -> bytes:
    mac = begun.copy()
    mac.update(rest)
    return mac.finalize()


def _bound(scope: Scope, epoch: int) -> bytes:
    return place("case_key", "wrapped", scope, str(epoch))


def _opened(cipher: AESGCM, stored: bytes, where: bytes) -> bytes:
    if len(stored) < 1 + _NONCE_BYTES + _TAG_BYTES or stored[:1] != _VERSION:
        raise StoreCorrupt
    try:
        return cipher.decrypt(stored[1 : 1 + _NONCE_BYTES], stored[1 + _NONCE_BYTES :], where)
    except InvalidTag:
        raise StoreCorrupt from None
