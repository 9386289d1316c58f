# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Take a message from a caller: only when it is stored whole does the caller get yes (promise P1)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from broker.attaching import attach, described
from broker.casefile import CORRECTION, Casefile, read_casefile
from broker.catalogue import Catalogue
from broker.core import canonical
from broker.core.arrangements import check_message
from broker.core.attachments import Attachment
from broker.core.audit import AuditAction
from broker.core.capacity import has_room
from broker.core.clearance import clearance_hindrances
from broker.core.content import compose, decode_header, encode
from broker.core.delivery import HOLD_DAYS, AttentionCode, message_subject
from broker.core.errors import (
    AlreadySettled,
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
from broker.core.ids import CountryCode, Digest, ProcedureId, SchemaVersion
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
from broker.core.reasons import Level
from broker.core.record import Folded, RecordEntry, hindrances
from broker.core.roles import AuditRole
from broker.core.safeguards import Cleared, Decision, Held, decide, refusal, released, waiting
from broker.core.sides import sides_of
from broker.core.trust import GRACE, Member, MemberStatus
from broker.ledger import Book, Ledger
from broker.participation import Participation
from broker.ports import Clock, Ids, Reader, Store, Transaction, TrustSource
from broker.rows import Accepted, AuditRow, DraftState, HeldDraft, Idempotent, ProcedureRow, Release, salted
from broker.security.chunks import blob_of
from broker.security.envelope import MAX_CONTENT
from broker.timetable import Timetable

__all__ = ["Submit"]

EXTENSION_NOTICE = "extension-notice"
_STANDS = {
    DraftState.HELD: "It waits for a second person: trm held show {id}.",
    DraftState.RELEASED: "It was released, and has been erased since.",
    DraftState.REJECTED: "A second person rejected it: change it, and send it under another key.",
    DraftState.EXPIRED: "Nobody decided in time: send it again, under another key.",
}


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
            SafeguardHeld: it is kept for a second person, who releases or rejects it.
            SenderError: it is refused, with what is wrong, where, and who must act; nothing was stored.
            NodeError: nothing was stored; the caller tries again with the same idempotency key.
        """
        asked = self._fingerprint(submission)
        try:
            accepted = await self._take(submission, asked, None)
        except (SenderError, TrustListExpired):
            # Perhaps it was accepted before and the world has changed since: the same key gets the same answer.
            earlier = await self._store.run(lambda tx: self._earlier(tx, asked))
            if earlier is None:
                raise
            return earlier
        self._wake()
        return accepted

    async def release(self, release: Release) -> Accepted:
        """Let a held message leave: everything is checked again, in the world as it is now.

        Raises:
            SenderError: it may not leave any more, or others than the held reasons speak against it; it is held on.
        """
        content: Any = canonical.parse(release.draft.content or b"{}")
        header = decode_header(content["header"])
        held = None if header.procedure is None else header.procedure.id
        known = await self._store.read(lambda reader: None if held is None else reader.procedure(held, None))
        submission = _submission(header, content["body"], release.draft, None if known is None else held)
        accepted = await self._take(submission, self._fingerprint(submission), release)
        self._wake()
        return accepted

    async def _take(self, submission: Submission, asked: Idempotent, release: Release | None) -> Accepted:
        row = await self._procedure(submission)
        member = self._recipient(submission)
        attachments = await self._attachments(submission) if release is None else _described(release.draft)
        draft = self._compose(submission, row, self._version(submission, member), attachments)
        if release is not None:
            nonce = _nonce(release.draft.content or b"{}")  # the key's answer is salted with it
            draft = replace(draft, header=replace(draft.header, id=release.draft.id, nonce=nonce))
        self._check_arranged(draft.header, row)
        return await self._decide(asked, row, self._catalogue.validate(draft), submission, release)

    async def _decide(
        self, asked: Idempotent, row: ProcedureRow, message: ValidMessage, asking: Submission, release: Release | None
    ) -> Accepted:
        """Judge the message by what was exchanged before, and record it unless something else came in between."""
        while True:
            known = await self._casefile(row, message)
            sides = sides_of(self._trust.current(), message.header, opening=row.state == NOT_OPENED)
            decision = decide(message, known.earlier, sides)
            cleared = await self._let_pass(decision, message, asked, asking, release)
            accepted = await self._store.run(
                functools.partial(
                    self._record, asked=asked, row=row, cleared=cleared, known=known, asking=asking, release=release
                )
            )
            if accepted is not None:
                return replace(accepted, warnings=decision.warnings if isinstance(decision, Cleared) else ())

    async def _let_pass(
        self, decision: Decision, message: ValidMessage, asked: Idempotent, asking: Submission, release: Release | None
    ) -> ClearedMessage:
        """Return the message cleared, by the rules or by a second person; keep a held one for that person."""
        if isinstance(decision, Cleared):
            return decision.message
        if isinstance(decision, Held) and release is not None and decision.within(release.draft.reasons):
            return released(message, decision)
        if isinstance(decision, Held) and release is None:
            await self._store.run(
                functools.partial(self._hold, asked=asked, message=message, held=decision, asking=asking)
            )
        raise refusal(decision)

    def _hold(
        self, tx: Transaction, *, asked: Idempotent, message: ValidMessage, held: Held, asking: Submission
    ) -> None:
        """Keep a held message under the id that it will have, and call its office for a second person."""
        if self._earlier(tx, asked) is not None:
            return
        header, now = message.header, self._clock.now()
        tx.add_idempotent(_kept(asked, header), now)
        tx.add_draft(
            HeldDraft(
                id=header.id,
                peer=header.recipient.country,
                authority=header.sender.authority,
                type=header.type,
                author=asking.actor,
                role=asking.role,
                route=asking.route,
                at=now,
                reasons=tuple(reason for reason in held.reasons if reason.level is Level.HOLD),
                content=encode(header, message.body),
            )
        )
        for attachment in header.attachments:  # the files wait as long as their message may
            tx.keep_upload(blob_of(attachment.key_bytes), at=now + timedelta(days=HOLD_DAYS))
        tx.audit(_decided(AuditAction.HELD, header, by=asking.actor, role=asking.role, reason="", at=now))
        subject = message_subject(self._us, header.id)
        self._ledger.call(
            tx, AttentionCode.HELD, subject, peer=header.recipient.country, authority=header.sender.authority, now=now
        )

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
                "attachments": [[item.upload, item.name, item.kind] for item in submission.attachments],
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
        if row is not None:
            if known.body_digest != salted(asked.body_digest, row.entry.header.nonce):
                raise IdempotencyConflict
            return _accepted(row.entry, repeated=True)
        draft = tx.draft(known.message)
        if draft is None:
            raise NotFound("The message that this idempotency key stood for has been erased.")
        if draft.content is not None and known.body_digest != salted(asked.body_digest, _nonce(draft.content)):
            raise IdempotencyConflict
        raise waiting(draft.reasons, _STANDS[draft.state].format(id=draft.id))

    async def _attachments(self, submission: Submission) -> tuple[Attachment, ...]:
        if not submission.attachments:
            return ()
        return await self._store.read(lambda reader: described(reader, submission))

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

    def _compose(
        self, submission: Submission, row: ProcedureRow, version: SchemaVersion, attachments: tuple[Attachment, ...]
    ) -> Draft:
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
            attachments=attachments,
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
        release: Release | None,
    ) -> Accepted | None:
        """Write entry, record, idempotency answer and audit row together, with the procedure's row locked.

        Returns:
            None where the record is another one than the safeguards knew; nothing was written.
        """
        earlier = self._earlier(tx, asked) if release is None else None
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
        if release is None:
            tx.add_idempotent(_kept(asked, entry.header), now)
        else:
            self._settle(tx, release, entry.header, now)
        book, folded = self._ledger.enter(tx, book, _record_entry(entry, self._us), now=now)
        tx.add_outbox(entry, next_at=now)
        self._participation.keep(tx, book, folded, now=now)
        attach(tx, entry, now=now)
        tx.audit(_audited(entry, asking, now))
        return _accepted(entry)

    def _settle(self, tx: Transaction, release: Release, header: Header, now: datetime) -> None:
        """Note who let a held message leave and why, in the transaction in which it leaves."""
        draft = release.draft
        if not tx.settle_draft(draft.id, DraftState.RELEASED, by=release.by, at=now, decision=release.reason):
            raise AlreadySettled("This message waits no more: somebody else has decided.")
        tx.audit(
            _decided(AuditAction.RELEASED, header, by=release.by, role=release.role, reason=release.reason, at=now)
        )
        tx.resolve_attention(AttentionCode.HELD, message_subject(self._us, draft.id), at=now, by=release.by)

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


def _decided(action: AuditAction, header: Header, *, by: str, role: AuditRole, reason: str, at: datetime) -> AuditRow:
    """Return who held back or let go what, and why."""
    return AuditRow(
        at=at,
        actor=by,
        role=role,
        authority=header.sender.authority,
        action=action,
        subject=header.id,
        detail=header.type,
        procedure=header.procedure.id if header.procedure else None,
        peer=header.recipient.country,
        reason=reason,
    )


def _kept(asked: Idempotent, header: Header) -> Idempotent:
    return replace(asked, body_digest=salted(asked.body_digest, header.nonce), message=header.id)


def _nonce(content: bytes) -> str:
    found: Any = canonical.parse(content)
    return str(found["header"]["nonce"])


def _described(draft: HeldDraft) -> tuple[Attachment, ...]:
    content: Any = canonical.parse(draft.content or b"{}")
    return decode_header(content["header"]).attachments


def _submission(header: Header, body: Body, draft: HeldDraft, procedure: ProcedureId | None) -> Submission:
    """Return what the author of a held message asked for, in the version that it was held in."""
    if header.legal_basis is None or header.urgency is None or header.language is None:
        raise RuntimeError("casework has basis, urgency and language")
    return Submission(
        type=header.type,
        version=header.version,
        sender_authority=header.sender.authority,
        recipient=header.recipient,
        procedure=procedure,
        legal_basis=header.legal_basis,
        purpose=header.purpose or "",
        urgency=header.urgency,
        language=header.language,
        exercise=header.exercise,
        body=body,
        actor=draft.author,
        role=draft.role,
        route=draft.route,
        idempotency_key=draft.id,
    )
