# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""When a member's key may have signed something, and whether both of its signatures verify: the same for all that is signed."""

from __future__ import annotations

from datetime import datetime

from cryptography.exceptions import InvalidSignature

from broker.core.errors import BadSignature, KeyExpired, KeyNotYetValid, KeyRevoked, TrustListInvalid, WrongMemberKey
from broker.core.trust import KeyUse, MemberKey
from broker.security import primitives

__all__ = ["check_both", "check_key"]


def check_key(key: MemberKey, use: KeyUse, *, at: datetime) -> MemberKey:
    """Return the key if signatures of that use by it are accepted at that time (PROTOCOL 8.12).

    Raises:
        WrongMemberKey: it is of another use.
        KeyNotYetValid, KeyExpired, KeyRevoked: not at that time.
    """
    if key.use is not use:
        raise WrongMemberKey
    if at < key.not_before:
        raise KeyNotYetValid
    if at >= key.accept_until:
        raise KeyExpired
    if key.revoked_at is not None and at >= key.revoked_at:
        raise KeyRevoked
    return key


def check_both(keys: tuple[MemberKey, MemberKey], values: tuple[bytes, bytes], inputs: tuple[bytes, bytes]) -> None:
    """Refuse unless both signatures verify, each over its input, in the order of the suite (PROTOCOL 8.13).

    Raises:
        BadSignature: one of them does not.
        TrustListInvalid: a listed key is not a public key of its algorithm; the trust source should have refused it.
    """
    try:
        ed25519 = primitives.ed25519_public(keys[0].public)
        ml_dsa = primitives.ml_dsa_public(keys[1].public)
    except ValueError:
        raise TrustListInvalid("A member's key is not a public key of its algorithm.") from None
    try:
        ed25519.verify(values[0], inputs[0])
        ml_dsa.verify(values[1], inputs[1])
    except InvalidSignature:
        raise BadSignature from None
