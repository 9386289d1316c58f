# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a receipt says, and how a batch of them is written in a message's body.

A receipt is a node's signed evidence about one message. It holds ids, digests, kinds, times and nothing of a case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.core.ids import CountryCode, Digest, MessageId

__all__ = ["MAX_RECEIPTS", "Receipt", "ReceiptKind"]

MAX_RECEIPTS = 20  # per envelope, so that a full one still fits the smallest padded length (16 KiB)


class ReceiptKind(StrEnum):
    """The steps of the evidence ladder that a peer signs."""

    DELIVERED = "delivered"  # stored by the peer's node
    REFUSED = "refused"  # believed and refused, with a code
    HANDED_OVER = "handed-over"  # an adapter or the officers' inbox took it
    OPENED = "opened"  # an officer saw it


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One piece of evidence by `issuer` about a message of `author`."""

    issuer: CountryCode
    author: CountryCode
    message: MessageId
    digest: Digest
    kind: ReceiptKind
    at: datetime  # aware UTC, millisecond precision
    code: str | None = None  # only with REFUSED
    heads: tuple[Digest, ...] = ()  # of the issuer's record when it signed (delivered and refused)
    record_digest: Digest | None = None  # over the closure of heads
