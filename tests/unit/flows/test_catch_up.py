# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Making older messages searchable while the node works."""

from __future__ import annotations

from sqlalchemy import text

from broker.core.audit import SearchReason, Who
from broker.core.persons import PersonQuery
from broker.core.roles import AuditRole
from broker.flows import catch_up
from broker.rows import Accepted
from broker.security.at_rest import scopes_of
from broker.storage.schema import exclusive
from broker.testing.world import Country, World

WHO = Who(actor="officer-7", role=AuditRole.OFFICER)


def as_upgraded(country: Country) -> None:
    """Leave the database as the upgrade of an older one does: no terms, and every procedure owed them."""
    with exclusive(country.url) as connection:
        connection.execute(text("DELETE FROM search_term"))
        connection.execute(text("INSERT INTO search_owed (procedure) SELECT id FROM procedure"))


async def number_found(country: Country, name: str) -> tuple[int, bool]:
    """Return how many procedures are found, and whether that is all."""
    found = await country.desk.search(PersonQuery.of(name, None), WHO, reason=SearchReason.CASEWORK)
    return len(found.items), found.whole


async def test_older_messages_are_found_after_a_while(world: World, monkeypatch) -> None:
    """Batch by batch, in both directions; until then a search says that it is not whole."""
    monkeypatch.setattr(catch_up, "_BATCH", 2)
    ee, fi = world["EE"], world["FI"]
    for _ in range(3):
        await ee.submit("request.json")
    await world.settle()
    for country in (ee, fi):
        as_upgraded(country)
        assert await number_found(country, "Maarika") == (0, False)
        assert await country.engine.catch_up() == 2
        assert await number_found(country, "Maarika") == (2, False)
        assert await country.engine.catch_up() == 1
        assert await number_found(country, "Maarika") == (3, True)
        assert await country.engine.catch_up() == 0


async def test_a_message_that_comes_meanwhile_is_found_at_once(world: World) -> None:
    """Its procedure's turn comes later and adds the rest."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    await world.settle()
    as_upgraded(ee)
    await world["FI"].submit("acknowledgement.json", procedure=request.procedure)
    await world.settle()
    await ee.engine.catch_up()
    assert await number_found(ee, "Leena") == (1, True)


async def test_what_is_erased_gets_no_terms(world: World) -> None:
    """It is owed nothing any more, and nothing stops at it."""
    ee = world["EE"]
    gone, stays = await ee.submit("request.json"), await ee.submit("request.json")
    as_upgraded(ee)
    await _erase(ee, gone)
    assert await ee.engine.catch_up() == 2
    assert await number_found(ee, "Maarika") == (1, True)
    with exclusive(ee.url) as connection:
        assert {row[0] for row in connection.execute(text("SELECT procedure FROM search_term"))} == {stays.procedure}


async def test_a_procedure_that_does_not_open_keeps_no_other_from_being_found(world: World, monkeypatch) -> None:
    """More of them than one batch holds: the office of each is called once, no look is made in vain, and it heals."""
    monkeypatch.setattr(catch_up, "_BATCH", 2)
    ee = world["EE"]
    spoiled = [await ee.submit("request.json") for _ in range(3)]
    await ee.submit("request.json")
    as_upgraded(ee)
    with exclusive(ee.url) as connection:
        keys = text("UPDATE case_key SET epoch = 0 WHERE scope = :scope")
        for case in spoiled:
            connection.execute(keys, {"scope": f"FI:{case.case_ref}"})
    assert [await ee.engine.catch_up() for _ in range(4)] == [2, 2, 0, 2]
    calls = await ee.store.read(lambda reader: reader.open_calls(["unsearchable"]))
    assert sorted((call.subject, call.authority) for call in calls) == [
        (case.procedure, "social-insurance-board") for case in spoiled
    ]
    with exclusive(ee.url) as connection:
        connection.execute(text("UPDATE case_key SET epoch = 1"))
    assert [await ee.engine.catch_up() for _ in range(3)] == [1, 2, 0]
    assert await number_found(ee, "Maarika") == (4, True)
    assert await ee.store.read(lambda reader: reader.open_calls(["unsearchable"])) == ()


async def _erase(country: Country, accepted: Accepted) -> None:
    row = await country.store.read(lambda reader: reader.procedure(accepted.procedure, None))
    assert row is not None
    for scope in scopes_of(row.peer, row.case_ref, row.ref.id):
        await country.store.run(lambda tx, one=scope: tx.destroy_case(one, country.clock.now()))  # type: ignore[misc]
