# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A person sends a message again."""

from __future__ import annotations

import pytest

from broker.core.delivery import REANSWER_SECONDS, ResendReason
from broker.core.errors import AlreadySettled, NotFound
from broker.core.ids import AuthorityId, CountryCode, MessageId
from broker.rows import AuditRow
from broker.testing.world import Country, World, officer

EE, FI = CountryCode("EE"), CountryCode("FI")
BOARD, OTHER = AuthorityId("social-insurance-board"), AuthorityId("ministry-of-justice")
HELSINKI = AuthorityId("helsinki-wellbeing-services")
HOUR = 3600


async def _resend(country: Country, message: MessageId, *, authority: AuthorityId = BOARD) -> None:
    await country.desk.resend(message, officer(authority, "officer-7"), ResendReason.PEER_ASKED)


async def _trail(country: Country, action: str) -> list[AuditRow]:
    page = await country.store.read(lambda reader: reader.audit(cursor=None, limit=200))
    return [row for row in page.items if row.action == action]


async def test_an_overdue_message_that_got_lost_arrives_by_a_persons_resend(world: World) -> None:
    """Silence alone resends nothing; the person's word does, once, sealed anew, and the call is closed by the answer."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    (lost,) = world.network.published
    world.network.waiting[FI].clear()
    world.clock.advance(13 * HOUR)
    await world["EE"].engine.watch()
    await world.settle()
    assert await world["EE"].attention() == ["failed-delivered"]
    assert len(world.network.published) == 1

    await _resend(world["EE"], request.message)
    await world.settle()

    again = next(sent for sent in world.network.published[1:] if sent.recipient == FI)
    assert (again.id, again.raw == lost.raw) == (lost.id, False)
    assert await world["EE"].states(request) == ["handed-over"]
    assert await world["EE"].attention() == []
    (row,) = await _trail(world["EE"], "resent")
    assert (row.actor, row.subject, row.reason) == ("officer-7", request.message, "peer-asked")


async def test_a_person_goes_on_where_the_node_gave_up(world: World) -> None:
    """After three resends by itself the node waits for a person; every one of them stands in the audit trail."""
    lost = await world["EE"].submit("request.json")
    await world["EE"].step()
    world.network.waiting[FI].clear()
    for _ in range(5):
        world.clock.advance(120)
        await world["EE"].submit("request.json")
        await world["EE"].step()
        world.network.waiting[FI] = [
            held for held in world.network.waiting[FI] if not _is(world, held.raw, lost.message)
        ]
        await world.settle()
        world.clock.advance(120)
        await world["EE"].engine.watch()
        await world["EE"].step()
        world.network.waiting[FI] = [
            held for held in world.network.waiting[FI] if not _is(world, held.raw, lost.message)
        ]
    assert await world["EE"].states(lost) == ["published"]
    assert [(row.actor, row.reason) for row in await _trail(world["EE"], "resent")] == [("node", "sign-of-loss")] * 3

    await _resend(world["EE"], lost.message)
    await world.settle()
    assert await world["EE"].states(lost) == ["handed-over"]


async def test_lost_receipts_come_again(world: World) -> None:
    """Read there, and only "handed over" known here: the resend brings the missing evidence."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    for delivery in list(world.network.waiting[FI]):
        await world["FI"].engine.receive(delivery)
    world.network.waiting[FI].clear()
    await world["FI"].engine.dispatch()
    await world["EE"].step()
    world.network.waiting[EE].clear()
    await world["FI"].desk.open_message(request.message, officer(HELSINKI))
    await world["FI"].engine.dispatch()
    world.network.waiting[EE].clear()  # "opened" is lost
    assert await world["EE"].states(request) == ["handed-over"]
    row = await world["EE"].store.run(lambda tx: tx.outbox(request.message))
    world.clock.advance(REANSWER_SECONDS + 1)

    await _resend(world["EE"], request.message)
    await world["EE"].engine.dispatch()
    back = await world["EE"].store.run(lambda tx: tx.outbox(request.message))
    assert (back.state, back.published, back.delivered) == ("handed-over", row.published, row.delivered)
    await world.settle()

    assert await world["EE"].states(request) == ["opened"]
    assert len(await _trail(world["FI"], "received")) == 1  # it took effect once


async def test_what_is_settled_is_not_sent_again(world: World) -> None:
    """Opened: nothing is missing. Another office's, a received and an unknown message do not exist."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    await world["FI"].desk.open_message(request.message, officer(HELSINKI))
    await world.settle()
    sent = len(world.network.published)

    with pytest.raises(AlreadySettled):
        await _resend(world["EE"], request.message)
    for country, message, authority in (
        ("EE", request.message, OTHER),
        ("FI", request.message, HELSINKI),
        ("EE", request.procedure, BOARD),
    ):
        with pytest.raises(NotFound):
            await _resend(world[country], MessageId(message), authority=authority)
    await world.settle()

    assert await world["EE"].states(request) == ["opened"]
    assert len(world.network.published) == sent
    assert await _trail(world["EE"], "resent") == []


def _is(world: World, raw: bytes, message: MessageId) -> bool:
    return any(sent.raw == raw and sent.id == message for sent in world.network.published)
