# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sealing a file at the sending office, before it is uploaded, and opening it at the receiving one; memory stays flat.

The file's type is judged here, by its own bytes, on both sides: nodes see ciphertext.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import BinaryIO

from broker.core.attachments import KEY_BYTES, check_name
from broker.core.errors import AttachmentRefused, AttachmentSpoiled
from broker.core.file_types import FileInspector
from broker.core.messages import Party
from broker.core.rotation import PublicKey
from broker.security.sealed_files import (
    LARGEST,
    LONGEST_HEAD,
    Described,
    file_profile,
    open_head,
    read_head,
    sealed_head,
    sealed_segments,
    segments_of,
)
from broker.security.suite import Opener

__all__ = ["open_file", "seal_file"]

_PART = 1_048_576  # bytes read at once


def seal_file(
    source: BinaryIO, target: BinaryIO, *, name: str, sender: Party, recipient: Party, key: PublicKey
) -> None:
    """Write a file, sealed to an office, into another one; the source is read twice.

    Args:
        source: the file in clear, from its beginning.
        target: where it goes; what stands there after an error is worthless.
        name: what the receiving office sees.
        sender: who seals.
        recipient: who alone opens.
        key: its key.

    Raises:
        AttachmentRefused: the file may not travel, or changed meanwhile.
    """
    inspector = FileInspector()
    for part in _parts(source):
        inspector.feed(part)
        if inspector.size > LARGEST:
            raise AttachmentRefused("A sealed attachment has at most 99 MiB.")
    described = Described(
        name=name,
        media_type=inspector.media_type(),
        size=inspector.size,
        digest=inspector.digest,
        key=secrets.token_bytes(KEY_BYTES),
    )
    check_name(described.name, described.media_type, where="NAME")
    head = sealed_head(described, kid=key.kid, public=key.public, profile=file_profile(sender, recipient))
    source.seek(0)
    target.write(head)
    target.writelines(sealed_segments(_parts(source), described, head))


def open_file(source: BinaryIO, target: BinaryIO, *, opener: Opener, sender: Party, recipient: Party) -> Described:
    """Write a sealed file's bytes in clear into another one, and return what it is.

    Args:
        source: the sealed file, from its beginning.
        target: where the bytes go; what stands there after an error is worthless.
        opener: the receiving office's keys.
        sender: the office whose message it came with.
        recipient: the receiving office.

    Raises:
        UntrustedError: it is no sealed file, was sealed from or to another office, or does not open whole.
        AttachmentRefused: what is inside may not travel, or is of another type than its head says.
    """
    beginning = source.read(LONGEST_HEAD)
    head, begin = read_head(beginning)
    described = open_head(head, opener, profile=file_profile(sender, recipient))
    check_name(described.name, described.media_type, where="NAME")
    source.seek(begin)
    inspector = FileInspector()
    for plain in segments_of(_parts(source), described, head):
        inspector.feed(plain)
        target.write(plain)
    if inspector.digest != described.digest:
        raise AttachmentSpoiled
    if inspector.media_type() != described.media_type:
        raise AttachmentRefused("The file is of another type than its sender says.")
    return described


def _parts(stream: BinaryIO) -> Iterator[bytes]:
    while part := stream.read(_PART):
        yield part
