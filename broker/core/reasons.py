# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a safeguard rule finds in a message: a reason to hold or to block it, in words for the officers of this node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from broker.core.ids import CountryCode, Digest, MessageType
from broker.core.messages import Body, ValidMessage

__all__ = ["Earlier", "Level", "Reason", "Rule", "block", "hold", "rests_on", "this_too", "warn"]


_THIS = Digest.known("")  # of the message that is judged, which has none yet: no correction could name it


class Level(StrEnum):
    """What a rule's finding does to a message."""

    WARN = "warn"  # it leaves, and its author is told
    HOLD = "hold"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a rule holds or blocks, and where; without any value of the message."""

    rule: str  # R-01 …
    code: str  # stable
    level: Level
    where: str  # JSON pointer into the body
    text: str  # one sentence for officers of this node


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A message that was exchanged before, of either side, which a rule reads beside the one that it judges."""

    type: MessageType
    digest: Digest
    author: CountryCode
    body: Body
    withdrawn: bool = False  # a correction that its author took back: judged with it and without
    limited: Level | None = None  # what a step that rests on it meets: its author restricted it, or wants it erased


def rests_on(item: Earlier | None, what: str) -> Iterator[Reason]:
    """Yield what speaks against a step that rests on a message which its author restricted, or wants erased (GDPR 17, 18)."""
    if item is not None and item.limited is not None:
        done = "is to be erased" if item.limited is Level.BLOCK else "is restricted: kept, and not used"
        text = f"By the word of its own author {what} {done}. Another one is needed for this step."
        yield Reason(rule="R-07", code="rests-on-restricted", level=item.limited, where="", text=text)


def this_too(earlier: Sequence[Earlier], message: ValidMessage) -> tuple[Earlier, ...]:
    """Return the earlier messages with the one that is judged as the newest."""
    header = message.header
    return (*earlier, Earlier(type=header.type, digest=_THIS, author=header.sender.country, body=message.body))


Rule = Callable[[Body, CountryCode], Iterator[Reason]]


def block(rule: str, code: str, where: str, text: str) -> Reason:
    """Return a reason that no one lifts."""
    return Reason(rule=rule, code=code, level=Level.BLOCK, where=where, text=text)


def hold(rule: str, code: str, where: str, text: str) -> Reason:
    """Return a reason that a second person decides about."""
    return Reason(rule=rule, code=code, level=Level.HOLD, where=where, text=text)


def warn(rule: str, code: str, where: str, text: str) -> Reason:
    """Return a remark for the author, who may have to ask or to follow up."""
    return Reason(rule=rule, code=code, level=Level.WARN, where=where, text=text)
