# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about a country profile as a value: above all, that unknown is never read as no."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from broker.core.ids import CountryCode
from broker.core.profile_questions import CARE_ARRANGEMENTS, QUESTIONS, SECTIONS
from broker.core.profiles import (
    UNKNOWN,
    CountryProfile,
    Entry,
    ProfileVersion,
    Source,
    Standing,
    Value,
    is_older,
    ordered,
)

SOURCE = Source(document="A made-up act", place="section 1", read="2026-11-22")


def entry(value: Value, standing: Standing = Standing.VERIFIED) -> Entry:
    """Return an answer from a made-up source."""
    return Entry(standing=standing, value=value, source=SOURCE)


def version(valid_from: date = date(2026, 7, 1), **answers: Entry) -> ProfileVersion:
    """Return a version with these answers; ``__`` stands for the point of a question's name."""
    return ProfileVersion(
        valid_from=valid_from,
        edited=date(2026, 6, 1),
        editor="Test Ministry",
        because="A made-up act",
        entries={name.replace("__", "."): answer for name, answer in answers.items()},
    )


def test_every_question_stands_in_a_named_section_and_is_read_once() -> None:
    """People see each question once, section by section."""
    assert sorted(ordered()) == sorted(QUESTIONS)
    assert {question.section for question in QUESTIONS.values()} == set(SECTIONS)
    assert all(question.text.endswith("?") for question in QUESTIONS.values())


def test_an_empty_profile_answers_nothing() -> None:
    """Without answers every question is unknown, and every reader gives neither yes nor no."""
    empty = version()
    assert empty.unknown() == tuple(ordered())
    assert empty.entry("placement.decider") is UNKNOWN
    assert empty.says("placement.guardian_consent") is None
    assert empty.age("placement.child_consent_age") is None
    assert empty.codes("placement.relative_categories") is None


def test_answers_are_read_in_their_form() -> None:
    """Each reader gives the answer of its form."""
    full = version(
        placement__guardian_consent=entry(False),
        placement__child_consent_age=entry(15),
        placement__relative_categories=entry(()),
        placement__on_change=entry("NEW_CONSENT"),
    )
    assert full.says("placement.guardian_consent") is False
    assert full.age("placement.child_consent_age") == 15
    assert full.age("placement.guardian_consent") is None
    assert full.codes("placement.relative_categories") == frozenset()
    assert full.codes("placement.on_change") == {"NEW_CONSENT"}


def test_a_question_that_does_not_exist_is_a_mistake_of_the_program() -> None:
    """A misspelt question would read as unknown for ever."""
    with pytest.raises(RuntimeError):
        version().entry("placement.deciders")


@pytest.mark.parametrize("care", CARE_ARRANGEMENTS)
def test_consent_is_needed_for_everything_but_parents_until_the_profile_says_otherwise(care: str) -> None:
    """An unknown list of exempt relatives is an empty one."""
    assert version().consent_needed(care, basis="B2B_82") is (care != "PARENTS")


@pytest.mark.parametrize(
    ("standing", "basis", "for_all", "needed"),
    [
        (Standing.VERIFIED, "B2B_82", None, False),
        (Standing.VERIFIED, "B2B_82", False, False),
        (Standing.VERIFIED, "B2B_82", True, True),  # contradictory: the side that protects the placement
        (Standing.VERIFIED, "H96_33", None, True),  # the 1996 convention knows no exempt relatives
        (Standing.SECONDARY, "B2B_82", None, True),
        (Standing.UNVERIFIED, "B2B_82", None, True),
    ],
)
def test_relatives_are_exempt_only_by_a_verified_notification_under_brussels_iib(
    standing: Standing, basis: str, for_all: bool | None, needed: bool
) -> None:
    """What nobody has read in the notification lifts no consent, and only for the category notified."""
    answers = {"placement__relative_categories": entry(("ADULT_SIBLING",), standing)}
    if for_all is not None:
        answers["placement__consent_for_all"] = entry(for_all)
    asked = version(**answers)
    assert asked.consent_needed("ADULT_SIBLING", basis=basis) is needed
    assert asked.consent_needed("KINSHIP_CARE", basis=basis)
    assert not asked.consent_needed("PARENTS", basis=basis)


@pytest.mark.parametrize(
    "broken",
    [
        {"standing": Standing.UNKNOWN, "value": "x"},
        {"standing": Standing.UNKNOWN, "applicable": False},
        {"standing": Standing.VERIFIED, "source": SOURCE},
        {"standing": Standing.VERIFIED, "value": "x", "applicable": False, "source": SOURCE},
        {"standing": Standing.SECONDARY, "value": "x"},
    ],
)
def test_an_answer_is_known_not_applicable_or_unknown(broken: dict[str, Any]) -> None:
    """An answer that is two of the three, or comes without its source, cannot be made."""
    with pytest.raises(ValueError, match="answer"):
        Entry(**broken)


def test_not_applicable_is_an_answer() -> None:
    """That a question does not arise is known, and from a source."""
    answered = version(
        placement__relative_categories=Entry(standing=Standing.SECONDARY, applicable=False, source=SOURCE)
    )
    assert "placement.relative_categories" not in answered.unknown()
    assert answered.consent_needed("ADULT_SIBLING", basis="B2B_82")


@pytest.mark.parametrize(
    ("read", "earliest"), [(None, None), ("2026-11-22", date(2026, 11, 22)), ("2026-11", date(2026, 11, 1))]
)
def test_age_counts_from_the_first_possible_day_of_reading(read: str | None, earliest: date | None) -> None:
    """A month stands for its first day; where nobody wrote it down there is none."""
    assert Source(document="x", read=read).earliest == earliest


@pytest.mark.parametrize("read", ["2026", "2026-13", "2026-02-30", "22.11.2026", "2026-11-22T00:00:00Z"])
def test_other_times_of_reading_are_refused(read: str) -> None:
    """A day or a month, in one spelling."""
    with pytest.raises(ValueError):  # noqa: PT011  (the calendar's own words)
        Source(document="x", read=read)


def test_an_old_request_is_decided_by_the_rule_of_its_day() -> None:
    """Each day has the version that had begun then; before the first there is none."""
    old, new = version(date(2026, 1, 1)), version(date(2026, 7, 1))
    profile = CountryProfile(country=CountryCode("EE"), versions=(old, new))
    assert profile.on(date(2025, 12, 31)) is None
    assert profile.on(date(2026, 1, 1)) is old
    assert profile.on(date(2026, 6, 30)) is old
    assert profile.on(date(2026, 7, 1)) is new
    assert profile.newest is new


@pytest.mark.parametrize("days", [(), (date(2026, 7, 1), date(2026, 1, 1)), (date(2026, 7, 1), date(2026, 7, 1))])
def test_versions_follow_one_another(days: tuple[date, ...]) -> None:
    """No version, two of one day or the wrong order would leave open which rule held."""
    with pytest.raises(ValueError, match="ascending"):
        CountryProfile(country=CountryCode("EE"), versions=tuple(map(version, days)))


@pytest.mark.parametrize(
    ("day", "older"),
    [(date(2025, 11, 22), False), (date(2025, 11, 21), True), (date(2026, 11, 23), False), (date(2025, 10, 30), True)],
)
def test_older_is_counted_in_calendar_months(day: date, older: bool) -> None:
    """Twelve months to the day are not yet more than twelve months."""
    assert is_older(day, date(2026, 11, 22)) is older
