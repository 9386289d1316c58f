# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Finding procedures by the people that they speak of."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from broker.core.audit import AuditRow, SearchReason, Who
from broker.core.errors import BadRequest, NotFound, StoreUnavailable
from broker.core.ids import AuthorityId, ProcedureId
from broker.core.persons import PersonQuery
from broker.core.roles import AuditRole
from broker.flows import search
from broker.ports import Store, Transaction
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.security.at_rest import BUCKETS, EpochRing, scopes_of
from broker.testing.world import Country, World

BOARD, OTHER = AuthorityId("social-insurance-board"), AuthorityId("ministry-of-justice")
HELSINKI = AuthorityId("helsinki-wellbeing-services")


async def found(
    country: Country, name: str | None, born: str | None = None, *, office: AuthorityId | None = BOARD
) -> search.Found:
    """Search as an officer of that office."""
    who = Who(actor="officer-7", role=AuditRole.OFFICER, authority=office)
    return await country.desk.search(PersonQuery.of(name, born), who, reason=SearchReason.CASEWORK)


async def ids(country: Country, *asked: str | None, office: AuthorityId | None = BOARD) -> list[ProcedureId]:
    """Return which procedures are found."""
    return [row.ref.id for row in (await found(country, *asked, office=office)).items]


async def searches(country: Country) -> list[AuditRow]:
    """Return what is on record of searches, oldest first."""
    page = await country.store.read(lambda reader: reader.audit(cursor=None, limit=100))
    return [row for row in reversed(page.items) if row.action == "searched"]


def request(**child: Any) -> dict[str, Any]:
    """Return the example with another child."""
    data: dict[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
    data["body"]["child"] |= child
    return data


async def test_both_countries_find_the_procedure(world: World) -> None:
    """By name in any order and spelling, by birth, by a relative; each side what it sent or received."""
    ee, fi = world["EE"], world["FI"]
    accepted = await ee.submit("request.json")
    await world.settle()
    for country, office in ((ee, BOARD), (fi, HELSINKI)):
        for asked in (("NAIDIS test-maarika", "2014"), (None, "2014-05-03"), ("Lena Näitlik", "1989-06-01")):
            assert await ids(country, *asked, office=office) == [accepted.procedure], asked
        for asked in (("Test-Maarika", "2013"), ("Maarik", None), (None, "2014-05-04"), ("Maarika Leena", None)):
            assert await ids(country, *asked, office=office) == [], asked


async def test_another_office_finds_nothing_of_it(world: World) -> None:
    """And cannot tell that there is something; the whole node's auditor would."""
    await world["EE"].submit("request.json")
    assert await found(world["EE"], "Maarika", office=OTHER) == await found(world["EE"], "Nobody", office=OTHER)
    assert len(await ids(world["EE"], "Maarika", office=None)) == 1


async def test_a_shared_bucket_finds_nobody_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every name in one bucket the answers are the same: what may fit is opened and compared."""
    monkeypatch.setattr(EpochRing, "buckets", lambda *_: frozenset({BUCKETS - 1}))
    ee = world["EE"]
    first = await ee.submit("request.json")
    second = await ee.submit(request(name={"given": {"value": "Test-Tiit"}, "family": {"value": "Naide"}}, aliases=[]))
    assert await ids(ee, "Test-Maarika") == [first.procedure]
    assert await ids(ee, "Tiit") == [second.procedure]
    assert await ids(ee, "Leena") == [second.procedure, first.procedure]


async def test_more_than_a_person_needs_is_not_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are shown, and that there are more."""
    monkeypatch.setattr(search, "MOST_FOUND", 2)
    accepted = [await world["EE"].submit("request.json") for _ in range(3)]
    answer = await found(world["EE"], "Maarika")
    assert ([row.ref.id for row in answer.items], answer.more) == (
        [one.procedure for one in reversed(accepted[1:])],
        True,
    )
    assert answer.whole


async def erase(country: Country, accepted: Accepted) -> None:
    """Destroy the keys of a procedure as erasing does."""
    row = await country.store.read(lambda reader: reader.procedure(accepted.procedure, None))
    assert row is not None

    def destroy(tx: Transaction) -> None:
        for scope in scopes_of(row.peer, row.case_ref, row.ref.id):
            tx.destroy_case(scope, country.clock.now())

    await country.store.run(destroy)


async def test_what_is_erased_is_not_found(world: World) -> None:
    """From the commit on, here; the other country's own records are its own."""
    ee, fi = world["EE"], world["FI"]
    gone, stays = await ee.submit("request.json"), await ee.submit("request.json")
    await world.settle()
    await erase(ee, gone)
    assert await ids(ee, "Maarika", "2014-05-03") == [stays.procedure]
    assert len(await ids(fi, "Maarika", office=HELSINKI)) == 2


@pytest.mark.parametrize(
    "spoil", ["DELETE FROM case_key WHERE scope = ?", "UPDATE outbox_content SET content = x'00' WHERE scope = ?"]
)
async def test_what_does_not_open_hides_nobody_else_and_is_counted(world: World, spoil: str) -> None:
    """A lost key or a damaged row: the others are shown, that one more may be meant is said, and both are on record."""
    ee = world["EE"]
    spoilt, whole = await ee.submit("request.json"), await ee.submit("request.json")
    row = await ee.store.read(lambda reader: reader.procedure(spoilt.procedure, None))
    assert row is not None
    with closing(sqlite3.connect(ee.url.removeprefix("sqlite:///"))) as db, db:
        assert db.execute(spoil, (f"FI:{row.case_ref}",)).rowcount
    await world.restart("EE")
    answer = await found(ee, "Maarika")
    assert ([one.ref.id for one in answer.items], answer.unreadable) == ([whole.procedure], 1)
    assert (await searches(ee))[-1].detail.endswith(" unreadable=1")
    assert await found(ee, "Nobody") == search.Found(items=(), more=False, whole=True)


async def test_who_searched_is_on_record_and_not_for_whom(world: World) -> None:
    """Each search, also the same once more and one that found nothing: who, as what, for whom, why, and what was shown."""
    ee = world["EE"]
    accepted = await ee.submit("request.json")
    await found(ee, "Test-Maarika Näidis", "2014-05-03")
    await found(ee, "Test-Maarika Näidis", "2014-05-03")
    await found(ee, "Nobody")
    one, two, none = await searches(ee)
    assert one == two
    assert (one.actor, one.role, one.authority, one.reason) == ("officer-7", "officer", BOARD, "casework")
    assert one.detail == f"items=1 newest={accepted.procedure} oldest={accepted.procedure} words=3 born=date"
    assert none.detail == "items=0 words=1 born=no"
    assert not [row for row in (one, none) if "aarika" in repr(row) or "2014" in repr(row) or "obody" in repr(row)]


async def test_a_search_that_cannot_be_recorded_is_not_answered(world: World) -> None:
    """Nothing is shown behind the trail's back."""
    ee = world["EE"]
    await ee.submit("request.json")
    full = search.Search(us=ee.us, store=_Full(ee.store), catalogue=ee.desk.catalogue, clock=ee.clock)
    who = Who(actor="officer-7", role=AuditRole.OFFICER, authority=BOARD)
    with pytest.raises(StoreUnavailable):
        await full(PersonQuery.of("Maarika", None), who, reason=SearchReason.CASEWORK)
    assert await searches(ee) == []


class _Full:
    def __init__(self, inner: Store) -> None:
        self.read, self.close = inner.read, inner.close

    async def run(self, _: object) -> Any:
        raise StoreUnavailable


async def _others(country: Country, procedure: ProcedureId, office: AuthorityId | None = BOARD) -> list[ProcedureId]:
    who = Who(actor="officer-7", role=AuditRole.OFFICER, authority=office)
    answer = await country.desk.search.others(procedure, who, reason=SearchReason.CASEWORK)
    return [row.ref.id for row in answer.items]


async def test_the_other_procedures_of_a_child_are_found_without_anybody_saying_its_name(world: World) -> None:
    """Across countries and families, by the office that takes part; a child of another name or birth is not among them."""
    ee = world["EE"]
    first = await ee.submit("request.json")
    sweden = {**request(), "recipient": {"country": "SE", "authority": "gender-equality-agency"}}
    second = await ee.submit(sweden)
    await ee.submit(request(name={"given": {"value": "Test-Tiit"}, "family": {"value": "Naide"}}, aliases=[]))
    younger = {"value": {"date": "2015-05-03", "estimated": False}}
    await ee.submit(request(birth=younger))

    assert await _others(ee, first.procedure) == [second.procedure]
    assert await _others(ee, second.procedure) == [first.procedure]
    entry = (await searches(ee))[-1]
    assert (entry.procedure, entry.reason, entry.authority) == (second.procedure, "casework", BOARD)
    assert "aarika" not in repr(entry)


async def test_the_other_procedures_are_those_of_the_child_as_it_is_described_now_and_as_it_was_written(
    world: World,
) -> None:
    """Not as it was corrected first, before the clock was set back: the slip of the first day may stand elsewhere too."""
    ee = world["EE"]
    first = await ee.submit("request.json")
    same = await ee.submit(request(birth={"value": {"date": "2012-05-03", "estimated": False}}))
    slip = await ee.submit(request())
    await ee.submit(request(birth={"value": {"date": "2013-05-03", "estimated": False}}))
    data: dict[str, Any] = json.loads(read_schema_file("examples/acts/correction-birth-year.json"))
    data |= {"sender": {"authority": str(BOARD)}, "recipient": {"country": "FI", "authority": str(HELSINKI)}}
    for born in ("2013-05-03", "2012-05-03"):
        data["body"] |= {"target": str(first.digest)}
        data["body"]["fields"] = [{"pointer": "/child/birth/value/date", "now": {"value": born}}]
        await ee.submit(data, procedure=first.procedure)
        ee.clock.set_back(300)

    assert set(await _others(ee, first.procedure)) == {same.procedure, slip.procedure}


async def test_an_office_that_takes_no_part_learns_nothing_of_the_child(world: World) -> None:
    """It cannot ask about a procedure of another office, and is shown none of them."""
    ee = world["EE"]
    first = await ee.submit("request.json")
    other = {**request(), "sender": {"authority": str(OTHER)}}
    second = await ee.submit(other)
    with pytest.raises(NotFound):
        await _others(ee, first.procedure, OTHER)
    assert await _others(ee, second.procedure, OTHER) == []
    assert await _others(ee, second.procedure, None) == [first.procedure]


async def test_a_procedure_that_names_nobody_is_no_search(world: World) -> None:
    """A consultation has no child: the caller is told so, and nothing is on record as a search."""
    ee = world["EE"]
    question: dict[str, Any] = json.loads(read_schema_file("examples/consultation/question-nail-studio.json"))
    question["sender"] = {"authority": str(BOARD)}
    question["recipient"] = {"country": "FI", "authority": str(HELSINKI)}
    accepted = await ee.submit(question)
    with pytest.raises(BadRequest) as refused:
        await _others(ee, accepted.procedure)
    assert refused.value.where == "/procedure"
    assert await searches(ee) == []
