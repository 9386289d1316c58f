# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of chunks in their one text form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.attachments import MAX_CHUNKS
from broker.core.owed_chunks import OwedChunks


@given(st.frozensets(st.integers(0, MAX_CHUNKS - 1)))
def test_a_set_survives_its_text(indices: frozenset[int]) -> None:
    """Whatever lacks can be written and read again."""
    owed = OwedChunks(indices)

    assert OwedChunks.from_text(owed.text) == owed


def test_ranges_are_as_short_as_they_can_be() -> None:
    """One chunk in the middle splits a range."""
    owed = OwedChunks.all_of(100)

    assert owed.text == "0-99"
    assert owed.without([7]).text == "0-6,8-99"
    assert owed.without(range(100)).text == ""
    assert not owed.without(range(100))


@pytest.mark.parametrize(
    "text",
    ["0-0", "1,0", "0,1", "0-2,3", "3-1", "-1", "a", "0-100", "100", "0-9999", "00", "0,", ",0", " 0", "0-1-2", "٣"],
)
def test_any_other_spelling_is_refused(text: str) -> None:
    """A peer writes these; there is one way for each set, and none that costs more than an attachment."""
    with pytest.raises(ValueError, match=r"^not a list of chunks$"):
        OwedChunks.from_text(text)


def test_a_set_tells_whether_an_attachment_can_owe_it() -> None:
    """An index beyond the count belongs to nothing."""
    assert OwedChunks([0, 4]).within(5)
    assert not OwedChunks([0, 5]).within(5)
