# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which keys a member lists next, and what a person does about each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.errors import BadRequest
from broker.core.ids import CountryCode, KeyId
from broker.core.rotation import KeyPlace, KeyStep, PublicKey, may_destroy, next_step, rotated
from broker.core.trust import KeyUse, Member, MemberKey

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LIFE = 60 * DAY
ALL = frozenset(KeyPlace)


def key(name: str = "A", use: KeyUse = KeyUse.HPKE, *, begun: int = -100, ends: int = 265) -> MemberKey:
    """Return a key that began and ends so many days from now."""
    until = NOW + ends * DAY
    return MemberKey(
        kid=KeyId(name * 43), use=use, public=b"", not_before=NOW + begun * DAY, sign_until=until,
        accept_until=until + LIFE,
    )  # fmt: skip


def fresh(name: str = "B", use: KeyUse = KeyUse.HPKE) -> PublicKey:
    """Return a key that is listed nowhere."""
    return PublicKey(kid=KeyId(name * 43), use=use, public=b"new")


def member(*keys: MemberKey) -> Member:
    """Return a member with these keys."""
    return Member(country=CountryCode("EE"), keys=keys)


def turn(old: Member, *new: PublicKey, start: datetime = NOW + DAY) -> Member:
    """Rotate with a week's overlap."""
    return rotated(old, new, start=start, overlap=7 * DAY, life=LIFE)


def test_old_key_ends_after_the_overlap_and_the_new_one_begins() -> None:
    """For a week both are used; the old one is accepted for the longest life of an envelope after that."""
    other = key("C", KeyUse.ED25519)
    old, untouched, new = turn(member(key(), other), fresh()).keys

    assert (old.not_before, old.sign_until, old.accept_until) == (key().not_before, NOW + 8 * DAY, NOW + 68 * DAY)
    assert untouched == other
    assert (new.kid, new.not_before, new.sign_until) == (fresh().kid, NOW + DAY, NOW + 366 * DAY)
    assert new.accept_until == new.sign_until + LIFE


def test_ends_are_never_put_off() -> None:
    """A key that ends earlier, or is revoked, stays as it is."""
    early, revoked = key(ends=3), replace(key("C"), revoked_at=NOW)

    assert turn(member(early, revoked), fresh()).keys[:2] == (early, revoked)


def test_at_every_moment_of_rotations_in_a_row_one_key_is_usable() -> None:
    """Two rotations leave no gap: at any time something can be signed and sealed to, by the newest usable key."""
    once = turn(member(key()), fresh("B"))
    twice = turn(once, fresh("C"), start=NOW + 9 * DAY)
    moments = [NOW + hours * timedelta(hours=6) for hours in range(4 * 300)]
    used = [found.kid if (found := twice.key_for(KeyUse.HPKE, moment)) else None for moment in moments]

    assert None not in used
    assert list(dict.fromkeys(used)) == [KeyId(name * 43) for name in "ABC"]
    assert all(item.accept_until >= item.sign_until + LIFE for item in twice.keys)


def test_rotating_twice_for_the_same_day_is_refused() -> None:
    """A key that would begin after its own end, and a key that is listed already, are refused."""
    with pytest.raises(BadRequest, match="rotated before"):
        turn(member(key(begun=30, ends=400)), fresh())
    with pytest.raises(BadRequest, match="already"):
        turn(member(key()), fresh("A"))


def test_encryption_keys_live_until_nothing_can_be_on_its_way() -> None:
    """An encryption key is kept through its acceptance, revoked or not; a signing key until it signs no more."""
    sealed_to, signs = key(ends=-1), key("C", KeyUse.ED25519, ends=-1)

    assert not may_destroy(sealed_to, NOW)
    assert not may_destroy(replace(sealed_to, revoked_at=NOW - DAY), NOW)
    assert may_destroy(sealed_to, NOW + 59 * DAY)
    assert may_destroy(signs, NOW)
    assert not may_destroy(key("C", KeyUse.ED25519, ends=1), NOW)
    assert may_destroy(replace(key("C", KeyUse.ED25519), revoked_at=NOW), NOW)
    assert not may_destroy(replace(key("C", KeyUse.ED25519), revoked_at=NOW + DAY), NOW)


_STEPS = {
    "in use": (key(), ALL, {}, KeyStep.NOTHING),
    "begins later": (key(begun=1), ALL, {}, KeyStep.WAIT),
    "not published": (key(), ALL - {KeyPlace.TRUST_LIST}, {}, KeyStep.PUBLISH),
    "revoked here alone": (key(), ALL, {"unpublished": True}, KeyStep.PUBLISH),
    "listed nowhere": (None, frozenset({KeyPlace.VAULT}), {}, KeyStep.LIST),
    "ends soon": (key(ends=20), ALL, {}, KeyStep.ROTATE),
    "ends soon, followed": (key(ends=20), ALL, {"followed": True}, KeyStep.NOTHING),
    "still accepted": (key(ends=-1), ALL, {}, KeyStep.KEEP),
    "over": (key(ends=-61), ALL, {}, KeyStep.RETIRE),
    "revoked": (replace(key(), revoked_at=NOW), ALL, {}, KeyStep.REVOKED),
    "revoked elsewhere": (replace(key(), revoked_at=NOW), ALL - {KeyPlace.VAULT}, {}, KeyStep.GONE),
    "not here": (key(), ALL - {KeyPlace.VAULT}, {}, KeyStep.MISSING),
    "not here any more": (key(ends=-61), ALL - {KeyPlace.VAULT}, {}, KeyStep.GONE),
    "destroyed": (key(ends=-61), ALL - {KeyPlace.VAULT}, {"destroyed": True}, KeyStep.GONE),
}


_PLAIN = {"destroyed": False, "followed": False, "unpublished": False}


@pytest.mark.parametrize("case", _STEPS)
def test_every_standing_has_its_next_step(case: str) -> None:
    """What a person does next follows from validity and places alone."""
    listed, places, more, step = _STEPS[case]

    assert next_step(listed, places, now=NOW, **_PLAIN | more) is step
