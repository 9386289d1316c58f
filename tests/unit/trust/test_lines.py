# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about days and lines of words in documents."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from broker.trust import lines


def test_a_day_and_a_line_come_back() -> None:
    """What has its form is taken as it is."""
    assert lines.day("2026-11-22") == date(2026, 11, 22)
    assert lines.line("bāriņtiesa (family court)") == "bāriņtiesa (family court)"
    assert lines.text("x" * 2000) == "x" * 2000


@pytest.mark.parametrize("value", ["20261122", "2026-W47-7", "2026-02-30", "2026-11-22 ", "٢٠٢٦-11-22", 20261122, None])
def test_another_spelling_of_a_day_is_refused(value: Any) -> None:
    """One spelling, and a day of the calendar."""
    with pytest.raises(ValueError):  # noqa: PT011  (the calendar's own words)
        lines.day(value)


@pytest.mark.parametrize("value", ["", " x", "x ", "two\nlines", "x\u202e", "x" * 2001, 1, None, ["x"]])
def test_what_is_no_line_of_words_is_refused(value: Any) -> None:
    """Nothing empty, endless or invisible: it is shown to officers before they sign."""
    for reader in (lines.line, lines.text):
        with pytest.raises(ValueError, match="line of words"):
            reader(value)
    with pytest.raises(ValueError, match="line of words"):
        lines.line("x" * 301)
