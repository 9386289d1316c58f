# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a believed message fits what is arranged, its procedure and those who take part; and which procedure that is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.catalogue import Catalogue
from broker.core.arrangements import check_message
from broker.core.delivery import STALE_LIST_HOURS
from broker.core.errors import (
    BrokerError,
    ExerciseMismatch,
    HeaderInvalid,
    NotArranged,
    NotForUs,
    NotParticipant,
    ProcedureMismatch,
    SealedPartRefused,
    SenderError,
    TrustListStale,
    UnknownAuthority,
    UnknownSchemaVersion,
)
from broker.core.ids import CountryCode
from broker.core.messages import Header, ProcedureRef, ValidMessage, VerifiedMessage
from broker.core.participants import may_send
from broker.core.procedures import NOT_OPENED, ProcedureTable
from broker.core.record import closure
from broker.derived.participation import Participation
from broker.ledger import Book, Ledger
from broker.ports import Transaction, TrustSource
from broker.rows import ProcedureRow
from broker.sealed.checking import check_received

__all__ = ["Admission", "Case"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is known about a casework message once its header is believed."""

    message: ValidMessage
    ref: ProcedureRef
    table: ProcedureTable
    row: ProcedureRow | None  # locked; None: this message opens it


class Admission:
    """Judges a message under locks; nothing is written here but the offices that an opening names."""

    def __init__(
        self,
        *,
        us: CountryCode,
        catalogue: Catalogue,
        trust: TrustSource,
        ledger: Ledger,
        participation: Participation,
    ) -> None:
        self._us = us
        self._catalogue = catalogue
        self._trust = trust
        self._ledger = ledger
        self._participation = participation

    def judge(self, tx: Transaction, verified: VerifiedMessage, arrived: datetime, *, now: datetime) -> Case:
        """Return the message with the procedure that it names, which is locked.

        Raises:
            SenderError: it is to be refused.
            UntrustedError: it cannot be believed yet.
        """
        message = self._catalogue.admit(verified)
        header = message.header
        with self._by_a_fresh_list(arrived, now, ProcedureMismatch):
            self._check_addressed(header)
        self._check_sender(header)
        ref, table = self._governed(header)
        row = tx.lock_procedure(ref.id)
        known = row.opened if row is not None and row.ref == ref else arrived
        with self._by_a_fresh_list(arrived, now, NotArranged):
            check_message(self._trust.current().arrangements, table, header, arrived=arrived, known=known)
        with self._by_a_fresh_list(arrived, now, SealedPartRefused):  # its office's newest key may be in a list to come
            check_received(header, message.body, self._trust.current(), now=now, content=verified.content)
        return Case(message=message, ref=ref, table=table, row=row)

    def book(self, tx: Transaction, case: Case, *, now: datetime) -> Book:
        """Return the locked procedure that the message belongs to; the first message of a procedure makes it.

        Raises:
            SenderError: the message does not fit it.
        """
        header, row = case.message.header, case.row
        if row is None:
            row = self._opened_by(header, case.ref, now)
            # After a restore the opening may be ours, and not back yet.
            return self._ledger.begin(replace(row, opener=tx.healing.opener(row.peer, case.ref.id) or row.opener))
        if row.peer != header.sender.country or row.ref != case.ref:
            raise ProcedureMismatch(where="/header/procedure")
        if row.exercise != header.exercise:
            raise ExerciseMismatch(where="/header/exercise")
        if row.case_ref != header.case_ref:
            raise ProcedureMismatch(where="/header/case_ref")
        book = _seated(tx, self._ledger.read(tx, row), header)
        self._check_taking_part(tx, book, header)
        return book

    def book_of_refused(self, tx: Transaction, header: Header, *, now: datetime) -> Book | None:
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
        return self._ledger.begin(self._opened_by(header, ref, now))

    @contextmanager
    def _by_a_fresh_list(self, arrived: datetime, now: datetime, refusal: type[SenderError]) -> Iterator[None]:
        """Let that refusal pass only under a trust list that was asked for after the message came.

        The refusal is final, and our list may only be late: the author's was signed by the same federation. After a
        bounded time the author is answered by the list that is here: silence would tell him less.
        """
        try:
            yield
        except refusal:
            asked, waited = self._trust.looked(), now - arrived
            fresh = arrived <= asked <= now  # later than now: asked before our clock was set right
            if not fresh and waited < timedelta(hours=STALE_LIST_HOURS):
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

    def _check_taking_part(self, tx: Transaction, book: Book, header: Header) -> None:
        """Refuse an office of either country that has no part in a child's procedure.

        What was under way when an office handed its role on is still that office's. An office that a message not yet
        here would bring in is believed: its own node, which holds that message, let it write. What stands between the
        two may be here and has no effect before it either: so all ancestors are asked for.
        """
        found = self._participation.held(tx, book)
        act = book.table.acts.get(header.type.act)
        complete = closure(book.entries, header.parents) is not None
        if complete and not may_send(act, found, header.sender.country, header.sender.authority):
            raise NotParticipant(where="/header/sender/authority")
        if not found.took_part(self._us, header.recipient.authority):
            raise NotParticipant(where="/header/recipient/authority")

    def _opened_by(self, header: Header, ref: ProcedureRef, now: datetime) -> ProcedureRow:
        # A later message of the peer may overtake its opening one; one author wrote both, so the opener is known.
        return ProcedureRow(
            ref=ref,
            peer=header.sender.country,
            opener=header.sender.country,
            our_authority=header.recipient.authority,
            peer_authority=header.sender.authority,
            case_ref=header.case_ref,
            exercise=header.exercise,
            opened=now,
            state=NOT_OPENED,
        )


def _seated(tx: Transaction, book: Book, header: Header) -> Book:
    """Let the opening say whose procedure it is, where what overtook it, of another office maybe, had to say so until now."""
    act = book.table.acts.get(header.type.act)
    opens = act is not None and act.opens and not header.parents and header.sender.country == book.row.opener
    if not opens or any(not entry.parents for entry in book.entries):
        return book
    row = replace(book.row, our_authority=header.recipient.authority, peer_authority=header.sender.authority)
    if row != book.row:
        tx.save_offices(row, ())
    return replace(book, row=row)
