# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about folding a record; promises over whole histories stand in the simulation."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.core import canonical
from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.messages import RecordEntry
from broker.core.procedures import Role, allowed
from broker.core.receipts import Receipt, ReceiptKind
from broker.core.record import (
    Folded,
    Mark,
    agrees,
    closure,
    closure_digest,
    fold,
    hindrances,
    is_unheld,
    moments,
    statement,
)
from broker.core.tables import parse_table

EE, FI = CountryCode("EE"), CountryCode("FI")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
MOVES: dict[str, tuple[dict[str, Any], str]] = {
    "ask": ({"opens": True}, "NEW>OPEN EE"),
    "plan": ({}, "OPEN>READY FI, OPEN>READY EE"),
    "reply": ({}, "OPEN>DONE FI"),
    "depart": ({"irreversible": True}, "READY>GONE EE"),
    "found": ({"kind": "fact"}, "OPEN>OPEN EE, OPEN>OPEN FI"),
    "arrived": ({"kind": "fact"}, "GONE>DONE FI"),
    "cancel": ({"stop": True}, "OPEN>DONE EE, READY>DONE EE"),
    "object": ({"stop": True}, "READY>READY FI"),
    "refuse": ({"stop": True}, "OPEN>DONE FI, READY>DONE FI, GONE>GONE FI"),
}
SIDES = {"EE": "REQUESTING", "FI": "REQUESTED"}


def _moves(text: str) -> list[dict[str, Any]]:
    pairs = [(move.split()[0].split(">"), move.split()[1]) for move in text.split(",")]
    return [{"from": [source], "by": SIDES[side], "to": target} for (source, target), side in pairs]


TABLE = parse_table(
    {
        "procedure": "small",
        "version": "1.0",
        "title": "Small",
        "subject": "none",
        "roles": ["REQUESTING", "REQUESTED"],
        "initial": "NEW",
        "final": ["DONE"],
        "states": {name: {"title": name} for name in ("NEW", "OPEN", "READY", "GONE", "DONE")},
        "acts": {name: {"kind": "act", **flags, "moves": _moves(moves)} for name, (flags, moves) in MOVES.items()},
    }
)


class _History:
    """Writes a record message by message; a letter in front of a digest puts it before or after others."""

    def __init__(self) -> None:
        self.entries: dict[Digest, RecordEntry] = {}
        self.receipts: list[Receipt] = []

    def say(self, author: CountryCode, act: str, *parents: Digest, rank: str = "8") -> Digest:
        number = len(self.entries) + 1
        digest = Digest(rank + hashlib.sha256(f"{number}".encode()).hexdigest()[1:])
        message = MessageId(f"01890000-0000-7000-8000-{number:012x}")
        named = tuple(sorted(parents))
        self.entries[digest] = RecordEntry(digest=digest, message=message, author=author, act=act, parents=named)
        return digest

    def answer(self, digest: Digest, *heads: Digest, at: datetime = NOW, code: str | None = None) -> Receipt:
        entry = self.entries[digest]
        receipt = Receipt(
            issuer=FI if entry.author == EE else EE,
            author=entry.author,
            message=entry.message,
            digest=digest,
            kind=ReceiptKind.REFUSED if code else ReceiptKind.DELIVERED,
            at=at,
            code=code,
            heads=tuple(sorted(heads)),
        )
        self.receipts.append(receipt)
        return receipt

    def fold(self) -> Folded:
        return fold(TABLE, EE, self.entries.values(), self.receipts)

    def digest(self, *heads: Digest) -> Digest | None:
        return closure_digest(TABLE, EE, self.entries.values(), self.receipts, heads)


@pytest.fixture
def history() -> _History:
    """A record with nothing in it."""
    return _History()


def test_an_empty_record_stands_at_the_start(history: _History) -> None:
    """Nothing is placed, and only the requesting side may open."""
    folded = history.fold()
    assert (folded.state.name, folded.order, folded.heads, folded.final) == ("NEW", (), (), frozenset())
    assert {role: allowed(TABLE, folded.state, role) for role in Role} == {
        Role.REQUESTING: ("ask",),
        Role.REQUESTED: (),
    }


def test_acts_in_turn_have_their_effect(history: _History) -> None:
    """Each act moves the state; the last one is the head."""
    first = history.say(EE, "ask")
    second = history.say(FI, "reply", first)
    folded = history.fold()
    assert folded.state.name == "DONE"
    assert folded.order == (first, second)
    assert set(folded.marks.values()) == {Mark.EFFECT}
    assert folded.heads == (second,)


def test_the_order_of_the_input_does_not_matter(history: _History) -> None:
    """The fold is a function of the set."""
    first = history.say(EE, "ask")
    history.say(EE, "plan", first)
    history.say(FI, "plan", first)
    backwards, folded = fold(TABLE, EE, reversed(history.entries.values()), history.receipts), history.fold()
    assert backwards == folded
    assert backwards.final == folded.final
    for role in Role:
        assert backwards.unsettled(role) == folded.unsettled(role)
        assert backwards.confirmed(role) == folded.confirmed(role)


def test_of_two_crossing_acts_one_is_crossed(history: _History) -> None:
    """Both sides see the same one without effect, and both messages stay heads."""
    first = history.say(EE, "ask")
    ours, theirs = history.say(EE, "plan", first, rank="2"), history.say(FI, "plan", first, rank="1")
    folded = history.fold()
    assert folded.marks == {first: Mark.EFFECT, theirs: Mark.EFFECT, ours: Mark.CROSSED}
    assert folded.heads == (theirs, ours)


def test_a_ground_digest_does_not_get_ahead_of_a_stop(history: _History) -> None:
    """A stop comes first whatever its digest; the act that crosses it has no effect."""
    first = history.say(EE, "ask")
    stop, ground = history.say(EE, "cancel", first, rank="f"), history.say(FI, "reply", first, rank="0")
    folded = history.fold()
    assert folded.order == (first, stop, ground)
    assert folded.marks[ground] is Mark.CROSSED


def test_a_fact_that_was_not_allowed_raises_alarm(history: _History) -> None:
    """What has happened is never crossed: the state is in ALARM for both sides."""
    first = history.say(EE, "ask")
    reply, found = history.say(FI, "reply", first), history.say(EE, "found", first, rank="f")
    folded = history.fold()
    assert folded.marks[found] is Mark.ALARM
    assert folded.marks[reply] is Mark.EFFECT
    assert folded.state.alarmed
    assert folded.state.name == "DONE"
    assert all(allowed(TABLE, folded.state, role) == ("alarm-closed",) for role in Role)


@pytest.mark.parametrize("ranks", ["0f", "f0"])
def test_a_stop_that_crosses_a_departure_raises_alarm(history: _History, ranks: str) -> None:
    """Neither knew of the other: whichever the digests favour, both countries are in ALARM."""
    first = history.say(EE, "ask")
    plan = history.say(FI, "plan", first)
    depart = history.say(EE, "depart", plan, rank=ranks[0])
    refuse = history.say(FI, "refuse", plan, rank=ranks[1])
    folded = history.fold()
    assert folded.order.index(refuse) < folded.order.index(depart)
    assert folded.marks[depart] is Mark.ALARM
    assert folded.state.alarms[0].about == tuple(sorted((depart, refuse)))


def test_a_stop_placed_after_the_departure_that_it_crosses_raises_alarm(history: _History) -> None:
    """In the other order too: the stop was made in ignorance of the departure, even where the table allows it."""
    first = history.say(EE, "ask")
    plan = history.say(FI, "plan", first, rank="2")
    depart = history.say(EE, "depart", plan, rank="0")
    found = history.say(FI, "found", plan, rank="9")
    refuse = history.say(FI, "refuse", found)
    folded = history.fold()
    assert folded.order == (first, plan, depart, found, refuse)
    assert folded.marks[refuse] is Mark.ALARM


def test_a_stop_that_knows_of_the_departure_raises_none(history: _History) -> None:
    """Its author had seen the departure: the table decides."""
    first = history.say(EE, "ask")
    plan = history.say(FI, "plan", first)
    depart = history.say(EE, "depart", plan)
    refuse = history.say(FI, "refuse", depart)
    folded = history.fold()
    assert folded.marks[refuse] is Mark.EFFECT
    assert not folded.state.alarmed


def test_a_departure_that_knows_of_the_stop_raises_none(history: _History) -> None:
    """Its author had read the objection, and the table lets the child go all the same."""
    first = history.say(EE, "ask")
    plan = history.say(FI, "plan", first)
    objected = history.say(FI, "object", plan)
    depart = history.say(EE, "depart", objected)
    folded = history.fold()
    assert folded.marks[depart] is Mark.EFFECT
    assert (folded.state.name, folded.state.alarmed) == ("GONE", False)


def test_a_departure_that_the_table_allowed_counts_under_its_alarm(history: _History) -> None:
    """It did not know of the objection: both are in ALARM, and beneath it the child is gone."""
    first = history.say(EE, "ask")
    plan = history.say(FI, "plan", first)
    objected, depart = history.say(FI, "object", plan), history.say(EE, "depart", plan)
    folded = history.fold()
    assert folded.marks[depart] is Mark.ALARM
    assert folded.state.alarms[0].about == tuple(sorted((objected, depart)))
    assert folded.state.name == "GONE"


def test_an_act_that_the_table_does_not_have_is_crossed(history: _History) -> None:
    """A newer node may send it: it is in the record, and changes nothing."""
    first = history.say(EE, "ask")
    newer = history.say(FI, "not-in-this-version", first)
    folded = history.fold()
    assert folded.marks[newer] is Mark.CROSSED
    assert (folded.state.name, folded.state.alarmed) == ("OPEN", False)


def test_a_departure_that_was_not_allowed_raises_alarm(history: _History) -> None:
    """What cannot be undone is never merely crossed."""
    first = history.say(EE, "ask")
    depart = history.say(EE, "depart", first)
    folded = history.fold()
    assert folded.marks[depart] is Mark.ALARM
    assert folded.state.name == "OPEN"


def test_both_sides_close_an_alarm(history: _History) -> None:
    """After one side's closing it is open; after both the underlying state counts again."""
    first = history.say(EE, "ask")
    found, plan = history.say(EE, "found", first, rank="f"), history.say(FI, "plan", first, rank="0")
    ours = history.say(EE, "alarm-closed", found, plan)
    assert history.fold().state.alarmed
    blind = history.say(FI, "alarm-closed", plan)
    assert history.fold().marks[blind] is Mark.CROSSED
    theirs = history.say(FI, "alarm-closed", blind, found)
    folded = history.fold()
    assert [folded.marks[digest] for digest in (ours, theirs)] == [Mark.EFFECT, Mark.EFFECT]
    assert not folded.state.alarmed
    assert folded.state.name == "READY"


def test_a_gap_delays_effect_and_names_what_is_missing(history: _History) -> None:
    """What descends from a missing message waits and is no head; the rest goes on."""
    first, lost = history.say(EE, "ask"), Digest("9" * 64)
    late = history.say(FI, "reply", first, lost)
    folded = history.fold()
    assert folded.marks == {first: Mark.EFFECT, late: Mark.WAITING}
    assert (folded.state.name, folded.heads, folded.missing) == ("OPEN", (first,), (lost,))


def test_an_answers_unknown_head_is_a_gap(history: _History) -> None:
    """The peer names what we do not hold."""
    first, unknown = history.say(EE, "ask"), Digest("9" * 64)
    history.answer(first, first, unknown)
    folded = history.fold()
    assert folded.missing == (unknown,)
    assert folded.final == frozenset()


def test_a_stub_has_no_effect_and_is_a_valid_parent(history: _History) -> None:
    """A refused message keeps its place; what follows it goes on."""
    first = history.say(EE, "ask")
    refused = history.say(FI, "reply", first)
    history.entries[refused] = replace(history.entries[refused], code="schema-invalid")
    after = history.say(FI, "plan", refused)
    folded = history.fold()
    assert folded.marks == {first: Mark.EFFECT, refused: Mark.STUB, after: Mark.EFFECT}
    assert folded.state.name == "READY"


def test_the_fork_that_was_answered_later_has_no_effect(history: _History) -> None:
    """An author who contradicts his own chain keeps what the other side had answered, whatever the digests."""
    first = history.say(EE, "ask")
    good, fork = history.say(FI, "plan", first, rank="f"), history.say(FI, "reply", first, rank="0")
    history.answer(good, good)
    folded = history.fold()
    assert (folded.marks[good], folded.marks[fork]) == (Mark.EFFECT, Mark.FORKED)
    assert folded.heads == (good,)


def test_of_two_unanswered_forks_the_later_placed_one_has_no_effect(history: _History) -> None:
    """Where no answer decides the order does."""
    first = history.say(EE, "ask")
    one, other = history.say(FI, "plan", first, rank="0"), history.say(FI, "reply", first, rank="f")
    folded = history.fold()
    assert (folded.marks[one], folded.marks[other]) == (Mark.EFFECT, Mark.FORKED)


def test_a_fork_does_not_spoil_what_follows_the_right_one(history: _History) -> None:
    """The author may go on from the chain that stands."""
    first = history.say(EE, "ask")
    good, fork = history.say(FI, "found", first, rank="4"), history.say(FI, "found", first, rank="5")
    history.answer(good, good)
    after = history.say(FI, "reply", good)
    folded = history.fold()
    assert folded.marks[fork] is Mark.FORKED
    assert folded.marks[after] is Mark.EFFECT


def test_a_message_that_denies_an_answer_has_no_effect(history: _History) -> None:
    """FI said that it had the plan; its stop that pretends otherwise changes nothing."""
    first = history.say(EE, "ask")
    history.answer(first, first)
    plan = history.say(EE, "plan", first)
    history.answer(plan, plan)
    before = history.fold()
    denial = history.say(FI, "refuse", first, rank="0")
    folded = history.fold()
    assert folded.marks[denial] is Mark.FORKED
    assert (folded.state, folded.heads, folded.final) == (before.state, before.heads, before.final)


def test_the_requesting_side_cannot_deny_its_answers_either(history: _History) -> None:
    """EE said that it had the plan; its cancellation that pretends otherwise changes nothing."""
    first = history.say(EE, "ask")
    history.answer(first, first)
    plan = history.say(FI, "plan", first)
    history.answer(plan, first, plan)
    denial = history.say(EE, "cancel", first, rank="0")
    folded = history.fold()
    assert folded.marks[denial] is Mark.FORKED
    assert (folded.state.name, folded.heads) == ("READY", (plan,))


def test_a_denial_takes_no_place_from_what_its_author_may_say(history: _History) -> None:
    """Of two that ignore each other the earlier one stands, if it is one that counts: a denial that comes first does not."""
    first = history.say(EE, "ask")
    history.answer(first, first)
    plan = history.say(EE, "plan", first)
    history.answer(plan, first, plan)
    denial = history.say(FI, "found", first, rank="0")
    stop = history.say(FI, "refuse", plan)
    folded = history.fold()
    assert folded.order.index(denial) < folded.order.index(stop)
    assert (folded.marks[denial], folded.marks[stop]) == (Mark.FORKED, Mark.EFFECT)


def test_an_answer_that_takes_back_an_earlier_one_is_void(history: _History) -> None:
    """FI's refusal was in the closure of its own answer; a later answer that leaves it out does not fork it."""
    first = history.say(EE, "ask")
    refuse = history.say(FI, "refuse", first)
    history.answer(first, first, refuse)
    found = history.say(EE, "found", first, refuse)
    history.answer(found, first)
    assert history.fold().marks[refuse] is Mark.EFFECT


def test_the_requested_side_cannot_ignore_the_opening(history: _History) -> None:
    """A message of FI that does not descend from anything of EE is no answer to anything."""
    history.say(EE, "ask", rank="f")
    stray = history.say(FI, "refuse", rank="0")
    folded = history.fold()
    assert folded.marks[stray] is Mark.FORKED
    assert folded.state.name == "OPEN"


def test_a_flood_of_forks_does_not_swell_the_heads(history: _History) -> None:
    """What is not believed is not built on, so that a message's parents stay few."""
    first = history.say(EE, "ask")
    good = history.say(FI, "found", first, rank="0")
    history.answer(good, good)
    for _ in range(100):
        history.say(FI, "found", first)
    assert history.fold().heads == (good,)


def test_a_message_is_final_when_it_and_all_before_it_are_answered(history: _History) -> None:
    """An answer to the later message alone is not enough: the earlier one may still be refused."""
    first = history.say(EE, "ask")
    second = history.say(EE, "found", first)
    history.answer(second, second)
    assert history.fold().final == frozenset()
    assert history.fold().unsettled(Role.REQUESTING) == (first, second)
    history.answer(first, first)
    folded = history.fold()
    assert folded.final == {first, second}
    assert not folded.unsettled(Role.REQUESTING)


def test_an_answer_from_behind_a_gap_does_not_make_final(history: _History) -> None:
    """FI stored the second message without having placed it; the answer that covers it does."""
    first = history.say(EE, "ask")
    second = history.say(EE, "found", first)
    third = history.say(EE, "found", second)
    history.answer(first, first)
    history.answer(third, first)
    history.answer(second, third)
    assert history.fold().final == {first, second, third}
    history.receipts.pop()
    assert history.fold().final == {first}


def test_an_answer_counts_only_for_the_very_bytes_and_from_the_other_side(history: _History) -> None:
    """A receipt by the author himself, or under another message id, is none."""
    first = history.say(EE, "ask")
    right = history.answer(first, first)
    other = MessageId("01890000-0000-7000-8000-00000000ffff")
    for wrong in (replace(right, issuer=EE), replace(right, message=other), replace(right, kind=ReceiptKind.OPENED)):
        history.receipts = [wrong]
        assert history.fold().final == frozenset()


def test_a_closure_holds_heads_and_ancestors(history: _History) -> None:
    """It is nothing where a message is missing."""
    first = history.say(EE, "ask")
    second = history.say(FI, "reply", first)
    stray = history.say(FI, "found", Digest("9" * 64))
    entries = history.entries.values()
    assert closure(entries, (second,)) == {first, second}
    assert closure(entries, ()) == frozenset()
    assert closure(entries, (stray,)) is None
    assert history.digest(stray) is None


def test_the_record_digest_is_of_exactly_these_bytes(history: _History) -> None:
    """Marks by digest, state with its open alarms and the table's digest, as canonical JSON."""
    first = history.say(EE, "ask")
    history.say(EE, "alarm-closed", first)
    wrong = history.say(FI, "arrived", first, rank="0")
    closed = history.say(FI, "alarm-closed", wrong)
    expected = {
        "messages": [[wrong, "alarm"], [first, "effect"], [closed, "effect"]],
        "state": {"alarms": [[wrong, ["REQUESTED"]]], "name": "OPEN"},
        "table": TABLE.digest,
    }
    expected["messages"] = sorted(expected["messages"])
    raw = json.dumps(expected, separators=(",", ":"), sort_keys=True).encode()
    assert history.digest(closed) == canonical.digest(raw)


def test_the_record_digest_ignores_what_lies_outside_the_closure(history: _History) -> None:
    """Later messages, and receipts whose heads reach beyond, do not change it."""
    first = history.say(EE, "ask")
    before = history.digest(first)
    second = history.say(FI, "reply", first)
    history.answer(second, second)
    assert history.digest(first) == before
    assert history.digest(second) != before


@pytest.mark.parametrize("heads", [(), ("good", "beyond")])
def test_an_answer_that_is_not_over_the_closure_decides_no_fork_in_it(
    history: _History, heads: tuple[str, ...]
) -> None:
    """It has no heads, or heads beyond: the other country, which may lack it, must come to the same digest."""
    first = history.say(EE, "ask")
    good, fork = history.say(FI, "plan", first, rank="f"), history.say(FI, "reply", first, rank="0")
    before = history.digest(good, fork)
    named = {"good": good, "beyond": Digest("9" * 64)}
    history.answer(good, *(named[head] for head in heads))
    assert history.digest(good, fork) == before
    history.answer(good, good)
    assert history.digest(good, fork) != before


def test_the_fold_of_the_whole_serves_only_where_the_closure_is_the_whole(history: _History) -> None:
    """With messages or answers outside of it, the closure is folded by itself."""
    first = history.say(EE, "ask")
    good, fork = history.say(FI, "plan", first, rank="f"), history.say(FI, "reply", first, rank="0")

    def with_whole(*heads: Digest) -> Digest | None:
        entries, receipts = history.entries.values(), history.receipts
        return closure_digest(TABLE, EE, entries, receipts, heads, whole=history.fold())

    assert with_whole(first) == history.digest(first)
    assert with_whole(good, fork) == history.digest(good, fork)
    history.answer(good, good, Digest("9" * 64))
    history.answer(good, good)
    assert with_whole(good, fork) == history.digest(good, fork)


def test_a_record_is_stated_only_when_the_peer_can_compare_it(history: _History) -> None:
    """While one of our own messages in it is unanswered it may have been refused: nothing is stated."""
    first = history.say(EE, "ask")
    reply = history.say(FI, "reply", first)

    def stated(*heads: Digest) -> Digest | None:
        return statement(TABLE, EE, EE, history.entries.values(), history.receipts, heads)

    assert stated(reply) is None
    answer = history.answer(first, first)
    assert stated(reply) == history.digest(reply)
    assert stated(Digest("9" * 64)) is None
    assert stated() is None
    unanswered = history.say(EE, "cancel", reply)
    assert stated(unanswered) is None
    assert stated(reply) == history.digest(reply)
    for none in (replace(answer, kind=ReceiptKind.OPENED), replace(answer, issuer=EE, author=FI)):
        history.receipts[:] = [none]
        assert stated(reply) is None


def test_records_agree_differ_or_cannot_be_compared(history: _History) -> None:
    """A stated digest is equal, different, or not comparable while something is missing or unanswered."""
    first = history.say(EE, "ask")
    right = history.digest(first)
    receipt = history.answer(first, first)

    def compared(theirs: Receipt) -> bool | None:
        return agrees(TABLE, EE, history.entries.values(), history.receipts, theirs)

    assert compared(receipt) is None
    assert compared(replace(receipt, record_digest=right)) is True
    assert compared(replace(receipt, record_digest=Digest("9" * 64))) is False
    assert compared(replace(receipt, record_digest=right, heads=(Digest("9" * 64),))) is None
    history.receipts.clear()
    assert compared(replace(receipt, record_digest=Digest("9" * 64))) is None


def _ready(history: _History) -> Digest:
    first = history.say(EE, "ask")
    history.answer(first, first)
    return history.say(FI, "plan", first)


def test_a_departure_needs_a_settled_confirmed_record(history: _History) -> None:
    """All own messages final, no gap, no alarm, and the peer's answer over all of them not older than two hours."""
    plan, limit = _ready(history), timedelta(hours=2)
    folded = history.fold()
    assert hindrances(TABLE, folded, "depart", Role.REQUESTING, now=NOW + limit) == ()
    late = NOW + limit + timedelta(milliseconds=1)
    assert hindrances(TABLE, folded, "depart", Role.REQUESTING, now=late) == ("confirmation-too-old",)
    ahead = NOW - limit - timedelta(milliseconds=1)  # signed by a clock that is ahead of ours
    assert hindrances(TABLE, folded, "depart", Role.REQUESTING, now=ahead) == ("confirmation-too-old",)
    assert hindrances(TABLE, folded, "cancel", Role.REQUESTING, now=late) == ()
    history.say(EE, "found", plan)
    history.say(FI, "found", plan, Digest("9" * 64))
    open_ended = hindrances(TABLE, history.fold(), "depart", Role.REQUESTING, now=NOW)
    assert open_ended == ("own-message-not-final", "gap", "alarm", "confirmation-missing")


def test_a_thousand_messages_fold_in_no_more_than_linear_time(history: _History) -> None:
    """A chain of a thousand answered messages costs about ten times what a chain of a hundred does."""
    last = history.say(EE, "ask")
    costs = []
    for length in (100, 1000):
        while len(history.entries) < length:
            history.answer(last, last)
            last = history.say(FI if len(history.entries) % 2 else EE, "found", last)
        spent = []
        for _ in range(5):
            begun = time.process_time()
            assert len(history.fold().final) == length - 1
            spent.append(time.process_time() - begun)
        costs.append(min(spent))
    assert costs[1] < 25 * costs[0]


@pytest.mark.parametrize(
    ("code", "stated", "unheld"),
    [("schema-invalid", True, False), ("procedure-mismatch", False, True), ("expired", False, False)],
    ids=["a stub", "no stub", "sealed anew"],
)
def test_an_opening_refused_without_heads_is_nowhere_else(
    history: _History, code: str, stated: bool, unheld: bool
) -> None:
    """Where its stub is held there, the refusal states it; one about the envelope says nothing yet."""
    first = history.say(EE, "ask")
    answered = history.answer(first, *([first] if stated else []), code=code)
    history.entries[first] = replace(history.entries[first], code=code if answered.answers else None)
    assert is_unheld(history.entries.values(), history.receipts) is unheld


@pytest.mark.parametrize(
    ("code", "minutes", "stated", "unheld"),
    [
        ("schema-invalid", 1, True, False),
        ("header-invalid", 1, False, True),
        ("header-invalid", -1, False, False),
        ("record-full", -1, False, True),
        ("expired", 1, False, False),
    ],
    ids=["a stub", "no stub", "perhaps a stub: it overtook the opening", "never with a stub", "sealed anew"],
)
def test_a_later_message_refused_without_heads_is_nowhere_else(
    history: _History, code: str, minutes: int, stated: bool, unheld: bool
) -> None:
    """A record in which something is placed has heads: a refusal that states none then has kept no stub."""
    first = history.say(EE, "ask")
    history.answer(first, first)
    second = history.say(EE, "cancel", first)
    heads = [second] if stated else []
    answered = history.answer(second, *heads, at=NOW + timedelta(minutes=minutes), code=code)
    history.entries[second] = replace(history.entries[second], code=code if answered.answers else None)
    assert is_unheld(history.entries.values(), history.receipts) is unheld


def test_the_order_in_which_messages_were_written_is_that_of_their_chain_before_that_of_clocks(
    history: _History,
) -> None:
    """A clock that was set back, one millisecond for two, a message between that is not asked for, and a gap."""
    first = history.say(EE, "ask", rank="9")
    between = history.say(EE, "found", first)
    behind_it = history.say(EE, "found", between, rank="1")
    after_a_gap = history.say(EE, "found", behind_it, Digest("f" * 64), rank="0")
    theirs_then = history.say(FI, "found", first, rank="3")
    theirs_later = history.say(FI, "found", first, rank="2")
    said = {
        first: NOW,
        behind_it: NOW - timedelta(hours=1),
        after_a_gap: NOW,
        theirs_then: NOW + timedelta(seconds=1),
        theirs_later: NOW + timedelta(seconds=2),
    }

    found = moments(history.entries.values(), {one: MessageId.first_of(at) for one, at in said.items()})

    assert sorted(found, key=found.__getitem__) == [first, behind_it, after_a_gap, theirs_then, theirs_later]
    assert between not in found
