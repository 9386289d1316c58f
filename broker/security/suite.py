# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The one algorithm suite of envelope version 1, and who may use its private keys."""

from __future__ import annotations

from typing import Protocol

from broker.core.ids import KeyId

__all__ = ["Opener", "Signer"]


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
