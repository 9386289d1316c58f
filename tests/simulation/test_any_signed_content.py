# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a member signs with true keys: a node decides about it, and nothing changes between two other countries.

All that countries say to each other, receipts and what heals a restored node included, is garbled, signed anew and handed
in. ``TRM_TEST_ANY_CONTENTS`` makes the runs longer than everyday ones.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import Fate, by_code
from broker.core.ids import CountryCode
from broker.core.messages import Sealed
from broker.rows import Accepted
from broker.security.envelope import parse
from broker.security.sealing import open_envelope, verify
from broker.testing.federation import OFFICES
from broker.testing.garbling import Garbler
from broker.testing.hostile import Hostile
from broker.testing.lost_disk import keep, lose_disk
from broker.testing.world import World
from broker.vault import FileVault

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
CONTENTS = int(os.environ.get("TRM_TEST_ANY_CONTENTS", "120"))
TAKEN = {"recorded", "receipts", "repeat", "restored", "held", "missing"}  # all else is the code of an error
ROUNDS = 6
NEWEST = 12  # of what was said, mostly receipts: what is garbled


@dataclass
class Liar:
    """Signs garbled copies of what was said."""

    world: World
    seed: int
    became: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.garbler = Garbler(self.random)

    async def lie(self, times: int, *, author: CountryCode | None = None) -> None:
        """Say it again otherwise: as its author, or as another country."""
        said = [(sealed, self._content(sealed)) for sealed in self.world.network.published]
        contents = [content for _, content in said]
        for _ in range(times):
            sealed, content = self.random.choice(said[-NEWEST:])
            made = self.garbler.garbled(content, contents)
            if author is not None and isinstance(made.get("header"), dict) and self.random.random() < 0.8:
                made["header"]["sender"] = {"country": author, "authority": OFFICES[author][0].id}
            liar, victim = author or sealed.sender, sealed.recipient
            if liar != victim:
                self.became[await Hostile(self.world[liar], self.world[victim]).say(made)] += 1

    def _content(self, sealed: Sealed) -> Any:
        country = self.world[sealed.recipient]
        opened = open_envelope(parse(sealed.raw), FileVault(country.us, country.keys).opener(), us=country.us)
        return json.loads(verify(opened, country.trust.current(), now=self.world.clock.now()).content)


async def _exchange(world: World) -> Accepted:
    """Estonia asks, Finland answers."""
    asked = await world["EE"].submit("request.json")
    await world.settle()
    for example in ("acknowledgement.json", "result.json"):
        await world["FI"].submit(example, procedure=asked.procedure)
        await world.settle()
    return asked


async def _held(world: World, name: str, *cases: Accepted) -> list[tuple[object, ...]]:
    views = [await world[name].view(case.procedure) for case in cases]
    return [(view.state, view.digest, view.alarm, view.gap, view.heads, view.participants) for view in views]


async def _later(world: World) -> None:
    await world.settle()
    world.clock.advance(61)


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_a_peer_signs_is_no_fault_of_a_node(tmp_path: Path, seed: int) -> None:
    """Taken, refused, quarantined or parked, also while a node heals; then both go on."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        liar = Liar(world, seed)
        await _exchange(world)
        kept = keep(world, "EE")
        await _exchange(world)
        await liar.lie(CONTENTS // 2)
        await lose_disk(world, "EE", kept)
        for _ in range(ROUNDS):
            await _later(world)
            await liar.lie(CONTENTS // ROUNDS)
        assert len(liar.became) > 5
        assert [code for code in liar.became.keys() - TAKEN if by_code()[code].fate is Fate.RETRY] == []
        for _ in range(2 * ROUNDS):
            await _later(world)
        assert await _exchange(world)


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_a_country_signs_changes_nothing_between_two_others(tmp_path: Path, seed: int) -> None:
    """It may know all they said, and say it again as its own, also while one of them heals."""
    async with World.create(tmp_path, ("EE", "FI", "SE")) as world:
        liar = Liar(world, seed)
        cases = [await _exchange(world)]
        kept = keep(world, "EE")
        cases.append(await _exchange(world))
        before = await _held(world, "FI", *cases)
        await liar.lie(CONTENTS // 2, author=SE)
        await _later(world)
        assert await _held(world, "FI", *cases) == await _held(world, "EE", *cases) == before

        await lose_disk(world, "EE", kept)
        for _ in range(ROUNDS):
            await _later(world)
            await liar.lie(CONTENTS // ROUNDS, author=SE)
        for _ in range(2 * ROUNDS):
            await _later(world)
        assert await _held(world, "FI", *cases) == before
        for case, theirs in zip(cases, before, strict=True):
            view = await world["EE"].view(case.procedure)
            if view.row.peer == FI:
                assert await _held(world, "EE", case) == [theirs]
            else:  # it opened one of that id before ours was back: nothing of ours is in it, and an operator hears of it
                assert {line.author for line in view.entries} == {SE}
                assert "healing-incomplete" in await world["EE"].attention()
        assert await _exchange(world)
