# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Our messages on their way out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.core.errors import NodeError
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId, ProcedureId
from broker.core.messages import OutboxEntry, OutboxKind, SealedEnvelope

__all__ = ["OutboxBrief", "OutboxRow", "OutboxState", "OverdueEntry", "OwedEntry"]


class OutboxState(StrEnum):
    """Life of an outbox entry; the evidence ladder as the sender sees it."""

    RECORDED = "recorded"  # owed; not published yet (sealed or not)
    PUBLISHED = "published"  # the transport holds it
    DELIVERED = "delivered"  # the peer's node stored it
    HANDED_OVER = "handed-over"
    OPENED = "opened"
    REFUSED = "refused"
    DONE = "done"  # a receipts envelope after publishing, or given up: it gets no receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """An entry with its life so far."""

    entry: OutboxEntry
    state: OutboxState
    attempts: int = 0
    resends: int = 0
    next_at: datetime | None = None
    error: str | None = None  # code of the last failure
    envelope: SealedEnvelope | None = None
    lease: str | None = None
    published: datetime | None = None
    delivered: datetime | None = None
    handed_over: datetime | None = None
    opened: datetime | None = None
    refused: datetime | None = None
    refusal_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedEntry:
    """A leased entry with what sending it takes; its header, encrypted beside the content, stays closed."""

    id: MessageId
    kind: OutboxKind
    recipient: CountryCode
    exercise: bool
    authority: AuthorityId  # of ours that sends it
    content: bytes = field(repr=False)
    created: datetime
    attempts: int
    error: str | None  # code of the last failure
    envelope: SealedEnvelope | None  # as it was sealed before
    fault: NodeError | None = None  # why what is stored of it does not open


@dataclass(frozen=True, slots=True, kw_only=True)
class OverdueEntry:
    """What is needed to call people for an outbox entry that waits, and to send it again."""

    id: MessageId
    recipient: CountryCode
    authority: AuthorityId  # ours
    procedure: ProcedureId | None
    since: datetime  # when it stepped into its state
    resends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxBrief:
    """What a receipt is held against."""

    digest: Digest
    recipient: CountryCode
    procedure: ProcedureId | None
    attended: bool  # an attention entry about it is open, which a receipt may resolve
