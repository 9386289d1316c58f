# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Regulation (EEC, Euratom) 1182/71, articles 2 and 3: when a period begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice

from broker.core.deadlines import Limit, Unit

__all__ = ["CountryCalendar"]

_DAY = timedelta(days=1)
_SATURDAY = 5
_TWO = 2  # article 3(5): working days in a period of two days or more


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryCalendar:
    """The calendar of one country, or of a part of it that has holidays of its own."""

    country: str
    subdivision: str | None
    zone_name: str  # IANA
    zone: tzinfo
    is_holiday: Callable[[date], bool]
    holidays_known: bool  # False: only weekends are taken into account

    def end(
        self, start: datetime | date, limit: Limit, *, before: bool = False, ends_on_date: bool = False
    ) -> datetime:
        """Return the first moment that is too late, aware UTC.

        Args:
            start: when the event happened; a day where only that is known.
            limit: how long.
            before: counted back from the start; such a period never moves (article 3(4), second sentence).
            ends_on_date: a period of consent or reflection, which ends on its date (CASEWORK C-13).
        """
        if limit.unit is Unit.HOURS:
            return self._hours(start, limit.count, before=before)
        day = self.local_date(start)
        if before:
            return self._midnight(self._back(day, limit))  # the act must be done before that day begins
        last = self._forward(day, limit)
        if not ends_on_date and limit.unit is not Unit.WORKING_DAYS:
            last = self._moved(day, last)
        return self._midnight(last + _DAY)

    def local_date(self, moment: datetime | date) -> date:
        """Return the day of a moment in this country."""
        return moment.astimezone(self.zone).date() if isinstance(moment, datetime) else moment

    def last_day(self, due: datetime) -> date:
        """Return the last day on which something due then is in time."""
        return self.local_date(due - timedelta.resolution)

    def is_working_day(self, day: date) -> bool:
        """Whether it is neither Saturday, Sunday nor public holiday (article 2(2))."""
        return day.weekday() < _SATURDAY and not self.is_holiday(day)

    def _hours(self, start: datetime | date, count: int, *, before: bool) -> datetime:
        """The hour of the event is not counted (article 3(1)); hours are true hours, also when clocks change."""
        if not isinstance(start, datetime):
            start = datetime.combine(start, time(), self.zone)
        elif not before:
            begun = start.astimezone(self.zone).replace(minute=0, second=0, microsecond=0)
            start = begun.astimezone(UTC) + timedelta(hours=1)
        return start.astimezone(UTC) + timedelta(hours=-count if before else count)

    def _forward(self, day: date, limit: Limit) -> date:
        """The day of the event is not counted; a month that lacks its date ends on its last day (article 3(1), (2))."""
        if limit.unit is Unit.WORKING_DAYS:
            return self._working_days(day, limit.count, _DAY)
        return _shifted(day, limit.unit, limit.count)

    def _back(self, day: date, limit: Limit) -> date:
        if limit.unit is Unit.WORKING_DAYS:
            return self._working_days(day, limit.count, -_DAY)
        return _shifted(day, limit.unit, -limit.count)

    def _working_days(self, day: date, count: int, step: timedelta) -> date:
        while count:
            day += step
            count -= self.is_working_day(day)
        return day

    def _moved(self, first: date, last: date) -> date:
        """End on a working day (article 3(4)), with two working days in two days or more (article 3(5))."""
        short = last - first < timedelta(days=_TWO)
        while not self.is_working_day(last):
            last += _DAY
        if short:
            return last
        counted = (first + n * _DAY for n in range(1, (last - first).days + 1))
        found = sum(1 for _ in islice(filter(self.is_working_day, counted), _TWO))
        return self._working_days(last, _TWO - found, _DAY)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


def _shifted(day: date, unit: Unit, count: int) -> date:
    from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]  # ships no types

    match unit:
        case Unit.MONTHS:
            moved: date = day + relativedelta(months=count)
            return moved
        case Unit.WEEKS:
            return day + timedelta(weeks=count)
        case _:
            return day + timedelta(days=count)
