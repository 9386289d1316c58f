# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A certificate is judged before it is shown: each thing that can be wrong has its sentence."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa

from broker.certificates.authority import BrokerAuthority
from broker.certificates.identity import Identity, fingerprint, new_key, parse_certificates, parse_identity, parse_key
from broker.core.errors import CertificateInvalid
from broker.core.ids import CountryCode

EE = CountryCode("EE")


def test_a_good_certificate_reads_back_and_passes(authority: BrokerAuthority, issue, now: datetime) -> None:
    """Key and chain survive their text form, and the key shows in no printed form."""
    identity = issue()
    again = parse_identity(identity.pem())
    again.check(EE, [authority.certificate], now)
    assert again.chain == identity.chain
    assert again.ends == now + timedelta(days=90)
    assert "key=" not in repr(again)


def _broken(case: str, issue, authority: BrokerAuthority, folder: Path, now: datetime) -> Identity:
    other = BrokerAuthority.create(folder / "other", b"x" * 20, name="Other", now=now)
    good = issue()
    made = {
        "another key": lambda: Identity(key=new_key(), chain=good.chain),
        "another country": lambda: issue("FI"),
        "a server's": lambda: authority.issue_broker(["ee"], now=now, days=9),
        "ended": lambda: issue(at=now - timedelta(days=91)),
        "not yet": lambda: issue(at=now + timedelta(days=1)),
        "another authority": lambda: issue(signer=other),
        "no authority": lambda: Identity(key=good.key, chain=(good.chain[0],)),
    }
    return made[case]()


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("another key", "not for this key"),
        ("another country", "common name must be EE"),
        ("a server's", "common name must be EE"),
        ("ended", "ended on 2026-11-21"),
        ("not yet", "valid only from 2026-11-23"),
        ("another authority", "not issued by"),
    ],
)
def test_one_wrong_thing_is_one_sentence(
    case: str, sentence: str, issue, authority: BrokerAuthority, tmp_path: Path, now: datetime
) -> None:
    """Key, name, use, validity and chain each refuse on their own."""
    with pytest.raises(CertificateInvalid) as refused:
        _broken(case, issue, authority, tmp_path, now).check(EE, [authority.certificate], now)
    assert sentence in refused.value.detail


def test_a_members_certificate_cannot_issue_another(authority: BrokerAuthority, issue, now: datetime) -> None:
    """A chain through a certificate that is no authority's is refused."""
    finland = issue("FI")
    pretended = BrokerAuthority(authority.folder / "pretended", finland.certificate, finland.key)  # type: ignore[arg-type]
    pretended.folder.mkdir()
    forged = issue(signer=pretended)
    chain = (forged.certificate, finland.certificate)
    with pytest.raises(CertificateInvalid, match="not issued by"):
        Identity(key=forged.key, chain=chain).check(EE, [authority.certificate], now)


def test_keys_that_cannot_be_used_are_told() -> None:
    """A key with a passphrase, one of another kind, and none at all."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    locked = new_key().private_bytes(*form, serialization.BestAvailableEncryption(b"secret"))
    old = dsa.generate_private_key(1024).private_bytes(*form, serialization.NoEncryption())
    for raw, sentence in ((locked, "has a passphrase"), (old, "must be P-256"), (b"nothing", "no usable private key")):
        with pytest.raises(CertificateInvalid, match=sentence):
            parse_key(raw)


@pytest.mark.parametrize("raw", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(raw: bytes) -> None:
    """Nothing, another text, and a damaged one."""
    with pytest.raises(CertificateInvalid):
        parse_certificates(raw)


def test_a_certificate_of_no_known_version_is_refused(authority: BrokerAuthority) -> None:
    """The library has an error of its own for that."""
    form = serialization.Encoding.DER
    changed = authority.certificate.public_bytes(form).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    raw = ssl.DER_cert_to_PEM_cert(changed).encode("ascii")
    with pytest.raises(CertificateInvalid, match="no usable certificate"):
        parse_certificates(raw)


def test_a_fingerprint_can_be_read_aloud(authority: BrokerAuthority) -> None:
    """Sixteen groups of four digits."""
    groups = fingerprint(authority.certificate).split()
    assert [len(group) for group in groups] == [4] * 16
