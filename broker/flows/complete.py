# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Bring received attachments to their end: verify what is whole and so deliver its message; ask for what lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from broker.core.attachments import SEALED_TYPE, Attachment
from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction
from broker.core.content import entry_of
from broker.core.delivery import (
    ASK_MAX_SECONDS,
    ATTACHMENT_ATTENTION_HOURS,
    CHUNK_QUIET_SECONDS,
    COMPLETE_BATCH,
    COMPLETE_LEASE_SECONDS,
)
from broker.core.errors import (
    AttachmentRefused,
    AttachmentSpoiled,
    BrokerError,
    CaseKeyMissing,
    StoreCorrupt,
    UntrustedError,
)
from broker.core.file_types import FileInspector
from broker.core.ids import CountryCode
from broker.core.messages import InboxEntry, OutboxKind
from broker.core.missing import Missing, to_body
from broker.core.owed_chunks import OwedChunks
from broker.core.receipts import ReceiptKind
from broker.ledger import Ledger, node_header
from broker.ports import Blobs, Clock, Compute, Ids, Store, Transaction, TrustSource
from broker.reception import MISSING_TYPE, Reception
from broker.rows import AttachmentRow, about_received
from broker.sealed.checking import file_fault
from broker.security.chunks import open_chunk
from broker.security.sealed_files import LONGEST_HEAD

__all__ = ["Complete"]


Described = tuple[AttachmentRow, Attachment, InboxEntry]


class Complete:
    """AttachmentRow → whole and verified → delivered; or a question for what lacks."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        blobs: Blobs,
        compute: Compute,
        clock: Clock,
        ids: Ids,
        ledger: Ledger,
        reception: Reception,
        trust: TrustSource,
        wake: Callable[[], None],
        offer: Callable[[], None],
    ) -> None:
        """Args:
        wake: called when a receipt or a question waits for the dispatcher.
        offer: called when there is something to hand over to an adapter.
        """
        self._us = us
        self._store = store
        self._blobs = blobs
        self._compute = compute
        self._clock = clock
        self._ids = ids
        self._ledger = ledger
        self._reception = reception
        self._trust = trust
        self._wake = wake
        self._offer = offer

    async def __call__(self) -> int:
        """Look after what is due; return how much that was.

        Raises:
            StoreUnavailable, DiskFull: what was not finished is taken again after the lease.
        """
        due = await self._store.run(self._take)
        for described in due:
            lacking = await self._verify(described) if not described[0].owed else None
            if lacking:
                await self._store.run(lambda tx, d=described, more=lacking: self._lost(tx, d, more))  # type: ignore[misc]
        if due:
            self._wake()
        return len(due)

    def _take(self, tx: Transaction) -> list[Described]:
        """Take what is due; what lacks something is asked for at once."""
        now = self._clock.now()
        until = now + timedelta(seconds=COMPLETE_LEASE_SECONDS)
        taken: list[Described] = []
        for row in tx.lease_arriving(now=now, until=until, limit=COMPLETE_BATCH):
            try:
                held = tx.inbox(row.author, row.message)
            except (CaseKeyMissing, StoreCorrupt) as error:
                self._put_off(tx, row, error)
                continue
            if held is not None:
                taken.append((row, held.entry.header.attachments[row.place], held.entry))
        self._ask(tx, [described for described in taken if described[0].owed])
        return taken

    def _put_off(self, tx: Transaction, row: AttachmentRow, error: BrokerError) -> None:
        """Look again later for what belongs to something that does not open: it holds up the files of no other message."""
        now = self._clock.now()
        tx.save_attachment(replace(row, attempts=row.attempts + 1, next_at=now + _pause(row)))
        if _is_late(row, now):
            self._ledger.call(
                tx, AttentionCode.ATTACHMENT_LATE, message_subject(row.author, row.message),
                peer=row.author, now=now, detail=error.detail,
            )  # fmt: skip

    # --- what lacks -------------------------------------------------------------------------------------------------

    def _ask(self, tx: Transaction, lacking: list[Described]) -> None:
        now = self._clock.now()
        by_peer: dict[CountryCode, list[Missing]] = {}
        for row, _, entry in lacking:
            missing = Missing(message=row.message, digest=entry.digest, handle=row.handle, chunks=row.owed)
            by_peer.setdefault(row.author, []).append(missing)
            tx.save_attachment(replace(row, attempts=row.attempts + 1, next_at=now + _pause(row), asked=now))
            tx.audit(about_received(entry, at=now, action=AuditAction.CHUNKS_ASKED))
            if _is_late(row, now):
                office = entry.header.recipient.authority
                self._ledger.call(
                    tx,
                    AttentionCode.ATTACHMENT_LATE,
                    message_subject(row.author, row.message),
                    peer=row.author,
                    authority=office,
                    now=now,
                )
        for peer, missing_there in by_peer.items():
            header = node_header(self._ids, MISSING_TYPE, us=self._us, peer=peer, created=self._clock.now())
            tx.add_outbox(entry_of(header, to_body(missing_there), OutboxKind.RECEIPTS), next_at=now)

    def _lost(self, tx: Transaction, described: Described, lacking: OwedChunks) -> None:
        """A chunk that was here is not any more: ask for it like for one that never came.

        Where another worker read it meanwhile, and it is whole or was dropped as spoiled, nothing is asked for.
        """
        row = tx.attachment(described[0].author, described[0].message, described[0].handle)
        if row is not None and row.complete is None and row.code is None:
            tx.save_attachment(replace(row, owed=lacking, next_at=self._clock.now()))

    # --- what is whole ----------------------------------------------------------------------------------------------

    async def _verify(self, described: Described) -> OwedChunks | None:
        """Read it once, chunk by chunk; return those that are not here after all."""
        row, attachment, entry = described
        inspector = FileInspector()
        beginning, lacking = b"", set[int]()
        for index in range(row.chunks):
            try:
                raw = await self._blobs.get(row.blob, index)
                plain = await self._compute.run(lambda raw=raw: _fed(inspector, open_chunk(raw, attachment)))  # type: ignore[misc]
            except (StoreCorrupt, UntrustedError):
                lacking.add(index)
            else:
                beginning = beginning or plain[:LONGEST_HEAD]  # of the first chunk: one that lacks ends this below
        if lacking:
            return OwedChunks(lacking)
        if _as_described(inspector, attachment):
            if await self._store.run(lambda tx: self._finish(tx, row, entry, beginning)):
                self._offer()
            return None
        await self._store.run(lambda tx: self._spoil(tx, row, entry))
        await self._blobs.drop(row.blob)
        return None

    def _finish(self, tx: Transaction, row: AttachmentRow, entry: InboxEntry, beginning: bytes) -> bool:
        """Note that it is verified; with the last one the message is delivered. Return whether it is."""
        now = self._clock.now()
        held = tx.attachment(row.author, row.message, row.handle)
        if held is None or held.complete is not None or held.owed:  # a part was lost since this one read it
            return False
        tx.save_attachment(replace(held, complete=now, next_at=None, attempts=0))
        self._check_sealed(tx, entry, row.place, beginning)
        tx.audit(about_received(entry, at=now, action=AuditAction.ATTACHMENT_COMPLETE))
        if any(other.complete is None for other in tx.attachments_of(row.author, row.message)):
            return False
        tx.resolve_attention(AttentionCode.ATTACHMENT_LATE, message_subject(row.author, row.message), at=now, by="node")
        if tx.receipt(self._us, row.author, row.message, ReceiptKind.DELIVERED) is not None:
            return False  # its file was lost here after that, and has come again
        self._reception.complete(tx, entry)
        return True

    def _check_sealed(self, tx: Transaction, entry: InboxEntry, place: int, beginning: bytes) -> None:
        """Tell the office of a sealed file that it will not be able to open; the node hands it over as it is."""
        now = self._clock.now()
        if entry.header.attachments[place].media_type != SEALED_TYPE:
            return
        fault = file_fault(beginning, entry.header, self._trust.current(), now=now)
        if fault is not None:
            code = AttentionCode.SEALED_TO_ANOTHER
            self._ledger.call(
                tx, code, message_subject(entry.sender, entry.id), peer=entry.sender,
                authority=entry.header.recipient.authority, detail=f"{fault} {code.meaning}", now=now,
            )  # fmt: skip

    def _spoil(self, tx: Transaction, row: AttachmentRow, entry: InboxEntry) -> None:
        now = self._clock.now()
        held = tx.attachment(row.author, row.message, row.handle)
        if held is None:
            return
        tx.save_attachment(replace(held, next_at=None, code=AttachmentSpoiled.code))
        self._ledger.call(
            tx, AttentionCode.ATTACHMENT_SPOILED, message_subject(row.author, row.message),
            peer=row.author, authority=entry.header.recipient.authority, now=now,
        )  # fmt: skip


def _pause(row: AttachmentRow) -> timedelta:
    return timedelta(seconds=min(CHUNK_QUIET_SECONDS * 2.0 ** min(row.attempts, 10), ASK_MAX_SECONDS))


def _is_late(row: AttachmentRow, now: datetime) -> bool:
    return now - row.at >= timedelta(hours=ATTACHMENT_ATTENTION_HOURS)


def _fed(inspector: FileInspector, plain: bytes) -> bytes:
    inspector.feed(plain)
    return plain


def _as_described(inspector: FileInspector, attachment: Attachment) -> bool:
    try:
        return inspector.digest == attachment.digest and inspector.media_type() == attachment.media_type
    except AttachmentRefused:
        return False
