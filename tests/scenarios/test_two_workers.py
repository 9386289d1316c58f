# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Two workers of one country over one store: by leases and unique keys each thing is done once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.core.audit import GENESIS
from broker.core.ids import AuthorityId, CountryCode
from broker.core.trail import TrailCheck
from broker.testing.world import Country, World

FI = CountryCode("FI")
HELSINKI = AuthorityId("helsinki-wellbeing-services")
MANY = 36  # more than one batch

Pair = Callable[[str], AbstractAsyncContextManager[tuple[World, Country]]]


class System:
    """A national system that counts what it was given, and lets others run meanwhile."""

    manifest: Any = None

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    async def deliver(self, message: Any) -> None:
        await asyncio.sleep(0)
        self.taken[message.id] += 1

    async def erased(self, message: Any) -> None: ...

    async def run(self, context: Any) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    """Give a world in which one country has a second worker over the same store."""
    urls: Callable[[str], dict[str, str]] = lambda _: {}  # noqa: E731 - SQLite files of the world's own
    if request.param == "postgresql":
        address = request.getfixturevalue("postgres_store_url")
        urls = lambda name: {name: address}  # noqa: E731

    @asynccontextmanager
    async def made(name: str) -> Any:
        async with World.create(tmp_path, ("EE", "FI"), urls=urls(name)) as world:
            colleague = world.colleague(name)
            try:
                yield world, colleague
            finally:
                await colleague.store.close()

    return made


async def _arrived(world: World) -> list[str]:
    sent = [(await world["EE"].submit("request.json")).message for _ in range(MANY)]
    while await world["EE"].engine.dispatch():
        pass
    return sent


async def test_each_message_is_published_once(pair: Pair) -> None:
    """Two dispatchers at once leave no message unsent and send none twice."""
    async with pair("EE") as (world, colleague):
        sent = [(await world["EE"].submit("request.json")).message for _ in range(MANY)]
        while sum(await asyncio.gather(world["EE"].engine.dispatch(), colleague.engine.dispatch())):
            pass
        assert sorted(envelope.id for envelope in world.network.published) == sorted(sent)
        assert (await world["EE"].counts())["outbox.published"] == MANY
        await world.settle()
        assert (await world["FI"].counts())["inbox.handed-over"] == MANY


async def test_each_message_is_handed_over_once(pair: Pair) -> None:
    """Two deliverers at once offer each message to the national system once, and the sender hears of each."""
    async with pair("FI") as (world, colleague):
        system = System()
        world["FI"].adapters[HELSINKI] = system
        sent = await _arrived(world)
        for delivery in world.network.waiting[FI]:
            await world["FI"].engine.receive(delivery)
        world.network.waiting[FI].clear()
        while sum(await asyncio.gather(world["FI"].engine.deliver(), colleague.engine.deliver())):
            pass
        assert system.taken == Counter(sent)
        while sum(await asyncio.gather(world["FI"].engine.dispatch(), colleague.engine.dispatch())):
            pass
        await world.settle()
        assert (await world["EE"].counts())["outbox.handed-over"] == MANY


async def test_the_same_bytes_at_both_are_one_message(pair: Pair) -> None:
    """A delivery that both get at the same moment is recorded by one and answered again by the other."""
    async with pair("FI") as (world, colleague):
        await _arrived(world)
        deliveries = world.network.waiting[FI]
        workers = (world["FI"], colleague)
        outcomes = await asyncio.gather(*(one.engine.receive(item) for item in deliveries for one in workers))
        deliveries.clear()
        assert Counter(outcomes) == {"recorded": MANY, "repeat": MANY}
        await world.settle()
        assert (await world["FI"].counts())["inbox.handed-over"] == MANY
        assert (await world["EE"].counts())["outbox.handed-over"] == MANY


async def test_two_linkers_make_one_chain(pair: Pair) -> None:
    """Whoever has the lease links; every entry has one place, and both sign heads of the same chain."""
    async with pair("EE") as (world, colleague):
        first = world["EE"]
        for _ in range(6):
            await asyncio.gather(first.submit("request.json"), colleague.submit("request.json"))
            await asyncio.gather(first.engine.link_audit(), colleague.engine.link_audit())
            world.clock.advance(60)  # the lease of who linked last is over
        for worker in (colleague, first):
            while await worker.engine.link_audit():
                pass
            world.clock.advance(120)
        await first.engine.link_audit()

        linked = await colleague.store.read(lambda reader: reader.audit_trail(0, 500))
        check = TrailCheck(start=GENESIS)
        check.take_all(linked)
        assert check.findings == []
        assert [item.position for item in linked] == list(range(1, len(linked) + 1))
        assert sum(b'"action":"submitted"' in item.raw for item in linked) == 12
        signed = await first.store.read(lambda reader: reader.checkpoints(0, 99))
        chain = {item.position: item.chain for item in linked}
        assert signed
        assert all(chain[kept.head.position] == kept.head.chain for kept in signed)
