# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A case that has come to its end, and who decides about it."""

from __future__ import annotations

import pytest

from broker.core.audit import Who
from broker.core.ids import AuthorityId
from broker.core.roles import AuditRole
from broker.rows import Accepted
from broker.testing.world import World

BOARD = AuthorityId("social-insurance-board")


@pytest.fixture
def first() -> Who:
    """Who proposes."""
    return Who(actor="first", role=AuditRole.OFFICER, authority=BOARD)


@pytest.fixture
def second() -> Who:
    """Who confirms."""
    return Who(actor="second", role=AuditRole.OFFICER, authority=BOARD)


@pytest.fixture
async def ended(world: World) -> Accepted:
    """A request of EE that FI has answered."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    for example in ("acknowledgement.json", "result.json"):
        await world["FI"].submit(example, procedure=request.procedure)
        await world.settle()
    return request
