# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a recorded message calls a person of its office for: rules that no node may refuse it for, but somebody must act on.

- R-31: another office is asked on that legal basis; B2b 76: it forwards the procedure and tells the sender.
- R-30: the other side enquired further than we allowed.
- The message is in the record and confirmed whatever is found here. Each rule looks only at the messages it concerns.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from broker.core import canonical
from broker.core.attention import AttentionCode, message_subject
from broker.core.corrected import CORRECTING, as_corrected
from broker.core.enquiry import ASK_FIRST, says_manner, wider_than_asked
from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.ids import CountryCode, Digest, MessageType
from broker.core.messages import Body, InboxEntry, OutboxEntry
from broker.core.national import competence
from broker.core.reasons import Earlier, Level
from broker.core.safeguards import weighs_for_good
from broker.core.sides import sides_of
from broker.core.trust import LONGEST_ENVELOPE_LIFE
from broker.derived.archive import CORRECTION, TAKEN_BACK, oldest_first
from broker.ledger import Book, Ledger
from broker.ports import Transaction, TrustSource

__all__ = ["Calling"]


class Calling:
    """Opens attention entries in the transaction that records a message."""

    def __init__(self, *, us: CountryCode, trust: TrustSource, ledger: Ledger) -> None:
        self._us = us
        self._trust = trust
        self._ledger = ledger

    def look(self, tx: Transaction, book: Book, entry: InboxEntry, body: Body, *, now: datetime) -> None:
        """Call the procedure's office for what it must act on."""
        kind = entry.header.type
        act = book.table.acts.get(kind.act)
        if act is not None and act.opens:
            self._competence(tx, book, entry, now)
        if says_manner(kind) and wider_than_asked(body, (ASK_FIRST,)):  # further than into own records
            self._manner(tx, book, entry, body, now)

    def _competence(self, tx: Transaction, book: Book, entry: InboxEntry, now: datetime) -> None:
        sides = sides_of(self._trust.current(), entry.header, opening=True)
        found = [reason.text for reason in competence(entry.header, sides) if reason.level is not Level.WARN]
        if found:
            code = AttentionCode.NOT_COMPETENT
            detail = " ".join((*found, code.meaning))
            self._ledger.call(tx, code, book.row.ref.id, peer=entry.sender, row=book.row, detail=detail, now=now)

    def _manner(self, tx: Transaction, book: Book, entry: InboxEntry, body: Body, now: datetime) -> None:
        if any(wider_than_asked(body, asked) for asked in self._asked(tx, book)):
            subject = message_subject(entry.sender, entry.id)
            self._ledger.call(tx, AttentionCode.ENQUIRY_TOO_FAR, subject, peer=entry.sender, row=book.row, now=now)

    def _asked(self, tx: Transaction, book: Book) -> Iterator[list[Body]]:
        """Yield what this side asked in the procedure, oldest first, as it reads now; what was erased or refused binds nobody.

        It is read with the corrections that were taken back and without them: neither way does the other side good. What does
        not open, perhaps of another case, keeps no message out: it counts as if nobody had allowed more.
        """
        name, since = book.row.ref.name, book.row.opened - LONGEST_ENVELOPE_LIFE
        own = [one for one in book.entries if weighs_for_good(MessageType(f"{name}.{one.act}"))]
        withdrawn = set[Digest]()
        for apart in tx.procedures_since(CORRECTION, book.row.peer, since):
            if apart.exercise == book.row.exercise and apart.ref.id != book.row.ref.id:
                more = [one for one in tx.record(apart.ref.id) if one.act in CORRECTING]
                withdrawn |= {one.digest for one in more if apart.state == TAKEN_BACK}
                own += more
        said, unread = list[OutboxEntry](), list[Body]()
        for entry in own:
            try:
                row = tx.outbox(entry.message) if entry.author == self._us and entry.code is None else None
            except (CaseKeyMissing, StoreCorrupt):
                unread = [ASK_FIRST]
                continue
            if row is not None:
                said.append(row.entry)
        told = [self._earlier(one) for one in oldest_first(tx, said)]
        for left_out in (set[Digest](), withdrawn):
            stands = as_corrected([one for one in told if one.digest not in left_out])
            yield [*(one.body for one in stands), *unread]

    def _earlier(self, entry: OutboxEntry) -> Earlier:
        content: Any = canonical.parse(entry.content)
        return Earlier(type=entry.header.type, digest=entry.digest, author=self._us, body=content["body"])
