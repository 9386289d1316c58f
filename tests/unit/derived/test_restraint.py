# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Nobody reads through the cases of a node."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from broker.core.audit import AuditAction, AuditRow
from broker.core.errors import TooManyCases
from broker.core.ids import AuthorityId, ProcedureId
from broker.core.roles import AuditRole
from broker.derived.restraint import MOST_AN_HOUR, Restraint
from broker.finding import find_message
from broker.rows import AuditFilter
from broker.testing.world import Country, World, officer

BOARD = AuthorityId("social-insurance-board")
OFFICER = officer(BOARD, "officer-7")


def _restraint(country: Country) -> Restraint:
    return Restraint(store=country.store, ledger=country.desk.ledger)


def _look(country: Country, procedure: ProcedureId | None = None, role: AuditRole = AuditRole.OFFICER) -> AuditRow:
    """Return a look at that procedure, or at another one than ever before."""
    return AuditRow(
        at=country.clock.now(), actor=OFFICER.actor, role=role, authority=BOARD, action=AuditAction.READ,
        subject="record", procedure=procedure or country.ids.procedure_id(),
    )  # fmt: skip


async def _fill(country: Country, restraint: Restraint, role: AuditRole = AuditRole.OFFICER) -> list[AuditRow]:
    looks = [_look(country, role=role) for _ in range(MOST_AN_HOUR)]
    for look in looks:
        await restraint.record(look)
    return looks


async def _recorded(country: Country) -> int:
    read = AuditFilter(action=AuditAction.READ)
    page = await country.store.read(lambda reader: reader.audit(cursor=None, limit=500, wanted=read))
    return len(page.items)


async def _close(country: Country) -> None:
    """A security officer closes the call."""
    page = await country.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    (entry,) = page.items
    assert (entry.subject, entry.who, entry.authority) == (OFFICER.actor, "security officer", None)
    await country.desk.attend.resolve(entry.id, officer(actor="security"))


async def test_whoever_opens_too_many_cases_waits_for_a_security_officer(world: World) -> None:
    """R-38: the next one is not shown, those at hand are; when the call is closed the person goes on."""
    ee = world["EE"]
    restraint = _restraint(ee)
    looks = await _fill(ee, restraint)
    assert await ee.attention() == []

    another = _look(ee)
    for _ in range(2):
        with pytest.raises(TooManyCases):
            await restraint.record(another)
    assert await ee.attention() == ["bulk-reading"]
    assert await _recorded(ee) == MOST_AN_HOUR
    await restraint.record(looks[0])

    await _close(ee)
    await restraint.record(replace(another, at=world.clock.now()))
    assert await ee.attention() == []
    assert await _recorded(ee) == MOST_AN_HOUR + 2


async def test_after_the_call_is_closed_the_count_begins_anew(world: World) -> None:
    """R-38: so many more and no more, and then the officer is called again."""
    ee = world["EE"]
    restraint = _restraint(ee)
    await _fill(ee, restraint)
    with pytest.raises(TooManyCases):
        await restraint.record(_look(ee))
    await _close(ee)
    world.clock.advance(seconds=1)
    await _fill(ee, restraint)
    with pytest.raises(TooManyCases):
        await restraint.record(_look(ee))
    assert await ee.attention() == ["bulk-reading"]


async def test_an_hour_later_nothing_counts_any_more(world: World) -> None:
    """R-38 is about an hour: who works on, case by case, is never held."""
    ee = world["EE"]
    restraint = _restraint(ee)
    await _fill(ee, restraint)
    world.clock.advance(seconds=3600)
    await _fill(ee, restraint)
    assert await ee.attention() == []


async def test_all_workers_count_together_and_a_restart_forgets_nothing(world: World) -> None:
    """R-38: half of the limit at one worker and half at another is the limit; the call holds everywhere, also after the hour."""
    ee = world["EE"]
    first, second = _restraint(ee), _restraint(ee)
    looks = [_look(ee) for _ in range(MOST_AN_HOUR)]
    for number, look in enumerate(looks):
        await (first, second)[number % 2].record(look)
    third = _restraint(ee)
    with pytest.raises(TooManyCases):
        await third.record(_look(ee))
    await third.record(looks[0])
    await third.record(replace(_look(ee), actor="officer-8"))

    world.clock.advance(seconds=7200)
    for restraint in (first, second, third):
        with pytest.raises(TooManyCases):
            await restraint.record(_look(ee))
    await _close(ee)
    await third.record(_look(ee))


async def test_asking_for_everything_at_once_shows_no_more(world: World) -> None:
    """R-38: the count and the entry are one transaction, so that nothing slips through between them."""
    ee = world["EE"]
    restraint = _restraint(ee)
    looks = [restraint.record(_look(ee)) for _ in range(2 * MOST_AN_HOUR)]
    refused = [one for one in await asyncio.gather(*looks, return_exceptions=True) if isinstance(one, TooManyCases)]
    assert len(refused) == MOST_AN_HOUR
    assert await _recorded(ee) == MOST_AN_HOUR


async def test_a_system_that_reads_for_many_people_is_not_counted(world: World) -> None:
    """R-38 is about one person: an office's own system, an adapter and the node itself read everything."""
    ee = world["EE"]
    restraint = _restraint(ee)
    for role in (AuditRole.SYSTEM, AuditRole.ADAPTER, AuditRole.NODE):
        await _fill(ee, restraint, role)
        await restraint.record(_look(ee, role=role))
    await restraint.record(replace(_look(ee), procedure=None))
    assert await ee.attention() == []


async def test_messages_and_records_are_looked_at_within_the_limit(world: World) -> None:
    """R-38: the same procedure counts once however it is shown; beyond the limit nothing is shown and nothing recorded."""
    ee = world["EE"]
    accepted = await ee.submit("request.json")
    row = await ee.store.read(lambda reader: find_message(reader, accepted.message, BOARD))
    view = await ee.view(accepted.procedure)
    await _fill(ee, _restraint(ee))
    looks = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=100))
    with pytest.raises(TooManyCases):
        await ee.desk.consult.message(row, OFFICER)
    with pytest.raises(TooManyCases):
        await ee.desk.consult.procedure(view.row, OFFICER)
    after = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=100))
    assert [item.action for item in after.items[: len(after.items) - len(looks.items)]] == ["attention-raised"]
