# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What TUF leaves open and this federation has settled, judged over lists that TUF has verified (PROTOCOL: trust list).

- Every key is an officer's ML-DSA-65 key under its own name.
- The federation delegates to each member exactly the member's own documents, and speaks for none itself.
- A member delegates nothing on and signs nothing but its own documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import TrustRule
from broker.trust import layout
from broker.trust.officer_keys import officer_of
from broker.trust.strict import read_json

__all__ = ["Lists", "member_list", "read_lists"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """The four lists of the federation, verified by TUF and judged here."""

    root: Root
    targets: Targets
    snapshot: Snapshot
    timestamp: Timestamp

    @property
    def expires(self) -> datetime:
        """The earliest end."""
        return min(item.expires for item in (self.root, self.targets, self.snapshot, self.timestamp))

    @property
    def delegated(self) -> frozenset[str]:
        """The members that officers of their own speak for."""
        return frozenset(_roles(self.targets))

    def has_signed(self, country: CountryCode) -> bool:
        """Whether that member's officers have signed anything yet."""
        return country in self.delegated and f"{country}.json" in self.snapshot.meta


def read_lists(folder: Path) -> Lists:
    """Return the lists of a folder in which the Updater keeps what it verified.

    Raises:
        TrustListInvalid: they break one of the federation's own rules.
    """
    lists = Lists(
        root=_read(folder, layout.ROOT).signed,
        targets=_read(folder, layout.TARGETS).signed,
        snapshot=_read(folder, layout.SNAPSHOT).signed,
        timestamp=_read(folder, layout.TIMESTAMP).signed,
    )
    _check_keys(layout.ROOT, lists.root.keys.values())
    if not lists.root.consistent_snapshot:
        raise _broken("The list is not kept as consistent snapshots.", layout.ROOT)
    _check_targets(lists.targets)
    return lists


def member_list(folder: Path, country: CountryCode) -> Targets:
    """Return what a member's officers signed, of the same folder.

    Raises:
        TrustListInvalid: they speak for more than their own country.
    """
    targets: Targets = _read(folder, country).signed
    if targets.delegations is not None:
        raise _broken("A member delegates nothing on.", country)
    if not set(targets.targets) <= set(layout.member_paths(country)):
        raise _broken("A member signs its own documents only.", country)
    return targets


def _read(folder: Path, role: str) -> Metadata[Any]:
    raw = (folder / f"{role}.json").read_bytes()
    where = f"{role}.json"
    read_json(raw, where=where)  # a name twice: another reader would have verified something else
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(raw)
    except RepositoryError:
        raise TrustListInvalid("A signed list cannot be read.", where=where, rule=TrustRule.MALFORMED) from None
    return metadata


def _roles(targets: Targets) -> dict[str, Any]:
    delegations = targets.delegations
    return {} if delegations is None else dict(delegations.roles or {})


def _check_targets(targets: Targets) -> None:
    if not set(targets.targets) <= {layout.FEDERATION, layout.ARRANGEMENTS, layout.CATALOGUE}:
        raise _broken("The federation signs no document of a member.", layout.TARGETS)
    if targets.delegations is None:
        return
    if targets.delegations.succinct_roles is not None:
        raise _broken("The federation delegates by country only.", layout.TARGETS)
    _check_keys(layout.TARGETS, targets.delegations.keys.values())
    for name, role in _roles(targets).items():
        if CountryCode.pattern.fullmatch(name) is None or not role.terminating:
            raise _broken("The federation delegates by country only.", layout.TARGETS)
        if tuple(role.paths or ()) != layout.member_paths(CountryCode(name)):
            raise _broken("A member speaks for exactly its own documents.", name)


def _check_keys(where: str, keys: Iterable[Any]) -> None:
    for key in keys:
        try:
            officer_of(key)
        except TrustListInvalid as error:
            raise TrustListInvalid(error.detail, where=f"{where}.json", rule=error.rule) from None


def _broken(sentence: str, role: str) -> TrustListInvalid:
    return TrustListInvalid(sentence, where=f"{role}.json", rule=TrustRule.DELEGATION)
