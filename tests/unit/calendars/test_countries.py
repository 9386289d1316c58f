# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The calendar of each country."""

from datetime import date

import pytest

from broker.calendars import calendar_of
from broker.core.errors import CatalogueInvalid

ZONES = {
    "EE": "Europe/Tallinn", "FI": "Europe/Helsinki", "DE": "Europe/Berlin", "ES": "Europe/Madrid", "PT": "Europe/Lisbon",
    "CY": "Asia/Nicosia", "GB": "Europe/London", "NO": "Europe/Oslo", "UA": "Europe/Kyiv",
}  # fmt: skip


@pytest.mark.parametrize("country", ZONES)
def test_a_country_is_counted_in_the_time_of_its_capital(country: str) -> None:
    """Also where it has several zones."""
    calendar = calendar_of(country)
    assert calendar.zone_name == ZONES[country]
    assert calendar.holidays_known


def test_holidays_differ_from_country_to_country() -> None:
    """24 June is a holiday in Estonia and a working day in Germany."""
    day = date(2026, 6, 24)
    assert not calendar_of("EE").is_working_day(day)
    assert calendar_of("DE").is_working_day(day)


def test_a_part_of_a_country_may_have_holidays_of_its_own() -> None:
    """All Saints' Day 2027 is kept in Bavaria and not in Berlin."""
    day = date(2027, 11, 1)
    assert not calendar_of("DE", "BY").is_working_day(day)
    assert calendar_of("DE", "BE").is_working_day(day)
    assert calendar_of("ES", None, "Atlantic/Canary").zone_name == "Atlantic/Canary"


def test_a_country_without_known_holidays_has_weekends_and_says_so() -> None:
    """Nothing is made up; the reader is told."""
    calendar = calendar_of("QM", None, "UTC")
    assert not calendar.holidays_known
    assert calendar.is_working_day(date(2026, 12, 25))
    assert not calendar.is_working_day(date(2026, 12, 26))


@pytest.mark.parametrize("wanted", [("EE", "XX", None), ("EE", None, "Europe/Nowhere"), ("EE", None, "../etc"), ("QQ", None, None)])  # fmt: skip
def test_what_does_not_exist_is_refused(wanted: tuple[str, str | None, str | None]) -> None:
    """A subdivision, zone or country that nobody knows."""
    with pytest.raises(CatalogueInvalid):
        calendar_of(*wanted)
