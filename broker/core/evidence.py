# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which messages of a record are forked and which are final, by what both sides have signed (`record`, rules 3, 4, 6, 7).

Sets of messages are sets of bits over the record's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from broker.core.ancestry import Ancestry, bits
from broker.core.ids import CountryCode, Digest
from broker.core.messages import RecordEntry
from broker.core.procedures import Role
from broker.core.receipts import Receipt

__all__ = ["Evidence"]

_ASKING, _ASKED = Role.REQUESTING, Role.REQUESTED


class Evidence:
    """The placed messages as sets of bits, with the answers' closures: what the rules about forks and finality read."""

    def __init__(
        self,
        opener: CountryCode,
        held: Mapping[Digest, RecordEntry],
        ancestry: Ancestry,
        receipts: Iterable[Receipt],
    ) -> None:
        self.held = held
        self.ancestry = ancestry
        self.placed = (1 << len(ancestry.order)) - 1
        self.roles: list[Role] = []
        self.sent: dict[Role, list[int]] = {_ASKING: [], _ASKED: []}  # positions by author, in the record's order
        self.by = {_ASKING: 0, _ASKED: 0}  # the same as sets
        self.stubs = 0
        for position, digest in enumerate(ancestry.order):
            entry = held[digest]
            role = _ASKING if entry.author == opener else _ASKED
            self.roles.append(role)
            self.sent[role].append(position)
            self.by[role] |= 1 << position
            if entry.code is not None:
                self.stubs |= 1 << position
        self.named: set[Digest] = set()  # heads that answers name
        self.answers = self._read(receipts)

    def _read(self, receipts: Iterable[Receipt]) -> dict[int, tuple[Receipt, int | None]]:
        """Keep one answer per message, by its recipient and about exactly these bytes, with the closure of its heads."""
        chosen: dict[Digest, Receipt] = {}
        for receipt in receipts:
            entry = self.held.get(receipt.digest)
            if (
                entry is None
                or not receipt.answers
                or entry.message != receipt.message
                or entry.author == receipt.issuer
            ):
                continue
            self.named.update(receipt.heads)
            other = chosen.get(receipt.digest)
            if other is None or _rank(receipt) < _rank(other):  # two only where a node kept a contradiction
                chosen[receipt.digest] = receipt
        index, closure = self.ancestry.index, self.ancestry.closure
        return {
            index[digest]: (receipt, closure(receipt.heads)) for digest, receipt in chosen.items() if digest in index
        }

    def digests(self, positions: int) -> tuple[Digest, ...]:
        """Return the messages of a set in the record's order."""
        return tuple(self.ancestry.order[position] for position in bits(positions))

    def covered(self) -> int:
        """Return what the recipient has built on: every message in the closure of an answer by the other side."""
        covered = 0
        for position, (_, inside) in self.answers.items():
            covered |= (inside or 0) & self.by[self.roles[position]]
        return covered

    def inside_answer(self, position: int) -> int | None:
        """Return the closure of the heads of the answer to a message; None: unanswered, or something is missing."""
        return self.answers[position][1] if position in self.answers else None

    def forked(self) -> int:
        """Return the messages that deny what their author had answered, or break their own chain (rules 3 and 4)."""
        denied = self._denied(_ASKING) | self._denied(_ASKED)
        opening = self.by[_ASKING]
        for position in self.sent[_ASKED]:
            if not self.ancestry.above[position] & opening:
                denied |= 1 << position
        return denied | self._broken_chain(_ASKING, denied) | self._broken_chain(_ASKED, denied)

    def _broken_chain(self, role: Role, denied: int) -> int:
        own, sent, above = self.by[role], self.sent[role], self.ancestry.above
        if len(sent) < 2:
            return 0
        sizes = sorted((above[position] & own).bit_count() for position in sent)
        if sizes == list(range(len(sizes))):
            return 0  # each one contains all before it: one chain, the normal case
        below = self.ancestry.below()
        answers = [inside for position, (_, inside) in self.answers.items() if inside and own >> position & 1]
        broken, sound = 0, 0
        for position in sent:
            rivals = own & ~above[position] & ~below[position] & ~(1 << position)
            if rivals and _loses(position, rivals, answers, sound):
                broken |= 1 << position
            elif not denied >> position & 1:
                sound |= 1 << position
        return broken

    def _walk(self, role: Role) -> Iterator[tuple[int, int]]:
        """Yield an author's messages with the closure of the answer to each, up to the first hole."""
        for position in self.sent[role]:
            inside = self.inside_answer(position)
            if inside is None:
                return
            yield position, inside

    def _denied(self, role: Role) -> int:
        """Return the messages of one side that ignore what its own answers had covered."""
        own, others = self.by[role], self.by[_other(role)]
        if not own or not others:
            return 0  # one side alone has nothing to deny
        conceded, denied = 0, 0
        for _, inside in self._walk(_other(role)):
            denied |= self._ignoring(inside & ~conceded & own, conceded & others)
            conceded |= inside
        return denied | self._ignoring(own & ~conceded, conceded & others)

    def _ignoring(self, messages: int, known: int) -> int:
        """Return those messages that do not descend from all that was known."""
        if not known:
            return 0
        ignoring = 0
        for position in bits(messages):
            if known & ~self.ancestry.above[position]:
                ignoring |= 1 << position
        return ignoring

    def final(self, forked: int) -> int:
        """Return the messages that nothing added later can change (rule 7)."""
        reached = {}
        for role in Role:
            walked, covered = 0, 0
            for position, inside in self._walk(role):
                walked |= 1 << position
                covered |= inside
            reached[role] = walked & covered
        final = 0
        for role in Role:
            common = reached[role]
            for position in bits(self.by[_other(role)] & ~reached[_other(role)] & ~forked):
                common &= self.ancestry.above[position]
            final |= common
        return final & ~self.stubs & ~forked

    def unsettled(self, role: Role, forked: int) -> int:
        """Return an author's messages that are neither final nor refused nor forked."""
        return self.by[role] & ~self.final(forked) & ~forked & ~self.stubs

    def confirmed(self, role: Role, forked: int) -> datetime | None:
        """Return the time of the newest answer whose heads cover all that an author sent."""
        counting = self.by[role] & ~forked & ~self.stubs
        covering = [
            receipt.at
            for position, (receipt, inside) in self.answers.items()
            if inside is not None and self.roles[position] is role and not counting & ~inside
        ]
        return max(covering, default=None)


def _loses(position: int, rivals: int, answers: list[int], sound: int) -> bool:
    """Whether an answer covers a rival but not this message, or a sound rival stands earlier where no answer decides."""
    undecided = rivals & sound
    for inside in answers:
        if inside >> position & 1:
            undecided &= inside
        elif inside & rivals:
            return True
    return undecided != 0


def _rank(receipt: Receipt) -> tuple[str, datetime, tuple[Digest, ...]]:
    return receipt.kind, receipt.at, receipt.heads


def _other(role: Role) -> Role:
    return _ASKED if role is _ASKING else _ASKING
