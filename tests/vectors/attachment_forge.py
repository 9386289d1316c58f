# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Writes chunks of attachments for the vectors, right ones and wrong ones, with none of the product's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MESSAGE = "019aa9c1-7c00-7abc-8def-0123456789ab"
MIB = 1_048_576


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file and what its message says about it."""

    plain: bytes
    name: str = "vector.txt"
    media_type: str = "text/plain"
    key: bytes = hashlib.sha256(b"vector attachment key").digest()
    said: dict[str, Any] = field(default_factory=dict)  # instead of what is true

    def description(self) -> dict[str, Any]:
        """Return the description as it stands in the header."""
        true = {
            "name": self.name,
            "kind": "OTHER",
            "media_type": self.media_type,
            "size": len(self.plain),
            "digest": hashlib.sha256(self.plain).hexdigest(),
            "key": b64(self.key),
            "chunks": -(-len(self.plain) // MIB),
        }
        return {**true, **self.said}

    def chunk(self, index: int = 0, **other: Any) -> bytes:
        """Return a chunk; `other` replaces what it would rightly have."""
        said = self.description()
        digest = bytes.fromhex(other.get("digest", said["digest"]))
        key = other.get("key", self.key)
        header = (
            other.get("magic", b"TRMC\x01")
            + other.get("sender", b"EE")
            + other.get("recipient", b"FI")
            + UUID(other.get("message", MESSAGE)).bytes
            + other.get("handle", hmac.digest(key, b"trm-attachment/1 handle\x00" + digest, "sha256"))
            + other.get("index", index).to_bytes(4, "big")
            + other.get("count", said["chunks"]).to_bytes(4, "big")
        )
        plain = self.plain[index * MIB : (index + 1) * MIB]
        length = 16_384
        while length < len(plain):
            length *= 2
        padded = other.get("padded", plain.ljust(length, b"\x00"))
        chunk_key = hmac.digest(key, b"trm-attachment/1 chunk\x00", "sha256")
        aad = other.get("aad", header + digest)
        return header + AESGCM(chunk_key).encrypt(other.get("nonce", index.to_bytes(12, "big")), padded, aad)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One vector."""

    name: str
    comment: str
    file: File
    chunks: tuple[bytes, ...]
    expect: str = "ok"
    layer: str | None = None
    user: str | None = "EE"
    whole: bool = True  # with ok: whether nothing lacks
    pad: int = 0  # zeros behind the last chunk, so that no file is full of them

    def document(self) -> bytes:
        """Return the vector's file."""
        data: dict[str, Any] = {
            "name": self.name,
            "comment": self.comment,
            "expect": self.expect,
            "layer": self.layer,
            "us": "FI",
            "user": self.user,
            "message": {"from": "EE", "id": MESSAGE, "to": "FI"},
            "attachment": self.file.description(),
            "chunks": [b64(chunk) for chunk in self.chunks],
        }
        if self.pad:
            data["pad"] = self.pad
        if self.expect == "ok":
            data["plain"] = b64(self.file.plain) if self.whole else None
        return json.dumps(data, indent=1).encode() + b"\n"
