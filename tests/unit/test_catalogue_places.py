# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A country or language that does not exist does not leave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.catalogue.places import places_in, unknown_place
from broker.core.errors import HeaderInvalid, SchemaInvalid
from broker.schema_files import read_schema_file
from broker.testing.world import World


def _request() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
    return data


def _put(pointer: str, value: Any) -> dict[str, Any]:
    data = _request()
    *path, last = pointer.split("/")[1:]
    holder: Any = data
    for step in path:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    if isinstance(holder, list):
        holder[int(last)] = value
    else:
        holder[last] = value
    return data


@pytest.mark.parametrize(
    ("place", "value", "error"),
    [
        ("/body/child/nationalities/value/0", "QQ", SchemaInvalid),
        ("/body/child/place_of_birth/value/country", "ZZ", SchemaInvalid),
        ("/body/child/languages/value/0", "xx", SchemaInvalid),
        ("/body/danger_assessment/office/country", "AA", SchemaInvalid),
        ("/body/communication_needs/languages/0/language", "xx", SchemaInvalid),
        ("/body/contact/languages/1", "xx", SchemaInvalid),
        ("/language", "xx", HeaderInvalid),
    ],
)
async def test_what_does_not_exist_is_refused_at_its_place(
    world: World, place: str, value: str, error: type[Exception]
) -> None:
    """The schema holds the form alone; the reason names the place and not the value, and nothing is stored."""
    ee = world["EE"]
    with pytest.raises(error) as caught:
        await ee.submit(_put(place, value))
    assert str(getattr(caught.value, "where", "")).endswith(place)
    assert value not in str(caught.value)
    assert not sum((await ee.counts()).values())
    problems = ee.desk.catalogue.explain_submission(_put(place, value))
    assert [(one.pointer, one.rule) for one in problems] == [(place, "exists")]


def test_stateless_and_kosovo_exist() -> None:
    """Codes outside of ISO 3166-1 that the protocol knows; a nationality's alone is none of a country."""
    documents: dict[str, Any] = {
        "parts/nationality.json": {}, "parts/country.json": {},
        "m.json": {"properties": {"n": {"$ref": "/parts/nationality.json"}, "c": {"$ref": "/parts/country.json"}}},
    }  # fmt: skip
    places = places_in(documents, "m.json")
    assert list(unknown_place(places, {"n": "XXA", "c": "XK"}, "")) == []
    assert [where for where, _ in unknown_place(places, {"n": "XK", "c": "XXA"}, "")] == ["/c"]


def test_only_what_leads_to_a_code_is_walked() -> None:
    """Facts, lists and parts of parts are followed; a part inside itself ends, and free text is left alone."""
    documents: dict[str, Any] = {
        "parts/country.json": {},
        "parts/fact.json": {"properties": {"value": {}, "unknown": {}}},
        "parts/office.json": {
            "properties": {"country": {"$ref": "/parts/country.json"}, "above": {"$ref": "/parts/office.json"}}
        },
        "m.json": {
            "properties": {
                "note": {"type": "string"},
                "states": {
                    "$ref": "/parts/fact.json",
                    "properties": {"value": {"items": {"$ref": "/parts/country.json"}}},
                },
                "office": {"$ref": "/parts/office.json"},
            }
        },
    }
    places = places_in(documents, "m.json")
    assert places is not None
    assert set(places.members) == {"states", "office"}
    body = {"note": "QQ", "states": {"value": ["EE", "QQ"]}, "office": {"country": "ZZ", "above": {"country": "ZZ"}}}
    assert [where for where, _ in unknown_place(places, body, "/body")] == [
        "/body/office/country",
        "/body/states/value/1",
    ]
    assert places_in({"m.json": {"properties": {"note": {"type": "string"}}}}, "m.json") is None
    assert list(unknown_place(None, body, "")) == []
