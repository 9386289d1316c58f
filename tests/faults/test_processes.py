# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Real nodes as processes are killed, cut off and misled about the time: what was accepted arrives exactly once."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest

from broker.api.local_issuer import LocalIssuer
from broker.api.tokens import WHOLE_NODE, Role
from broker.core.ids import AuthorityId, CountryCode
from broker.demo.client import OfficeClient, until
from broker.demo.processes import LOG_NAME, NodeProcess, node_process
from broker.office import Office, open_office
from broker.rows import MessageFilter
from broker.schema_files import load_catalogue, read_schema_file
from broker.settings import TOKEN_KEY_FILE, Settings
from broker.system import SystemClock
from broker.testing.federation import make_federation
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.transport.spool import create
from broker.vault import open_vault

EE, FI = CountryCode("EE"), CountryCode("FI")
OFFICE = {"EE": AuthorityId("social-insurance-board"), "FI": AuthorityId("helsinki-wellbeing-services")}
REQUEST = json.loads(read_schema_file("examples/demo/request.json"))
BOUND_SECONDS = 60.0  # reached only when something is lost


@dataclass
class Nodes:
    """Two homes, and the nodes that run in them at the moment."""

    homes: Mapping[str, Path]
    http: aiohttp.ClientSession
    running: dict[str, tuple[NodeProcess, AsyncExitStack]] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        stack = AsyncExitStack()
        self.running[name] = (await stack.enter_async_context(node_process(self.homes[name])), stack)

    async def kill(self, name: str) -> None:
        node, stack = self.running.pop(name)
        await node.kill()
        await stack.aclose()

    async def stop(self, name: str) -> None:
        await self.running.pop(name)[1].aclose()

    def client(self, name: str) -> OfficeClient:
        issuer = LocalIssuer.load(self.homes[name] / TOKEN_KEY_FILE, us=CountryCode(name), clock=SystemClock())
        token = issuer.issue("test-system", Role.SYSTEM, OFFICE[name], timedelta(minutes=10))
        operator = issuer.issue("test-operator", Role.ADMIN, AuthorityId(WHOLE_NODE), timedelta(minutes=10))
        return OfficeClient(
            country=name, url=self.running[name][0].url, http=self.http, system=token, officer=operator
        )  # fmt: skip

    async def submit(self, count: int) -> list[str]:
        """Submit that many requests, four at a time; return the ids that the node said yes to."""
        client, places = self.client("EE"), asyncio.Semaphore(4)

        async def one(number: int) -> str:
            async with places:
                return str((await client.submit(REQUEST, key=f"k-{number}"))["message"])

        return list(await asyncio.gather(*map(one, range(count))))

    async def until_handed_over(self, count: int) -> None:
        """Wait until Estonia holds the proof that Finland's system took each."""
        client = self.client("EE")

        async def proven() -> bool:
            return f'trm_outbox{{state="handed-over"}} {count}.0' in await client.metrics()

        await until(f"{count} messages handed over", proven, seconds=BOUND_SECONDS)

    async def until_nobody_is_called(self) -> None:
        """Wait until no call is open at either node: one about a long outage closes with the next look at the node."""
        clients = [self.client(name) for name in self.running]

        async def calm() -> bool:
            return not any([await client.attention() for client in clients])

        await until("every call is closed", calm, seconds=BOUND_SECONDS)

    @asynccontextmanager
    async def office(self, name: str) -> AsyncIterator[Office]:
        office = open_office(Settings.load(self.homes[name]), open_vault(Settings.load(self.homes[name])))
        try:
            yield office
        finally:
            await office.close()

    def log(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.homes[name] / LOG_NAME).read_text().splitlines()]


async def _nodes(
    folder: Path, transport: Literal["spool", "rabbitmq"], settings: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Path]:
    catalogue = load_catalogue()
    federation = make_federation(
        folder,
        ("EE", "FI"),
        messages={kind: catalogue.versions(kind) for kind in catalogue.types()},
        now=SystemClock().now() - timedelta(days=1),
        transport=transport,
        settings=settings,
        filedrop={"FI": (OFFICE["FI"],)},
    )
    if transport == "spool":
        create(federation.spool_folder, (EE, FI))
    for name, home in federation.homes.items():
        LocalIssuer.create(home / TOKEN_KEY_FILE, us=name, clock=SystemClock())
    return {str(name): home for name, home in federation.homes.items()}


@asynccontextmanager
async def _running(homes: Mapping[str, Path]) -> AsyncIterator[Nodes]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        nodes = Nodes(homes, http)
        try:
            yield nodes
        finally:
            for name in list(nodes.running):
                await nodes.stop(name)


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[Nodes]:
    """Yield two homes over one spool; no node runs yet."""
    async with _running(await _nodes(tmp_path, "spool", {})) as made:
        yield made


async def _each_arrived_once(nodes: Nodes, accepted: list[str]) -> None:
    """After both nodes ended: inbox, national system and receipts hold each accepted message exactly once."""
    for name in list(nodes.running):
        await nodes.stop(name)
    landed = [json.loads(file.read_bytes())["id"] for file in (nodes.homes["FI"] / "filedrop" / "in").glob("*.json")]
    assert Counter(landed) == Counter(accepted)
    async with nodes.office("FI") as finland, nodes.office("EE") as estonia:
        held = await finland.store.read(
            lambda reader: reader.messages(MessageFilter(direction="in"), cursor=None, limit=1000)
        )
        assert Counter(row.id for row in held.items) == Counter(accepted)
        for office in (finland, estonia):
            for row in held.items:
                receipts = await office.store.read(lambda reader, row=row: reader.receipts_about(EE, row.id))
                assert [receipt.kind for receipt in receipts] == ["delivered", "handed-over"]
            page = await office.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
            assert page.items == ()


# A killed worker's entries are taken again when its leases have run out, a minute after it took them; the simulation
# holds that minute. Here it is five seconds, so that a run stays short; nothing else about the nodes is changed.
_SHORT_LEASES = """
import broker.core.delivery
broker.core.delivery.LEASE_SECONDS = 5
"""


def _customised(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every node that is started from here on run this first."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


@pytest.fixture
def short_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let leases run out after five seconds."""
    _customised(tmp_path / "short-leases", _SHORT_LEASES, monkeypatch)


@pytest.mark.usefixtures("short_leases")
async def test_a_sender_killed_before_delivery_loses_nothing(nodes: Nodes) -> None:
    """A kill -9 right after the last yes, with nobody there to receive yet: the next start sends what was accepted."""
    await nodes.start("EE")
    accepted = await nodes.submit(25)
    await nodes.kill("EE")
    await asyncio.gather(nodes.start("EE"), nodes.start("FI"))
    await nodes.until_handed_over(len(accepted))
    await _each_arrived_once(nodes, accepted)


@pytest.mark.usefixtures("short_leases")
async def test_a_receiver_killed_under_load_takes_each_message_once(nodes: Nodes) -> None:
    """A kill -9 twice while messages come in: the national system has each of them, once."""
    await asyncio.gather(nodes.start("EE"), nodes.start("FI"))
    load = asyncio.create_task(nodes.submit(60))
    drop = nodes.homes["FI"] / "filedrop" / "in"
    for wanted in (5, 30):

        async def so_many(wanted: int = wanted) -> bool:
            return len(list(drop.glob("*.json"))) >= wanted

        await until("the receiver is busy", so_many, seconds=BOUND_SECONDS)
        await nodes.kill("FI")
        await nodes.start("FI")
    accepted = await load
    await nodes.until_handed_over(len(accepted))
    await _each_arrived_once(nodes, accepted)


@pytest.mark.rabbitmq
async def test_a_message_broker_killed_under_load_loses_and_doubles_nothing(
    tmp_path: Path, rabbit: RabbitFederation
) -> None:
    """SIGKILL and restart of RabbitMQ between two nodes at work: every accepted message arrives once."""
    homes = await _nodes(tmp_path, "rabbitmq", {name: {"amqp_url": rabbit.url(name)} for name in ("EE", "FI")})
    async with _running(homes) as nodes:
        await asyncio.gather(nodes.start("EE"), nodes.start("FI"))
        load = asyncio.create_task(nodes.submit(80))
        drop = nodes.homes["FI"] / "filedrop" / "in"

        async def busy() -> bool:
            return len(list(drop.glob("*.json"))) >= 5

        await until("the receiver is busy", busy, seconds=BOUND_SECONDS)
        await asyncio.to_thread(rabbit.server.kill)
        await asyncio.to_thread(rabbit.server.start)
        accepted = await load
        await nodes.until_handed_over(len(accepted))
        await nodes.until_nobody_is_called()
        await _each_arrived_once(nodes, accepted)


# --- a wrong clock --------------------------------------------------------------------------------------------------

_HOUR_BEHIND = """
from datetime import timedelta
from broker.system import SystemClock
real = SystemClock.now
SystemClock.now = lambda self: real(self) - timedelta(hours=1)
"""


async def test_a_node_whose_clock_is_behind_says_so_and_loses_nothing(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What seems to come from the future waits; the operator is told of the clock at once; set right, it is taken."""
    await nodes.start("EE")
    with monkeypatch.context() as behind:
        _customised(tmp_path / "behind", _HOUR_BEHIND, behind)
        await nodes.start("FI")
    accepted = await nodes.submit(2)

    async def told() -> list[dict[str, Any]]:
        return [line for line in nodes.log("FI") if line["event"] == "attention.raised"]

    (line, *more) = await until("somebody is told of the clock", told, seconds=BOUND_SECONDS)
    assert (line["code"], line["who_must_act"], more) == ("clock", "operator", [])
    await nodes.stop("FI")
    async with nodes.office("FI") as office:
        page = await office.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
        (entry,) = page.items
        assert "compare this node's clock" in entry.detail
        counts = await office.store.read(lambda reader: reader.counts())
        assert (counts["parked"], counts["quarantine"]) == (2, 0)

    await nodes.start("FI")
    await nodes.until_handed_over(2)
    await nodes.stop("FI")
    async with nodes.office("FI") as office:
        held = await office.store.read(
            lambda reader: reader.messages(MessageFilter(direction="in"), cursor=None, limit=9)
        )
        assert sorted(row.id for row in held.items) == sorted(accepted)
        page = await office.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
        assert [entry.code for entry in page.items] == ["clock"]  # a person closes it; nothing else is wrong
