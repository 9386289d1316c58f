# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Take a message from a caller: only when it is stored whole does the caller get yes (promise P1)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from broker.casefile import CORRECTION, Casefile, read_casefile
from broker.catalogue import Catalogue
from broker.core import canonical
from broker.core.arrangements import check_message
from broker.core.audit import AuditAction
from broker.core.capacity import has_room
from broker.core.clearance import clearance_hindrances
from broker.core.content import compose
from broker.core.errors import (
    ExerciseMismatch,
    IdempotencyConflict,
    NotAllowed,
    NotFound,
    NotParticipant,
    ProcedureMismatch,
    RecipientSuspended,
    RecordFull,
    SenderError,
    TooLargeToSend,
    TrustListExpired,
    UnknownRecipient,
    UnknownType,
    VersionNotSupported,
)
from broker.core.ids import CountryCode, Digest, SchemaVersion
from broker.core.messages import (
    Body,
    ClearedMessage,
    Draft,
    Header,
    OutboxEntry,
    Party,
    ProcedureRef,
    Submission,
    ValidMessage,
)
from broker.core.participants import may_send, named_offices
from broker.core.procedures import NOT_OPENED, ProcedureTable, Role, allowed
from broker.core.record import Folded, RecordEntry, hindrances
from broker.core.safeguards import Cleared, decide, refusal
from broker.core.sides import sides_of
from broker.core.trust import GRACE, Member, MemberStatus
from broker.ledger import Book, Ledger
from broker.participation import Participation
from broker.ports import Clock, Ids, Reader, Store, Transaction, TrustSource
from broker.rows import Accepted, AuditRow, Idempotent, ProcedureRow, salted
from broker.security.envelope import MAX_CONTENT
from broker.timetable import Timetable

__all__ = ["Submit"]

EXTENSION_NOTICE = "extension-notice"


class Submit:
    """Draft → ValidMessage → ClearedMessage → OutboxEntry."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        trust: TrustSource,
        catalogue: Catalogue,
        clock: Clock,
        ids: Ids,
        wake: Callable[[], None],
        timetable: Timetable,
        trust_grace: timedelta = GRACE,
    ) -> None:
        self._us = us
        self._store = store
        self._trust = trust
        self._catalogue = catalogue
        self._ledger = Ledger(us=us, catalogue=catalogue)
        self._participation = Participation(us=us, ledger=self._ledger)
        self._clock = clock
        self._ids = ids
        self._wake = wake
        self._timetable = timetable
        self._grace = trust_grace

    async def __call__(self, submission: Submission) -> Accepted:
        """Check, record and answer.

        Raises:
            SenderError: it is refused, with what is wrong, where, and who must act; nothing was stored.
            NodeError: nothing was stored; the caller tries again with the same idempotency key.
        """
        asked = self._fingerprint(submission)
        try:
            row = await self._procedure(submission)
            member = self._recipient(submission)
            draft = self._compose(submission, row, self._version(submission, member))
            self._check_arranged(draft.header, row)
            accepted = await self._decide(asked, row, self._catalogue.validate(draft), submission)
        except (SenderError, TrustListExpired):
            # Perhaps it was accepted before and the world has changed since: the same key gets the same answer.
            earlier = await self._store.run(lambda tx: self._earlier(tx, asked))
            if earlier is None:
                raise
            return earlier
        self._wake()
        return accepted

    async def _decide(
        self, asked: Idempotent, row: ProcedureRow, message: ValidMessage, asking: Submission
    ) -> Accepted:
        """Judge the message by what was exchanged before, and record it unless something else came in between."""
        while True:
            known = await self._casefile(row, message)
            sides = sides_of(self._trust.current(), message.header, opening=row.state == NOT_OPENED)
            decision = decide(message, known.earlier, sides)
            if not isinstance(decision, Cleared):
                raise refusal(decision)
            accepted = await self._store.run(
                functools.partial(
                    self._record, asked=asked, row=row, cleared=decision.message, known=known, asking=asking
                )
            )
            if accepted is not None:
                return replace(accepted, warnings=decision.warnings)

    async def _casefile(self, row: ProcedureRow, message: ValidMessage) -> Casefile:
        if row.state == NOT_OPENED and message.header.type.procedure != CORRECTION:
            return Casefile()  # nothing was exchanged before
        return await self._store.read(lambda reader: self._read(reader, row, message))

    def _read(self, reader: Reader, row: ProcedureRow, message: ValidMessage) -> Casefile:
        if message.header.type.act == EXTENSION_NOTICE:
            self._check_extension(reader, row, message.body)
        return read_casefile(reader, self._us, row, message.header, message.body)

    def _check_extension(self, reader: Reader, row: ProcedureRow, body: Body) -> None:
        """Refuse a longer time that no source allows, a second one, one announced too late, and the other side's."""
        book, now = self._ledger.read(reader, row), self._clock.now()
        standings = self._timetable.standings(reader, book, book.fold(), now=now)
        allowed_now = [item.deadline.id for item in standings if item.ours and item.extendable]
        if body["deadline"] not in allowed_now:
            named = ", ".join(allowed_now) or "none"
            raise NotAllowed(f"Deadlines of this side that may be extended now: {named}.", where="/body/deadline")

    def _fingerprint(self, submission: Submission) -> Idempotent:
        scope = f"{submission.actor}|{submission.sender_authority}|{submission.route}"
        asked = canonical.dump(
            {
                "type": submission.type,
                "version": submission.version,
                "to": [submission.recipient.country, submission.recipient.authority],
                "procedure": submission.procedure,
                "basis": [submission.legal_basis.code, submission.legal_basis.citation],
                "about": [submission.purpose, submission.urgency, submission.language, submission.exercise],
                "body": dict(submission.body),
            }
        )
        return Idempotent(
            scope=scope,
            key=submission.idempotency_key,
            body_digest=canonical.digest(asked),
            message=self._ids.message_id(),
        )

    def _earlier(self, tx: Transaction, asked: Idempotent) -> Accepted | None:
        """Return the answer that the same key got before."""
        known = tx.find_idempotent(asked.scope, asked.key)
        if known is None:
            return None
        row = tx.outbox(known.message)
        if row is None:
            raise NotFound("The message that this idempotency key stood for has been erased.")
        if known.body_digest != salted(asked.body_digest, row.entry.header.nonce):
            raise IdempotencyConflict
        return _accepted(row.entry, repeated=True)

    async def _procedure(self, submission: Submission) -> ProcedureRow:
        """Return the row of the procedure that the message belongs to, or a new one that it opens."""
        if submission.procedure is None:
            return self._new_procedure(submission)
        wanted, authority = submission.procedure, submission.sender_authority
        row = await self._store.read(lambda reader: reader.procedure(wanted, authority))
        if row is None:
            raise NotFound("There is no such procedure here for that authority.", where="/procedure")
        if row.peer != submission.recipient.country:
            raise ProcedureMismatch("The procedure is with another country.", where="/recipient/country")
        if row.ref.name != submission.type.procedure:
            raise ProcedureMismatch("The message type belongs to another procedure.", where="/type")
        if row.exercise != submission.exercise:
            raise ExerciseMismatch(where="/exercise")
        return row

    def _new_procedure(self, submission: Submission) -> ProcedureRow:
        table = self._opening_table(submission)
        ref = ProcedureRef(
            id=self._ids.procedure_id(), name=table.procedure, version=table.version, digest=table.digest
        )
        return ProcedureRow(
            ref=ref,
            peer=submission.recipient.country,
            opener=self._us,
            our_authority=submission.sender_authority,
            peer_authority=submission.recipient.authority,
            case_ref=self._ids.case_ref(exercise=submission.exercise) if table.has_subject else None,
            exercise=submission.exercise,
            opened=self._clock.now(),
            state=NOT_OPENED,
        )

    def _opening_table(self, submission: Submission) -> ProcedureTable:
        """Return the newest table that the recipient lists too: it governs the procedure on both sides for life."""
        name = submission.type.procedure
        own, member = self._catalogue.table(name), self._trust.current().members.get(submission.recipient.country)
        if member is None or not member.procedures:  # who is no member is refused next; a list of nothing says nothing
            return own
        listed = member.procedures.get(name, ())
        for table in self._catalogue.known_tables(name):
            if table.version in listed:
                return table
        raise VersionNotSupported(
            f"The addressed country does not list version {own.version} of the procedure {name}: it cannot be opened there "
            "until that country's officers have signed a member document with it (trm trust versions).",
            where="/type",
        )

    def _recipient(self, submission: Submission) -> Member:
        trust = self._trust.current()
        us, member = trust.members.get(self._us), trust.members.get(submission.recipient.country)
        if us is None or us.authority(submission.sender_authority) is None:
            raise UnknownRecipient("The sending authority is not in the trust list.", where="/sender/authority")
        if member is None or member.country == self._us:
            raise UnknownRecipient(where="/recipient/country")
        if member.status is not MemberStatus.ACTIVE:
            raise RecipientSuspended(where="/recipient/country")
        now = self._clock.now()
        if not all(trust.sendable_to(country, now, self._grace) for country in (self._us, member.country)):
            raise TrustListExpired
        if member.authority(submission.recipient.authority) is None:
            raise UnknownRecipient(where="/recipient/authority")
        return member

    def _version(self, submission: Submission, member: Member) -> SchemaVersion:
        ours = self._catalogue.versions(submission.type)
        if not ours:
            raise UnknownType(where="/type")
        common = set(ours) & set(member.messages.get(submission.type, ()))
        if submission.version is not None:
            common &= {submission.version}
        if not common:
            raise VersionNotSupported(where="/version" if submission.version else "/type")
        return max(common, key=lambda version: version.key)

    def _check_arranged(self, header: Header, row: ProcedureRow) -> None:
        table = self._catalogue.table_by_digest(row.ref.digest)
        if table is None:
            raise UnknownType("The procedure's table is not in this node's catalogue.", where="/procedure")
        check_message(self._trust.current().arrangements, table, header)

    def _compose(self, submission: Submission, row: ProcedureRow, version: SchemaVersion) -> Draft:
        header = Header(
            id=self._ids.message_id(),
            type=submission.type,
            version=version,
            sender=Party(country=self._us, authority=submission.sender_authority),
            recipient=submission.recipient,
            created=self._clock.now(),
            exercise=submission.exercise,
            nonce=self._ids.nonce(),
            language=submission.language,
            urgency=submission.urgency,
            purpose=submission.purpose,
            legal_basis=submission.legal_basis,
            case_ref=row.case_ref,
            procedure=row.ref,
        )
        return Draft(header=header, body=submission.body)

    def _record(
        self,
        tx: Transaction,
        *,
        asked: Idempotent,
        row: ProcedureRow,
        cleared: ClearedMessage,
        known: Casefile,
        asking: Submission,
    ) -> Accepted | None:
        """Write entry, record, idempotency answer and audit row together, with the procedure's row locked.

        Returns:
            None where the record is another one than the safeguards knew; nothing was written.
        """
        earlier = self._earlier(tx, asked)
        if earlier is not None:
            return earlier
        held = tx.lock_procedure(row.ref.id)
        book = self._ledger.begin(row) if held is None else self._ledger.read(tx, held)
        if known.record != {entry.digest for entry in book.entries}:
            return None
        now, folded = self._clock.now(), book.fold()
        act = cleared.message.header.type.act
        if not has_room(book.table, book.entries, self._us, act):
            raise RecordFull(where="/procedure")
        self._check_taking_part(tx, book, folded, cleared.message)
        self._check_allowed(tx, book, folded, act, now)
        entry = compose(cleared, parents=folded.heads, created=now)
        if len(entry.content) > MAX_CONTENT:
            raise TooLargeToSend(where="/body")
        stored = salted(asked.body_digest, entry.header.nonce)
        tx.add_idempotent(Idempotent(scope=asked.scope, key=asked.key, body_digest=stored, message=entry.id), now)
        book, folded = self._ledger.enter(tx, book, _record_entry(entry, self._us), now=now)
        tx.add_outbox(entry, next_at=now)
        self._participation.keep(tx, book, folded, now=now)
        tx.audit(_audited(entry, asking, now))
        return _accepted(entry)

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

    def _check_allowed(self, tx: Transaction, book: Book, folded: Folded, act: str, now: datetime) -> None:
        role = Role.REQUESTING if book.row.opener == self._us else Role.REQUESTED
        if act not in allowed(book.table, folded.state, role):
            raise NotAllowed(where="/type")
        if hindrances(book.table, folded, act, role, now=now):
            raise NotAllowed("An irreversible act needs a complete, freshly confirmed record.", where="/type")

        def body_of(digest: Digest) -> Mapping[str, Any] | None:
            message = next(entry.message for entry in book.entries if entry.digest == digest)
            row = tx.inbox(book.row.peer, message)
            content: Any = None if row is None else canonical.parse(row.entry.content)
            return None if content is None else content["body"]

        today = self._timetable.today(book.row.peer, now)  # where the clearance was given
        if clearance_hindrances(book.table, folded, book.entries, act, body_of, today=today):
            raise NotAllowed("The other side has not agreed to exactly this, or no longer does.", where="/type")


def _record_entry(entry: OutboxEntry, author: CountryCode) -> RecordEntry:
    header = entry.header
    return RecordEntry(
        digest=entry.digest, message=entry.id, author=author, act=header.type.act, parents=header.parents
    )


def _accepted(entry: OutboxEntry, *, repeated: bool = False) -> Accepted:
    if entry.procedure is None:
        raise RuntimeError("casework always has a procedure")
    return Accepted(
        message=entry.id,
        digest=entry.digest,
        procedure=entry.procedure,
        case_ref=entry.header.case_ref,
        created=entry.created,
        repeated=repeated,
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
