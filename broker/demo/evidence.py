# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the demonstration saw, as values; nothing here decides whether it is good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Evidence", "Landed", "Line", "Onlooker", "Sent", "Side"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a procedure's timeline, as a node's API tells it."""

    at: str  # RFC 3339 UTC, milliseconds: sorts as text
    who: str
    what: str
    state: str
    evidence: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message that one country's system submitted, as the API accepted it."""

    act: str
    author: str
    recipient: str
    message: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two countries: its record of the procedure."""

    country: str
    digest: str | None
    state: str
    alarm: bool
    gap: bool
    messages: tuple[str, ...]  # digests of the messages that its own API lists in the procedure
    timeline: tuple[Line, ...]
    attention: tuple[str, ...]  # codes of what its people are asked to look at


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A file that the file-drop adapter put into the national system's folder."""

    message: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Onlooker:
    """The third country, which must have seen nothing and must not be able to read anything."""

    country: str
    messages: int  # in its store
    seen: int  # deliveries that its node looked at, whatever it decided
    held: int  # quarantined or parked
    waiting: int  # still in its own queue or spool
    procedure_status: int  # what its API answers when asked for the procedure
    opening: Mapping[str, tuple[str, ...]]  # act → codes when its keys try the sealed bytes; "opened" where they open
    reading: str  # its broker account at the others' queues: "refused" or "read"; "not-applicable" without a broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that the checks look at."""

    sent: tuple[Sent, ...]
    requesting: Side
    requested: Side
    landed: tuple[Landed, ...]
    onlooker: Onlooker
