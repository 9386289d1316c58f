# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which offices take part in a procedure, read from its record, and the copies that the store keeps for lists.

- The record is the truth, on both sides alike; only its messages that changed something are read.
- The procedure's main offices are those that ask and are asked now: lists, calls and the next message go to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

import orjson

from broker.core.attention import AttentionCode
from broker.core.ids import CountryCode, Digest
from broker.core.messages import Body, Header, Party, RecordEntry
from broker.core.participants import SEATING, Roster, roster
from broker.core.record import Folded, Mark
from broker.derived.archive import body_of, with_content
from broker.ledger import Book, Ledger
from broker.ports import Reader, Transaction
from broker.rows import ProcedureRow

__all__ = ["Participation"]

Said = Callable[[RecordEntry], tuple[Header, Body] | None]  # what a message of the record says; None: not here


class Participation:
    """Reads who takes part; inside a transaction or on a read-only connection."""

    def __init__(self, *, us: CountryCode, ledger: Ledger) -> None:
        self._us = us
        self._ledger = ledger

    def seen(self, reader: Reader, book: Book, folded: Folded) -> Roster:
        """Return who takes part, for people."""

        def said(entry: RecordEntry) -> tuple[Header, Body] | None:
            for row in with_content(reader, entry.message, entry.digest):
                if row.header.sender.country == entry.author:
                    return row.header, body_of(row)
            return None

        return self._roster(book, folded, said)

    def held(self, tx: Transaction, book: Book, folded: Folded | None = None) -> Roster:
        """Return who takes part, for a decision; the record is folded here only where that is needed."""
        return self._roster(book, folded, lambda entry: self._said(tx, entry))

    def keep(self, tx: Transaction, book: Book, folded: Folded, *, now: datetime) -> None:
        """Store who takes part after a message was stored, and call the office that a procedure was handed to."""
        if not any(entry.act in SEATING for entry in book.entries):
            return
        row, found = book.row, self.held(tx, book, folded)
        ours, theirs = found.main(self._us, row.role_of(self._us)), found.main(row.peer, row.role_of(row.peer))
        seated = replace(row, our_authority=ours or row.our_authority, peer_authority=theirs or row.peer_authority)
        tx.save_offices(seated, found.offices(self._us))
        if seated.our_authority != row.our_authority:
            self._ledger.call(tx, AttentionCode.HANDED_ON, row.ref.id, peer=row.peer, row=seated, now=now)

    def _said(self, tx: Transaction, entry: RecordEntry) -> tuple[Header, Body] | None:
        row = tx.outbox(entry.message) if entry.author == self._us else tx.inbox(entry.author, entry.message)
        if row is None or row.entry.digest != entry.digest:
            return None
        return row.entry.header, orjson.loads(row.entry.content)["body"]

    def _roster(self, book: Book, folded: Folded | None, said: Said) -> Roster:
        if not any(entry.act in SEATING for entry in book.entries):
            return roster(*self._parties(book.row))
        folded = folded or book.fold()
        held = {entry.digest: entry for entry in book.entries}
        opens = {name for name, act in book.table.acts.items() if act.opens}
        opening = next((said(held[digest]) for digest in folded.order if held[digest].act in opens), None)
        parties = self._parties(book.row) if opening is None else (opening[0].sender, opening[0].recipient)
        return roster(*parties, _changes(folded, held, said))

    def _parties(self, row: ProcedureRow) -> tuple[Party, Party]:
        """Return the two offices that the procedure's row names, the requesting one first."""
        ours = Party(country=self._us, authority=row.our_authority)
        theirs = Party(country=row.peer, authority=row.peer_authority)
        return (ours, theirs) if row.opener == self._us else (theirs, ours)


def _changes(folded: Folded, held: Mapping[Digest, RecordEntry], said: Said) -> Iterator[tuple[Header, Body]]:
    for digest in folded.order:
        if held[digest].act in SEATING and folded.marks[digest] is Mark.EFFECT:
            message = said(held[digest])
            if message is not None:
                yield message
