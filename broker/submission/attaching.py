# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""From uploaded files to attachments of a message: what the message says of them, and the rows that follow it."""

from __future__ import annotations

from datetime import datetime

from broker.core import canonical
from broker.core.attachments import Attachment, chunk_count
from broker.core.errors import AttachmentIncomplete, NotFound
from broker.core.messages import OutboxEntry, Submission
from broker.core.owed_chunks import OwedChunks
from broker.ports import Reader, Transaction
from broker.rows import AttachmentRow
from broker.security.chunks import blob_of, handle_of

__all__ = ["attach", "described"]


def described(reader: Reader, submission: Submission) -> tuple[Attachment, ...]:
    """Return what the message says of the files that were uploaded for it.

    Raises:
        NotFound: one of them is not there, or another office's.
        AttachmentIncomplete: one of them is not whole yet.
    """
    found = []
    for position, item in enumerate(submission.attachments):
        where = f"/attachments/{position}/upload"
        row = reader.upload(item.upload)
        if row is None or row.authority != submission.sender_authority:
            raise NotFound("There is no such upload for that office.", where=where)
        if row.digest is None or row.media_type is None:
            raise AttachmentIncomplete(where=where)
        found.append(
            Attachment(
                name=item.name,
                kind=item.kind,
                media_type=row.media_type,
                size=row.size,
                digest=row.digest,
                key=canonical.b64url_encode(row.key),
                chunks=chunk_count(row.size),
            )
        )
    return tuple(found)


def attach(tx: Transaction, entry: OutboxEntry, *, now: datetime) -> None:
    """Give a recorded message its files: the uploads end here, and from now on only the message holds their keys.

    Raises:
        NotFound: another message took one of them.
    """
    for place, attachment in enumerate(entry.header.attachments):
        blob = blob_of(attachment.key_bytes)
        if tx.upload(blob) is None:
            raise NotFound("Another message took that upload.", where=f"/attachments/{place}/upload")
        tx.drop_upload(blob)
        tx.add_attachment(
            AttachmentRow(
                author=entry.header.sender.country,
                message=entry.id,
                handle=handle_of(attachment),
                peer=entry.recipient,
                place=place,
                blob=blob,
                size=attachment.size,
                chunks=attachment.chunks,
                owed=OwedChunks.all_of(attachment.chunks),
                at=now,
                moved=now,
                next_at=now,
            )
        )
