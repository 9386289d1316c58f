# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Rotating a member's keys: what its document lists next, and when a private key may be destroyed.

- The old and the new key of a use overlap: peers learn of the new one at different times, and clocks differ.
- The old key signs and is sealed to until the overlap ends, and is accepted for the longest life of an envelope after it.
- A private encryption key is destroyed when nobody can be sending to it any more, a signing key when it signs no more.
- Nobody who looks at the trust list at least once in the overlap can: his last envelope to the old key ends with its
  acceptance. A country whose list is older than that may still seal to it, and what comes too late opens nowhere. It is not
  lost: nobody answers it, so its sender's copy stays owed and is sealed anew with the next list, and until then its people
  are called, about the silent source after a day and the overdue answer after an hour. Keeping the key for longer would
  serve that sender only, and let whoever steals the vault read more of what everybody sent.
- Of a stolen vault nothing overlaps: every key that was in it is revoked, also one that begins later or that nobody knows yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from broker.core.errors import BadRequest
from broker.core.ids import KeyId
from broker.core.trust import AuthorityKey, KeyUse, Member, MemberKey, RevocationReason

__all__ = [
    "SIGN_DAYS", "Key", "KeyPlace", "KeyStep", "PublicKey", "may_destroy", "next_step", "replaced", "rotated", "with_theft",
]  # fmt: skip

Key = TypeVar("Key", MemberKey, AuthorityKey)

SIGN_DAYS = 365  # a key is meant to be rotated once a year


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A public key that is not listed yet."""

    kid: KeyId
    use: KeyUse
    public: bytes


def rotated(
    member: Member, fresh: Iterable[PublicKey], *, start: datetime, overlap: timedelta, life: timedelta
) -> Member:
    """Return the member with fresh keys listed from `start` on and its older keys of the same uses ending.

    Args:
        member: as its document is now.
        fresh: at most one key of a use.
        start: when the fresh keys begin, whole seconds.
        overlap: how long after `start` the older keys still sign and are sealed to.
        life: the longest life of an envelope; how long a key is accepted after it ends.

    Raises:
        BadRequest: a fresh key is listed already, or an older key of its use would begin only after its end.
    """
    listed, keys = {key.kid for key in member.keys}, tuple(fresh)
    if any(key.kid in listed for key in keys):
        raise BadRequest("A key is listed in the member's document already.")
    ended = tuple(_ended(key, {fresh.use for fresh in keys}, end=start + overlap, life=life) for key in member.keys)
    return replace(member, keys=(*ended, *(_begun(key, start, life) for key in keys)))


def replaced(
    member: Member,
    fresh: Iterable[PublicKey],
    *,
    stolen: Iterable[PublicKey],
    start: datetime,
    since: datetime,
    life: timedelta,
) -> Member:
    """Return the member with fresh keys listed from `start` on and every other key of their uses revoked.

    Args:
        member: as its document is now.
        fresh: one key of each use that is replaced; nobody else has them.
        stolen: keys of these uses that the vault held ready and no document lists: listed as revoked, so that no later
            rotation takes them.
        start: when the fresh keys begin, whole seconds.
        since: from when the others count no more, whole seconds; one that was revoked before stays so.
        life: the longest life of an envelope; how long a key is accepted after it ends.
    """
    keys = tuple(fresh)
    uses = {key.use for key in keys}
    others = (*member.keys, *(_begun(key, start, life) for key in stolen))
    ended = tuple(with_theft(key, since) if key.use in uses else key for key in others)
    return replace(member, keys=(*ended, *(_begun(key, start, life) for key in keys)))


def with_theft(key: Key, since: datetime) -> Key:
    """Return the key revoked as stolen from that moment on; one that was revoked before stays so."""
    if key.revoked_at is not None and key.revoked_at <= since:
        return key
    return replace(key, revoked_at=since, revoked_because=RevocationReason.COMPROMISED)


def _begun(key: PublicKey, start: datetime, life: timedelta) -> MemberKey:
    sign_until = start + timedelta(days=SIGN_DAYS)
    return MemberKey(
        kid=key.kid,
        use=key.use,
        public=key.public,
        not_before=start,
        sign_until=sign_until,
        accept_until=sign_until + life,
    )


def _ended(key: MemberKey, uses: set[KeyUse], *, end: datetime, life: timedelta) -> MemberKey:
    if key.use not in uses or key.revoked_at is not None or key.sign_until <= end:
        return key
    if key.not_before >= end:
        raise BadRequest("A key of the same use begins later than these: it was rotated before.")
    return replace(key, sign_until=end, accept_until=end + life)


def may_destroy(key: MemberKey, now: datetime) -> bool:
    """Whether nothing is lost with the private part: no envelope can be on its way to it, or it signs no more."""
    if key.use is KeyUse.HPKE:
        return now >= key.accept_until
    return now >= key.sign_until or (key.revoked_at is not None and now >= key.revoked_at)


class KeyPlace(StrEnum):
    """Where a key stands; a key in order stands in all of them."""

    VAULT = "vault"  # its private part
    DOCUMENT = "document"  # the member's public document, as it was last written here
    TRUST_LIST = "trust-list"  # the federation's list in force here


class KeyStep(StrEnum):
    """What a person does next about a key; the value is the sentence."""

    NOTHING = "Nothing: it is in use."
    WAIT = "Nothing: it begins later."
    PUBLISH = "Have the member's officers sign the document, and publish it."
    LIST = "Run trm keys rotate: it lists this key in the document."
    ROTATE = "Run trm keys rotate: it ends soon, and no key of its use follows."
    KEEP = "Keep it: envelopes to it may still be on their way."
    RETIRE = "Run trm keys retire: it is needed no more."
    REVOKED = "It is revoked. Rotate, if no other key of its use follows; then run trm keys retire."
    MISSING = "Restore the vault from its backup, or have this key revoked: its private part is not here."
    GONE = "Nothing: its private part is destroyed."


_ENDS_SOON = timedelta(days=30)


def next_step(
    key: MemberKey | None,
    places: frozenset[KeyPlace],
    *,
    destroyed: bool,
    followed: bool,
    unpublished: bool,
    now: datetime,
) -> KeyStep:
    """Return what a person does next.

    Args:
        key: its validity; None where it is listed nowhere.
        places: where it stands.
        destroyed: its private part was destroyed here.
        followed: another key of its use is listed that ends later.
        unpublished: the document revokes it, and the trust list does not yet.
        now: the current time.
    """
    if destroyed:
        return KeyStep.GONE
    if key is None:
        return KeyStep.LIST
    if key.revoked_at is not None and key.revoked_at <= now:
        return KeyStep.REVOKED if KeyPlace.VAULT in places else KeyStep.GONE
    if unpublished:
        return KeyStep.PUBLISH
    if KeyPlace.VAULT not in places:
        return KeyStep.GONE if may_destroy(key, now) else KeyStep.MISSING
    if may_destroy(key, now):
        return KeyStep.RETIRE
    if KeyPlace.TRUST_LIST not in places:
        return KeyStep.PUBLISH
    if now < key.not_before:
        return KeyStep.WAIT
    if now >= key.sign_until:
        return KeyStep.KEEP
    return KeyStep.NOTHING if followed or now < key.sign_until - _ENDS_SOON else KeyStep.ROTATE
