# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the trust list as a value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.ids import AuthorityId, CountryCode, KeyId
from broker.core.trust import Authority, KeyUse, Member, MemberKey, TrustList

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)
KEY = MemberKey(
    kid=KeyId("A" * 43),
    use=KeyUse.HPKE,
    public=b"public part",
    not_before=NOW,
    sign_until=NOW + 10 * DAY,
    accept_until=NOW + 20 * DAY,
)
NEWER = replace(KEY, kid=KeyId("B" * 43), not_before=NOW + DAY)
SIGNING = replace(KEY, kid=KeyId("C" * 43), use=KeyUse.ED25519)
FI = Member(
    country=CountryCode("FI"),
    keys=(NEWER, KEY, SIGNING),
    authorities=(Authority(id=AuthorityId("central-authority"), name="Test Central Authority"),),
)


@pytest.mark.parametrize(
    ("moment", "usable"),
    [(NOW - MOMENT, False), (NOW, True), (NOW + 10 * DAY - MOMENT, True), (NOW + 10 * DAY, False)],
)
def test_a_key_is_used_from_its_first_to_before_its_last_moment(moment: datetime, usable: bool) -> None:
    """Validity includes its start and excludes its end."""
    assert KEY.usable(moment) is usable


def test_a_revoked_key_is_used_no_more() -> None:
    """From the moment of revocation nothing new is made with a key; before it, it was good."""
    revoked = replace(KEY, revoked_at=NOW + DAY)
    assert revoked.usable(NOW + DAY - MOMENT)
    assert not revoked.usable(NOW + DAY)


def test_the_newest_usable_key_of_the_use_is_taken() -> None:
    """A newer key takes over when it begins; another use is never taken instead."""
    assert FI.key_for(KeyUse.HPKE, NOW) is KEY
    assert FI.key_for(KeyUse.HPKE, NOW + DAY) is NEWER
    assert FI.key_for(KeyUse.ED25519, NOW) is SIGNING
    assert FI.key_for(KeyUse.ML_DSA_65, NOW) is None
    assert FI.key_for(KeyUse.HPKE, NOW + 30 * DAY) is None


def test_an_authority_is_found_by_its_id() -> None:
    """Only the member's own offices are found."""
    found = FI.authority(AuthorityId("central-authority"))
    assert found is not None
    assert found.name == "Test Central Authority"
    assert FI.authority(AuthorityId("court")) is None


def test_a_key_leads_to_the_member_it_speaks_for() -> None:
    """A thumbprint finds its key and its member, revoked or not; an unknown one finds nothing."""
    trust = TrustList(version=1, members={FI.country: FI, CountryCode("EE"): Member(country=CountryCode("EE"))})
    assert trust.find_key(SIGNING.kid) == (FI, SIGNING)
    assert trust.find_key(KeyId("Z" * 43)) is None


def test_a_list_of_members_alone_has_no_profiles_and_no_register() -> None:
    """An early federation: nothing is known about rules of law, and no register forbids anything."""
    trust = TrustList(version=1, members={FI.country: FI})
    assert trust.profiles == {}
    assert trust.arrangements is None
