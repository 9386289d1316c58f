# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A second reader of sealed parts, written from PROTOCOL 16 alone: the standard library and the cryptographic one.

It knows no schemas: what fails at that layer alone it takes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

LENGTHS = [4096 << n for n in range(7)]
INFO = bytes.fromhex("4a4f53452d48504b452072637074ff4132353647434dff")
HPKE = Suite(KEM.MLKEM768_X25519, KDF.SHAKE256, AEAD.AES_256_GCM)


class Refused(Exception):
    """A check failed."""

    def __init__(self, layer: str, code: str) -> None:
        self.layer, self.code = layer, code
        super().__init__(f"{code} at {layer}")


def read(vector: dict[str, Any]) -> Any:
    """Return what the office finds inside.

    Raises:
        Refused: a check fails.
    """
    part = _at(vector["body"], vector["place"])
    members = _members(part, vector.get("ciphertext_pad", 0))
    header = _header(members["protected"])
    if part["kid"] != header["kid"]:
        raise Refused("kid", "header-mismatch")
    if [len(_b64(header["ek"], "header")), *(len(members[name]) for name in ("encrypted_key", "iv", "tag"))] != [
        1120, 48, 12, 16,
    ] or len(members["ciphertext"]) not in LENGTHS:  # fmt: skip
        raise Refused("lengths", "field-length")
    if _dump(header["trm"]) != _dump(_profile(vector, header["trm"])):
        raise Refused("place", "header-mismatch")
    return _open(vector, header, members, part["jwe"]["protected"])


def _open(vector: dict[str, Any], header: dict[str, Any], members: dict[str, bytes], protected: str) -> Any:
    held = {_kid(item["jwk"]): item["jwk"]["priv"] for item in vector["held"]}
    if header["kid"] not in held:
        raise Refused("held", "unknown-recipient-key")
    key = private_key(held[header["kid"]])
    try:
        content_key = HPKE.decrypt(_b64(header["ek"], "header") + members["encrypted_key"], key, INFO)
        padded = AESGCM(content_key).decrypt(members["iv"], members["ciphertext"] + members["tag"], protected.encode())
    except (InvalidTag, ValueError):
        raise Refused("decrypt", "decrypt-failed") from None
    plain = padded.rstrip(b" ")
    if plain[-1:] != b"}" or len(padded) != min(length for length in LENGTHS if length >= len(plain)):
        raise Refused("padding", "padding")
    return _canonical(plain, "inside")


def private_key(seed: str) -> MLKEM768X25519PrivateKey:
    """Return the private key of a seed (PROTOCOL 7.3)."""
    expanded = hashlib.shake_256(_b64(seed, "held")).digest(96)
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])
    )


def _at(body: Any, place: str) -> Any:
    for step in place.split("/")[1:]:
        body = body[int(step)] if isinstance(body, list) else body[step]
    return body


def _members(part: Any, pad: int) -> dict[str, bytes]:
    if not isinstance(part, dict) or set(part) != {"kid", "jwe"} or not isinstance(part["jwe"], dict):
        raise Refused("members", "envelope-members")
    jwe = part["jwe"]
    if set(jwe) != {"ciphertext", "encrypted_key", "iv", "protected", "tag"}:
        raise Refused("members", "envelope-members")
    padded = {**jwe, "ciphertext": jwe["ciphertext"] + "A" * pad}
    return {name: _b64(text, "members", "envelope-members") for name, text in padded.items()}


def _header(raw: bytes) -> dict[str, Any]:
    header = _canonical(raw, "header")
    wrong = Refused("header", "envelope-header")
    if not isinstance(header, dict) or set(header) != {"alg", "crit", "ek", "enc", "kid", "trm", "typ"}:
        raise wrong
    if (header["alg"], header["crit"], header["enc"], header["typ"]) != ("HPKE-9-KE", ["trm"], "A256GCM", "trm+part"):
        raise wrong
    texts = isinstance(header["ek"], str) and isinstance(header["kid"], str)
    if not texts or not isinstance(header["trm"], dict) or not re.fullmatch(r"[A-Za-z0-9_-]{43}", header["kid"]):
        raise wrong
    return header


def _profile(vector: dict[str, Any], stated: dict[str, Any]) -> dict[str, Any]:
    message = vector["message"]
    expected = {name: message[name] for name in ("exercise", "type", "version")}
    expected |= {"from": message["sender"], "to": message["recipient"], "place": vector["place"], "v": 1}
    if "procedure" in stated:
        expected["procedure"] = message["procedure"]
    expected["rest"] = hashlib.sha256(_dump(_nulled(vector["body"]))).hexdigest()
    return expected


def _nulled(node: Any) -> Any:
    if isinstance(node, dict):
        return None if set(node) == {"kid", "jwe"} else {name: _nulled(item) for name, item in node.items()}
    return [_nulled(item) for item in node] if isinstance(node, list) else node


def _canonical(raw: bytes, layer: str) -> Any:
    try:
        value = json.loads(raw.decode(), parse_float=_refuse, parse_constant=_refuse)
        if _dump(value) == raw:
            return value
    except (ValueError, UnicodeError):
        pass
    raise Refused(layer, "not-canonical")


def _refuse(text: str) -> Any:
    raise ValueError(text)


def _dump(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _kid(private: dict[str, str]) -> str:
    public = {name: private[name] for name in ("alg", "kty", "pub")}
    return base64.urlsafe_b64encode(hashlib.sha256(_dump(public)).digest()).decode().rstrip("=")


def _b64(text: Any, layer: str, code: str = "envelope-header") -> bytes:
    try:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
            raise ValueError("another alphabet")
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
            raise ValueError("another spelling")
    except (ValueError, TypeError, binascii.Error):
        raise Refused(layer, code) from None
    return raw
