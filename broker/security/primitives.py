# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Raw keys of the suite's three algorithms as objects of `cryptography`, and the lengths of everything fixed.

Loaded public keys are kept (bounded): a peer's signing keys are the same for months and loading costs as much as hashing.
"""

from __future__ import annotations

import hashlib
import secrets
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from broker.core.trust import KeyUse

__all__ = [
    "PUBLIC_LENGTHS", "SEED_LENGTH", "check_usable", "ed25519_public", "fresh_seed", "hpke_private", "hpke_public", "load_public",
    "ml_dsa_public", "public_of",
]  # fmt: skip

SEED_LENGTH = 32  # bytes, for each of the three uses
PUBLIC_LENGTHS = {KeyUse.ED25519: 32, KeyUse.ML_DSA_65: 1952, KeyUse.HPKE: 1216}  # bytes
_ML_KEM_SEED = 64  # bytes
_ML_KEM_PUBLIC = 1184  # bytes; the X25519 public key follows
_FIELD = 2**255 - 19  # of the curve of Ed25519 and X25519
_EIGHTH = int("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)
_SMALL_ORDER = frozenset(
    {0, 1, _EIGHTH, _FIELD - _EIGHTH, _FIELD - 1}
)  # y of the eight points of Ed25519 that 8 takes to zero
_KEPT_KEYS = 256  # of each use: a federation of thirty with two generations of keys, several times over


def fresh_seed() -> bytes:
    """Return the private part of a new key of any use."""
    return secrets.token_bytes(SEED_LENGTH)


def public_of(use: KeyUse, seed: bytes) -> bytes:
    """Return the raw public key that belongs to a private seed.

    Raises:
        ValueError: the seed does not have its length.
    """
    if use is KeyUse.ED25519:
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    if use is KeyUse.ML_DSA_65:
        return MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
    ml_kem, x25519 = _hybrid_parts(seed)
    return ml_kem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def hpke_private(seed: bytes) -> MLKEM768X25519PrivateKey:
    """Return the hybrid private key of a seed (PROTOCOL 7.3).

    Raises:
        ValueError: the seed does not have its length.
    """
    return MLKEM768X25519PrivateKey(*_hybrid_parts(seed))


def _hybrid_parts(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    if len(seed) != SEED_LENGTH:  # SHAKE256 would take any length
        raise ValueError("not a seed of 32 bytes")
    expanded = hashlib.shake_256(seed).digest(_ML_KEM_SEED + 32)
    return (
        MLKEM768PrivateKey.from_seed_bytes(expanded[:_ML_KEM_SEED]),
        X25519PrivateKey.from_private_bytes(expanded[_ML_KEM_SEED:]),
    )


@lru_cache(maxsize=_KEPT_KEYS)
def hpke_public(public: bytes) -> MLKEM768X25519PublicKey:
    """Return the hybrid public key.

    Raises:
        ValueError: not a public key of this kind.
    """
    if len(public) != PUBLIC_LENGTHS[KeyUse.HPKE]:
        raise ValueError("not a hybrid public key")
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:_ML_KEM_PUBLIC]),
        X25519PublicKey.from_public_bytes(public[_ML_KEM_PUBLIC:]),
    )


def check_usable(use: KeyUse, public: bytes) -> None:
    """Refuse a public key whose point is of small order, or in Ed25519 not in its one spelling (PROTOCOL 7.3).

    Under such an Ed25519 key anybody signs, and libraries differ about what verifies: of one message one country would
    say that it is signed, and another that it is not.

    Raises:
        ValueError: every sealing to it would fail, or a signature under it proves nothing.
    """
    if use is KeyUse.HPKE:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(public[_ML_KEM_PUBLIC:]))
    elif use is KeyUse.ED25519:
        height = int.from_bytes(public, "little") & (2**255 - 1)  # without the sign of x
        if height >= _FIELD or height in _SMALL_ORDER:
            raise ValueError("not a key that binds")


@lru_cache(maxsize=_KEPT_KEYS)
def ed25519_public(public: bytes) -> Ed25519PublicKey:
    """Return the Ed25519 public key.

    Raises:
        ValueError: not a public key of this kind.
    """
    return Ed25519PublicKey.from_public_bytes(public)


@lru_cache(maxsize=_KEPT_KEYS)
def ml_dsa_public(public: bytes) -> MLDSA65PublicKey:
    """Return the ML-DSA-65 public key.

    Raises:
        ValueError: not a public key of this kind.
    """
    return MLDSA65PublicKey.from_public_bytes(public)


def load_public(use: KeyUse, public: bytes) -> Ed25519PublicKey | MLDSA65PublicKey | MLKEM768X25519PublicKey:
    """Return the public key of that use.

    Raises:
        ValueError: not a public key of this kind.
    """
    if use is KeyUse.ED25519:
        return ed25519_public(public)
    return ml_dsa_public(public) if use is KeyUse.ML_DSA_65 else hpke_public(public)
