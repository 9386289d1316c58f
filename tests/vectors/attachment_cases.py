# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The vectors of attachments: ``python tests/vectors/attachment_cases.py FOLDER`` writes them, the same bytes every time.

Every key here is made from a label and published. Never use one.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from attachment_forge import MIB, Case, File

TEXT = File(plain=b"A synthetic attachment of a synthetic child.\n")
LONG = File(plain=b"x" * MIB + b"tail!")  # two chunks; the vectors hold the second
PDF = File(plain=b"%PDF-1.7\n1 0 obj\nendobj\n%%EOF\n", name="vector.pdf", media_type="application/pdf")

PDF_TYPE = ("application/pdf", "pdf")
DOCX = ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx")
ODT = ("application/vnd.oasis.opendocument.text", "odt")
WORD = {"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<document/>"}
TEXT_DOCUMENT = {"mimetype": ODT[0].encode(), "content.xml": b"<document/>"}


def good() -> Iterator[Case]:
    """Yield chunks that are taken."""
    yield Case(name="one-chunk", comment="A small text, padded to 16 KiB.", file=TEXT, chunks=(TEXT.chunk(),))
    yield Case(name="pdf", comment="A small PDF.", file=PDF, chunks=(PDF.chunk(),))
    full = File(plain=b"f" * 16_384)
    yield Case(name="no-padding", comment="Exactly 16 KiB: no padding.", file=full, chunks=(full.chunk(),))
    over = File(plain=b"f" * 16_385)
    yield Case(name="next-padding", comment="One byte more: 32 KiB.", file=over, chunks=(over.chunk(),))
    zeros = File(plain=b"%PDF-1.7\n%%EOF" + b"\x00" * 9, name="z.pdf", media_type="application/pdf")
    yield Case(name="zeros-at-the-end", comment="The file itself ends in zeros.", file=zeros, chunks=(zeros.chunk(),))
    yield Case(
        name="last-of-two", comment="The second of two chunks; the first lacks.", file=LONG, chunks=(LONG.chunk(1),),
        whole=False,
    )  # fmt: skip
    yield Case(name="repeat", comment="The same chunk twice.", file=TEXT, chunks=(TEXT.chunk(), TEXT.chunk()))
    yield Case(
        name="unknown-user", comment="A transport that tells no user.", file=TEXT, chunks=(TEXT.chunk(),), user=None
    )


def outside() -> Iterator[Case]:
    """Yield chunks that are refused before a key touches them."""
    right = TEXT.chunk()
    shape = {
        "short": ("One byte less than the shortest chunk.", right[:-1]),
        "empty": ("No bytes at all.", b""),
        "magic": ("Another first letter.", b"X" + right[1:]),
        "version": ("Version 2.", TEXT.chunk(magic=b"TRMC\x02")),
        "lower-case-country": ("The sender in lower case.", TEXT.chunk(sender=b"ee")),
        "greek-alias": ("EL is no country code here.", TEXT.chunk(recipient=b"EL")),
        "not-uuid7": ("A message id that is UUIDv4.", TEXT.chunk(message="019aa9c1-7c00-4abc-8def-0123456789ab")),
        "index-is-count": ("The index is the count.", TEXT.chunk(index=1)),
        "no-count": ("A count of 0.", TEXT.chunk(count=0)),
        "count-over-100": ("A count of 101.", TEXT.chunk(count=101)),
    }
    for name, (comment, raw) in shape.items():
        yield Case(name=name, comment=comment, file=TEXT, chunks=(raw,), expect="chunk-shape", layer="shape")
    yield Case(
        name="too-large", comment="One byte more than the largest chunk.", file=TEXT, chunks=(right,),
        pad=1_048_658 - len(right), expect="too-large", layer="size",
    )  # fmt: skip
    yield Case(
        name="for-another", comment="For Sweden.", file=TEXT, chunks=(TEXT.chunk(recipient=b"SE"),),
        expect="not-for-us", layer="recipient",
    )  # fmt: skip
    known = {
        "another-user": ("Published by another country's user.", right, "SE"),
        "another-sender": ("It says another sender than the message has.", TEXT.chunk(sender=b"SE"), "SE"),
        "another-message": (
            "A message that describes nothing.", TEXT.chunk(message="019aa9c1-7c00-7abc-8def-0123456789ac"), "EE",
        ),
        "another-handle": ("A handle of no attachment.", TEXT.chunk(handle=b"\x11" * 32), "EE"),
        "plain-digest-as-handle": ("The digest in the open.", TEXT.chunk(handle=bytes.fromhex(TEXT.description()["digest"])), "EE"),
        "another-count": ("It says that there are two.", TEXT.chunk(count=2), "EE"),
    }  # fmt: skip
    for name, (comment, raw, user) in known.items():
        yield Case(
            name=name, comment=comment, file=TEXT, chunks=(raw,), user=user, expect="chunk-unknown", layer="known"
        )


def inside() -> Iterator[Case]:
    """Yield chunks that name the right attachment and are wrong inside."""
    right = TEXT.chunk()
    handle = right[25:57]
    moved = LONG.chunk(1)
    decrypt = {
        "changed-byte": ("One bit of the ciphertext.", TEXT, right[:200] + bytes([right[200] ^ 1]) + right[201:]),
        "changed-tag": ("One bit of the tag.", TEXT, right[:-1] + bytes([right[-1] ^ 1])),
        "cut-off": ("Cut at the next smaller length.", File(plain=b"f" * 16_385), File(plain=b"f" * 16_385).chunk()[:16_465]),
        "moved": ("The second chunk in the first's place.", LONG, moved[:57] + bytes(4) + moved[61:]),
        "another-key": ("Under the key of another attachment.", TEXT, TEXT.chunk(key=b"\x02" * 32, handle=handle)),
        "key-not-derived": ("With a nonce of its own.", TEXT, TEXT.chunk(nonce=b"\x01" * 12)),
        "digest-not-bound": ("The digest is not in the AAD.", TEXT, TEXT.chunk(aad=right[:65])),
        "header-not-bound": ("The header is not in the AAD.", TEXT, TEXT.chunk(aad=b"")),
    }  # fmt: skip
    for name, (comment, file, raw) in decrypt.items():
        yield Case(name=name, comment=comment, file=file, chunks=(raw,), expect="decrypt-failed", layer="decrypt")
    padding = {
        "padding-not-zero": ("A one at the end.", TEXT.plain.ljust(16_383, b"\x00") + b"\x01"),
        "padding-too-long": ("32 KiB where 16 are enough.", TEXT.plain.ljust(32_768, b"\x00")),
        "padding-odd": ("A length that is no step.", TEXT.plain.ljust(16_385, b"\x00")),
    }
    for name, (comment, padded) in padding.items():
        raw = TEXT.chunk(padded=padded)
        yield Case(name=name, comment=comment, file=TEXT, chunks=(raw,), expect="padding", layer="padding")
    whole = {
        "wrong-digest": ("The bytes are not those of the digest.", File(plain=TEXT.plain, said={"digest": "ab" * 32})),
        "wrong-type": ("A text that says it is a PDF.", File(plain=TEXT.plain, name="x.pdf", media_type="application/pdf")),
        "program": ("A program that says it is a text.", File(plain=b"MZ\x90\x00\x03\x00\x00\x00")),
        "two-types": ("An image that is also a ZIP.", File(
            plain=b"\xff\xd8\xff\xe0PK\x03\x04PK\x05\x06" + b"\x00" * 18, name="x.jpg", media_type="image/jpeg",
        )),
    }  # fmt: skip
    for name, (comment, file) in whole.items():
        yield Case(
            name=name, comment=comment, file=file, chunks=(file.chunk(),), expect="attachment-spoiled", layer="whole"
        )


def types() -> Iterator[Case]:
    """Yield whole files that are not of their type (PROTOCOL 15.6a)."""
    spoiled = {
        "pdf-without-end": ("A PDF that was cut off.", _named(b"%PDF-1.7\n1 0 obj\n", PDF_TYPE)),
        "text-with-escape": ("A text with a control that terminals obey.", File(plain=b"a\x1b[2J")),
        "text-with-delete": ("A text with U+007F.", File(plain=b"a\x7f")),
        "text-in-latin-1": ("A text that is not UTF-8.", File(plain=b"\xd5un")),
        "docx-of-no-document": ("An archive of something else.", _zipped(DOCX, {"a.html": b"<p>"})),
        "docx-with-comment": ("An archive that does not end with its end record.", _zipped(DOCX, WORD, comment=b"us")),
        "docx-with-bytes-before": ("Its directory is not where it says.", _zipped(DOCX, WORD, before=b"PK\x03\x04")),
        "docx-with-macros": ("A document with a program.", _zipped(DOCX, {**WORD, "word/vbaProject.bin": b"x"})),
        "docx-leads-elsewhere": ("An entry outside of the archive.", _zipped(DOCX, {**WORD, "../x.xml": b"x"})),
        "odt-named-late": ("Its type is not the first entry.", _zipped(ODT, dict(reversed(TEXT_DOCUMENT.items())))),
    }
    for name, (comment, file) in spoiled.items():
        yield Case(
            name=name, comment=comment, file=file, chunks=(file.chunk(),), expect="attachment-spoiled", layer="whole"
        )
    for name, comment, file in (
        ("docx", "The least of a text document.", _zipped(DOCX, WORD)),
        ("odt", "The least of an OpenDocument text.", _zipped(ODT, TEXT_DOCUMENT)),
    ):
        yield Case(name=name, comment=comment, file=file, chunks=(file.chunk(),))


def _named(plain: bytes, kind: tuple[str, str]) -> File:
    return File(plain=plain, name=f"x.{kind[1]}", media_type=kind[0])


def _zipped(kind: tuple[str, str], entries: dict[str, bytes], comment: bytes = b"", before: bytes = b"") -> File:
    """Return an archive whose entries are stored as they are: the same bytes from every Python."""
    files, directory = b"", b""
    for name, plain in entries.items():
        said = struct.pack("<4H3IH", 0, 0, 0, 0x21, zlib.crc32(plain), len(plain), len(plain), len(name))
        directory += b"PK\x01\x02" + struct.pack("<2H", 20, 20) + said + bytes(12) + struct.pack("<I", len(files))
        directory += name.encode()
        files += b"PK\x03\x04" + struct.pack("<H", 20) + said + bytes(2) + name.encode() + plain
    end = struct.pack("<4H2IH", 0, 0, len(entries), len(entries), len(directory), len(files), len(comment))
    return _named(before + files + directory + b"PK\x05\x06" + end + comment, kind)


def main(folder: Path) -> None:
    """Write one file for each case."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (good, outside, inside, types):
        for case in source():
            file = folder / f"{case.name}.json"
            if file.exists():
                raise SystemExit(f"{file.name} exists already; stored vectors never change")
            file.write_bytes(case.document())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
