# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Two running nodes on a real RabbitMQ change their keys while messages flow; nobody restarts anything."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.api.local_issuer import LocalIssuer
from broker.core.ids import CountryCode, KeyId, MessageId
from broker.core.trust import KeyUse, RevocationReason
from broker.home import read_own_member
from broker.node import Node, build
from broker.own_keys import ENCRYPTION, SIGNING, OwnKeys
from broker.schema_files import load_catalogue, read_schema_file
from broker.settings import TOKEN_KEY_FILE, Settings
from broker.system import SystemClock
from broker.testing.federation import Federation, make_federation
from broker.testing.pytest_rabbitmq import RabbitFederation
from broker.trust.opening import trust_in_force
from broker.vault import Unlocking, open_vault

pytestmark = pytest.mark.rabbitmq

EE, FI = CountryCode("EE"), CountryCode("FI")
BOUND_SECONDS = 120  # reached only when something hangs
BATCH = 20


@pytest.fixture
def federation(rabbit: RabbitFederation, tmp_path: Path) -> Federation:
    """Homes of EE and FI on the broker."""
    catalogue = load_catalogue()
    made = make_federation(
        tmp_path,
        ("EE", "FI"),
        messages={kind: catalogue.versions(kind) for kind in catalogue.types()},
        now=datetime.now(UTC),
        transport="rabbitmq",
        settings={name: {"amqp_url": rabbit.url(name)} for name in ("EE", "FI")},
    )
    for name, home in made.homes.items():
        LocalIssuer.create(home / TOKEN_KEY_FILE, us=name, clock=SystemClock())
    return made


@asynccontextmanager
async def serving(home: Path):
    """Run a node while the block runs."""
    settings = Settings.load(home)
    node = build(settings, open_vault(settings))
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(node.serve(ready.set_result))
    await ready
    try:
        yield node
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def submit(node: Node, count: int) -> list[MessageId]:
    """Send so many requests from Estonia."""
    data = json.loads(read_schema_file("examples/demo/request.json"))
    made = []
    for _ in range(count):
        key = node.office.ids.nonce()
        submission = node.office.catalogue.parse_submission(data, actor="test", route="test", idempotency_key=key)
        made.append((await node.office.submit(submission)).message)
    return made


def rotate(federation: Federation, country: CountryCode, *, revoke: KeyId | None = None) -> None:
    """Rotate a country's keys from now on, and publish every country's document."""
    settings, now = Settings.load(federation.homes[country]), datetime.now(UTC).replace(microsecond=0)
    listed = trust_in_force(settings).members[country]
    own = OwnKeys(settings, Unlocking(settings), listed=listed)
    own.rotate((*SIGNING, *ENCRYPTION), start=now, overlap=timedelta(hours=1), now=now)
    for name, home in federation.homes.items():
        member = read_own_member(home, name)
        keys = tuple(
            replace(key, revoked_at=now, revoked_because=RevocationReason.COMPROMISED) if key.kid == revoke else key
            for key in member.keys
        )
        federation.office.set(replace(member, keys=keys), now=now)
    federation.office.publish(now=now)


async def look(*nodes: Node) -> None:
    """Let the nodes look for the newer list now; by themselves they do every quarter of an hour, or at an unknown key."""
    for node in nodes:
        await node.office.trust._look()
        refresh = next(loop for loop in node._loops if loop.name == "trust")._work
        refresh._last = None  # asked less than a minute ago, when the node started
        await refresh()


async def delivered(node: Node, messages: list[MessageId]) -> None:
    """Wait until the other side has confirmed every message."""
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            rows = await node.office.store.run(lambda tx: [tx.outbox(message) for message in messages])
            if all(row is not None and row.delivered is not None for row in rows):
                return
            node._bells.ring("parked")
            await asyncio.sleep(0.1)


async def test_nodes_change_their_keys_while_messages_flow(federation: Federation) -> None:
    """New keys of both sides and a revoked one: every message is confirmed, the last ones under the newest keys."""
    async with AsyncExitStack() as stack:
        estonia = await stack.enter_async_context(serving(federation.homes[EE]))
        finland = await stack.enter_async_context(serving(federation.homes[FI]))
        sent = await submit(estonia, BATCH)
        first = federation.trust.members[EE].keys[0].kid

        rotate(federation, EE)
        sent += await submit(estonia, BATCH)
        await look(estonia)  # Finland learns of it by an unknown key at the earliest
        sent += await submit(estonia, BATCH)
        await look(finland)
        rotate(federation, FI, revoke=first)
        await look(estonia, finland)
        sent += await submit(estonia, BATCH)
        await delivered(estonia, sent)

        rows = await estonia.office.store.run(lambda tx: [tx.outbox(message) for message in sent])
        held = await finland.office.store.run(lambda tx: [tx.inbox(EE, message) for message in sent])
        assert {row.refused for row in rows} == {None}
        assert None not in held
        keys = {name: read_own_member(home, name).keys for name, home in federation.homes.items()}
        assert rows[0].envelope.signer_kids[0] == first
        assert rows[-1].envelope.signer_kids == (keys[EE][3].kid, keys[EE][4].kid)
        newest = next(key.kid for key in keys[FI][3:] if key.use is KeyUse.HPKE)
        assert rows[-1].envelope.recipient_kid == newest
