# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Uploads, attachments and parked chunks, as a transaction holds them; their bytes are `Blobs`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId
from broker.rows import AttachmentRow, ParkedChunk, UploadRow

__all__ = ["AttachmentWriter"]


class AttachmentWriter(Protocol):
    """Says what of a file is here, what lacks and what is due."""

    def add_upload(self, row: UploadRow) -> None: ...
    def upload(self, upload: str) -> UploadRow | None:
        """Return an upload, locked until the end of the transaction."""
        ...

    def count_uploads(self, authority: AuthorityId) -> int: ...
    def save_upload(self, row: UploadRow) -> None:
        """Store how far it is, and what it turned out to be."""
        ...

    def keep_upload(self, upload: str, *, at: datetime) -> None:
        """Count its age from then on: a held message needs it."""
        ...

    def drop_upload(self, upload: str) -> None: ...
    def old_uploads(self, *, before: datetime, limit: int) -> tuple[str, ...]:
        """Return the ids of those that were begun before that time, oldest first."""
        ...

    def add_attachment(self, row: AttachmentRow) -> bool: ...
    def attachment(self, author: CountryCode, message: MessageId, handle: Digest) -> AttachmentRow | None:
        """Return one attachment, locked until the end of the transaction."""
        ...

    def attachments_of(self, author: CountryCode, message: MessageId) -> tuple[AttachmentRow, ...]: ...
    def save_attachment(self, row: AttachmentRow) -> None:
        """Store how far it is."""
        ...

    def lease_leaving(
        self,
        *,
        now: datetime,
        until: datetime,
        limit: int,
        only: Collection[CountryCode] = (),
        but: Collection[CountryCode] = (),
    ) -> tuple[AttachmentRow, ...]:
        """Take attachments of published messages with chunks to send; nobody else takes them until then.

        Args:
            now, until, limit: the lease.
            only: the recipients, if any are named.
            but: the recipients whose files are left.
        """
        ...

    def lease_arriving(self, *, now: datetime, until: datetime, limit: int) -> tuple[AttachmentRow, ...]:
        """Take others' attachments that are whole and not verified, or without a new chunk for too long."""
        ...

    def park_chunk(self, chunk: ParkedChunk, *, max_items: int) -> tuple[ParkedChunk, ...]:
        """Keep the newest within the limit per broker user; return what makes way, itself where it is a repeat."""
        ...

    def unpark_chunk(self, blob: str) -> None: ...
