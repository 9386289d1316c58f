# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The calendar of each country, from the libraries that maintain holidays and time zones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from broker.calendars.computation import CountryCalendar
from broker.core.errors import CatalogueInvalid

__all__ = ["calendar_of"]

_CALENDARS = 64  # kept; a federation has fewer countries

# Where a country has several time zones: the one of its capital. A country profile may say another.
_CAPITAL_ZONE = {
    "CY": "Asia/Nicosia", "DE": "Europe/Berlin", "ES": "Europe/Madrid", "PT": "Europe/Lisbon", "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv", "US": "America/New_York", "XK": "Europe/Belgrade",
}  # fmt: skip


@lru_cache(maxsize=_CALENDARS)
def calendar_of(country: str, subdivision: str | None = None, zone: str | None = None) -> CountryCalendar:
    """Return the calendar of a country.

    Args:
        country: ISO 3166-1 alpha-2.
        subdivision: the part of it whose holidays count as well, as the library `holidays` names it.
        zone: IANA time zone; None: that of the capital.

    Raises:
        CatalogueInvalid: there is no such subdivision or zone, or the country's zone is not known.
    """
    name = zone or _CAPITAL_ZONE.get(country) or _only_zone(country)
    try:
        time_zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise CatalogueInvalid("There is no such time zone.", where=country) from None
    is_holiday, known = _holidays(country, subdivision)
    return CountryCalendar(
        country=country,
        subdivision=subdivision,
        zone_name=name,
        zone=time_zone,
        is_holiday=is_holiday,
        holidays_known=known,
    )


def _holidays(country: str, subdivision: str | None) -> tuple[Callable[[date], bool], bool]:
    import holidays

    known = holidays.list_supported_countries(include_aliases=False)
    if country not in known:
        return (lambda day: False), False
    if subdivision is not None and subdivision not in known[country]:
        raise CatalogueInvalid("The country has no such subdivision.", where=f"{country}-{subdivision}")
    days = holidays.country_holidays(country, subdiv=subdivision)
    return days.__contains__, True


def _only_zone(country: str) -> str:
    """Return the zone of a country that has one; of several the first in Europe."""
    from babel.core import get_global

    zones = sorted(zone for zone, territory in get_global("zone_territories").items() if territory == country)
    european = [zone for zone in zones if zone.startswith("Europe/")]
    if not zones:
        raise CatalogueInvalid("The country's time zone is not known.", where=country)
    return (european or zones)[0]
