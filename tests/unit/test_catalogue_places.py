# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A country, a language or a day that does not exist does not leave."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


async def test_a_time_on_a_day_that_no_calendar_has_does_not_leave(world: World) -> None:
    """31 November is a slip of the pen: whoever waits for the child is told no such day, whatever the legal basis."""
    plan = json.loads(read_schema_file("examples/transfer/plan-to-aunt.json"))
    plan["body"]["arrival"]["at"] = "2026-11-31T09:00:00.000Z"
    with pytest.raises(SchemaInvalid, match="no such day") as caught:
        await world["EE"].submit(plan)
    assert caught.value.where == "/body/arrival/at"


def test_stateless_and_kosovo_exist() -> None:
    """Codes outside of ISO 3166-1 that the protocol knows; a nationality's alone is none of a country."""
    documents: dict[str, Any] = {
        "parts/nationality.json": {}, "parts/country.json": {},
        "m.json": {"properties": {"n": {"$ref": "/parts/nationality.json"}, "c": {"$ref": "/parts/country.json"}}},
    }  # fmt: skip
    places = places_in(documents, "m.json")
    assert list(unknown_place(places, {"n": "XXA", "c": "XK"}, "")) == []
    assert [where for where, _ in unknown_place(places, {"n": "XK", "c": "XXA"}, "")] == ["/c"]


_DOCUMENTS: dict[str, Any] = {
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


def test_only_what_leads_to_a_code_is_walked() -> None:
    """Facts, lists and parts of parts are followed; a part inside itself ends, and free text is left alone."""
    places = places_in(_DOCUMENTS, "m.json")
    assert places is not None
    assert set(places.members) == {"states", "office"}
    body = {"note": "QQ", "states": {"value": ["EE", "QQ"]}, "office": {"country": "ZZ", "above": {"country": "ZZ"}}}
    assert [where for where, _ in unknown_place(places, body, "/body")] == [
        "/body/office/country",
        "/body/states/value/1",
    ]
    assert places_in({"m.json": {"properties": {"note": {"type": "string"}}}}, "m.json") is None
    assert list(unknown_place(None, body, "")) == []


def _meant(schema: Any, node: Any, where: str) -> list[str]:
    """Return where a country does not exist, as the schema reads: every reference is followed to its part."""
    found: list[str] = []
    if schema.get("$ref") == "/parts/country.json":
        return [where] if isinstance(node, str) and node not in {"EE", "FI"} else []
    if "$ref" in schema:
        found += _meant(_DOCUMENTS[schema["$ref"].removeprefix("/")], node, where)
    for name, item in node.items() if isinstance(node, dict) else ():
        found += _meant(schema.get("properties", {}).get(name, {}), item, f"{where}/{name}")
    for position, item in enumerate(node if isinstance(node, list) else ()):
        found += _meant(schema.get("items", {}), item, f"{where}/{position}")
    return found


_BODY = st.recursive(
    st.sampled_from(["EE", "FI", "QQ", "ZZ", 1, None]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["note", "states", "value", "office", "above", "country"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(body=_BODY)
def test_every_place_that_the_schema_leads_to_is_asked_about(body: Any) -> None:
    """And no other: the same as reading the schema along the body, one part inside itself left out."""
    expected = [where for where in _meant(_DOCUMENTS["m.json"], body, "") if "/above" not in where]
    found = unknown_place(places_in(_DOCUMENTS, "m.json"), body, "")
    assert [where for where, _ in found] == sorted(expected)
