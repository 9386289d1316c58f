# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message that comes again: answered again, never decided again, also before its files are all here."""

from __future__ import annotations

import pytest

from broker.core.delivery import REANSWER_SECONDS
from broker.core.ids import AuthorityId, CountryCode, ProcedureId
from broker.core.messages import Delivery, OutboxEntry
from broker.security.chunks import is_chunk
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World

EE, FI = CountryCode("EE"), CountryCode("FI")
BOARD = AuthorityId("social-insurance-board")


async def test_a_message_that_comes_again_has_its_receipts_sent_again(world: World, asking: Hostile) -> None:
    """They may have been lost on their way: its sender would wait for ever. Within a minute of the last time they are not."""
    fi, entry = world["FI"], asking.message("request.json")
    assert await asking.send(entry) == "recorded"
    await fi.engine.dispatch()
    assert await asking.send(entry) == "repeat"
    assert await fi.engine.dispatch() == 0

    world.clock.advance(REANSWER_SECONDS + 1)
    again = asking.seal(entry)
    assert await fi.engine.receive(again) == "repeat"
    assert (await fi.counts())["receipts.waiting"] == 2
    assert await fi.engine.dispatch() == 1


async def test_each_time_that_a_message_comes_again_is_on_record(world: World, asking: Hostile) -> None:
    """Whoever looks into the trail sees how often and by whom; the same bytes once more are looked up and not opened."""
    entry = asking.message("request.json")
    await asking.send(entry)
    again = asking.seal(entry)
    assert [await world["FI"].engine.receive(again) for _ in range(2)] == ["repeat", "repeat"]
    assert await _repeated(world["FI"]) == [("EE", entry.id)]


async def _repeated(country: Country) -> list[tuple[str, str]]:
    rows = (await country.store.read(lambda reader: reader.audit(cursor=None, limit=20))).items
    return [(row.actor, row.subject) for row in rows if row.action == "repeated"]


# --- before its files are here --------------------------------------------------------------------------------------


@pytest.fixture
async def waiting(world: World) -> tuple[OutboxEntry, list[Delivery]]:
    """A request from Estonia that Finland has recorded, and the chunks of its file, which are still on their way."""
    ee = world["EE"]
    accepted = await ee.submit("request.json", attachments=(await ee.upload(),))
    await ee.step()
    message, *chunks = world.network.waiting[FI]
    world.network.waiting[FI].clear()
    assert await world["FI"].engine.receive(message) == "recorded"
    assert all(is_chunk(chunk.raw) for chunk in chunks)
    row = await ee.store.run(lambda tx: tx.outbox(accepted.message))
    assert row is not None
    return row.entry, chunks


async def test_a_message_whose_files_are_not_here_is_taken_once_and_answered_when_they_are(
    world: World, asking: Hostile, waiting: tuple[OutboxEntry, list[Delivery]]
) -> None:
    """Sealed anew meanwhile it is a repeat that promises nothing; with the last chunk it is delivered, once."""
    entry, chunks = waiting
    fi, before = world["FI"], await world["FI"].view(_procedure(entry))
    assert await asking.send(entry) == "repeat"
    assert await fi.view(_procedure(entry)) == before
    assert await fi.store.read(lambda reader: reader.receipts_about(EE, entry.id)) == ()
    assert await _repeated(fi) == [("EE", entry.id)]

    world.network.waiting[FI].extend(chunks)
    await world.settle()
    receipts = await fi.store.read(lambda reader: reader.receipts_about(EE, entry.id))
    assert [receipt.kind for receipt in receipts] == ["delivered", "handed-over"]
    assert await fi.attention() == await world["EE"].attention() == []


async def test_other_content_under_the_id_of_a_message_whose_files_are_not_here_is_an_attack(
    world: World, asking: Hostile, waiting: tuple[OutboxEntry, list[Delivery]]
) -> None:
    """Nothing was signed for the first content yet, and it stands all the same: security is called, nobody answered."""
    entry, _ = waiting
    fi, before = world["FI"], await world["FI"].view(_procedure(entry))
    other = asking.message("request.json", id=entry.id, purpose="Something else")
    assert await asking.send(other) == "id-reused"
    assert await fi.attention() == ["id-reused"]
    assert await fi.view(_procedure(entry)) == before
    assert await fi.store.read(lambda reader: reader.receipts_about(EE, entry.id)) == ()


def _procedure(entry: OutboxEntry) -> ProcedureId:
    assert entry.procedure is not None
    return entry.procedure
