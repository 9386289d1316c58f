# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What files are, by their bytes, however they are cut into parts."""

import hashlib
import io
import struct
import zipfile

import pytest

from broker.core.errors import AttachmentRefused
from broker.core.file_types import FileInspector

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"


def docx(*more: str, comment: bytes = b"") -> bytes:
    """A document as a word processor writes it, with further entries."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("[Content_Types].xml", "word/document.xml", *more):
            archive.writestr(name, "<x/>")
        archive.comment = comment
    return stream.getvalue()


def odt(mimetype: str = ODT, *more: str) -> bytes:
    """An OpenDocument text."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in (("mimetype", mimetype), ("content.xml", "<x/>"), *((name, "x") for name in more)):
            archive.writestr(name, text)
    return stream.getvalue()


def verdict(raw: bytes, parts: int = 1) -> str | None:
    """The type, None where the file is refused."""
    inspector = FileInspector()
    step = max(1, -(-len(raw) // parts))
    for at in range(0, len(raw), step):
        inspector.feed(raw[at : at + step])
    assert inspector.digest == hashlib.sha256(raw).hexdigest()
    assert inspector.size == len(raw)
    try:
        return inspector.media_type()
    except AttachmentRefused:
        return None


@pytest.mark.parametrize("parts", [1, 2, 7, 50])
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"%PDF-1.4\nx\n%%EOF\n", "application/pdf"),
        (b"%PDF-2.0\nx\n%%EOF", "application/pdf"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 60 + b"\xff\xd9", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 60, "image/png"),
        (b"II*\x00" + b"\x00" * 60, "image/tiff"),
        (b"MM\x00*" + b"\x00" * 60, "image/tiff"),
        ("Pöytäkirja €\r\n\tõ".encode(), "text/plain"),
        (b"\xef\xbb\xbfwith a mark", "text/plain"),
        (docx("word/media/image1.png"), DOCX),
        (odt(), ODT),
    ],
    ids=["pdf", "pdf 2", "jpeg", "png", "tiff", "tiff big", "text", "text with mark", "docx", "odt"],
)
def test_each_type_that_may_travel_is_known(raw: bytes, expected: str, parts: int) -> None:
    """The parts in which it comes change nothing."""
    assert verdict(raw, parts) == expected


REFUSED = {
    "nothing": b"",
    "a program": b"MZ\x90\x00",
    "an ELF program": b"\x7fELF\x02",
    "latin-1 text": "õ".encode("latin-1"),
    "half a character": "õ".encode()[:1],
    "text with a zero": b"a\x00b",
    "text with an escape": b"a\x1b[2Jb",
    "a cut PDF": b"%PDF-1.4 x",
    "a PDF of no version": b"%PDF-9.9 %%EOF",
    "an image with a PDF in it": b"\xff\xd8\xff\xe0%PDF-1.4 %%EOF",
    "an image that ends as an archive": b"\xff\xd8\xff\xe0" + docx(),
    "a PDF that ends as an archive": b"%PDF-1.4 %%EOF" + docx(),
    "any archive": odt("application/zip"),
    "a spreadsheet with macros": docx("xl/vbaProject.bin"),
    "a document with macros": docx("word/vbaProject.bin"),
    "a document with controls": docx("word/activeX/activeX1.xml"),
    "a document with an embedded program": docx("word/embeddings/oleObject1.bin"),
    "an ODT with macros": odt(ODT, "Basic/Standard/script-lb.xml"),
    "an archive with a comment": docx(comment=b"x"),
    "an archive with something behind": docx() + b"x",
    "an archive with something before": b"PK\x03\x04" + docx(),
    "a path in an archive": docx("../evil"),
    "a cut archive": docx()[:-1],
    "only a beginning": b"PK\x03\x04",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_everything_else_is_refused(raw: bytes) -> None:
    """Programs, macros, what is two things at once, what is damaged."""
    assert verdict(raw) is None


def _directory_changed(raw: bytes, offset: int, value: int, form: str) -> bytes:
    at = raw.index(b"PK\x01\x02") + offset
    size = struct.calcsize(form)
    return raw[:at] + struct.pack(form, value) + raw[at + size :]


@pytest.mark.parametrize(
    "raw",
    [
        _directory_changed(docx(), 24, 0xFFFFFFF0, "<I"),
        _directory_changed(docx(), 8, 1, "<H"),
        _directory_changed(docx(), 28, 60_000, "<H"),
        docx()[:-6] + struct.pack("<I", 1) + b"\x00\x00",
    ],
    ids=["boasts of gigabytes", "encrypted", "name beyond the end", "directory elsewhere"],
)
def test_a_document_whose_directory_lies_is_refused(raw: bytes) -> None:
    """It is judged without unpacking anything."""
    assert verdict(raw) is None


def test_a_large_file_costs_little_memory() -> None:
    """Whatever its size, its beginning and its end are kept and nothing between."""
    inspector = FileInspector()
    for _ in range(40):
        inspector.feed(b"a" * 1_048_576)

    assert inspector.media_type() == "text/plain"
    assert inspector.size == 40 * 1_048_576
    assert len(inspector._tail) + len(inspector._head) < 300_000
