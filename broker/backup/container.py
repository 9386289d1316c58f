# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A backup file: a header in clear, encrypted chunks, and a signature over all of it; inside, frames.

::

    TRMBACKUP1, line feed, length header        which country's, of what, when, for which recovery keys
    length chunk …  length chunk          the highest bit of the length marks the last one
    length end                            signatures and the keys that verify them

Lengths are four bytes, big-endian. A frame is a byte for its kind, a length, and that many bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from broker.core.errors import BackupInvalid
from broker.core.ids import Digest
from broker.security.backup_file import (
    CHUNK_BYTES,
    TAG_BYTES,
    BackupHead,
    FileCipher,
    SignedBackup,
    check_signature,
    read_head,
)

__all__ = ["Frame", "Outside", "Sealing", "frames", "look"]

_MAGIC = b"TRMBACKUP1\n"
_LAST = 0x8000_0000
_MAX_HEAD = 256 * 1024  # bytes
_MAX_END = 64 * 1024
_MAX_FRAME = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A piece of what a backup holds."""

    kind: bytes  # one byte
    payload: bytes


class Sealing:
    """Writes frames into a file, chunk by chunk."""

    def __init__(self, stream: BinaryIO, head: bytes, cipher: FileCipher) -> None:
        self._stream = stream
        self._cipher = cipher
        self._digest = sha256()
        self._waiting = bytearray()
        self._put(_MAGIC + len(head).to_bytes(4, "big") + head)

    def put(self, kind: bytes, payload: bytes) -> None:
        """Add a frame."""
        self._waiting += kind + len(payload).to_bytes(4, "big")
        self._waiting += payload
        while len(self._waiting) > CHUNK_BYTES:  # the last chunk may be a full one
            self._chunk(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]

    def close(self) -> Digest:
        """Write the last chunk and return the digest that is to be signed."""
        self._chunk(bytes(self._waiting), last=True)
        self._waiting.clear()
        return Digest(self._digest.hexdigest())

    def sign(self, end: bytes) -> None:
        """Write the signature."""
        self._stream.write(len(end).to_bytes(4, "big") + end)

    def _chunk(self, plain: bytes, *, last: bool) -> None:
        sealed = self._cipher.seal(plain, last=last)
        self._put((len(sealed) | (_LAST if last else 0)).to_bytes(4, "big"))
        self._put(sealed)

    def _put(self, raw: bytes) -> None:
        self._digest.update(raw)
        self._stream.write(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What can be said of a whole file without a recovery key."""

    head: BackupHead
    raw_head: bytes
    signed: SignedBackup
    size: int


def look(stream: BinaryIO) -> Outside:
    """Read a whole file and hold it against its signature; what is in it stays closed.

    Raises:
        BackupInvalid: it is not a backup, or not as it was signed.
        OSError: it cannot be read.
    """
    stream.seek(0)
    digest = sha256()
    raw_head = _read_head(stream, digest.update)
    size = stream.tell()
    last = False
    while not last:
        sealed, last = _read_chunk(stream, digest.update)
        size += len(sealed) + 4
    end = _exactly(stream, _length(_exactly(stream, 4), _MAX_END))
    if stream.read(1):
        raise BackupInvalid("Something follows behind the end of the backup.")
    head = read_head(raw_head)
    signed = check_signature(end, Digest(digest.hexdigest()), head)
    return Outside(head=head, raw_head=raw_head, signed=signed, size=size + len(end) + 4)


def frames(stream: BinaryIO, cipher: FileCipher) -> Iterator[Frame]:
    """Yield the frames of a file.

    Raises:
        BackupInvalid: a chunk does not open, or a frame is none.
        OSError: it cannot be read.
    """
    stream.seek(0)
    _read_head(stream, _forget)
    waiting, last = bytearray(), False
    while not last:
        sealed, last = _read_chunk(stream, _forget)
        waiting += cipher.open(sealed, last=last)
        yield from _complete(waiting)
    if waiting:
        raise BackupInvalid("The backup ends in the middle of something.")


def _complete(waiting: bytearray) -> Iterator[Frame]:
    """Yield the whole frames at the beginning, and take them away."""
    place = 0
    while len(waiting) - place >= 5:
        size = _length(bytes(waiting[place + 1 : place + 5]), _MAX_FRAME)
        if len(waiting) - place - 5 < size:
            break
        yield Frame(kind=bytes(waiting[place : place + 1]), payload=bytes(waiting[place + 5 : place + 5 + size]))
        place += 5 + size
    del waiting[:place]


def _read_head(stream: BinaryIO, note: Callable[[bytes], object]) -> bytes:
    start = stream.read(len(_MAGIC) + 4)
    if start[: len(_MAGIC)] != _MAGIC:
        raise BackupInvalid("The file is not a backup, or one of a newer program.")
    head = _exactly(stream, _length(start[len(_MAGIC) :], _MAX_HEAD))
    note(start + head)
    return head


def _read_chunk(stream: BinaryIO, note: Callable[[bytes], object]) -> tuple[bytes, bool]:
    stated = _exactly(stream, 4)
    number = int.from_bytes(stated, "big")
    size, last = number & ~_LAST, bool(number & _LAST)
    if not TAG_BYTES <= size <= CHUNK_BYTES + TAG_BYTES:
        raise BackupInvalid("The backup has a part of an impossible length.")
    sealed = _exactly(stream, size)
    note(stated)
    note(sealed)
    return sealed, last


def _exactly(stream: BinaryIO, size: int) -> bytes:
    raw = stream.read(size)
    if len(raw) != size:
        raise BackupInvalid("The backup is cut off.")
    return raw


def _length(raw: bytes, most: int) -> int:
    size = int.from_bytes(raw, "big")
    if len(raw) != 4 or size > most:
        raise BackupInvalid("The backup has a part of an impossible length.")
    return size


def _forget(_: bytes) -> None:
    """Nothing is noted."""
