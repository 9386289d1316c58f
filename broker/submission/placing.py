# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where a submission belongs: its procedure, the country and office that it goes to, and the version both know."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from broker.catalogue import Catalogue
from broker.core.arrangements import check_message
from broker.core.attachments import Attachment
from broker.core.errors import (
    ExerciseMismatch,
    NotAllowed,
    NotFound,
    ProcedureMismatch,
    RecipientSuspended,
    TrustListExpired,
    UnknownRecipient,
    UnknownType,
    VersionNotSupported,
)
from broker.core.ids import CountryCode, SchemaVersion
from broker.core.messages import Draft, Header, Party, ProcedureRef, Submission
from broker.core.procedures import NOT_OPENED, ProcedureTable
from broker.core.trust import Member, MemberStatus
from broker.ports import Clock, Ids, Store, TrustSource
from broker.rows import HeldDraft, ProcedureRow
from broker.submission.attaching import described
from broker.submission.holding import attachments_of
from broker.submission.repeating import nonce_of

__all__ = ["Placing"]

_NAMED = 12  # offices; a country may list hundreds


class Placing:
    """Makes a draft of a submission; nothing is stored."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        trust: TrustSource,
        catalogue: Catalogue,
        clock: Clock,
        ids: Ids,
        trust_grace: timedelta,
    ) -> None:
        self._us = us
        self._store = store
        self._trust = trust
        self._catalogue = catalogue
        self._clock = clock
        self._ids = ids
        self._grace = trust_grace

    async def __call__(self, submission: Submission, held: HeldDraft | None = None) -> tuple[ProcedureRow, Draft]:
        """Return the draft, and the procedure that it belongs to or opens.

        Args:
            submission: what is asked for.
            held: the message that waited, when a second person lets it leave: it keeps its id, nonce and files.

        Raises:
            SenderError: it belongs nowhere, or not to the one named.
            TrustListExpired: the list is too old to send anything by it.
        """
        now = self._clock.now()
        row = await self._procedure(submission, now)
        member = self._recipient(submission, now)
        attachments = await self._attachments(submission) if held is None else attachments_of(held)
        draft = self._compose(submission, row, self._version(submission, member), attachments, now)
        if held is not None:
            nonce = nonce_of(held.content or b"{}")  # the key's answer is salted with it
            draft = replace(draft, header=replace(draft.header, id=held.id, nonce=nonce))
        self._check_arranged(draft.header, row)
        return row, draft

    async def _attachments(self, submission: Submission) -> tuple[Attachment, ...]:
        if not submission.attachments:
            return ()
        return await self._store.read(lambda reader: described(reader, submission))

    async def _procedure(self, submission: Submission, now: datetime) -> ProcedureRow:
        """Return the row of the procedure that the message belongs to, or a new one that it opens."""
        if submission.procedure is None:
            return self._new_procedure(submission, now)
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

    def _recipient(self, submission: Submission, now: datetime) -> Member:
        trust = self._trust.current()
        us, member = trust.members.get(self._us), trust.members.get(submission.recipient.country)
        if us is None or us.authority(submission.sender_authority) is None:
            raise UnknownRecipient(
                f"The sending authority is not in the trust list. {_offices(us)}", where="/sender/authority"
            )
        if member is None or member.country == self._us:
            raise UnknownRecipient(where="/recipient/country")
        if member.status is not MemberStatus.ACTIVE:
            raise RecipientSuspended(where="/recipient/country")
        if not all(trust.sendable_to(country, now, self._grace) for country in (self._us, member.country)):
            raise TrustListExpired
        if member.authority(submission.recipient.authority) is None:
            raise UnknownRecipient(
                f"The addressed country has no such authority. {_offices(member)}", where="/recipient/authority"
            )
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

    def _compose(
        self,
        submission: Submission,
        row: ProcedureRow,
        version: SchemaVersion,
        attachments: tuple[Attachment, ...],
        now: datetime,
    ) -> Draft:
        header = Header(
            id=self._ids.message_id(),
            type=submission.type,
            version=version,
            sender=Party(country=self._us, authority=submission.sender_authority),
            recipient=submission.recipient,
            created=now,
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

    def _check_arranged(self, header: Header, row: ProcedureRow) -> None:
        table = self._catalogue.table_by_digest(row.ref.digest)
        if table is None:
            raise UnknownType("The procedure's table is not in this node's catalogue.", where="/procedure")
        check_message(self._trust.current().arrangements, table, header)

    def _new_procedure(self, submission: Submission, now: datetime) -> ProcedureRow:
        table = self._opening_table(submission)
        act = table.acts.get(submission.type.act)
        if act is not None and not act.opens:  # no second person is asked about what can never leave
            raise NotAllowed(
                "A message of this type opens no procedure: name the open one that it belongs to.", where="/procedure"
            )
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
            opened=now,
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


def _offices(member: Member | None) -> str:
    """Name a country's offices, for a person who mistyped one."""
    names = [str(office.id) for office in member.authorities] if member is not None else []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"The trust list has: {', '.join(names[:_NAMED])}{more}." if names else "The trust list has none."
