# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A disk is lost, an older backup restored, and the other countries give back what passed since."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from broker.core.audit import GENESIS
from broker.core.errors import Healing as StillHealing
from broker.core.errors import SchemaInvalid
from broker.core.healing import MissedState
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.core.record import Mark
from broker.flows.verify_audit import VerifyAudit, WitnessStatement
from broker.reception.healing import Healing
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.storage import migrate
from broker.testing.crashes import Crash
from broker.testing.hostile import Hostile
from broker.testing.lost_disk import Kept, keep, lose_disk
from broker.testing.postgres import PostgresServer, waits_for_lock
from broker.testing.world import Country, World, officer

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
BOARD = AuthorityId("social-insurance-board")
OFFICE = AuthorityId("helsinki-wellbeing-services")
POSTGRES = (pytest.mark.postgres, pytest.mark.xdist_group("postgres"))  # one server for all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What passed before and after a backup of EE."""

    world: World
    kept: Kept
    old: Accepted  # opened before; answered after
    new: Accepted  # opened and answered after


async def exchanged(folder: Path, urls: Mapping[str, str] = MappingProxyType({})) -> Exchange:
    """EE asks, is backed up, gets the answers, asks again and gets that answered too."""
    world = World.create(folder, ("EE", "FI"), urls=urls)
    old = await world["EE"].submit("request.json")
    await world.settle()
    kept = keep(world, "EE")
    world.clock.advance(7200)
    await world["FI"].desk.open_message(old.message, officer(OFFICE, "o"))
    for example in ("acknowledgement.json", "result.json"):
        await world["FI"].submit(example, procedure=old.procedure)
        await world.settle()
    new = await world["EE"].submit("request.json")
    await world.settle()
    await world["FI"].submit("acknowledgement.json", procedure=new.procedure)
    await world.settle()
    return Exchange(world=world, kept=kept, old=old, new=new)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=POSTGRES)])
async def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Exchange]:
    """Before the disk is lost, with either database under the node that loses it."""
    server: PostgresServer | None = None if request.param == "sqlite" else request.getfixturevalue("postgres_run")
    urls = {} if server is None else {"EE": server.database(like=migrate)}
    made = await exchanged(tmp_path, urls)
    yield made
    await made.world.__aexit__()
    if server is not None:
        server.drop(urls["EE"])


async def heal(world: World, rounds: int = 12) -> None:
    """Let some minutes pass."""
    for _ in range(rounds):
        await world.settle()
        world.clock.advance(61)
    await world.settle()


async def records(exchange: Exchange, name: str) -> list[tuple[object, ...]]:
    """Return what a country holds of both procedures."""
    views = [await exchange.world[name].view(one.procedure) for one in (exchange.old, exchange.new)]
    return [
        (view.state, view.digest, view.gap, [(line.digest, line.mark, line.final) for line in view.entries])
        for view in views
    ]


async def test_both_records_are_equal_again(exchange: Exchange) -> None:
    """Answers that came since, an own request and its answer, receipts of both: all of it comes back, once."""
    world = exchange.world
    before = await records(exchange, "FI")
    assert await records(exchange, "EE") == before
    await lose_disk(world, "EE", exchange.kept)
    assert [entry for entry in (await world["EE"].view(exchange.old.procedure)).entries if entry.author == FI] == []
    await heal(world)

    assert await records(exchange, "EE") == await records(exchange, "FI") == before
    assert await world["EE"].states(exchange.old, exchange.new) == ["opened", "handed-over"]
    assert await world["EE"].attention() == []
    assert await world["FI"].attention() == ["peer-restored"]
    (status,) = await world["EE"].engine.heal.status()
    assert (status.row.ended is not None, status.wanted, status.lost) == (True, (), ())


async def test_nothing_is_sent_before_the_other_country_has_answered(exchange: Exchange) -> None:
    """Receipts wait, a submission is told to come again, and what asks leaves; afterwards all of it goes on."""
    world = exchange.world
    await lose_disk(world, "EE", exchange.kept)
    world.network.published.clear()
    with pytest.raises(StillHealing):
        await world["EE"].submit("request.json", idempotency_key="k")
    await world["EE"].step()
    assert len(world.network.published) == 1  # the question
    await heal(world)
    again = await world["EE"].submit("request.json", idempotency_key="k")
    await world.settle()
    assert await world["EE"].states(again) == ["handed-over"]


@pytest.mark.parametrize("answered", [True, False], ids=["an answer", "crossing"])
async def test_what_was_under_way_waits_for_our_own_messages(tmp_path: Path, *, answered: bool) -> None:
    """Confirmed before what was lost with the disk is back, it would leave that without effect, for good.

    It is in the broker's queue when the restored node starts: an answer to what was lost, or what crossed it on the way.
    """
    async with World.create(tmp_path, ("EE", "FI")) as world:
        asked = await world["EE"].submit("request.json")
        await world.settle()
        kept = keep(world, "EE")
        world.clock.advance(60)
        if answered:
            asked = await world["EE"].submit("request.json")
            await world.settle()
        else:
            withdrawal = json.loads(read_schema_file("examples/family-tracing/withdrawal-no-reason.json"))
            await world["EE"].submit(withdrawal, procedure=asked.procedure)
            await world["EE"].engine.dispatch()
        await world["FI"].submit("acknowledgement.json", procedure=asked.procedure)
        await world["FI"].engine.dispatch()  # and EE is lost before it takes this
        while await world["FI"].step():
            pass
        await lose_disk(world, "EE", kept)
        await heal_and_offer(world)

        ours, theirs = [await world[name].view(asked.procedure) for name in ("EE", "FI")]
        assert (ours.state, ours.digest, len(ours.entries)) == (theirs.state, theirs.digest, 2 if answered else 3)
        assert Mark.FORKED not in {line.mark for line in (*ours.entries, *theirs.entries)}
        assert world["EE"].outcomes.count("not-healed") > 0
        assert await world["EE"].attention() == []
        assert await world["FI"].attention() == ["peer-restored"]


async def test_what_was_under_way_is_shown_within_the_hour(tmp_path: Path) -> None:
    """Its author is down and gives nothing back: officers see what it wrote, although earlier messages are missing."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        kept = keep(world, "EE")
        asked = await world["EE"].submit("request.json")
        await world.settle()
        answer = await world["FI"].submit("acknowledgement.json", procedure=asked.procedure)
        await world["FI"].engine.dispatch()
        await lose_disk(world, "EE", kept)
        seen = []
        for _ in range(3):
            await world["EE"].step()
            await world["EE"].offer_parked()
            seen.append(await world["EE"].store.run(lambda tx: tx.inbox(FI, answer.message)) is not None)
            world.clock.advance(1_801)

        assert seen == [False, False, True]


async def test_a_receipt_for_what_no_list_names_calls_a_person(tmp_path: Path) -> None:
    """It was lost with the disk and reached the other country behind its list: nothing else here tells of it ever."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        kept = keep(world, "EE")
        await world["EE"].submit("request.json")
        await world.settle()
        late = await world["EE"].submit("request.json")
        await world["EE"].engine.dispatch()
        under_way = world.network.waiting[FI].copy()
        world.network.waiting[FI].clear()
        await lose_disk(world, "EE", kept)
        for name in ("EE", "FI", "EE"):  # asked, answered with a list, taken
            await world[name].step()
        world.network.waiting[FI].extend(under_way)
        await heal(world)

        assert await world["EE"].store.run(lambda tx: tx.outbox(late.message)) is None
        assert await world["EE"].attention() == ["strange-receipt"]


@pytest.mark.postgres
@pytest.mark.xdist_group("postgres")
async def test_who_ends_the_asking_while_an_answer_is_taken_has_ended_it(
    tmp_path: Path, postgres_run: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that takes the answer looked before: what it saves does not begin the asking anew, with nobody told."""
    urls, loop, ended = {"EE": postgres_run.database(like=migrate)}, asyncio.get_running_loop(), list[Any]()
    exchange = await exchanged(tmp_path, urls)
    world = exchange.world
    await lose_disk(world, "EE", exchange.kept)
    for name in ("EE", "FI", "FI"):  # asked and answered
        await world[name].step()
    compare = Healing._compare

    def slowly(self: Healing, *given: Any) -> None:
        if not ended:
            ending = world["EE"].engine.heal.end(FI, officer(None, "o"))
            ended.append(asyncio.run_coroutine_threadsafe(ending, loop))
            waits_for_lock(urls["EE"], ended[0].done)
        compare(self, *given)

    monkeypatch.setattr(Healing, "_compare", slowly)
    await world["EE"].step()
    await asyncio.wrap_future(ended[0])

    (status,) = await world["EE"].engine.heal.status()
    assert status.row.ended is not None
    await world.__aexit__()
    postgres_run.drop(urls["EE"])


async def heal_and_offer(world: World) -> None:
    """Let some minutes pass, and offer what is parked as the node's loop does."""
    for _ in range(12):
        await world.settle()
        for name in ("EE", "FI"):
            await world[name].offer_parked()
        world.clock.advance(61)
    await world.settle()


async def test_a_country_that_is_down_is_asked_on_and_told_of(exchange: Exchange) -> None:
    """Hours later it is up again, and the node completes; until then a person sees who is silent."""
    world = exchange.world
    await lose_disk(world, "EE", exchange.kept)
    for _ in range(20):
        await world["EE"].step()
        world.clock.advance(600)
    assert await world["EE"].attention() == ["healing"]
    await heal(world, rounds=20)
    assert await records(exchange, "EE") == await records(exchange, "FI")
    assert await world["EE"].attention() == []


async def test_what_we_never_signed_is_refused_and_named(exchange: Exchange, tmp_path: Path) -> None:
    """The other country changes one message of ours in its store and gives it back: it has no effect here."""
    world = exchange.world
    await lose_disk(world, "EE", exchange.kept)

    await world["FI"].store.close()
    with sqlite3.connect(tmp_path / "FI.db") as database:
        other = database.execute(
            "SELECT signatures FROM inbox_content WHERE id = ?", (exchange.old.message,)
        ).fetchone()
        database.execute("UPDATE inbox_content SET signatures = ? WHERE id = ?", (*other, exchange.new.message))
    database.close()
    await world.restart("FI")
    await heal(world)
    (status,) = await world["EE"].engine.heal.status()
    (lost,) = status.lost
    assert (lost.message, lost.state, lost.code) == (exchange.new.message, MissedState.LOST, "bad-signature")
    assert await world["EE"].store.run(lambda tx: tx.outbox(exchange.new.message)) is None
    assert "healing-incomplete" in await world["EE"].attention()


@pytest.mark.parametrize("box", ["inbox", "outbox"])
async def test_what_does_not_open_there_is_named_and_holds_up_nothing_else(exchange: Exchange, box: str) -> None:
    """One damaged message in the other country, of either side: the rest comes back, and the two speak again."""
    world = exchange.world
    await lose_disk(world, "EE", exchange.kept)
    with sqlite3.connect(world["FI"].url.removeprefix("sqlite:///")) as database:
        (message,) = database.execute(f"SELECT max(id) FROM {box}_content WHERE scope != 'node'").fetchone()
        database.execute(f"UPDATE {box}_content SET header = x'00', content = x'00' WHERE id = ?", (message,))
    database.close()
    await heal(world)
    (status,) = await world["EE"].engine.heal.status()
    assert [(item.message, item.code) for item in status.lost] == [(message, "not-held")]
    assert status.row.ended is not None
    assert "healing-incomplete" in await world["EE"].attention()
    again = await world["EE"].submit("request.json")
    await world.settle()
    assert await world["EE"].states(again) == ["handed-over"]


async def test_a_later_receipt_for_what_could_not_be_got_back_is_nothing_strange(
    exchange: Exchange, tmp_path: Path
) -> None:
    """The other country keeps it without its signatures; it was named to a person, and is opened there days later."""
    world = exchange.world
    await lose_disk(world, "EE", exchange.kept)
    await world["FI"].store.close()
    with sqlite3.connect(tmp_path / "FI.db") as database:
        database.execute("UPDATE inbox_content SET signatures = NULL WHERE id = ?", (exchange.new.message,))
    database.close()
    await world.restart("FI")
    await heal(world)
    await world["FI"].desk.open_message(exchange.new.message, officer(OFFICE, "o"))
    await world.settle()

    (status,) = await world["EE"].engine.heal.status()
    assert [(item.message, item.code) for item in status.lost] == [(exchange.new.message, "not-held")]
    assert status.row.ended is not None
    assert "strange-receipt" not in await world["EE"].attention()


@pytest.mark.parametrize("opener", ["EE", "FI"])
async def test_what_was_refused_in_a_procedure_that_began_since_has_its_place_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: str
) -> None:
    """The list names the refusal before its procedure is back; what was written after it must not wait for it for ever."""
    offices = {"EE": BOARD, "FI": OFFICE}
    answerer = "FI" if opener == "EE" else "EE"

    def changes(author: str) -> dict[str, Any]:
        other = "FI" if author == "EE" else "EE"
        recipient = Party(country=CountryCode(other), authority=offices[other])
        return {"sender_authority": offices[author], "recipient": recipient}

    def refuse(*_: Any, **__: Any) -> None:
        raise SchemaInvalid(where="/body")

    async with World.create(tmp_path, ("EE", "FI")) as world:
        kept = keep(world, "EE")
        world.clock.advance(60)
        asked = await world[opener].submit("request.json", **changes(opener))
        await world.settle()
        with monkeypatch.context() as patch:
            patch.setattr(world[opener].engine.receive._reception._admission, "judge", refuse)
            await world[answerer].submit("acknowledgement.json", procedure=asked.procedure, **changes(answerer))
            await world.settle()
        await world[answerer].submit("result.json", procedure=asked.procedure, **changes(answerer))
        await world.settle()
        before = await world["FI"].view(asked.procedure)
        assert [line.mark for line in before.entries] == [Mark.EFFECT, Mark.STUB, Mark.EFFECT]

        await lose_disk(world, "EE", kept)
        await heal(world)
        ours, theirs = [await world[name].view(asked.procedure) for name in ("EE", "FI")]
        assert (ours.state, ours.digest, ours.gap) == (theirs.state, theirs.digest, False)
        assert [(line.digest, line.mark) for line in ours.entries] == [
            (line.digest, line.mark) for line in before.entries
        ]
        (status,) = await world["EE"].engine.heal.status()
        assert status.row.ended is not None
        # Of Finland's refused message nothing lacks; the words of Estonia's own are lost.
        assert [(item.author, item.code) for item in status.lost] == ([] if opener == "EE" else [("EE", "refused")])
        assert ("healing-incomplete" in await world["EE"].attention()) is (opener == "FI")
        assert "gap" not in await world["EE"].attention()


async def test_our_messages_never_come_back_into_a_third_countrys_procedure(tmp_path: Path) -> None:
    """It opened one of that id in the minute after the restore: whoever answers in it would tell it what is another's."""
    async with World.create(tmp_path, ("EE", "FI", "SE")) as world:
        kept = keep(world, "EE")
        world.clock.advance(60)
        asked = await world["EE"].submit("request.json")
        await world.settle()
        before = await world["FI"].view(asked.procedure)
        await lose_disk(world, "EE", kept)
        liar, ours = Hostile(world["SE"], world["EE"]), Party(country=EE, authority=BOARD)
        said = liar.message("request.json", procedure=before.row.ref, recipient=ours)
        assert await liar.send(said) == "recorded"

        await heal(world)
        view = await world["EE"].view(asked.procedure)
        assert [(view.row.peer, line.author) for line in view.entries] == [(SE, SE)]
        assert await world["FI"].view(asked.procedure) == before
        found = {status.row.peer: status for status in await world["EE"].engine.heal.status()}
        assert [(item.message, item.code) for item in found[FI].lost] == [(asked.message, "procedure-mismatch")]
        assert "healing-incomplete" in await world["EE"].attention()


async def test_what_a_national_system_repeats_is_not_sent_twice(tmp_path: Path) -> None:
    """It never heard yes, or the yes was lost with the disk: the same key gets the message that was sent then."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        kept = keep(world, "EE")
        world.clock.advance(60)
        sent = await world["EE"].submit("request.json", idempotency_key="case 17")
        await world.settle()
        await lose_disk(world, "EE", kept)
        await heal(world)
        again = await world["EE"].submit("request.json", idempotency_key="case 17")
        other = await world["EE"].submit("request.json", idempotency_key="case 18")

        assert (again.message, again.digest, again.repeated) == (sent.message, sent.digest, True)
        assert other.message != sent.message
        await world.settle()
        assert world["FI"].tally.counted.count(("received", "EE", "family-tracing.request")) == 2


async def test_files_come_again_and_own_ones_are_named(tmp_path: Path) -> None:
    """What another country sent after the backup is whole again; bytes of our own files it cannot give back."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        old = await world["EE"].submit("request.json")
        await world.settle()
        kept = keep(world, "EE")
        world.clock.advance(60)
        await world["FI"].submit("acknowledgement.json", procedure=old.procedure)
        await world.settle()
        theirs = await with_file(world["FI"], "result.json", procedure=old.procedure)
        ours = await with_file(world["EE"], "request.json")
        await world.settle()
        assert await world["EE"].states(ours) == await world["FI"].states(theirs) == ["handed-over"]
        await lose_disk(world, "EE", kept)
        await heal(world, rounds=6)

        row = await world["EE"].store.run(lambda tx: tx.inbox(FI, theirs.message))
        assert row is not None
        (held,) = await world["EE"].store.read(lambda reader: reader.attachments_of(FI, theirs.message))
        assert held.complete is not None
        (status,) = await world["EE"].engine.heal.status()
        assert [(item.message, item.state, item.code) for item in status.lost] == [
            (ours.message, MissedState.FOUND, "attachments")
        ]
        assert "healing-incomplete" in await world["EE"].attention()
        assert await world["EE"].states(ours) == ["handed-over"]


async def with_file(country: Country, example: str, **changes: Any) -> Accepted:
    """Submit an example with one small file."""
    office = country.submission(example, **changes).sender_authority
    return await country.submit(example, attachments=(await country.upload(office=office),), **changes)


STRIDE = int(os.environ.get("TRM_TEST_CRASH_STRIDE", "7"))
OFFSET = {("EE", False): 0, ("EE", True): 2, ("FI", False): 4, ("FI", True): 6}
ROUNDS = 20  # of a minute each: a country that died is asked again after some


@pytest.mark.parametrize(("name", "after"), OFFSET)
async def test_a_crash_anywhere_while_it_heals_loses_nothing(tmp_path: Path, name: str, *, after: bool) -> None:
    """Either node dies at a call, before or after it takes effect, and starts again: both records are equal at the end.

    Every seventh call, from another one for each way of dying; ``TRM_TEST_CRASH_STRIDE=1`` tries each.
    """
    (tmp_path / "model").mkdir()
    model = await exchanged(tmp_path / "model")
    before = await records(model, "FI")
    await model.world.__aexit__()
    for number in itertools.count(OFFSET[name, after], STRIDE):
        exchange = taken_up(model, tmp_path / "model", tmp_path / str(number), seed=f" {number}")
        world = exchange.world
        await lose_disk(world, "EE", exchange.kept)
        fuse = world[name].fuse
        fuse.set(number, after=after)
        for _ in range(ROUNDS):
            if await healed(world, name):
                break
            world.clock.advance(61)
        fuse.remove()
        await world.settle()
        assert await records(exchange, "EE") == await records(exchange, "FI") == before, f"call {number}"
        assert await world["EE"].attention() == []
        await world.__aexit__()
        if not fuse.blown:
            assert number > 100  # it died at many calls before
            return


def taken_up(model: Exchange, source: Path, folder: Path, *, seed: str) -> Exchange:
    """Return another world at the same moment, over copies of both stores."""
    folder.mkdir()
    for name in ("EE", "FI"):
        with sqlite3.connect(source / f"{name}.db") as old, sqlite3.connect(folder / f"{name}.db") as new:
            old.backup(new)
        old.close()
        new.close()
    urls = {name: f"sqlite:///{folder / name}.db" for name in ("EE", "FI")}
    world = World.create(folder, ("EE", "FI"), urls=urls, seed=seed)
    world.clock.advance((model.world.clock.now() - world.clock.now()).total_seconds())
    return replace(model, world=world)


async def healed(world: World, name: str) -> bool:
    """Settle, and say whether nothing is asked any more; whoever dies is started again."""
    while True:
        try:
            await world.settle()
            found = await world["EE"].engine.heal.status()
        except Crash:
            await world.restart(name)
            continue
        return bool(found) and all(one.row.ended is not None for one in found)


async def test_a_restored_trail_is_told_of_and_no_tampering(tmp_path: Path) -> None:
    """The other country holds later heads: it hears why the trail is shorter, and the check names what is missing."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        await world["EE"].submit("request.json")
        await told(world)
        kept = keep(world, "EE")
        for _ in range(2):
            await world["FI"].submit(
                "request.json", recipient=Party(country=EE, authority=BOARD), sender_authority=OFFICE
            )
            await told(world)
        held = await world["FI"].store.read(lambda reader: reader.witnesses(EE, GENESIS, 100))
        assert held[-1].head.position > kept.position
        await lose_disk(world, "EE", kept)
        await heal(world)
        await world["FI"].submit("request.json", recipient=Party(country=EE, authority=BOARD), sender_authority=OFFICE)
        await told(world)

        every = await world["FI"].store.read(lambda reader: reader.witnesses(EE, GENESIS, 100))
        later = set(every) - set(held)
        assert later
        assert await world["FI"].attention() == ["peer-restored"]
        ee = world["EE"]
        member = ee.trust.current().members[EE]
        verify = VerifyAudit(
            us=EE, store=ee.store, compute=ee.desk.compute, clock=ee.clock, member_then=lambda _, __: member
        )
        verdict = await verify([WitnessStatement(raw=one.raw, held_by=FI) for one in (*held, *later)])
        assert verdict.intact
        assert {(one.first, one.last) for one in verdict.restored} == {
            (kept.position + 1, one.head.position) for one in held if one.head.position > kept.position
        }


async def told(world: World) -> None:
    """Settle, link EE's trail, and let its head travel with receipts."""
    await world.settle()
    world.clock.advance(61)
    while await world["EE"].engine.link_audit():
        pass
    await world.settle()
