# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Moving to the next epoch while messages go on, by itself after an erasure, and on from wherever it ended."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from broker.core.errors import StoreUnavailable
from broker.ports import Transaction
from broker.rows import Accepted
from broker.security.at_rest import scopes_of
from broker.storage.schema import exclusive
from broker.testing.crashes import Crash
from broker.testing.world import Country, World


async def erase(country: Country, accepted: Accepted) -> None:
    """Destroy the keys of a procedure as erasing does."""
    row = await country.store.read(lambda reader: reader.procedure(accepted.procedure, None))
    assert row is not None

    def destroy(tx: Transaction) -> None:
        for scope in scopes_of(row.peer, row.case_ref, row.ref.id):
            tx.destroy_case(scope, country.clock.now())

    await country.store.run(destroy)


async def test_the_next_erasure_does_not_wait_for_the_last_one(world: World) -> None:
    """A second case that is erased a moment later is final as soon."""
    ee = world["EE"]
    cases = await ee.submit("request.json"), await ee.submit("request.json")
    await world.settle()
    for number, case in enumerate(cases):
        await erase(ee, case)
        assert await ee.engine.next_epoch.if_owed() is True
        assert ee.epochs.ring().epochs == (number + 2,)


async def trail(country: Country) -> list[str]:
    """Return what the audit trail says about epochs, oldest first."""
    page = await country.store.read(lambda reader: reader.audit(cursor=None, limit=100))
    return [f"{row.action} {row.subject}" for row in reversed(page.items) if "epoch" in row.action]


async def test_nothing_moves_while_nothing_was_erased(world: World) -> None:
    """A node without erasures stays in its epoch."""
    ee = world["EE"]
    await ee.submit("request.json")
    await world.settle()
    assert await ee.engine.next_epoch.if_owed() is False
    assert ee.epochs.ring().epochs == (1,)
    assert await trail(ee) == []


async def test_an_erasure_ends_the_epoch(world: World) -> None:
    """Soon after it the old wrapping key is destroyed; what was not erased is read and goes on as before."""
    ee = world["EE"]
    gone, stays = await ee.submit("request.json"), await ee.submit("request.json")
    await world.settle()
    await erase(ee, gone)

    assert await ee.engine.next_epoch.if_owed() is True
    assert ee.epochs.ring().epochs == (2,)
    assert await ee.engine.next_epoch.if_owed() is False
    assert await ee.store.run(lambda tx: tx.outbox(gone.message)) is None
    row = await ee.store.run(lambda tx: tx.outbox(stays.message))
    assert row is not None
    assert row.entry.digest == stays.digest
    await ee.submit("request.json")
    await world.settle()
    assert await trail(ee) == ["epoch-begun 2", "epoch-ended 2"]


async def test_while_one_worker_moves_the_keys_another_begins_no_epoch(world: World) -> None:
    """Nor for ever: what a worker that died had begun another one ends."""
    ee, now = world["EE"], world.clock.now()
    await erase(ee, await ee.submit("request.json"))
    until = now + timedelta(minutes=10)
    assert await ee.store.run(lambda tx: tx.take_lease("epochs", token="another", now=now, until=until))
    assert await ee.engine.next_epoch.if_owed() is False
    assert ee.epochs.ring().epochs == (1,)
    world.clock.advance(601)
    assert await ee.engine.next_epoch.if_owed() is True
    assert ee.epochs.ring().epochs == (2,)


async def test_a_peer_is_told_that_the_case_is_erased(world: World) -> None:
    """What it sends into the erased procedure is refused by signed receipt; nothing of it is kept."""
    ee, fi = world["EE"], world["FI"]
    asked = await ee.submit("request.json")
    await world.settle()
    await erase(ee, asked)
    answer = await fi.submit("result.json", procedure=asked.procedure)
    await world.settle()

    row = await fi.store.run(lambda tx: tx.outbox(answer.message))
    assert row is not None
    assert (row.state, row.refusal_code) == ("refused", "case-erased")
    assert await ee.store.run(lambda tx: tx.inbox(fi.us, answer.message)) is None


async def test_another_worker_is_not_disturbed(world: World) -> None:
    """Of two workers one moves the keys, and both read and write before, between and after."""
    ee, other = world["EE"], world.colleague("EE")
    gone = await ee.submit("request.json")
    await erase(ee, gone)
    assert await other.engine.next_epoch.if_owed() is True
    assert await ee.engine.next_epoch.if_owed() is False
    for worker in (ee, other):
        sent = await worker.submit("request.json")
        assert await ee.store.run(lambda tx, sent=sent: tx.outbox(sent.message)) is not None  # type: ignore[misc]
    await other.store.close()


@pytest.mark.parametrize("after", [False, True])
async def test_wherever_it_ends_it_goes_on(tmp_path: Path, *, after: bool) -> None:
    """Dead before or after any of its steps, the next look ends the old epoch, and no message is lost."""
    for step in range(5):  # begin, count, move, count, note
        (tmp_path / f"{step}").mkdir()
        async with World.create(tmp_path / f"{step}", ("EE", "FI")) as world:
            ee = world["EE"]
            gone, stays = await ee.submit("request.json"), await ee.submit("request.json")
            await erase(ee, gone)
            ee.fuse.set(step, after=after)
            with pytest.raises(Crash):
                await ee.engine.next_epoch()
            await world.restart("EE")
            await ee.engine.next_epoch.if_owed()

            assert len(ee.epochs.ring().epochs) == 1, step
            assert ee.epochs.ring().newest > 1, step
            newest = ee.epochs.ring().newest
            assert await ee.store.run(lambda tx, n=newest: tx.keys_before(n)) == {}  # type: ignore[misc]
            row = await ee.store.run(lambda tx, m=stays.message: tx.outbox(m))  # type: ignore[misc]
            assert row is not None, step
            assert await ee.store.read(lambda reader: reader.epoch_owed()) is False, step


async def test_nothing_is_destroyed_when_keys_cannot_be_moved(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that fails in between leaves both wrapping keys where they are."""
    ee = world["EE"]
    sent = await ee.submit("request.json")
    run, calls = ee.store.run, []

    async def failing(fn):  # type: ignore[no-untyped-def]
        calls.append(fn)
        if len(calls) == 3:
            raise StoreUnavailable
        return await run(fn)

    monkeypatch.setattr(ee.engine.next_epoch._store, "run", failing)
    with pytest.raises(StoreUnavailable):
        await ee.engine.next_epoch()
    assert ee.epochs.ring().epochs == (1, 2)
    monkeypatch.undo()
    assert await ee.engine.next_epoch.if_owed() is True
    assert ee.epochs.ring().epochs == (2,)
    assert await ee.store.run(lambda tx: tx.outbox(sent.message)) is not None


def spoil(country: Country, accepted: Accepted, wrapped: str = "zeroblob(61)", epoch: int = 1) -> None:
    """Damage the key of one case, as a disk or a hand does."""
    with exclusive(country.url) as connection:
        connection.execute(
            text(f"UPDATE case_key SET wrapped = {wrapped}, epoch = :epoch WHERE scope = :scope"),
            {"scope": f"FI:{accepted.case_ref}", "epoch": epoch},
        )


def key_of(country: Country, accepted: Accepted) -> tuple[int, bytes]:
    """Return the key of a case as it stands."""
    with exclusive(country.url) as connection:
        words = text("SELECT epoch, wrapped FROM case_key WHERE scope = :scope")
        row = connection.execute(words, {"scope": f"FI:{accepted.case_ref}"}).one()
    return row.epoch, row.wrapped


async def test_a_key_that_does_not_unwrap_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All others move, the wrapping key that its copy in a backup needs stays, its office is called; and it is quiet then."""
    monkeypatch.setattr("broker.flows.next_epoch._BATCH", 1)
    ee = world["EE"]
    cases = [await ee.submit("request.json") for _ in range(3)]
    gone = await ee.submit("request.json")
    good = [key_of(ee, case) for case in cases]
    for case in cases[:2]:
        spoil(ee, case)
    await erase(ee, gone)

    assert await ee.engine.next_epoch.if_owed() is True
    assert ee.epochs.ring().epochs == (1, 2)
    assert key_of(ee, cases[2])[0] == 2
    assert await trail(ee) == ["epoch-begun 2"]
    calls = await ee.store.read(lambda reader: reader.open_calls(["key-stuck"]))
    assert {(call.subject, call.authority) for call in calls} == {
        (case.procedure, "social-insurance-board") for case in cases[:2]
    }
    assert await ee.engine.next_epoch.if_owed() is False
    assert await trail(ee) == ["epoch-begun 2"]
    assert await ee.store.read(lambda reader: reader.open_calls(["key-stuck"])) == calls

    for case, (_, wrapped) in zip(cases[:1], good, strict=False):
        spoil(ee, case, f"x'{wrapped.hex()}'")
    assert await ee.engine.next_epoch.if_owed() is True
    assert ee.epochs.ring().epochs == (1, 2)
    await erase(ee, cases[1])
    assert await ee.engine.next_epoch.if_owed() is True
    assert ee.epochs.ring().epochs == (3,)
    assert await trail(ee) == ["epoch-begun 2", "epoch-begun 3", "epoch-ended 3"]
    assert await ee.store.read(lambda reader: reader.open_calls(["key-stuck"])) == ()
    for case in (cases[0], cases[2]):
        assert await ee.store.run(lambda tx, m=case.message: tx.outbox(m)) is not None  # type: ignore[misc]


async def test_a_key_whose_epoch_has_ended_keeps_no_other_epoch(world: World) -> None:
    """Nothing that is held opens it: its office is called, and erasing goes on to its end."""
    ee = world["EE"]
    lost, gone = await ee.submit("request.json"), await ee.submit("request.json")
    spoil(ee, lost, "wrapped", epoch=0)
    await erase(ee, gone)
    assert await ee.engine.next_epoch.if_owed() is True
    assert ee.epochs.ring().epochs == (2,)
    (call,) = await ee.store.read(lambda reader: reader.open_calls(["key-stuck"]))
    assert (call.subject, call.who) == (lost.procedure, "operator")


async def test_a_key_between_nodes_that_does_not_open_is_replaced_once(world: World) -> None:
    """Of two workers one does so and an operator is called once; what comes is confirmed from then on by both."""
    ee, fi, other = world["EE"], world["FI"], world.colleague("FI")
    await ee.submit("request.json")
    await world.settle()
    with exclusive(fi.url) as connection:
        connection.execute(text("UPDATE case_key SET wrapped = zeroblob(61) WHERE scope = 'node'"))
    for worker in (fi, other, fi):
        await worker.engine.next_epoch.if_owed()

    (call,) = await fi.store.read(lambda reader: reader.open_calls(["node-key-renewed"]))
    assert (call.subject, call.who, call.authority) == ("node", "operator", None)
    for worker in (fi, other):
        asked = await ee.submit("request.json")
        await world.settle()
        answer = await worker.submit("acknowledgement.json", procedure=asked.procedure)
        await world.settle()
        assert await ee.states(asked) == ["handed-over"]
        assert await fi.states(answer) == ["handed-over"]
    await other.store.close()


async def test_a_sound_key_between_nodes_stays(world: World) -> None:
    """Looking changes nothing: what was told under it opens as before, and nobody is called."""
    fi = world["FI"]
    await world["EE"].submit("request.json")
    await world.settle()
    words = text("SELECT wrapped FROM case_key WHERE scope = 'node'")
    with exclusive(fi.url) as connection:
        before = connection.execute(words).scalar_one()
    await fi.engine.next_epoch.if_owed()
    with exclusive(fi.url) as connection:
        assert connection.execute(words).scalar_one() == before
    assert await fi.store.read(lambda reader: reader.open_calls(["node-key-renewed"])) == ()
