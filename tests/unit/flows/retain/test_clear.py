# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What lies outside of the database is removed until whoever holds it has confirmed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker.adapter_api import AdapterFailed, ErasedMessage
from broker.core.audit import Who
from broker.core.ids import ErasureId
from broker.core.retention import EraseReason
from broker.core.roles import AuditRole
from broker.rows import Accepted
from broker.testing.world import Country, World

from .conftest import BOARD


class NationalSystem:
    """Takes what it is given, and removes it unless it is told to fail."""

    manifest: Any = None

    def __init__(self) -> None:
        self.broken: Exception | None = None
        self.stuck: ErasedMessage | None = None  # never answered about
        self.gone: list[ErasedMessage] = []

    async def deliver(self, message: Any) -> None: ...

    async def erased(self, message: ErasedMessage) -> None:
        if self.broken is not None:
            raise self.broken
        if self.stuck is not None and self.stuck.id == message.id:
            await asyncio.Event().wait()
        self.gone.append(message)

    async def run(self, context: Any) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
async def erased(world: World, ended: Accepted, first: Who, second: Who) -> ErasureId:
    """An erasure of EE that two persons have decided."""
    proposed = await world["EE"].desk.erase.propose(ended.procedure, EraseReason.UNLAWFUL, first)
    return (await world["EE"].desk.erase.confirm(proposed.id, second)).id


async def _left(country: Country, erasure: ErasureId) -> int:
    return await country.store.read(lambda reader: reader.retention.duties_of(erasure))


async def test_an_adapter_removes_each_message(world: World, ended: Accepted, erased: ErasureId) -> None:
    """Those that came and those that it had put out; then the trail says that the copies are gone."""
    ee, system = world["EE"], NationalSystem()
    ee.adapters[BOARD] = system
    assert await _left(ee, erased) == 3
    assert await ee.engine.clear() == 3
    assert await ee.engine.clear() == 0
    assert sorted(one.received for one in system.gone) == [False, True, True]
    assert {(one.country, one.id) for one in system.gone if not one.received} == {("FI", ended.message)}
    assert await _left(ee, erased) == 0
    (row,) = (await ee.store.read(lambda reader: reader.audit(cursor=None, limit=1))).items
    assert (row.action, row.subject, row.role) == ("copies-erased", erased, AuditRole.NODE)


@pytest.mark.parametrize("trouble", [AdapterFailed("The folder is away."), RuntimeError("Test-Maarika")])
async def test_what_an_adapter_does_not_remove_is_asked_for_again(
    world: World, erased: ErasureId, trouble: Exception
) -> None:
    """A person is called, without what the adapter said; mended, it is done and the call closed."""
    ee, system = world["EE"], NationalSystem()
    ee.adapters[BOARD] = system
    system.broken = trouble
    for _ in range(8):
        await ee.engine.clear()
        world.clock.advance(3600)
    assert await ee.attention() == ["not-erased"]
    page = await ee.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert "Maarika" not in page.items[0].detail
    assert page.items[0].authority == BOARD
    assert await _left(ee, erased) == 3

    system.broken = None
    await ee.engine.clear()
    assert await _left(ee, erased) == 0
    assert await ee.attention() == []


async def test_without_an_adapter_nothing_is_left_to_remove(world: World, erased: ErasureId) -> None:
    """The officers' inbox is the database itself."""
    ee = world["EE"]
    await ee.engine.clear()
    assert await _left(ee, erased) == 0


async def test_copies_are_gone_when_the_last_one_is(
    world: World, ended: Accepted, erased: ErasureId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter that never answers about one message holds up no other, and nobody is told that all are removed."""
    monkeypatch.setattr("broker.flows.retain.clear.HAND_OVER_SECONDS", 0)
    ee, system = world["EE"], NationalSystem()
    ee.adapters[BOARD] = system
    system.stuck = ErasedMessage(received=False, country=world["FI"].us, id=ended.message)
    for _ in range(8):
        await ee.engine.clear()
        world.clock.advance(3600)
    assert (len(system.gone), await _left(ee, erased)) == (2, 1)
    page = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=50))
    assert "copies-erased" not in {row.action for row in page.items}
    calls = await ee.store.read(lambda reader: reader.open_calls(["not-erased"]))
    assert [(call.subject, call.detail) for call in calls] == [(erased, "The adapter did not answer in time.")]
