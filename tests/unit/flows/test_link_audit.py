# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Chaining the trail and signing its head."""

from __future__ import annotations

from broker.core.audit import AuditRow, Entry
from broker.core.checkpoints import CHECKPOINT_SECONDS, KeptCheckpoint
from broker.core.ids import CountryCode
from broker.core.trail import Anchor, TrailCheck
from broker.security.checkpoints import read_checkpoint
from broker.testing.world import Country, World

EE = CountryCode("EE")


async def write(country: Country, *subjects: str) -> None:
    """Add rows to the trail."""
    for subject in subjects:
        row = AuditRow(at=country.clock.now(), actor="officer-7", action="read", subject=subject)
        await country.store.run(lambda tx, row=row: tx.audit(row))  # type: ignore[misc]


async def checkpoints(country: Country) -> tuple[KeptCheckpoint, ...]:
    """Return what the country signed, by place."""
    return await country.store.read(lambda reader: reader.checkpoints(-1, 100))


async def test_rows_are_linked_in_order_and_their_head_is_signed(world: World) -> None:
    """Each row has its place, the chain holds, and the checkpoint is the country's own over its end."""
    ee = world["EE"]
    await write(ee, "a", "b", "c")
    assert await ee.engine.link_audit() == 3
    (kept,) = await checkpoints(ee)
    check = TrailCheck([Anchor(head=kept.head, held_by=EE)])
    check.take_all(await ee.store.read(lambda reader: reader.audit_trail(0, 100)))
    check.finish()
    assert (check.findings, check.proven) == ([], 3)
    checkpoint = read_checkpoint(kept.raw, ee.trust.current().members[EE])
    assert (checkpoint.head.position, checkpoint.at, checkpoint.trust_version) == (3, world.clock.now(), 1)


async def test_an_idle_trail_is_left_alone(world: World) -> None:
    """Without a new row nothing is linked and nothing is signed, however much time goes by."""
    ee = world["EE"]
    assert await ee.engine.link_audit() == 0
    assert await checkpoints(ee) == ()
    await write(ee, "a")
    await ee.engine.link_audit()
    before = await checkpoints(ee)
    world.clock.advance(3600)
    assert await ee.engine.link_audit() == 0
    assert await checkpoints(ee) == before


async def test_the_head_is_signed_once_a_minute_of_activity(world: World) -> None:
    """New rows are linked at once; their head waits for its minute. In the same hour it takes the former one's place."""
    ee = world["EE"]
    for second in range(int(CHECKPOINT_SECONDS) * 2):
        await write(ee, str(second))
        await ee.engine.link_audit()
        world.clock.advance(1)
    assert [kept.head.position for kept in await checkpoints(ee)] == [int(CHECKPOINT_SECONDS) + 1]
    world.clock.advance(3600)
    await write(ee, "an hour later")
    await ee.engine.link_audit()
    assert [kept.head.position for kept in await checkpoints(ee)] == [int(CHECKPOINT_SECONDS) + 1, 111]


async def test_a_clock_that_is_set_back_makes_no_earlier_checkpoint(world: World) -> None:
    """The times of checkpoints never go back, so that no other country takes it for a rewritten trail."""
    ee = world["EE"]
    await write(ee, "a")
    await ee.engine.link_audit()
    first = (await checkpoints(ee))[-1]
    world.clock.set_back(1800)
    world.clock.advance(CHECKPOINT_SECONDS)
    await write(ee, "b")
    await ee.engine.link_audit()
    last = (await checkpoints(ee))[-1]
    assert (last.head.position, last.at) == (2, first.at)


async def test_two_workers_make_one_chain(world: World) -> None:
    """While one worker holds the lease the other links nothing; after it is over the other goes on from the same end."""
    ee, colleague = world["EE"], world.colleague("EE")
    await write(ee, "a")
    assert await ee.engine.link_audit() == 1
    await write(ee, "b")
    assert await colleague.engine.link_audit() == 0
    world.clock.advance(60)
    assert await colleague.engine.link_audit() == 1
    trail = await ee.store.read(lambda reader: reader.audit_trail(0, 10))
    assert [item.position for item in trail] == [1, 2]
    check = TrailCheck()
    check.take_all(trail)
    assert check.findings == []
    await colleague.store.close()


async def test_a_trail_that_was_rewritten_calls_a_person(world: World) -> None:
    """Before it signs again the node compares with what it signed last; the old head is kept as the proof."""
    ee = world["EE"]
    await write(ee, "a")
    await ee.engine.link_audit()
    (linked,) = await ee.store.read(lambda reader: reader.audit_trail(0, 10))
    row = AuditRow(at=world.clock.now(), actor="x", action="read", subject="x")
    await ee.store.run(lambda tx: tx.link_audit([Entry(id=1, row=row)], [linked._replace(chain="f" * 64)]))
    world.clock.advance(60)
    await write(ee, "b")
    await ee.engine.link_audit()
    assert await ee.attention() == ["audit-broken"]
    assert [kept.head.position for kept in await checkpoints(ee)] == [1, 2]


async def test_settling_links_and_signs_what_is_there(world: World) -> None:
    """Whoever gives the trail out gets a signed head over everything, although the minute is not over."""
    ee = world["EE"]
    await write(ee, "a")
    await ee.engine.link_audit()
    await write(ee, "b")
    kept = await ee.engine.link_audit.settle()
    assert kept.head.position == 2
    assert await ee.engine.link_audit.settle() == kept
