# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What kind of file bytes are, by the bytes alone, in one pass and little memory; and that they are nothing else too.

- Only the few types of `attachments.MEDIA_TYPES` have a verdict; everything else is refused.
- A file that two programs would read as two types is refused: a PDF's beginning or a ZIP's end in anything else.
- A ZIP is judged by its directory and never unpacked; macros, controls, encryption and boasted sizes are refused.
- This is no virus scanner. It keeps out what nobody needs to send; an office's own scanner stays in its place.
"""

from __future__ import annotations

import codecs
import hashlib
import struct
from collections.abc import Iterator

from broker.core.attachments import SEALED_TYPE
from broker.core.errors import AttachmentRefused
from broker.core.ids import Digest

__all__ = ["FileInspector"]

_BEGINNINGS = (
    (b"%PDF-1.", "application/pdf"),
    (b"%PDF-2.", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"TRMS\x01", SEALED_TYPE),
)
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_ODT = "application/vnd.oasis.opendocument.text"
_HEAD = 1024  # bytes; readers of PDF look for its beginning no further
_TAIL = 262_144  # bytes; the directory of a ZIP must fit, and its end lies within the last 65,557 of any file
_END = struct.Struct("<4s4H2IH")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_MAX_ENTRIES = 2_000
_MAX_UNPACKED = 536_870_912  # bytes, as the directory says: more is a bomb for whoever opens it
_ACTIVE = ("vbaproject.bin", "vbadata.xml", "/activex/", "/embeddings/oleobject", "basic/", "scripts/", "/macrosheets/")
_TEXT_CONTROLS = frozenset(range(0x20)) - {0x09, 0x0A, 0x0C, 0x0D} | {0x7F}
_TEXT_TABLE = bytes(sorted(_TEXT_CONTROLS))


class FileInspector:
    """Takes a file part by part; then says its digest and type."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_text = True
        self._head = b""
        self._tail = b""
        self.size = 0

    def feed(self, part: bytes) -> None:
        """Take the next bytes."""
        self._sha256.update(part)
        self.size += len(part)
        if len(self._head) < _HEAD:
            self._head += part[: _HEAD - len(self._head)]
        self._tail = part[-_TAIL:] if len(part) >= _TAIL else (self._tail + part)[-_TAIL:]
        if self._is_text:
            self._is_text = self._still_text(part, final=False)

    @property
    def digest(self) -> Digest:
        """SHA-256 of what was taken."""
        return Digest(self._sha256.hexdigest())

    def media_type(self) -> str:
        """Return the one type that these bytes have.

        Raises:
            AttachmentRefused: none that may travel, or more than one.
        """
        found = self._by_beginning()
        if found == SEALED_TYPE:
            return found  # ciphertext holds any bytes by chance; the office judges what is inside
        if found is None:
            raise AttachmentRefused("Files of this kind may not be attached.")
        if found != "application/pdf" and b"%PDF-" in self._head:
            raise AttachmentRefused("The file is also the beginning of a PDF.")
        if found == "application/pdf" and b"%%EOF" not in self._tail[-_HEAD:]:
            raise AttachmentRefused("The PDF is cut off.")
        if found not in {_DOCX, _ODT} and b"PK\x05\x06" in self._tail[-65_557:]:
            raise AttachmentRefused("The file is also the end of a ZIP archive.")
        return found

    def _by_beginning(self) -> str | None:
        if self._head.startswith(b"PK\x03\x04"):
            return self._office_type()
        for beginning, media_type in _BEGINNINGS:
            if self._head.startswith(beginning):
                return media_type
        return "text/plain" if self.size and self._is_text and self._still_text(b"", final=True) else None

    def _still_text(self, part: bytes, *, final: bool) -> bool:
        try:
            self._decoder.decode(part, final)
        except UnicodeDecodeError:
            return False
        return len(part.translate(None, _TEXT_TABLE)) == len(part)

    def _office_type(self) -> str:
        names = [name for name, _ in self._directory()]
        folded = {f"/{name.lower()}" for name in names}
        if any(sign in name for name in folded for sign in _ACTIVE):
            raise AttachmentRefused("Documents with macros or controls may not be attached.")
        # An ODT begins with the stored entry "mimetype", so that its type stands at a fixed place (ODF 1.3 part 2, 3.3).
        if self._head[30:38] == b"mimetype" and self._head[38:].startswith(_ODT.encode() + b"PK"):
            return _ODT
        if {"/[content_types].xml", "/word/document.xml"} <= folded:
            return _DOCX
        raise AttachmentRefused("ZIP archives may not be attached, only text documents.")

    def _directory(self) -> Iterator[tuple[str, int]]:
        """Yield name and unpacked size of each entry; the directory must end the file and lie where it says."""
        cut = AttachmentRefused("The document's archive is damaged or of an unusual form.")
        if len(self._tail) < _END.size:
            raise cut
        magic, disk, first, here, entries, length, offset, comment = _END.unpack(self._tail[-_END.size :])
        begin = len(self._tail) - _END.size - length
        if magic != b"PK\x05\x06" or disk or first or comment or here != entries or begin < 0:
            raise cut
        if offset + length + _END.size != self.size or not 1 <= entries <= _MAX_ENTRIES:
            raise cut
        unpacked = 0
        for _ in range(entries):
            if begin + _ENTRY.size > len(self._tail) - _END.size:
                raise cut
            fields = _ENTRY.unpack_from(self._tail, begin)
            name_at = begin + _ENTRY.size
            name = self._tail[name_at : name_at + fields[10]]
            begin = name_at + fields[10] + fields[11] + fields[12]
            unpacked += fields[9]
            if fields[0] != b"PK\x01\x02" or fields[3] & 1 or not name.isascii() or unpacked > _MAX_UNPACKED:
                raise cut
            if name.startswith(b"/") or b".." in name or b"\\" in name:
                raise cut
            yield name.decode("ascii"), fields[9]
