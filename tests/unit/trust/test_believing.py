# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about a repository's folder that somebody wrote on while it was carried."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Signature, TargetFile

from broker.core.errors import CeremonyRefused
from broker.core.ids import CountryCode
from broker.testing.trust import TrustOffice, make_officers, signers
from broker.trust.believing import believed
from broker.trust.folder import TrustFolder
from broker.trust.repository import Repository

EE, FI = CountryCode("EE"), CountryCode("FI")


def files(folder: Path) -> dict[str, bytes]:
    """Return everything under a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def forged_root(folder: Path, version: int) -> Metadata[Any]:
    """Return a root that two thieves alone signed, with the federation's publishing key in it."""
    thieves = make_officers("SE", 2)
    forged: Metadata[Any] = Metadata.from_file(str(folder / "metadata" / "1.root.json"))
    forged.signed.version = version
    for name in ("root", "targets"):
        forged.signed.roles[name].keyids = []
        for thief in thieves:
            forged.signed.add_key(thief.signer.public_key, name)
    forged.signatures.clear()
    for thief in thieves:
        forged.sign(thief.signer, append=True)
    return forged


def test_what_officers_signed_is_believed(office: TrustOffice) -> None:
    """Root, list and member's list of an honest folder are the published ones."""
    folder = TrustFolder(office.folder)
    for role in ("root", "targets", "EE"):
        found, published = believed(folder, role), folder.published(role)
        assert found is not None
        assert published is not None
        assert found.signed_bytes == published.signed_bytes
    assert believed(folder, "FI") is None


def test_a_country_slipped_into_what_was_published_is_still_shown(office: TrustOffice, now: datetime) -> None:
    """Whoever puts his own country into both the old and the new list cannot hide it from the officers who sign."""
    own = make_officers("FI", 1)
    copy = shutil.copytree(office.folder, office.folder.parent / "stick")
    thief = Repository(copy)
    thief.set_member(FI, signers(own, 1), now=now)
    (copy / "staged" / "targets.json").replace(copy / "metadata" / "2.targets.json")  # as if it had been published
    thief.suspend(EE, "A drill.", now=now)
    staged = next(item for item in thief.staged() if item.role == "targets")
    assert staged.version == 3
    told = " ".join(change.sentence for change in staged.changes)
    assert "FI: signatures needed is 1 of 1, so that ONE PERSON ALONE can sign" in told
    assert own[0].officer.keyid in told


@pytest.mark.parametrize("version", [2, 3])
def test_a_root_that_only_its_own_officers_signed_is_given_to_nobody(
    office: TrustOffice, now: datetime, version: int
) -> None:
    """A forged later root is not what a country begins with, and nothing is published beside it."""
    before = office.repository.root_file()
    forged_root(office.folder, version).to_file(str(office.folder / "metadata" / f"{version}.root.json"))
    assert office.repository.root_file() == before == office.folder / "metadata" / "1.root.json"
    state = files(office.folder)
    with pytest.raises(CeremonyRefused, match="not signed by the officers before it"):
        office.repository.publish(office.online, now=now)
    assert files(office.folder) == state


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_staged_root_is_published_only_by_the_officers_before_it(
    office: TrustOffice, now: datetime, version: int
) -> None:
    """Neither over the first root, nor after it, nor beyond it is a root published that its own officers alone signed."""
    forged = forged_root(office.folder, version)
    TrustFolder(office.folder).stage("root", forged)
    assert office.repository.publish(office.online, now=now).version == 2
    assert (office.folder / "metadata" / "1.root.json").read_bytes() == office.root
    assert [file.name for file in (office.folder / "metadata").glob("*.root.json")] == ["1.root.json"]


def test_a_new_root_waits_until_its_officers_have_signed_the_list(office: TrustOffice, now: datetime) -> None:
    """A root of new officers over a list of the old ones would be refused by every node; nothing is published."""
    new = make_officers("EE", 3)
    office.repository.rotate_root(federation=signers(new, 2), now=now)
    root = next(item for item in office.repository.staged() if item.role == "root")
    for key in (*office.federation[:2], *new[:2]):
        office.repository.sign("root", root.digest, key)
    state = files(office.folder)
    with pytest.raises(CeremonyRefused, match="must sign its list first"):
        office.repository.publish(office.online, now=now)
    assert files(office.folder) == state


def test_an_older_list_is_not_published_again(office: TrustOffice, now: datetime) -> None:
    """A list that was signed once and superseded since does not come back from a stick."""
    old = (office.folder / "metadata" / "1.targets.json").read_bytes()
    office.repository.suspend(EE, "A drill.", now=now)
    office.publish(now=now)
    (office.folder / "staged" / "targets.json").write_bytes(old)
    office.repository.publish(office.online, now=now)
    snapshot: Metadata[Any] = Metadata.from_file(str(office.folder / "metadata" / "3.snapshot.json"))
    assert snapshot.signed.meta["targets.json"].version == 2


@pytest.mark.parametrize("path", ["../../outside/evil.json", "/outside/evil.json", "members/EE/../../../evil.json"])
def test_no_document_leads_out_of_the_folder(office: TrustOffice, tmp_path: Path, now: datetime, path: str) -> None:
    """What a country's officers sign under a path of their own invention is neither read nor written by a publisher."""
    evil = b'{"run": "me"}'
    if path.startswith("/"):
        path = f"{tmp_path}{path}"
    source = office.folder / "staged" / "targets" / path
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(evil)
    office.repository.renew("EE", now=now)
    folder = TrustFolder(office.folder)
    staged = folder.staged("EE")
    assert staged is not None
    staged.signed.targets[path] = TargetFile.from_data(path, evil, ["sha256"])
    for key in office.members[EE]:
        staged.sign(key.signer, append=True)
    folder.stage("EE", staged)
    state = files(tmp_path)
    (spoiled,) = office.repository.spoiled()
    assert (spoiled.role, "there is none of" in spoiled.error.detail) == ("EE", True)
    assert files(tmp_path) == state
    (left,) = office.repository.publish(office.online, now=now).left_out
    assert "there is none of" in left.error.detail
    written = files(tmp_path).keys() - state.keys()
    assert {Path(name).parent for name in written} == {Path("trust/metadata")}


def test_a_signature_that_does_not_verify_keeps_out_none(office: TrustOffice, tmp_path: Path, now: datetime) -> None:
    """Junk under an officer's name is not taken over, and the officer's own signature takes the place of such junk."""
    office.repository.suspend(EE, "A drill.", now=now)
    first = office.federation[0]
    junk, good = (shutil.copytree(office.folder, tmp_path / name) for name in ("junk", "good"))
    folder = TrustFolder(junk)
    staged = folder.staged("targets")
    assert staged is not None
    staged.signatures[first.officer.keyid] = Signature(first.officer.keyid, "00" * 3309)
    folder.stage("targets", staged)
    Repository(good).sign("targets", office.repository.staged()[0].digest, first)
    assert office.repository.take_signatures(junk) == 0
    assert office.repository.staged()[0].signed_by == ()
    shutil.copyfile(junk / "staged" / "targets.json", office.folder / "staged" / "targets.json")
    assert office.repository.take_signatures(good) == 1
    assert office.repository.staged()[0].signed_by == (first.officer,)
