# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that a flow may read and write in one commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from broker.core.ids import AuthorityId, CountryCode, Digest, KeyId, MessageId, ProcedureId
from broker.core.messages import InboxEntry, OutboxEntry, RecordEntry, SealedEnvelope
from broker.core.receipts import Receipt, ReceiptKind
from broker.ports.attachments import AttachmentWriter
from broker.ports.case_keys import CaseKeys
from broker.ports.healing import HealingWriter
from broker.ports.retention import RetentionWriter
from broker.ports.trail import TrailWriter
from broker.rows import (
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
    OwedEntry,
    ProcedureRow,
    SeenRaw,
    TrustRow,
)

__all__ = ["Transaction"]


class Transaction(TrailWriter, CaseKeys, AttachmentWriter, Protocol):
    """Everything a flow may read and write, synchronously, in one commit."""

    # idempotency
    def find_idempotent(self, scope: str, key: str) -> Idempotent | None: ...
    def add_idempotent(self, row: Idempotent, now: datetime) -> bool:
        """Keep the answer of a new key. False: it has one already, or its message came back after a restore."""
        ...

    def idempotency_nonce(self, scope: str, key: str) -> str:
        """Return the nonce of the message that a key stands for: 16 bytes, base64url, which only our vault can tell."""
        ...

    def keep_returned(self, nonce: str, message: MessageId, now: datetime) -> None:
        """Let the key with that nonce stand for a message that came back after a restore."""
        ...

    # procedures and their record
    def lock_procedure(self, procedure: ProcedureId) -> ProcedureRow | None:
        """Return the row, locked until the end of the transaction."""
        ...

    def lock_records(self, ids: Collection[ProcedureId]) -> tuple[KeptRecord, ...]:
        """Return the procedures that there are, each locked as above, with their records and the answers in them."""
        ...

    def opened_by_others(self, since: datetime, until: datetime) -> Mapping[CountryCode, int]:
        """Return how many procedures each other country opened here between two moments, the second not included."""
        ...

    def procedures_since(self, name: str, peer: CountryCode, since: datetime) -> tuple[ProcedureRow, ...]:
        """Return the procedures of that name with a country that were begun here since then, oldest first."""
        ...

    def add_procedure(self, row: ProcedureRow) -> None: ...
    def save_procedure(self, row: ProcedureRow) -> None:
        """Store state, alarm and gap of an existing row."""
        ...

    def save_offices(self, row: ProcedureRow, taking_part: Sequence[AuthorityId]) -> None:
        """Store the two main offices of an existing row, and all offices of ours that take part now."""
        ...

    def record(self, procedure: ProcedureId) -> tuple[RecordEntry, ...]:
        """Return all entries of the procedure's record, in no particular order."""
        ...

    def add_record_entry(self, procedure: ProcedureId, entry: RecordEntry) -> None: ...
    def make_stub(self, procedure: ProcedureId, digest: Digest, code: str) -> None:
        """Turn a recorded message into a stub by the recipient's signed refusal."""
        ...

    def procedure_receipts(self, procedure: ProcedureId) -> tuple[Receipt, ...]:
        """Return the delivered and refused receipts, issued and received, about the record's messages."""
        ...

    # outbox
    def add_outbox(self, entry: OutboxEntry, *, next_at: datetime, terms: frozenset[str] = frozenset()) -> None:
        """Owe a message, and let it be found by those terms (`core.persons`)."""
        ...

    def outbox(self, message: MessageId) -> OutboxRow | None: ...
    def outbox_briefs(self, messages: Collection[MessageId]) -> Mapping[MessageId, OutboxBrief]:
        """Return what receipts are held against, without content, of those messages that there are."""
        ...

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
        """Lease entries in state RECORDED whose next_at has come and whose lease is free or over; oldest first.

        Args:
            now, until, token, limit: the lease.
            only: the recipients, if any are named.
            but: the recipients whose entries are left.
        """
        ...

    def save_sealed(self, envelopes: Sequence[SealedEnvelope], *, token: str) -> frozenset[MessageId]:
        """Store sealed bytes before publishing; return whose lease still holds: the others are not published."""
        ...

    def mark_published(self, messages: Sequence[MessageId], *, at: datetime, token: str) -> int:
        """RECORDED → PUBLISHED, or the step reached before (receipts: → DONE), leases released; return how many held."""
        ...

    def retry_outbox(self, message: MessageId, *, next_at: datetime, error: str, token: str) -> bool:
        """Count an attempt, set the next one, release the lease."""
        ...

    def give_up_receipts(self, message: MessageId, *, at: datetime, error: str, token: str) -> bool:
        """Let what a node itself says never leave, and release the lease: it does not open. False: the lease is lost."""
        ...

    def reopen_outbox(
        self, message: MessageId, *, now: datetime, reseal: bool, count_resend: bool, delivered_too: bool = False
    ) -> bool:
        """Back to RECORDED for another publish; with reseal the sealed bytes are dropped. False: already final.

        Args:
            message: the entry.
            now: when it is due.
            reseal: drop the sealed bytes.
            count_resend: it is one of those that the node makes by itself.
            delivered_too: also what was delivered or handed over; publishing brings it back to the step it had reached.
        """
        ...

    def settle_outbox(self, receipts: Iterable[Receipt]) -> int:
        """Move the entries that the receipts are for up the evidence ladder, never down; return how many changed."""
        ...

    def outbox_sealed_with(self, kids: frozenset[KeyId]) -> tuple[MessageId, ...]:
        """Return entries RECORDED or PUBLISHED whose sealed bytes used one of these keys."""
        ...

    def unseal_receipts(self, kids: frozenset[KeyId], *, since: datetime, limit: int) -> tuple[MessageId, ...]:
        """Drop the sealed bytes of receipts envelopes that were published since then under one of these keys.

        Returns:
            Which envelopes those are: their receipts may never have been believed.
        """
        ...

    def outbox_waits(self, message: MessageId, *, state: OutboxState, since: datetime) -> bool:
        """Whether an entry is still in the state that it stepped into at that time: what was read before may be settled."""
        ...

    def set_right(self, *, now: datetime) -> bool:
        """Let what happened here at a time that is still hours ahead have happened now: our clock was set right since.

        It is of calls that are open, of when something that people are called for began to wait, and of when what came was
        handed over, by which deadlines are counted here; what is signed stays.

        Returns:
            Whether a message of ours, which its recipient has not opened yet, was recorded or went on at such a time.
        """
        ...

    # held messages
    def add_draft(self, row: HeldDraft) -> None: ...
    def draft(self, message: MessageId) -> HeldDraft | None:
        """Return a held message, or what became of it."""
        ...

    def settle_draft(self, message: MessageId, state: DraftState, *, by: str, at: datetime, decision: str) -> bool:
        """Say what became of one that waits; its content is forgotten. False: it waits no more."""
        ...

    def lapsed_drafts(self, *, before: datetime, limit: int) -> tuple[HeldDraft, ...]:
        """Return what has waited since before that time, oldest first, without content."""
        ...

    # inbox
    def inbox(self, sender: CountryCode, message: MessageId) -> InboxRow | None: ...
    def add_inbox(
        self,
        entry: InboxEntry,
        *,
        next_at: datetime | None,
        handed_over: datetime | None = None,
        terms: frozenset[str] = frozenset(),
    ) -> bool:
        """False: another worker recorded (sender, id) first; nothing was written.

        Args:
            entry: the message.
            next_at: when an adapter is offered it; None where there is none.
            handed_over: since when the officers' inbox has it, where there is none.
            terms: what it is found by (`core.persons`).
        """
        ...

    def lease_inbox(
        self,
        *,
        now: datetime,
        until: datetime,
        token: str,
        limit: int,
        only: Collection[AuthorityId] = (),
        but: Collection[AuthorityId] = (),
    ) -> tuple[InboxRow | InboxBrief, ...]:
        """Lease what is due to be handed over, oldest first; of what is damaged only a brief.

        Args:
            now, until, token, limit: the lease; where all of so many had failed before, as many again that never did.
            only: the offices, if any are named.
            but: the offices whose entries are left.
        """
        ...

    def retry_inbox(
        self, sender: CountryCode, message: MessageId, *, next_at: datetime, error: str, token: str
    ) -> bool: ...
    def mark_handed_over(self, sender: CountryCode, message: MessageId, *, at: datetime, token: str) -> bool: ...
    def mark_opened(self, sender: CountryCode, message: MessageId, *, at: datetime) -> bool:
        """False: it was opened before."""
        ...

    def complete_inbox(
        self, sender: CountryCode, message: MessageId, *, next_at: datetime | None, handed_over: datetime | None
    ) -> None:
        """Let an entry that waited for its attachments go on, as `add_inbox` would have."""
        ...

    def inbox_waits(self, sender: CountryCode, message: MessageId, *, state: InboxState, since: datetime) -> bool:
        """Whether an entry is still in the state that it stepped into at that time: what was read before may be settled."""
        ...

    def inbox_signed_with(self, kid: KeyId, *, since: datetime) -> tuple[MessageId, ...]:
        """Return the messages that a signature by that key made believed since then, oldest first."""
        ...

    # receipts
    def add_receipt(self, receipt: Receipt, *, issued: bool) -> bool:
        """Store it once per (issuer, author, message, kind); issued ones wait for an envelope. False: held already.

        One that supersedes the held one (`core.receipts.supersedes`) takes its place.
        """
        ...

    def add_receipts(self, receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
        """Store what a peer issued in the same way, and return what was new; of two of one key the first counts."""
        ...

    def issue_receipt(self, receipt: Receipt) -> None:
        """Store what we issue in the same way, where it does not matter whether it was held already."""
        ...

    def heard_of(self, issuer: CountryCode, author: CountryCode, message: MessageId) -> bool:
        """Return whether that issuer answered about the message, or attachments of it are known."""
        ...

    def answers(self, issuer: CountryCode, author: CountryCode, message: MessageId) -> tuple[Receipt, ...]:
        """Return that issuer's delivered and refused receipts about one message."""
        ...

    def receipt(
        self, issuer: CountryCode, author: CountryCode, message: MessageId, kind: ReceiptKind
    ) -> Receipt | None: ...
    def queue_receipts(self, author: CountryCode, message: MessageId, *, now: datetime) -> None:
        """Let the stored receipts about that message be sent again, each at most once a minute."""
        ...

    def requeue_receipts(self, envelopes: Sequence[MessageId]) -> None:
        """Let the receipts that last travelled in these envelopes be sent again, however lately those left."""
        ...

    def waiting_receipts(self, peer: CountryCode, limit: int) -> tuple[Receipt, ...]: ...
    def peers_with_waiting_receipts(self) -> tuple[CountryCode, ...]:
        """Return peers that are owed receipts and have no receipts envelope in state RECORDED."""
        ...

    def assign_receipts(self, receipts: Sequence[Receipt], envelope: MessageId) -> None:
        """The receipts travel in that envelope; they no longer wait."""
        ...

    # raw bytes, quarantine, parking
    def save_seen(self, row: SeenRaw) -> None: ...
    def quarantine(self, held: HeldDelivery, *, max_items: int, max_bytes: int) -> None:
        """Keep the newest within the limits per broker user, count what was dropped."""
        ...

    def park(self, held: HeldDelivery, *, max_items: int, max_bytes: int) -> None: ...
    def due_parked(self, *, now: datetime, limit: int) -> tuple[HeldDelivery, ...]:
        """Return what is to be offered again; what does not open is dropped and counted, for its sender still has it."""
        ...

    def hasten_parked(self, *, now: datetime) -> None:
        """Let all of it be due."""
        ...

    def unpark(self, sha256: Digest) -> None: ...
    def count_abuse(self, user: str, code: str, at: datetime) -> int:
        """Count a broken publishing rule; return the total of that user and code."""
        ...

    # people
    def raise_attention(self, attention: Attention) -> bool:
        """Open an entry; False where one of that code and subject is open already."""
        ...

    def resolve_attention(self, code: str, subject: str, *, at: datetime, by: str) -> bool: ...
    def resolve_attentions(self, codes: Sequence[str], subject: str, *, at: datetime, by: str) -> int:
        """Close every open entry of these codes about one subject; return how many those were."""
        ...

    def last_call(self, code: str, subject: str) -> Attention | None:
        """Return the newest entry of that code and subject, open or closed."""
        ...

    def shown(self, actor: str, *, since: datetime) -> frozenset[ProcedureId]:
        """Return the procedures of which that person was shown something since, by the audit trail."""
        ...

    def audit(self, row: AuditRow) -> None:
        """Add a row to the audit trail; it is linked into the chain afterwards."""
        ...

    # the trust list
    def trust_list(self) -> TrustRow | None:
        """Return the list that was taken last."""
        ...

    def trust_memory(self) -> Mapping[str, bytes]:
        """Return what the next look for a list must know of the last one, by file name."""
        ...

    def save_trust(self, row: TrustRow, memory: Mapping[str, bytes]) -> bool:
        """Keep what a look gave. False: the list is the one that was taken last; it notes when the look began."""
        ...

    # after a restore, and how long cases are kept
    @property
    def healing(self) -> HealingWriter:
        """Return what concerns the asking after a restore."""
        ...

    @property
    def retention(self) -> RetentionWriter:
        """What was decided about keeping and erasing."""
        ...

    # searching by people; what is stored of a term is a bucket that many share
    def settle_search(self, procedure: ProcedureId, terms: frozenset[str]) -> None:
        """Let a procedure that is owed it be found by all that its messages say."""
        ...

    # how long it takes to be sure
    def may_be_lost(self) -> None:
        """Say that a crash of the database may undo this transaction, but none that a later transaction waited for.

        For what is merely done again then, and of which nothing leaves before a transaction behind it, without this word,
        has been committed: a database writes in order, so what that one waits for takes this one along to the disk.
        """
        ...

    # one worker at a time
    def take_lease(self, name: str, *, token: str, now: datetime, until: datetime) -> bool:
        """Take or renew a named lease. False: another worker holds it."""
        ...
