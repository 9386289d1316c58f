# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A country profile as a value: who decides what in a country, which papers and consents it asks for (CASEWORK 4.6).

- Every answer carries its source and how far it is to be relied on. What has no answer is unknown.
- Unknown is never read as no: a reader here gives the answer that protects the child, or None and never a guess.
- A profile has versions, each valid from a day: an old request is decided by the rule of its day (CASEWORK 5.2).
- A profile is data about law, shown and weighed by people; it gives nobody a right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from broker.core.ids import AuthorityId, CountryCode
from broker.core.profile_questions import QUESTIONS, SECTIONS

__all__ = [
    "PROFILE_AGE_MONTHS", "UNKNOWN", "CountryProfile", "Entry", "Item", "Office", "ProfileVersion", "Source", "Standing",
    "Value", "is_older", "ordered",
]  # fmt: skip

PROFILE_AGE_MONTHS = 12  # CASEWORK 4.9: an older answer shows its age
_READ = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?", re.ASCII)


class Standing(StrEnum):
    """How far an answer is to be relied on; all but VERIFIED is shown as unverified."""

    VERIFIED = "VERIFIED"  # read in the source named
    SECONDARY = "SECONDARY"  # a source about the source
    UNVERIFIED = "UNVERIFIED"  # general knowledge that nobody has checked
    DEFAULT = "DEFAULT"  # the product's design, not law
    UNKNOWN = "UNKNOWN"  # nobody has said


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an answer was read.

    Raises:
        ValueError: the time of reading is neither a day nor a month.
    """

    document: str
    place: str | None = None  # article or section
    read: str | None = None  # 2026-11-22; 2026-11 where the day was not written down; None where nobody wrote it down

    def __post_init__(self) -> None:
        if self.read is not None and _READ.fullmatch(self.read) is None:
            raise ValueError("not a day or month")
        _ = self.earliest

    @property
    def earliest(self) -> date | None:
        """The first day on which it may have been read; age counts from there."""
        if self.read is None:
            return None
        return date.fromisoformat(self.read if len(self.read) > len("2026-11") else f"{self.read}-01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """An office as the source names it, with the country's own rule how to find the right one."""

    name: str
    found_by: str | None = None  # "municipality of intended residence"
    authority: AuthorityId | None = None  # where the member lists it


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One numbered thing that a request must hold."""

    number: int
    text: str
    form: str | None = None  # original, certified copy …
    translated: bool | None = None  # None: nobody has said


Value = str | bool | int | date | tuple[str, ...] | tuple[Office, ...] | tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The answer to one question: known, not applicable, or unknown; the three are never read as one another.

    Raises:
        ValueError: an unknown answer has a value, or a known one has no source.
    """

    standing: Standing = Standing.UNKNOWN
    value: Value | None = None
    applicable: bool = True
    source: Source | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        unknown = self.standing is Standing.UNKNOWN
        if unknown and (self.value is not None or not self.applicable):
            raise ValueError("an unknown answer says something")
        if not unknown and (self.value is None) is self.applicable:
            raise ValueError("a known answer has no value, or one that does not apply has")
        if not unknown and self.source is None:
            raise ValueError("an answer without source")

    @property
    def known(self) -> bool:
        """Whether there is an answer, if only that the question does not arise."""
        return self.standing is not Standing.UNKNOWN


UNKNOWN = Entry()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileVersion:
    """The answers that hold from a day on, who wrote them down, when and why."""

    valid_from: date
    edited: date
    editor: str  # the office that answers for it, never a person
    because: str  # what the edit rests on
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def entry(self, name: str) -> Entry:
        """Return the answer to a question; one that nobody gave is unknown."""
        if name not in QUESTIONS:
            raise RuntimeError(f"no question of a profile: {name}")
        return self.entries.get(name, UNKNOWN)

    def unknown(self) -> tuple[str, ...]:
        """Return the questions without an answer, in the order of the list."""
        return tuple(name for name in ordered() if not self.entry(name).known)

    def codes(self, name: str) -> frozenset[str] | None:
        """Return the codes of an answer; None where it is unknown or does not arise."""
        value = self.entry(name).value
        if isinstance(value, str):
            return frozenset((value,))
        return frozenset(map(str, value)) if isinstance(value, tuple) else None

    def says(self, name: str) -> bool | None:
        """Return yes or no; None where it is unknown, which is neither."""
        value = self.entry(name).value
        return value if isinstance(value, bool) else None

    def age(self, name: str) -> int | None:
        """Return an age; None where it is unknown, which is no age at all and not zero."""
        value = self.entry(name).value
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def consent_needed(self, care: str, *, basis: str) -> bool:
        """Whether the country must consent before a child comes into that care (B2b 82, H96 33; CASEWORK C-03).

        Relatives are exempt only where the country notified them under Brussels IIb and somebody read that in the
        notification: a placement without the consent it needed is not enforceable there.
        """
        if care == "PARENTS":
            return False
        exempt = self.entry("placement.relative_categories")
        if basis != "B2B_82" or exempt.standing is not Standing.VERIFIED or self.says("placement.consent_for_all"):
            return True
        return care not in (self.codes("placement.relative_categories") or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryProfile:
    """What is known about a country's rules, now and before.

    Raises:
        ValueError: there is no version, or two begin on one day or stand in the wrong order.
    """

    country: CountryCode
    versions: tuple[ProfileVersion, ...]  # by the day they begin

    def __post_init__(self) -> None:
        days = [version.valid_from for version in self.versions]
        if not days or days != sorted(set(days)):
            raise ValueError("not versions in ascending order of the day they begin")

    def on(self, day: date) -> ProfileVersion | None:
        """Return the version that held on a day; None before the first."""
        begun = [version for version in self.versions if version.valid_from <= day]
        return begun[-1] if begun else None

    @property
    def newest(self) -> ProfileVersion:
        """The version that begins last, perhaps in the future."""
        return self.versions[-1]


def ordered() -> Iterator[str]:
    """Yield every question by section, as people read them."""
    for section in SECTIONS:
        yield from (name for name, question in QUESTIONS.items() if question.section == section)


def is_older(day: date, today: date) -> bool:
    """Whether more than `PROFILE_AGE_MONTHS` calendar months lie between a day and today."""
    passed = (today.year - day.year) * 12 + today.month - day.month
    return (passed, today.day) > (PROFILE_AGE_MONTHS, day.day)
