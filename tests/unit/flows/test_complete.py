# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Bringing received files to their end: when a message counts as delivered, and when a person hears what lacks."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from broker.core.delivery import ATTACHMENT_ATTENTION_HOURS, CHUNK_QUIET_SECONDS, COMPLETE_LEASE_SECONDS
from broker.core.errors import StoreCorrupt
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Delivery
from broker.core.receipts import ReceiptKind
from broker.rows import Accepted
from broker.testing.world import Country, World

EE, FI = CountryCode("EE"), CountryCode("FI")
BOARD, HELSINKI = AuthorityId("social-insurance-board"), AuthorityId("helsinki-wellbeing-services")


async def _recorded(world: World, *plains: bytes) -> tuple[Accepted, list[Delivery]]:
    """Let Finland record a request with files; return it, and their chunks, which are still on their way."""
    ee = world["EE"]
    files = [await ee.upload(plain, f"note {number}.txt") for number, plain in enumerate(plains)]
    accepted = await ee.submit("request.json", attachments=tuple(files))
    await ee.engine.dispatch()
    while await ee.engine.carry():
        pass
    message, *chunks = world.network.waiting[FI]
    world.network.waiting[FI].clear()
    assert await world["FI"].engine.receive(message) == "recorded"
    return accepted, chunks


async def _receipts(country: Country, accepted: Accepted) -> list[ReceiptKind]:
    found = await country.store.read(lambda reader: reader.receipts_about(EE, accepted.message))
    return [receipt.kind for receipt in found]


async def _trail(country: Country, action: str) -> list[tuple[str, str | None]]:
    rows = (await country.store.read(lambda reader: reader.audit(cursor=None, limit=50))).items
    return [(row.subject, row.procedure) for row in rows if row.action == action]


async def test_a_message_counts_as_delivered_with_its_last_file(world: World) -> None:
    """One of two is whole: nothing is signed, and its office cannot say yet that it has it. Each file stands in the trail."""
    fi = world["FI"]
    accepted, (first, second) = await _recorded(world, b"synthetic", b"another")
    await fi.engine.take_chunk(first)
    assert await fi.engine.complete() == 1
    assert await _receipts(fi, accepted) == []
    assert (await fi.counts())["receipts.waiting"] == 0

    await fi.engine.take_chunk(second)
    assert await fi.engine.complete() == 1
    assert await _receipts(fi, accepted) == ["delivered", "handed-over"]
    assert await _trail(fi, "attachment-complete") == [(accepted.message, accepted.procedure)] * 2
    assert await fi.engine.complete() == 0


async def test_a_message_that_does_not_open_holds_up_the_files_of_no_other(world: World) -> None:
    """The others are asked for, verified and confirmed; for its own a person is called after half a day, and it heals."""
    fi = world["FI"]
    bad, bad_chunks = await _recorded(world, b"synthetic")
    good, chunks = await _recorded(world, b"another")
    late, _ = await _recorded(world, b"a third")
    path = fi.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as db, db:
        ((whole,),) = db.execute("SELECT header FROM inbox_content WHERE id = ?", (bad.message,))
        db.execute("UPDATE inbox_content SET header = x'00' WHERE id = ?", (bad.message,))
        db.execute("UPDATE attachment SET next_at = next_at - 1 WHERE message = ?", (bad.message,))
    await fi.engine.take_chunk(chunks[0])
    world.clock.advance(CHUNK_QUIET_SECONDS)
    assert await fi.engine.complete() == 2
    assert await _receipts(fi, good) == ["delivered", "handed-over"]
    assert [subject for subject, _ in await _trail(fi, "chunks-asked")] == [late.message]
    assert await fi.attention() == []
    world.clock.advance(ATTACHMENT_ATTENTION_HOURS * 3600)
    await fi.engine.complete()
    calls = await fi.store.read(lambda reader: reader.open_calls(["attachment-late"]))
    assert (f"EE/{bad.message}", StoreCorrupt().detail) in {(call.subject, call.detail) for call in calls}

    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE inbox_content SET header = ? WHERE id = ?", (whole, bad.message))
    await fi.engine.take_chunk(bad_chunks[0])
    await fi.engine.complete()
    assert await _receipts(fi, bad) == ["delivered", "handed-over"]
    calls = await fi.store.read(lambda reader: reader.open_calls(["attachment-late"]))
    assert f"EE/{bad.message}" not in {call.subject for call in calls}


async def test_a_person_is_called_for_a_file_after_half_a_day_and_not_at_the_first_question(world: World) -> None:
    """Most of what lacks comes by itself or when it is asked for; whom to telephone is said once that has failed for long."""
    fi = world["FI"]
    accepted, chunks = await _recorded(world, b"synthetic")
    assert await fi.engine.complete() == 0
    world.clock.advance(CHUNK_QUIET_SECONDS)
    assert await fi.engine.complete() == 1
    assert await fi.attention() == []
    assert await _trail(fi, "chunks-asked") == [(accepted.message, accepted.procedure)]

    world.clock.advance(ATTACHMENT_ATTENTION_HOURS * 3600)
    await fi.engine.complete()
    page = await fi.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(call.code, call.subject, call.peer, call.authority) for call in page.items] == [
        ("attachment-late", f"EE/{accepted.message}", EE, HELSINKI)
    ]
    await fi.engine.take_chunk(chunks[0])
    await fi.engine.complete()
    assert await fi.attention() == []
    assert await _receipts(fi, accepted) == ["delivered", "handed-over"]


async def test_a_whole_file_is_read_by_one_worker_until_it_must_have_died(world: World) -> None:
    """A hundred MiB are read once; where the reader dies, another delivers the message."""
    fi = world["FI"]
    accepted, (chunk,) = await _recorded(world, b"synthetic")
    await fi.engine.take_chunk(chunk)
    assert len(await fi.store.run(fi.engine.complete._take)) == 1
    world.clock.advance(COMPLETE_LEASE_SECONDS - 1)
    assert await fi.engine.complete() == 0
    world.clock.advance(1)
    assert await fi.engine.complete() == 1
    assert await _receipts(fi, accepted) == ["delivered", "handed-over"]


@pytest.mark.parametrize("served", [False, True])
async def test_a_message_whose_files_are_whole_goes_where_any_other_goes(world: World, served: bool) -> None:
    """To the officers' inbox at once, or to the adapter: no sooner, and it is not forgotten there."""
    fi, taken, offered = world["FI"], list[str](), list[str]()

    class System:
        async def deliver(self, message: object) -> None:
            taken.append("taken")

    if served:
        fi.adapters[HELSINKI] = System()  # type: ignore[assignment]
    fi.engine.complete._offer = lambda: offered.append("offered")
    accepted, (chunk,) = await _recorded(world, b"synthetic")
    assert await fi.engine.deliver() == 0
    await fi.engine.take_chunk(chunk)
    await fi.engine.complete()
    assert await _receipts(fi, accepted) == (["delivered"] if served else ["delivered", "handed-over"])
    assert offered == ["offered"]
    assert await fi.engine.deliver() == int(served)
    assert (await _receipts(fi, accepted), len(taken)) == (["delivered", "handed-over"], int(served))
