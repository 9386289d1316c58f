# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The doors to what a node keeps: its database, read-only views on it, and bytes too large for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from broker.core.attention import AttentionCode
from broker.core.audit import Entry, Head, Linked
from broker.core.checkpoints import KeptCheckpoint
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, MessageId, MessageType, ProcedureId
from broker.core.messages import RecordEntry
from broker.core.receipts import Receipt
from broker.ports.healing import HealingReader
from broker.ports.retention import RetentionReader
from broker.ports.transaction import Transaction
from broker.rows import (
    AttachmentRow,
    Attention,
    AuditFilter,
    Declaration,
    HeldDraft,
    InboxBrief,
    InboxState,
    MessageFilter,
    MessageRow,
    MessageTimes,
    OutboxState,
    OverdueEntry,
    Page,
    ParkedChunk,
    ProcedureRow,
    SeenRaw,
    Touched,
    TrustRow,
    UploadRow,
)

__all__ = ["Blobs", "Reader", "Store"]

T = TypeVar("T")


class Reader(Protocol):
    """Read-only views on a connection of their own; synchronous like a transaction."""

    def seen(self, digests: Collection[Digest]) -> Mapping[Digest, SeenRaw]:
        """Return what was decided about those of these raw bytes that came before."""
        ...

    def overdue_outbox(
        self, us: CountryCode, *, state: OutboxState, code: AttentionCode, after: datetime | None, until: datetime, limit: int
    ) -> tuple[OverdueEntry, ...]:  # fmt: skip
        """Return casework that is in a state for too long, and for which no call of a code is open, latest first.

        Args:
            us: this node's country.
            state: that it waits in.
            code: of the call.
            after, until: between which moments it stepped into the state, `after` not included.
            limit: how many.
        """
        ...

    def lost_outbox(self, *, now: datetime, limit: int) -> tuple[OverdueEntry, ...]:
        """Return published casework for which there is a sign of loss, and that was not sent again too often, latest first.

        It is one that its country has answered something which was published well after it; nothing later than now counts.
        """
        ...

    def overdue_inbox(
        self, *, state: InboxState, code: AttentionCode, after: datetime | None, until: datetime, limit: int
    ) -> tuple[InboxBrief, ...]:
        """Return what was received and is in a state for too long, as `overdue_outbox`; without content."""
        ...

    def messages(self, wanted: MessageFilter, *, cursor: str | None, limit: int, readable_only: bool = False) -> Page:
        """Return a page of messages without their content, newest first.

        Args:
            wanted: what the list is limited to.
            cursor: where the page before it ended; None: the first page.
            limit: how many.
            readable_only: count what does not open, for a person who looks for others. What decides about something must
                not pass it by: it raises.

        Raises:
            BadCursor: the cursor is not one of this list.
            CaseKeyMissing, StoreCorrupt: one of them does not open, and `readable_only` is not set.
        """
        ...

    def messages_of(self, message: MessageId, authority: AuthorityId | None) -> tuple[MessageRow, ...]:
        """Return every message of that id with its content, ours first; several countries may have used one id."""
        ...

    def declarations(self, kind: MessageType, *, over: frozenset[str], limit: int) -> tuple[Declaration, ...]:
        """Return the newest that the opener of each procedure of any office says in it, ours before theirs.

        The newest is what follows the others in the record, whatever the ids and the clocks say.

        Args:
            kind: type of the messages; those that were refused are none.
            over: states in which a procedure is over.
            limit: of so many messages of each author, those of the highest ids.
        """
        ...

    def drafts(self, authority: AuthorityId | None, *, cursor: str | None, limit: int) -> Page:
        """Return what waits for a second person, oldest first, without content."""
        ...

    def draft(self, message: MessageId, authority: AuthorityId | None, *, opening: bool = True) -> HeldDraft | None:
        """Return one, also when it waits no more; None also where it is another authority's.

        Args:
            message: its id.
            authority: whose it is; None: of any.
            opening: False leaves its content out, and asks for no key.

        Raises:
            CaseKeyMissing, StoreCorrupt: its content is to be opened, and does not open.
        """
        ...

    def message_times(self, limit: int) -> tuple[MessageTimes, ...]:
        """Return the newest messages of each direction without header and content: also where the vault is locked."""
        ...

    def procedures(self, authority: AuthorityId | None, *, cursor: str | None, limit: int) -> Page: ...
    def open_procedures(self, over: Collection[str], *, cursor: str | None, limit: int) -> Page:
        """Return a page of those that are neither erased nor in one of these states, newest first."""
        ...

    def procedure(self, procedure: ProcedureId, authority: AuthorityId | None) -> ProcedureRow | None: ...
    def procedures_of(self, case: CaseRef, authority: AuthorityId | None) -> tuple[ProcedureRow, ...]:
        """Return the procedures under one case reference, oldest first."""
        ...

    def possible_procedures(
        self, terms: frozenset[str], authority: AuthorityId | None, *, cursor: str | None, limit: int
    ) -> Page:
        """Return the procedures that may speak of all of the terms, newest first: open them and compare."""
        ...

    def search_owed(self, limit: int, after: ProcedureId | None = None) -> tuple[ProcedureId, ...]:
        """Return some procedures whose messages are not found by people yet, older or restored ones; behind one, if named."""
        ...

    def procedures_since(self, name: str, peer: CountryCode, since: datetime) -> tuple[ProcedureRow, ...]:
        """Return the procedures of that name with a country that were begun here since then, oldest first."""
        ...

    def record(self, procedure: ProcedureId) -> tuple[RecordEntry, ...]: ...
    def procedure_receipts(self, procedure: ProcedureId) -> tuple[Receipt, ...]: ...
    def procedure_evidence(self, procedure: ProcedureId) -> tuple[Receipt, ...]:
        """Return every receipt about the record's messages, of every kind, oldest first."""
        ...

    def procedure_sent(self, procedure: ProcedureId) -> tuple[MessageTimes, ...]:
        """Return how far our messages of a procedure got, oldest first."""
        ...

    def receipts_about(self, author: CountryCode, message: MessageId) -> tuple[Receipt, ...]:
        """Return every receipt, issued or received, about one message."""
        ...

    def attention(
        self, authority: AuthorityId | None, *, open_only: bool, cursor: str | None, limit: int,
        peer: CountryCode | None = None, code: AttentionCode | None = None,
    ) -> Page:  # fmt: skip
        """Return a page of calls, newest first, limited to a country and a code where they are given."""
        ...

    def called(self, code: str, subject: str, *, now: datetime | None = None) -> bool:
        """Whether a person is or was called with that code about that subject.

        A call that a person closed counts. One that the node closed does not: what it was about had ended, and begins anew.

        Args:
            code, subject: of the call.
            now: if given, what was closed later does not count either: a clock that was ahead had called too early.
        """
        ...

    def open_calls(self, codes: Sequence[str]) -> tuple[Attention, ...]:
        """Return the open attention entries of these codes."""
        ...

    def newest_call(self) -> int:
        """Return the number of the newest attention entry, open or closed; 0: there is none."""
        ...

    def calls_behind(self, number: int, *, limit: int) -> tuple[Attention, ...]:
        """Return the open attention entries with a greater number, in their order."""
        ...

    def attention_entry(self, attention: int, authority: AuthorityId | None) -> Attention | None:
        """Return one attention entry; None also where it is another authority's."""
        ...

    def trust_list_at(self, version: int, at: datetime) -> TrustRow | None:
        """Return the list of that version that was in force at a time."""
        ...

    def audit(self, *, cursor: str | None, limit: int, wanted: AuditFilter | None = None) -> Page:
        """Return a page of entries, newest first, whether linked or not."""
        ...

    def touched(self, after: int | None) -> Touched:
        """Return the procedures in which something happened, behind a place of the trail: at most some ten thousand entries.

        What people only read changes nothing; what is not linked yet is told of as well, and once more when it is.

        Args:
            after: where the look before it ended; None: the newest of it, for a first look.
        """
        ...

    def unlinked_audit(self, limit: int) -> tuple[Entry, ...]:
        """Return the first entries that are in no chain yet."""
        ...

    def audit_head(self) -> Head:
        """Return the end of the chain."""
        ...

    def audit_trail(self, after: int, limit: int) -> tuple[Linked, ...]:
        """Return the entries behind a place in the order of the chain, as they are stored."""
        ...

    def newest_checkpoint(self) -> KeptCheckpoint | None:
        """Return our checkpoint of the highest place."""
        ...

    def checkpoints(self, after: int, limit: int) -> tuple[KeptCheckpoint, ...]:
        """Return our checkpoints behind a place, in order."""
        ...

    def witnesses(self, country: CountryCode, after: Head, limit: int) -> tuple[KeptCheckpoint, ...]:
        """Return the checkpoints that are held of a country's trail behind one of them, in order."""
        ...

    def epoch_owed(self) -> bool:
        """Whether the key of a case was destroyed in the epoch that still goes on."""
        ...

    def count_keys(self) -> tuple[int, int]:
        """Return how many keys contents are stored under, and how many of them do not open; looks at each."""
        ...

    def upload(self, upload: str) -> UploadRow | None: ...
    def attachment(self, author: CountryCode, message: MessageId, handle: Digest) -> AttachmentRow | None: ...
    def attachments_of(self, author: CountryCode, message: MessageId) -> tuple[AttachmentRow, ...]: ...
    def adoptable_chunks(self, limit: int) -> tuple[ParkedChunk, ...]:
        """Return parked chunks whose message is recorded now."""
        ...

    def known_blobs(self, names: Sequence[str]) -> frozenset[str]:
        """Return which of these blobs any row names."""
        ...

    @property
    def healing(self) -> HealingReader:
        """Return what concerns the asking after a restore."""
        ...

    @property
    def retention(self) -> RetentionReader:
        """What was decided about keeping and erasing."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return gauges: "outbox.<state>", "inbox.<state>", "quarantine", "parked", "attention", "receipts.waiting"."""
        ...


class Store(Protocol):
    """Runs transaction functions; the only door to the database."""

    async def run(self, fn: Callable[[Transaction], T], *, ahead: bool = False) -> T:
        """Run in one transaction; commit when it returns, roll back when it raises.

        Args:
            fn: changes nothing but by its transaction: it may be run more than once, and all runs but the last are undone.
            ahead: before those that wait: for the next step of what was begun, so that much that is new does not hold it up.

        Raises:
            StoreUnavailable, DiskFull: nothing was committed.
        """
        ...

    async def read(self, fn: Callable[[Reader], T]) -> T:
        """Run on a read-only connection."""
        ...

    async def close(self) -> None: ...


class Blobs(Protocol):
    """Sealed bytes too large for the database; which key opens them stands in the database alone."""

    async def put(self, blob: str, index: int, raw: bytes) -> None:
        """Write a chunk, in place of what was there; durable when this returns.

        Raises:
            StoreUnavailable, DiskFull: nothing was changed.
        """
        ...

    async def get(self, blob: str, index: int) -> bytes:
        """Read a chunk.

        Raises:
            StoreCorrupt: it is not there.
            StoreUnavailable: the disk does not answer.
        """
        ...

    async def drop(self, blob: str) -> None:
        """Delete a blob; harmless where it is gone."""
        ...

    async def left_since(self, before: float, *, after: str, limit: int) -> tuple[str, ...]:
        """Return blobs that nobody has written to since that time, Unix seconds, in the order of their names.

        Args:
            before: the time.
            after: the name behind which to go on.
            limit: at most so many.
        """
        ...
