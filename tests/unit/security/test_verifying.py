# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about whether a member's key proves what was signed with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from broker.core.errors import (
    BadSignature,
    BrokerError,
    KeyExpired,
    KeyNotYetValid,
    KeyRevoked,
    TrustListInvalid,
    WrongMemberKey,
)
from broker.core.ids import KeyId
from broker.core.trust import KeyUse, MemberKey
from broker.security.verifying import check_both, check_key

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DAY, MOMENT = timedelta(days=1), timedelta(milliseconds=1)
ED, ML = Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate()
KEY = MemberKey(
    kid=KeyId("A" * 43),
    use=KeyUse.ED25519,
    public=ED.public_key().public_bytes_raw(),
    not_before=NOW,
    sign_until=NOW + DAY,
    accept_until=NOW + 10 * DAY,
)
KEYS = (KEY, replace(KEY, kid=KeyId("B" * 43), use=KeyUse.ML_DSA_65, public=ML.public_key().public_bytes_raw()))
INPUTS = (b"one", b"two")
VALUES = (ED.sign(b"one"), ML.sign(b"two"))


@pytest.mark.parametrize(
    ("at", "error"),
    [
        (NOW - MOMENT, KeyNotYetValid), (NOW, None), (NOW + 2 * DAY, None), (NOW + 10 * DAY - MOMENT, None),
        (NOW + 10 * DAY, KeyExpired),
    ],
)  # fmt: skip
def test_a_key_is_accepted_from_its_first_to_before_its_last_moment(
    at: datetime, error: type[BrokerError] | None
) -> None:
    """Also after the member has ceased to sign with it: what it signed is still on its way."""
    if error is None:
        assert check_key(KEY, KeyUse.ED25519, at=at) is KEY
    else:
        with pytest.raises(error):
            check_key(KEY, KeyUse.ED25519, at=at)


def test_a_revoked_key_is_accepted_until_its_revocation() -> None:
    """From that very moment it proves nothing."""
    revoked = replace(KEY, revoked_at=NOW + DAY)
    assert check_key(revoked, KeyUse.ED25519, at=NOW + DAY - MOMENT) is revoked
    with pytest.raises(KeyRevoked):
        check_key(revoked, KeyUse.ED25519, at=NOW + DAY)


def test_a_key_proves_only_what_its_use_allows() -> None:
    """A listed key of another use is none for this."""
    with pytest.raises(WrongMemberKey):
        check_key(KEY, KeyUse.ML_DSA_65, at=NOW)


def test_both_signatures_must_verify() -> None:
    """Each by its own key and over its own bytes: one good signature is none."""
    check_both(KEYS, VALUES, INPUTS)
    for values, inputs in (
        ((VALUES[0], ML.sign(b"one")), INPUTS),
        ((ED.sign(b"two"), VALUES[1]), INPUTS),
        (VALUES, (b"two", b"two")),
        (VALUES, (b"one", b"one")),
    ):
        with pytest.raises(BadSignature):
            check_both(KEYS, values, inputs)


def test_a_listed_key_that_is_no_key_is_the_lists_fault() -> None:
    """Nobody's message is called forged because the trust list is broken."""
    for position in (0, 1):
        broken = tuple(replace(key, public=b"x") if number == position else key for number, key in enumerate(KEYS))
        with pytest.raises(TrustListInvalid):
            check_both((broken[0], broken[1]), VALUES, INPUTS)
