# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever two countries say to each other within the schemas, no node meets a fault of its own over it.

Examples show what people mean to write; what a rule reads was found wrong where nobody had written it. From one seed, both
countries open procedures, answer, correct and close with bodies that are random but valid, and what a safeguard holds or
blocks here comes from a country that has no such rule. ``TRM_TEST_ANY_MESSAGES`` makes the runs longer than everyday ones.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from broker.core.delivery import ReleaseReason
from broker.core.errors import BrokerError, Internal, NotFound
from broker.core.ids import CountryCode, Digest, MessageType, ProcedureId
from broker.core.procedures import Role, allowed, start
from broker.flows.inspect import ProcedureView
from broker.rows import Accepted
from broker.schema_files import load_catalogue
from broker.testing.any_bodies import AnyBodies, texts_in
from broker.testing.federation import OFFICES
from broker.testing.hostile import Hostile
from broker.testing.spoiling import examples
from broker.testing.world import Country, World, officer

MESSAGES = int(os.environ.get("TRM_TEST_ANY_MESSAGES", "120"))
CATALOGUE = load_catalogue()
EXAMPLES = [data for data in examples().values() if "body" in data]
TEXTS = [text for data in EXAMPLES for text in texts_in(data["body"])]
BY_TYPE: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
BY_ACT: dict[str, list[Mapping[str, Any]]] = defaultdict(list)  # the acts that procedures share have one schema
for _data in EXAMPLES:
    BY_TYPE[_data["type"]].append(_data)
    BY_ACT[MessageType(_data["type"]).act].append(_data)
CITED = {"AGREEMENT", "NATIONAL_LAW"}
TYPES = [kind for kind in CATALOGUE.types() if BY_TYPE[kind] or BY_ACT[kind.act]]
OPENING = [
    MessageType(f"{table.procedure}.{act}")
    for table in CATALOGUE.tables()
    for act in allowed(table, start(table), Role.REQUESTING)
    if f"{table.procedure}.{act}" in TYPES
]


@dataclass
class Talk:
    """Two countries that say anything, from one seed."""

    world: World
    seed: int
    honest: bool  # neither says what its own node would not let leave
    procedures: list[ProcedureId] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)
    became: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        sides = (self.world["EE"], self.world["FI"])
        self.others = {one.us: other for one, other in (sides, sides[::-1])}

    async def say(self) -> None:
        """Let one side say one thing, and both look at what there is."""
        side = self.world[self.random.choice(("EE", "FI"))]
        procedure = self.random.choice(self.procedures) if self.procedures and self.random.random() < 0.75 else None
        view = None if procedure is None else await _seen(side, procedure)
        data = self._anything(side, view)
        if wrong := CATALOGUE.explain_submission(data):
            self.became[f"not valid: {wrong[0].rule}"] += 1
            return
        try:
            data = side.sealed(data)
            accepted = await self._submit(side, data, procedure)
        except Internal:
            raise
        except BrokerError as error:
            self.became[error.code] += 1
            if not self.honest:
                await self._say_all_the_same(side, data, view)
        else:
            self.became["accepted"] += 1
            self.digests.append(accepted.digest)
            if procedure is None:
                self.procedures.append(accepted.procedure)
        await self.world.settle()
        if self.random.random() < 0.15:
            self.world.clock.advance(self.random.choice((60, 3_600, 86_400)))
        for country in (side, self.others[side.us]):
            for known in self.procedures[-3:]:
                await _seen(country, known)

    def _anything(self, side: Country, view: ProcedureView | None) -> dict[str, Any]:
        other = self.others[side.us].us
        kind = self._kind(view)
        example = self.random.choice(BY_TYPE[kind] or BY_ACT[kind.act])
        schema = CATALOGUE.schema(kind, CATALOGUE.newest(kind))
        body = dict(example["body"])
        for name in ("about", "answers", "covers", "placement_decision"):
            if self.digests and isinstance(body.get(name), str):
                body[name] = str(self.random.choice(self.digests))
        bodies = AnyBodies(schema, [*TEXTS, *map(str, self.digests)], self.random)
        bases = sorted(schema.get("x-trm-bases", ()))
        basis = example.get("legal_basis")
        if bases and (basis is None or basis["code"] not in bases or self.random.random() < 0.2):
            code = self.random.choice(bases)
            basis = {"code": code, **({"citation": "Test agreement 1"} if code in CITED else {})}
        return {
            **{name: value for name, value in example.items() if name not in {"version", "attachments"}},
            "type": str(kind),
            "sender": {"authority": self._office(side.us, view)},
            "recipient": {"country": str(other), "authority": self._office(other, view)},
            **({"legal_basis": basis} if basis else {}),
            "body": bodies.near(body, self.random.choice((0, 1, 1, 2, 4, 8, 16))),
        }

    def _kind(self, view: ProcedureView | None) -> MessageType:
        if view is None:
            return self.random.choice(OPENING)
        own = [kind for kind in TYPES if kind.procedure == view.row.ref.name]
        next_ones = [kind for kind in own if kind.act in view.actions]
        return self.random.choice(next_ones if next_ones and self.random.random() < 0.8 else own)

    def _office(self, country: CountryCode, view: ProcedureView | None) -> str:
        """Return the office that takes part, mostly, or any."""
        offices = [str(office.id) for office in OFFICES[country]]
        part = [str(one.authority) for one in view.participants if one.country == country] if view else []
        return self.random.choice(part or offices[:1]) if self.random.random() < 0.9 else self.random.choice(offices)

    async def _submit(self, side: Country, data: Mapping[str, Any], procedure: ProcedureId | None) -> Accepted:
        """Submit it; what is held is released by a second person."""
        try:
            return await side.submit(data, procedure=procedure)
        except BrokerError as error:
            if error.code != "safeguard-held":
                raise
            drafts = await side.store.read(lambda reader: reader.drafts(None, cursor=None, limit=1_000))
            held = next(draft for draft in drafts.items if draft.id in error.detail)
            second = officer(data["sender"]["authority"], "second")
            return await side.desk.approve.release(held.id, second, ReleaseReason.CHECKED)

    async def _say_all_the_same(self, side: Country, data: Mapping[str, Any], view: ProcedureView | None) -> None:
        liar, recipient = Hostile(side, self.others[side.us]), side.submission(data).recipient
        if view is None:
            message = liar.message(data, recipient=recipient)
        else:
            row = view.row
            message = liar.message(
                data, procedure=row.ref, parents=view.heads, recipient=recipient, case_ref=row.case_ref
            )
        self.became[f"other node: {await liar.send(message)}"] += 1


async def _seen(country: Country, procedure: ProcedureId) -> ProcedureView | None:
    try:
        view = await country.view(procedure)
    except NotFound:  # it never left the other side
        return None
    assert await country.desk.inspect.timeline(procedure, authority=None)
    return view


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("honest", [True, False], ids=["both let it leave", "one has no such rules"])
async def test_no_valid_message_is_a_fault_of_a_node(world: World, seed: int, *, honest: bool) -> None:
    """Refused with a code, held, recorded or parked, but never an exception; and both countries hold the same record."""
    talk = Talk(world, seed, honest)
    for _ in range(MESSAGES):
        await talk.say()

    assert talk.became["accepted"] > MESSAGES / 10, talk.became
    if honest:
        for procedure in talk.procedures:
            ours, theirs = [await _seen(world[name], procedure) for name in ("EE", "FI")]
            assert ours is not None
            assert theirs is not None
            assert ours.digest == theirs.digest
