# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Handing over what was received."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest

from broker.core.delivery import DELIVER_BATCH, LEASE_SECONDS
from broker.core.errors import CaseKeyMissing, KeyMissing
from broker.core.ids import AuthorityId, CountryCode, MessageId
from broker.core.messages import Party
from broker.storage import AtRest, open_store
from broker.testing.world import World

FI = CountryCode("FI")
HELSINKI, MINISTRY = AuthorityId("helsinki-wellbeing-services"), AuthorityId("ministry-of-justice")
NAME = "Test-Maarika"
BOUND_SECONDS = 20  # reached only when something hangs


class System:
    """A national system that does what a test wants before it takes a message."""

    manifest: Any = None

    def __init__(self, before: Callable[[Any], Awaitable[None]]) -> None:
        self._before = before
        self.taken: Counter[str] = Counter()

    async def deliver(self, message: Any) -> None:
        await self._before(message)
        self.taken[message.id] += 1

    async def erased(self, message: Any) -> None: ...

    async def run(self, context: Any) -> None: ...

    async def close(self) -> None: ...


async def _at_once(_: Any) -> None:
    """Nothing is done before a message is taken."""


async def _arrive(world: World, count: int, **changes: Any) -> list[str]:
    sent = [(await world["EE"].submit("request.json", **changes)).message for _ in range(count)]
    while await world["EE"].engine.dispatch():
        pass
    for delivery in world.network.waiting[FI]:
        await world["FI"].engine.receive(delivery)
    world.network.waiting[FI].clear()
    return sent


async def test_an_adapters_own_exception_is_told_without_its_text(world: World) -> None:
    """Whatever foreign code raises, the message stays owed, and only the class is stored: its text may hold a name."""
    failing = True

    async def raises(message: Any) -> None:
        if failing:
            raise ValueError(f"cannot store {NAME}")

    world["FI"].adapters[HELSINKI] = System(raises)
    await _arrive(world, 1)
    for _ in range(5):
        await world["FI"].engine.deliver()
        world.clock.advance(301)
    page = await world["FI"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(entry.code, entry.detail) for entry in page.items] == [
        ("not-handed-over", "The adapter raised ValueError.")
    ]
    assert (await world["FI"].counts())["inbox.recorded"] == 1

    failing = False
    await world["FI"].engine.deliver()
    assert await world["FI"].attention() == []


async def test_one_refusal_does_not_hold_up_the_others(world: World) -> None:
    """In a batch each message has its own outcome."""
    sent: list[str] = []

    async def second_fails(message: Any) -> None:
        if message.id == sent[1]:
            raise RuntimeError

    system = System(second_fails)
    world["FI"].adapters[HELSINKI] = system
    sent += await _arrive(world, 3)
    assert await world["FI"].engine.deliver() == 3
    assert system.taken == Counter({sent[0]: 1, sent[2]: 1})
    counts = await world["FI"].counts()
    assert (counts["inbox.handed-over"], counts["inbox.recorded"]) == (2, 1)


async def test_what_a_system_refuses_again_and_again_holds_up_nothing_that_is_new(world: World) -> None:
    """However many it refuses, each of them due every few minutes: a new message is offered in the next batch."""
    old: list[str] = []

    async def refuses_old(message: Any) -> None:
        if message.id in old:
            raise ValueError

    world["FI"].adapters[HELSINKI] = system = System(refuses_old)
    old += await _arrive(world, 3 * DELIVER_BATCH)
    while await world["FI"].engine.deliver():
        pass
    world.clock.advance(301)
    (new,) = await _arrive(world, 1)
    await world["FI"].engine.deliver()
    assert system.taken == {new: 1}


async def test_a_slow_hand_over_testifies_once(world: World) -> None:
    """When a lease ends during the hand-over, the system may be offered the same id again; one receipt is signed."""
    colleague = world.colleague("FI")
    overtaken = False

    async def slow(message: Any) -> None:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            world.clock.advance(61)
            await colleague.engine.deliver()

    system = System(slow)
    world["FI"].adapters[HELSINKI] = system
    (message,) = await _arrive(world, 1)
    await world["FI"].engine.deliver()
    await colleague.store.close()
    assert system.taken == Counter({message: 2})
    receipts = await world["FI"].store.read(lambda reader: reader.receipts_about(CountryCode("EE"), message))
    assert [receipt.kind for receipt in receipts] == ["delivered", "handed-over"]
    trail = await world["FI"].store.read(lambda reader: reader.audit(cursor=None, limit=20))
    assert [row.action for row in trail.items].count("handed-over") == 1


async def test_what_no_adapter_takes_is_handed_over_where_it_is_recorded(world: World) -> None:
    """The officers' inbox has it in the same transaction: both receipts are signed, and nothing is left to deliver."""
    (message,) = await _arrive(world, 1)
    row = await world["FI"].store.run(lambda tx: tx.inbox(CountryCode("EE"), MessageId(message)))
    assert row is not None
    assert (row.state, row.handed_over, row.next_at) == ("handed-over", world.clock.now(), None)
    receipts = await world["FI"].store.read(lambda reader: reader.receipts_about(CountryCode("EE"), message))
    assert [receipt.kind for receipt in receipts] == ["delivered", "handed-over"]
    assert await world["FI"].engine.deliver() == 0


@pytest.mark.parametrize("served", [False, True])
async def test_a_notification_says_that_something_is_there_and_never_what(world: World, served: bool) -> None:
    """It names the country, the office and the message's id; it is sent once, when inbox or adapter has the message."""

    async def takes(message: Any) -> None:
        assert world["FI"].notifier.told == []

    if served:
        world["FI"].adapters[HELSINKI] = System(takes)
    (message,) = await _arrive(world, 1)
    await world["FI"].engine.deliver()
    await world["FI"].engine.deliver()
    (told,) = world["FI"].notifier.told
    assert (told.code, told.subject, told.peer, told.authority, told.detail) == (
        "message-arrived", message, "EE", HELSINKI, "",
    )  # fmt: skip


async def test_an_adapter_that_hangs_has_failed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other messages of the batch are handed over; the one that hangs stays owed and is tried again."""
    monkeypatch.setattr("broker.flows.deliver.HAND_OVER_SECONDS", 0.05)
    sent: list[str] = []

    async def second_hangs(message: Any) -> None:
        if message.id == sent[1]:
            await asyncio.Event().wait()

    system = System(second_hangs)
    world["FI"].adapters[HELSINKI] = system
    sent += await _arrive(world, 3)
    async with asyncio.timeout(BOUND_SECONDS):
        assert await world["FI"].engine.deliver() == 3
    assert system.taken == {sent[0]: 1, sent[2]: 1}
    row = await world["FI"].store.run(lambda tx: tx.inbox(CountryCode("EE"), MessageId(sent[1])))
    assert row is not None
    assert (row.state, row.error, row.attempts) == ("recorded", "adapter-failed", 1)


async def test_a_hundred_messages_for_a_system_that_hangs_hold_up_no_other_office(world: World) -> None:
    """Its adapter fails slowly: it is asked once for a batch, then left alone for a minute, in which the rest goes on."""
    asked = 0

    async def fails_slowly(_: Any) -> None:
        nonlocal asked
        asked += 1
        if not asked % 32:
            world.clock.advance(30)  # as long as a whole batch takes
        raise ConnectionError

    other = System(_at_once)
    world["FI"].adapters |= {HELSINKI: System(fails_slowly), MINISTRY: other}
    await _arrive(world, 100)
    await _arrive(world, 1, recipient=Party(country=FI, authority=MINISTRY))

    for _ in range(4):  # a hundred and one messages, 32 at a time
        await world["FI"].engine.deliver()
        await world["FI"].engine.deliver.apart()
    assert sum(other.taken.values()) == 1
    assert asked == 32

    world.clock.advance(301)
    await world["FI"].engine.deliver.apart()
    assert asked == 64


async def test_a_system_that_takes_long_for_each_message_keeps_no_other_office_waiting(world: World) -> None:
    """It is served apart as soon as that shows, until it is quick again; nothing of it is put off or called about."""
    seconds = 20.0

    async def takes_long(_: Any) -> None:
        started = world.clock.monotonic()
        await asyncio.sleep(0)  # all of the batch are offered by now
        world.clock.advance(max(started + seconds - world.clock.monotonic(), 0))

    slow, other = System(takes_long), System(_at_once)
    world["FI"].adapters |= {HELSINKI: slow, MINISTRY: other}
    deliver = world["FI"].engine.deliver
    await _arrive(world, 100)
    world.clock.advance(1)
    await _arrive(world, 1, recipient=Party(country=FI, authority=MINISTRY))
    began = world.clock.monotonic()
    while not other.taken:
        await deliver()
    assert world.clock.monotonic() - began <= seconds
    assert (await deliver(), sum(slow.taken.values())) == (0, 32)

    assert [await deliver.apart() for _ in range(2)] == [32, 32]
    seconds = 1.0
    assert [await deliver.apart(), await deliver.apart()] == [4, 0]
    await _arrive(world, 1)
    assert await deliver() == 1
    assert set(slow.taken.values()) == {1}
    assert (sum(slow.taken.values()), await world["FI"].attention()) == (101, [])


async def test_what_is_damaged_holds_up_nothing_else(world: World) -> None:
    """The others are handed over; of that one a person hears at once, and it goes on when it is whole again."""

    async def nothing(message: Any) -> None: ...

    system = System(nothing)
    world["FI"].adapters[HELSINKI] = system
    first, second, third = await _arrive(world, 3)
    path = world["FI"].url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as db, db:
        ((whole,),) = db.execute("SELECT content FROM inbox_content WHERE id = ?", (first,))
        db.execute("UPDATE inbox_content SET content = zeroblob(100) WHERE id = ?", (first,))
    assert await world["FI"].engine.deliver() == 3
    assert await world["FI"].engine.deliver() == 0
    assert system.taken == Counter([second, third])
    assert await world["FI"].attention() == ["not-handed-over"]

    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE inbox_content SET content = ? WHERE id = ?", (whole, first))
    world.clock.advance(400)
    await world.settle()
    assert system.taken == Counter([first, second, third])
    assert await world["FI"].attention() == []


async def test_a_case_without_its_key_holds_up_nothing_else(world: World) -> None:
    """P7: the others are handed over; of that one its office hears at once and why, and it goes on when the key is back."""

    async def nothing(message: Any) -> None: ...

    system = System(nothing)
    world["FI"].adapters[HELSINKI] = system
    first, second, third = await _arrive(world, 3)
    path = world["FI"].url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as db, db:
        ((scope,),) = db.execute("SELECT scope FROM inbox_content WHERE id = ?", (first,))
        (kept,) = db.execute("SELECT * FROM case_key WHERE scope = ?", (scope,))
        db.execute("DELETE FROM case_key WHERE scope = ?", (scope,))
    assert await world["FI"].engine.deliver() == 3
    assert sorted(system.taken) == sorted([second, third])
    page = await world["FI"].store.read(lambda reader: reader.attention(HELSINKI, open_only=True, cursor=None, limit=9))
    assert [(entry.code, entry.detail) for entry in page.items] == [("not-handed-over", CaseKeyMissing().detail)]

    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"INSERT INTO case_key VALUES ({', '.join('?' * len(kept))})", kept)
    world.clock.advance(400)
    await world.settle()
    assert sorted(system.taken) == sorted([first, second, third])
    assert await world["FI"].attention() == []


async def test_a_machine_without_the_newest_wrapping_key_takes_nothing_from_the_others(world: World) -> None:
    """It opens no case at all: that is told of the machine, and no entry is put off or its office called."""

    async def nothing(message: Any) -> None: ...

    world["FI"].adapters[HELSINKI] = System(nothing)
    old = world["FI"].epochs.ring()
    await _arrive(world, 1)
    finland = world["FI"]
    await finland.engine.next_epoch()
    behind = open_store(finland.url, us=finland.us, cipher=AtRest(lambda: old))
    now = world.clock.now()
    with pytest.raises(KeyMissing):
        await behind.run(lambda tx: tx.lease_inbox(now=now, until=now, token="behind", limit=9))
    await behind.close()
    assert await finland.engine.deliver() == 1
    assert await finland.attention() == []


async def test_what_waited_for_an_adapter_that_is_there_no_more_the_officers_have(world: World) -> None:
    """Its office works in the console now: what its system never took is in the inbox, handed over and told of."""
    fi = world["FI"]

    async def refuses(_: Any) -> None:
        raise ConnectionError

    fi.adapters[HELSINKI] = System(refuses)
    (message,) = await _arrive(world, 1)
    for _ in range(5):
        await fi.engine.deliver()
        world.clock.advance(301)
    assert (await fi.attention(), fi.notifier.told) == (["not-handed-over"], [])

    del fi.adapters[HELSINKI]
    assert await fi.engine.deliver() == 1
    receipts = await fi.store.read(lambda reader: reader.receipts_about(CountryCode("EE"), MessageId(message)))
    assert [receipt.kind for receipt in receipts] == ["delivered", "handed-over"]
    assert [told.subject for told in fi.notifier.told] == [message]
    assert await fi.attention() == []
    assert await fi.engine.deliver() == 0


@pytest.mark.parametrize("apart", [False, True])
async def test_what_one_worker_hands_over_no_other_takes_until_it_must_have_died(world: World, apart: bool) -> None:
    """For as long as a hand-over may take the system is offered a message once; afterwards it is nobody's no longer."""
    world["FI"].adapters[HELSINKI] = system = System(_at_once)
    (message,) = await _arrive(world, 1)
    deliver, woken = world["FI"].engine.deliver, list[str]()
    deliver._wake = lambda: woken.append("receipts wait")
    deliver._slow = frozenset({HELSINKI}) if apart else frozenset()
    take, serve = (deliver._take_apart, deliver.apart) if apart else (deliver._take, deliver)
    assert len(await world["FI"].store.run(lambda tx: take(tx, "dies"))) == 1
    world.clock.advance(LEASE_SECONDS - 1)
    assert await serve() == 0
    world.clock.advance(1)
    assert (await serve(), system.taken) == (1, {message: 1})
    assert woken == ["receipts wait"]
