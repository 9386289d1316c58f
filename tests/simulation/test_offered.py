# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a node offers people as their next step can be taken, and what it does not offer is refused at once.

From one seed both countries walk through each procedure by steps that are offered, and before each step the asking side
tries all that is not. Bodies are those of the examples: whatever a schema or a safeguard says of them is not looked at here.
"""

from __future__ import annotations

import copy
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from broker.core.delivery import ReleaseReason
from broker.core.errors import SenderError
from broker.core.ids import CountryCode, Digest, MessageType, ProcedureId
from broker.core.procedures import Role, allowed, start
from broker.flows.inspect import ProcedureView
from broker.rows import Accepted
from broker.schema_files import load_catalogue
from broker.testing.federation import OFFICES
from broker.testing.spoiling import examples
from broker.testing.world import Country, World, officer

CATALOGUE = load_catalogue()
TABLES = {table.procedure: table for table in CATALOGUE.tables()}
STEPS = 10
ENDS = frozenset({"withdrawal", "refusal"})  # taken seldom: most states lie before them
BY_THE_RECORD = frozenset({"not-allowed", "not-participant", "record-full", "procedure-mismatch"})
BY_TYPE: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
BY_ACT: dict[str, list[Mapping[str, Any]]] = defaultdict(list)  # the acts that procedures share have one schema
for _data in examples().values():
    if "body" in _data:
        BY_TYPE[_data["type"]].append(_data)
        BY_ACT[MessageType(_data["type"]).act].append(_data)
TYPES = [kind for kind in CATALOGUE.types() if BY_TYPE[kind] or BY_ACT[kind.act]]


class Walk:
    """Two countries in one procedure."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._table = TABLES[name]
        self._random = random.Random(name)
        self._own = [kind for kind in TYPES if kind.procedure == name]
        self._said: list[Digest] = []
        self.procedure: ProcedureId | None = None

    async def open(self) -> bool:
        """Open it by whichever message opens it, if an example of one may leave."""
        opening = [kind for kind in self._own if kind.act in allowed(self._table, start(self._table), Role.REQUESTING)]
        for kind in opening:
            for example in BY_TYPE[kind]:
                if await self._say(self._world["EE"], kind, example, None) is None:
                    return True
        return False

    async def step(self) -> None:
        """Let one side try what it is not offered, then take a step that it is."""
        side = self._world[self._random.choice(("EE", "FI"))]
        assert self.procedure is not None
        view = await side.view(self.procedure)
        offered = [kind for kind in self._own if kind.act in view.actions]
        for kind in self._own:
            if kind not in offered:
                code = await self._say(side, kind, self._example(kind), view)
                assert code not in {None, "safeguard-held"}, (kind, view.state)
        likely = [kind for kind in offered if kind.act not in ENDS]
        for kind in self._random.sample(likely or offered, len(likely or offered)):
            code = await self._say(side, kind, self._example(kind), view)
            irreversible = kind.act in self._table.acts and self._table.acts[kind.act].irreversible
            assert code not in BY_THE_RECORD or irreversible, (kind, view.state, code)
            if code is None:
                return

    def _example(self, kind: MessageType) -> Mapping[str, Any]:
        return self._random.choice(BY_TYPE[kind] or BY_ACT[kind.act])

    async def _say(
        self, side: Country, kind: MessageType, example: Mapping[str, Any], view: ProcedureView | None
    ) -> str | None:
        """Submit an example, released where it is held; return the code of its refusal."""
        try:
            data = self._data(side.us, kind, example, view)
            accepted = await self._submitted(side, side.sealed(data), None if view is None else view.row.ref.id, view)
        except SenderError as error:
            return error.code
        self._said.append(accepted.digest)
        self.procedure = accepted.procedure
        await self._world.settle()
        self._world.clock.advance(60)
        return None

    async def _submitted(
        self, side: Country, data: dict[str, Any], procedure: ProcedureId | None, view: ProcedureView | None
    ) -> Accepted:
        try:
            return await side.submit(data, procedure=procedure)
        except SenderError as error:
            offered = view is None or MessageType(data["type"]).act in view.actions
            if error.code != "safeguard-held" or not offered:
                raise
            drafts = (await side.store.read(lambda reader: reader.drafts(None, cursor=None, limit=500))).items
            held = next(draft for draft in drafts if draft.id in error.detail)
            second = officer(data["sender"]["authority"], "second")
            return await side.desk.approve.release(held.id, second, ReleaseReason.CHECKED)

    def _data(
        self, us: CountryCode, kind: MessageType, example: Mapping[str, Any], view: ProcedureView | None
    ) -> dict[str, Any]:
        other = CountryCode("FI" if us == "EE" else "EE")
        body = copy.deepcopy(dict(example["body"]))
        for place, key in _digests(body):
            place[key] = str(self._said[-1]) if self._said else place[key]
        bases = sorted(CATALOGUE.schema(kind, CATALOGUE.newest(kind)).get("x-trm-bases", ()))
        basis = example.get("legal_basis")
        if bases and (basis is None or basis["code"] not in bases):
            basis = {"code": bases[0]}
        return {
            **{name: value for name, value in example.items() if name not in {"version", "attachments"}},
            "type": str(kind),
            "exercise": False,
            "sender": {"authority": _office(us, view)},
            "recipient": {"country": str(other), "authority": _office(other, view)},
            **({"legal_basis": basis} if basis else {}),
            "body": body,
        }


def _office(country: CountryCode, view: ProcedureView | None) -> str:
    part = [str(one.authority) for one in view.participants if one.country == country] if view else []
    return part[0] if part else str(OFFICES[country][0].id)


def _digests(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where the digests of messages stand in a body."""
    if isinstance(value, dict | list):
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            if isinstance(item, str) and Digest.pattern.fullmatch(item):
                yield value, key
            else:
                yield from _digests(item)


@pytest.mark.parametrize("name", sorted({kind.procedure for kind in TYPES}))
async def test_what_is_offered_can_be_sent_and_nothing_else_waits_for_a_second_person(world: World, name: str) -> None:
    """No state, office or room speaks against an offered step; one that is not offered never asks a second person in vain."""
    walk = Walk(world, name)
    if await walk.open():
        for _ in range(STEPS):
            await walk.step()
