# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A node dies at every call of a port, before or after it takes effect, and starts again from its store (P1, P2, P3).

One case goes through request, reading, acknowledgement and result. Every seventh call is tried in an ordinary run, with
another offset for each way of dying; ``TRM_TEST_CRASH_STRIDE=1`` tries each.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from broker.adapter_api import InboundMessage
from broker.core.ids import AuthorityId
from broker.rows import Accepted, MessageFilter
from broker.testing.crashes import Crash
from broker.testing.world import Country, World, officer

T = TypeVar("T")

STRIDE = int(os.environ.get("TRM_TEST_CRASH_STRIDE", "7"))
OFFSETS = {("EE", False): 0, ("EE", True): 2, ("FI", False): 4, ("FI", True): 6}  # each way another call
HELSINKI = AuthorityId("helsinki-wellbeing-services")


class NationalSystem:
    """Takes a message by its id, once, whatever is delivered how often."""

    manifest: Any = None

    def __init__(self) -> None:
        self.offered: list[str] = []
        self.held: dict[str, InboundMessage] = {}

    async def deliver(self, message: InboundMessage) -> None:
        self.offered.append(message.id)
        self.held.setdefault(message.id, message)

    async def erased(self, message: Any) -> None: ...

    async def run(self, context: Any) -> None: ...

    async def close(self) -> None: ...


@dataclass
class Play:
    """One case between two countries; whoever dies is started again, and people repeat what got no answer."""

    world: World
    system: NationalSystem
    crashes: list[str] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)

    async def run(self) -> Accepted:
        request = await self.submit("EE", "request.json", {})
        await self.settle()
        await self.person("FI", lambda fi: fi.desk.open_message(request.message, officer(HELSINKI)))
        await self.settle()
        for example in ("acknowledgement.json", "result.json"):
            await self.submit("FI", example, {"procedure": request.procedure})
            await self.settle()
        return request

    async def submit(self, name: str, example: str, changes: dict[str, Any]) -> Accepted:
        """The caller repeats with the same key until it hears yes."""

        async def once(country: Country) -> Accepted:
            return await country.submit(example, idempotency_key=example, **changes)

        answer = await self.person(name, once)
        self.accepted.append(answer)
        return answer

    async def person(self, name: str, act: Callable[[Country], Awaitable[T]]) -> T:
        while True:
            try:
                return await act(self.world[name])
            except Crash:
                await self.start_again(name)

    async def settle(self) -> None:
        """Let both work until nothing moves, also after what a crash left leased or unanswered."""
        for _ in range(40):
            moved = 0
            for name in self.world.countries:
                try:
                    moved += await self.world[name].step()
                except Crash:
                    await self.start_again(name)
                    moved += 1
            if not moved:
                return
        raise AssertionError("the case does not settle")

    async def start_again(self, name: str) -> None:
        country = self.world[name]
        self.crashes.append(country.fuse.calls[-1])
        await self.world.restart(name)
        self.world.clock.advance(61)  # the dead worker's leases run out


async def _made(folder: Path) -> Play:
    system = NationalSystem()
    world = World.create(folder, ("EE", "FI"))
    world["FI"].adapters[HELSINKI] = system
    return Play(world, system)


async def _holds(play: Play, request: Accepted) -> None:
    """What must be true after any crash."""
    world = play.world
    views = [await world[name].desk.inspect.procedure(request.procedure, authority=None) for name in world.countries]
    assert views[0].digest is not None
    assert views[0].digest == views[1].digest
    assert {view.state for view in views} == {"ANSWERED"}
    assert [line.message for line in views[0].entries] == [accepted.message for accepted in play.accepted]
    assert all(line.final for view in views for line in view.entries)
    assert play.system.held.keys() == {request.message}
    for name, peer in (("EE", "FI"), ("FI", "EE")):
        await _each_once(world[name], world[peer])
        assert await world[name].attention() == []


async def _each_once(author: Country, peer: Country) -> None:
    """Nothing accepted is lost or doubled, and exactly one answer to each message stands on both sides."""
    wanted = MessageFilter(direction="out")
    sent = (await author.store.read(lambda reader: reader.messages(wanted, cursor=None, limit=50))).items
    for row in sent:
        assert row.state in {"handed-over", "opened"}, row.state
        for country in (author, peer):
            receipts = await country.store.read(lambda reader, row=row: reader.receipts_about(author.us, row.id))
            kinds = Counter(receipt.kind for receipt in receipts)
            assert kinds["delivered"] == kinds["handed-over"] == 1
            assert set(kinds.values()) == {1}
    received = await peer.store.read(
        lambda reader: reader.messages(MessageFilter(direction="in"), cursor=None, limit=50)
    )
    assert sorted(row.id for row in received.items) == sorted(row.id for row in sent)


async def test_an_undisturbed_case_makes_the_calls_that_the_matrix_is_about(tmp_path: Path) -> None:
    """Both nodes read and write their stores, seal, open, publish and settle; the adapter hears of the request once."""
    play = await _made(tmp_path)
    async with play.world as world:
        request = await play.run()
        kinds = {call for country in world.countries.values() for call in country.fuse.calls}
        await _holds(play, request)
        assert play.crashes == []
        assert play.system.offered == [request.message]
    assert kinds == {
        "adapter.deliver", "store.read", "store.run", "transport.done", "transport.publish", "vault.opener",
        "vault.signer",
    }  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["EE", "FI"])
async def test_a_crash_loses_and_doubles_nothing(tmp_path: Path, name: str, after: bool) -> None:
    """Whatever call a node dies at, both countries end with the same complete record and no one is called."""
    first = OFFSETS[name, after] % STRIDE
    died: list[str] = []
    for number in itertools.count(first, STRIDE):
        folder = tmp_path / str(number)
        folder.mkdir()
        play = await _made(folder)
        async with play.world as world:
            world[name].fuse.set(number, after=after)
            try:
                request = await play.run()
                world[name].fuse.remove()
                await _holds(play, request)
            except AssertionError as error:
                error.add_note(f"{name} died at call {number}: {play.crashes}")
                raise
        if not play.crashes:
            break  # the case has no such call any more
        died += play.crashes
    assert len(died) > 40 / STRIDE


async def _set_at_the_commit(country: Country, *, after: bool) -> None:
    """Submit one message, and let the fuse blow at the last call of the next one's submission."""
    await country.submit("request.json")
    country.fuse.set(len(country.fuse.calls) - 1, after=after)


async def test_a_crash_is_not_swallowed(tmp_path: Path) -> None:
    """The fuse stays blown: a dead node does nothing until it is started again, and the caller got no answer."""
    play = await _made(tmp_path)
    async with play.world as world:
        await _set_at_the_commit(world["EE"], after=False)
        with pytest.raises(Crash):
            await world["EE"].submit("request.json")
        with pytest.raises(Crash):
            await world["EE"].step()
        assert world.network.published == []
        await world.restart("EE")
        assert (await world["EE"].counts())["outbox.recorded"] == 1


async def test_a_commit_stands_although_its_caller_died(tmp_path: Path) -> None:
    """Dying right after the commit leaves the message accepted; the caller's repetition gets that very one."""
    play = await _made(tmp_path)
    async with play.world as world:
        await _set_at_the_commit(world["EE"], after=True)
        with pytest.raises(Crash):
            await world["EE"].submit("request.json", idempotency_key="k")
        await world.restart("EE")
        assert (await world["EE"].counts())["outbox.recorded"] == 2
        assert (await world["EE"].submit("request.json", idempotency_key="k")).repeated
