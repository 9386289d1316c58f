# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who saw what is on record before it is shown."""

from __future__ import annotations

import json

import pytest

from broker.core.audit import AuditReason, Who
from broker.core.errors import SafeguardHeld, StoreUnavailable
from broker.core.ids import AuthorityId, CountryCode, MessageType
from broker.core.roles import AuditRole
from broker.derived.restraint import Restraint
from broker.finding import find_message
from broker.flows.consult import LOOK_SECONDS, Consult
from broker.rows import AuditRow, HeldDraft, MessageFilter, MessageRow, Page
from broker.schema_files import read_schema_file
from broker.testing.store_rows import NOW, message_id
from broker.testing.world import Country, World

BOARD = AuthorityId("social-insurance-board")
OFFICER = Who(actor="officer-7", role=AuditRole.OFFICER, authority=BOARD)


async def trail(country: Country) -> list[AuditRow]:
    """What was recorded of looks, oldest first."""
    page = await country.store.read(lambda reader: reader.audit(cursor=None, limit=100))
    return [row for row in reversed(page.items) if row.action in {"read", "listed", "trail-shown"}]


async def sent(country: Country) -> MessageRow:
    """Submit a message and return it as an officer finds it."""
    accepted = await country.submit("request.json")
    return await country.store.read(lambda reader: find_message(reader, accepted.message, BOARD))


async def listed(country: Country, **limits: object) -> Page:
    """Return the first page of the office's messages."""
    wanted = MessageFilter(authority=BOARD, **limits)  # type: ignore[arg-type]
    return await country.store.read(lambda reader: reader.messages(wanted, cursor=None, limit=50))


async def test_a_held_message_is_looked_at_on_record(world: World) -> None:
    """Each time that it is shown, and once for a list that has not changed."""
    ee = world["EE"]
    data = json.loads(read_schema_file("examples/demo/request.json"))
    data["body"]["child_wish"]["heard"]["wants_tracing"] = "NO"
    with pytest.raises(SafeguardHeld):
        await ee.submit(data)
    page = await ee.store.read(lambda reader: reader.drafts(BOARD, cursor=None, limit=9))
    (row,) = page.items
    for _ in range(2):
        await ee.desk.consult.drafts(page, OFFICER)
        await ee.desk.consult.draft(row, OFFICER)
    listed_once, one, two = await trail(ee)
    assert one == two
    assert (one.actor, one.action, one.subject, one.detail) == (
        "officer-7", "read", row.id, "held.family-tracing.request",
    )  # fmt: skip
    assert (listed_once.action, listed_once.subject) == ("listed", "held")
    assert listed_once.detail == f"items=1 newest={row.id} oldest={row.id}"


async def test_each_look_at_content_is_recorded(world: World) -> None:
    """Who, under which role, for which office, what, of which procedure and country, and on which legal basis."""
    ee = world["EE"]
    row = await sent(ee)
    for _ in range(2):
        await ee.desk.consult.message(row, OFFICER)
    one, two = await trail(ee)
    assert one == two
    assert (one.actor, one.role, one.authority, one.action) == ("officer-7", "officer", BOARD, "read")
    assert (one.subject, one.procedure, one.peer) == (row.id, row.header.procedure and row.header.procedure.id, "FI")
    assert (one.detail, one.reason) == ("family-tracing.request", "B2B_80_1_B")


async def test_a_page_is_one_entry_that_says_which_rows(world: World) -> None:
    """Fifty rows are one entry: how many, the newest, the oldest, and by what the list was limited."""
    ee = world["EE"]
    ids = [(await ee.submit("request.json")).message for _ in range(3)]
    page, wanted = await listed(ee, direction="out"), MessageFilter(authority=BOARD, direction="out")
    await ee.desk.consult.messages(page, wanted, OFFICER)
    (entry,) = await trail(ee)
    assert (entry.action, entry.subject) == ("listed", "messages")
    assert entry.detail == f"items=3 newest={page.items[0].id} oldest={page.items[-1].id} direction=out"
    assert {page.items[0].id, page.items[-1].id} <= set(ids)


async def test_what_is_shown_again_unchanged_is_one_look_for_ten_minutes(world: World) -> None:
    """A list that refreshes itself does not drown the trail; a new row, another caller and another day are new looks."""
    ee = world["EE"]
    await ee.submit("request.json")
    page, wanted = await listed(ee), MessageFilter(authority=BOARD)
    for _ in range(5):
        await ee.desk.consult.messages(page, wanted, OFFICER)
    assert len(await trail(ee)) == 1
    await ee.desk.consult.messages(page, wanted, Who(actor="officer-8", role=AuditRole.OFFICER, authority=BOARD))
    assert len(await trail(ee)) == 2
    await ee.submit("request.json")
    await ee.desk.consult.messages(await listed(ee), wanted, OFFICER)
    assert len(await trail(ee)) == 3
    world.clock.advance(LOOK_SECONDS)
    await ee.desk.consult.messages(page, wanted, OFFICER)
    assert len(await trail(ee)) == 4


async def test_an_empty_page_shows_nothing(world: World) -> None:
    """Where nothing was shown nothing is recorded."""
    ee = world["EE"]
    await ee.desk.consult.messages(await listed(ee), MessageFilter(authority=BOARD), OFFICER)
    await ee.desk.consult.procedures(Page(items=(), next=None), OFFICER)
    assert await trail(ee) == []


async def test_a_procedures_record_is_one_look_until_it_moves(world: World) -> None:
    """Looking again at an unchanged procedure is the same look; lists of procedures are recorded like messages."""
    ee = world["EE"]
    accepted = await ee.submit("request.json")
    view = await ee.view(accepted.procedure)
    for _ in range(2):
        await ee.desk.consult.procedure(view.row, OFFICER)
    await ee.desk.consult.procedures(Page(items=(view.row,), next=None), OFFICER)
    one, two = await trail(ee)
    assert (one.action, one.subject, one.detail) == ("read", accepted.procedure, "procedure.family-tracing")
    assert two.detail == f"items=1 newest={accepted.procedure} oldest={accepted.procedure}"


async def test_a_look_at_the_trail_stands_in_the_trail(world: World) -> None:
    """With its reason, and with the places of what was shown."""
    ee = world["EE"]
    await ee.submit("request.json")
    await ee.engine.link_audit()
    page = await ee.store.read(lambda reader: reader.audit(cursor=None, limit=5))
    await ee.desk.consult.trail(page, OFFICER, reason=AuditReason.LAWFULNESS)
    await ee.desk.consult.trail(Page(items=(), next=None), OFFICER, reason=AuditReason.LAWFULNESS, position=1)
    one, two = await trail(ee)
    assert (one.action, one.detail, one.reason) == ("trail-shown", "items=1 newest=1 oldest=1", "lawfulness")
    assert (two.subject, two.detail) == ("audit-1", "")


async def test_what_cannot_be_recorded_is_not_shown(world: World) -> None:
    """Every kind of look raises when the store does not take the entry, also one that was recorded before in vain."""
    ee = world["EE"]
    row, view = await sent(ee), None
    view = await ee.view(row.header.procedure.id) if row.header.procedure else None
    assert view is not None
    page = await listed(ee)
    restraint = Restraint(store=_Full(), ledger=ee.desk.ledger)  # type: ignore[arg-type]
    consult = Consult(store=_Full(), clock=world.clock, restraint=restraint)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await consult.message(row, OFFICER)
        with pytest.raises(StoreUnavailable):
            await consult.procedure(view.row, OFFICER)
        with pytest.raises(StoreUnavailable):
            await consult.messages(page, MessageFilter(), OFFICER)
        with pytest.raises(StoreUnavailable):
            await consult.draft(_HELD, OFFICER)
        with pytest.raises(StoreUnavailable):
            await consult.trail(Page(items=(), next=None), OFFICER, reason="x", position=1)
    assert await trail(ee) == []


_HELD = HeldDraft(
    id=message_id(1),
    peer=CountryCode("FI"),
    authority=BOARD,
    type=MessageType("family-tracing.request"),
    author="officer-7",
    role=AuditRole.OFFICER,
    route="test",
    at=NOW,
    reasons=(),
    content=b"{}",
)


class _Full:
    async def run(self, _: object) -> None:
        raise StoreUnavailable
