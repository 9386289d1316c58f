# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The transaction steps that decide about a believed message: record it, refuse it, or take its receipts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from broker.catalogue import Catalogue
from broker.core.attention import AttentionCode
from broker.core.audit import AuditAction
from broker.core.capacity import has_room
from broker.core.content import decode_header
from broker.core.delivery import CHUNK_QUIET_SECONDS
from broker.core.errors import HeaderInvalid, IdReused, RecordFull, SenderError, UnknownType
from broker.core.healing import HELD_TYPE, RESTORED_TYPE, Passed
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageType
from broker.core.messages import Header, InboxEntry, RecordEntry, VerifiedMessage
from broker.core.owed_chunks import OwedChunks
from broker.core.persons import terms_of
from broker.core.receipts import MAX_HEADS, RECEIPTS_TYPE, SEALED_ANEW_CODES, Receipt, ReceiptKind
from broker.core.record import Folded, Mark
from broker.derived.participation import Participation
from broker.ledger import Book, Ledger
from broker.ports import Clock, Ids, Reader, Transaction, TrustSource
from broker.reception.admission import Admission, Case
from broker.reception.answering import Answering
from broker.reception.calling import Calling
from broker.reception.healing import Healing
from broker.reception.peer_words import PeerWords
from broker.reception.remembering import Memory
from broker.reception.returned import ReturnedMessage
from broker.reception.witness import Witnessed
from broker.rows import AttachmentRow
from broker.security.chunks import handle_of
from broker.security.sealing import Content, check_times

__all__ = ["MISSING_TYPE", "Reception"]

MISSING_TYPE = "node.missing"
_LONGEST_TYPE = 100  # characters, as the header's schema has it


class Reception:
    """Decides inside one transaction; the receive flow calls it after belief, parked messages come the same way."""

    def __init__(
        self,
        *,
        us: CountryCode,
        catalogue: Catalogue,
        trust: TrustSource,
        ledger: Ledger,
        clock: Clock,
        ids: Ids,
        served: Callable[[AuthorityId], bool],
    ) -> None:
        """Args:
        served: whether an adapter takes that office's messages; else the officers' inbox has them at once.
        """
        self.served = served
        self._us = us
        self._catalogue = catalogue
        self._ledger = ledger
        self._clock = clock
        self._ids = ids
        self._participation = Participation(us=us, ledger=ledger)
        self._memory = Memory(us=us)
        self._admission = Admission(
            us=us, catalogue=catalogue, trust=trust, ledger=ledger, participation=self._participation
        )
        self._calling = Calling(us=us, trust=trust, ledger=ledger)
        self._words = PeerWords(
            us=us,
            catalogue=catalogue,
            ledger=ledger,
            participation=self._participation,
            memory=self._memory,
        )
        self._answering = Answering(
            us=us, catalogue=catalogue, ledger=ledger, memory=self._memory, clock=clock, ids=ids
        )
        self._healing = Healing(
            us=us,
            catalogue=catalogue,
            ledger=ledger,
            participation=self._participation,
            memory=self._memory,
            words=self._words,
        )

    @staticmethod
    def asks(verified: VerifiedMessage) -> bool:
        """Return whether it is a restored country's question, which `record` answers by what `look` has read."""
        return bool(verified.header.get("type") == RESTORED_TYPE)

    def grants(self, tx: Transaction, verified: VerifiedMessage) -> bool:
        """Return whether a question is answered now.

        Raises:
            SenderError: it does not fit its schema.
        """
        return self._answering.grants(tx, verified, now=self._clock.now())

    def look(self, reader: Reader, verified: VerifiedMessage) -> tuple[Passed, ...]:
        """Return what passed, as far as a question asks for it."""
        return self._answering.look(reader, verified)

    def record(
        self,
        tx: Transaction,
        verified: VerifiedMessage,
        raw_sha256: Digest,
        *,
        arrived: datetime,
        witnessed: Witnessed | None = None,
        returned: ReturnedMessage | None = None,
        passed: tuple[Passed, ...] | None = None,
    ) -> str:
        """Store a believed message and the facts of its receipt together, or take what the other node says with it.

        Args:
            tx: the transaction.
            verified: the message.
            raw_sha256: of its envelope.
            arrived: when it came first: it may have been parked since.
            witnessed: the head of its sender's audit trail that came with receipts.
            returned: the message of ours that came back with it.
            passed: what `look` has read; None: nothing is asked, or not answered now.

        Returns:
            "recorded", "repeat", "receipts", "missing", "restored" or "held".

        Raises:
            SenderError: it is to be refused.
            UntrustedError: it cannot be believed after all, or not yet.
        """
        kind, now = verified.header.get("type"), self._clock.now()
        if not MessageType.is_of_nodes(kind):
            return self._record(tx, verified, raw_sha256, arrived, now)
        if kind == RECEIPTS_TYPE:
            # Expired or not: receipts are evidence about something past, and taking them twice changes nothing.
            self._words.take_receipts(tx, verified, raw_sha256, witnessed, now=now)
            return "receipts"
        if kind == MISSING_TYPE:
            self._words.take_question(tx, verified, raw_sha256, now=now)
            return "missing"
        if kind == RESTORED_TYPE:
            self._answering.take(tx, verified, raw_sha256, passed, now=now)
            return "restored"
        if kind == HELD_TYPE:
            self._healing.take(tx, verified, raw_sha256, returned, now=now)
            return "held"
        raise UnknownType(where="/header/type")  # of a newer program: no casework, so not answered either

    def _record(
        self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest, arrived: datetime, now: datetime
    ) -> str:
        """Record casework, once: another worker may have been first, before this one looked or after."""
        if self._memory.known(tx, verified, raw_sha256, now):
            return "repeat"
        check_times(Content(header=verified.header, body=verified.body), verified.profile, now=now)
        parents = verified.header.get("parents")
        self._healing.check_order(tx, verified.sender, parents, arrived=arrived, now=now)
        case = self._admission.judge(tx, verified, arrived, now=now)
        book = self._admission.book(tx, case, now=now)
        if book.holds(verified.sender, verified.profile.id):  # the procedure is locked now: another worker was first
            self._memory.known(tx, verified, raw_sha256, now)
            return "repeat"
        header = case.message.header
        if not has_room(book.table, book.entries, header.sender.country, header.type.act):
            raise RecordFull(where="/header/procedure")
        noted = RecordEntry.of(header, verified.digest)
        book, folded = self._ledger.enter(tx, book, noted, now=now)
        forked = folded.marks.get(verified.digest) is Mark.FORKED
        entry = self._entry(case, verified, raw_sha256, mark="forked" if forked else "message")
        terms = terms_of(self._catalogue.people(header, case.message.body))
        if header.attachments:
            new = tx.add_inbox(entry, next_at=None, terms=terms)
            self._await_attachments(tx, entry, now)
        else:
            served = self.served(header.recipient.authority)
            new = tx.add_inbox(entry, next_at=now if served else None, handed_over=None if served else now, terms=terms)
            self._answer(tx, entry, book, folded, noted, now)
        if not new:
            raise IdReused  # meanwhile another worker recorded it, in another procedure
        self._calling.look(tx, book, entry, case.message.body, now=now)
        self._participation.keep(tx, book, folded, now=now)
        self._memory.remember(tx, verified, raw_sha256, AuditAction.RECEIVED, header.type, header, now=now)
        return "recorded"

    def complete(self, tx: Transaction, entry: InboxEntry) -> None:
        """Answer a message whose attachments are all here now, and let adapter or officers have it (PROTOCOL 9.3)."""
        row = tx.lock_procedure(entry.procedure)
        if row is None:
            return  # erased meanwhile
        book = self._ledger.read(tx, row)
        now, served = self._clock.now(), self.served(entry.header.recipient.authority)
        noted = next(known for known in book.entries if known.digest == entry.digest)
        tx.complete_inbox(entry.sender, entry.id, next_at=now if served else None, handed_over=None if served else now)
        self._answer(tx, entry, book, book.fold(), noted, now)

    def _answer(
        self, tx: Transaction, entry: InboxEntry, book: Book, folded: Folded, noted: RecordEntry, now: datetime
    ) -> None:
        self._ledger.testify(tx, book, folded, noted, now=now)
        if not self.served(entry.header.recipient.authority):
            self._ledger.hand_over(tx, entry, now=now)

    def _await_attachments(self, tx: Transaction, entry: InboxEntry, now: datetime) -> None:
        """The message is in the record and can be read; it is answered when its attachments are complete.

        Chunks follow their message by themselves, but not one that comes again after a restore: they are asked for at once.
        """
        again = tx.healing.missed_one(entry.sender, entry.digest) is not None
        quiet = timedelta(0) if again else timedelta(seconds=CHUNK_QUIET_SECONDS)
        for place, attachment in enumerate(entry.header.attachments):
            tx.add_attachment(
                AttachmentRow(
                    author=entry.sender,
                    message=entry.id,
                    handle=handle_of(attachment),
                    peer=entry.sender,
                    place=place,
                    blob=self._ids.token(),
                    size=attachment.size,
                    chunks=attachment.chunks,
                    owed=OwedChunks.all_of(attachment.chunks),
                    at=now,
                    moved=now,
                    next_at=now + quiet,
                )
            )

    def refuse(self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest, error: SenderError) -> str:
        """Keep a stub of a believed message that is not taken, and sign why."""
        now = self._clock.now()
        if MessageType.is_of_nodes(verified.header.get("type")):
            # Receipts get no receipts: their sender answers again when our message comes again.
            if verified.header["type"] == RECEIPTS_TYPE:
                self._words.call_unread(tx, verified.sender, error, now=now)
            self._memory.remember(tx, verified, raw_sha256, AuditAction.REFUSED, error.code, now=now)
            return error.code
        if self._memory.known(tx, verified, raw_sha256, now):
            return "repeat"  # another worker was first
        # A message refused for its envelope is no part of the record yet: its sender seals the same message anew.
        header = None if error.code in SEALED_ANEW_CODES else _readable(verified)
        book = self._admission.book_of_refused(tx, header, now=now) if header is not None else None
        if header is not None and book is not None and _fits(book, header):
            stub = RecordEntry.of(header, verified.digest, code=error.code)
            book, folded = self._ledger.enter(tx, book, stub, now=now)
            self._ledger.testify(tx, book, folded, stub, now=now)
        else:
            self._refuse_alone(tx, verified, error, now)
        self._memory.remember(tx, verified, raw_sha256, AuditAction.REFUSED, error.code, now=now)
        return error.code

    def _refuse_alone(self, tx: Transaction, verified: VerifiedMessage, error: SenderError, now: datetime) -> None:
        """Sign a refusal of something that no record here can hold; it states no heads."""
        receipt = Receipt(
            issuer=self._us,
            author=verified.sender,
            message=verified.profile.id,
            digest=verified.digest,
            kind=ReceiptKind.REFUSED,
            at=now,
            code=error.code,
        )
        if not tx.add_receipt(receipt, issued=True):
            tx.queue_receipts(verified.sender, verified.profile.id, now=now)

    def call(self, tx: Transaction, code: AttentionCode, subject: str, *, detail: str = "") -> None:
        """Open an attention entry at the current time."""
        self._ledger.call(tx, code, subject, now=self._clock.now(), detail=detail)

    def _entry(self, case: Case, verified: VerifiedMessage, raw_sha256: Digest, *, mark: str) -> InboxEntry:
        return InboxEntry(
            id=case.message.header.id,
            sender=verified.sender,
            digest=verified.digest,
            content=verified.content,
            header=case.message.header,
            procedure=case.ref.id,
            raw_sha256=raw_sha256,
            received=verified.received,
            signer_kids=verified.signer_kids,
            trust_version=verified.trust_version,
            signatures=verified.signatures,
            mark=mark,
        )


def _fits(book: Book, header: Header) -> bool:
    """Whether the stub of a refused message fits; its author counts the same, so that an honest one never asks."""
    return has_room(book.table, book.entries, header.sender.country, header.type.act)


def _readable(verified: VerifiedMessage) -> Header | None:
    try:
        header = decode_header(verified.header)
    except HeaderInvalid:
        return None
    # What the header's schema refuses: thousands of parents, or an act of a megabyte, would make every later fold slow.
    return header if len(header.parents) <= MAX_HEADS and len(header.type) <= _LONGEST_TYPE else None
