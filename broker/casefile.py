# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What was exchanged before and weighs in the decision about the next message: read from the store for the safeguards.

Of the messages that only hold an assessment of danger the newest ones are read: an old one decides nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from broker.core.foregoing import targets_of
from broker.core.ids import CountryCode, Digest, MessageType
from broker.core.messages import Body, Header
from broker.core.reasons import Earlier
from broker.core.record import RecordEntry
from broker.core.safeguards import weighs, weighs_for_good
from broker.ports import Reader
from broker.rows import MessageFilter, MessageRow, ProcedureRow

__all__ = ["CORRECTION", "Casefile", "read_casefile"]

_ASSESSMENTS = 3  # newest messages with nothing but an assessment of danger that are read
CORRECTION = "correction"  # the procedure whose messages name those of other procedures


@dataclass(frozen=True, slots=True, kw_only=True)
class Casefile:
    """The earlier messages, oldest first, and the record that they were read from."""

    earlier: tuple[Earlier, ...] = ()
    record: frozenset[Digest] = frozenset()  # another record when the message is stored: decide again


def read_casefile(reader: Reader, us: CountryCode, row: ProcedureRow, header: Header, body: Body) -> Casefile:
    """Return what weighs in the decision about that message of ours, which may open the procedure."""
    entries = reader.record(row.ref.id)
    found = [message for entry in _weighing(entries, row.ref.name) for message in _of_entry(reader, us, entry)]
    asked = [body] if header.type.procedure == CORRECTION else []
    asked += [_body(message) for message in found if message.header.type.procedure == CORRECTION]
    found += [message for given in asked for message in _targets(reader, row, given)]
    ordered = sorted({message.digest: message for message in found}.values(), key=lambda one: one.header.created)
    return Casefile(
        earlier=tuple(_earlier(message) for message in ordered), record=frozenset(entry.digest for entry in entries)
    )


def _weighing(entries: Iterable[RecordEntry], procedure: str) -> Iterator[RecordEntry]:
    """Yield the entries whose messages are to be read; message ids of one author rise with time."""
    typed = [(MessageType(f"{procedure}.{entry.act}"), entry) for entry in entries if entry.code is None]
    yield from (entry for kind, entry in typed if weighs_for_good(kind))
    assessed = [entry for kind, entry in typed if weighs(kind) and not weighs_for_good(kind)]
    yield from sorted(assessed, key=lambda entry: entry.message)[-_ASSESSMENTS:]


def _of_entry(reader: Reader, us: CountryCode, entry: RecordEntry) -> Iterator[MessageRow]:
    wanted = "out" if entry.author == us else "in"
    for message in reader.messages_of(entry.message, None):
        if (message.direction, message.digest) == (wanted, entry.digest) and message.content is not None:
            yield message


def _targets(reader: Reader, row: ProcedureRow, body: Body) -> Iterator[MessageRow]:
    """Yield the messages that a correction names, of whichever procedure between the same offices."""
    for digest in targets_of(body):
        wanted = MessageFilter(peer=row.peer, authority=row.our_authority, digest=Digest(digest))
        for brief in reader.messages(wanted, cursor=None, limit=2).items:
            for one in reader.messages_of(brief.id, row.our_authority):
                if one.digest == brief.digest and one.content is not None:
                    yield one


def _earlier(message: MessageRow) -> Earlier:
    header = message.header
    return Earlier(type=header.type, digest=message.digest, author=header.sender.country, body=_body(message))


def _body(message: MessageRow) -> Body:
    body: Body = orjson.loads(message.content or b"{}")["body"]
    return body
