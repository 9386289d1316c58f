# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Find the one message that a person or a program names: an id alone may be used by several countries.

- What belongs to another authority does not exist, and makes nothing ambiguous.
- What was erased or held back is told as such to whom it would have been shown, and to nobody else.
- Nothing is guessed: a country that reuses another's id must not put its message in the other one's place.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker.core.content import time_to_text
from broker.core.errors import AmbiguousMessage, MessageErased, NotFound, SenderError
from broker.core.ids import AuthorityId, CountryCode, MessageId
from broker.core.receipts import Receipt
from broker.ports import Reader
from broker.rows import AttachmentRow, MessageRow

__all__ = ["find_message", "find_with_evidence"]


def find_message(
    reader: Reader,
    message: MessageId,
    authority: AuthorityId | None,
    *,
    direction: str | None = None,
    peer: CountryCode | None = None,
    decided: bool = False,
) -> MessageRow:
    """Return the message of that id, direction and peer, with its content.

    Args:
        reader: of the store.
        message: its id.
        authority: our office that asks; None only for the node itself.
        direction: in or out, where an id is used both ways.
        peer: the other country, where several used one id.
        decided: name the erasure of an erased one too: the asking person may read the office's erasures.

    Raises:
        MessageErased: it was erased; it says when.
        NotFound: there is none that the authority may see.
        AmbiguousMessage: there are several; it says which.
    """
    seen = reader.messages_of(message, authority)
    rows = [row for row in seen if direction in {None, row.direction} and peer in {None, row.peer}]
    if seen and not rows:
        raise NotFound(f"A message of this id is here, but another one than is asked for: {_ways(seen)}.")
    if not rows:
        raise _gone(reader, message, authority, direction=direction, peer=peer, decided=decided)
    if len(rows) > 1:
        raise AmbiguousMessage(f"Several messages have this id: {_ways(rows)}. Say which one by peer or direction.")
    return rows[0]


def find_with_evidence(
    reader: Reader,
    us: CountryCode,
    message: MessageId,
    authority: AuthorityId | None,
    *,
    direction: str | None = None,
    peer: CountryCode | None = None,
    decided: bool = False,
) -> tuple[MessageRow, tuple[Receipt, ...], tuple[AttachmentRow, ...]]:
    """Return that message with the receipts about it, and how far its attachments are.

    Raises:
        MessageErased, NotFound, AmbiguousMessage: as `find_message`.
    """
    row = find_message(reader, message, authority, direction=direction, peer=peer, decided=decided)
    author = us if row.direction == "out" else row.peer
    return row, reader.receipts_about(author, row.id), reader.attachments_of(author, row.id)


def _ways(rows: Sequence[MessageRow]) -> str:
    return ", ".join(f"{'to' if row.direction == 'out' else 'from'} {row.peer}" for row in rows)


def _gone(
    reader: Reader,
    message: MessageId,
    authority: AuthorityId | None,
    *,
    direction: str | None,
    peer: CountryCode | None,
    decided: bool,
) -> SenderError:
    """Return what to say of a message that is not there: that it was held back, or erased, or nothing."""
    held = reader.draft(message, authority)
    if held is not None and direction in {None, "out"} and peer in {None, held.peer}:
        return NotFound("No message of this id has left: it stands among the held messages, with what became of it.")
    for one in reader.retention.erased_messages(message):
        if direction not in {None, one.direction} or peer not in {None, one.peer}:
            continue
        row = reader.procedure(one.procedure, None if one.authority == authority else authority)
        if row is None or row.erased is None:
            continue
        erasure = reader.retention.erasure_of(row) if decided else None
        by = f" by erasure {erasure.id} ({erasure.reason})" if erasure and erasure.authority == authority else ""
        return MessageErased(
            f"It was erased here at {time_to_text(row.erased)}{by}. Its times and receipts stay in procedure {row.ref.id}."
        )
    return NotFound()
