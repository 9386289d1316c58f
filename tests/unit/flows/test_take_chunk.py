# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Taking a chunk: held, a repeat, parked, or dropped and counted against whoever published it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from broker.core.attachments import CHUNK_BYTES
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Delivery
from broker.rows import Accepted
from broker.testing.world import Country, World

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
BOARD = AuthorityId("social-insurance-board")
TWO = b"synthetic " * (CHUNK_BYTES // 10 + 1)  # bytes; two chunks


async def _under_way(world: World, plain: bytes = TWO) -> tuple[Accepted, Delivery, list[Delivery]]:
    """Send a request with a file; return it with what is on its way to Finland: the message, and the chunks."""
    ee = world["EE"]
    accepted = await ee.submit("request.json", attachments=(await ee.upload(plain),))
    await ee.step()
    message, *chunks = world.network.waiting[FI]
    world.network.waiting[FI].clear()
    return accepted, message, chunks


async def _abuses(country: Country, code: str, user: str = "EE") -> int:
    """Return how often that rule was broken."""
    return await country.store.run(lambda tx: tx.count_abuse(user, code, country.clock.now())) - 1


async def _states(country: Country, accepted: Accepted) -> list[tuple[str, bool]]:
    rows = await country.store.run(lambda tx: tx.attachments_of(EE, accepted.message))
    return [(row.owed.text, row.complete is not None) for row in rows]


async def test_a_chunk_that_is_here_is_a_repeat_and_no_abuse(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An honest sender's transport may bring it twice, also after the file is whole: it is dropped, and nothing changes."""
    fi = world["FI"]
    accepted, message, (first, second) = await _under_way(world)
    await fi.engine.receive(message)
    told = list[str]()
    monkeypatch.setattr(fi.engine.take_chunk, "_whole", lambda: told.append("whole"))
    assert [await fi.engine.take_chunk(one) for one in (first, first)] == ["chunk", "repeat"]
    assert (await _states(fi, accepted), told) == ([("1", False)], [])
    assert await fi.engine.take_chunk(second) == "chunk"
    assert told == ["whole"]
    await fi.engine.complete()
    assert await _states(fi, accepted) == [("", True)]
    assert await fi.engine.take_chunk(second) == "repeat"
    assert await _states(fi, accepted) == [("", True)]
    assert await _abuses(fi, "chunk-unknown") == 0


async def test_a_chunk_that_two_workers_take_at_once_completes_the_file_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both wrote the same bytes; who comes second notes nothing, and the quiet time of the file does not begin anew."""
    fi = world["FI"]
    accepted, message, (first, _) = await _under_way(world)
    await fi.engine.receive(message)
    take, put = fi.engine.take_chunk, fi.blobs.put
    overtaken = iter([True])

    async def slow(blob: str, index: int, raw: bytes) -> None:
        if next(overtaken, False):
            assert await take(first) == "chunk"
            world.clock.advance(60)
        await put(blob, index, raw)

    monkeypatch.setattr(fi.blobs, "put", slow)
    await take(first)
    (row,) = await fi.store.run(lambda tx: tx.attachments_of(EE, accepted.message))
    assert row.owed.text == "1"
    assert (world.clock.now() - row.moved).total_seconds() == 60


async def test_a_parked_chunk_whose_bytes_are_gone_holds_up_no_other(world: World) -> None:
    """It made way meanwhile, or the disk lost it: it is asked for again, and the others of its file are taken."""
    fi = world["FI"]
    accepted, message, chunks = await _under_way(world)
    assert [await fi.engine.take_chunk(one) for one in chunks] == ["chunk-parked"] * 2
    await fi.engine.receive(message)
    first, _ = await fi.store.read(lambda reader: reader.adoptable_chunks(9))
    await fi.blobs.drop(first.blob)
    assert await fi.engine.take_chunk.adopt() == 2
    assert await _states(fi, accepted) == [("0", False)]
    assert await fi.engine.take_chunk.adopt() == 0

    world.clock.advance(600)
    await world.settle()
    assert await _states(fi, accepted) == [("", True)]
    assert await world["EE"].states(accepted) == ["handed-over"]


@pytest.mark.parametrize("first", ["chunks", "message"])
async def test_a_chunk_whose_message_does_not_open_holds_up_no_other(world: World, first: str) -> None:
    """It is dropped, for it is asked for again once its message opens; the file of another message is whole at once.

    Given back to the transport, a few of them would keep it from bringing any other.
    """
    fi = world["FI"]
    bad, bad_message, bad_chunks = await _under_way(world, b"synthetic")
    world.clock.advance(1)
    good, message, chunks = await _under_way(world, b"another")
    if first == "chunks":
        assert [await fi.engine.take_chunk(one) for one in (*bad_chunks, *chunks)] == ["chunk-parked"] * 2
    for one in (bad_message, message):
        await fi.engine.receive(one)
    with closing(sqlite3.connect(fi.url.removeprefix("sqlite:///"))) as db, db:
        ((whole,),) = db.execute("SELECT header FROM inbox_content WHERE id = ?", (bad.message,))
        db.execute("UPDATE inbox_content SET header = x'00' WHERE id = ?", (bad.message,))
    if first == "chunks":
        assert await fi.engine.take_chunk.adopt() == 2
    else:
        assert [await fi.engine.take_chunk(one) for one in (*bad_chunks, *chunks)] == ["chunk-later", "chunk"]
    await fi.engine.complete()
    assert (await _states(fi, good), await _states(fi, bad)) == ([("", True)], [("0", False)])

    with closing(sqlite3.connect(fi.url.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE inbox_content SET header = ? WHERE id = ?", (whole, bad.message))
    world.clock.advance(600)
    await world.settle()
    assert await _states(fi, bad) == [("", True)]


@pytest.mark.parametrize("user", [SE, "unknown"])
async def test_a_chunk_in_another_countrys_name_is_counted_against_its_publisher(world: World, user: str) -> None:
    """Whoever publishes it under another broker user fills no place of the country that it names."""
    fi = world["FI"]
    _, _, (first, _) = await _under_way(world)
    assert await fi.engine.take_chunk(replace(first, user=user, abuse=("foreign-property",))) == "chunk-unknown"
    assert fi.blobs.held == {}
    assert await _abuses(fi, "chunk-unknown", user) == 1
    assert await _abuses(fi, "foreign-property", user) == 1


async def test_a_chunk_whose_publisher_nobody_knows_waits_for_its_message_as_any_other(world: World) -> None:
    """A folder tells no broker user: what came early out of it is taken when the message is here."""
    fi = world["FI"]
    accepted, message, chunks = await _under_way(world)
    assert [await fi.engine.take_chunk(replace(one, user=None)) for one in chunks] == ["chunk-parked"] * 2
    assert await fi.engine.take_chunk.adopt() == 0
    await fi.engine.receive(message)
    assert await fi.engine.take_chunk.adopt() == 2
    assert await _states(fi, accepted) == [("", False)]
    assert await fi.engine.complete() == 1
    assert await _states(fi, accepted) == [("", True)]
