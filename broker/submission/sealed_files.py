# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Files that were sealed before they were uploaded, held to the offices of their message before it is recorded."""

from __future__ import annotations

from broker.core.attachments import SEALED_TYPE, Attachment
from broker.core.errors import StoreCorrupt, UntrustedError
from broker.core.messages import Header
from broker.ports import Blobs, Compute, TrustSource
from broker.sealed.checking import check_file_sent
from broker.security.chunks import blob_of, open_stored
from broker.security.sealed_files import LONGEST_HEAD

__all__ = ["SealedFiles"]


class SealedFiles:
    """Reads the heads of sealed files, which is all of them that a node can read."""

    def __init__(self, *, blobs: Blobs, compute: Compute, trust: TrustSource) -> None:
        self._blobs = blobs
        self._compute = compute
        self._trust = trust

    async def check(self, header: Header) -> None:
        """Refuse a message with a file that its office could not open: nobody would know before it was delivered.

        Raises:
            AttachmentRefused, AuthorityKeyEnded: it is sealed to somebody else, or to a key that ended.
            StoreCorrupt: it is not on the disk as it was uploaded.
        """
        for place, attachment in enumerate(header.attachments):
            if attachment.media_type == SEALED_TYPE:
                beginning = await self._beginning(attachment)
                trust, where = self._trust.current(), f"/attachments/{place}/upload"
                check_file_sent(beginning, header, trust, now=header.created, where=where)

    async def _beginning(self, attachment: Attachment) -> bytes:
        key = attachment.key_bytes
        stored = await self._blobs.get(blob_of(key), 0)
        try:
            return (await self._compute.run(lambda: open_stored(stored, key, 0)))[:LONGEST_HEAD]
        except UntrustedError:
            raise StoreCorrupt("A part of an attachment is damaged on the disk.") from None
