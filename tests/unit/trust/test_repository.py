# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the ceremonies on a trust repository."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import TargetFile, Targets

from broker.core.errors import CeremonyRefused, TrustListInvalid
from broker.core.ids import CountryCode, KeyId
from broker.core.trust import Member, MemberKind, MemberStatus, RevocationReason
from broker.schema_files import list_profiles, read_schema_file
from broker.testing.trust import TrustOffice, make_officers, signers
from broker.trust.federation_documents import Membership
from broker.trust.folder import TrustFolder
from broker.trust.member_documents import read_member, write_member
from broker.trust.repository import Repository
from broker.trust.signers import Signers

EE = CountryCode("EE")


def files(folder: Path) -> dict[str, bytes]:
    """Return everything under a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def sentences(office: TrustOffice) -> dict[str, list[str]]:
    """Return what waits, in words, by role."""
    return {item.role: [change.sentence for change in item.changes] for item in office.repository.staged()}


def test_a_repository_is_laid_out_as_consistent_snapshots(office: TrustOffice) -> None:
    """Every list but the timestamp stands under its version, every document under its hash, and nothing is left over."""
    names = sorted(name.rpartition("/")[2] for name in files(office.folder / "metadata"))
    assert names == ["1.EE.json", "1.root.json", "1.snapshot.json", "1.targets.json", "timestamp.json"]
    documents = sorted(name for name in files(office.folder / "targets"))
    assert [name.rpartition(".")[0].rpartition(".")[2] for name in documents] == ["federation", "EE"]
    assert office.repository.staged() == ()


def test_nothing_is_made_over_a_repository(office: TrustOffice, now: datetime) -> None:
    """A folder that holds one is refused and stays as it is."""
    before = files(office.folder)
    with pytest.raises(CeremonyRefused):
        TrustOffice.create(office.folder, now=now)
    assert files(office.folder) == before


def test_an_empty_folder_is_no_repository(tmp_path: Path) -> None:
    """Opening where nothing is says so."""
    with pytest.raises(CeremonyRefused, match="no trust repository"):
        Repository(tmp_path)


def test_one_signature_of_two_publishes_nothing_of_the_change(office: TrustOffice, now: datetime) -> None:
    """A suspension that one officer signed waits; the list is renewed without it."""
    office.repository.suspend(EE, "A drill.", now=now)
    staged = office.repository.staged()[0]
    after = office.repository.sign("targets", staged.digest, office.federation[0])
    assert (after.missing, after.complete, len(after.signed_by), len(after.waiting)) == (1, False, 1, 2)
    assert office.repository.publish(office.online, now=now).version == 2
    assert (office.folder / "metadata" / "2.snapshot.json").exists()
    assert not (office.folder / "metadata" / "2.targets.json").exists()
    assert [item.role for item in office.repository.staged()] == ["targets"]


def test_signatures_gather_until_there_are_enough(office: TrustOffice, now: datetime) -> None:
    """The second officer continues where the first ended, with the folder opened anew, and publishing empties it."""
    office.repository.suspend(EE, "A drill.", now=now)
    digest = office.repository.staged()[0].digest
    office.repository.sign("targets", digest, office.federation[0])
    resumed = Repository(office.folder)
    assert resumed.sign("targets", digest, office.federation[2]).complete
    resumed.publish(office.online, now=now)
    assert resumed.staged() == ()
    assert resumed.federation().members[EE] == Membership(status=MemberStatus.SUSPENDED, reason="A drill.")


def test_signatures_made_on_two_copies_come_together(office: TrustOffice, tmp_path: Path, now: datetime) -> None:
    """Each officer signs a copy on a stick; taking the signatures back makes the threshold."""
    office.repository.suspend(EE, "A drill.", now=now)
    digest = office.repository.staged()[0].digest
    copies = [tmp_path / name for name in ("first", "second")]
    for copy, key in zip(copies, office.federation, strict=False):
        shutil.copytree(office.folder, copy)
        Repository(copy).sign("targets", digest, key)
    assert [office.repository.take_signatures(copy) for copy in (*copies, copies[0])] == [1, 1, 0]
    assert office.repository.staged()[0].complete


def test_a_copy_with_another_content_gives_no_signature(office: TrustOffice, tmp_path: Path, now: datetime) -> None:
    """What was signed elsewhere is not what waits here."""
    copy = tmp_path / "copy"
    shutil.copytree(office.folder, copy)
    Repository(copy).suspend(EE, "Another reason.", now=now)
    elsewhere = Repository(copy).staged()[0]
    Repository(copy).sign("targets", elsewhere.digest, office.federation[0])
    office.repository.suspend(EE, "A drill.", now=now)
    assert office.repository.take_signatures(copy) == 0
    assert office.repository.staged()[0].signed_by == ()


def test_only_what_was_shown_is_signed(office: TrustOffice, now: datetime) -> None:
    """A change behind the officer's back makes the digest another one: no signature is given."""
    office.repository.suspend(EE, "A drill.", now=now)
    shown = office.repository.staged()[0].digest
    office.repository.suspend(EE, "Something else.", now=now)
    with pytest.raises(CeremonyRefused, match="not what was shown"):
        office.repository.sign("targets", shown, office.federation[0])
    assert office.repository.staged()[0].signed_by == ()


def test_a_swapped_document_is_not_signed(office: TrustOffice, now: datetime) -> None:
    """The list names a document by hash; another one in its place stops signing and publishing."""
    office.repository.suspend(EE, "A drill.", now=now)
    digest = office.repository.staged()[0].digest
    (office.folder / "staged" / "targets" / "federation.json").write_bytes(b"{}")
    with pytest.raises(CeremonyRefused, match="not in the folder"):
        office.repository.sign("targets", digest, office.federation[0])


def test_a_change_takes_signatures_away(office: TrustOffice, now: datetime) -> None:
    """What an officer signed before the change counts no more."""
    office.repository.suspend(EE, "A drill.", now=now)
    office.repository.sign("targets", office.repository.staged()[0].digest, office.federation[0])
    office.repository.resume(EE, now=now)
    assert office.repository.staged()[0].missing == 2


def test_a_member_officer_does_not_sign_for_the_federation(office: TrustOffice, now: datetime) -> None:
    """A key that the role does not name gives no signature."""
    office.repository.suspend(EE, "A drill.", now=now)
    digest = office.repository.staged()[0].digest
    with pytest.raises(CeremonyRefused, match="does not sign"):
        office.repository.sign("targets", digest, office.members[EE][0])


def test_a_member_revokes_its_key_without_the_federation(office: TrustOffice, ee: Member, now: datetime) -> None:
    """Two of its own three officers are enough; time and reason stand in the published document."""
    kid = ee.keys[0].kid
    office.repository.revoke_key(EE, kid, at=now, reason=RevocationReason.COMPROMISED, now=now)
    assert [item.role for item in office.repository.staged()] == ["EE"]
    assert len(sentences(office)["EE"]) == 3  # the document's hash, the time, the reason
    assert office.publish(now=now) == 2
    raw = office.repository.document("members/EE.json")
    assert raw is not None
    key = next(key for key in read_member(raw, EE, where="here").keys if key.kid == kid)
    assert (key.revoked_at, key.revoked_because) == (now, RevocationReason.COMPROMISED)


def test_an_unknown_key_is_not_revoked(office: TrustOffice, now: datetime) -> None:
    """A mistyped key id stages nothing."""
    with pytest.raises(CeremonyRefused, match="does not list"):
        office.repository.revoke_key(EE, KeyId("A" * 43), at=now, reason=RevocationReason.CEASED, now=now)
    assert office.repository.staged() == ()


def test_no_document_makes_a_revoked_key_good_again(office: TrustOffice, ee: Member, now: datetime) -> None:
    """The file from before the revocation is refused, and so is a later moment; nothing is staged, a profile is free."""
    office.repository.revoke_key(EE, ee.keys[0].kid, at=now, reason=RevocationReason.COMPROMISED, now=now)
    office.publish(now=now)
    for later in (None, now + timedelta(days=1)):
        member = replace(ee, keys=(replace(ee.keys[0], revoked_at=later), *ee.keys[1:]))
        with pytest.raises(CeremonyRefused, match="takes the revocation of a key back"):
            office.set(member, now=now)
    assert office.repository.staged() == ()
    office.set(replace(ee, keys=ee.keys[1:]), now=now)


def test_words_say_everything_that_changes(office: TrustOffice, ee: Member, now: datetime) -> None:
    """A renamed office and a suspension are told with what was before."""
    renamed = replace(ee, authorities=(replace(ee.authorities[0], name="Laste kaitse"),))
    office.set(renamed, now=now)
    office.repository.suspend(EE, "A drill.", now=now)
    told = sentences(office)
    assert (
        "changed: members/EE.json: authorities child-protection name is Laste kaitse (was Child protection EE)"
        in told["EE"]
    )
    assert "changed: federation.json: members EE status is SUSPENDED (was ACTIVE)" in told["targets"]
    assert "new: federation.json: members EE reason is A drill." in told["targets"]
    assert len(told["targets"]) == 3  # these two, and the document's length and hash


def test_the_same_document_stages_nothing(office: TrustOffice, ee: Member, now: datetime) -> None:
    """Officers are not asked to sign what counts already."""
    assert not office.repository.set_document("members/EE.json", write_member(ee), now=now)
    assert office.repository.staged() == ()


@pytest.mark.parametrize(
    ("path", "raw", "error"),
    [
        ("members/EE.json", b"{}", TrustListInvalid),
        ("federation.json", b'{"format": "trm-federation/1"}', TrustListInvalid),
        ("catalogue.json", b'{"format": "trm-catalogue/1", "files": {}}', TrustListInvalid),
        ("arrangements.json", b"[]", TrustListInvalid),
        ("arrangements.json", b"{}", TrustListInvalid),
        ("members/EE/profile.json", b"{}", TrustListInvalid),
        ("members/EE/profile.json", read_schema_file(list_profiles()["FI"]), TrustListInvalid),
        ("members/FI.json", b"{}", TrustListInvalid),
        ("members/../root.json", b"{}", CeremonyRefused),
        ("anything.json", b"{}", CeremonyRefused),
    ],
)
def test_a_bad_document_is_not_put_before_officers(
    office: TrustOffice, path: str, raw: bytes, error: type[Exception], now: datetime
) -> None:
    """What every node would refuse, or nobody may say, is refused while it is staged."""
    with pytest.raises(error):
        office.repository.set_document(path, raw, now=now)
    assert office.repository.staged() == ()


def test_nobody_signs_for_a_country_that_is_no_member(office: TrustOffice, fi: Member, now: datetime) -> None:
    """A document without a delegation stages nothing."""
    with pytest.raises(CeremonyRefused, match="has not said who signs"):
        office.set(fi, now=now)
    assert office.repository.staged() == ()


def test_new_officers_of_a_member_sign_before_anything_is_published(office: TrustOffice, now: datetime) -> None:
    """Replacing officers without their signature under the member's documents would leave nodes with the old list."""
    new = make_officers("EE", 3, label="new officer")
    office.repository.set_member(EE, signers(new, 2), now=now)
    office.sign("targets")
    before = files(office.folder / "metadata")
    with pytest.raises(CeremonyRefused, match="must sign its documents"):
        office.repository.publish(office.online, now=now)
    assert files(office.folder / "metadata") == before
    office.members[EE] = new
    office.publish(now=now)
    assert office.repository.signers("EE") == signers(new, 2)


def _set_version(targets: Targets) -> None:
    targets.version = 2**53


def _name_no_hash(targets: Targets) -> None:
    next(iter(targets.targets.values())).hashes = {"sha512": "0" * 128}


def _name_elsewhere(targets: Targets) -> None:
    path = "members/../root.json"
    targets.targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(_set_version, "no node takes"), (_name_no_hash, "not in the folder"), (_name_elsewhere, "there is none of")],
    ids=["a version beyond all numbers", "a document without its SHA-256", "a path out of the folder"],
)
def test_what_a_members_officers_signed_by_hand_is_left_out(
    office: TrustOffice, ee: Member, fi: Member, now: datetime, change: Callable[[Targets], object], sentence: str
) -> None:
    """Nodes would never take it: it is named, what was in force of it stays, and another country's news go out."""
    office.add(fi, kind=MemberKind.PAPER, now=now)
    office.set(replace(ee, authorities=()), now=now)
    office.sign()
    staged = TrustFolder(office.folder).staged("EE")
    assert staged is not None
    change(staged.signed)
    staged.signatures.clear()
    for key in office.members[EE]:
        staged.sign(key.signer, append=True)
    TrustFolder(office.folder).stage("EE", staged)
    before = TrustFolder(office.folder).published("EE")

    published = office.repository.publish(office.online, now=now)

    ((left),) = published.left_out
    assert left.role == "EE"
    assert sentence in left.error.detail
    assert TrustFolder(office.folder).published("EE") == before
    assert TrustFolder(office.folder).published("FI") is not None


def test_a_damaged_list_of_a_member_holds_up_nobody_and_can_be_discarded(office: TrustOffice, now: datetime) -> None:
    """What cannot even be read is left out and forgotten on request; the weekly renewal goes on meanwhile."""
    (office.folder / "staged").mkdir(exist_ok=True)
    (office.folder / "staged" / "EE.json").write_text("{")

    published = office.repository.publish(office.online, now=now)

    assert [(left.role, left.error.detail) for left in published.left_out] == [
        ("EE", "A signed list in the folder is damaged.")
    ]
    assert [left.role for left in office.repository.spoiled()] == ["EE"]
    office.repository.discard("EE")
    assert (office.repository.staged(), office.repository.spoiled()) == ((), ())
    assert office.repository.publish(office.online, now=now).left_out == ()


def test_a_removed_member_is_gone_from_list_and_delegations(office: TrustOffice, fi: Member, now: datetime) -> None:
    """What it signed stays in the snapshot, as TUF wants, and counts for nothing."""
    office.add(fi, kind=MemberKind.PAPER, now=now)
    office.publish(now=now)
    office.repository.remove_member(EE, now=now)
    office.publish(now=now)
    assert set(office.repository.federation().members) == {"FI"}
    with pytest.raises(CeremonyRefused):
        office.repository.signers("EE")


def test_a_new_root_needs_old_and_new_officers(office: TrustOffice, now: datetime) -> None:
    """Neither the new officers alone nor the old ones alone can change who the federation is."""
    new = make_officers("SE", 3, label="new officer")
    office.repository.rotate_root(federation=signers(new, 2), now=now)
    root, targets = office.repository.staged()
    assert (root.role, root.missing, targets.role) == ("root", 2, "targets")
    for key in new[:2]:
        assert office.repository.sign("root", root.digest, key).missing == 2
    assert office.repository.sign("root", root.digest, office.federation[0]).missing == 1
    assert office.repository.sign("root", root.digest, office.federation[1]).complete
    with pytest.raises(CeremonyRefused, match="does not sign"):
        office.repository.sign("targets", targets.digest, office.federation[0])
    office.federation = new
    assert office.publish(now=now) == 2
    assert (office.folder / "metadata" / "2.root.json").exists()
    assert office.repository.signers("targets") == signers(new, 2)


def test_a_root_with_the_same_officers_needs_no_new_list(office: TrustOffice, now: datetime) -> None:
    """Renewing the root alone leaves the list of members as it is signed."""
    office.repository.rotate_root(now=now + timedelta(days=300))
    assert [(item.role, item.changes) for item in office.repository.staged()] == [("root", ())]


def test_publishing_takes_the_key_that_the_root_names(office: TrustOffice, now: datetime) -> None:
    """Another key, even an officer's, publishes nothing."""
    before = files(office.folder)
    with pytest.raises(CeremonyRefused, match="not the key"):
        office.repository.publish(office.federation[0], now=now)
    assert files(office.folder) == before


def test_the_online_key_is_no_officers_key(tmp_path: Path, now: datetime) -> None:
    """A key on a connected machine must not count towards what officers decide."""
    keys = make_officers("EE", 2)
    with pytest.raises(CeremonyRefused, match="online key"):
        Repository.create(
            tmp_path / "new", name="Test", federation=signers(keys, 2), online=keys[0].officer, now=now
        )  # fmt: skip


@pytest.mark.parametrize(("count", "threshold"), [(0, 0), (0, 1), (2, 0), (2, 3)])
def test_a_threshold_that_cannot_be_is_refused(count: int, threshold: int) -> None:
    """None of none, none of two and three of two are no thresholds."""
    with pytest.raises(CeremonyRefused):
        signers(make_officers("EE", count), threshold)


def test_one_officer_counts_once() -> None:
    """Naming an officer twice does not make two."""
    officer = make_officers("EE", 1)[0].officer
    with pytest.raises(CeremonyRefused):
        Signers(officers=(officer, officer), threshold=2)


def test_a_discarded_change_is_forgotten(office: TrustOffice, now: datetime) -> None:
    """What counts is again what was published."""
    office.repository.suspend(EE, "A drill.", now=now)
    office.repository.discard("targets")
    assert office.repository.staged() == ()
    assert office.repository.federation().members[EE].status is MemberStatus.ACTIVE
    with pytest.raises(CeremonyRefused):
        office.repository.discard("targets")


def test_what_waits_is_renewed_with_its_content(office: TrustOffice, now: datetime) -> None:
    """A renewal changes nothing but version and lifetime."""
    later = now + timedelta(days=100)
    office.repository.renew("EE", now=later)
    staged = office.repository.staged()[0]
    assert (staged.version, staged.expires, staged.changes) == (2, later + timedelta(days=400), ())
