# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The one algorithm suite of envelope version 1, and who may use its private keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from broker.core.errors import DecryptFailed, UnknownRecipientKey
from broker.core.ids import KeyId
from broker.core.trust import KeyUse
from broker.security import jwk, primitives

__all__ = [
    "CONTENT_KEY_LENGTH", "EK_LENGTH", "ENCRYPTED_KEY_LENGTH", "ENCRYPTION", "HPKE_INFO", "IV_LENGTH", "KEY_ENCRYPTION",
    "SIGNATURES", "SIGNATURE_LENGTHS", "TAG_LENGTH", "KeyPairSigner", "KeyRing", "Opener", "Signer", "hpke",
]  # fmt: skip

SIGNATURES = (KeyUse.ED25519, KeyUse.ML_DSA_65)  # in this order
SIGNATURE_LENGTHS = (64, 3309)  # bytes, in that order
KEY_ENCRYPTION = KeyUse.HPKE.value
ENCRYPTION = "A256GCM"
CONTENT_KEY_LENGTH = 32  # bytes
EK_LENGTH = 1120  # bytes: ML-KEM-768 ciphertext 1088, X25519 public key 32
ENCRYPTED_KEY_LENGTH = CONTENT_KEY_LENGTH + 16  # bytes: the content key and its tag
IV_LENGTH = 12  # bytes
TAG_LENGTH = 16  # bytes
HPKE_INFO = b"JOSE-HPKE rcpt\xff" + ENCRYPTION.encode("ascii") + b"\xff"


def hpke() -> Suite:
    """Return the HPKE suite of HPKE-9-KE: MLKEM768-X25519 (0x647a), SHAKE256, AES-256-GCM."""
    return Suite(KEM.MLKEM768_X25519, KDF.SHAKE256, AEAD.AES_256_GCM)


class Signer(Protocol):
    """Signs with this node's two signing keys, which stay where they are."""

    @property
    def ed25519_kid(self) -> KeyId: ...

    @property
    def ml_dsa_kid(self) -> KeyId: ...

    def sign_ed25519(self, message: bytes) -> bytes: ...

    def sign_ml_dsa(self, message: bytes) -> bytes: ...


class Opener(Protocol):
    """Opens key encryptions to this node's private keys, which stay where they are."""

    def holds(self, kid: KeyId) -> bool: ...

    def open(self, kid: KeyId, *, ek: bytes, ciphertext: bytes, info: bytes) -> bytes:
        """Return the content key.

        Raises:
            UnknownRecipientKey: no such key here (any more).
            DecryptFailed: it does not open.
        """
        ...


class KeyPairSigner:
    """Signs with two private keys held in this process."""

    def __init__(self, ed25519_seed: bytes, ml_dsa_seed: bytes) -> None:
        self._ed25519 = Ed25519PrivateKey.from_private_bytes(ed25519_seed)
        self._ml_dsa = MLDSA65PrivateKey.from_seed_bytes(ml_dsa_seed)
        self._kids = (
            jwk.thumbprint(KeyUse.ED25519, self._ed25519.public_key().public_bytes_raw()),
            jwk.thumbprint(KeyUse.ML_DSA_65, self._ml_dsa.public_key().public_bytes_raw()),
        )

    @property
    def ed25519_kid(self) -> KeyId:
        """The id of the Ed25519 key."""
        return self._kids[0]

    @property
    def ml_dsa_kid(self) -> KeyId:
        """The id of the ML-DSA-65 key."""
        return self._kids[1]

    def sign_ed25519(self, message: bytes) -> bytes:
        """Return 64 bytes of signature."""
        return self._ed25519.sign(message)

    def sign_ml_dsa(self, message: bytes) -> bytes:
        """Return 3,309 bytes of signature, made with the empty context (RFC 9964)."""
        return self._ml_dsa.sign(message)


class KeyRing:
    """Opens with private encryption keys held in this process."""

    def __init__(self, seeds: Mapping[KeyId, bytes]) -> None:
        """Build the key objects once.

        Raises:
            ValueError: an id is not its key's thumbprint.
        """
        for kid, seed in seeds.items():
            if jwk.thumbprint(KeyUse.HPKE, primitives.public_of(KeyUse.HPKE, seed)) != kid:
                raise ValueError("a key id is not its key's thumbprint")
        self._keys = {kid: primitives.hpke_private(seed) for kid, seed in seeds.items()}
        self._suite = hpke()

    def holds(self, kid: KeyId) -> bool:
        """Whether a private key of that id is here."""
        return kid in self._keys

    def open(self, kid: KeyId, *, ek: bytes, ciphertext: bytes, info: bytes) -> bytes:
        """Return the content key.

        Raises:
            UnknownRecipientKey: no such key here (any more).
            DecryptFailed: it does not open.
        """
        key = self._keys.get(kid)
        if key is None:
            raise UnknownRecipientKey
        try:
            return self._suite.decrypt(ek + ciphertext, key, info)
        except (InvalidTag, ValueError):
            raise DecryptFailed from None
