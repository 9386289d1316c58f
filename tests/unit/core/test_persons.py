# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Comparing people by name and birth."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.errors import BadRequest
from broker.core.persons import MAX_NAME, Person, PersonQuery, name_words, terms_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jānis Paraugs", "PARAUGS janis"),
        ("Zoë", "Zoe"),
        ("Õun-Näidis", "oun naidis"),
        ("O'Brien", "O’Brien"),
        ("O'Brien", "obrien"),
        ("Łucja Ørsted", "lucja orsted"),
        ("Straße", "STRASSE"),
        ("Иванов", "ИВАНОВ"),
        ("Αθηνά", "αθηνα"),
        ("ｅｘａｍｐｌｅ", "Example"),
        ("İpek Işık", "ipek isik"),
    ],
)
def test_words_meet_without_case_accents_and_order(one: str, other: str) -> None:
    """Two clerks' spellings of one name have the same words."""
    assert name_words(one) == name_words(other)


@pytest.mark.parametrize(("one", "other"), [("Иванов", "Ivanov"), ("Mari", "Maria"), ("Näidis", "Naeidis")])
def test_another_script_or_spelling_is_another_word(one: str, other: str) -> None:
    """Nothing is guessed: a wrong child found costs more than a second search."""
    assert name_words(one) != name_words(other)


@given(st.text(max_size=40))
@settings(max_examples=150)
def test_any_text_has_words_that_are_their_own_words(text: str) -> None:
    """However a text is composed, its words are the same, and they are words already."""
    words = name_words(text)
    assert name_words(unicodedata.normalize("NFD", text)) == words
    assert name_words(" ".join(words)) == words


@pytest.mark.parametrize(
    ("name", "born", "where"),
    [
        (None, None, "/name"),
        ("  -- ", None, "/name"),
        (None, "2014", "/name"),
        (None, "2014-05", "/name"),
        ("Test", "2014-13", "/born"),
        ("Test", "2014-02-30", "/born"),
        ("Test", "2014-5-3", "/born"),
        ("Test", "", "/born"),
        ("x" * (MAX_NAME + 1), None, "/name"),
        (" ".join("abcdefghijklm"), None, "/name"),
    ],
)
def test_a_search_for_everybody_is_refused(name: str | None, born: str | None, where: str) -> None:
    """A year of birth alone, no word, or a list of words finds nobody; the error shows nothing of what was typed."""
    with pytest.raises(BadRequest) as caught:
        PersonQuery.of(name, born)
    assert caught.value.where == where
    assert "2014-13" not in str(caught.value)


MAARIKA = Person(words=name_words("Test-Maarika Näidis Test-Marika"), births=frozenset({"2014-05-03"}))
YEAR_ONLY = Person(words=name_words("Test-Leena Näidis"), births=frozenset({"1989"}))
BY_AGE = Person(words=name_words("Test Lind"), births=frozenset({"2010", "2011"}))
UNKNOWN = Person(words=name_words("Test-Leena Näitlik"))


@pytest.mark.parametrize(
    ("name", "born", "fitting"),
    [
        ("naidis", None, [MAARIKA, YEAR_ONLY]),
        ("NAIDIS maarika", None, [MAARIKA]),
        ("Maar", None, []),
        ("naidis", "2014", [MAARIKA]),
        ("naidis", "2014-05", [MAARIKA]),
        ("naidis", "2014-06", []),
        ("naidis", "1989-04-01", [YEAR_ONLY]),
        ("test", "2011-01-01", [BY_AGE, UNKNOWN]),
        ("leena", "1989-04-01", [YEAR_ONLY, UNKNOWN]),
        (None, "2014-05-03", [MAARIKA]),
        (None, "1989-04-01", []),
    ],
)
def test_who_may_be_meant(name: str | None, born: str | None, fitting: list[Person]) -> None:
    """All words are of one person; of a birth, less known contradicts nothing where a name fits."""
    query = PersonQuery.of(name, born)
    people = [MAARIKA, YEAR_ONLY, BY_AGE, UNKNOWN]
    assert [person for person in people if query.fits(person)] == fitting
    assert all(query.terms <= terms_of([person]) for person in fitting)


def test_nothing_of_a_person_shows_in_a_representation() -> None:
    """A value that ends in a traceback or a log tells nobody's name."""
    assert "maarika" not in repr(MAARIKA)
    assert "2014" not in repr(PersonQuery.of("Maarika", "2014-05-03"))
