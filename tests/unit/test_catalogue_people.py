# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whom a message speaks of, read off its schema."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.ids import MessageType, SchemaVersion
from broker.core.persons import Person, name_words
from broker.schema_files import load_catalogue, read_schema_file
from broker.testing.spoiling import examples
from broker.testing.store_rows import outgoing


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The shipped one."""
    return load_catalogue()


def spoken_of(catalogue: Catalogue, kind: str, body: Any, version: str = "1.0") -> tuple[Person, ...]:
    """Return the people of a body of that type."""
    header = replace(outgoing(1).header, type=MessageType(kind), version=SchemaVersion(version))
    return catalogue.people(header, body)


def test_a_request_speaks_of_the_child_those_sought_and_the_guardian(catalogue: Catalogue) -> None:
    """Each with the words of every part of the name, the aliases, and as much of the birth as is said."""
    body = json.loads(read_schema_file("examples/demo/request.json"))["body"]
    found = sorted(spoken_of(catalogue, "family-tracing.request", body), key=lambda person: sorted(person.words))
    assert [(person.words, person.births) for person in found] == [
        (name_words("Test-Eeva Eestkostja"), frozenset()),
        (name_words("Test-Leena Test-Lena Näidis Näitlik"), frozenset({"1989"})),
        (name_words("Test-Maarika Test-Marika Näidis"), frozenset({"2014-05-03"})),
    ]


def test_an_age_is_two_years_of_birth(catalogue: Catalogue) -> None:
    """Who was 15 on a day was born in one of two years; a pseudonym's label is a name."""
    body = examples()["recognition/query-begging-pseudonym.json"]["body"]
    (person,) = spoken_of(catalogue, "recognition.query", body)
    assert person.births == {"2011", "2012"}
    assert person.words


def test_offices_and_free_text_are_nobody(catalogue: Catalogue) -> None:
    """What names an office, a file or a place, or stands in a sentence, is found by no search."""
    for example in examples().values():
        words = {word for person in spoken_of(catalogue, example["type"], example["body"]) for word in person.words}
        assert not words & {"sotsiaalkindlustusamet", "court", "tallinn", "bakery", "guardianship"}


def test_every_type_that_names_a_child_in_its_parts_is_read(catalogue: Catalogue) -> None:
    """No example has a name in its parts whose words are not found."""
    for place, example in examples().items():
        words = {word for person in spoken_of(catalogue, example["type"], example["body"]) for word in person.words}
        for given in _given_names(example["body"]):
            assert name_words(given) <= words, place


def test_a_type_that_is_not_here_speaks_of_nobody(catalogue: Catalogue) -> None:
    """A message of an older catalogue's type is left out, not refused."""
    assert spoken_of(catalogue, "family-tracing.request", {}, version="9.9") == ()


def _given_names(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _given_names(item)]
    if not isinstance(node, dict):
        return []
    here = [
        str(node[part]["value"])
        for part in ("given", "family")
        if {"given", "family"} <= node.keys() and isinstance(node[part], dict) and "value" in node[part]
    ]
    return here + [name for item in node.values() for name in _given_names(item)]
