# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A held message leaves by a second person, for a reason, with a trace; or it does not leave."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from broker.core.audit import Who
from broker.core.delivery import HOLD_DAYS, RejectReason, ReleaseReason
from broker.core.errors import (
    AlreadySettled,
    Forbidden,
    IdempotencyConflict,
    NewerMessages,
    NotFound,
    RecipientSuspended,
    SafeguardBlocked,
    SafeguardHeld,
    StoreCorrupt,
)
from broker.core.ids import AuthorityId, MessageId
from broker.core.trust import MemberStatus
from broker.rows import Accepted, DraftState, HeldDraft
from broker.schema_files import read_schema_file
from broker.testing.world import Country, World, officer

BOARD = AuthorityId("social-insurance-board")
Decide = Callable[..., Awaitable[Any]]


def _unwilling() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
    data["body"]["child_wish"]["heard"]["wants_tracing"] = "NO"
    return data


async def _held(country: Country, key: str = "k") -> HeldDraft:
    with pytest.raises(SafeguardHeld) as caught:
        await country.submit(_unwilling(), idempotency_key=key)
    page = await country.store.read(lambda reader: reader.drafts(BOARD, cursor=None, limit=9))
    row: HeldDraft = page.items[-1]
    assert row.id in caught.value.detail
    return row


async def _release(country: Country, message: MessageId, *, actor: str = "second") -> Accepted:
    return await country.desk.approve.release(message, officer(BOARD, actor), ReleaseReason.CHECKED)


async def _reject(country: Country, message: MessageId, *, actor: str = "second") -> None:
    await country.desk.approve.reject(message, officer(BOARD, actor), RejectReason.NOT_SAFE)


async def _now(country: Country, message: MessageId) -> HeldDraft:
    row = await country.store.read(lambda reader: reader.draft(message, None))
    assert row is not None
    return row


async def test_a_held_message_waits_and_leaves_by_a_second_person(world: World) -> None:
    """It keeps its id, reaches the other country, and who let it leave stands in the trail; its content waits no more."""
    ee = world["EE"]
    held = await _held(ee)
    assert [(reason.rule, reason.where) for reason in held.reasons] == [("R-05", "/child_wish/heard/wants_tracing")]
    assert await ee.attention() == ["held"]
    assert (await ee.counts())["outbox.recorded"] == 0

    accepted = await _release(ee, held.id)
    await world.settle()
    assert accepted.message == held.id
    assert [line.message for line in (await world["FI"].view(accepted.procedure)).entries] == [held.id]
    assert await ee.attention() == []
    row = await _now(ee, held.id)
    assert (row.state, row.decided_by, row.decision, row.content) == (DraftState.RELEASED, "second", "checked", None)
    trail = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=50))
    traced = {(one.action, one.actor, one.reason) for one in trail.items if one.subject == held.id}
    assert {("held", "test", ""), ("released", "second", "checked"), ("submitted", "test", "B2B_80_1_B")} <= traced


async def test_its_author_does_not_release_it(world: World) -> None:
    """Nor does another office see it; it waits on."""
    ee = world["EE"]
    held = await _held(ee)
    with pytest.raises(Forbidden):
        await _release(ee, held.id, actor="test")
    with pytest.raises(NotFound):
        await ee.desk.approve.release(held.id, officer("ministry-of-justice", "second"), ReleaseReason.CHECKED)
    assert (await _now(ee, held.id)).state is DraftState.HELD


async def test_the_same_key_keeps_its_answer(world: World) -> None:
    """Held while it waits, accepted once it left, told that it was rejected; another body is a conflict."""
    ee = world["EE"]
    held = await _held(ee)
    assert (await _held(ee)).id == held.id
    with pytest.raises(IdempotencyConflict):
        await ee.submit("request.json", idempotency_key="k")
    await _release(ee, held.id)
    again = await ee.submit(_unwilling(), idempotency_key="k")
    assert (again.message, again.repeated) == (held.id, True)

    other = await _held(ee, "l")
    await _reject(ee, other.id, actor="test")  # its author may take it back
    with pytest.raises(SafeguardHeld, match="rejected"):
        await ee.submit(_unwilling(), idempotency_key="l")
    assert (await _now(ee, other.id)).content is None


async def test_a_decision_is_made_once(world: World) -> None:
    """What was released or rejected is not decided again, and leaves once."""
    ee = world["EE"]
    held = await _held(ee)
    await _release(ee, held.id)
    with pytest.raises(AlreadySettled):
        await _release(ee, held.id, actor="third")
    with pytest.raises(AlreadySettled):
        await _reject(ee, held.id)
    rejected = await _held(ee, "l")
    await _reject(ee, rejected.id)
    trail = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=9))
    traced = {(one.action, one.actor, one.authority, one.reason) for one in trail.items if one.subject == rejected.id}
    assert ("rejected", "second", BOARD, "not-safe") in traced
    with pytest.raises(AlreadySettled):
        await _release(ee, rejected.id)
    await world.settle()
    assert len(world["FI"].outcomes) == 1


async def test_everything_is_checked_again_when_it_is_released(world: World) -> None:
    """A country that was suspended meanwhile is sent nothing; the message waits on, and leaves when that is over."""
    ee = world["EE"]
    held = await _held(ee)
    for status, error in ((MemberStatus.SUSPENDED, RecipientSuspended), (MemberStatus.ACTIVE, None)):
        world.set_trust(lambda member, to=status: replace(member, status=to) if member.country == "FI" else member)
        await ee.trust.refresh()
        if error is not None:
            with pytest.raises(error):
                await _release(ee, held.id)
            assert (await _now(ee, held.id)).state is DraftState.HELD
    await _release(ee, held.id)


def _corrected(request: Accepted, *fields: tuple[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file("examples/acts/correction-birth-year.json"))
    data["body"]["target"] = request.digest
    data["body"]["fields"] = [{"pointer": pointer, "now": {"value": value}} for pointer, value in fields]
    return data


async def test_only_the_reasons_that_were_seen_are_released(world: World) -> None:
    """What came in meanwhile makes it a block, which nobody releases; or another hold, which somebody must see first."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    cases = (
        (("/protection_claim/status", "PENDING"), SafeguardBlocked),
        (("/child_wish/heard/wants_tracing", "NO"), None),
    )
    for number, (change, error) in enumerate(cases):
        held_body = _corrected(request, ("/child", "Test-Mari"), *((("/child/nationalities", "FI"),) if error else ()))
        with pytest.raises(SafeguardHeld):
            await ee.submit(held_body, procedure=request.procedure, idempotency_key=f"c{number}")
        page = await ee.store.read(lambda reader: reader.drafts(BOARD, cursor=None, limit=9))
        waiting = page.items[0]
        if error is not None:
            await ee.submit(_corrected(request, change), procedure=request.procedure)
            with pytest.raises(error):
                await _release(ee, waiting.id)
            assert (await _now(ee, waiting.id)).state is DraftState.HELD
            await _reject(ee, waiting.id)
            with pytest.raises(SafeguardHeld, match="A claim to protection was recorded"):
                await ee.submit(_corrected(request, ("/protection_claim/status", "NONE")), procedure=request.procedure)
            page = await ee.store.read(lambda reader: reader.drafts(BOARD, cursor=None, limit=1))
            await _release(ee, page.items[0].id)
        else:
            await _release(ee, waiting.id)


async def _waiting_correction(country: Country, request: Accepted, key: str) -> HeldDraft:
    held = _corrected(request, ("/child", "Test-Mari"))
    with pytest.raises(SafeguardHeld):
        await country.submit(held, procedure=request.procedure, idempotency_key=key)
    page = await country.store.read(lambda reader: reader.drafts(BOARD, cursor=None, limit=9))
    row: HeldDraft = page.items[-1]
    return row


async def test_an_older_word_is_said_over_a_newer_one_by_whoever_has_seen_that_one(world: World) -> None:
    """The refusal names what left since; with that named it leaves. One more that came in between is refused anew."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    held = await _waiting_correction(ee, request, "old")
    birth = ("/child/birth/value/date", "2015-01-01")
    newer = [await ee.submit(_corrected(request, birth), procedure=request.procedure)]
    for _ in range(2):
        with pytest.raises(NewerMessages, match=newer[-1].message) as caught:
            await _approve(ee, held, *newer[:-1])
        assert caught.value.where == "/seen"
        assert all((one.message in caught.value.detail) == (one is newer[-1]) for one in newer)
        assert (await _now(ee, held.id)).state is DraftState.HELD
        newer.append(await ee.submit(_corrected(request, birth), procedure=request.procedure))
    accepted = await _approve(ee, held, *newer)
    await world.settle()
    assert (await world["FI"].view(request.procedure)).entries[-1].message == accepted.message == held.id


async def _approve(country: Country, held: HeldDraft, *seen: Accepted) -> Accepted:
    second, known = officer(BOARD, "second"), [one.message for one in seen]
    return await country.desk.approve.release(held.id, second, ReleaseReason.CHECKED, known)


async def test_what_nobody_may_release_needs_no_look_at_newer_messages(world: World) -> None:
    """Of what a newer message makes a block that is said at once, and not only to whoever names it."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    held = _corrected(request, ("/child", "Test-Mari"), ("/child/nationalities", "FI"))
    with pytest.raises(SafeguardHeld):
        await ee.submit(held, procedure=request.procedure, idempotency_key="held")
    page = await ee.store.read(lambda reader: reader.drafts(BOARD, cursor=None, limit=9))
    await ee.submit(_corrected(request, ("/protection_claim/status", "PENDING")), procedure=request.procedure)
    with pytest.raises(SafeguardBlocked):
        await _approve(ee, page.items[0])


async def test_nobody_decided_in_time(world: World) -> None:
    """After seven days it is not sent any more, its office is called, and its content is gone."""
    ee = world["EE"]
    held = await _held(ee)
    world.clock.advance(HOLD_DAYS * 86400 - 1)
    await ee.engine.watch()
    assert await ee.attention() == ["held"]
    world.clock.advance(1)
    await ee.engine.watch()
    (call,) = (await ee.store.read(lambda reader: reader.attention(BOARD, open_only=True, cursor=None, limit=9))).items
    assert (call.code, call.peer) == ("hold-expired", "FI")
    trail = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=9))
    assert ("hold-expired", "node", BOARD, "FI") in {
        (one.action, one.actor, one.authority, one.peer) for one in trail.items if one.subject == held.id
    }
    row = await _now(ee, held.id)
    assert (row.state, row.content, row.decided_by) == (DraftState.EXPIRED, None, "node")
    with pytest.raises(AlreadySettled):
        await _release(ee, held.id)
    with pytest.raises(SafeguardHeld, match="another key"):
        await ee.submit(_unwilling(), idempotency_key="k")


async def test_what_is_blocked_never_waits_for_anybody(world: World) -> None:
    """A block is refused as before, and nothing of it is stored."""
    data = _unwilling()
    data["body"]["danger_assessment"]["would_endanger"] = "YES"
    with pytest.raises(SafeguardBlocked):
        await world["EE"].submit(data)
    page = await world["EE"].store.read(lambda reader: reader.drafts(None, cursor=None, limit=9))
    assert page.items == ()
    assert await world["EE"].attention() == []


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [(_reject, _release, 0), (_release, _reject, 1), (_release, _release, 1)],
    ids=["released after a rejection", "rejected after a release", "released twice"],
)
async def test_of_two_who_decide_at_once_the_first_decides(
    world: World, monkeypatch: pytest.MonkeyPatch, first: Decide, second: Decide, left: int
) -> None:
    """Both saw it wait: the second is told so, nothing leaves that was rejected, and nothing leaves twice."""
    ee = world["EE"]
    held = await _held(ee)
    waiting, overtaken = ee.desk.approve._waiting, iter([True])

    async def slow(message: MessageId, who: Who, **how: Any) -> HeldDraft:
        seen = await waiting(message, who, **how)
        if next(overtaken, False):
            await first(ee, message)
        return seen

    monkeypatch.setattr(ee.desk.approve, "_waiting", slow)
    with pytest.raises(AlreadySettled):
        await second(ee, held.id, actor="third")
    assert (await _now(ee, held.id)).decided_by == "second"
    await world.settle()
    assert len(world["FI"].outcomes) == left
    assert await ee.attention() == []


async def test_a_held_message_that_does_not_open_is_listed_and_can_be_rejected(world: World) -> None:
    """It hides no other that waits, and calls its office no longer than until somebody decides; it is not released."""
    ee = world["EE"]
    damaged, other = await _held(ee), await _held(ee, "another")
    with closing(sqlite3.connect(ee.url.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE draft_content SET content = zeroblob(200) WHERE id = ?", (damaged.id,))

    page = await ee.store.read(lambda reader: reader.drafts(BOARD, cursor=None, limit=9))
    assert [(row.id, row.content) for row in page.items] == [(damaged.id, None), (other.id, None)]
    with pytest.raises(StoreCorrupt):
        await _release(ee, damaged.id)
    await _reject(ee, damaged.id)
    assert await ee.attention() == ["held"]
    assert await _release(ee, other.id)
