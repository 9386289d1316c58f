# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A published trust repository with everybody's keys, and the tools to break one rule of it and nothing else.

Keys are made anew for each run and kept nowhere.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, MetaFile, TargetFile

from broker.core.ids import CountryCode
from broker.core.trust import Member
from broker.home import generate_keys, member_of
from broker.testing.trust import TrustOffice
from broker.trust.client import Fetched, TrustClient
from broker.trust.fetching import FolderSource
from broker.trust.folder import TrustFolder
from broker.trust.officer_keys import OfficerKey
from broker.trust.repository import Repository

__all__ = ["EE", "FI", "Change", "Forge", "cases", "copied", "published"]

EE, FI = CountryCode("EE"), CountryCode("FI")
Change = Callable[[Any], object]


@dataclass
class Forge:
    """A published repository, everybody's keys, and a node that has read it once."""

    office: TrustOffice
    listed: dict[str, Member]
    now: datetime
    client: TrustClient
    held: Fetched | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> TrustFolder:
        """The repository's files."""
        return TrustFolder(self.office.folder)

    @property
    def metadata(self) -> Path:
        """Where the signed lists lie."""
        return self.office.folder / "metadata"

    def look(self) -> Fetched:
        """Let the node read the repository, and remember what it believed."""
        held = self.held
        self.held = self.client.fetch(held.document if held else None, held.memory if held else None)
        return self.held

    def rightful(self, role: str) -> Sequence[OfficerKey]:
        """Return as many officers of a role as are needed."""
        if role in {"snapshot", "timestamp"}:
            return [self.office.online]
        return (self.office.federation if role in {"root", "targets"} else self.office.members[CountryCode(role)])[:2]

    def list(self, role: str) -> Metadata[Any]:
        """Return the newest published version of a list."""
        found = self.folder.published(role)
        assert found is not None
        return found

    def put(self, role: str, metadata: Metadata[Any], keys: Sequence[OfficerKey] | None = None) -> bytes:
        """Sign a list and lay it where nodes read it."""
        metadata.signatures.clear()
        for key in self.rightful(role) if keys is None else keys:
            metadata.sign(key.signer, append=True)
        return self.folder.publish(role, metadata)

    def change(self, role: str, change: Change, *, keys: Sequence[OfficerKey] | None = None) -> None:
        """Publish a list's next version with the change, announced as it must be."""
        metadata = self.list(role)
        metadata.signed.version += 1
        change(metadata.signed)
        raw = self.put(role, metadata, keys)
        if role == "snapshot":
            self.announce_snapshot(raw)
        elif role not in {"root", "timestamp"}:
            self.announce(role, raw)

    def announce(self, role: str, raw: bytes, *, version: int | None = None) -> None:
        """Name these bytes as a list's newest version in a new snapshot."""
        stated = version or json.loads(raw)["signed"]["version"]
        meta = MetaFile.from_data(stated, raw, ["sha256"])
        self.change("snapshot", lambda snapshot: snapshot.meta.__setitem__(f"{role}.json", meta))

    def announce_snapshot(self, raw: bytes, *, version: int | None = None) -> None:
        """Name these bytes as the newest snapshot in a new timestamp."""
        stated = version or json.loads(raw)["signed"]["version"]
        meta = MetaFile.from_data(stated, raw, ["sha256"])
        self.change("timestamp", lambda timestamp: setattr(timestamp, "snapshot_meta", meta))

    def overwrite(self, name: str, raw: bytes) -> None:
        """Put other bytes in the place of a signed list."""
        (self.metadata / name).write_bytes(raw)

    def document(self, path: str, raw: bytes, *, role: str, keys: Sequence[OfficerKey] | None = None) -> None:
        """Sign for a document that no ceremony would put before officers."""
        self.folder.publish_document(path, hashlib.sha256(raw).hexdigest(), raw)
        self.change(
            role,
            lambda targets: targets.targets.__setitem__(path, TargetFile.from_data(path, raw, ["sha256"])),
            keys=keys,
        )

    def document_file(self, path: str, role: str) -> Path:
        """Return where a published document lies."""
        below, _, name = path.rpartition("/")
        sha256 = self.list(role).signed.targets[path].hashes["sha256"]
        return self.office.folder / "targets" / below / f"{sha256}.{name}"

    def update(self, country: CountryCode = EE) -> None:
        """Publish something new of a member, rightly."""
        member = self.listed[country]
        key = replace(member.keys[0], sign_until=member.keys[0].sign_until - timedelta(days=1))
        self.office.set(replace(member, keys=(key, *member.keys[1:])), now=self.now)
        self.office.publish(now=self.now)

    def twice(self, name: str) -> bytes:
        """Return a list's bytes with a name twice in an object; what is signed stays the same."""
        raw = (self.metadata / name).read_bytes()
        return raw.replace(b'"signed": {', b'"signed": {"_type": "root", ', 1)


def published(folder: Path, now: datetime | None = None) -> Forge:
    """Return a federation of Estonia and Finland, 2 of 3 officers each, published and read once."""
    moment = now or datetime.now(UTC).replace(microsecond=0)
    office = TrustOffice.create(folder, officers=3, threshold=2, now=moment)
    listed = {}
    for country in (EE, FI):
        listed[country] = member_of(country, generate_keys(), now=moment, authorities=(), messages={})
        office.add(listed[country], officers=3, threshold=2, now=moment)
    office.publish(now=moment)
    forge = Forge(office=office, listed=listed, now=moment, client=TrustClient(FolderSource(folder), office.root))
    forge.look()
    return forge


def copied(forge: Forge, folder: Path) -> Forge:
    """Return the same federation, its files copied: breaking it leaves the first one whole."""
    shutil.copytree(forge.office.folder, folder)
    office = replace(forge.office, repository=Repository(folder), members=dict(forge.office.members))
    return replace(forge, office=office, client=TrustClient(FolderSource(folder), office.root), more={})


def cases(names: Mapping[str, Any]) -> dict[str, Callable[[Forge], None]]:
    """Return the cases of a module by their names in the tables: its own functions that no underscore hides."""
    return {
        name.replace("_", "-"): made
        for name, made in names.items()
        if getattr(made, "__module__", None) == names["__name__"] and not name.startswith("_")
    }
