# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Deadlines of a table: their form, what starts, extends and settles them, and how they stand."""

import copy
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from broker.core.deadline_tables import parse_deadline
from broker.core.deadlines import DeadlineKind, Event, Limit, Phase, Running, Unit, run
from broker.core.errors import CatalogueInvalid
from broker.core.roles import Role

DATA = {
    "id": "answer",
    "title": "Answer",
    "from_event": "request.delivered",
    "until": ["result"],
    "limit": {"days": 10},
    "kind": "STATUTORY",
    "source": "an article",
    "silence": "Silence is never an answer.",
}
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
SOON = timedelta(hours=72)


class PlainDays:
    """Counts days of 24 hours: what a deadline does with an end, not how the end is found."""

    def end(self, start: datetime | date, limit: Limit, *, before: bool, ends_on_date: bool) -> datetime:
        moment = start if isinstance(start, datetime) else datetime.combine(start, time(), UTC)
        step = timedelta(days=limit.count) if limit.unit is Unit.DAYS else timedelta(hours=limit.count)
        return moment - step if before else moment + step


def _event(
    act: str,
    days: float,
    *,
    by: Role = Role.REQUESTED,
    delivered: bool = True,
    came: float | None = None,
    extends: str | None = "answer",
    **stated: Any,
) -> Event:
    at = START + timedelta(days=days)
    had = at if came is None else START + timedelta(days=came)
    had_or_not = had if delivered else None
    return Event(act=act, by=by, created=at, delivered=had_or_not, came=had_or_not, stated=stated, extends=extends)


def _run(*events: Event, ended: bool = False, basis: str = "B2B_80", now: float = 30, **changes: Any) -> Running | None:
    deadline, moment = parse_deadline({**DATA, **changes}, ""), START + timedelta(days=now)
    found = run([deadline], events, basis=basis, urgency="ROUTINE", ended=ended, calendar=PlainDays(), now=moment)
    return found[0] if found else None


ASKED = _event("request", 0, by=Role.REQUESTING)


def test_a_deadline_runs_from_the_delivered_receipt() -> None:
    """Without the other side's receipt nothing runs; with it the limit is counted from the receipt."""
    assert _run(_event("request", 0, by=Role.REQUESTING, delivered=False)) is None
    running = _run(ASKED)
    assert running is not None
    assert (running.start, running.due, running.settled) == (START, START + timedelta(days=10), None)


def test_the_newest_message_of_the_starting_act_counts() -> None:
    """A second report starts the period anew, and only what stands after it settles it."""
    running = _run(ASKED, _event("result", 1), _event("request", 5, by=Role.REQUESTING))
    assert running is not None
    assert (running.start, running.settled) == (START + timedelta(days=5), None)


def test_only_the_side_that_must_act_settles_it() -> None:
    """The other side's message of the same name settles nothing."""
    running = _run(ASKED, _event("result", 1, by=Role.REQUESTING))
    assert running is not None
    assert running.settled is None


def test_a_deadline_of_another_basis_or_urgency_does_not_run() -> None:
    """Silence and clocks are keyed by the legal basis; an empty list holds for all."""
    assert _run(ASKED, basis="H96_34", urgency=[]) is not None
    limited = parse_deadline({**DATA, "basis": ["B2B_80"], "urgency": ["ROUTINE"]}, "")
    assert limited.holds("B2B_80", "ROUTINE")
    assert not limited.holds("H96_34", "ROUTINE")
    assert not limited.holds("B2B_80", "URGENT")
    assert not limited.holds(None, None)


PHASES = {
    "just delivered": ([], 0, False, Phase.OPEN),
    "three days before the end": ([], 7, False, Phase.SOON),
    "the moment that is too late": ([], 10, False, Phase.OVERDUE),
    "answered in time, read much later": ([_event("result", 9)], 30, False, Phase.MET),
    "answered too late": ([_event("result", 10)], 11, False, Phase.MET_LATE),
    "dated in time, came within ten minutes": ([_event("result", 9.999, came=10.006)], 11, False, Phase.MET),
    "dated in time, came a day later": ([_event("result", 9, came=11)], 30, False, Phase.CAME_LATE),
    "dated after the end, came later still": ([_event("result", 10, came=12)], 30, False, Phase.MET_LATE),
    "on its way before the end": ([_event("result", 9, delivered=False)], 9.5, False, Phase.MET),
    "still on its way after the end": ([_event("result", 9, delivered=False)], 11, False, Phase.CAME_LATE),
    "a first one held up, a second in time": (
        [_event("result", 8, came=12), _event("result", 9)],
        30,
        False,
        Phase.MET,
    ),
    "withdrawn meanwhile": ([], 30, True, Phase.ENDED),
}


@pytest.mark.parametrize("case", PHASES)
def test_a_deadline_stands_as_the_moment_says(case: str) -> None:
    """Open, soon, overdue, ended; met by what is dated and came in time, met late, or dated in time and come late."""
    later, days, ended, phase = PHASES[case]
    running = _run(ASKED, *later, ended=ended, now=days)
    assert running is not None
    assert running.phase(START + timedelta(days=days), soon=SOON) is phase


def test_a_short_deadline_is_soon_due_only_in_its_last_half() -> None:
    """What lasts a day must not be born as soon due."""
    running = _run(ASKED, limit={"hours": 24})
    assert running is not None
    assert running.phase(START + timedelta(hours=11), soon=SOON) is Phase.OPEN
    assert running.phase(START + timedelta(hours=12), soon=SOON) is Phase.SOON


def test_an_extension_counts_once_and_only_in_time() -> None:
    """The act that the source allows lengthens the period; after the end, or a second time, it does nothing."""
    extension = {"act": "extension-notice", "limit": {"days": 4}}
    notice = _event("extension-notice", 9)
    for events, days, extended in (
        ((ASKED, notice), 14, True),
        ((ASKED, notice, _event("extension-notice", 12)), 14, True),
        ((ASKED, _event("extension-notice", 10)), 10, False),
        ((ASKED, _event("extension-notice", 9, extends="another")), 10, False),
        ((ASKED, _event("extension-notice", 9, by=Role.REQUESTING)), 10, False),
        ((ASKED,), 10, False),
    ):
        running = _run(*events, extension=extension)
        assert running is not None
        assert (running.due, running.extended) == (START + timedelta(days=days), extended)
    without = _run(ASKED, notice)
    assert without is not None
    assert not without.extended


def test_an_extension_that_came_late_does_not_count_and_is_told() -> None:
    """A notice dated back would else give its author the time after it had missed the end; one on its way counts till then."""
    extension = {"act": "extension-notice", "limit": {"days": 4}}
    for notice, now, extended, late in (
        (_event("extension-notice", 9, came=9.5), 12, True, False),
        (_event("extension-notice", 9, came=11), 12, False, True),
        (_event("extension-notice", 9, delivered=False), 9.5, True, False),
        (_event("extension-notice", 9, delivered=False), 12, False, True),
        (_event("extension-notice", 11), 12, False, False),
    ):
        running = _run(ASKED, notice, now=now, extension=extension)
        assert running is not None
        assert (running.extended, running.extension_came_late) == (extended, late)


def test_an_extension_in_another_unit_runs_on_from_the_first_end() -> None:
    """Ten days and 12 hours end 12 hours after the ten days."""
    running = _run(ASKED, _event("extension-notice", 1), extension={"act": "extension-notice", "limit": {"hours": 12}})
    assert running is not None
    assert START + timedelta(days=10) < running.due + timedelta(seconds=1) <= START + timedelta(days=10.5, seconds=1)


def test_a_deadline_ends_when_another_takes_its_place() -> None:
    """A delay announces a new arrival: by whichever side it comes, the first one is no longer waited for."""
    changes = {"replaced_by": ["delay"]}
    assert _run(ASKED, **changes) is not None
    for side in Role:
        assert _run(ASKED, _event("delay", 1, by=side), **changes) is None
    assert _run(_event("delay", -1), ASKED, **changes) is not None


def test_a_stated_day_starts_a_period_that_is_counted_back() -> None:
    """Twenty-one days before the day that the plan names."""
    arrival = date(2026, 12, 24)
    changes = {"from_event": "plan.stated", "at": "/arrival/on", "before": True, "limit": {"days": 21}}
    running = _run(_event("plan", 0, by=Role.REQUESTING, answer=arrival), **changes)
    assert running is not None
    assert running.due == datetime(2026, 12, 3, tzinfo=UTC)
    assert running.phase(START, soon=SOON) is Phase.OPEN
    assert _run(_event("plan", 0, by=Role.REQUESTING), **changes) is None


def test_a_far_year_puts_no_alarm_off() -> None:
    """An announced arrival is waited for a week, the next visit a year at most; of other moments the stated one counts."""
    far, near = datetime(2190, 1, 1, tzinfo=UTC), START + timedelta(days=2)
    for pointer, stated, start in (
        ("/eta/at", far, START + timedelta(days=7)),
        ("/eta/at", near, near),
        ("/visit/next_on", far.date(), (START + timedelta(days=366)).date()),
        ("/visit/next_on", near.date(), near.date()),
        ("/stays_until", far, far),
    ):
        changes = {"from_event": "delay.stated", "at": pointer, "limit": {"hours": 6}}
        running = _run(_event("delay", 0, answer=stated), **changes)
        assert running is not None
        assert running.start == start


def test_a_deadline_tells_what_kind_it_is_and_whether_its_source_was_read() -> None:
    """Product defaults and unverified sources are told from law."""
    assert parse_deadline(DATA, "").kind is DeadlineKind.STATUTORY
    assert parse_deadline(DATA, "").verified
    assert not parse_deadline({**DATA, "verified": False}, "").verified


REFUSED: Mapping[str, tuple[str, Any, str]] = {
    "no such event": ("from_event", "request.read", "/from_event"),
    "no act before the moment": ("from_event", "delivered", "/from_event"),
    "a pointer without stated": ("at", "/arrival", "/at"),
    "stated without a pointer": ("from_event", "plan.stated", "/at"),
    "no such unit": ("limit", {"fortnights": 1}, "/limit"),
    "two units": ("limit", {"days": 1, "weeks": 1}, "/limit"),
    "a fraction": ("limit", {"days": 1.5}, "/limit"),
    "a truth value": ("limit", {"days": True}, "/limit"),
    "less than nothing": ("limit", {"days": -1}, "/limit"),
    "an unknown kind": ("kind", "LAW", ""),
    "an unknown side": ("by", "BOTH", ""),
    "an unknown urgency": ("urgency", ["SOON"], "/urgency"),
    "a misspelt member": ("silense", "x", "/silense"),
    "an extension without an act": ("extension", {"limit": {"days": 1}}, "/extension"),
    "acts as a text": ("until", "result", "/until"),
    "a flag as a text": ("before", "no", "/before"),
    "no title": ("title", "", "/title"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_deadline_is_refused_with_its_place(case: str) -> None:
    """Every member has its form; a misspelt one is not ignored."""
    name, value, where = REFUSED[case]
    data = copy.deepcopy({**DATA, name: value})
    with pytest.raises(CatalogueInvalid) as caught:
        parse_deadline(data, "/deadlines/0")
    assert caught.value.where == f"/deadlines/0{where}"
