# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Nobody reads through the cases of a node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.core.audit import Who
from broker.core.errors import TooManyCases
from broker.core.ids import AuthorityId, ProcedureId
from broker.core.roles import AuditRole
from broker.finding import find_message
from broker.restraint import MOST_AN_HOUR, Restraint
from broker.testing.world import Country, World

BOARD = AuthorityId("social-insurance-board")
OFFICER = Who(actor="officer-7", role=AuditRole.OFFICER, authority=BOARD)


def _restraint(country: Country) -> Restraint:
    return Restraint(store=country.store, ledger=country.desk.ledger, clock=country.clock)


def _procedures(country: Country, count: int) -> list[ProcedureId]:
    return [country.ids.procedure_id() for _ in range(count)]


async def _fill(country: Country, restraint: Restraint, who: Who = OFFICER) -> list[ProcedureId]:
    opened = _procedures(country, MOST_AN_HOUR)
    for procedure in opened:
        await restraint.check(procedure, who)
    return opened


async def _close(country: Country) -> None:
    """A security officer closes the call."""
    page = await country.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    (entry,) = page.items
    assert (entry.subject, entry.who, entry.authority) == ("officer-7", "security officer", None)
    await country.desk.attend.resolve(entry.id, actor="security", authority=None)


async def test_whoever_opens_too_many_cases_waits_for_a_security_officer(world: World) -> None:
    """R-38: the next one is not shown, those at hand are; when the call is closed the person goes on."""
    ee = world["EE"]
    restraint = _restraint(ee)
    opened = await _fill(ee, restraint)
    assert await ee.attention() == []

    another = ee.ids.procedure_id()
    for _ in range(2):
        with pytest.raises(TooManyCases):
            await restraint.check(another, OFFICER)
    assert await ee.attention() == ["bulk-reading"]
    await restraint.check(opened[0], OFFICER)

    await _close(ee)
    await restraint.check(another, OFFICER)
    assert await ee.attention() == []


async def test_an_hour_later_nothing_counts_any_more(world: World) -> None:
    """R-38 is about an hour: who works on, case by case, is never held."""
    ee = world["EE"]
    restraint = _restraint(ee)
    await _fill(ee, restraint)
    world.clock.advance(seconds=3601)
    await _fill(ee, restraint)
    assert await ee.attention() == []


async def test_the_call_holds_after_a_restart_and_in_every_worker(world: World) -> None:
    """R-38: a worker that has counted nothing asks the store about a person that it does not know."""
    ee = world["EE"]
    first = _restraint(ee)
    opened = await _fill(ee, first)
    with pytest.raises(TooManyCases):
        await first.check(ee.ids.procedure_id(), OFFICER)

    second = _restraint(ee)
    with pytest.raises(TooManyCases):
        await second.check(opened[0], OFFICER)
    await second.check(opened[0], replace(OFFICER, actor="officer-8"))
    await _close(ee)
    await second.check(opened[0], OFFICER)


async def test_a_system_that_reads_for_many_people_is_not_counted(world: World) -> None:
    """R-38 is about one person: an office's own system, an adapter and the node itself read everything."""
    ee = world["EE"]
    restraint = _restraint(ee)
    for role in (AuditRole.SYSTEM, AuditRole.ADAPTER, AuditRole.NODE):
        await _fill(ee, restraint, replace(OFFICER, role=role))
        await restraint.check(ee.ids.procedure_id(), replace(OFFICER, role=role))
    await restraint.check(None, OFFICER)
    assert await ee.attention() == []


async def test_messages_and_records_are_looked_at_within_the_limit(world: World) -> None:
    """R-38: the same procedure counts once however it is shown; beyond the limit nothing is shown and nothing recorded."""
    ee = world["EE"]
    accepted = await ee.submit("request.json")
    row = await ee.store.read(lambda reader: find_message(reader, accepted.message, BOARD))
    view = await ee.view(accepted.procedure)
    await _fill(ee, ee.desk.consult._restraint)
    looks = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=50))
    with pytest.raises(TooManyCases):
        await ee.desk.consult.message(row, OFFICER)
    with pytest.raises(TooManyCases):
        await ee.desk.consult.procedure(view.row, OFFICER)
    after = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=50))
    assert [item.action for item in after.items[: len(after.items) - len(looks.items)]] == ["attention-raised"]
