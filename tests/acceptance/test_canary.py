# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Promise P5: a name planted in every text of a case is found where people read it, and nowhere else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from broker.api.local_issuer import LocalIssuer
from broker.api.tokens import Role
from broker.catalogue import Catalogue
from broker.core.ids import AuthorityId, CountryCode
from broker.demo.client import OfficeClient, until
from broker.demo.processes import node_process
from broker.office import open_office
from broker.rows import MessageFilter
from broker.schema_files import load_catalogue, read_schema_file
from broker.settings import TOKEN_KEY_FILE, Settings
from broker.system import SystemClock
from broker.testing.canaries import CANARIES, found, texts
from broker.testing.federation import make_federation
from broker.transport.rabbit_delivery import properties_for
from broker.transport.spool import create
from broker.transport.topology import in_queue
from broker.vault import open_vault

OFFICE = {"EE": AuthorityId("social-insurance-board"), "FI": AuthorityId("helsinki-wellbeing-services")}
BOUND_SECONDS = 60.0


# --- planting and searching -----------------------------------------------------------------------------------------


def _planted(catalogue: Catalogue, act: str) -> tuple[dict[str, Any], int]:
    """Return an example with a canary in each place that takes any text, and how many places those are."""
    data = json.loads(read_schema_file(f"examples/demo/{act}.json"))
    canaries, count = cycle(CANARIES), 0
    for path in list(texts(data)):
        holder = data
        for name in path[:-1]:
            holder = holder[name]
        before = holder[path[-1]]
        holder[path[-1]] = next(canaries)
        if catalogue.explain_submission(data):  # a code, a date, an identifier
            holder[path[-1]] = before
        else:
            count += 1
    return data, count


# --- the exchange ---------------------------------------------------------------------------------------------------


@dataclass
class Exchange:
    """What a whole case, and much that was refused, left behind."""

    folder: Path
    seen: dict[str, bytes] = field(default_factory=dict)  # where nothing of the child may stand
    read: dict[str, bytes] = field(default_factory=dict)  # where people read it
    places: int = 0

    @property
    def temporary(self) -> Path:
        """Where the nodes put temporary files."""
        return self.folder / "tmp"

    def keep(self, where: str, content: bytes | str) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        self.seen[where] = self.seen.get(where, b"") + data


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    """Play the case once on two real nodes over a spool, at the most talkative log level."""
    made = Exchange(tmp_path_factory.mktemp("canary"))
    made.temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(made.temporary))
        asyncio.run(_play(made))
    return made


async def _play(exchange: Exchange) -> None:
    catalogue = load_catalogue()
    homes = _homes(exchange.folder, catalogue)
    acts = {act: _planted(catalogue, act) for act in ("request", "acknowledgement", "result")}
    exchange.places = sum(count for _, count in acts.values())
    spool = exchange.folder / "spool"
    async with _http() as http:
        async with node_process(homes["EE"]) as estonia:
            client = _client(homes["EE"], "EE", estonia.url, http)
            request = await client.submit(acts["request"][0], key="k-1")
            await until("the envelope lies in the spool", lambda: _lies_in(spool), seconds=BOUND_SECONDS)
            exchange.keep("spool", b"".join(_named(file) for file in spool.rglob("*")))
            await _refusals(exchange, client, acts["request"][0])
        async with AsyncExitStack() as stack:
            running = {name: await stack.enter_async_context(node_process(home)) for name, home in homes.items()}
            clients = {name: _client(homes[name], name, node.url, http) for name, node in running.items()}
            await _answers(exchange, homes, clients, request, {act: data for act, (data, _) in acts.items()})
            for name, node in running.items():
                exchange.keep("metrics", await clients[name].metrics())
                exchange.keep("command lines", _command_line(node.pid))
                exchange.keep("files at rest", _at_rest(homes[name]))  # with the database's journal
            exchange.keep("files at rest", b"".join(map(_named, exchange.temporary.rglob("*"))))
    for home in homes.values():
        exchange.keep("files at rest", _at_rest(home))
        exchange.keep("log", (home / "node.log").read_bytes())
        exchange.keep("file names", "\n".join(str(path.relative_to(home)) for path in home.rglob("*")))
        await _stored(exchange, home)


def _homes(folder: Path, catalogue: Catalogue) -> dict[str, Path]:
    federation = make_federation(
        folder,
        ("EE", "FI"),
        messages={kind: catalogue.versions(kind) for kind in catalogue.types()},
        now=SystemClock().now(),
        settings={"EE": {"log_level": "DEBUG"}, "FI": {"log_level": "DEBUG"}},
        filedrop={"FI": (OFFICE["FI"],)},
    )
    create(federation.spool_folder, (CountryCode("EE"), CountryCode("FI")))
    for name, home in federation.homes.items():
        LocalIssuer.create(home / TOKEN_KEY_FILE, us=name, clock=SystemClock())
    return {str(name): home for name, home in federation.homes.items()}


@asynccontextmanager
async def _http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        yield http


def _client(home: Path, name: str, url: str, http: aiohttp.ClientSession) -> OfficeClient:
    issuer = LocalIssuer.load(home / TOKEN_KEY_FILE, us=CountryCode(name), clock=SystemClock())
    tokens = [issuer.issue("test", role, OFFICE[name], timedelta(minutes=10)) for role in (Role.SYSTEM, Role.OFFICER)]
    return OfficeClient(country=name, url=url, http=http, system=tokens[0], officer=tokens[1])


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _envelopes(spool: Path) -> list[Path]:
    return [file for file in spool.rglob("*") if file.is_file() and file.stat().st_size > 5000]


async def _lies_in(spool: Path) -> list[Path]:
    return _envelopes(spool)


def _at_rest(home: Path) -> bytes:
    """All that a node keeps, but the folder in which it hands over to the national system."""
    kept = [path for path in home.rglob("*") if "filedrop" not in path.relative_to(home).parts]
    assert {"trm.db", "vault.json"} <= {path.name for path in kept}
    return b"".join(map(_named, kept))


def _named(path: Path) -> bytes:
    return str(path).encode() + b"\n" + (path.read_bytes() if path.is_file() else b"") + b"\n"


async def _refusals(exchange: Exchange, client: OfficeClient, request: dict[str, Any]) -> None:
    """Ask for everything that a careless or hostile caller may ask for, with a name in it."""
    name = CANARIES[1]
    body = request["body"]
    wrong: list[Any] = [
        {**request, "body": {**body, "child": {name: name}}},
        {**request, "body": {**body, name: 1}},
        {**request, "type": name},
        {**request, "procedure": name},
        {**request, "urgency": name, "language": name},
        {**request, "recipient": {"country": "FI", "authority": name}},
        {**request, "legal_basis": {"code": name}},
        {**request, "body": {**body, "danger_assessment": {**body["danger_assessment"], "would_endanger": "YES"}}},
        [name], name,
    ]  # fmt: skip
    base = f"{client.url.rstrip('/')}/api/v1"
    bearer = {"Authorization": f"Bearer {client.system}"}

    async def ask(method: str, path: str, data: bytes | None = None, **headers: str) -> None:
        address = f"{base}{path}"
        async with client.http.request(method, address, data=data, headers={**bearer, **headers}) as response:
            assert response.status >= 400, (method, path)
            exchange.keep("problem documents", await response.read() + repr(response.headers).encode())

    for number, one in enumerate(wrong):
        await ask("POST", "/messages", json.dumps(one).encode(), **_json(f"w-{number}"))
    broken = json.dumps(request, ensure_ascii=False).encode()[:-7]
    await ask("POST", "/messages", broken, **_json("b-1"))
    await ask("POST", "/messages", json.dumps(request).encode(), **_json(quote(name) * 20))
    await ask("POST", "/messages", json.dumps({**request, "purpose": name + "!"}).encode(), **_json("k-1"))
    for path in (f"/messages/{quote(name)}", f"/messages?type={quote(name)}", f"/{quote(name)}"):
        await ask("GET", path)
    await ask("GET", "/messages", Authorization=f"Bearer {quote(name)}")


def _json(key: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "Idempotency-Key": key}


async def _answers(
    exchange: Exchange,
    homes: Mapping[str, Path],
    clients: Mapping[str, OfficeClient],
    request: Mapping[str, Any],
    acts: Mapping[str, dict[str, Any]],
) -> None:
    estonia, finland, drop = clients["EE"], clients["FI"], homes["FI"] / "filedrop"

    async def landed() -> list[Path]:
        return list((drop / "in").glob("*.json"))

    (file,) = await until("the request landed", landed, seconds=BOUND_SECONDS)
    exchange.read["file drop"] = file.read_bytes()
    exchange.read["API"] = json.dumps(await finland.message(request["message"])).encode()
    await finland.open(request["message"])
    (drop / "out" / "wrong.json").write_text(json.dumps({**acts["request"], CANARIES[2]: CANARIES[3]}))
    (drop / "out" / "acknowledgement.json").write_text(
        json.dumps({**acts["acknowledgement"], "procedure": request["procedure"]})
    )
    await until("the acknowledgement came", lambda: _count(estonia, 2), seconds=BOUND_SECONDS)
    await finland.submit({**acts["result"], "procedure": request["procedure"]}, key="r-1")
    await until("the result came", lambda: _count(estonia, 3), seconds=BOUND_SECONDS)

    async def told() -> list[Path]:
        return [path for path in drop.rglob("*wrong*") if path.parent.name != "out" and path.suffix == ".json"]

    await until("the wrong file was refused", told, seconds=BOUND_SECONDS)
    notes = [path for path in drop.rglob("*problem*") if path.is_file()]
    assert notes
    exchange.keep("file-drop notes", b"".join(path.read_bytes() for path in notes))
    for client in clients.values():
        exchange.keep("attention", json.dumps(await client.attention()))


async def _count(client: OfficeClient, count: int) -> bool:
    return len(await client.messages()) == count


async def _stored(exchange: Exchange, home: Path) -> None:
    """What the store tells operators, and what a message broker would be told."""
    settings = Settings.load(home)
    office = open_office(settings, open_vault(settings))
    try:
        trail = await office.store.read(lambda reader: reader.audit(cursor=None, limit=1000))
        calls = await office.store.read(lambda reader: reader.attention(None, open_only=False, cursor=None, limit=100))
        exchange.keep("audit", repr(trail.items))
        exchange.keep("attention", repr(calls.items))
        own = await office.store.read(
            lambda reader: reader.messages(MessageFilter(direction="out"), cursor=None, limit=9)
        )
        for row in own.items:
            held = await office.store.run(lambda tx, row=row: tx.outbox(row.id))
            assert held is not None
            assert held.envelope is not None
            exchange.keep("AMQP", repr(properties_for(held.envelope)) + in_queue(held.envelope.recipient))
            exchange.keep("sealed envelopes", held.envelope.raw)
    finally:
        await office.close()


def test_a_name_was_planted_everywhere(exchange: Exchange) -> None:
    """Dozens of places of the three messages take free text, and each got a name."""
    assert exchange.places > 60


def test_people_read_every_name(exchange: Exchange) -> None:
    """All of the names reached the national system's folder and the officer's screen: the search can find them."""
    assert found(exchange.read["file drop"]) == set(CANARIES)
    assert found(exchange.read["API"]) == set(CANARIES)


@pytest.mark.parametrize(
    "where",
    [
        "AMQP", "attention", "audit", "command lines", "file names", "file-drop notes", "files at rest", "log",
        "metrics",
        "problem documents", "sealed envelopes", "spool",
    ],
)  # fmt: skip
def test_no_name_stands_where_it_does_not_belong(exchange: Exchange, where: str) -> None:
    """Neither the finished case nor anything that was refused left a trace of a name there."""
    assert exchange.seen[where]
    assert found(exchange.seen[where]) == set()


def test_every_kind_of_place_was_searched(exchange: Exchange) -> None:
    """Nothing that the exchange left behind is left out of the search."""
    assert sorted(exchange.seen) == [
        "AMQP", "attention", "audit", "command lines", "file names", "file-drop notes", "files at rest", "log",
        "metrics",
        "problem documents", "sealed envelopes", "spool",
    ]  # fmt: skip
