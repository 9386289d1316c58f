# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Two members with fresh keys, and an ordinary message between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from broker.core import content
from broker.core.ids import AuthorityId, CountryCode, MessageId, MessageType, SchemaVersion
from broker.core.messages import Header, Party, ProfileHeader
from broker.core.trust import KeyUse, Member, MemberKey, TrustList
from broker.security import jwk
from broker.security.suite import KeyPairSigner, KeyRing

EE, FI = CountryCode("EE"), CountryCode("FI")


@dataclass(frozen=True)
class Keys:
    """A member's fresh keys: private seeds and the public side as a trust list has it."""

    seeds: Mapping[KeyUse, bytes]
    listed: Mapping[KeyUse, MemberKey]

    @property
    def signer(self) -> KeyPairSigner:
        return KeyPairSigner(self.seeds[KeyUse.ED25519], self.seeds[KeyUse.ML_DSA_65])

    @property
    def ring(self) -> KeyRing:
        return KeyRing({self.listed[KeyUse.HPKE].kid: self.seeds[KeyUse.HPKE]})

    def member(self, country: CountryCode) -> Member:
        return Member(country=country, keys=tuple(self.listed.values()))


def fresh_keys(now: datetime) -> Keys:
    """Return keys that may be used from yesterday on."""
    seeds, listed = {}, {}
    for use in KeyUse:
        seeds[use], public = jwk.generate(use)
        listed[use] = MemberKey(
            kid=jwk.thumbprint(use, public),
            use=use,
            public=public,
            not_before=now - timedelta(days=1),
            sign_until=now + timedelta(days=90),
            accept_until=now + timedelta(days=160),
        )
    return Keys(seeds=seeds, listed=listed)


@dataclass(frozen=True)
class World:
    """Two members, the moment, and what one says to the other."""

    now: datetime
    ee: Keys
    fi: Keys
    header: Header
    profile: ProfileHeader
    body: Mapping[str, object] = field(default_factory=lambda: {"name": "Test-Maarika Näidis"})

    @property
    def trust(self) -> TrustList:
        return TrustList(version=7, members={EE: self.ee.member(EE), FI: self.fi.member(FI)})

    @property
    def content(self) -> bytes:
        return content.encode(self.header, self.body)


@pytest.fixture(scope="session")
def world() -> World:
    """Estonia writes to Finland."""
    now = datetime(2026, 11, 22, 3, tzinfo=UTC)
    message = MessageId("019aa9c1-7c00-7abc-8def-0123456789ab")
    header = Header(
        id=message,
        type=MessageType("node.sample"),
        version=SchemaVersion("1.0"),
        sender=Party(country=EE, authority=AuthorityId("node")),
        recipient=Party(country=FI, authority=AuthorityId("node")),
        created=now,
        exercise=False,
        nonce="AAECAwQFBgcICQoLDA0ODw",
    )
    expires = int((now + timedelta(days=30)).timestamp())
    profile = ProfileHeader(sender=EE, recipient=FI, id=message, expires=expires, exercise=False)
    return World(now=now, ee=fresh_keys(now), fi=fresh_keys(now), header=header, profile=profile)
