# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Trust repositories whose root, timestamp or snapshot breaks one rule."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta

from securesystemslib.signer import CryptoSigner, SSlibKey

from broker.testing.trust import make_officers, signers
from broker.trust.officer_keys import OfficerKey
from tests.vectors.trust_forge import Change, Forge, cases, published

__all__ = ["CASES"]


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


CASES = cases(globals())
