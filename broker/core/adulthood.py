# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""From which day a person is certainly no child any more (CRC 1), and which legal bases end then (rule R-36).

Whoever may be a child is treated as one (R-15; ATD 13(2), CETS197 10(3)): a person is of age only where all that either
side told of the birth is certain and says so. A newer certain birth does not lift an older doubt, nor a birth by which
the person is a child still: that takes a decision on age, which a side names in correcting a message of its own
(`age_decision`, from version 1.1 on), and lasts until an answer on identity treats the person as a child again, or who
named it says that it fell.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from broker.core.messages import Body, LegalBasis

__all__ = ["ComingOfAge", "Told", "coming_of_age", "majority", "of_age", "only_for_children", "says_birth"]

_OF_AGE = 18  # years; CRC 1
# B2b 2(2)(6) and recital 17, H96 2; AMMR 23 and IR2055 11 are about minors, CRC 22(2) and CETS197 10(4) about children.
_CHILDREN_ONLY = ("B2B_", "H96_", "AMMR_23", "IR2055_11", "RETURN_1980", "ATD_14", "ATD_16_2", "CRC_", "CETS197_10_4")
_SIX_MONTHS = timedelta(days=183)
_LEAP = 29  # who is born on 29 February is of age on 1 March

_AHEAD = (
    "By the recorded birth this child comes of age: settle before that day what goes on, with own consent and on another "
    "basis, and close what is for children only."
)
_REACHED = "By the recorded birth this person is of age: close this procedure, or go on as an adult's with own consent."


@dataclass(frozen=True, slots=True, kw_only=True)
class ComingOfAge:
    """What is to be done because a child comes of age; it tells the birth, and is stored nowhere."""

    on: date  # the first day on which the person is certainly of age
    reached: bool

    @property
    def meaning(self) -> str:
        """What it means for people."""
        return _REACHED if self.reached else _AHEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the messages of a procedure tell of a child, as they read after their corrections."""

    births: tuple[Mapping[str, Any], ...] = ()  # the child as each describes it that says a birth, newest first
    decided: bool | None = None  # the newest word on the age: True, a decision says adult; False, treated as a child

    @classmethod
    def by(cls, bodies: Sequence[Body]) -> Told:
        """Return what these bodies, oldest first, tell."""
        children = (child for body in reversed(bodies) if isinstance(child := body.get("child"), Mapping))
        births = tuple(child for child in children if says_birth(child))
        words = (word for body in reversed(bodies) if (word := _decided(body)) is not None)
        return cls(births=births, decided=next(words, None))

    def of_age(self, day: date) -> bool:
        """Whether the person is of age by everything that was told, or by the newest certain birth where it was decided."""
        if self.decided:
            return next((known for birth in self.births if (known := of_age(birth, day)) is not None), False)
        return self.decided is None and bool(self.births) and all(of_age(birth, day) for birth in self.births)


def coming_of_age(told: Told, day: date) -> ComingOfAge | None:
    """Return what is to be done about a child from six months before; None: not yet, or the age is not certain (R-15)."""
    first = next((majority(child) for child in told.births), None)
    if first is None or first - day > _SIX_MONTHS or (first <= day and not told.of_age(day)):
        return None
    return ComingOfAge(on=first, reached=first <= day)


def only_for_children(basis: LegalBasis | None) -> bool:
    """Whether that legal basis is about children alone."""
    return basis is not None and basis.code.startswith(_CHILDREN_ONLY)


def of_age(child: Mapping[str, Any], day: date) -> bool | None:
    """Return whether the described person is of age on that day; None where that is not known for certain."""
    known = _certain(child)
    if known is None:
        return None
    if str(known.get("date", ""))[:4] > str(day.year - _OF_AGE):  # nearly every child: no calendar is needed
        return False
    first = majority(child)
    return None if first is None else first <= day


def majority(child: Mapping[str, Any]) -> date | None:
    """Return the first day on which the described person is of age at the latest; None where that is not known for certain."""
    known = _certain(child)
    if known is None:
        return None
    try:
        if "date" in known:
            return _of_age(_latest(str(known["date"])))
        if "age_years" in known and "age_on" in known:
            told = date.fromisoformat(str(known["age_on"]))
            return _years_later(told, _OF_AGE - int(known["age_years"]))
    except (ValueError, OverflowError):
        return None  # no day of the calendar: a correction may have put any text here
    return None


def says_birth(child: Mapping[str, Any]) -> bool:
    """Whether a description says when the child was born, be it an estimate or contested; unknown and left out say nothing."""
    return _stated(child) is not None


def _decided(body: Body) -> bool | None:
    """Return whether a correction, or an answer on identity, names a decision by which somebody is no child; None: no word."""
    if "treated_as_child" in body:
        return body["treated_as_child"] == "NO" and "age_decision" in body
    return True if "age_decision" in body else None


def _certain(child: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the birth as it is known for certain: neither estimated nor contested."""
    known = _stated(child)
    if known is None or known.get("estimated") is not False or "age_assessment" in known:
        return None
    return known


def _stated(child: Mapping[str, Any]) -> Mapping[str, Any] | None:
    described = child.get("named", child.get("pseudonym", child))
    known = described.get("birth", {}).get("value") if isinstance(described, Mapping) else None
    return known if isinstance(known, Mapping) else None


def _latest(born: str) -> date:
    """Return the last day that a date says as far as it is known."""
    year, month, of_month = (*(int(part) for part in born.split("-")), 0, 0)[:3]
    month = month or 12
    return date(year, month, of_month or monthrange(year, month)[1])


def _of_age(born: date) -> date:
    return _years_later(born, _OF_AGE)


def _years_later(day: date, years: int) -> date:
    year = day.year + years
    leap = (day.month, day.day) == (2, _LEAP) and monthrange(year, 2)[1] < _LEAP
    return date(year, 3, 1) if leap else day.replace(year=year)
