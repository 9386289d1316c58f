# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What nobody will need of attachments goes; what a message, an upload or a parked chunk names stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from broker.core.delivery import UPLOAD_HOURS
from broker.core.errors import NotFound
from broker.core.ids import AuthorityId, CountryCode
from broker.testing.world import World

FI = CountryCode("FI")
BOARD = AuthorityId("social-insurance-board")
HOUR = 3600  # seconds


async def test_an_upload_that_no_message_took_goes_after_a_day(world: World) -> None:
    """Its bytes and its key: nobody reads it again. Until then it waits for its message."""
    ee = world["EE"]
    file = await ee.upload()
    world.clock.advance(UPLOAD_HOURS * HOUR - 1)
    assert await ee.engine.tidy() == 0
    assert list(ee.blobs.held) == [file.upload]

    world.clock.advance(2)
    assert await ee.engine.tidy() == 1
    assert ee.blobs.held == {}
    with pytest.raises(NotFound):
        await ee.submit("request.json", attachments=(file,))


async def test_an_upload_whose_key_does_not_open_goes_like_any_other(world: World) -> None:
    """It would keep all that nobody needs for ever, until the office may begin no more uploads."""
    ee = world["EE"]
    await ee.upload()
    await ee.upload()
    with closing(sqlite3.connect(ee.url.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE upload SET key = zeroblob(60) WHERE id = (SELECT min(id) FROM upload)")
    world.clock.advance(UPLOAD_HOURS * HOUR + 1)
    assert await ee.engine.tidy() == 2
    assert ee.blobs.held == {}


async def test_files_of_messages_stay_however_old_they_are(world: World) -> None:
    """At both ends, and also what has come before its message: no row is missed, so no file of a case is lost."""
    ee, fi = world["EE"], world["FI"]
    for _ in range(2):
        await ee.submit("request.json", attachments=(await ee.upload(),))
        await ee.step()
    _, _, late, _ = world.network.waiting[FI]  # two messages, each before its chunk
    world.network.waiting[FI].remove(late)
    await world.settle()
    assert fi.outcomes.count("chunk-parked") == 1
    before = (dict(ee.blobs.held), dict(fi.blobs.held))
    assert [len(held) for held in before] == [2, 2]

    world.clock.advance(100 * 24 * HOUR)
    assert [await ee.engine.tidy(), await fi.engine.tidy()] == [0, 0]
    assert (ee.blobs.held, fi.blobs.held) == before


async def test_files_that_no_row_names_go(world: World) -> None:
    """A crash between file and row leaves them; one that was written just now may still get its row."""
    ee = world["EE"]
    kept = (await ee.upload()).upload
    await ee.blobs.put("left", 0, b"x")
    world.clock.advance(2 * UPLOAD_HOURS * HOUR)
    await ee.store.run(lambda tx: tx.keep_upload(kept, at=world.clock.now()))
    assert await ee.engine.tidy() == 0
    world.clock.advance(1)
    await ee.blobs.put("new", 0, b"x")
    assert await ee.engine.tidy() == 1
    assert sorted(ee.blobs.held) == sorted([kept, "new"])
