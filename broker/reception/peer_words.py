# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a peer's node says of messages: its receipts for ours, and which chunks of our attachments it lacks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from broker.catalogue import Catalogue
from broker.core import missing
from broker.core.audit import AuditAction
from broker.core.delivery import CHUNKS_ASKED_SECONDS, RESENDS_BY_ITSELF, AttentionCode, message_subject
from broker.core.ids import CountryCode, Digest, ProcedureId
from broker.core.messages import VerifiedMessage
from broker.core.owed_chunks import OwedChunks
from broker.core.receipts import SEALED_ANEW_CODES, Receipt, ReceiptKind, from_body
from broker.core.roles import AuditRole
from broker.ledger import Ledger
from broker.participation import Participation
from broker.ports import Clock, Transaction
from broker.reception.remembering import Memory
from broker.rows import AuditRow, OutboxBrief
from broker.witness import Witnessed, witness

__all__ = ["PeerWords"]


class PeerWords:
    """Takes what the other node says; such messages get no receipts of their own."""

    def __init__(
        self,
        *,
        us: CountryCode,
        catalogue: Catalogue,
        ledger: Ledger,
        participation: Participation,
        memory: Memory,
        clock: Clock,
    ) -> None:
        self._us = us
        self._catalogue = catalogue
        self._ledger = ledger
        self._participation = participation
        self._memory = memory
        self._clock = clock

    def take_receipts(
        self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest, witnessed: Witnessed | None
    ) -> None:
        """Take receipts, and the head of their signer's audit trail.

        Raises:
            SenderError: they do not fit their schema.
        """
        self._catalogue.admit(verified)
        now = self._clock.now()
        for receipt in from_body(verified.body, verified.sender):
            self.take_receipt(tx, receipt)
        if witnessed is not None:
            witness(tx, self._ledger, verified.sender, witnessed, now=now)
        self._memory.remember(tx, verified, raw_sha256, AuditAction.RECEIPTS_TAKEN, "")

    def take_receipt(self, tx: Transaction, receipt: Receipt) -> None:
        """Take one receipt; one for what was never sent so has no effect and calls a person."""
        now = self._clock.now()
        brief = tx.outbox_brief(receipt.message) if receipt.author == self._us else None
        if brief is None or brief.digest != receipt.digest or brief.recipient != receipt.issuer:
            # One call per country for ids that it makes up: it could hide every other call behind thousands.
            subject = receipt.issuer if brief is None else message_subject(self._us, receipt.message)
            self._ledger.call(tx, AttentionCode.STRANGE_RECEIPT, subject, peer=receipt.issuer, now=now)
            return
        if self._apply(tx, brief, receipt, now):
            # A peer's clock that is ahead must not put off the calls for what is overdue; the receipt keeps its time.
            tx.settle_outbox(receipt.message, replace(receipt, at=min(receipt.at, now)))
            if brief.attended:
                ended = (*AttentionCode.overdue(), AttentionCode.NOT_SENT)
                tx.resolve_attentions(ended, message_subject(self._us, receipt.message), at=now, by="node")

    def take_question(self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest) -> None:
        """Owe a peer the chunks that it lacks, of what was sent to it; asking often does not make them come often.

        Raises:
            SenderError: the question does not fit its schema.
        """
        self._catalogue.admit(verified)
        now = self._clock.now()
        for item in missing.from_body(verified.body):
            brief = tx.outbox_brief(item.message)
            row = tx.attachment(self._us, item.message, item.handle)
            if brief is None or row is None or (brief.digest, brief.recipient) != (item.digest, verified.sender):
                continue
            recent = row.asked is not None and now - row.asked < timedelta(seconds=CHUNKS_ASKED_SECONDS)
            if recent or not item.chunks.within(row.chunks):
                continue
            owed = OwedChunks(row.owed | item.chunks)
            tx.save_attachment(replace(row, owed=owed, asked=now, next_at=row.next_at or now))
            tx.audit(
                AuditRow(
                    at=now,
                    actor=verified.sender,
                    role=AuditRole.PEER,
                    action=AuditAction.CHUNKS_ASKED,
                    subject=item.message,
                    procedure=brief.procedure,
                    peer=verified.sender,
                )
            )
        self._memory.remember(tx, verified, raw_sha256, AuditAction.RECEIPTS_TAKEN, "missing")

    def _apply(self, tx: Transaction, brief: OutboxBrief, receipt: Receipt, now: datetime) -> bool:
        """Store a receipt of the peer; return whether it moves our entry up the evidence ladder."""
        if receipt.code in SEALED_ANEW_CODES:
            if tx.add_receipt(receipt, issued=False):
                self._seal_anew(tx, receipt, now)
            return False
        row = tx.lock_procedure(brief.procedure) if receipt.answers and brief.procedure else None
        if row is None:
            return tx.add_receipt(receipt, issued=False)
        moved = self._ledger.take_answer(tx, self._ledger.read(tx, row), receipt, now=now)
        if moved and receipt.kind is ReceiptKind.REFUSED:
            self._reseat(tx, row.ref.id, now)
        return moved

    def _reseat(self, tx: Transaction, procedure: ProcedureId, now: datetime) -> None:
        """A change of participants that was refused has no effect on either side."""
        row = tx.lock_procedure(procedure)
        if row is not None:
            book = self._ledger.read(tx, row)
            self._participation.keep(tx, book, book.fold(), now=now)

    def _seal_anew(self, tx: Transaction, receipt: Receipt, now: datetime) -> None:
        """Refused for its envelope alone: the same message is sealed anew; id and digest stay.

        A peer whose clock is wrong refuses every envelope: after the resends that we make by ourselves the entry stays
        published, becomes overdue, and a person is called.
        """
        row = tx.outbox(receipt.message)
        if row is None or row.resends >= RESENDS_BY_ITSELF:
            return
        if tx.reopen_outbox(receipt.message, now=now, reseal=True, count_resend=True):
            tx.audit(
                AuditRow(
                    at=now,
                    actor="node",
                    action=AuditAction.RESENT,
                    subject=receipt.message,
                    authority=row.entry.header.sender.authority,
                    procedure=row.entry.procedure,
                    peer=receipt.issuer,
                    reason=receipt.code or "",
                )
            )
