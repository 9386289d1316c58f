# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-39: what surge mode lets wait, for how long, and nothing else; S004:870-876.

Two people declare it for 14 days at most, in the registration of a group. While this country's own declaration towards a
country is in force, a hearing, a notice period and a translation may follow later: their holds become remarks, and a person
is called for what is owed. What blocks still blocks, and every other hold still waits for a second person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from broker.core.ids import CountryCode, MessageType
from broker.core.messages import Body
from broker.core.reasons import Level, Reason

__all__ = ["OVER", "REGISTRATION", "SurgeMode", "in_force_until", "may_wait", "owed", "relaxed"]

REGISTRATION = MessageType("surge.registration")
OVER = frozenset({"CLOSED", "REFUSED", "WITHDRAWN"})  # states of a surge whose declaration is in force no more
_PREFIX = "surge-"
_LATER: Mapping[tuple[str, str], str] = {
    ("R-05", "child-not-heard"): "hear the child within 7 days, and tell the other side",
    ("R-12", "notice-too-short"): "agree on the shorter notice with the receiving office",
    ("R-20", "translation-missing"): "send a translation that a person has read",
    ("R-20", "translation-by-machine"): "have a person read the translation, and send it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SurgeMode:
    """That a country declared surge mode towards another, and it is in force."""

    declared_by: CountryCode
    towards: CountryCode
    until: date | None  # its last day; None: the message that says so does not open here
    exercise: bool  # a drill's is in force for drills alone

    def concerns(self, country: CountryCode, *, exercise: bool) -> bool:
        """Whether it stands between this country and that one, for a procedure that is an exercise or is none."""
        return country in (self.declared_by, self.towards) and exercise == self.exercise


def in_force_until(registration: Body, day: date) -> date | None:
    """Return the last day of the declaration that a registration carries; None: it is not in force on that day."""
    declared = registration["declaration"]
    first = date.fromisoformat(declared["declared_on"])
    last = first + timedelta(days=int(declared["days"]) - 1)
    return last if first <= day <= last else None


def may_wait(reasons: Sequence[Reason]) -> bool:
    """Whether surge mode would let any of these wait."""
    return any(_waits(reason) for reason in reasons)


def relaxed(reasons: Sequence[Reason], until: date) -> tuple[Reason, ...]:
    """Return the reasons as they stand in surge mode."""
    return tuple(_remark(reason, until) if _waits(reason) else reason for reason in reasons)


def owed(reasons: Sequence[Reason]) -> str:
    """Return what a person is called for after a message left in surge mode; empty: nothing."""
    return " ".join(reason.text for reason in reasons if reason.code.startswith(_PREFIX))


def _waits(reason: Reason) -> bool:
    return reason.level is Level.HOLD and (reason.rule, reason.code) in _LATER


def _remark(reason: Reason, until: date) -> Reason:
    text = f"{reason.text} Surge mode until {until}: {_LATER[reason.rule, reason.code]}."
    return replace(reason, level=Level.WARN, code=f"{_PREFIX}{reason.code}", text=text)
