# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A file encrypted to one office, segment by segment in little memory (PROTOCOL 16.7).

- The head is an encryption to the office and holds the file's key, name, type, size and digest; nothing of them is outside.
- A segment proves its place and whether it is the last: none can be left out, swapped, or taken from another file.
- Zeros behind the file's bytes, inside: a node learns a padded length and nothing finer.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.core import canonical
from broker.core.attachments import KEY_BYTES, MEDIA_TYPES, SEALED_TYPE
from broker.core.errors import AttachmentRefused, AttachmentSpoiled, ContentShape, DecryptFailed, EnvelopeMembers
from broker.core.ids import Digest, KeyId
from broker.core.messages import Party
from broker.security import nested
from broker.security.nested import NestedKind
from broker.security.suite import Opener

__all__ = [
    "HEAD_LENGTHS", "LARGEST", "LONGEST_HEAD", "SEGMENT", "Described", "Head", "file_profile", "open_head", "padded_size", "read_head", "sealed_head",
    "sealed_segments", "segments_of",
]  # fmt: skip

MAGIC = b"TRMS\x01"
SEGMENT = 65_536  # bytes of plaintext
MAX_HEAD = 16 * 1024  # bytes of the head's JSON
LONGEST_HEAD = MAX_HEAD + 9  # bytes, with magic and length before it
LARGEST = 99 * 1024 * 1024  # bytes of a file: sealed it fits what an attachment may have
HEAD_LENGTHS = (1024, 2048)  # bytes of what is encrypted in the head
_LENGTH = struct.Struct(">I")
_TAG = 16  # bytes
_SMALLEST, _STEP = 16 * 1024, 1024 * 1024  # bytes of a padded file
_MEMBERS = {"digest", "key", "media_type", "name", "size"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the head says of the file, to the office alone."""

    name: str = field(repr=False)
    media_type: str
    size: int  # bytes
    digest: Digest
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a sealed file, parsed; nothing in it is believed."""

    raw: bytes  # with magic and length: what every segment is bound to
    sealed: nested.Nested


def file_profile(sender: Party, recipient: Party) -> dict[str, Any]:
    """Return what the head of a file is bound to: between which offices it travels."""
    return {"from": sender.to_json(), "to": recipient.to_json(), "v": 1}


def padded_size(size: int) -> int:
    """Return how many bytes are encrypted for a file of that size."""
    length = _SMALLEST
    while length < size and length < _STEP:
        length *= 2
    return length if size <= length else -(-size // _STEP) * _STEP


def sealed_head(described: Described, *, kid: KeyId, public: bytes, profile: Mapping[str, Any]) -> bytes:
    """Return the head of a sealed file.

    Raises:
        TooLargeToSend, TrustListInvalid: as `nested.seal_to_office`.
    """
    plain = canonical.dump(
        {
            "digest": str(described.digest),
            "key": canonical.b64url_encode(described.key),
            "media_type": described.media_type,
            "name": described.name,
            "size": described.size,
        }
    )
    jwe = nested.seal_to_office(
        plain, kind=NestedKind.FILE, kid=kid, public=public, profile=profile, lengths=HEAD_LENGTHS
    )
    raw = canonical.dump({"jwe": jwe, "kid": str(kid)})
    return MAGIC + _LENGTH.pack(len(raw)) + raw


def sealed_segments(parts: Iterable[bytes], described: Described, head: bytes) -> Iterator[bytes]:
    """Yield the file's bytes encrypted, padding included; never more than a segment is held.

    Raises:
        AttachmentRefused: the bytes are not those that were described: the file changed meanwhile.
    """
    sha256, size = hashlib.sha256(), 0
    aead, bound, whole = AESGCM(described.key), hashlib.sha256(head).digest(), padded_size(described.size)
    count = -(-whole // SEGMENT)
    index, held = 0, bytearray()

    def seal(plain: bytes) -> bytes:
        return aead.encrypt(_nonce(index, last=index == count - 1), plain, bound)

    for part in parts:
        sha256.update(part)
        size += len(part)
        if size > described.size:
            raise AttachmentRefused("The file changed while it was sealed.")
        held += part
        while len(held) > SEGMENT:  # the last one waits: it may have to be padded
            yield seal(bytes(held[:SEGMENT]))
            del held[:SEGMENT]
            index += 1
    if (size, sha256.hexdigest()) != (described.size, described.digest):
        raise AttachmentRefused("The file changed while it was sealed.")
    while index < count:
        wanted = min(SEGMENT, whole - index * SEGMENT)
        yield seal(bytes(held).ljust(wanted, b"\x00"))
        held.clear()
        index += 1


def read_head(beginning: bytes) -> tuple[Head, int]:
    """Return the head that these bytes begin with, and where the segments begin.

    Raises:
        EnvelopeMembers, EnvelopeHeader, NotCanonical, FieldLength: it is not the head of a sealed file.
    """
    fixed = len(MAGIC) + _LENGTH.size
    if not beginning.startswith(MAGIC) or len(beginning) < fixed:
        raise EnvelopeMembers
    (length,) = _LENGTH.unpack_from(beginning, len(MAGIC))
    if length > MAX_HEAD or len(beginning) < fixed + length:
        raise EnvelopeMembers
    data = canonical.parse(bytes(beginning[fixed : fixed + length]))
    if not isinstance(data, dict) or data.keys() != {"jwe", "kid"}:
        raise EnvelopeMembers
    sealed = nested.parse(data["jwe"], kind=NestedKind.FILE)
    if data["kid"] != sealed.kid:
        raise EnvelopeMembers
    nested.check_lengths(sealed, HEAD_LENGTHS)
    return Head(raw=bytes(beginning[: fixed + length]), sealed=sealed), fixed + length


def open_head(head: Head, opener: Opener, *, profile: Mapping[str, Any]) -> Described:
    """Return what the head tells the office that it was sealed to.

    Raises:
        HeaderMismatch: it was sealed from or to another office.
        UnknownRecipientKey, DecryptFailed, Padding, NotCanonical: it does not open.
        ContentShape: what is inside is no description of a file that may travel.
    """
    nested.check_belongs(head.sealed, profile)
    data = nested.unpadded(nested.decrypt(head.sealed, opener), HEAD_LENGTHS)
    try:
        if not isinstance(data, dict) or data.keys() != _MEMBERS or type(data["size"]) is not int:
            raise ContentShape
        key, digest = canonical.b64url_decode(data["key"]), Digest(data["digest"])
    except (ValueError, TypeError, AttributeError):
        raise ContentShape from None
    media_type, name = data["media_type"], data["name"]
    known = isinstance(media_type, str) and media_type in MEDIA_TYPES and media_type != SEALED_TYPE
    if not known or not isinstance(name, str) or not 1 <= data["size"] <= LARGEST or len(key) != KEY_BYTES:
        raise ContentShape
    return Described(name=name, media_type=media_type, size=data["size"], digest=digest, key=key)


def segments_of(parts: Iterable[bytes], described: Described, head: Head) -> Iterator[bytes]:
    """Yield the file's bytes, each segment proved; whoever takes them believes nothing before the end.

    Raises:
        DecryptFailed: a segment does not open in its place.
        AttachmentSpoiled: bytes are missing or too many, or what is behind the file's bytes is not zeros.
    """
    aead, bound, whole = AESGCM(described.key), hashlib.sha256(head.raw).digest(), padded_size(described.size)
    count = -(-whole // SEGMENT)
    index, held, left = 0, bytearray(), described.size
    for part in parts:
        held += part
        while index < count and len(held) >= (wanted := min(SEGMENT, whole - index * SEGMENT) + _TAG):
            plain = _opened(aead, bytes(held[:wanted]), index, bound, last=index == count - 1)
            del held[:wanted]
            index += 1
            if plain[left:].strip(b"\x00"):
                raise AttachmentSpoiled
            if left:
                yield plain[:left]
            left = max(0, left - len(plain))
        if index == count and held:
            raise AttachmentSpoiled
    if index < count:
        raise AttachmentSpoiled


def _opened(aead: AESGCM, sealed: bytes, index: int, bound: bytes, *, last: bool) -> bytes:
    try:
        return aead.decrypt(_nonce(index, last=last), sealed, bound)
    except InvalidTag:
        raise DecryptFailed from None


def _nonce(index: int, *, last: bool) -> bytes:
    """The key is fresh for each file, so a counter is never used twice; the last byte says that nothing follows."""
    return index.to_bytes(11, "big") + (b"\x01" if last else b"\x00")
