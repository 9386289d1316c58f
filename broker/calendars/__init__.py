# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Time computation in a country: when a period ends, by its public holidays and its time zone.

- The rules are those of Regulation (EEC, Euratom) 1182/71; holidays come from the library `holidays`, months from
  `dateutil`, time zones from the system's database. The libraries are imported when a country is first asked for.
- `broker.core.deadlines.Calendar` is the port; a country that `holidays` does not know has weekends alone, and says so.
"""

from __future__ import annotations

from broker.calendars.computation import CountryCalendar
from broker.calendars.countries import calendar_of
from broker.calendars.profiled import ProfiledCalendars

__all__ = ["CountryCalendar", "ProfiledCalendars", "calendar_of"]
