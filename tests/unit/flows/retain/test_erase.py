# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A case is erased by two persons, for a reason, exactly as it was listed; what it leaves says nothing."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from broker.core.audit import SearchReason, Who
from broker.core.delivery import ReleaseReason
from broker.core.erasures import Erasure, ErasureState, Obstacle
from broker.core.errors import (
    AlreadySettled,
    BadRequest,
    CaseErased,
    CaseOpen,
    ErasureChanged,
    Forbidden,
    LegalHold,
    MessagesOwed,
    NotFound,
    SafeguardHeld,
)
from broker.core.ids import AuthorityId, ErasureId, MessageId
from broker.core.messages import Party
from broker.core.persons import PersonQuery
from broker.core.retention import PROPOSAL_DAYS, EraseReason, HoldReason
from broker.core.roles import AuditRole
from broker.rows import Accepted, MessageFilter
from broker.schema_files import read_schema_file
from broker.storage.schema import exclusive
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World

from .conftest import BOARD

OVER = EraseReason.NO_LONGER_NEEDED


async def _trail(country: Country) -> list[str]:
    page = await country.store.read(lambda reader: reader.audit(cursor=None, limit=200))
    return [f"{row.action} {row.actor} {row.reason}".strip() for row in reversed(page.items) if "eras" in row.action]


def _act(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/acts/{name}.json"))
    return data


async def _messages(country: Country) -> int:
    page = await country.store.read(lambda reader: reader.messages(MessageFilter(), cursor=None, limit=99))
    return len(page.items)


async def _newest(country: Country) -> MessageId:
    page = await country.store.read(lambda reader: reader.messages(MessageFilter(direction="in"), cursor=None, limit=1))
    return MessageId(page.items[0].id)


async def test_a_list_says_what_goes_and_changes_nothing(world: World, ended: Accepted, first: Who) -> None:
    """Messages of both directions are named; nothing is stored, and nothing speaks against it."""
    ee = world["EE"]
    assert ended.case_ref is not None
    for wanted in (ended.procedure, ended.case_ref):
        case, listed = await ee.desk.erase.look(wanted, OVER, authority=first.authority)
        assert case.procedures == listed.procedures == (ended.procedure,)
        assert sorted(message.direction for message in listed.messages) == ["in", "in", "out"]
        assert listed.hindrances == ()
    assert await _messages(ee) == 3
    assert await _trail(ee) == []


async def test_two_persons_erase_a_case(world: World, ended: Accepted, first: Who, second: Who) -> None:
    """Contents go, with all calls about them; digests, receipts, record and trail stay; then it is final."""
    ee = world["EE"]
    before = await ee.view(ended.procedure)
    proposed = await ee.desk.erase.propose(ended.procedure, OVER, first)
    page = await ee.store.read(lambda reader: reader.attention(BOARD, open_only=True, cursor=None, limit=9))
    assert [(call.code, call.peer) for call in page.items] == [("erasure-waits", "FI")]
    assert await _messages(ee) == 3
    done = await ee.desk.erase.confirm(proposed.id, second)

    assert (done.state, done.decided_by, done.final) == (ErasureState.ERASED, "second", None)
    assert await ee.attention() == []
    assert await _messages(ee) == 0
    assert await ee.store.run(lambda tx: tx.outbox(ended.message)) is None
    after = await ee.view(ended.procedure)
    assert after.row.erased == done.decided
    assert (after.entries, after.heads, after.digest) == (before.entries, before.heads, before.digest)
    assert await ee.store.read(lambda reader: reader.receipts_about(ee.us, ended.message)) != ()

    assert await ee.engine.next_epoch.if_owed() is True
    final = await ee.store.read(lambda reader: reader.retention.erasure(done.id))
    assert final is not None
    assert final.final is not None
    assert await _trail(ee) == [
        "erasure-proposed first no-longer-needed", "erased second no-longer-needed", "erasure-final node",
    ]  # fmt: skip
    with pytest.raises(CaseErased):
        await ee.desk.erase.look(ended.procedure, OVER, authority=first.authority)
    with pytest.raises(AlreadySettled):
        await ee.desk.erase.reject(done.id, first)
    assert await ee.store.read(lambda reader: reader.retention.erasure(done.id)) == final


async def test_an_erased_case_is_found_by_nobodys_name(world: World, ended: Accepted, first: Who, second: Who) -> None:
    """Neither by the child's nor by the relative's, also after the searchable terms of everything are made anew."""
    ee = world["EE"]

    async def found() -> list[int]:
        asked = [PersonQuery.of("Maarika", "2014-05-03"), PersonQuery.of("Leena", None)]
        answers = [await ee.desk.search(query, first, reason=SearchReason.CASEWORK) for query in asked]
        return [len(answer.items) for answer in answers]

    assert await found() == [1, 1]
    proposed = await ee.desk.erase.propose(ended.procedure, OVER, first)
    await ee.desk.erase.confirm(proposed.id, second)
    assert await found() == [0, 0]
    with exclusive(ee.url) as connection:
        assert connection.execute(text("SELECT count(*) FROM search_term")).scalar() == 0
        connection.execute(text("INSERT INTO search_owed (procedure) SELECT id FROM procedure"))
    assert await ee.engine.catch_up() == 1
    assert await found() == [0, 0]


async def test_a_correction_is_erased_only_when_what_it_corrects_is_over(world: World, first: Who, second: Who) -> None:
    """R-01: a tracing that goes on would be judged by the wrong words again; a court's order erases it all the same."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    data = json.loads(read_schema_file("examples/correction/rectify-birth-year.json"))
    data["sender"], data["body"]["targets"] = {"authority": "social-insurance-board"}, [str(request.digest)]
    data["body"]["fields"][0]["pointer"] = "/child/birth/value/date"
    corrected = await ee.submit(data)
    await world.settle()
    report = json.loads(read_schema_file("examples/correction/report-done.json"))
    report["sender"] = {"authority": "helsinki-wellbeing-services"}
    report["recipient"] = {"country": "EE", "authority": "social-insurance-board"}
    report["body"]["outcomes"][0]["target"] = str(request.digest)
    await fi.submit(report, procedure=corrected.procedure)
    await world.settle()
    await ee.desk.open_message((await _newest(ee)), first)
    await world.settle()

    _, listed = await ee.desk.erase.look(corrected.procedure, OVER, authority=first.authority)
    assert [(one.obstacle, one.subjects) for one in listed.hindrances] == [(Obstacle.CASE_OPEN, (request.procedure,))]
    _, listed = await ee.desk.erase.look(corrected.procedure, EraseReason.COURT_ORDER, authority=first.authority)
    assert listed.hindrances == ()
    withdrawal = {**json.loads(read_schema_file("examples/demo/request.json")), "type": "family-tracing.withdrawal"}
    await ee.submit({**withdrawal, "body": {"reason": "NO_LONGER_NEEDED"}}, procedure=request.procedure)
    await world.settle()
    _, listed = await ee.desk.erase.look(corrected.procedure, OVER, authority=first.authority)
    assert listed.hindrances == ()


async def test_nobody_confirms_alone(world: World, ended: Accepted, first: Who, second: Who) -> None:
    """Neither who proposed it, nor a system, nor another office; nothing is erased."""
    ee = world["EE"]
    proposed = await ee.desk.erase.propose(ended.procedure, OVER, first)
    other = AuthorityId("ministry-of-justice")
    for who, error in (
        (first, Forbidden),
        (replace(second, role=AuditRole.SYSTEM), Forbidden),
        (replace(second, authority=other), NotFound),
    ):
        with pytest.raises(error):
            await ee.desk.erase.confirm(proposed.id, who)
    with pytest.raises(NotFound):
        await ee.desk.erase.propose(ended.procedure, OVER, replace(first, authority=other))
    with pytest.raises(Forbidden):
        await ee.desk.erase.propose(ended.procedure, OVER, replace(first, role=AuditRole.ADAPTER))
    with pytest.raises(BadRequest):
        await ee.desk.erase.propose(ended.procedure, EraseReason.EXERCISE, first)
    assert await _messages(ee) == 3


async def test_what_came_since_is_not_erased_unseen(world: World, ended: Accepted, first: Who, second: Who) -> None:
    """A message that nobody was shown makes the proposal void, and a hold keeps the case."""
    ee = world["EE"]
    held = await ee.desk.erase.propose(ended.procedure, OVER, first)
    await ee.desk.keep.hold(ended.procedure, HoldReason.COMPLAINT, first)
    with pytest.raises(LegalHold, match="complaint"):
        await ee.desk.erase.confirm(held.id, second)
    await ee.desk.keep.release(ended.procedure, first)

    await world["FI"].submit(_act("clarification-no-hurry"), procedure=ended.procedure)
    await world.settle()
    with pytest.raises(ErasureChanged):
        await ee.desk.erase.confirm(held.id, second)
    assert await _messages(ee) == 4


async def test_what_is_opened_in_the_case_at_the_last_moment_is_not_erased_unseen(
    world: World, ended: Accepted, first: Who, second: Who
) -> None:
    """P1: between the last look and the transaction that erases; the new message stays whole, and a person looks again."""
    ee, finland = (
        world["EE"],
        Hostile(world["FI"], world["EE"]),
    )  # no node of ours uses a reference twice; another's may
    board = Party(country=ee.us, authority=AuthorityId("social-insurance-board"))
    proposed = await ee.desk.erase.propose(ended.procedure, EraseReason.OBJECTION, first)
    came = finland.message("request.json", recipient=board, case_ref=ended.case_ref)

    _meanwhile(ee, lambda: finland.send(came))
    with pytest.raises(ErasureChanged):
        await ee.desk.erase.confirm(proposed.id, second)
    (row,) = await ee.store.read(lambda reader: reader.messages_of(came.id, None))
    assert row.content == came.content
    assert await _messages(ee) == 4


def _meanwhile(country: Country, what: Callable[[], Awaitable[object]]) -> None:
    """Let something happen between the last look at a case and the transaction that erases it."""
    asks = country.desk.erase._pass_on.kind_of

    async def meanwhile(office: AuthorityId) -> str | None:
        await what()
        return await asks(office)

    country.desk.erase._pass_on.kind_of = meanwhile  # type: ignore[method-assign]


async def test_a_hold_of_the_last_moment_keeps_the_case(world: World, ended: Accepted, first: Who, second: Who) -> None:
    """Whoever puts a case on hold before it is erased has kept it."""
    ee = world["EE"]
    proposed = await ee.desk.erase.propose(ended.procedure, OVER, first)
    _meanwhile(ee, lambda: ee.desk.keep.hold(ended.procedure, HoldReason.COMPLAINT, first))
    with pytest.raises(LegalHold):
        await ee.desk.erase.confirm(proposed.id, second)
    assert await _messages(ee) == 3


async def test_a_decision_of_the_last_moment_is_the_one(world: World, ended: Accepted, first: Who, second: Who) -> None:
    """What was rejected meanwhile is not erased, and nobody decides twice."""
    ee = world["EE"]
    proposed = await ee.desk.erase.propose(ended.procedure, OVER, first)
    _meanwhile(ee, lambda: ee.desk.erase.reject(proposed.id, first))
    with pytest.raises(AlreadySettled):
        await ee.desk.erase.confirm(proposed.id, second)
    assert await _messages(ee) == 3
    assert await _trail(ee) == [
        "erasure-proposed first no-longer-needed", "erasure-rejected first no-longer-needed",
    ]  # fmt: skip


async def test_a_decision_is_made_once_and_in_time(world: World, ended: Accepted, first: Who, second: Who) -> None:
    """One proposal waits at a time; rejected or late it waits no more, and another may be made."""
    ee = world["EE"]
    one = await ee.desk.erase.propose(ended.procedure, OVER, first)
    with pytest.raises(AlreadySettled):
        await ee.desk.erase.propose(ended.procedure, OVER, second)
    assert (await ee.desk.erase.reject(one.id, first)).state is ErasureState.REJECTED
    assert await ee.attention() == []
    with pytest.raises(AlreadySettled):
        await ee.desk.erase.confirm(one.id, second)

    two = await ee.desk.erase.propose(ended.procedure, OVER, first)
    world.clock.advance((PROPOSAL_DAYS + 1) * 86_400)
    with pytest.raises(AlreadySettled):
        await ee.desk.erase.confirm(two.id, second)
    assert await ee.engine.review() == 1
    assert await ee.attention() == ["erasure-lapsed"]
    assert await _messages(ee) == 3


async def test_an_open_procedure_is_erased_by_an_order_alone(world: World, first: Who, second: Who) -> None:
    """A court's order waits for no procedure; it waits for what is not delivered, and for a legal hold."""
    ee = world["EE"]
    request = await ee.submit("request.json")
    order = EraseReason.COURT_ORDER
    with pytest.raises(MessagesOwed, match=request.message):
        await ee.desk.erase.propose(request.procedure, order, first)
    await world.settle()
    with pytest.raises(CaseOpen, match=request.procedure):
        await ee.desk.erase.propose(request.procedure, OVER, first)
    await ee.desk.keep.hold(request.procedure, HoldReason.CRIMINAL_PROCEEDINGS, first)
    _, listed = await ee.desk.erase.look(request.procedure, order, authority=first.authority)
    assert [one.obstacle for one in listed.hindrances] == [Obstacle.LEGAL_HOLD]
    await ee.desk.keep.release(request.procedure, first)
    proposed = await ee.desk.erase.propose(request.procedure, order, first)
    await ee.desk.erase.confirm(proposed.id, second)
    world.clock.advance(40 * 86_400)
    await ee.engine.remind()
    assert await ee.attention() == []  # nobody is reminded of what is erased


async def test_a_case_that_the_other_country_refused_can_be_erased(world: World, first: Who, second: Who) -> None:
    """It was never opened, so nobody can bring it to an end: its contents would have to stay for ever."""
    ee, fi = world["EE"], world["FI"]
    listed = fi.trust.current()
    closed = {name: replace(one, authorities=one.authorities[-1:]) for name, one in listed.members.items()}
    fi.trust.newest = replace(listed, members=closed)
    await fi.trust.refresh()
    request = await ee.submit("request.json")
    await world.settle()
    assert (await ee.states(request), (await ee.view(request.procedure)).state) == (["refused"], "NEW")

    made = await ee.desk.erase.propose(request.procedure, OVER, first)
    await ee.desk.erase.confirm(made.id, second)
    assert (await _messages(ee), await ee.attention()) == (0, [])


async def test_a_case_whose_opening_has_not_come_yet_goes_on(world: World, first: Who, second: Who) -> None:
    """Its withdrawal overtook it: what stands in the record waits for the opening, and is not erased before."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await ee.engine.dispatch()
    world.network.waiting[fi.us].clear()
    withdrawal = json.loads(read_schema_file("examples/family-tracing/withdrawal-no-reason.json"))
    await ee.submit(withdrawal, procedure=request.procedure)
    await ee.engine.dispatch()
    (early,) = world.network.waiting[fi.us]
    assert await fi.engine.receive(early) == "recorded"
    view = await fi.view(request.procedure)
    assert view.state == "NEW"
    office = replace(first, authority=view.row.our_authority)
    with pytest.raises(CaseOpen):
        await fi.desk.erase.propose(request.procedure, OVER, office)


async def test_a_message_that_comes_later_is_refused(world: World, ended: Accepted, first: Who, second: Who) -> None:
    """Its author learns by a signed refusal; nothing of it is kept but its digest. A new case begins anew."""
    ee, fi = world["EE"], world["FI"]
    proposed = await ee.desk.erase.propose(ended.procedure, OVER, first)
    await ee.desk.erase.confirm(proposed.id, second)
    late = await fi.submit(_act("reopening-new-information"), procedure=ended.procedure)
    await world.settle()
    row = await fi.store.run(lambda tx: tx.outbox(late.message))
    assert row is not None
    assert (row.state, row.refusal_code) == ("refused", "case-erased")
    assert await ee.store.run(lambda tx: tx.inbox(fi.us, late.message)) is None
    assert await _messages(ee) == 0

    again = await ee.submit("request.json")
    await world.settle()
    assert await ee.states(again) == ["handed-over"]


async def test_an_erasure_is_not_final_while_a_key_of_its_epoch_is_kept(
    world: World, ended: Accepted, first: Who, second: Who
) -> None:
    """A case whose key does not open keeps the wrapping key: its own erasure, which two persons can still decide, frees it."""
    ee = world["EE"]
    gone = await ee.submit("request.json")
    await world.settle()
    with exclusive(ee.url) as connection:
        words = text("UPDATE case_key SET wrapped = zeroblob(61) WHERE scope = :scope")
        connection.execute(words, {"scope": f"FI:{ended.case_ref}"})
    finals = []
    for case, reason in ((gone, EraseReason.COURT_ORDER), (ended, OVER)):
        proposed = await ee.desk.erase.propose(case.procedure, reason, first)
        await ee.desk.erase.confirm(proposed.id, second)
        assert await ee.engine.next_epoch.if_owed() is True
        found = await ee.store.read(lambda reader: reader.retention.erasures(None, limit=9))
        finals.append([one.final is not None for one in found])
    assert finals == [[False], [True, True]]
    assert await ee.attention() == []


async def test_an_erased_procedure_stays_closed_also_where_the_mark_of_its_key_is_lost(
    world: World, first: Who, second: Who
) -> None:
    """What comes into it is refused as before: its key is never made anew."""
    ee, fi = world["EE"], world["FI"]
    asked = await ee.submit("request.json")
    await world.settle()
    proposed = await ee.desk.erase.propose(asked.procedure, EraseReason.COURT_ORDER, first)
    await ee.desk.erase.confirm(proposed.id, second)
    with exclusive(ee.url) as connection:
        connection.execute(text("DELETE FROM case_key WHERE scope = :scope"), {"scope": f"FI:{asked.case_ref}"})
    answer = await fi.submit("acknowledgement.json", procedure=asked.procedure)
    await world.settle()
    row = await fi.store.run(lambda tx: tx.outbox(answer.message))
    assert row is not None
    assert (row.state, row.refusal_code) == ("refused", "case-erased")


async def test_what_still_waits_for_a_second_person_is_erased_with_its_case(
    world: World, first: Who, second: Who
) -> None:
    """A held message, its uploaded file and the call about it: nobody can release it any more."""
    ee = world["EE"]
    asked = await ee.submit("request.json")
    await world.settle()
    file = await ee.upload()
    act = _act("correction-birth-year")
    field = {"pointer": "/child_wish/heard/wants_tracing", "now": {"value": "NO"}}
    body = {**act["body"], "target": asked.digest, "fields": [field]}
    with pytest.raises(SafeguardHeld):
        await ee.submit(
            {**act, "sender": {"authority": str(BOARD)}, "body": body}, procedure=asked.procedure, attachments=(file,)
        )
    (draft,) = (await ee.store.read(lambda reader: reader.drafts(BOARD, cursor=None, limit=9))).items
    _, listed = await ee.desk.erase.look(asked.procedure, EraseReason.COURT_ORDER, authority=BOARD)
    assert (listed.drafts, listed.uploads) == ((draft.id,), 1)

    proposed = await ee.desk.erase.propose(asked.procedure, EraseReason.COURT_ORDER, first)
    await ee.desk.erase.confirm(proposed.id, second)
    assert await ee.attention() == []
    assert await ee.store.run(lambda tx: tx.upload(file.upload)) is None
    with pytest.raises(AlreadySettled):
        await ee.desk.approve.release(draft.id, second, ReleaseReason.CHECKED)
    assert await ee.store.read(lambda reader: reader.retention.duties_of(proposed.id)) == 2
    await ee.engine.clear()
    assert ee.blobs.held == {}


async def test_the_files_of_an_erased_case_are_removed_at_once(world: World, first: Who, second: Who) -> None:
    """Sealed as they lie there, on both sides; a file of another case stays."""
    ee, fi = world["EE"], world["FI"]
    cases = [await ee.submit("request.json", attachments=(await ee.upload(),)) for _ in range(2)]
    await world.settle()
    for country, office in ((ee, BOARD), (fi, AuthorityId("helsinki-wellbeing-services"))):
        assert len(country.blobs.held) == 2
        one, two = (replace(who, authority=office) for who in (first, second))
        proposed = await country.desk.erase.propose(cases[0].procedure, EraseReason.COURT_ORDER, one)
        await country.desk.erase.confirm(proposed.id, two)
        await country.engine.clear()
        author, kept = ee.us, cases[1].message
        (left,) = await country.store.read(lambda reader, author=author, kept=kept: reader.attachments_of(author, kept))
        assert set(country.blobs.held) == {left.blob}


async def test_two_offices_in_one_case_decide_neither_alone(
    world: World, ended: Accepted, first: Who, second: Who
) -> None:
    """What another country opened under the same reference at another office is of the same child."""
    ee, finland = world["EE"], Hostile(world["FI"], world["EE"])
    ministry = Party(country=ee.us, authority=AuthorityId("ministry-of-justice"))
    proposed = await ee.desk.erase.propose(ended.procedure, OVER, first)
    await finland.send(finland.message("request.json", recipient=ministry, case_ref=ended.case_ref))
    for who in (first, second, replace(second, authority=ministry.authority)):
        with pytest.raises((Forbidden, NotFound)):
            await ee.desk.erase.confirm(proposed.id, who)
        with pytest.raises(Forbidden):
            await ee.desk.erase.look(ended.case_ref or ended.procedure, OVER, authority=who.authority)
        with pytest.raises(Forbidden):
            await ee.desk.keep.hold(ended.case_ref or ended.procedure, HoldReason.COMPLAINT, who)
    assert await _messages(ee) == 4
    for_both = Who(actor="cli:both", role=AuditRole.OPERATOR)  # who speaks for the whole node decides
    _, listed = await ee.desk.erase.look(ended.case_ref or ended.procedure, OVER, authority=None)
    assert len(listed.procedures) == 2
    assert (await ee.desk.erase.reject(proposed.id, for_both)).state is ErasureState.REJECTED


async def test_whoever_was_called_about_an_erased_case_is_called_no_more(
    world: World, ended: Accepted, first: Who, second: Who
) -> None:
    """Neither about the procedure nor about a message that nobody read."""
    ee = world["EE"]
    world.clock.advance(367 * 86_400)
    await ee.engine.watch()
    await ee.engine.review()
    assert {"failed-opened", "review-due"} <= set(await ee.attention())
    proposed = await ee.desk.erase.propose(ended.procedure, OVER, first)
    await ee.desk.erase.confirm(proposed.id, second)
    assert await ee.attention() == []


async def test_what_was_begun_anew_under_an_erased_reference_is_erased_whole(
    world: World, ended: Accepted, first: Who, second: Who
) -> None:
    """It has a key of its own, whose epoch tells when that is final; no key of the case is left."""
    ee, finland = world["EE"], Hostile(world["FI"], world["EE"])
    proposed = await ee.desk.erase.propose(ended.procedure, OVER, first)
    await ee.desk.erase.confirm(proposed.id, second)
    world.clock.advance(60)
    board = Party(country=ee.us, authority=BOARD)
    await finland.send(finland.message("request.json", recipient=board, case_ref=ended.case_ref))
    assert ended.case_ref is not None
    assert await ee.engine.next_epoch.if_owed() is True
    again = await ee.desk.erase.propose(ended.case_ref, EraseReason.COURT_ORDER, first)
    assert ended.procedure not in again.procedures
    await ee.desk.erase.confirm(again.id, second)
    with exclusive(ee.url) as connection:
        keys = connection.execute(text("SELECT wrapped FROM case_key WHERE scope LIKE 'FI:%'")).all()
    assert {key.wrapped for key in keys} == {None}
    oldest, now = ee.epochs.ring().oldest, world.clock.now()
    assert await ee.store.run(lambda tx: tx.retention.finish_erasures(oldest, now)) == ()
    assert await ee.engine.next_epoch.if_owed() is True
    found = await ee.store.read(lambda reader: reader.retention.erasures(None, limit=9))
    assert all(one.final is not None for one in found)


async def test_who_rejects_too_late_has_rejected_nothing(
    world: World, ended: Accepted, first: Who, second: Who, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw it wait, and the other confirmed it first: it is erased, and nobody is told that it is kept."""
    ee = world["EE"]
    made = await ee.desk.erase.propose(ended.procedure, OVER, first)
    waiting, overtaken = ee.desk.erase._waiting, iter([True])

    async def slow(erasure: ErasureId, who: Who) -> Erasure:
        seen = await waiting(erasure, who)
        if next(overtaken, False):
            await ee.desk.erase.confirm(made.id, second)
        return seen

    monkeypatch.setattr(ee.desk.erase, "_waiting", slow)
    with pytest.raises(AlreadySettled):
        await ee.desk.erase.reject(made.id, first)
    held = await ee.store.read(lambda reader: reader.retention.erasure(made.id))
    assert held is not None
    assert (held.state, held.decided_by) == (ErasureState.ERASED, "second")
    assert await _messages(ee) == 0
    assert not [line for line in await _trail(ee) if "rejected" in line]


async def test_a_reference_that_two_countries_use_names_no_case(
    world: World, ended: Accepted, first: Who, second: Who
) -> None:
    """Another country may choose it: rather than one child's case or the other's, none is erased; a procedure names it."""
    ee = world["EE"]
    sweden = Hostile(world["SE"], ee)
    other = sweden.message(
        "request.json", case_ref=ended.case_ref, recipient=Party(country=ee.us, authority=BOARD),
        sender=Party(country=world["SE"].us, authority=AuthorityId("gender-equality-agency")),
    )  # fmt: skip
    assert await sweden.send(other) == "recorded"
    assert ended.case_ref is not None
    with pytest.raises(BadRequest):
        await ee.desk.erase.propose(ended.case_ref, OVER, first)
    with pytest.raises(BadRequest):
        await ee.desk.keep.hold(ended.case_ref, HoldReason.CRIMINAL_PROCEEDINGS, first)

    made = await ee.desk.erase.propose(ended.procedure, OVER, first)
    await ee.desk.erase.confirm(made.id, second)
    page = await ee.store.read(lambda reader: reader.messages(MessageFilter(), cursor=None, limit=9))
    assert [row.id for row in page.items] == [other.id]
