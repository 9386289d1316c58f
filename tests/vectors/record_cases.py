# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Cases of records, one rule of PROTOCOL 10 each; what is expected is worked out by the second reader.

``python tests/vectors/record_cases.py FOLDER`` writes them; nothing is random. A message is ``label author act parents``,
an answer ``label heads``, in the order of time; the first letter of a label is the first digit of its digest, so the
order of digests can be read off: a1 stands before b1.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from record_reader import read

ACTS = {
    "ask": ("NEW>OPEN REQUESTING", {"opens": True}),
    "plan": ("OPEN>READY REQUESTING, OPEN>READY REQUESTED", {}),
    "reply": ("OPEN>DONE REQUESTED", {}),
    "talk": ("@open>@same REQUESTING, @open>@same REQUESTED", {}),
    "note": ("@any>@same REQUESTING, @any>@same REQUESTED", {}),
    "reopen": ("@closed>OPEN REQUESTING", {"reopens": True}),
    "depart": ("READY>GONE REQUESTING", {"irreversible": True}),
    "arrived": ("GONE>DONE REQUESTED", {"kind": "fact"}),
    "cancel": ("OPEN>DONE REQUESTING, READY>DONE REQUESTING", {"stop": True}),
    "refuse": ("OPEN>DONE REQUESTED, READY>DONE REQUESTED", {"stop": True}),
}
CASES = {
    "in-turn": ("Acts in turn have their effect.", "a1 EE ask, b1 FI plan a1, a2 EE talk b1", "a1 a1, b1 b1, a2 a2"),
    "closed": ("What a final state does not allow is crossed; @any and @closed lead on.",
        "a1 EE ask, b1 FI reply a1, a2 EE talk b1, a3 EE note a2, a4 EE reopen a3", "a1 a1, b1 b1"),
    "other-side": ("An act of the other side is not allowed.", "a1 EE ask, a2 EE reply a1", ""),
    "unknown-act": ("An act that the table does not have is crossed.", "a1 EE ask, b1 FI dance a1", ""),
    "crossing-acts": ("Of two acts that cross, the smaller digest comes first.", "a1 EE ask, c1 EE plan a1, b1 FI reply a1", "a1 a1"),
    "stop-first": ("A stop comes before a smaller digest.", "a1 EE ask, b1 FI reply a1, c1 EE cancel a1", "a1 a1"),
    "fact-alarm": ("A fact that the state does not allow raises an alarm and moves nothing.", "a1 EE ask, b1 FI arrived a1", ""),
    "departure-alarm": ("So does an irreversible act.", "a1 EE ask, a2 EE depart a1", "a1 a1"),
    "stop-then-departure": ("A departure that does not know of a stop raises an alarm about both.",
        "a1 EE ask, b1 FI plan a1, c1 FI refuse b1, c2 EE depart b1, a2 EE alarm-closed c2, d1 EE alarm-closed a2 c1", "a1 a1, b1 b1"),
    "departure-then-stop": ("A stop placed behind a departure that it does not know of raises the alarm.",
        "a1 EE ask, b1 FI plan a1, b2 FI talk b1, a2 EE depart b1, e1 FI refuse b2", "a1 a1, b1 b1"),
    "stop-knows-departure": ("A stop that knows of the departure raises none.", "a1 EE ask, b1 FI plan a1, a2 EE depart b1, c1 FI refuse a2", ""),
    "stub-is-no-stop": ("A refused stop raises nothing.", "a1 EE ask, b1 FI plan a1, c1 FI refuse b1 !, c2 EE depart b1", ""),
    "fact-about-itself": ("An alarm of a fact is about that fact alone, whatever stops it does not know.",
        "a1 EE ask, c1 FI arrived a1, b1 EE cancel a1, c2 FI alarm-closed c1", ""),
    "under-alarm": ("Under an alarm acts are crossed; facts and stops still move the state.",
        "a1 EE ask, b1 FI arrived a1, b2 FI plan b1, b3 FI refuse b2", ""),
    "fact-under-alarm": ("A fact that the state allows takes effect under an alarm.",
        "a1 EE ask, b1 FI plan a1, a2 EE depart b1, a3 EE depart a2, b2 FI arrived a3", ""),
    "alarm-closed-by-one": ("One side has closed.", "a1 EE ask, b1 FI arrived a1, a2 EE alarm-closed b1", ""),
    "alarm-closed-by-both": ("Both have, and it is gone.", "a1 EE ask, b1 FI arrived a1, a2 EE alarm-closed b1, b2 FI alarm-closed a2", ""),
    "alarm-closed-twice": ("The second closing of one side is crossed.", "a1 EE ask, b1 FI arrived a1, a2 EE alarm-closed b1, a3 EE alarm-closed a2", ""),
    "alarm-closed-unseen": ("Nobody closes what he has not seen.", "a1 EE ask, b1 FI arrived a1, c1 EE alarm-closed a1", ""),
    "gap": ("What descends from a message that is not held waits.", "a1 EE ask, b1 FI plan a1 f1, b2 FI talk b1", "a1 a1"),
    "answer-before-parents": ("An answer about a message that waits counts for nothing.",
        "a1 EE ask, c1 EE talk a1, b1 EE talk a1, c2 EE talk f1", "a1 a1, c2 a1 c1"),
    "answer-from-behind-a-gap": ("An answer whose heads are not all held covers nothing.", "a1 EE ask, a2 EE talk a1", "a1 a1, a2 a2 f1"),
    "stub": ("A refused message has no effect; its descendants go on.", "a1 EE ask, b1 FI reply a1 !, b2 FI plan b1", ""),
    "refused-opening": ("A record can begin with a stub.", "a1 EE ask !", "a1 a1"),
    "fork": ("Of two unanswered rivals the later in the order is forked.", "a1 EE ask, c1 EE talk a1, b1 EE plan a1", "a1 a1"),
    "fork-stop-first": ("The order decides and not the digest: the stop is the earlier.", "a1 EE ask, c1 EE cancel a1, b1 EE plan a1", "a1 a1"),
    "fork-answered": ("An answer decides against the order.", "a1 EE ask, c1 EE talk a1, b1 EE plan a1", "a1 a1, c1 c1"),
    "fork-answered-both-ways": ("Answers that contradict each other leave neither.", "a1 EE ask, c1 EE talk a1, b1 EE plan a1", "a1 a1, c1 c1, b1 b1"),
    "fork-answered-together": ("An answer that covers both decides nothing.", "a1 EE ask, c1 EE talk a1, b1 EE plan a1", "a1 a1, c1 b1 c1"),
    "fork-continued": ("What follows the right one is not forked by a rival that is forked itself.",
        "a1 EE ask, b1 EE plan a1, c1 EE talk a1, d1 EE talk b1", "a1 a1"),
    "fork-then-stop": ("A stop behind a rival stays forked with nobody to answer.", "a1 EE ask, b1 EE talk a1, c1 EE talk a1, c2 EE cancel c1", "a1 a1"),
    "denial": ("A message that ignores what its author has answered is forked.", "a1 EE ask, a2 EE talk a1, b1 FI plan a1", "a1 a1, a2 a2"),
    "denial-by-step": ("An answer cannot take back what an earlier one conceded.",
        "a1 EE ask, a2 EE talk a1, b1 FI plan a1, a3 EE talk a2", "a1 a1, a2 a2, a3 a3 b1"),
    "denial-walk-ends": ("Behind the first unanswered message nothing is conceded.", "a1 EE ask, a2 EE talk a1, a3 EE talk a2, b1 FI plan a1", "a1 a1, a3 a3"),
    "denial-walk-takes-forks": ("The walk goes through messages that are forked themselves.",
        "a1 EE ask, b1 EE talk a1, c1 EE talk a1, b2 FI plan a1 b1", "a1 a1, b1 b1, c1 c1"),
    "walk-ends-at-a-fork": ("An unanswered fork ends the walk.", "a1 EE ask, b1 EE talk a1, c1 EE talk a1, d1 EE talk b1, e1 FI plan a1", "a1 a1, b1 b1, d1 d1"),
    "unopened": ("The requested side cannot begin.", "a1 EE ask, b1 FI talk, b2 FI talk b1, b3 FI plan a1 b2", ""),
    "heads": ("Heads are sorted, and a fork that nobody covers is none.", "a1 EE ask, c1 EE talk a1, b1 FI talk a1, e1 EE talk a1", ""),
    "heads-covered-fork": ("A fork that an answer covers is one.", "a1 EE ask, b1 EE talk a1, c1 EE talk a1", "a1 a1, b1 b1, c1 c1"),
    "digest-inside": ("The digest knows nothing of answers over heads outside the closure.",
        "a1 EE ask, b1 EE plan a1, c1 EE talk a1, d1 EE talk c1", "a1 a1, d1 d1"),
    "answer-of-author": ("Nobody answers himself.", "a1 EE ask, c1 EE talk a1, b1 EE plan a1", "a1 a1, c1 c1 by EE"),
    "answer-of-another-id": ("An answer about another id does not count.", "a1 EE ask, c1 EE talk a1, b1 EE plan a1", "a1 a1, c1 c1 other"),
    "two-answers": ("Of two answers about one message the earlier counts.", "a1 EE ask, c1 EE talk a1, b1 EE plan a1", "a1 a1, c1 b1 c1, c1 c1"),
    "final": ("Final up to the first message without an answer.", "a1 EE ask, b1 FI plan a1, a2 EE talk b1, a3 EE talk a2, a4 EE talk a3", "a1 a1, b1 b1, a2 a2, a4 a4"),
    "not-final-beside-an-open-one": ("What an unanswered message of the other side does not know of is not final.",
        "a1 EE ask, b1 FI talk a1, a2 EE talk a1", "a1 a1, a2 a2 b1"),
}  # fmt: skip


def table() -> dict[str, Any]:
    """Return the one small table of all cases."""
    acts = {}
    for name, (moves, marks) in ACTS.items():
        steps = [step.replace(">", " ").split() for step in moves.split(",")]
        acts[name] = {
            "kind": "act",
            "moves": [{"by": by, "from": [source], "to": to} for source, to, by in steps],
        } | marks
    return {
        "acts": acts,
        "final": ["DONE"],
        "initial": "NEW",
        "procedure": "small",
        "roles": ["REQUESTING", "REQUESTED"],
        "states": {name: {"title": name} for name in ("NEW", "OPEN", "READY", "GONE", "DONE")},
        "subject": "none",
        "title": "Small",
        "version": "1.0",
    }


def digest(label: str) -> str:
    """Return a message's digest: any one will do, but its first digit is that of the label."""
    return label[0] + hashlib.sha256(label.encode()).hexdigest()[1:]


def case(name: str) -> dict[str, Any]:
    """Return one vector."""
    comment, said, answered = CASES[name]
    messages, refused = [], set()
    for number, text in enumerate(said.split(", "), 1):
        label, author, act, *parents = text.split()
        message = {
            "act": act,
            "author": author,
            "digest": digest(label),
            "message": f"01890000-0000-7000-8000-{number:012x}",
        }
        if "!" in parents:
            parents.remove("!")
            refused.add(label)
            message["code"] = "schema-invalid"
        messages.append({**message, "parents": sorted(digest(parent) for parent in parents)})
    by_digest = {message["digest"]: message for message in messages}
    answers = []
    for minute, text in enumerate(answered.split(", ") if answered else []):
        label, *heads = text.split()
        about = by_digest[digest(label)]
        issuer, id_ = "FI" if about["author"] == "EE" else "EE", about["message"]
        if "by" in heads:
            issuer, heads = heads[-1], heads[:-2]
        if heads[-1] == "other":
            id_, heads = id_[:-1] + "0", heads[:-1]
        answer = {
            "at": f"2026-11-22T03:{minute:02}:00.000Z",
            "author": about["author"],
            "digest": about["digest"],
            "issuer": issuer,
            "message": id_,
        }
        kind = {"code": "schema-invalid", "kind": "refused"} if label in refused else {"kind": "delivered"}
        answers.append(answer | kind | {"heads": sorted(digest(head) for head in heads)})
    vector = {
        "name": name,
        "comment": comment,
        "table": table(),
        "opener": "EE",
        "messages": messages,
        "answers": answers,
    }
    return vector | {"expect": read(vector)}


def main(folder: Path) -> None:
    """Write one file for each case."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        file = folder / f"{name}.json"
        if file.exists():
            raise SystemExit(f"{file.name} exists already; stored vectors never change")
        file.write_text(json.dumps(case(name), separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
