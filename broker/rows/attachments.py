# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Files: uploaded, on their way out and in; their bytes are blobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId
from broker.core.owed_chunks import OwedChunks

__all__ = ["AttachmentRow", "ParkedChunk", "UploadRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRow:
    """A file that an office is uploading, until a message takes it; after a day it is dropped with its key."""

    id: str  # also the name of its blob
    authority: AuthorityId
    size: int  # bytes, as announced
    key: bytes = field(repr=False)
    at: datetime
    received: int = 0  # bytes that are on the disk; whole chunks until the last
    media_type: str | None = None  # None: not complete yet
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRow:
    """How far the bytes of an attachment are: ours on their way out, another country's on their way in.

    What it is and what opens it stands in the message alone.
    """

    author: CountryCode
    message: MessageId
    handle: Digest
    peer: CountryCode
    place: int  # in the message's list
    blob: str
    size: int
    chunks: int
    owed: OwedChunks  # ours: not yet taken by the transport; another's: not yet here
    at: datetime
    moved: datetime  # when the last chunk left or came
    next_at: datetime | None = None  # ours: when chunks are sent; another's: when it is asked for; None: nothing owed
    attempts: int = 0
    complete: datetime | None = None  # another's: whole and verified; ours: all taken by the transport
    code: str | None = None  # another's: what its whole bytes turned out to be instead
    asked: datetime | None = None  # when chunks were last asked for: of ours by the other country, of another's by us


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedChunk:
    """A chunk whose message is not recorded yet."""

    publisher: str  # broker user; empty: unknown
    sender: CountryCode
    message: MessageId
    handle: Digest
    index: int
    blob: str
    received: datetime
