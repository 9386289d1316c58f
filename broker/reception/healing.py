# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""This node was restored from a backup: take what another country says of the time since (PROTOCOL 17.4, 17.5).

- A message of ours counts only with our signatures; without them it is named to people and has no effect.
- Nothing that was erased comes back: its key is destroyed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from broker.catalogue import Catalogue
from broker.core import canonical
from broker.core.attention import AttentionCode
from broker.core.audit import AuditAction
from broker.core.capacity import has_room
from broker.core.content import entry_of
from broker.core.delivery import HEAL_ATTEMPTS, HEAL_MOST, HEAL_PATIENCE_HOURS, HEAL_PAUSE_SECONDS
from broker.core.errors import CaseErased, NotHealed, ProcedureMismatch, SchemaInvalid
from broker.core.healing import REFUSED, Answer, HeldItem, Missed, MissedState
from broker.core.ids import CountryCode, Digest
from broker.core.messages import Header, OutboxKind, RecordEntry, VerifiedMessage
from broker.core.persons import terms_of
from broker.core.procedures import NOT_OPENED
from broker.core.receipts import Receipt, ReceiptKind
from broker.core.roles import AuditRole
from broker.derived.participation import Participation
from broker.ledger import Ledger
from broker.ports import Transaction
from broker.reception.peer_words import PeerWords
from broker.reception.remembering import Memory
from broker.reception.returned import ReturnedMessage
from broker.rows import AuditRow, ProcedureRow
from broker.security.at_rest import scopes_of

__all__ = ["Healing"]

_PAUSE = timedelta(seconds=HEAL_PAUSE_SECONDS)
_PATIENCE = timedelta(hours=HEAL_PATIENCE_HOURS)


class Healing:
    """Takes answers; the asking is `flows/heal`'s."""

    def __init__(
        self,
        *,
        us: CountryCode,
        catalogue: Catalogue,
        ledger: Ledger,
        participation: Participation,
        memory: Memory,
        words: PeerWords,
    ) -> None:
        self._us = us
        self._catalogue = catalogue
        self._ledger = ledger
        self._participation = participation
        self._memory = memory
        self._words = words

    def check_order(
        self, tx: Transaction, peer: CountryCode, parents: object, *, arrived: datetime, now: datetime
    ) -> None:
        """Let what was under way when this node was lost wait for our own messages that are not back yet.

        Confirmed before them, it would seem to both sides that they were written afterwards and ignore it: they would be
        marked as forked, and have no effect for good. What opens a procedure has none of ours beside it.

        Raises:
            NotHealed: it is offered again.
        """
        if not parents or now - arrived >= _PATIENCE or not tx.healing.waits(peer):
            return
        row = tx.healing.row(peer)
        first = tx.healing.missed(peer, (MissedState.WANTED,), 1)
        if row is None or not row.listed or any(item.author == self._us for item in first):
            raise NotHealed

    def take(
        self,
        tx: Transaction,
        verified: VerifiedMessage,
        raw_sha256: Digest,
        returned: ReturnedMessage | None,
        *,
        now: datetime,
    ) -> None:
        """Take one answer; one that was not asked for, or no longer, has no effect.

        Raises:
            SenderError: it does not fit its schema.
        """
        self._catalogue.admit(verified)
        answer = Answer.of(verified.body, verified.sender)
        self._memory.remember(tx, verified, raw_sha256, AuditAction.RECEIPTS_TAKEN, "held", now=now)
        row = tx.healing.lock(verified.sender)
        if row is None or row.ended is not None:
            return
        if answer.returned is not None:
            if returned is not None:
                self._take_back(tx, verified.sender, returned, answer.returned.receipts, now)
            return
        if row.question != answer.question:
            return
        if row.listed:
            self._promised(tx, row.peer, answer)
            row = replace(row, next_at=now + _PAUSE)
        else:
            if not answer.goes_on(row.after):
                raise SchemaInvalid("The list is not in the order of its ids.", where="/body/items")
            for item in answer.items:
                self._compare(tx, row.peer, item, now)
            whole = answer.next is None or self._endless(tx, row.peer, now)
            row = replace(row, listed=whole, after=None if whole else answer.next, next_at=now + _PAUSE)
        tx.healing.save(replace(row, question=None, attempts=0))

    # --- the list ---------------------------------------------------------------------------------------------------

    def _endless(self, tx: Transaction, peer: CountryCode, now: datetime) -> bool:
        """Whether a country says that more is missing than can have passed; then a person hears where its list was left."""
        if tx.healing.count_missed(peer) < HEAL_MOST:
            return False
        detail = f"It lists more than {HEAL_MOST} messages; the rest was not taken: telephone it."
        self._ledger.call(tx, AttentionCode.HEALING_INCOMPLETE, peer, peer=peer, now=now, detail=detail)
        return True

    def _compare(self, tx: Transaction, peer: CountryCode, item: HeldItem, now: datetime) -> None:
        """Note what lacks here; take the receipts for what does not.

        A list may begin anew, where two workers were at it at once. But each message has one id and one digest, and ids only
        go up: a list that names others' messages, or one of ours under ever new ids, need never end.

        Raises:
            SchemaInvalid: it is none that the two exchanged, or another id has its digest.
        """
        if not {item.author, item.opener} <= {self._us, peer}:
            raise SchemaInvalid("The list names a message of another country.", where="/body/items")
        recorded = tx.healing.recorded(item.procedure, item.digest)
        if recorded is not None:
            if recorded != (item.author, item.message):
                raise _otherwise()
            self._words.take(tx, item.receipts, now=now)
            return
        missed = Missed(
            peer=peer, author=item.author, message=item.message, digest=item.digest, procedure=item.procedure,
            opener=item.opener, act=item.act,
        )  # fmt: skip
        procedure = tx.lock_procedure(item.procedure)
        if procedure is not None and self._erased(tx, procedure):
            missed = replace(missed, state=MissedState.LOST, code=CaseErased.code)
        elif item.code is not None:
            ours = procedure if procedure is not None and procedure.peer == peer else None
            kept = ours is not None and self._keep_stub(tx, ours, item, now)
            # A refused message has no effect on either side: its place in the record is all that is needed of it.
            whole = kept and item.author == peer
            state, code = (MissedState.FOUND, None) if whole else (MissedState.LOST, REFUSED)
            missed = replace(missed, state=state, code=code)
        if not tx.healing.note_missed(missed):
            known = tx.healing.missed_one(peer, item.digest)
            if known is None or (known.author, known.message) != (item.author, item.message):
                raise _otherwise()
            if known.code == REFUSED:  # its procedure was not back when a list named it first
                tx.healing.save_missed(replace(known, state=missed.state, code=missed.code))

    def _keep_stub(self, tx: Transaction, procedure: ProcedureRow, item: HeldItem, now: datetime) -> bool:
        """Put a refused message in its place, if the record has room: neither side ever kept a stub beyond it."""
        book = self._ledger.read(tx, procedure)
        if book.holds(item.author, item.message) or not has_room(book.table, book.entries, item.author, item.act):
            return False  # of the same id it holds another message
        stub = RecordEntry(
            digest=item.digest, message=item.message, author=item.author, act=item.act, parents=item.parents,
            code=item.code,
        )  # fmt: skip
        book, folded = self._ledger.enter(tx, book, stub, now=now)
        if item.author == self._us:
            for receipt in item.receipts:
                if receipt.kind is ReceiptKind.REFUSED and _is_about(receipt, item):
                    tx.add_receipt(receipt, issued=False)
        else:
            self._ledger.testify(tx, book, folded, stub, now=now)
        return True

    def _erased(self, tx: Transaction, procedure: ProcedureRow) -> bool:
        scopes = scopes_of(procedure.peer, procedure.case_ref, procedure.ref.id)
        return procedure.erased is not None or any(tx.healing.is_destroyed(scope) for scope in scopes)

    # --- what comes again -------------------------------------------------------------------------------------------

    def _promised(self, tx: Transaction, peer: CountryCode, answer: Answer) -> None:
        """Count what was promised; what the other country does not have, or promises and never sends, is lost."""
        for digest in answer.lacking:
            item = tx.healing.missed_one(peer, digest)
            if item is not None and item.state is MissedState.WANTED:
                tx.healing.save_missed(replace(item, state=MissedState.LOST, code="not-held"))
        for digest in answer.sent:
            item = tx.healing.missed_one(peer, digest)
            if item is None or item.state is not MissedState.WANTED:
                continue
            item = replace(item, attempts=item.attempts + 1)
            if item.attempts > HEAL_ATTEMPTS:
                item = replace(item, state=MissedState.LOST, code="never-came")
            tx.healing.save_missed(item)

    def _take_back(
        self,
        tx: Transaction,
        peer: CountryCode,
        returned: ReturnedMessage,
        receipts: tuple[Receipt, ...],
        now: datetime,
    ) -> None:
        """Put a message of ours back where it was, with the other country's receipts for it."""
        item = tx.healing.missed_one(peer, returned.digest)
        if item is None or item.state is not MissedState.WANTED or item.author != self._us:
            return
        header = returned.header
        if header is None or header.procedure is None or header.id != item.message:
            tx.healing.save_missed(replace(item, state=MissedState.LOST, code=returned.code or "header-mismatch"))
            return
        row = tx.lock_procedure(header.procedure.id)
        if row is not None and (row.peer, row.ref) != (peer, header.procedure):  # opened since by a third country
            tx.healing.save_missed(replace(item, state=MissedState.LOST, code=ProcedureMismatch.code))
            return
        body = canonical.parse(returned.content)["body"]
        entry = entry_of(header, body, OutboxKind.MESSAGE)
        try:
            terms = terms_of(self._catalogue.people(header, body))
            tx.healing.add_sent(entry, published=header.created, terms=terms)
            tx.keep_returned(header.nonce, entry.id, now)
        except CaseErased as error:
            tx.healing.save_missed(replace(item, state=MissedState.LOST, code=error.code))
            return
        book = self._ledger.begin(self._opened(header, item, now)) if row is None else self._ledger.read(tx, row)
        book, folded = self._ledger.enter(tx, book, RecordEntry.of(header, entry.digest), now=now)
        self._participation.keep(tx, book, folded, now=now)
        lost = "attachments" if header.attachments else None
        tx.healing.save_missed(replace(item, state=MissedState.FOUND, code=lost))
        tx.audit(
            AuditRow(
                at=now, actor=peer, role=AuditRole.PEER, action=AuditAction.RETURNED, subject=entry.id,
                authority=header.sender.authority, detail=header.type, procedure=header.procedure.id, peer=peer,
            )
        )  # fmt: skip
        self._words.take(tx, receipts, now=now)

    def _opened(self, header: Header, item: Missed, now: datetime) -> ProcedureRow:
        if header.procedure is None:
            raise RuntimeError("checked before")
        return ProcedureRow(
            ref=header.procedure,
            peer=header.recipient.country,
            opener=item.opener,
            our_authority=header.sender.authority,
            peer_authority=header.recipient.authority,
            case_ref=header.case_ref,
            exercise=header.exercise,
            opened=now,
            state=NOT_OPENED,
        )


def _otherwise() -> SchemaInvalid:
    return SchemaInvalid("The list names one digest under two ids.", where="/body/items")


def _is_about(receipt: Receipt, item: HeldItem) -> bool:
    """Whether it is evidence of that message: about another one it would go past the rule that the first answer stands."""
    return (receipt.author, receipt.message, receipt.digest) == (item.author, item.message, item.digest)
