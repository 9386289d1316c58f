# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Writing a file so that a reader, and the disk after a power cut, holds all of it or nothing of it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from broker.core.errors import DiskFull, HomeInvalid

__all__ = ["is_full", "not_written", "overwrite", "sync_folder", "write_durably", "writing_durably"]

_BLOCK = 1024 * 1024  # bytes


def write_durably(path: Path, raw: bytes, *, mode: int = 0o600) -> None:
    """Write under a hidden temporary name beside the file, sync, rename over it, sync the folder.

    Raises:
        OSError: nothing was written; a file of that name is as it was.
    """
    with writing_durably(path, mode=mode) as stream:
        stream.write(raw)


@contextmanager
def writing_durably(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Give a stream under a hidden temporary name beside the file; it takes the file's place when the block ends well.

    What was written may be read back from the stream before that.

    Raises:
        OSError: nothing was written; a file of that name is as it was.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:  # a person knows the file that was asked for, and nothing of the temporary one
        raise OSError(error.errno, error.strerror, str(path.absolute())) from None
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            os.fchmod(descriptor, mode)  # whatever the umask says
            yield stream
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def overwrite(descriptor: int) -> None:
    """Overwrite all of a file with zeros: best effort, for a disk may keep old blocks elsewhere.

    Raises:
        OSError: it could not be written.
    """
    left = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    while left > 0:
        left -= os.write(descriptor, bytes(min(left, _BLOCK)))
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make renames inside the folder survive a power cut.

    Raises:
        OSError: the folder cannot be synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def not_written(error: OSError, path: Path, sentence: str) -> DiskFull | HomeInvalid:
    """Return what an operator is told when the operating system refused to write something."""
    if is_full(error):
        return DiskFull(where=str(path))
    return HomeInvalid(f"{sentence} ({type(error).__name__}).", where=str(path))


def is_full(error: OSError) -> bool:
    """Whether the disk, or this user's part of it, is full."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}
