# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The use cases meet in the store and are wired once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from broker.core.delivery import LadderLimits
from broker.core.errors import NotFound
from broker.core.ids import CountryCode
from broker.desk import Desk
from broker.testing.compute import InlineCompute
from broker.testing.hostile import Hostile
from broker.testing.kept import KeptTally, SilentNotifier
from broker.testing.world import Country, World, officer
from broker.vault import FileVault
from broker.wiring import Engine, Keys, Rings, wire_desk, wire_engine

FI = CountryCode("FI")


def _rung() -> tuple[list[str], Callable[[str], Callable[[], None]]]:
    rung: list[str] = []
    return rung, lambda name: lambda: rung.append(name)


def _desk(country: Country, wake: Callable[[], None]) -> Desk:
    plain = country.desk
    return wire_desk(
        country.us, store=plain.store, blobs=plain.blobs, compute=plain.compute, catalogue=plain.catalogue, trust=plain.trust, clock=plain.clock, ids=plain.ids,
        wake=wake,
    )  # fmt: skip


def _engine(country: Country, world: World, ring: Callable[[str], Callable[[], None]], adapter: Any = None) -> Engine:
    return wire_engine(
        country.desk,
        transport=world.network.endpoint(country.us),
        keys=Keys(vault=FileVault(country.us, country.keys), epochs=country.epochs, compute=InlineCompute()),
        adapter_for=lambda _: adapter,
        notifier=SilentNotifier(),
        limits=LadderLimits(),
        envelope_life=timedelta(days=30),
        rings=Rings(
            work=ring("work"), offer=ring("offer"), trust=ring("trust"), parked=ring("parked"), whole=ring("whole")
        ),
        tally=KeptTally(),
    )


async def test_an_accepted_message_and_an_opening_wake_the_dispatcher(world: World) -> None:
    """A yes and the first opening ring once each; a refusal and a second opening ring for nobody."""
    rung, ring = _rung()
    asking, asked = _desk(world["EE"], ring("EE")), _desk(world["FI"], ring("FI"))
    with pytest.raises(NotFound):
        await asking.submit(world["EE"].submission("request.json", procedure=world["EE"].ids.procedure_id()))
    assert rung == []
    request = await asking.submit(world["EE"].submission("request.json"))
    assert rung == ["EE"]
    await world.settle()
    for _ in range(2):
        await asked.open_message(request.message, officer("helsinki-wellbeing-services", "o"))
    assert rung == ["EE", "FI"]


async def test_a_delivery_wakes_the_engine(world: World) -> None:
    """What was recorded rings for work, what is not yet believable asks for the trust list besides."""
    rung, ring = _rung()
    engine = _engine(world["FI"], world, ring)
    hostile = Hostile(world["EE"], world["FI"])
    await engine.receive(hostile.seal(hostile.message("request.json")))
    assert rung == ["work"]
    await engine.receive(hostile.seal(hostile.message("request.json", created=world.clock.now() + timedelta(hours=1))))
    assert rung == ["work", "trust", "work"]


async def test_what_an_adapter_takes_wakes_the_deliverer(world: World) -> None:
    """Only where the office has one: else there is nothing to deliver."""
    rung, ring = _rung()
    engine = _engine(world["FI"], world, ring, adapter=object())
    hostile = Hostile(world["EE"], world["FI"])
    await engine.receive(hostile.seal(hostile.message("request.json")))
    assert rung == ["offer", "work"]


async def test_a_newer_trust_list_wakes_what_waited_for_it(world: World) -> None:
    """Envelopes may have to be sealed again, and what is parked may be believable now."""
    rung, ring = _rung()
    engine = _engine(world["FI"], world, ring)
    assert not await engine.refresh_trust()
    rung.clear()  # a first look makes good what changed while no node ran
    world.set_trust(lambda member: member)
    world.clock.advance(61)
    assert await engine.refresh_trust()
    assert rung == ["work", "parked"]


async def test_a_resend_wakes_the_dispatcher(world: World) -> None:
    """A watch that found nothing rings for nobody; one that sends again rings."""
    rung, ring = _rung()
    engine = _engine(world["EE"], world, ring)
    await world["EE"].submit("request.json")
    await engine.dispatch()
    assert await engine.watch() == 0
    assert rung == []
    world.network.waiting[FI].clear()
    world.clock.advance(120)
    await world["EE"].submit("request.json")
    await world.settle()
    world.clock.advance(70)
    assert await engine.watch() == 1
    assert rung == ["work"]
