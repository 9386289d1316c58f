# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A web server's certificate is judged alike by every version of Python."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from broker.certificates.authority import AUTHORITY_FILE, BrokerAuthority
from broker.certificates.identity import Identity, new_key
from broker.certificates.servers import server_context


@pytest.fixture
def today() -> datetime:
    """Not the tests' noon: TLS reads the real clock."""
    return datetime.now(UTC)


@pytest.fixture
def authority(tmp_path: Path, today: datetime) -> BrokerAuthority:
    """A fresh authority."""
    return BrokerAuthority.create(tmp_path / "ca", b"sixteen letters and more", name="Test authority", now=today)


def _whole(authority: BrokerAuthority, today: datetime) -> Identity:
    return authority.issue_broker(["localhost"], now=today, days=9)


def _without_authority_id(authority: BrokerAuthority, today: datetime) -> Identity:
    key = new_key()
    builder = x509.CertificateBuilder(authority.certificate.subject, x509.Name([]), key.public_key())
    builder = builder.serial_number(7).not_valid_before(today - timedelta(days=1))
    builder = builder.not_valid_after(today + timedelta(days=9))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
    return Identity(key=key, chain=(builder.sign(authority._key, hashes.SHA256()),))


def _greet(context: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Let the two shake hands, without a network."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = context.wrap_bio(back, there, server_hostname="localhost")
    theirs = server.wrap_bio(there, back, server_side=True)
    waiting = [ours, theirs]
    while waiting:
        for side in tuple(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)


def _serving(identity: Identity, folder: Path) -> ssl.SSLContext:
    (folder / "server.pem").write_bytes(identity.pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@pytest.mark.parametrize(
    ("issue", "believed"),
    [(_whole, True), (_without_authority_id, False)],
    ids=["as RFC 5280 has it", "without the authority's key identifier"],
)
def test_every_python_judges_a_server_alike(
    tmp_path: Path,
    authority: BrokerAuthority,
    today: datetime,
    issue: Callable[[BrokerAuthority, datetime], Identity],
    believed: bool,
) -> None:
    """What RFC 5280 forbids is refused by 3.11 and 3.12 too, not only by 3.13, which does so unasked."""
    context = server_context(authority.folder / AUTHORITY_FILE)
    server = _serving(issue(authority, today), tmp_path)
    if believed:
        _greet(context, server)
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            _greet(context, server)


def test_what_is_named_need_not_be_its_own_authority(
    tmp_path: Path, authority: BrokerAuthority, today: datetime
) -> None:
    """What a person names is believed though another one certified it: nobody need find that other one."""
    own = _whole(authority, today)
    alone = replace(own, chain=own.chain[:1])
    (tmp_path / "leaf.pem").write_bytes(alone.pem())
    _greet(server_context(tmp_path / "leaf.pem"), _serving(alone, tmp_path))


def test_what_is_no_authority_is_told(tmp_path: Path) -> None:
    """A missing file, and one that holds no certificate."""
    (tmp_path / "no.pem").write_bytes(b"not one")
    for name in ("no.pem", "none.pem"):
        with pytest.raises(OSError):  # noqa: PT011  any of its kinds: all callers take them alike
            server_context(tmp_path / name)
