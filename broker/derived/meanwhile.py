# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What was sent and what came in the case of a held message since it was written: a view over the store.

A held message that leaves counts as the newest word of its procedure, whatever was said while it waited. So whoever lets it
leave is told of that first: ids, types and times, nothing of a content.

- Of its own procedure: what its record held more than when the message was held, or what was stored here after that.
- Of procedures that it names a message of, as a plan names the consent that it rests on: what was stored here after that.
- Of others: what corrects, restricts, or is against a message of its procedure, and was stored here after that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from broker.core.content import decode_header
from broker.core.ids import CountryCode, Digest, MessageId, MessageType, ProcedureId
from broker.core.messages import RecordEntry
from broker.core.record import reached
from broker.derived.archive import body_of, listed, with_content
from broker.ports import Reader
from broker.rows import HeldDraft, MessageFilter, MessageRow

__all__ = ["Newer", "newer_than"]

# Types that open a procedure of their own and name messages of another one.
_ABOUT_OTHERS = ("correction.rectify", "correction.restrict", "correction.erase", "notice.remedy", "guardian.objection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """A message that left or came while another one was held."""

    direction: str  # "in" or "out"
    author: CountryCode
    message: MessageId
    type: MessageType
    procedure: ProcedureId
    at: datetime  # recorded (out) or received (in)
    state: str  # how far it got


def newer_than(reader: Reader, us: CountryCode, draft: HeldDraft) -> tuple[Newer, ...]:
    """Return what was sent and what came in the case of a held message since it was written, oldest first.

    Raises:
        CaseKeyMissing, StoreCorrupt: a message of its procedure does not open.
    """
    if draft.content is None:
        return ()
    content: Any = orjson.loads(draft.content)
    header = decode_header(content["header"])
    own = header.procedure_id
    entries = () if own is None else reader.record(own)
    found = list(_in_its_procedure(reader, own, entries, header.parents, draft.at))
    for procedure in _named(reader, draft.peer, content["body"]) - {own}:
        found += _stored_after(reader, MessageFilter(procedure=procedure), draft.at)
    digests = frozenset(entry.digest for entry in entries)
    found += (one for one in _about(reader, draft, digests) if one.header.procedure_id != own)
    once = {(one.direction, one.id, one.digest): one for one in found}
    made = (_newer(one, us) for one in once.values() if one.header.procedure is not None)
    return tuple(sorted(made, key=lambda one: (one.at, one.message)))


def _in_its_procedure(
    reader: Reader, own: ProcedureId | None, entries: Collection[RecordEntry], parents: Iterable[Digest], at: datetime
) -> Iterator[MessageRow]:
    """Go by the record and by our clock: the one does not tell what has filled a gap since, the other may have been set back."""
    if not entries:
        return
    heads = tuple(parents)  # none: it was held by a release that noted none
    known = reached(entries, heads)
    for row in listed(reader, MessageFilter(procedure=own)):
        if row.at > at or (heads and row.digest not in known):
            yield row


def _named(reader: Reader, peer: CountryCode, body: Any) -> set[ProcedureId | None]:
    """Return the procedures of the messages that a body names by their digests."""
    rows = (
        row
        for text in set(_digests(body))
        for row in reader.messages(
            MessageFilter(peer=peer, digest=text), cursor=None, limit=2, readable_only=True
        ).items
    )
    return {row.header.procedure_id for row in rows} - {None}


def _about(reader: Reader, draft: HeldDraft, digests: frozenset[Digest]) -> Iterator[MessageRow]:
    """Yield what names one of these messages."""
    for kind in _ABOUT_OTHERS if digests else ():
        for brief in _stored_after(reader, MessageFilter(peer=draft.peer, type=kind), draft.at):
            for row in with_content(reader, brief.id, brief.digest):
                if not digests.isdisjoint(_digests(body_of(row))):
                    yield brief


def _stored_after(reader: Reader, wanted: MessageFilter, at: datetime) -> Iterator[MessageRow]:
    for row in listed(reader, wanted, readable_only=True):
        if row.at <= at:
            return
        yield row


def _digests(value: Any) -> Iterator[Digest]:
    if isinstance(value, str) and Digest.pattern.fullmatch(value):
        yield Digest(value)
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _digests(item)


def _newer(row: MessageRow, us: CountryCode) -> Newer:
    procedure = row.header.procedure_id
    if procedure is None:
        raise RuntimeError("casework always has a procedure")
    return Newer(
        direction=row.direction,
        author=us if row.direction == "out" else row.peer,
        message=row.id,
        type=row.header.type,
        procedure=procedure,
        at=row.at,
        state=row.state,
    )
