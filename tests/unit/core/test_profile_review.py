# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about what a person is told to look at in a profile."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from broker.core.profile_questions import BOUND, NOT_BOUND, QUESTIONS
from broker.core.profile_review import Level, compare, review
from broker.core.profiles import Entry, Office, ProfileVersion, Source, Standing, Value

TODAY = date(2026, 11, 22)
SOURCE = Source(document="A made-up act", read="2026-11-01")
EMPTY = ProfileVersion(valid_from=TODAY, edited=TODAY, editor="Test Ministry", because="A made-up act")
COURT = (Office(name="Court"),)


def entry(value: Value | None, standing: Standing = Standing.VERIFIED, source: Source = SOURCE) -> Entry:
    """Return an answer; None: the question does not arise."""
    return Entry(standing=standing, value=value, applicable=value is not None, source=source)


def answered(**answers: Entry) -> ProfileVersion:
    """Return a version with these answers; ``__`` stands for the point of a question's name."""
    return replace(EMPTY, entries={name.replace("__", "."): answer for name, answer in answers.items()})


def found(version: ProfileVersion, level: Level) -> list[tuple[str, str | None]]:
    """Return code and question of every finding of a level."""
    return [(item.code, item.question) for item in review(version, today=TODAY) if item.level is level]


def test_every_question_without_an_answer_is_listed() -> None:
    """Nothing that nobody answered is passed over, and nothing of it is an error."""
    assert sorted(name or "" for _, name in found(EMPTY, Level.OPEN)) == sorted(QUESTIONS)
    assert not found(EMPTY, Level.ERROR)
    said = answered(placement__decider=Entry(note="Looked for and not found."))
    (finding,) = [item for item in review(said, today=TODAY) if item.question == "placement.decider"]
    assert finding.sentence == "Unknown. Looked for and not found."


def test_a_verified_answer_of_this_year_is_not_listed() -> None:
    """What somebody read in its source and dated needs no second look."""
    for read in (SOURCE.read, TODAY.isoformat()):
        version = answered(placement__guardian_consent=entry(True, source=replace(SOURCE, read=read)))
        assert not [item for item in review(version, today=TODAY) if item.question == "placement.guardian_consent"]


@pytest.mark.parametrize(
    ("answer", "level", "code"),
    [
        (entry(True, Standing.SECONDARY), Level.DOUBT, "not-verified"),
        (entry(True, Standing.UNVERIFIED), Level.DOUBT, "not-verified"),
        (entry(True, source=replace(SOURCE, read="2025-11-21")), Level.DOUBT, "old"),
        (entry(True, source=replace(SOURCE, read="2025-10")), Level.DOUBT, "old"),
        (entry(True, Standing.DEFAULT, source=replace(SOURCE, read=None)), Level.DOUBT, "no-day"),
        (entry(True, source=replace(SOURCE, read="2026-11-23")), Level.ERROR, "read-in-future"),
        (entry(True, source=replace(SOURCE, read=None)), Level.ERROR, "verified-without-day"),
    ],
)
def test_an_answer_is_judged_by_its_source_and_age(answer: Entry, level: Level, code: str) -> None:
    """Unverified and old answers are doubts; a claim that cannot be true is an error. Who is told that one is old sees the day."""
    version = answered(placement__guardian_consent=answer)
    assert found(version, level) == [(code, "placement.guardian_consent")]
    told = [item.sentence for item in review(version, today=TODAY) if item.code == "old"]
    assert all(answer.source is not None and str(answer.source.read) in sentence for sentence in told)


@pytest.mark.parametrize(
    ("code", "question", "version"),
    [
        (
            "not-bound", "bodies.central_authority_b2b",
            answered(instruments__b2b=entry(NOT_BOUND), bodies__central_authority_b2b=entry(COURT)),
        ),
        (
            "not-bound", "placement.relative_categories",
            answered(instruments__b2b=entry(NOT_BOUND), placement__relative_categories=entry(())),
        ),
        (
            "not-bound", "instruments.h96_since",
            answered(instruments__h96=entry(NOT_BOUND), instruments__h96_since=entry(date(2016, 7, 1))),
        ),
        (
            "should-apply", "placement.relative_categories",
            answered(instruments__b2b=entry(BOUND), placement__relative_categories=entry(None)),
        ),
        (
            "exempt-and-needed", "placement.relative_categories",
            answered(
                placement__consent_for_all=entry(True), placement__relative_categories=entry(("ADULT_SIBLING",))
            ),
        ),
        (
            "parents-listed", "placement.relative_categories",
            answered(placement__relative_categories=entry(("PARENTS",))),
        ),
        (
            "no-second-decision", "placement.second_decision",
            answered(placement__second_decision=entry(False), placement__second_decision_by=entry(COURT)),
        ),
        (
            "preferred-not-accepted", "languages.preferred",
            answered(languages__accepted=entry(("lv",)), languages__preferred=entry(("en",))),
        ),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_an_error(code: str, question: str, version: ProfileVersion) -> None:
    """Two answers that cannot both be true are named, once."""
    assert found(version, Level.ERROR) == [(code, question)]


def test_what_fits_together_is_no_error() -> None:
    """A State outside Brussels IIb for which the question of relatives does not arise contradicts nothing."""
    version = answered(
        instruments__b2b=entry(NOT_BOUND),
        placement__relative_categories=entry(None),
        placement__second_decision=entry(True),
        placement__second_decision_by=entry(COURT),
        languages__preferred=entry(("en",)),
    )
    assert found(version, Level.ERROR) == []


@pytest.mark.parametrize(
    ("edited", "level", "code"),
    [(date(2026, 11, 23), Level.ERROR, "edited-in-future"), (date(2025, 11, 21), Level.DOUBT, "old-version")],
)
def test_a_version_has_an_age(edited: date, level: Level, code: str) -> None:
    """Written in the future, or more than twelve months ago."""
    assert (code, None) in found(replace(EMPTY, edited=edited), level)


def test_errors_come_first() -> None:
    """What keeps a profile from being signed is at the top."""
    version = answered(placement__relative_categories=entry(("PARENTS",), Standing.SECONDARY))
    levels = [item.level for item in review(version, today=TODAY)]
    assert levels == sorted(levels, key=list(Level).index)
    assert levels[0] is Level.ERROR


def test_two_versions_are_compared_answer_by_answer() -> None:
    """A new answer, a changed one and a better source are told apart; what stayed is not named."""
    before = answered(
        placement__guardian_consent=entry(True, Standing.SECONDARY),
        placement__child_consent_age=entry(15),
        child__referral_consent_age=entry(15),
    )
    after = answered(
        placement__guardian_consent=entry(True),
        placement__child_consent_age=entry(16),
        child__referral_consent_age=entry(15),
        placement__decider=entry(COURT),
    )
    assert [(change.question, change.answer_changed) for change in compare(before, after)] == [
        ("placement.decider", True),
        ("placement.child_consent_age", True),
        ("placement.guardian_consent", False),
    ]
    assert compare(after, after) == ()
