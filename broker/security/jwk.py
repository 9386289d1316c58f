# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keys as JSON (RFC 7517) and their thumbprints (RFC 7638): OKP for Ed25519, AKP (RFC 9964) for the other two.

One strict shape per use, without optional members: what a key may be used for follows from its algorithm (PROTOCOL 7).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from broker.core import canonical
from broker.core.ids import KeyId
from broker.core.trust import KeyUse
from broker.security import primitives
from broker.security.primitives import public_of

__all__ = [
    "generate", "private_jwk", "public_from_jwk", "public_jwk", "public_of", "seed_from_jwk", "thumbprint",
]  # fmt: skip


def generate(use: KeyUse) -> tuple[bytes, bytes]:
    """Return the private seed and the raw public key of a new key."""
    seed = primitives.fresh_seed()
    return seed, public_of(use, seed)


def public_jwk(use: KeyUse, public: bytes) -> dict[str, str]:
    """Return the public key's JSON form; its members are exactly those that the thumbprint covers."""
    encoded = canonical.b64url_encode(public)
    if use is KeyUse.ED25519:
        return {"crv": "Ed25519", "kty": "OKP", "x": encoded}
    return {"alg": use.value, "kty": "AKP", "pub": encoded}


def thumbprint(use: KeyUse, public: bytes) -> KeyId:
    """Return the key's id: SHA-256 of its canonical public JSON form, base64url."""
    required = canonical.dump(public_jwk(use, public))
    return KeyId(canonical.b64url_encode(hashlib.sha256(required).digest()))


def private_jwk(use: KeyUse, public: bytes, seed: bytes) -> dict[str, str]:
    """Return the JSON form with the private part: ``d`` of OKP, ``priv`` (the seed) of AKP."""
    name = "d" if use is KeyUse.ED25519 else "priv"
    return {**public_jwk(use, public), name: canonical.b64url_encode(seed)}


def public_from_jwk(jwk: Mapping[str, Any]) -> tuple[KeyUse, bytes]:
    """Return use and raw public key of a public JSON form.

    Raises:
        ValueError: another kind of key, a missing or further member, or not a public key of its algorithm.
    """
    use = _use(jwk)
    public = _bytes(jwk, "x" if use is KeyUse.ED25519 else "pub")
    if dict(jwk) != public_jwk(use, public):
        raise ValueError("not exactly the members of a public key")
    try:
        primitives.load_public(use, public)
    except ValueError:
        raise ValueError("not a public key of its algorithm") from None
    return use, public


def seed_from_jwk(jwk: Mapping[str, Any]) -> tuple[KeyUse, bytes]:
    """Return use and private seed of a private JSON form.

    Raises:
        ValueError: another kind of key, a missing or further member, or public and private part do not belong together.
    """
    use = _use(jwk)
    seed = _bytes(jwk, "d" if use is KeyUse.ED25519 else "priv")
    if len(seed) != primitives.SEED_LENGTH:
        raise ValueError("not a seed of 32 bytes")
    if dict(jwk) != private_jwk(use, public_of(use, seed), seed):
        raise ValueError("not exactly the members of a private key and its own public part")
    return use, seed


def _use(jwk: Mapping[str, Any]) -> KeyUse:
    if not isinstance(jwk, Mapping):
        raise ValueError("not an object")
    if jwk.get("kty") == "OKP" and jwk.get("crv") == KeyUse.ED25519.value:
        return KeyUse.ED25519
    for use in (KeyUse.ML_DSA_65, KeyUse.HPKE):
        if jwk.get("kty") == "AKP" and jwk.get("alg") == use.value:
            return use
    raise ValueError("not a kind of key that is used here")


def _bytes(jwk: Mapping[str, Any], name: str) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str):
        raise ValueError(f"no member {name}")
    return canonical.b64url_decode(text)
