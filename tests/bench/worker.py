# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One node as a process of its own, driven over its standard input by the benchmark; answers one JSON line each.

Commands: ``send COUNT CONCURRENCY`` submits that many messages of about 4 KB and returns when the peer's delivered
receipt for each is stored here; ``latency COUNT`` does so one at a time; ``cpu`` returns the processor time used so far;
``envelopes`` how many envelopes of receipts it has sent; ``memory`` the resident set.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from broker import logs
from broker.core.ids import MessageId
from broker.core.messages import Submission
from broker.node import Node, build
from broker.ports import MessageFilter, OutboxState, Reader
from broker.schema_files import read_schema_file
from broker.settings import Settings
from broker.vault import FileVault, read_passphrase

POLL_SECONDS = 0.001
BATCH_POLL_SECONDS = 0.1
FILLER_CHARACTERS = 2600  # brings the demo's request to about 4 KB of content


def _request(node: Node) -> Submission:
    data = json.loads(read_schema_file("examples/demo/request.json"))
    data["body"]["supporting_reasons"] = ("Synthetic text for measuring. " * 100)[:FILLER_CHARACTERS]
    return node.office.catalogue.parse_submission(data, actor="bench", route="bench", idempotency_key="0")


async def _send(node: Node, count: int, concurrency: int) -> dict[str, Any]:
    """Submit that many, so many callers at a time, and wait until the last delivered receipt is stored here."""
    request, places, run = _request(node), asyncio.Semaphore(concurrency), os.urandom(8).hex()

    async def one(number: int) -> None:
        async with places:
            await node.office.submit(replace(request, idempotency_key=f"{run}-{number}"))

    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(count)))
    while await node.office.store.read(_undelivered):
        await asyncio.sleep(BATCH_POLL_SECONDS)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "rate": count / seconds}


def _undelivered(reader: Reader) -> bool:
    return any(
        reader.messages(MessageFilter(direction="out", state=state), cursor=None, limit=1).items
        for state in (OutboxState.RECORDED, OutboxState.PUBLISHED)
    )


async def _latency(node: Node, count: int) -> dict[str, Any]:
    """Submit one at a time and wait for each delivered receipt."""
    request, run, latencies = _request(node), os.urandom(8).hex(), list[float]()
    for number in range(count):
        started = time.perf_counter()
        accepted = await node.office.submit(replace(request, idempotency_key=f"{run}-{number}"))
        while not await node.office.store.read(partial(_delivered, accepted.message)):
            await asyncio.sleep(POLL_SECONDS)
        latencies.append(1000 * (time.perf_counter() - started))
    latencies.sort()
    return {"p50_ms": latencies[count // 2], "p99_ms": latencies[min(count - 1, count * 99 // 100)]}


def _delivered(message: MessageId, reader: Reader) -> bool:
    row = reader.message(message, None)
    return row is not None and row.delivered is not None


def _counts(reader: Reader) -> Mapping[str, int]:
    return reader.counts()


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _memory_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def _commands(node: Node) -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["send", count, concurrency]:
                answer: dict[str, Any] = await _send(node, int(count), int(concurrency))
            case ["latency", count]:
                answer = await _latency(node, int(count))
            case ["cpu"]:
                answer = {"cpu": _cpu()}
            case ["envelopes"]:
                counts = await node.office.store.read(_counts)
                answer = {"receipts": counts[f"outbox.{OutboxState.DONE}"]}
            case ["memory"]:
                answer = {"mib": _memory_mib()}
            case _:
                return
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


async def _main(home: Path) -> None:
    settings = Settings.load(home)
    logs.configure(os.environ.get("BENCH_LOG", "ERROR"))
    node = build(settings, FileVault.open(settings.vault_file, read_passphrase(settings)))
    ready = asyncio.Event()
    serving = asyncio.create_task(node.serve(ready=lambda _: ready.set()))
    await ready.wait()
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    await _commands(node)
    serving.cancel()
    await asyncio.wait({serving})


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
