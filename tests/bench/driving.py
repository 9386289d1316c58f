# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark asks of a node over its standard input; each is answered by one JSON line.

Commands: ``send COUNT CONCURRENCY`` submits that many messages of about 4 KB and returns when the peer's delivered
receipt for each is stored here; ``latency COUNT`` does so one at a time; ``cpu`` returns the processor time used so far;
``envelopes`` how many envelopes of receipts it has sent; ``memory`` the resident set; ``attach MIB`` uploads a file of that size,
attaches it to a message and returns when that is delivered; ``peak`` the largest resident set since ``from-here``.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.core import canonical
from broker.core.messages import Submission, Uploaded
from broker.core.roles import AuditRole
from broker.ports import Reader
from broker.rows import OutboxState
from broker.schema_files import read_schema_file

if TYPE_CHECKING:
    from broker.node import Node

__all__ = ["answer_commands", "measured_submission"]

BODY_BYTES = 4096  # of the canonical JSON of the measured messages' bodies


def measured_submission() -> dict[str, Any]:
    """Return the demo's request with a body of exactly 4 KB."""
    data: dict[str, Any] = json.loads(read_schema_file("examples/demo/request.json"))
    data["body"]["supporting_reasons"] = ""
    room = BODY_BYTES - len(canonical.dump(data["body"]))
    data["body"]["supporting_reasons"] = ("Synthetic text for measuring. " * 200)[:room]
    if room <= 0:
        raise SystemExit("the demo's request has outgrown 4 KB: measure with another one")
    return data


def _request(node: Node) -> Submission:
    data = measured_submission()
    return node.office.catalogue.parse_submission(data, actor="bench", route="bench", idempotency_key="0")


class Arrivals:
    """Counts the delivered receipts that this node has stored, by the node's own tally: nothing is polled."""

    def __init__(self, node: Node) -> None:
        self._counted = node.metrics.delivered
        self._left = 0
        self._over = asyncio.Event()
        node.metrics.delivered = self._one  # type: ignore[method-assign]

    def expect(self, count: int) -> None:
        """Begin to count."""
        self._left = count
        self._over.clear()

    async def wait(self) -> None:
        """Return when that many have come."""
        await self._over.wait()

    def _one(self, peer: str, seconds: float) -> None:
        self._counted(peer, seconds)
        self._left -= 1
        if self._left == 0:
            self._over.set()


async def _send(node: Node, arrivals: Arrivals, count: int, concurrency: int) -> dict[str, Any]:
    """Submit that many, so many callers at a time, and wait until the last delivered receipt is stored here."""
    request, places, run = _request(node), asyncio.Semaphore(concurrency), os.urandom(8).hex()

    async def one(number: int) -> None:
        async with places:
            await node.office.submit(replace(request, idempotency_key=f"{run}-{number}"))

    arrivals.expect(count)
    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(count)))
    await arrivals.wait()
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "rate": count / seconds}


async def _latency(node: Node, arrivals: Arrivals, count: int) -> dict[str, Any]:
    """Submit one at a time and wait for each delivered receipt."""
    request, run, latencies = _request(node), os.urandom(8).hex(), list[float]()
    for number in range(count):
        arrivals.expect(1)
        started = time.perf_counter()
        await node.office.submit(replace(request, idempotency_key=f"{run}-{number}"))
        await arrivals.wait()
        latencies.append(1000 * (time.perf_counter() - started))
    latencies.sort()
    return {"p50_ms": latencies[count // 2], "p99_ms": latencies[min(count - 1, count * 99 // 100)]}


async def _attach(node: Node, arrivals: Arrivals, mib: int) -> dict[str, Any]:
    """Upload, attach and wait for the delivered receipt; the file is made as it is read."""
    request, office = _request(node), node.office

    async def parts() -> AsyncIterator[bytes]:
        for number in range(mib):
            yield (f"Synthetic line {number} of a measured attachment.\n" * 30_000).encode()[: 2**20]

    started = time.perf_counter()
    begun = await office.upload.begin(
        mib * 2**20, authority=request.sender_authority, actor="bench", role=AuditRole.SYSTEM
    )
    row = await office.upload.append(begun.id, authority=request.sender_authority, offset=0, parts=parts())
    uploaded = time.perf_counter()
    arrivals.expect(1)
    attached = (Uploaded(upload=row.id, name="measured.txt", kind="OTHER"),)
    await office.submit(replace(request, idempotency_key=os.urandom(8).hex(), attachments=attached))
    await arrivals.wait()
    return {"upload_seconds": uploaded - started, "seconds": time.perf_counter() - uploaded}


def _counts(reader: Reader) -> Mapping[str, int]:
    return reader.counts()


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _memory_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _from_here_mib() -> float:
    """Forget the largest resident set so far; return the one of now."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    return _memory_mib()


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


async def answer_commands(node: Node) -> None:
    """Answer until there is no more to answer."""
    arrivals = Arrivals(node)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["send", count, concurrency]:
                answer: dict[str, Any] = await _send(node, arrivals, int(count), int(concurrency))
            case ["latency", count]:
                answer = await _latency(node, arrivals, int(count))
            case ["cpu"]:
                answer = {"cpu": _cpu()}
            case ["envelopes"]:
                counts = await node.office.store.read(_counts)
                answer = {"receipts": counts[f"outbox.{OutboxState.DONE}"]}
            case ["memory"]:
                answer = {"mib": _memory_mib()}
            case ["attach", mib]:
                answer = await _attach(node, arrivals, int(mib))
            case ["from-here"]:
                answer = {"mib": _from_here_mib()}
            case ["peak"]:
                answer = {"mib": _peak_mib()}
            case _:
                return
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
