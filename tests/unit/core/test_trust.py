# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the trust list as a value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.ids import AuthorityId, CountryCode, KeyId
from broker.core.trust import Authority, AuthorityKey, KeyUse, Member, MemberKey, TrustList

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
OFFICE_KEY = AuthorityKey(
    kid=KeyId("D" * 43),
    public=b"public part",
    not_before=NOW,
    seal_until=NOW + 10 * DAY,
    accept_until=NOW + 20 * DAY,
)
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


def test_an_office_is_sealed_to_from_a_keys_first_to_before_its_last_moment() -> None:
    """Validity includes its start and excludes its end, and ends with a revocation."""
    for moment, usable in (
        (NOW - MOMENT, False),
        (NOW, True),
        (NOW + 10 * DAY - MOMENT, True),
        (NOW + 10 * DAY, False),
    ):
        assert OFFICE_KEY.usable(moment) is usable
    gone = replace(OFFICE_KEY, revoked_at=NOW + DAY)
    assert not OFFICE_KEY.revoked(NOW + DAY)
    assert (gone.revoked(NOW + DAY - MOMENT), gone.usable(NOW + DAY - MOMENT)) == (False, True)
    assert (gone.revoked(NOW + DAY), gone.usable(NOW + DAY)) == (True, False)


def test_the_newest_usable_key_of_an_office_is_sealed_to() -> None:
    """One that is revoked or not begun is passed over; each is still found by its id."""
    newer = replace(OFFICE_KEY, kid=KeyId("E" * 43), not_before=NOW + DAY)
    revoked = replace(newer, kid=KeyId("F" * 43), not_before=NOW + 2 * DAY, revoked_at=NOW)
    office = Authority(id=AuthorityId("court"), name="Test Court", keys=(newer, revoked, OFFICE_KEY))
    assert office.key_for_sealing(NOW) is OFFICE_KEY
    assert office.key_for_sealing(NOW + 3 * DAY) is newer
    assert office.key_for_sealing(NOW + 30 * DAY) is None
    assert office.key(revoked.kid) is revoked
    assert office.key(KEY.kid) is None


def test_sending_goes_on_for_some_days_after_the_list_ran_out() -> None:
    """Until the grace is over, and for ever where nothing ends."""
    trust = TrustList(version=1, members={}, expires=NOW)
    assert trust.sendable(NOW + DAY - MOMENT, DAY)
    assert not trust.sendable(NOW + DAY, DAY)
    assert replace(trust, expires=None).sendable(NOW + 1000 * DAY, DAY)


def test_sending_to_a_country_ends_with_its_own_officers_list_or_with_the_federations() -> None:
    """Whichever ran out first; a country without an end of its own, or none of the list, has the federation's."""
    late, never = replace(FI, expires=NOW), Member(country=CountryCode("EE"))
    trust = TrustList(version=1, members={late.country: late, never.country: never}, expires=NOW + 5 * DAY)
    assert trust.sendable_to(late.country, NOW + DAY - MOMENT, DAY)
    assert not trust.sendable_to(late.country, NOW + DAY, DAY)
    for country in (never.country, CountryCode("SE")):
        assert trust.sendable_to(country, NOW + 6 * DAY - MOMENT, DAY)
        assert not trust.sendable_to(country, NOW + 6 * DAY, DAY)
