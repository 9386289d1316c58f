# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Asking after a restore: whom, how often, and when a person ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import pytest

from broker.core.audit import Who
from broker.core.errors import NotFound
from broker.core.ids import CountryCode, MessageType
from broker.core.roles import AuditRole
from broker.core.trust import Member, MemberKind
from broker.rows import HeldDelivery
from broker.storage.healing import begin_healing
from broker.testing.store_rows import NOW, digest
from broker.testing.world import World

FI, SE = CountryCode("FI"), CountryCode("SE")
WHO = Who(actor="cli:test", role=AuditRole.OPERATOR)


async def restored(world: World) -> None:
    """Leave what a restore leaves in EE's store."""
    at = world.clock.now()
    await world["EE"].store.run(
        lambda tx: begin_healing(tx, since=NOW, restored=at, position=0, head=digest("0"))  # type: ignore[arg-type]
    )


async def asked(world: World) -> list[str]:
    """Return whom EE asked with what it has published."""
    world.network.published.clear()
    await world["EE"].engine.heal()
    await world["EE"].engine.dispatch()
    return sorted(sealed.recipient for sealed in world.network.published)


async def test_a_node_that_was_never_restored_asks_nobody(world: World) -> None:
    """And shows nobody."""
    assert await asked(world) == []
    assert await world["EE"].engine.heal.status() == ()


async def test_every_country_with_a_node_is_asked(world: World) -> None:
    """Not ourselves, and nobody who is written to on paper; again later, the same question, when nobody answers."""
    world.set_trust(lambda member: replace(member, kind=MemberKind.PAPER) if member.country == SE else member)
    await world["EE"].engine.refresh_trust()
    await restored(world)
    assert await asked(world) == ["FI"]
    (first,) = await world["EE"].engine.heal.status()
    assert await asked(world) == []  # not sooner
    world.clock.advance(61)
    assert await asked(world) == ["FI"]
    (second,) = await world["EE"].engine.heal.status()
    assert (first.row.question, second.row.attempts) == (second.row.question, 2)


async def test_a_country_whose_program_is_too_old_is_told_of_and_can_be_ended(world: World) -> None:
    """It cannot answer: a person telephones, ends the asking, and what waited leaves."""

    def older(member: Member) -> Member:
        known = {kind: versions for kind, versions in member.messages.items() if kind != MessageType("node.restored")}
        return replace(member, messages=MappingProxyType(known)) if member.country == FI else member

    world.set_trust(older)
    await world["EE"].engine.refresh_trust()
    sent = await world["EE"].submit("request.json")
    await restored(world)
    assert await asked(world) == ["SE"]
    await world.settle()
    assert await world["EE"].attention() == ["healing", "healing-incomplete"]
    assert await world["EE"].states(sent) == ["recorded"]

    await world["EE"].engine.heal.end(FI, WHO)
    await world.settle()
    assert await world["EE"].states(sent) == ["handed-over"]
    with pytest.raises(NotFound):
        await world["EE"].engine.heal.end(FI, WHO)


async def test_a_country_that_holds_nothing_since_is_done_with_at_once(world: World) -> None:
    """Its empty list ends the asking; sending goes on, and nobody is called but its security officer."""
    await restored(world)
    for _ in range(4):
        await world.settle()
        world.clock.advance(61)
    assert {one.row.ended is not None for one in await world["EE"].engine.heal.status()} == {True}
    assert await world["EE"].attention() == []
    assert await world["FI"].attention() == ["peer-restored"]


async def test_what_waited_for_our_own_messages_is_offered_once_they_are_back(world: World) -> None:
    """Not when its minute is over: the list has come, and names nothing of ours that is not here."""
    ee, now = world["EE"], world.clock.now()
    held = HeldDelivery(
        sha256=digest("1"), raw=b"x", code="not-healed", user=FI, received=now, next_at=now + timedelta(seconds=60)
    )

    async def due() -> int:
        return len(await ee.store.run(lambda tx: tx.due_parked(now=world.clock.now(), limit=9)))

    await restored(world)
    await ee.store.run(lambda tx: tx.park(held, max_items=9, max_bytes=99))
    await world.settle()
    before = await due()
    world.clock.advance(21)
    await ee.engine.heal()

    assert (before, await due()) == (0, 1)
