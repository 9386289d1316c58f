# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""An officer saw a message: the human step of the evidence ladder.

What it says of an adult is compared with the cases of this node then (R-43): it costs a search, and a person is there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction, Who
from broker.core.errors import AttachmentIncomplete
from broker.core.ids import CountryCode, MessageId
from broker.core.receipts import Receipt, ReceiptKind
from broker.derived.casefile import adult_came_before
from broker.finding import find_message
from broker.ledger import Ledger
from broker.ports import Clock, Store, Transaction
from broker.rows import MessageRow, about

__all__ = ["Open"]


class Open:
    """Marks an inbound message opened and owes its sender the receipt."""

    def __init__(
        self, *, us: CountryCode, store: Store, ledger: Ledger, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._us = us
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._wake = wake

    async def __call__(self, message: MessageId, who: Who, *, peer: CountryCode | None = None) -> datetime:
        """Return when the message was first opened.

        Raises:
            MessageErased, NotFound: there is no such inbound message for that office.
            AmbiguousMessage: several countries used its id, and no peer is named.
            AttachmentIncomplete: its attachments have not all come: nobody has seen it whole.
        """
        office = who.authority
        row = await self._store.read(lambda reader: find_message(reader, message, office, direction="in", peer=peer))
        if row.opened is not None:
            return row.opened
        again = await self._store.read(lambda reader: adult_came_before(reader, row))
        at = await self._store.run(lambda tx: self._mark(tx, row, who, adult_again=again))
        self._wake()
        return at

    def _mark(self, tx: Transaction, row: MessageRow, who: Who, *, adult_again: bool) -> datetime:
        now = self._clock.now()
        if any(attachment.complete is None for attachment in tx.attachments_of(row.peer, row.id)):
            raise AttachmentIncomplete
        if not tx.mark_opened(row.peer, row.id, at=now):
            held = tx.inbox(row.peer, row.id)
            return held.opened if held and held.opened else now
        receipt = Receipt(
            issuer=self._us, author=row.peer, message=row.id, digest=row.digest, kind=ReceiptKind.OPENED, at=now
        )
        tx.issue_receipt(receipt)
        tx.resolve_attentions(
            (AttentionCode.UNREAD, AttentionCode.UNREAD_LONG), message_subject(row.peer, row.id), at=now, by="node"
        )
        tx.audit(about(row, who, at=now, action=AuditAction.OPENED))
        if adult_again and row.header.procedure is not None:
            self._ledger.call(
                tx, AttentionCode.ADULT_AGAIN, row.header.procedure.id, peer=row.peer, authority=row.authority, now=now
            )
        return now
