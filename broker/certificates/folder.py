# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The folder with what a node shows to the message broker, and whom it believes to be that broker.

- ``node.pem``: private key and certificate chain in one file, replaced by one rename, readable by its owner only. Not
  encrypted: a restart at night needs it, and it opens sealed bytes to nobody.
- ``ca.pem``: the certificate authority that the broker's certificate must come from; several during a change.
- ``pending.pem``: the key of a request that is under way.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from broker.certificates.identity import (
    Identity,
    IdentityKey,
    fingerprint,
    key_bytes,
    new_key,
    parse_certificates,
    parse_identity,
    parse_key,
    public_bytes,
)  # fmt: skip
from broker.core.errors import CertificateInvalid
from broker.core.ids import CountryCode
from broker.durable import write_durably
from broker.plain_files import read_plain

__all__ = [
    "BELIEVED_FILE",
    "END_FAILURE",
    "END_WARNING",
    "IDENTITY_FILE",
    "PENDING_FILE",
    "CertificateFolder",
    "Shown",
]

BELIEVED_FILE = "ca.pem"
IDENTITY_FILE = "node.pem"
PENDING_FILE = "pending.pem"
END_WARNING = timedelta(days=30)
END_FAILURE = timedelta(days=7)
_MAX_BYTES = 256 * 1024

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a folder holds, judged."""

    identity: Identity
    authorities: tuple[x509.Certificate, ...]

    @property
    def ends(self) -> datetime:
        """When something of it ends first; of several authorities the last one counts."""
        return min(self.identity.ends, max(one.not_valid_after_utc for one in self.authorities))


class CertificateFolder:
    """One node's folder."""

    def __init__(self, path: Path, us: CountryCode) -> None:
        """Args:
        path: the folder; it need not exist.
        us: the country whose node this is.
        """
        self.path = path
        self.us = us

    @property
    def installed(self) -> bool:
        """Whether there is a certificate."""
        return (self.path / IDENTITY_FILE).exists()

    @property
    def open_to_others(self) -> bool:
        """Whether others on this machine can read the key."""
        return bool(stat.S_IMODE((self.path / IDENTITY_FILE).stat().st_mode) & 0o077)

    def stamp(self) -> Stamp:
        """Return a value that changes with every change of the files."""
        return tuple(_stamp(self.path / name) for name in (BELIEVED_FILE, IDENTITY_FILE))

    def read(self, now: datetime) -> Shown:
        """Return what is installed, when it can be used now.

        Raises:
            CertificateInvalid: it is missing, damaged, ended, or does not fit.
        """
        identity = parse_identity(self._bytes(IDENTITY_FILE))
        authorities = self.authorities()
        try:
            identity.check(self.us, authorities, now)
        except CertificateInvalid as error:
            raise CertificateInvalid(error.detail, where=str(self.path / IDENTITY_FILE)) from None
        return Shown(identity=identity, authorities=authorities)

    def warning(self, now: datetime) -> str | None:
        """Return what a person must do about the certificate soon, or None."""
        try:
            shown = self.read(now)
        except CertificateInvalid as error:
            return error.detail
        if shown.ends - now >= END_WARNING:
            return None
        return f"The certificate for the message broker ends on {shown.ends:%Y-%m-%d}: ask for the next one."

    def authorities(self) -> tuple[x509.Certificate, ...]:
        """Return the authorities that the broker's certificate may come from.

        Raises:
            CertificateInvalid: the file is missing or damaged.
        """
        return parse_certificates(self._bytes(BELIEVED_FILE))

    def request_key(self) -> IdentityKey:
        """Return the key of the request under way, made now if there is none; it never leaves the folder.

        Raises:
            CertificateInvalid: it is damaged.
            OSError: it cannot be written.
        """
        if (self.path / PENDING_FILE).exists():
            return parse_key(self._bytes(PENDING_FILE))
        key = new_key()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self.path / PENDING_FILE, key_bytes(key))
        return key

    def install(
        self, chain: tuple[x509.Certificate, ...], key: IdentityKey | None, *, believed: str | None, now: datetime
    ) -> Shown:
        """Check a chain with its key and put both in force by one rename.

        Args:
            chain: the node's certificate, and at its end or already here the authority's.
            key: a key brought along; None takes the request's, or the installed one.
            believed: fingerprint of the authority as a person heard it; needed for one that is not in force here yet.
            now: what validity is judged by.

        Raises:
            CertificateInvalid: something does not fit; everything is as it was.
            OSError: it cannot be written.
        """
        authorities = self.authorities() if (self.path / BELIEVED_FILE).exists() else ()
        if believed is not None:
            authorities = (_believed(chain, believed), *(one for one in authorities if one not in chain))
        elif not authorities:
            raise CertificateInvalid(
                "The first certificate needs its authority's fingerprint: hear it from the message broker's operator, "
                f"compare it with {fingerprint(chain[-1])}, and state it."
            )
        shown = tuple(one for one in chain if one not in authorities)
        if not shown:
            raise CertificateInvalid("The file holds the authority's certificate alone.")
        identity = Identity(key=key or self._key_of(shown[0]), chain=shown)
        identity.check(self.us, authorities, now)
        still = tuple(one for one in authorities if now < one.not_valid_after_utc)
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in still)
        write_durably(self.path / BELIEVED_FILE, pem, mode=0o644)  # first: it believes the new and the old
        write_durably(self.path / IDENTITY_FILE, identity.pem())
        (self.path / PENDING_FILE).unlink(missing_ok=True)
        return Shown(identity=identity, authorities=still)

    def _key_of(self, certificate: x509.Certificate) -> IdentityKey:
        for name in (PENDING_FILE, IDENTITY_FILE):
            if (self.path / name).exists():
                key = parse_key(self._bytes(name))
                if public_bytes(key.public_key()) == public_bytes(certificate.public_key()):
                    return key
        raise CertificateInvalid(
            "The certificate is for none of this node's keys: neither the requested nor the installed."
        )

    def _bytes(self, name: str) -> bytes:
        file = self.path / name
        try:
            return read_plain(file, _MAX_BYTES)
        except FileNotFoundError:
            raise CertificateInvalid(
                f"There is no {name}; `trm broker certificate` makes it.", where=str(file)
            ) from None
        except OSError as error:
            raise CertificateInvalid(f"It cannot be read ({type(error).__name__}).", where=str(file)) from None


def _believed(chain: tuple[x509.Certificate, ...], stated: str) -> x509.Certificate:
    wanted = "".join(stated.lower().replace(":", "").split())
    for certificate in chain:
        if fingerprint(certificate).replace(" ", "") == wanted:
            return certificate
    raise CertificateInvalid(
        "The file holds no authority of that fingerprint: somebody changed it, or it was misheard."
    )


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        seen = file.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino
