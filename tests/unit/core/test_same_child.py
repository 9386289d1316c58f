# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""By what the other procedures of a child are looked for."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core.same_child import child_query

NAME = {"given": {"value": "Test-Maarika Leena"}, "family": {"value": "Näidis"}, "middle": {"value": "Other"}}
BORN = {"value": {"date": "2014-05-03", "estimated": False}}
WORDS = frozenset({"test", "maarika", "leena", "naidis"})


@pytest.mark.parametrize(
    ("child", "words", "born"),
    [
        ({"name": NAME, "birth": BORN}, WORDS, "2014-05-03"),
        ({"named": {"name": NAME, "birth": BORN}}, WORDS, "2014-05-03"),
        ({"name": NAME, "birth": {"unknown": True}}, WORDS, None),
        ({"name": NAME, "birth": {"value": {"date": "2014", "estimated": True}}}, WORDS, None),
        ({"name": {"given": {"value": "Mari"}, "family": {"unknown": True}}, "birth": BORN}, {"mari"}, "2014-05-03"),
        ({"name": {"given": {"unknown": True}, "family": {"unknown": True}}, "birth": BORN}, set(), "2014-05-03"),
    ],
)
def test_a_child_is_looked_for_by_given_and_family_name_and_what_is_certain_of_its_birth(
    child: Any, words: set[str], born: str | None
) -> None:
    """An estimated birth would hide a procedure that has it otherwise; a middle name that only one of them has, too."""
    query = child_query({"child": child})
    assert query is not None
    assert (query.words, query.born) == (words, born)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"child": "words"},
        {"child": {"pseudonym": {"label": "Child 7"}}},
        {"child": {"name": {"given": {"value": "Mari"}, "family": {"unknown": True}}, "birth": {"unknown": True}}},
        {"child": {"name": {"given": {"unknown": True}, "family": {"unknown": True}}, "birth": {"value": {"date": "2014", "estimated": False}}}},
        {"child": {"name": {"given": {"value": "a b c d e f g h i j k l m"}, "family": {"value": "b"}}, "birth": BORN}},
    ],
)  # fmt: skip
def test_whoever_is_not_named_well_enough_is_not_looked_for(body: Any) -> None:
    """Half a name, a year alone or a pseudonym would find everybody."""
    assert child_query(body) is None
