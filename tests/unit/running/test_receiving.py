# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Feeding deliveries to the receive flow and settling each with the transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from broker.core.errors import CatalogueInvalid, StoreUnavailable
from broker.core.ids import CountryCode
from broker.core.messages import Delivery
from broker.flows import take_chunk
from broker.metrics import Metrics
from broker.running.receiving import Receiving
from broker.testing.hostile import Hostile
from broker.testing.network import Endpoint
from broker.testing.world import World, officer

EE, FI = CountryCode("EE"), CountryCode("FI")
BOUND_SECONDS = 20  # reached only when something hangs


class WatchedEndpoint(Endpoint):
    """A country's end of the network that notes how each delivery was settled, and hands out only what lies there."""

    def __init__(self, world: World) -> None:
        super().__init__(world.network, FI)
        self.settled: list[str] = []
        self.open = 0
        self.most_open = 0

    async def deliveries(self) -> AsyncIterator[Delivery]:
        for delivery in list(self._network.waiting[FI]):
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            yield delivery

    async def done(self, delivery: Delivery) -> None:
        self.open -= 1
        self.settled.append("done")
        await super().done(delivery)

    async def again(self, delivery: Delivery) -> None:
        self.open -= 1
        self.settled.append("again")


def _receiving(world: World, endpoint: Endpoint, *, concurrency: int = 4, receive: Any = None) -> Receiving:
    fi = world["FI"]
    return Receiving(
        transport=endpoint,
        receive=receive or fi.engine.receive,
        take_chunk=fi.engine.take_chunk,
        trust=fi.trust,
        store=fi.store,
        ledger=fi.desk.ledger,
        metrics=Metrics(CollectorRegistry()),
        clock=fi.clock,
        concurrency=concurrency,
    )


def _counted(receiving: Receiving, line: str) -> bool:
    return line in receiving._metrics.exposition({}).decode()


class Faulty:
    """The receive flow with a fault before it."""

    def __init__(self, world: World, error: Exception, *, times: int = 1) -> None:
        self._inner = world["FI"].engine.receive
        self._error, self._times = error, times

    async def __call__(self, delivery: Delivery) -> str:
        if self._times:
            self._times -= 1
            raise self._error
        return await self._inner(delivery)

    async def set_aside(self, delivery: Delivery) -> None:
        await self._inner.set_aside(delivery)


async def test_what_was_decided_is_settled_and_counted(world: World) -> None:
    """Ten deliveries, a repeat and a forgery are each settled once, at most so many in hand as allowed."""
    for _ in range(10):
        await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    waiting = world.network.waiting[FI]
    waiting += [waiting[0], Delivery(raw=b"{}", queue="in", user="EE")]
    endpoint = WatchedEndpoint(world)
    receiving = _receiving(world, endpoint, concurrency=3)
    async with asyncio.timeout(BOUND_SECONDS):
        await receiving.run()
    assert endpoint.settled == ["done"] * 12
    assert endpoint.most_open <= 4  # three in hand and one that was taken from the transport
    assert waiting == []
    assert (await world["FI"].counts())["inbox.handed-over"] == 10
    assert _counted(receiving, "trm_deliveries_seen_total 12.0")
    assert _counted(receiving, "trm_repeated_total 1.0")
    assert _counted(receiving, 'trm_rejected_total{code="envelope-members",fate="quarantine"} 1.0')


async def test_our_own_fault_gives_the_delivery_back(world: World) -> None:
    """With the store away nothing is decided: the transport offers it again, and nothing is quarantined."""
    await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    endpoint = WatchedEndpoint(world)
    receiving = _receiving(world, endpoint, receive=Faulty(world, StoreUnavailable()))
    async with asyncio.timeout(BOUND_SECONDS):
        await receiving.run()
        assert (endpoint.settled, len(world.network.waiting[FI])) == (["again"], 1)
        assert (await world["FI"].counts())["quarantine"] == 0
        await receiving.run()
    assert endpoint.settled == ["again", "done"]
    assert (await world["FI"].counts())["inbox.handed-over"] == 1


async def test_an_unforeseen_fault_sets_the_delivery_aside(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It is kept sealed for people instead of coming back for ever; others go on; the log has no text of it."""
    for _ in range(2):
        await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    endpoint = WatchedEndpoint(world)
    receiving = _receiving(
        world, endpoint, concurrency=1, receive=Faulty(world, KeyError("Test-Maarika"))
    )  # fmt: skip
    async with asyncio.timeout(BOUND_SECONDS):
        await receiving.run()
    assert endpoint.settled == ["done", "done"]
    counts = await world["FI"].counts()
    assert (counts["quarantine"], counts["inbox.handed-over"]) == (1, 1)
    assert await world["FI"].attention() == ["quarantined"]
    said = " ".join(str(record.msg) for record in caplog.records)
    assert "KeyError" in said
    assert "Test-Maarika" not in said


async def test_what_stays_parked_calls_a_person_after_an_hour(world: World) -> None:
    """A message of an unlisted version is offered again each minute, and after an hour a person is told why it waits."""
    hostile = Hostile(world["EE"], world["FI"])
    await hostile.send(hostile.message("request.json", created=world.clock.now() + timedelta(hours=5)))
    await world["FI"].desk.attend.resolve(1, officer(actor="operator"))
    receiving = _receiving(world, WatchedEndpoint(world))
    for _ in range(59):
        world.clock.advance(60)
        assert await receiving.offer_parked() == 1
        assert await receiving.offer_parked() == 0
    assert await world["FI"].attention() == ["clock"]
    world.clock.advance(60)
    await receiving.offer_parked()
    page = await world["FI"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert {(entry.code, entry.detail.split()[0]) for entry in page.items} == {("clock", "A"), ("parked", "The")}

    world.clock.advance(4 * 3600)
    await receiving.offer_parked()
    assert (await world["FI"].counts())["parked"] == 0
    assert await world["FI"].attention() == ["clock"]  # the call for what waited ended with it


async def test_what_becomes_believable_late_calls_nobody(world: World) -> None:
    """A message that waited for two hours and is then taken is no reason to call a person for what still waits."""
    hostile = Hostile(world["EE"], world["FI"])
    await hostile.send(hostile.message("request.json", created=world.clock.now() + timedelta(hours=2)))
    await world["FI"].desk.attend.resolve(1, officer(actor="operator"))
    world.clock.advance(2 * 3600)
    assert await _receiving(world, WatchedEndpoint(world)).offer_parked() == 1
    counts = await world["FI"].counts()
    assert (counts["parked"], counts["inbox.handed-over"]) == (0, 1)
    assert await world["FI"].attention() == []


async def test_one_parked_delivery_does_not_hold_up_the_others(world: World) -> None:
    """An unforeseen fault over one parked delivery sets that one aside; the next is offered all the same."""
    hostile = Hostile(world["EE"], world["FI"])
    for _ in range(2):
        await hostile.send(hostile.message("request.json", created=world.clock.now() + timedelta(minutes=11)))
    world.clock.advance(120)
    receiving = _receiving(world, WatchedEndpoint(world), receive=Faulty(world, RuntimeError()))
    assert await receiving.offer_parked() == 2
    counts = await world["FI"].counts()
    assert (counts["quarantine"], counts["parked"], counts["inbox.handed-over"]) == (1, 0, 1)


async def test_parked_deliveries_wait_for_the_store(world: World) -> None:
    """With the store away none is decided and all stay parked."""
    hostile = Hostile(world["EE"], world["FI"])
    await hostile.send(hostile.message("request.json", created=world.clock.now() + timedelta(minutes=11)))
    world.clock.advance(120)
    receiving = _receiving(world, WatchedEndpoint(world), receive=Faulty(world, StoreUnavailable()))
    with pytest.raises(StoreUnavailable):
        await receiving.offer_parked()
    assert (await world["FI"].counts())["parked"] == 1


async def test_one_that_cannot_be_decided_does_not_hold_up_the_others(world: World) -> None:
    """A fault of ours over one parked delivery leaves it parked for another minute; the next is offered all the same."""
    hostile = Hostile(world["EE"], world["FI"])
    for _ in range(2):
        await hostile.send(hostile.message("request.json", created=world.clock.now() + timedelta(minutes=11)))
    world.clock.advance(120)
    receiving = _receiving(world, WatchedEndpoint(world), receive=Faulty(world, CatalogueInvalid()))
    assert await receiving.offer_parked() == 2
    counts = await world["FI"].counts()
    assert (counts["quarantine"], counts["parked"], counts["inbox.handed-over"]) == (0, 1, 1)
    assert await receiving.offer_parked() == 0  # else its loop would come back to it at once, and to it alone
    world.clock.advance(60)
    assert await receiving.offer_parked() == 1
    assert (await world["FI"].counts())["inbox.handed-over"] == 2


async def test_what_stays_undecided_calls_a_person_until_it_is_decided(world: World) -> None:
    """A fault of our own that does not go away is told after five tries, once per fault; deciding closes the call."""
    endpoint, fi = WatchedEndpoint(world), world["FI"]
    for _ in range(2):
        await world["EE"].submit("request.json")
    await world["EE"].step()
    broken = True

    async def receive(delivery: Delivery) -> str:
        if broken:
            raise CatalogueInvalid
        return await fi.engine.receive(delivery)

    receiving = _receiving(world, endpoint, receive=receive)
    seen = []
    for _ in range(6):
        await receiving.run()
        seen.append(await fi.attention())
    assert seen == [[]] * 4 + [["undecided"]] * 2
    assert set(endpoint.settled) == {"again"}

    broken = False
    await receiving.run()
    assert endpoint.settled[-2:] == ["done"] * 2
    assert await fi.attention() == []


async def test_a_store_that_is_away_is_no_reason_to_forget_a_delivery(world: World) -> None:
    """The call cannot be stored either: the delivery is offered again all the same, and the next calls a person."""
    endpoint, fi = WatchedEndpoint(world), world["FI"]
    await world["EE"].submit("request.json")
    await world["EE"].step()

    async def receive(_: Delivery) -> str:
        raise StoreUnavailable

    receiving = _receiving(world, endpoint, receive=receive)
    store = receiving._store

    class Away:
        async def run(self, _: Any) -> Any:
            raise StoreUnavailable

    receiving._store = Away()
    for _ in range(6):
        await receiving.run()
    assert endpoint.settled == ["again"] * 6
    receiving._store = store
    await receiving.run()
    assert await fi.attention() == ["undecided"]


async def test_made_up_broker_users_have_no_space_and_no_name_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the message broker invents users: what they publish is of one unknown, in space, count and call."""
    monkeypatch.setattr(take_chunk, "PARKED_MAX_CHUNKS", 3)
    endpoint, waiting = WatchedEndpoint(world), world.network.waiting[FI]
    for user in ("\x00", "Synthetic Child born 2014", *(f"Q{letter}" for letter in "ABCDEFGH")):
        waiting.append(Delivery(raw=user.encode(), queue="in", user=user))
        if len(user) == 2:
            named = b"TRMC\x01" + user.encode() + b"FI" + UUID(world["EE"].ids.message_id()).bytes + bytes(32)
            waiting.append(Delivery(raw=named + bytes(7) + b"\x01" + bytes(16_400), queue="chunk", user=user))
    sent = len(waiting)
    await _receiving(world, endpoint).run()

    fi = world["FI"]
    page = await fi.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=100))
    assert [(entry.code, entry.subject) for entry in page.items] == [("quarantined", "unknown")]
    assert endpoint.settled == ["done"] * sent
    assert len(fi.blobs.held) == 3
    assert await fi.store.run(lambda tx: tx.count_abuse("unknown", "foreign-user", world.clock.now())) == 10 + 1


async def test_broken_publishing_rules_are_counted_by_country_and_rule(world: World) -> None:
    """Whoever runs the message broker sees whose user to look at; one that is no member's is counted without a name."""
    endpoint, waiting = WatchedEndpoint(world), world.network.waiting[FI]
    for user, abuse in (("EE", ("copies",)), ("EE", ("copies", "headers")), ("QX", ("copies",)), (None, ("no-user",))):
        waiting.append(Delivery(raw=repr((user, abuse)).encode(), queue="in", user=user, abuse=abuse))
    receiving = _receiving(world, endpoint)
    await receiving.run()

    for peer, code, times in (
        ("EE", "copies", 2), ("EE", "headers", 1),
        ("other", "copies", 1), ("other", "foreign-user", 1), ("other", "no-user", 1),
    ):  # fmt: skip
        assert _counted(receiving, f'trm_publishing_abuse_total{{code="{code}",peer="{peer}"}} {times}.0')
    assert not _counted(receiving, "QX")
