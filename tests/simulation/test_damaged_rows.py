# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One stored value is damaged: no loop of its node stands still over it, and what is said afterwards arrives.

Two countries are in the middle of everything that a node keeps sealed: messages at every step, files, uploads, held
messages, an erasure that was asked for. The newest rows of each kind are damaged, one a run; ``TRM_TEST_DAMAGED_ROWS`` says
how many of each.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from broker.core.errors import SafeguardHeld, TransportUnavailable
from broker.core.ids import AuthorityId
from broker.core.roles import AuditRole
from broker.schema_files import read_schema_file
from broker.storage.schema import exclusive
from broker.testing.world import World

BOARD = AuthorityId("social-insurance-board")
MOST = int(os.environ.get("TRM_TEST_DAMAGED_ROWS", "3"))
SEALED = [
    ("outbox_content", "header"),
    ("outbox_content", "content"),
    ("outbox_envelope", "raw"),
    ("inbox_content", "header"),
    ("inbox_content", "content"),
    ("draft_content", "content"),
    ("upload", "key"),
    ("case_key", "wrapped"),
]
SPOTS = [
    (country, table, column, number)
    for country in ("EE", "FI")
    for table, column in SEALED
    for number in range(MOST)
    if country == "EE" or table not in {"draft_content", "upload"}  # where the scenario has any
]
MINUTE, HOUR, DAY = 61, 3_600, 86_400  # seconds


def _damage(url: str, table: str, column: str, number: int) -> None:
    """Flip some bits of a value, counted from the newest row."""
    with exclusive(url) as connection:
        *others, newest = names = inspect(connection).get_pk_constraint(table)["constrained_columns"]
        found = text(f"SELECT {', '.join([column, *names])} FROM {table} ORDER BY {', '.join([newest, *others])}")
        value, *key = connection.execute(found).all()[::-1][: number + 1][-1]
        spoilt = bytearray(value)
        spoilt[len(spoilt) // 2] ^= 0x55
        where = " AND ".join(f"{name} = :{name}" for name in names)
        damage = text(f"UPDATE {table} SET {column} = :spoilt WHERE {where}")
        connection.execute(damage, {"spoilt": bytes(spoilt), **dict(zip(names, key, strict=True))})


async def _talk(world: World) -> None:
    """Leave something at every step: answered, asked to be erased, held, with a file, on its way, owed, being uploaded.

    And receipts that are written and could not leave.
    """
    ee, fi = world["EE"], world["FI"]
    answered = await ee.submit("request.json")
    await world.settle()
    for example in ("acknowledgement.json", "result.json"):
        await fi.submit(example, procedure=answered.procedure)
        await world.settle()
    erase = json.loads(read_schema_file("examples/correction/erase-wrong-child.json"))
    request = json.loads(read_schema_file("examples/demo/request.json"))
    erase |= {"sender": request["sender"], "recipient": request["recipient"]}
    await ee.submit({**erase, "body": {**erase["body"], "targets": [answered.digest]}})
    await ee.submit("request.json", attachments=(await ee.upload(),))
    await world.settle()
    request["body"]["child_wish"]["heard"]["wants_tracing"] = "NO"
    for key in ("first", "second"):
        with suppress(SafeguardHeld):
            await ee.submit(request, idempotency_key=key)
    await ee.submit("request.json", attachments=(await ee.upload(),))
    await ee.engine.dispatch()
    await ee.submit("request.json")
    world.network.fault = TransportUnavailable()
    await fi.step()
    await fi.engine.dispatch()
    world.network.fault = None
    for _ in range(2):
        await ee.desk.upload.begin(5, authority=BOARD, actor="test", role=AuditRole.OFFICER)


async def _pass_time(world: World, *seconds: int) -> None:
    """Let everything that a node repeats run, and time pass."""
    for pause in seconds:
        for country in world.countries.values():
            engine = country.engine
            for loop in (
                engine.watch, engine.remind, engine.urge, engine.next_epoch.if_owed, engine.catch_up,
                engine.link_audit, engine.tidy, engine.review, engine.clear,
            ):  # fmt: skip
                await loop()
        await world.settle()
        for country in world.countries.values():
            await country.offer_parked()
        world.clock.advance(pause)


@pytest.mark.parametrize(("country", "table", "column", "number"), SPOTS)
async def test_a_damaged_row_holds_up_nothing_else(
    tmp_path: Path, country: str, table: str, column: str, number: int
) -> None:
    """The loops go on, and a new message with a file arrives, is handed over whole, and is answered."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        await _go_on(world, country, table, column, number)


@pytest.mark.postgres
@pytest.mark.parametrize(("table", "column"), SEALED)
async def test_a_damaged_row_of_postgres_holds_up_nothing_else(
    tmp_path: Path, postgres_store_url: str, table: str, column: str
) -> None:
    """The newest of each kind, in the database of the country that asks."""
    async with World.create(tmp_path, ("EE", "FI"), urls={"EE": postgres_store_url}) as world:
        await _go_on(world, "EE", table, column, 0)


async def _go_on(world: World, country: str, table: str, column: str, number: int) -> None:
    await _talk(world)
    _damage(world[country].url, table, column, number)
    await world.restart(country)
    ee = world["EE"]
    await _pass_time(world, MINUTE, MINUTE, HOUR, HOUR, DAY, DAY)
    asked = await ee.submit("request.json", attachments=(await ee.upload(),))
    await _pass_time(world, MINUTE, MINUTE, MINUTE)
    assert await ee.states(asked) == ["handed-over"]
    with suppress(SafeguardHeld):  # what does not open may be a correction of it: a second person looks
        answer = await world["FI"].submit("acknowledgement.json", procedure=asked.procedure)
        await _pass_time(world, MINUTE, MINUTE)
        assert await world["FI"].states(answer) == ["handed-over"]
