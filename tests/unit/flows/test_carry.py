# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Sending the chunks that follow a message: to whom, what fails with one of them, and who is called for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.delivery import CARRY_LEASE_SECONDS, RETRY_MAX_SECONDS
from broker.core.errors import PublishUnconfirmed, RecipientSuspended, StoreCorrupt, TrustListExpired, Unroutable
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party, SealedChunk
from broker.core.retention import EraseReason
from broker.core.trust import Member, MemberStatus
from broker.rows import Accepted
from broker.testing.world import Country, World, officer

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
BOARD = AuthorityId("social-insurance-board")
IN_SWEDEN = Party(country=SE, authority=AuthorityId("gender-equality-agency"))


async def _published(country: Country, **changes: Any) -> Accepted:
    """Submit a request with a file and publish it, but none of its chunks."""
    accepted = await country.submit("request.json", attachments=(await country.upload(),), **changes)
    await country.engine.dispatch()
    return accepted


def _chunks(world: World) -> list[str]:
    """Return to whom chunks left."""
    return [sealed.recipient for sealed in world.network.published if isinstance(sealed, SealedChunk)]


async def _calls(country: Country) -> list[tuple[str, str, str | None, str]]:
    page = await country.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    return [(call.code, call.subject, call.authority, call.detail) for call in page.items]


async def _let(world: World, change: Callable[[Member], Member], country: CountryCode = FI) -> None:
    world.set_trust(lambda member: change(member) if member.country == country else member)
    await world["EE"].trust.refresh()


def _expired(world: World) -> Callable[[Member], Member]:
    long_ago = world.clock.now() - timedelta(days=100)
    return lambda member: replace(member, expires=long_ago)


@pytest.mark.parametrize(
    ("whose", "change", "error"),
    [
        (FI, lambda world: lambda member: replace(member, status=MemberStatus.SUSPENDED), RecipientSuspended),
        (FI, _expired, TrustListExpired),
        (EE, _expired, TrustListExpired),
    ],
    ids=["suspended", "its entry ran out", "ours ran out"],
)
async def test_no_chunk_leaves_for_a_country_that_no_message_may_leave_for(
    world: World, whose: CountryCode, change: Any, error: Any
) -> None:
    """A file is withheld as its message would be: its office is called at once, and when that is over it leaves."""
    ee = world["EE"]
    accepted = await _published(ee)
    before = ee.trust.current().members[whose]
    await _let(world, change(world), whose)
    await ee.engine.carry()
    assert _chunks(world) == []
    assert await _calls(ee) == [("not-sent", f"EE/{accepted.message}", BOARD, error().detail)]

    await _let(world, lambda _: before, whose)
    world.clock.advance(RETRY_MAX_SECONDS)
    await ee.engine.carry()
    assert _chunks(world) == [FI]
    assert await _calls(ee) == []


async def test_no_chunk_leaves_for_a_country_that_is_a_member_no_more(world: World) -> None:
    """It left the federation after the message: nothing of the file follows, and its office is called at once."""
    ee = world["EE"]
    await _published(ee)
    trust = ee.trust.current()
    members = {name: member for name, member in trust.members.items() if name != FI}
    ee.trust.newest = replace(trust, version=trust.version + 1, members=members)
    await ee.trust.refresh()
    await ee.engine.carry()
    assert _chunks(world) == []
    assert [code for code, *_ in await _calls(ee)] == ["not-sent"]


async def test_a_fault_that_nobody_foresaw_in_one_file_holds_up_no_other(world: World) -> None:
    """It is tried on, with its office called after a few attempts; the fault's own text may hold a name, and is not kept."""
    ee = world["EE"]
    bad, good = await _published(ee), await _published(ee, recipient=IN_SWEDEN)
    ((blob, *_), *_) = await ee.store.run(
        lambda tx: [[row.blob for row in tx.attachments_of(EE, one.message)] for one in (bad, good)]
    )
    carry, get, broken = ee.engine.carry, ee.blobs.get, True

    async def fails(name: str, index: int) -> bytes:
        if broken and name == blob:
            raise ValueError("Test-Maarika")
        return await get(name, index)

    carry._blobs = type("Blobs", (), {"get": staticmethod(fails)})()
    for attempt in range(5):
        assert await _calls(ee) == []
        while await carry():
            pass
        world.clock.advance(RETRY_MAX_SECONDS)
        assert (attempt, _chunks(world)) == (attempt, [SE])
    detail = "Sending a chunk raised ValueError."
    assert await _calls(ee) == [("not-sent", f"EE/{bad.message}", BOARD, detail)]

    broken = False
    await carry()
    assert _chunks(world) == [SE, FI]
    assert await _calls(ee) == []


@pytest.mark.parametrize("apart", [False, True])
async def test_a_message_that_does_not_open_holds_up_the_files_of_no_other(world: World, apart: bool) -> None:
    """Nobody can say what its file is: it is tried on, the node's people are called, and every other file leaves."""
    ee = world["EE"]
    bad, good = await _published(ee), await _published(ee)
    path = ee.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as db, db:
        ((whole,),) = db.execute("SELECT header FROM outbox_content WHERE id = ?", (bad.message,))
        db.execute("UPDATE outbox_content SET header = x'00' WHERE id = ?", (bad.message,))
        db.execute("UPDATE attachment SET next_at = next_at - 1 WHERE message = ?", (bad.message,))
    if apart:
        ee.engine.carry._apart.failed(FI, PublishUnconfirmed(), 60)
    carry = ee.engine.carry.apart if apart else ee.engine.carry
    assert await carry() == 1
    assert _chunks(world) == [FI]
    row = await ee.store.read(lambda reader: reader.attachments_of(EE, good.message)[0])
    assert row.complete is not None
    for _ in range(9):
        world.clock.advance(RETRY_MAX_SECONDS)
        assert await ee.engine.carry() == 0
    assert await _calls(ee) == [("not-sent", f"EE/{bad.message}", None, StoreCorrupt().detail)]

    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE outbox_content SET header = ? WHERE id = ?", (whole, bad.message))
    world.clock.advance(RETRY_MAX_SECONDS)
    assert await ee.engine.carry() == 1
    assert await _calls(ee) == []


async def test_a_file_that_was_erased_while_it_was_sent_is_owed_no_more(world: World) -> None:
    """Whoever sends it finds nothing to note; nobody is called for a case that is gone."""
    ee = world["EE"]
    accepted = await _published(ee)
    carry = ee.engine.carry

    class Meanwhile:
        async def publish(self, chunk: Any, *, apart: bool = False) -> None:
            world.clock.advance(100 * 24 * 3600)  # nobody waits for the answer any more
            erasure = await ee.desk.erase.propose(accepted.procedure, EraseReason.COURT_ORDER, officer(BOARD, "first"))
            await ee.desk.erase.confirm(erasure.id, officer(BOARD, "second"))
            raise Unroutable

    carry._transport = Meanwhile()  # type: ignore[assignment]
    assert await carry() == 1
    assert await _calls(ee) == []
    world.clock.advance(RETRY_MAX_SECONDS)
    assert await carry() == 0


@pytest.mark.parametrize("apart", [False, True])
async def test_a_file_that_one_worker_sends_no_other_takes_until_it_must_have_died(world: World, apart: bool) -> None:
    """A hundred MiB are not sent by two at once; what a dead worker held is sent by another."""
    ee = world["EE"]
    await _published(ee)
    carry = ee.engine.carry
    if apart:
        carry._apart.failed(FI, PublishUnconfirmed(), 60)
    take, send = (carry._take_apart, carry.apart) if apart else (carry._take, carry)
    assert await ee.store.run(take) is not None
    world.clock.advance(CARRY_LEASE_SECONDS - 1)
    assert [await carry(), await carry.apart()] == [0, 0]
    world.clock.advance(1)
    assert (await send(), _chunks(world)) == (1, [FI])
