# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The record of a procedure: the set of its messages and refusals, and what they add up to.

State is a pure function of the set, the receipts and the procedure's table; no clock, case fact or safeguard enters it.
An *answer* is a delivered or refused receipt (not "expired"); its heads say what its issuer had placed when it signed.

1. *Placed*: a message is placed when its whole ancestry is held. Until then it waits: a gap delays effect, never sight.
2. *Order*: a message comes after all its parents; of those that are ready stops come first, then the smaller digest.
3. *No denying*: walk the other side's messages in their order while they are answered by the author and the closures of
   the answers' heads are held; at each step let C be the union of the closures so far. A message outside C that does not
   descend from every message of the other side in C is forked. (Because of the union an answer cannot take back what an
   earlier one conceded; because the walk stops at the first hole a fork is never healed.) A message of the requested
   side that does not descend from any message of the requesting side is forked too.
4. *Own chain*: of two messages of one author neither of which descends from the other, the one is forked that an answer
   of the other side leaves out while it covers its rival; where no answer decides, the one that stands later in the
   order, unless its rival is forked itself.
5. *Effect*: stubs and forked messages are placed without effect, their descendants go on. An act that the state does
   not allow is crossed. A fact or an irreversible act that the state does not allow, and the later one of a stop and an
   irreversible message that do not know of each other, raise ALARM; facts and stops still move the underlying state.
6. *Heads*: the placed messages from which no other placed one descends, left aside forked ones that no answer of the
   other side covers: nobody builds on what he does not believe, and nobody's heads can be flooded.
7. *Final*: a message is final when the same walk over its author's messages reaches it, C of that walk covers it, it is
   neither stub nor forked, and every other message of the other side descends from it or is itself reached and covered
   by the walk over the other side's. (At home the last condition always holds: a node answers what it records.)
   Whatever is added to the set later, the mark of a final message and what took effect before it stay. An answer to
   the message alone would not be enough: an earlier message that is refused afterwards, or a slow answer to one, would
   change it.

Rules 3, 4 and 7 hold against any peer, as long as this node answers each message in the transaction that records it,
stores no second answer about one message (`receipts.contradicts`), and names its heads as parents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from broker.core import canonical
from broker.core.ancestry import build
from broker.core.errors import RecordFull
from broker.core.evidence import Evidence
from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.messages import RecordEntry
from broker.core.procedures import (
    ALARM_CLOSED,
    ActKind,
    ProcedureTable,
    Role,
    State,
    close_alarms,
    raise_alarm,
    start,
    step,
)
from broker.core.receipts import Receipt

__all__ = [
    "CONFIRMATION_MAX_AGE",
    "Folded",
    "Mark",
    "agrees",
    "closure",
    "closure_digest",
    "fold",
    "hindrances",
    "is_unheld",
    "moments",
    "reached",
    "statement",
]

CONFIRMATION_MAX_AGE = timedelta(hours=2)  # before an irreversible act: the peer was there, a stop would have come


class Mark(StrEnum):
    """What became of a message in the record; the same on both sides once both hold the same set."""

    EFFECT = "effect"
    CROSSED = "crossed"  # an act that the state did not allow where the order puts it
    ALARM = "alarm"  # it raised an alarm; it moved the underlying state where the table allowed that
    FORKED = "forked"  # it ignores what its author had sent or answered; a security alert
    STUB = "stub"  # refused
    WAITING = "waiting"  # an ancestor is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What a record adds up to."""

    state: State
    order: tuple[Digest, ...]  # of the placed messages
    marks: Mapping[Digest, Mark]  # of all held messages
    heads: tuple[Digest, ...]  # sorted; the parents of the next message
    missing: tuple[Digest, ...]  # sorted; named by a message or an answer, but not held
    forked: int = 0  # the forked messages as a set of the evidence
    evidence: Evidence | None = field(default=None, compare=False, repr=False)  # None: nothing is held

    # What follows is worked out when it is asked for: few transactions do.

    @property
    def final(self) -> frozenset[Digest]:
        """The messages that can no longer change (rule 7)."""
        view = self.evidence
        return frozenset() if view is None else frozenset(view.digests(view.final(self.forked)))

    def unsettled(self, role: Role) -> tuple[Digest, ...]:
        """Return that side's messages that are neither final nor refused nor forked."""
        view = self.evidence
        return () if view is None else view.digests(view.unsettled(role, self.forked))

    def confirmed(self, role: Role) -> datetime | None:
        """Return when the other side gave its newest answer that covers all of that side's messages."""
        return None if self.evidence is None else self.evidence.confirmed(role, self.forked)


def fold(
    table: ProcedureTable, opener: CountryCode, entries: Iterable[RecordEntry], receipts: Iterable[Receipt]
) -> Folded:
    """Return what the set adds up to; the order in which its members are given does not matter."""
    held = {entry.digest: entry for entry in entries}
    if not held:
        return Folded(state=start(table), order=(), marks={}, heads=(), missing=())

    def stops(digest: Digest) -> bool:
        act = table.acts.get(held[digest].act)
        return act is not None and act.stop

    ancestry = build({digest: entry.parents for digest, entry in held.items()}, stops)
    view = Evidence(opener, held, ancestry, receipts)
    forked = view.forked()
    state, marks = _effects(table, view, forked)
    for digest in held:
        marks.setdefault(digest, Mark.WAITING)
    return Folded(
        state=state,
        order=ancestry.order,
        marks=marks,
        heads=ancestry.maximal(view.placed & ~(forked & ~view.covered()) if forked else view.placed),
        missing=tuple(sorted(ancestry.missing | (view.named - held.keys()))),
        forked=forked,
        evidence=view,
    )


def moments(entries: Iterable[RecordEntry], written: Mapping[Digest, MessageId]) -> dict[Digest, tuple[str, int]]:
    """Return by what to order the messages of a record, the oldest first: none comes before one that it follows.

    Clocks alone do not tell the newest: its author's may have been set back before it, or have given both one millisecond.
    Of two that do not follow each other the times decide.

    Args:
        entries: the record.
        written: of each message that is to be ordered its id, which rises with time, or the first id of its time.
    """
    named = {entry.digest: entry.parents for entry in entries}
    # A gap keeps nothing from its place here: what is held is to be judged.
    held = {digest: tuple([one for one in parents if one in named]) for digest, parents in named.items()}
    ancestry = build(held, lambda _: False)
    reached: list[str] = []
    for digest, parents in zip(ancestry.order, ancestry.parents, strict=True):
        reached.append(max((written.get(digest, ""), *(reached[parent] for parent in parents))))
    return {digest: (reached[place], place) for place, digest in enumerate(ancestry.order) if digest in written}


def reached(entries: Iterable[RecordEntry], heads: Iterable[Digest]) -> frozenset[Digest]:
    """Return the heads and all their ancestors, as far as what is held names them; the last ones may not be held."""
    parents = {entry.digest: entry.parents for entry in entries}
    found: set[Digest] = set()
    waiting = list(heads)
    while waiting:
        digest = waiting.pop()
        if digest not in found:
            found.add(digest)
            waiting.extend(parents.get(digest, ()))
    return frozenset(found)


def closure(entries: Iterable[RecordEntry], heads: Iterable[Digest]) -> frozenset[Digest] | None:
    """Return the heads and all their ancestors; None where one of them is not held."""
    held = tuple(entries)
    found = reached(held, heads)
    return found if found <= {entry.digest for entry in held} else None


def closure_digest(
    table: ProcedureTable,
    opener: CountryCode,
    entries: Iterable[RecordEntry],
    receipts: Iterable[Receipt],
    heads: Iterable[Digest],
    *,
    whole: Folded | None = None,
) -> Digest | None:
    """Return the record digest over the closure of the heads; None where something of the closure is missing.

    Fold the messages of the closure alone, with those receipts alone that have heads, all inside the closure. The digest
    is SHA-256 of the canonical JSON of::

        {"messages": [[message digest, mark], …], "state": {"alarms": [[message digest, [side, …]], …], "name": …},
         "table": table digest}

    ``messages`` holds every message of the closure and is sorted by digest; marks are the lower-case words of `Mark`;
    ``alarms`` holds the open alarms, sorted by the digest of the message that raised them, each with the sorted sides
    that have closed it; ``name`` is the underlying state.

    Args:
        whole: what these entries and receipts add up to, if that is known: where the closure takes in all of them,
            as it nearly always does, it is the same.
    """
    held, evidence = tuple(entries), tuple(receipts)
    inside = closure(held, heads)
    if inside is None:
        return None
    known = [receipt for receipt in evidence if receipt.heads and inside.issuperset(receipt.heads)]
    folded = whole
    if folded is None or len(inside) != len(held) or len(known) != len(evidence):
        folded = fold(table, opener, (entry for entry in held if entry.digest in inside), known)
    alarms = sorted((alarm.message, sorted(alarm.closed_by)) for alarm in folded.state.alarms)
    stated = {
        "messages": sorted([digest, mark] for digest, mark in folded.marks.items()),
        "state": {"alarms": [list(alarm) for alarm in alarms], "name": folded.state.name},
        "table": table.digest,
    }
    return canonical.digest(canonical.dump_known(stated))


def statement(
    table: ProcedureTable,
    opener: CountryCode,
    us: CountryCode,
    entries: Iterable[RecordEntry],
    receipts: Iterable[Receipt],
    heads: Iterable[Digest],
    *,
    whole: Folded | None = None,
) -> Digest | None:
    """Return the record digest to sign in a receipt over these heads; None while it would not be comparable.

    Without heads (nothing is placed yet) there is none: a receipt that had one would make its whole envelope unreadable.
    While one of our messages in the closure is unanswered, the peer may have refused it without our knowing: our digest
    would differ from the peer's although nobody did anything wrong.
    """
    held, evidence, stated = tuple(entries), tuple(receipts), tuple(heads)
    if not stated or not _answered(held, evidence, us, stated):
        return None
    return closure_digest(table, opener, held, evidence, stated, whole=whole)


def agrees(
    table: ProcedureTable,
    opener: CountryCode,
    entries: Iterable[RecordEntry],
    receipts: Iterable[Receipt],
    theirs: Receipt,
    *,
    whole: Folded | None = None,
) -> bool | None:
    """Return whether the peer's receipt states the record that we hold; None while it cannot be compared.

    It cannot while something of the closure is missing here, or one of our messages in it is unanswered.
    """
    held, evidence = tuple(entries), tuple(receipts)
    if theirs.record_digest is None or not _answered(held, evidence, theirs.author, theirs.heads):
        return None
    ours = closure_digest(table, opener, held, evidence, theirs.heads, whole=whole)
    return None if ours is None else ours == theirs.record_digest


def hindrances(table: ProcedureTable, folded: Folded, act: str, role: Role, *, now: datetime) -> tuple[str, ...]:
    """Return why an irreversible act must not be submitted now, as codes; empty for every other act.

    The peer's clearance, which names a plan and its validity, is judged where procedures have plans; not here.
    """
    definition = table.acts.get(act)
    if definition is None or not definition.irreversible:
        return ()
    confirmed = folded.confirmed(role)
    reasons = {
        "own-message-not-final": bool(folded.unsettled(role)),
        "gap": bool(folded.missing),
        "alarm": folded.state.alarmed,
        "confirmation-missing": confirmed is None,
        # Signed by a clock that is ahead it would look fresh for as long, while the peer's stop waits for belief here.
        "confirmation-too-old": confirmed is not None and abs(now - confirmed) > CONFIRMATION_MAX_AGE,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def is_unheld(entries: Iterable[RecordEntry], receipts: Iterable[Receipt]) -> bool:
    """Whether the other side kept nothing of a message that it refused: what descends from it would wait there for ever.

    A refusal that keeps a stub states heads as soon as anything is placed there (PROTOCOL 10.2): at once where the message has
    no parents, and always after an answer that stated some. Before that, what the stub descends from may be on its way.
    """
    answers = [receipt for receipt in receipts if receipt.answers]
    placed: dict[CountryCode, datetime] = {}  # by issuer, when its record began
    for receipt in answers:
        if receipt.heads:
            placed[receipt.issuer] = min(receipt.at, placed.get(receipt.issuer, receipt.at))
    refused = {entry.digest: entry for entry in entries if entry.code is not None}
    silent = [receipt for receipt in answers if receipt.digest in refused and not receipt.heads]
    return any(
        not refused[receipt.digest].parents
        or receipt.code == RecordFull.code
        or (receipt.issuer in placed and placed[receipt.issuer] < receipt.at)
        for receipt in silent
    )


def _answered(
    entries: tuple[RecordEntry, ...], receipts: tuple[Receipt, ...], author: CountryCode, heads: tuple[Digest, ...]
) -> bool:
    """Whether every message of an author in the closure of the heads was taken or refused by the other side."""
    inside = closure(entries, heads)
    if inside is None:
        return False
    answered = {receipt.digest for receipt in receipts if receipt.answers and receipt.author == author}
    return all(entry.digest in answered for entry in entries if entry.author == author and entry.digest in inside)


def _effects(table: ProcedureTable, view: Evidence, forked: int) -> tuple[State, dict[Digest, Mark]]:
    """Walk the order once and return the state it ends in, with every placed message's mark (rule 5)."""
    state, marks = start(table), {}
    stops = irreversibles = 0
    for position, digest in enumerate(view.ancestry.order):
        entry = view.held[digest]
        if entry.stub:
            marks[digest] = Mark.STUB
            continue
        if forked >> position & 1:
            marks[digest] = Mark.FORKED
            continue
        definition = table.acts.get(entry.act)
        unaware = 0
        if definition is not None and definition.irreversible:
            unaware |= stops & ~view.ancestry.above[position]
            irreversibles |= 1 << position
        if definition is not None and definition.stop:
            unaware |= irreversibles & ~view.ancestry.above[position] & ~(1 << position)
            stops |= 1 << position
        state, marks[digest] = _effect(table, view, state, entry, position, unaware)
    return state, marks


def _effect(
    table: ProcedureTable, view: Evidence, state: State, entry: RecordEntry, position: int, unaware: int
) -> tuple[State, Mark]:
    role = view.roles[position]
    if entry.act == ALARM_CLOSED:
        above, index = view.ancestry.above[position], view.ancestry.index
        seen = {digest for alarm in state.alarms for digest in alarm.about if above >> index[digest] & 1}
        closed = close_alarms(state, role, seen)
        return (state, Mark.CROSSED) if closed is None else (closed, Mark.EFFECT)
    moved = step(table, state, entry.act, role)
    definition = table.acts.get(entry.act)
    happened = definition is not None and (definition.kind is ActKind.FACT or definition.irreversible)
    if unaware or (moved is None and happened):
        return raise_alarm(moved or state, entry.digest, view.digests(unaware)), Mark.ALARM
    return (state, Mark.CROSSED) if moved is None else (moved, Mark.EFFECT)
