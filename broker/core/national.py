# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Safeguards that depend on the two countries: whose office is competent, which consents their law asks for.

- R-07 and C-03, R-09, R-12, R-31, R-33, R-34, R-45, over country profiles and the trust list's competences.
- A later message says less of the child than the first one: its age is taken from what was exchanged before, as it reads
  after its corrections.
- Unknown is never read as no: where a wrong guess would make a placement void it blocks, elsewhere the message leaves and
  its author is told which question is open, so that it can be asked (`consultation.question`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from broker.core.adulthood import says_birth
from broker.core.corrected import as_corrected
from broker.core.elsewhere import PLAN, UNLOCKS
from broker.core.messages import Body, Header, ValidMessage
from broker.core.movement import day_of
from broker.core.reasons import Earlier, Reason, block, hold, rests_on, warn
from broker.core.sides import Side, Sides
from broker.core.trust import Authority

__all__ = ["GIVES_CONSENT", "competence", "national"]

_AMONG_MEMBERS = "NONE_FEDERATION"  # no law: any office may ask or tell another one what names nobody
_EXEMPTION_NEEDED = "CONSENT_NOT_REQUIRED"
_RELATIVES = "placement.relative_categories"
_SECOND = "placement.second_decision"

# Who asks for a consent: the type → questions about the child's age and the guardian, and where the body says who consented.
_PLACED = ("placement.child_consent_age", "placement.guardian_consent")
_CONSENTS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "referral.request": ("child.referral_consent_age", "child.referral_guardian_signs", ("consent",)),
    "placement.request": (*_PLACED, ("child_consent",)),
    "transfer.plan": (*_PLACED, ("child_consent",)),
    "transfer.pre-departure": (*_PLACED, ("knows_and_wants", "child_consent")),
}
# Who takes a child into care: the sender's country, or the addressed one.
_CARED_FOR_HERE = "urgent-measures.notice"
_CARED_FOR = frozenset({_CARED_FOR_HERE, "placement.order"})
_ASYLUM = frozenset({"AMMR_48"})
_NOTICE = 21  # days; IR2055 25(3), 26(3)
_NO_STATUS = frozenset({"NOT_CONFIRMED", "STATUS_UNKNOWN"})
_STATUSES = _NO_STATUS | {"AT_RISK", "SUSPECTED", "PRESUMED", "IDENTIFIED"}
_DECISIONS = frozenset({"ACCEPTED", "PARTLY", "DECLINED", "FORWARDED"})
_ADULT = 18  # years; CRC 1
_GUARDIANS = frozenset({"GUARDIAN", "REPRESENTATIVE", "PARENT"})

# An irreversible act → the other side's act that gives consent, and where that says what it rests on.
_RESTS_ON: Mapping[str, tuple[str, str]] = {
    "transfer.departure": ("transfer.acceptance", "decision"),
    "placement.order": ("placement.decision", "second_decision"),
}
GIVES_CONSENT = dict(_RESTS_ON.values())


def national(message: ValidMessage, earlier: Sequence[Earlier], sides: Sides) -> Iterator[Reason]:
    """Yield what the law and the offices of the two countries have against a message, and what is not known of them."""
    header, body = message.header, message.body
    as_sent, earlier = earlier, as_corrected(earlier)
    if sides.opening:
        yield from competence(header, sides)
    yield from _exempt(header, body, earlier, sides)
    if header.type in _CONSENTS:
        for side in (sides.there, sides.here):
            yield from _consents(header.type, body, _child(body, earlier), side, sides.day)
    if header.type == PLAN:
        yield from _notice(header, body, sides.day)
    if header.type in _CARED_FOR:
        yield from _consulate(header.type, body, _child(body, earlier), sides)
    if header.type in GIVES_CONSENT and body.get("consent") == "CONSENT_GRANTED":
        yield from _second_decision(
            body, GIVES_CONSENT[header.type], sides.here, where=f"/{GIVES_CONSENT[header.type]}"
        )
    if header.type in _RESTS_ON:
        kind, place = _RESTS_ON[header.type]
        answer = next((item for item in reversed(earlier) if item.type == kind), None)
        yield from rests_on(answer, "the other side's answer")
        given = {} if answer is None else answer.body
        first = next((item.body for item in reversed(as_sent) if item.type == kind), {})
        if given != first:
            yield from _still_given(first, given, sides.day)
        if given and kind == "transfer.acceptance":
            yield from _recognised(given, sides.there)
        if given.get("consent") == "CONSENT_GRANTED":
            yield from _second_decision(given, place, sides.there, where="")


# --- R-31 -------------------------------------------------------------------------------------------------------------


def competence(header: Header, sides: Sides) -> Iterator[Reason]:
    """R-31; B2b 78-82, H96 29-34, ATD 11(4): an office may send and be asked on this basis.

    An office whose competences nobody has listed is believed to have them, unless another one of its country is listed.
    """
    basis = header.legal_basis.code if header.legal_basis else ""
    if basis == _AMONG_MEMBERS:
        return
    for side, use, words in ((sides.here, "SEND", "may send"), (sides.there, "RECEIVE", "is asked")):
        office, right = side.listed, tuple(side.competent(basis, use))
        if office is None or office in right:
            continue
        if office.competences:
            yield block(
                "R-31", "office-not-competent", "",
                f"On this legal basis another office of {side.country} {words}"
                + (f": {_names(right)}." if right else "; the trust list names none."),
            )  # fmt: skip
        elif right:
            yield hold(
                "R-31", "other-office-competent", "", f"On this legal basis the trust list names for {side.country}: {_names(right)}."
            )  # fmt: skip
        elif use == "RECEIVE":
            yield warn(
                "R-31", "competence-not-known", "",
                f"Nobody has said which office of {side.country} is asked on this legal basis.",
            )  # fmt: skip


def _names(offices: Sequence[Authority]) -> str:
    return ", ".join(one.name for one in offices)


# --- R-07 and C-03 ----------------------------------------------------------------------------------------------------


def _exempt(header: Header, body: Body, earlier: Sequence[Earlier], sides: Sides) -> Iterator[Reason]:
    """R-07; B2b 82(2), H96 33; CASEWORK C-03, C-06: a placement without the consent that it needed is void there."""
    stated = body.get("standing", body.get("consent"))
    if stated != _EXEMPTION_NEEDED:
        return
    placing, planning = (sides.here, sides.there) if header.type in GIVES_CONSENT else (sides.there, sides.here)
    plans = [item.body for item in earlier if item.type == PLAN and item.author == planning.country]
    care, basis = _kind_of_care(body, plans), header.legal_basis.code if header.legal_basis else ""
    exemption = body.get("exemption")
    if exemption == "WITH_PARENT" and care not in {None, "PARENTS"}:
        yield block("R-07", "not-with-parent", "/exemption", "This care is not with a parent: it needs consent.")
    if exemption != "NOTIFIED_RELATIVE_CATEGORY":
        return
    profile = placing.profile
    if profile is None or not profile.entry(_RELATIVES).known:
        yield block(
            "R-07",
            "exemption-not-known",
            "/exemption",
            f"{placing.open_question(_RELATIVES)} Until then it needs consent.",
        )
    elif care is None or profile.consent_needed(care, basis=basis):
        yield block(
            "R-07", "exemption-not-notified", "/exemption",
            f"{placing.country} has not notified this category of relatives, or nobody has read it there: it needs consent.",
        )  # fmt: skip


def _kind_of_care(body: Body, plans: Sequence[Body]) -> str | None:
    """Return the form of care that a message names; an acceptance and the check name none, and go by the newest plan."""
    named = (one["care"] for one in (body, *reversed(plans)) if "care" in one)
    kinds = (care.get("kind") if isinstance(care, Mapping) else care for care in named)
    return next((kind for kind in kinds if isinstance(kind, str)), None)


def _still_given(first: Body, given: Body, day: date) -> Iterator[Reason]:
    """R-07: whoever gave a consent may correct that it gave none, or one to something else, or for a shorter time.

    That it gave more takes another answer: the one in the record clears the step (`clearance`).
    """
    differs = {name for name in ("consent", "covers", "valid_until") if given.get(name) != first.get(name)}
    if "covers" in differs or ("consent" in differs and given["consent"] not in UNLOCKS):
        text = "The other side has corrected its answer: as it reads now it does not agree to this."
        yield block("R-07", "consent-corrected", "", text)
    last = day_of(given["valid_until"]) if "valid_until" in differs else day
    if last is None or last < day:
        yield block(
            "R-07", "consent-ended", "", "As the other side corrected it, the last day of its consent has passed."
        )


# --- R-33 -------------------------------------------------------------------------------------------------------------


def _consents(kind: str, body: Body, child: Mapping[str, Any], side: Side, day: date) -> Iterator[Reason]:
    """R-33: consent or assent where either State's law asks for it; SE from 15 for a placement, FI 15-17 for a referral."""
    by_age, by_guardian, (*above, name) = _CONSENTS[kind]
    for part in above:
        body = body[part]
    where = "".join(f"/{part}" for part in (*above, name))
    givers = set(body[name].get("given", {}).get("by", ()))
    age, limit = _oldest(child, day), side.age(by_age)
    if "CHILD" not in givers and side.applies(by_age):
        if limit is None:
            yield warn("R-33", "consent-age-not-known", where, side.open_question(by_age))
        elif limit < _ADULT and (age is None or age >= limit):
            refused = body.get("views", {}).get("heard", {}).get("wants") == "NO"
            text = f"By the law of {side.country} a child of {limit} or older consents to this itself."
            yield (block if refused else hold)("R-33", "child-has-not-consented", where, text)
    if not _GUARDIANS & givers and side.applies(by_guardian):
        needed = side.says(by_guardian)
        if needed is None:
            yield warn("R-33", "guardian-consent-not-known", where, side.open_question(by_guardian))
        elif needed:
            text = f"By the law of {side.country} the guardian or representative consents to this."
            yield hold("R-33", "guardian-has-not-consented", where, text)


def _child(body: Body, earlier: Sequence[Earlier]) -> Mapping[str, Any]:
    """Return the child as this message describes it, or the newest earlier one does that says when it was born."""
    bodies = (body, *(item.body for item in reversed(earlier)))
    described = [child for given in bodies if isinstance(child := given.get("child"), Mapping)]
    return next((child for child in described if says_birth(child)), described[0] if described else {})


def _oldest(child: Mapping[str, Any], day: date) -> int | None:
    """Return the age in years that the child has at most; None where that is not known, estimated or still to come."""
    known = child.get("named", child.get("pseudonym", child)).get("birth", {}).get("value")
    if not isinstance(known, Mapping) or known.get("estimated") is not False:
        return None
    try:
        if "date" in known:
            year, month, of_month = (int(part) for part in (*known["date"].split("-"), "1", "1")[:3])
            age = day.year - year - ((day.month, day.day) < (month, of_month))
        elif "age_years" in known and "age_on" in known:
            since = date.fromisoformat(known["age_on"])
            age = int(known["age_years"]) + day.year - since.year + 1  # a birthday may have passed in each year
        else:
            return None
    except (ValueError, TypeError):
        return None  # no day of the calendar: a correction may have put any text here
    return age if age >= 0 else None


# --- R-45 -------------------------------------------------------------------------------------------------------------


def _consulate(kind: str, body: Body, child: Mapping[str, Any], sides: Sides) -> Iterator[Reason]:
    """R-45; VCCR 37(b), without delay; B2b recital 84: whether the consulate is told is decided and recorded.

    Nothing tells a consulate by itself, and R-01 comes first: a State that the child fled from is not told. The 24 hours
    are a product default.
    """
    caring = (sides.here if kind == _CARED_FOR_HERE else sides.there).country
    nationalities = child.get("named", child).get("nationalities", {}).get("value", ())
    if nationalities and caring in nationalities:
        return
    if body.get("consular", "PENDING_DECISION") == "PENDING_DECISION":
        text = (
            f"For a child who is not of {caring}: decide within 24 hours whether the consulate is told, and record it."
        )
        yield warn("R-45", "consulate-not-decided", "/consular" if "consular" in body else "", text)


# --- R-09, R-12 -------------------------------------------------------------------------------------------------------


def _recognised(acceptance: Body, side: Side) -> Iterator[Reason]:
    """R-09; S004:1236, ATD 11: the receiving country recognises a status and gives services, and has said which."""
    statuses = _codes(acceptance["status_recognised"], "status", _STATUSES)
    decisions = _codes(acceptance["services"], "decision", _DECISIONS)
    if statuses is None or decisions is None:
        text = f"{side.country} has told in words which status it recognises, or which services it gives: read them."
        yield hold("R-09", "recognition-in-words", "", text)
    if statuses and _NO_STATUS.issuperset(statuses):
        text = f"{side.country} has not recognised the child as a victim: ask it once more, or find another way."
        yield hold("R-09", "not-recognised", "", text)
    if decisions and set(decisions) == {"DECLINED"}:
        yield hold("R-09", "services-declined", "", f"{side.country} declines every service: find another way.")
    for name, what in (
        ("status_recognised", "which status it recognises"),
        ("services", "which services are arranged"),
    ):
        if "value" not in acceptance[name] and "not_applicable" not in acceptance[name]:
            yield hold("R-09", "recognition-not-confirmed", "", f"{side.country} has not said {what}.")


def _codes(fact: Mapping[str, Any], name: str, known: frozenset[str]) -> list[Any] | None:
    """Return the codes that a fact's value holds; None: a correction has put words there, which only people read."""
    value = fact.get("value", ())
    items = value if isinstance(value, list | tuple) else (value,)
    found = [item.get(name) if isinstance(item, Mapping) else None for item in items]
    return found if known.issuperset(found) else None


def _notice(header: Header, body: Body, day: date) -> Iterator[Reason]:
    """R-12; IR2055 25(3), 26(3): a plan for a child goes out 21 days before the arrival, unless both authorities agree."""
    basis = header.legal_basis.code if header.legal_basis else ""
    arrives = day_of(body["arrival"]["at"]) if basis in _ASYLUM else None
    if basis in _ASYLUM and (arrives is None or (arrives - day).days < _NOTICE):
        text = f"The arrival is less than {_NOTICE} days away: both authorities must agree to the shorter notice."
        yield hold("R-12", "notice-too-short", "/arrival", text)


# --- R-34 -------------------------------------------------------------------------------------------------------------


def _second_decision(body: Body, place: str, side: Side, *, where: str) -> Iterator[Reason]:
    """R-34; DE IntFamRVG 46(2), 47: consent counts with the second decision that the country's law asks for."""
    if "value" in body.get(place, {}):
        return
    needed = side.says(_SECOND)
    if needed:
        yield block(
            "R-34", "second-decision-missing", where,
            f"In {side.country} this consent counts with a second decision, and none is named.",
        )  # fmt: skip
    elif needed is None and side.applies(_SECOND):
        yield warn("R-34", "second-decision-not-known", where, side.open_question(_SECOND))
