# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The certificate authority of a federation's message broker, in a folder of its operator.

`ca.pem` (public), `ca-key.pem` (encrypted), `issued.jsonl` (what was issued, in order) and `crl/` (what was revoked).
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from broker.certificates.identity import UNREADABLE, Identity, check_key, new_key
from broker.core.errors import BadRequest, CertificateInvalid, HomeInvalid, VaultLocked
from broker.core.ids import CountryCode
from broker.durable import write_durably
from broker.plain_files import read_plain

__all__ = ["AUTHORITY_FILE", "KEY_FILE", "REGISTER_FILE", "REVOKED_FOLDER", "BrokerAuthority", "Issued", "name_hash"]


AUTHORITY_FILE = "ca.pem"
KEY_FILE = "ca-key.pem"
REGISTER_FILE = "issued.jsonl"
REVOKED_FOLDER = "crl"

_MAX_BYTES = 16 * 1024 * 1024  # of the register; a certificate is a line of it
_LIFE = timedelta(days=3650)
_BACK = timedelta(hours=1)  # valid a little before it is made: clocks differ
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII)
_COMMON_NAME_DER = bytes.fromhex("0603550403")  # OBJECT IDENTIFIER 2.5.4.3
_USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One line of the register."""

    serial: int
    name: str  # country of a node, first host name of a broker
    ends: datetime
    revoked: bool


class BrokerAuthority:
    """An opened authority."""

    def __init__(self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """Args:
        folder: where it lives.
        certificate: its own, self-signed.
        key: its private key; `open` decrypts it.
        """
        self.folder = folder
        self.certificate = certificate
        self._key = key

    def __repr__(self) -> str:
        return f"BrokerAuthority({self.folder})"

    @classmethod
    def create(cls, folder: Path, passphrase: bytes, *, name: str, now: datetime) -> BrokerAuthority:
        """Make the authority's key and certificate in a new folder.

        Args:
            folder: for both.
            passphrase: of the key; whoever chose it was held to a length.
            name: of the authority, in every certificate.
            now: when its life begins.

        Raises:
            HomeInvalid: there is one already (it is never written over).
            BadRequest: the name is empty, too long or not printable ASCII.
        """
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 .,()-]{0,62}", name, re.ASCII) is None:
            raise BadRequest("The name takes up to 63 letters, digits, spaces and .,()- and begins with a letter.")
        if (folder / KEY_FILE).exists() or (folder / AUTHORITY_FILE).exists():
            raise HomeInvalid("There is a certificate authority already; it is never written over.", where=str(folder))
        key = new_key()
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(own, own, key.public_key(), now, _LIFE, issuer_key=key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_uses("key_cert_sign", "crl_sign"), critical=True)
        authority = cls(folder, builder.sign(key, hashes.SHA256()), key)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        encryption = serialization.BestAvailableEncryption(passphrase)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        write_durably(folder / KEY_FILE, private)
        write_durably(folder / AUTHORITY_FILE, _pem(authority.certificate), mode=0o644)
        authority._publish_revoked({}, now)
        return authority

    @classmethod
    def open(cls, folder: Path, passphrase: bytes) -> BrokerAuthority:
        """Return the authority of a folder.

        Raises:
            HomeInvalid: there is none.
            VaultLocked: the passphrase is not the one.
        """
        try:
            certificate = x509.load_pem_x509_certificate(_read(folder / AUTHORITY_FILE))
            private = _read(folder / KEY_FILE)
        except (OSError, *UNREADABLE):
            raise HomeInvalid(
                "There is no certificate authority; `trm broker ca init` makes one.", where=str(folder)
            ) from None
        try:
            key = serialization.load_pem_private_key(private, passphrase)
        except (ValueError, TypeError):
            raise VaultLocked("The passphrase is not this certificate authority's.", where=str(folder)) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise HomeInvalid("The certificate authority's key and certificate do not fit.", where=str(folder))
        return cls(folder, certificate, key)

    def issue_member(
        self, country: CountryCode, public: CertificatePublicKeyTypes, *, now: datetime, days: int
    ) -> tuple[x509.Certificate, ...]:
        """Return a country's certificate for logging in, and this authority's own behind it.

        Raises:
            CertificateInvalid: the key's kind is not taken, or the life is longer than the authority's own.
        """
        certificate = self._issue(str(country), public, ExtendedKeyUsageOID.CLIENT_AUTH, (), now, days)
        return certificate, self.certificate

    def issue_broker(self, hosts: Sequence[str], *, now: datetime, days: int) -> Identity:
        """Return a new key and certificate for the broker itself, under the names and addresses that nodes call it by.

        Raises:
            BadRequest: no host, or not one.
            CertificateInvalid: the life is longer than the authority's own.
        """
        if not hosts:
            raise BadRequest("Name the host that the nodes connect to.", where="HOST")
        names, key = tuple(map(_host, hosts)), new_key()
        certificate = self._issue(hosts[0], key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, names, now, days)
        return Identity(key=key, chain=(certificate, self.certificate))

    def revoke(self, serials: Sequence[int], *, now: datetime) -> None:
        """Put certificates on the revocation list.

        Raises:
            BadRequest: one of them was not issued here.
        """
        if not set(serials) <= {issued.serial for issued in self.issued()}:
            raise BadRequest("This authority has issued no certificate of that number.", where="--serial")
        self._publish_revoked({**self._revoked(), **dict.fromkeys(serials, now)}, now)

    def issued(self) -> tuple[Issued, ...]:
        """Return everything that was issued, oldest first.

        Raises:
            HomeInvalid: the register cannot be read.
        """
        revoked = self._revoked()
        try:
            lines = [json.loads(line) for line in _read(self.folder / REGISTER_FILE).decode("ascii").splitlines()]
            return tuple(
                Issued(
                    serial=int(line["serial"], 16),
                    name=line["name"],
                    ends=datetime.fromisoformat(line["ends"]),
                    revoked=int(line["serial"], 16) in revoked,
                )
                for line in lines
            )
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError):
            raise HomeInvalid("The register of issued certificates is damaged.", where=str(self.folder)) from None

    def _issue(
        self,
        name: str,
        public: CertificatePublicKeyTypes,
        use: ObjectIdentifier,
        names: Sequence[x509.GeneralName],
        now: datetime,
        days: int,
    ) -> x509.Certificate:
        check_key(public)
        ends = now + timedelta(days=days)
        if ends > self.certificate.not_valid_after_utc:
            raise CertificateInvalid("The certificate would outlive its authority; make a new authority.")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self.certificate.subject, public, now, ends - now, issuer_key=self._key)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_uses("digital_signature"), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        self._register(certificate.serial_number, name, certificate.not_valid_after_utc)
        return certificate

    def _register(self, serial: int, name: str, ends: datetime) -> None:
        file = self.folder / REGISTER_FILE
        try:
            before = _read(file)
        except FileNotFoundError:
            before = b""
        line = json.dumps({"serial": f"{serial:x}", "name": name, "ends": ends.isoformat()})
        write_durably(file, before + line.encode("ascii") + b"\n")

    def _revoked(self) -> dict[int, datetime]:
        try:
            listed = x509.load_pem_x509_crl(_read(self._revoked_file()))
        except FileNotFoundError:
            return {}
        except (OSError, *UNREADABLE):
            raise HomeInvalid("The revocation list is damaged.", where=str(self.folder)) from None
        return {entry.serial_number: entry.revocation_date_utc for entry in listed}

    def _publish_revoked(self, revoked: dict[int, datetime], now: datetime) -> None:
        # It lasts as long as the authority: one that ended would keep every country out.
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now - _BACK).next_update(self.certificate.not_valid_after_utc)
        builder = builder.add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
        builder = builder.add_extension(_authority_id(self._key), critical=False)
        for serial, at in revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
            builder = builder.add_revoked_certificate(entry.build())
        file = self._revoked_file()
        file.parent.mkdir(mode=0o755, exist_ok=True)
        raw = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        write_durably(file, raw, mode=0o644)

    def _revoked_file(self) -> Path:
        return self.folder / REVOKED_FOLDER / f"{name_hash(self.certificate.subject)}.r0"


def name_hash(name: x509.Name) -> str:
    """Return the file name by which OpenSSL and Erlang look for the revocation list of an authority of one common name.

    It is the start of the SHA-1 of the canonical name: lower case, single spaces (OpenSSL's X509_NAME_hash).
    """
    (attribute,) = name
    text = " ".join(str(attribute.value).lower().split()).encode("ascii")
    value = _COMMON_NAME_DER + _der(0x0C, text)
    digest = hashlib.sha1(_der(0x31, _der(0x30, value)), usedforsecurity=False).digest()
    return digest[:4][::-1].hex()


def _der(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content  # names here are shorter than 128 bytes


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: CertificatePublicKeyTypes,
    now: datetime,
    life: timedelta,
    *,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _BACK).not_valid_after(now + life)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return builder.add_extension(_authority_id(issuer_key), critical=False)


def _authority_id(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _uses(*wanted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in wanted for use in _USES})


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        if _HOST.fullmatch(text) is None:
            raise BadRequest("A host is a name in lower case, or an address.", where="HOST") from None
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _read(file: Path) -> bytes:
    raw = read_plain(file, _MAX_BYTES)
    if len(raw) > _MAX_BYTES:  # half a register would lose what the other half says
        raise HomeInvalid("A file of the certificate authority is too large.", where=str(file))
    return raw
