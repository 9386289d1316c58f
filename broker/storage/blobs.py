# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sealed bytes too large for the database: a folder per blob, a file per chunk, in the node's home.

- A file is written beside its place, synchronised and renamed: a chunk is there whole or not at all.
- Nothing here is readable without a key from the database; nothing here says what it is.
- Several workers share the folder; on several machines it must be a shared one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from broker.core.errors import DiskFull, StoreCorrupt, StoreUnavailable

__all__ = ["DiskBlobs"]

T = TypeVar("T")

_BLOB = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LEAST_FREE = 268_435_456  # bytes that attachments leave to the database: without it nothing is accepted at all


class DiskBlobs:
    """Implements `ports.Blobs`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, blob: str, index: int, raw: bytes) -> None:
        """Write a chunk; it is on the disk when this returns, in place of what was there."""
        await _run(lambda: self._put(blob, index, raw))

    async def get(self, blob: str, index: int) -> bytes:
        """Read a chunk.

        Raises:
            StoreCorrupt: it is not there.
        """
        return await _run(lambda: self._place(blob, index).read_bytes())

    async def drop(self, blob: str) -> None:
        """Delete a blob; harmless where it is gone."""
        await _run(lambda: shutil.rmtree(self._folder_of(blob), ignore_errors=True))

    async def left_since(self, before: float, *, after: str, limit: int) -> tuple[str, ...]:
        """Return blobs that nobody has written to since that time, in the order of their names, behind a name."""
        return await _run(lambda: self._left_since(before, after, limit))

    def _put(self, blob: str, index: int, raw: bytes) -> None:
        place = self._place(blob, index)
        new = not place.parent.is_dir()
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(place.parent).free < _LEAST_FREE + len(raw):
            raise DiskFull("The disk has too little room left for attachments.")
        part = place.with_name(f"{index}.{secrets.token_hex(8)}.part")
        try:
            with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        _synchronise(place.parent)
        if new:
            _synchronise(place.parent.parent)
            _synchronise(self._folder)

    def _place(self, blob: str, index: int) -> Path:
        return self._folder_of(blob) / str(index)

    def _folder_of(self, blob: str) -> Path:
        if _BLOB.fullmatch(blob) is None:
            raise RuntimeError("a blob is named by 32 hex digits")
        return self._folder / blob[:2] / blob

    def _left_since(self, before: float, after: str, limit: int) -> tuple[str, ...]:
        found: list[str] = []
        for name in self._names(after):
            with contextlib.suppress(FileNotFoundError):  # another worker deletes too
                if self._folder_of(name).stat().st_mtime < before:
                    found.append(name)
            if len(found) == limit:
                break
        return tuple(found)

    def _names(self, after: str) -> Iterator[str]:
        parts = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        for part in parts:
            if part.is_dir() and part.name >= after[:2]:
                names = sorted(entry.name for entry in part.iterdir())
                yield from (name for name in names if _BLOB.fullmatch(name) and name > after)


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _run(fn: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(fn)
    except FileNotFoundError:
        raise StoreCorrupt("A part of an attachment is missing on the disk.") from None
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull from None
        raise StoreUnavailable("The folder of attachments cannot be used.") from None
