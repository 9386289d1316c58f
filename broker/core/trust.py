# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The trust list as a value: who is a member, which keys speak for it, from when to when.

Keys are judged at the moment of reception by the newest list (DESIGN: envelope, keys); the list's version is stored
beside what was judged, so that an old message can be verified as of its day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from broker.core.arrangements import ArrangementRegister
from broker.core.ids import AuthorityId, CountryCode, KeyId, MessageType, SchemaVersion
from broker.core.profiles import CountryProfile

__all__ = ["Authority", "KeyUse", "Member", "MemberKey", "MemberKind", "MemberStatus", "TrustList"]


class KeyUse(StrEnum):
    """A key has exactly one use, named by its algorithm."""

    ED25519 = "Ed25519"  # signature, RFC 9864
    ML_DSA_65 = "ML-DSA-65"  # signature, RFC 9964
    HPKE = "HPKE-9-KE"  # key encryption, draft-ietf-jose-hpke-pq-pqt


class MemberStatus(StrEnum):
    """A suspended member's messages are parked and nothing is sent to it."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


class MemberKind(StrEnum):
    """PAPER counterparts have no node (CASEWORK E-3)."""

    STATE = "STATE"
    PAPER = "PAPER"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberKey:
    """A public key with its validity; all times aware UTC."""

    kid: KeyId
    use: KeyUse
    public: bytes  # raw public key of the algorithm
    not_before: datetime
    sign_until: datetime  # the member signs or is sealed to with it until then
    accept_until: datetime  # receivers take it until then; ≥ sign_until + longest envelope life
    revoked_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        """Whether something new may be signed with or sealed to this key."""
        return self.not_before <= now < self.sign_until and (self.revoked_at is None or now < self.revoked_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """An office of a member that messages can be addressed to."""

    id: AuthorityId
    name: str
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A country in the trust list."""

    country: CountryCode
    status: MemberStatus = MemberStatus.ACTIVE
    kind: MemberKind = MemberKind.STATE
    keys: tuple[MemberKey, ...] = ()
    authorities: tuple[Authority, ...] = ()
    messages: Mapping[MessageType, tuple[SchemaVersion, ...]] = field(default_factory=dict)  # versions it takes

    def key_for(self, use: KeyUse, now: datetime) -> MemberKey | None:
        """Return the newest key of that use that may be used now."""
        usable = [key for key in self.keys if key.use is use and key.usable(now)]
        return max(usable, key=lambda key: key.not_before, default=None)

    def authority(self, authority: AuthorityId) -> Authority | None:
        """Return the office of that id."""
        return next((office for office in self.authorities if office.id == authority), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """One immutable, verified state of the federation."""

    version: int
    members: Mapping[CountryCode, Member]
    profiles: Mapping[CountryCode, CountryProfile] = field(default_factory=dict)  # what nobody wrote is unknown
    arrangements: ArrangementRegister | None = None  # None: the federation keeps no register

    def find_key(self, kid: KeyId) -> tuple[Member, MemberKey] | None:
        """Return the key of that thumbprint and the member it speaks for."""
        for member in self.members.values():
            for key in member.keys:
                if key.kid == kid:
                    return member, key
        return None
