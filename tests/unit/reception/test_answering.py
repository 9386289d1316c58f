# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a node says to another one that was restored, or says that it was."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core import canonical
from broker.core.content import entry_of
from broker.core.delivery import HEAL_PAUSE_SECONDS
from broker.core.healing import RESTORED_TYPE, Answer, Question
from broker.core.ids import AuthorityId, CountryCode, MessageId
from broker.core.messages import OutboxEntry, OutboxKind
from broker.ledger import node_header
from broker.security.at_rest import scope_of
from broker.storage.execution import Execution
from broker.storage.healing import SqlHealing
from broker.storage.reader import SqlReader
from broker.testing.hostile import Hostile
from broker.testing.store_rows import digest
from broker.testing.world import World

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")


def question(world: World, **asked: Any) -> OutboxEntry:
    """Return EE's question; it says that it was restored now, from a backup of a day ago."""
    ee, now = world["EE"], world.clock.now()
    header = node_header(ee.ids, RESTORED_TYPE, us=EE, peer=FI, created=now)
    made = Question(since=now.replace(hour=0), restored=now, position=0, head=digest("0"), **asked)
    return entry_of(header, made.body(), OutboxKind.RECEIPTS)


async def answers(world: World) -> list[Answer]:
    """Return what FI owes in answer."""
    found = await world["FI"].store.run(lambda tx: tx.lease_outbox(
        now=world.clock.now(), until=world.clock.now(), token="t", limit=50
    ))  # fmt: skip
    contents: list[Any] = [canonical.parse(row.content) for row in found]
    return [
        Answer.of(one["body"], FI) for one in contents if one["header"]["type"] == "node.held"
    ]  # fmt: skip


async def test_it_lists_what_is_between_the_two_and_nothing_else(world: World, asking: Hostile) -> None:
    """Another country's procedures are not shown to whoever says that he was restored; a security officer is called."""
    ours = await world["EE"].submit("request.json")
    await world["SE"].submit("request.json", sender_authority=AuthorityId("gender-equality-agency"))
    await world.settle()
    assert await asking.send(question(world)) == "restored"
    (answer,) = await answers(world)
    assert [(item.message, item.author, item.opener) for item in answer.items] == [(ours.message, EE, EE)]
    assert [receipt.kind for receipt in answer.items[0].receipts] == ["delivered", "handed-over"]
    assert await world["FI"].attention() == ["peer-restored"]


async def test_what_passed_is_looked_for_while_others_write(
    world: World, asking: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among all that ever did, which takes long at an old node: never in a transaction, and not for who asks too often."""
    await world["EE"].submit("request.json")
    await world.settle()
    looked, passed = list[type[Execution]](), SqlHealing.passed

    def noted(healing: SqlHealing, *args: Any, **wanted: Any) -> Any:
        looked.append(type(healing._db))
        return passed(healing, *args, **wanted)

    monkeypatch.setattr(SqlHealing, "passed", noted)
    for _ in range(2):
        await asking.send(question(world))
    assert looked == [SqlReader]
    (answer,) = await answers(world)
    assert len(answer.items) == 1


async def test_asking_often_does_not_make_answers_come_often(world: World, asking: Hostile) -> None:
    """One answer in twenty seconds, however many questions there are."""
    await world["EE"].submit("request.json")
    await world.settle()
    for _ in range(3):
        assert await asking.send(question(world)) == "restored"
    assert len(await answers(world)) == 1
    world.clock.advance(HEAL_PAUSE_SECONDS + 1)
    await asking.send(question(world))
    assert len(await answers(world)) == 2


async def test_what_it_does_not_hold_or_has_erased_is_said(world: World, asking: Hostile) -> None:
    """An unknown digest, and messages of an erased case of either side: none of them is promised."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    answer = await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    scope = scope_of(EE, request.case_ref, request.procedure)
    await world["FI"].store.run(lambda tx: tx.destroy_case(scope, world.clock.now()))
    wanted = tuple(sorted((request.digest, answer.digest, digest("unknown"))))
    await asking.send(question(world, wanted=wanted))
    (said,) = await answers(world)
    assert (said.sent, said.lacking, said.returned) == ((), wanted, None)


async def test_a_message_comes_back_with_both_signatures_and_its_own_again(world: World, asking: Hostile) -> None:
    """The one's message is given back as it was signed, the other's is sealed and sent once more."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    answer = await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    await asking.send(question(world, wanted=tuple(sorted((request.digest, answer.digest)))))
    (said, back) = sorted(await answers(world), key=lambda one: one.returned is not None)
    assert set(said.sent) == {request.digest, answer.digest}
    assert back.returned is not None
    assert (back.returned.digest, len(back.returned.signed["signatures"])) == (request.digest, 2)
    assert await world["FI"].states(answer) == ["recorded"]


async def test_what_has_not_its_form_has_no_effect(world: World, asking: Hostile) -> None:
    """Neither a malformed question nor an answer that nobody asked for."""
    ids, now = world["EE"].ids, world.clock.now()
    header = node_header(ids, RESTORED_TYPE, us=EE, peer=FI, created=now)
    assert await asking.send(entry_of(header, {"since": "yesterday"}, OutboxKind.RECEIPTS)) == "schema-invalid"
    header = node_header(ids, "node.held", us=EE, peer=FI, created=now)
    body = Answer(question=header.id, lacking=(digest("x"),)).body()
    assert await asking.send(entry_of(header, body, OutboxKind.RECEIPTS)) == "held"
    assert await answers(world) == []
    assert await world["FI"].attention() == []


async def test_what_is_too_long_to_be_given_back_is_said(
    world: World, asking: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that no envelope takes would wait here for ever: the restored country hears that it cannot have this one."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    monkeypatch.setattr("broker.reception.answering.MAX_CONTENT", 4096 + len(await _content(world, request.message)))
    await asking.send(question(world, wanted=(request.digest,)))
    (said,) = await answers(world)
    assert (said.sent, said.lacking, said.returned) == ((), (request.digest,), None)


async def _content(world: World, message: MessageId) -> bytes:
    row = await world["EE"].store.run(lambda tx: tx.outbox(message))
    assert row is not None
    return row.entry.content
