# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Steps inside a transaction that several flows share: fold a record, keep what it adds up to, testify to it.

- A `Book` is one procedure's record as the transaction holds it: read once, changed in memory and store together.
- Every method takes the Transaction of the flow that calls it and does nothing else to the world.
- The record is the truth; state, alarm and gap in the procedure's row are copies for lists.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.catalogue import Catalogue
from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction
from broker.core.errors import CatalogueInvalid
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId, MessageType, ProcedureId, SchemaVersion
from broker.core.messages import NODE, Header, InboxEntry, Party, RecordEntry
from broker.core.procedures import ProcedureTable
from broker.core.receipts import Receipt, ReceiptKind, contradicts
from broker.core.record import Folded, Mark, agrees, fold, statement
from broker.ports import Ids, Reader, Transaction
from broker.rows import Attention, AuditRow, ProcedureRow, about_received

__all__ = ["Book", "Ledger", "node_header"]

_FIRST_VERSION = SchemaVersion("1.0")

_COMPARED = 4  # at least so many of the peer's newest statements are held against our record at each change


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One procedure's record inside a transaction."""

    row: ProcedureRow
    table: ProcedureTable
    entries: tuple[RecordEntry, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    stored: bool = True  # False: this transaction opens the procedure

    def holds(self, author: CountryCode, message: MessageId) -> bool:
        """Whether that author's message of that id is in the record; another's may have the same id."""
        return any(entry.message == message and entry.author == author for entry in self.entries)

    def fold(self) -> Folded:
        """Return what the record adds up to."""
        return fold(self.table, self.row.opener, self.entries, self.receipts)


def node_header(
    ids: Ids,
    kind: str,
    *,
    us: CountryCode,
    peer: CountryCode,
    created: datetime,
    version: SchemaVersion = _FIRST_VERSION,
) -> Header:
    """Return the header of a message between two nodes."""
    return Header(
        id=ids.message_id(),
        type=MessageType(kind),
        version=version,
        sender=Party(country=us, authority=NODE),
        recipient=Party(country=peer, authority=NODE),
        created=created,
        exercise=False,
        nonce=ids.nonce(),
    )


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

    def over(self) -> frozenset[str]:
        """Return the states in which a procedure is over, by each table that has them."""
        tables = self._catalogue.every_table()
        ends = {state for table in tables for state in table.final}
        return frozenset(ends.difference(*(table.states.keys() - table.final for table in tables)))

    def begin(self, row: ProcedureRow) -> Book:
        """Return the empty book of a procedure that is opened now."""
        return Book(row=row, table=self.table(row), stored=False)

    def read(self, tx: Transaction | Reader, row: ProcedureRow) -> Book:
        """Return the book of a stored procedure."""
        procedure = row.ref.id
        return Book(
            row=row,
            table=self.table(row),
            entries=tx.record(procedure),
            receipts=tx.procedure_receipts(procedure),
        )

    def enter(self, tx: Transaction, book: Book, entry: RecordEntry, *, now: datetime) -> tuple[Book, Folded]:
        """Add a message or stub to the record and keep what it adds up to now."""
        book, folded = self._keep(tx, book, (*book.entries, entry), book.receipts, now)
        tx.add_record_entry(book.row.ref.id, entry)
        return book, folded

    def testify(self, tx: Transaction, book: Book, folded: Folded, entry: RecordEntry, *, now: datetime) -> None:
        """Store our answer to a message of the peer, stating our record as it stands; it waits for an envelope."""
        row = book.row
        receipt = Receipt(
            issuer=self._us,
            author=row.peer,
            message=entry.message,
            digest=entry.digest,
            kind=ReceiptKind.DELIVERED if entry.code is None else ReceiptKind.REFUSED,
            at=now,
            code=entry.code,
            heads=folded.heads,
            record_digest=statement(
                book.table, row.opener, self._us, book.entries, book.receipts, folded.heads, whole=folded
            ),
        )
        tx.issue_receipt(receipt)
        self._compare(tx, replace(book, receipts=(*book.receipts, receipt)), now, whole=None)

    def take_receipts(
        self, tx: Transaction, said: Sequence[tuple[Receipt, ProcedureId | None]], *, now: datetime
    ) -> tuple[Receipt, ...]:
        """Store what the peer says of our messages and return what was new; a refusal makes its message a stub.

        Each record is read, folded and compared once, with all that is new about it.

        Args:
            tx: the transaction.
            said: each receipt with the procedure of the message that it is about.
            now: the current time.
        """
        answered = {procedure for receipt, procedure in said if receipt.answers and procedure is not None}
        books = {book.row.ref.id: book for book in self._lock(tx, answered)}
        sound: list[Receipt] = []
        for receipt, procedure in said:
            book = books.get(procedure) if procedure is not None else None
            if book is not None and contradicts((*book.receipts, *sound), receipt):
                subject = message_subject(receipt.author, receipt.message)
                self.call(tx, AttentionCode.CONTRADICTION, subject, peer=receipt.issuer, row=book.row, now=now)
            else:
                sound.append(receipt)
        new = tx.add_receipts(sound)
        about = {receipt.message: procedure for receipt, procedure in said}
        for procedure, book in books.items():
            answers = tuple(one for one in new if one.answers and about[one.message] == procedure)
            if answers:
                self._take_answers(tx, book, answers, now)
        return new

    def _lock(self, tx: Transaction, procedures: Collection[ProcedureId]) -> list[Book]:
        return [
            Book(row=kept.row, table=self.table(kept.row), entries=kept.entries, receipts=kept.receipts)
            for kept in tx.lock_records(procedures)
        ]

    def _take_answers(self, tx: Transaction, book: Book, answers: tuple[Receipt, ...], now: datetime) -> None:
        entries, peer = book.entries, book.row.peer
        for refusal in (answer for answer in answers if answer.kind is ReceiptKind.REFUSED):
            code = refusal.code or "refused"
            tx.make_stub(book.row.ref.id, refusal.digest, code)
            entries = tuple(_stub(entry, refusal.digest, code) for entry in entries)
            subject = message_subject(refusal.author, refusal.message)
            self.call(tx, AttentionCode.REFUSED, subject, peer=peer, row=book.row, now=now)
        book, folded = self._keep(tx, book, entries, (*book.receipts, *answers), now)
        self._compare(tx, book, now, whole=folded, told=answers)

    def hand_over(self, tx: Transaction, entry: InboxEntry, *, now: datetime) -> None:
        """Store our receipt that the adapter or the officers' inbox has a message, and note it in the audit trail."""
        receipt = Receipt(
            issuer=self._us,
            author=entry.sender,
            message=entry.id,
            digest=entry.digest,
            kind=ReceiptKind.HANDED_OVER,
            at=now,
        )
        tx.issue_receipt(receipt)
        tx.audit(about_received(entry, at=now, action=AuditAction.HANDED_OVER))

    @staticmethod
    def call(
        tx: Transaction,
        code: AttentionCode,
        subject: str,
        *,
        now: datetime,
        peer: CountryCode | None = None,
        row: ProcedureRow | None = None,
        authority: AuthorityId | None = None,
        detail: str = "",
    ) -> None:
        """Open an attention entry, once per code and subject, and note it in the audit trail.

        It is shown to the procedure's office or the one named, or to nobody but those who speak for the whole node.
        """
        attention = Attention(
            code=code,
            subject=subject,
            who=code.who,
            at=now,
            peer=peer,
            authority=row.our_authority if row else authority,
            detail=detail or code.meaning,
        )
        if tx.raise_attention(attention):
            tx.audit(
                AuditRow(
                    at=now,
                    actor="node",
                    action=AuditAction.ATTENTION_RAISED,
                    subject=subject,
                    detail=code,
                    authority=attention.authority,
                    procedure=row.ref.id if row else None,
                    peer=peer,
                )
            )

    def _keep(
        self,
        tx: Transaction,
        book: Book,
        entries: tuple[RecordEntry, ...],
        receipts: tuple[Receipt, ...],
        now: datetime,
    ) -> tuple[Book, Folded]:
        """Fold what the book holds now, store the copies, and call people where the record says that they are needed."""
        old = row = book.row
        folded = fold(book.table, old.opener, entries, receipts)
        state, alarm, gap = folded.state.name, folded.state.alarmed, bool(folded.missing)
        if (state, alarm, gap) != (old.state, old.alarm, old.gap):
            row = replace(old, state=state, alarm=alarm, gap=gap)
        if not book.stored:
            tx.add_procedure(row)
        elif row is not old:
            tx.save_procedure(row)
        self._call_people(tx, row, folded, now)
        if old.gap and not row.gap:
            tx.resolve_attention(AttentionCode.GAP, row.ref.id, at=now, by="node")
        if old.alarm and not row.alarm:  # both sides have closed it
            tx.resolve_attention(AttentionCode.ALARM, row.ref.id, at=now, by="node")
        return Book(row=row, table=book.table, entries=entries, receipts=receipts), folded

    def _compare(
        self, tx: Transaction, book: Book, now: datetime, *, whole: Folded | None, told: Sequence[Receipt] = ()
    ) -> None:
        """Hold what the peer told now, and its newest stated record digests, against our record; a difference is an alert.

        What cannot be compared yet, because something is on its way, is compared at the next change.
        """
        row = book.row
        theirs = [receipt for receipt in book.receipts if receipt.issuer == row.peer and receipt.record_digest]
        new = {receipt.message for receipt in told}  # comes last, also where the peer's clock was set back
        theirs.sort(key=lambda receipt: (receipt.message in new, receipt.at))
        for receipt in theirs[-max(_COMPARED, len(told)) :]:
            if agrees(book.table, row.opener, book.entries, book.receipts, receipt, whole=whole) is False:
                self.call(tx, AttentionCode.DIVERGENCE, row.ref.id, peer=row.peer, row=row, now=now)

    def _call_people(self, tx: Transaction, row: ProcedureRow, folded: Folded, now: datetime) -> None:
        if row.alarm:
            self.call(tx, AttentionCode.ALARM, row.ref.id, peer=row.peer, row=row, now=now)
        for digest, mark in folded.marks.items():
            if mark is Mark.FORKED:
                self.call(tx, AttentionCode.FORKED, digest, peer=row.peer, row=row, now=now)
            elif mark is Mark.WAITING:
                # A head that a receipt names and we lack is usually on its way; a missing parent has been overtaken.
                self.call(tx, AttentionCode.GAP, row.ref.id, peer=row.peer, row=row, now=now)


def _stub(entry: RecordEntry, digest: Digest, code: str) -> RecordEntry:
    return replace(entry, code=code) if entry.digest == digest and entry.code is None else entry
