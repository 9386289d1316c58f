# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Safeguards for placing a child in another country: who is assessed as a carer, the request, the consent and the order.

CASEWORK 4.5. That there is a consent in effect, for exactly this request and still valid, is the clearance of the order
(R-07; see `clearance`); which exemptions a legal basis knows is held by the catalogue (R-32). Unknown is never read as safe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from broker.core.ids import CountryCode
from broker.core.messages import Body
from broker.core.reasons import Reason, Rule, block, hold

__all__ = ["PLACEMENT_RULES", "translated"]


def _carers(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-04: nobody proposes a carer who was found not to be safe; the requested State looks at the others."""
    for position, carer in enumerate(body["carers"].get("value", ())):
        if carer["safety"].get("value") == "NOT_SAFE":
            where = f"/carers/value/{position}/safety"
            yield block("R-04", "carer-not-safe", where, "This carer was found not to be safe for the child.")


def _heard(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-05, for a placement; CRC 12, B2b 21, 39(2). Without a hearing, recognition of the placement may be refused."""
    if "heard" not in body["views"]:
        yield hold("R-05", "child-not-heard", "/views", "The child was not heard about the placement.")
    elif body["views"]["heard"]["wants"] == "NO":
        yield hold("R-05", "child-does-not-want", "/views/heard/wants", "The child does not want this.")


def translated(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-20; B2b 80(3), 82(4), H96 54, of any request. A machine's translation that nobody read is none."""
    translation = body["translation"]
    if translation.get("value", {}).get("kind") == "MACHINE":
        yield hold("R-20", "translation-by-machine", "/translation/value/kind", "Nobody has read the translation.")
    elif "value" not in translation and "not_applicable" not in translation:
        yield hold("R-20", "translation-missing", "/translation", "No translation comes with it.")


def _consented(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-33: the law of some States makes the child's or the guardian's consent a condition; SE from 15."""
    if "given" not in body["child_consent"]:
        where = "/child_consent/coded_basis"
        yield hold("R-33", "nobody-consented", where, "Neither the child nor the guardian has consented.")


def _liberty(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-34: a court of the requesting State decides on deprivation of liberty before the placement is asked for."""
    closed = body["care"]["closed"]
    if closed.get("value") == "YES" and "value" not in body["closed_order"]:
        yield block("R-34", "no-court-decision", "/closed_order", "No court has decided on the deprivation of liberty.")
    elif "value" not in closed:
        yield hold("R-34", "liberty-not-known", "/care/closed", "It is not said whether the child would be locked in.")


def _siblings(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-35; CRC 9."""
    siblings = body["siblings"]
    if siblings.get("value", {}).get("together") == "NO":
        where = "/siblings/value/together"
        yield hold("R-35", "siblings-separated", where, "Brothers and sisters would be separated.")
    elif "value" not in siblings and "not_applicable" not in siblings:
        yield hold("R-35", "siblings-not-known", "/siblings", "It is not said whether there are brothers or sisters.")


def _second_decision(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-34: a consent counts with the second decision that national law asks for, or where it asks for none."""
    second = body["second_decision"]
    if "value" not in second and "not_applicable" not in second:
        where = "/second_decision"
        yield block("R-34", "second-decision-open", where, "It is not said that the second decision has been taken.")


def _told(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-46; S000:50."""
    if not body["informed"]:
        yield hold("R-46", "child-not-told", "/informed", "The child has not been told of the decision.")


def _remedy(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-28: nothing is ordered while a remedy suspends it."""
    if body["remedy"] == "OPEN_SUSPENSIVE":
        yield block("R-28", "remedy-open", "/remedy", "A legal remedy suspends the placement.")
    elif body["remedy"] == "UNKNOWN":
        yield hold("R-28", "remedy-not-known", "/remedy", "It is not known whether a legal remedy is open.")


def _involvement(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-04 as corrected by CASEWORK C-15; S004:1238. Nobody is called safe whose part in it nobody has looked at."""
    for position, person in enumerate(body["persons"]):
        safe = person["safety"].get("value", {}).get("outcome") == "SAFE"
        if safe and person["involvement"].get("value", {}).get("outcome") != "NO_SIGN":
            where = f"/persons/{position}/involvement"
            yield hold(
                "R-04", "involvement-not-excluded", where, "Called safe without a look at a part in the exploitation."
            )


PLACEMENT_RULES: Mapping[str, Mapping[str, Rule]] = {
    "carer-assessment.report": {"R-04": _involvement},
    "placement.request": {
        "R-04": _carers,
        "R-05": _heard,
        "R-20": translated,
        "R-33": _consented,
        "R-34": _liberty,
        "R-35": _siblings,
    },
    "placement.decision": {"R-34": _second_decision, "R-46": _told},
    "placement.order": {"R-28": _remedy},
}
