# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a node signs of its audit trail and others keep: the head of its chain at a time (PROTOCOL 14.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.core import canonical
from broker.core.audit import Head
from broker.core.content import time_from_text, time_to_text
from broker.core.errors import SignatureShape
from broker.core.ids import CountryCode, Digest

__all__ = ["CHECKPOINT_SECONDS", "Checkpoint", "KeptCheckpoint", "contradicts", "gives_way"]

CHECKPOINT_SECONDS = 55.0  # of activity: with the time of linking that is one a minute
_MEMBERS = {"at", "country", "cut", "head", "position", "trust", "v"}
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a country's chain at a time."""

    country: CountryCode
    head: Head
    at: datetime  # never earlier than the checkpoint's before, whatever the clock says
    trust_version: int  # of the list by which the signing keys are judged
    cut: bool = False  # the entries up to here are taken away; the chain goes on behind it

    def payload(self) -> bytes:
        """Return the canonical bytes that are signed."""
        return canonical.dump(
            {
                "at": time_to_text(self.at),
                "country": self.country,
                "cut": self.cut,
                "head": self.head.chain,
                "position": self.head.position,
                "trust": self.trust_version,
                "v": _VERSION,
            }
        )

    @classmethod
    def from_payload(cls, raw: bytes) -> Checkpoint:
        """Return the checkpoint of signed bytes.

        Raises:
            NotCanonical: they are not canonical JSON.
            SignatureShape: they are not a checkpoint of version 1.
        """
        value = canonical.parse(raw)
        if not isinstance(value, dict) or value.keys() != _MEMBERS or type(value["cut"]) is not bool:
            raise SignatureShape
        if type(value["v"]) is not int or value["v"] != _VERSION:  # true is not 1
            raise SignatureShape
        try:
            return cls(
                country=CountryCode(value["country"]),
                head=Head(position=_whole(value["position"]), chain=Digest(value["head"])),
                at=time_from_text(value["at"]),
                trust_version=_whole(value["trust"]),
                cut=value["cut"],
            )
        except (ValueError, TypeError):
            raise SignatureShape from None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCheckpoint:
    """A checkpoint as it is stored, with the bytes that prove it."""

    head: Head
    at: datetime
    cut: bool
    raw: bytes  # as it was signed; whoever wants to believe the rest verifies these

    @classmethod
    def of(cls, checkpoint: Checkpoint, raw: bytes) -> KeptCheckpoint:
        """Return a checkpoint with its signed bytes."""
        return cls(head=checkpoint.head, at=checkpoint.at, cut=checkpoint.cut, raw=raw)


def contradicts(held: KeptCheckpoint, new: KeptCheckpoint) -> bool:
    """Whether both cannot be true of one trail: another head at one place, or less of it at a later time."""
    if held.head.position == new.head.position:
        return held.head != new.head
    earlier, later = sorted((held, new), key=lambda one: one.head.position)
    return earlier.at > later.at


def gives_way(earlier: KeptCheckpoint, later: KeptCheckpoint) -> bool:
    """Whether the later one takes the place of the earlier: of each hour the last one is kept for good.

    A newer head proves everything before it. The ones in between only say more exactly where a trail was rewritten.
    """
    return not earlier.cut and _hour(earlier.at) == _hour(later.at)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a whole number")
    return value
