# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Read-only views: pages newest first, single messages, gauges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, BindParameter, bindparam, func, literal, or_, select, tuple_, type_coerce

from broker.core.audit import Entry, Head, Linked
from broker.core.checkpoints import KeptCheckpoint
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, MessageId, ProcedureId
from broker.core.receipts import Receipt
from broker.core.record import RecordEntry
from broker.rows import (
    AttachmentRow,
    Attention,
    AuditFilter,
    HeldDraft,
    InboxState,
    MessageFilter,
    MessageRow,
    MessageTimes,
    OutboxState,
    Page,
    ParkedChunk,
    ProcedureRow,
    SeenRaw,
    TrustRow,
    UploadRow,
)
from broker.storage import attachments, drafts, held, people, procedures, receipts, search, trail, trust
from broker.storage.columns import to_milliseconds
from broker.storage.cursors import Key, from_cursor, to_cursor
from broker.storage.erasing import SqlRetention
from broker.storage.execution import Execution
from broker.storage.healing import SqlHealing
from broker.storage.lists import list_messages, message_times, messages_of, procedure_sent
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
_PROCEDURES_OF = (
    select(procedure).where(procedure.c.case_ref == bindparam("case")).order_by(procedure.c.opened, procedure.c.id)
)
_ATTENTION = select(attention).order_by(attention.c.at.desc(), attention.c.id.desc()).limit(_MOST)
_CALLED = (
    select(attention.c.id)
    .where(attention.c.subject == bindparam("subject_"), attention.c.code == bindparam("code_"))
    .limit(1)
)
_OPEN_CALLS = select(attention).where(
    attention.c.code.in_(bindparam("codes", expanding=True)), attention.c.resolved.is_(None)
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


class SqlReader:
    """Implements `ports.Reader`; its docstrings stand there."""

    __slots__ = ("_db",)

    def __init__(self, db: Execution) -> None:
        self._db = db

    def seen(self, digests: Collection[Digest]) -> Mapping[Digest, SeenRaw]:
        return held.seen(self._db, digests)

    def messages(self, wanted: MessageFilter, *, cursor: str | None, limit: int) -> Page:
        whole = wanted.procedure is not None and self.procedure(wanted.procedure, wanted.authority) is not None
        if whole:  # who takes part sees all of a procedure
            wanted = replace(wanted, authority=None)
        return list_messages(self._db, wanted, cursor=cursor, limit=limit)

    def messages_of(self, message: MessageId, authority: AuthorityId | None) -> tuple[MessageRow, ...]:
        return messages_of(self._db, message, authority)

    def message_times(self, limit: int) -> tuple[MessageTimes, ...]:
        return message_times(self._db, limit)

    def drafts(self, authority: AuthorityId | None, *, cursor: str | None, limit: int) -> Page:
        last = from_cursor(cursor, (int, str))
        after = None if last is None else (int(last[0]), str(last[1]))
        rows = drafts.drafts(self._db, authority, after=after, limit=limit + 1)
        items = rows[:limit]
        end = (to_milliseconds(items[-1].at), str(items[-1].id)) if items and len(rows) > limit else None
        return Page(items=items, next=None if end is None else to_cursor(end))

    def draft(self, message: MessageId, authority: AuthorityId | None) -> HeldDraft | None:
        row = drafts.find_draft(self._db, message)
        return row if row is not None and authority in {None, row.authority} else None

    def procedures(self, authority: AuthorityId | None, *, cursor: str | None, limit: int) -> Page:
        last = from_cursor(cursor, (int, str))
        statement = _PROCEDURES
        if authority is not None:
            joined = select(participant.c.procedure).where(participant.c.authority == authority)
            statement = statement.where(or_(procedure.c.our_authority == authority, procedure.c.id.in_(joined)))
        if last is not None:
            statement = statement.where(_before((procedure.c.opened, procedure.c.id), last))
        rows = self._db.listed(statement, {"most": limit + 1})
        items = tuple(procedures.procedure_row(row) for row in rows[:limit])
        ends = [(to_milliseconds(item.opened), str(item.ref.id)) for item in items]
        return Page(items=items, next=to_cursor(ends[-1]) if ends and len(rows) > limit else None)

    def procedure(self, procedure: ProcedureId, authority: AuthorityId | None) -> ProcedureRow | None:
        row = procedures.find_procedure(self._db, procedure)
        if row is None or authority is None or authority == row.our_authority:
            return row
        return row if procedures.takes_part(self._db, procedure, authority) else None

    def procedures_of(self, case: CaseRef, authority: AuthorityId | None) -> tuple[ProcedureRow, ...]:
        rows = self._db.listed(_PROCEDURES_OF, {"case": case})
        found = (procedures.procedure_row(row) for row in rows)
        return tuple(row for row in found if authority in {None, row.our_authority})

    def possible_procedures(
        self, terms: frozenset[str], authority: AuthorityId | None, *, cursor: str | None, limit: int
    ) -> Page:
        return search.possible(self._db, terms, authority, cursor=cursor, limit=limit)

    def search_owed(self, limit: int) -> tuple[ProcedureId, ...]:
        return search.owed(self._db, limit)

    def record(self, procedure: ProcedureId) -> tuple[RecordEntry, ...]:
        return procedures.record(self._db, procedure)

    def procedure_receipts(self, procedure: ProcedureId) -> tuple[Receipt, ...]:
        return receipts.procedure_receipts(self._db, procedure)

    def procedure_evidence(self, procedure: ProcedureId) -> tuple[Receipt, ...]:
        return receipts.procedure_evidence(self._db, procedure)

    def procedure_sent(self, procedure: ProcedureId) -> tuple[MessageTimes, ...]:
        return procedure_sent(self._db, procedure)

    def receipts_about(self, author: CountryCode, message: MessageId) -> tuple[Receipt, ...]:
        return receipts.receipts_about(self._db, author, message)

    def attention(self, authority: AuthorityId | None, *, open_only: bool, cursor: str | None, limit: int) -> Page:
        last = from_cursor(cursor, (int, int))
        statement = _ATTENTION
        if authority is not None:
            statement = statement.where(attention.c.authority == authority)
        if open_only:
            statement = statement.where(attention.c.resolved.is_(None))
        if last is not None:
            statement = statement.where(_before((attention.c.at, attention.c.id), last))
        rows = self._db.listed(statement, {"most": limit + 1})
        items = tuple(people.attention_row(row) for row in rows[:limit])
        ends = [(to_milliseconds(item.at), item.id) for item in items]
        return Page(items=items, next=to_cursor(ends[-1]) if ends and len(rows) > limit else None)

    def called(self, code: str, subject: str) -> bool:
        return self._db.first(_CALLED, {"code_": code, "subject_": subject}) is not None

    def open_calls(self, codes: Sequence[str]) -> tuple[Attention, ...]:
        return tuple(people.attention_row(row) for row in self._db.all(_OPEN_CALLS, {"codes": list(codes)}))

    def attention_entry(self, attention: int, authority: AuthorityId | None) -> Attention | None:
        row = self._db.first(_ONE_ATTENTION, {"number": attention})
        return people.attention_row(row) if row is not None and authority in {None, row.authority} else None

    def trust_list_at(self, version: int, at: datetime) -> TrustRow | None:
        return trust.in_force(self._db, version, at)

    def audit(self, *, cursor: str | None, limit: int, wanted: AuditFilter | None = None) -> Page:
        return trail.page(self._db, wanted, cursor=cursor, limit=limit)

    def unlinked_audit(self, limit: int) -> tuple[Entry, ...]:
        return trail.unlinked(self._db, limit)

    def audit_head(self) -> Head:
        return trail.head(self._db)

    def audit_trail(self, after: int, limit: int) -> tuple[Linked, ...]:
        return trail.linked(self._db, after, limit)

    def newest_checkpoint(self) -> KeptCheckpoint | None:
        return trail.newest_checkpoint(self._db)

    def checkpoints(self, after: int, limit: int) -> tuple[KeptCheckpoint, ...]:
        return trail.checkpoints(self._db, after, limit)

    def witnesses(self, country: CountryCode, after: Head, limit: int) -> tuple[KeptCheckpoint, ...]:
        return trail.witnesses(self._db, country, after, limit)

    def upload(self, upload: str) -> UploadRow | None:
        return attachments.find_upload(self._db, upload, lock=False)

    def attachment(self, author: CountryCode, message: MessageId, handle: Digest) -> AttachmentRow | None:
        return attachments.find_attachment(self._db, author, message, handle, lock=False)

    def attachments_of(self, author: CountryCode, message: MessageId) -> tuple[AttachmentRow, ...]:
        return attachments.attachments_of(self._db, author, message)

    def adoptable_chunks(self, limit: int) -> tuple[ParkedChunk, ...]:
        return attachments.adoptable_chunks(self._db, limit)

    def known_blobs(self, names: Sequence[str]) -> frozenset[str]:
        return attachments.known_blobs(self._db, names)

    @property
    def healing(self) -> SqlHealing:
        return SqlHealing(self._db)

    @property
    def retention(self) -> SqlRetention:
        return SqlRetention(self._db, lock=False)

    def counts(self) -> Mapping[str, int]:
        counts = {f"outbox.{state}": 0 for state in OutboxState} | {f"inbox.{state}": 0 for state in InboxState}
        counts |= {"quarantine.dropped": 0, "parked.dropped": 0}
        counts |= {f"outbox.{row.state}": row.number for row in self._db.all(_OUTBOX_STATES)}
        counts |= {f"inbox.{row.state}": row.number for row in self._db.all(_INBOX_STATES)}
        counts |= {row.name: row.value for row in self._db.all(_DROPPED)}
        gauges = self._db.first(_GAUGES)
        if gauges is not None:
            counts |= {
                "quarantine": gauges.quarantine,
                "parked": gauges.parked,
                "attention": gauges.attention,
                "receipts.waiting": gauges.waiting,
            }
        return counts


def _before(columns: tuple[Any, ...], last: Key) -> Any:
    """Return the condition that a row stands after the cursor in a list with the newest first."""
    plain = [type_coerce(columns[0], BigInteger()), *columns[1:]]
    return tuple_(*plain) < tuple_(*(literal(part) for part in last))
