# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm broker ca …` and `trm broker certificate …`: how a node gets the certificate that the message broker asks for."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from broker.certificates.authority import AUTHORITY_FILE, REVOKED_FOLDER, BrokerAuthority
from broker.certificates.folder import BELIEVED_FILE, IDENTITY_FILE, PENDING_FILE, CertificateFolder, Shown
from broker.certificates.identity import fingerprint, key_bytes, parse_certificates, parse_key
from broker.certificates.request import read_request, write_request
from broker.cli import output
from broker.cli.broker_commands import trust_of
from broker.cli.input import read_bytes
from broker.cli.new_passphrase import new_passphrase
from broker.core.errors import BadRequest
from broker.durable import write_durably
from broker.settings import Settings
from broker.system import SystemClock
from broker.trust.words import fingerprint_words, same_words
from broker.vault import open_vault
from broker.vault.passphrase import read_source

__all__ = ["ca_init", "ca_show", "host", "install", "issue", "request", "revoke", "show"]

_PASSPHRASE_BYTES = 24  # random; more than anyone can guess
_MAX_FILE = 256 * 1024  # bytes; a chain with its key is a fiftieth of it


def ca_init(folder: Path, *, name: str, passphrase: str | None, as_json: bool) -> None:
    """Make the broker's certificate authority.

    Raises:
        BrokerError: there is one, or the passphrase does not do.
    """
    authority = BrokerAuthority.create(folder, _new_passphrase(passphrase), name=name, now=_now())
    document = _authority(authority)

    def people() -> None:
        say = output.console().print
        say(f"The certificate authority of the message broker is in {folder}; its key is encrypted there.")
        say(f"Its words, which every country asks you for:\n  {document['words']}", soft_wrap=True)
        say(f"The same as digits: {document['fingerprint']}")
        say(
            f"Next:\n  trm broker certificate host HOST --ca {output.word(folder)} --out FOLDER\n  trm broker certificate issue FILE"
        )

    output.answer(document, as_json=as_json, people=people)


def ca_show(folder: Path, *, passphrase: str | None, as_json: bool) -> None:
    """Show the authority and what it issued.

    Raises:
        BrokerError: there is none, or the passphrase is not the one.
    """
    authority = BrokerAuthority.open(folder, _passphrase(passphrase))
    rows = [[f"{i.serial:x}", i.name, f"{i.ends:%Y-%m-%d}", "revoked" if i.revoked else ""] for i in authority.issued()]
    headings = ("serial", "name", "ends", "state")
    document = {**_authority(authority), "issued": [dict(zip(headings, row, strict=True)) for row in rows]}

    def people() -> None:
        output.console().print(f"Words: {document['words']}", soft_wrap=True)
        output.console().print(f"Fingerprint: {document['fingerprint']}, until {document['ends']}")
        output.table(headings, rows)

    output.answer(document, as_json=as_json, people=people)


def host(hosts: Sequence[str], *, ca: Path, passphrase: str | None, out: Path, days: int, as_json: bool) -> None:
    """Issue the broker's own certificate and write what RabbitMQ needs into a folder.

    Raises:
        BrokerError: the authority cannot be opened, or a host is none.
    """
    authority = BrokerAuthority.open(ca, _passphrase(passphrase))
    identity = authority.issue_broker(hosts, now=_now(), days=days)
    out.mkdir(mode=0o750, parents=True, exist_ok=True)
    write_durably(out / "broker.pem", _pem(identity.chain), mode=0o644)
    write_durably(out / "broker.key", key_bytes(identity.key), mode=0o640)
    write_durably(out / "federation-ca.pem", _pem([authority.certificate]), mode=0o644)
    _copy_revoked(ca, out)
    document = {"folder": str(out), "hosts": list(hosts), "ends": f"{identity.ends:%Y-%m-%d}"}
    sentence = (
        f"{out} holds the broker's certificate for {', '.join(hosts)} until {document['ends']}.\n"
        f"Next: give the folder to RabbitMQ's user (chgrp -R rabbitmq {output.word(out)}), and after a renewal:\n"
        "  rabbitmqctl eval 'ssl:clear_pem_cache().'"
    )
    output.answer(document, as_json=as_json, people=lambda: output.console().print(sentence))


def issue(
    file: Path, *, home: Path, ca: Path, passphrase: str | None, out: Path | None, days: int, as_json: bool
) -> None:
    """Issue a country's certificate from its signed request.

    Raises:
        BrokerError: the request is not that country's by the trust list, or the authority cannot be opened.
    """
    asked = read_request(read_bytes(file, most=_MAX_FILE), trust_of(home), _now())
    authority = BrokerAuthority.open(ca, _passphrase(passphrase))
    chain = authority.issue_member(asked.country, asked.public, now=_now(), days=days)
    target = out or file.with_name(f"{asked.country}-broker.pem")
    write_durably(target, _pem(chain), mode=0o644)
    document = {
        "country": asked.country,
        "file": str(target),
        "serial": f"{chain[0].serial_number:x}",
        "ends": f"{chain[0].not_valid_after_utc:%Y-%m-%d}",
        "authority": fingerprint(authority.certificate),
        "authority_words": _words(authority.certificate),
    }
    sentence = (
        f"{target} is {asked.country}'s certificate until {document['ends']} (public): give it back to {asked.country}.\n"
        f"The first time, read out the authority's words by telephone:\n  {document['authority_words']}\n"
        f"or its fingerprint: {document['authority']}"
    )
    output.answer(document, as_json=as_json, people=lambda: output.console().print(sentence))


def revoke(
    country: str, *, serial: str | None, ca: Path, passphrase: str | None, out: Path | None, as_json: bool
) -> None:
    """Revoke a country's certificates, or one of them.

    Raises:
        BrokerError: there is none such, or the authority cannot be opened.
    """
    authority = BrokerAuthority.open(ca, _passphrase(passphrase))
    wanted = [i.serial for i in authority.issued() if i.name == country and serial in {None, f"{i.serial:x}"}]
    if not wanted:
        raise BadRequest("This authority has issued no such certificate.", where="COUNTRY")
    authority.revoke(wanted, now=_now())
    if out is not None:
        _copy_revoked(ca, out)
    document = {"revoked": [f"{number:x}" for number in wanted], "list": str(ca / REVOKED_FOLDER)}
    place = (
        f"{out} has the new list" if out else f"Put the file in {ca / REVOKED_FOLDER} into RabbitMQ's tls/crl folder"
    )
    sentence = (
        f"{len(wanted)} certificates of {country} are revoked. {place}; RabbitMQ reads it at each login.\n"
        f"Then end what is open: rabbitmqctl close_all_user_connections {country} revoked"
    )
    output.answer(document, as_json=as_json, people=lambda: output.console().print(sentence))


def request(home: Path, *, out: Path | None, as_json: bool) -> None:
    """Make a key in the home and a request signed with the node's own keys.

    Raises:
        BrokerError: settings, vault or trust list cannot be used.
    """
    settings, folder = _folder(home)
    signer = open_vault(settings).signer(trust_of(home), _now())
    raw = write_request(settings.country, folder.request_key(), signer)
    target = out or folder.path / "request.json"
    write_durably(target, raw, mode=0o644)
    document = {"country": settings.country, "file": str(target), "key": str(folder.path / PENDING_FILE)}
    sentence = (
        f"{target} asks for {settings.country}'s certificate (public): give it to the message broker's operator.\n"
        f"The key is {document['key']}: not encrypted, readable by this user only; it never leaves this folder.\n"
        "Next, with what the operator returns: trm broker certificate install FILE"
    )
    output.answer(document, as_json=as_json, people=lambda: output.console().print(sentence))


def install(file: Path, *, home: Path, key: Path | None, believed: str | None, as_json: bool) -> None:
    """Check a certificate and put it in force, without a restart.

    Raises:
        CertificateInvalid: it does not fit; the one before stays.
        BrokerError: settings cannot be read.
    """
    _, folder = _folder(home)
    brought = None if key is None else parse_key(read_bytes(key, most=_MAX_FILE))
    chain = parse_certificates(read_bytes(file, most=_MAX_FILE))
    heard = None if believed is None else _heard(chain, believed)
    shown = folder.install(chain, brought, believed=heard, now=_now())
    document = _shown(folder, shown)
    sentence = (
        f"{folder.path / IDENTITY_FILE} is in force until {document['ends']}. A running node goes over to it by itself."
    )
    output.answer(document, as_json=as_json, people=lambda: output.console().print(sentence))


def show(home: Path, *, as_json: bool) -> None:
    """Show the certificate in force.

    Raises:
        CertificateInvalid: there is none, or it cannot be used.
    """
    _, folder = _folder(home)
    document = _shown(folder, folder.read(_now()))

    def people() -> None:
        for name, value in document.items():
            output.console().print(f"{name.replace('_', ' '):<18}{output.plain(str(value))}")

    output.answer(document, as_json=as_json, people=people)


def _shown(folder: CertificateFolder, shown: Shown) -> dict[str, Any]:
    own = shown.identity.certificate
    return {
        "country": folder.us,
        "folder": str(folder.path),
        "serial": f"{own.serial_number:x}",
        "fingerprint": fingerprint(own),
        "ends": f"{shown.ends:%Y-%m-%d}",
        "days_left": (shown.ends - _now()).days,
        "authorities": [fingerprint(one) for one in shown.authorities],
        "authorities_words": [_words(one) for one in shown.authorities],
        "authorities_file": str(folder.path / BELIEVED_FILE),
        "key_private": not folder.open_to_others,
        "request_pending": (folder.path / PENDING_FILE).exists(),
    }


def _authority(authority: BrokerAuthority) -> dict[str, Any]:
    own = authority.certificate
    return {
        "folder": str(authority.folder),
        "certificate": str(authority.folder / AUTHORITY_FILE),
        "fingerprint": fingerprint(own),
        "words": _words(own),
        "ends": f"{own.not_valid_after_utc:%Y-%m-%d}",
    }


def _words(certificate: x509.Certificate) -> str:
    """Return the words that stand for a certificate, as for every other thing that people compare by telephone."""
    return fingerprint_words(certificate.public_bytes(serialization.Encoding.DER))


def _heard(chain: Sequence[x509.Certificate], stated: str) -> str:
    """Return the fingerprint that a person stated, or that of the certificate whose words they are."""
    for certificate in chain:
        if same_words(certificate.public_bytes(serialization.Encoding.DER), stated):
            return fingerprint(certificate)
    return stated


def _folder(home: Path) -> tuple[Settings, CertificateFolder]:
    settings = Settings.load(home)
    return settings, CertificateFolder(settings.amqp_tls_folder, settings.country)


def _copy_revoked(ca: Path, out: Path) -> None:
    (out / REVOKED_FOLDER).mkdir(mode=0o755, exist_ok=True)
    for file in (ca / REVOKED_FOLDER).iterdir():  # not `glob`, to which a folder that cannot be read is empty
        if file.suffix == ".r0":
            write_durably(out / REVOKED_FOLDER / file.name, file.read_bytes(), mode=0o644)


def _new_passphrase(source: str | None) -> bytes:
    if source is not None and source != "prompt" and ":" not in source and not Path(source).exists():
        write_durably(Path(source), secrets.token_urlsafe(_PASSPHRASE_BYTES).encode("ascii") + b"\n")
    return new_passphrase("the certificate authority", source)


def _passphrase(source: str | None) -> bytes:
    """Return the authority's passphrase from a source such as the setting `passphrase_file` names."""
    return read_source(source or "prompt", home=Path.cwd())


def _pem(chain: Sequence[Any]) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)


def _now() -> datetime:
    return SystemClock().now()
