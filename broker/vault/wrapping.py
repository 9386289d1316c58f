# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who keeps a vault file's content key: the `Wrapper` protocol, and the passphrase.

What a wrapper states stands in clear in the file's header and is authenticated twice: by the wrapping itself and by the
content's encryption.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from broker.core import canonical
from broker.core.errors import VaultLocked
from broker.vault.passphrase import checked

__all__ = [
    "DEFAULT_KDF", "NONCE_BYTES", "UNSAFE_DEV_KDF", "WRAPPED_BYTES", "KdfParameters", "PassphraseWrapper", "Stated",
    "Wrapper", "exact_bytes", "wrong_key",
]  # fmt: skip

NONCE_BYTES = 12
WRAPPED_BYTES = 32 + 16  # the content key and its tag
_SALT_BYTES = 16
_KEY_BYTES = 32
_MAX_MEMORY_KIB = 1024 * 1024  # a file with other numbers is not ours: it must not exhaust the machine
_MAX_ITERATIONS = 64
_MAX_LANES = 64

Stated = Mapping[str, Any]  # the header's member `wrapper`


class Wrapper(Protocol):
    """Keeps a content key so that only its holder gets it back."""

    def wrap(self, content_key: bytes, *, like: Stated | None = None) -> Stated:
        """Return what the header states.

        Args:
            content_key: 32 fresh bytes.
            like: what the header states now; its costs and places are kept where this wrapper names none itself.

        Raises:
            VaultLocked: the passphrase or HSM is not to be had.
        """
        ...

    def unwrap(self, stated: Stated) -> bytes:
        """Return the content key.

        Raises:
            VaultLocked: the passphrase is wrong, the HSM is not to be had, or the file was changed.
            ValueError, KeyError, TypeError: what is stated is not of its form.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KdfParameters:
    """The cost of trying one passphrase."""

    memory_kib: int
    iterations: int
    lanes: int


DEFAULT_KDF = KdfParameters(memory_kib=65_536, iterations=3, lanes=4)  # RFC 9106, second recommended option
UNSAFE_DEV_KDF = KdfParameters(memory_kib=64, iterations=1, lanes=1)  # tests and demonstration only: guessed in no time


class PassphraseWrapper:
    """Wraps with a key derived from a passphrase (Argon2id)."""

    NAME = "passphrase"

    def __init__(self, passphrase: bytes, kdf: KdfParameters | None = None) -> None:
        """Args:
        passphrase: at least one byte.
        kdf: its cost; None keeps a file's own, and is the default for a new one.

        Raises:
            VaultLocked: the passphrase is empty.
        """
        self._passphrase = checked(passphrase)
        self._kdf = kdf

    def wrap(self, content_key: bytes, *, like: Stated | None = None) -> Stated:
        """Return salt, cost, nonce and the wrapped key."""
        kdf, salt, nonce = self._kdf or _kept(like), secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
        stated = {
            "name": self.NAME,
            "kdf": {
                "name": "argon2id",
                "salt": canonical.b64url_encode(salt),
                "memory_kib": kdf.memory_kib,
                "iterations": kdf.iterations,
                "lanes": kdf.lanes,
            },
            "nonce": canonical.b64url_encode(nonce),
        }
        wrapped = AESGCM(self._derive(salt, kdf)).encrypt(nonce, content_key, canonical.dump(stated))
        return {**stated, "wrapped": canonical.b64url_encode(wrapped)}

    def unwrap(self, stated: Stated) -> bytes:
        """Return the content key; of a vault of version 1, which wraps nothing, the derived key is that key.

        Raises:
            VaultLocked: another passphrase, another kind of wrapper, or the file was changed.
            ValueError, KeyError, TypeError: what is stated is not of its form.
        """
        if stated["name"] != self.NAME:
            raise VaultLocked("The vault is not under a passphrase; what it is under stands in its header.")
        salt, kdf = _parse_kdf(stated["kdf"])
        if "wrapped" not in stated:
            return self._derive(salt, kdf)
        nonce, wrapped = exact_bytes(stated["nonce"], NONCE_BYTES), exact_bytes(stated["wrapped"], WRAPPED_BYTES)
        bound = canonical.dump({name: value for name, value in stated.items() if name != "wrapped"})
        try:
            return AESGCM(self._derive(salt, kdf)).decrypt(nonce, wrapped, bound)
        except InvalidTag:
            raise wrong_key() from None

    def _derive(self, salt: bytes, kdf: KdfParameters) -> bytes:
        return Argon2id(
            salt=salt, length=_KEY_BYTES, iterations=kdf.iterations, lanes=kdf.lanes, memory_cost=kdf.memory_kib
        ).derive(self._passphrase)


def wrong_key() -> VaultLocked:
    """Return the error for what does not open: nobody can tell a wrong passphrase from a changed file."""
    return VaultLocked("The passphrase is not this vault's, or the file was changed.")


def exact_bytes(text: Any, length: int) -> bytes:
    """Return base64url bytes of one length.

    Raises:
        ValueError, TypeError: they are not.
    """
    raw = canonical.b64url_decode(text)
    if len(raw) != length:
        raise ValueError("not of its length")
    return raw


def _kept(like: Stated | None) -> KdfParameters:
    return _parse_kdf(like["kdf"])[1] if like is not None and "kdf" in like else DEFAULT_KDF


def _parse_kdf(kdf: Any) -> tuple[bytes, KdfParameters]:
    memory_kib, iterations, lanes = kdf["memory_kib"], kdf["iterations"], kdf["lanes"]
    salt = exact_bytes(kdf["salt"], _SALT_BYTES)
    within = 1 <= lanes <= _MAX_LANES and 1 <= iterations <= _MAX_ITERATIONS and 8 * lanes <= memory_kib
    if kdf["name"] != "argon2id" or not within or memory_kib > _MAX_MEMORY_KIB:
        raise ValueError("not a cost that is used here")
    if not all(type(number) is int for number in (memory_kib, iterations, lanes)):
        raise TypeError("not whole numbers")
    return salt, KdfParameters(memory_kib=memory_kib, iterations=iterations, lanes=lanes)
