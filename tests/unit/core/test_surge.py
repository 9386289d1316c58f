# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What surge mode lets wait, and for how long."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from broker.core.reasons import Level, Reason, block, hold
from broker.core.surge import in_force_until, may_wait, owed, relaxed

DAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("declared", "days", "until"),
    [
        ("2026-11-22", 14, date(2026, 12, 5)),
        ("2026-11-09", 14, date(2026, 11, 22)),
        ("2026-11-08", 14, None),
        ("2026-11-23", 14, None),
        ("2026-11-22", 1, date(2026, 11, 22)),
    ],
)
def test_a_declaration_is_in_force_for_its_days_alone(declared: str, days: int, until: date | None) -> None:
    """R-39: the day of the declaration is the first of them; none begins before it."""
    registration: dict[str, Any] = {"declaration": {"declared_on": declared, "days": days}}
    assert in_force_until(registration, DAY) == until


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("R-05", "child-not-heard"),
        ("R-12", "notice-too-short"),
        ("R-20", "translation-missing"),
        ("R-20", "translation-by-machine"),
    ],
)
def test_four_holds_become_remarks_that_say_what_is_owed(rule: str, code: str) -> None:
    """R-39: the author is told, and a person is called for the same."""
    found = (hold(rule, code, "/x", "It is not there."),)
    assert may_wait(found)
    (told,) = relaxed(found, DAY)
    assert (told.rule, told.code, told.level, told.where) == (rule, f"surge-{code}", Level.WARN, "/x")
    assert "2026-11-22" in told.text
    assert owed((told,)) == told.text


@pytest.mark.parametrize(
    "reason",
    [
        block("R-05", "child-not-heard", "/x", "."),
        hold("R-05", "child-does-not-want", "/x", "."),
        hold("R-33", "nobody-consented", "/x", "."),
        hold("R-25", "adult-not-checked", "/x", "."),
        block("R-01", "contact-with-feared", "/x", "."),
    ],
)
def test_nothing_else_is_relaxed(reason: Reason) -> None:
    """R-39 never touches R-01, 02, 04, 06, 07, 09-11, 15, 25, 27; what blocks and what the child refuses stays as it is."""
    assert not may_wait((reason,))
    assert relaxed((reason,), DAY) == (reason,)
    assert owed((reason,)) == ""
