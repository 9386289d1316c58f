# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The broker's certificate authority: made once, opened by its passphrase, exact in what it issues and revokes."""

from __future__ import annotations

import stat
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from broker.certificates.authority import AUTHORITY_FILE, KEY_FILE, REGISTER_FILE, BrokerAuthority, name_hash
from broker.certificates.identity import common_name
from broker.core.errors import BadRequest, CertificateInvalid, HomeInvalid, VaultLocked
from broker.core.ids import CountryCode

PASSPHRASE = b"sixteen letters and more"
EE = CountryCode("EE")


def test_an_authority_opens_with_its_passphrase_only(authority: BrokerAuthority) -> None:
    """The same certificate comes back; another passphrase, or none, is VaultLocked."""
    assert BrokerAuthority.open(authority.folder, PASSPHRASE).certificate == authority.certificate
    for wrong in (b"", b"another passphrase"):
        with pytest.raises(VaultLocked):
            BrokerAuthority.open(authority.folder, wrong)
    assert stat.S_IMODE((authority.folder / KEY_FILE).stat().st_mode) == 0o600
    assert b"ENCRYPTED" in (authority.folder / KEY_FILE).read_bytes()


def test_an_authority_is_never_written_over(authority: BrokerAuthority, now: datetime) -> None:
    """Making one where one is changes no file."""
    before = {file: file.read_bytes() for file in authority.folder.rglob("*") if file.is_file()}
    with pytest.raises(HomeInvalid):
        BrokerAuthority.create(authority.folder, PASSPHRASE, name="Another", now=now)
    assert {file: file.read_bytes() for file in authority.folder.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", ["", "é", "x" * 64])
def test_a_bad_name_makes_nothing(tmp_path: Path, now: datetime, name: str) -> None:
    """Nothing is left behind."""
    with pytest.raises(BadRequest):
        BrokerAuthority.create(tmp_path / "new", PASSPHRASE, name=name, now=now)
    assert not (tmp_path / "new").exists()


def test_a_members_certificate_logs_in_and_nothing_else(authority: BrokerAuthority, now: datetime) -> None:
    """Its one common name is the country, its use clientAuth, its life as asked, and it may sign no other."""
    key = ec.generate_private_key(ec.SECP256R1())
    own, root = authority.issue_member(EE, key.public_key(), now=now, days=90)
    extensions = own.extensions
    assert (common_name(own), root) == ("EE", authority.certificate)
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert own.not_valid_after_utc == now + timedelta(days=90)
    own.verify_directly_issued_by(root)


def test_the_brokers_certificate_names_its_hosts(authority: BrokerAuthority, now: datetime) -> None:
    """Names and addresses stand in the alternative names, and its use is serverAuth."""
    own = authority.issue_broker(["broker.example", "192.0.2.1"], now=now, days=90).certificate
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    uses = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH]


@pytest.mark.parametrize("hosts", [[], ["*.example"], ["Broker.example"], ["broker example"], ["-x"]])
def test_what_is_no_host_is_refused(authority: BrokerAuthority, now: datetime, hosts: list[str]) -> None:
    """No wildcard, no capital, no space; nothing is registered."""
    with pytest.raises(BadRequest):
        authority.issue_broker(hosts, now=now, days=90)
    assert authority.issued() == ()


def test_weak_keys_and_long_lives_are_refused(authority: BrokerAuthority, now: datetime) -> None:
    """A short RSA key, a curve of another kind, and a life beyond the authority's own get no certificate."""
    good = ec.generate_private_key(ec.SECP256R1()).public_key()
    for key, days in (
        (rsa.generate_private_key(65537, 2048).public_key(), 90),
        (ec.generate_private_key(ec.SECP256K1()).public_key(), 90),
        (good, 4000),
    ):
        with pytest.raises(CertificateInvalid):
            authority.issue_member(EE, key, now=now, days=days)
    assert authority.issued() == ()


def test_the_register_remembers_and_revoking_marks(authority: BrokerAuthority, issue, now: datetime) -> None:
    """What was issued is listed in order; revoked certificates stay revoked, others stay as they were."""
    first, second = issue("EE").certificate, issue("FI").certificate
    authority.revoke([first.serial_number], now=now)
    third = issue("EE").certificate
    authority.revoke([third.serial_number], now=now)
    assert [(one.serial, one.name, one.revoked) for one in authority.issued()] == [
        (first.serial_number, "EE", True), (second.serial_number, "FI", False), (third.serial_number, "EE", True),
    ]  # fmt: skip
    with pytest.raises(BadRequest):
        authority.revoke([1], now=now)


def test_a_register_that_cannot_be_read_is_not_begun_anew(authority: BrokerAuthority, issue) -> None:
    """Nothing is issued: what is not in the register can never be revoked."""
    register = authority.folder / REGISTER_FILE
    register.symlink_to(REGISTER_FILE)
    with pytest.raises(OSError, match="symbolic links"):
        issue("EE")
    assert register.is_symlink()


def test_the_revocation_list_is_found_by_name_and_lasts_as_long_as_the_authority(
    authority: BrokerAuthority, issue, now: datetime
) -> None:
    """OpenSSL computes the same file name, and believes the list under the authority's key."""
    authority.revoke([issue().certificate.serial_number], now=now)
    (file,) = (authority.folder / "crl").iterdir()
    command = ["openssl", "crl", "-in", str(file), "-noout", "-hash"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert file.name == f"{said}.r0" == f"{name_hash(authority.certificate.subject)}.r0"
    listed = x509.load_pem_x509_crl(file.read_bytes())
    assert listed.next_update_utc == authority.certificate.not_valid_after_utc
    assert listed.is_signature_valid(authority.certificate.public_key())


def test_a_damaged_folder_is_told(authority: BrokerAuthority, issue) -> None:
    """A damaged register, a foreign certificate and an empty folder are HomeInvalid."""
    issue()
    (authority.folder / REGISTER_FILE).write_text("{}\n")
    with pytest.raises(HomeInvalid):
        authority.issued()
    (authority.folder / AUTHORITY_FILE).write_bytes(b"nothing")
    with pytest.raises(HomeInvalid):
        BrokerAuthority.open(authority.folder, PASSPHRASE)
