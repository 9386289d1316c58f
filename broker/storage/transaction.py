# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The transaction that flows see: every statement of this room on one connection, for both databases."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection

from broker.core.ids import CountryCode, Digest, MessageId, ProcedureId
from broker.rows import AttachmentRow, KeptRecord, OutboxBrief, OutboxRow, OwedEntry, UploadRow
from broker.storage import attachments, case_keys, drafts, future, keys, people, procedures, search, trail, trust
from broker.storage import held as raw
from broker.storage import inbox as received
from broker.storage import outbox as sent
from broker.storage import outbox_steps as steps
from broker.storage import receipts as evidence
from broker.storage.at_rest import Cipher
from broker.storage.erasing import SqlRetention
from broker.storage.execution import Execution
from broker.storage.healing import SqlHealing

__all__ = ["SqlTransaction"]


class SqlTransaction(Execution):
    """Implements `ports.Transaction`, whose docstrings stand there; most are this room's functions as they are."""

    __slots__ = ("_us",)

    def __init__(
        self, connection: Connection, cipher: Cipher | None, us: CountryCode, *, settles: bool = False
    ) -> None:
        super().__init__(connection, cipher, settles=settles)
        self._us = us

    # idempotency

    find_idempotent = keys.find_idempotent
    add_idempotent = keys.add_idempotent
    idempotency_nonce = keys.nonce_of_key
    keep_returned = keys.keep_returned

    # procedures and their record

    lock_procedure = procedures.lock_procedure

    def lock_records(self, ids: Collection[ProcedureId]) -> tuple[KeptRecord, ...]:
        rows = procedures.lock_procedures(self, ids)
        entries, receipts = procedures.records(self, ids), evidence.receipts_of_procedures(self, ids)
        return tuple(
            KeptRecord(row=row, entries=tuple(entries[row.ref.id]), receipts=tuple(receipts[row.ref.id]))
            for row in rows
        )

    opened_by_others = procedures.opened_by_others
    add_procedure = procedures.add_procedure
    save_procedure = procedures.save_procedure
    save_offices = procedures.save_offices
    procedures_since = procedures.procedures_since
    record = procedures.record
    add_record_entry = procedures.add_record_entry
    make_stub = procedures.make_stub
    procedure_receipts = evidence.procedure_receipts

    # held messages

    add_draft = drafts.add_draft
    draft = drafts.find_draft
    settle_draft = drafts.settle_draft
    lapsed_drafts = drafts.lapsed_drafts

    # outbox

    add_outbox = sent.add_outbox

    def outbox(self, message: MessageId) -> OutboxRow | None:
        return sent.find_outbox(self, self._us, message)

    def outbox_briefs(self, messages: Collection[MessageId]) -> Mapping[MessageId, OutboxBrief]:
        return sent.outbox_briefs(self, self._us, messages)

    def lease_outbox(
        self,
        *,
        now: datetime,
        until: datetime,
        token: str,
        limit: int,
        only: Collection[CountryCode] = (),
        but: Collection[CountryCode] = (),
    ) -> tuple[OwedEntry, ...]:
        return sent.lease_outbox(self, self._us, now=now, until=until, token=token, limit=limit, only=only, but=but)

    save_sealed = steps.save_sealed
    mark_published = steps.mark_published
    retry_outbox = steps.retry_outbox
    give_up_receipts = steps.give_up_receipts
    reopen_outbox = steps.reopen_outbox
    settle_outbox = steps.settle_outbox
    outbox_sealed_with = steps.outbox_sealed_with
    unseal_receipts = steps.unseal_receipts
    outbox_waits = sent.outbox_waits
    set_right = future.set_right

    # inbox

    inbox = received.find_inbox
    add_inbox = received.add_inbox
    lease_inbox = received.lease_inbox
    retry_inbox = received.retry_inbox
    mark_handed_over = received.mark_handed_over
    mark_opened = received.mark_opened
    inbox_waits = received.inbox_waits
    inbox_signed_with = received.inbox_signed_with

    # receipts

    add_receipt = evidence.add_receipt
    add_receipts = evidence.add_receipts
    issue_receipt = evidence.issue_receipt
    heard_of = evidence.heard_of
    answers = evidence.answers
    receipt = evidence.find_receipt
    queue_receipts = evidence.queue_receipts
    requeue_receipts = evidence.requeue_receipts
    waiting_receipts = evidence.waiting_receipts
    peers_with_waiting_receipts = evidence.peers_with_waiting_receipts
    assign_receipts = evidence.assign_receipts

    # raw bytes, quarantine, parking

    save_seen = raw.save_seen
    quarantine = raw.quarantine_delivery
    park = raw.park
    due_parked = raw.due_parked
    hasten_parked = raw.hasten_parked
    unpark = raw.unpark
    count_abuse = raw.count_abuse

    # people

    raise_attention = people.raise_attention
    resolve_attention = people.resolve_attention
    resolve_attentions = people.resolve_attentions
    last_call = people.last_call
    shown = trail.shown
    audit = trail.add

    # the audit trail's chain

    audit_head = trail.head
    link_audit = trail.save_links
    audit_link = trail.link_at
    newest_checkpoint = trail.newest_checkpoint
    add_checkpoint = trail.add_checkpoint
    checkpoint_for = trail.checkpoint_for
    told_checkpoint = trail.told
    witnessed = trail.neighbours
    add_witness = trail.add_witness

    # the trust list

    trust_list = trust.newest
    trust_memory = trust.memory
    save_trust = trust.save

    # keys of cases

    hold_case = case_keys.hold_case
    destroy_case = case_keys.destroy_case
    begin_epoch = case_keys.begin_epoch
    rewrap_keys = case_keys.rewrap
    keys_before = case_keys.left_before
    renew_node_key = case_keys.renew_node_key

    # after a restore, how long cases are kept, searching by people

    @property
    def healing(self) -> SqlHealing:
        return SqlHealing(self)

    @property
    def retention(self) -> SqlRetention:
        return SqlRetention(self, lock=True)

    settle_search = search.settle

    # attachments

    add_upload = attachments.add_upload

    def upload(self, upload: str) -> UploadRow | None:
        return attachments.find_upload(self, upload, lock=True)

    count_uploads = attachments.count_uploads
    save_upload = attachments.save_upload
    keep_upload = attachments.keep_upload
    drop_upload = attachments.drop_upload
    old_uploads = attachments.old_uploads
    add_attachment = attachments.add_attachment

    def attachment(self, author: CountryCode, message: MessageId, handle: Digest) -> AttachmentRow | None:
        return attachments.find_attachment(self, author, message, handle, lock=True)

    attachments_of = attachments.attachments_of
    save_attachment = attachments.save_attachment

    def lease_leaving(
        self,
        *,
        now: datetime,
        until: datetime,
        limit: int,
        only: Collection[CountryCode] = (),
        but: Collection[CountryCode] = (),
    ) -> tuple[AttachmentRow, ...]:
        return attachments.lease_leaving(self, self._us, now=now, until=until, limit=limit, only=only, but=but)

    def lease_arriving(self, *, now: datetime, until: datetime, limit: int) -> tuple[AttachmentRow, ...]:
        return attachments.lease_arriving(self, self._us, now=now, until=until, limit=limit)

    complete_inbox = received.complete_inbox
    park_chunk = attachments.park_chunk
    unpark_chunk = attachments.unpark_chunk

    # how long it takes to be sure

    def may_be_lost(self) -> None:  # heeded on PostgreSQL; on SQLite several transactions share one wait anyway
        self.lasting = False

    # one worker at a time

    take_lease = keys.take_lease
