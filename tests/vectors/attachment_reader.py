# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A second reader of attachments' chunks, written from ``schemas/PROTOCOL.md`` section 15 alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

COUNTRY = re.compile(rb"(?!EL|UK)[A-Z]{2}")
UUID7 = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
BEGINNINGS = {
    "application/pdf": (b"%PDF-1.", b"%PDF-2."),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/tiff": (b"II*\x00", b"MM\x00*"),
}
ODT = "application/vnd.oasis.opendocument.text"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ACTIVE = ("vbaproject.bin", "vbadata.xml", "/activex/", "/embeddings/oleobject", "basic/", "scripts/", "/macrosheets/")


class Refused(Exception):
    """A check failed."""

    def __init__(self, layer: str, code: str) -> None:
        super().__init__(f"{layer}: {code}")
        self.layer, self.code = layer, code


def refuse_unless(condition: object, layer: str, code: str) -> None:
    """Go on only where the condition holds."""
    if not condition:
        raise Refused(layer, code)


def unb64(text: str) -> bytes:
    """Return the bytes of base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read(vector: dict[str, Any]) -> bytes | None:
    """Return the file's bytes, None where chunks lack, or raise `Refused`."""
    held: dict[int, bytes] = {}
    said = vector["attachment"]
    for text in vector["chunks"]:
        raw = unb64(text) + b"\x00" * vector.get("pad", 0)
        index, plain = one(vector, raw)
        held[index] = plain
    if len(held) < said["chunks"]:
        return None
    plain = b"".join(held[index] for index in range(said["chunks"]))
    refuse_unless(hashlib.sha256(plain).hexdigest() == said["digest"], "whole", "attachment-spoiled")
    refuse_unless(is_type(plain, said["media_type"]), "whole", "attachment-spoiled")
    return plain


def one(vector: dict[str, Any], raw: bytes) -> tuple[int, bytes]:
    """Return index and bytes of a chunk (15.5)."""
    said, message = vector["attachment"], vector["message"]
    refuse_unless(len(raw) <= 1_048_657, "size", "too-large")
    refuse_unless(len(raw) >= 16_465 and raw[:5] == b"TRMC\x01", "shape", "chunk-shape")
    sender, recipient, handle = raw[5:7], raw[7:9], raw[25:57]
    index, count = int.from_bytes(raw[57:61], "big"), int.from_bytes(raw[61:65], "big")
    refuse_unless(COUNTRY.fullmatch(sender) and COUNTRY.fullmatch(recipient), "shape", "chunk-shape")
    refuse_unless(UUID7.fullmatch(raw[9:25].hex()), "shape", "chunk-shape")
    refuse_unless(1 <= count <= 100 and index < count, "shape", "chunk-shape")
    refuse_unless(recipient.decode() == vector["us"], "recipient", "not-for-us")
    key, digest = unb64(said["key"]), bytes.fromhex(said["digest"])
    known = (
        vector["user"] in (None, sender.decode())
        and sender.decode() == message["from"]
        and raw[9:25].hex() == message["id"].replace("-", "")
        and handle == hmac.digest(key, b"trm-attachment/1 handle\x00" + digest, "sha256")
        and count == said["chunks"]
    )
    refuse_unless(known, "known", "chunk-unknown")
    chunk_key = hmac.digest(key, b"trm-attachment/1 chunk\x00", "sha256")
    try:
        padded = AESGCM(chunk_key).decrypt(index.to_bytes(12, "big"), raw[65:], raw[:65] + digest)
    except InvalidTag:
        raise Refused("decrypt", "decrypt-failed") from None
    size = min(1_048_576, said["size"] - index * 1_048_576)
    expected = min(16_384 * 2**n for n in range(7) if 16_384 * 2**n >= size)
    refuse_unless(len(padded) == expected and not any(padded[size:]), "padding", "padding")
    return index, padded[:size]


def is_type(plain: bytes, media_type: str) -> bool:
    """Whether a file is of its type by its bytes and nothing else too (15.6a)."""
    if media_type != "application/pdf" and b"%PDF-" in plain[:1024]:
        return False
    if media_type in (ODT, DOCX):
        names = entries(plain)
        if media_type == ODT:
            return bool(names) and plain[30:].startswith(b"mimetype" + ODT.encode() + b"PK")
        return {"[content_types].xml", "word/document.xml"} <= {name.lower() for name in names}
    if b"PK\x05\x06" in plain[-65_557:]:
        return False
    if media_type == "text/plain":
        controls = {*range(32), 127} - {9, 10, 12, 13}
        return controls.isdisjoint(plain) and is_utf8(plain)
    if media_type == "application/pdf" and b"%%EOF" not in plain[-1024:]:
        return False
    return plain.startswith(BEGINNINGS[media_type])


def entries(plain: bytes) -> list[str]:
    """Return the names in an archive's directory; none where it breaks a rule."""
    if not plain.startswith(b"PK\x03\x04") or len(plain) < 22 or plain[-22:-18] != b"PK\x05\x06":
        return []
    disk, first, here, number, length, offset, comment = struct.unpack("<4H2IH", plain[-18:])
    rules = (disk, first, comment, here) == (0, 0, 0, number) and 1 <= number <= 2_000
    if not rules or length + 22 > 262_144 or offset + length + 22 != len(plain):
        return []
    names, unpacked, place = list[str](), 0, offset
    for _ in range(number):
        head = plain[place : place + 46]
        if len(head) < 46 or place + 46 > len(plain) - 22 or head[:4] != b"PK\x01\x02" or head[8] & 1:
            return []
        size, name, extra, said = struct.unpack("<I3H", head[24:34])
        unpacked += size
        names.append(plain[place + 46 : place + 46 + name].decode("latin-1"))
        place += 46 + name + extra + said
    wrong = [name for name in names if not name.isascii() or name.startswith("/") or ".." in name or "\\" in name]
    active = [name for name in names if any(sign in f"/{name.lower()}" for sign in ACTIVE)]
    return [] if wrong or active or unpacked > 536_870_912 else names


def is_utf8(plain: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        plain.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
