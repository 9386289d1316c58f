# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of a procedure with all that corrects them, whichever procedure that was sent in (GDPR 16-19).

- A message is corrected in its own procedure, or by a procedure of the kind `correction`, which names it by its digest.
  What such a correction says binds whoever decides about a later message as if it had been said in the procedure itself.
  Nor does anybody take a step on what was corrected in the procedure of that step, wherever it had been said.
- It counts where the same side's office sent it that sent the message, or that has the procedure now; an exercise corrects
  nothing real, and what was refused says nothing. What its author took back is marked, and judged with it and without.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Protocol, TypeVar

import orjson

from broker.core.corrected import CORRECTING, as_corrected, targets_of
from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.ids import CountryCode, Digest, MessageId, ProcedureId
from broker.core.messages import Body, Header, RecordEntry
from broker.core.reasons import Earlier
from broker.core.record import moments
from broker.core.trust import LONGEST_ENVELOPE_LIFE
from broker.ports import Reader, Transaction
from broker.rows import MessageFilter, MessageRow, ProcedureRow

__all__ = [
    "CORRECTION", "TAKEN_BACK", "Archive", "Read", "body_of", "corrected_out_of_turn", "in_order", "listed", "oldest_first",
    "procedure_of", "procedures_named", "said_by", "whole", "with_content",
]  # fmt: skip

CORRECTION = "correction"  # the procedure whose messages name those of other procedures
TAKEN_BACK = "WITHDRAWN"  # state of a correction
_PAGE = 200  # messages at a time


class Written(Protocol):
    """A stored message, as far as its place among others is asked for."""

    @property
    def id(self) -> MessageId: ...
    @property
    def digest(self) -> Digest: ...
    @property
    def header(self) -> Header: ...


W = TypeVar("W", bound=Written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A stored message, and what it says to the safeguards."""

    row: MessageRow
    said: Earlier


class Archive:
    """Reads what was exchanged with one country for a decision in a procedure; what is corrected elsewhere once."""

    def __init__(self, reader: Reader, us: CountryCode, here: ProcedureRow) -> None:
        self.reader = reader
        self.unread = False  # a correction does not open: nobody knows what it is about
        self._here = here
        self._us = us
        self._apart: dict[ProcedureRow, tuple[Read, ...]] = {}

    def read(self, row: ProcedureRow, wanted: Collection[Digest], *, alone: bool = False) -> list[Read]:
        """Return messages of a procedure with everything that corrects one of them, in no order.

        Args:
            row: the procedure.
            wanted: digests of its messages.
            alone: leave out what else of the procedure was corrected.
        """
        held = {entry.digest: entry for entry in self.reader.record(row.ref.id) if entry.code is None}
        corrections = self._apart_from(row)
        for entry in held.values():
            if entry.act in CORRECTING:
                corrections += self._said(entry)
        reached, found = set(wanted) if alone else set(held), dict[Digest, Read]()
        while True:  # corrections of corrections too
            more = [
                one
                for one in corrections
                if one.row.digest not in found and not reached.isdisjoint(targets_of(one.said.body))
            ]
            if not more:
                break
            found |= {one.row.digest: one for one in more}
            reached |= {one.row.digest for one in more}
        named = {Digest(one) for read in found.values() for one in targets_of(read.said.body)}
        for digest in (set(wanted) if alone else set(wanted) | named) & held.keys() - found.keys():
            found |= {one.row.digest: one for one in self._said(held[digest])}
        return [self._within_right(one, row, found) for one in found.values()]

    def as_it_reads(self, row: ProcedureRow, message: MessageRow) -> Earlier:
        """Return what a message of a procedure says now."""
        read = self.read(row, [message.digest], alone=True)
        found = in_order(self.reader, (one for one in read if not one.said.withdrawn))
        return next((one for one in as_corrected(found) if one.digest == message.digest), said_by(message))

    def _apart_from(self, row: ProcedureRow) -> list[Read]:
        """Return the corrections in other procedures that may be about a message of that procedure."""
        found = list[Read]()
        # One may have overtaken what it corrects, as long as an envelope travels.
        apart = self.reader.procedures_since(CORRECTION, self._here.peer, row.opened - LONGEST_ENVELOPE_LIFE)
        for other in dict.fromkeys((self._here, *apart)):
            if other.ref.id != row.ref.id and other.exercise == self._here.exercise and other.erased is None:
                if other not in self._apart:
                    self._apart[other] = tuple(self._corrections_in(other))
                found += self._apart[other]
        return found

    def _corrections_in(self, row: ProcedureRow) -> Iterator[Read]:
        for entry in self.reader.record(row.ref.id):
            if entry.act in CORRECTING and entry.code is None:
                try:
                    yield from self._said(entry, withdrawn=row.state == TAKEN_BACK)
                except (CaseKeyMissing, StoreCorrupt):  # of another case: it holds this one up, and does not stop it
                    self.unread = True

    def _said(self, entry: RecordEntry, *, withdrawn: bool = False) -> list[Read]:
        wanted = "out" if entry.author == self._us else "in"
        return [
            Read(row=message, said=said_by(message, withdrawn=withdrawn))
            for message in with_content(self.reader, entry.message, entry.digest)
            if message.direction == wanted
        ]

    @staticmethod
    def _within_right(read: Read, row: ProcedureRow, found: Mapping[Digest, Read]) -> Read:
        """Return a correction without the messages that its office has no right to correct."""
        main = row.our_authority if read.row.direction == "out" else row.peer_authority
        office, procedure = read.row.header.sender.authority, read.row.header.procedure

        def foreign(target: Read) -> bool:
            return target.row.header.procedure != procedure and office not in {target.row.header.sender.authority, main}

        named = targets_of(read.said.body)
        kept = [one for one in named if Digest(one) not in found or not foreign(found[Digest(one)])]
        return read if len(kept) == len(named) else _naming(read, kept)


def in_order(reader: Reader, found: Iterable[Read], *, as_it_came: bool = False) -> tuple[Earlier, ...]:
    """Return what was read, each message once, oldest first.

    Args:
        reader: the store.
        found: what was read.
        as_it_came: where no chain tells what was written first, go by our own clock and not by the authors' ones.
    """
    once: dict[Digest, Read] = {}
    for read in found:
        same = once.setdefault(read.row.digest, read)
        if same.said.body != read.said.body:  # each time read without what its office has no right to correct
            both = set(targets_of(same.said.body)) & set(targets_of(read.said.body))
            once[read.row.digest] = _naming(same, sorted(both))
    rows = [read.row for read in once.values()]
    ordered = _ordered(reader, rows, lambda row: row.at) if as_it_came else oldest_first(reader, rows)
    return tuple(once[row.digest].said for row in ordered)


def corrected_out_of_turn(found: Iterable[Read]) -> bool:
    """Whether corrections of the other side came in another order than its clock says that they were written in.

    They overtook one another, or its clock was set: in a procedure of its own each, nothing says which is the newer.
    """
    came = [one.row for one in found if one.row.direction == "in" and one.said.type.act in CORRECTING]
    came.sort(key=lambda row: row.at)
    return any(earlier.header.created > later.header.created for earlier, later in pairwise(came))


def oldest_first(reader: Reader | Transaction, messages: Iterable[W]) -> list[W]:
    """Return messages in the order in which they were written, as far as it can be known; see `moments`."""
    return _ordered(reader, messages, lambda one: one.header.created)


def _ordered(reader: Reader | Transaction, messages: Iterable[W], at: Callable[[W], datetime]) -> list[W]:
    every = list(messages)
    written: dict[ProcedureId | None, dict[Digest, MessageId]] = {}
    for one in every:
        written.setdefault(one.header.procedure_id, {})[one.digest] = MessageId.first_of(at(one))
    found: dict[Digest, tuple[str, int]] = {
        digest: (time, 0) for times in written.values() for digest, time in times.items()
    }
    for procedure, times in written.items():
        if procedure is not None and len(times) > 1:
            found |= moments(reader.record(procedure), times)
    return sorted(every, key=lambda one: (*found[one.digest], one.id))


def listed(reader: Reader, wanted: MessageFilter, *, readable_only: bool = False) -> Iterator[MessageRow]:
    """Yield the messages that a filter finds, without their content, newest first."""
    cursor = None
    while True:
        page = reader.messages(wanted, cursor=cursor, limit=_PAGE, readable_only=readable_only)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def whole(reader: Reader, wanted: MessageFilter) -> Iterator[MessageRow]:
    """Yield the messages that a filter finds, with their content; what was erased has none and decides nothing."""
    for brief in listed(reader, wanted):
        yield from with_content(reader, brief.id, brief.digest)


def with_content(reader: Reader, message: MessageId, digest: Digest) -> tuple[MessageRow, ...]:
    """Return the messages of that id and digest with their content."""
    found = reader.messages_of(message, None)
    return tuple(one for one in found if one.digest == digest and one.content is not None)


def procedure_of(reader: Reader, message: MessageRow) -> ProcedureRow | None:
    """Return the procedure that a message belongs to."""
    named = message.header.procedure_id
    return None if named is None else reader.procedure(named, None)


def procedures_named(
    reader: Reader, peer: CountryCode, message: MessageId, digest: Digest, *, readable_only: bool = False
) -> Iterator[ProcedureRow]:
    """Yield the procedures with what a correction names; none where it does not open, for then it corrects nothing."""
    try:
        corrections = with_content(reader, message, digest)
    except (CaseKeyMissing, StoreCorrupt):
        return
    for target in (target for one in corrections for target in targets_of(body_of(one))):
        wanted = MessageFilter(peer=peer, digest=Digest(target))
        found = reader.messages(wanted, cursor=None, limit=2, readable_only=readable_only)
        yield from (row for brief in found.items if (row := procedure_of(reader, brief)) is not None)


def body_of(message: MessageRow) -> Body:
    """Return the body of a message that was read with its content."""
    body: Body = orjson.loads(message.content or b"{}")["body"]
    return body


def said_by(message: MessageRow, *, withdrawn: bool = False) -> Earlier:
    """Return what a message that was read with its content says."""
    header = message.header
    return Earlier(
        type=header.type,
        digest=message.digest,
        author=header.sender.country,
        body=body_of(message),
        withdrawn=withdrawn,
    )


def _naming(read: Read, targets: Sequence[str]) -> Read:
    """Return a correction as one of these messages alone."""
    return replace(read, said=replace(read.said, body={**read.said.body, "targets": list(targets)}))
