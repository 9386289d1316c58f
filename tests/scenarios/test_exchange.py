# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Casework between simulated countries: the real flows over real stores."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.core.errors import (
    AdapterFailed,
    IdempotencyConflict,
    NotAllowed,
    NotFound,
    PublishUnconfirmed,
    TransportUnavailable,
    UnknownRecipient,
    VersionNotSupported,
)
from broker.core.ids import AuthorityId, CountryCode, SchemaVersion
from broker.core.messages import Party
from broker.core.receipts import ReceiptKind
from broker.core.trust import KeyUse, Member, MemberStatus
from broker.home import generate_keys, member_of
from broker.rows import Accepted
from broker.schema_files import read_schema_file
from broker.testing.hostile import Hostile
from broker.testing.world import Country, World, officer

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")


async def _answer(country: Country, request: Accepted, example: str) -> Accepted:
    return await country.submit(example, procedure=request.procedure)


async def _states(country: Country, *accepted: Accepted) -> list[str]:
    rows = await country.store.run(lambda tx: [tx.outbox(item.message) for item in accepted])
    return [row.state for row in rows if row is not None]


async def _view(country: Country, request: Accepted) -> Any:
    return await country.desk.inspect.procedure(request.procedure, authority=None)


async def _same_record(world: World, request: Accepted) -> str:
    views = [await _view(world[name], request) for name in ("EE", "FI")]
    assert views[0].digest is not None
    assert views[0].digest == views[1].digest
    assert views[0].state == views[1].state
    return str(views[0].state)


async def test_the_whole_case_ends_in_one_record_on_both_sides(world: World) -> None:
    """A request, its acknowledgement and its result leave the same state, digest and order in both countries."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    await world["FI"].desk.open_message(request.message, officer("helsinki-wellbeing-services", "o"))
    acknowledgement = await _answer(world["FI"], request, "acknowledgement.json")
    await world.settle()
    result = await _answer(world["FI"], request, "result.json")
    await world.settle()

    assert await _same_record(world, request) == "ANSWERED"
    assert await _states(world["EE"], request) == ["opened"]
    assert await _states(world["FI"], acknowledgement, result) == ["handed-over", "handed-over"]
    ours, theirs = await _view(world["EE"], request), await _view(world["FI"], request)
    assert [line.digest for line in ours.entries] == [line.digest for line in theirs.entries]
    assert all(line.final for line in ours.entries)
    assert await world["EE"].attention() == await world["FI"].attention() == []


async def test_a_third_country_sees_nothing(world: World) -> None:
    """No envelope between two countries reaches or is readable by a third."""
    await world["EE"].submit("request.json")
    await world.settle()
    stolen = [envelope for envelope in world.network.published if envelope.recipient == FI]
    for envelope in stolen:
        await world["SE"].engine.receive(_delivery(envelope.raw))

    counts = await world["SE"].counts()
    assert stolen
    assert sum(number for name, number in counts.items() if name.startswith("inbox")) == 0
    assert counts["quarantine"] == len(stolen)


async def test_the_timeline_names_each_step_and_what_proves_it(world: World) -> None:
    """The sender's timeline shows recorded, published, delivered, handed over, each with its evidence."""
    request = await world["EE"].submit("request.json")
    await world.settle()

    lines = await world["EE"].desk.inspect.timeline(request.procedure, authority=None)
    assert [line.state for line in lines] == ["recorded", "published", "delivered", "handed-over"]
    assert [line.who for line in lines] == [EE, EE, FI, FI]
    assert lines[2].evidence == "receipt signed by FI"


async def test_several_receipts_travel_in_one_envelope(world: World) -> None:
    """Receipts that wait for one peer are batched; at most one receipts envelope is in flight."""
    for _ in range(5):
        await world["EE"].submit("request.json")
    await world.settle()

    to_ee = [envelope for envelope in world.network.published if envelope.recipient == EE]
    rows = await world["EE"].store.run(lambda tx: tx.peers_with_waiting_receipts())
    assert rows == ()
    assert 1 <= len(to_ee) <= 2  # ten receipts: delivered and handed over, five times


# --- twice is once --------------------------------------------------------------------------------------------------


def _delivery(raw: bytes, user: str = "EE") -> Any:
    from broker.core.messages import Delivery

    return Delivery(raw=raw, queue="in", user=user)


async def test_the_same_idempotency_key_gives_the_same_answer(world: World) -> None:
    """A caller that asks twice gets the first answer and nothing new is stored."""
    first = await world["EE"].submit("request.json", idempotency_key="k")
    second = await world["EE"].submit("request.json", idempotency_key="k")

    assert second == replace(first, repeated=True)
    assert (await world["EE"].counts())["outbox.recorded"] == 1


async def test_the_same_idempotency_key_with_another_body_is_refused(world: World) -> None:
    """A key stands for one body; the first message stays as it was."""
    first = await world["EE"].submit("request.json", idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        await world["EE"].submit("request.json", idempotency_key="k", purpose="something else")

    assert await _states(world["EE"], first) == ["recorded"]


async def test_callers_with_one_key_at_the_same_time_make_one_message(world: World) -> None:
    """Eight concurrent submissions under one key store one message and all get its id."""
    answers = await asyncio.gather(*(world["EE"].submit("request.json", idempotency_key="k") for _ in range(8)))

    assert len({answer.message for answer in answers}) == 1
    assert (await world["EE"].counts())["outbox.recorded"] == 1


async def test_a_duplicate_storm_takes_effect_once(world: World) -> None:
    """The same envelope twenty times: one inbox entry, one delivered receipt, answered again at most once a minute."""
    await world["EE"].submit("request.json")
    await world["EE"].step()
    world.network.waiting[FI] *= 20
    await world.settle()

    counts = await world["FI"].counts()
    assert counts["inbox.handed-over"] == 1
    assert world["FI"].outcomes.count("recorded") == 1
    assert world["FI"].outcomes.count("repeat") == 19


async def test_a_message_sealed_anew_again_and_again_is_answered_once_a_minute(world: World) -> None:
    """Other bytes each time do not make more answers than the same bytes would."""
    hostile = Hostile(world["EE"], world["FI"])
    entry = hostile.message("request.json")
    await hostile.send(entry)
    await world["FI"].step()
    await world["FI"].step()

    async def answered(seconds: float) -> int:
        before = sum(sent.recipient == EE for sent in world.network.published)
        world.clock.advance(seconds)
        for _ in range(5):
            assert await hostile.send(entry) == "repeat"
            await world["FI"].step()
        return sum(sent.recipient == EE for sent in world.network.published) - before

    assert [await answered(seconds) for seconds in (1, 61, 1, 61)] == [0, 1, 0, 1]


async def test_a_repeat_after_a_minute_is_answered_with_the_stored_receipt(world: World) -> None:
    """When the first receipt was lost, the repeated envelope brings the same receipt again, not a new one."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    copy = world.network.waiting[FI][0]
    await world["FI"].step()
    await world["FI"].step()
    world.network.waiting[EE].clear()  # the receipts are lost
    assert await _states(world["EE"], request) == ["published"]

    world.clock.advance(61)
    world.network.waiting[FI].append(copy)
    await world.settle()

    assert await _states(world["EE"], request) == ["handed-over"]
    row = await world["EE"].store.run(lambda tx: tx.outbox(request.message))
    assert row is not None
    assert row.delivered is not None
    assert row.delivered < world.clock.now() - timedelta(seconds=60)


# --- what does not go well ------------------------------------------------------------------------------------------


async def test_nothing_is_lost_while_the_transport_is_away(world: World) -> None:
    """A message waits with growing pauses, a person is told, and it goes out when the transport is back."""
    request = await world["EE"].submit("request.json")
    world.network.fault = TransportUnavailable()
    for _ in range(8):
        await world["EE"].step()
        world.clock.advance(400)
    assert await _states(world["EE"], request) == ["recorded"]
    assert await world["EE"].attention() == ["not-sent"]

    world.network.fault = None
    await world.settle()
    assert await _states(world["EE"], request) == ["handed-over"]
    assert await world["EE"].attention() == []


async def test_a_retry_sends_identical_bytes(world: World) -> None:
    """After an unknown outcome the stored envelope goes out again, byte for byte."""
    await world["EE"].submit("request.json")
    world.network.fault = PublishUnconfirmed()
    await world["EE"].step()
    first = await world["EE"].store.run(
        lambda tx: tx.lease_outbox(
            now=world.clock.now() + timedelta(hours=1), until=world.clock.now(), token="look", limit=1
        )
    )
    world.network.fault = None
    world.clock.advance(4000)
    await world.settle()

    assert first[0].envelope is not None
    assert first[0].envelope.raw == next(item.raw for item in world.network.published if item.recipient == FI)


async def test_no_sign_of_life_calls_a_person_and_does_not_resend(world: World) -> None:
    """A silent peer is overdue after an hour and failed after twelve; the broker holds the one copy."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    sent = len(world.network.published)
    world.clock.advance(3700)
    await world["EE"].engine.watch()
    assert await world["EE"].attention() == ["overdue-delivered"]

    world.clock.advance(12 * 3600)
    await world["EE"].engine.watch()
    assert await world["EE"].attention() == ["failed-delivered", "overdue-delivered"]
    assert len(world.network.published) == sent

    await world.settle()
    assert await _states(world["EE"], request) == ["handed-over"]
    assert await world["EE"].attention() == []


async def test_a_sign_of_loss_resends_at_most_three_times(world: World) -> None:
    """A later message's receipt while an earlier one has none means loss: the same message goes again, three times."""
    lost = await world["EE"].submit("request.json")
    await world["EE"].step()
    world.network.waiting[FI].clear()
    resends = []
    for _ in range(5):
        world.clock.advance(200)
        await world["EE"].submit("request.json")
        await world["EE"].step()
        await world["FI"].step()
        await world["FI"].step()
        await world["EE"].step()
        world.clock.advance(100)
        resends.append(await world["EE"].engine.watch())
        await world["EE"].engine.dispatch()
        world.network.waiting[FI].clear()
    assert resends == [1, 1, 1, 0, 0]
    assert await _states(world["EE"], lost) == ["published"]


async def test_a_lost_message_arrives_by_its_resend(world: World) -> None:
    """A resend has the same id and digest and settles the entry."""
    lost = await world["EE"].submit("request.json")
    await world["EE"].step()
    world.network.waiting[FI].clear()
    world.clock.advance(200)
    await world["EE"].submit("request.json")
    await world.settle()
    world.clock.advance(100)
    assert await world["EE"].engine.watch() == 1
    await world.settle()

    assert await _states(world["EE"], lost) == ["handed-over"]


async def test_an_expired_envelope_is_refused_and_sealed_anew(world: World) -> None:
    """An envelope that lay for more than thirty days is refused; the sender seals the same message again."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    world.clock.advance(31 * 24 * 3600)
    await world.settle()

    assert world["FI"].outcomes[:2] == ["expired", "recorded"]
    assert await _states(world["EE"], request) == ["handed-over"]
    assert await _same_record(world, request) == "REQUESTED"


async def test_a_message_that_expires_again_and_again_is_sealed_anew_each_time(world: World) -> None:
    """A country that was away for two months takes the third envelope of the same message."""
    request = await world["EE"].submit("request.json")
    for _ in range(2):
        await world["EE"].step()
        world.clock.advance(31 * 24 * 3600)
        await world["FI"].step()
        await world["FI"].step()
        await world["EE"].step()
    await world.settle()

    assert world["FI"].outcomes == ["expired", "expired", "recorded"]
    assert await _states(world["EE"], request) == ["handed-over"]
    assert await _same_record(world, request) == "REQUESTED"


async def test_a_refusal_after_an_expiry_reaches_its_author(world: World) -> None:
    """The envelope was refused first, the message itself then: its author is told and both sides hold the stub."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    world.clock.advance(31 * 24 * 3600)
    world.set_trust(lambda member: replace(member, authorities=()) if member.country == FI else member)
    await world["FI"].trust.refresh()  # Estonia has not heard yet that Finland closed the office
    await world.settle()

    assert world["FI"].outcomes == ["expired", "procedure-mismatch"]
    row = await world["EE"].store.run(lambda tx: tx.outbox(request.message))
    assert row is not None
    assert (row.state, row.refusal_code) == ("refused", "procedure-mismatch")
    assert await world["EE"].attention() == ["refused"]


async def test_nothing_more_is_sent_in_a_procedure_that_the_other_side_does_not_have(world: World) -> None:
    """Its opening went to an office that had gone: what followed would wait there for ever, so a new one is opened."""
    was = {name: member.authorities for name, member in world["FI"].trust.current().members.items()}
    world.set_trust(lambda member: replace(member, authorities=()) if member.country == FI else member)
    await world["FI"].trust.refresh()  # Estonia has not heard yet
    refused = await world["EE"].submit("request.json")
    await world.settle()
    world.clock.advance(3700)
    await world["FI"].offer_parked()
    await world.settle()
    assert await _states(world["EE"], refused) == ["refused"]
    assert (await world["EE"].view(refused.procedure)).actions == ()

    world.set_trust(lambda member: replace(member, authorities=was[member.country]))
    for country in ("EE", "FI"):
        await world[country].trust.refresh()
    with pytest.raises(NotAllowed, match="open another one"):
        await world["EE"].submit("request.json", procedure=refused.procedure)
    again = await world["EE"].submit("request.json")
    await world.settle()
    assert await _same_record(world, again) == "REQUESTED"


async def test_nothing_more_is_sent_behind_a_message_of_which_the_other_side_kept_nothing(world: World) -> None:
    """A withdrawal that was to follow would be confirmed, look done here, and never take effect there."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    acts = (await world["EE"].view(request.procedure)).actions
    refused = await world["EE"].submit(_withdrawal(), procedure=request.procedure)
    await world["EE"].engine.dispatch()
    world.clock.advance(1)
    finland = Hostile(world["FI"], world["EE"])
    refusal = finland.receipt(refused.message, refused.digest, ReceiptKind.REFUSED, code="header-invalid")
    assert await finland.send(finland.receipts(refusal)) == "receipts"

    assert "withdrawal" in acts
    assert (await world["EE"].view(request.procedure)).actions == ()
    with pytest.raises(NotAllowed, match="open another one, and telephone about this one"):
        await world["EE"].submit(_withdrawal(), procedure=request.procedure)


def _withdrawal() -> dict[str, Any]:
    return dict(json.loads(read_schema_file("examples/family-tracing/withdrawal-no-reason.json")))


async def test_a_country_whose_clock_is_wrong_does_not_make_us_send_for_ever(world: World) -> None:
    """It refuses each envelope as expired: after three new seals the sender waits, and a person is called."""
    request = await world["EE"].submit("request.json")
    hostile = Hostile(world["FI"], world["EE"])
    for number in range(6):
        await world["EE"].step()
        late = world.clock.now() + timedelta(seconds=number)
        refused = hostile.receipt(request.message, request.digest, ReceiptKind.REFUSED, at=late, code="expired")
        await hostile.send(hostile.receipts(refused))
    assert len([item for item in world.network.published if item.recipient == FI]) == 4
    assert await _states(world["EE"], request) == ["published"]
    world.clock.advance(3700)
    await world["EE"].engine.watch()
    assert await world["EE"].attention() == ["overdue-delivered"]


async def test_a_restarted_node_goes_on_where_it_was(world: World) -> None:
    """Accepted before the end of the process, delivered after its next start."""
    request = await world["EE"].submit("request.json")
    await world.restart("EE")
    await world.settle()
    assert await _states(world["EE"], request) == ["handed-over"]


class _BrokenSystem:
    """A national system that does not take anything until it is mended."""

    manifest: Any = None

    def __init__(self) -> None:
        self.mended = False
        self.taken: list[str] = []

    async def deliver(self, message: Any) -> None:
        if not self.mended:
            raise AdapterFailed
        self.taken.append(message.id)

    async def erased(self, message: Any) -> None: ...

    async def run(self, context: Any) -> None: ...

    async def close(self) -> None: ...


async def test_a_failing_adapter_keeps_the_message_owed(world: World) -> None:
    """The sender sees delivered but not handed over; a person is told; the mended system gets it once."""
    system = _BrokenSystem()
    world["FI"].adapters[AuthorityId("helsinki-wellbeing-services")] = system
    request = await world["EE"].submit("request.json")
    await world.settle()
    for _ in range(6):
        world.clock.advance(400)
        await world["FI"].step()
    assert await _states(world["EE"], request) == ["delivered"]
    assert await world["FI"].attention() == ["not-handed-over"]

    system.mended = True
    world.clock.advance(400)
    await world.settle()
    assert system.taken == [request.message]
    assert await _states(world["EE"], request) == ["handed-over"]
    assert await world["FI"].attention() == []


# --- trust ----------------------------------------------------------------------------------------------------------


def _with(keys: Any, country: CountryCode, world: World) -> Any:
    def change(member: Member) -> Member:
        if member.country != country:
            return member
        fresh = member_of(country, keys, now=world.clock.now(), authorities=(), messages={})
        return replace(member, keys=member.keys + fresh.keys)

    return change


async def test_a_message_under_an_unknown_key_waits_for_the_newer_list(world: World) -> None:
    """A rotated sender key parks the message without a receipt; with the newer list it is taken."""
    keys = generate_keys()
    world.set_trust(_with(keys, EE, world))
    await world.restart("EE", *keys)
    world.clock.advance(60)
    await world["EE"].trust.refresh()
    request = await world["EE"].submit("request.json")
    await world.settle()
    assert world["FI"].outcomes == ["unknown-key"]
    assert await _states(world["EE"], request) == ["published"]
    assert (await world["FI"].counts())["parked"] == 1

    world.clock.advance(60)
    await world["FI"].engine.refresh_trust()
    await world["FI"].offer_parked()
    await world.settle()
    assert await _states(world["EE"], request) == ["handed-over"]
    assert (await world["FI"].counts())["parked"] == 0


async def test_a_revoked_recipient_key_makes_the_sender_seal_again(world: World) -> None:
    """A queued envelope to a revoked key is sealed anew for the next key; id and digest stay."""
    keys = generate_keys()
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    sealed = world.network.waiting[FI].pop()
    revoked_at = world.clock.now()

    def change(member: Member) -> Member:
        if member.country != FI:
            return member
        old = tuple(replace(key, revoked_at=revoked_at) if key.use is KeyUse.HPKE else key for key in member.keys)
        fresh = member_of(FI, keys, now=world.clock.now(), authorities=(), messages={})
        return replace(member, keys=old + fresh.keys)

    world.set_trust(change)
    await world.restart("FI", *keys)
    world.clock.advance(60)
    for name in ("EE", "FI"):
        assert await world[name].engine.refresh_trust()
    await world.settle()

    again = [item for item in world.network.published if item.recipient == FI]
    assert len(again) >= 2
    assert again[-1].raw != sealed.raw
    assert await _states(world["EE"], request) == ["handed-over"]


async def test_a_suspended_sender_is_parked_without_a_receipt(world: World) -> None:
    """What a suspended country sends is neither taken nor answered, and not lost."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()

    def change(member: Member) -> Member:
        return replace(member, status=MemberStatus.SUSPENDED) if member.country == EE else member

    world.set_trust(change)
    world.clock.advance(60)
    await world["FI"].engine.refresh_trust()
    await world.settle()
    assert world["FI"].outcomes == ["sender-suspended"]
    assert await _states(world["EE"], request) == ["published"]
    assert (await world["FI"].counts())["parked"] == 1


async def test_a_forged_envelope_is_quarantined_and_nobody_is_answered(world: World) -> None:
    """One changed byte: kept sealed, a person is told, no receipt, and the true message still arrives."""
    request = await world["EE"].submit("request.json")
    await world["EE"].step()
    true = world.network.waiting[FI][0]
    forged = bytearray(true.raw)
    forged[len(forged) // 2] ^= 1
    world.network.waiting[FI].insert(0, replace(true, raw=bytes(forged)))
    await world.settle()

    counts = await world["FI"].counts()
    assert counts["quarantine"] == 1
    assert await world["FI"].attention() == ["quarantined"]
    assert await _states(world["EE"], request) == ["handed-over"]


# --- what a caller is refused ---------------------------------------------------------------------------------------


async def test_an_act_that_the_state_does_not_allow_is_refused(world: World) -> None:
    """Nobody answers twice; the refused act leaves no trace in the record."""
    request = await world["EE"].submit("request.json")
    await world.settle()
    await _answer(world["FI"], request, "result.json")
    before = await _view(world["FI"], request)
    with pytest.raises(NotAllowed):
        await _answer(world["FI"], request, "result.json")

    assert (await _view(world["FI"], request)).entries == before.entries


async def test_the_wrong_recipients_are_refused_at_once(world: World) -> None:
    """An unknown country or office, and an unlisted version, are refused with the place and nothing is stored."""
    ee = world["EE"]
    cases: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"recipient": Party(country=CountryCode("NO"), authority=AuthorityId("bufdir"))}, UnknownRecipient),
        ({"recipient": Party(country=FI, authority=AuthorityId("nobody"))}, UnknownRecipient),
        ({"sender_authority": AuthorityId("nobody")}, UnknownRecipient),
        ({"version": SchemaVersion("9.0")}, VersionNotSupported),
    ]
    for changes, error in cases:
        with pytest.raises(error):
            await ee.submit("request.json", **changes)
    assert sum(number for name, number in (await ee.counts()).items() if name.startswith("outbox")) == 0


async def test_another_offices_procedure_does_not_exist_for_it(world: World) -> None:
    """An office can neither see nor go on with another office's procedure."""
    request = await world["EE"].submit("request.json")
    with pytest.raises(NotFound):
        await world["EE"].desk.inspect.procedure(request.procedure, authority=AuthorityId("ministry-of-justice"))
    with pytest.raises(NotFound):
        await world["EE"].submit(
            "request.json", procedure=request.procedure, sender_authority=AuthorityId("ministry-of-justice")
        )
