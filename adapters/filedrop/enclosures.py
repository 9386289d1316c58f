# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The files that go with a submission: `out/<name>.files/` beside `out/<name>.json`; everything of them that touches the disk.

- How far each file was uploaded is noted durably in a hidden file of out/ before the node is told to go on, so that a
  crash costs no file twice and the same submission names the same uploads again.
- A submission is settled by moving its JSON file. Its folder follows; where a crash comes in between, the note says where to.
- No link is followed, a file is read by its place in the opened folder, and one that changes while it is read is read anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.filedrop.mapping import NOTE_SUFFIX, files_name
from broker.adapter_api import AdapterFailed, BadRequest, is_full, sync_folder, write_durably

__all__ = ["Enclosed", "Enclosures", "Uploading", "remove_files"]

_PART = 1024 * 1024  # bytes read at once
_LONGEST_NOTE = 65_536  # bytes; ours are a few thousand
_SETTLED = frozenset({"sent", "rejected"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosed:
    """A file as it was when looked at; any change to it makes another value."""

    inode: int
    size: int  # bytes
    modified_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploading:
    """How far the files of one submission are at the node."""

    key: str  # idempotency key of the submission
    uploads: Mapping[str, tuple[Enclosed, str, bool]] = field(default_factory=dict)  # by file: upload, whether whole
    moving: str = ""  # where the folder follows its submission to: sent/<name>.files

    def with_upload(self, file: str, mark: Enclosed, upload: str, *, whole: bool) -> Uploading:
        """Return it with one file more, or one that is further."""
        return replace(self, uploads={**self.uploads, file: (mark, upload, whole)})


class Enclosures:
    """The outgoing side's folders of files."""

    def __init__(self, root: Path, *, file_mode: int) -> None:
        self._root = root
        self._file_mode = file_mode

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Say whether no other worker uploads from this drop; while the block runs none begins to."""
        try:
            descriptor = os.open(
                self._out / ".uploads.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except OSError as error:
            raise _failed(error) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def look(self, name: str, file: str) -> Enclosed:
        """Return a file of a submission's folder.

        Raises:
            BadRequest: there is none, or it is no ordinary file that the node may read.
        """
        with self._opened(name, file) as descriptor:
            return _mark(os.fstat(descriptor))

    def read(self, name: str, file: str, mark: Enclosed, offset: int) -> bytes:
        """Return the next part of a file from there on; nothing behind its end.

        Raises:
            BadRequest: it is no ordinary file any more.
            AdapterFailed: it changed; it is begun anew.
        """
        with self._opened(name, file) as descriptor:
            part = os.pread(descriptor, min(_PART, mark.size - offset), offset) if offset < mark.size else b""
            if _mark(os.fstat(descriptor)) != mark or (not part and offset < mark.size):
                raise AdapterFailed("A file of the outgoing folder changed while it was read.")
        return part

    def noted(self, name: str, key: str) -> Uploading:
        """Return how far the submission's files are; where nothing fitting is noted, nothing was begun."""
        found = _parsed(self._note(name))
        return found if found is not None and found.key == key else Uploading(key=key)

    def note(self, name: str, uploading: Uploading) -> None:
        """Keep how far the submission's files are.

        Raises:
            AdapterFailed: it is not durable.
        """
        marks = {
            file: [mark.inode, mark.size, mark.modified_ns, upload, whole]
            for file, (mark, upload, whole) in uploading.uploads.items()
        }
        text = json.dumps({"key": uploading.key, "uploads": marks, "moving": uploading.moving})
        try:
            write_durably(self._note(name), text.encode("utf-8"), mode=self._file_mode)
        except OSError as error:
            raise _failed(error) from None

    def forget(self, name: str) -> None:
        """Drop the note: the files are uploaded anew, or are settled.

        Raises:
            AdapterFailed: it is still there.
        """
        try:
            self._note(name).unlink(missing_ok=True)
        except OSError as error:
            raise _failed(error) from None

    def lead(self, name: str, place: str, target: str) -> None:
        """Note where the folder of a submission that is being settled follows it to, before it goes.

        Raises:
            AdapterFailed: it is not durable.
        """
        if os.path.lexists(self._out / files_name(name)):
            known = _parsed(self._note(name)) or Uploading(key="")
            self.note(name, replace(known, moving=f"{place}/{files_name(target)}"))

    def follow(self) -> None:
        """Move each folder whose submission was settled behind it, and drop the notes of those that are gone.

        Raises:
            AdapterFailed: one could not be moved; it is tried again.
        """
        try:
            with os.scandir(self._out) as entries:
                names = [entry.name for entry in entries if entry.name.endswith(NOTE_SUFFIX)]
            for name in (one.removeprefix(".").removesuffix(NOTE_SUFFIX) for one in names):
                if not os.path.lexists(self._out / name):
                    self._follow(name)
        except OSError as error:
            raise _failed(error) from None

    def _follow(self, name: str) -> None:
        source, noted = self._out / files_name(name), _parsed(self._note(name))
        place, _, target = (noted.moving if noted else "").partition("/")
        if place in _SETTLED and target and "/" not in target and os.path.lexists(source):
            wanted = self._root / place / target
            if not os.path.lexists(wanted):
                source.rename(wanted)
                sync_folder(wanted.parent)
        self._note(name).unlink(missing_ok=True)
        sync_folder(self._out)

    @contextmanager
    def _opened(self, name: str, file: str) -> Iterator[int]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            folder = os.open(self._out / files_name(name), flags | os.O_DIRECTORY)
            try:
                descriptor = os.open(file, flags | os.O_NONBLOCK, dir_fd=folder)  # a pipe does not block
            finally:
                os.close(folder)
        except OSError:
            raise BadRequest("There is no such file in the submission's folder, or the node may not read it.") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadRequest("This is a folder, a pipe or something else that is no ordinary file.")
            yield descriptor
        finally:
            os.close(descriptor)

    def _note(self, name: str) -> Path:
        return self._out / f".{name}{NOTE_SUFFIX}"

    @property
    def _out(self) -> Path:
        return self._root / "out"


def remove_files(folder: Path) -> None:
    """Delete a settled submission's folder with everything in it; a link is no folder.

    Raises:
        OSError: some of it may still be there.
    """
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(folder.lstat().st_mode):
            shutil.rmtree(folder)


def _mark(found: os.stat_result) -> Enclosed:
    return Enclosed(inode=found.st_ino, size=found.st_size, modified_ns=found.st_mtime_ns)


def _parsed(path: Path) -> Uploading | None:
    """Read a note; one that is not ours says nothing."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LONGEST_NOTE:
            return None
        data: Any = json.loads(path.read_bytes())
        uploads = {
            str(file): (
                Enclosed(inode=int(inode), size=int(size), modified_ns=int(modified)),
                str(upload),
                whole is True,
            )
            for file, (inode, size, modified, upload, whole) in data["uploads"].items()
        }
        return Uploading(key=str(data["key"]), uploads=uploads, moving=str(data["moving"]))
    except (OSError, ArithmeticError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _failed(error: OSError) -> AdapterFailed:
    why = "no room on the disk" if is_full(error) else type(error).__name__
    return AdapterFailed(f"The files of the outgoing folder cannot be handled ({why}).")
