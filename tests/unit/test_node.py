# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One country's running node, from its first breath to its last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import pytest

from broker.api.local_issuer import LocalIssuer
from broker.core.errors import DiskFull, Internal, StoreUnavailable, TransportUnavailable
from broker.core.ids import CountryCode
from broker.node import LOOPS, Node, build
from broker.schema_files import read_schema_file
from broker.settings import TOKEN_KEY_FILE, Settings
from broker.storage.reader import SqlReader
from broker.system import SystemClock
from broker.testing.federation import Federation
from broker.transport.spool import create
from broker.vault import open_vault

REQUEST: Mapping[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
_SENT = (
    'trm_published_total{peer="FI"} 1.0',
    'trm_delivery_seconds_count{peer="FI"} 1.0',
    'trm_receipts_total{direction="in",kind="delivered",peer="FI"} 1.0',
    'trm_receipts_total{direction="in",kind="handed-over",peer="FI"} 1.0',
)
_TAKEN = (
    'trm_received_total{peer="EE",type="family-tracing.request"} 1.0',
    'trm_receipts_total{direction="out",kind="delivered",peer="EE"} 1.0',
    'trm_receipts_total{direction="out",kind="handed-over",peer="EE"} 1.0',
)
BOUND_SECONDS = 30  # reached only when something hangs


@pytest.fixture
def homes(federation: Federation) -> Mapping[CountryCode, Path]:
    """Two homes over one spool."""
    create(federation.spool_folder, federation.homes)
    for name, home in federation.homes.items():
        LocalIssuer.create(home / TOKEN_KEY_FILE, us=name, clock=SystemClock())
    return federation.homes


def _built(home: Path) -> Node:
    settings = Settings.load(home)
    return build(settings, open_vault(settings))


@asynccontextmanager
async def _serving(node: Node) -> AsyncIterator[str]:
    """Run a node while the block runs, then end it as the command does."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(node.serve(address.set_result))
    async with asyncio.timeout(BOUND_SECONDS):
        yield await address
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(BOUND_SECONDS):
        while not await condition():  # noqa: ASYNC110 - the store is written in threads
            await asyncio.sleep(0.01)


async def _submit(node: Node) -> str:
    office = node.office
    data = office.catalogue.parse_submission(REQUEST, actor="officer", route="cli", idempotency_key="k")
    return (await office.submit(data)).message


async def test_two_nodes_exchange_a_message_and_end_in_order(homes: Mapping[CountryCode, Path]) -> None:
    """A submission rings the dispatcher, the proof comes back and is counted, and ending leaves no task of the node behind."""
    before = asyncio.all_tasks()
    estonia, finland = (_built(home) for home in homes.values())
    async with _serving(estonia), _serving(finland):
        await _submit(estonia)

        async def counted() -> bool:
            ours, theirs = (node.metrics.exposition({}).decode() for node in (estonia, finland))
            return all(line in ours for line in _SENT) and all(line in theirs for line in _TAKEN)

        await _until(counted)
        counts = await estonia.office.store.read(lambda reader: reader.counts())
        assert counts.get("outbox.handed-over") == 1
    assert asyncio.all_tasks() == before


async def test_a_healthy_node_says_so(homes: Mapping[CountryCode, Path]) -> None:
    """Every check answers None, the address answers, and every loop of the list runs."""
    node = _built(homes[CountryCode("EE")])
    async with _serving(node) as address, aiohttp.ClientSession() as http:
        assert {name: await check() for name, check in node.checks.items()} == {
            "transport": None, "store": None, "loops": None, "vault": None, "disk": None,
        }  # fmt: skip
        async with http.get(f"{address}/api/v1/health") as response:
            assert response.status == 200
        assert {loop.name for loop in node._loops} == set(LOOPS)


async def test_a_disk_that_fills_up_shows_in_health(
    homes: Mapping[CountryCode, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person is called before there is no room left to call one."""
    node = _built(homes[CountryCode("EE")])
    monkeypatch.setattr("broker.running.vitals.DISK_FAILURE", 2**62)
    assert (await node.checks["disk"]() or "").endswith("MiB are free on the disk of the home folder.")
    await node._close()


async def test_whether_the_store_answers_is_asked_without_counting_what_it_holds(
    homes: Mapping[CountryCode, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check has two seconds, and anybody may ask for it: it takes as long in the tenth year as on the first day."""
    node = _built(homes[CountryCode("EE")])

    def counted(_: SqlReader) -> NoReturn:
        raise AssertionError("it counts")

    monkeypatch.setattr(SqlReader, "counts", counted)
    assert await node.checks["store"]() is None
    await node._close()


async def test_a_store_without_room_shows_in_health_at_once(homes: Mapping[CountryCode, Path]) -> None:
    """Reading still works, the home's own disk has room: the first submission that finds none makes the node not ready."""
    node = _built(homes[CountryCode("EE")])

    def full(_: object) -> None:
        raise DiskFull("There is no room left on the disk of PostgreSQL's server.")

    async with _serving(node) as address, aiohttp.ClientSession() as http:
        with pytest.raises(DiskFull):
            await node.office.store.run(full)
        assert await node.checks["store"]() == "There is no room left on the disk of PostgreSQL's server."
        async with http.get(f"{address}/api/v1/health") as response:
            assert (response.status, (await response.json())["ready"]) == (503, False)


async def test_a_failing_loop_shows_in_health(homes: Mapping[CountryCode, Path]) -> None:
    """The check names the loop with the error's own sentence, and is silent again after a success."""
    node = _built(homes[CountryCode("EE")])
    loop = next(loop for loop in node._loops if loop.name == "dispatch")
    loop.trouble = StoreUnavailable()
    assert await node.checks["loops"]() == "The dispatch loop fails: The database does not answer."
    loop.trouble = None
    assert await node.checks["loops"]() is None
    await node._close()


async def test_a_vault_that_no_longer_opens_shows_in_health(homes: Mapping[CountryCode, Path]) -> None:
    """A vault that changed into something else is told while the node goes on with the keys that it has."""
    home = homes[CountryCode("EE")]
    node = _built(home)
    (home / "vault.json").write_bytes(b"{}")
    assert "home-invalid" in (await node.checks["vault"]() or "")
    await node._close()


async def test_a_dead_part_stops_the_node(homes: Mapping[CountryCode, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that can no longer receive does not go on pretending: it ends with the error, and its store is closed."""
    node = _built(homes[CountryCode("EE")])

    async def dies() -> None:
        raise TransportUnavailable

    monkeypatch.setattr(node._receiving, "run", dies)
    async with asyncio.timeout(BOUND_SECONDS):
        with pytest.raises(TransportUnavailable):
            await node.serve(lambda _: None)
    with pytest.raises(StoreUnavailable):
        await node.office.store.read(lambda reader: reader.counts())


async def test_an_unforeseen_end_is_one_sentence(
    homes: Mapping[CountryCode, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever kills a part, the node ends with one error of its own, which names the kind and no value."""
    node = _built(homes[CountryCode("EE")])

    async def dies() -> None:
        raise ExceptionGroup("inner", [KeyError("Test-Maarika")])

    monkeypatch.setattr(node._receiving, "run", dies)
    async with asyncio.timeout(BOUND_SECONDS):
        with pytest.raises(Internal) as caught:
            await node.serve(lambda _: None)
    assert caught.value.detail == "A part of the node ended by KeyError; it is in the log."


async def test_what_was_accepted_by_a_node_that_ended_is_sent_by_the_next(homes: Mapping[CountryCode, Path]) -> None:
    """A submission in the last moment, after the loops have ended, waits for the next start."""
    node = _built(homes[CountryCode("EE")])
    message = await _submit(node)
    await node._close()
    node = _built(homes[CountryCode("EE")])
    async with _serving(node):

        async def published() -> bool:
            row = await node.office.store.run(lambda tx: tx.outbox(message))  # type: ignore[arg-type]
            return row is not None and row.state == "published"

        await _until(published)
