# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the keys of offices in a member's document."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.authority_keys import keeping_authority_keys, keeping_revocations, listed_for, replaced_for, revoked
from broker.core.errors import BadRequest
from broker.core.ids import AuthorityId, CountryCode, KeyId
from broker.core.rotation import PublicKey
from broker.core.trust import Authority, KeyUse, Member, MemberKey, RevocationReason

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
DESK, COURT = AuthorityId("desk"), AuthorityId("court")


def key(number: int, use: KeyUse = KeyUse.HPKE) -> PublicKey:
    """Return a key that nobody can use: only its id counts here."""
    return PublicKey(kid=KeyId(str(number) * 42 + "A"), use=use, public=bytes([number]))


def node_key(number: int) -> MemberKey:
    """Return a key of the node itself."""
    made, until = key(number), NOW + timedelta(days=365)
    return MemberKey(
        kid=made.kid, use=made.use, public=made.public, not_before=NOW, sign_until=until, accept_until=until + WEEK * 9
    )


FINLAND = Member(
    country=CountryCode("FI"),
    keys=(node_key(9),),
    authorities=(Authority(id=DESK, name="Desk"), Authority(id=COURT, name="Court")),
)


def desk(member: Member) -> Authority:
    """Return its desk."""
    office = member.authority(DESK)
    assert office is not None
    return office


def test_a_first_key_is_sealed_to_from_its_beginning_for_a_year() -> None:
    """Nothing else of the document changes; what is sealed on its last day is accepted 60 days later."""
    changed = listed_for(FINLAND, DESK, [key(1)], start=NOW, overlap=WEEK)
    (listed,) = desk(changed).keys
    assert (listed.not_before, listed.seal_until) == (NOW, NOW + timedelta(days=365))
    assert listed.accept_until - listed.seal_until == timedelta(days=60)
    assert desk(changed).key_for_sealing(NOW) == listed
    assert desk(changed).key_for_sealing(NOW - timedelta(seconds=1)) is None
    assert (changed.keys, changed.authority(COURT)) == (FINLAND.keys, FINLAND.authority(COURT))


def test_a_rotated_key_ends_after_the_overlap_and_the_newest_is_sealed_to() -> None:
    """A file that holds the old and the new key lists the new one alone."""
    first = listed_for(FINLAND, DESK, [key(1)], start=NOW, overlap=WEEK)
    start = NOW + timedelta(days=300)
    second = listed_for(first, DESK, [key(1), key(2)], start=start, overlap=WEEK)
    old, new = desk(second).keys
    assert (old.seal_until, old.accept_until) == (start + WEEK, start + WEEK + timedelta(days=60))
    assert desk(second).key_for_sealing(start) == new
    assert desk(second).key_for_sealing(start - timedelta(seconds=1)) == old
    assert desk(second).key(key(1).kid) == old


@pytest.mark.parametrize(
    ("authority", "offered"),
    [
        (AuthorityId("nobody"), [key(1)]),
        (DESK, []),
        (DESK, [key(1), key(2)]),
        (DESK, [key(1, KeyUse.ML_DSA_65)]),
        (DESK, [key(9)]),
    ],
)
def test_what_is_no_new_key_of_that_office_is_refused(authority: AuthorityId, offered: list[PublicKey]) -> None:
    """An office that is not listed, no key, two at once, a signing key, the node's own key."""
    with pytest.raises(BadRequest):
        listed_for(FINLAND, authority, offered, start=NOW, overlap=WEEK)


def test_a_key_of_another_office_is_refused() -> None:
    """A key has one owner."""
    first = listed_for(FINLAND, DESK, [key(1)], start=NOW, overlap=WEEK)
    with pytest.raises(BadRequest):
        listed_for(first, COURT, [key(1)], start=NOW, overlap=WEEK)


def test_a_second_rotation_before_the_first_begins_is_refused() -> None:
    """Its key would end before it begins."""
    first = listed_for(FINLAND, DESK, [key(1)], start=NOW + WEEK * 4, overlap=WEEK)
    with pytest.raises(BadRequest):
        listed_for(first, DESK, [key(2)], start=NOW, overlap=WEEK)


def test_a_revoked_key_is_sealed_to_no_more() -> None:
    """From its moment on; other keys of the member stay as they are, whoever owns them."""
    listed = listed_for(FINLAND, DESK, [key(1)], start=NOW, overlap=WEEK)
    changed = revoked(listed, key(1).kid, at=NOW + WEEK, reason=RevocationReason.COMPROMISED)
    assert desk(changed).key_for_sealing(NOW + WEEK) is None
    assert desk(changed).key_for_sealing(NOW) is not None
    assert changed.keys == FINLAND.keys
    node = revoked(listed, FINLAND.keys[0].kid, at=NOW, reason=RevocationReason.SUPERSEDED)
    assert (node.keys[0].revoked_at, node.authorities) == (NOW, listed.authorities)


def test_a_document_written_anew_keeps_what_is_in_force() -> None:
    """A key that the node's copy of the document lacks is kept, no revocation is taken back, and a new one counts."""
    in_force = listed_for(FINLAND, DESK, [key(1)], start=NOW, overlap=WEEK)
    assert keeping_authority_keys(FINLAND, in_force) == in_force
    gone = revoked(in_force, key(1).kid, at=NOW, reason=RevocationReason.COMPROMISED)
    assert keeping_authority_keys(in_force, gone) == gone
    assert keeping_authority_keys(gone, in_force) == gone
    newer = listed_for(in_force, DESK, [key(2)], start=NOW, overlap=WEEK)
    assert keeping_authority_keys(newer, in_force) == newer
    assert keeping_authority_keys(in_force, replace(FINLAND, authorities=())) == in_force


def test_nothing_written_before_makes_a_revoked_key_good_again() -> None:
    """The node's keys and its offices'; what the document has changed besides stays, and the earlier moment counts."""
    before = listed_for(FINLAND, DESK, [key(1)], start=NOW, overlap=WEEK)
    both = (before.keys[0].kid, key(1).kid)
    in_force = before
    for kid in both:
        in_force = revoked(in_force, kid, at=NOW, reason=RevocationReason.COMPROMISED)
    assert keeping_revocations(before, in_force) == in_force
    assert keeping_revocations(in_force, before) == in_force
    newer = listed_for(before, DESK, [key(2)], start=NOW, overlap=WEEK)
    kept = keeping_revocations(newer, in_force)
    assert [item.revoked_at for item in desk(kept).keys] == [NOW, None]
    assert kept.keys == in_force.keys
    earlier = revoked(before, both[0], at=NOW - WEEK, reason=RevocationReason.SUPERSEDED)
    assert keeping_revocations(earlier, in_force).keys == earlier.keys
    assert keeping_revocations(in_force, earlier).keys == earlier.keys


def test_all_older_keys_of_an_office_are_revoked_as_stolen() -> None:
    """Also one that was to begin later, which an ordinary rotation cannot get past; an earlier revocation stays."""
    listed = listed_for(FINLAND, DESK, [key(1)], start=NOW - WEEK, overlap=WEEK)
    gone = revoked(listed, key(1).kid, at=NOW - WEEK, reason=RevocationReason.SUPERSEDED)
    later = listed_for(gone, DESK, [key(2)], start=NOW + WEEK, overlap=WEEK)
    with pytest.raises(BadRequest, match="begins later"):
        listed_for(later, DESK, [key(3)], start=NOW, overlap=timedelta(0))
    replaced = replaced_for(later, DESK, [key(3)], start=NOW, since=NOW - timedelta(hours=1))
    assert [(item.kid, item.revoked_at) for item in desk(replaced).keys] == [
        (key(1).kid, NOW - WEEK),
        (key(2).kid, NOW - timedelta(hours=1)),
        (key(3).kid, None),
    ]
    assert desk(replaced).key_for_sealing(NOW).kid == key(3).kid
    assert replaced.keys == FINLAND.keys
