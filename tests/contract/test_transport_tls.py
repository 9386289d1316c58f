# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Logging in by certificate on a real RabbitMQ with TLS 1.3: the right one works, every wrong one is refused."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.api.local_issuer import LocalIssuer
from broker.core.errors import SettingsInvalid
from broker.core.ids import CountryCode
from broker.doctor import examining
from broker.node import build
from broker.schema_files import load_catalogue
from broker.settings import TOKEN_KEY_FILE, Settings
from broker.system import SystemClock
from broker.testing.federation import make_federation
from broker.testing.rabbitmq import RabbitServer, rabbitmq
from broker.testing.rabbitmq_private import free_ports
from broker.testing.transport_contract import EE, FI, FastClock, sealed, take
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.rabbit_link import tls_context
from broker.vault import FileVault, read_passphrase

pytestmark = pytest.mark.rabbitmq

_CONFIG = """\
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {folder}/authority.pem
ssl_options.certfile = {folder}/server.pem
ssl_options.keyfile = {folder}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_options.versions.1 = tlsv1.3
auth_mechanisms.1 = EXTERNAL
ssl_cert_login_from = common_name
"""


class Authority:
    """A certificate authority made for one test run."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test {name}")])
        self.file = folder / f"{name}.pem"
        certificate = self._builder(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), True
        )
        self.file.write_bytes(certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, common_name: str, file: str, address: str = "127.0.0.1") -> tuple[Path, Path]:
        """Write certificate and key; return their files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = self._builder(subject, key).add_extension(names, False).sign(self.key, hashes.SHA256())
        (self.folder / f"{file}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self.folder / f"{file}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return self.folder / f"{file}.pem", self.folder / f"{file}.key"

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))


@dataclass(frozen=True)
class Secured:
    server: RabbitServer
    authority: Authority
    port: int

    def transport(self, tls: ssl.SSLContext, us: CountryCode = EE) -> RabbitTransport:
        """Return a transport that logs in by its certificate."""
        url = f"amqps://127.0.0.1:{self.port}/trm"
        return RabbitTransport(RabbitOptions(url=url, us=us, tls=tls), FastClock())

    def context(
        self, common_name: str, *, signer: Authority | None = None, trusted: Path | None = None
    ) -> ssl.SSLContext:
        """Return the context of a node with a certificate of that name."""
        certificate, key = (signer or self.authority).issue(common_name, f"client-{common_name}")
        return tls_context(authority=trusted or self.authority.file, certificate=certificate, key=key)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Start a RabbitMQ that offers TLS 1.3 and EXTERNAL only."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    authority.issue("localhost", "server")
    (port,) = free_ports(1)
    with rabbitmq(lambda _: None, config=_CONFIG.format(port=port, folder=folder)) as server:
        server.join(EE, FI)
        yield Secured(server, authority, port)


@pytest.fixture
async def closing() -> AsyncIterator[list[RabbitTransport]]:
    """Close what a test opened."""
    opened: list[RabbitTransport] = []
    yield opened
    for transport in opened:
        await transport.close()
    await asyncio.sleep(0.05)  # asyncio closes the TCP transport under a failed TLS one in a later round of its loop


async def test_a_certificate_of_a_joined_country_logs_in(secured: Secured, closing) -> None:
    """The common name is the user, its user_id is believed, and a message passes."""
    sender, recipient = secured.transport(secured.context("EE")), secured.transport(secured.context("FI"), FI)
    closing += [sender, recipient]
    envelope = sealed()
    await sender.publish(envelope)
    (delivery,) = await take(recipient)
    assert (delivery.raw, delivery.user, delivery.abuse) == (envelope.raw, "EE", ())


async def test_an_unknown_user_is_refused(secured: Secured, closing) -> None:
    """A good certificate for a country without user does not get in."""
    closing.append(secured.transport(secured.context("ZZ")))
    assert await closing[0].health() == "The message broker refuses this node's user, password or certificate."


async def test_another_authoritys_certificate_is_refused(secured: Secured, closing) -> None:
    """A certificate of the right name from another authority does not get in."""
    other = Authority(secured.authority.folder, "other")
    closing.append(secured.transport(secured.context("EE", signer=other)))
    assert await closing[0].health() is not None


async def test_no_certificate_is_refused(secured: Secured, closing) -> None:
    """A TLS client without certificate does not get in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=secured.authority.file)
    closing.append(secured.transport(context))
    assert await closing[0].health() is not None


async def test_a_broker_with_a_wrong_certificate_is_refused(secured: Secured, closing) -> None:
    """A node that trusts another authority does not talk to this broker."""
    other = Authority(secured.authority.folder, "other")
    closing.append(secured.transport(secured.context("EE", trusted=other.file)))
    assert await closing[0].health() == "The message broker's certificate or TLS version is not acceptable."


async def test_a_renewed_certificate_is_used_after_a_reconnect(secured: Secured, closing) -> None:
    """Loading a new chain into the same context is enough: the next connection shows it."""
    context = secured.context("EE")
    sender = secured.transport(context)
    closing.append(sender)
    await sender.publish(sealed(recipient=FI))
    context.load_cert_chain(*secured.authority.issue("ZZ", "renewed"))
    session = await sender._publisher.session()
    session.lost.set()
    while (sentence := await sender.health()) is None or "lost" in sentence:
        pass
    assert sentence == "The message broker refuses this node's user, password or certificate."


def _settings(secured: Secured, folder: Path, **more: str) -> Settings:
    catalogue = load_catalogue()
    federation = make_federation(
        folder,
        ("EE",),
        messages={kind: catalogue.versions(kind) for kind in catalogue.types()},
        now=datetime.now(UTC),
        transport="rabbitmq",
        settings={"EE": {"amqp_url": f"amqps://127.0.0.1:{secured.port}/trm", **more}},
    )
    home = federation.homes[EE]
    LocalIssuer.create(home / TOKEN_KEY_FILE, us=EE, clock=SystemClock())
    return Settings.load(home)


async def test_a_nodes_settings_lead_it_to_a_broker_with_tls(secured: Secured, tmp_path: Path) -> None:
    """With the folder of its certificate a node logs in, and `trm doctor` does."""
    certificate, key = secured.authority.issue("EE", "node")
    tls = tmp_path / "tls"
    tls.mkdir()
    for source, name in ((secured.authority.file, "ca.pem"), (certificate, "node.pem"), (key, "node.key")):
        (tls / name).write_bytes(source.read_bytes())
    settings = _settings(secured, tmp_path, amqp_tls_folder=str(tls))
    node = build(settings, FileVault.open(settings.vault_file, read_passphrase(settings)))
    assert await node.transport.health() is None
    await node.transport.close()
    await node.office.close()
    assert (await examining._rabbitmq(settings, SystemClock())).sentence.startswith("The broker answers")


async def test_an_address_with_tls_needs_the_certificates_folder(secured: Secured, tmp_path: Path) -> None:
    """Without it, or with an empty one, the node says what is missing and does not connect."""
    settings = _settings(secured, tmp_path)
    for stated in (settings, settings.model_copy(update={"amqp_tls_folder": tmp_path})):
        with pytest.raises(SettingsInvalid):
            await examining._rabbitmq(stated, SystemClock())
