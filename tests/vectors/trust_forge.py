# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0

"""Makes hostile trust repositories: one rule broken each, everything else as it must be.

Keys are made anew for each run and kept nowhere. `trust/*.json` says which rule each case breaks and what must happen.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, TargetFile

from broker.core.ids import CountryCode
from broker.core.trust import Member
from broker.home import generate_keys, member_of
from broker.testing.trust import TrustOffice, make_officers, signers
from broker.trust.client import Fetched, TrustClient
from broker.trust.fetching import FolderSource
from broker.trust.folder import TrustFolder
from broker.trust.member_documents import encode_member, write_member
from broker.trust.officer_keys import OfficerKey, tuf_key
from broker.trust.repository import Repository

__all__ = ["CASES", "Forge", "published"]

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


# --- root -----------------------------------------------------------------------------------------------------------


def _root(forge: Forge, change: Change = lambda root: None, keys: Sequence[OfficerKey] | None = None) -> None:
    metadata = forge.list("root")
    metadata.signed.version += 1
    change(metadata.signed)
    forge.put("root", metadata, keys)


def _new_officers(forge: Forge, keys: Callable[[Sequence[OfficerKey]], Sequence[OfficerKey]]) -> None:
    new = make_officers("SE", 3)
    forge.office.repository.rotate_root(federation=signers(new, 2), now=forge.now)
    staged = forge.folder.staged("root")
    assert staged is not None
    forge.put("root", staged, keys(new))


def root_signed_by_new_officers_only(forge: Forge) -> None:
    _new_officers(forge, lambda new: new[:2])


def root_signed_by_old_officers_only(forge: Forge) -> None:
    _new_officers(forge, lambda new: forge.office.federation[:2])


def root_signed_by_too_few(forge: Forge) -> None:
    _root(forge, keys=forge.office.federation[:1])


def root_signed_twice_by_one(forge: Forge) -> None:
    _root(forge, keys=[forge.office.federation[0], forge.office.federation[0]])


def root_version_skipped(forge: Forge) -> None:
    _root(forge, lambda root: setattr(root, "version", 3))
    (forge.metadata / "3.root.json").rename(forge.metadata / "2.root.json")


def root_version_repeated(forge: Forge) -> None:
    shutil.copy(forge.metadata / "1.root.json", forge.metadata / "2.root.json")


def root_expired(forge: Forge) -> None:
    _root(forge, lambda root: setattr(root, "expires", forge.now - timedelta(days=1)))


def root_with_a_forgeable_key(forge: Forge) -> None:
    _root(forge, lambda root: root.add_key(CryptoSigner.generate_ed25519().public_key, "root"))


def root_with_one_key_under_two_names(forge: Forge) -> None:
    key = forge.office.federation[0].signer.public_key
    double = SSlibKey("0" * 64, key.keytype, key.scheme, key.keyval)
    _root(forge, lambda root: root.add_key(double, "root"))


def root_without_consistent_snapshots(forge: Forge) -> None:
    _root(forge, lambda root: setattr(root, "consistent_snapshot", False))
    for role in ("snapshot", "targets", "EE", "FI"):
        shutil.copy(forge.metadata / f"1.{role}.json", forge.metadata / f"{role}.json")


def root_not_json(forge: Forge) -> None:
    forge.overwrite("2.root.json", b"not JSON")


def root_of_another_type(forge: Forge) -> None:
    forge.overwrite("2.root.json", (forge.metadata / "1.targets.json").read_bytes())


def root_endless(forge: Forge) -> None:
    forge.overwrite("2.root.json", b" " * (3 * 1024 * 1024))


def root_with_a_name_twice(forge: Forge) -> None:
    _root(forge)
    forge.overwrite("2.root.json", forge.twice("2.root.json"))


def another_federation(forge: Forge) -> None:
    other = published(forge.office.folder.with_name("other"))
    shutil.rmtree(forge.metadata)
    shutil.copytree(other.metadata, forge.metadata)


# --- timestamp ------------------------------------------------------------------------------------------------------


def timestamp_expired(forge: Forge) -> None:
    forge.change("timestamp", lambda timestamp: setattr(timestamp, "expires", forge.now - timedelta(days=1)))


def timestamp_by_an_officer(forge: Forge) -> None:
    forge.change("timestamp", lambda timestamp: None, keys=forge.office.federation)


def timestamp_unsigned(forge: Forge) -> None:
    forge.change("timestamp", lambda timestamp: None, keys=[])


def timestamp_rolled_back(forge: Forge) -> None:
    before = (forge.metadata / "timestamp.json").read_bytes()
    forge.update()
    forge.look()
    forge.overwrite("timestamp.json", before)


def timestamp_endless(forge: Forge) -> None:
    raw = (forge.metadata / "timestamp.json").read_bytes()
    forge.overwrite("timestamp.json", raw + b" " * 1024 * 1024)


def timestamp_missing(forge: Forge) -> None:
    (forge.metadata / "timestamp.json").unlink()


def timestamp_with_a_name_twice(forge: Forge) -> None:
    forge.change("timestamp", lambda timestamp: None)
    forge.overwrite("timestamp.json", forge.twice("timestamp.json"))


# --- snapshot -------------------------------------------------------------------------------------------------------


def snapshot_expired(forge: Forge) -> None:
    forge.change("snapshot", lambda snapshot: setattr(snapshot, "expires", forge.now - timedelta(days=1)))


def snapshot_by_an_officer(forge: Forge) -> None:
    forge.change("snapshot", lambda snapshot: None, keys=forge.office.federation)


def snapshot_not_the_announced_bytes(forge: Forge) -> None:
    forge.change("snapshot", lambda snapshot: None)
    raw = (forge.metadata / "2.snapshot.json").read_bytes()
    forge.overwrite("2.snapshot.json", raw.replace(b"  ", b" \t", 1))


def snapshot_longer_than_announced(forge: Forge) -> None:
    forge.change("snapshot", lambda snapshot: None)
    forge.overwrite("2.snapshot.json", (forge.metadata / "2.snapshot.json").read_bytes() + b" " * 1000)


def snapshot_shorter_than_announced(forge: Forge) -> None:
    forge.change("snapshot", lambda snapshot: None)
    forge.overwrite("2.snapshot.json", (forge.metadata / "2.snapshot.json").read_bytes().rstrip(b"\n}"))


def snapshot_rolled_back(forge: Forge) -> None:
    before = (forge.metadata / "1.snapshot.json").read_bytes()
    forge.update()
    forge.look()
    forge.announce_snapshot(before)


def snapshot_of_another_version(forge: Forge) -> None:
    raw = (forge.metadata / "1.snapshot.json").read_bytes()
    forge.overwrite("2.snapshot.json", raw)
    forge.announce_snapshot(raw, version=2)


def snapshot_drops_a_member(forge: Forge) -> None:
    forge.change("snapshot", lambda snapshot: snapshot.meta.pop("FI.json"))


def snapshot_missing(forge: Forge) -> None:
    forge.change("snapshot", lambda snapshot: None)
    (forge.metadata / "2.snapshot.json").unlink()


def member_list_rolled_back(forge: Forge) -> None:
    before = (forge.metadata / "1.EE.json").read_bytes()
    forge.update()
    forge.look()
    forge.announce("EE", before)


# --- fast forward ---------------------------------------------------------------------------------------------------


def _fast_forward(forge: Forge) -> None:
    """The online key is stolen; the thief numbers the lists so high that none of ours would ever be newer."""
    kept = {name: (forge.metadata / name).read_bytes() for name in ("timestamp.json", "1.snapshot.json")}
    forge.change("snapshot", lambda snapshot: setattr(snapshot, "version", 1_000_000))
    forge.change("timestamp", lambda timestamp: setattr(timestamp, "version", 2_000_000))
    forge.look()
    (forge.metadata / "1000000.snapshot.json").unlink()
    for name, raw in kept.items():
        forge.overwrite(name, raw)


def fast_forward_without_a_new_root(forge: Forge) -> None:
    _fast_forward(forge)
    forge.update()


def fast_forward_and_its_recovery(forge: Forge) -> None:
    _fast_forward(forge)
    new = make_officers("EE", 1, label="publisher")[0]
    forge.office.repository.rotate_root(online=new.officer, now=forge.now)
    forge.office.online = new
    forge.update()


# --- the federation's list and documents ----------------------------------------------------------------------------


def targets_expired(forge: Forge) -> None:
    forge.change("targets", lambda targets: setattr(targets, "expires", forge.now - timedelta(days=1)))


def targets_signed_by_too_few(forge: Forge) -> None:
    forge.change("targets", lambda targets: None, keys=forge.office.federation[:1])


def targets_signed_by_a_member(forge: Forge) -> None:
    forge.change("targets", lambda targets: None, keys=forge.office.members[EE])


def targets_signed_by_the_online_key(forge: Forge) -> None:
    forge.change("targets", lambda targets: None, keys=[forge.office.online])


def targets_rolled_back(forge: Forge) -> None:
    before = (forge.metadata / "1.targets.json").read_bytes()
    forge.office.repository.suspend(EE, "A drill.", now=forge.now)
    forge.office.publish(now=forge.now)
    forge.look()
    forge.announce("targets", before)


def targets_mixed_with_an_older_one(forge: Forge) -> None:
    before = (forge.metadata / "1.targets.json").read_bytes()
    forge.office.repository.suspend(EE, "A drill.", now=forge.now)
    forge.office.publish(now=forge.now)
    forge.overwrite("2.targets.json", before)


def targets_missing(forge: Forge) -> None:
    forge.change("targets", lambda targets: None)
    (forge.metadata / "2.targets.json").unlink()


def targets_with_a_name_twice(forge: Forge) -> None:
    forge.change("targets", lambda targets: None)
    forge.overwrite("2.targets.json", forge.twice("2.targets.json"))
    forge.announce("targets", (forge.metadata / "2.targets.json").read_bytes())


def _delegate(forge: Forge, change: Change) -> None:
    forge.change("targets", lambda targets: change(targets.delegations))


def delegation_by_pattern(forge: Forge) -> None:
    _delegate(forge, lambda delegations: setattr(delegations.roles["EE"], "paths", ["members/*.json"]))


def delegation_of_another_countrys_path(forge: Forge) -> None:
    paths = ["members/EE.json", "members/EE/profile.json", "members/FI.json"]
    _delegate(forge, lambda delegations: setattr(delegations.roles["EE"], "paths", paths))


def delegation_that_goes_on(forge: Forge) -> None:
    _delegate(forge, lambda delegations: setattr(delegations.roles["EE"], "terminating", False))


def delegation_to_no_country(forge: Forge) -> None:
    key = tuf_key(forge.office.members[EE][0].officer)
    role = DelegatedRole("anyone", [key.keyid], 1, terminating=True, paths=["members/SE.json"])
    _delegate(forge, lambda delegations: delegations.roles.__setitem__("anyone", role))


def delegation_with_a_forgeable_key(forge: Forge) -> None:
    key = CryptoSigner.generate_ed25519().public_key

    def add(delegations: Any) -> None:
        delegations.keys[key.keyid] = key
        delegations.roles["EE"].keyids.append(key.keyid)

    _delegate(forge, add)


def federation_speaks_for_a_member(forge: Forge) -> None:
    forge.document("members/EE.json", write_member(forge.listed[EE]), role="targets")


def federation_document_unnamed(forge: Forge) -> None:
    forge.change("targets", lambda targets: targets.targets.pop("federation.json"))


def federation_document_missing(forge: Forge) -> None:
    forge.office.repository.suspend(EE, "A drill.", now=forge.now)
    forge.office.publish(now=forge.now)
    forge.document_file("federation.json", "targets").unlink()


def _other_federation_document(forge: Forge, change: Callable[[bytes], bytes]) -> None:
    forge.office.repository.suspend(EE, "A drill.", now=forge.now)
    forge.office.publish(now=forge.now)
    file = forge.document_file("federation.json", "targets")
    file.write_bytes(change(file.read_bytes()))


def federation_document_changed(forge: Forge) -> None:
    _other_federation_document(forge, lambda raw: raw.replace(b"SUSPENDED", b"ACTIVE   "))


def federation_document_shorter(forge: Forge) -> None:
    _other_federation_document(forge, lambda raw: raw[:-1])


def federation_document_endless(forge: Forge) -> None:
    _other_federation_document(forge, lambda raw: raw + b" " * 1024 * 1024)


def federation_document_of_another_form(forge: Forge) -> None:
    forge.document("federation.json", b'{"format": "trm-federation/1", "name": "x", "members": []}', role="targets")


def federation_document_with_a_name_twice(forge: Forge) -> None:
    entry = b'{"status": "ACTIVE", "kind": "STATE", "reason": null}'
    raw = b'{"format": "trm-federation/1", "name": "x", "members": {"EE": %s, "EE": %s}}' % (entry, entry)
    forge.document("federation.json", raw, role="targets")


def arrangements_not_json(forge: Forge) -> None:
    forge.document("arrangements.json", b"{", role="targets")


def catalogue_that_does_not_load(forge: Forge) -> None:
    raw = json.dumps({"format": "trm-catalogue/1", "files": {"parts/name.json": "{}"}}).encode()
    forge.document("catalogue.json", raw, role="targets")


def catalogue_with_a_path_that_leads_out(forge: Forge) -> None:
    raw = json.dumps({"format": "trm-catalogue/1", "files": {"parts/../../../home/trm/x.json": "{}"}}).encode()
    forge.document("catalogue.json", raw, role="targets")


# --- a member's list and documents ----------------------------------------------------------------------------------


def member_signed_by_too_few(forge: Forge) -> None:
    forge.change("EE", lambda targets: None, keys=forge.office.members[EE][:1])


def member_signed_by_another_member(forge: Forge) -> None:
    forge.change("EE", lambda targets: None, keys=forge.office.members[FI])


def member_signed_by_the_federation(forge: Forge) -> None:
    forge.change("EE", lambda targets: None, keys=forge.office.federation)


def member_signed_by_replaced_officers(forge: Forge) -> None:
    new = make_officers("EE", 3, label="new officer")
    keys = {key.officer.keyid: tuf_key(key.officer) for key in new}

    def replaced(delegations: Delegations) -> None:
        delegations.keys |= keys
        assert delegations.roles is not None
        delegations.roles["EE"].keyids = list(keys)

    _delegate(forge, replaced)


def member_list_expired(forge: Forge) -> None:
    forge.change("EE", lambda targets: setattr(targets, "expires", forge.now - timedelta(days=1)))


def member_list_missing(forge: Forge) -> None:
    forge.update()
    (forge.metadata / "2.EE.json").unlink()


def member_list_changed(forge: Forge) -> None:
    forge.update()
    forge.overwrite("2.EE.json", (forge.metadata / "1.EE.json").read_bytes())


def member_list_not_json(forge: Forge) -> None:
    forge.overwrite("2.EE.json", b"not JSON")
    forge.announce("EE", b"not JSON", version=2)


def member_list_is_another_members(forge: Forge) -> None:
    raw = (forge.metadata / "1.FI.json").read_bytes()
    forge.overwrite("2.EE.json", raw)
    forge.announce("EE", raw, version=2)


def member_list_of_another_version(forge: Forge) -> None:
    raw = (forge.metadata / "1.EE.json").read_bytes()
    forge.overwrite("2.EE.json", raw)
    forge.announce("EE", raw, version=2)


def member_delegates_on(forge: Forge) -> None:
    key = tuf_key(forge.office.members[EE][0].officer)
    role = DelegatedRole("FI", [key.keyid], 1, terminating=True, paths=["members/FI.json"])
    forge.change("EE", lambda ee: setattr(ee, "delegations", Delegations({key.keyid: key}, {"FI": role})))


def member_signs_another_countrys_document(forge: Forge) -> None:
    forge.document("members/FI.json", write_member(forge.listed[FI]), role="EE")


def member_document_missing(forge: Forge) -> None:
    forge.update()
    forge.document_file("members/EE.json", "EE").unlink()


def member_document_swapped(forge: Forge) -> None:
    forge.update()
    forge.document_file("members/EE.json", "EE").write_bytes(write_member(forge.listed[FI]))


def member_document_endless(forge: Forge) -> None:
    forge.update()
    file = forge.document_file("members/EE.json", "EE")
    file.write_bytes(file.read_bytes() + b" " * 1024 * 1024)


def member_document_of_another_country(forge: Forge) -> None:
    forge.document("members/EE.json", write_member(forge.listed[FI]), role="EE")


def member_document_with_a_name_twice(forge: Forge) -> None:
    raw = write_member(forge.listed[EE]).replace(b'"authorities": []', b'"authorities": [], "authorities": []')
    forge.document("members/EE.json", raw, role="EE")


def member_document_not_utf8(forge: Forge) -> None:
    forge.document("members/EE.json", b'{"country": "\xff"}', role="EE")


def member_document_with_an_unknown_member(forge: Forge) -> None:
    raw = json.dumps({**encode_member(forge.listed[EE]), "trusted": True}).encode()
    forge.document("members/EE.json", raw, role="EE")


def member_profile_not_json(forge: Forge) -> None:
    forge.document("members/EE/profile.json", b"{", role="EE")


def member_claims_another_members_key(forge: Forge) -> None:
    keys = (*forge.listed[EE].keys, forge.listed[FI].keys[0])
    forge.office.set(replace(forge.listed[EE], keys=keys), now=forge.now)
    forge.office.publish(now=forge.now)


def two_members_claim_one_new_key(forge: Forge) -> None:
    new = member_of(EE, generate_keys(), now=forge.now, authorities=(), messages={}).keys[0]
    for country in (EE, FI):
        member = forge.listed[country]
        forge.office.set(replace(member, keys=(*member.keys, new)), now=forge.now)
    forge.office.publish(now=forge.now)


# --- what must be taken ---------------------------------------------------------------------------------------------


def nothing_changed(forge: Forge) -> None:
    pass


def renewed_online(forge: Forge) -> None:
    forge.office.publish(now=forge.now)


def member_rotates_without_the_federation(forge: Forge) -> None:
    forge.update()


def root_rotated_twice_unseen(forge: Forge) -> None:
    for _ in range(2):
        old, new = forge.office.federation, make_officers("SE", 3)
        forge.office.repository.rotate_root(federation=signers(new, 2), now=forge.now)
        root = forge.folder.staged("root")
        assert root is not None
        forge.put("root", root, [*old[:2], *new[:2]])
        forge.folder.unstage("root")
        forge.office.federation = new
    forge.office.publish(now=forge.now)


def country_joins_without_documents_yet(forge: Forge) -> None:
    forge.office.members[CountryCode("SE")] = own = make_officers("SE", 3)
    forge.office.repository.set_member(CountryCode("SE"), signers(own, 2), now=forge.now)
    forge.office.publish(now=forge.now)


CASES: dict[str, Callable[[Forge], None]] = {
    name.replace("_", "-"): made
    for name, made in globals().copy().items()
    if callable(made) and getattr(made, "__module__", None) == __name__ and not name.startswith("_")
    and name not in {"Forge", "published", "copied"}
}  # fmt: skip
