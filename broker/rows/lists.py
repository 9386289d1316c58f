# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What people look at, and what they limit it to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.core.audit import AuditRow, Who
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId, ProcedureId
from broker.core.messages import Header, InboxEntry

__all__ = ["AuditFilter", "MessageFilter", "MessageRow", "MessageTimes", "Page", "Touched", "about", "about_received"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What a look at the audit trail is limited to. None: not limited."""

    since: datetime | None = None
    until: datetime | None = None  # not included
    procedures: tuple[ProcedureId, ...] | None = None
    actor: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """Procedures in which something happened."""

    procedures: frozenset[ProcedureId]
    place: int  # in the audit trail, up to which this tells of; the next look goes on there


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list; `next` is the cursor of the following one."""

    items: tuple[Any, ...]
    next: str | None
    unreadable: int = 0  # rows of this page that are here but do not open


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """What a list of messages is limited to. None: not limited."""

    direction: str | None = None  # "in" or "out"
    peer: CountryCode | None = None
    procedure: ProcedureId | None = None
    type: str | None = None
    state: str | None = None
    digest: Digest | None = None
    authority: AuthorityId | None = None  # our office; None only for the system itself, never from a token


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """A message in a list or alone, either direction."""

    direction: str  # "in" or "out"
    id: MessageId
    digest: Digest
    peer: CountryCode
    authority: AuthorityId  # ours
    header: Header
    state: str
    at: datetime  # recorded (out) or received (in)
    published: datetime | None = None
    delivered: datetime | None = None
    handed_over: datetime | None = None
    opened: datetime | None = None
    refused: datetime | None = None
    refusal_code: str | None = None
    error: str | None = None
    content: bytes | None = None  # only when read alone


def about(row: MessageRow, who: Who, *, at: datetime, action: str, detail: str = "", reason: str = "") -> AuditRow:
    """Return the audit row of what somebody did to a message."""
    return AuditRow(
        at=at,
        actor=who.actor,
        role=who.role,
        authority=row.authority,
        action=action,
        subject=row.id,
        detail=detail,
        procedure=row.header.procedure_id,
        peer=row.peer,
        reason=reason,
    )


def about_received(entry: InboxEntry, *, at: datetime, action: str) -> AuditRow:
    """Return the audit row of what this node did with a message that it believed."""
    return AuditRow(
        at=at,
        actor="node",
        action=action,
        subject=entry.id,
        authority=entry.header.recipient.authority,
        procedure=entry.procedure,
        peer=entry.sender,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTimes:
    """How far a message of either direction got and when; needs no key, for nothing of its content is in it."""

    direction: str  # "in" or "out"
    id: MessageId
    peer: CountryCode
    at: datetime  # recorded (out) or received (in)
    published: datetime | None = None
    delivered: datetime | None = None
    handed_over: datetime | None = None
    opened: datetime | None = None
    refused: datetime | None = None
