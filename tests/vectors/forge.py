# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Writes envelopes step by step, each step open to a fault: the second writer that the product's own is held against.

It shares with the product nothing but the cryptographic library. All keys follow from their label, so that a fresh set
has the same keys; signatures, content keys and encapsulations are random.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

NEVER_USE = "TEST KEY - never use"
INFO = b"JOSE-HPKE rcpt\xffA256GCM\xff"
HPKE = Suite(KEM.MLKEM768_X25519, KDF.SHAKE256, AEAD.AES_256_GCM)
ED25519, ML_DSA, HYBRID = "Ed25519", "ML-DSA-65", "HPKE-9-KE"


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def dump(value: Any) -> bytes:
    """Return JSON with sorted members and without white space; whether it is canonical is the value's affair."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Key:
    """A test key whose private part follows from its label."""

    country: str
    use: str
    generation: int = 1

    @property
    def seed(self) -> bytes:
        return hashlib.sha256(f"{NEVER_USE}: {self.country} {self.use} {self.generation}".encode()).digest()

    @property
    def private(self) -> Any:
        if self.use == ED25519:
            return Ed25519PrivateKey.from_private_bytes(self.seed)
        if self.use == ML_DSA:
            return MLDSA65PrivateKey.from_seed_bytes(self.seed)
        return MLKEM768X25519PrivateKey(*self._hybrid())

    def _hybrid(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        expanded = hashlib.shake_256(self.seed).digest(96)
        return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])

    @property
    def public_bytes(self) -> bytes:
        if self.use == HYBRID:
            return b"".join(part.public_key().public_bytes_raw() for part in self._hybrid())
        return self.private.public_key().public_bytes_raw()

    @property
    def jwk(self) -> dict[str, str]:
        if self.use == ED25519:
            return {"crv": "Ed25519", "kty": "OKP", "x": b64(self.public_bytes)}
        return {"alg": self.use, "kty": "AKP", "pub": b64(self.public_bytes)}

    @property
    def private_jwk(self) -> dict[str, str]:
        return {**self.jwk, "d" if self.use == ED25519 else "priv": b64(self.seed)}

    @property
    def kid(self) -> str:
        return b64(hashlib.sha256(dump(self.jwk)).digest())


def encapsulate(content_key: bytes, recipient: Key) -> tuple[bytes, bytes]:
    """Return encapsulated key and encrypted content key."""
    sealed = HPKE.encrypt(content_key, recipient.private.public_key(), INFO)
    return sealed[:1120], sealed[1120:]


FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's base point


def unreduced(signature: bytes) -> bytes:
    """Return an Ed25519 signature with the order of the base point added to S (RFC 8032 section 5.1.7 refuses it)."""
    return signature[:32] + (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")


def right_with_cofactor(key: Key, signed: bytes) -> bytes:
    """Return an Ed25519 signature whose R has the point of order two added: 8[S]B = 8R + 8[k]A and no more (PROTOCOL 5.3).

    (x, y) and that point add up to (−x, −y), so that no arithmetic on the curve is needed.
    """
    nonce = hashlib.sha256(key.seed + signed).digest()
    point = int.from_bytes(Ed25519PrivateKey.from_private_bytes(nonce).public_key().public_bytes_raw(), "little")
    height, sign = point & (2**255 - 1), point >> 255
    r = (FIELD - height | (1 - sign) << 255).to_bytes(32, "little")
    k = int.from_bytes(hashlib.sha512(r + key.public_bytes + signed).digest(), "little")
    return r + ((_scalar(nonce) + k * _scalar(key.seed)) % ORDER).to_bytes(32, "little")


def _scalar(seed: bytes) -> int:
    """Return the number by which a seed multiplies the base point (RFC 8032 section 5.1.5)."""
    half = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return half & (2**254 - 8) | 2**254


def pad(signed: bytes) -> bytes:
    """Return the signed object with its padding."""
    return signed.ljust(next(16384 * 2**n for n in range(12) if len(signed) <= 16384 * 2**n))


def same(value: Any) -> Any:
    """Return the value as it is: no fault at this step."""
    return value


def sign_as_asked(index: int, protected: str, payload: str) -> bytes:
    """Return the bytes that a signature is over."""
    return f"{protected}.{payload}".encode()


@dataclass(frozen=True, kw_only=True)
class Forge:
    """How an envelope is made; every field after `content` is a place for a fault."""

    trm: Any
    content: bytes
    signers: tuple[Key, ...]
    recipient: Key
    jws_trm: Callable[[dict[str, Any]], Any] = same  # the profile as the signatures say it
    jws_header: Callable[[int, dict[str, Any]], Any] = field(default=lambda _index, header: header)
    jws_header_bytes: Callable[[int, bytes], bytes] = field(default=lambda _index, raw: raw)
    signing_input: Callable[[int, str, str], bytes] = sign_as_asked
    context: bytes | None = None  # of ML-DSA
    signature: Callable[[int, bytes], bytes] = field(default=lambda _index, value: value)
    jws: Callable[[dict[str, Any]], Any] = same
    jws_bytes: Callable[[bytes], bytes] = same
    padding: Callable[[bytes], bytes] = pad
    encapsulate: Callable[[bytes, Key], tuple[bytes, bytes]] = encapsulate
    header: Callable[[dict[str, Any]], Any] = same
    header_bytes: Callable[[bytes], bytes] = same
    aad: Callable[[bytes], bytes] = same
    fields: Callable[[dict[str, bytes]], dict[str, bytes]] = same  # raw bytes before base64url
    outer: Callable[[dict[str, Any]], Any] = same
    raw: Callable[[bytes], bytes] = same

    def build(self) -> bytes:
        """Return the envelope."""
        content_key, iv = os.urandom(32), os.urandom(12)
        ek, encrypted_key = self.encapsulate(content_key, self.recipient)
        header = {
            "alg": HYBRID, "crit": ["trm"], "ek": b64(ek), "enc": "A256GCM", "kid": self.recipient.kid,
            "trm": self.trm, "typ": "trm+jwe",
        }  # fmt: skip
        protected = self.header_bytes(dump(self.header(header)))
        encrypted = AESGCM(content_key).encrypt(iv, self.plaintext(), self.aad(b64(protected).encode()))
        fields = {
            "ciphertext": encrypted[:-16], "encrypted_key": encrypted_key, "iv": iv, "protected": protected,
            "tag": encrypted[-16:],
        }  # fmt: skip
        members = {name: b64(value) for name, value in self.fields(fields).items()}
        return self.raw(dump(self.outer(members)))

    def plaintext(self) -> bytes:
        """Return what is encrypted: the signed object and its padding."""
        payload = b64(self.content)
        signatures = [self._signature(index, key, payload) for index, key in enumerate(self.signers)]
        return self.padding(self.jws_bytes(dump(self.jws({"payload": payload, "signatures": signatures}))))

    def _signature(self, index: int, key: Key, payload: str) -> dict[str, str]:
        header = {
            "alg": key.use, "crit": ["trm"], "kid": key.kid, "trm": self.jws_trm(self.trm), "typ": "trm+jws",
        }  # fmt: skip
        protected = b64(self.jws_header_bytes(index, dump(self.jws_header(index, header))))
        signed = self.signing_input(index, protected, payload)
        value = key.private.sign(signed, self.context) if key.use == ML_DSA else key.private.sign(signed)
        return {"protected": protected, "signature": b64(self.signature(index, value))}
