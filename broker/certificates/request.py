# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A node asks for a certificate: its new public key, signed by the two signing keys that the trust list names for it.

So nobody has to recognise a voice on the telephone: who may ask for a country is what the federation already decided.
An old request that somebody keeps asks for the same key again, whose private part only that node has.
The form of the file stands in PROTOCOL 11.1a.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from broker.certificates.identity import UNREADABLE, IdentityKey, check_key, common_name
from broker.core.canonical import b64url_decode, b64url_encode
from broker.core.errors import CertificateInvalid, NotCanonical
from broker.core.ids import CountryCode, KeyId
from broker.core.trust import KeyUse, MemberKind, MemberStatus, TrustList
from broker.security.primitives import ed25519_public, ml_dsa_public
from broker.security.suite import Signer

__all__ = ["CertificateRequest", "read_request", "write_request"]

_FORMAT = "trm-certificate-request"
_VERSION = 1
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """A request whose signatures were found good."""

    country: CountryCode
    public: CertificatePublicKeyTypes


def write_request(us: CountryCode, key: IdentityKey, signer: Signer) -> bytes:
    """Return the request file; it holds nothing secret."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(us))])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, algorithm)
    raw = csr.public_bytes(serialization.Encoding.DER)
    statement = _statement(us, raw)
    data = {
        "format": _FORMAT,
        "version": _VERSION,
        "country": str(us),
        "request": b64url_encode(raw),
        "signatures": [
            {"kid": signer.ed25519_kid, "signature": b64url_encode(signer.sign_ed25519(statement))},
            {"kid": signer.ml_dsa_kid, "signature": b64url_encode(signer.sign_ml_dsa(statement))},
        ],
    }
    return json.dumps(data, indent=2).encode("ascii") + b"\n"


def read_request(raw: bytes, trust: TrustList, now: datetime) -> CertificateRequest:
    """Return the request when the trust list lets that country have a broker user and both signatures are its own.

    Raises:
        CertificateInvalid: with the first thing that is wrong.
    """
    country, csr_raw, signatures = _parsed(raw)
    _check_signatures(country, _statement(country, csr_raw), signatures, trust, now)
    try:
        csr = x509.load_der_x509_csr(csr_raw)
        good, public, name = csr.is_signature_valid, csr.public_key(), common_name(csr)
    except (*UNREADABLE, InvalidSignature):
        raise CertificateInvalid("The certificate request inside the file cannot be read.") from None
    if not good or name != country:
        raise CertificateInvalid(
            "The certificate request inside the file is not that country's, or not by its own key."
        )
    check_key(public)
    return CertificateRequest(country=country, public=public)


def _statement(country: CountryCode, csr: bytes) -> bytes:
    # The line feed keeps it apart from everything else these keys sign: no JWS signing input holds one (RFC 7515, 5.1).
    return f"{_FORMAT} {_VERSION}\n{country}\n".encode("ascii") + csr


def _parsed(raw: bytes) -> tuple[CountryCode, bytes, tuple[tuple[KeyId, bytes], ...]]:
    try:
        if len(raw) > _MAX_BYTES:
            raise ValueError("too long")
        data: Mapping[str, Any] = json.loads(raw)
        if (data["format"], data["version"]) != (_FORMAT, _VERSION):
            raise ValueError("another format")
        signatures = tuple((KeyId(item["kid"]), b64url_decode(item["signature"])) for item in data["signatures"])
        return CountryCode(data["country"]), b64url_decode(data["request"]), signatures
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, NotCanonical):
        raise CertificateInvalid(
            "The file is not a certificate request made by `trm broker certificate request`."
        ) from None


def _check_signatures(
    country: CountryCode,
    statement: bytes,
    signatures: tuple[tuple[KeyId, bytes], ...],
    trust: TrustList,
    now: datetime,
) -> None:
    member = trust.members.get(country)
    if member is None or member.kind is not MemberKind.STATE or member.status is not MemberStatus.ACTIVE:
        raise CertificateInvalid(f"The trust list has no active member {country} with a node.")
    if len(signatures) != 2:
        raise CertificateInvalid("The request has not the two signatures of a node.")
    by_id = {key.kid: key for key in member.keys if key.usable(now)}
    for use, (kid, signature) in zip((KeyUse.ED25519, KeyUse.ML_DSA_65), signatures, strict=True):
        key = by_id.get(kid)
        if key is None or key.use is not use:
            raise CertificateInvalid(f"A signature is not by a key that the trust list names for {country} now.")
        try:
            load = ed25519_public if use is KeyUse.ED25519 else ml_dsa_public
            load(key.public).verify(signature, statement)
        except (InvalidSignature, ValueError):
            raise CertificateInvalid("A signature of the request does not verify.") from None
