# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A network that repeats, reorders and loses: both countries end with the same record, and nothing accepted is lost.

What a network loses for good is sent again by a sign of loss or by a person; both are part of the simulation.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import NotAllowed
from broker.core.ids import CountryCode, MessageId
from broker.ports import Transaction
from broker.rows import Accepted, MessageFilter, OutboxState
from broker.schema_files import read_schema_file
from broker.testing.world import Country, World

SIDES = ("EE", "FI")
ACTS = (("FI", "acknowledgement"), ("FI", "result"), ("FI", "result"), ("EE", "withdrawal"))
SECURITY = {"forked", "divergence", "contradiction", "strange-receipt", "id-reused", "quarantined"}
WITHDRAWAL: dict[str, Any] = json.loads(read_schema_file("examples/family-tracing/withdrawal-no-reason.json"))


@dataclass
class Storm:
    """Casework at random times over a bad network, from one seed."""

    world: World
    seed: int
    drop: float = 0.0
    repeat: float = 0.0
    requests: list[Accepted] = field(default_factory=list)
    accepted: dict[str, set[MessageId]] = field(default_factory=lambda: {name: set() for name in SIDES})
    lost: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    async def rage(self, rounds: int) -> None:
        for _ in range(rounds):
            if len(self.requests) < 3 or self.random.random() < 0.15:
                await self._submit("EE", "request.json")
            elif self.random.random() < 0.5:
                name, act = self.random.choice(ACTS)
                example: Any = WITHDRAWAL if act == "withdrawal" else f"{act}.json"
                await self._submit(name, example, procedure=self.random.choice(self.requests).procedure)
            self._disturb()
            country = self.world[self.random.choice(SIDES)]
            await country.step()
            if self.random.random() < 0.3:
                await country.engine.watch()
            self.world.clock.advance(self.random.uniform(0, 45))

    async def _submit(self, name: str, example: Any, **changes: Any) -> None:
        if isinstance(example, dict):
            example = {key: value for key, value in example.items() if key != "procedure"}
        country = self.world[name]
        if changes and not await _known(country, changes["procedure"]):
            return
        try:
            accepted = await country.submit(example, **changes)
        except NotAllowed:
            return  # the state moved on: people are told so
        self.accepted[name].add(accepted.message)
        if not changes:
            self.requests.append(accepted)

    def _disturb(self) -> None:
        for name, waiting in self.world.network.waiting.items():
            kept = [item for item in waiting if self.random.random() >= self.drop]
            self.lost += len(waiting) - len(kept)
            kept += [replace(item) for item in kept if self.random.random() < self.repeat]
            self.random.shuffle(kept)
            self.world.network.waiting[name] = kept

    async def calm(self) -> None:
        """The network is mended, and people send again what still has no answer."""
        for _ in range(6):
            self.world.clock.advance(400)
            await self.world.settle()
            for name in SIDES:
                await self.world[name].store.run(_resend_all(self.accepted[name], self.world))
        self.world.clock.advance(400)
        await self.world.settle()


def _resend_all(messages: set[MessageId], world: World) -> Callable[[Transaction], None]:
    def resend(tx: Transaction) -> None:
        for message in messages:
            row = tx.outbox(message)
            if row is not None and row.state is OutboxState.PUBLISHED:
                tx.reopen_outbox(message, now=world.clock.now(), reseal=False, count_resend=False)

    return resend


async def _known(country: Country, procedure: Any) -> bool:
    return await country.store.read(lambda reader: reader.procedure(procedure, None)) is not None


async def _holds(storm: Storm) -> None:
    """Same records, complete and undisputed; each accepted message once in the peer's inbox and proven delivered."""
    world = storm.world
    for request in storm.requests:
        ours, theirs = [await world[name].view(request.procedure) for name in SIDES]
        assert ours.digest is not None
        assert ours.digest == theirs.digest
        assert (ours.state, ours.alarm, ours.gap) == (theirs.state, theirs.alarm, False)
        assert [(line.digest, line.mark) for line in ours.entries] == [
            (line.digest, line.mark) for line in theirs.entries
        ]
        assert not any(line.mark in {"forked", "waiting"} for line in ours.entries)
    for name, peer in (("EE", "FI"), ("FI", "EE")):
        wanted = MessageFilter(direction="in")
        held = await world[peer].store.read(
            lambda reader, wanted=wanted: reader.messages(wanted, cursor=None, limit=500)
        )
        assert Counter(row.id for row in held.items) == Counter(storm.accepted[name])
        assert not SECURITY & set(await world[name].attention())
        counts = await world[name].counts()
        assert counts.get("outbox.published", 0) == counts.get("outbox.recorded", 0) == 0
        assert counts["receipts.waiting"] == 0


@pytest.mark.parametrize("seed", range(3))
async def test_repeats_in_any_order_change_nothing(tmp_path: Path, seed: int) -> None:
    """With half of all envelopes repeated, and none in its order, every message takes effect once on both sides."""
    async with World.create(tmp_path, SIDES) as world:
        storm = Storm(world, seed, repeat=0.5)
        await storm.rage(60)
        await storm.calm()
        await _holds(storm)
        assert sum(country.outcomes.count("repeat") for country in world.countries.values()) > 5
        for name in SIDES:
            assert "gap" not in await world[name].attention()


@pytest.mark.parametrize("seed", range(10, 14))
async def test_losses_are_made_good(tmp_path: Path, seed: int) -> None:
    """With a quarter of all envelopes lost and another quarter repeated, both sides end with the same full record."""
    async with World.create(tmp_path, SIDES) as world:
        storm = Storm(world, seed, drop=0.25, repeat=0.25)
        await storm.rage(60)
        storm.drop = storm.repeat = 0.0
        await storm.calm()
        assert storm.lost > 5
        await _holds(storm)


async def test_a_duplicate_storm_over_a_whole_case_is_one_case(tmp_path: Path) -> None:
    """Every envelope ten times, at both ends: one entry each, and no more envelopes of receipts than one a minute."""
    async with World.create(tmp_path, SIDES) as world:
        storm = Storm(world, 7)
        await storm._submit("EE", "request.json")
        for act in ("acknowledgement", "result"):
            await _flood(world)
            await storm._submit("FI", f"{act}.json", procedure=storm.requests[0].procedure)
        await _flood(world)
        await _holds(storm)
        receipts = [item for item in world.network.published if item.id not in set.union(*storm.accepted.values())]
        assert len(receipts) <= 6
        assert (await world["EE"].view(storm.requests[0].procedure)).state == "ANSWERED"


async def _flood(world: World) -> None:
    for _ in range(6):
        for name in SIDES:
            world.network.waiting[CountryCode(name)] *= 10
            await world[name].step()
    await world.settle()
