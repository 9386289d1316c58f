# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A second reader of sealed files, written from PROTOCOL 16.7 alone, on what `sealed_reader` knows of encryptions to an office.

Types it knows by the beginnings that the vectors need, names by what they forbid.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sealed_reader import HPKE, INFO, Refused, _b64, _canonical, _dump, _kid, private_key

SEGMENT = 65_536
TYPES = {"text/plain": ".txt", "application/pdf": ".pdf", "image/jpeg": ".jpg"}


def read(vector: dict[str, Any]) -> bytes:
    """Return the file's bytes.

    Raises:
        Refused: a check fails.
    """
    raw = _b64(vector["file"], "members", "envelope-members")
    length = int.from_bytes(raw[5:9], "big")
    if raw[:5] != b"TRMS\x01" or length > 16_384 or len(raw) < 9 + length:
        raise Refused("members", "envelope-members")
    head = _canonical(raw[9 : 9 + length], "head")
    described = _described(vector, head)
    name, kind = described["name"], described["media_type"]
    if re.search(r"[/\\:*?\"<>|\x00-\x1f]", name) or not name.endswith(TYPES[kind]) or name.startswith("."):
        raise Refused("name", "attachment-refused")
    plain = _plain(raw[9 + length :], described, hashlib.sha256(raw[: 9 + length]).digest())
    if hashlib.sha256(plain).hexdigest() != described["digest"]:
        raise Refused("whole", "attachment-spoiled")
    if (plain[:5] == b"%PDF-") != (kind == "application/pdf") or (kind == "text/plain" and b"\x00" in plain):
        raise Refused("whole", "attachment-refused")
    return plain


def _described(vector: dict[str, Any], head: Any) -> dict[str, Any]:
    wrong = Refused("members", "envelope-members")
    if not isinstance(head, dict) or set(head) != {"jwe", "kid"}:
        raise wrong
    jwe = {name: _b64(text, "members", "envelope-members") for name, text in head["jwe"].items()}
    header = _canonical(jwe["protected"], "header")
    if header["typ"] != "trm+file":
        raise Refused("header", "envelope-header")
    if head["kid"] != header["kid"]:
        raise wrong
    if len(jwe["ciphertext"]) not in {1024, 2048}:
        raise Refused("lengths", "field-length")
    if _dump(header["trm"]) != _dump({"from": vector["sender"], "to": vector["recipient"], "v": 1}):
        raise Refused("place", "header-mismatch")
    held = {_kid(item["jwk"]): item["jwk"]["priv"] for item in vector["held"]}
    if header["kid"] not in held:
        raise Refused("held", "unknown-recipient-key")
    key = private_key(held[header["kid"]])
    content_key = HPKE.decrypt(_b64(header["ek"], "header") + jwe["encrypted_key"], key, INFO)
    padded = AESGCM(content_key).decrypt(jwe["iv"], jwe["ciphertext"] + jwe["tag"], head["jwe"]["protected"].encode())
    plain = padded.rstrip(b" ")
    if plain[-1:] != b"}" or len(padded) != (1024 if len(plain) <= 1024 else 2048):
        raise Refused("padding", "padding")
    return _checked(_canonical(plain, "inside"))


def _checked(inside: Any) -> dict[str, Any]:
    fits = (
        isinstance(inside, dict)
        and set(inside) == {"digest", "key", "media_type", "name", "size"}
        and type(inside["size"]) is int
        and 1 <= inside["size"] <= 99 * 2**20
        and re.fullmatch(r"[0-9a-f]{64}", inside["digest"])
        and len(_b64(inside["key"], "inside")) == 32
        and inside["media_type"] in TYPES
    )
    if not fits:
        raise Refused("inside", "content-shape")
    return dict(inside)


def _plain(sealed: bytes, described: dict[str, Any], bound: bytes) -> bytes:
    size, spoiled = described["size"], Refused("segments", "attachment-spoiled")
    whole = next((16_384 << n for n in range(7) if size <= 16_384 << n), -(-size // 2**20) * 2**20)
    count = -(-whole // SEGMENT)
    aead, plain = AESGCM(_b64(described["key"], "inside")), b""
    for index in range(count):
        wanted = min(SEGMENT, whole - index * SEGMENT) + 16
        part, sealed = sealed[:wanted], sealed[wanted:]
        if len(part) < wanted:
            raise spoiled
        try:
            plain += aead.decrypt(index.to_bytes(11, "big") + bytes([index == count - 1]), part, bound)
        except InvalidTag:
            raise Refused("segments", "decrypt-failed") from None
    if sealed or plain[size:].strip(b"\x00"):
        raise spoiled
    return plain[:size]
