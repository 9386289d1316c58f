# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Calendars follow the country profile that is in force."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from broker.calendars import ProfiledCalendars
from broker.core.ids import CountryCode
from broker.core.profiles import CountryProfile, Entry, ProfileVersion, Source, Standing
from broker.core.trust import TrustList

SOURCE = Source(document="A made-up act")


def _calendars(country: str, **answers: Any) -> ProfiledCalendars:
    entries = {
        f"calendar.{name}": Entry(standing=Standing.VERIFIED, value=value, source=SOURCE)
        for name, value in answers.items()
    }
    version = ProfileVersion(
        valid_from=date(2026, 7, 1), edited=date(2026, 6, 1), editor="Test Ministry", because="x", entries=entries
    )
    profile = CountryProfile(country=CountryCode(country), versions=(version,))
    trust = TrustList(version=1, members={}, profiles={profile.country: profile})
    return ProfiledCalendars(trust=lambda: trust, today=lambda: date(2026, 11, 22))


def test_the_profile_says_holidays_and_time_zone() -> None:
    """A part of a country with its own holidays, and another zone than the capital's."""
    calendar = _calendars("DE", holidays="DE-BY", time_zone="Europe/Busingen")("DE")
    assert (calendar.subdivision, calendar.zone_name) == ("BY", "Europe/Busingen")
    assert not calendar.is_working_day(date(2026, 1, 6))  # in Bavaria, not in all of Germany
    assert _calendars("DE", holidays="DE", time_zone="Europe/Berlin")("DE").is_working_day(date(2026, 1, 6))


def test_what_nobody_has_said_is_an_open_question() -> None:
    """Without a profile the libraries' calendar is taken and both questions are told; an answer closes its own."""
    silent = _calendars("FI")
    assert silent("EE").zone_name == "Europe/Tallinn"
    assert [question.rsplit("(", 1)[1] for question in silent.open_questions("EE")] == [
        "calendar.holidays)", "calendar.time_zone)",
    ]  # fmt: skip
    assert [question.rsplit("(", 1)[1] for question in _calendars("EE", holidays="EE").open_questions("EE")] == [
        "calendar.time_zone)"
    ]
    assert _calendars("EE", holidays="EE", time_zone="Europe/Tallinn").open_questions("EE") == ()


def test_a_profile_that_the_libraries_do_not_know_leaves_the_country_its_own_calendar() -> None:
    """A deadline is counted all the same; another country's holidays are never taken for it."""
    assert _calendars("FI", holidays="FI-NOWHERE", time_zone="Europe/Helsinki")("FI").subdivision is None
    other = _calendars("FI", holidays="SE", time_zone="Europe/Helsinki")("FI")
    assert (other.country, other.zone_name) == ("FI", "Europe/Helsinki")


@pytest.mark.parametrize("zone", ["Mars/Base", "Europe", "../localtime", "z" * 1_000])
@pytest.mark.parametrize("key", ["EE", "EE-NOWHERE", "FI"])
def test_a_time_zone_that_is_none_leaves_the_country_its_own_calendar(key: str, zone: str) -> None:
    """Whatever stands beside it: the reminders of every country are counted in the same look."""
    assert _calendars("EE", holidays=key, time_zone=zone)("EE").zone_name == "Europe/Tallinn"
