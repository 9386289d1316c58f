# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Take a file from an office, part by part, and keep it sealed under a key of its own until a message takes it.

Whole chunks count: after a cut the caller asks how far the file is and goes on from there. What is never attached is
dropped with its key after a day. The file's name comes only with the message: no upload says whom it is about.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from broker.core.attachments import CHUNK_BYTES, MAX_BYTES, SEALED_TYPE
from broker.core.audit import AuditAction
from broker.core.delivery import MAX_UPLOADS
from broker.core.errors import AttachmentRefused, NotFound, Overloaded, UntrustedError, UploadConflict
from broker.core.file_types import FileInspector
from broker.core.ids import AuthorityId
from broker.core.roles import AuditRole
from broker.ports import Blobs, Clock, Compute, Ids, Store, Transaction
from broker.rows import AuditRow, UploadRow
from broker.security.chunks import blob_of, open_stored, seal_stored
from broker.security.sealed_files import LONGEST_HEAD, read_head

__all__ = ["Upload"]


class Upload:
    """Plain parts → sealed chunks on our disk → a digest and a type."""

    def __init__(self, *, store: Store, blobs: Blobs, compute: Compute, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._blobs = blobs
        self._compute = compute
        self._clock = clock
        self._ids = ids

    async def begin(self, size: int, *, authority: AuthorityId, actor: str, role: AuditRole) -> UploadRow:
        """Make room for a file of that many bytes.

        Raises:
            AttachmentRefused: it is empty or too large.
            Overloaded: the office has too many uploads that no message took.
        """
        if not 1 <= size <= MAX_BYTES:
            raise AttachmentRefused("An attachment has 1 byte to 100 MiB.", where="/size")
        key = self._ids.key()
        row = UploadRow(id=blob_of(key), authority=authority, size=size, key=key, at=self._clock.now())
        await self._store.run(lambda tx: self._begin(tx, row, actor, role))
        return row

    async def find(self, upload: str, *, authority: AuthorityId) -> UploadRow:
        """Return how far an upload is.

        Raises:
            NotFound: there is none for that office; it was attached, or dropped after a day.
        """
        row = await self._store.read(lambda reader: reader.upload(upload))
        if row is None or row.authority != authority:
            raise NotFound("There is no such upload: it was attached already, or dropped after a day.")
        return row

    async def append(
        self, upload: str, *, authority: AuthorityId, offset: int, parts: AsyncIterator[bytes]
    ) -> UploadRow:
        """Take the bytes from that offset on; keep every whole chunk of them, and with the last one look at the file.

        Raises:
            NotFound: there is no such upload for that office.
            UploadConflict: it is at another offset, or somebody else goes on with it.
            AttachmentRefused: more bytes than announced, or a file that may not travel; it is gone.
            DiskFull, StoreUnavailable: what was kept stays; go on later.
        """
        row = await self.find(upload, authority=authority)
        if offset != row.received:
            raise UploadConflict
        async for chunk in _chunks(parts, row.size - row.received):
            row = await self._keep(row, chunk)
        if row.received < row.size or row.digest is not None:
            return row
        return await self._advanced(row, await self._look(row))  # an older program kept the last bytes before it looked

    def _begin(self, tx: Transaction, row: UploadRow, actor: str, role: AuditRole) -> None:
        if tx.count_uploads(row.authority) >= MAX_UPLOADS:
            raise Overloaded("Too many uploaded files wait for a message; attach them, or wait until they are dropped.")
        tx.add_upload(row)
        tx.audit(
            AuditRow(
                at=row.at, actor=actor, role=role, authority=row.authority, action=AuditAction.UPLOADED, subject=row.id
            )
        )

    async def _keep(self, row: UploadRow, chunk: bytes) -> UploadRow:
        index, after = row.received // CHUNK_BYTES, row.received + len(chunk)
        if len(chunk) < CHUNK_BYTES and after < row.size:
            return row  # a cut in the middle of a chunk: the caller sends it again from the chunk's beginning
        stored = await self._compute.run(lambda: seal_stored(chunk, row.key, index))
        await self._blobs.put(row.id, index, stored)
        kept = replace(row, received=after)
        # The last bytes count together with what the file turned out to be: a caller whose connection is cut in between
        # takes an offset at the end for a whole file, and would attach it in vain.
        return await self._advanced(row, await self._look(kept) if after == row.size else kept)

    async def _advanced(self, before: UploadRow, after: UploadRow) -> UploadRow:
        return await self._store.run(lambda tx: self._advance(tx, before, after))

    def _advance(self, tx: Transaction, before: UploadRow, after: UploadRow) -> UploadRow:
        held = tx.upload(before.id)
        if held is None or (held.received, held.digest) != (before.received, before.digest):
            raise UploadConflict
        tx.save_upload(after)
        return after

    async def _look(self, row: UploadRow) -> UploadRow:
        """Read the whole file once, for its digest and its type."""
        inspector = FileInspector()
        for index in range(-(-row.size // CHUNK_BYTES)):
            stored = await self._blobs.get(row.id, index)
            await self._compute.run(
                lambda stored=stored, index=index: inspector.feed(open_stored(stored, row.key, index))  # type: ignore[misc]
            )
        try:
            media_type = inspector.media_type()
            if media_type == SEALED_TYPE:
                await self._check_sealed(row)
        except AttachmentRefused:
            await self._drop(row)
            raise
        return replace(row, media_type=media_type, digest=inspector.digest)

    async def _check_sealed(self, row: UploadRow) -> None:
        """Hold a sealed file to the form of its head, which is all of it that a node can read (PROTOCOL 16.7).

        Raises:
            AttachmentRefused: it only says that it is sealed.
        """
        stored = await self._blobs.get(row.id, 0)
        try:
            read_head(open_stored(stored, row.key, 0)[:LONGEST_HEAD])
        except UntrustedError as error:
            raise AttachmentRefused(f"The file is not sealed to an office as it says ({error.code}).") from None

    async def _drop(self, row: UploadRow) -> None:
        await self._store.run(lambda tx: tx.drop_upload(row.id))
        await self._blobs.drop(row.id)


async def _chunks(parts: AsyncIterator[bytes], room: int) -> AsyncIterator[bytes]:
    """Yield the parts as chunks; never more than one is held.

    Raises:
        AttachmentRefused: they are more than there is room for.
    """
    held = bytearray()
    async for part in parts:
        room -= len(part)
        if room < 0:
            raise AttachmentRefused("More bytes came than were announced.")
        held += part
        while len(held) >= CHUNK_BYTES:
            yield bytes(held[:CHUNK_BYTES])
            del held[:CHUNK_BYTES]
    if held:
        yield bytes(held)
