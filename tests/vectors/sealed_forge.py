# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Writes sealed parts step by step, each step open to a fault; it shares with the product nothing but the cryptographic library.

Keys follow from their label, so that a fresh set has the same keys; content keys, nonces and encapsulations are random.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from forge import HYBRID, Key, b64, dump, encapsulate, same

__all__ = ["BODY", "DESK", "MESSAGE", "OLD_DESK", "OTHER_DESK", "PLACE", "WHEREABOUTS", "Case", "Part", "profile"]

DESK = Key("FI office tracing", HYBRID)
OLD_DESK = Key("FI office tracing", HYBRID, 0)
OTHER_DESK = Key("FI office court", HYBRID)
PLACE = "/whereabouts"
WHEREABOUTS: dict[str, Any] = {
    "may_be_told": [],
    "place": {"address": "Test-Shelter, Hidden Lane 7", "country": "EE", "town": "Test-Tartu"},
    "since": {"value": "2026-11-01"},
    "with": {"unknown": True},
}
MESSAGE: dict[str, Any] = {
    "exercise": False,
    "procedure": "019aa9c1-7c00-7abc-8def-0123456789ab",
    "opens": False,
    "recipient": {"authority": "tracing", "country": "FI"},
    "sender": {"authority": "board", "country": "EE"},
    "type": "danger-notice.found",
    "version": "1.0",
}
BODY: dict[str, Any] = {"note": "About Test-Mari."}
LENGTHS = [4096 * 2**n for n in range(7)]


def rest_of(body: Mapping[str, Any], places: list[str]) -> str:
    """Return the digest of a body with null in these places, each a member at its top or below ``list``."""
    rest = json.loads(json.dumps(body))
    for place in places:
        *above, last = [int(step) if step.isdigit() else step for step in place.split("/")[1:]]
        node = rest
        for step in above:
            node = node[step]
        node[last] = None
    return hashlib.sha256(dump(rest)).hexdigest()


def profile(message: Mapping[str, Any], body: Mapping[str, Any], place: str, places: list[str]) -> dict[str, Any]:
    """Return where a part belongs."""
    named = {} if message["opens"] else {"procedure": message["procedure"]}
    return {
        "exercise": message["exercise"], "from": message["sender"], "place": place, **named,
        "rest": rest_of(body, places), "to": message["recipient"], "type": message["type"], "v": 1,
        "version": message["version"],
    }  # fmt: skip


def pad(plain: bytes) -> bytes:
    """Return the plaintext with its padding."""
    return plain.ljust(next(length for length in LENGTHS if len(plain) <= length))


@dataclass(frozen=True, kw_only=True)
class Part:
    """How a part is made; every field after `key` is a place for a fault."""

    inside: Any = field(default_factory=lambda: WHEREABOUTS)
    key: Key = DESK
    trm: Callable[[dict[str, Any]], Any] = same
    header: Callable[[dict[str, Any]], Any] = same
    header_bytes: Callable[[bytes], bytes] = same
    plain: Callable[[bytes], bytes] = same  # before padding
    padding: Callable[[bytes], bytes] = pad
    content_key: Callable[[bytes], bytes] = same
    encapsulate: Callable[[bytes, Key], tuple[bytes, bytes]] = encapsulate
    aad: Callable[[bytes], bytes] = same
    fields: Callable[[dict[str, bytes]], dict[str, bytes]] = same  # raw bytes before base64url
    jwe: Callable[[dict[str, Any]], Any] = same
    outer: Callable[[dict[str, Any]], Any] = same

    def build(self, trm: dict[str, Any]) -> Any:
        """Return the sealed part for the place that the profile names."""
        content_key, iv = self.content_key(os.urandom(32)), os.urandom(12)
        ek, encrypted_key = self.encapsulate(content_key, self.key)
        header = {
            "alg": HYBRID, "crit": ["trm"], "ek": b64(ek), "enc": "A256GCM", "kid": self.key.kid,
            "trm": self.trm(trm), "typ": "trm+part",
        }  # fmt: skip
        protected = self.header_bytes(dump(self.header(header)))
        padded = self.padding(self.plain(dump(self.inside)))
        encrypted = AESGCM(content_key).encrypt(iv, padded, self.aad(b64(protected).encode()))
        fields = {
            "ciphertext": encrypted[:-16], "encrypted_key": encrypted_key, "iv": iv, "protected": protected,
            "tag": encrypted[-16:],
        }  # fmt: skip
        members = {name: b64(value) for name, value in self.fields(fields).items()}
        return self.outer({"jwe": self.jwe(members), "kid": self.key.kid})


@dataclass(frozen=True, kw_only=True)
class Case:
    """One vector: a message with a part in it, and what office and node make of that."""

    name: str
    comment: str
    expect: str = "ok"
    layer: str | None = None
    node: str = "sealed-part-refused"
    part: Part = field(default_factory=Part)
    body: dict[str, Any] = field(default_factory=lambda: BODY)
    place: str = PLACE
    parts: dict[str, Part] = field(default_factory=dict)  # further ones by place
    sealed_for: dict[str, Any] = field(default_factory=dict)  # where the message was another one when it was sealed
    message: dict[str, Any] = field(default_factory=dict)
    found_body: Callable[[dict[str, Any]], dict[str, Any]] = same  # what became of the body afterwards
    held: tuple[Key, ...] = (DESK,)
    listed: dict[str, Any] = field(default_factory=dict)  # of the desk's key in the trust list
    keys: tuple[Key, ...] = (DESK,)
    ciphertext_pad: int = 0  # characters A behind the ciphertext, so that no file is full of them

    def document(self) -> bytes:
        """Return the vector's file."""
        found = {**MESSAGE, **self.message}
        when_sealed = {**found, **self.sealed_for}
        parts = {self.place: self.part, **self.parts}
        body = json.loads(json.dumps(self.body))
        for place in parts:
            _put(body, place, None)
        for place, part in parts.items():
            _put(body, place, part.build(profile(when_sealed, body, place, list(parts))))
        times = {
            "not_before": "2026-01-01T00:00:00.000Z", "seal_until": "2027-01-01T00:00:00.000Z",
            "accept_until": "2027-03-02T00:00:00.000Z", "revoked_at": None, **self.listed,
        }  # fmt: skip
        vector: dict[str, Any] = {
            "name": self.name, "comment": self.comment, "expect": self.expect, "layer": self.layer, "node": self.node,
            "now": "2026-11-22T03:00:00.000Z", "message": found, "place": self.place, "body": self.found_body(body),
            "held": [{"note": "TEST KEY - never use", "jwk": key.private_jwk} for key in self.held],
            "listed": [{"jwk": key.jwk, **times} for key in self.keys],
        }  # fmt: skip
        if self.ciphertext_pad:
            vector["ciphertext_pad"] = self.ciphertext_pad
        if self.expect == "ok":
            vector["inside"] = self.part.inside
        return json.dumps(vector, indent=2, ensure_ascii=False).encode() + b"\n"


def _put(body: Any, place: str, value: Any) -> None:
    *above, last = [int(step) if step.isdigit() else step for step in place.split("/")[1:]]
    for step in above:
        body = body[step]
    body[last] = value
