# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What earlier messages mean for the next one: R-01, R-02, R-03 and R-30 where a message states no such facts itself.

- A status, a question, a note or a date says nothing of a claim or a danger, and may yet carry anything in its words. It
  is judged by what the exchanged messages say as they read after their corrections.
- A correction is judged as the corrected message would be if it were sent for the first time.
- What a second person decided about the first message is not asked again: of the record's own findings only those that
  nobody can release count. A correction's new findings count in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from broker.core.corrected import Trouble, as_corrected, by_assessment, corrected, is_correction, targets_of
from broker.core.enquiry import too_far
from broker.core.ids import CountryCode, Digest, MessageType
from broker.core.messages import Body, ValidMessage
from broker.core.origin import CHILDS_CLAIM, claim_dropped, claims_dropped, no_contact_with_origin
from broker.core.reasons import Earlier, Level, Reason, block, hold, this_too
from broker.core.undisclosed import passed_on

__all__ = ["NOT_JUDGED", "foregoing", "protects", "readable", "states_danger", "states_origin"]

NOT_JUDGED = "correction-not-judged"  # code of a reason: a person reads it

Judge = Callable[[MessageType, Body, CountryCode], Sequence[Reason]]

# Contact itself is forbidden; that a message would betray a claim is another thing, and those that say so are judged.
_NO_CONTACT = frozenset({"contact-with-feared", "contact-with-origin", "temporary-protection-danger"})

# What a departure or an order is judged by once more (`movement.py`): that it reads worse now must get out, and moves nobody.
_JUDGED_AGAIN = frozenset({"transfer.plan", "transfer.pre-departure", "placement.request"})
_NEVER_TOLD = frozenset({"R-01", "R-02"})

# Members of an act that protects somebody at once, or tells that a duty to a person was done. With more words than these
# it is judged like any other, so that what must get out gets out by leaving the remarks away.
_PROTECTING: Mapping[str, frozenset[str]] = {
    "withdrawal": frozenset({"reason"}),
    "alarm-closed": frozenset({"closed_by", "measures"}),
    "stop": frozenset({"from", "decided_by", "to_tell"}),
    "stand-down": frozenset({"reason", "on", "responsible", "to_be_told", "decided_by"}),
    "suspension": frozenset({"ground", "since", "what", "remedy", "before", "next_on", "decided_by", "contact"}),
    "report": frozenset({"outcomes", "told", "person_told_on", "done_by"}),  # of a correction, perhaps an erasure
}
_NEUTRAL_GROUND = "INFO_WOULD_ENDANGER"  # its schema lets it say nothing else (H96 37)


def states_origin(body: Body) -> bool:
    """Whether the body states a claim to protection and of whom."""
    return "protection_claim" in body and "family_protection_claims" in body and "child" in body


def states_danger(body: Body) -> bool:
    """Whether the body holds an assessment of danger."""
    stated = body.get("danger_assessment", {})
    told = stated.get("value", stated)
    return isinstance(told, Mapping) and "would_endanger" in told  # a correction may have made words of it


def foregoing(message: ValidMessage, earlier: Sequence[Earlier], judge: Judge) -> Iterator[Reason]:
    """Yield what the earlier messages, oldest first, have against this one.

    Args:
        message: the one to be sent.
        earlier: those of its procedure, and those that it corrects.
        judge: what the rules of a type say about a body, for that country.
    """
    header, body = message.header, message.body
    if header.case_ref is None or protects(header.type, body):
        return
    now = as_corrected(earlier)
    yield from _no_contact(now, header.recipient.country)
    if not states_danger(body) and "not_applicable" not in body.get("danger_assessment", {}):
        yield from _danger(by_assessment(earlier))
    yield from too_far(header.type, body, now, header.recipient.country)
    yield from passed_on(body, now, header.recipient.country)
    yield from _restated(body, [item.body for item in now if item.author == header.sender.country])
    if is_correction(header.type):
        yield from _correction(message, earlier, now, judge)


def protects(kind: MessageType, body: Body) -> bool:
    """Whether a message protects somebody at once, or tells that a duty was done, and says nothing else: it gets out."""
    if kind.act == "refusal":
        return body.get("ground") == _NEUTRAL_GROUND
    return kind.act in _PROTECTING and body.keys() <= _PROTECTING[kind.act]


def _no_contact(earlier: Sequence[Earlier], country: CountryCode) -> Iterator[Reason]:
    """R-01 holds for a status as for a request (DOMAIN 9, S3)."""
    reasons = (reason for item in earlier if states_origin(item.body)
               for reason in readable(no_contact_with_origin, item.body, country))  # fmt: skip
    found = {reason.code: reason for reason in reasons if reason.code in _NO_CONTACT}
    yield from (block(reason.rule, reason.code, "", reason.text) for reason in found.values())


def _restated(body: Body, ours: Sequence[Body]) -> Iterator[Reason]:
    """R-01 where a message says anew what was recorded of the child."""
    before = next((told for told in reversed(ours) if states_origin(told)), None)
    if before is not None and states_origin(body) and CHILDS_CLAIM in _dropped(before, body):
        yield claim_dropped(CHILDS_CLAIM)


def _dropped(before: Body, after: Body) -> Sequence[str]:
    try:
        return tuple(claims_dropped(before, after))
    except (LookupError, TypeError, ValueError, AttributeError):
        return (CHILDS_CLAIM,)  # a correction left nothing that could be compared


def _danger(earlier: Sequence[Earlier]) -> Iterator[Reason]:
    """R-02 by the newest assessment of either side."""
    newest = next((item.body["danger_assessment"] for item in reversed(earlier) if states_danger(item.body)), None)
    answer = None if newest is None else newest.get("value", newest)["would_endanger"]
    if answer == "YES":
        yield block(
            "R-02", "would-endanger", "", "By the newest assessment of this procedure more words would endanger somebody."
        )  # fmt: skip
    elif answer != "NO":
        yield hold("R-02", "danger-not-known", "", "No assessment of danger is at hand by which this could be sent.")


def _correction(
    message: ValidMessage, earlier: Sequence[Earlier], now: Sequence[Earlier], judge: Judge
) -> Iterator[Reason]:
    """Judge what the messages would say that this correction changes: those it names, and what those correct."""
    body, country, us = message.body, message.header.recipient.country, message.header.sender.country
    fields = body.get("fields", ())
    if not fields:
        return
    before = {item.digest: item for item in now if item.author == us}
    after = {item.digest: item for item in as_corrected(this_too(earlier, message))}
    named = targets_of(body)
    for digest in named:
        if digest in before:
            yield from _troubles(before[Digest(digest)], fields, before)
        else:
            yield hold(
                "R-02", "corrected-message-missing", "/fields",
                "The message that is corrected is none of this side's in this procedure, or is not here, so that nobody can judge "
                "what it would say: correct it in its own procedure, or in one of the kind correction.",
            )  # fmt: skip
    for one, item in before.items():
        if one in named or after[one].body != item.body:
            yield from _judged(item, after[one].body, country, judge)


def _troubles(target: Earlier, fields: Sequence[Mapping[str, Any]], held: Mapping[Digest, Earlier]) -> Iterator[Reason]:
    changed, troubles = corrected(target.body, fields)
    for position, trouble in troubles:
        yield _TROUBLES[trouble](f"/fields/{position}")
    for digest in targets_of(target.body) if is_correction(target.type) else ():
        further = held.get(Digest(digest))
        if further is not None:
            yield from (_TROUBLES[one]("/fields") for _, one in corrected(further.body, changed.get("fields", ()))[1])


def _judged(target: Earlier, changed: Body, country: CountryCode, judge: Judge) -> Iterator[Reason]:
    said = {(reason.code, reason.where) for reason in _readable_by(judge, target.type, target.body, country)}
    for reason in _readable_by(judge, target.type, changed, country):
        told = replace(reason, where="/fields")
        if target.type in _JUDGED_AGAIN and reason.level is Level.BLOCK and reason.rule not in _NEVER_TOLD:
            yield replace(told, level=Level.HOLD, text=f"{reason.text} No child is moved while it reads so.")
        elif reason.level is Level.BLOCK or (reason.code, reason.where) not in said:
            yield told
    if states_origin(target.body) and _dropped(target.body, changed):
        yield claim_dropped("/fields")


def _readable_by(judge: Judge, kind: MessageType, body: Body, country: CountryCode) -> Sequence[Reason]:
    return readable(lambda given, to: judge(kind, given, to), body, country)


def readable(
    rule: Callable[[Body, CountryCode], Iterator[Reason] | Sequence[Reason]], body: Body, country: CountryCode
) -> Sequence[Reason]:
    """Judge a body that no schema holds any more: a correction may have put a text where the rule reads a part."""
    try:
        return tuple(rule(body, country))
    except (LookupError, TypeError, ValueError, AttributeError):
        return (
            hold("R-02", NOT_JUDGED, "/fields", "After this correction the message cannot be judged by itself."),
        )  # fmt: skip


_TROUBLES: Mapping[Trouble, Callable[[str], Reason]] = {
    Trouble.NO_SUCH_PLACE: lambda where: hold(
        "R-17", Trouble.NO_SUCH_PLACE, where, "The corrected message has no such place: this would say something new."
    ),
    Trouble.WHOLE_PART: lambda where: hold(
        "R-02", Trouble.WHOLE_PART, where, "This replaces a whole part by words; correct its fields one by one."
    ),
    Trouble.NOT_A_CODE: lambda where: hold(
        "R-01", Trouble.NOT_A_CODE, where, "A country stands here as its code; in other words nobody can judge it."
    ),
    Trouble.IN_WORDS: lambda where: hold(
        "R-17", Trouble.IN_WORDS, where, "A code stands here: in other words no rule can judge what is corrected."
    ),
    Trouble.SEALED: lambda where: block(
        "R-03", Trouble.SEALED, where, "This place travels sealed to one office; a correction would tell it openly."
    ),
    Trouble.WITHHELD: lambda where: hold(
        "R-03", Trouble.WITHHELD, where, "This was withheld before; a second person decides that it is told now."
    ),
}
