# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The four folders: everything that touches the disk, synchronous; no link is followed, no file is written over."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from adapters.filedrop.enclosures import Enclosures, remove_files
from adapters.filedrop.mapping import (
    ACCEPTED_SUFFIX,
    PROBLEM_SUFFIX,
    files_name,
    free_names,
    is_offered,
    noted_message,
)
from broker.adapter_api import AdapterFailed, BadRequest, TooLargeToSend, is_full, sync_folder, write_durably

__all__ = ["Folders", "Offered"]

_PLACES = ("in", "out", "sent", "rejected")
_LONGEST_NOTE = 4096  # bytes; ours are a few hundred


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """Something in out/ as it was when looked at; any change to it makes another value."""

    name: str
    mode: int
    inode: int
    size: int  # bytes
    modified_ns: int
    changed_ns: int

    @property
    def tag(self) -> str:
        """A digest to name it by in logs before its content is known; the name itself may be a child's."""
        return hashlib.sha256(f"{self.inode}/{self.size}/{self.modified_ns}".encode("ascii")).hexdigest()


class Folders:
    """One drop folder."""

    def __init__(self, root: Path, *, max_file_bytes: int, group_access: bool) -> None:
        self._root = root
        self._max_file_bytes = max_file_bytes
        self._file_mode, self._folder_mode = (0o640, 0o2770) if group_access else (0o600, 0o700)
        self.enclosures = Enclosures(root, file_mode=self._file_mode)

    def prepare(self) -> None:
        """Make the four folders where they are missing; never the drop folder itself: its disk may not be mounted.

        Raises:
            AdapterFailed: the drop folder is not there or cannot be written.
        """
        try:
            for place in _PLACES:
                folder = self._root / place
                if not folder.is_dir():
                    folder.mkdir()
                    folder.chmod(self._folder_mode)
        except OSError as error:
            raise _failed(error, "The drop folder is missing or cannot be written") from None

    def put(self, name: str, raw: bytes) -> None:
        """Write a received message into in/, whole and durable; where it lies there already, nothing is done.

        Raises:
            AdapterFailed: it is not there.
        """
        path = self._root / "in" / name
        try:
            there = _lstat(path)
            if there is None:
                write_durably(path, raw, mode=self._file_mode)
            elif not stat.S_ISREG(there.st_mode):
                raise AdapterFailed("Something that is no file has the name of a received message's file.")
        except OSError as error:
            raise _failed(error, "A received message cannot be written") from None

    def holds(self, name: str, size: int) -> bool:
        """Whether an attachment lies whole in in/ already.

        Raises:
            AdapterFailed: something that is no file has its name, or the folder cannot be read.
        """
        try:
            there = _lstat(self._root / "in" / name)
        except OSError as error:
            raise _failed(error, "A received attachment cannot be written") from None
        if there is not None and (not stat.S_ISREG(there.st_mode) or there.st_size != size):
            raise AdapterFailed("Something else has the name of a received attachment's file.")
        return there is not None

    def begin(self, name: str) -> Path:
        """Return an empty hidden file, of this attempt alone, that an attachment's parts are written to.

        Another worker may be at the same attachment: one that was paused for longer than its lease goes on with its own.

        Raises:
            AdapterFailed: it cannot be made.
        """
        part = self._root / "in" / f".{name}.{secrets.token_hex(8)}.part"
        try:
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self._file_mode))
            part.chmod(self._file_mode)
        except OSError as error:
            raise _failed(error, "A received attachment cannot be written") from None
        return part

    def append(self, part: Path, raw: bytes) -> None:
        """Write the next part.

        Raises:
            AdapterFailed: it cannot be written, or another attempt was finished.
        """
        try:
            # never made anew: a rest would take the whole attachment's name
            descriptor = os.open(part, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            with os.fdopen(descriptor, "ab") as stream:
                stream.write(raw)
        except OSError as error:
            raise _failed(error, "A received attachment cannot be written") from None

    def finish(self, part: Path, name: str) -> None:
        """Make it durable and give it its name; what other attempts have left, or still write, goes.

        Raises:
            AdapterFailed: it is not there.
        """
        try:
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            for other in self._parts(name):
                if other != part:
                    other.unlink(missing_ok=True)
            part.rename(self._root / "in" / name)
            sync_folder(self._root / "in")
        except OSError as error:
            raise _failed(error, "A received attachment cannot be written") from None

    def discard(self, part: Path) -> None:
        """Delete what an attempt that failed has written: on a full disk each would leave less room for the next."""
        with suppress(OSError):
            part.unlink(missing_ok=True)

    def _parts(self, name: str) -> list[Path]:
        return [path for path in (self._root / "in").iterdir() if path.name.startswith(f".{name}.")]

    def scan(self) -> tuple[Offered, ...]:
        """Return what is offered in out/, oldest first.

        Raises:
            AdapterFailed: out/ cannot be read.
        """
        try:
            with os.scandir(self._root / "out") as entries:
                names = [entry.name for entry in entries if is_offered(entry.name)]
            found = [offered for name in names if (offered := self._look(name)) is not None]
        except OSError as error:
            raise _failed(error, "The outgoing folder cannot be read") from None
        return tuple(sorted(found, key=lambda offered: (offered.modified_ns, offered.name)))

    def read(self, offered: Offered) -> bytes | None:
        """Return the file's content; None when it is gone or no longer what was looked at.

        Raises:
            BadRequest: it is no ordinary file, or this node may not read it.
            TooLargeToSend: it is larger than the largest file that is read.
        """
        if not stat.S_ISREG(offered.mode):
            raise BadRequest("This is a link, a folder or something else that is no ordinary file.")
        if offered.size > self._max_file_bytes:
            raise TooLargeToSend("The file is larger than the largest that is read.")
        try:
            # a link put in its place since is not followed, a pipe does not block
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._root / "out" / offered.name, flags)
            with os.fdopen(descriptor, "rb") as stream:
                if _offered(offered.name, os.fstat(descriptor)) != offered:
                    return None
                return stream.read(self._max_file_bytes + 1)
        except OSError:
            if self._look(offered.name) != offered:
                return None
            raise BadRequest("The node's user may not read the file.") from None

    def accept(self, offered: Offered, note: bytes) -> None:
        """Move a file to sent/ with the note beside it; where it has changed meanwhile, it stays.

        Raises:
            AdapterFailed: it could not be moved; it stays in out/ and comes again with the same key.
        """
        self._settle(offered, "sent", ACCEPTED_SUFFIX, note)

    def reject(self, offered: Offered, note: bytes) -> None:
        """Move a file to rejected/ with the note beside it; where it has changed meanwhile, it stays.

        Raises:
            AdapterFailed: it could not be moved; it stays in out/ and is rejected again.
        """
        self._settle(offered, "rejected", PROBLEM_SUFFIX, note)

    def forget_received(self, stem: str) -> None:
        """Delete a received message, its attachments and what is left of an attempt to write them.

        Raises:
            AdapterFailed: one of them may still be there.
        """
        place = self._root / "in"
        try:
            for path in list(place.iterdir()):
                if path.name.lstrip(".").startswith(stem):
                    path.unlink(missing_ok=True)
            sync_folder(place)
        except OSError as error:
            raise _failed(error, "An erased message cannot be deleted") from None

    def forget_sent(self, message: str) -> None:
        """Delete a sent file, its files and its note; the note last, for it alone tells which file that is.

        Raises:
            AdapterFailed: one of them may still be there.
        """
        place = self._root / "sent"
        self.enclosures.follow()
        try:
            for note in [path for path in place.iterdir() if path.name.endswith(ACCEPTED_SUFFIX)]:
                found = note.lstat()
                if not stat.S_ISREG(found.st_mode) or found.st_size > _LONGEST_NOTE:
                    continue
                if noted_message(note.read_bytes()) == message:
                    name = note.name.removesuffix(ACCEPTED_SUFFIX)
                    remove_files(note.with_name(files_name(name)))
                    note.with_name(name).unlink(missing_ok=True)
                    sync_folder(place)
                    note.unlink(missing_ok=True)
            sync_folder(place)
        except OSError as error:
            raise _failed(error, "An erased message cannot be deleted") from None

    def _settle(self, offered: Offered, place: str, suffix: str, note: bytes) -> None:
        """Write the note first: a crash in between leaves the file in out/, and its second round finds its own note."""
        source = self._root / "out" / offered.name
        try:
            if self._look(offered.name) != offered:
                return
            target = self._free(self._root / place, offered.name, suffix, note)
            beside = target.with_name(f"{target.name}{suffix}")
            if _lstat(beside) is None:
                write_durably(beside, note, mode=self._file_mode)
            self.enclosures.lead(offered.name, place, target.name)
            self._move(source, target, beside, offered)
            self.enclosures.follow()
        except OSError as error:
            raise _failed(error, "A file cannot be moved out of the outgoing folder") from None

    def _move(self, source: Path, target: Path, beside: Path, offered: Offered) -> None:
        try:
            source.rename(target)
        except FileNotFoundError:  # another worker, or the national system, took it; the note is theirs if the file is
            if _lstat(target) is None:
                beside.unlink(missing_ok=True)
            return
        moved = target.lstat()
        if (moved.st_ino, moved.st_size, moved.st_mtime_ns) != (offered.inode, offered.size, offered.modified_ns):
            # written over in the last moment: what was moved has never been submitted
            if _lstat(source) is None:
                target.rename(source)
            beside.unlink(missing_ok=True)
        sync_folder(target.parent)
        sync_folder(source.parent)

    def _free(self, folder: Path, name: str, suffix: str, note: bytes) -> Path:
        for candidate in free_names(name):
            target = folder / candidate
            beside = folder / f"{candidate}{suffix}"
            files = folder / files_name(candidate)
            if _lstat(target) is None and _lstat(files) is None and (_lstat(beside) is None or _holds(beside, note)):
                return target
        raise AdapterFailed("Too many files of one name have been moved out of the outgoing folder.")

    def _look(self, name: str) -> Offered | None:
        found = _lstat(self._root / "out" / name)
        return None if found is None else _offered(name, found)


def _offered(name: str, found: os.stat_result) -> Offered:
    return Offered(
        name=name,
        mode=found.st_mode,
        inode=found.st_ino,
        size=found.st_size,
        modified_ns=found.st_mtime_ns,
        changed_ns=found.st_ctime_ns,
    )


def _lstat(path: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return path.lstat()
    return None


def _holds(path: Path, raw: bytes) -> bool:
    """Whether an ordinary small file holds exactly these bytes."""
    found = _lstat(path)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_size != len(raw):
        return False
    return path.read_bytes() == raw


def _failed(error: OSError, what: str) -> AdapterFailed:
    """Name the kind of failure; never the path, which may hold a child's name."""
    why = "no room on the disk" if is_full(error) else type(error).__name__
    return AdapterFailed(f"{what} ({why}).")
