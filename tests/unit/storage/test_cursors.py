# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import BadCursor
from broker.storage.cursors import from_cursor, to_cursor


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_cursor_comes_back(number: int, word: str) -> None:
    """The sort key is kept exactly, and the cursor is safe in a URL."""
    cursor = to_cursor((number, word))
    assert from_cursor(cursor, (int, str)) == (number, word)
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_anything_else_is_a_bad_cursor(text: str) -> None:
    """Whatever the text, it is refused with the one documented error."""
    with pytest.raises(BadCursor):
        from_cursor(text, (int, str, int, str, int))


def test_no_cursor_is_the_first_page() -> None:
    """None stays None."""
    assert from_cursor(None, (int,)) is None


@pytest.mark.parametrize("key", [(1, 2), ("1",), (1, "a", "b"), (True,), (2**63,), ("\0",)])
def test_another_lists_key_is_refused(key: tuple[int | str, ...]) -> None:
    """Number and kinds of the parts must fit, and both databases must be able to take them."""
    shape = (str,) if key == ("\0",) else (int,)
    with pytest.raises(BadCursor):
        from_cursor(to_cursor(key), shape)
