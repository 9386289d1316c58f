# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Two honest sides of one procedure's record, whose messages and answers cross on the way, for any procedure table."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.messages import RecordEntry
from broker.core.procedures import ActKind, ProcedureTable, Role, allowed
from broker.core.receipts import Receipt, ReceiptKind
from broker.core.record import Folded, Mark, closure, closure_digest, fold

__all__ = ["Fold", "Side", "check_pair", "play"]

EE, FI = CountryCode("EE"), CountryCode("FI")
START = datetime(2026, 11, 22, tzinfo=UTC)
Fold = Callable[[ProcedureTable, CountryCode, Iterable[RecordEntry], Iterable[Receipt]], Folded]


@dataclass(slots=True, kw_only=True)
class Side:
    """One country: its set, the answers it holds, what is on its way out, and what it once saw as final."""

    us: CountryCode
    table: ProcedureTable
    fold: Fold = fold
    entries: dict[Digest, RecordEntry] = field(default_factory=dict)
    receipts: dict[tuple[CountryCode, MessageId], Receipt] = field(default_factory=dict)
    out: list[RecordEntry | Receipt] = field(default_factory=list)
    finals: dict[Digest, list[tuple[Digest, Mark]]] = field(default_factory=dict)

    @property
    def role(self) -> Role:
        """The side that this country is; EE opens."""
        return Role.REQUESTING if self.us == EE else Role.REQUESTED

    def folded(self) -> Folded:
        """Return what the record adds up to, held against what was final before."""
        folded = self.fold(self.table, EE, self.entries.values(), self.receipts.values())
        final = folded.final
        for digest, before in self.finals.items():
            assert digest in final, "a final message is no longer final"
            assert _history(folded, digest) == before, "a final effect changed"
        for digest in final - self.finals.keys():
            self.finals[digest] = _history(folded, digest)
        return folded

    def submit(self, number: int, dice: random.Random) -> None:
        """Send what the state allows, or a fact of this side's: facts may always be told."""
        folded = self.folded()
        facts = (
            name
            for name, act in self.table.acts.items()
            if act.kind is ActKind.FACT and folded.order and any(role is self.role for _, role in act.moves)
        )
        possible = list(dict.fromkeys((*allowed(self.table, folded.state, self.role), *facts)))
        moving = [name for name in possible if self._moves(name, folded) is not None]
        chosen = moving if moving and dice.random() < 0.75 else possible
        ends = [name for name in chosen if self._moves(name, folded) not in self.table.final]
        chosen = ends if ends and dice.random() < 0.5 else chosen  # else most procedures would be over at once
        if chosen:
            self.send(number, dice.choice(chosen), folded.heads, dice.random())

    def _moves(self, act: str, folded: Folded) -> str | None:
        definition = self.table.acts.get(act)
        target = None if definition is None else definition.moves.get((folded.state.name, self.role))
        return None if target == folded.state.name else target

    def send(self, number: int, act: str, parents: tuple[Digest, ...], nonce: float = 0.0) -> None:
        """Record a message and put it on its way."""
        digest = Digest(hashlib.sha256(repr((self.us, number, act, parents, nonce)).encode()).hexdigest())
        message = MessageId(f"01890000-0000-7000-8000-{number:012x}")
        entry = RecordEntry(digest=digest, message=message, author=self.us, act=act, parents=tuple(sorted(parents)))
        self.entries[digest] = entry
        self.out.append(entry)

    def take(self, item: RecordEntry | Receipt) -> None:
        """Record what arrives and answer a message, as a node does in one transaction; a repeat changes nothing."""
        if isinstance(item, Receipt):
            self.receipts.setdefault((item.issuer, item.message), item)
        elif item.digest not in self.entries:
            self.entries[item.digest] = item
            receipt = Receipt(
                issuer=self.us,
                author=item.author,
                message=item.message,
                digest=item.digest,
                kind=ReceiptKind.DELIVERED,
                at=START + timedelta(seconds=len(self.receipts)),
                heads=self.folded().heads,
            )
            self.receipts[self.us, item.message] = receipt
            self.out.append(receipt)


def play(table: ProcedureTable, seed: int, *, fold: Fold = fold) -> tuple[Side, Side]:
    """Let both sides move at random while messages and answers are delayed, reordered and repeated; then deliver all."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable simulation
    ee, fi = Side(us=EE, table=table, fold=fold), Side(us=FI, table=table, fold=fold)
    ee.send(0, dice.choice([name for name, act in table.acts.items() if act.opens]), ())
    for number in range(1, dice.randrange(6, 22)):
        side, other = (ee, fi) if dice.random() < 0.5 else (fi, ee)
        if dice.random() < 0.4:
            side.submit(number, dice)
        elif other.out:
            position = dice.randrange(min(len(other.out), 4))
            side.take(other.out[position] if dice.random() < 0.1 else other.out.pop(position))
    while ee.out or fi.out:
        for side, other in ((ee, fi), (fi, ee)):
            while other.out:
                side.take(other.out.pop(0))
    return ee, fi


def check_pair(ee: Side, fi: Side) -> Folded:
    """Hold both sides against the promises once everything has arrived, and return what they agree on."""
    folded = ee.folded()
    assert folded == fi.folded(), "the sides differ"
    digests = {
        closure_digest(side.table, EE, side.entries.values(), side.receipts.values(), folded.heads) for side in (ee, fi)
    }
    assert len(digests) == 1, "the record digests differ"
    assert None not in digests, "the record is not whole"
    assert not folded.missing, "something is missing although everything arrived"
    assert set(folded.marks.values()) <= {Mark.EFFECT, Mark.CROSSED, Mark.ALARM}, "a mark that honest sides never get"
    _check_state(ee, folded)
    _check_acts(ee, folded)
    return folded


def _check_state(side: Side, folded: Folded) -> None:
    """Replay what took effect: the underlying state is what that adds up to."""
    names = {side.table.initial}  # more than one only after an irreversible act that raised an alarm
    for digest in folded.order:
        entry, mark = side.entries[digest], folded.marks[digest]
        act = side.table.acts.get(entry.act)
        if act is None or mark is Mark.CROSSED:
            continue
        role = Role.REQUESTING if entry.author == EE else Role.REQUESTED
        moved = {act.moves[name, role] for name in names if (name, role) in act.moves}
        stayed = {name for name in names if act.irreversible or (name, role) not in act.moves}
        names = moved | (stayed if mark is Mark.ALARM else set())
    assert folded.state.name in names, "the state is not what the effects add up to"


def _check_acts(side: Side, folded: Folded) -> None:
    """No fact is without effect, and a stop and what cannot be undone that cross are an ALARM."""
    acts = {digest: side.table.acts.get(entry.act) for digest, entry in side.entries.items()}
    for digest, act in acts.items():
        if act is not None and act.kind is ActKind.FACT:
            assert folded.marks[digest] in {Mark.EFFECT, Mark.ALARM}, "a fact is without effect"
    stops = [digest for digest, act in acts.items() if act is not None and act.stop]
    departures = [digest for digest, act in acts.items() if act is not None and act.irreversible]
    for stop in stops:
        for departure in departures:
            seen = closure(side.entries.values(), (stop,)), closure(side.entries.values(), (departure,))
            assert seen[0] is not None and seen[1] is not None  # noqa: PT018 - one fact
            if stop != departure and departure not in seen[0] and stop not in seen[1]:
                assert Mark.ALARM in {folded.marks[stop], folded.marks[departure]}, "a crossing stop is no ALARM"


def _history(folded: Folded, last: Digest) -> list[tuple[Digest, Mark]]:
    return [(digest, folded.marks[digest]) for digest in folded.order[: folded.order.index(last) + 1]]
