# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-01: no contact with the country of origin of somebody who seeks or holds protection (DOMAIN 8; CASEWORK C-04)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.ids import CountryCode
from broker.core.messages import Body
from broker.core.reasons import Reason, block, hold

__all__ = ["CHILDS_CLAIM", "claim_dropped", "claims_dropped", "no_contact_with_origin"]

_PROTECTED = frozenset({"PENDING", "GRANTED", "POSSIBLE"})
_ENDED = frozenset({"REJECTED_FINAL", "WITHDRAWN"})
_CLAIMED = _PROTECTED | _ENDED | {"TEMPORARY_PROTECTION"}
_NO_CLAIM = frozenset({"NONE", "NOT_RECORDED"})
_STATELESS = "XXA"
CHILDS_CLAIM = "/protection_claim/status"


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


def no_contact_with_origin(body: Body, country: CountryCode) -> Iterator[Reason]:
    """R-01 as corrected by CASEWORK C-04; APR 7(2), RCD 27(10), QR 33(7).

    A State of origin is one of nationality, for a stateless person or an unstated nationality one of former habitual
    residence, and any that is feared. What is not recorded could be the addressee.
    """
    serious = body["danger_assessment"]["outcome"] == "SERIOUS_DANGER"
    for claim in _claims(body):
        reason = _judge(claim, country, serious=serious)
        if reason is not None:
            yield reason


def claims_dropped(before: Body, after: Body) -> Iterator[str]:
    """Yield each place at which a claim was recorded and none is any more; that one was refused or withdrawn says it still."""
    now = {claim.where: claim.status for claim in _claims(after)}
    for claim in _claims(before):
        if claim.status in _CLAIMED and now.get(claim.where) not in _CLAIMED:
            yield claim.where


def claim_dropped(where: str) -> Reason:
    """R-01; DOMAIN 8: a recorded claim is changed with guardian and lawyer alone; who reads it may ask the State fled from."""
    text = (
        "A claim to protection was recorded, and this says that there is none: guardian and lawyer must have said so."
    )
    return hold("R-01", "claim-dropped", where, text)


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
