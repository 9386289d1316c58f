# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Find the one message that a person or a program names: an id alone may be used by several countries.

- What belongs to another authority does not exist, and makes nothing ambiguous.
- Nothing is guessed: a country that reuses another's id must not put its message in the other one's place.
"""

from __future__ import annotations

from broker.core.errors import AmbiguousMessage, NotFound
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
) -> MessageRow:
    """Return the message of that id, direction and peer, with its content.

    Raises:
        NotFound: there is none that the authority may see.
        AmbiguousMessage: there are several; it says which.
    """
    rows = [
        row
        for row in reader.messages_of(message, authority)
        if direction in {None, row.direction} and peer in {None, row.peer}
    ]
    if not rows:
        raise NotFound
    if len(rows) > 1:
        found = ", ".join(f"{'to' if row.direction == 'out' else 'from'} {row.peer}" for row in rows)
        raise AmbiguousMessage(f"Several messages have this id: {found}. Say which one by peer or direction.")
    return rows[0]


def find_with_evidence(
    reader: Reader,
    us: CountryCode,
    message: MessageId,
    authority: AuthorityId | None,
    *,
    direction: str | None = None,
    peer: CountryCode | None = None,
) -> tuple[MessageRow, tuple[Receipt, ...], tuple[AttachmentRow, ...]]:
    """Return that message with the receipts about it, and how far its attachments are.

    Raises:
        NotFound, AmbiguousMessage: as `find_message`.
    """
    row = find_message(reader, message, authority, direction=direction, peer=peer)
    author = us if row.direction == "out" else row.peer
    return row, reader.receipts_about(author, row.id), reader.attachments_of(author, row.id)
