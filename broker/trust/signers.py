# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who signs what in a trust repository: officers and how many of them, as root and delegations of the list say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tuf.api.metadata import DelegatedRole, Delegations, Root, Targets

from broker.core.errors import CeremonyRefused
from broker.core.ids import CountryCode
from broker.trust import layout
from broker.trust.officer_keys import Officer, officer_of, tuf_key

__all__ = ["Signers", "delegate", "end_of", "new_root", "signers_of", "withdraw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Officers, and how many of them must sign.

    Raises:
        CeremonyRefused: more are needed than there are, none is needed, or one is named twice.
    """

    officers: tuple[Officer, ...]
    threshold: int

    def __post_init__(self) -> None:
        ids = {officer.keyid for officer in self.officers}
        if len(ids) != len(self.officers) or not 1 <= self.threshold <= len(ids):
            raise CeremonyRefused("The threshold must be from one to the number of different officers.")


def end_of(role: str, now: datetime) -> datetime:
    """Return when a version of the role that is made now runs out."""
    return now.replace(microsecond=0) + layout.lifetime(role)


def new_root(version: int, *, federation: Signers, online: Officer, now: datetime) -> Root:
    """Return a root of these officers, who sign root and targets, and of the key that signs snapshot and timestamp.

    Raises:
        CeremonyRefused: that key is an officer's.
    """
    if online.keyid in {officer.keyid for officer in federation.officers}:
        raise CeremonyRefused("The online key must not be an officer's key: it lies on a machine that is connected.")
    root = Root(version=version, expires=end_of(layout.ROOT, now), consistent_snapshot=True)
    for role in (layout.ROOT, layout.TARGETS):
        for officer in federation.officers:
            root.add_key(tuf_key(officer), role)
        root.roles[role].threshold = federation.threshold
    for role in layout.ONLINE_ROLES:
        root.add_key(tuf_key(online), role)
    return root


def signers_of(delegator: Root | Targets, role: str) -> Signers:
    """Return who signs a role by what root, or the list for a member's, says.

    Raises:
        CeremonyRefused: it does not name the role.
    """
    delegated, keys = _role_and_keys(delegator, role)
    return Signers(officers=tuple(officer_of(keys[keyid]) for keyid in delegated.keyids), threshold=delegated.threshold)


def delegate(targets: Targets, country: CountryCode, signers: Signers) -> None:
    """Let these officers, and no others, sign the country's documents."""
    delegations = targets.delegations or Delegations(keys={}, roles={})
    roles = dict(delegations.roles or {})
    roles[str(country)] = DelegatedRole(
        str(country),
        [officer.keyid for officer in signers.officers],
        signers.threshold,
        terminating=True,
        paths=list(layout.member_paths(country)),
    )
    keys = {**delegations.keys, **{officer.keyid: tuf_key(officer) for officer in signers.officers}}
    used = {keyid for role in roles.values() for keyid in role.keyids}
    targets.delegations = Delegations({keyid: key for keyid, key in keys.items() if keyid in used}, roles)


def withdraw(targets: Targets, country: CountryCode) -> None:
    """Let nobody sign the country's documents any more."""
    if targets.delegations is not None and targets.delegations.roles is not None:
        targets.delegations.roles.pop(str(country), None)
        used = {keyid for role in targets.delegations.roles.values() for keyid in role.keyids}
        targets.delegations.keys = {k: key for k, key in targets.delegations.keys.items() if k in used}


def _role_and_keys(delegator: Root | Targets, role: str) -> tuple[Any, Any]:
    if isinstance(delegator, Root):
        return delegator.roles[role], delegator.keys
    delegations = delegator.delegations
    if delegations is None or role not in (delegations.roles or {}):
        raise CeremonyRefused("The federation has not said who signs for this country.", where=role)
    return (delegations.roles or {})[role], delegations.keys
