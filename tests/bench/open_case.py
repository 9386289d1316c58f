# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How long a child's 1,000 messages take to open, from the real tables with all their receipts.

One side may write 200 messages into a procedure, so that 1,000 are those of four procedures: each is opened with its
record, state, deadlines and next acts, as an officer sees it; its timeline, with the proof of each step, is looked at apart.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.core.ids import ProcedureId
from broker.schema_files import read_schema_file
from broker.testing.world import Country, World

__all__ = ["Opened", "open_case"]

_PROCEDURES, _MESSAGES = 4, 250  # of each
_AT_A_TIME = 50  # messages between two exchanges
_LOOKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The quickest of some looks, the first one left out: what else the machine does can only add."""

    messages: int
    view_ms: float
    timeline_ms: float


def open_case(folder: Path, procedures: int = _PROCEDURES, messages: int = _MESSAGES) -> Opened:
    """Exchange that many messages between two simulated nodes on SQLite, and look at all of them at one of the two."""
    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_measured(folder, procedures, messages))


async def _measured(folder: Path, procedures: int, messages: int) -> Opened:
    async with World.create(folder, ("EE", "FI")) as world:
        filled = [await _filled(world, messages) for _ in range(procedures)]
        return await _looked(world["EE"], filled)


async def _filled(world: World, messages: int) -> ProcedureId:
    """Exchange one procedure in which both sides tell each other how it stands."""
    procedure = (await world["EE"].submit("request.json")).procedure
    await world.settle()
    await world["FI"].submit("acknowledgement.json", procedure=procedure)
    theirs: dict[str, Any] = json.loads(read_schema_file("examples/acts/status-waiting-for-court.json"))
    office, party = theirs["sender"]["authority"], theirs["recipient"]
    ours = {**theirs, "sender": {"authority": party["authority"]}, "recipient": {"country": "FI", "authority": office}}
    for number in range(messages - 2):
        country, told = ("EE", ours) if number % 2 else ("FI", theirs)
        await world[country].submit(told, procedure=procedure)
        if number % _AT_A_TIME == 0:
            await world.settle()
    await world.settle()
    return procedure


async def _looked(country: Country, procedures: list[ProcedureId]) -> Opened:
    inspect = country.desk.inspect
    views = [await inspect.procedure(one, authority=None) for one in procedures]
    return Opened(
        messages=sum(len(view.entries) for view in views),
        view_ms=await _quickest(lambda: [inspect.procedure(one, authority=None) for one in procedures]),
        timeline_ms=await _quickest(lambda: [inspect.timeline(one, authority=None) for one in procedures]),
    )


async def _quickest(look: Callable[[], list[Coroutine[Any, Any, object]]]) -> float:
    """Return the milliseconds of the quickest look at all of them, one after the other."""
    took = []
    for _ in range(_LOOKS):
        began = time.perf_counter()
        for one in look():
            await one
        took.append(time.perf_counter() - began)
    return 1000 * min(took)
