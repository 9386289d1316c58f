# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Telling people outside the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from broker.core.attention import AttentionCode
from broker.flows.announce import Announce
from broker.rows import Attention
from broker.testing.kept import SilentNotifier
from broker.testing.world import Country, World

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def _entry(code: AttentionCode, number: int = 0) -> Attention:
    return Attention(code=code, subject=f"s{number}", who=code.who, at=AT, id=number)


async def _raise(country: Country, code: AttentionCode) -> None:
    await country.store.run(lambda tx: tx.raise_attention(_entry(code)))


async def test_each_entry_is_told_once(world: World) -> None:
    """What was open before the start is no news; a new entry is told at the next look, and never again."""
    ee, notifier = world["EE"], SilentNotifier()
    announce = Announce(store=ee.store, notifier=notifier)
    await _raise(ee, AttentionCode.GAP)
    assert await announce() == 0
    await _raise(ee, AttentionCode.ALARM)
    assert await announce() == 1
    assert await announce() == 0
    assert [told.code for told in notifier.told] == ["alarm"]


async def test_an_entry_that_opens_again_is_told_again(world: World) -> None:
    """A call that was closed and is raised anew is news; one that was closed before the look is none."""
    ee, notifier = world["EE"], SilentNotifier()
    announce = Announce(store=ee.store, notifier=notifier)
    await announce()
    for _ in range(2):
        await _raise(ee, AttentionCode.ALARM)
        await announce()
        await ee.store.run(lambda tx: tx.resolve_attention(AttentionCode.ALARM, "s0", at=AT, by="x"))
    await _raise(ee, AttentionCode.GAP)
    await ee.store.run(lambda tx: tx.resolve_attention(AttentionCode.GAP, "s0", at=AT, by="x"))
    await announce()
    assert [told.code for told in notifier.told] == ["alarm", "alarm"]


async def test_an_entry_that_is_committed_late_is_told(world: World) -> None:
    """A transaction that took its number earlier and ended later is not overlooked."""
    announce = Announce(store=world["EE"].store, notifier=SilentNotifier())
    assert announce._new((_entry(AttentionCode.GAP, 1),)) == []
    third, second = _entry(AttentionCode.ALARM, 3), _entry(AttentionCode.REFUSED, 2)
    assert announce._new((third,)) == [third]
    assert announce._new((third, second)) == [second]
    assert announce._new((third, second)) == []


async def test_old_entries_are_no_news(world: World) -> None:
    """However many are open at the start, and also where newer ones are closed since."""
    ee, notifier = world["EE"], SilentNotifier()
    announce = Announce(store=ee.store, notifier=notifier)
    code = AttentionCode.GAP
    await ee.store.run(lambda tx: [tx.raise_attention(_entry(code, number)) for number in range(1500)])
    assert await announce() == 0
    await ee.store.run(
        lambda tx: [tx.resolve_attention(code, f"s{number}", at=AT, by="x") for number in range(400, 1500)]
    )
    assert await announce() == 0
    await _raise(ee, AttentionCode.ALARM)
    assert await announce() == 1


async def test_each_of_thousands_that_open_at_once_is_told(world: World) -> None:
    """A country falls silent, or nobody came to the office for days: the one call that matters is among the others."""
    ee, notifier = world["EE"], SilentNotifier()
    announce = Announce(store=ee.store, notifier=notifier)
    await announce()
    code, count = AttentionCode.OVERDUE_DELIVERED, 4500
    await ee.store.run(lambda tx: [tx.raise_attention(_entry(code, number)) for number in range(count)])
    while await announce():
        pass
    assert [told.subject for told in notifier.told] == [f"s{number}" for number in range(count)]


async def test_calls_by_a_clock_that_was_ahead_hide_none_that_is_made_since(world: World) -> None:
    """As many as a look shows were made hours too early; once the clock is right, the next call is told all the same."""
    ee, notifier = world["EE"], SilentNotifier()
    announce = Announce(store=ee.store, notifier=notifier)
    code, now = AttentionCode.DEADLINE_OVERDUE, ee.clock.now()
    early = [replace(_entry(code, number), at=now + timedelta(hours=6)) for number in range(200)]
    await ee.store.run(lambda tx: [tx.raise_attention(entry) for entry in early])
    await announce()
    await ee.engine.watch()
    await ee.store.run(
        lambda tx: tx.raise_attention(replace(_entry(AttentionCode.ALARM), at=now + timedelta(seconds=1)))
    )
    assert await announce() == 1
    assert [told.code for told in notifier.told] == ["alarm"]
