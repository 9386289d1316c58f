# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a person is called for, and what a notification may say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.core.ids import AuthorityId, CountryCode, MessageId

__all__ = ["ARRIVED", "Attention", "arrival"]

ARRIVED = "message-arrived"  # what a notifier is told of a handed-over message; nothing that calls for attention


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Something a person must look at (promise P7). No personal data: codes, ids and countries."""

    code: str  # e.g. "overdue-delivered", "security-id-reused", "adapter-failed"
    subject: str  # what it is about, a message as `message_subject` names it; code and subject together are unique while open
    who: str  # errors.Actor value
    at: datetime
    peer: CountryCode | None = None
    authority: AuthorityId | None = None  # None: the whole node's
    detail: str = ""  # one sentence, no content
    resolved: datetime | None = None
    resolved_by: str | None = None
    id: int = 0  # given by the store


def arrival(message: MessageId, *, sender: CountryCode, authority: AuthorityId, at: datetime) -> Attention:
    """Return what a notification of a handed-over message may say: that it is there, for which office; never what."""
    return Attention(code=ARRIVED, subject=message, who="officer", at=at, peer=sender, authority=authority)
