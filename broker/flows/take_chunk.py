# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Take one chunk of an attachment that a transport brings: check it, keep it sealed, note what still lacks.

A chunk carries no signature. What proves it is the key in its believed message: without that it is parked, and what does
not open is dropped and counted against its broker user. Nothing here ever waits for a peer or fails a delivery for good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from broker.core.attachments import Attachment
from broker.core.delivery import CHUNK_QUIET_SECONDS, PARKED_MAX_CHUNKS
from broker.core.errors import CaseKeyMissing, ChunkUnknown, NotForUs, StoreCorrupt, UntrustedError
from broker.core.ids import CountryCode
from broker.core.messages import Delivery
from broker.ports import Blobs, Clock, Compute, Ids, Reader, Store, Transaction
from broker.rows import AttachmentRow, ParkedChunk
from broker.security.chunks import ChunkName, handle_of, open_chunk, parse_chunk

__all__ = ["TakeChunk"]

_ADOPT_BATCH = 32
_REPEAT = "repeat"
_LATER = "chunk-later"  # its message does not open: given back, a few would keep out the chunks of all other files


class TakeChunk:
    """Delivery → ChunkName → held, parked or dropped."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        blobs: Blobs,
        compute: Compute,
        clock: Clock,
        ids: Ids,
        whole: Callable[[], None],
    ) -> None:
        """Args:
        whole: called when nothing of an attachment lacks any more.
        """
        self._us = us
        self._store = store
        self._blobs = blobs
        self._compute = compute
        self._clock = clock
        self._ids = ids
        self._whole = whole

    async def __call__(self, delivery: Delivery) -> str:
        """Decide about one chunk; when this returns, the transport may forget it.

        Returns:
            "chunk", "repeat", "chunk-parked", "chunk-later", or the code for which it was dropped.

        Raises:
            NodeError: nothing was decided; the transport offers it again.
        """
        try:
            return await self._decide(delivery)
        except UntrustedError as error:
            code = error.code  # not the error itself: it holds the chunk, and this frame would hold it
        await self._store.run(lambda tx: self._count(tx, delivery, code))
        return code

    async def adopt(self) -> int:
        """Take parked chunks whose message is recorded now; return how many were looked at."""
        found = await self._store.read(lambda reader: reader.adoptable_chunks(_ADOPT_BATCH))
        for parked in found:
            raw = await self._parked_bytes(parked)
            if raw is not None:
                await self(Delivery(raw=raw, queue="parked", user=parked.publisher or None))
            await self._forget(parked)
        return len(found)

    async def _decide(self, delivery: Delivery) -> str:
        name = parse_chunk(delivery.raw)
        if name.recipient != self._us:
            raise NotForUs
        if delivery.user not in {None, name.sender}:
            raise ChunkUnknown("Another country's user published it.")
        try:
            known = await self._store.read(lambda reader: _known(reader, name))
        except (CaseKeyMissing, StoreCorrupt):
            return _LATER
        if known is None:
            return await self._park(delivery, name)
        row, attachment = known
        if name.index not in row.owed:
            return _REPEAT
        await self._compute.run(lambda: open_chunk(delivery.raw, attachment))
        await self._blobs.put(row.blob, name.index, delivery.raw)
        if await self._store.run(lambda tx: self._hold(tx, name)):
            self._whole()
        return "chunk"

    def _hold(self, tx: Transaction, name: ChunkName) -> bool:
        """Note that a chunk is on the disk; return whether it was the last one."""
        row = tx.attachment(name.sender, name.message, name.handle)
        if row is None or name.index not in row.owed:
            return False
        now, owed = self._clock.now(), row.owed.without([name.index])
        # What is whole is due at once: whoever looks next verifies it, also after a crash right here.
        due = now + timedelta(seconds=CHUNK_QUIET_SECONDS) if owed else now
        tx.save_attachment(replace(row, owed=owed, moved=now, next_at=due, attempts=0))
        return not owed

    async def _park(self, delivery: Delivery, name: ChunkName) -> str:
        parked = ParkedChunk(
            publisher=delivery.user or "", sender=name.sender, message=name.message, handle=name.handle,
            index=name.index, blob=self._ids.token(), received=self._clock.now(),
        )  # fmt: skip
        await self._blobs.put(parked.blob, parked.index, delivery.raw)
        for gone in await self._store.run(lambda tx: tx.park_chunk(parked, max_items=PARKED_MAX_CHUNKS)):
            await self._blobs.drop(gone.blob)
        return "chunk-parked"

    async def _parked_bytes(self, parked: ParkedChunk) -> bytes | None:
        try:
            return await self._blobs.get(parked.blob, parked.index)
        except StoreCorrupt:  # made way for others meanwhile: it is asked for again
            return None

    async def _forget(self, parked: ParkedChunk) -> None:
        await self._store.run(lambda tx: tx.unpark_chunk(parked.blob))
        await self._blobs.drop(parked.blob)

    def _count(self, tx: Transaction, delivery: Delivery, code: str) -> None:
        for broken in (*delivery.abuse, code):
            tx.count_abuse(delivery.user or "unknown", broken, self._clock.now())


def _known(reader: Reader, name: ChunkName) -> tuple[AttachmentRow, Attachment] | None:
    """Return the attachment that a chunk is of; None where its message is not recorded yet.

    Raises:
        ChunkUnknown: its message is recorded or refused, and describes no such attachment.
    """
    row = reader.attachment(name.sender, name.message, name.handle)
    if row is None:
        # Refused for its envelope alone it is no answer: the same message comes again, and its chunks do not.
        answered = any(receipt.answers for receipt in reader.receipts_about(name.sender, name.message))
        if answered or reader.attachments_of(name.sender, name.message):
            raise ChunkUnknown
        return None
    for message in reader.messages_of(name.message, None):
        if message.direction == "in" and message.peer == name.sender:
            for attachment in message.header.attachments:
                if handle_of(attachment) == name.handle:
                    return row, attachment
    raise ChunkUnknown
