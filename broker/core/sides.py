# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of the two countries of a message on its day: their profiles, and what their offices may do.

What nobody has said stays unknown: a rule that needs it names the question that is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Header
from broker.core.profile_questions import QUESTIONS
from broker.core.profiles import ProfileVersion
from broker.core.trust import Authority, TrustList

__all__ = ["Side", "Sides", "sides_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One country on that day."""

    country: CountryCode
    office: AuthorityId  # that writes, or is written to
    profile: ProfileVersion | None = None  # None: nobody wrote one
    offices: tuple[Authority, ...] = ()

    def says(self, question: str) -> bool | None:
        """Return yes or no; None where it is unknown."""
        return None if self.profile is None else self.profile.says(question)

    def age(self, question: str) -> int | None:
        """Return an age; None where it is unknown."""
        return None if self.profile is None else self.profile.age(question)

    def applies(self, question: str) -> bool:
        """Whether the question arises there at all; what is unknown may."""
        return self.profile is None or self.profile.entry(question).applicable

    def open_question(self, question: str) -> str:
        """Return the sentence that tells a person what to ask that country."""
        return f"Nobody has said for {self.country}: {QUESTIONS[question].text} ({question})"

    def competent(self, basis: str, use: str) -> Iterator[Authority]:
        """Yield the offices that the trust list names for that use on that legal basis."""
        wanted = f"{basis}:{use}"
        yield from (office for office in self.offices if office.competences and wanted in _spelled(office.competences))

    @property
    def listed(self) -> Authority | None:
        """The office of this side, as the trust list has it."""
        return next((office for office in self.offices if office.id == self.office), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Who writes and who is written to."""

    here: Side
    there: Side
    opening: bool  # the message opens its procedure
    day: date


def sides_of(trust: TrustList, header: Header, *, opening: bool) -> Sides:
    """Return what a trust list says of the two countries of a message, on the day when it was written."""
    day = header.created.date()

    def side(country: CountryCode, office: AuthorityId) -> Side:
        profile, member = trust.profiles.get(country), trust.members.get(country)
        return Side(
            country=country,
            office=office,
            profile=None if profile is None else profile.on(day),
            offices=() if member is None else member.authorities,
        )

    return Sides(
        here=side(header.sender.country, header.sender.authority),
        there=side(header.recipient.country, header.recipient.authority),
        opening=opening,
        day=day,
    )


@lru_cache(maxsize=1024)  # offices of a trust list, which are asked about by every opening message
def _spelled(competences: tuple[str, ...]) -> frozenset[str]:
    """Return competences as ``<legal basis>:<SEND, RECEIVE or DECIDE>``; older documents write B2B-82 for B2B_82."""
    return frozenset(competence.replace("-", "_") for competence in competences)
