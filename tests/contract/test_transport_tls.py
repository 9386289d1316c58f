# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Logging in by certificate on a real RabbitMQ under the shipped configuration: the right one works, wrong ones fail."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from broker.certificates.authority import BrokerAuthority
from broker.certificates.folder import IDENTITY_FILE, CertificateFolder
from broker.certificates.identity import Identity, IdentityKey, fingerprint, new_key
from broker.core.errors import TransportUnavailable
from broker.core.ids import CountryCode
from broker.core.messages import Delivery
from broker.testing.rabbitmq import rabbitmq_program
from broker.testing.rabbitmq_private import PrivateRabbit, free_ports
from broker.testing.rabbitmq_shipped import ShippedRabbit
from broker.testing.transport_contract import EE, FI, FastClock, sealed, take
from broker.transport.management import Management, ManagementAddress, apply, difference
from broker.transport.rabbit import RabbitOptions, RabbitTransport
from broker.transport.rabbit_tls import ClientTls
from broker.transport.rights import Membership

pytestmark = pytest.mark.rabbitmq

DEPLOYED = Path(__file__).parents[2] / "deploy/rabbitmq"
SE, ZZ = CountryCode("SE"), CountryCode("ZZ")
DAY = timedelta(days=1)
MANY = 300


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Secured:
    """The broker, its authority and what a test opened."""

    server: PrivateRabbit
    authority: BrokerAuthority
    api: Management
    folder: Path
    opened: list[RabbitTransport] = field(default_factory=list)
    count: int = 0

    def identity(self, country: CountryCode, *, signer: BrokerAuthority | None = None, key: IdentityKey | None = None,
                 now: datetime | None = None, days: int = 90) -> Identity:  # fmt: skip
        """Return a certificate of that country."""
        key = key or new_key()
        chain = (signer or self.authority).issue_member(country, key.public_key(), now=now or _now(), days=days)
        return Identity(key=key, chain=chain)

    def home(self, identity: Identity, *, us: CountryCode = EE, authority: BrokerAuthority | None = None) -> Path:
        """Return a node's folder with that certificate, without any of our own checks."""
        self.count += 1
        place = self.folder / f"{us}-{self.count}"
        place.mkdir()
        (place / "ca.pem").write_bytes(((authority or self.authority).folder / "ca.pem").read_bytes())
        (place / IDENTITY_FILE).write_bytes(identity.pem())
        return place

    def transport(self, place: Path, us: CountryCode = EE, *, host: str = "127.0.0.1", tls: ClientTls | None = None):
        """Return a transport that logs in with the folder's certificate."""
        made = tls or ClientTls(CertificateFolder(place, us), _now)
        url = f"amqps://{host}:{self.server.port}/trm"
        self.opened.append(
            RabbitTransport(RabbitOptions(url=url, us=us, tls=made, publish_timeout_seconds=2.0), FastClock())
        )
        return self.opened[-1]

    def member(self, us: CountryCode) -> RabbitTransport:
        """Return the transport of a country as it should be."""
        return self.transport(self.home(self.identity(us), us=us), us)

    def users(self) -> set[str]:
        return {user["name"] for user in self.api.call("GET", "/api/users")} - {self.server.user}


class Lax(ClientTls):
    """A node that shows its certificate without judging it first: what the broker makes of it counts."""

    def __init__(self, place: Path, ca: Path) -> None:
        super().__init__(CertificateFolder(place, EE), _now)
        self._place, self._ca = place, ca

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=self._ca)
        if (self._place / IDENTITY_FILE).exists():
            context.load_cert_chain(self._place / IDENTITY_FILE)
        return context


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ShippedRabbit, BrokerAuthority]]:
    """Start a RabbitMQ with the configuration of `deploy/rabbitmq` and an authority of its own."""
    program = rabbitmq_program()
    authority = BrokerAuthority.create(
        tmp_path_factory.mktemp("ca") / "ca", b"x" * 20, name="Test authority", now=_now()
    )
    server = ShippedRabbit(program, DEPLOYED)
    try:
        _write_tls(server.etc / "tls", authority, "127.0.0.1", "localhost")
        (server.etc / "trm-definitions.json").write_text('{"vhosts": [{"name": "trm"}]}')
        server.start()
        server.add_operator()
        yield server, authority
    finally:
        server.close()


def _write_tls(place: Path, authority: BrokerAuthority, *hosts: str) -> None:
    from broker.cli.certificate_commands import host

    secret = authority.folder.with_name("pass")
    secret.write_bytes(b"x" * 20)
    host(hosts, ca=authority.folder, passphrase=str(secret), out=place, days=90, as_json=True)


@pytest.fixture
async def secured(running: tuple[ShippedRabbit, BrokerAuthority], tmp_path: Path) -> AsyncIterator[Secured]:
    """Give the broker with EE and FI on it, whatever the test before did; close what this one opens."""
    server, authority = running
    address = ManagementAddress(url=server.admin_url, user=server.user, password=server.password)
    found = Secured(server, authority, Management(address), tmp_path)
    apply(found.api, Membership(active=(EE, FI)), vhost="trm")
    for queue in ("trm.in.EE", "trm.in.FI"):
        found.api.call("DELETE", f"/api/queues/trm/{queue}/contents")
    yield found
    for transport in found.opened:
        await transport.close()
    await asyncio.sleep(0.05)  # asyncio closes the TCP transport under a failed TLS one in a later round of its loop


async def until(true: Callable[[], bool]) -> None:
    """Wait for what happens on the server's side, or fail."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.02)


# --- who gets in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["P-256", "Ed25519", "RSA"])
async def test_a_certificate_of_a_joined_country_logs_in(secured: Secured, kind: str) -> None:
    """The common name is the user, its user_id is believed, and a message passes; with each kind of key."""
    make = {"P-256": new_key, "Ed25519": ed25519.Ed25519PrivateKey.generate}
    key = make[kind]() if kind in make else rsa.generate_private_key(65537, 3072)
    sender = secured.transport(secured.home(secured.identity(EE, key=key)))
    envelope = sealed()
    await sender.publish(envelope)
    (delivery,) = await take(secured.member(FI))
    assert (delivery.raw, delivery.user, delivery.abuse) == (envelope.raw, "EE", ())


async def test_an_unknown_user_is_refused(secured: Secured) -> None:
    """A good certificate for a country without user does not get in."""
    refused = secured.transport(secured.home(secured.identity(ZZ), us=ZZ), ZZ)
    assert await refused.health() == "The message broker refuses this node's user, password or certificate."


@pytest.mark.parametrize(
    ("how", "sentences"),
    [
        ("another authority", ("The message broker does not know the authority of this node's certificate.",)),
        ("ended", ("The message broker says that this node's certificate has ended.",)),
        ("revoked", ("The message broker says that this node's certificate is revoked.",)),
        (
            "the broker's own",  # Erlang 25 names no reason, 27 does
            (
                "The message broker's certificate or TLS version is not acceptable.",
                "The message broker refuses this node's certificate.",
            ),
        ),
        ("none", ()),  # the server hangs up: sometimes before its reason is read
    ],
)
async def test_another_authoritys_certificate_is_refused(
    secured: Secured, how: str, sentences: tuple[str, ...]
) -> None:
    """A certificate that is foreign, ended, revoked, a server's, or missing does not get in, and the node says why."""
    other = BrokerAuthority.create(secured.folder / "other", b"x" * 20, name="Other authority", now=_now())
    made = {
        "another authority": lambda: secured.identity(EE, signer=other),
        "ended": lambda: secured.identity(EE, now=_now() - 3 * DAY, days=1),
        "the broker's own": lambda: secured.authority.issue_broker(["ee"], now=_now(), days=1),
    }
    identity = made.get(how, lambda: secured.identity(EE))()
    place = secured.home(identity)
    if how == "none":
        (place / IDENTITY_FILE).unlink()
    if how == "revoked":
        assert await secured.transport(place).health() is None
        secured.authority.revoke([identity.certificate.serial_number], now=_now())
        _write_revoked(secured)
    transport = secured.transport(place, tls=Lax(place, secured.authority.folder / "ca.pem"))
    assert await transport.health() is not None
    if sentences:  # an attempt or two later: the server may hang up before its reason is read
        await until(lambda: transport._publisher._trouble in sentences)
    with pytest.raises(TransportUnavailable):
        await transport.publish(sealed())
    assert await secured.member(EE).health() is None  # the others are served as before


def _write_revoked(secured: Secured) -> None:
    for file in (secured.authority.folder / "crl").iterdir():
        (secured.server.etc / "tls" / "crl" / file.name).write_bytes(file.read_bytes())


async def test_a_broker_with_a_wrong_certificate_is_refused(secured: Secured) -> None:
    """A node that believes another authority, or calls the broker by another name, does not talk to it."""
    other = BrokerAuthority.create(secured.folder / "other", b"x" * 20, name="Other authority", now=_now())
    believing = secured.home(secured.identity(EE, signer=other), authority=other)
    foreign = secured.transport(believing)
    assert await foreign.health() == (
        "The message broker's certificate is not from the authority that this node believes."
    )
    misnamed = secured.transport(secured.home(secured.identity(EE)), host="127.0.0.2")
    assert await misnamed.health() is not None
    for transport in (foreign, misnamed):
        with pytest.raises(TransportUnavailable):
            await transport.publish(sealed())


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("ended", "The message broker's certificate has ended."),
        ("name", "The message broker's certificate is for another address."),
        ("client", "The message broker's certificate is not one of a server."),
        ("version", "The message broker hung up; over TLS: it may refuse this node's certificate."),
    ],
)
async def test_a_pretended_broker_is_refused_before_anything_is_said(
    secured: Secured, what: str, sentence: str
) -> None:
    """Ended, for another address, a member's, or TLS 1.2 only: no byte of AMQP reaches such a server."""
    issue = secured.authority.issue_broker
    identity = {
        "ended": lambda: issue(["127.0.0.1"], now=_now() - 3 * DAY, days=1),
        "name": lambda: issue(["127.0.0.9"], now=_now(), days=1),
        "client": lambda: secured.identity(FI),
        "version": lambda: issue(["127.0.0.1"], now=_now(), days=1),
    }[what]()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (secured.folder / "server.pem").write_bytes(identity.pem())
    context.load_cert_chain(secured.folder / "server.pem")
    if what == "version":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    said: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.read(8))
        writer.close()

    (port,) = free_ports(1)
    async with await asyncio.start_server(listen, "127.0.0.1", port, ssl=context):
        tls = ClientTls(CertificateFolder(secured.home(secured.identity(EE)), EE), _now)
        options = RabbitOptions(url=f"amqps://127.0.0.1:{port}/trm", us=EE, tls=tls)
        secured.opened.append(RabbitTransport(options, FastClock()))
        assert await secured.opened[-1].health() == sentence
        await secured.opened[-1].close()
    assert b"".join(said) == b""


# --- rotation -------------------------------------------------------------------------------------------------------


async def test_a_renewed_certificate_takes_over_while_messages_flow(secured: Secured) -> None:
    """While messages flow both ways' certificates change three times: no publish fails and everything arrives."""
    folders = {us: CertificateFolder(secured.home(secured.identity(us), us=us), us) for us in (EE, FI)}
    ee, fi = (secured.transport(folders[us].path, us) for us in (EE, FI))
    arrived: dict[bytes, Delivery] = {}
    reading = asyncio.create_task(_read(fi, arrived))
    sent = []
    for number in range(MANY):
        envelope = sealed(size=512)
        await ee.publish(envelope)
        sent.append(envelope.raw)
        if number % 75 == 20:
            for us, folder in folders.items():
                identity = secured.identity(us)
                folder.install(identity.chain, identity.key, believed=_believed(secured), now=_now())
            before = links(ee, fi)
            await until(lambda before=before: not (links(ee, fi) & before))
    await until(lambda: len(arrived) == MANY)
    reading.cancel()
    assert set(arrived) == set(sent)
    assert {one.user for one in arrived.values()} == {"EE"}


async def _read(transport: RabbitTransport, arrived: dict[bytes, Delivery]) -> None:
    async for delivery in transport.deliveries():
        arrived[delivery.raw] = delivery
        await transport.done(delivery)


def _believed(secured: Secured) -> str:
    return fingerprint(secured.authority.certificate)


def links(*transports: RabbitTransport) -> set[int]:
    """Return which sessions are in use."""
    started = [link for one in transports for link in (one._publisher, one._consumer) if link._task is not None]
    return {id(link._session) for link in started}


async def test_a_renewed_certificate_that_the_broker_refuses_changes_nothing(secured: Secured) -> None:
    """The connection with the one before stays, messages go on, and the node has a sentence for a person."""
    place = secured.home(secured.identity(EE))
    tls = ClientTls(CertificateFolder(place, EE), _now)
    sender = secured.transport(place, tls=tls)
    await sender.publish(sealed())
    other = BrokerAuthority.create(secured.folder / "other", b"x" * 20, name="Other authority", now=_now())
    identity = secured.identity(EE, signer=other)
    CertificateFolder(place, EE).install(
        identity.chain, identity.key, believed=fingerprint(other.certificate), now=_now()
    )
    wanted = (  # at one of its attempts: the server may hang up before its reason is read
        "The renewed certificate is not in use, the one before still is. "
        "The message broker does not know the authority of this node's certificate."
    )
    await until(lambda: tls.warning() == wanted)
    await sender.publish(sealed())
    assert sender._publisher._session is not None
    good = secured.identity(EE)
    CertificateFolder(place, EE).install(good.chain, good.key, believed=_believed(secured), now=_now())
    await until(lambda: tls.warning() is None)


# --- rights ---------------------------------------------------------------------------------------------------------


async def test_a_country_that_loses_its_place_is_cut_off_and_its_messages_stay(secured: Secured) -> None:
    """Suspending ends open connections and logins at once; what waits for it is there when it comes back."""
    ee, fi = secured.member(EE), secured.member(FI)
    envelope = sealed()
    await ee.publish(envelope)
    reader = secured.member(FI)
    (waiting,) = await take(reader, settle=False)
    await fi.publish(sealed(FI, EE))
    change = apply(secured.api, Membership(active=(EE,), suspended=(FI,)), vhost="trm")
    assert change.users_to_delete == ("FI",)
    assert secured.users() == {"EE"}
    await until(lambda: fi._publisher._session is None and reader._consumer._session is None)
    with pytest.raises(TransportUnavailable):
        await fi.publish(sealed(FI, EE))
    assert "FI" not in {line.split("\t")[0] for line in secured.server.control("list_connections", "user").splitlines()}
    await reader.close()  # the next delivery is the returning one's alone
    back = secured.member(FI)
    assert await back.health() == "The message broker refuses this node's user, password or certificate."
    assert await ee.health() is None
    assert apply(secured.api, Membership(active=(EE,), suspended=(FI,)), vhost="trm").empty
    apply(secured.api, Membership(active=(EE, FI)), vhost="trm")
    (again,) = await take(back)
    assert again.raw == waiting.raw == envelope.raw


async def test_rights_that_somebody_widened_are_set_back(secured: Secured) -> None:
    """A country's rights are exactly a country's, on one virtual host; operators are left alone."""
    secured.api.call("PUT", "/api/permissions/trm/EE", {"configure": ".*", "write": ".*", "read": ".*"})
    secured.api.call("PUT", "/api/vhosts/other")
    secured.api.call("PUT", "/api/permissions/other/FI", {"configure": ".*", "write": ".*", "read": ".*"})
    change = apply(secured.api, Membership(active=(EE, FI)), vhost="trm")
    assert (change.permissions_to_mend, change.permissions_to_delete) == (("EE",), (("other", "FI"),))
    assert apply(secured.api, Membership(active=(EE, FI)), vhost="trm").empty
    rights = {right["user"]: right for right in secured.api.call("GET", "/api/permissions")}
    assert rights["EE"]["write"] == "^trm$"
    assert secured.server.user in rights


async def test_what_a_dry_run_says_can_be_done_by_hand(secured: Secured) -> None:
    """Each line runs as it stands, and after the last one nothing differs from the trust list any more."""
    secured.api.call("PUT", "/api/permissions/trm/EE", {"configure": ".*", "write": ".*", "read": ".*"})
    secured.api.call("PUT", "/api/vhosts/other")
    secured.api.call("PUT", "/api/permissions/other/EE", {"configure": ".*", "write": ".*", "read": ".*"})
    members = Membership(active=(EE, SE), suspended=(FI,))
    change = difference(secured.api, members, vhost="trm")
    assert change.users_to_delete == ("FI",)
    assert change.users_to_add == ("SE",)
    assert change.permissions_to_mend == ("EE",)
    assert change.permissions_to_delete == (("other", "EE"),)
    assert difference(secured.api, members, vhost="trm") == change  # saying so changed nothing
    for line in change.commands("trm"):
        secured.server.shell(line)
    assert difference(secured.api, members, vhost="trm").empty
    assert secured.users() == {"EE", "SE"}
