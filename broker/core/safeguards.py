# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Rules that clear, hold or block a message before it leaves, with reasons that a person understands (promise P6).

- A rule reads the coded fields of the body alone, and the addressed country; never free text, a name or a date.
- A block is lifted by no one: only other facts, recorded by those who may record them, make another message. A hold is
  decided by a second person.
- Unknown is never read as safe, and a message type without rules does not leave.
- Rules that need more than the message (the request behind an answer: R-30; the competence of offices: R-31; a
  determination of non-disclosure by the other side: R-03; verified relatives: R-04) are judged where that is at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.errors import SafeguardBlocked, SafeguardHeld
from broker.core.ids import CountryCode
from broker.core.messages import Body, ClearedMessage, ValidMessage
from broker.core.movement import MOVEMENT_RULES
from broker.core.procedures import ALARM_CLOSED
from broker.core.reasons import Level, Reason, Rule, block, hold

__all__ = ["Blocked", "Cleared", "Decision", "Held", "Level", "Reason", "clear", "decide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """It may leave."""

    message: ClearedMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A second person decides."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """It must not leave."""

    reasons: tuple[Reason, ...]  # holds too: all that is to be mended


Decision = Cleared | Held | Blocked


def decide(message: ValidMessage) -> Decision:
    """Return what the rules of the message's type say about it."""
    kind = message.header.type
    rules = _RULES.get(kind) or _RULES.get(f"*.{kind.act}")
    if rules is None:
        return Blocked(reasons=(_NO_RULES,))
    reasons = tuple(
        reason for rule in rules.values() for reason in rule(message.body, message.header.recipient.country)
    )
    if any(reason.level is Level.BLOCK for reason in reasons):
        return Blocked(reasons=reasons)
    if reasons:
        return Held(reasons=reasons)
    return Cleared(message=ClearedMessage(message=message, reasons=tuple(rules)))


def clear(message: ValidMessage) -> ClearedMessage:
    """Return the message cleared.

    Raises:
        SafeguardBlocked: a rule forbids sending it.
        SafeguardHeld: a second person would have to decide.
    """
    match decide(message):
        case Cleared(message=cleared):
            return cleared
        case Held(reasons=reasons):
            raise SafeguardHeld(_sentences(reasons), where=_first(reasons))
        case Blocked(reasons=reasons):
            raise SafeguardBlocked(_sentences(reasons), where=_first(reasons))


def _sentences(reasons: Iterable[Reason]) -> str:
    return " ".join(dict.fromkeys(f"{reason.text} ({reason.rule})" for reason in reasons))


def _first(reasons: tuple[Reason, ...]) -> str:
    worst = [reason for reason in reasons if reason.level is Level.BLOCK] or list(reasons)
    return f"/body{worst[0].where}"


# --- no contact with the country of origin ---------------------------------------------------------------------

_PROTECTED = frozenset({"PENDING", "GRANTED", "POSSIBLE"})
_ENDED = frozenset({"REJECTED_FINAL", "WITHDRAWN"})
_NO_CLAIM = frozenset({"NONE", "NOT_RECORDED"})
_STATELESS = "XXA"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origins:
    """The States that a person may have fled from."""

    states: frozenset[str]
    known: bool  # False: there may be another one that is not recorded or not said

    def __or__(self, other: _Origins) -> _Origins:
        return _Origins(states=self.states | other.states, known=self.known and other.known)


_NOWHERE_KNOWN = _Origins(states=frozenset(), known=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """A recorded or missing claim to protection and the States that it may be directed against."""

    status: str
    where: str
    feared: _Origins
    origins: _Origins

    @property
    def origin_known(self) -> bool:
        return self.feared.known and self.origins.known


def _origin(body: Body, country: CountryCode) -> Iterator[Reason]:
    """R-01 as corrected by CASEWORK C-04; APR 7(2), RCD 27(10), QR 33(7).

    A State of origin is one of nationality, for a stateless person or an unstated nationality one of former habitual
    residence, and any that is feared. What is not recorded could be the addressee.
    """
    serious = body["danger_assessment"]["outcome"] == "SERIOUS_DANGER"
    for claim in _claims(body):
        reason = _judge(claim, country, serious=serious)
        if reason is not None:
            yield reason


def _judge(claim: _Claim, country: CountryCode, *, serious: bool) -> Reason | None:
    if country in claim.feared.states:
        return _to_feared(claim)
    if country in claim.origins.states:
        return _to_origin(claim, serious=serious)
    if claim.status == "NONE" or claim.origin_known:
        return None
    if claim.status == "NOT_RECORDED":
        return hold(
            "R-01", "claim-not-recorded", claim.where,
            "Neither whether protection is sought or held nor the country of origin is recorded: it could be the "
            "addressee.",
        )  # fmt: skip
    return hold(
        "R-01", "origin-not-known", claim.where,
        "There is or was a claim to protection, and the country of origin is not recorded: it could be the addressee.",
    )  # fmt: skip


def _to_feared(claim: _Claim) -> Reason:
    """Judge a message to a State that is feared itself; that an ordinary State of origin may be none does not help."""
    if claim.status in _NO_CLAIM:
        return hold(
            "R-01", "feared-state", claim.where,
            "This country is recorded as feared, and no claim to protection is: clear that up before writing to it.",
        )  # fmt: skip
    return block(
        "R-01", "contact-with-feared", claim.where,
        "Persecution by this country is feared and protection was sought: there is no contact with it.",
    )  # fmt: skip


def _to_origin(claim: _Claim, *, serious: bool) -> Reason | None:
    """Judge a message to a State of nationality."""
    if claim.status in _PROTECTED:
        return block(
            "R-01", "contact-with-origin", claim.where,
            "The child or a close relative seeks or holds protection: there is no contact with this country.",
        )  # fmt: skip
    if claim.status in _ENDED:
        return block(
            "R-01", "claim-would-show", claim.where,
            "This country must not learn that there was a claim to protection, and this message says so.",
        )  # fmt: skip
    if claim.status == "TEMPORARY_PROTECTION" and serious:
        return block(
            "R-01", "temporary-protection-danger", claim.where,
            "There is temporary protection and the assessment sees serious danger: there is no contact with this country.",
        )  # fmt: skip
    if claim.status == "TEMPORARY_PROTECTION":
        return hold(
            "R-01", "temporary-protection", claim.where,
            "There is temporary protection: guardian and lawyer decide about contact with this country.",
        )  # fmt: skip
    if claim.status != "NONE":
        return hold(
            "R-01", "claim-not-recorded", claim.where,
            "Nobody has recorded whether protection is sought or held: record it before writing to this country.",
        )  # fmt: skip
    return None


def _claims(body: Body) -> Iterator[_Claim]:
    """Yield the claims of the child, the persons sought and other close relatives; not recorded where nothing is said."""
    child = _origins(body["child"])
    yield _claim(body["protection_claim"], "/protection_claim", child)
    for position, person in enumerate(body.get("persons_sought", ())):
        yield _claim(
            person["protection_claim"], f"/persons_sought/{position}/protection_claim", child | _origins(person)
        )
    relatives = body["family_protection_claims"]
    if "value" in relatives:
        for position, relative in enumerate(relatives["value"]):
            where = f"/family_protection_claims/value/{position}/claim"
            yield _claim(relative["claim"], where, child | _origins(relative))
    elif "not_applicable" not in relatives:
        where = "/family_protection_claims"
        yield _Claim(status="NOT_RECORDED", where=where, feared=_NOWHERE_KNOWN, origins=child)


def _claim(claim: Mapping[str, Any], where: str, origins: _Origins) -> _Claim:
    feared = claim.get("feared_states", {"not_applicable": True})
    stated = _stated(feared)
    known = bool(stated) or "not_applicable" in feared
    return _Claim(
        status=claim["status"], where=f"{where}/status", feared=_Origins(states=stated, known=known), origins=origins
    )


def _origins(person: Mapping[str, Any]) -> _Origins:
    person = person.get("named", person)  # a pseudonym says nothing of an origin
    nationalities = _stated(person.get("nationalities", {}))
    if nationalities and _STATELESS not in nationalities:
        return _Origins(states=nationalities, known=True)
    residence = _stated(person.get("former_habitual_residence", {}))
    return _Origins(states=nationalities - {_STATELESS} | residence, known=bool(nationalities and residence))


def _stated(fact: Mapping[str, Any]) -> frozenset[str]:
    """Return what is said; nothing where it is unknown, withheld or does not apply."""
    return frozenset(fact.get("value", ()))


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


def _by_schema(_: Body, __: CountryCode) -> Iterator[Reason]:
    """R-17: one purpose, no member beyond the schema's; held by the catalogue before this."""
    return iter(())


_NO_RULES = block("R-17", "no-rules", "", "This node has no safeguard rules for this type of message.")

_FORM: Mapping[str, Rule] = {"R-17": _by_schema}
_REQUEST: Mapping[str, Rule] = {"R-01": _origin, "R-02": _danger, "R-05": _heard, "R-17": _by_schema}
_URGENT: Mapping[str, Rule] = {"R-01": _origin, "R-02": _danger, "R-17": _by_schema}
_ANSWER: Mapping[str, Rule] = {"R-02": _danger, "R-17": _by_schema}
_OPINION: Mapping[str, Rule] = {"R-02": _danger, "R-05": _heard, "R-17": _by_schema}
_GUARDIAN: Mapping[str, Rule] = {"R-01": _origin, "R-02": _danger, "R-06": _guardian, "R-17": _by_schema}

# Which rules judge which type; ``*`` is each family's shared act. A withdrawal or the closing of an alarm says nothing
# about a person and must always get out; a refusal on the ground of danger says nothing else by its schema.
_RULES: Mapping[str, Mapping[str, Rule]] = {
    "family-tracing.request": _REQUEST,
    "best-interests.request": _REQUEST,
    "best-interests.information": _ANSWER,
    "best-interests.opinion": _OPINION,
    "best-interests.conference": _ANSWER,
    "child-information.request": _URGENT,
    "child-information.reply": _ANSWER,
    "consultation.question": _FORM,
    "consultation.answer": _FORM,
    "correction.rectify": _FORM,
    "correction.restrict": _FORM,
    "correction.erase": _FORM,
    "correction.access-forward": _FORM,
    "correction.report": _FORM,
    "danger-notice.alert": _URGENT,
    "danger-notice.locate": _URGENT,
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
    "referral.request": _REQUEST,
    "referral.decision": _ANSWER,
    "referral.service-report": _ANSWER,
    "referral.closure": _ANSWER,
    "relationship.request": _URGENT,
    "relationship.reply": _ANSWER,
    "monitoring.report": _ANSWER,
    "monitoring.incident": _ANSWER,
    "monitoring.breakdown": _ANSWER,
    "monitoring.closure": _ANSWER,
    "transfer.plan": {**_REQUEST, **MOVEMENT_RULES["transfer.plan"]},
    "transfer.acceptance": _ANSWER,
    "transfer.suspension": _FORM,
    "transfer.pre-departure": {"R-02": _danger, **MOVEMENT_RULES["transfer.pre-departure"], "R-17": _by_schema},
    "transfer.departure": _ANSWER,
    "transfer.delay": _FORM,
    "transfer.arrival": _ANSWER,
    "transfer.not-arrived": _FORM,
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
