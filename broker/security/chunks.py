# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Seals and opens the chunks in which an attachment travels and lies (PROTOCOL section 15).

- Two keys come from the one in the message: one for the way, where the nonce is the index and the same chunk always has
  the same bytes; one for our own disk, where an upload may be written twice and each writing draws a fresh nonce.
- A chunk proves by itself which message, attachment, place and count it belongs to. Who made it is proved by the signed
  message alone, for only that names the key.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core import canonical
from broker.core.attachments import CHUNK_BYTES, MAX_CHUNKS, Attachment, chunk_size
from broker.core.errors import ChunkShape, ChunkUnknown, DecryptFailed, Padding, TooLarge
from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.messages import SealedChunk

__all__ = [
    "MAX_CHUNK", "ChunkName", "blob_of", "handle_of", "is_chunk", "open_chunk", "open_stored", "parse_chunk", "seal_chunk",
    "seal_stored",
]  # fmt: skip

_MAGIC = b"TRMC\x01"
_HEADER = struct.Struct(">5s2s2s16s32sII")
_TAG = 16  # bytes
_NONCE = 12  # bytes
_SMALLEST = 16 * 1024  # bytes of a padded last chunk
MAX_CHUNK = _HEADER.size + CHUNK_BYTES + _TAG  # bytes on the way

_HANDLE, _WAY = b"trm-attachment/1 handle\x00", b"trm-attachment/1 chunk\x00"
_REST, _BLOB = b"trm-attachment/1 rest\x00", b"trm-attachment/1 blob\x00"  # our own disk's affair


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkName:
    """What a chunk says in clear about itself: hints until it opens under its attachment's key."""

    sender: CountryCode
    recipient: CountryCode
    message: MessageId
    handle: Digest  # stands for the attachment; only who holds the message can tell which one
    index: int
    count: int


def is_chunk(raw: bytes) -> bool:
    """Whether these bytes say that they are a chunk, and no envelope."""
    return raw[: len(_MAGIC) - 1] == _MAGIC[:-1]


def handle_of(attachment: Attachment) -> Digest:
    """Return the name under which an attachment travels: nobody can try known files against it (PROTOCOL 15.3)."""
    return Digest(hmac.digest(attachment.key_bytes, _HANDLE + bytes.fromhex(attachment.digest), "sha256").hex())


# --- on the way -----------------------------------------------------------------------------------------------------


def seal_chunk(
    plain: bytes, attachment: Attachment, index: int, *, sender: CountryCode, recipient: CountryCode, message: MessageId
) -> SealedChunk:
    """Return the chunk of that index, padded and sealed; the same every time.

    Raises:
        RuntimeError: these are not as many bytes as that chunk has.
    """
    if len(plain) != chunk_size(attachment.size, index):
        raise RuntimeError("a chunk has its fixed size")
    handle = bytes.fromhex(handle_of(attachment))
    header = _HEADER.pack(
        _MAGIC, sender.encode(), recipient.encode(), UUID(message).bytes, handle, index, attachment.chunks
    )
    padded = plain.ljust(_padded_length(len(plain)), b"\x00")
    raw = header + AESGCM(_way_key(attachment)).encrypt(_way_nonce(index), padded, _aad(header, attachment))
    return SealedChunk(
        id=message, sender=sender, recipient=recipient, raw=raw, sha256=canonical.digest(raw), index=index
    )


def parse_chunk(raw: bytes) -> ChunkName:
    """Return what a chunk says about itself (PROTOCOL 15.5, first two checks).

    Raises:
        TooLarge: longer than the longest chunk.
        ChunkShape: not the one form.
    """
    if len(raw) > MAX_CHUNK:
        raise TooLarge("The chunk is larger than the largest allowed one.")
    if len(raw) < _HEADER.size + _SMALLEST + _TAG:
        raise ChunkShape
    magic, sender, recipient, message, handle, index, count = _HEADER.unpack_from(raw)
    if magic != _MAGIC or not 1 <= count <= MAX_CHUNKS or index >= count:
        raise ChunkShape
    try:
        return ChunkName(
            sender=CountryCode(sender.decode("ascii")),
            recipient=CountryCode(recipient.decode("ascii")),
            message=MessageId(str(UUID(bytes=message))),
            handle=Digest(handle.hex()),
            index=index,
            count=count,
        )
    except ValueError:
        raise ChunkShape from None


def open_chunk(raw: bytes, attachment: Attachment) -> bytes:
    """Return the attachment's bytes in a chunk (PROTOCOL 15.5, last two checks).

    Raises:
        TooLarge, ChunkShape: it is not a chunk.
        ChunkUnknown: it is one of another attachment or count.
        DecryptFailed: it does not open.
        Padding: it has another length than its place gives, or other padding than zeros.
    """
    name = parse_chunk(raw)
    if name.handle != handle_of(attachment) or name.count != attachment.chunks:
        raise ChunkUnknown
    header = raw[: _HEADER.size]
    try:
        padded = AESGCM(_way_key(attachment)).decrypt(
            _way_nonce(name.index), memoryview(raw)[_HEADER.size :], _aad(header, attachment)
        )
    except InvalidTag:
        raise DecryptFailed from None
    size = chunk_size(attachment.size, name.index)
    if len(padded) != _padded_length(size) or padded[size:].strip(b"\x00"):
        raise Padding
    return padded[:size]


def _way_key(attachment: Attachment) -> bytes:
    return hmac.digest(attachment.key_bytes, _WAY, "sha256")


def _way_nonce(index: int) -> bytes:
    return index.to_bytes(_NONCE, "big")


def _aad(header: bytes, attachment: Attachment) -> bytes:
    return header + bytes.fromhex(attachment.digest)


def _padded_length(size: int) -> int:
    """A small file must not be told by its length; a large one shows its number of chunks (PROTOCOL 15.4)."""
    length = _SMALLEST
    while length < size:
        length *= 2
    return length


# --- at rest --------------------------------------------------------------------------------------------------------


def blob_of(key: bytes) -> str:
    """Return the name of the bytes on our own disk that a key opens; it tells nothing of the key."""
    return hmac.digest(key, _BLOB, "sha256")[:16].hex()


def seal_stored(plain: bytes, key: bytes, index: int) -> bytes:
    """Return a chunk as it lies on our own disk until it is sent: a fresh nonce, then ciphertext and tag."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(hmac.digest(key, _REST, "sha256")).encrypt(nonce, plain, index.to_bytes(4, "big"))


def open_stored(stored: bytes, key: bytes, index: int) -> bytes:
    """Return the plain bytes of a chunk on our own disk.

    Raises:
        DecryptFailed: these are not the bytes that were written there.
    """
    try:
        return AESGCM(hmac.digest(key, _REST, "sha256")).decrypt(
            stored[:_NONCE], memoryview(stored)[_NONCE:], index.to_bytes(4, "big")
        )
    except (InvalidTag, ValueError):
        raise DecryptFailed from None
