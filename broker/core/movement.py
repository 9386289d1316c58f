# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Safeguards for moving a child, or the child's case, to another country (CASEWORK 4.4, 4.5): plan, check, jurisdiction.

A plan may still have gaps, which a second person decides about; at the check before departure they are closed, or the
child does not leave. What nobody may release stops the departure too, by what plan and check say then: they may have been
corrected. Unknown is never read as safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from broker.core.corrected import as_corrected
from broker.core.deadlines import LONGEST_INTERVAL, LONGEST_JOURNEY
from broker.core.foregoing import NOT_JUDGED, readable
from broker.core.ids import CountryCode
from broker.core.messages import Body, ValidMessage
from broker.core.placement import PLACEMENT_RULES
from broker.core.reasons import Earlier, Level, Reason, Rule, block, hold, rests_on

__all__ = ["CHECK", "MOVEMENT_RULES", "NOT_SUSPENSIVE", "day_of", "moving"]

_FAMILY = frozenset(
    {"PARENTS", "STEP_PARENT", "CUSTOMARY_CAREGIVER", "ADULT_SIBLING", "KINSHIP_CARE", "UNRELATED_ADULT"}
)
_FAMILY_SOLUTION = frozenset({"TRANSFER_TO_FAMILY_OTHER_STATE"})
_RETURN = frozenset({"RETURN_REINTEGRATION_ORIGIN", "RETURN_COUNTRY_OF_RETURN"})
CHECK = "transfer.pre-departure"
_REQUEST, _ORDER = "placement.request", "placement.order"
_PLAN, _DEPARTURE, _VISITED = "transfer.plan", "transfer.departure", "monitoring.report"
NOT_SUSPENSIVE = frozenset({"NONE_OPEN", "OPEN_NOT_SUSPENSIVE"})  # in other words nobody can judge it
_SIX_MONTHS = timedelta(days=184)  # the longest six months of a calendar
_TOMORROW = timedelta(days=1)  # a country further east may have that day already
_ON_THE_WAY = frozenset({"transfer.departure", "transfer.delay"})


def _is(fact: Mapping[str, Any], *codes: str) -> bool:
    """Whether a fact has one of these values, or does not apply; unknown and withheld are neither."""
    return "not_applicable" in fact or fact.get("value") in codes


def _carers(part: Body, at: str) -> Iterator[Reason]:
    """R-04: identity and safety of each carer are found; S004:1238, AMMR 25. No release for a transfer."""
    carers = part["carers"]
    for position, carer in enumerate(carers.get("value", ())):
        where = f"{at}/carers/value/{position}"
        if carer["identity"].get("value") != "FOUND" or carer["safety"].get("value") != "SAFE":
            yield block(
                "R-04", "carer-not-verified", where, "Nobody has found that this carer is who is said, safe and able."
            )
    if "value" not in carers and "not_applicable" not in carers:
        yield block("R-04", "carers-not-known", f"{at}/carers", "It is not said who verified the carers.")


def _family(body: Body, _: CountryCode) -> Iterator[Reason]:
    yield from _carers(body, "")
    cared_by_family = body["care"]["kind"] in _FAMILY or body["durable_solution"] in _FAMILY_SOLUTION
    if cared_by_family and "not_applicable" in body["carers"]:
        yield block("R-04", "carers-not-known", "/carers", "It is not said who verified the carers.")


def _guardians(part: Body, at: str) -> Iterator[Reason]:
    """R-06: here and there, without a conflict of interest; ATD 16(3), AMMR 23(5)."""
    for name in ("guardian", "guardian_there"):
        guardian = part[name].get("value")
        if guardian is None:
            yield block(
                "R-06", "guardian-missing", f"{at}/{name}", "The child has no guardian on this side of the move."
            )
        elif guardian.get("conflict_declared_absent", {}).get("value") != "YES":
            yield block(
                "R-06", "conflict-not-excluded", f"{at}/{name}", "The guardian has not declared to be without conflict."
            )


def _heard(part: Body, at: str) -> Iterator[Reason]:
    """R-05, for a move: the child was heard; CRC 12."""
    heard = part["views"].get("heard")
    if heard is None:
        yield block("R-05", "child-not-heard", f"{at}/views", "The child was not heard about the move.")
    elif heard["wants"] == "NO":
        yield hold("R-05", "child-does-not-want", f"{at}/views/heard/wants", "The child does not want this.")


def _protection(part: Body, at: str, *, asked_for: bool) -> Iterator[Reason]:
    """R-27: no removal while identification is open or the reflection period runs; CETS197 10(2), 13(1)."""
    for name in ("identification_open", "reflection_running"):
        if part[name].get("value") == "YES" and not asked_for:
            yield block("R-27", "protected-from-removal", f"{at}/{name}", "The child must not be moved in this time.")
        elif not _is(part[name], "NO"):
            yield hold("R-27", "protection-open", f"{at}/{name}", "It is not certain that the child may be moved yet.")


def _remedy(part: Body, at: str) -> Iterator[Reason]:
    """R-28: a remedy or an objection is pending; S004:194, 1055."""
    if part["remedy"] == "OPEN_SUSPENSIVE":
        yield block("R-28", "remedy-open", f"{at}/remedy", "A legal remedy suspends the move.")
    elif part["remedy"] not in NOT_SUSPENSIVE:
        yield hold("R-28", "remedy-not-known", f"{at}/remedy", "It is not known whether a legal remedy is open.")
    if not _is(part["objection_open"], "NO"):
        yield hold("R-28", "objection-open", f"{at}/objection_open", "An objection is not answered in writing yet.")


def _proceedings(part: Body, at: str) -> Iterator[Reason]:
    """R-29: each of the proceedings is taken care of before the child leaves; CETS197 16(2)."""
    proceedings = part["proceedings"]
    if "value" not in proceedings and "not_applicable" not in proceedings:
        yield hold("R-29", "proceedings-not-known", f"{at}/proceedings", "It is not known which proceedings there are.")
    for position, item in enumerate(proceedings.get("value", ())):
        if "value" not in item["arrangement"] and "not_applicable" not in item["arrangement"]:
            where = f"{at}/proceedings/value/{position}/arrangement"
            yield hold(
                "R-29", "proceedings-not-arranged", where, "How the child takes part after leaving is not settled."
            )


def _lawyer(part: Body, at: str) -> Iterator[Reason]:
    """R-42: legal assistance before a transfer or a change of jurisdiction; S004:507, ATD 15."""
    if part["lawyer"]["status"] != "NAMED":
        yield hold("R-42", "no-lawyer", f"{at}/lawyer/status", "The child has no lawyer.")


def _consented(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-07: refused or withdrawn consent is no plan's ground; what is still asked for may be planned."""
    if body["standing"] in {"CONSENT_REFUSED", "CONSENT_WITHDRAWN", "CONSENT_LAPSED", "CONSENT_OVERDUE_NO_REPLY"}:
        yield block(
            "R-07", "no-consent", "/standing", "The receiving State has not consented, and silence is no consent."
        )


def _siblings(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-35; GC14, CRC 9. That brothers and sisters stay together, or why not, is said in words, which people read."""
    if "value" not in body["siblings"] and "not_applicable" not in body["siblings"]:
        yield hold("R-35", "siblings-not-known", "/siblings", "It is not said whether there are brothers or sisters.")


def _plan_standing(body: Body, _: CountryCode) -> Iterator[Reason]:
    yield from _remedy(body, "")


def _check_family(body: Body, _: CountryCode) -> Iterator[Reason]:
    yield from _carers(body["is_it_safe"], "/is_it_safe")


def _check_heard(body: Body, _: CountryCode) -> Iterator[Reason]:
    yield from _heard(body["knows_and_wants"], "/knows_and_wants")


def _check_guardians(body: Body, _: CountryCode) -> Iterator[Reason]:
    yield from _guardians(body["who_is_there"], "/who_is_there")


def _check_assessed(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-10: an individual assessment was done; CETS197 16(2), 16(7)."""
    if "done" not in body["is_it_safe"]["individual_assessment"].get("value", {}):
        yield block(
            "R-10", "not-assessed", "/is_it_safe/individual_assessment", "Nobody has assessed this child's move."
        )


def _check_identity(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-15: it is settled which child this is."""
    if body["which_child"]["identity_settled"] != "YES":
        yield hold(
            "R-15", "identity-not-settled", "/which_child/identity_settled", "It is not settled who the child is."
        )


def _check_received(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-11: the receiving office confirmed who meets the child, and somebody travels with the child."""
    if "value" not in body["who_meets"]["receiving"]["confirmed_on"]:
        where = "/who_meets/receiving/confirmed_on"
        yield block(
            "R-11", "receiver-not-confirmed", where, "The receiving office has not confirmed who meets the child."
        )
    if "value" not in body["who_is_there"]["escort"]:
        yield hold("R-11", "no-escort", "/who_is_there/escort", "The child would travel alone.")


def _check_removal(body: Body, _: CountryCode) -> Iterator[Reason]:
    wants = body["knows_and_wants"]
    givers = wants["child_consent"].get("given", {}).get("by", ())
    asked = wants["views"].get("heard", {}).get("wants") == "YES" and {"CHILD", "GUARDIAN"} <= set(givers)
    yield from _protection(body["is_it_safe"], "/is_it_safe", asked_for=asked)


def _check_remedy(body: Body, _: CountryCode) -> Iterator[Reason]:
    yield from _remedy(body["is_it_safe"], "/is_it_safe")


def _check_proceedings(body: Body, _: CountryCode) -> Iterator[Reason]:
    yield from _proceedings(body["is_it_safe"], "/is_it_safe")


def _check_lawyer(body: Body, _: CountryCode) -> Iterator[Reason]:
    yield from _lawyer(body["who_is_there"], "/who_is_there")


def _case_lawyer(body: Body, _: CountryCode) -> Iterator[Reason]:
    yield from _lawyer(body, "")


def moving(message: ValidMessage, earlier: Sequence[Earlier], day: date) -> Iterator[Reason]:
    """Yield what the day, or the plan that is carried out, has against a message about a child's move."""
    kind, body = message.header.type, message.body
    if kind in _ON_THE_WAY:
        yield from _expected(body, message.header.created)
    if kind == _VISITED:
        yield from _next_visit(body["visit"]["next_on"], day)
    if kind == _PLAN:
        yield from _verified_lately(body, "", day)
    if kind == CHECK:
        yield from _verified_lately(body["is_it_safe"], "/is_it_safe", day)
        yield from _lawyer_for_return(body, earlier, message.header.sender.country)
    if kind == _DEPARTURE:
        yield from _still_checked(earlier, message.header.sender.country, day)
    if kind == _ORDER:
        request = _newest(_REQUEST, as_corrected(earlier), message.header.sender.country)
        yield from _still_stands(request, "our request", PLACEMENT_RULES[_REQUEST].values())


def _expected(body: Body, created: datetime) -> Iterator[Reason]:
    """R-13; CASEWORK C-20, IR2055 24: nobody waits longer than a week for a child on its way before there is an alarm.

    Judged to the moment: a later arrival is not waited for (`deadlines.py`), and its alarm would come before it.
    """
    arrives = _moment_of(body["eta"]["at"])
    if arrives is None or arrives - created > LONGEST_JOURNEY:
        yield block(
            "R-13", "arrival-too-far", "/eta/at",
            f"An arrival is expected within {LONGEST_JOURNEY.days} days. Correct the day; where the child comes later than "
            "that, tell that it has not arrived (transfer.not-arrived): that calls both sides.",
        )  # fmt: skip


def _next_visit(stated: Mapping[str, Any], day: date) -> Iterator[Reason]:
    """R-14; S004:1240: the day of the next visit is what becomes overdue; without one nobody would miss it."""
    named = stated.get("value")
    far = named is not None and date.fromisoformat(named) - day > LONGEST_INTERVAL
    if far or (named is None and "not_applicable" not in stated):
        text = (
            "No visit follows within a year: nobody would notice if none came. Name the day on which somebody looks again; a "
            "supervisor may lengthen the interval."
        )
        yield hold("R-14", "next-visit-not-near", "/visit/next_on", text)


def _verified_lately(part: Body, at: str, day: date) -> Iterator[Reason]:
    """R-04; DOMAIN 8: what was found of a carer holds for six months at most. No release for a transfer."""
    for position, carer in enumerate(part["carers"].get("value", ())):
        on, where = date.fromisoformat(carer["on"]), f"{at}/carers/value/{position}/on"
        if on < day - _SIX_MONTHS:
            text = "This carer was verified more than six months ago: have it looked at again."
            yield block("R-04", "carer-verified-long-ago", where, text)
        elif on > day + _TOMORROW:
            yield block(
                "R-04", "carer-verified-ahead", where, "This day is still to come: name the one of the verification."
            )


def _lawyer_for_return(body: Body, earlier: Sequence[Earlier], us: CountryCode) -> Iterator[Reason]:
    """R-42; CASEWORK 4.5: that a child leaves without a lawyer may be released for a transfer, never for a return.

    What was once planned as a return stays one: only another plan makes it none.
    """
    readings = [_newest(_PLAN, told, us) for told in (earlier, as_corrected(earlier))]
    returns = any(plan is not None and plan.body["durable_solution"] in _RETURN for plan in readings)
    if returns and body["who_is_there"]["lawyer"]["status"] != "NAMED":
        where = "/who_is_there/lawyer/status"
        yield block("R-42", "no-lawyer-for-return", where, "No child is returned without a lawyer beside it.")


def _still_checked(earlier: Sequence[Earlier], us: CountryCode, day: date) -> Iterator[Reason]:
    """R-04 … R-42: the child departs on what our plan and our check say on the day, as they read now."""

    def of_check(body: Body, _: CountryCode) -> Iterator[Reason]:
        yield from _verified_lately(body["is_it_safe"], "", day)
        yield from _lawyer_for_return(body, earlier, us)

    now = as_corrected(earlier)
    yield from _still_stands(_newest(_PLAN, now, us), "our plan", MOVEMENT_RULES[_PLAN].values())
    rules = (*MOVEMENT_RULES[CHECK].values(), of_check)
    yield from _still_stands(_newest(CHECK, now, us), "our check before departure", rules)


def _still_stands(item: Earlier | None, what: str, rules: Iterable[Rule]) -> Iterator[Reason]:
    """Yield what nobody may release in what a step rests on; without it the procedure's table lets nobody take the step."""
    if item is None:
        return
    yield from rests_on(item, what)
    for rule in rules:
        for reason in readable(rule, item.body, item.author):
            if reason.level is Level.BLOCK or reason.code == NOT_JUDGED:
                yield replace(reason, where="", text=f"By {what}: {reason.text}")


def _newest(kind: str, told: Sequence[Earlier], us: CountryCode) -> Earlier | None:
    """Return our newest message of that type; what the other side calls one is none."""
    return next((item for item in reversed(told) if item.type == kind and item.author == us), None)


def day_of(moment: str) -> date | None:
    """Return the day of a moment as the schemas write it; None: they let a 31 February through."""
    found = _moment_of(moment)
    return None if found is None else found.date()


def _moment_of(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


MOVEMENT_RULES: Mapping[str, Mapping[str, Rule]] = {
    "jurisdiction.request": {"R-42": _case_lawyer},
    "transfer.plan": {"R-04": _family, "R-07": _consented, "R-28": _plan_standing, "R-35": _siblings},
    "transfer.pre-departure": {
        "R-04": _check_family,
        "R-05": _check_heard,
        "R-06": _check_guardians,
        "R-10": _check_assessed,
        "R-11": _check_received,
        "R-15": _check_identity,
        "R-27": _check_removal,
        "R-28": _check_remedy,
        "R-29": _check_proceedings,
        "R-42": _check_lawyer,
    },
}
