# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Deciding about a believed message: recorded, or refused with a stub."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core import capacity
from broker.core.content import entry_of
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageType, ProcedureId
from broker.core.messages import OutboxEntry, OutboxKind
from broker.core.receipts import Receipt, ReceiptKind
from broker.reception.remembering import Memory
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
NOWHERE = Digest("0" * 64)


async def _about(country: Country, accepted: Any, author: CountryCode = EE) -> tuple[Receipt, ...]:
    message = accepted.message if isinstance(accepted, Accepted) else accepted.id
    return await country.store.read(lambda reader: reader.receipts_about(author, message))


async def test_a_full_record_grows_no_more_and_still_takes_a_stop(
    world: World, asking: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that floods a procedure gets signed refusals without a stub; its withdrawal and our own answer still fit."""
    monkeypatch.setattr(capacity, "MOST_BY_ONE_SIDE", 5)
    monkeypatch.setattr(capacity, "RESERVED", 1)
    fi, request = world["FI"], asking.message("request.json")
    assert await asking.send(request) == "recorded"
    again = {"procedure": request.header.procedure, "case_ref": request.header.case_ref}
    parent, outcomes = request.digest, []
    for _ in range(5):
        entry = asking.message("request.json", parents=(parent,), **again)
        outcomes.append(await asking.send(entry))
        parent = entry.digest if outcomes[-1] == "recorded" else parent
    assert outcomes == ["recorded"] * 3 + ["record-full"] * 2
    (refusal,) = await _about(fi, entry)
    assert (refusal.kind, refusal.code, refusal.heads) == (ReceiptKind.REFUSED, "record-full", ())
    invalid = asking.message("request.json", parents=(parent,), body={}, **again)
    assert await asking.send(invalid) == "schema-invalid"
    assert len(await fi.store.read(lambda reader: reader.record(request.header.procedure.id))) == 4

    stop = asking.message(_withdrawal_example(), parents=(parent,), **again)
    assert await asking.send(stop) == "recorded"
    assert len(await fi.store.read(lambda reader: reader.record(request.header.procedure.id))) == 5


@pytest.mark.parametrize("same_procedure", [True, False], ids=["same procedure", "another procedure"])
async def test_one_id_with_two_contents_at_two_workers_is_an_attack(
    world: World, asking: Hostile, monkeypatch: pytest.MonkeyPatch, same_procedure: bool
) -> None:
    """Who looked for the id before the other worker committed finds it out when it records, and records nothing."""
    fi, first = world["FI"], asking.message("request.json")
    about = {"procedure": first.header.procedure, "case_ref": first.header.case_ref, "parents": (first.digest,)}
    second = asking.message("request.json", id=first.id, purpose="Something else", **about if same_procedure else {})
    assert await asking.send(first) == "recorded"
    before = await fi.view(first.procedure)

    _look_too_early(monkeypatch)
    assert await asking.send(second) == "id-reused"
    assert await fi.attention() == ["id-reused"]
    assert await fi.view(first.procedure) == before
    assert len(await fi.store.read(lambda reader: reader.record(second.procedure))) == int(same_procedure)


async def test_one_message_at_two_workers_is_answered_by_both_and_recorded_once(
    world: World, asking: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes second finds the message in the record and answers it again."""
    fi, first = world["FI"], asking.message("request.json")
    assert await asking.send(first) == "recorded"
    before = await fi.view(first.procedure)
    _look_too_early(monkeypatch)
    assert await asking.send(first) == "repeat"
    assert await fi.view(first.procedure) == before
    assert await fi.attention() == []


def _look_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next look for a message's id find nothing, as if another worker committed only after it."""
    known, looks = Memory.known, iter([False])

    def look(*arguments: Any) -> bool:
        return next(looks, True) and known(*arguments)

    monkeypatch.setattr(Memory, "known", look)


async def test_a_body_that_does_not_fit_its_schema_is_refused(world: World, asking: Hostile) -> None:
    """Schemas hold also for what comes in, whatever the other side's node let out."""
    entry = asking.message("request.json", body={"child": {}})
    assert await asking.send(entry) == "schema-invalid"
    assert [receipt.code for receipt in await _about(world["FI"], entry)] == ["schema-invalid"]


async def test_a_refused_opening_stays_as_a_stub_that_the_mended_one_descends_from(
    world: World, asking: Hostile
) -> None:
    """The author's next message names the stub as its parent: it is placed and takes effect, no gap is left."""
    refused = asking.message("request.json", body={"child": {}})
    assert await asking.send(refused) == "schema-invalid"
    mended = asking.message(
        "request.json", procedure=refused.header.procedure, parents=(refused.digest,), case_ref=refused.header.case_ref
    )
    assert await asking.send(mended) == "recorded"

    assert mended.procedure is not None
    view = await world["FI"].desk.inspect.procedure(mended.procedure, authority=None)
    assert [(line.mark, line.code) for line in view.entries] == [("stub", "schema-invalid"), ("effect", None)]
    assert (view.state, view.gap) == ("REQUESTED", False)
    assert await world["FI"].attention() == []


async def test_an_unknown_act_opens_a_record_without_effect(world: World, asking: Hostile) -> None:
    """It is refused and signed for; its stub keeps the place that later messages descend from."""
    entry = asking.message("request.json", type=MessageType("family-tracing.rumour"))
    assert await asking.send(entry) == "unknown-type"
    assert entry.procedure is not None
    view = await world["FI"].view(entry.procedure)
    assert ([line.mark for line in view.entries], view.state) == (["stub"], "NEW")
    assert not [name for name, n in (await world["FI"].counts()).items() if n and name.startswith("inbox")]


async def test_a_refused_message_with_thousands_of_parents_leaves_no_stub(world: World, asking: Hostile) -> None:
    """It is refused and signed for, but would make every later fold of a record slow."""
    parents = tuple(Digest(f"{number:064x}") for number in range(1000))
    entry = asking.message("request.json", parents=parents)
    assert await asking.send(entry) == "header-invalid"
    assert entry.procedure is not None
    procedure = entry.procedure
    assert [receipt.code for receipt in await _about(world["FI"], entry)] == ["header-invalid"]
    assert await world["FI"].store.run(lambda tx: tx.record(procedure)) == ()


async def test_a_message_under_an_id_of_ours_is_taken_as_its_authors(world: World, asked: Hostile) -> None:
    """The key of a message is author and id: the peer's message under our id is recorded and answered, not a repeat."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    view = await world["FI"].view(request.procedure)
    entry = asked.message(
        "acknowledgement.json",
        procedure=view.row.ref, parents=view.heads, case_ref=view.row.case_ref, id=request.message,
    )  # fmt: skip
    assert await asked.send(entry) == "recorded"
    assert [receipt.kind for receipt in await _about(world["EE"], entry, FI)] == ["delivered", "handed-over"]
    assert (await world["EE"].view(request.procedure)).state == "ACKNOWLEDGED"


async def test_a_message_whose_parents_are_missing_has_a_receipt_that_its_author_can_read(
    world: World, asking: Hostile
) -> None:
    """Nothing is placed, so the receipt states neither heads nor a digest; one that did would be refused whole."""
    entry = asking.message("request.json", parents=(NOWHERE,))
    assert await asking.send(entry) == "recorded"
    for receipt in await _about(world["FI"], entry):
        assert (receipt.heads, receipt.record_digest) == ((), None)
    await world.settle()
    assert set(world["EE"].outcomes) == {"receipts"}
    assert await world["EE"].attention() == ["strange-receipt"]  # a message that Estonia's node never made


async def test_a_refused_message_is_the_same_stub_on_both_sides(world: World, asked: Hostile) -> None:
    """The recipient's signed refusal makes the stub: same marks, state and digest, the author's people are called."""
    request = await world["EE"].submit("request.json")
    await world.settle()

    def without_office(member: Any) -> Any:
        return replace(member, authorities=member.authorities[1:]) if member.country == EE else member

    acknowledgement = await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    world.set_trust(without_office)
    await world["EE"].trust.refresh()
    await world.settle()

    assert await world["FI"].states(acknowledgement) == ["refused"]
    ours, theirs = await world["EE"].view(request.procedure), await world["FI"].view(request.procedure)
    assert [(line.digest, line.mark, line.code) for line in ours.entries] == [
        (line.digest, line.mark, line.code) for line in theirs.entries
    ]
    assert [line.mark for line in ours.entries] == ["effect", "stub"]
    assert ours.digest == theirs.digest is not None
    assert (ours.state, theirs.state) == ("REQUESTED", "REQUESTED")
    assert (await world["EE"].attention(), await world["FI"].attention()) == ([], ["refused"])


async def test_a_stub_is_a_parent_like_any_other(world: World) -> None:
    """After a refusal the procedure goes on, and both sides keep the same record."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    catalogue = world["EE"].desk.trust.current()
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    world.set_trust(
        lambda member: replace(member, authorities=member.authorities[1:]) if member.country == EE else member
    )
    await world["EE"].trust.refresh()
    await world.settle()
    world.set_trust(lambda member: catalogue.members[member.country])
    await world["EE"].trust.refresh()
    await world["FI"].submit("result.json", procedure=request.procedure)
    await world.settle()

    ours, theirs = await world["EE"].view(request.procedure), await world["FI"].view(request.procedure)
    assert [line.mark for line in ours.entries] == ["effect", "stub", "effect"]
    assert ours.digest == theirs.digest is not None
    assert ours.state == theirs.state == "ANSWERED"


async def test_a_refusal_is_answered_again_not_decided_again(world: World, asking: Hostile) -> None:
    """The refused message sealed anew gets the stored refusal; there is one receipt."""
    entry = asking.message("request.json", body={})
    assert [await asking.send(entry), await asking.send(entry)] == ["schema-invalid", "repeat"]
    assert len(await _about(world["FI"], entry)) == 1


async def test_one_refused_message_at_two_workers_is_refused_once(
    world: World, asking: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes second finds the refusal and answers it again: one stub, one receipt."""
    fi, entry = world["FI"], asking.message("request.json", body={})
    assert await asking.send(entry) == "schema-invalid"
    before, (refusal,) = await fi.view(_procedure(entry)), await _about(fi, entry)
    world.clock.advance(1)
    _look_too_early(monkeypatch)
    assert await asking.send(entry) == "repeat"
    assert await fi.view(_procedure(entry)) == before
    assert await _about(fi, entry) == (refusal,)


def _procedure(entry: OutboxEntry) -> ProcedureId:
    assert entry.procedure is not None
    return entry.procedure


async def test_a_gap_delays_effect_never_sight(world: World) -> None:
    """A message whose parent is missing is handed over and shown as waiting; the parent's arrival resolves the gap."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world["FI"].engine.dispatch()
    kept = world.network.waiting[EE].copy()
    world.network.waiting[EE].clear()
    await world["FI"].submit("result.json", procedure=request.procedure)
    await world.settle()

    view = await world["EE"].view(request.procedure)
    assert [line.mark for line in view.entries] == ["effect", "waiting"]
    assert (view.state, view.gap, view.row.gap) == ("REQUESTED", True, True)
    assert await world["EE"].attention() == ["gap"]
    assert (await world["EE"].counts())["inbox.handed-over"] == 1

    world.network.waiting[EE].extend(kept)
    await world.settle()
    views = [await world[name].view(request.procedure) for name in ("EE", "FI")]
    assert [line.mark for line in views[0].entries] == ["effect", "effect", "effect"]
    assert views[0].digest == views[1].digest is not None
    assert (views[0].state, views[0].row.gap) == ("ANSWERED", False)
    assert await world["EE"].attention() == await world["FI"].attention() == []


async def test_a_message_may_overtake_the_one_that_opens_its_procedure(world: World) -> None:
    """A withdrawal before its request makes the procedure with a gap; the request closes it and the withdrawal holds."""
    request = await world["EE"].submit("request.json")
    await world["EE"].engine.dispatch()
    kept = world.network.waiting[FI].copy()
    world.network.waiting[FI].clear()
    await world["EE"].submit(_withdrawal(world, request), procedure=request.procedure)
    await world.settle()
    assert await world["FI"].attention() == ["gap"]

    world.network.waiting[FI].extend(kept)
    await world.settle()
    views = [await world[name].view(request.procedure) for name in ("EE", "FI")]
    assert {view.state for view in views} == {"WITHDRAWN"}
    assert views[0].digest == views[1].digest is not None
    assert await world["FI"].attention() == []


def _withdrawal_example() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file("examples/family-tracing/withdrawal-no-reason.json"))
    return data


def _withdrawal(world: World, request: Accepted) -> dict[str, Any]:
    return {**_withdrawal_example(), "procedure": request.procedure}


async def test_a_fork_is_kept_and_has_no_effect(world: World, asked: Hostile) -> None:
    """A result that ignores its author's own acknowledgement is delivered and marked, security is called, nothing moves."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    heads = (await world["FI"].view(request.procedure)).heads
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    before = await world["EE"].view(request.procedure)
    fork = asked.message(
        "result.json", procedure=before.row.ref, parents=heads, case_ref=before.row.case_ref,
    )  # fmt: skip
    assert await asked.send(fork) == "recorded"
    await world["EE"].engine.deliver()

    view = await world["EE"].view(request.procedure)
    assert {line.message: line.mark for line in view.entries}[fork.id] == "forked"
    assert (view.state, view.heads) == (before.state, before.heads)
    row = await world["EE"].store.run(lambda tx: tx.inbox(FI, fork.id))
    assert row is not None
    assert (row.entry.mark, row.state) == ("forked", "handed-over")
    assert await world["EE"].attention() == ["forked"]


async def test_an_adapter_is_told_that_a_message_is_forked(world: World, asked: Hostile) -> None:
    """The national system gets the message with its mark, so that nobody acts on it."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    given = []

    class System:
        manifest: Any = None

        async def deliver(self, message: Any) -> None:
            given.append(message)

    world["EE"].adapters[AuthorityId("social-insurance-board")] = System()  # type: ignore[assignment]
    view = await world["FI"].view(request.procedure)
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    await asked.send(
        asked.message("result.json", procedure=view.row.ref, parents=view.heads, case_ref=view.row.case_ref)
    )
    await world["EE"].engine.deliver()
    assert [message.forked for message in given] == [False, True]


async def test_what_a_newer_node_says_to_nodes_is_not_answered(world: World, asking: Hostile) -> None:
    """A type `node.…` that nobody here knows is no casework: however old or early, it is neither answered nor parked."""
    now, plain = world.clock.now(), asking.receipts().header
    for created, expires in ((now, None), (now, now - timedelta(days=1)), (now + timedelta(hours=1), None)):
        made = {"id": world["EE"].ids.message_id(), "type": MessageType("node.future"), "created": created}
        entry = entry_of(replace(plain, **made), {}, OutboxKind.RECEIPTS)
        assert await world["FI"].engine.receive(asking.seal(entry, expires=expires)) == "unknown-type"
    await world.settle()

    assert world.network.published == []
    assert (await world["FI"].counts())["parked"] == 0
    assert await world["FI"].attention() == []
