# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""From which day somebody is certainly of age."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.adulthood import Told, coming_of_age, majority, of_age, only_for_children
from broker.core.messages import LegalBasis


def _child(**birth: Any) -> dict[str, Any]:
    return {"birth": {"value": {"estimated": False, **birth}}}


@pytest.mark.parametrize(
    ("child", "day"),
    [
        (_child(date="2008-11-22"), date(2026, 11, 22)),
        (_child(date="2008-11"), date(2026, 11, 30)),
        (_child(date="2008"), date(2026, 12, 31)),
        (_child(date="2008-02-29"), date(2026, 3, 1)),
        (_child(age_years=17, age_on="2026-01-10"), date(2027, 1, 10)),
        (_child(age_years=18, age_on="2026-01-10"), date(2026, 1, 10)),
        ({"named": _child(date="2008-11-22")}, date(2026, 11, 22)),
        ({"pseudonym": _child(date="2008-11-22")}, date(2026, 11, 22)),
        (_child(date="2008-11-22", estimated=True), None),
        (_child(date="2008-11-22", age_assessment={"method": "x", "result": "y"}), None),
        (_child(date="2008-11-31"), None),
        (_child(date="9" * 40), None),
        (_child(age_years="9" * 40, age_on="2026-01-10"), None),
        ({"birth": {"unknown": True}}, None),
        ({"named": "words"}, None),
        ({}, None),
    ],
)
def test_the_day_of_majority_is_known_only_for_certain(child: dict[str, Any], day: date | None) -> None:
    """As much of a birth as is known, read for the child; an estimated or contested age is no age (R-15)."""
    assert majority(child) == day


@settings(max_examples=60)
@given(
    st.dates(min_value=date(2000, 1, 1), max_value=date(2020, 12, 31)),
    st.sampled_from([4, 7, 10]),
    st.integers(-800, 800),
)
def test_whoever_is_of_age_is_so_from_the_day_of_majority_on(born: date, known: int, around: int) -> None:
    """However much of the birth is known; the short way for children says the same as the calendar."""
    child = _child(date=born.isoformat()[:known])
    first = majority(child)
    assert first is not None
    day = first + timedelta(days=around)
    assert of_age(child, day) is (day >= first)
    assert of_age({}, day) is None


@settings(max_examples=60)
@given(st.dates(min_value=date(1990, 1, 1), max_value=date(2030, 12, 31)), st.integers(0, 364))
def test_a_stated_age_never_makes_somebody_of_age_too_early(born: date, later: int) -> None:
    """Whoever is told to be n years old on a day is called of age on no day before the birthday."""
    told = born + timedelta(days=15 * 365 + later)
    age = told.year - born.year - ((told.month, told.day) < (born.month, born.day))
    day, exact = majority(_child(age_years=age, age_on=told.isoformat())), majority(_child(date=born.isoformat()))
    assert day is not None
    assert exact is not None
    assert exact <= day <= exact + timedelta(days=367)


@pytest.mark.parametrize(
    ("code", "only"),
    [("B2B_82", True), ("H96_33", True), ("CRC_22_2", True), ("ATD_11_4", False), ("CETS197_33", False)],
)
def test_which_bases_are_about_children_alone(code: str, only: bool) -> None:
    """Parental responsibility ends with childhood; help for victims does not."""
    assert only_for_children(LegalBasis(code=code)) is only
    assert not only_for_children(None)


@pytest.mark.parametrize(
    ("child", "day", "reached"),
    [
        (_child(date="2008-11-22"), "2026-05-22", None),
        (_child(date="2008-11-22"), "2026-05-23", False),
        (_child(date="2008-11-22"), "2026-11-21", False),
        (_child(date="2008-11-22"), "2026-11-22", True),
        (_child(date="2008-11-22"), "2030-01-01", True),
        (_child(date="2008-11-22", estimated=True), "2026-11-22", None),
        ({}, "2026-11-22", None),
    ],
)
def test_coming_of_age_is_told_for_six_months_before_and_from_then_on(
    child: dict[str, Any], day: str, reached: bool | None
) -> None:
    """R-36: not earlier, for the birth is told by it; nothing of an age that is contested (R-15)."""
    found = coming_of_age(Told.by([{}, {"child": child}]), date.fromisoformat(day))
    assert (None if found is None else found.reached) == reached
    assert found is None or found.on == date(2026, 11, 22)
    assert found is None or ("is of age" in found.meaning) is found.reached


GROWN, YOUNGER = _child(date="2005-01-01"), _child(date="2010-01-01")


@pytest.mark.parametrize(
    ("told", "adult"),
    [
        ([GROWN], True),
        ([GROWN, {}, {"birth": {"unknown": True}}, GROWN], True),
        ([GROWN, _child(date="2005-01-01", estimated=True)], False),
        ([GROWN, _child(date="2005-01-01", age_assessment={"method": "x", "result": "y"})], False),
        ([_child(date="2005-01-01", estimated=True), _child(date="2008-11-22")], False),
        ([GROWN, YOUNGER], False),
        ([YOUNGER, GROWN], False),
        ([], False),
    ],
)
def test_nobody_is_of_age_whose_age_any_message_leaves_open(told: list[dict[str, Any]], adult: bool) -> None:
    """R-15: a newer certain birth lifts no older doubt, and no birth by which the person is a child; then nothing is told."""
    day, bodies = date(2026, 11, 22), [{"child": child} for child in told]
    assert Told.by(bodies).of_age(day) is adult
    assert (coming_of_age(Told.by(bodies), day) is not None) is adult


@pytest.mark.parametrize(
    ("decision", "told", "adult"),
    [
        ({"age_decision": {}}, [_child(date="2005-01-01", estimated=True), GROWN], True),
        ({"age_decision": {}, "treated_as_child": "YES"}, [_child(date="2005-01-01", estimated=True), GROWN], False),
        ({"age_decision": {}}, [GROWN, YOUNGER], False),
        ({"age_decision": {}}, [_child(date="2005-01-01", estimated=True)], False),
        ({"treated_as_child": "YES"}, [GROWN, GROWN], False),
        ({"treated_as_child": "UNKNOWN"}, [GROWN, GROWN], False),
    ],
)
def test_a_decision_on_age_lets_the_newest_certain_birth_count(decision: Any, told: list[Any], adult: bool) -> None:
    """R-15: what was told before it leaves nothing open any more; an estimate stays none."""
    bodies = [{"child": told[0]}, decision, *({"child": child} for child in told[1:])]
    assert Told.by(bodies).of_age(date(2026, 11, 22)) is adult


def test_the_newest_word_on_the_age_counts() -> None:
    """R-15: who is treated as a child again, because the decision fell or is in doubt, is presumed one until the next."""
    doubt, decision = {"child": _child(date="2005-01-01", estimated=True)}, {"age_decision": {}}
    again = {"treated_as_child": "YES", "age_decision": {}}
    told = [doubt, decision, {"child": GROWN}]
    day = date(2026, 11, 22)

    assert Told.by(told).of_age(day)
    assert not Told.by([*told, again]).of_age(day)
    assert Told.by([*told, again, {"treated_as_child": "NO", "age_decision": {}}]).of_age(day)
