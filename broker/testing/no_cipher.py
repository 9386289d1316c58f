# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A cipher that hides nothing, in the place of the real one: a search that finds nothing must find everything with it."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag

__all__ = ["CIPHER_USERS", "UnsafeNoCipher"]

# Every module that hides what messages, files and backups say; the vault's own file holds keys and no text.
CIPHER_USERS = tuple(
    f"broker.security.{name}" for name in ("at_rest", "backup_file", "chunks", "nested", "sealed_files", "sealing")
)
_TAG_BYTES = 16


class UnsafeNoCipher:
    """Has the form of `AESGCM`, down to the tag that another key, nonce or place does not fit."""

    def __init__(self, key: bytes) -> None:
        self._key = bytes(key)

    def encrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes:
        """Return the data as they are, and the tag."""
        return bytes(data) + self._tag(nonce, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes:
        """Return the data.

        Raises:
            InvalidTag: they were written under another key, nonce or place.
        """
        plain = bytes(data[:-_TAG_BYTES])
        if bytes(data[-_TAG_BYTES:]) != self._tag(nonce, plain, associated_data):
            raise InvalidTag
        return plain

    def _tag(self, nonce: bytes, data: bytes | memoryview, bound: bytes | None) -> bytes:
        parts = (self._key, bytes(nonce), bytes(bound or b""), bytes(data))
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()[:_TAG_BYTES]
