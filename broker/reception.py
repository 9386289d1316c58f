# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The transaction steps that decide about a believed message: record it, refuse it, or take its receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.catalogue import Catalogue
from broker.core import missing
from broker.core.arrangements import check_message
from broker.core.audit import AuditAction
from broker.core.capacity import has_room
from broker.core.content import decode_header
from broker.core.delivery import (
    CHUNK_QUIET_SECONDS,
    CHUNKS_ASKED_SECONDS,
    RESENDS_BY_ITSELF,
    STALE_LIST_HOURS,
    AttentionCode,
    message_subject,
)
from broker.core.errors import (
    BrokerError,
    ExerciseMismatch,
    HeaderInvalid,
    IdReused,
    NotArranged,
    NotForUs,
    NotParticipant,
    ProcedureMismatch,
    RecordFull,
    SenderError,
    TrustListStale,
    UnknownAuthority,
    UnknownSchemaVersion,
)
from broker.core.ids import AuthorityId, CountryCode, Digest, ProcedureId
from broker.core.messages import Header, InboxEntry, ProcedureRef, ValidMessage, VerifiedMessage
from broker.core.owed_chunks import OwedChunks
from broker.core.participants import may_send
from broker.core.procedures import NOT_OPENED, ProcedureTable
from broker.core.receipts import MAX_HEADS, RECEIPTS_TYPE, SEALED_ANEW_CODES, Receipt, ReceiptKind, from_body
from broker.core.record import Folded, Mark, RecordEntry
from broker.core.roles import AuditRole
from broker.ledger import Book, Ledger
from broker.participation import Participation
from broker.ports import Clock, Ids, Transaction, TrustSource
from broker.rows import AttachmentRow, AuditRow, OutboxBrief, ProcedureRow, SeenRaw
from broker.security.chunks import handle_of
from broker.security.sealing import Content, check_times
from broker.witness import Witnessed, witness

__all__ = ["MISSING_TYPE", "Reception"]

MISSING_TYPE = "node.missing"
_OWN_TYPES = frozenset({RECEIPTS_TYPE, MISSING_TYPE})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What is known about a casework message once its header is believed."""

    message: ValidMessage
    ref: ProcedureRef
    table: ProcedureTable
    row: ProcedureRow | None  # locked; None: this message opens it


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
        self._trust = trust
        self._ledger = ledger
        self._clock = clock
        self._participation = Participation(us=us, ledger=ledger)
        self._ids = ids

    def record(
        self,
        tx: Transaction,
        verified: VerifiedMessage,
        raw_sha256: Digest,
        *,
        arrived: datetime,
        witnessed: Witnessed | None = None,
    ) -> str:
        """Store a believed message and the facts of its receipt together.

        Args:
            tx: the transaction.
            verified: the message.
            raw_sha256: of its envelope.
            arrived: when it came first: it may have been parked since.
            witnessed: the head of its sender's audit trail that came with receipts.

        Returns:
            "recorded", "repeat", "receipts" or "missing".

        Raises:
            SenderError: it is to be refused.
            UntrustedError: it cannot be believed after all, or not yet.
        """
        if verified.header.get("type") == RECEIPTS_TYPE:
            # Expired or not: receipts are evidence about something past, and taking them twice changes nothing.
            self._take_receipts(tx, verified, raw_sha256, witnessed)
            return "receipts"
        if verified.header.get("type") == MISSING_TYPE:
            self._take_question(tx, verified, raw_sha256)
            return "missing"
        if self._known(tx, verified, raw_sha256):
            return "repeat"
        check_times(Content(header=verified.header, body=verified.body), verified.profile, now=self._clock.now())
        case = self._judge(tx, verified, arrived)
        book = self._book(tx, case)
        if book.holds(verified.sender, verified.profile.id):  # the procedure is locked now: another worker was first
            return "repeat"
        now, header = self._clock.now(), case.message.header
        if not has_room(book.table, book.entries, header.sender.country, header.type.act):
            raise RecordFull(where="/header/procedure")
        noted = _record_entry(header, verified.digest, code=None)
        book, folded = self._ledger.enter(tx, book, noted, now=now)
        forked = folded.marks.get(verified.digest) is Mark.FORKED
        entry = self._entry(case, verified, raw_sha256, mark="forked" if forked else "message")
        if header.attachments:
            tx.add_inbox(entry, next_at=None)
            self._await_attachments(tx, entry, now)
        else:
            served = self.served(header.recipient.authority)
            tx.add_inbox(entry, next_at=now if served else None, handed_over=None if served else now)
            self._answer(tx, entry, book, folded, noted, now)
        self._participation.keep(tx, book, folded, now=now)
        self._remember(tx, verified, raw_sha256, AuditAction.RECEIVED, header.type, header)
        return "recorded"

    def deliver(self, tx: Transaction, entry: InboxEntry) -> None:
        """Answer a message whose attachments are all here now, and let adapter or officers have it (PROTOCOL 9.3)."""
        row = tx.lock_procedure(entry.procedure)
        if row is None:
            return  # erased meanwhile
        book = self._ledger.read(tx, row)
        now, served = self._clock.now(), self.served(entry.header.recipient.authority)
        noted = next(known for known in book.entries if known.digest == entry.digest)
        tx.release_inbox(entry.sender, entry.id, next_at=now if served else None, handed_over=None if served else now)
        self._answer(tx, entry, book, book.fold(), noted, now)

    def _answer(
        self, tx: Transaction, entry: InboxEntry, book: Book, folded: Folded, noted: RecordEntry, now: datetime
    ) -> None:
        self._ledger.testify(tx, book, folded, noted, now=now)
        if not self.served(entry.header.recipient.authority):
            self._ledger.hand_over(tx, entry, now=now)

    def _await_attachments(self, tx: Transaction, entry: InboxEntry, now: datetime) -> None:
        """The message is in the record and can be read; it is answered when its attachments are complete."""
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
                    next_at=now + timedelta(seconds=CHUNK_QUIET_SECONDS),
                )
            )

    def refuse(self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest, error: SenderError) -> str:
        """Keep a stub of a believed message that is not taken, and sign why."""
        if verified.header.get("type") in _OWN_TYPES:
            # Receipts get no receipts: their sender answers again when our message comes again.
            self._remember(tx, verified, raw_sha256, AuditAction.REFUSED, error.code)
            return error.code
        if self._known(tx, verified, raw_sha256):
            return "repeat"  # another worker was first
        now = self._clock.now()
        # A message refused for its envelope is no part of the record yet: its sender seals the same message anew.
        header = None if error.code in SEALED_ANEW_CODES else _readable(verified)
        book = self._book_of_refused(tx, header) if header is not None else None
        if header is not None and book is not None and _fits(book, header):
            stub = _record_entry(header, verified.digest, code=error.code)
            book, folded = self._ledger.enter(tx, book, stub, now=now)
            self._ledger.testify(tx, book, folded, stub, now=now)
        else:
            self._refuse_alone(tx, verified, error, now)
        self._remember(tx, verified, raw_sha256, AuditAction.REFUSED, error.code)
        return error.code

    def _book_of_refused(self, tx: Transaction, header: Header) -> Book | None:
        """Return the locked procedure that keeps the stub of a refused message; None where it fits none.

        A refused opening makes the procedure too, if there is an office to own it: what its author sends next descends
        from the stub, and would wait for it here for ever.
        """
        row = tx.lock_procedure(header.procedure.id) if header.procedure else None
        if row is not None:
            return self._ledger.read(tx, row) if row.peer == header.sender.country else None
        try:
            self._check_addressed(header)
            ref, _ = self._governed(header)
        except BrokerError:
            return None
        return self._ledger.begin(self._opened_by(header, ref))

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

    def _known(self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest) -> bool:
        """Answer a message whose id we hold: same content gets the stored receipt, other content is an attack."""
        for receipt in tx.answers(self._us, verified.sender, verified.profile.id):
            if receipt.digest != verified.digest:
                raise IdReused
            if receipt.code in SEALED_ANEW_CODES:
                continue  # sealed anew by its sender: the same message may now be taken
            tx.queue_receipts(verified.sender, verified.profile.id, now=self._clock.now())
            self._remember(tx, verified, raw_sha256, AuditAction.REPEATED, "")
            return True
        if not tx.attachments_of(verified.sender, verified.profile.id):
            return False
        held = tx.inbox(verified.sender, verified.profile.id)  # recorded, and answered when its attachments are here
        if held is not None and held.entry.digest != verified.digest:
            raise IdReused
        self._remember(tx, verified, raw_sha256, AuditAction.REPEATED, "")
        return True

    def _judge(self, tx: Transaction, verified: VerifiedMessage, arrived: datetime) -> _Case:
        message = self._catalogue.admit(verified)
        header = message.header
        with self._by_a_fresh_list(arrived, ProcedureMismatch):
            self._check_addressed(header)
        self._check_sender(header)
        ref, table = self._governed(header)
        row = tx.lock_procedure(ref.id)
        known = row.opened if row is not None and row.ref == ref else arrived
        with self._by_a_fresh_list(arrived, NotArranged):
            check_message(self._trust.current().arrangements, table, header, arrived=arrived, known=known)
        return _Case(message=message, ref=ref, table=table, row=row)

    @contextmanager
    def _by_a_fresh_list(self, arrived: datetime, refusal: type[SenderError]) -> Iterator[None]:
        """Let that refusal pass only under a trust list that was asked for after the message came.

        The refusal is final, and our list may only be late: the author's was signed by the same federation. After a
        bounded time the author is answered by the list that is here: silence would tell him less.
        """
        try:
            yield
        except refusal:
            asked, waited = self._trust.looked(), self._clock.now() - arrived
            if asked < arrived and waited < timedelta(hours=STALE_LIST_HOURS):
                raise TrustListStale from None
            raise

    def _check_addressed(self, header: Header) -> None:
        us = self._trust.current().members.get(self._us)
        if header.recipient.country != self._us or us is None:
            raise NotForUs
        if us.authority(header.recipient.authority) is None:
            raise ProcedureMismatch("There is no such authority here.", where="/header/recipient/authority")

    def _check_sender(self, header: Header) -> None:
        """An office that is not listed may be new in a list that has not come yet: not believable, not wrong."""
        member = self._trust.current().members.get(header.sender.country)
        if member is None or member.authority(header.sender.authority) is None:
            raise UnknownAuthority

    def _governed(self, header: Header) -> tuple[ProcedureRef, ProcedureTable]:
        """Return the procedure that a message names and the table that governs it, once they fit each other."""
        if header.procedure is None or header.procedure.name != header.type.procedure:
            raise HeaderInvalid(where="/header/procedure")
        table = self._catalogue.table_by_digest(header.procedure.digest)
        if table is None:
            raise UnknownSchemaVersion("The procedure table is not in this node's catalogue.")
        if (table.procedure, table.version) != (header.procedure.name, header.procedure.version):
            raise ProcedureMismatch(where="/header/procedure")
        if table.has_subject != (header.case_ref is not None):
            raise ProcedureMismatch(where="/header/case_ref")
        if header.case_ref is not None and header.case_ref.exercise != header.exercise:
            raise ExerciseMismatch(where="/header/case_ref")
        return header.procedure, table

    def _book(self, tx: Transaction, case: _Case) -> Book:
        """Return the locked procedure that the message belongs to; the first message of a procedure makes it."""
        header, row = case.message.header, case.row
        if row is None:
            return self._ledger.begin(self._opened_by(header, case.ref))
        if row.peer != header.sender.country or row.ref != case.ref:
            raise ProcedureMismatch(where="/header/procedure")
        if row.exercise != header.exercise:
            raise ExerciseMismatch(where="/header/exercise")
        if row.case_ref != header.case_ref:
            raise ProcedureMismatch(where="/header/case_ref")
        book = self._ledger.read(tx, row)
        self._check_taking_part(tx, book, header)
        return book

    def _check_taking_part(self, tx: Transaction, book: Book, header: Header) -> None:
        """Refuse an office of either country that has no part in a child's procedure.

        What was under way when an office handed its role on is still that office's. An office that a message not yet
        here would bring in is believed: its own node, which holds that message, let it write.
        """
        found = self._participation.held(tx, book)
        act = book.table.acts.get(header.type.act)
        complete = {entry.digest for entry in book.entries}.issuperset(header.parents)
        if complete and not may_send(act, found, header.sender.country, header.sender.authority):
            raise NotParticipant(where="/header/sender/authority")
        if not found.took_part(self._us, header.recipient.authority):
            raise NotParticipant(where="/header/recipient/authority")

    def _opened_by(self, header: Header, ref: ProcedureRef) -> ProcedureRow:
        # A later message of the peer may overtake its opening one; one author wrote both, so the opener is known.
        return ProcedureRow(
            ref=ref,
            peer=header.sender.country,
            opener=header.sender.country,
            our_authority=header.recipient.authority,
            peer_authority=header.sender.authority,
            case_ref=header.case_ref,
            exercise=header.exercise,
            opened=self._clock.now(),
            state=NOT_OPENED,
        )

    def _entry(self, case: _Case, verified: VerifiedMessage, raw_sha256: Digest, *, mark: str) -> InboxEntry:
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
            mark=mark,
        )

    def _take_receipts(
        self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest, witnessed: Witnessed | None
    ) -> None:
        self._catalogue.admit(verified)
        now = self._clock.now()
        for receipt in from_body(verified.body, verified.sender):
            brief = tx.outbox_brief(receipt.message) if receipt.author == self._us else None
            if brief is None or brief.digest != receipt.digest or brief.recipient != receipt.issuer:
                # One call per country for ids that it makes up: it could hide every other call behind thousands.
                subject = verified.sender if brief is None else message_subject(self._us, receipt.message)
                self._ledger.call(tx, AttentionCode.STRANGE_RECEIPT, subject, peer=verified.sender, now=now)
                continue
            if self._apply(tx, brief, receipt, now):
                # A peer's clock that is ahead must not put off the calls for what is overdue; the receipt keeps its time.
                tx.settle_outbox(receipt.message, replace(receipt, at=min(receipt.at, now)))
                if brief.attended:
                    ended = (*AttentionCode.overdue(), AttentionCode.NOT_SENT)
                    tx.resolve_attentions(ended, message_subject(self._us, receipt.message), at=now, by="node")
        if witnessed is not None:
            witness(tx, self._ledger, verified.sender, witnessed, now=now)
        self._remember(tx, verified, raw_sha256, AuditAction.RECEIPTS_TAKEN, "")

    def _take_question(self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest) -> None:
        """Owe a peer the chunks that it lacks, of what was sent to it; asking often does not make them come often."""
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
        self._remember(tx, verified, raw_sha256, AuditAction.RECEIPTS_TAKEN, "missing")

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

    def _remember(
        self,
        tx: Transaction,
        verified: VerifiedMessage,
        raw_sha256: Digest,
        action: AuditAction,
        detail: str,
        header: Header | None = None,
    ) -> None:
        now = self._clock.now()
        tx.save_seen(SeenRaw(sha256=raw_sha256, sender=verified.sender, message=verified.profile.id, answered=now))
        tx.audit(
            AuditRow(
                at=now,
                actor=verified.sender,
                role=AuditRole.PEER,
                authority=header.recipient.authority if header else None,
                action=action,
                subject=verified.profile.id,
                detail=detail,
                procedure=header.procedure.id if header and header.procedure else None,
                peer=verified.sender,
                reason=header.legal_basis.code if header and header.legal_basis else "",
            )
        )


def _record_entry(header: Header, digest: Digest, *, code: str | None) -> RecordEntry:
    return RecordEntry(
        digest=digest,
        message=header.id,
        author=header.sender.country,
        act=header.type.act,
        parents=header.parents,
        code=code,
    )


def _fits(book: Book, header: Header) -> bool:
    """Whether the stub of a refused message fits; its author counts the same, so that an honest one never asks."""
    return has_room(book.table, book.entries, header.sender.country, header.type.act)


def _readable(verified: VerifiedMessage) -> Header | None:
    try:
        header = decode_header(verified.header)
    except HeaderInvalid:
        return None
    # Thousands of parents, which the header's schema refuses, would make every later fold of the record slow.
    return header if len(header.parents) <= MAX_HEADS else None
