# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What other procedures of the two countries say of a step that moves a child: the consent it rests on, a remedy, an objection.

- A procedure has a case reference of its own, so that procedures meet by digests alone: a plan names the placement's
  consent, a remedy and an objection name the message that they are against.
- Judged before the plan leaves and again before each last step: what was granted may have been withdrawn since.
- A message about nobody is held against the cases of this node: its words may name somebody whom no schema sees.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from broker.core.accompanied import REPLY
from broker.core.corrected import as_corrected
from broker.core.foregoing import protects
from broker.core.ids import CountryCode, Digest, MessageType
from broker.core.messages import Body, ValidMessage
from broker.core.movement import NOT_SUSPENSIVE, day_of
from broker.core.reasons import Earlier, Reason, block, hold, rests_on, warn

__all__ = [
    "CONSENT", "LAST_STEPS", "PLAN", "UNLOCKS", "Consent", "Elsewhere", "elsewhere", "looks_elsewhere", "named_consents",
]  # fmt: skip

PLAN, CONSENT = "transfer.plan", "placement.decision"
LAST_STEPS = frozenset({"transfer.pre-departure", "transfer.departure", "placement.order"})
_ANSWERED = "What was raised on one day, concerns too, is answered one by one (guardian.answer)."
UNLOCKS = frozenset({"CONSENT_GRANTED", "CONSENT_NOT_REQUIRED"})  # C-09; a correction may have put anything there
_NEED_CONSENT = frozenset({"B2B_82", "H96_33"})  # legal bases on which a placement is void without it


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A consent to a placement, as it stands in its own procedure."""

    said: Earlier  # as it reads now
    in_effect: bool  # the newest one, neither withdrawn nor lapsed
    ordered: bool  # a placement was ordered on it: its last day to order one is past history


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What other procedures say of this one."""

    consents: Mapping[Digest, Consent] = field(default_factory=dict)  # those that it names and that are at hand
    remedies: tuple[Body, ...] = ()  # against a message of this procedure, as last told of; none that is closed
    objections: tuple[Body, ...] = ()  # against a message of this procedure, and not answered
    accepted_before: bool = False  # what this step needs the other side's word for was corrected after that was given
    target_missing: bool = False  # what this one restricts or erases is no message of this side in its procedure
    unread: bool = False  # a correction that may be about this procedure does not open
    named: tuple[str, ...] = ()  # places of a message about nobody whose words are somebody's name in a case here
    adult_again: bool = False  # who came with the child came with another one in a case here
    purpose_names: bool = False  # so are words of its purpose


def looks_elsewhere(kind: MessageType) -> bool:
    """Whether other procedures are read before a message of that type leaves."""
    return kind == PLAN or kind in LAST_STEPS


def named_consents(body: Body, earlier: Sequence[Earlier], us: CountryCode) -> frozenset[Digest]:
    """Return the digests of the consents that a plan names, or that our newest plan of the procedure named or names now."""
    named = (plan["placement_decision"].get("value") for plan in _plans(body, earlier, us))
    return frozenset(Digest(one) for one in named if one is not None and Digest.pattern.fullmatch(one))


def elsewhere(message: ValidMessage, earlier: Sequence[Earlier], found: Elsewhere) -> Iterator[Reason]:
    """Yield what other procedures have against a message."""
    for where in found.named:
        yield hold(
            "R-41", "names-somebody", where, "This text may name somebody of a case of this node: it must name nobody."
        )
    if found.purpose_names:
        yield hold("R-41", "purpose-names-somebody", "", "The purpose may name somebody of a case of this node.")
    kind = message.header.type
    if found.adult_again:
        text = "Somebody of this name came with another child in a case of this node: tell the police, who decide."
        yield hold("R-43", "adult-again", "/answer", text) if kind == REPLY else warn("R-43", "adult-again", "", text)
    basis = message.header.legal_basis.code if message.header.legal_basis else ""
    us = message.header.sender.country
    plans = _plans(message.body, earlier, us) if kind.procedure == "transfer" and looks_elsewhere(kind) else ()
    for plan in plans:
        where = "/placement_decision" if kind == PLAN else ""
        named = plan["placement_decision"].get("value")
        if plan["standing"] != "CONSENT_GRANTED":
            continue
        if named is not None:
            yield from _covers(found.consents.get(named), plan, message, where)
        elif basis in _NEED_CONSENT:
            yield hold("R-07", "consent-not-named", where, "The plan does not name the consent to the placement.")
    if found.accepted_before:
        text = "What the other side agreed to was corrected since, and it had not read that: ask it to agree anew."
        yield block("R-07", "accepted-before-correction", "", text)
    if found.target_missing:
        text = (
            "The message that is restricted or erased is none of this side's in this procedure, so that steps go on resting on it: "
            "say it in its own procedure, or in one of the kind correction."
        )
        yield hold("R-07", "corrected-message-missing", "/target", text)
    if found.unread and not protects(kind, message.body):
        text = "A correction that was exchanged with this country does not open here: it may be about this procedure."
        yield hold("R-02", "correction-unread", "", text)
    if kind in LAST_STEPS:
        yield from _remedies(found)
        yield from _objections(found)


def _covers(consent: Consent | None, plan: Body, message: ValidMessage, where: str) -> Iterator[Reason]:
    """R-07; B2b 82(5), H96 33; DOMAIN 8: the stored consent covers this place and these days, today."""
    if consent is None:
        yield block(
            "R-07", "consent-not-found", where, "No consent of this digest was exchanged with any country: look it up."
        )
        return
    said = consent.said.body
    yield from rests_on(consent.said, "the consent that the plan names")
    if said["consent"] not in UNLOCKS:
        yield block(
            "R-07", "consent-corrected", where, "As it was corrected, the answer that the plan names is no consent."
        )
    if not consent.in_effect:
        text = "The consent that the plan names was withdrawn, has lapsed, or another one took its place."
        yield block("R-07", "consent-not-in-effect", where, text)
    last = day_of(said["valid_until"])  # a correction may have put any text there
    if not consent.ordered and (last is None or last < message.header.created.date()):
        yield block("R-07", "consent-ended", where, "The last day of the consent that the plan names has passed.")
    if said["care"] != plan["care"]["kind"]:
        yield block(
            "R-07", "consent-to-other-care", where, "The consent that the plan names is to another form of care."
        )
    arrives, since, until = plan["arrival"]["at"], said["period"]["from"], said["period"]["until"].get("value")
    days = [day_of(one) for one in (since, arrives, until) if one is not None]
    known = [one for one in days if one is not None]
    if len(known) < len(days) or known != sorted(known):
        yield block(
            "R-07", "consent-to-other-days", where, "The consent that the plan names does not cover the arrival."
        )


def _remedies(found: Elsewhere) -> Iterator[Reason]:
    """R-28; S000:140. Told of by a notice of either side, wherever its own procedure stands."""
    for told in found.remedies:
        if told["remedy"] == "OPEN_SUSPENSIVE" or told["suspensive"] == "YES":
            yield block("R-28", "remedy-told", "", "A notice tells of a legal remedy that suspends this step.")
        elif told["remedy"] not in NOT_SUSPENSIVE or told["suspensive"] != "NO":
            text = "A notice tells of a legal remedy; whether it suspends this step is not known."
            yield hold("R-28", "remedy-told-not-known", "", text)


def _objections(found: Elsewhere) -> Iterator[Reason]:
    """R-28; S004:194, 1055. An objection is answered in writing before the step is taken."""
    for raised in found.objections:
        if raised["remedy"] == "OPEN_SUSPENSIVE":
            text = "A guardian's objection, not answered yet, comes with a remedy that suspends this step."
            yield block("R-28", "objection-suspends", "", f"{text} {_ANSWERED}")
        else:
            text = "A guardian's objection to this step is not answered in writing yet."
            yield hold("R-28", "objection-unanswered", "", f"{text} {_ANSWERED}")


def _plans(body: Body, earlier: Sequence[Earlier], us: CountryCode) -> list[Body]:
    """Return the plan by which this side moves the child, as it was sent and as it reads now: no correction is a new plan.

    What the other side calls a plan has no effect, and none here.
    """
    if "placement_decision" in body:
        return [body]
    first, now = (
        next((one.body for one in reversed(told) if one.type == PLAN and one.author == us), None)
        for told in (earlier, as_corrected(earlier))
    )
    return [plan for plan in (first, None if now == first else now) if plan is not None]
