# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The third country tries: what reached its node, what its broker account may fetch, what its keys can open."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from broker.core.errors import UntrustedError
from broker.core.ids import CountryCode, KeyId, MessageId
from broker.core.trust import KeyUse
from broker.demo.client import DemoFailed, OfficeClient
from broker.demo.evidence import Onlooker, Sent
from broker.demo.stage import Stage
from broker.security import envelope as wire
from broker.security import sealing
from broker.settings import Settings
from broker.storage import AtRest, open_store
from broker.transport.topology import chunk_queue, dead_queue, in_queue
from broker.vault import FileVault, open_vault

__all__ = ["OPENED", "look_on", "try_to_open"]

OPENED = "opened"
_SAMPLE = re.compile(r"^(trm_[a-z_]+)(?:\{([^}]*)\})? ([0-9.e+-]+)$", re.MULTILINE)
_LOOKED_AT = ("trm_received_total", "trm_rejected_total", "trm_repeated_total", "trm_receipts_total")
_BROKER_SECONDS = 5.0


async def look_on(stage: Stage, client: OfficeClient, procedure: str, sent: Iterable[Sent]) -> Onlooker:
    """Return everything that the third country could get hold of.

    Raises:
        BrokerError: it could not even be tried, so nothing is known.
    """
    country = client.country
    metrics = await client.metrics()
    waiting, reading = await _at_transport(stage, country)
    return Onlooker(
        country=country,
        messages=len(await client.messages()),
        seen=sum(_sum(metrics, name) for name in _LOOKED_AT),
        held=_sum(metrics, "trm_waiting", 'what="quarantine"') + _sum(metrics, "trm_waiting", 'what="parked"'),
        waiting=waiting,
        procedure_status=await client.procedure_status(procedure),
        opening=await _opening(stage, CountryCode(country), tuple(sent)),
        reading=reading,
    )


def try_to_open(raw: bytes, vault: FileVault, us: CountryCode) -> tuple[str, ...]:
    """Return the code of each way to open someone's envelope: as addressed, by its key id, and with each key of ours."""
    envelope, opener = wire.parse(raw), vault.opener()
    ours = [kid for kid, use, _ in vault.public_keys() if use is KeyUse.HPKE]
    return (
        _code(lambda: sealing.check_for_us(envelope, us)),
        _code(lambda: sealing.check_key_held(envelope, opener)),
        *(_code(_forced(envelope, kid, vault)) for kid in ours),
    )


def _forced(envelope: wire.Envelope, kid: KeyId, vault: FileVault) -> Callable[[], object]:
    return lambda: sealing.decrypt(replace(envelope, recipient_kid=kid), vault.opener())


def _code(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except UntrustedError as error:
        return error.code
    return OPENED


async def _opening(stage: Stage, us: CountryCode, sent: tuple[Sent, ...]) -> Mapping[str, tuple[str, ...]]:
    """Take the sealed bytes where only their senders have them, and try them with the third country's keys."""
    settings = Settings.load(stage.homes[us])
    vault = open_vault(settings)
    found: dict[str, tuple[str, ...]] = {}
    for one in sent:
        raw = await _sealed(stage.homes[one.author], one)
        found[one.act] = try_to_open(raw, vault, us)
    return found


async def _sealed(home: Path, sent: Sent) -> bytes:
    settings = Settings.load(home)
    cipher = AtRest(open_vault(settings).ring)
    store = open_store(settings.store_url, us=settings.country, cipher=cipher)
    try:
        row = await store.run(lambda tx: tx.outbox(MessageId(sent.message)))
    finally:
        await store.close()
    if row is None or row.envelope is None:
        raise DemoFailed(f"{sent.author} no longer holds the sealed {sent.act}.")
    return row.envelope.raw


async def _at_transport(stage: Stage, country: str) -> tuple[int, str]:
    """Return how much waits for the country, and whether its account could read the others' queues."""
    if stage.transport == "spool":
        own = stage.spool / country
        return sum(1 for path in own.rglob("*") if path.is_file() and path.suffix != ".lock"), "not-applicable"
    import aio_pika

    us, others = CountryCode(country), [CountryCode(name) for name in stage.homes if name != country]
    async with asyncio.timeout(_BROKER_SECONDS):
        connection = await aio_pika.connect(stage.amqp_urls[country])
        async with connection:
            waiting = [await _depth(connection, name) for name in (in_queue(us), chunk_queue(us), dead_queue(us))]
            foreign = [queue(other) for other in others for queue in (in_queue, chunk_queue, dead_queue)]
            reads = [await _reads(connection, name) for name in foreign]
    return sum(waiting), "read" if any(reads) else "refused"


async def _depth(connection: object, name: str) -> int:
    async with connection.channel() as channel:  # type: ignore[attr-defined]
        queue = await channel.declare_queue(name, passive=True)
        return int(queue.declaration_result.message_count or 0)


async def _reads(connection: object, name: str) -> bool:
    """Whether the account may fetch from the queue; an empty answer would be a yes too."""
    from aiormq.exceptions import ChannelAccessRefused

    channel = await connection.channel()  # type: ignore[attr-defined]
    try:
        queue = await channel.get_queue(name, ensure=False)
        await queue.get(fail=False, no_ack=False)
    except ChannelAccessRefused:
        return False
    finally:
        with contextlib.suppress(Exception):  # the refusal closed it already
            await channel.close()
    return True


def _sum(metrics: str, name: str, label: str = "") -> int:
    """Return the sum of a metric's samples.

    Raises:
        DemoFailed: the node counts no such thing, so its silence would prove nothing.
    """
    if f"# TYPE {name.removesuffix('_total')}" not in metrics and f"# TYPE {name}" not in metrics:
        raise DemoFailed(f"The node does not count {name}.")
    samples = [match for match in _SAMPLE.findall(metrics) if match[0] == name and label in match[1]]
    return int(sum(float(value) for _, _, value in samples))
