# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the evidence proves what the demonstration claims: a pure function, one check per claim.

A check that has nothing to look at fails: silence proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from broker.demo.evidence import Evidence, Line, Sent, Side

__all__ = ["ACTS", "AUTHOR_STEPS", "CHECKS", "RECIPIENT_STEPS", "Outcome", "judge"]

ACTS = ("request", "acknowledgement", "result")  # in this order
AUTHOR_STEPS = ("recorded", "published", "delivered", "handed-over", "opened")
RECIPIENT_STEPS = ("delivered", "handed-over", "opened")
_BY_AUTHOR = frozenset({"recorded", "published"})
_REFUSALS = ("not-for-us", "unknown-recipient-key", "decrypt-failed")  # as addressed, by key id, and by force


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One check: what was claimed, and what is wrong with it (None: nothing)."""

    claim: str
    problem: str | None


def judge(evidence: Evidence) -> tuple[Outcome, ...]:
    """Return every check's outcome; the demonstration holds only where no problem stands in it.

    Over a folder nobody has an account, so nothing is claimed of one.
    """
    accounts = evidence.onlooker.reading != "not-applicable"
    return tuple(
        Outcome(claim=claim, problem=check(evidence))
        for claim, check in CHECKS
        if accounts or check is not _cannot_fetch
    )


def _all_sent(evidence: Evidence) -> str | None:
    acts = tuple(sent.act for sent in evidence.sent)
    return None if acts == ACTS else f"accepted were {_listed(acts)}, not {_listed(ACTS)}"


def _same_record(evidence: Evidence) -> str | None:
    ours, theirs = evidence.requesting, evidence.requested
    if not ours.digest or not theirs.digest:
        return "a side gave no digest of its record"
    if ours.digest != theirs.digest:
        return f"{ours.country} holds {ours.digest[:16]}…, {theirs.country} holds {theirs.digest[:16]}…"
    return None


def _same_messages(evidence: Evidence) -> str | None:
    wanted = sorted(sent.digest for sent in evidence.sent)
    for side in (evidence.requesting, evidence.requested):
        if sorted(side.messages) != wanted or not wanted:
            return f"{side.country} holds {len(side.messages)} messages, not exactly the {len(wanted)} accepted ones"
    return None


def _sound(evidence: Evidence) -> str | None:
    for side in (evidence.requesting, evidence.requested):
        if side.gap or side.alarm:
            return f"{side.country} sees a {'gap' if side.gap else 'alarm'} in the record"
        if side.attention:
            return f"{side.country}'s people are asked to look at {_listed(side.attention)}"
    if evidence.requesting.state != evidence.requested.state:
        return f"the sides see different states: {evidence.requesting.state} and {evidence.requested.state}"
    return None


def _steps_of_authors(evidence: Evidence) -> str | None:
    return _steps(evidence, lambda sent: sent.author, AUTHOR_STEPS)


def _steps_of_recipients(evidence: Evidence) -> str | None:
    return _steps(evidence, lambda sent: sent.recipient, RECIPIENT_STEPS)


def _steps(evidence: Evidence, teller: Callable[[Sent], str], steps: tuple[str, ...]) -> str | None:
    for sent in evidence.sent:
        side = _side(evidence, teller(sent))
        if side is None:
            return f"there is no timeline of {teller(sent)}"
        problem = _missing_step(side, sent, steps)
        if problem is not None:
            return problem
    return None if evidence.sent else "nothing was sent"


def _missing_step(side: Side, sent: Sent, steps: Iterable[str]) -> str | None:
    """Return what is missing or out of order; `published` is noted after the confirmation and may come late."""
    reached = {line.state: line for line in reversed(side.timeline) if line.message == sent.message}
    before = ""
    for step in steps:
        line = reached.get(step)
        whose = sent.author if step in _BY_AUTHOR else sent.recipient
        if line is None or line.who != whose or not line.evidence:
            return f"{side.country}'s timeline lacks: {sent.act} {step} by {whose}, with its evidence"
        if step == "published":
            continue
        if line.at < before:
            return f"{side.country}'s timeline has {sent.act} {step} before the step that leads to it"
        before = line.at
    return None


def _told_in_order(evidence: Evidence) -> str | None:
    for side in (evidence.requesting, evidence.requested):
        first = [_first(side.timeline, sent.message) for sent in evidence.sent]
        if None in first or first != sorted(at for at in first if at is not None):
            return f"{side.country}'s timeline does not tell {_listed(ACTS)} in this order"
    return None


def _landed(evidence: Evidence) -> str | None:
    wanted = {(sent.message, sent.digest) for sent in evidence.sent if sent.recipient == evidence.requested.country}
    found = [(landed.message, landed.digest) for landed in evidence.landed]
    if not wanted or set(found) != wanted or len(found) != len(wanted):
        return f"{len(found)} files landed, not exactly one for each of {len(wanted)} messages"
    return None


def _saw_nothing(evidence: Evidence) -> str | None:
    seen = evidence.onlooker
    counts = {"messages": seen.messages, "deliveries": seen.seen, "held envelopes": seen.held, "waiting": seen.waiting}
    found = [f"{number} {what}" for what, number in counts.items() if number != 0]
    return f"{seen.country} has {_listed(found)}" if found else None


def _asks_in_vain(evidence: Evidence) -> str | None:
    status = evidence.onlooker.procedure_status
    return None if status == 404 else f"{evidence.onlooker.country}'s API answered {status} for the procedure, not 404"


def _cannot_open(evidence: Evidence) -> str | None:
    seen = evidence.onlooker
    for sent in evidence.sent:
        codes = seen.opening.get(sent.act, ())
        if codes != _REFUSALS:
            return f"{seen.country}'s keys on the sealed {sent.act}: {_listed(codes)}"
    return None if evidence.sent else "no sealed message was tried"


def _cannot_fetch(evidence: Evidence) -> str | None:
    seen = evidence.onlooker
    return None if seen.reading == "refused" else f"{seen.country} at another's queue: {seen.reading}"


def _side(evidence: Evidence, country: str) -> Side | None:
    sides = (evidence.requesting, evidence.requested)
    return next((side for side in sides if side.country == country), None)


def _first(timeline: tuple[Line, ...], message: str) -> str | None:
    return min((line.at for line in timeline if line.message == message), default=None)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "nothing"


CHECKS: tuple[tuple[str, Callable[[Evidence], str | None]], ...] = (
    ("request, acknowledgement and result were accepted", _all_sent),
    ("both countries hold exactly these messages", _same_messages),
    ("both countries' record digests are equal", _same_record),
    ("both countries see the same state, no gap, no alarm, nothing to look at", _sound),
    ("every sender holds the signed evidence of every step", _steps_of_authors),
    ("every recipient shows every step", _steps_of_recipients),
    ("both timelines tell the messages in order", _told_in_order),
    ("each message for the second country landed once in its system", _landed),
    ("the third country saw nothing", _saw_nothing),
    ("the third country's API knows nothing of the procedure", _asks_in_vain),
    ("the third country's keys open none of the sealed messages", _cannot_open),
    ("the third country's account cannot fetch from another's queue", _cannot_fetch),
)
