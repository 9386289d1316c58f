# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Regulation 1182/71: when a period ends, over real calendars."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.calendars import CountryCalendar, calendar_of
from broker.core.deadlines import Limit, Unit

COUNTRIES = ("EE", "FI", "SE", "LV", "LT", "DK", "DE", "PT")


def _limit(unit: str, count: int) -> Limit:
    return Limit(unit=Unit(unit), count=count)


def _last(country: str, start: str, unit: str, count: int, **how: bool) -> str:
    calendar = calendar_of(country)
    moment = datetime.fromisoformat(start).replace(tzinfo=calendar.zone)
    return calendar.last_day(calendar.end(moment, _limit(unit, count), **how)).isoformat()


DAYS = {
    "three months end on the same date": ("EE", "2026-11-23T10:00", "months", 3, "2027-02-23"),
    "a month that lacks the day ends on its last": ("EE", "2027-11-29T10:00", "months", 3, "2028-02-29"),
    "and on the 28th where there is no 29th, then moves from Sunday": ("EE", "2026-11-30T10:00", "months", 3, "2027-03-01"),
    "29 February plus a year in months": ("FI", "2028-02-29T10:00", "months", 12, "2029-02-28"),
    "over the end of a year, past New Year's Day and the weekend": ("FI", "2026-12-18T10:00", "weeks", 2, "2027-01-04"),
    "an end on Good Friday moves past Easter Monday": ("FI", "2027-03-12T10:00", "weeks", 2, "2027-03-30"),
    "an end on Midsummer Eve in Estonia moves past Midsummer Day": ("EE", "2026-06-09T10:00", "weeks", 2, "2026-06-25"),
    "Midsummer Eve in Finland is a Friday": ("FI", "2026-06-05T10:00", "weeks", 2, "2026-06-22"),
    "the day of the event is not counted": ("EE", "2026-11-23T00:01", "days", 3, "2026-11-26"),
    "five working days pass over a weekend": ("EE", "2026-11-20T10:00", "working_days", 5, "2026-11-27"),
    "five working days over Christmas": ("EE", "2026-12-23T10:00", "working_days", 5, "2027-01-04"),
    "two days from Friday evening hold two working days": ("EE", "2026-11-20T20:00", "days", 2, "2026-11-24"),
    "a single day needs no second working day": ("EE", "2026-11-20T20:00", "days", 1, "2026-11-23"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAYS)
def test_a_period_ends_on_the_day_the_regulation_says(case: str) -> None:
    """Articles 3(1) to 3(5), each over the calendar of a country."""
    country, start, unit, count, end = DAYS[case]
    assert _last(country, start, unit, count) == end


def test_a_period_ends_with_the_last_hour_of_its_last_day() -> None:
    """The first moment that is too late is midnight in the requested country, summer and winter."""
    calendar = calendar_of("FI")
    winter = calendar.end(datetime(2026, 11, 23, 8, tzinfo=UTC), _limit("days", 3))
    summer = calendar.end(datetime(2026, 7, 1, 8, tzinfo=UTC), _limit("days", 2))
    assert winter == datetime(2026, 11, 26, 22, tzinfo=UTC)
    assert summer == datetime(2026, 7, 3, 21, tzinfo=UTC)


def test_the_day_of_the_event_is_the_local_one() -> None:
    """22:30 UTC is the next day in Tallinn and still the same one in Lisbon."""
    late = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)
    ends = {country: calendar_of(country).last_day(calendar_of(country).end(late, _limit("days", 3))) for country in ("EE", "PT")}  # fmt: skip
    assert ends == {"EE": date(2026, 11, 27), "PT": date(2026, 11, 26)}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-23T10:20", "2026-11-24T11:00"),  # the hour of the event is not counted
        ("2026-11-23T10:00", "2026-11-24T11:00"),
        ("2026-03-28T12:10", "2026-03-29T14:00"),  # an hour is lost that night
        ("2026-10-24T12:10", "2026-10-25T12:00"),  # and given back
    ],
)
def test_hours_are_true_hours_also_when_clocks_change(start: str, end: str) -> None:
    """24 hours are 24 hours and never move to a working day."""
    zone = ZoneInfo("Europe/Tallinn")
    due = calendar_of("EE").end(datetime.fromisoformat(start).replace(tzinfo=zone), _limit("hours", 24))
    assert due.astimezone(zone).strftime("%Y-%m-%dT%H:%M") == end


def test_a_period_of_consent_or_reflection_ends_on_its_date() -> None:
    """CASEWORK C-13: only time limits for acts move to a working day."""
    assert _last("EE", "2026-11-30T10:00", "months", 3) == "2027-03-01"
    assert _last("EE", "2026-11-30T10:00", "months", 3, ends_on_date=True) == "2027-02-28"


def test_a_period_counted_back_never_moves() -> None:
    """Article 3(4): 21 days before 29 March 2027 begin on 8 March, and the act must be done before."""
    calendar = calendar_of("FI")
    due = calendar.end(date(2027, 3, 28), _limit("days", 21), before=True)
    assert calendar.local_date(due) == date(2027, 3, 7)  # a Sunday
    assert calendar.end(datetime(2027, 3, 28, 12, tzinfo=UTC), _limit("hours", 6), before=True) == datetime(
        2027, 3, 28, 6, tzinfo=UTC
    )
    assert calendar.local_date(calendar.end(date(2026, 11, 23), _limit("working_days", 1), before=True)) == date(
        2026, 11, 20
    )


def test_a_stated_day_can_itself_be_the_end() -> None:
    """Nothing after a day that a message states: due at the end of that day."""
    due = calendar_of("EE").end(date(2026, 11, 24), _limit("days", 0))
    assert due == datetime(2026, 11, 24, 22, tzinfo=UTC)


_MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2031, 12, 31), timezones=st.just(UTC))
_CALENDARS = st.sampled_from(COUNTRIES).map(calendar_of)
_COUNTED = st.sampled_from(["days", "weeks", "months", "working_days"])


@settings(max_examples=150, deadline=None)
@given(_CALENDARS, _MOMENTS, _COUNTED, st.integers(1, 24))
def test_every_period_for_an_act_ends_on_a_working_day(
    calendar: CountryCalendar, start: datetime, unit: str, count: int
) -> None:
    """It ends at local midnight, after its start, on a working day, and is never shorter than counted."""
    due = calendar.end(start, _limit(unit, count))
    first, last = calendar.local_date(start), calendar.last_day(due)
    assert calendar.is_working_day(last)
    assert due.astimezone(calendar.zone).time().isoformat() == "00:00:00"
    assert calendar.end(start, _limit(unit, count), ends_on_date=True) <= due
    if unit == "working_days":
        between = (first + timedelta(days=n) for n in range(1, (last - first).days + 1))
        assert sum(map(calendar.is_working_day, between)) == count


@settings(max_examples=100, deadline=None)
@given(_CALENDARS, _MOMENTS, st.integers(2, 60))
def test_two_days_or_more_hold_two_working_days(calendar: CountryCalendar, start: datetime, count: int) -> None:
    """Article 3(5), and moving never goes further than it must."""
    first = calendar.local_date(start)
    last = calendar.last_day(calendar.end(start, _limit("days", count)))
    days = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    working = sum(map(calendar.is_working_day, days))
    assert working >= 2
    assert (
        last == first + timedelta(days=count)
        or working == 2
        or not any(map(calendar.is_working_day, days[count - 1 : -1]))
    )


@settings(max_examples=100, deadline=None)
@given(_CALENDARS, _MOMENTS, _COUNTED, st.integers(1, 12))
def test_a_longer_period_never_ends_earlier(calendar: CountryCalendar, start: datetime, unit: str, count: int) -> None:
    """Ends are ordered as limits are, and a later start never gives an earlier end."""
    due = calendar.end(start, _limit(unit, count))
    assert due <= calendar.end(start, _limit(unit, count + 1))
    assert due <= calendar.end(start + timedelta(days=1), _limit(unit, count))


@settings(max_examples=100, deadline=None)
@given(_CALENDARS, _MOMENTS, st.integers(1, 200))
def test_hours_run_through_every_change_of_clocks(calendar: CountryCalendar, start: datetime, count: int) -> None:
    """Between the end of the event's hour and the due moment lie exactly so many hours."""
    due = calendar.end(start, _limit("hours", count))
    assert timedelta(0) < due - start - timedelta(hours=count) <= timedelta(hours=1)
    assert due.minute == 0
