# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Reading files that somebody else put there: of a folder on a stick, a shared directory, an answer by post.

Under a wanted name may lie a pipe, which would keep the reader waiting for ever, or a file without an end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["files_below", "leads_out", "open_plain", "read_plain"]


@contextmanager
def open_plain(file: Path) -> Iterator[BinaryIO]:
    """Give an ordinary file, opened for reading.

    Raises:
        OSError: it is not there, cannot be read, or is no ordinary file.
    """
    # Without waiting: a pipe that nobody writes to opens as well.
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no ordinary file")
        yield stream


def read_plain(file: Path, most: int) -> bytes:
    """Return what an ordinary file holds, but no more than one byte beyond so many.

    Raises:
        OSError: it is not there, cannot be read, or is no ordinary file.
    """
    with open_plain(file) as stream:
        return stream.read(most + 1)


def files_below(folder: Path) -> list[Path]:
    """Return what lies in a folder and the folders below it, and is no folder, sorted; nothing where there is no such folder.

    Raises:
        OSError: one of the folders cannot be read; pathlib's globs would leave it out without a word.
    """
    found = os.walk(folder, onerror=_unless_gone)
    return sorted(Path(place, name) for place, _, names in found for name in names)


def leads_out(file: Path, folder: Path) -> bool:
    """Whether a link takes this file out of its folder, or in a circle; the file need not be there yet."""
    try:
        place = os.path.realpath(file, strict=True)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return True
        place = os.path.realpath(file)
    return not Path(place).is_relative_to(os.path.realpath(folder))


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
