# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Rules that clear, hold or block a message before it leaves, with reasons that a person understands (promise P6).

- A rule reads the coded fields and the days of the body, and the addressed country; never free text or a name. Words are
  judged by what the procedure's earlier messages say (`foregoing.py`), a correction as the message that it corrects.
- A block is lifted by no one: only other facts, recorded by those who may record them, make another message. A hold is
  decided by a second person.
- Unknown is never read as safe, and a message type without rules does not leave.
- Rules that need more than the message (the request behind an answer: R-30; a determination of non-disclosure: R-03;
  the competence of offices: R-31; verified relatives: R-04) are judged where that is at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from broker.core.childhood import TELLS_AGE, childhood
from broker.core.corrected import is_correction
from broker.core.elsewhere import Elsewhere, elsewhere
from broker.core.errors import SafeguardBlocked, SafeguardHeld
from broker.core.excluded import excluded
from broker.core.foregoing import foregoing
from broker.core.ids import CountryCode, MessageType
from broker.core.impersonal import IMPERSONAL_RULES, personal_purpose
from broker.core.messages import Body, ClearedMessage, ValidMessage
from broker.core.movement import CHECK, MOVEMENT_RULES, moving
from broker.core.national import GIVES_CONSENT, national
from broker.core.origin import no_contact_with_origin
from broker.core.placement import PLACEMENT_RULES, translated
from broker.core.procedures import ALARM_CLOSED
from broker.core.reasons import Earlier, Level, Reason, Rule, block, hold
from broker.core.sides import Sides
from broker.core.surge import relaxed

__all__ = [
    "Blocked",
    "Cleared",
    "Decision",
    "Held",
    "Level",
    "Reason",
    "decide",
    "judged_types",
    "refusal",
    "released",
    "waiting",
    "weighs",
    "weighs_for_good",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """It may leave."""

    message: ClearedMessage
    warnings: tuple[Reason, ...] = ()  # for its author


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A second person decides."""

    reasons: tuple[Reason, ...]

    def within(self, known: Iterable[Reason]) -> bool:
        """Whether nothing holds it but what a second person has seen."""
        seen = {(reason.rule, reason.code, reason.where) for reason in known}
        return seen >= {(one.rule, one.code, one.where) for one in self.reasons if one.level is Level.HOLD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """It must not leave."""

    reasons: tuple[Reason, ...]  # holds too: all that is to be mended


Decision = Cleared | Held | Blocked


def decide(
    message: ValidMessage,
    earlier: Sequence[Earlier] = (),
    sides: Sides | None = None,
    other: Elsewhere | None = None,
    surge: date | None = None,
    came: Sequence[Earlier] = (),
) -> Decision:
    """Return what the rules of its type, the earlier messages, the two countries and other procedures say about a message.

    Args:
        message: the one to be sent.
        earlier: what was exchanged before, oldest first.
        sides: what is known of the two countries.
        other: what other procedures say.
        surge: the last day of surge mode towards that country, where it is in force.
        came: the earlier messages in another order, in which they may have been written as well; empty: there is none.
    """
    kind, country = message.header.type, message.header.recipient.country
    rules = _rules_of(kind)
    if rules is None:
        return Blocked(reasons=(_NO_RULES,))
    found = _judge(kind, message.body, country)
    if message.header.case_ref is None:
        found += tuple(personal_purpose(message.header.purpose or ""))
    for told in (earlier, came) if came else (earlier,):
        stands = tuple(item for item in told if not item.withdrawn)
        found += tuple(_by_earlier(message, stands, sides, other))
        if len(stands) != len(told):  # who takes a correction back lowers nothing by that
            found += tuple(_by_earlier(message, told, sides, other))
    reasons = tuple(dict.fromkeys(found))
    if surge is not None:
        reasons = relaxed(reasons, surge)
    if any(reason.level is Level.BLOCK for reason in reasons):
        return Blocked(reasons=reasons)
    if any(reason.level is Level.HOLD for reason in reasons):
        return Held(reasons=reasons)
    return Cleared(message=ClearedMessage(message=message, reasons=tuple(rules)), warnings=reasons)


def _by_earlier(
    message: ValidMessage, earlier: Sequence[Earlier], sides: Sides | None, other: Elsewhere | None
) -> Iterator[Reason]:
    yield from foregoing(message, earlier, _judge)
    if sides is not None:
        yield from _of_sides(message, earlier, sides)
    if other is not None:
        yield from elsewhere(message, earlier, other)


def _of_sides(message: ValidMessage, earlier: Sequence[Earlier], sides: Sides) -> tuple[Reason, ...]:
    """Return what depends on the two countries or on the day."""
    on_the_day = (*childhood(message, earlier, sides), *moving(message, earlier, sides.day))
    return (*national(message, earlier, sides), *on_the_day, *excluded(message, earlier, sides))


def weighs(kind: MessageType) -> bool:
    """Whether a message of that type weighs in the decision about a later one of its procedure."""
    return weighs_for_good(kind) or "R-02" in (_rules_of(kind) or {})


def weighs_for_good(kind: MessageType) -> bool:
    """Whether it weighs however old it is.

    It states a claim to protection or an age, gives a consent, is what a departure rests on, or changes what another one says.
    """
    changes = kind.procedure == "correction" or is_correction(kind)
    return changes or kind in GIVES_CONSENT or kind in TELLS_AGE or kind == CHECK or "R-01" in (_rules_of(kind) or {})


def judged_types() -> Mapping[str, tuple[str, ...]]:
    """Return which types of messages each rule judges by their own body; ``*`` is each family's shared act."""
    found: dict[str, list[str]] = {}
    for kind, rules in sorted(_RULES.items()):
        for rule in rules:
            found.setdefault(rule, []).append(kind)
    return {rule: tuple(kinds) for rule, kinds in sorted(found.items())}


def _rules_of(kind: MessageType) -> Mapping[str, Rule] | None:
    return _RULES.get(kind) or _RULES.get(f"*.{kind.act}")


def _judge(kind: MessageType, body: Body, country: CountryCode) -> tuple[Reason, ...]:
    return tuple(reason for rule in (_rules_of(kind) or {}).values() for reason in rule(body, country))


def refusal(decision: Held | Blocked) -> SafeguardHeld | SafeguardBlocked:
    """Return the error by which a caller is told the reasons."""
    reasons = [reason for reason in decision.reasons if reason.level is not Level.WARN]
    kind = SafeguardHeld if isinstance(decision, Held) else SafeguardBlocked
    return kind(_sentences(reasons), where=_first(reasons))


def released(message: ValidMessage, held: Held) -> ClearedMessage:
    """Return a held message cleared by a second person, who has seen its reasons."""
    return ClearedMessage(message=message, reasons=tuple(dict.fromkeys(reason.rule for reason in held.reasons)))


def waiting(reasons: Sequence[Reason], stands: str) -> SafeguardHeld:
    """Return the error by which the author of a held message is told how it stands."""
    return SafeguardHeld(f"{_sentences(reasons)} {stands}", where=_first(reasons))


def _sentences(reasons: Iterable[Reason]) -> str:
    return " ".join(dict.fromkeys(f"{reason.text} ({reason.rule})" for reason in reasons))


def _first(reasons: Sequence[Reason]) -> str:
    worst = [reason for reason in reasons if reason.level is Level.BLOCK] or list(reasons)
    return f"/body{worst[0].where}"


# --- danger ----------------------------------------------------------------------------------------------------


def _danger(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-02; H96 37, B2b 89. No one can release it, so that not knowing blocks like knowing."""
    stated, where = body["danger_assessment"], "/danger_assessment/would_endanger"
    if stated.get("not_applicable"):  # a shared answer about no person; its schema alone allows that
        return
    answer = stated.get("value", stated).get("would_endanger")
    if answer == "YES":
        yield block("R-02", "would-endanger", where, "The assessment says that sending this would endanger somebody.")
    elif answer != "NO":
        yield block("R-02", "danger-not-known", where, "The assessment does not say that sending this is safe.")


# --- the child was heard, and consent or basis ------------------------------------------------------------------


def _heard(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-05; CRC 12. That the child was heard, or why not, and consent or basis, is asked for by the schema."""
    for part, answer in (("child_wish", "wants_tracing"), ("views", "wants")):
        if body.get(part, {}).get("heard", {}).get(answer) == "NO":
            yield hold("R-05", "child-does-not-want", f"/{part}/heard/{answer}", "The child does not want this.")


# --- a guardian without conflict --------------------------------------------------------------------------------


def _guardian(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-06; ATD 14(2). Whoever is in conflict with the child is to be replaced, not made known as the guardian."""
    if body["guardianship"]["conflict_declared_absent"].get("value") == "NO":
        yield hold(
            "R-06", "guardian-in-conflict", "/guardianship/conflict_declared_absent/value",
            "This guardian has a conflict of interest with the child.",
        )  # fmt: skip


# --- contact: the relative is looked at first, and the child wants it ---------------------------------------------------


def _contact(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-04, R-05; CRC 9(3). Contact with somebody whose safety nobody has looked at waits for a second person."""
    if "value" not in body["checked"]:
        yield hold("R-04", "relative-not-checked", "/checked", "Nobody has said that contact with this person is safe.")
    if body["arrangement"]["child_wishes"] == "NO":
        where = "/arrangement/child_wishes"
        yield hold("R-05", "child-does-not-want", where, "The child does not want this.")


def _publicity(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-37; CETS197 11. The police decide on a public appeal; a second person sees its reference and the guardian's word."""
    if body["publicity"] == "POLICE_APPEAL":
        known = "value" in body["police_reference"]
        text = "The child would be shown in public" + ("." if known else ", and no reference of the police is given.")
        yield hold("R-37", "public-appeal", "/publicity", text)


def _by_schema(_: Body, __: CountryCode) -> Iterator[Reason]:
    """R-17: one purpose, no member beyond the schema's; held by the catalogue before this."""
    return iter(())


_NO_RULES = block("R-17", "no-rules", "", "This node has no safeguard rules for this type of message.")

_FORM: Mapping[str, Rule] = {"R-17": _by_schema}
_REQUEST: Mapping[str, Rule] = {"R-01": no_contact_with_origin, "R-02": _danger, "R-05": _heard, "R-17": _by_schema}
_URGENT: Mapping[str, Rule] = {"R-01": no_contact_with_origin, "R-02": _danger, "R-17": _by_schema}
_ANSWER: Mapping[str, Rule] = {"R-02": _danger, "R-17": _by_schema}
_OPINION: Mapping[str, Rule] = {"R-02": _danger, "R-05": _heard, "R-17": _by_schema}
_GUARDIAN: Mapping[str, Rule] = {"R-01": no_contact_with_origin, "R-02": _danger, "R-06": _guardian, "R-17": _by_schema}

# Which rules judge which type by its own body; ``*`` is each family's shared act.
_RULES: Mapping[str, Mapping[str, Rule]] = {
    "family-tracing.request": _REQUEST,
    "best-interests.request": _REQUEST,
    "best-interests.information": _ANSWER,
    "best-interests.opinion": _OPINION,
    "best-interests.conference": _ANSWER,
    "child-information.request": {**_URGENT, "R-20": translated},
    "child-information.reply": _ANSWER,
    "carer-assessment.request": {**_REQUEST, "R-20": translated},
    "carer-assessment.report": {**_ANSWER, **PLACEMENT_RULES["carer-assessment.report"]},
    "carer-assessment.lapse": _FORM,  # what nobody is to be placed on any more must always get out
    "consultation.question": _FORM,
    "consultation.answer": _FORM,
    "correction.rectify": _FORM,
    "correction.restrict": _FORM,
    "correction.erase": _FORM,
    "correction.access-forward": _FORM,
    "correction.report": _FORM,
    "danger-notice.alert": {**_URGENT, "R-37": _publicity},
    "danger-notice.locate": {**_URGENT, "R-37": _publicity},
    "danger-notice.found": _ANSWER,
    "danger-notice.stand-down": _FORM,
    "family-tracing.partial-result": _ANSWER,
    "family-tracing.result": _ANSWER,
    "recognition.query": _REQUEST,
    "recognition.answer": _ANSWER,
    "contact.proposal": {**_REQUEST, "R-04": _contact},
    "contact.agreement": _ANSWER,
    "contact.report": _ANSWER,
    "contact.stop": _FORM,  # it says nothing of a person, and must always get out
    "guardian.appointed": _GUARDIAN,
    "guardian.handover": _REQUEST,
    "guardian.handover-accepted": {"R-02": _danger, "R-06": _guardian, "R-17": _by_schema},
    "guardian.ended": _ANSWER,
    "guardian.concern": _ANSWER,
    "guardian.objection": _ANSWER,
    "guardian.answer": _ANSWER,
    "identity.request": _REQUEST,
    "identity.reply": _ANSWER,
    "notice.proceedings": _URGENT,
    "notice.asylum": _URGENT,
    "notice.police": _URGENT,
    "notice.consular": _URGENT,
    "notice.complaint": _URGENT,
    "notice.remedy": _URGENT,
    "notice.interview": _URGENT,
    "notice.opinion": _ANSWER,
    "notice.closure": _ANSWER,
    "referral.request": _REQUEST,
    "referral.decision": _ANSWER,
    "referral.service-report": _ANSWER,
    "referral.closure": _ANSWER,
    "jurisdiction.request": {**_REQUEST, **MOVEMENT_RULES["jurisdiction.request"]},
    "jurisdiction.invitation": {**_REQUEST, **MOVEMENT_RULES["jurisdiction.request"]},
    "jurisdiction.seised": _FORM,
    "jurisdiction.reply": _ANSWER,
    "jurisdiction.declined": _ANSWER,
    "jurisdiction.relinquished": _FORM,
    "jurisdiction.continued": _FORM,
    "urgent-measures.notice": _URGENT,
    "urgent-measures.lapsed": _ANSWER,
    "relationship.request": _URGENT,
    "relationship.reply": _ANSWER,
    "implementation.request": _REQUEST,
    "implementation.report": _ANSWER,
    "implementation.closure": _ANSWER,
    "monitoring.report": _ANSWER,
    "monitoring.incident": _ANSWER,
    "monitoring.breakdown": _ANSWER,
    "monitoring.closure": _ANSWER,
    "placement.request": {**_REQUEST, **PLACEMENT_RULES["placement.request"]},
    "placement.consent-in-principle": _ANSWER,
    "placement.second-decision": _ANSWER,
    "placement.decision": {**_ANSWER, **PLACEMENT_RULES["placement.decision"]},
    "placement.order": {**_ANSWER, **PLACEMENT_RULES["placement.order"]},
    "placement.lapse": _FORM,  # what no longer covers the child must always get out
    "transfer.plan": {**_REQUEST, **MOVEMENT_RULES["transfer.plan"]},
    "transfer.acceptance": _ANSWER,
    "transfer.suspension": _FORM,
    "transfer.pre-departure": {"R-02": _danger, **MOVEMENT_RULES["transfer.pre-departure"], "R-17": _by_schema},
    "transfer.departure": _ANSWER,
    "transfer.delay": _FORM,
    "transfer.arrival": _ANSWER,
    "transfer.not-arrived": _FORM,
    **IMPERSONAL_RULES,
    "*.acknowledgement": _FORM,
    f"*.{ALARM_CLOSED}": _FORM,
    "*.clarification": _FORM,
    "*.clarification-answer": _ANSWER,
    "*.correction": _FORM,
    "*.extension-notice": _FORM,
    "*.forward-notice": _FORM,
    "*.participant-change": _FORM,
    "*.refusal": _FORM,
    "*.reopening": _FORM,
    "*.status": _FORM,
    "*.withdrawal": _FORM,
}
