# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A second reader of records, written from PROTOCOL 10 alone: it imports nothing of the product.

Slow and plain on purpose: sets of digests, each rule in the words of its number. `read` takes a vector of 10.14.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

SIDES = ("REQUESTED", "REQUESTING")
Answers = list[dict[str, Any]]


def read(vector: dict[str, Any]) -> dict[str, Any]:
    """Return what the record of a vector adds up to, with the digest over its heads and what is final."""
    record = Record(vector["table"], vector["opener"], vector["messages"], vector["answers"])
    return {**record.told(), "digest": record.digest(record.heads), "final": sorted(record.final())}


def table_digest(table: dict[str, Any]) -> str:
    """Return the digest of a table (10.1)."""
    return hashlib.sha256(canonical(table)).hexdigest()


def canonical(value: Any) -> bytes:
    """Return canonical JSON (2.1)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def other_side(side: str) -> str:
    """Return the other side."""
    return "REQUESTED" if side == "REQUESTING" else "REQUESTING"


class Record:
    """A set of messages and answers, folded."""

    def __init__(self, table: dict[str, Any], opener: str, messages: list[dict[str, Any]], answers: Answers) -> None:
        self.table, self.opener = table, opener
        self.held = {message["digest"]: message for message in messages}
        above = {digest: self.ancestors(digest) for digest in self.held}
        self.above = {digest: all_of_them for digest, all_of_them in above.items() if all_of_them is not None}
        self.order = self.ordered()
        self.all_answers, self.answers = answers, self.first_answers(answers)
        self.forked = self.all_forked()
        self.state, self.alarms = table["initial"], list[dict[str, Any]]()
        self.marks = dict.fromkeys(self.held, "waiting")
        for digest in self.order:
            self.marks[digest] = self.take(digest)
        covered = self.covered("REQUESTING") | self.covered("REQUESTED")
        seen = [digest for digest in self.order if digest not in self.forked or digest in covered]
        self.heads = sorted(one for one in seen if not any(one in self.above[other] for other in seen))

    def told(self) -> dict[str, Any]:
        """Return order, marks, heads, state and alarms."""
        alarms = sorted([alarm["by"], sorted(alarm["closed"])] for alarm in self.alarms)
        return {"order": self.order, "marks": self.marks, "heads": self.heads, "state": self.state, "alarms": alarms}

    # --- 10.3, 10.4

    def side(self, digest: str) -> str:
        """Return the side of a message's author."""
        return "REQUESTING" if self.held[digest]["author"] == self.opener else "REQUESTED"

    def ancestors(self, digest: str) -> set[str] | None:
        """Return all ancestors of a message; None where one is not held."""
        found, waiting = set[str](), list(self.held[digest]["parents"])
        while waiting:
            parent = waiting.pop()
            if parent not in self.held:
                return None
            if parent not in found:
                found.add(parent)
                waiting += self.held[parent]["parents"]
        return found

    def stops(self, digest: str) -> bool:
        """Whether the table marks a message's act as a stop."""
        return bool(self.table["acts"].get(self.held[digest]["act"], {}).get("stop"))

    def ordered(self) -> list[str]:
        """Return the placed messages in their order (10.4)."""
        left, order = set(self.above), list[str]()
        while left:
            ready = [digest for digest in left if self.above[digest] <= set(order)]
            order.append(min(ready, key=lambda digest: (not self.stops(digest), digest)))
            left.remove(order[-1])
        return order

    # --- 10.5, 10.10

    def first_answers(self, answers: Answers) -> dict[str, dict[str, Any]]:
        """Return of each message the one answer that counts."""
        found = dict[str, dict[str, Any]]()
        for one in sorted(answers, key=lambda one: (one["digest"], one["kind"], one["at"], one["heads"])):
            about = self.held[one["digest"]] if one["digest"] in self.above else None
            if about is None or one.get("code") in ("expired", "expiry-too-far"):  # 9.2: about an envelope
                continue
            if (about["author"], about["message"]) == (one["author"], one["message"]) and one["issuer"] != one[
                "author"
            ]:
                found.setdefault(one["digest"], one)
        return found

    def closure(self, digest: str) -> set[str] | None:
        """Return the closure of the heads of the answer about a message; None where one of it is not held."""
        found = set[str]()
        for head in self.answers[digest]["heads"]:
            if head not in self.above:
                return None
            found |= {head} | self.above[head]
        return found

    def closures(self, side: str) -> list[set[str]]:
        """Return the closures of the answers about a side's messages that are held."""
        mine = [self.closure(digest) for digest in self.answers if self.side(digest) == side]
        return [closure for closure in mine if closure is not None]

    def covered(self, side: str) -> set[str]:
        """Return the messages of a side that an answer of the other side covers."""
        return {one for closure in self.closures(side) for one in closure if self.side(one) == side}

    def all_forked(self) -> set[str]:
        """Return the forked messages (10.5)."""
        unopened = {one for one in self.of("REQUESTED") if not self.above[one] & self.of("REQUESTING")}
        forked = unopened | self.deniers("REQUESTING") | self.deniers("REQUESTED")
        for one in self.order:
            if self.loses(one, forked):
                forked.add(one)
        return forked

    def loses(self, one: str, forked: set[str]) -> bool:
        """Whether a message breaks its author's own chain: forked is what is known to be so among those before it."""
        mine = self.of(self.side(one))
        rivals = {two for two in mine if two != one and one not in self.above[two] and two not in self.above[one]}
        closures = self.closures(self.side(one))
        if any(rivals & closure and one not in closure for closure in closures):
            return True
        sound = {rival for rival in rivals - forked if self.order.index(rival) < self.order.index(one)}
        return any(all(rival in closure for closure in closures if one in closure) for rival in sound)

    def deniers(self, author: str) -> set[str]:
        """Return one side's messages that deny what it answered."""
        mine, found, seen = self.of(author), set[str](), set[str]()
        for _, closure in self.walk(other_side(author)):
            found |= {one for one in (closure - seen) & mine if not seen - mine <= self.above[one]}
            seen |= closure
        return found | {one for one in mine - seen if not seen - mine <= self.above[one]}

    def of(self, side: str) -> set[str]:
        """Return the placed messages of a side."""
        return {one for one in self.order if self.side(one) == side}

    def walk(self, side: str) -> list[tuple[str, set[str]]]:
        """Return the messages of a side that the walk reaches, each with the closure of its answer's heads."""
        found = list[tuple[str, set[str]]]()
        for one in self.order:
            if self.side(one) != side:
                continue
            closure = self.closure(one) if one in self.answers else None
            if closure is None:
                break
            found.append((one, closure))
        return found

    def final(self) -> set[str]:
        """Return what can no longer change (10.10)."""
        reached = {side: self.reached(side) for side in SIDES}
        found = set[str]()
        for side in SIDES:
            open_ones = self.of(other_side(side)) - reached[other_side(side)] - self.forked
            found |= {one for one in reached[side] if all(one in self.above[other] for other in open_ones)}
        return {one for one in found if self.marks[one] not in ("stub", "forked")}

    def reached(self, side: str) -> set[str]:
        """Return the messages of a side that the walk reaches and the closures cover."""
        walked = self.walk(side)
        return {one for one, _ in walked}.intersection({one for _, closure in walked for one in closure})

    # --- 10.6, 10.7

    def take(self, one: str) -> str:
        """Let the next message of the order have its effect, and return its mark."""
        message = self.held[one]
        if message.get("code") is not None:
            return "stub"
        if one in self.forked:
            return "forked"
        if message["act"] == "alarm-closed":
            return self.close_alarms(one)
        act = self.table["acts"].get(message["act"], {})
        target = (
            None
            if self.alarms and act.get("kind") != "fact" and not act.get("stop")
            else self.target(act, self.side(one))
        )
        unaware = self.unaware(one)
        happened = act.get("kind") == "fact" or act.get("irreversible")
        alarm = bool(unaware) or (target is None and happened)
        if target is not None:
            self.state = target
        if alarm:
            self.alarms.append({"by": one, "about": {one} | unaware, "closed": set()})
            return "alarm"
        return "crossed" if target is None else "effect"

    def target(self, act: dict[str, Any], side: str) -> str | None:
        """Return the state that an act moves to; None where the table does not allow it here."""
        closed = self.state in self.table["final"]
        fits = {
            self.state,
            "@any" if closed or self.state != self.table["initial"] else "",
            "@closed" if closed else "@open",
        }
        if self.state == self.table["initial"]:
            fits = {self.state}
        for move in act.get("moves", []):
            by = [move["by"]] if isinstance(move["by"], str) else move["by"]
            if side in by and fits & set(move["from"]):
                return self.state if move["to"] == "@same" else str(move["to"])
        return None

    def unaware(self, one: str) -> set[str]:
        """Return the earlier messages that make a stop or an irreversible message one that crosses."""
        acts = self.table["acts"]
        act = acts.get(self.held[one]["act"], {})
        wanted = {"irreversible" if act.get("stop") else "", "stop" if act.get("irreversible") else ""} - {""}
        before = [other for other in self.order[: self.order.index(one)] if self.marks[other] not in ("stub", "forked")]
        return {
            other
            for other in before
            if other not in self.above[one] and any(acts.get(self.held[other]["act"], {}).get(kind) for kind in wanted)
        }

    def close_alarms(self, one: str) -> str:
        """Close for the author's side what it may close (10.7)."""
        side, newly = self.side(one), False
        for alarm in self.alarms:
            if alarm["about"] <= self.above[one] and side not in alarm["closed"]:
                alarm["closed"].add(side)
                newly = True
        self.alarms = [alarm for alarm in self.alarms if len(alarm["closed"]) < 2]
        return "effect" if newly else "crossed"

    # --- 10.9

    def digest(self, heads: list[str]) -> str:
        """Return the record digest over the closure of heads."""
        inside = set(heads).union(*(self.above[head] for head in heads))
        messages = [message for digest, message in self.held.items() if digest in inside]
        answers = [one for one in self.all_answers if one["heads"] and set(one["heads"]) <= inside]
        folded = Record(self.table, self.opener, messages, answers)
        told = folded.told()
        stated = {
            "messages": sorted([digest, mark] for digest, mark in told["marks"].items()),
            "state": {"alarms": told["alarms"], "name": told["state"]},
            "table": table_digest(self.table),
        }
        return hashlib.sha256(canonical(stated)).hexdigest()
