# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Read-only views: pages newest first, single messages, gauges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Select,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
)

from broker.core.attention import AttentionCode
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, MessageId, ProcedureId
from broker.rows import (
    AttachmentRow,
    Attention,
    HeldDraft,
    InboxState,
    MessageFilter,
    OutboxState,
    Page,
    ProcedureRow,
    UploadRow,
)
from broker.storage import (
    attachments,
    case_keys,
    declarations,
    drafts,
    held,
    lists,
    people,
    procedures,
    receipts,
    search,
    trail,
    trust,
)
from broker.storage import inbox as received
from broker.storage import outbox as sent
from broker.storage.columns import to_milliseconds, unindexed
from broker.storage.cursors import Key, from_cursor, to_cursor
from broker.storage.erasing import SqlRetention
from broker.storage.execution import Execution
from broker.storage.healing import SqlHealing
from broker.storage.tables import (
    attention,
    counter,
    inbox,
    outbox,
    parked,
    participant,
    procedure,
    quarantine,
    receipt,
)

__all__ = ["SqlReader"]

_MOST: BindParameter[int] = bindparam("most")
_PROCEDURES = select(procedure).order_by(procedure.c.opened.desc(), procedure.c.id.desc()).limit(_MOST)
_OPEN_PROCEDURES = _PROCEDURES.where(
    procedure.c.erased.is_(None), procedure.c.state.not_in(bindparam("over", expanding=True))
)
_PROCEDURES_OF = (
    select(procedure).where(procedure.c.case_ref == bindparam("case")).order_by(procedure.c.opened, procedure.c.id)
)
_ATTENTION = select(attention).order_by(attention.c.at.desc(), attention.c.id.desc()).limit(_MOST)
# Open calls are few among all that there ever were, and have an index of their own: any other condition, or the order of an
# index, would lead SQLite to read them all.
_IS_OPEN = attention.c.resolved.is_(None)
_AT = literal_column("+attention.at", BigInteger())
_OPEN_ATTENTION = select(attention).where(_IS_OPEN).order_by(_AT.desc(), attention.c.id.desc()).limit(_MOST)
# But where thousands are, by the index of the list's order: to sort all of them for each page takes the longer the more.
_MANY_OPEN = select(attention.c.id).where(_IS_OPEN).limit(1).offset(1000)
_STILL_OPEN = literal_column("+attention.resolved", BigInteger()).is_(None)
_ABOUT = (
    select(attention.c.id)
    .where(attention.c.subject == bindparam("subject_"), attention.c.code == bindparam("code_"))
    .limit(1)
)
_BY_A_PERSON = attention.c.resolved_by != literal_column("'node'")
_CALLED = _ABOUT.where(or_(attention.c.resolved.is_(None), _BY_A_PERSON))
_CALLED_BY_NOW = _ABOUT.where(
    or_(
        attention.c.resolved.is_(None),
        and_(_BY_A_PERSON, attention.c.resolved <= bindparam("now", type_=attention.c.resolved.type)),
    )
)
_OPEN_CALLS = select(attention).where(_IS_OPEN, unindexed(attention.c.code).in_(bindparam("codes", expanding=True)))
_NEWEST_CALL = select(func.max(attention.c.id).label("number"))
_CALLS_BEHIND = (  # by their numbers: the open ones, of which there may be thousands, are not read to see the few new ones
    select(attention).where(attention.c.id > bindparam("number"), _IS_OPEN).order_by(attention.c.id).limit(_MOST)
)
_ONE_ATTENTION = select(attention).where(attention.c.id == bindparam("number"))
_OUTBOX_STATES = select(outbox.c.state, func.count().label("number")).group_by(outbox.c.state)
_INBOX_STATES = select(inbox.c.state, func.count().label("number")).group_by(inbox.c.state)
_DROPPED = select(counter)
_GAUGES = select(
    select(func.count()).select_from(quarantine).scalar_subquery().label("quarantine"),
    select(func.count()).select_from(parked).scalar_subquery().label("parked"),
    select(func.count()).where(attention.c.resolved.is_(None)).scalar_subquery().label("attention"),
    select(func.count()).where(receipt.c.queued.is_not(None)).scalar_subquery().label("waiting"),
)


class SqlReader(Execution):
    """Implements `ports.Reader`, whose docstrings stand there; some are this room's functions as they are."""

    __slots__ = ()

    seen = held.seen
    overdue_outbox = sent.overdue_outbox
    lost_outbox = sent.lost_outbox
    overdue_inbox = received.overdue_inbox
    messages_of = lists.messages_of
    message_times = lists.message_times
    declarations = declarations.declarations
    possible_procedures = search.possible
    search_owed = search.owed
    procedures_since = procedures.procedures_since
    record = procedures.record
    procedure_receipts = receipts.procedure_receipts
    procedure_evidence = receipts.procedure_evidence
    procedure_sent = lists.procedure_sent
    receipts_about = receipts.receipts_about
    trust_list_at = trust.in_force
    audit = trail.page
    unlinked_audit = trail.unlinked
    audit_head = trail.head
    touched = trail.touched
    audit_trail = trail.linked
    newest_checkpoint = trail.newest_checkpoint
    checkpoints = trail.checkpoints
    witnesses = trail.witnesses
    attachments_of = attachments.attachments_of
    adoptable_chunks = attachments.adoptable_chunks
    known_blobs = attachments.known_blobs
    epoch_owed = case_keys.epoch_owed
    count_keys = case_keys.count_keys

    def messages(self, wanted: MessageFilter, *, cursor: str | None, limit: int, readable_only: bool = False) -> Page:
        whole = wanted.procedure is not None and self.procedure(wanted.procedure, wanted.authority) is not None
        if whole:  # who takes part sees all of a procedure
            wanted = replace(wanted, authority=None)
        return lists.list_messages(self, wanted, cursor=cursor, limit=limit, readable_only=readable_only)

    def drafts(self, authority: AuthorityId | None, *, cursor: str | None, limit: int) -> Page:
        last = from_cursor(cursor, (int, str))
        after = None if last is None else (int(last[0]), str(last[1]))
        rows = drafts.drafts(self, authority, after=after, limit=limit + 1)
        items = rows[:limit]
        end = (to_milliseconds(items[-1].at), str(items[-1].id)) if items and len(rows) > limit else None
        return Page(items=items, next=None if end is None else to_cursor(end))

    def draft(self, message: MessageId, authority: AuthorityId | None, *, opening: bool = True) -> HeldDraft | None:
        row = drafts.find_draft(self, message, opening=opening)
        return row if row is not None and authority in {None, row.authority} else None

    def procedures(self, authority: AuthorityId | None, *, cursor: str | None, limit: int) -> Page:
        statement = _PROCEDURES if authority is None else _of_office(authority, self.dialect)
        return self._procedures(statement, {}, cursor, limit)

    def open_procedures(self, over: Collection[str], *, cursor: str | None, limit: int) -> Page:
        return self._procedures(_OPEN_PROCEDURES, {"over": sorted(over)}, cursor, limit)

    def _procedures(self, statement: Select[Any], values: Mapping[str, Any], cursor: str | None, limit: int) -> Page:
        last = from_cursor(cursor, (int, str))
        if last is not None:
            statement = statement.where(_before((procedure.c.opened, procedure.c.id), last))
        rows = self.listed(statement, {**values, "most": limit + 1})
        items = tuple(procedures.procedure_row(row) for row in rows[:limit])
        ends = [(to_milliseconds(item.opened), str(item.ref.id)) for item in items]
        return Page(items=items, next=to_cursor(ends[-1]) if ends and len(rows) > limit else None)

    def procedure(self, procedure: ProcedureId, authority: AuthorityId | None) -> ProcedureRow | None:
        row = procedures.find_procedure(self, procedure)
        if row is None or authority is None or authority == row.our_authority:
            return row
        return row if procedures.takes_part(self, procedure, authority) else None

    def procedures_of(self, case: CaseRef, authority: AuthorityId | None) -> tuple[ProcedureRow, ...]:
        rows = self.all(_PROCEDURES_OF, {"case": case})
        found = (procedures.procedure_row(row) for row in rows)
        return tuple(row for row in found if authority in {None, row.our_authority})

    def attention(
        self, authority: AuthorityId | None, *, open_only: bool, cursor: str | None, limit: int,
        peer: CountryCode | None = None, code: AttentionCode | None = None,
    ) -> Page:  # fmt: skip
        last = from_cursor(cursor, (int, int))
        many = open_only and self.first(_MANY_OPEN) is not None
        rows = self.listed(_calls(authority, peer, code, last, open_only, many), {"most": limit + 1})
        items = tuple(people.attention_row(row) for row in rows[:limit])
        ends = [(to_milliseconds(item.at), item.id) for item in items]
        return Page(items=items, next=to_cursor(ends[-1]) if ends and len(rows) > limit else None)

    def called(self, code: str, subject: str, *, now: datetime | None = None) -> bool:
        about = {"code_": code, "subject_": subject}
        found = self.first(_CALLED, about) if now is None else self.first(_CALLED_BY_NOW, {**about, "now": now})
        return found is not None

    def open_calls(self, codes: Sequence[str]) -> tuple[Attention, ...]:
        return tuple(people.attention_row(row) for row in self.all(_OPEN_CALLS, {"codes": list(codes)}))

    def newest_call(self) -> int:
        row = self.first(_NEWEST_CALL)
        return 0 if row is None or row.number is None else int(row.number)

    def calls_behind(self, number: int, *, limit: int) -> tuple[Attention, ...]:
        found = self.all(_CALLS_BEHIND, {"number": number, "most": limit})
        return tuple(people.attention_row(row) for row in found)

    def attention_entry(self, attention: int, authority: AuthorityId | None) -> Attention | None:
        row = self.first(_ONE_ATTENTION, {"number": attention})
        return people.attention_row(row) if row is not None and authority in {None, row.authority} else None

    def upload(self, upload: str) -> UploadRow | None:
        return attachments.find_upload(self, upload, lock=False)

    def attachment(self, author: CountryCode, message: MessageId, handle: Digest) -> AttachmentRow | None:
        return attachments.find_attachment(self, author, message, handle, lock=False)

    @property
    def healing(self) -> SqlHealing:
        return SqlHealing(self)

    @property
    def retention(self) -> SqlRetention:
        return SqlRetention(self, lock=False)

    def counts(self) -> Mapping[str, int]:
        counts = {f"outbox.{state}": 0 for state in OutboxState} | {f"inbox.{state}": 0 for state in InboxState}
        counts |= {"quarantine.dropped": 0, "parked.dropped": 0}
        counts |= {f"outbox.{row.state}": row.number for row in self.all(_OUTBOX_STATES)}
        counts |= {f"inbox.{row.state}": row.number for row in self.all(_INBOX_STATES)}
        counts |= {row.name: row.value for row in self.all(_DROPPED)}
        gauges = self.first(_GAUGES)
        if gauges is not None:
            counts |= {
                "quarantine": gauges.quarantine,
                "parked": gauges.parked,
                "attention": gauges.attention,
                "receipts.waiting": gauges.waiting,
            }
        return counts


def _of_office(authority: AuthorityId, dialect: str) -> Select[Any]:
    """Return what asks for those that an office takes part in; on SQLite in the list's order, or it would sort all of them."""
    main = unindexed(procedure.c.our_authority) if dialect == "sqlite" else procedure.c.our_authority
    joined = select(participant.c.procedure).where(participant.c.authority == authority)
    return _PROCEDURES.where(or_(main == authority, procedure.c.id.in_(joined)))


def _calls(
    authority: AuthorityId | None,
    peer: CountryCode | None,
    code: AttentionCode | None,
    last: Key | None,
    open_only: bool,
    many: bool = False,
) -> Select[Any]:
    """Return what asks for calls behind a place, newest first; `many` are open, where only those are asked for."""
    apart = open_only and not many
    statement, at = (_OPEN_ATTENTION, _AT) if apart else (_ATTENTION, attention.c.at)
    if many:
        statement = statement.where(_STILL_OPEN)
    for column, value in ((attention.c.authority, authority), (attention.c.peer, peer), (attention.c.code, code)):
        if value is not None:
            hidden = apart or (many and column is not attention.c.authority)
            statement = statement.where((unindexed(column) if hidden else column) == value)
    if last is not None:
        statement = statement.where(_before((at, attention.c.id), last))
    return statement


def _before(columns: tuple[Any, ...], last: Key) -> Any:
    """Return the condition that a row stands after the cursor in a list with the newest first."""
    plain = [type_coerce(columns[0], BigInteger()), *columns[1:]]
    return tuple_(*plain) < tuple_(*(literal(part) for part in last))
