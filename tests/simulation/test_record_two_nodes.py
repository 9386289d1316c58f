# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Two nodes keep the record of one procedure over a network that delays, reorders and repeats; one of them may lie."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core import evidence
from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.messages import RecordEntry
from broker.core.procedures import ActKind, ProcedureTable, Role, State, allowed
from broker.core.receipts import Receipt, ReceiptKind, contradicts
from broker.core.record import Folded, Mark, agrees, closure_digest, fold, statement
from broker.core.tables import parse_table

EE, FI = CountryCode("EE"), CountryCode("FI")
START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
STATES = ("NEW", "OPEN", "AGREED", "GONE", "ARRIVED", "STOPPED")


def _act(moves: list[tuple[str, str, str]], **flags: Any) -> dict[str, Any]:
    kind = flags.pop("kind", "act")
    return {
        "kind": kind,
        **flags,
        "moves": [{"from": sources.split(), "by": by, "to": target} for sources, by, target in moves],
    }


BOTH = ("REQUESTING", "REQUESTED")
TABLE = parse_table(
    {
        "procedure": "synthetic",
        "version": "1.0",
        "title": "Every kind of message there is",
        "subject": "none",
        "roles": list(BOTH),
        "initial": "NEW",
        "final": ["ARRIVED", "STOPPED"],
        "states": {name: {"title": name.lower()} for name in STATES},
        "acts": {
            "open": _act([("NEW", "REQUESTING", "OPEN")], opens=True),
            "offer": _act([("OPEN", "REQUESTED", "AGREED")]),
            "amend": _act([(source, by, "OPEN") for source in ("OPEN", "AGREED") for by in BOTH]),
            "depart": _act([("AGREED", "REQUESTING", "GONE")], irreversible=True),
            "found": _act([(source, by, source) for source in ("OPEN", "AGREED") for by in BOTH], kind="fact"),
            "arrived": _act([("GONE", "REQUESTED", "ARRIVED")], kind="fact"),
            "danger": _act([("OPEN AGREED GONE", by, "STOPPED") for by in BOTH], kind="fact", stop=True),
            "withdraw": _act([("OPEN AGREED", "REQUESTING", "STOPPED")], stop=True),
            "refuse": _act([("OPEN AGREED", "REQUESTED", "STOPPED")], stop=True),
        },
    }
)
ACTS = (*TABLE.acts, "alarm-closed")
FACTS = tuple(name for name, act in TABLE.acts.items() if act.kind is ActKind.FACT)
Fold = Callable[[ProcedureTable, CountryCode, Iterable[RecordEntry], Iterable[Receipt]], Folded]
Step = tuple[int, int, int]


@dataclass
class Node:
    """One country: its set, the receipts it holds, and what it once saw as final."""

    us: CountryCode
    peer: CountryCode
    fold: Fold = fold
    honest: bool = True
    entries: dict[Digest, RecordEntry] = field(default_factory=dict)
    receipts: dict[tuple[CountryCode, MessageId], Receipt] = field(default_factory=dict)
    out: list[RecordEntry | Receipt] = field(default_factory=list)
    finals: dict[Digest, Any] = field(default_factory=dict)

    def folded(self) -> Folded:
        return self.fold(TABLE, EE, self.entries.values(), self.receipts.values())

    @property
    def role(self) -> Role:
        return Role.REQUESTING if self.us == EE else Role.REQUESTED

    def submit(self, number: int, choice: int) -> None:
        """Send what the state allows, or a fact: facts may always be told."""
        folded = self.folded()
        possible = (*allowed(TABLE, folded.state, self.role), *(FACTS if folded.order else ()))
        if possible:
            self.send(_entry(self.us, number, possible[choice % len(possible)], folded.heads))

    def send(self, entry: RecordEntry) -> None:
        self.entries[entry.digest] = entry
        self.out.append(entry)

    def take(self, item: RecordEntry | Receipt, choice: int) -> None:
        if isinstance(item, Receipt):
            self.take_receipt(item)
        elif item.digest not in self.entries:
            refused = choice % 11 == 7
            self.entries[item.digest] = replace(item, code="schema-invalid") if refused else item
            self.answer(item, refused=refused)

    def answer(self, entry: RecordEntry, *, refused: bool) -> None:
        """Testify in the step that records: this is what a node's transaction does."""
        folded, evidence = self.folded(), tuple(self.receipts.values())
        heads = folded.heads
        stated = statement(TABLE, EE, self.us, self.entries.values(), evidence, heads)
        again = statement(TABLE, EE, self.us, self.entries.values(), evidence, heads, whole=folded)
        assert again == stated, "what is known of the whole record changes what is stated of it"
        receipt = Receipt(
            issuer=self.us,
            author=entry.author,
            message=entry.message,
            digest=entry.digest,
            kind=ReceiptKind.REFUSED if refused else ReceiptKind.DELIVERED,
            at=START + timedelta(seconds=len(self.receipts)),
            code="schema-invalid" if refused else None,
            heads=heads,
            record_digest=stated,
        )
        self.receipts[self.us, entry.message] = receipt
        self.out.append(receipt)

    def take_receipt(self, receipt: Receipt) -> None:
        key = receipt.issuer, receipt.message
        if key in self.receipts or contradicts(self.receipts.values(), receipt):
            return
        self.receipts[key] = receipt
        if receipt.kind is ReceiptKind.REFUSED and receipt.digest in self.entries:
            self.entries[receipt.digest] = replace(self.entries[receipt.digest], code=receipt.code)

    def lie(self, number: int, choice: int) -> None:
        """Send a message with chosen parents and the smallest or greatest digest of many, or an invented receipt."""
        dice = random.Random(choice)
        known = sorted(self.entries)
        chosen = tuple(sorted(dice.sample(known, min(len(known), dice.randrange(4)))))
        theirs = [entry for entry in self.entries.values() if entry.author == self.peer]
        if dice.random() < 0.35 and theirs:
            about = dice.choice(theirs)
            refused = dice.random() < 0.2
            forged = Receipt(
                issuer=self.us,
                author=self.peer,
                message=about.message,
                digest=about.digest,
                kind=ReceiptKind.REFUSED if refused else ReceiptKind.DELIVERED,
                at=START,
                code="lie" if refused else None,
                heads=chosen,
            )
            self.receipts[self.us, about.message] = forged
            self.out.append(forged)
            return
        if dice.random() < 0.1:
            chosen = (*chosen, Digest(hashlib.sha256(b"never sent").hexdigest()))
        act = dice.choice(ACTS)
        ground = sorted(_entry(self.us, number, act, chosen, f"{attempt}").digest for attempt in range(8))
        wanted = dice.choice((ground[0], ground[-1]))
        tries = (_entry(self.us, number, act, chosen, f"{attempt}") for attempt in range(8))
        self.send(next(entry for entry in tries if entry.digest == wanted))


def _entry(author: CountryCode, number: int, act: str, parents: tuple[Digest, ...], nonce: str = "") -> RecordEntry:
    named = tuple(sorted(set(parents)))
    digest = hashlib.sha256(repr((author, number, act, named, nonce)).encode()).hexdigest()
    message = MessageId(f"01890000-0000-7000-8000-{number:012x}")
    return RecordEntry(digest=Digest(digest), message=message, author=author, act=act, parents=named)


def run(steps: Iterable[Step], *, liar: CountryCode | None = None, fold: Fold = fold) -> tuple[Node, Node]:
    """Play a scenario, holding every honest node against the promises after each step."""
    ee, fi = Node(EE, FI, fold, liar != EE), Node(FI, EE, fold, liar != FI)
    ee.send(_entry(EE, 0, "open", ()))
    for number, (what, where, choice) in enumerate(steps, start=1):
        node, other = ((ee, fi), (fi, ee))[where % 2]
        if what < 2 and not node.honest:
            node.lie(number, choice)
        elif what < 2:
            node.submit(number, choice)
        elif other.out:
            position = choice % min(len(other.out), 6)
            item = other.out[position] if what == 2 else other.out.pop(position)  # 2: repeated
            node.take(item, choice)
        for side in (ee, fi):
            if side.honest:
                check(side, liar)
    return ee, fi


def drain(ee: Node, fi: Node) -> None:
    """Deliver everything that is still on its way."""
    while ee.out or fi.out:
        for node, other in ((ee, fi), (fi, ee)):
            while other.out:
                node.take(other.out.pop(), 1)


def check(node: Node, liar: CountryCode | None) -> None:
    """Hold an honest node against the promises."""
    folded = node.folded()
    assert set(folded.marks) == set(node.entries)
    _check_state(node, folded)
    _check_finals(node, folded)
    assert len(folded.heads) <= 4, "heads can be flooded"
    for digest, mark in folded.marks.items():
        entry = node.entries[digest]
        if entry.author == node.us:
            assert mark is not Mark.FORKED, "an honest message is forked"
            assert mark is not Mark.WAITING, "an own message waits"
        if liar is None:
            assert mark is not Mark.FORKED, "a fork although nobody lied"
        if entry.act in FACTS and mark not in (Mark.FORKED, Mark.STUB, Mark.WAITING):
            assert mark in (Mark.EFFECT, Mark.ALARM), "a fact is without effect"
    if liar is None:
        for receipt in node.receipts.values():
            if receipt.issuer == node.peer:
                agreed = agrees(TABLE, EE, node.entries.values(), node.receipts.values(), receipt)
                assert agreed is not False, "a divergence although nobody lied"
                known = agrees(TABLE, EE, node.entries.values(), node.receipts.values(), receipt, whole=folded)
                assert known is agreed, "what is known of the whole record changes the comparison"


def _check_state(node: Node, folded: Folded) -> None:
    """Replay what is marked as having had effect: the underlying state is what that adds up to."""
    names = {
        TABLE.initial
    }  # more than one only after an irreversible act that raised an alarm: it may have moved or not
    for digest in folded.order:
        entry = node.entries[digest]
        act = TABLE.acts.get(entry.act)
        if act is None or folded.marks[digest] not in (Mark.EFFECT, Mark.ALARM):
            continue
        role = Role.REQUESTING if entry.author == EE else Role.REQUESTED
        moved = {act.moves[name, role] for name in names if (name, role) in act.moves}
        stayed = {name for name in names if act.irreversible or (name, role) not in act.moves}
        names = moved | (stayed if folded.marks[digest] is Mark.ALARM else set())
    assert folded.state.name in names, "the state is not what the effects add up to"


def _check_finals(node: Node, folded: Folded) -> None:
    """What was final stays: the message's mark, and everything that took effect before it."""
    final = folded.final
    for digest, before in node.finals.items():
        assert digest in final, "a final message is no longer final"
        assert _history(folded, digest) == before, "a final effect changed"
    for digest in final:
        node.finals.setdefault(digest, _history(folded, digest))


def _history(folded: Folded, last: Digest) -> list[tuple[Digest, Mark]]:
    until = folded.order[: folded.order.index(last) + 1]
    idle = (Mark.FORKED, Mark.STUB)
    return [(digest, folded.marks[digest]) for digest in until if folded.marks[digest] not in idle]


SCENARIO = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 10_000)), min_size=4, max_size=60)


@settings(max_examples=150, deadline=None)
@given(SCENARIO)
def test_honest_nodes_end_with_the_same_record(steps: list[Step]) -> None:
    """Two honest nodes hold equal state, order, marks, heads and record digest once everything has arrived."""
    ee, fi = run(steps)
    drain(ee, fi)
    ours, theirs = ee.folded(), fi.folded()
    assert (ours, ours.final) == (theirs, theirs.final)
    assert not ours.missing
    digests = [
        closure_digest(TABLE, EE, node.entries.values(), node.receipts.values(), ours.heads) for node in (ee, fi)
    ]
    assert digests[0] is not None
    assert digests[0] == digests[1]
    assert not ours.unsettled(Role.REQUESTING)
    assert not ours.unsettled(Role.REQUESTED)


@settings(max_examples=200, deadline=None)
@given(SCENARIO)
def test_a_lying_requested_side_changes_nothing_final(steps: list[Step]) -> None:
    """Whatever parents, digests and receipts FI invents, no final effect at EE changes and no fact goes without effect."""
    run(steps, liar=FI)


@settings(max_examples=200, deadline=None)
@given(SCENARIO)
def test_a_lying_requesting_side_changes_nothing_final(steps: list[Step]) -> None:
    """Whatever parents, digests and receipts EE invents, no final effect at FI changes and no fact goes without effect."""
    run(steps, liar=EE)


def _scenarios(count: int) -> Iterable[list[Step]]:
    for seed in range(count):
        dice = random.Random(seed)
        length = dice.randrange(10, 60)
        yield [(dice.randrange(7), dice.randrange(2), dice.randrange(10_000)) for _ in range(length)]


def _caught(*, liar: CountryCode | None = None, fold: Fold = fold, count: int = 400) -> bool:
    for steps in _scenarios(count):
        try:
            ee, fi = run(steps, liar=liar, fold=fold)
            drain(ee, fi)
            if liar is None:
                assert ee.folded() == fi.folded()
        except AssertionError:
            return True
    return False


def test_the_promises_hold_over_the_scenarios_that_catch_planted_faults() -> None:
    """Without a planted fault the same scenarios pass, whoever lies."""
    assert not _caught(count=60)
    assert not _caught(liar=FI, count=120)
    assert not _caught(liar=EE, count=120)


def _constant(*args: Any) -> Folded:
    return replace(fold(*args), state=State(name="OPEN"))


def _last_writer_wins(
    table: ProcedureTable, opener: CountryCode, entries: Iterable[RecordEntry], receipts: Iterable[Receipt]
) -> Folded:
    held = list(entries)
    folded = fold(table, opener, held, receipts)
    for entry in reversed(held):  # the order of arrival, which differs between the nodes
        moves = table.acts[entry.act].moves.values() if entry.act in table.acts else ()
        if moves:
            return replace(folded, state=State(name=next(iter(moves))))
    return folded


@pytest.mark.parametrize("planted", [_constant, _last_writer_wins], ids=["constant state", "last writer wins"])
def test_a_planted_interpreter_is_caught(planted: Fold) -> None:
    """An interpreter that ignores the record, or takes what came last, does not pass the scenarios."""
    assert _caught(fold=planted)


def _no_chain(self: Any, role: Role, denied: int) -> int:
    return 0


def _no_denying(self: Any, role: Role) -> int:
    return 0


def _answer_alone(self: Any, forked: int) -> int:
    """The tempting rule: an answer whose heads cover the message makes it final."""
    return sum(
        1 << position for position, (_, inside) in self.answers.items() if inside and inside >> position & 1
    ) & ~(self.stubs | forked)


def _walk_over_holes(self: Any, role: Role) -> Iterable[tuple[int, int]]:
    for position in self.sent[role]:
        inside = self.inside_answer(position)
        if inside is not None:
            yield position, inside


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("_broken_chain", _no_chain),
        ("_denied", _no_denying),
        ("final", _answer_alone),
        ("_walk", _walk_over_holes),
    ],
)
def test_each_rule_is_needed(name: str, planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving out own chain, no denying, or the walk without holes lets a liar change what was final."""
    monkeypatch.setattr(evidence.Evidence, name, planted)
    assert _caught(liar=FI, count=3000) or _caught(liar=EE, count=3000)
