# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The human step of the evidence ladder."""

from __future__ import annotations

from datetime import datetime

import pytest

from broker.core.audit import Who
from broker.core.errors import NotFound
from broker.core.ids import AuthorityId, CountryCode
from broker.core.roles import AuditRole
from broker.ports import Transaction
from broker.rows import MessageRow
from broker.testing.world import World, officer

HELSINKI, OTHER = AuthorityId("helsinki-wellbeing-services"), AuthorityId("ministry-of-justice")


async def test_only_the_addressed_office_opens_a_message(world: World) -> None:
    """Another office of the country, and the author's own side, are told that there is no such message."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    with pytest.raises(NotFound):
        await world["FI"].desk.open_message(request.message, officer(OTHER))
    with pytest.raises(NotFound):
        await world["EE"].desk.open_message(request.message, officer("social-insurance-board"))
    await world.settle()
    assert await world["EE"].states(request) == ["handed-over"]


async def test_the_first_opening_counts(world: World) -> None:
    """Opening again returns the first time, and one receipt with that time reaches the sender."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    first = await world["FI"].desk.open_message(
        request.message, Who(actor="one", role=AuditRole.SYSTEM, authority=HELSINKI)
    )
    world.clock.advance(600)
    assert await world["FI"].desk.open_message(request.message, officer(HELSINKI, "two")) == first
    await world.settle()

    receipts = await world["EE"].store.read(lambda reader: reader.receipts_about(CountryCode("EE"), request.message))
    assert [receipt.at for receipt in receipts if receipt.kind == "opened"] == [first]
    trail = await world["FI"].store.read(lambda reader: reader.audit(cursor=None, limit=20))
    (opened,) = [row for row in trail.items if row.action == "opened"]
    assert (opened.actor, opened.role, opened.authority, opened.peer) == ("one", "system", HELSINKI, "EE")
    assert opened.procedure == request.procedure


async def test_opening_before_the_hand_over_does_not_go_back(world: World) -> None:
    """An officer who reads at once leaves the entry opened also after the hand-over was stated."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    for delivery in world.network.waiting[CountryCode("FI")]:
        await world["FI"].engine.receive(delivery)
    await world["FI"].desk.open_message(request.message, officer(HELSINKI))
    await world.settle()
    assert await world["EE"].states(request) == ["opened"]


async def test_of_two_officers_who_open_at_once_the_first_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw it unopened: the second is told the first's time, and one of them stands in the trail and the receipt."""
    fi = world["FI"]
    request = await world["EE"].submit("request.json")
    await world.settle()
    opening, mark, first = fi.desk.open_message, fi.desk.open_message._mark, world.clock.now()

    def slow(tx: Transaction, row: MessageRow, who: Who, *, adult_again: bool) -> datetime:
        mark(tx, row, officer(HELSINKI, "first"), adult_again=adult_again)
        world.clock.advance(600)
        return mark(tx, row, who, adult_again=adult_again)

    monkeypatch.setattr(opening, "_mark", slow)
    assert await opening(request.message, officer(HELSINKI, "second")) == first
    trail = await fi.store.read(lambda reader: reader.audit(cursor=None, limit=20))
    assert [row.actor for row in trail.items if row.action == "opened"] == ["first"]
    receipts = await fi.store.read(lambda reader: reader.receipts_about(CountryCode("EE"), request.message))
    assert [receipt.at for receipt in receipts if receipt.kind == "opened"] == [first]
