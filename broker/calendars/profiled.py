# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The calendar of a country as its profile in the trust list says, and which of that nobody has said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from broker.calendars.computation import CountryCalendar
from broker.calendars.countries import calendar_of
from broker.core.errors import CatalogueInvalid
from broker.core.ids import CountryCode
from broker.core.profile_questions import QUESTIONS
from broker.core.profiles import ProfileVersion
from broker.core.trust import TrustList

__all__ = ["ProfiledCalendars"]

_HOLIDAYS, _ZONE = "calendar.holidays", "calendar.time_zone"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledCalendars:
    """Gives calendars and open questions; without a profile the libraries' own answer is taken, and the question is open."""

    trust: Callable[[], TrustList]  # the list in force
    today: Callable[[], date]

    def __call__(self, country: str) -> CountryCalendar:
        """Return the calendar of a country.

        Raises:
            CatalogueInvalid: the country's time zone is not known.
        """
        version = self._version(country)
        key, zone = _text(version, _HOLIDAYS), _text(version, _ZONE)
        named, _, part = (key or country).partition("-")
        subdivision = part if named == country and part else None  # another country's holidays are none of this one's
        try:
            return calendar_of(country, subdivision, zone)
        except CatalogueInvalid:
            # Of a newer library, or signed unchecked: no profile may stop what looks at every country.
            return calendar_of(country)

    def open_questions(self, country: str) -> tuple[str, ...]:
        """Return what nobody has said of the country's calendar, as sentences."""
        version = self._version(country)
        asked = (name for name in (_HOLIDAYS, _ZONE) if version is None or not version.entry(name).known)
        return tuple(f"Nobody has said for {country}: {QUESTIONS[name].text} ({name})" for name in asked)

    def _version(self, country: str) -> ProfileVersion | None:
        profile = self.trust().profiles.get(CountryCode(country))
        return None if profile is None else profile.on(self.today())


def _text(version: ProfileVersion | None, question: str) -> str | None:
    value = None if version is None else version.entry(question).value
    return value if isinstance(value, str) else None
