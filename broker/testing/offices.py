# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Offices with keys of their own, and invented insides for sealed parts: what stands where no node can read."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from broker.catalogue import Catalogue
from broker.core.ids import AuthorityId, CountryCode, MessageType, SchemaVersion
from broker.core.messages import Party
from broker.core.rotation import PublicKey
from broker.core.sealed_parts import put
from broker.core.trust import LONGEST_ENVELOPE_LIFE, AuthorityKey, KeyUse, Member, TrustList
from broker.sealed.sealing import SealedSubmission, seal_submission
from broker.security import jwk
from broker.security.suite import KeyRing

__all__ = [
    "INSIDES",
    "authority_key",
    "in_clear",
    "office",
    "opener_of",
    "sealed_anew",
    "unsafe_seed",
    "with_office_keys",
]

_OFFICE = MappingProxyType({"name": "Test-Office", "kind": "CP_SERVICE", "country": "EE"})

INSIDES: Mapping[str, Any] = MappingProxyType(
    {
        "parts/best-interests-statements.json": {
            "statements": [
                {
                    "nature": "FACT",
                    "text": "Test-Statement of an invented doctor.",
                    "by": dict(_OFFICE),
                    "on": "2026-11-01",
                    "source": "VISIT",
                }
            ]
        },
        "parts/carer-contact.json": {"address": {"country": "EE", "town": "Test-Tartu", "street": "Test-Street 1"}},
        "parts/carer-checks.json": {
            "criminal_record": {"value": "None, in this test."},
            "child_protection": {"value": "None, in this test."},
            "health": {"unknown": True},
            "by": dict(_OFFICE),
            "on": "2026-11-01",
        },
        "parts/handling.json": {"excluded_persons": ["Test-Uncle"], "note": "Invented for a test."},
        "parts/health-summary.json": {
            "urgent": {"value": "Test-Asthma, invented."},
            "medicines": {"value": "Test-Inhaler"},
            "allergies": {"unknown": True},
            "told_by": dict(_OFFICE),
            "on": "2026-11-01",
        },
        "parts/self-assessment.json": {
            "answers": [
                {"area": "SECURE_BASE", "level": "NEEDS_HELP", "words": "Test-words of an invented child."},
                {"area": "PEERS", "level": "GOING_WELL"},
            ],
            "on": "2026-11-01",
            "language": "et",
            "helped_by": {"unknown": True},
            "child_sends_it": {"on": "2026-11-01", "recorded_by": dict(_OFFICE)},
        },
        "parts/whereabouts.json": {
            "place": {"country": "EE", "town": "Test-Tartu", "address": "Test-Shelter, Hidden Lane 7"},
            "with": {"unknown": True},
            "since": {"value": "2026-11-01"},
            "may_be_told": [],
        },
        "parts/photograph.json": {
            "attachment": {"digest": "0" * 64, "title": "Test-photograph"},
            "taken_on": {"unknown": True},
            "shows": "An invented face",
        },
    }
)


def office(named: str) -> Party:
    """Return the office of COUNTRY/AUTHORITY."""
    country, _, authority = named.partition("/")
    return Party(country=CountryCode(country), authority=AuthorityId(authority))


def unsafe_seed(owner: Party, number: int = 1) -> bytes:
    """Return the private key of an office in every simulation: made from its name, and so no secret."""
    return hashlib.sha256(f"office of a simulation {owner.country}/{owner.authority} {number}".encode()).digest()


@functools.cache
def authority_key(owner: Party, number: int = 1) -> PublicKey:
    """Return an office's public key."""
    public = jwk.public_of(KeyUse.HPKE, unsafe_seed(owner, number))
    return PublicKey(kid=jwk.thumbprint(KeyUse.HPKE, public), use=KeyUse.HPKE, public=public)


def opener_of(owner: Party, *numbers: int) -> KeyRing:
    """Return what opens what was sealed to that office's keys; without numbers, to its first one."""
    return KeyRing({authority_key(owner, number).kid: unsafe_seed(owner, number) for number in numbers or (1,)})


def with_office_keys(member: Member, *, start: datetime, number: int = 1) -> Member:
    """Return the member with one key for each of its offices, valid for a year."""
    until = start + timedelta(days=365)

    def listed(authority: AuthorityId) -> AuthorityKey:
        key = authority_key(Party(country=member.country, authority=authority), number)
        return AuthorityKey(
            kid=key.kid,
            public=key.public,
            not_before=start,
            seal_until=until,
            accept_until=until + LONGEST_ENVELOPE_LIFE,
        )

    offices = tuple(replace(item, keys=(*item.keys, listed(item.id))) for item in member.authorities)
    return replace(member, authorities=offices)


def in_clear(data: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return a submission as its office has it before sealing: an invented inside for each sealed part of an example."""
    kind = MessageType(data["type"])
    version = SchemaVersion(data["version"]) if "version" in data else catalogue.newest(kind)
    body = data["body"]
    for place, schema in catalogue.sealed_schemas(kind, version, body):
        body = put(body, place, INSIDES[schema])
    return {**data, "body": body}


def sealed_anew(
    data: Mapping[str, Any], *, country: CountryCode, trust: TrustList, catalogue: Catalogue, now: datetime
) -> SealedSubmission:
    """Return an example with its parts sealed for real to the office that it goes to."""
    return seal_submission(in_clear(data, catalogue), country=country, trust=trust, catalogue=catalogue, now=now)
