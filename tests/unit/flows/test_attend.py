# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""People look after what calls for attention."""

from __future__ import annotations

import pytest

from broker.core.attention import AttentionCode
from broker.core.errors import NotFound
from broker.core.ids import AuthorityId
from broker.rows import Attention
from broker.testing.world import Country, World, officer

OURS, OTHER = AuthorityId("social-insurance-board"), AuthorityId("ministry-of-justice")


async def _raise(country: Country, code: AttentionCode, authority: AuthorityId | None) -> Attention:
    entry = Attention(code=code, subject="s", who=code.who, at=country.clock.now(), authority=authority)
    await country.store.run(lambda tx: tx.raise_attention(entry))
    page = await country.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    return next(item for item in page.items if item.code == code)


async def test_a_closed_entry_names_who_closed_it(world: World) -> None:
    """The entry and the audit trail say by whom and when; other entries stay open."""
    ee = world["EE"]
    first, second = await _raise(ee, AttentionCode.ALARM, OURS), await _raise(ee, AttentionCode.GAP, OURS)
    world.clock.advance(60)
    await ee.desk.attend.resolve(first.id, officer(OURS, "officer-7"))

    assert await ee.attention() == [second.code]
    closed = await ee.store.read(lambda reader: reader.attention_entry(first.id, OURS))
    assert closed is not None
    assert (closed.resolved, closed.resolved_by) == (world.clock.now(), "officer-7")
    trail = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=9))
    assert [(row.actor, row.action, row.detail) for row in trail.items] == [
        ("officer-7", "attention-resolved", "alarm")
    ]


async def test_nobody_closes_another_offices_entry(world: World) -> None:
    """For another office the entry does not exist, and it stays open."""
    entry = await _raise(world["EE"], AttentionCode.ALARM, OURS)
    with pytest.raises(NotFound):
        await world["EE"].desk.attend.resolve(entry.id, officer(OTHER, "x"))
    assert await world["EE"].attention() == ["alarm"]


async def test_an_entry_is_closed_once(world: World) -> None:
    """The second one to close it is told that it is not open, and the first one's name stays."""
    ee = world["EE"]
    entry = await _raise(ee, AttentionCode.ALARM, OURS)
    await ee.desk.attend.resolve(entry.id, officer(OURS, "one"))
    with pytest.raises(NotFound):
        await ee.desk.attend.resolve(entry.id, officer(OURS, "two"))
    closed = await ee.store.read(lambda reader: reader.attention_entry(entry.id, OURS))
    assert closed is not None
    assert closed.resolved_by == "one"
