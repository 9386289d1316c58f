# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A cleared message goes into the outbox: with its record, its answer and its audit row, or not at all (promise P1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from broker.catalogue import Catalogue
from broker.core import canonical
from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction
from broker.core.capacity import has_room
from broker.core.clearance import clearance_hindrances
from broker.core.content import compose
from broker.core.errors import Healing, NotAllowed, NotParticipant, RecordFull, TooLargeToSend, UnknownRecipient
from broker.core.ids import CountryCode, Digest
from broker.core.messages import ClearedMessage, OutboxEntry, RecordEntry, Submission, ValidMessage
from broker.core.participants import may_send, named_offices
from broker.core.persons import terms_of
from broker.core.procedures import allowed
from broker.core.record import Folded, hindrances, is_unheld
from broker.core.safeguards import Held
from broker.derived.participation import Participation
from broker.derived.timetable import Timetable
from broker.ledger import Book, Ledger
from broker.ports import Clock, Transaction, TrustSource
from broker.rows import Accepted, AuditRow, Idempotent, ProcedureRow, Release
from broker.security.envelope import MAX_CONTENT
from broker.submission.attaching import attach
from broker.submission.holding import Holding
from broker.submission.repeating import accepted, earlier, kept

__all__ = ["Recording"]

_LACKS = {  # what an irreversible act lacks → in words
    "own-message-not-final": "The other side has not confirmed every message of this side yet.",
    "gap": "An earlier message is missing here.",
    "alarm": "An alarm is open, which each side closes (alarm-closed).",
    "confirmation-missing": "The other side has confirmed nothing of this record yet.",
    "confirmation-too-old": "Its newest confirmation is more than two hours from now: any message that it receives brings another.",
    "clearance-missing": "It has agreed to nothing yet.",
    "clearance-for-another-plan": "It agreed to another message than the newest one: ask it to agree anew.",
    "clearance-expired": "The last day of what it agreed to has passed.",
}


class Recording:
    """Judges once more under the procedure's lock, and writes."""

    def __init__(
        self,
        *,
        us: CountryCode,
        trust: TrustSource,
        catalogue: Catalogue,
        ledger: Ledger,
        holding: Holding,
        timetable: Timetable,
        clock: Clock,
    ) -> None:
        self._us = us
        self._trust = trust
        self._catalogue = catalogue
        self._ledger = ledger
        self._participation = Participation(us=us, ledger=ledger)
        self._holding = holding
        self._timetable = timetable
        self._clock = clock

    def record(
        self,
        tx: Transaction,
        *,
        asked: Idempotent,
        row: ProcedureRow,
        cleared: ClearedMessage,
        known: frozenset[Digest],
        asking: Submission,
        release: Release | None,
        owed: str = "",
    ) -> Accepted | None:
        """Write entry, record, idempotency answer and audit row together, with the procedure's row locked.

        Whether the key has its answer already is only told by writing it: a refusal before that says nothing of it.

        Args:
            tx: the transaction.
            asked: the caller's key and what it stands for.
            row: the procedure, which this may open.
            cleared: the message.
            known: the record that the safeguards knew.
            asking: what the caller asked for.
            release: who let a held message leave.
            owed: what a person is called for because surge mode let it wait (R-39).

        Returns:
            None where the record is another one than the safeguards knew; nothing was written.
        """
        if tx.healing.waits(row.peer):
            before = earlier(tx, asked) if release is None else None
            if before is not None:
                return before
            raise Healing  # what it would be the answer to may be missing here
        opening = asking.procedure is None  # under an id made a moment ago
        held = None if opening else tx.lock_procedure(row.ref.id)
        book = self._ledger.begin(row) if held is None else self._ledger.read(tx, held)
        if known != {entry.digest for entry in book.entries}:
            return None
        now, folded = self._clock.now(), book.fold()
        self._judge(tx, book, folded, cleared.message, now)
        # The nonce follows from the caller's key under a key of ours: a message that comes back after a restore is known by it.
        nonce = tx.idempotency_nonce(asked.scope, asked.key) if release is None else None
        entry = compose(cleared, parents=folded.heads, created=now, nonce=nonce)
        if len(entry.content) > MAX_CONTENT:
            raise TooLargeToSend(where="/body")
        if release is not None:
            self._holding.settle(tx, release, entry.header, now)
        elif not tx.add_idempotent(kept(asked, entry.header), now):
            return earlier(tx, asked)
        self._write(tx, book, entry, cleared.message, now)
        tx.audit(_audited(entry, asking, now))
        if owed:
            subject, office = message_subject(self._us, entry.id), entry.header.sender.authority
            self._ledger.call(
                tx, AttentionCode.SURGE_OWED, subject, peer=row.peer, authority=office, detail=owed, now=now
            )  # fmt: skip
        return accepted(entry)

    def hold(
        self,
        tx: Transaction,
        *,
        asked: Idempotent,
        row: ProcedureRow,
        message: ValidMessage,
        held: Held,
        known: frozenset[Digest],
        asking: Submission,
    ) -> None:
        """Keep a message for a second person, unless nobody could let it leave as its procedure stands.

        What an irreversible act needs of the other side may come while it waits: that is judged when it is released.
        """
        opening = asking.procedure is None
        stored = None if opening else tx.lock_procedure(row.ref.id)
        book = self._ledger.begin(row) if stored is None else self._ledger.read(tx, stored)
        self._check_fits(tx, book, book.fold(), message)
        self._holding.keep(tx, asked=asked, message=message, held=held, known=known, asking=asking)

    def _judge(self, tx: Transaction, book: Book, folded: Folded, message: ValidMessage, now: datetime) -> None:
        """Refuse what does not fit its procedure, and what that is not ready for."""
        self._check_fits(tx, book, folded, message)
        self._check_irreversible(tx, book, folded, message.header.type.act, now)

    def _check_fits(self, tx: Transaction, book: Book, folded: Folded, message: ValidMessage) -> None:
        """Refuse what the procedure has no room for, from an office that may not send it, or not in this state."""
        act = message.header.type.act
        if not has_room(book.table, book.entries, self._us, act):
            raise RecordFull(where="/procedure")
        self._check_taking_part(tx, book, folded, message)
        if is_unheld(book.entries, book.receipts):
            raise NotAllowed(
                "The other country kept nothing of a message of this procedure that it refused, and what follows would wait there "
                "for ever: open another one, and telephone about this one.",
                where="/procedure",
            )
        possible = allowed(book.table, folded.state, book.row.role_of(self._us))
        if act not in possible:
            alarm = " An alarm is open, which each side closes (alarm-closed)." if folded.state.alarmed else ""
            raise NotAllowed(
                f"In the state {folded.state.name} this side may send: {', '.join(possible) or 'nothing'}.{alarm}",
                where="/type",
            )

    def _write(self, tx: Transaction, book: Book, entry: OutboxEntry, message: ValidMessage, now: datetime) -> None:
        """Enter the message into the record, owe it and its attachments, and let it be found by whom it speaks of."""
        book, folded = self._ledger.enter(tx, book, RecordEntry.of(entry.header, entry.digest), now=now)
        tx.add_outbox(entry, next_at=now, terms=terms_of(self._catalogue.people(entry.header, message.body)))
        self._participation.keep(tx, book, folded, now=now)
        attach(tx, entry, now=now)

    def _check_taking_part(self, tx: Transaction, book: Book, folded: Folded, message: ValidMessage) -> None:
        """Refuse an office that may not write here, and one that a child's data would reach outside of the procedure."""
        if not book.stored:
            return
        found, header = self._participation.held(tx, book, folded), message.header
        if not may_send(book.table.acts.get(header.type.act), found, self._us, header.sender.authority):
            raise NotParticipant(
                "Another office of this side sends this, or yours only observes.", where="/sender/authority"
            )
        if not found.takes_part(header.recipient.country, header.recipient.authority):
            offices = ", ".join(found.offices(header.recipient.country))
            raise NotParticipant(f"In this procedure the other side is: {offices}.", where="/recipient/authority")
        us = self._trust.current().members[self._us]
        for where, authority, country in named_offices(header.type.act, message.body):
            if country != self._us or us.authority(authority) is None:
                raise UnknownRecipient("Only listed offices of this country join or take over.", where=f"/body{where}")

    def _check_irreversible(self, tx: Transaction, book: Book, folded: Folded, act: str, now: datetime) -> None:
        missing = hindrances(book.table, folded, act, book.row.role_of(self._us), now=now)
        if missing:
            raise NotAllowed(
                f"An irreversible act needs a complete, freshly confirmed record: {' '.join(map(_LACKS.__getitem__, missing))}",
                where="/type",
            )

        def body_of(digest: Digest) -> Mapping[str, Any] | None:
            message = next(entry.message for entry in book.entries if entry.digest == digest)
            row = tx.inbox(book.row.peer, message)
            content: Any = None if row is None else canonical.parse(row.entry.content)
            return None if content is None else content["body"]

        today = partial(self._timetable.today, book.row.peer, now)  # where the clearance was given
        missing = clearance_hindrances(book.table, folded, book.entries, act, body_of, today=today)
        if missing:
            raise NotAllowed(
                f"The other side has not agreed to exactly this, or no longer does: {' '.join(map(_LACKS.__getitem__, missing))}",
                where="/type",
            )


def _audited(entry: OutboxEntry, asking: Submission, now: datetime) -> AuditRow:
    """Return who disclosed what to whom and on which basis; the purpose is free text and stays in the header."""
    return AuditRow(
        at=now,
        actor=asking.actor,
        role=asking.role,
        authority=entry.header.sender.authority,
        action=AuditAction.SUBMITTED,
        subject=entry.id,
        detail=entry.header.type,
        procedure=entry.procedure,
        peer=entry.recipient,
        reason=asking.legal_basis.code,
    )
