# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about where sealed parts stand in a body."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.core import canonical
from broker.core.messages import Party
from broker.core.sealed_parts import (
    PartPlace,
    has_sealed_part,
    is_sealed_part,
    put,
    rest_digest,
    sealed_parts,
    value_at,
)
from broker.testing.store_rows import BOARD, EE, FI, header, procedure_id

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
    assert changed["list"][0] is BODY["list"][0]


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


def test_a_part_of_an_opening_message_names_no_procedure() -> None:
    """Its office seals it before the node gives the procedure an id; every later one is bound to the procedure."""
    about = header(1, sender=Party(country=EE, authority=BOARD), recipient=Party(country=FI, authority=BOARD))
    places = [
        PartPlace.of(given, opens=opens, rest=rest_digest(BODY, PLACES), place=PLACES[0])
        for given, opens in ((about, False), (about, True), (replace(about, procedure=None), False))
    ]
    assert [place.procedure for place in places] == [procedure_id(1), None, None]
    assert ["procedure" in place.to_json() for place in places] == [True, False, False]
