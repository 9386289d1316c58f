# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Asking after a restore: whom, how often, and when a person ends it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import pytest

from broker.core.audit import Who
from broker.core.errors import NotFound
from broker.core.healing import Missed, MissedState
from broker.core.ids import CountryCode, MessageType, ProcedureId
from broker.core.roles import AuditRole
from broker.core.trust import Member, MemberKind
from broker.ports import Transaction
from broker.rows import HeldDelivery
from broker.storage.healing import begin_healing
from broker.testing.store_rows import EE, NOW, digest, message_id
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


async def test_a_country_that_can_answer_by_now_is_asked_and_what_it_lacks_is_told(world: World) -> None:
    """The call to telephone it ends; it would keep the operator from hearing that a message is lost."""
    ee, whole = world["EE"], world["FI"].trust.current().members[FI].messages
    world.set_trust(lambda member: replace(member, messages=MappingProxyType({})) if member.country == FI else member)
    await ee.engine.refresh_trust()
    await restored(world)
    assert await asked(world) == ["SE"]
    assert await _told(world) == ["healing-incomplete"]

    world.set_trust(lambda member: replace(member, messages=whole) if member.country == FI else member)
    world.clock.advance(61)
    await ee.engine.refresh_trust()
    assert "FI" in await asked(world)
    assert await _told(world) == ["healing"]

    gone = replace(_missed(EE, 1), state=MissedState.LOST, code="not-held")
    await ee.store.run(lambda tx: tx.healing.note_missed(gone))
    for _ in range(4):
        await world.settle()
        world.clock.advance(61)
    assert await _told(world) == ["healing-incomplete"]
    (call,) = await ee.store.read(lambda reader: reader.open_calls(["healing-incomplete"]))
    assert call.detail == "1 messages: trm healing show."


def _missed(author: CountryCode, number: int) -> Missed:
    """A message that FI's list names, and that is not here."""
    return Missed(
        peer=FI, author=author, message=message_id(number), digest=digest(str(number)),
        procedure=ProcedureId(message_id(9)), opener=EE, act="request",
    )  # fmt: skip


async def _question(world: World) -> tuple[list[str], int]:
    """Let EE's next question to FI be put; return what it wants, and how much of what waited is offered again now."""
    ee, now = world["EE"], world.clock.now()

    def due(tx: Transaction) -> None:
        row = tx.healing.lock(FI)
        assert row is not None
        tx.healing.save(replace(row, listed=True, question=None, next_at=now))

    await ee.store.run(due)
    await ee.engine.heal()
    (status,) = [one for one in await ee.engine.heal.status() if one.row.peer == FI]
    question = status.row.question
    assert question is not None
    asked = await ee.store.run(lambda tx: tx.outbox(question))
    assert asked is not None
    offered = await ee.store.run(lambda tx: tx.due_parked(now=now, limit=9))
    return json.loads(asked.entry.content)["body"]["wanted"], len(offered)


async def test_our_own_messages_are_asked_for_before_what_was_written_in_answer_to_them(world: World) -> None:
    """The answer would wait for them, and be offered in vain meanwhile; when they are back it is offered at once."""
    ee, now = world["EE"], world.clock.now()
    theirs, ours = _missed(FI, 1), _missed(EE, 2)
    waits = HeldDelivery(
        sha256=digest("3"), raw=b"x", code="not-healed", user=FI, received=now, next_at=now + timedelta(minutes=10)
    )
    await restored(world)
    await ee.engine.heal()
    await ee.store.run(lambda tx: [tx.healing.note_missed(item) for item in (theirs, ours)])
    await ee.store.run(lambda tx: tx.park(waits, max_items=9, max_bytes=99))
    assert await _question(world) == ([ours.digest], 0)
    await ee.store.run(lambda tx: tx.healing.save_missed(replace(ours, state=MissedState.FOUND)))
    assert await _question(world) == ([theirs.digest], 1)


async def test_what_a_country_never_gave_back_is_named_as_given_up(world: World) -> None:
    """By whom the asking was ended stands in the trail, and nobody is called to wait for it any more."""
    ee = world["EE"]
    await restored(world)
    await ee.engine.heal()
    await ee.store.run(lambda tx: tx.healing.note_missed(_missed(EE, 1)))
    assert await _told(world) == ["healing"]
    await ee.engine.heal.end(FI, WHO)
    assert await _told(world) == []
    (status,) = [one for one in await ee.engine.heal.status() if one.row.peer == FI]
    assert ([(one.message, one.code) for one in status.lost], status.wanted) == ([(message_id(1), "given-up")], ())
    trail = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=1))
    assert [(row.action, row.actor, row.peer) for row in trail.items] == [("healing-ended", "cli:test", FI)]


async def _told(world: World) -> list[str]:
    """Return what EE's operator is called for about FI."""
    page = await world["EE"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    return [entry.code for entry in page.items if entry.peer == FI]


async def test_a_country_that_holds_nothing_since_is_done_with_at_once(world: World) -> None:
    """Its empty list ends the asking; sending goes on, and nobody is called but its security officer."""
    await restored(world)
    for _ in range(4):
        await world.settle()
        world.clock.advance(61)
    assert {one.row.ended is not None for one in await world["EE"].engine.heal.status()} == {True}
    assert await world["EE"].attention() == []
    assert await world["FI"].attention() == ["peer-restored"]
    trail = await world["EE"].store.read(lambda reader: reader.audit(cursor=None, limit=99))
    assert {(row.peer, row.detail) for row in trail.items if row.action == "healed"} == {(FI, "lost-0"), (SE, "lost-0")}


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
