# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether this node's procedures speak of somebody."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from broker.core.persons import PersonQuery
from broker.derived.speaking import anybody, speaks_of
from broker.schema_files import read_schema_file
from broker.testing.hostile import Hostile
from broker.testing.world import World


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Test-Maarika Näidis", True),
        ("naidis MAARIKA", True),
        ("Test-Maarika Somebody", False),
        ("Somebody Else", False),
    ],
)
async def test_whoever_a_message_names_is_known_by_the_whole_name_alone(world: World, name: str, known: bool) -> None:
    """Of all words of one person, in any order and spelling; words of two people are nobody's name."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    query, row = PersonQuery.of(name, None), (await ee.view(request.procedure)).row

    assert await ee.store.read(lambda reader: anybody(reader, ee.desk.catalogue, query)) is known
    assert await ee.store.read(lambda reader: speaks_of(reader, ee.desk.catalogue, row, query)) is known
    assert await world["SE"].store.read(lambda reader: anybody(reader, ee.desk.catalogue, query)) is False


async def test_what_does_not_open_may_name_anybody_of_its_buckets(world: World) -> None:
    """A message about nobody waits for a second person then, instead of failing; who has no such name is not meant."""
    ee = world["EE"]
    await ee.submit("request.json")
    with closing(sqlite3.connect(ee.url.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE outbox_content SET content = x'00'")

    for name, known in (("Test-Maarika Näidis", True), ("Somebody Else", False)):
        query = PersonQuery.of(name, None)
        assert await ee.store.read(lambda reader, asked=query: anybody(reader, ee.desk.catalogue, asked)) is known  # type: ignore[misc]


async def test_another_countrys_message_of_the_same_id_speaks_for_its_own_procedure_alone(world: World) -> None:
    """Two countries may use one id: who is named in the one is not found in the other's procedure."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    hostile = Hostile(world["SE"], world["FI"])
    body = json.loads(read_schema_file("examples/demo/request.json"))["body"]
    given = {"family": "Synthetic", "given": "Other"}
    body["child"]["name"] = {part: {**body["child"]["name"][part], "value": value} for part, value in given.items()}
    assert await hostile.send(hostile.message("request.json", id=request.message, body=body)) == "recorded"
    fi, query = world["FI"], PersonQuery.of("Other Synthetic", None)
    rows = (await fi.store.read(lambda reader: reader.procedures(None, cursor=None, limit=9))).items

    spoken = {
        row.peer: await fi.store.read(lambda reader, row=row: speaks_of(reader, fi.desk.catalogue, row, query))  # type: ignore[misc]
        for row in rows
    }
    assert spoken == {"EE": False, "SE": True}


@pytest.mark.parametrize(
    ("name", "born", "known"),
    [
        ("Marta Näidis", None, True),
        ("Test-Maarika Näidis", None, True),
        ("Marta", None, True),
        ("Marta Näidis", "2015-04-03", True),
        ("Leena Marta", None, False),
        (None, "2015-04-03", True),
        ("Marta Näidis", "2014-05-03", False),
    ],
)
async def test_whoever_was_corrected_is_known_by_both_names(
    world: World, name: str | None, born: str | None, known: bool
) -> None:
    """Of one person, as the corrected message reads; both countries find it."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    data = json.loads(read_schema_file("examples/acts/correction-birth-year.json"))
    fields = (("/child/name/given", "Marta"), ("/child/birth/value/date", "2015-04-03"))
    data["body"] |= {"target": str(request.digest)}
    data["body"]["fields"] = [{"pointer": place, "now": {"value": now}} for place, now in fields]
    await ee.submit(data, procedure=request.procedure)
    await world.settle()
    query = PersonQuery.of(name, born)
    for country in (ee, world["FI"]):
        assert await country.store.read(lambda reader: anybody(reader, ee.desk.catalogue, query)) is known
