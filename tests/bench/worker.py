# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One node as a process of its own for the benchmark: starts as `trm serve` does, then answers what it is asked."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from broker import logs
from broker.cli.serve import built
from broker.settings import Settings
from broker.vault import Unlocking

if TYPE_CHECKING:
    from broker.core.audit import AuditRow
    from broker.storage.transaction import SqlTransaction
    from broker.testing.at_rest import UnsafeClear

__all__ = ["CLEAR"]

CLEAR = "BENCH_CLEAR"  # in the environment: store everything as it is, and keep no audit trail


def _clear(_: object) -> UnsafeClear:
    """Return the cipher that does nothing: what encrypting costs is seen beside it."""
    from broker.testing.at_rest import UnsafeClear

    return UnsafeClear()


def _unrecorded(_: SqlTransaction, row: AuditRow) -> None:
    """Keep nothing: what the trail costs, its linking and its checkpoints, is seen beside it."""


async def _main(home: Path) -> None:
    settings = Settings.load(home)
    logs.configure(os.environ.get("BENCH_LOG", "ERROR"))
    if CLEAR in os.environ:
        from broker import office
        from broker.storage.transaction import SqlTransaction

        office.AtRest = _clear  # type: ignore[assignment, misc]
        SqlTransaction.audit = _unrecorded  # type: ignore[method-assign]
    node = await built(settings, Unlocking(settings))
    ready = asyncio.Event()
    serving = asyncio.create_task(node.serve(ready=lambda _: ready.set()))
    await ready.wait()
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    from tests.bench.driving import answer_commands  # what a node does not need is not part of its start

    await answer_commands(node)
    serving.cancel()
    await asyncio.wait({serving})


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
