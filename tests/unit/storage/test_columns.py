# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from broker.core.ids import CountryCode, Digest
from broker.rows import OutboxState
from broker.storage.columns import Moment, Raw, Word, Words, from_milliseconds, to_milliseconds

_DIALECT = sqlite.dialect()


@given(st.integers(-(2**43), 2**44))
def test_milliseconds_come_back(number: int) -> None:
    """Every millisecond of some centuries is one number and one moment."""
    assert to_milliseconds(from_milliseconds(number)) == number


def test_other_zones_are_the_same_moment() -> None:
    """What is stored does not depend on the zone that a moment is written in."""
    tallinn = datetime(2026, 11, 22, 5, 0, tzinfo=timezone(timedelta(hours=2)))
    assert from_milliseconds(to_milliseconds(tallinn)) == datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def test_a_naive_moment_is_refused() -> None:
    """Nobody guesses a zone."""
    with pytest.raises(TypeError):
        to_milliseconds(datetime(2026, 11, 22))


@pytest.mark.parametrize("value", [CountryCode("EE"), OutboxState.HANDED_OVER])
def test_drivers_get_plain_texts(value: str) -> None:
    """A parsed kind goes to the driver as exactly str and comes back as its kind."""
    word = Word(type(value))
    bound = word.process_bind_param(value, _DIALECT)
    assert type(bound) is str
    back = word.process_result_value(bound, _DIALECT)
    assert back == value
    assert type(back) is type(value)


def test_lists_come_back_in_order() -> None:
    """As tuples of their kind, the empty one too."""
    words = Words(Digest)
    for value in ((), (Digest("b" * 64), Digest("a" * 64))):
        assert words.process_result_value(words.process_bind_param(value, _DIALECT), _DIALECT) == value


@pytest.mark.parametrize("column", [Moment(), Word(), Words()])
def test_nothing_stays_nothing(column: Moment | Word | Words) -> None:
    """None is stored as NULL and read as None."""
    assert column.process_bind_param(None, _DIALECT) is None
    assert column.process_result_value(None, _DIALECT) is None


def test_a_stored_text_of_another_kind_is_refused() -> None:
    """Reading does not build an identifier that was never checked."""
    with pytest.raises(ValueError, match="CountryCode"):
        Word(CountryCode).process_result_value("ee", _DIALECT)


def test_raw_bytes_are_a_copy() -> None:
    """A view of the driver's buffer does not leave the room."""
    assert type(Raw().process_result_value(memoryview(b"ab"), _DIALECT)) is bytes
