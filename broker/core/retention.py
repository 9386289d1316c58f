# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How long a case is kept and why: the rules of a node, and the closed lists of reasons (DOMAIN 6.5; GDPR 5(1)(e), LED 5).

- No instrument gives a number: each rule says where it comes from, and a node puts its own in their place.
- A rule ends in a review by a person and never in an erasure: two persons erase, for a reason of the list.
- Reasons are codes, so that no free text about a case reaches the audit trail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from broker.core.deadlines import DeadlineKind, Limit, Unit
from broker.core.errors import CatalogueInvalid

__all__ = [
    "EXERCISE_KEPT", "LONGEST_KEEP_DAYS", "LONGEST_LIMITS", "PROPOSAL_DAYS", "EraseReason", "HoldReason", "KeepReason",
    "RetentionRule", "RetentionRules", "parse_rules",
]  # fmt: skip

PROPOSAL_DAYS = 7  # as long as a held message waits: who proposed an erasure still knows why
EXERCISE_KEPT = timedelta(days=30)  # a drill is evaluated within a month; its data are invented
LONGEST_KEEP_DAYS = 5 * 366  # a review may put the next one off so far: a date without end would be none

LONGEST_LIMITS: Mapping[Unit, int] = MappingProxyType(
    {Unit.DAYS: LONGEST_KEEP_DAYS, Unit.WEEKS: 5 * 53, Unit.MONTHS: 60}
)
_RULE = {"limit", "kind", "source"}
_PROCEDURE = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)


class EraseReason(StrEnum):
    """Why a case is erased."""

    NO_LONGER_NEEDED = "no-longer-needed"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    OBJECTION = "objection"
    UNLAWFUL = "unlawful"
    WRONG_PERSON = "wrong-person"
    LEGAL_OBLIGATION = "legal-obligation"
    COURT_ORDER = "court-order"
    AUTHORITY_ORDER = "authority-order"
    EXERCISE = "exercise"

    @property
    def law(self) -> str:
        """The law that it rests on."""
        return _LAWS[self]

    @property
    def ground(self) -> str:
        """As what it is told to other countries (code list ``erasure-ground``)."""
        return _GROUNDS.get(self, self.name)

    @property
    def ordered(self) -> bool:
        """Whether a court or a supervisory authority ordered it: then it waits for no procedure and no answer."""
        return self in {EraseReason.COURT_ORDER, EraseReason.AUTHORITY_ORDER}

    @classmethod
    def of_people(cls) -> tuple[EraseReason, ...]:
        """Return the reasons that a person may give."""
        return tuple(reason for reason in cls if reason is not cls.EXERCISE)


class HoldReason(StrEnum):
    """Why nothing of a case may be erased: a legal hold."""

    CRIMINAL_PROCEEDINGS = "criminal-proceedings"
    COURT_PROCEEDINGS = "court-proceedings"
    LEGAL_CLAIM = "legal-claim"  # GDPR 17(3)(e)
    RESTRICTION = "restriction"  # somebody wants it stored and not used (GDPR 18(1))
    SUPERVISORY_AUTHORITY = "supervisory-authority"  # it looks into the case (GDPR 58(1))
    COMPLAINT = "complaint"


class KeepReason(StrEnum):
    """Why a person who reviewed a case keeps it on."""

    CASE_GOES_ON = "case-goes-on"
    DUTY_OF_LAW = "duty-of-law"
    CLAIMS_POSSIBLE = "claims-possible"
    CHILD_MAY_ASK = "child-may-ask"

    @property
    def law(self) -> str:
        """What another country is told that asked for an erasure."""
        return _KEPT[self]


_LAWS = {
    EraseReason.NO_LONGER_NEEDED: "GDPR 17(1)(a); LED 4(1)(e)",
    EraseReason.CONSENT_WITHDRAWN: "GDPR 17(1)(b)",
    EraseReason.OBJECTION: "GDPR 17(1)(c)",
    EraseReason.UNLAWFUL: "GDPR 17(1)(d); LED 16(2)",
    EraseReason.WRONG_PERSON: "GDPR 17(1)(d); LED 16(2)",
    EraseReason.LEGAL_OBLIGATION: "GDPR 17(1)(e); LED 16(2)",
    EraseReason.COURT_ORDER: "GDPR 17(1)(e), 79; LED 16(2), 54",
    EraseReason.AUTHORITY_ORDER: "GDPR 58(2)(g); LED 47(2)(b)",
    EraseReason.EXERCISE: "R-40: exercise data are erased after the drill",
}
_KEPT = {
    KeepReason.CASE_GOES_ON: "The case goes on here; the data are still needed (GDPR 17(1)(a), 17(3)(b)).",
    KeepReason.DUTY_OF_LAW: "A law of this country demands that they are kept (GDPR 17(3)(b)).",
    KeepReason.CLAIMS_POSSIBLE: "They may be needed for legal claims (GDPR 17(3)(e)).",
    KeepReason.CHILD_MAY_ASK: "They are kept so that the child can learn its own story (GDPR 17(3)(b)).",
}
_GROUNDS = {
    EraseReason.COURT_ORDER: "LEGAL_OBLIGATION",
    EraseReason.AUTHORITY_ORDER: "LEGAL_OBLIGATION",
    EraseReason.EXERCISE: "NO_LONGER_NEEDED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """After how long without anything new a person reviews whether a case is still needed."""

    limit: Limit
    kind: DeadlineKind
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """A node's rules: one for each procedure that differs, and one for all others."""

    default: RetentionRule
    procedures: Mapping[str, RetentionRule]

    def of(self, procedure: str) -> RetentionRule:
        """Return the rule of a procedure, by its name."""
        return self.procedures.get(procedure, self.default)


def parse_rules(raw: bytes) -> RetentionRules:
    """Return the rules of a JSON document.

    Raises:
        CatalogueInvalid: it is no such document; ``where`` points at the place.
    """
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        raise CatalogueInvalid("The retention rules are not JSON.", where="/") from None
    document = _members(data, {"default", "procedures"}, "")
    named = document["procedures"]
    if not isinstance(named, dict):
        raise CatalogueInvalid("This must be an object.", where="/procedures")
    for name in named:
        if _PROCEDURE.fullmatch(name) is None:
            raise CatalogueInvalid("This is not the name of a procedure.", where=f"/procedures/{name}")
    return RetentionRules(
        default=_rule(document["default"], "/default"),
        procedures=MappingProxyType({name: _rule(item, f"/procedures/{name}") for name, item in named.items()}),
    )


def _rule(data: Any, where: str) -> RetentionRule:
    item = _members(data, _RULE, where)
    if item["kind"] not in list(DeadlineKind):
        raise CatalogueInvalid(f"This must be one of: {', '.join(DeadlineKind)}.", where=f"{where}/kind")
    if not isinstance(item["source"], str) or not item["source"]:
        raise CatalogueInvalid("This must be a text.", where=f"{where}/source")
    return RetentionRule(
        limit=_limit(item["limit"], f"{where}/limit"), kind=DeadlineKind(item["kind"]), source=item["source"]
    )


def _limit(data: Any, where: str) -> Limit:
    if not isinstance(data, dict) or len(data) != 1 or next(iter(data)) not in LONGEST_LIMITS:
        raise CatalogueInvalid(f"This must have one of: {', '.join(LONGEST_LIMITS)}.", where=where)
    ((name, count),) = data.items()
    unit = Unit(name)
    if type(count) is not int or not 1 <= count <= LONGEST_LIMITS[unit]:
        raise CatalogueInvalid(f"This must be a number from 1 to {LONGEST_LIMITS[unit]}.", where=f"{where}/{name}")
    return Limit(count=count, unit=unit)


def _members(data: Any, known: set[str], where: str) -> Mapping[str, Any]:
    if not isinstance(data, dict) or data.keys() != known:
        raise CatalogueInvalid(f"This must be an object of exactly: {', '.join(sorted(known))}.", where=where or "/")
    return data
