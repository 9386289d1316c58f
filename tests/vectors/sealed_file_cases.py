# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The vectors of sealed files: ``python tests/vectors/sealed_file_cases.py FOLDER`` writes a fresh set.

Written with none of the product's code. Stored vectors never change; a new case is generated into a folder of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from forge import HYBRID, b64, dump, encapsulate, same
from sealed_forge import DESK, MESSAGE, OTHER_DESK

SEGMENT = 65_536
TEXT = "About Test-Mari: Õun, Ķirse, Ёлкина, 美穂.\n".encode()


def padded(plain: bytes) -> bytes:
    """Return the file with the zeros behind it."""
    size = next((16_384 << n for n in range(7) if len(plain) <= 16_384 << n), -(-len(plain) // 2**20) * 2**20)
    return plain.ljust(size, b"\x00")


def in_order(segments: list[bytes]) -> list[bytes]:
    """Return the segments as they are: no fault."""
    return segments


@dataclass(frozen=True, kw_only=True)
class Case:
    """One vector: a file, and what the office makes of it. Every field after `plain` is a place for a fault."""

    name: str
    comment: str
    expect: str = "ok"
    layer: str | None = None
    plain: bytes = TEXT
    described: dict[str, Any] = field(default_factory=dict)
    inside: Callable[[bytes], bytes] = same
    head_padding: Callable[[bytes], bytes] = field(default=lambda raw: raw.ljust(1024))
    header: Callable[[dict[str, Any]], Any] = same
    trm: dict[str, Any] = field(default_factory=dict)
    head: Callable[[bytes], bytes] = same
    magic: bytes = b"TRMS\x01"
    length: int | None = None
    padding: Callable[[bytes], bytes] = padded
    last: bytes = b"\x01"
    bound: Callable[[bytes], bytes] = same
    segments: Callable[[list[bytes]], list[bytes]] = in_order
    to: Any = DESK

    def document(self) -> bytes:
        """Return the vector's file."""
        key = os.urandom(32)
        head = self._head(key)
        whole = self.padding(self.plain)
        parts = [whole[at : at + SEGMENT] for at in range(0, len(whole), SEGMENT)]
        bound = self.bound(hashlib.sha256(head).digest())
        sealed = [
            AESGCM(key).encrypt(n.to_bytes(11, "big") + (self.last if n == len(parts) - 1 else b"\x00"), part, bound)
            for n, part in enumerate(parts)
        ]
        vector: dict[str, Any] = {
            "name": self.name, "comment": self.comment, "expect": self.expect, "layer": self.layer,
            "sender": MESSAGE["sender"], "recipient": MESSAGE["recipient"],
            "held": [{"note": "TEST KEY - never use", "jwk": DESK.private_jwk}],
            "file": b64(head + b"".join(self.segments(sealed))),
        }  # fmt: skip
        if self.expect == "ok":
            vector["plain"] = b64(self.plain)
        return json.dumps(vector, indent=2, ensure_ascii=False).encode() + b"\n"

    def _head(self, key: bytes) -> bytes:
        described = {
            "digest": hashlib.sha256(self.plain).hexdigest(), "key": b64(key), "media_type": "text/plain",
            "name": "Test-Mari.txt", "size": len(self.plain), **self.described,
        }  # fmt: skip
        content_key, iv = os.urandom(32), os.urandom(12)
        ek, encrypted_key = encapsulate(content_key, self.to)
        trm = {"from": MESSAGE["sender"], "to": MESSAGE["recipient"], "v": 1, **self.trm}
        header = {
            "alg": HYBRID, "crit": ["trm"], "ek": b64(ek), "enc": "A256GCM", "kid": self.to.kid, "trm": trm,
            "typ": "trm+file",
        }  # fmt: skip
        protected = b64(dump(self.header(header)))
        encrypted = AESGCM(content_key).encrypt(iv, self.head_padding(self.inside(dump(described))), protected.encode())
        jwe = {
            "ciphertext": b64(encrypted[:-16]), "encrypted_key": b64(encrypted_key), "iv": b64(iv),
            "protected": protected, "tag": b64(encrypted[-16:]),
        }  # fmt: skip
        raw = self.head(dump({"jwe": jwe, "kid": self.to.kid}))
        return self.magic + (len(raw) if self.length is None else self.length).to_bytes(4, "big") + raw


def good() -> Iterator[Case]:
    """Yield files that open."""
    yield Case(name="file-text", comment="A small text, padded to 16 KiB.")
    yield Case(name="file-full", comment="Exactly 16 KiB: no padding.", plain=b"x" * 16_384)
    yield Case(name="file-two-segments", comment="One byte more than a segment.", plain=b"x" * (SEGMENT + 1))
    pdf = b"%PDF-1.7\n1 0 obj\nendobj\n%%EOF\n"
    yield Case(
        name="file-pdf", comment="A PDF with a long name.", plain=pdf,
        described={"media_type": "application/pdf", "name": "Ž" * 90 + ".pdf"},
    )  # fmt: skip


def heads() -> Iterator[Case]:
    """Yield files whose head is wrong."""
    members = {
        "file-magic": ("Another first letter.", {"magic": b"XRMS\x01"}),
        "file-version": ("Version 2.", {"magic": b"TRMS\x02"}),
        "file-head-too-long": ("A head of 4 GiB.", {"length": 2**32 - 1}),
        "file-head-member": ("A member more in the head.", {"head": lambda raw: raw[:-1] + b',"more":1}'}),
        "file-head-kid": ("Another kid outside.", {"head": lambda raw: raw.replace(
            b'"kid":"' + DESK.kid.encode(), b'"kid":"' + OTHER_DESK.kid.encode())}),
    }  # fmt: skip
    for name, (comment, change) in members.items():
        yield Case(name=name, comment=comment, expect="envelope-members", layer="members", **change)
    yield Case(
        name="file-head-with-space", comment="A space in the head.", expect="not-canonical", layer="head",
        head=lambda raw: raw.replace(b":", b": ", 1),
    )  # fmt: skip
    yield Case(
        name="file-is-a-part", comment="It says that it is a part.", expect="envelope-header", layer="header",
        header=lambda header: {**header, "typ": "trm+part"},
    )  # fmt: skip
    yield Case(
        name="file-head-length", comment="1,025 bytes inside the head.", expect="field-length", layer="lengths",
        head_padding=lambda raw: raw.ljust(1025),
    )  # fmt: skip
    other = {"authority": "court", "country": "FI"}
    for name, comment, trm in (
        ("file-from-another", "Sealed by another office.", {"from": {**other, "country": "EE"}}),
        ("file-for-another", "Sealed for another office.", {"to": other}),
        ("file-profile-member", "A member more in the profile.", {"id": "x"}),
    ):
        yield Case(name=name, comment=comment, trm=trm, expect="header-mismatch", layer="place")
    yield Case(
        name="file-another-key", comment="Sealed to another office's key.", to=OTHER_DESK,
        expect="unknown-recipient-key", layer="held",
    )  # fmt: skip


def insides() -> Iterator[Case]:
    """Yield files whose head opens and says something impossible."""
    yield Case(
        name="file-head-padding", comment="2,048 bytes where 1,024 are enough.", expect="padding", layer="padding",
        head_padding=lambda raw: raw.ljust(2048),
    )  # fmt: skip
    yield Case(
        name="file-name-twice", comment="A name twice inside.", expect="not-canonical", layer="inside",
        inside=lambda raw: raw.replace(b"{", b'{"digest":"",', 1),
    )  # fmt: skip
    for name, comment, described in (
        ("file-size-true", "The size is true.", {"size": True}),
        ("file-size-zero", "The size is zero.", {"size": 0}),
        ("file-size-huge", "More than 99 MiB.", {"size": 99 * 2**20 + 1}),
        ("file-short-key", "A key of 31 bytes.", {"key": b64(b"x" * 31)}),
        ("file-further-member", "A member more.", {"more": 1}),
        ("file-sealed-in-sealed", "A sealed file inside.", {"media_type": "application/vnd.trm.sealed"}),
        ("file-unknown-type", "A type that may not travel.", {"media_type": "application/zip"}),
        ("file-upper-case-digest", "The digest in capitals.", {"digest": "AB" * 32}),
    ):
        yield Case(name=name, comment=comment, described=described, expect="content-shape", layer="inside")
    yield Case(
        name="file-hostile-name", comment="A name that leads out of its folder.", expect="attachment-refused", layer="name",
        described={"name": "../Test-Mari.txt"},
    )  # fmt: skip


def contents() -> Iterator[Case]:
    """Yield files whose segments are wrong."""
    two: dict[str, Any] = {"plain": b"x" * (SEGMENT + 1)}
    opened = {
        "file-swapped": ("Two segments swapped.", {"segments": lambda s: s[::-1], **two}),
        "file-not-last": ("The last segment does not say that it is the last.", {"last": b"\x00"}),
        "file-head-not-bound": ("The head is not in the AAD.", {"bound": lambda _: b""}),
        "file-changed": ("One bit.", {"segments": lambda s: [bytes([s[0][0] ^ 1]) + s[0][1:]]}),
    }
    for name, (comment, change) in opened.items():
        yield Case(name=name, comment=comment, expect="decrypt-failed", layer="segments", **change)
    spoiled = {
        "file-cut-off": ("The last segment is missing.", {"segments": lambda s: s[:-1], **two}),
        "file-bytes-behind": ("A byte behind the last segment.", {"segments": lambda s: [*s, b"\x00"]}),
        "file-padding-not-zero": (
            "A one in the padding.",
            {"padding": lambda raw: raw.ljust(16_383, b"\x00") + b"\x01"},
        ),
    }
    for name, (comment, change) in spoiled.items():
        yield Case(name=name, comment=comment, expect="attachment-spoiled", layer="segments", **change)
    yield Case(
        name="file-wrong-digest", comment="The bytes are not those of the digest.", described={"digest": "ab" * 32},
        expect="attachment-spoiled", layer="whole",
    )  # fmt: skip
    yield Case(
        name="file-wrong-type", comment="A text that says it is a PDF.", expect="attachment-refused", layer="whole",
        described={"media_type": "application/pdf", "name": "Test-Mari.pdf"},
    )  # fmt: skip
    yield Case(
        name="file-program", comment="A program that says it is a text.", plain=b"MZ\x90\x00" + b"\x00" * 60,
        expect="attachment-refused", layer="whole",
    )  # fmt: skip


def main(folder: Path) -> None:
    """Write one file for each case."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (good, heads, insides, contents):
        for case in source():
            file = folder / f"{case.name}.json"
            if file.exists():
                raise SystemExit(f"{file.name} exists already; stored vectors never change")
            file.write_bytes(case.document())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
