# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Steps inside a transaction that several flows share: fold a record, keep what it adds up to, testify to it.

- Every function takes the Transaction of the flow that calls it and does nothing else to the world.
- The record is the truth; state, alarm and gap in the procedure's row are copies for lists.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from broker.catalogue import Catalogue
from broker.core.delivery import AttentionCode, AuditAction
from broker.core.errors import CatalogueInvalid
from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.procedures import ProcedureTable
from broker.core.receipts import Receipt, ReceiptKind
from broker.core.record import Folded, Mark, agrees, fold, statement
from broker.ports import Attention, AuditRow, ProcedureRow, Transaction

__all__ = ["Ledger"]

_COMPARED = 4  # newest statements of the peer that are held against our record at each change


class Ledger:
    """Keeps the procedures' rows true to their records."""

    def __init__(self, *, us: CountryCode, catalogue: Catalogue) -> None:
        self._us = us
        self._catalogue = catalogue

    def table(self, row: ProcedureRow) -> ProcedureTable:
        """Return the table that governs the procedure for its whole life.

        Raises:
            CatalogueInvalid: this node's catalogue no longer holds it.
        """
        table = self._catalogue.table_by_digest(row.ref.digest)
        if table is None:
            raise CatalogueInvalid("The procedure table of an open procedure is missing.", where=row.ref.name)
        return table

    def fold(self, tx: Transaction, row: ProcedureRow) -> Folded:
        """Return what the record adds up to now."""
        return fold(self.table(row), row.opener, tx.record(row.ref.id), tx.procedure_receipts(row.ref.id))

    def refold(self, tx: Transaction, row: ProcedureRow, *, now: datetime) -> Folded:
        """Fold again after a change, store the copies, and call people where the record says that they are needed."""
        folded = self.fold(tx, row)
        fresh = replace(row, state=folded.state.name, alarm=folded.state.alarmed, gap=bool(folded.missing))
        if fresh != row:
            tx.save_procedure(fresh)
        self._call_people(tx, fresh, folded, now)
        if row.gap and not fresh.gap:
            tx.resolve_attention(AttentionCode.GAP, row.ref.id, at=now, by="node")
        return folded

    def testify(
        self,
        tx: Transaction,
        row: ProcedureRow,
        folded: Folded,
        *,
        message: MessageId,
        digest: Digest,
        now: datetime,
        code: str | None = None,
    ) -> Receipt:
        """Return our delivered or refused receipt for a message of the peer, stating our record as it stands."""
        entries, receipts = tx.record(row.ref.id), tx.procedure_receipts(row.ref.id)
        stated = statement(self.table(row), row.opener, self._us, entries, receipts, folded.heads)
        return Receipt(
            issuer=self._us,
            author=row.peer,
            message=message,
            digest=digest,
            kind=ReceiptKind.DELIVERED if code is None else ReceiptKind.REFUSED,
            at=now,
            code=code,
            heads=folded.heads,
            record_digest=stated,
        )

    def compare(self, tx: Transaction, row: ProcedureRow, *, now: datetime) -> None:
        """Hold the peer's newest stated record digests against our record; a difference is an alert.

        What cannot be compared yet, because something is on its way, is compared at the next change.
        """
        table, entries, evidence = self.table(row), tx.record(row.ref.id), tx.procedure_receipts(row.ref.id)
        theirs = sorted(
            (receipt for receipt in evidence if receipt.issuer == row.peer and receipt.record_digest is not None),
            key=lambda receipt: receipt.at,
        )
        if any(agrees(table, row.opener, entries, evidence, receipt) is False for receipt in theirs[-_COMPARED:]):
            self.call(tx, AttentionCode.DIVERGENCE, row.ref.id, peer=row.peer, row=row, now=now)

    def call(
        self,
        tx: Transaction,
        code: AttentionCode,
        subject: str,
        *,
        now: datetime,
        peer: CountryCode | None = None,
        row: ProcedureRow | None = None,
        detail: str = "",
    ) -> None:
        """Open an attention entry, once per code and subject, and note it in the audit trail."""
        attention = Attention(
            code=code,
            subject=subject,
            who=code.who,
            at=now,
            peer=peer,
            authority=row.our_authority if row else None,
            detail=detail or code.meaning,
        )
        if tx.raise_attention(attention):
            tx.audit(AuditRow(at=now, actor="node", action=AuditAction.ATTENTION_RAISED, subject=subject, detail=code))

    def _call_people(self, tx: Transaction, row: ProcedureRow, folded: Folded, now: datetime) -> None:
        if row.alarm:
            self.call(tx, AttentionCode.ALARM, row.ref.id, peer=row.peer, row=row, now=now)
        if any(mark is Mark.WAITING for mark in folded.marks.values()):
            # A head that a receipt names and we lack is usually on its way; a missing parent has been overtaken.
            self.call(tx, AttentionCode.GAP, row.ref.id, peer=row.peer, row=row, now=now)
        for digest, mark in folded.marks.items():
            if mark is Mark.FORKED:
                self.call(tx, AttentionCode.FORKED, digest, peer=row.peer, row=row, now=now)
