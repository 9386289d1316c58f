# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A member of the trust list that breaks the rules with true keys: what it writes hinders nobody and misleads nobody."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from broker.core import capacity
from broker.core.content import entry_of
from broker.core.delivery import HEAL_ATTEMPTS
from broker.core.errors import SafeguardBlocked
from broker.core.healing import HELD_TYPE, Answer, HeldItem, Place
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId, MessageType, ProcedureId
from broker.core.messages import OutboxEntry, OutboxKind
from broker.core.profiles import CountryProfile, Entry, ProfileVersion, Source, Standing
from broker.core.receipts import ReceiptKind
from broker.core.retention import EraseReason
from broker.derived import surges
from broker.doctor.judging import skews
from broker.flows.heal import HealingStatus
from broker.ledger import node_header
from broker.reception import healing
from broker.schema_files import read_schema_file
from broker.testing.hostile import Hostile
from broker.testing.lost_disk import keep, lose_disk
from broker.testing.world import World, officer

EE, FI = CountryCode("EE"), CountryCode("FI")
FAR = datetime(2190, 1, 1, tzinfo=UTC)
STATUS = "../acts/status-waiting-for-court.json"
CONSENT = "decision-consent-for-a-year"


def _example(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(read_schema_file(f"examples/{name}.json"))
    return data


class Asking:
    """Estonia's node, whose procedure with Finland is open; each message descends from the one before."""

    def __init__(self, world: World) -> None:
        self.hostile = Hostile(world["EE"], world["FI"])
        self.request = self.hostile.message("request.json")
        self.newest = self.request

    async def say(self, example: str | dict[str, Any], **changes: Any) -> str:
        """Send the next message of the procedure and return what became of it."""
        header = self.request.header
        assert header.procedure is not None
        written = _example(example) if isinstance(example, str) else example
        self.newest = self.hostile.message(
            written, procedure=header.procedure, case_ref=header.case_ref, parents=(self.newest.digest,), **changes
        )
        return await self.hostile.send(self.newest)

    async def correct(self, target: OutboxEntry, pointer: str, now: dict[str, Any]) -> str:
        """Correct one of its messages."""
        body = _example("acts/correction-birth-year")["body"]
        fields = [{"pointer": pointer, "now": now}]
        return await self.say("acts/correction-birth-year", body={**body, "target": target.digest, "fields": fields})


@pytest.fixture
async def asking(world: World) -> Asking:
    """Estonia has asked Finland."""
    found = Asking(world)
    assert await found.hostile.send(found.request) == "recorded"
    return found


async def test_a_refused_message_puts_no_long_text_into_the_record(world: World, asking: Asking) -> None:
    """A type of half a megabyte is refused and signed for; as a stub it would be read and shown with the record for ever."""
    outcome = await asking.say("demo/request", type=MessageType(f"family-tracing.{'a' * 500_000}"))
    assert outcome == "header-invalid"
    fi, refused = world["FI"], asking.newest
    (receipt,) = await fi.store.read(lambda reader: reader.receipts_about(EE, refused.id))
    assert (receipt.kind, receipt.code, receipt.heads) == (ReceiptKind.REFUSED, "header-invalid", ())
    assert asking.request.procedure is not None
    assert [line.act for line in (await fi.view(asking.request.procedure)).entries] == ["request"]


@pytest.mark.parametrize(
    ("corrected", "pointer"),
    [("acts/clarification-answer-no-person", "/danger_assessment"), ("demo/request", "/child/birth/value/date")],
)
async def test_a_correction_by_whatever_words_hinders_no_work_of_the_other_side(
    world: World, asking: Asking, corrected: str, pointer: str
) -> None:
    """Words where a rule reads a part, a year beyond every calendar: the procedure is shown and answered as before."""
    fi, procedure = world["FI"], asking.request.procedure
    assert procedure is not None
    if corrected != "demo/request":
        assert await asking.say(corrected) == "recorded"
    words = {"value": "would_endanger" if pointer == "/danger_assessment" else "9" * 40}
    assert await asking.correct(asking.newest, pointer, words) == "recorded"

    assert (await fi.view(procedure)).coming_of_age is None
    assert await fi.submit(STATUS, procedure=procedure)


async def test_a_receipt_dated_ahead_puts_off_no_deadline(world: World) -> None:
    """The time to answer runs from the moment at which the receipt came: a person hears that the answer is overdue."""
    ee, hostile = world["EE"], Hostile(world["FI"], world["EE"])
    question = await ee.submit("request.json")
    await ee.step()
    receipt = hostile.receipt(question.message, question.digest, ReceiptKind.DELIVERED, at=FAR)
    assert await hostile.send(hostile.receipts(receipt)) == "receipts"

    dues = [item.due - world.clock.now() for item in (await ee.view(question.procedure)).deadlines]
    assert dues
    assert max(dues) < timedelta(days=100)
    world.clock.advance(100 * 86_400)
    await ee.engine.remind()
    assert "answer-overdue" in await ee.attention()


async def test_an_answer_dated_back_is_not_told_as_in_time(world: World) -> None:
    """Written after the end with a date before it, it stands as come late, with both moments, and changes no record."""
    ee, fi = world["EE"], world["FI"]
    request = await ee.submit("request.json")
    await world.settle()
    asked = await fi.store.read(lambda reader: reader.messages_of(request.message, None))
    due = (await ee.view(request.procedure)).deadlines[0].due
    world.clock.advance(20 * 86_400)
    header = asked[0].header
    answer = Hostile(fi, ee).message(
        "acknowledgement.json", procedure=header.procedure, case_ref=header.case_ref, parents=(request.digest,),
        created=due - timedelta(days=1),
    )  # fmt: skip
    assert await Hostile(fi, ee).send(answer) == "recorded"

    view = await ee.view(request.procedure)
    acknowledge = view.deadlines[0]
    assert (acknowledge.phase, acknowledge.met) == ("CAME_LATE", due - timedelta(days=1))
    assert acknowledge.came == world.clock.now()
    assert [line.mark for line in view.entries] == ["effect", "effect"]


class Restored:
    """Finland's node after its disk was lost and a backup restored; Estonia's answers to it are made up."""

    def __init__(self, world: World, asking: Asking) -> None:
        self._world, self._asking = world, asking

    async def status(self) -> HealingStatus:
        (found,) = (one for one in await self._world["FI"].engine.heal.status() if one.row.peer == EE)
        return found

    async def ask(self) -> None:
        """Let it ask what is due."""
        self._world.clock.advance(3600)
        await self._world["FI"].engine.heal()

    def refused(self, count: int) -> list[HeldItem]:
        """Return messages of Estonia that Finland is said to have refused, in their order."""
        ref, request, ids = self._asking.request.procedure, self._asking.request, self._world["EE"].ids
        assert ref is not None
        return [
            HeldItem(
                author=EE, message=message, digest=Digest(secrets.token_hex(32)),
                procedure=ref, opener=EE, act="request", code="schema-invalid", parents=(request.digest,),
            )
            for message in sorted(ids.message_id() for _ in range(count))
        ]  # fmt: skip

    async def answer(self, *items: HeldItem, more: Place | None = None, sent: tuple[Digest, ...] = ()) -> str:
        """Have the newest question answered so, and return what became of the answer."""
        question = (await self.status()).row.question
        assert question is not None
        header = node_header(self._world["EE"].ids, HELD_TYPE, us=EE, peer=FI, created=self._world.clock.now())
        answer = Answer(question=question, items=items, next=more, sent=sent)
        return await self._asking.hostile.send(entry_of(header, answer.body(), OutboxKind.RECEIPTS))


@pytest.fixture
async def restored(world: World, asking: Asking) -> Restored:
    """Finland was restored, and has asked."""
    kept = keep(world, "FI")
    world.clock.advance(7200)
    await lose_disk(world, "FI", kept)
    await world["FI"].engine.heal()
    return Restored(world, asking)


async def test_a_restored_node_is_given_no_record_beyond_its_room(
    world: World, asking: Asking, restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lists refused messages without end makes no record that takes minutes to fold; what has no place is named as lost."""
    monkeypatch.setattr(capacity, "MOST_BY_ONE_SIDE", 5)
    monkeypatch.setattr(capacity, "RESERVED", 1)
    fi, procedure = world["FI"], asking.request.procedure
    assert procedure is not None
    assert await restored.answer(*restored.refused(100)) == "held"

    placed = {entry.digest for entry in await fi.store.read(lambda reader: reader.record(procedure))}
    assert len(placed) == 4
    lost = {item.digest for item in (await restored.status()).lost}
    assert (len(lost), placed & lost) == (100 - 3, set())


async def test_a_country_whose_list_never_ends_is_left_at_the_bound(
    world: World, restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says "more" each time: at so many messages the list counts as whole, a person is told, and sending goes on."""
    monkeypatch.setattr(healing, "HEAL_MOST", 6)
    pages = 0
    while not (await restored.status()).row.listed:
        items = restored.refused(2)
        assert await restored.answer(*items, more=Place(message=items[-1].message, author=EE)) == "held"
        await restored.ask()
        pages += 1
    assert pages == 3
    assert (await restored.status()).row.after is None
    assert "healing-incomplete" in await world["FI"].attention()
    await restored.ask()
    assert (await restored.status()).row.ended is not None


@pytest.mark.parametrize(
    "wrong",
    [
        "the same page", "turned around", "more behind another", "more behind nothing", "named before", "known otherwise",
        "of another author", "of another opener",
    ],
)  # fmt: skip
async def test_a_list_that_does_not_go_on_has_no_effect(
    world: World, asking: Asking, restored: Restored, wrong: str
) -> None:
    """Pages that come round, that lead elsewhere, or that count for nothing are not taken: the question stands."""
    first, second, third = restored.refused(3)
    assert await restored.answer(first, second, more=Place(message=second.message, author=EE)) == "held"
    await restored.ask()
    taken = len((await restored.status()).lost)
    behind = Place(message=second.message, author=EE)
    outcome = await {
        "the same page": lambda: restored.answer(first, second, more=behind),
        "turned around": lambda: restored.answer(third, first),
        "more behind another": lambda: restored.answer(third, more=behind),
        "more behind nothing": lambda: restored.answer(more=behind),
        "named before": lambda: restored.answer(replace(third, digest=first.digest)),
        "known otherwise": lambda: restored.answer(replace(third, digest=asking.request.digest)),
        "of another author": lambda: restored.answer(replace(third, author=CountryCode("SE"))),
        "of another opener": lambda: restored.answer(replace(third, opener=CountryCode("SE"))),
    }[wrong]()

    assert (outcome, taken) == ("schema-invalid", len((await restored.status()).lost))
    assert (await restored.status()).row.after == behind
    assert await restored.answer(third) == "held"


async def test_a_list_that_begins_anew_is_taken(world: World, restored: Restored) -> None:
    """Two workers that asked and took an answer at once may ask for what they have: what is known already lacks once."""
    first, second, third = (replace(item, code=None, parents=()) for item in restored.refused(3))
    assert await restored.answer(first, second, more=Place(message=second.message, author=EE)) == "held"
    row = (await restored.status()).row
    await world["FI"].store.run(lambda tx: tx.healing.save(replace(row, after=None)))
    await restored.ask()

    assert await restored.answer(first, second, third) == "held"
    assert (await restored.status()).row.listed
    assert len((await restored.status()).wanted) == 3


async def test_a_procedure_that_we_opened_before_the_disk_was_lost_is_ours(
    world: World, asking: Asking, restored: Restored
) -> None:
    """Its answer comes before its opening is back: who asks whom is as before, or both sides would fold another record."""
    fi, ref = world["FI"], asking.request.header.procedure
    assert ref is not None
    lost = replace(ref, id=fi.ids.procedure_id())
    (item,) = (replace(item, code=None, parents=()) for item in restored.refused(1))
    opening = replace(item, author=FI, opener=FI, procedure=lost.id)
    assert await restored.answer(opening) == "held"
    answer = asking.hostile.message("request.json", procedure=lost, parents=(opening.digest,))
    assert await asking.hostile.send(answer) == "not-healed"
    world.clock.advance(3600)
    await fi.offer_parked()
    assert fi.outcomes == ["recorded"]
    assert (await fi.view(lost.id)).row.opener == FI


async def test_a_country_that_promises_what_never_comes_is_not_waited_for_without_end(
    world: World, restored: Restored
) -> None:
    """After some promises the message counts as lost and is named to a person; sending to that country goes on."""
    (item,) = (replace(item, code=None, parents=()) for item in restored.refused(1))
    assert await restored.answer(item) == "held"
    promises = 0
    while not (await restored.status()).lost:
        await restored.ask()
        assert await restored.answer(sent=(item.digest,)) == "held"
        promises += 1
        assert promises <= HEAL_ATTEMPTS + 1
    assert promises == HEAL_ATTEMPTS + 1
    (lost,) = (await restored.status()).lost
    assert (lost.message, lost.code) == (item.message, "never-came")
    await restored.ask()
    assert (await restored.status()).row.ended is not None
    assert "healing-incomplete" in await world["FI"].attention()


async def test_nothing_of_an_erased_case_is_asked_for_again(world: World, asking: Asking, restored: Restored) -> None:
    """P8: a country that still lists its messages is told of nothing; each is named as lost because it was erased."""
    fi, procedure = world["FI"], asking.request.procedure
    assert procedure is not None
    office = (await fi.view(procedure)).row.our_authority
    made = await fi.desk.erase.propose(procedure, EraseReason.COURT_ORDER, officer(office, "first"))
    await fi.desk.erase.confirm(made.id, officer(office, "second"))
    first, second = restored.refused(2)
    assert await restored.answer(replace(first, code=None, parents=()), second) == "held"

    assert {(item.message, item.code) for item in (await restored.status()).lost} == {
        (first.message, "case-erased"), (second.message, "case-erased"),
    }  # fmt: skip
    assert (await restored.status()).wanted == ()
    assert len(await fi.store.read(lambda reader: reader.record(procedure))) == 1


async def test_a_list_brings_no_receipt_about_another_message_and_no_other_message_of_an_id(
    world: World, asking: Asking, restored: Restored
) -> None:
    """After a restore too the first answer stands: what a list says of one message is no evidence about another."""
    fi, procedure = world["FI"], asking.request.procedure
    assert procedure is not None
    ours, known = restored.refused(2)
    elsewhere = asking.hostile.receipt(MessageId(known.message), known.digest, ReceiptKind.OPENED)
    about = asking.hostile.receipt(ours.message, ours.digest, ReceiptKind.REFUSED, code="schema-invalid")
    again = replace(known, message=asking.request.id)
    items = sorted((replace(ours, author=FI, receipts=(about, elsewhere)), again), key=lambda item: item.message)
    assert await restored.answer(*items) == "held"

    record = await fi.store.read(lambda reader: reader.record(procedure))
    assert {entry.digest for entry in record} == {asking.request.digest, ours.digest}
    assert await fi.store.read(lambda reader: reader.receipts_about(FI, known.message)) == ()
    assert len(await fi.store.read(lambda reader: reader.receipts_about(FI, ours.message))) == 1


async def test_a_list_that_its_officers_let_end_on_the_last_day_there_is_stops_nobody(world: World) -> None:
    """They sign what end they like: what is owed to that country leaves, and what is owed to all others beside it."""
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    world.set_trust(lambda member: replace(member, expires=last) if member.country == EE else member)
    for country in world.countries.values():
        await country.engine.refresh_trust()
    fi = world["FI"]
    asked = [await world["SE"].submit("request.json", sender_authority=AuthorityId("gender-equality-agency"))]
    asked.append(await world["EE"].submit("request.json"))
    await world.settle()

    assert await world["SE"].states(asked[0]) == await world["EE"].states(asked[1]) == ["handed-over"]
    assert (await fi.attention(), (await fi.counts())["receipts.waiting"]) == ([], 0)


async def test_a_profile_that_its_officers_fill_with_nonsense_silences_no_reminder(world: World) -> None:
    """P9: a time zone that is none, beside another country's holidays: deadlines of that country and of all others call."""
    source = Source(document="A made-up act")
    said = {"calendar.holidays": "FI", "calendar.time_zone": "Mars/Base"}
    entries = {name: Entry(standing=Standing.VERIFIED, value=value, source=source) for name, value in said.items()}
    version = ProfileVersion(
        valid_from=date(2026, 1, 1), edited=date(2026, 1, 1), editor="A ministry", because="x", entries=entries
    )
    fi, data = world["FI"], _example("demo/request")
    fi.trust.newest = replace(fi.trust.newest, profiles={EE: CountryProfile(country=EE, versions=(version,))})
    await fi.engine.refresh_trust()
    offices = {"sender": {"authority": "helsinki-wellbeing-services"}}
    ours = await fi.submit(
        {**data, **offices, "recipient": {"country": "EE", "authority": "social-insurance-board"}},
    )
    theirs = await world["SE"].submit("request.json", sender_authority=AuthorityId("gender-equality-agency"))
    await world.settle()
    world.clock.advance(40 * 86_400)
    await fi.engine.remind()

    assert {"answer-overdue", "deadline-overdue"} <= set(await fi.attention())
    assert (await fi.view(ours.procedure)).deadlines
    assert (await fi.view(theirs.procedure)).deadlines


async def test_a_country_that_declares_without_end_hides_no_others_declaration(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-39: of each country the newest declarations are read, whatever the ids of another one's say."""
    monkeypatch.setattr(surges, "_MOST", 2)
    fi, day = world["FI"], world.clock.now().date()
    data = _example("surge/registration-children-of-one-house")
    data["body"]["declaration"]["declared_on"] = day.isoformat()
    data["recipient"] = {"country": "FI", "authority": "ministry-of-justice"}
    other, hostile = Hostile(world["SE"], fi), Hostile(world["EE"], fi)
    assert await other.send(other.message(data, case_ref=None)) == "recorded"
    for number in range(3):
        id_ = MessageId(f"ffffffff-ffff-7fff-bfff-{number:012x}")
        assert await hostile.send(hostile.message(data, case_ref=None, id=id_)) == "recorded"

    modes = await fi.store.read(lambda reader: surges.surge_modes(reader, FI, day))
    assert [mode.declared_by for mode in modes] == ["EE", "SE"]


async def test_ids_of_a_far_future_are_ids_like_others(world: World) -> None:
    """After the year 9999 by their ids, message and procedure are recorded, shown, listed, watched and answered."""
    fi, hostile = world["FI"], Hostile(world["EE"], world["FI"])
    opening = hostile.message("request.json", id=MessageId("ffffffff-ffff-7fff-bfff-ffffffffffff"))
    assert opening.header.procedure is not None
    ref = replace(opening.header.procedure, id=ProcedureId("ffffffff-ffff-7fff-bfff-fffffffffffe"))
    opening = hostile.message("request.json", id=opening.id, procedure=ref)
    assert await hostile.send(opening) == "recorded"
    assert await hostile.send(hostile.message("request.json")) == "recorded"
    world.clock.advance(400 * 86_400)
    for look in (fi.engine.watch, fi.engine.urge, fi.engine.remind):
        await look()

    assert "deadline-overdue" in await fi.attention()
    assert (await fi.view(ref.id)).state == "REQUESTED"
    assert len(await fi.desk.inspect.timeline(ref.id, authority=None)) == 2
    times = await fi.store.read(lambda reader: reader.message_times(10))
    assert skews(times) == {EE: timedelta(0)}
    assert await fi.submit("acknowledgement.json", procedure=ref.id)


@pytest.mark.parametrize("kind", ["forked", "exercise"])
async def test_a_consent_that_never_took_effect_lets_no_child_travel(world: World, kind: str) -> None:
    """R-07: beside a true consent to other care, one that ignores the record, or one of a drill, is none."""
    ee, hostile = world["EE"], Hostile(world["FI"], world["EE"])
    asked = await ee.submit(ee.sealed(_placement("request-aunt-in-estonia", ee=True)))
    await world.settle()
    period = {"from": "2026-11-23", "until": {"value": "2027-12-31"}}
    said = {"covers": str(asked.digest), "period": period}
    await world["FI"].submit(_placement(CONSENT, ee=False, **said, care="FOSTER_CARE"), procedure=asked.procedure)
    await world.settle()
    record = (await ee.view(asked.procedure)).row
    consent = hostile.message(
        _placement(CONSENT, ee=False, **said, care="KINSHIP_CARE"), procedure=record.ref, case_ref=record.case_ref
    )
    if kind == "exercise":
        drill = _placement("request-aunt-in-estonia", ee=True) | {"exercise": True}
        asked = await ee.submit(ee.sealed(drill))
        await world.settle()
        said["covers"] = str(asked.digest)
        given = _placement(CONSENT, ee=False, **said, care="KINSHIP_CARE") | {"exercise": True}
        digest = (await world["FI"].submit(given, procedure=asked.procedure)).digest
        await world.settle()
    else:
        assert await hostile.send(consent) == "recorded"
        digest = consent.digest
    plan = _example("transfer/plan-to-aunt")
    plan["body"]["placement_decision"] = {"value": digest}

    with pytest.raises(SafeguardBlocked, match=r"R-07"):
        await ee.submit(plan)


def _placement(name: str, *, ee: bool, **changes: Any) -> dict[str, Any]:
    """Return an example of a placement that Estonia asks for, by that side."""
    data, offices = (
        _example(f"placement/{name}"),
        [("EE", "social-insurance-board"), ("FI", "helsinki-wellbeing-services")],
    )
    ours, theirs = offices if ee else reversed(offices)
    data |= {"sender": {"authority": ours[1]}, "recipient": {"country": theirs[0], "authority": theirs[1]}}
    return {**data, "legal_basis": {"code": "B2B_82"}, "body": {**data["body"], **changes}}
