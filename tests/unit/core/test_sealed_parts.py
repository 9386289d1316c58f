# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about where sealed parts stand in a body."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core import canonical
from broker.core.sealed_parts import has_sealed_part, is_sealed_part, put, rest_digest, sealed_parts, value_at

PART = {"kid": "k", "jwe": {}}
BODY: dict[str, Any] = {"a": {"value": PART}, "list": [{"b": 1}, {"c": PART}], "t": "x"}
PLACES = ["/a/value", "/list/1/c"]


def test_parts_are_found_by_their_form_wherever_they_stand() -> None:
    """In objects, lists and facts; an object with one member more or fewer is none."""
    assert [place for place, _ in sealed_parts(BODY)] == PLACES
    assert has_sealed_part(BODY)
    assert has_sealed_part(BODY, canonical.dump({"body": BODY}))
    for other in ({"kid": "k"}, {"kid": "k", "jwe": {}, "more": 1}, [], "kid", None):
        assert not is_sealed_part(other)
        assert not has_sealed_part({"a": [other]})
        assert not has_sealed_part({"a": [other]}, canonical.dump({"a": [other]}))


def test_putting_changes_one_place_and_not_the_given_body() -> None:
    """The rest stays the same objects."""
    changed = put(BODY, "/list/1/c", 5)
    assert value_at(changed, "/list/1/c") == 5
    assert value_at(BODY, "/list/1/c") is PART
    assert changed["a"] is BODY["a"]


@pytest.mark.parametrize("place", ["/nothing", "/list/2", "/list/x", "/t/y", "/list/-1"])
def test_a_place_that_is_not_there_is_no_place(place: str) -> None:
    """Nothing is made on the way."""
    with pytest.raises(ValueError, match="no such place"):
        put(BODY, place, None)


def test_the_rest_is_the_same_whatever_the_parts_hold() -> None:
    """And another one when a word around them changes, or when a part stands elsewhere."""
    clear = put(put(BODY, PLACES[0], {"secret": "Test"}), PLACES[1], [1, 2])
    assert rest_digest(clear, PLACES) == rest_digest(BODY, PLACES)
    assert rest_digest({**BODY, "t": "y"}, PLACES) != rest_digest(BODY, PLACES)
    assert rest_digest(BODY, PLACES[:1]) != rest_digest(BODY, PLACES)
