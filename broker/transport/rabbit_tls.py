# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""TLS towards RabbitMQ: version 1.3, the broker's certificate and host name checked, ours shown; read anew each time."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from broker.certificates.folder import IDENTITY_FILE, CertificateFolder, Stamp
from broker.core.errors import CertificateInvalid, SettingsInvalid
from broker.core.ids import CountryCode

__all__ = ["ClientTls", "tls_of", "tls_sentence"]

_HANDSHAKE = "The message broker's certificate or TLS version is not acceptable."
_NOT_BELIEVED = {  # OpenSSL's X509_V_ERR codes
    10: "The message broker's certificate has ended.",
    18: "The message broker's certificate is signed by itself.",
    19: "The message broker's certificate is not from the authority that this node believes.",
    20: "The message broker's certificate is not from the authority that this node believes.",
    26: "The message broker's certificate is not one of a server.",
    62: "The message broker's certificate is for another host name.",
    64: "The message broker's certificate is for another address.",
}
_REFUSED = {  # alerts of the other side about our certificate (RFC 8446, 6.2)
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "The message broker says that this node's certificate has ended.",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "The message broker says that this node's certificate is revoked.",
    "TLSV1_ALERT_UNKNOWN_CA": "The message broker does not know the authority of this node's certificate.",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "The message broker wants a certificate of this node.",
    "SSLV3_ALERT_BAD_CERTIFICATE": "The message broker refuses this node's certificate.",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "The message broker refuses this node's certificate.",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "The message broker refuses this node's certificate.",
    "TLSV1_ALERT_PROTOCOL_VERSION": "The message broker does not offer TLS 1.3.",
}


class ClientTls:
    """Makes the TLS context of each connection from what the folder holds then."""

    def __init__(self, folder: CertificateFolder, now: Callable[[], datetime]) -> None:
        """Args:
        folder: certificate, key and authorities.
        now: the time that validity is judged by.
        """
        self._folder = folder
        self._now = now
        self._refused: dict[str, str] = {}

    def stamp(self) -> Stamp:
        """Return a value that changes when the folder's files do."""
        return self._folder.stamp()

    def context(self) -> ssl.SSLContext:
        """Return a fresh context over the files as they are now.

        Raises:
            CertificateInvalid: they cannot be used.
        """
        shown = self._folder.read(self._now())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # CERT_REQUIRED and check_hostname
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # RFC 5280 to the letter
        pem = b"".join(authority.public_bytes(serialization.Encoding.PEM) for authority in shown.authorities)
        try:
            context.load_verify_locations(cadata=pem.decode("ascii"))
            context.load_cert_chain(self._folder.path / IDENTITY_FILE)
        except (OSError, ValueError):  # also when the file was replaced between two reads of it: tried again
            raise CertificateInvalid(where=str(self._folder.path / IDENTITY_FILE)) from None
        return context

    def tell(self, connection: str, trouble: str | None) -> None:
        """Note that a connection cannot go over to the changed certificate, or that it has."""
        self._refused.pop(connection, None)
        if trouble is not None:
            self._refused[connection] = trouble

    def warning(self) -> str | None:
        """Return what a person must do about the certificate, or None."""
        for trouble in self._refused.values():
            return f"The renewed certificate is not in use, the one before still is. {trouble}"
        return self._folder.warning(self._now())


def tls_of(url: str, folder: Path, us: CountryCode, now: Callable[[], datetime]) -> ClientTls | None:
    """Return the TLS of an address, None for one without.

    Raises:
        SettingsInvalid: a certificate is installed beside an address without TLS, which would go unnoticed.
    """
    certificates = CertificateFolder(folder, us)
    if url.startswith("amqps:"):
        return ClientTls(certificates, now)
    if certificates.installed:
        raise SettingsInvalid(
            "A certificate is installed: the message broker's address must begin with amqps.", where="amqp_url"
        )
    return None


def tls_sentence(error: ssl.SSLError) -> str:
    """Return what went wrong for an operator, without the library's text."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _NOT_BELIEVED.get(error.verify_code, _HANDSHAKE)
    return _REFUSED.get(error.reason or "", _HANDSHAKE)
