# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: throughput, latency, cost, memory and start, beside the cryptographic floor and an AS2 pair.

Everything is measured in one run on one machine; quote ratios, because machines are shared and noisy. What is timed is
run a few times and the best of them counts, on both sides of a comparison: what else the machine does can only add. The
cryptographic floor is taken before and after each throughput run, for the machine's speed changes from minute to minute.

Against AS2 two things are compared. *Protocol alone*: processor time of composing, sealing, opening, validating and
receipting in one thread, without store, network or event loop, on both sides. *Whole path*: ours with store, RabbitMQ
and both receipts, against an AS2 pair that crosses loopback HTTP and commits each message and receipt to SQLite. Its
rate is held by the same two cores; processor time is the two nodes', without RabbitMQ's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

from broker.api.local_issuer import LocalIssuer
from broker.core.ids import CountryCode
from broker.schema_files import load_catalogue
from broker.storage import migrate
from broker.system import SystemClock
from broker.testing.federation import make_federation
from broker.testing.postgres import postgres_server
from broker.testing.rabbitmq import RabbitServer, rabbitmq
from tests.bench.audit_speed import audit_speed
from tests.bench.crypto_floor import floor_ms
from tests.bench.driving import measured_submission
from tests.bench.open_case import open_case
from tests.bench.protocol_work import ProtocolWork
from tests.bench.worker import CLEAR

ROOT = Path(__file__).parents[2]
COUNTRIES = ("EE", "FI")
ATTACHMENT_MIB = 100
PAIRS = 5  # of runs with and without encryption at rest
RUNS = 3  # of each throughput, ours and AS2's: the best one counts, for what else the machine does can only take away


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the printed table."""

    what: str
    value: str
    aim: str = ""


class Worker:
    """A node process and its command pipe."""

    def __init__(self, home: Path, *, clear: bool) -> None:
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.worker", str(home)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **({CLEAR: "1"} if clear else {})},
        )  # fmt: skip
        self._answer()
        self.start_seconds = time.perf_counter() - started

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        """End the node."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a measured node ended unexpectedly")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def _nodes(
    folder: Path, broker: RabbitServer, stores: dict[str, str], *, clear: bool = False
) -> Iterator[dict[str, Worker]]:
    vhost = f"bench-{folder.name}"
    broker.join(*(CountryCode(country) for country in COUNTRIES), vhost=vhost)
    catalogue = load_catalogue()
    settings = {
        country: {
            "amqp_url": broker.url(country, vhost=vhost),
            **({"store_url": stores[country]} if country in stores else {}),
        }
        for country in COUNTRIES
    }
    federation = make_federation(
        folder, COUNTRIES,
        messages={kind: catalogue.versions(kind) for kind in catalogue.types()},
        now=datetime.now(UTC), transport="rabbitmq", settings=settings,
    )  # fmt: skip
    for country, home in federation.homes.items():
        LocalIssuer.create(home / "token-key.pem", us=country, clock=SystemClock())
    with ExitStack() as stack:
        workers = {}
        for country, home in federation.homes.items():
            workers[country] = Worker(home, clear=clear)
            stack.callback(workers[country].stop)
        yield workers


def _start_seconds(workers: dict[str, Worker]) -> float:
    """Return what the slower of the nodes took, which started one after the other."""
    return max(worker.start_seconds for worker in workers.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The best of some throughput runs."""

    rows: list[Row]
    rate: float  # messages per second
    cpu_ms: float  # per message, sender and receiver
    messages_per_envelope: float  # of receipts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What one throughput run gave."""

    rate: float  # messages per second
    cpu_ms: dict[str, float]  # per message, by country
    share: float  # envelopes of receipts per message

    @property
    def cost_ms(self) -> float:
        """Processor time per message of both."""
        return sum(self.cpu_ms.values())


def _run(workers: dict[str, Worker], count: int) -> _Run:
    sender, receiver = workers["EE"], workers["FI"]
    before = {country: worker.ask("cpu")["cpu"] for country, worker in workers.items()}
    sent = receiver.ask("envelopes")["receipts"]
    rate = sender.ask(f"send {count} 64")["rate"]
    cpu = {country: 1000 * (worker.ask("cpu")["cpu"] - before[country]) / count for country, worker in workers.items()}
    share = (receiver.ask("envelopes")["receipts"] - sent) / count
    return _Run(rate=rate, cpu_ms=cpu, share=share)


def _measure(workers: dict[str, Worker], label: str, count: int) -> Measured:
    sender = workers["EE"]
    sender.ask("send 50 16")  # warm up
    latency = min((sender.ask(f"latency {max(count // 24, 50)}") for _ in range(RUNS)), key=lambda run: run["p50_ms"])
    runs, envelopes = list[_Run](), [floor_ms()["one envelope"]]
    for _ in range(RUNS):
        runs.append(_run(workers, count))
        envelopes.append(floor_ms()["one envelope"])
    cheapest = min(range(RUNS), key=lambda number: runs[number].cost_ms)
    rate, best = max(run.rate for run in runs), runs[cheapest]
    cpu, cost, share = best.cpu_ms, best.cost_ms, best.share
    floor = mean(envelopes[cheapest : cheapest + 2]) * (1 + share)
    rows = [
        Row(what=f"throughput, {label}", value=f"{rate:.0f} messages/s", aim="≥ 150"),
        Row(what=f"latency one at a time, {label}",
            value=f"p50 {latency['p50_ms']:.1f} ms, p99 {latency['p99_ms']:.1f} ms", aim="p50 ≤ 40 ms"),
        Row(what=f"cost per delivered message, {label}",
            value=f"{cpu['EE']:.2f} ms at the sender + {cpu['FI']:.2f} ms at the receiver"),
        Row(what=f"floor: one envelope and its share of receipts, {label}",
            value=f"{floor:.2f} ms ({2 / share:.1f} receipts per envelope)"),
        Row(what=f"cost ÷ floor, {label}", value=f"{cost / floor:.2f}", aim="≤ 3, later ≤ 2"),
    ]  # fmt: skip
    return Measured(rows=rows, rate=rate, cpu_ms=cost, messages_per_envelope=1 / share)


def _at_rest(workers: dict[str, Worker], clear: dict[str, Worker], count: int) -> Row:
    """Return what encrypting contents and the audit trail take; the statements about case keys run in both.

    Both kinds of node run in turn, and the median of the pairs counts: the machine's speed changes between two runs by
    more than what is measured.
    """
    clear["EE"].ask("send 50 16")  # warm up
    pairs = [(_run(workers, count), _run(clear, count)) for _ in range(PAIRS)]
    rate = median(1 - ours.rate / plain.rate for ours, plain in pairs)
    cost = median(1 - plain.cost_ms / ours.cost_ms for ours, plain in pairs)
    return Row(
        what="encryption at rest and audit trail, share of the above",
        value=f"{rate:.1%} of the rate, {cost:.1%} of the cost",
        aim="≤ 15 %",
    )


def _attachment(workers: dict[str, Worker], mib: int) -> list[Row]:
    """Move one file from EE to FI, and see what it costs each node beyond what it had before."""
    workers["EE"].ask("send 20 8")  # warm up
    workers["EE"].ask("attach 2")
    before = {country: worker.ask("from-here")["mib"] for country, worker in workers.items()}
    moved = workers["EE"].ask(f"attach {mib}")
    extra = {country: worker.ask("peak")["mib"] - before[country] for country, worker in workers.items()}
    return [
        Row(what=f"attachment of {mib} MiB, RabbitMQ + SQLite",
            value=f"uploaded in {moved['upload_seconds']:.1f} s, delivered {moved['seconds']:.1f} s later"),
        Row(what="extra memory while it moves",
            value=f"{extra['EE']:.0f} MiB at the sender, {extra['FI']:.0f} MiB at the receiver", aim="≤ 64 MiB per node"),
    ]  # fmt: skip


def _opened(folder: Path) -> list[Row]:
    opened = open_case(folder)
    return [
        Row(what=f"{opened.messages:,} messages of a child opened", value=f"{opened.view_ms:.0f} ms", aim="≤ 50 ms"),
        Row(what="their timelines, with every proof", value=f"{opened.timeline_ms:.0f} ms"),
    ]


def _fsync_ms(folder: Path) -> float:
    with (folder / "fsync").open("wb") as file:
        started = time.perf_counter()
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    return 1000 * (time.perf_counter() - started) / 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What our protocol costs alone, in milliseconds of processor time per message."""

    rows: list[Row]
    single: float  # an envelope of receipts for each message
    shared: float  # as many messages answered by one envelope as in the throughput run


def _protocol(work: ProtocolWork, measured: Measured) -> Alone:
    several = max(round(measured.messages_per_envelope), 1)
    single, shared = work.message_ms(1), work.message_ms(several)
    rows = [
        Row(what="validation and procedure step", value=f"{work.validation_ms():.3f} ms", aim="≤ 0.2 ms"),
        Row(what="protocol alone, ours, an envelope of receipts for each message", value=f"{single:.2f} ms"),
        Row(what=f"protocol alone, ours, one for {several} messages (as in this run)", value=f"{shared:.2f} ms"),
    ]
    return Alone(rows=rows, single=single, shared=shared)


def _as2_rows(folder: Path, count: int, ours: Alone, measured: Measured) -> list[Row]:
    as2 = _as2(folder, count)
    protocol, whole = as2["protocol"]["cpu_ms"], as2["whole"]
    return [
        Row(what="protocol alone, AS2 (RSA-2048)", value=f"{protocol:.2f} ms"),
        Row(what="protocol alone, AS2 ÷ ours",
            value=f"{protocol / ours.single:.1f} (receipts of one), {protocol / ours.shared:.1f} (as in this run)", aim="≥ 5"),
        Row(what="whole path, AS2 pairs (RSA-2048, loopback HTTP, SQLite)",
            value=f"{whole['rate']:.0f} messages/s, {whole['cpu_ms']:.2f} ms of processor time"),
        Row(what="whole path, ours ÷ AS2",
            value=f"{measured.rate / whole['rate']:.1f} by rate, {whole['cpu_ms'] / measured.cpu_ms:.1f} by processor time",
            aim="≥ 5"),
    ]  # fmt: skip


def _as2(folder: Path, count: int) -> dict[str, dict[str, float]]:
    """Run the AS2 measurements in an environment of their own."""
    environment = folder / "as2"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    lock = ROOT / "requirements" / "bench-as2.lock"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock], check=True)
    script = ROOT / "tests" / "bench" / "as2_pair.py"
    done = subprocess.run([python, script, str(count), "4096"], check=True, capture_output=True, text=True)
    measured: dict[str, dict[str, float]] = json.loads(done.stdout)
    return measured


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1500, help="per throughput run, of a few")
    parser.add_argument("--without-as2", action="store_true", help="leave the AS2 pair out")
    parser.add_argument("--only-attachment", action="store_true", help="measure nothing but a large attachment")
    chosen = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="trm-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        broker = stack.enter_context(rabbitmq(log=_say))
        if chosen.only_attachment:
            with _nodes(folder / "attachment", broker, {}) as workers:
                _print(_attachment(workers, ATTACHMENT_MIB))
            return
        server = stack.enter_context(postgres_server(_say))
        costs = floor_ms()
        rows += [Row(what=f"floor: {operation}", value=f"{cost:.3f} ms") for operation, cost in costs.items()]
        rows.append(Row(what="fsync of 4 KB", value=f"{_fsync_ms(folder):.2f} ms"))
        work = ProtocolWork(folder / "protocol", measured_submission())
        rows.append(Row(what="a measured message", value=f"body of 4,096 bytes, content of {work.content_bytes:,}"))
        with _nodes(folder / "sqlite", broker, {}) as workers:
            idle = workers["FI"].ask("memory")["mib"]
            starts = [_start_seconds(workers)]
            measured = _measure(workers, "RabbitMQ + SQLite", chosen.messages)
            rows += measured.rows
            with _nodes(folder / "clear", broker, {}, clear=True) as clear:
                starts.append(_start_seconds(clear))
                rows.append(_at_rest(workers, clear, chosen.messages // 3))
        with _nodes(folder / "attachment", broker, {}) as workers:
            starts.append(_start_seconds(workers))
            rows += _attachment(workers, ATTACHMENT_MIB)
        stores = {country: server.database(like=migrate) for country in COUNTRIES}
        with _nodes(folder / "postgres", broker, stores) as workers:
            rows += _measure(workers, "RabbitMQ + PostgreSQL", chosen.messages).rows
        rows += _opened(folder / "opened")
        linked, checked = audit_speed(folder)
        rows.append(Row(what="audit trail linked", value=f"{linked:,.0f} entries/s"))
        rows.append(Row(what="audit trail verified", value=f"{checked:,.0f} entries/s", aim="≥ 50,000"))
        rows.append(Row(what="memory of an idle node", value=f"{idle:.0f} MiB", aim="≤ 120"))
        rows.append(Row(what="start to ready", value=f"{min(starts):.2f} s", aim="≤ 2 s"))
        ours = _protocol(work, measured)
        rows += ours.rows
        if not chosen.without_as2:
            rows += _as2_rows(folder, max(chosen.messages // 6, 20), ours, measured)
    _print(rows)


def _print(rows: list[Row]) -> None:
    width = max(len(row.what) for row in rows)
    for row in rows:
        sys.stdout.write(f"{row.what:<{width}}  {row.value:<48}  {row.aim}\n")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
