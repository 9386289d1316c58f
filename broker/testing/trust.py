# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A federation's trust repository whose officers all sit in this process: for tests and demonstration, never in earnest.

The ceremonies are the real ones; only the people are missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from broker.core.ids import CountryCode
from broker.core.trust import Member, MemberKind
from broker.trust import layout
from broker.trust.member_documents import write_member
from broker.trust.officer_keys import OfficerKey, generate_officer_key
from broker.trust.repository import Repository
from broker.trust.signers import Signers

__all__ = ["TrustOffice", "make_officers", "signers"]


def make_officers(country: str, number: int, *, label: str = "officer") -> tuple[OfficerKey, ...]:
    """Return new keys that nobody keeps."""
    return tuple(generate_officer_key(CountryCode(country), f"{label} {item + 1}")[0] for item in range(number))


@dataclass(slots=True)
class TrustOffice:
    """All officers of a federation and its members, and the repository that they sign."""

    repository: Repository
    federation: tuple[OfficerKey, ...]
    online: OfficerKey
    threshold: int
    members: dict[CountryCode, tuple[OfficerKey, ...]] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path, *, officers: int = 1, threshold: int = 1, now: datetime) -> TrustOffice:
        """Make the officers and stage a federation without members."""
        federation, online = make_officers("EE", officers), make_officers("EE", 1, label="publisher")[0]
        repository = Repository.create(
            folder, name="Test federation", federation=signers(federation, threshold), online=online.officer, now=now
        )
        return cls(repository=repository, federation=federation, online=online, threshold=threshold)

    def copied(self, folder: Path) -> TrustOffice:
        """Return the same federation in another folder, with the same keys and signatures: making one takes longer."""
        shutil.copytree(self.folder, folder)
        return replace(self, repository=Repository(folder), members={**self.members})

    @property
    def folder(self) -> Path:
        """Where the repository is."""
        return self.repository.folder

    @property
    def root(self) -> bytes:
        """The first root: what a node is given by hand."""
        return (self.folder / "metadata" / "1.root.json").read_bytes()

    def add(
        self,
        member: Member,
        *,
        officers: int = 1,
        threshold: int = 1,
        kind: MemberKind = MemberKind.STATE,
        now: datetime,
    ) -> None:
        """Stage a member with officers of its own and its document."""
        own = self.members[member.country] = make_officers(member.country, officers)
        self.repository.set_member(member.country, signers(own, threshold), kind=kind, now=now)
        self.set(member, now=now)

    def set(self, member: Member, *, now: datetime) -> None:
        """Stage a member's document."""
        self.repository.set_document(layout.member_path(member.country), write_member(member), now=now)

    def sign(self, *roles: str) -> None:
        """Let as many officers sign as are needed: these roles, or all that wait."""
        for staged in self.repository.staged():
            if not roles or staged.role in roles:
                waiting = {officer.keyid for officer in staged.waiting}
                able = [key for key in self._officers(staged.role) if key.officer.keyid in waiting]
                for key in able[: staged.missing]:
                    self.repository.sign(staged.role, staged.digest, key)

    def publish(self, *, now: datetime) -> int:
        """Sign everything and publish it; return the version."""
        self.sign()
        return self.repository.publish(self.online, now=now).version

    def _officers(self, role: str) -> Iterable[OfficerKey]:
        if role in {layout.ROOT, layout.TARGETS}:
            return self.federation
        return self.members[CountryCode(role)]


def signers(keys: Iterable[OfficerKey], threshold: int) -> Signers:
    """Return the public parts and how many must sign."""
    return Signers(officers=tuple(key.officer for key in keys), threshold=threshold)
