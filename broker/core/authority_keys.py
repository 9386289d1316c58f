# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Changing what a member's document lists of its offices' keys: listing and rotating, revoking, keeping what is in force.

Nothing destroys an office's old key: what was sealed to it stays sealed in both countries' records, and only that key
opens it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from broker.core.errors import BadRequest
from broker.core.ids import AuthorityId, KeyId
from broker.core.rotation import SIGN_DAYS, Key, PublicKey, with_theft
from broker.core.trust import (
    LONGEST_ENVELOPE_LIFE,
    Authority,
    AuthorityKey,
    KeyUse,
    Member,
    RevocationReason,
)

__all__ = ["keeping_authority_keys", "keeping_revocations", "listed_for", "replaced_for", "revoked", "with_revocation"]


def listed_for(
    member: Member, authority: AuthorityId, fresh: Iterable[PublicKey], *, start: datetime, overlap: timedelta
) -> Member:
    """Return the member with the office's newest key listed from `start` on, and its older ones ending after an overlap.

    Args:
        member: as its document is now.
        authority: whose keys they are.
        fresh: every public key that the office handed over; what is listed already stays as it is.
        start: when the new one begins, whole seconds.
        overlap: how long after `start` the older ones are still sealed to.

    Raises:
        BadRequest: the member has no such office, none of the keys is new or several are, one is no encryption key or
            another's, or an older one would begin only after its end.
    """
    office, begun = _begun(member, authority, fresh, start)
    ended = tuple(_ended(key, start + overlap) for key in office.keys)
    return _with_office(member, replace(office, keys=(*ended, begun)))


def replaced_for(
    member: Member, authority: AuthorityId, fresh: Iterable[PublicKey], *, start: datetime, since: datetime
) -> Member:
    """Return the member with the office's newest key listed from `start` on, and all its older ones revoked as stolen.

    Args:
        member: as its document is now.
        authority: whose keys they are.
        fresh: every public key that the office handed over; one of them is new.
        start: when the new one begins, whole seconds.
        since: from when the older ones count no more, whole seconds; one that was revoked before stays so.

    Raises:
        BadRequest: the member has no such office, none of the keys is new or several are, one is no encryption key or
            another's.
    """
    office, begun = _begun(member, authority, fresh, start)
    ended = tuple(with_theft(key, since) for key in office.keys)
    return _with_office(member, replace(office, keys=(*ended, begun)))


def _begun(
    member: Member, authority: AuthorityId, fresh: Iterable[PublicKey], start: datetime
) -> tuple[Authority, AuthorityKey]:
    office = member.authority(authority)
    if office is None:
        raise BadRequest("The member's document has no office of this id.", where=authority)
    own = {key.kid for key in office.keys}
    new = [key for key in fresh if key.kid not in own]
    if any(key.use is not KeyUse.HPKE for key in new):
        raise BadRequest("An office has encryption keys only.", where=authority)
    if any(key.kid in member.all_kids() for key in new):
        raise BadRequest("A key is listed for somebody else in the member's document.", where=authority)
    if len(new) != 1:
        raise BadRequest("The file must hold exactly one key that is not listed yet.", where=authority)
    until = start + timedelta(days=SIGN_DAYS)
    begun = AuthorityKey(
        kid=new[0].kid,
        public=new[0].public,
        not_before=start,
        seal_until=until,
        accept_until=until + LONGEST_ENVELOPE_LIFE,
    )
    return office, begun


def revoked(member: Member, kid: KeyId, *, at: datetime, reason: RevocationReason) -> Member:
    """Return the member with that key revoked, be it the node's or an office's."""
    keys = tuple(replace(key, revoked_at=at, revoked_because=reason) if key.kid == kid else key for key in member.keys)
    offices = tuple(
        replace(
            office,
            keys=tuple(
                replace(key, revoked_at=at, revoked_because=reason) if key.kid == kid else key for key in office.keys
            ),
        )
        for office in member.authorities
    )
    return replace(member, keys=keys, authorities=offices)


def keeping_revocations(member: Member, in_force: Member) -> Member:
    """Return the document with each of its keys revoked that is revoked in force, the node's and its offices'."""
    known = {key.kid: key for key in in_force.keys}
    of_offices = {key.kid: key for office in in_force.authorities for key in office.keys}
    return replace(
        member,
        keys=tuple(with_revocation(key, known.get(key.kid)) for key in member.keys),
        authorities=tuple(
            replace(office, keys=tuple(with_revocation(key, of_offices.get(key.kid)) for key in office.keys))
            for office in member.authorities
        ),
    )


def keeping_authority_keys(member: Member, in_force: Member) -> Member:
    """Return the member's document with what the list in force knows of its offices' keys: further ones, and revocations.

    A document that a node's operator writes anew must not take an office's key away, nor take a revocation back.
    """
    return replace(member, authorities=tuple(_kept(office, in_force) for office in member.authorities))


def _kept(office: Authority, in_force: Member) -> Authority:
    listed = in_force.authority(office.id)
    if listed is None or not listed.keys:
        return office
    known = {key.kid: key for key in listed.keys}
    keys = [with_revocation(key, known.pop(key.kid, None)) for key in office.keys]
    return replace(office, keys=(*keys, *known.values()))


def with_revocation(key: Key, in_force: Key | None) -> Key:
    """Return a document's key, revoked where the trust list has it so, or earlier: what is written anew never takes that back."""
    if in_force is None or in_force.revoked_at is None:
        return key
    if key.revoked_at is not None and key.revoked_at <= in_force.revoked_at:
        return key
    return replace(key, revoked_at=in_force.revoked_at, revoked_because=in_force.revoked_because)


def _ended(key: AuthorityKey, end: datetime) -> AuthorityKey:
    if key.revoked_at is not None or key.seal_until <= end:
        return key
    if key.not_before >= end:
        raise BadRequest("A key of this office begins later than the new one: it was rotated before.")
    return replace(key, seal_until=end, accept_until=end + LONGEST_ENVELOPE_LIFE)


def _with_office(member: Member, changed: Authority) -> Member:
    return replace(
        member, authorities=tuple(changed if office.id == changed.id else office for office in member.authorities)
    )
