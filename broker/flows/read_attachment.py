# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Give an office the bytes of an attachment of one of its messages, chunk by chunk, and note who read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from broker.core.attachments import Attachment
from broker.core.audit import AuditAction, Who
from broker.core.errors import AttachmentIncomplete, NotFound, StoreCorrupt, UntrustedError
from broker.core.ids import CountryCode, Digest, MessageId
from broker.derived.restraint import Restraint
from broker.finding import find_message
from broker.ports import Blobs, Clock, Compute, Reader, Store, Transaction
from broker.rows import AttachmentRow, MessageRow, about
from broker.security.chunks import handle_of, open_chunk, open_stored

__all__ = ["ReadAttachment", "Reading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An attachment that may be read now."""

    attachment: Attachment
    parts: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    message: MessageRow
    row: AttachmentRow
    attachment: Attachment


class ReadAttachment:
    """MessageRow → Attachment → plain chunks."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        blobs: Blobs,
        compute: Compute,
        clock: Clock,
        restraint: Restraint,
    ) -> None:
        self._us = us
        self._store = store
        self._blobs = blobs
        self._compute = compute
        self._clock = clock
        self._restraint = restraint

    async def __call__(
        self,
        message: MessageId,
        digest: Digest,
        who: Who,
        *,
        direction: str | None = None,
        peer: CountryCode | None = None,
    ) -> Reading:
        """Return the attachment and its bytes; the audit trail has it before the first byte.

        Raises:
            MessageErased, NotFound: that office has no such message, or it no such attachment.
            AmbiguousMessage: several countries used its id, and nothing says which one is meant.
            AttachmentIncomplete: not all of it is here and verified.
            TooManyCases: it must not be shown (R-38).
        """

        def look(reader: Reader) -> _Found:
            row = find_message(reader, message, who.authority, direction=direction, peer=peer)
            author = self._us if row.direction == "out" else row.peer
            for attachment in row.header.attachments:
                held = reader.attachment(author, row.id, handle_of(attachment)) if attachment.digest == digest else None
                if held is not None:
                    return _Found(message=row, row=held, attachment=attachment)
            raise NotFound("The message has no such attachment.")

        found = await self._store.read(look)
        if found.row.author != self._us and found.row.complete is None:
            raise AttachmentIncomplete
        noted = about(
            found.message, who, at=self._clock.now(), action=AuditAction.ATTACHMENT_READ, detail=str(found.row.place)
        )
        await self._restraint.record(noted)
        return Reading(attachment=found.attachment, parts=self._parts(found))

    async def _parts(self, found: _Found) -> AsyncIterator[bytes]:
        row, attachment = found.row, found.attachment
        for index in range(row.chunks):
            try:
                raw = await self._blobs.get(row.blob, index)
                if row.author == self._us:
                    plain = await self._compute.run(lambda: open_stored(raw, attachment.key_bytes, index))  # noqa: B023
                else:
                    plain = await self._compute.run(lambda: open_chunk(raw, attachment))  # noqa: B023  awaited at once
            except (StoreCorrupt, UntrustedError):
                await self._store.run(lambda tx: self._doubt(tx, row))
                raise StoreCorrupt("A part of an attachment is damaged or missing on the disk.") from None
            yield plain

    def _doubt(self, tx: Transaction, row: AttachmentRow) -> None:
        """Have a received file verified anew: what lacks of it is asked for, and until it is whole nobody is shown it."""
        held = tx.attachment(row.author, row.message, row.handle)
        if held is not None and held.author != self._us and held.complete is not None:
            tx.save_attachment(replace(held, complete=None, next_at=self._clock.now(), attempts=0))
