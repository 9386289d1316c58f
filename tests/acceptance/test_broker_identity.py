# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Two nodes and a broker's operator, by their commands: TLS and certificates, rotation under load, suspension, return."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from broker.api.local_issuer import LocalIssuer
from broker.api.tokens import Role
from broker.cli import main
from broker.core.ids import AuthorityId, CountryCode
from broker.demo.client import OfficeClient, until
from broker.demo.processes import LOG_NAME, node_process
from broker.schema_files import load_catalogue, read_schema_file
from broker.settings import TOKEN_KEY_FILE
from broker.system import SystemClock
from broker.testing.federation import make_federation
from broker.testing.rabbitmq import rabbitmq_program
from broker.testing.rabbitmq_shipped import ShippedRabbit
from broker.testing.trust import TrustOffice

pytestmark = pytest.mark.rabbitmq

ROOT = Path(__file__).parents[2]
OFFICE = {"EE": AuthorityId("social-insurance-board"), "FI": AuthorityId("helsinki-wellbeing-services")}
REQUEST = json.loads(read_schema_file("examples/demo/request.json"))
BOUND_SECONDS = 90.0  # reached only when something is lost; a node waits up to 30 s before it connects again


def trm(*arguments: object) -> Any:
    """Run a command with --json and return its document."""
    out = io.StringIO()
    with redirect_stdout(out):
        code = main([*map(str, arguments), "--json"])
    assert code == 0, out.getvalue()
    return json.loads(out.getvalue())


@dataclass
class Site:
    """The operator's broker and the two countries' homes; SE runs no node and its home is the operator's."""

    server: ShippedRabbit
    homes: Mapping[str, Path]
    folder: Path
    office: TrustOffice

    def certificate(self, country: str, *more: object) -> None:
        """Walk a certificate from the request to its installation."""
        home, ask = self.homes[country], self.folder / f"{country}.json"
        trm("broker", "certificate", "request", "--home", home, "--out", ask)
        issued = trm("broker", "certificate", "issue", ask, "--home", self.homes["SE"], *self.ca)
        trm("broker", "certificate", "install", issued["file"], "--home", home, *more)

    @property
    def ca(self) -> tuple[object, ...]:
        return ("--ca", self.folder / "ca", "--passphrase-file", self.folder / "ca.pass")

    def status(self, country: str, status: str) -> None:
        """Let the federation's officers suspend a country, or resume it."""
        now, repository = SystemClock().now(), self.office.repository
        if status == "SUSPENDED":
            repository.suspend(CountryCode(country), "A drill.", now=now)
        else:
            repository.resume(CountryCode(country), now=now)
        self.office.publish(now=now)

    def apply(self) -> Any:
        """Let the broker follow the operator's trust list."""
        secret = self.folder / "operator.pass"
        secret.write_text(self.server.password)
        account = ("--url", self.server.admin_url, "--user", self.server.user, "--password-file", secret)
        return trm("broker", "apply", "--home", self.homes["SE"], *account)

    def users(self) -> Counter[str]:
        """Return who is connected, how often."""
        return Counter(self.server.control("list_connections", "--no-table-headers", "user").split())


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """Set everything up by the manual's steps."""
    server = ShippedRabbit(rabbitmq_program(), ROOT / "deploy/rabbitmq")
    catalogue = load_catalogue()
    federation = make_federation(
        tmp_path / "homes",
        ("EE", "FI", "SE"),
        messages={kind: catalogue.versions(kind) for kind in catalogue.types()},
        now=SystemClock().now() - timedelta(days=1),
        transport="rabbitmq",
        settings={name: {"amqp_url": f"amqps://127.0.0.1:{server.port}/trm"} for name in ("EE", "FI", "SE")},
        filedrop={"FI": (OFFICE["FI"],)},
    )
    for name, home in federation.homes.items():
        LocalIssuer.create(home / TOKEN_KEY_FILE, us=name, clock=SystemClock())
    made = Site(server, {str(name): home for name, home in federation.homes.items()}, tmp_path, federation.office)
    try:
        fingerprint = trm("broker", "ca", "init", *made.ca[1:])["fingerprint"]
        trm("broker", "certificate", "host", "127.0.0.1", *made.ca, "--out", server.etc / "tls")
        trm("broker", "definitions", "--home", made.homes["SE"], "--out", server.etc / "trm-definitions.json")
        server.start()
        server.add_operator()
        for country in ("EE", "FI"):
            made.certificate(country, "--authority", fingerprint)
        yield made
    finally:
        server.close()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Calls the nodes' APIs."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


def _client(site: Site, name: str, url: str, http: aiohttp.ClientSession) -> OfficeClient:
    issuer = LocalIssuer.load(site.homes[name] / TOKEN_KEY_FILE, us=CountryCode(name), clock=SystemClock())
    token = issuer.issue("test-system", Role.SYSTEM, OFFICE[name], timedelta(minutes=10))
    return OfficeClient(country=name, url=url, http=http, system=token, officer=token)


async def _handed_over(client: OfficeClient, count: int) -> None:
    async def proven() -> bool:
        return f'trm_outbox{{state="handed-over"}} {count}.0' in await client.metrics()

    await until(f"{count} messages handed over", proven, seconds=BOUND_SECONDS)


async def test_certificates_carry_two_nodes_through_rotation_suspension_and_return(
    site: Site, http: aiohttp.ClientSession
) -> None:
    """Every accepted message arrives once: while both certificates change, and after its recipient was suspended."""
    async with AsyncExitStack() as stack:
        nodes = {name: await stack.enter_async_context(node_process(site.homes[name])) for name in ("EE", "FI")}
        estonia = _client(site, "EE", nodes["EE"].url, http)
        accepted = []

        async def submit(count: int) -> None:
            for _ in range(count):
                accepted.append(str((await estonia.submit(REQUEST, key=f"k-{len(accepted)}"))["message"]))
                await asyncio.sleep(0)

        await submit(5)
        await _handed_over(estonia, 5)
        before = set(site.server.control("list_connections", "--no-table-headers", "pid").split())
        for country in ("EE", "FI"):
            site.certificate(country)

        async def renewed() -> bool:
            await submit(1)
            now = set(
                await asyncio.to_thread(
                    lambda: site.server.control("list_connections", "--no-table-headers", "pid").split()
                )
            )
            return not now & before and len(now) >= 4

        await until("four connections with the new certificates", renewed, seconds=BOUND_SECONDS)
        await _handed_over(estonia, len(accepted))

        site.status("FI", "SUSPENDED")
        assert site.apply()["users_deleted"] == ["FI"]
        await until(
            "Finland cut off", lambda: asyncio.to_thread(lambda: "FI" not in site.users()), seconds=BOUND_SECONDS
        )
        await submit(5)
        with (site.homes["FI"] / LOG_NAME).open() as log:
            assert all("PRIVATE KEY" not in line for line in log)
        assert "FI" not in site.users()
        site.status("FI", "ACTIVE")
        assert site.apply()["users_added"] == ["FI"]
        await _handed_over(estonia, len(accepted))
    landed = [json.loads(file.read_bytes())["id"] for file in (site.homes["FI"] / "filedrop" / "in").glob("*.json")]
    assert Counter(landed) == Counter(accepted)
