# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The same key gets the same answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.core.errors import (
    RecipientSuspended,
)
from broker.core.trust import MemberStatus
from broker.testing.world import World


async def test_an_idempotency_key_belongs_to_actor_office_and_route(world: World) -> None:
    """The same key of another actor or route stands for another message."""
    ee = world["EE"]
    answers = [
        await ee.submit("request.json", idempotency_key="k", **changes)
        for changes in ({}, {"actor": "somebody-else"}, {"route": "filedrop"})
    ]
    assert len({answer.message for answer in answers}) == 3
    assert not any(answer.repeated for answer in answers)


async def test_what_was_accepted_stays_accepted(world: World) -> None:
    """A caller that repeats gets its first answer also when the message would be refused by now."""
    first = await world["EE"].submit("request.json", idempotency_key="k")
    world.set_trust(lambda member: replace(member, status=MemberStatus.SUSPENDED) if member.country == "FI" else member)
    await world["EE"].trust.refresh()
    again = await world["EE"].submit("request.json", idempotency_key="k")
    assert again == replace(first, repeated=True)
    with pytest.raises(RecipientSuspended):
        await world["EE"].submit("request.json", idempotency_key="another")
