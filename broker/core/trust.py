# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The trust list as a value: who is a member, which keys speak for it, from when to when.

Keys are judged at the moment of reception by the newest list (DESIGN: envelope, keys); the list's version is stored
beside what was judged, so that an old message can be verified as of its day.

A list that ran out is not worthless: receiving goes on with it, because what arrives was sealed to us while it held;
sending stops some days later, because a key that was revoked since would still be sealed to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from broker.core.arrangements import ArrangementRegister
from broker.core.ids import AuthorityId, CountryCode, Digest, KeyId, MessageType, SchemaVersion
from broker.core.profiles import CountryProfile

__all__ = [
    "GRACE", "LONGEST_ENVELOPE_LIFE", "WARN_DAYS", "Authority", "AuthorityKey", "ContactKind", "ContactPoint", "KeyUse", "Member", "MemberKey",
    "MemberKind", "MemberStatus", "OpeningHours", "RevocationReason", "TrustList", "TrustRule", "Weekday",
]  # fmt: skip

LONGEST_ENVELOPE_LIFE = timedelta(days=60)  # what was sealed on a key's last day must still be accepted on arrival
WARN_DAYS = 14  # before something of the list runs out
GRACE = timedelta(days=14)  # after it ran out sending goes on for that long, where no setting says otherwise


class TrustRule(StrEnum):
    """Which rule a trust list, or one member's document in it, broke; people are told it by this name."""

    UNREACHABLE = "unreachable"  # the source does not answer, or not in time
    MISSING = "missing"  # a file that the signed lists name is not there
    MALFORMED = "malformed"  # not JSON, not metadata, or a name twice in one object
    THRESHOLD = "threshold"  # too few of the officers that count have signed
    VERSION = "version"  # older than what was seen before, skipped, or not the one that was announced
    EXPIRED = "expired"  # its signers did not renew it in time
    HASH = "hash"  # length or hash is not the one that was signed
    TOO_LARGE = "too-large"  # more bytes than such a file may have
    DELEGATION = "delegation"  # somebody speaks for what is not theirs
    ALGORITHM = "algorithm"  # a key that a quantum computer could forge, or one key under two names
    DOCUMENT = "document"  # signed, and yet not the form that such a document has
    SHARED_KEY = "shared-key"  # one key claimed by two members
    CATALOGUE = "catalogue"  # the message schemas in it do not load
    GOES_BACK = "goes-back"  # older than the list that is in force here


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


class RevocationReason(StrEnum):
    """Why a key was revoked (the reasons of RFC 5280 that fit)."""

    COMPROMISED = "key-compromise"  # somebody else may hold the private part
    SUPERSEDED = "superseded"  # another key took its place
    CEASED = "cessation-of-operation"  # nobody uses it any more


class Weekday(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class ContactKind(StrEnum):
    """How an office is reached outside of this channel."""

    PHONE = "phone"
    DUTY_PHONE = "duty-phone"  # somebody answers at any hour
    EMAIL = "email"
    POST = "post"
    WEB = "web"


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
    revoked_because: RevocationReason | None = None

    def usable(self, now: datetime) -> bool:
        """Whether something new may be signed with or sealed to this key."""
        return self.not_before <= now < self.sign_until and (self.revoked_at is None or now < self.revoked_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityKey:
    """A public encryption key of one office, for what no node may read (PROTOCOL 16); all times aware UTC."""

    kid: KeyId
    public: bytes  # raw public key of HPKE-9-KE; its private part is with the office, outside every node
    not_before: datetime
    seal_until: datetime  # senders' offices seal to it until then
    accept_until: datetime  # nodes take what is sealed to it until then; ≥ seal_until + longest envelope life
    revoked_at: datetime | None = None
    revoked_because: RevocationReason | None = None

    def usable(self, now: datetime) -> bool:
        """Whether something new may be sealed to this key."""
        return self.not_before <= now < self.seal_until and not self.revoked(now)

    def revoked(self, now: datetime) -> bool:
        """Whether its revocation has come."""
        return self.revoked_at is not None and now >= self.revoked_at


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningHours:
    """When an office is open, in its own time zone; ``24:00`` is the end of the day."""

    days: tuple[Weekday, ...]
    opens: str  # HH:MM
    closes: str  # HH:MM, later than it opens

    def to_json(self) -> dict[str, Any]:
        """Return the form that it has in documents and answers."""
        return {"days": [day.value for day in self.days], "opens": self.opens, "closes": self.closes}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactPoint:
    """One way to reach an office; an office's, never a person's own."""

    kind: ContactKind
    value: str
    languages: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the form that it has in documents and answers."""
        return {"kind": self.kind.value, "value": self.value, "languages": list(self.languages)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """An office of a member that messages can be addressed to."""

    id: AuthorityId
    name: str
    languages: tuple[str, ...] = ()  # BCP 47, the ones it works in
    competences: tuple[str, ...] = ()  # codes
    time_zone: str | None = None  # name in the IANA database
    opening_hours: tuple[OpeningHours, ...] = ()  # empty: not said
    contact_points: tuple[ContactPoint, ...] = ()
    keys: tuple[AuthorityKey, ...] = ()  # none: nothing can be sealed to this office

    def key_for_sealing(self, now: datetime) -> AuthorityKey | None:
        """Return the newest key that may be sealed to now."""
        return max((key for key in self.keys if key.usable(now)), key=lambda key: key.not_before, default=None)

    def key(self, kid: KeyId) -> AuthorityKey | None:
        """Return the office's key of that id."""
        return next((key for key in self.keys if key.kid == kid), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A country in the trust list."""

    country: CountryCode
    status: MemberStatus = MemberStatus.ACTIVE
    kind: MemberKind = MemberKind.STATE
    expires: datetime | None = None  # when its own officers must have renewed its document; None: not signed by any
    keys: tuple[MemberKey, ...] = ()
    authorities: tuple[Authority, ...] = ()
    messages: Mapping[MessageType, tuple[SchemaVersion, ...]] = field(default_factory=dict)  # versions it takes
    procedures: Mapping[str, tuple[SchemaVersion, ...]] = field(default_factory=dict)  # table versions it works by

    def key_for(self, use: KeyUse, now: datetime) -> MemberKey | None:
        """Return the newest key of that use that may be used now."""
        usable = [key for key in self.keys if key.use is use and key.usable(now)]
        return max(usable, key=lambda key: key.not_before, default=None)

    def authority(self, authority: AuthorityId) -> Authority | None:
        """Return the office of that id."""
        return next((office for office in self.authorities if office.id == authority), None)

    def all_kids(self) -> tuple[KeyId, ...]:
        """Return the ids of the node's keys and of its offices' keys, in their order."""
        return (*(key.kid for key in self.keys), *(key.kid for office in self.authorities for key in office.keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """One immutable, verified state of the federation."""

    version: int  # of the snapshot that it was read from
    members: Mapping[CountryCode, Member]
    profiles: Mapping[CountryCode, CountryProfile] = field(default_factory=dict)  # what nobody wrote is unknown
    arrangements: ArrangementRegister | None = None  # None: the federation keeps no register
    expires: datetime | None = None  # the earliest end of what the federation signs; None: nothing of it ends
    catalogue: Digest | None = None  # of the signed bundle of message schemas

    def sendable(self, now: datetime, grace: timedelta) -> bool:
        """Whether anything may still be sent by this list: until some days after it ran out."""
        return _fresh(self.expires, now, grace)

    def sendable_to(self, country: CountryCode, now: datetime, grace: timedelta) -> bool:
        """Whether the list and what that member's own officers signed are both fresh enough to send to it."""
        member = self.members.get(country)
        return (member is None or _fresh(member.expires, now, grace)) and self.sendable(now, grace)

    def find_key(self, kid: KeyId) -> tuple[Member, MemberKey] | None:
        """Return the key of that thumbprint and the member it speaks for."""
        for member in self.members.values():
            for key in member.keys:
                if key.kid == kid:
                    return member, key
        return None


def _fresh(end: datetime | None, now: datetime, grace: timedelta) -> bool:
    # Nothing is added to an end: a member may have signed the last day there is.
    return end is None or now - grace < end
