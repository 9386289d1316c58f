# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One adult with several children."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core.accompanied import REPLY, adult_asked_about, asks_about_adult, with_another_child
from broker.core.ids import MessageType

REQUEST = MessageType("relationship.request")
UNKNOWN = {"unknown": True}


def _person(given: str, family: str, born: str | None = None) -> dict[str, Any]:
    birth = UNKNOWN if born is None else {"value": {"date": born, "estimated": False}}
    return {"name": {"given": {"value": given}, "family": {"value": family}}, "birth": birth}


def _body(adult: dict[str, Any] | None, child: dict[str, Any] | None, *, fact: bool = False) -> dict[str, Any]:
    told = {"identity": adult}
    found: dict[str, Any] = {"accompanying_adult": {"value": told}} if fact else {"adult": told}
    return {**(found if adult else {}), **({"child": {"named": child}} if child else {})}


UNCLE, CHILD, OTHER = _person("Test-Jonas", "Pavyzdys"), _person("Test-A", "One"), _person("Test-B", "Two")


def _again(own: dict[str, Any], other: dict[str, Any]) -> bool:
    adult = adult_asked_about(REQUEST, own, ())
    assert adult is not None
    return with_another_child(adult, (own,), other)


@pytest.mark.parametrize(
    ("other", "again"),
    [
        (_body(UNCLE, OTHER), True),
        (_body(UNCLE, OTHER, fact=True), True),
        (_body(_person("test-jonas", "PAVYZDYS", "1980-01-01"), OTHER), True),
        (_body(UNCLE, None), True),
        (_body(UNCLE, CHILD), False),
        (_body(_person("Test-Jonas", "Kitas"), OTHER), False),
        (_body(None, OTHER), False),
        ({"accompanying_adult": {"unknown": True}}, False),
        ({"adult": "words"}, False),
    ],
)
def test_an_adult_is_seen_again_with_another_child(other: dict[str, Any], again: bool) -> None:
    """R-43: by name and what is known of the birth; the same child once more is no other, an unnamed one may be."""
    assert _again(_body(UNCLE, CHILD), other) is again


def test_a_case_that_names_no_child_of_its_own_may_be_about_another() -> None:
    """A pseudonym first and the child later is that child; nothing but pseudonyms could be any: a person looks."""
    adult = adult_asked_about(REQUEST, _body(UNCLE, CHILD), ())
    assert adult is not None
    unnamed = {"child": {"pseudonym": {"label": "Child 7"}}}
    assert with_another_child(adult, (unnamed,), _body(UNCLE, OTHER))
    assert with_another_child(adult, (unnamed,), _body(UNCLE, None))
    assert not with_another_child(adult, (unnamed, _body(UNCLE, CHILD)), _body(UNCLE, CHILD))


def test_two_births_are_two_adults() -> None:
    """A birth that contradicts is another person."""
    assert not _again(
        _body(_person("Test-Jonas", "P", "1980"), CHILD), _body(_person("Test-Jonas", "P", "1979-05-05"), OTHER)
    )


def test_an_answer_that_confirms_is_about_the_adult_of_the_request() -> None:
    """Only what confirms lets a child go; another message asks about the adult that it names."""
    assert asks_about_adult(REPLY, {"answer": "CONFIRMED"})
    assert not asks_about_adult(REPLY, {"answer": "NOT_CONFIRMED"})
    assert not asks_about_adult(MessageType("relationship.status"), {"answer": "CONFIRMED"})
    assert asks_about_adult(REQUEST, _body(UNCLE, CHILD))
    assert not asks_about_adult(REQUEST, _body(None, CHILD))
    found = adult_asked_about(REPLY, {"answer": "CONFIRMED"}, (_body(UNCLE, CHILD), {}))
    assert found is not None
    assert found.words == frozenset({"test", "jonas", "pavyzdys"})
    assert adult_asked_about(REQUEST, {}, (_body(UNCLE, CHILD),)) is None
