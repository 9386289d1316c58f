# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A node's folder: key and certificate change together or not at all, and only an authority that a person knows counts."""

from __future__ import annotations

import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from broker.certificates.authority import BrokerAuthority
from broker.certificates.folder import IDENTITY_FILE, PENDING_FILE, CertificateFolder
from broker.certificates.identity import fingerprint, new_key, public_bytes
from broker.core.errors import CertificateInvalid
from broker.core.ids import CountryCode

EE = CountryCode("EE")
DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    """An empty folder of EE."""
    return CertificateFolder(tmp_path / "tls", EE)


def _files(folder: CertificateFolder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.path.glob("*")}


def test_a_requested_certificate_is_installed_with_its_key(
    folder: CertificateFolder, authority: BrokerAuthority, now: datetime
) -> None:
    """Asking twice asks for the same key; installing puts both into one file that only its owner reads."""
    key = folder.request_key()
    assert public_bytes(folder.request_key().public_key()) == public_bytes(key.public_key())
    assert stat.S_IMODE((folder.path / PENDING_FILE).stat().st_mode) == 0o600
    chain = authority.issue_member(EE, key.public_key(), now=now, days=90)
    stamp = folder.stamp()
    folder.install(chain, None, believed=fingerprint(authority.certificate), now=now)
    shown = folder.read(now)
    assert (shown.identity.certificate, shown.authorities) == (chain[0], (authority.certificate,))
    assert stat.S_IMODE((folder.path / IDENTITY_FILE).stat().st_mode) == 0o600
    assert not folder.open_to_others
    assert not (folder.path / PENDING_FILE).exists()
    assert folder.stamp() != stamp


def test_the_first_authority_needs_a_person(folder: CertificateFolder, authority: BrokerAuthority, issue, now) -> None:
    """Without a fingerprint, or with another one, nothing is written; the error shows the one to compare."""
    identity = issue()
    with pytest.raises(CertificateInvalid) as refused:
        folder.install(identity.chain, identity.key, believed=None, now=now)
    assert fingerprint(authority.certificate) in refused.value.detail
    with pytest.raises(CertificateInvalid):
        folder.install(identity.chain, identity.key, believed="00 " * 32, now=now)
    assert not folder.path.exists()


def test_a_later_certificate_needs_no_fingerprint(folder: CertificateFolder, authority, issue, now: datetime) -> None:
    """The same authority is known; the fingerprint may be written with colons and capitals."""
    first, second = issue(), issue()
    spelled = fingerprint(authority.certificate).replace(" ", ":").upper()
    folder.install(first.chain, first.key, believed=spelled, now=now)
    folder.install(second.chain[:1], second.key, believed=None, now=now)
    assert folder.read(now).identity.certificate == second.certificate


def test_another_authority_is_believed_beside_the_one_before(
    folder: CertificateFolder, authority, issue, tmp_path: Path, now: datetime
) -> None:
    """Without its fingerprint it is refused and nothing changes; with it both are believed while both last."""
    first = issue()
    folder.install(first.chain, first.key, believed=fingerprint(authority.certificate), now=now)
    before = _files(folder)
    other = BrokerAuthority.create(tmp_path / "other", b"x" * 20, name="Other", now=now)
    second = issue(signer=other)
    with pytest.raises(CertificateInvalid):
        folder.install(second.chain, second.key, believed=None, now=now)
    assert _files(folder) == before
    folder.install(second.chain, second.key, believed=fingerprint(other.certificate), now=now)
    assert folder.read(now).authorities == (other.certificate, authority.certificate)


def test_what_does_not_fit_changes_nothing(folder: CertificateFolder, authority, issue, now: datetime) -> None:
    """Another country's, another key's and an ended certificate leave the one before in force."""
    good = issue()
    folder.install(good.chain, good.key, believed=fingerprint(authority.certificate), now=now)
    before = _files(folder)
    for chain, key in (
        (issue("FI").chain, None),
        (issue().chain, new_key()),
        (issue().chain, None),
        (issue(at=now - 91 * DAY).chain, good.key),
        ((authority.certificate,), good.key),
    ):
        with pytest.raises(CertificateInvalid):
            folder.install(chain, key, believed=None, now=now)
    assert _files(folder) == before


def test_a_person_is_warned_in_time(folder: CertificateFolder, authority, issue, now: datetime) -> None:
    """Silence until 30 days before the end, then a sentence with the day, then that it has ended."""
    identity = issue()
    folder.install(identity.chain, identity.key, believed=fingerprint(authority.certificate), now=now)
    assert folder.warning(now + 60 * DAY) is None
    assert folder.warning(now + 61 * DAY) == (
        "The certificate for the message broker ends on 2027-02-20: ask for the next one."
    )
    assert folder.warning(now + 90 * DAY) == "The certificate ended on 2027-02-20."


def test_missing_and_damaged_files_are_told(folder: CertificateFolder, authority, issue, now: datetime) -> None:
    """The sentence says what is wrong and the place which file."""
    with pytest.raises(CertificateInvalid, match=r"There is no node\.pem"):
        folder.read(now)
    identity = issue()
    folder.install(identity.chain, identity.key, believed=fingerprint(authority.certificate), now=now)
    (folder.path / "ca.pem").write_bytes(b"nothing")
    with pytest.raises(CertificateInvalid, match="no usable certificate"):
        folder.read(now)
