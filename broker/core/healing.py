# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a node that was restored from a backup asks of the others, and what they answer (PROTOCOL 17).

The question says from when on everything is missing, then which messages are wanted again. The answer lists what passed
between the two since, by ids and digests; one's own messages come back as they were signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeVar

from broker.core.checkpoints import KeptCheckpoint
from broker.core.content import time_from_text, time_to_text
from broker.core.errors import SchemaInvalid
from broker.core.ids import CountryCode, Digest, MessageId, ProcedureId
from broker.core.receipts import Receipt
from broker.core.receipts import from_body as receipts_from
from broker.core.receipts import to_body as receipts_to

__all__ = [
    "HEAL_TYPES",
    "HELD_TYPE",
    "MAX_LISTED",
    "MAX_WANTED",
    "REFUSED",
    "RESTORED_TYPE",
    "Answer",
    "HealingRow",
    "HeldItem",
    "Missed",
    "MissedState",
    "Passed",
    "Place",
    "Question",
    "RestoredMark",
    "Returned",
    "lost_by_restore",
]

T = TypeVar("T")

RESTORED_TYPE, HELD_TYPE = "node.restored", "node.held"
HEAL_TYPES = (RESTORED_TYPE, HELD_TYPE, "node.missing")  # what is sent although nothing else is yet
MAX_LISTED = 100  # messages in one answer
MAX_WANTED = 20  # in one question: each may come back as an envelope of its own
REFUSED = "refused"  # code of a missed message that was refused: its place in the record is all that comes back of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a list goes on: behind this message."""

    message: MessageId
    author: CountryCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a restored node asks of one other."""

    since: datetime  # of the backup: what came after it is missing
    restored: datetime
    position: int  # up to which its audit trail is what it was
    head: Digest  # the link there
    after: Place | None = None
    wanted: tuple[Digest, ...] = ()  # messages to be sent again; none: the list is wanted

    def body(self) -> dict[str, Any]:
        """Return the body of the message; a member that does not apply is absent."""
        body: dict[str, Any] = {
            "since": time_to_text(self.since),
            "restored": time_to_text(self.restored),
            "position": self.position,
            "head": self.head,
        }
        if self.after is not None:
            body["after"] = _place_to(self.after)
        return body | ({"wanted": sorted(self.wanted)} if self.wanted else {})

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Question:
        """Return the question of a body that fits its schema.

        Raises:
            SchemaInvalid: a member does not have its form.
        """
        return _formed(
            lambda: cls(
                since=time_from_text(body["since"]),
                restored=time_from_text(body["restored"]),
                position=int(body["position"]),
                head=Digest(body["head"]),
                after=_place_of(body.get("after")),
                wanted=tuple(Digest(item) for item in body.get("wanted", ())),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HealingRow:
    """How far a restored node is with one other country; until it has ended, nothing is sent there."""

    peer: CountryCode
    since: datetime
    restored: datetime
    position: int
    head: Digest
    next_at: datetime  # when to ask next
    listed: bool = False  # the whole list has come
    after: Place | None = None
    question: MessageId | None = None  # the last one; older answers count no more
    attempts: int = 0  # since the last answer
    ended: datetime | None = None


class MissedState(StrEnum):
    """What became of a message that a backup did not hold."""

    WANTED = "wanted"  # it is asked for
    FOUND = "found"  # it is here again
    LOST = "lost"  # it cannot be had; a person looks at it


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A message that passed after the backup."""

    peer: CountryCode
    author: CountryCode
    message: MessageId
    digest: Digest
    procedure: ProcedureId
    opener: CountryCode
    act: str
    state: MissedState = MissedState.WANTED
    code: str | None = None  # why it is lost, or what of it is
    attempts: int = 0  # how often it was promised


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A message of either side, as the store of the other country has it."""

    author: CountryCode
    message: MessageId
    digest: Digest
    procedure: ProcedureId
    opener: CountryCode
    act: str
    code: str | None
    parents: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredMark:
    """Another country's statement that its trail goes on behind an earlier place."""

    country: CountryCode
    at: datetime
    position: int
    head: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldItem:
    """A message that passed between the two, as the other country has it."""

    author: CountryCode
    message: MessageId
    digest: Digest
    procedure: ProcedureId
    opener: CountryCode  # who opened that procedure
    act: str
    code: str | None = None  # it was refused: it is a stub there, with these parents
    parents: tuple[Digest, ...] = ()
    receipts: tuple[Receipt, ...] = ()  # the answering country's own about it, where its author is the asking one


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A message of the asking country, as it once signed it."""

    digest: Digest
    signed: Mapping[str, Any]  # the object of PROTOCOL 5.1
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the other country says."""

    question: MessageId  # that it answers
    items: tuple[HeldItem, ...] = ()
    next: Place | None = None  # there are more
    sent: tuple[Digest, ...] = ()  # of those wanted: they come again
    lacking: tuple[Digest, ...] = ()  # of those wanted: it cannot give them
    returned: Returned | None = None

    def goes_on(self, after: Place | None) -> bool:
        """Whether its list begins behind that place, is in its order, and names its last message where there are more.

        Else the same pages could come round for ever.
        """
        places = [(item.message, item.author) for item in self.items]
        before = [] if after is None else [(after.message, after.author)]
        ends = self.next is None or (bool(places) and places[-1] == (self.next.message, self.next.author))
        return ends and all(first < second for first, second in pairwise([*before, *places]))

    def body(self) -> dict[str, Any]:
        """Return the body of the message; a member that does not apply is absent."""
        body: dict[str, Any] = {"question": self.question}
        if self.items:
            body["items"] = [_item_to(item) for item in self.items]
        if self.next is not None:
            body["next"] = _place_to(self.next)
        for name, digests in (("sent", self.sent), ("lacking", self.lacking)):
            if digests:
                body[name] = sorted(digests)
        if self.returned is not None:
            body["returned"] = {"digest": self.returned.digest, "signed": dict(self.returned.signed)} | _receipts_to(
                self.returned.receipts
            )
        return body

    @classmethod
    def of(cls, body: Mapping[str, Any], sender: CountryCode) -> Answer:
        """Return the answer of a body that fits its schema; receipts in it are its sender's.

        Raises:
            SchemaInvalid: a member does not have its form.
        """
        back = body.get("returned")
        return _formed(
            lambda: cls(
                question=MessageId(body["question"]),
                items=tuple(_item_of(item, sender) for item in body.get("items", ())),
                next=_place_of(body.get("next")),
                sent=tuple(Digest(item) for item in body.get("sent", ())),
                lacking=tuple(Digest(item) for item in body.get("lacking", ())),
                returned=None
                if back is None
                else Returned(
                    digest=Digest(back["digest"]), signed=dict(back["signed"]), receipts=_receipts_of(back, sender)
                ),
            )
        )


def lost_by_restore(held: KeptCheckpoint, new: KeptCheckpoint, marks: Iterable[RestoredMark]) -> bool:
    """Whether a country said that what it signed before is no part of its trail any more: it was restored in between.

    Nothing is forgiven up to the place that it named, nor from the time after it.
    """
    return any(
        held.at <= mark.at <= new.at and held.head.position > mark.position and new.head.position > mark.position
        for mark in marks
    )


def _item_to(item: HeldItem) -> dict[str, Any]:
    body: dict[str, Any] = {
        "author": item.author,
        "message": item.message,
        "digest": item.digest,
        "procedure": item.procedure,
        "opener": item.opener,
        "act": item.act,
    }
    if item.code is not None:
        body |= {"code": item.code, "parents": sorted(item.parents)}
    return body | _receipts_to(item.receipts)


def _item_of(item: Mapping[str, Any], sender: CountryCode) -> HeldItem:
    return HeldItem(
        author=CountryCode(item["author"]),
        message=MessageId(item["message"]),
        digest=Digest(item["digest"]),
        procedure=ProcedureId(item["procedure"]),
        opener=CountryCode(item["opener"]),
        act=str(item["act"]),
        code=item.get("code"),
        parents=tuple(Digest(parent) for parent in item.get("parents", ())),
        receipts=_receipts_of(item, sender),
    )


def _receipts_to(receipts: tuple[Receipt, ...]) -> dict[str, Any]:
    return receipts_to(receipts) if receipts else {}


def _receipts_of(body: Mapping[str, Any], sender: CountryCode) -> tuple[Receipt, ...]:
    return receipts_from({"receipts": body["receipts"]}, sender) if "receipts" in body else ()


def _place_to(place: Place) -> dict[str, str]:
    return {"author": place.author, "message": place.message}


def _place_of(value: Mapping[str, Any] | None) -> Place | None:
    return None if value is None else Place(message=MessageId(value["message"]), author=CountryCode(value["author"]))


def _formed(make: Callable[[], T]) -> T:
    try:
        return make()
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SchemaInvalid("A member does not have its form.", where="/body") from None
