# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: throughput, latency, cost, memory and start, beside the cryptographic floor and an AS2 pair.

Everything is measured in one run on one machine; quote ratios, because machines are shared and noisy.
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
from typing import Any

from broker.api.local_issuer import LocalIssuer
from broker.core.ids import CountryCode
from broker.schema_files import load_catalogue
from broker.storage import migrate
from broker.system import SystemClock
from broker.testing.federation import make_federation
from broker.testing.postgres import postgres_server
from broker.testing.rabbitmq import RabbitServer, rabbitmq
from tests.bench.crypto_floor import floor_ms

ROOT = Path(__file__).parents[2]
COUNTRIES = ("EE", "FI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the printed table."""

    what: str
    value: str
    aim: str = ""


class Worker:
    """A node process and its command pipe."""

    def __init__(self, home: Path) -> None:
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.worker", str(home)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
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
def _nodes(folder: Path, broker: RabbitServer, stores: dict[str, str]) -> Iterator[dict[str, Worker]]:
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
            workers[country] = Worker(home)
            stack.callback(workers[country].stop)
        yield workers


def _measure(workers: dict[str, Worker], label: str, count: int, envelope_ms: float) -> list[Row]:
    sender, receiver = workers["EE"], workers["FI"]
    sender.ask("send 50 16")  # warm up
    latency = sender.ask(f"latency {max(count // 8, 50)}")
    before = {country: worker.ask("cpu")["cpu"] for country, worker in workers.items()}
    sent = receiver.ask("envelopes")["receipts"]
    run = sender.ask(f"send {count} 64")
    cpu = {country: 1000 * (worker.ask("cpu")["cpu"] - before[country]) / count for country, worker in workers.items()}
    cost = sum(cpu.values())
    share = (receiver.ask("envelopes")["receipts"] - sent) / count  # envelopes of receipts per message
    floor = envelope_ms * (1 + share)
    return [
        Row(what=f"throughput, {label}", value=f"{run['rate']:.0f} messages/s", aim="≥ 150"),
        Row(what=f"latency one at a time, {label}",
            value=f"p50 {latency['p50_ms']:.1f} ms, p99 {latency['p99_ms']:.1f} ms", aim="p50 ≤ 40 ms"),
        Row(what=f"cost per delivered message, {label}",
            value=f"{cpu['EE']:.2f} ms at the sender + {cpu['FI']:.2f} ms at the receiver"),
        Row(what=f"floor: one envelope and its share of receipts, {label}",
            value=f"{floor:.2f} ms ({2 / share:.1f} receipts per envelope)"),
        Row(what=f"cost ÷ floor, {label}", value=f"{cost / floor:.2f}", aim="≤ 3, later ≤ 2"),
    ]  # fmt: skip


def _fsync_ms(folder: Path) -> float:
    with (folder / "fsync").open("wb") as file:
        started = time.perf_counter()
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    return 1000 * (time.perf_counter() - started) / 50


def _as2_rate(folder: Path, count: int) -> float:
    """Run the AS2 pair in an environment of its own and return its messages per second."""
    environment = folder / "as2"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    lock = ROOT / "requirements" / "bench-as2.lock"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock], check=True)
    script = ROOT / "tests" / "bench" / "as2_pair.py"
    done = subprocess.run([python, script, str(count), "4096"], check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["rate"])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1500, help="per throughput run")
    parser.add_argument("--without-as2", action="store_true", help="leave the AS2 pair out")
    chosen = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="trm-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        broker = stack.enter_context(rabbitmq(log=_say))
        server = stack.enter_context(postgres_server(_say))
        costs = floor_ms()
        rows += [Row(what=f"floor: {operation}", value=f"{cost:.3f} ms") for operation, cost in costs.items()]
        rows.append(Row(what="fsync of 4 KB", value=f"{_fsync_ms(folder):.2f} ms"))
        with _nodes(folder / "sqlite", broker, {}) as workers:
            idle = workers["FI"].ask("memory")["mib"]
            start = max(worker.start_seconds for worker in workers.values())
            measured = _measure(workers, "RabbitMQ + SQLite", chosen.messages, costs["one envelope"])
        rows += measured
        stores = {country: server.database(like=migrate) for country in COUNTRIES}
        with _nodes(folder / "postgres", broker, stores) as workers:
            rows += _measure(workers, "RabbitMQ + PostgreSQL", chosen.messages, costs["one envelope"])
        rows.append(Row(what="memory of an idle node", value=f"{idle:.0f} MiB", aim="≤ 120"))
        rows.append(Row(what="start to ready", value=f"{start:.2f} s", aim="≤ 2 s"))
        if not chosen.without_as2:
            as2 = _as2_rate(folder, max(chosen.messages // 10, 20))
            ours = float(measured[0].value.split()[0])
            rows.append(Row(what="AS2 pair (RSA-2048, no store, no network)", value=f"{as2:.0f} messages/s"))
            rows.append(Row(what="ours ÷ AS2", value=f"{ours / as2:.1f}", aim="≥ 5"))
    width = max(len(row.what) for row in rows)
    for row in rows:
        sys.stdout.write(f"{row.what:<{width}}  {row.value:<48}  {row.aim}\n")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
