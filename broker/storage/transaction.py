# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The transaction that flows see: every statement of this room on one connection, for both databases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from broker.core.audit import Entry, Head, Linked
from broker.core.checkpoints import KeptCheckpoint
from broker.core.ids import AuthorityId, CountryCode, Digest, KeyId, MessageId, ProcedureId
from broker.core.messages import InboxEntry, OutboxEntry, SealedEnvelope
from broker.core.receipts import Receipt, ReceiptKind
from broker.core.record import RecordEntry
from broker.rows import (
    AttachmentRow,
    Attention,
    AuditRow,
    DraftState,
    HeldDelivery,
    HeldDraft,
    Idempotent,
    InboxBrief,
    InboxRow,
    InboxState,
    KeptRecord,
    OutboxBrief,
    OutboxRow,
    OutboxState,
    OverdueEntry,
    OwedEntry,
    ParkedChunk,
    ProcedureRow,
    SeenRaw,
    TrustRow,
    UploadRow,
)
from broker.security.at_rest import Scope
from broker.storage import (
    attachments,
    case_keys,
    drafts,
    inbox,
    keys,
    outbox,
    outbox_steps,
    people,
    procedures,
    search,
    trail,
    trust,
)
from broker.storage import held as raw
from broker.storage import receipts as evidence
from broker.storage.erasing import SqlRetention
from broker.storage.execution import Execution
from broker.storage.healing import SqlHealing

__all__ = ["SqlTransaction"]


class SqlTransaction:
    """Implements `ports.Transaction`; its docstrings stand there."""

    __slots__ = ("_db", "_us")

    def __init__(self, db: Execution, us: CountryCode) -> None:
        self._db = db
        self._us = us

    # idempotency

    def find_idempotent(self, scope: str, key: str) -> Idempotent | None:
        return keys.find_idempotent(self._db, scope, key)

    def add_idempotent(self, row: Idempotent, now: datetime) -> bool:
        return keys.add_idempotent(self._db, row, now)

    def idempotency_nonce(self, scope: str, key: str) -> str:
        return keys.nonce_of_key(self._db, scope, key)

    def keep_returned(self, nonce: str, message: MessageId, now: datetime) -> None:
        keys.keep_returned(self._db, nonce, message, now)

    # procedures and their record

    def lock_procedure(self, procedure: ProcedureId) -> ProcedureRow | None:
        return procedures.lock_procedure(self._db, procedure)

    def lock_records(self, ids: Collection[ProcedureId]) -> tuple[KeptRecord, ...]:
        rows = procedures.lock_procedures(self._db, ids)
        entries, receipts = procedures.records(self._db, ids), evidence.receipts_of_procedures(self._db, ids)
        return tuple(
            KeptRecord(row=row, entries=tuple(entries[row.ref.id]), receipts=tuple(receipts[row.ref.id]))
            for row in rows
        )

    def add_procedure(self, row: ProcedureRow) -> None:
        procedures.add_procedure(self._db, row)

    def add_draft(self, row: HeldDraft) -> None:
        drafts.add_draft(self._db, row)

    def draft(self, message: MessageId) -> HeldDraft | None:
        return drafts.find_draft(self._db, message)

    def settle_draft(self, message: MessageId, state: DraftState, *, by: str, at: datetime, decision: str) -> bool:
        return drafts.settle_draft(self._db, message, state, by=by, at=at, decision=decision)

    def lapsed_drafts(self, *, before: datetime, limit: int) -> tuple[HeldDraft, ...]:
        return drafts.lapsed_drafts(self._db, before=before, limit=limit)

    def save_procedure(self, row: ProcedureRow) -> None:
        procedures.save_procedure(self._db, row)

    def save_offices(self, row: ProcedureRow, taking_part: Sequence[AuthorityId]) -> None:
        procedures.save_offices(self._db, row, taking_part)

    def record(self, procedure: ProcedureId) -> tuple[RecordEntry, ...]:
        return procedures.record(self._db, procedure)

    def add_record_entry(self, procedure: ProcedureId, entry: RecordEntry) -> None:
        procedures.add_record_entry(self._db, procedure, entry)

    def make_stub(self, procedure: ProcedureId, digest: Digest, code: str) -> None:
        procedures.make_stub(self._db, procedure, digest, code)

    def procedure_receipts(self, procedure: ProcedureId) -> tuple[Receipt, ...]:
        return evidence.procedure_receipts(self._db, procedure)

    # outbox

    def add_outbox(self, entry: OutboxEntry, *, next_at: datetime, terms: frozenset[str] = frozenset()) -> None:
        outbox.add_outbox(self._db, entry, next_at=next_at, terms=terms)

    def outbox(self, message: MessageId) -> OutboxRow | None:
        return outbox.find_outbox(self._db, self._us, message)

    def outbox_briefs(self, messages: Collection[MessageId]) -> Mapping[MessageId, OutboxBrief]:
        return outbox.outbox_briefs(self._db, messages)

    def lease_outbox(self, *, now: datetime, until: datetime, token: str, limit: int) -> tuple[OwedEntry, ...]:
        return outbox.lease_outbox(self._db, self._us, now=now, until=until, token=token, limit=limit)

    def save_sealed(self, envelopes: Sequence[SealedEnvelope], *, token: str) -> frozenset[MessageId]:
        return outbox_steps.save_sealed(self._db, envelopes, token=token)

    def mark_published(self, messages: Sequence[MessageId], *, at: datetime, token: str) -> int:
        return outbox_steps.mark_published(self._db, messages, at=at, token=token)

    def retry_outbox(self, message: MessageId, *, next_at: datetime, error: str, token: str) -> bool:
        return outbox_steps.retry_outbox(self._db, message, next_at=next_at, error=error, token=token)

    def reopen_outbox(
        self, message: MessageId, *, now: datetime, reseal: bool, count_resend: bool, delivered_too: bool = False
    ) -> bool:
        return outbox_steps.reopen_outbox(
            self._db, message, now=now, reseal=reseal, count_resend=count_resend, delivered_too=delivered_too
        )

    def settle_outbox(self, receipts: Iterable[Receipt]) -> int:
        return outbox_steps.settle_outbox(self._db, receipts)

    def outbox_sealed_with(self, kids: frozenset[KeyId]) -> tuple[MessageId, ...]:
        return outbox_steps.outbox_sealed_with(self._db, kids)

    def unseal_receipts(self, kids: frozenset[KeyId], *, since: datetime, limit: int) -> tuple[MessageId, ...]:
        return outbox_steps.unseal_receipts(self._db, kids, since=since, limit=limit)

    def overdue_outbox(
        self, *, state: OutboxState, before: datetime, limit: int, after: OverdueEntry | None = None
    ) -> tuple[OverdueEntry, ...]:
        return outbox.overdue_outbox(self._db, state=state, before=before, limit=limit, after=after)

    def newest_receipted(self, peer: CountryCode) -> datetime | None:
        return outbox.newest_receipted(self._db, peer)

    # inbox

    def inbox(self, sender: CountryCode, message: MessageId) -> InboxRow | None:
        return inbox.find_inbox(self._db, sender, message)

    def add_inbox(
        self,
        entry: InboxEntry,
        *,
        next_at: datetime | None,
        handed_over: datetime | None = None,
        terms: frozenset[str] = frozenset(),
    ) -> bool:
        return inbox.add_inbox(self._db, entry, next_at=next_at, handed_over=handed_over, terms=terms)

    def lease_inbox(
        self, *, now: datetime, until: datetime, token: str, limit: int
    ) -> tuple[InboxRow | InboxBrief, ...]:
        return inbox.lease_inbox(self._db, now=now, until=until, token=token, limit=limit)

    def retry_inbox(
        self, sender: CountryCode, message: MessageId, *, next_at: datetime, error: str, token: str
    ) -> bool:
        return inbox.retry_inbox(self._db, sender, message, next_at=next_at, error=error, token=token)

    def mark_handed_over(self, sender: CountryCode, message: MessageId, *, at: datetime, token: str) -> bool:
        return inbox.mark_handed_over(self._db, sender, message, at=at, token=token)

    def mark_opened(self, sender: CountryCode, message: MessageId, *, at: datetime) -> bool:
        return inbox.mark_opened(self._db, sender, message, at=at)

    def overdue_inbox(
        self, *, state: InboxState, before: datetime, limit: int, after: InboxBrief | None = None
    ) -> tuple[InboxBrief, ...]:
        return inbox.overdue_inbox(self._db, state=state, before=before, limit=limit, after=after)

    def inbox_signed_with(self, kid: KeyId, *, since: datetime) -> tuple[MessageId, ...]:
        return inbox.inbox_signed_with(self._db, kid, since=since)

    # receipts

    def add_receipt(self, receipt: Receipt, *, issued: bool) -> bool:
        return evidence.add_receipt(self._db, receipt, issued=issued)

    def add_receipts(self, receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
        return evidence.add_receipts(self._db, receipts)

    def issue_receipt(self, receipt: Receipt) -> None:
        evidence.issue_receipt(self._db, receipt)

    def heard_of(self, issuer: CountryCode, author: CountryCode, message: MessageId) -> bool:
        return evidence.heard_of(self._db, issuer, author, message)

    def answers(self, issuer: CountryCode, author: CountryCode, message: MessageId) -> tuple[Receipt, ...]:
        return evidence.answers(self._db, issuer, author, message)

    def receipt(
        self, issuer: CountryCode, author: CountryCode, message: MessageId, kind: ReceiptKind
    ) -> Receipt | None:
        return evidence.find_receipt(self._db, issuer, author, message, kind)

    def queue_receipts(self, author: CountryCode, message: MessageId, *, now: datetime) -> None:
        evidence.queue_receipts(self._db, author, message, now=now)

    def waiting_receipts(self, peer: CountryCode, limit: int) -> tuple[Receipt, ...]:
        return evidence.waiting_receipts(self._db, peer, limit)

    def peers_with_waiting_receipts(self) -> tuple[CountryCode, ...]:
        return evidence.peers_with_waiting_receipts(self._db)

    def assign_receipts(self, receipts: Sequence[Receipt], envelope: MessageId) -> None:
        evidence.assign_receipts(self._db, receipts, envelope)

    # raw bytes, quarantine, parking

    def save_seen(self, row: SeenRaw) -> None:
        raw.save_seen(self._db, row)

    def quarantine(self, held: HeldDelivery, *, max_items: int, max_bytes: int) -> None:
        raw.quarantine_delivery(self._db, held, max_items=max_items, max_bytes=max_bytes)

    def park(self, held: HeldDelivery, *, max_items: int, max_bytes: int) -> None:
        raw.park(self._db, held, max_items=max_items, max_bytes=max_bytes)

    def due_parked(self, *, now: datetime, limit: int) -> tuple[HeldDelivery, ...]:
        return raw.due_parked(self._db, now=now, limit=limit)

    def hasten_parked(self, *, now: datetime) -> None:
        raw.hasten_parked(self._db, now=now)

    def unpark(self, sha256: Digest) -> None:
        raw.unpark(self._db, sha256)

    def count_abuse(self, user: str, code: str, at: datetime) -> int:
        return raw.count_abuse(self._db, user, code, at)

    # people

    def raise_attention(self, attention: Attention) -> bool:
        return people.raise_attention(self._db, attention)

    def resolve_attention(self, code: str, subject: str, *, at: datetime, by: str) -> bool:
        return people.resolve_attention(self._db, code, subject, at=at, by=by)

    def resolve_attentions(self, codes: Sequence[str], subject: str, *, at: datetime, by: str) -> int:
        return people.resolve_attentions(self._db, codes, subject, at=at, by=by)

    def last_call(self, code: str, subject: str) -> Attention | None:
        return people.last_call(self._db, code, subject)

    def shown(self, actor: str, *, since: datetime) -> frozenset[ProcedureId]:
        return trail.shown(self._db, actor, since)

    def audit(self, row: AuditRow) -> None:
        trail.add(self._db, row)

    # the audit trail's chain

    def audit_head(self) -> Head:
        return trail.head(self._db)

    def link_audit(self, entries: Sequence[Entry], links: Sequence[Linked]) -> None:
        trail.save_links(self._db, entries, links)

    def audit_link(self, position: int) -> Digest | None:
        return trail.link_at(self._db, position)

    def cut_audit(self, position: int) -> int:
        return trail.cut(self._db, position)

    def newest_checkpoint(self) -> KeptCheckpoint | None:
        return trail.newest_checkpoint(self._db)

    def add_checkpoint(self, kept: KeptCheckpoint, *, instead_of: KeptCheckpoint | None = None) -> bool:
        return trail.add_checkpoint(self._db, kept, instead_of=instead_of)

    def checkpoint_for(self, peer: CountryCode) -> KeptCheckpoint | None:
        return trail.checkpoint_for(self._db, peer)

    def told_checkpoint(self, peer: CountryCode, position: int) -> None:
        trail.told(self._db, peer, position)

    def witnessed(self, country: CountryCode, position: int) -> tuple[KeptCheckpoint, ...]:
        return trail.neighbours(self._db, country, position)

    def add_witness(
        self, country: CountryCode, kept: KeptCheckpoint, *, instead_of: KeptCheckpoint | None = None
    ) -> bool:
        return trail.add_witness(self._db, country, kept, instead_of=instead_of)

    # the trust list

    def trust_list(self) -> TrustRow | None:
        return trust.newest(self._db)

    def trust_memory(self) -> Mapping[str, bytes]:
        return trust.memory(self._db)

    def save_trust(self, row: TrustRow, memory: Mapping[str, bytes]) -> bool:
        return trust.save(self._db, row, memory)

    # keys of cases

    def destroy_case(self, scope: Scope, at: datetime) -> bool:
        return case_keys.destroy_case(self._db, scope, at)

    def begin_epoch(self, number: int) -> None:
        case_keys.begin_epoch(self._db, number)

    def rewrap_keys(self, number: int, *, limit: int) -> int:
        return case_keys.rewrap(self._db, number, limit)

    @property
    def healing(self) -> SqlHealing:
        return SqlHealing(self._db)

    @property
    def retention(self) -> SqlRetention:
        return SqlRetention(self._db, lock=True)

    def keys_before(self, number: int) -> int:
        return case_keys.left_before(self._db, number)

    def epoch_owed(self) -> bool:
        return case_keys.epoch_owed(self._db)

    # searching by people

    def settle_search(self, procedure: ProcedureId, terms: frozenset[str]) -> None:
        search.settle(self._db, procedure, terms)

    # attachments

    def add_upload(self, row: UploadRow) -> None:
        attachments.add_upload(self._db, row)

    def upload(self, upload: str) -> UploadRow | None:
        return attachments.find_upload(self._db, upload, lock=True)

    def count_uploads(self, authority: AuthorityId) -> int:
        return attachments.count_uploads(self._db, authority)

    def save_upload(self, row: UploadRow) -> None:
        attachments.save_upload(self._db, row)

    def keep_upload(self, upload: str, *, at: datetime) -> None:
        attachments.keep_upload(self._db, upload, at=at)

    def drop_upload(self, upload: str) -> None:
        attachments.drop_upload(self._db, upload)

    def old_uploads(self, *, before: datetime, limit: int) -> tuple[UploadRow, ...]:
        return attachments.old_uploads(self._db, before=before, limit=limit)

    def add_attachment(self, row: AttachmentRow) -> bool:
        return attachments.add_attachment(self._db, row)

    def attachment(self, author: CountryCode, message: MessageId, handle: Digest) -> AttachmentRow | None:
        return attachments.find_attachment(self._db, author, message, handle, lock=True)

    def attachments_of(self, author: CountryCode, message: MessageId) -> tuple[AttachmentRow, ...]:
        return attachments.attachments_of(self._db, author, message)

    def save_attachment(self, row: AttachmentRow) -> None:
        attachments.save_attachment(self._db, row)

    def lease_leaving(self, *, now: datetime, until: datetime, limit: int) -> tuple[AttachmentRow, ...]:
        return attachments.lease_leaving(self._db, self._us, now=now, until=until, limit=limit)

    def lease_arriving(self, *, now: datetime, until: datetime, limit: int) -> tuple[AttachmentRow, ...]:
        return attachments.lease_arriving(self._db, self._us, now=now, until=until, limit=limit)

    def release_inbox(
        self, sender: CountryCode, message: MessageId, *, next_at: datetime | None, handed_over: datetime | None
    ) -> None:
        inbox.release_inbox(self._db, sender, message, next_at=next_at, handed_over=handed_over)

    def park_chunk(self, chunk: ParkedChunk, *, max_items: int) -> tuple[ParkedChunk, ...]:
        return attachments.park_chunk(self._db, chunk, max_items=max_items)

    def unpark_chunk(self, blob: str) -> None:
        attachments.unpark_chunk(self._db, blob)

    # how long it takes to be sure

    def may_be_lost(self) -> None:  # heeded on PostgreSQL; on SQLite several transactions share one wait anyway
        self._db.lasting = False

    # one worker at a time

    def take_lease(self, name: str, *, token: str, now: datetime, until: datetime) -> bool:
        return keys.take_lease(self._db, name, token=token, now=now, until=until)
