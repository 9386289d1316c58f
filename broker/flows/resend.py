# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A person sends a message again: what the node does not do by itself any more, or sees no sign of loss for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from broker.core.audit import AuditAction, Who
from broker.core.delivery import ResendReason
from broker.core.errors import AlreadySettled
from broker.core.ids import MessageId
from broker.finding import find_message
from broker.ports import Clock, Store, Transaction
from broker.rows import AuditRow, about

__all__ = ["Resend"]


class Resend:
    """Publishes an entry once more, however often that was done before; id and digest stay, so nothing happens twice.

    The other side answers what it knows with every receipt that it has: lost ones come again too. What it never answered
    is sealed anew, for under the old bytes it may lie in quarantine there; else the dispatcher seals anew where key or
    expiry ask for it.
    """

    def __init__(self, *, store: Store, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake

    async def __call__(self, message: MessageId, who: Who, reason: ResendReason) -> datetime:
        """Owe the message's publishing from now on, and return that time.

        Raises:
            MessageErased, NotFound: there is no such message of that office's own.
            AlreadySettled: it was opened or refused: nothing is missing.
        """
        row = await self._store.read(lambda reader: find_message(reader, message, who.authority, direction="out"))
        at = self._clock.now()
        audited = about(row, who, at=at, action=AuditAction.RESENT, reason=reason)
        await self._store.run(lambda tx: self._reopen(tx, message, audited))
        self._wake()
        return at

    def _reopen(self, tx: Transaction, message: MessageId, audited: AuditRow) -> None:
        row = tx.outbox(message)
        unanswered = row is not None and row.delivered is None
        if not tx.reopen_outbox(message, now=audited.at, reseal=unanswered, count_resend=False, delivered_too=True):
            raise AlreadySettled
        tx.audit(audited)
