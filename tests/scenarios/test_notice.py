# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A prosecutor abroad wants to hand over proceedings: the child's guardian learns of it in time to say something."""

from __future__ import annotations

import json
from typing import Any

from broker.core.deadlines import Phase
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.world import World

OFFICE = {"EE": "social-insurance-board", "FI": "helsinki-wellbeing-services"}


async def _send(world: World, name: str, sender: str, opening: Accepted | None = None) -> Accepted:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/notice/{name}.json"))
    other = "FI" if sender == "EE" else "EE"
    data["sender"] = {"authority": OFFICE[sender]}
    data["recipient"] = {"country": other, "authority": OFFICE[other]}
    accepted = await world[sender].submit(data, **({} if opening is None else {"procedure": opening.procedure}))
    await world.settle()
    return accepted


async def test_the_clocks_of_the_criminal_channel_are_shown_with_the_childs_own_ten_days(world: World) -> None:
    """Law and product default are told apart; the opinion settles the child's days and nothing else."""
    notice = await _send(world, "proceedings-criminal-transfer-opinion", "FI")
    for name in ("EE", "FI"):
        shown = {item.deadline.id: item.deadline for item in (await world[name].view(notice.procedure)).deadlines}
        assert {key: item.kind for key, item in shown.items()} == {
            "note-proceedings": "PRODUCT_DEFAULT",
            "opinion": "PRODUCT_DEFAULT",
            "proceedings-acknowledge": "STATUTORY",
            "proceedings-decide": "STATUTORY",
        }

    await _send(world, "opinion-conditions", "EE", notice)

    views = [await world[name].view(notice.procedure) for name in ("EE", "FI")]
    assert [view.state for view in views] == ["NOTED", "NOTED"]
    assert views[0].digest == views[1].digest
    met = {item.deadline.id for item in views[0].deadlines if item.phase is Phase.MET}
    assert met == {"note-proceedings", "opinion"}
