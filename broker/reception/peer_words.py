# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a peer's node says of messages: its receipts for ours, and which chunks of our attachments it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from broker.catalogue import Catalogue
from broker.core import missing
from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction
from broker.core.delivery import CHUNKS_ASKED_SECONDS, RESENDS_BY_ITSELF, is_recent
from broker.core.errors import CaseKeyMissing, SchemaInvalid, SenderError, StoreCorrupt
from broker.core.ids import CountryCode, Digest, ProcedureId
from broker.core.messages import VerifiedMessage
from broker.core.owed_chunks import OwedChunks
from broker.core.receipts import SEALED_ANEW_CODES, Receipt, ReceiptKind, from_body, well_formed
from broker.core.roles import AuditRole
from broker.derived.participation import Participation
from broker.ledger import Ledger
from broker.ports import Transaction
from broker.reception.remembering import Memory
from broker.reception.witness import Witnessed, witness
from broker.rows import AuditRow

__all__ = ["PeerWords"]

_LEFT_OUT = "Receipts came of which one had not its form: it was left out, and the others count. Tell the other node's operator."
_NONE_COUNTS = "Receipts came that cannot be read ({}): none of them counts. Tell the other node's operator."


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
    ) -> None:
        self._us = us
        self._catalogue = catalogue
        self._ledger = ledger
        self._participation = participation
        self._memory = memory

    def take_receipts(
        self,
        tx: Transaction,
        verified: VerifiedMessage,
        raw_sha256: Digest,
        witnessed: Witnessed | None,
        *,
        now: datetime,
    ) -> None:
        """Take receipts, and the head of their signer's audit trail.

        Raises:
            SenderError: none of them has its form, or the message has not.
        """
        self.take(tx, self._receipts(tx, verified, now), now=now)
        if witnessed is not None:
            witness(tx, self._ledger, verified.sender, witnessed, now=now)
        self._memory.remember(tx, verified, raw_sha256, AuditAction.RECEIPTS_TAKEN, now=now)

    def _receipts(self, tx: Transaction, verified: VerifiedMessage, now: datetime) -> tuple[Receipt, ...]:
        """Return what counts of an envelope: its signer sends no receipt anew for which nobody here asks."""
        try:
            self._catalogue.admit(verified)
            return from_body(verified.body, verified.sender)
        except SchemaInvalid:
            found = well_formed(verified.body, verified.sender)
            if not found:
                raise
            subject, code = verified.sender, AttentionCode.STRANGE_RECEIPT
            self._ledger.call(tx, code, subject, peer=verified.sender, now=now, detail=_LEFT_OUT)
            return found

    def call_unread(self, tx: Transaction, peer: CountryCode, error: SenderError, *, now: datetime) -> None:
        """Call a person where none of a peer's receipts counts: there they believe that they confirmed what is overdue here."""
        detail = _NONE_COUNTS.format(error.code)
        self._ledger.call(tx, AttentionCode.STRANGE_RECEIPT, peer, peer=peer, now=now, detail=detail)

    def take(self, tx: Transaction, receipts: Sequence[Receipt], *, now: datetime) -> None:
        """Take receipts; one for what was never sent so has no effect and calls a person."""
        briefs = tx.outbox_briefs({receipt.message for receipt in receipts})
        said: list[tuple[Receipt, ProcedureId | None]] = []
        for receipt in receipts:
            brief = briefs.get(receipt.message) if receipt.author == self._us else None
            if brief is None and _is_lost(tx, receipt):
                continue
            if brief is None or brief.digest != receipt.digest or brief.recipient != receipt.issuer:
                # One call per country for ids that it makes up: it could hide every other call behind thousands.
                subject = receipt.issuer if brief is None else message_subject(self._us, receipt.message)
                self._ledger.call(tx, AttentionCode.STRANGE_RECEIPT, subject, peer=receipt.issuer, now=now)
            else:
                said.append((receipt, brief.procedure))
        new = self._ledger.take_receipts(tx, said, now=now)
        moved = [receipt for receipt in new if receipt.code not in SEALED_ANEW_CODES]
        # A peer's clock that is ahead must not put off the calls for what is overdue; the receipt keeps its time.
        tx.settle_outbox(replace(receipt, at=now) if receipt.at > now else receipt for receipt in moved)
        for message in {receipt.message for receipt in moved if briefs[receipt.message].attended}:
            ended = AttentionCode.ended_by_receipt()
            tx.resolve_attentions(ended, message_subject(self._us, message), at=now, by="node")
        for refusal in (receipt for receipt in new if receipt.kind is ReceiptKind.REFUSED):
            with suppress(CaseKeyMissing, StoreCorrupt):  # of its message: what else came with it counts all the same
                if refusal.answers:
                    self._reseat(tx, briefs[refusal.message].procedure, now)
                else:
                    self._seal_anew(tx, refusal, now)

    def take_question(self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest, *, now: datetime) -> None:
        """Owe a peer the chunks that it lacks, of what was sent to it; asking often does not make them come often.

        Raises:
            SenderError: the question does not fit its schema.
        """
        self._catalogue.admit(verified)
        items = missing.from_body(verified.body)
        briefs = tx.outbox_briefs({item.message for item in items})
        for item in items:
            brief = briefs.get(item.message)
            row = tx.attachment(self._us, item.message, item.handle)
            if brief is None or row is None or (brief.digest, brief.recipient) != (item.digest, verified.sender):
                continue
            recent = row.asked is not None and is_recent(row.asked, now, CHUNKS_ASKED_SECONDS)
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
        self._memory.remember(tx, verified, raw_sha256, AuditAction.RECEIPTS_TAKEN, "missing", now=now)

    def _reseat(self, tx: Transaction, procedure: ProcedureId | None, now: datetime) -> None:
        """A change of participants that was refused has no effect on either side."""
        row = tx.lock_procedure(procedure) if procedure is not None else None
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


def _is_lost(tx: Transaction, receipt: Receipt) -> bool:
    """Whether it is about what was lost with the disk: it comes again with that, or that was named to a person.

    What the whole list of its issuer does not name is neither: it was decided there behind the list, and only this receipt
    tells of it.
    """
    if tx.healing.missed_one(receipt.issuer, receipt.digest) is not None:
        return True
    row = tx.healing.row(receipt.issuer)
    return tx.healing.waits(receipt.issuer) and (row is None or not row.listed)
