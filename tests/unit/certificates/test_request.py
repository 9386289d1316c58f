# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A certificate request is believed by the trust list, and by nothing else."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from broker.certificates.identity import new_key, public_bytes
from broker.certificates.request import read_request, write_request
from broker.core.canonical import b64url_decode, b64url_encode
from broker.core.errors import CertificateInvalid
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse, Member, MemberKind, MemberStatus, TrustList
from broker.home import generate_keys, member_of
from broker.security.suite import KeyPairSigner

EE, FI = CountryCode("EE"), CountryCode("FI")


class Federation:
    """EE and FI with their keys."""

    def __init__(self, now: datetime) -> None:
        self.keys = {us: generate_keys() for us in (EE, FI)}
        self.members = {us: member_of(us, keys, now=now, authorities=(), messages={}) for us, keys in self.keys.items()}

    def signer(self, us: CountryCode) -> KeyPairSigner:
        seeds = {key.use: key.seed for key in self.keys[us]}
        return KeyPairSigner(seeds[KeyUse.ED25519], seeds[KeyUse.ML_DSA_65])

    def trust(self, change: Callable[[Member], Member] = lambda member: member) -> TrustList:
        return TrustList(version=1, members={**self.members, EE: change(self.members[EE])})


@pytest.fixture
def federation(now: datetime) -> Federation:
    """Two countries."""
    return Federation(now)


def test_a_members_request_is_believed(federation: Federation, now: datetime) -> None:
    """Country and public key come out as they went in, and the file holds no private key."""
    key = new_key()
    raw = write_request(EE, key, federation.signer(EE))
    asked = read_request(raw, federation.trust(), now)
    assert (asked.country, public_bytes(asked.public)) == (EE, public_bytes(key.public_key()))
    assert b"PRIVATE" not in raw


def test_a_request_that_another_program_wrote_is_believed(federation: Federation, now: datetime) -> None:
    """PROTOCOL 11.1a says all that it takes: no country depends on this program to reach the message broker."""
    key, signer = new_key(), federation.signer(EE)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "EE")])
    raw = (
        x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    )
    said = b"trm-certificate-request 1\nEE\n" + raw
    data = {
        "format": "trm-certificate-request",
        "version": 1,
        "country": "EE",
        "request": urlsafe_b64encode(raw).rstrip(b"=").decode(),
        "signatures": [
            {"kid": kid, "signature": urlsafe_b64encode(signature).rstrip(b"=").decode()}
            for kid, signature in (
                (signer.ed25519_kid, signer.sign_ed25519(said)),
                (signer.ml_dsa_kid, signer.sign_ml_dsa(said)),
            )
        ],
    }
    asked = read_request(json.dumps(data).encode(), federation.trust(), now)
    assert (asked.country, public_bytes(asked.public)) == (EE, public_bytes(key.public_key()))


CHANGES: dict[str, Callable[[Member, datetime], Member]] = {
    "suspended": lambda member, _: replace(member, status=MemberStatus.SUSPENDED),
    "on paper": lambda member, _: replace(member, kind=MemberKind.PAPER),
    "without keys": lambda member, _: replace(member, keys=()),
    "revoked keys": lambda member, now: replace(member, keys=tuple(replace(k, revoked_at=now) for k in member.keys)),
    "ended keys": lambda member, now: replace(member, keys=tuple(replace(k, sign_until=now) for k in member.keys)),
}


@pytest.mark.parametrize("case", CHANGES)
def test_who_may_not_sign_now_gets_no_certificate(federation: Federation, now: datetime, case: str) -> None:
    """Status, kind and keys of the list of now decide."""
    raw = write_request(EE, new_key(), federation.signer(EE))
    with pytest.raises(CertificateInvalid):
        read_request(raw, federation.trust(lambda member: CHANGES[case](member, now)), now + timedelta(seconds=1))


def test_nobody_asks_for_another_country(federation: Federation, now: datetime) -> None:
    """FI's signatures do not ask for EE, neither by its own request nor by renaming one."""
    forged = write_request(EE, new_key(), federation.signer(FI))
    renamed = json.loads(write_request(FI, new_key(), federation.signer(FI)))
    renamed["country"] = "EE"
    for raw in (forged, json.dumps(renamed).encode()):
        with pytest.raises(CertificateInvalid):
            read_request(raw, federation.trust(), now)


BREAKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no signature": lambda data: data["signatures"].clear(),
    "one signature": lambda data: data["signatures"].pop(),
    "exchanged signatures": lambda data: data["signatures"].reverse(),
    "another request": lambda data: data.update(request=data["request"][:-8] + "AAAAAAAA"),
    "another format": lambda data: data.update(format="other"),
    "another version": lambda data: data.update(version=2),
    "no country": lambda data: data.update(country="Estonia"),
    "a signature that is none": lambda data: data["signatures"][0].update(signature="AAAA"),
    "an id that is none": lambda data: data["signatures"][0].update(kid="?"),
    "nothing": lambda data: data.clear(),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_changed_request_is_refused(federation: Federation, now: datetime, case: str) -> None:
    """Whatever is changed, it is one documented error."""
    data = json.loads(write_request(EE, new_key(), federation.signer(EE)))
    BREAKS[case](data)
    with pytest.raises(CertificateInvalid):
        read_request(json.dumps(data).encode(), federation.trust(), now)


@pytest.mark.parametrize(
    "change",
    [(b"\x02\x01\x00", b"\x02\x01\x07"), (b"\x55\x04\x03\x0c\x02EE", b"\x55\x04\x03\x03\x02\x00E")],
    ids=["a version that does not exist", "a name in bits"],
)
def test_a_member_that_signs_what_nobody_can_read_is_refused(
    federation: Federation, now: datetime, change: tuple[bytes, bytes]
) -> None:
    """For both the library has errors of their own."""
    signer = federation.signer(EE)
    inside = b64url_decode(json.loads(write_request(EE, new_key(), signer))["request"])
    changed = inside.replace(*change, 1)
    assert changed != inside
    statement = b"trm-certificate-request 1\nEE\n" + changed
    signatures = [
        {"kid": signer.ed25519_kid, "signature": b64url_encode(signer.sign_ed25519(statement))},
        {"kid": signer.ml_dsa_kid, "signature": b64url_encode(signer.sign_ml_dsa(statement))},
    ]
    data = {"format": "trm-certificate-request", "version": 1, "country": "EE", "request": b64url_encode(changed)}
    with pytest.raises(CertificateInvalid, match="inside the file cannot be read"):
        read_request(json.dumps({**data, "signatures": signatures}).encode(), federation.trust(), now)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{" * 5000, b"\xff", b" " * 70_000])
def test_what_is_no_request_is_refused(federation: Federation, now: datetime, raw: bytes) -> None:
    """Foreign, deep and endless files too."""
    with pytest.raises(CertificateInvalid):
        read_request(raw, federation.trust(), now)
