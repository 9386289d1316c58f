# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A node that another country wrote from PROTOCOL alone works with ours: same records, same evidence, same healing."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broker.core import canonical
from broker.core.ids import CountryCode, ProcedureId
from broker.core.messages import Delivery
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.lost_disk import keep, lose_disk
from broker.testing.world import World
from broker.trust.member_documents import read_member, write_member

HERE = Path(__file__).parent
VECTORS = HERE.parent / "vectors"
EE, FI = CountryCode("EE"), CountryCode("FI")
BOARD, HELSINKI = "social-insurance-board", "helsinki-wellbeing-services"
WRITTEN_FROM_TEXT = {"foreign_node", "reader", "record_reader", "audit_reader", "forge", "attachment_forge"}


def _example(file: str, *, sender: str, country: str, recipient: str) -> dict[str, Any]:
    data = json.loads(read_schema_file(f"examples/{file}.json"))
    return {**data, "sender": {"authority": sender}, "recipient": {"authority": recipient, "country": country}}


def _theirs(file: str, **other: Any) -> dict[str, Any]:
    return _example(file, sender=HELSINKI, country="EE", recipient=BOARD) | {"version": "1.0"} | other


REQUEST, WITHDRAWAL = "demo/request", "family-tracing/withdrawal-found"


@dataclass(slots=True)
class Meeting:
    """Our node and the foreign one on one network."""

    world: World
    foreign: Any

    async def settle(self) -> None:
        """Let both work until nothing moves."""
        network, ours = self.world.network, self.world["EE"]
        for _ in range(60):
            done = await ours.step()
            coming, network.waiting[FI] = network.waiting[FI], []
            for delivery in coming:
                self.foreign.take(delivery.raw)
            self.foreign.answer()
            going, self.foreign.out = self.foreign.out, []
            network.waiting[EE] += [Delivery(raw=raw, queue="in", user="FI") for raw in going]
            if not done + len(coming) + len(going):
                return
        raise RuntimeError("the two never come to rest")

    async def answered(self, procedure: ProcedureId) -> Accepted:
        """Let our office acknowledge what the foreign one asked."""
        data = _example("demo/acknowledgement", sender=BOARD, country="FI", recipient=HELSINKI)
        return await self.world["EE"].submit(data, procedure=procedure)

    async def same_record(self) -> str:
        """Hold both records against each other and return the state."""
        view, record = await self.world["EE"].view(ProcedureId(self.foreign.procedure["id"])), self.foreign.record()
        assert [line.digest for line in view.entries] == record.order
        assert {str(line.digest): str(line.mark) for line in view.entries} == record.marks
        assert view.digest == record.digest(record.heads)
        assert {str(line.digest) for line in view.entries if line.final} == record.final()
        assert self.foreign.differences == []
        return str(view.state)


@pytest.fixture
def foreign_node() -> Iterator[Any]:
    """The module of the foreign node."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(VECTORS))
        import foreign_node

        yield foreign_node


@pytest.fixture
async def meeting(world: World, foreign_node: Any) -> Meeting:
    """EE is ours; FI's entry in the trust list is the foreign node's, and nothing of ours answers for it."""
    ours = world["EE"]
    document = json.loads(write_member(ours.trust.current().members[EE]))
    table = json.loads(read_schema_file("procedures/family-tracing.json"))
    foreign = foreign_node.ForeignNode(HELSINKI, document, table, world.clock.now)
    speaks = {str(kind): [str(one) for one in found] for kind, found in ours.desk.catalogue.speaks()[0].items()}
    theirs = read_member(canonical.dump(foreign.document(speaks)), FI, where="FI.json")
    world.set_trust(lambda member: theirs if member.country == FI else member)
    await ours.trust.refresh()
    return Meeting(world, foreign)


async def test_what_the_foreign_node_asks_is_answered(meeting: Meeting) -> None:
    """Its request is delivered and handed over, our answer likewise there; both state one record, and all of it is final."""
    asked = meeting.foreign.write(_theirs(REQUEST))
    await meeting.settle()
    accepted = await meeting.answered(ProcedureId(meeting.foreign.procedure["id"]))
    await meeting.settle()

    assert await meeting.same_record() == "ACKNOWLEDGED"
    assert meeting.foreign.ladder == {meeting.foreign.messages[0]["message"]: ["delivered", "handed-over"]}
    assert await meeting.world["EE"].states(accepted) == ["handed-over"]
    assert meeting.foreign.record().final() == {asked, meeting.foreign.messages[1]["digest"]}
    assert await meeting.world["EE"].attention() == []


async def test_the_foreign_node_witnesses_our_audit_trail(meeting: Meeting) -> None:
    """A signed head comes with receipts, and its keys and form are what the text says."""
    meeting.foreign.write(_theirs(REQUEST))
    await meeting.settle()
    assert await meeting.world["EE"].engine.link_audit() > 0
    meeting.foreign.write(_theirs(WITHDRAWAL))
    await meeting.settle()

    (stated,) = meeting.foreign.checkpoints
    assert (stated["country"], stated["cut"], stated["v"]) == ("EE", False, 1)
    assert stated["position"] > 0
    assert await meeting.same_record() == "WITHDRAWN"


async def test_messages_that_cross_leave_one_record(meeting: Meeting) -> None:
    """Our acknowledgement and its withdrawal pass each other: the same order, marks, state and digest on both sides."""
    meeting.foreign.write(_theirs(REQUEST))
    await meeting.settle()
    await meeting.answered(ProcedureId(meeting.foreign.procedure["id"]))
    meeting.foreign.write(_theirs(WITHDRAWAL))
    await meeting.settle()

    assert await meeting.same_record() == "WITHDRAWN"
    assert sorted(meeting.foreign.record().marks.values()) == ["crossed", "effect", "effect"]


async def test_what_is_refused_is_a_stub_on_both_sides(meeting: Meeting) -> None:
    """A body that fits no schema is refused with its code; the record goes on over it."""
    meeting.foreign.write(_theirs(REQUEST))
    await meeting.settle()
    meeting.foreign.write(_theirs(WITHDRAWAL, body={"nothing": "of the kind"}))
    await meeting.settle()
    meeting.foreign.write(_theirs(WITHDRAWAL))
    await meeting.settle()

    assert await meeting.same_record() == "WITHDRAWN"
    assert [one.get("code") for one in meeting.foreign.messages] == [None, "schema-invalid", None]


async def test_a_lost_chunk_is_asked_for_and_sent_again(meeting: Meeting, foreign_node: Any) -> None:
    """What lacks of an attachment is named after ten minutes, comes, and only then the message is delivered."""
    file = foreign_node.File(plain=b"synthetic " * 150_000, name="letter.txt")
    meeting.foreign.write(_theirs(REQUEST), file)
    assert len(meeting.foreign.out.pop()) > 500_000  # the last chunk gets lost
    await meeting.settle()
    assert meeting.foreign.ladder == {}
    meeting.world.clock.advance(601)
    await meeting.settle()

    assert list(meeting.foreign.ladder.values()) == [["delivered", "handed-over"]]
    assert await meeting.same_record() == "REQUESTED"


async def test_the_foreign_node_gives_back_what_a_lost_disk_held(meeting: Meeting) -> None:
    """Restored from a backup that knew nothing of the procedure, ours has its own answer again, and what it answered."""
    ours = meeting.world["EE"]
    kept = keep(meeting.world, "EE")
    meeting.world.clock.advance(7200)
    meeting.foreign.write(_theirs(REQUEST))
    await meeting.settle()
    await meeting.answered(ProcedureId(meeting.foreign.procedure["id"]))
    await meeting.settle()
    await meeting.same_record()
    await lose_disk(meeting.world, "EE", kept)
    for _ in range(8):
        await meeting.settle()
        meeting.world.clock.advance(61)
    await meeting.settle()

    assert await meeting.same_record() == "ACKNOWLEDGED"
    status = next(one for one in await ours.engine.heal.status() if one.row.peer == FI)
    assert (status.row.ended is not None, status.wanted, status.lost) == (True, (), ())


def test_the_foreign_node_shares_nothing_with_the_product() -> None:
    """All of it stands on the standard library, the cryptographic one, and itself."""
    for name in WRITTEN_FROM_TEXT:
        nodes = list(ast.walk(ast.parse((VECTORS / f"{name}.py").read_text(encoding="utf-8"))))
        modules = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        assert not [module for module in modules if module.split(".")[0] in {"broker", "adapters", "tests"}], name
