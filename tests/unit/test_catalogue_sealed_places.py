# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about where the message language wants something sealed."""

from __future__ import annotations

import re

import pytest

from broker.catalogue.sealed_places import sealed_places
from broker.core.ids import MessageType
from broker.schema_files import load_catalogue
from broker.testing.offices import INSIDES
from broker.testing.spoiling import SCHEMAS

DOCUMENTS = {
    "parts/own.json": {"properties": {"deep": {"x-trm-sealed": "/parts/inside.json", "$ref": "/parts/sealed.json"}}},
    "messages/x.json": {
        "properties": {
            "a": {"x-trm-sealed": "/parts/inside.json", "$ref": "/parts/sealed.json"},
            "list": {"items": {"$ref": "/parts/own.json"}},
            "fact": {"$ref": "/parts/fact.json", "properties": {"value": {"$ref": "/parts/own.json"}}},
            "plain": {"type": "string"},
        }
    },
}


def test_every_place_is_found_through_parts_lists_and_facts() -> None:
    """Whatever stands there, sealed or not; what the body lacks is no place."""
    body = {"a": 1, "list": [{"deep": 1}, {}, {"deep": None}], "fact": {"value": {"deep": {}}}, "plain": "x", "more": 1}
    assert sorted(sealed_places(DOCUMENTS, "messages/x.json", body)) == [
        ("/a", "parts/inside.json"),
        ("/fact/value/deep", "parts/inside.json"),
        ("/list/0/deep", "parts/inside.json"),
        ("/list/2/deep", "parts/inside.json"),
    ]


@pytest.mark.parametrize("body", [{}, [], None, "x", {"list": {"deep": 1}}, {"list": [[]]}])
def test_a_body_of_another_form_has_no_places(body: object) -> None:
    """The schema refuses it elsewhere."""
    assert list(sealed_places(DOCUMENTS, "messages/x.json", body)) == []


def test_what_is_inside_is_held_against_its_schema() -> None:
    """A good inside passes; one that lacks something, or names a country that does not exist, is told by its place."""
    catalogue = load_catalogue()
    sealed = {
        path for file in SCHEMAS.rglob("*.json") for path in re.findall(r'"x-trm-sealed": "/(.+?)"', file.read_text())
    }
    assert sealed == INSIDES.keys()
    for path, inside in INSIDES.items():
        assert catalogue.explain_part(path, inside, "/x", leaving=True) == (), path
    nowhere = {"place": {"country": "QQ"}, "with": {"unknown": True}, "since": {"unknown": True}, "may_be_told": []}
    assert catalogue.explain_part("parts/whereabouts.json", nowhere, "/x", leaving=False) == ()
    (problem,) = catalogue.explain_part("parts/whereabouts.json", nowhere, "/x", leaving=True)
    assert problem.pointer == "/x/place/country"
    assert catalogue.explain_part("parts/whereabouts.json", {}, "/x", leaving=False)[0].pointer == "/x/may_be_told"


def test_the_language_says_what_is_sealed_in_an_answer_about_best_interests() -> None:
    """The child's own words are, and what is said of health."""
    catalogue = load_catalogue()
    kind = MessageType("best-interests.information")
    body = {"self_assessment": {}, "elements": [{"element": "HEALTH", "statements_sealed": {}}], "manner_used": []}
    assert dict(catalogue.sealed_schemas(kind, catalogue.newest(kind), body)) == {
        "/self_assessment": "parts/self-assessment.json",
        "/elements/0/statements_sealed": "parts/best-interests-statements.json",
    }
