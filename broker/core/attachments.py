# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Attachments as a message describes them, and which may travel: names, types, sizes, counts (PROTOCOL section 15).

What a name may hold is decided once, for who sends and for who receives: a name becomes a file on somebody's desk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.core import canonical
from broker.core.characters import is_composed, is_hidden, without_case
from broker.core.errors import AttachmentRefused
from broker.core.ids import Digest

__all__ = [
    "CHUNK_BYTES", "KEY_BYTES", "MAX_ATTACHMENTS", "MAX_BYTES", "MAX_CHUNKS", "MEDIA_TYPES", "SEALED_TYPE", "Attachment",
    "check_attachments", "check_name", "chunk_count", "chunk_size", "decode_attachments", "encode_attachment",
    "hide_keys", "shown_attachment",
]  # fmt: skip

CHUNK_BYTES = 1_048_576
MAX_BYTES = 104_857_600  # 100 MiB, of all attachments of one message together
MAX_CHUNKS = MAX_BYTES // CHUNK_BYTES
MAX_ATTACHMENTS = 10  # of one message
KEY_BYTES = 32
_NAME_CHARACTERS = 120
_NAME_BYTES = 200  # file systems end at 255; an adapter may put a digest in front

# What may travel, each with the endings that its names have: nothing that runs, and no format that carries macros.
SEALED_TYPE = "application/vnd.trm.sealed"  # encrypted to the receiving office; what is inside is judged there
MEDIA_TYPES: Mapping[str, tuple[str, ...]] = {
    "application/pdf": ("pdf",),
    "application/vnd.oasis.opendocument.text": ("odt",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ("docx",),
    "image/jpeg": ("jpg", "jpeg"),
    "image/png": ("png",),
    "image/tiff": ("tif", "tiff"),
    "text/plain": ("txt",),
    SEALED_TYPE: ("sealed",),
}

_FORBIDDEN = frozenset('/\\:*?"<>|')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_MEMBERS = frozenset({"name", "kind", "media_type", "size", "digest", "key", "chunks"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What a message says about one attachment; its bytes travel beside it."""

    name: str = field(repr=False)  # may name a person
    kind: str  # code of document-kind
    media_type: str
    size: int  # bytes
    digest: Digest  # SHA-256 of the plain bytes
    key: str = field(repr=False)  # 32 random bytes, base64url
    chunks: int

    @property
    def key_bytes(self) -> bytes:
        """The key as bytes."""
        return canonical.b64url_decode(self.key)


def chunk_count(size: int) -> int:
    """Return in how many chunks that many bytes travel."""
    return -(-size // CHUNK_BYTES)


def chunk_size(size: int, index: int) -> int:
    """Return how many of an attachment's bytes its chunk of that index holds."""
    return min(CHUNK_BYTES, size - index * CHUNK_BYTES)


def check_attachments(attachments: Iterable[Attachment]) -> None:
    """Refuse what the schema cannot say: hostile names, sums that do not add up, the same thing twice.

    Raises:
        AttachmentRefused: with the place; the name itself is never repeated.
    """
    where, names = "/header/attachments", set[str]()
    digests: set[Digest] = set()
    total = 0
    for position, item in enumerate(attachments):
        place = f"{where}/{position}"
        if item.media_type not in MEDIA_TYPES:
            raise AttachmentRefused("Files of this type may not be attached.", where=f"{place}/media_type")
        check_name(item.name, item.media_type, where=f"{place}/name")
        if item.size < 1 or item.chunks != chunk_count(item.size):
            raise AttachmentRefused("The number of chunks does not fit the size.", where=f"{place}/chunks")
        folded = without_case(item.name)
        if folded in names or item.digest in digests:
            raise AttachmentRefused("Two attachments have one name or are the same file.", where=place)
        names.add(folded)
        digests.add(item.digest)
        total += item.size
    if total > MAX_BYTES:
        raise AttachmentRefused("The attachments of one message are larger than 100 MiB together.", where=where)
    if len(digests) > MAX_ATTACHMENTS:
        raise AttachmentRefused(f"A message has at most {MAX_ATTACHMENTS} attachments.", where=where)


def check_name(name: str, media_type: str, *, where: str) -> None:
    """Refuse a name that could harm who saves or reads it.

    Raises:
        AttachmentRefused: what is wrong, without the name.
    """
    stem, _, ending = name.rpartition(".")
    reasons = {
        "The name is empty or too long.": not 1 <= len(name) <= _NAME_CHARACTERS or len(name.encode()) > _NAME_BYTES,
        "The name is not in Unicode's composed form.": not is_composed(name),
        "The name holds a character that a file name may not have.": is_hidden(name) or not _FORBIDDEN.isdisjoint(name),
        "The name begins with a dot or a space, or has one before its ending.": name[:1] in {".", " "}
        or stem[-1:] in {".", " "},
        "The name is reserved by an operating system.": _RESERVED.fullmatch(name.split(".", maxsplit=1)[0].rstrip(" "))
        is not None,
        "The ending does not belong to the file's type.": not stem or ending.lower() not in MEDIA_TYPES[media_type],
    }
    for reason, applies in reasons.items():
        if applies:
            raise AttachmentRefused(reason, where=where)


def encode_attachment(item: Attachment) -> dict[str, Any]:
    """Return the JSON form as it stands in the header, with the key."""
    return {**shown_attachment(item), "key": item.key}


def shown_attachment(item: Attachment) -> dict[str, Any]:
    """Return the JSON form that people and national systems see: the key stays in the node."""
    return {
        "name": item.name,
        "kind": item.kind,
        "media_type": item.media_type,
        "size": item.size,
        "digest": str(item.digest),
        "chunks": item.chunks,
    }


def hide_keys(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header's JSON form as people and national systems see it: what opens the attachments is left out."""
    if "attachments" not in header:
        return dict(header)
    shown = [{name: value for name, value in item.items() if name != "key"} for item in header["attachments"]]
    return {**header, "attachments": shown}


def decode_attachments(value: Any) -> tuple[Attachment, ...]:
    """Return the typed descriptions of a header's member ``attachments``.

    Raises:
        ValueError: it is not a list of them.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ATTACHMENTS:
        raise ValueError("not a list of attachments")
    return tuple(_decode(item) for item in value)


def _decode(item: Any) -> Attachment:
    if not isinstance(item, Mapping) or item.keys() != _MEMBERS:
        raise ValueError("not an attachment")
    texts = (item["name"], item["kind"], item["media_type"], item["key"])
    numbers = (item["size"], item["chunks"])
    if not all(isinstance(text, str) and text for text in texts) or any(type(number) is not int for number in numbers):
        raise ValueError("not an attachment")
    if len(canonical.b64url_decode(item["key"])) != KEY_BYTES:
        raise ValueError("not a key")
    return Attachment(**{**item, "digest": Digest(item["digest"])})
