# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Days and single lines of words, as documents about law and agreements hold them."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from broker.core.characters import is_line

__all__ = ["day", "line", "text"]

_MAX_LINE = 300  # characters
_MAX_TEXT = 2000  # characters
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def day(value: Any) -> date:
    """Return the day of a text like ``2026-11-22``.

    Raises:
        ValueError: it is not the one spelling of a day.
    """
    if not isinstance(value, str) or _DAY.fullmatch(value) is None:
        raise ValueError("not the one spelling of a day")
    return date.fromisoformat(value)


def line(value: Any) -> str:
    """Return a short line of words.

    Raises:
        ValueError: it is empty, too long, begins or ends with a space, or holds what cannot be printed.
    """
    return _words(value, _MAX_LINE)


def text(value: Any) -> str:
    """Return a longer line of words.

    Raises:
        ValueError: it is empty, too long, begins or ends with a space, or holds what cannot be printed.
    """
    return _words(value, _MAX_TEXT)


def _words(value: Any, most: int) -> str:
    if not isinstance(value, str) or value != value.strip(" ") or len(value) > most or not is_line(value):
        raise ValueError("not one line of words")
    return value
