# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A certificate with its key and chain, read from PEM and judged before anybody shows it to a server.

The TLS libraries on both sides judge again; here a person is told in words, and in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.core.errors import CertificateInvalid
from broker.core.ids import CountryCode

__all__ = [
    "UNREADABLE", "Identity", "IdentityKey", "check_key", "common_name", "fingerprint", "key_bytes", "new_key",
    "parse_certificates", "parse_identity", "parse_key", "public_bytes",
]  # fmt: skip

_MAX_CHAIN = 4
_MIN_RSA_BITS = 3072

UNREADABLE = (  # what reading somebody's certificate, request or revocation list raises
    ValueError, TypeError, UnsupportedAlgorithm,
    x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType,
)  # fmt: skip

IdentityKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a node shows to the message broker."""

    chain: tuple[x509.Certificate, ...]  # the node's own first
    key: IdentityKey = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """The node's own certificate."""
        return self.chain[0]

    @property
    def ends(self) -> datetime:
        """When the first certificate of the chain ends."""
        return min(certificate.not_valid_after_utc for certificate in self.chain)

    def check(self, us: CountryCode, authorities: Sequence[x509.Certificate], now: datetime) -> None:
        """Judge key, name, use, validity and chain.

        Raises:
            CertificateInvalid: with the first thing that is wrong.
        """
        own = self.certificate
        check_key(own.public_key())
        if public_bytes(self.key.public_key()) != public_bytes(own.public_key()):
            raise CertificateInvalid("The certificate is not for this key.")
        if common_name(own) != us:
            raise CertificateInvalid(f"The certificate's common name must be {us}, which is this node's broker user.")
        if not _is_for_clients(own):
            raise CertificateInvalid("The certificate is not for logging in (extended key usage clientAuth).")
        _check_validity(self.chain, now)
        _check_chain(self.chain, authorities, now)

    def pem(self) -> bytes:
        """Return key and chain in one text: a secret."""
        return key_bytes(self.key) + b"".join(c.public_bytes(serialization.Encoding.PEM) for c in self.chain)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a fresh P-256 key, the one kind that every TLS 1.3 library takes (RFC 8446, 9.1)."""
    return ec.generate_private_key(ec.SECP256R1())


def parse_identity(raw: bytes) -> Identity:
    """Return what a file of key and chain holds.

    Raises:
        CertificateInvalid: it holds something else.
    """
    return Identity(key=parse_key(raw), chain=parse_certificates(raw))


def parse_key(raw: bytes) -> IdentityKey:
    """Return the private key of a PEM text.

    Raises:
        CertificateInvalid: there is none, it has a passphrase, or TLS 1.3 with RabbitMQ does not take its kind.
    """
    try:
        key = serialization.load_pem_private_key(raw, password=None)
    except TypeError:
        raise CertificateInvalid("The private key has a passphrase: give it without one (`openssl pkey`).") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateInvalid("There is no usable private key.") from None
    check_key(key.public_key())
    assert isinstance(key, IdentityKey)  # noqa: S101  checked above, by its public part
    return key


def parse_certificates(raw: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM text in their order, at least one.

    Raises:
        CertificateInvalid: there is none, or one that cannot be read.
    """
    try:
        found = tuple(x509.load_pem_x509_certificates(raw))
        for certificate in found:  # what cannot be read in one of them shows only when it is asked for
            _ = (certificate.extensions, certificate.subject, certificate.public_key())
    except UNREADABLE:
        raise CertificateInvalid("There is no usable certificate.") from None
    return found


def check_key(key: object) -> None:
    """Refuse a public key whose kind TLS 1.3 with RabbitMQ does not take, or that is too short.

    Raises:
        CertificateInvalid: it is such a key.
    """
    good = (
        (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1))
        or isinstance(key, ed25519.Ed25519PublicKey)
        or (isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS)
    )
    if not good:
        raise CertificateInvalid(f"The key must be P-256, P-384, Ed25519, or RSA of at least {_MIN_RSA_BITS} bits.")


def common_name(certificate: x509.Certificate | x509.CertificateSigningRequest) -> str | None:
    """Return the one common name; None where there is none or several."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else None


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate as people compare it: 64 digits in groups of four."""
    digits = certificate.fingerprint(hashes.SHA256()).hex()
    return " ".join(digits[place : place + 4] for place in range(0, len(digits), 4))


def key_bytes(key: IdentityKey) -> bytes:
    """Return the private key as PEM: a secret."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_bytes(key: object) -> bytes:
    """Return the public key as DER, to compare keys by.

    Raises:
        CertificateInvalid: it is no public key of ours.
    """
    check_key(key)
    assert isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey)  # noqa: S101
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in uses


def _check_validity(chain: Sequence[x509.Certificate], now: datetime) -> None:
    for certificate in chain:
        if now < certificate.not_valid_before_utc:
            raise CertificateInvalid(f"The certificate is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}.")
        if certificate.not_valid_after_utc <= now:
            raise CertificateInvalid(f"The certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}.")


def _check_chain(chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate], now: datetime) -> None:
    """Follow the issuers from the node's own certificate to an authority (RFC 5280, 6.1, its signatures and names)."""
    current = chain[0]
    for _ in range(_MAX_CHAIN):
        root = next((issuer for issuer in authorities if _issued(current, issuer)), None)
        if root is not None:
            _check_validity((root,), now)
            return
        between = next((issuer for issuer in chain[1:] if _issued(current, issuer)), None)
        if between is None or between is current:
            break
        current = between
    raise CertificateInvalid("The certificate was not issued by the message broker's certificate authority.")


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
