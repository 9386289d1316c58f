# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What stands in a backup, counted and digested as it goes by: the same when it is written and when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO

from broker.backup.container import Frame, frames
from broker.core import canonical
from broker.core.errors import BackupInvalid, NotCanonical
from broker.security.backup_file import FileCipher

__all__ = [
    "BEGIN",
    "BLOB",
    "DATA",
    "DATA_KIND",
    "END",
    "FILE",
    "KEYS_KIND",
    "ROWS",
    "TABLE",
    "Account",
    "Manifest",
    "read_through",
    "stated",
]

DATA_KIND, KEYS_KIND = "data", "keys"
BEGIN, TABLE, ROWS, FILE, BLOB, DATA, END = b"H", b"T", b"R", b"F", b"B", b"D", b"M"


@dataclass(slots=True)
class _Sum:
    """Number, bytes and digest of what belongs to one name."""

    number: int = 0
    size: int = 0
    digest: Any = field(default_factory=sha256)

    def add(self, raw: bytes, number: int) -> None:
        self.number += number
        self.size += len(raw)
        self.digest.update(raw)

    def document(self) -> dict[str, Any]:
        return {"bytes": self.size, "digest": self.digest.hexdigest(), "number": self.number}


class Account:
    """Takes the frames in their order."""

    def __init__(self) -> None:
        self._tables: dict[str, _Sum] = {}
        self._files: dict[str, _Sum] = {}
        self._blobs = _Sum()
        self._into: _Sum | None = None

    def take(self, frame: Frame) -> None:
        """Count a frame.

        Raises:
            BackupInvalid: it stands where it cannot.
        """
        if frame.kind == TABLE:
            self._into = self._begun(self._tables, stated(frame)["table"])
        elif frame.kind == FILE:
            self._into = self._begun(self._files, stated(frame)["file"])
        elif frame.kind == BLOB:
            self._into = self._blobs
            self._blobs.add(frame.payload, 1)
        elif frame.kind in {ROWS, DATA}:
            if self._into is None:
                raise BackupInvalid("The backup has something that belongs to nothing.")
            self._into.add(frame.payload, frame.payload.count(b"\n") if frame.kind == ROWS else 0)

    def document(self) -> dict[str, Any]:
        """Return what went by."""
        return {
            "blobs": self._blobs.document(),
            "files": [{"file": name} | one.document() for name, one in self._files.items()],
            "tables": {name: one.document() for name, one in self._tables.items()},
        }

    def _begun(self, known: dict[str, _Sum], name: str) -> _Sum:
        if name in known:
            raise BackupInvalid("The backup has something twice.")
        return known.setdefault(name, _Sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says about itself, behind everything that it holds."""

    begin: Mapping[str, Any]  # country, kind, made, program, schema, and of data: audit head, highest numbers
    holds: Mapping[str, Any]  # tables, files and blobs with number, bytes and digest
    lacking: tuple[str, ...]  # messages and uploads of whose files bytes were not on the disk: lost, or just erased

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(int(one["number"]) for one in self.holds["tables"].values())

    @property
    def stored_files(self) -> tuple[int, int]:
        """How many chunks of files there are, and how many bytes."""
        chunks = self.holds["blobs"]
        return int(chunks["number"]), int(chunks["bytes"])

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        return int(self.holds["tables"].get(table, {}).get("number", 0))


def read_through(stream: BinaryIO, cipher: FileCipher, take: Callable[[Frame], None] | None = None) -> Manifest:
    """Read a backup from its beginning to its end, hand on every frame, and hold all of it against its own account.

    Raises:
        BackupInvalid: it does not hold what it says.
        OSError: it cannot be read.
    """
    account, walk = Account(), frames(stream, cipher)
    begin = stated(_first(walk))
    for frame in walk:
        if frame.kind == END:
            end = stated(frame)
            if end.get("holds") != account.document() or next(walk, None) is not None:
                raise BackupInvalid("The backup does not hold what it says.")
            lacking = tuple(map(str, end.get("lacking", ())))  # an older program counted them and named none
            return Manifest(begin=begin, holds=end["holds"], lacking=lacking)
        account.take(frame)
        if take is not None:
            take(frame)
    raise BackupInvalid("The backup has no end.")


def stated(frame: Frame) -> dict[str, Any]:
    """Return the object that a frame states.

    Raises:
        BackupInvalid: it is none.
    """
    try:
        value = canonical.parse(frame.payload)
    except NotCanonical:
        value = None
    if not isinstance(value, dict):
        raise BackupInvalid("The backup states something that cannot be read.")
    return value


def _first(walk: Iterator[Frame]) -> Frame:
    first = next(walk, None)
    if first is None or first.kind != BEGIN:
        raise BackupInvalid("The backup does not begin as one.")
    return first
