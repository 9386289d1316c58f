# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a receipt says, how a batch of them is written in a message's body, and which message a receipt is about.

A receipt is a node's signed evidence about one message. It holds ids, digests, kinds, times and nothing of a case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from broker.core import canonical
from broker.core.content import time_from_text, time_to_text
from broker.core.errors import Expired, ExpiryTooFar, SchemaInvalid
from broker.core.ids import CountryCode, Digest, MessageId

__all__ = [
    "MAX_HEADS",
    "MAX_RECEIPTS",
    "MAX_RECEIPTS_WITH_CHECKPOINT",
    "RECEIPTS_TYPE",
    "SEALED_ANEW_CODES",
    "Receipt",
    "ReceiptKind",
    "checkpoint_of",
    "contradicts",
    "from_body",
    "supersedes",
    "to_body",
    "well_formed",
]

RECEIPTS_TYPE = "node.receipts"
MAX_RECEIPTS = 20  # per envelope, so that a full one still fits the smallest padded length (16 KiB)
MAX_RECEIPTS_WITH_CHECKPOINT = 6  # the two signatures of a checkpoint take the room of the others
MAX_HEADS = 64  # per receipt; a record has one or two in practice
SEALED_ANEW_CODES = frozenset({Expired.code, ExpiryTooFar.code})  # the same message comes again in another envelope
_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_MAX_CODE = 64  # characters


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
    heads: tuple[Digest, ...] = ()  # of the issuer's record when it signed (delivered and refused), sorted
    record_digest: Digest | None = None  # over the closure of heads

    @property
    def answers(self) -> bool:
        """Whether it settles the message: taken, or refused otherwise than for its envelope."""
        return self.kind is ReceiptKind.DELIVERED or (
            self.kind is ReceiptKind.REFUSED and self.code not in SEALED_ANEW_CODES
        )


def contradicts(held: Iterable[Receipt], new: Receipt) -> bool:
    """Whether the issuer says the opposite of what it said before about the same message.

    A node answers a message once: delivered or refused. The first answer stands for good, the second is not stored:
    otherwise a peer could take back what is final.
    """
    return new.answers and any(
        receipt.message == new.message
        and receipt.kind is not new.kind
        and receipt.answers
        and (receipt.issuer, receipt.author) == (new.issuer, new.author)
        for receipt in held
    )


def supersedes(new: Receipt, held: Receipt) -> bool:
    """Whether a receipt takes the place of the one that is held under the same issuer, author, message and kind.

    Only a refusal of the envelope gives way: to the answer about the message itself, or to a later refusal of a later
    envelope. An answer stands for good.
    """
    if held.code not in SEALED_ANEW_CODES or new.digest != held.digest:
        return False
    return new.code not in SEALED_ANEW_CODES or new.at > held.at


def to_body(receipts: Iterable[Receipt], checkpoint: bytes | None = None) -> dict[str, Any]:
    """Return the body of ``node.receipts``; a member that does not apply is absent.

    Args:
        receipts: at most as many as an envelope takes.
        checkpoint: a signed head of our audit trail, since version 1.1.
    """
    body: dict[str, Any] = {"receipts": [_encode(receipt) for receipt in receipts]}
    return body if checkpoint is None else body | {"checkpoint": canonical.parse(checkpoint)}


def checkpoint_of(body: Mapping[str, Any]) -> bytes | None:
    """Return the signed checkpoint that a body brings, as it was signed; it is not verified here."""
    return canonical.dump(body["checkpoint"]) if "checkpoint" in body else None


def from_body(body: Any, issuer: CountryCode) -> tuple[Receipt, ...]:
    """Return the receipts of a body; the issuer is the verified sender, never something a body says.

    Raises:
        SchemaInvalid: a member is missing, unknown or not of its form; ``where`` points at it.
    """
    if not isinstance(body, Mapping) or not {"receipts"} <= set(body) <= {"receipts", "checkpoint"}:
        raise SchemaInvalid("The body has the member receipts, and beside it at most checkpoint.", where="/body")
    items = body["receipts"]
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_RECEIPTS:
        raise SchemaInvalid(f"This is a list of 1 to {MAX_RECEIPTS} receipts.", where="/body/receipts")
    return tuple(_decode(item, issuer, f"/body/receipts/{position}") for position, item in enumerate(items))


def well_formed(body: Any, issuer: CountryCode) -> tuple[Receipt, ...]:
    """Return those receipts of a body that have their form: each is evidence by itself, whatever stands beside it."""
    items = body.get("receipts") if isinstance(body, Mapping) else None
    found: list[Receipt] = []
    for item in items if isinstance(items, list) and len(items) <= MAX_RECEIPTS else ():
        with suppress(SchemaInvalid):
            found.append(_decode(item, issuer, ""))
    return tuple(found)


def _encode(receipt: Receipt) -> dict[str, Any]:
    data: dict[str, Any] = {
        "message": receipt.message,
        "author": receipt.author,
        "digest": receipt.digest,
        "kind": receipt.kind,
        "at": time_to_text(receipt.at),
    }
    if receipt.code is not None:
        data["code"] = receipt.code
    if receipt.heads:
        data["heads"] = sorted(receipt.heads)
    if receipt.record_digest is not None:
        data["record_digest"] = receipt.record_digest
    return data


_STATING = (ReceiptKind.DELIVERED, ReceiptKind.REFUSED)


def _decode(item: Any, issuer: CountryCode, where: str) -> Receipt:
    if type(item) is not dict and not isinstance(item, Mapping):
        raise SchemaInvalid("This must be an object.", where=where)
    for name in _REQUIRED:
        if name not in item:
            raise SchemaInvalid("A required member is missing.", where=f"{where}/{name}")
    if not item.keys() <= _PARSERS.keys():
        raise SchemaInvalid("An unknown member.", where=where)
    parsed: dict[str, Any] = {}
    for name, parse in _PARSERS.items():
        if name in item:
            try:
                parsed[name] = parse(item[name])
            except (ValueError, TypeError):
                raise SchemaInvalid("The member does not have its form.", where=f"{where}/{name}") from None
    receipt = Receipt(issuer=issuer, **parsed)
    _check(receipt, where)
    return receipt


def _check(receipt: Receipt, where: str) -> None:
    """Refuse combinations that no step of the ladder has."""
    if receipt.author == receipt.issuer:
        raise SchemaInvalid("Nobody receipts his own message.", where=f"{where}/author")
    if (receipt.kind is ReceiptKind.REFUSED) is not (receipt.code is not None):
        raise SchemaInvalid("Exactly a refusal carries a code.", where=f"{where}/code")
    if receipt.kind not in _STATING and (receipt.heads or receipt.record_digest):
        raise SchemaInvalid("Only delivered and refused state the record.", where=f"{where}/heads")
    if receipt.record_digest is not None and not receipt.heads:
        raise SchemaInvalid("A record digest is over the closure of heads.", where=f"{where}/record_digest")


def _code(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_CODE or _CODE.fullmatch(value) is None:
        raise ValueError("not an error code")
    return value


def _heads(value: Any) -> tuple[Digest, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_HEADS:
        raise ValueError("not a list of heads")
    heads = tuple([Digest(item) for item in value])
    if list(heads) != sorted(set(heads)):
        raise ValueError("not sorted or not unique")
    return heads


_REQUIRED = ("message", "author", "digest", "kind", "at")
_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "message": MessageId,
    "author": CountryCode,
    "digest": Digest,
    "kind": ReceiptKind,
    "at": time_from_text,
    "code": _code,
    "heads": _heads,
    "record_digest": Digest,
}
