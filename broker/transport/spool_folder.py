# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a spool: one folder per country with ``tmp``, ``new`` and ``claimed``.

A file is written in ``tmp``, synchronised, and renamed into ``new``; a reader claims it by renaming it into ``claimed``
with its own mark and an expiry. Renaming inside one file system is the only step that must be atomic, and it is, on FAT
too: no hard links, no colons, no difference that only upper and lower case makes. Names hold message id and digest.

A claim returns when its owner is gone (its lock is free) or when it expires, where locks do not work.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from broker.core.errors import DiskFull, NodeError, PublishRefused, TransportUnavailable, Unroutable
from broker.core.ids import CountryCode
from broker.core.messages import Sealed, SealedChunk
from broker.plain_files import read_plain
from broker.transport.topology import MAX_MESSAGE_BYTES

__all__ = ["Claim", "SpoolFolder", "create", "file_name"]

_NEW = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9a-f]{16}\.(?:jwe|trmc)", re.ASCII)
_CLAIMED = re.compile(rf"(?P<name>{_NEW.pattern})\.(?P<owner>[0-9a-f]{{16}})\.(?P<expires>[0-9]{{1,12}})", re.ASCII)
_PARTS = ("tmp", "new", "claimed")
_LEFTOVER_SECONDS = 86_400  # an unfinished file of that age has no writer any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A file that this process has taken."""

    name: str  # as it was in ``new``
    path: Path


def file_name(sealed: Sealed) -> str:
    """Return the only name that an envelope's or chunk's file ever has."""
    ending = "trmc" if isinstance(sealed, SealedChunk) else "jwe"
    return f"{sealed.id}.{sealed.sha256[:16]}.{ending}"


def create(folder: Path, members: Iterable[CountryCode]) -> None:
    """Make the folders of the members; existing ones stay as they are.

    Raises:
        TransportUnavailable: the file system refused.
    """
    with _as_ours():
        for member in members:
            for part in _PARTS:
                (folder / member / part).mkdir(parents=True, exist_ok=True)


class SpoolFolder:
    """Blocking file operations of one process of one country."""

    def __init__(self, folder: Path, us: CountryCode, owner: str) -> None:
        """Args:
        folder: the spool, with a folder per country.
        us: whose input is read.
        owner: 16 hex digits that no other process has.
        """
        self._folder = folder
        self._own = folder / us
        self._owner = owner
        self._lock: int | None = None
        self._stuck: dict[str, Path] = {}  # files that could not be taken, and where each lay: tried on, and told

    def put(self, sealed: Sealed) -> None:
        """Write an envelope or chunk for its recipient; it is on the disk when this returns.

        Raises:
            Unroutable: the recipient has no folder.
            DiskFull: no room.
            PublishRefused: the folder may not be written.
            TransportUnavailable: the spool is not there or fails.
        """
        target = self._folder / sealed.recipient
        with _as_ours():
            if not _is_folder(self._folder):
                raise TransportUnavailable("The spool folder is missing: is its medium mounted?")
            if not _is_folder(target / "new"):
                raise Unroutable("The spool has no folder for that country.")
            name = file_name(sealed)
            part = target / "tmp" / f"{name}.{secrets.token_hex(8)}.part"
            try:
                _write(part, sealed.raw)
                with contextlib.suppress(FileExistsError):  # the same name holds the same bytes
                    part.replace(target / "new" / name)
            except BaseException:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
                raise
            _synchronise(target / "new")

    def claim(self, most: int, expires: int) -> list[Claim]:
        """Take up to that many waiting files, oldest message first.

        Raises:
            TransportUnavailable: the spool is not there or fails.
        """
        with _as_ours():
            self._hold_lock()
            waiting = sorted((entry.name for entry in _entries(self._own / "new") if _readable(entry)), key=_turn)
            claims: list[Claim] = []
            fault: OSError | None = None
            for name in waiting:
                if len(claims) == most:
                    break
                path = self._own / "claimed" / f"{name}.{self._owner}.{expires}"
                try:
                    (self._own / "new" / name).rename(path)
                except FileNotFoundError:
                    continue  # another process was faster
                except OSError as error:
                    fault = error  # perhaps of this file alone, which must not hold up those behind it
                    self._stuck[name] = self._own / "new" / name
                    continue
                claims.append(Claim(name=name, path=path))
            if fault is not None and not claims:
                raise fault
            return claims

    def read(self, claim: Claim) -> bytes | None:
        """Return the bytes, one more than allowed at most, so that the size check refuses it; None when it is gone.

        Raises:
            TransportUnavailable: the spool is not there or fails.
        """
        raw = None
        try:
            with _as_ours(), contextlib.suppress(FileNotFoundError):
                raw = read_plain(claim.path, MAX_MESSAGE_BYTES)  # a pipe may have been put there since it was claimed
        except NodeError:
            self._stuck[claim.name] = claim.path
            raise
        self._stuck.pop(claim.name, None)
        return raw

    def remove(self, claim: Claim) -> None:
        """Forget a settled file; when this fails it comes again."""
        with contextlib.suppress(OSError):
            claim.path.unlink(missing_ok=True)

    def give_back(self, claim: Claim) -> None:
        """Put a claimed file back; when this fails its expiry does it."""
        with contextlib.suppress(OSError):
            claim.path.replace(self._own / "new" / claim.name)

    def recover(self, now: int) -> int:
        """Put back what crashed or hanging processes claimed, clear unfinished files; return how many came back.

        Raises:
            TransportUnavailable: the spool is not there or fails.
        """
        with _as_ours():
            found = [
                (entry, match) for entry in _entries(self._own / "claimed") if (match := _CLAIMED.fullmatch(entry.name))
            ]
            others = {match["owner"] for _, match in found} - {self._owner}
            gone = {owner for owner in others if self._is_gone(owner)}
            back = 0
            for entry, match in found:  # our own too: a claim whose answer came too late is known to nobody
                if match["owner"] in gone or int(match["expires"]) <= now:
                    with contextlib.suppress(FileNotFoundError):
                        Path(entry.path).replace(self._own / "new" / match["name"])
                        back += 1
            for entry in _entries(self._own / "tmp"):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < now - _LEFTOVER_SECONDS:
                        Path(entry.path).unlink()
            return back

    def trouble(self) -> str | None:
        """Return what an operator must mend, or None."""
        try:
            if not _is_folder(self._folder):
                return "The spool folder is missing: is its medium mounted?"
            if not all(_is_folder(self._own / part) for part in _PARTS):
                return "The spool has no complete folder for this country."
        except OSError as error:
            return _ours(error.errno).detail
        if not os.access(self._own / "claimed", os.W_OK | os.X_OK):
            return "This node may not write into its spool folder."
        with contextlib.suppress(OSError):
            if any(
                entry.name.lower().endswith((".jwe", ".trmc")) and not _readable(entry)
                for entry in _entries(self._own / "new")
            ):
                return "The spool holds envelope files whose names are not <message id>.<digest>.jwe or .trmc; they are not read."
        stuck = sorted(name for name, path in self._stuck.copy().items() if self._lies(name, path))
        if stuck:
            return (
                f"{len(stuck)} of the spool's files cannot be taken and are tried on; the first of them is {stuck[0]}."
            )
        return None

    def _lies(self, name: str, path: Path) -> bool:
        """Whether a file is still there, claimed or given back; nobody is called for one that somebody took away."""
        return os.path.lexists(path) or os.path.lexists(self._own / "new" / name)

    def close(self) -> None:
        """Give up the lock; claims that are left return to the other processes."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._lock_file(self._owner).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _lock_file(self, owner: str) -> Path:
        return self._own / "claimed" / f"{owner}.lock"

    def _hold_lock(self) -> None:
        if self._lock is None:
            self._lock = os.open(self._lock_file(self._owner), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            with contextlib.suppress(OSError):  # no locks on this file system: expiry decides
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _is_gone(self, owner: str) -> bool:
        try:
            lock = os.open(self._lock_file(owner), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        else:
            self._lock_file(owner).unlink(missing_ok=True)
            return True
        finally:
            os.close(lock)


def _write(path: Path, raw: bytes) -> None:
    with path.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot synchronise a directory, and do not need it
            raise
    finally:
        os.close(descriptor)


def _is_folder(path: Path) -> bool:
    # Not `Path.is_dir`, to which, from Python 3.14 on, a share that does not answer is no folder.
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _turn(name: str) -> tuple[bool, str]:
    """Messages first, oldest first: their chunks are of use only then."""
    return (name.endswith(".trmc"), name)


def _readable(entry: os.DirEntry[str]) -> bool:
    # A link or a pipe in a shared folder could make the reader read or wait for something else.
    return _NEW.fullmatch(entry.name) is not None and entry.is_file(follow_symlinks=False)


@contextlib.contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _ours(error.errno) from None


def _ours(number: int | None) -> NodeError:
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull("There is no room left in the spool.")
    if number in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return PublishRefused("The spool folder may not be written.")
    return TransportUnavailable("The spool folder cannot be used.")
