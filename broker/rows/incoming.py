# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Other countries' messages on their way in, and what came and could not be believed, or not yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.core.errors import NodeError
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId
from broker.core.messages import InboxEntry

__all__ = ["HeldDelivery", "InboxBrief", "InboxRow", "InboxState", "SeenRaw"]


class InboxState(StrEnum):
    """Life of an inbox entry."""

    RECORDED = "recorded"  # stored, receipt owed, not yet taken by adapter or officers
    HANDED_OVER = "handed-over"
    OPENED = "opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow:
    """An entry with its life so far."""

    entry: InboxEntry
    state: InboxState
    attempts: int = 0
    next_at: datetime | None = None
    error: str | None = None
    lease: str | None = None
    handed_over: datetime | None = None
    opened: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxBrief:
    """What is needed to call people for an inbox entry that waits."""

    sender: CountryCode
    id: MessageId
    authority: AuthorityId  # ours
    since: datetime  # when it stepped into its state
    fault: NodeError | None = None  # why what is stored of it does not open; told where it is leased


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRaw:
    """Raw bytes that were decided before: a repeat is answered from here without cryptography."""

    sha256: Digest
    sender: CountryCode | None  # None: quarantined, nothing is answered
    message: MessageId | None
    answered: datetime  # when the stored receipt was last queued; again at most once a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDelivery:
    """A quarantined or parked delivery: sealed bytes and why."""

    sha256: Digest
    raw: bytes
    code: str
    user: str | None
    received: datetime
    next_at: datetime | None = None  # parked only: when it is offered again
    attempts: int = 0
