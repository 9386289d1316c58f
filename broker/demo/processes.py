# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as child processes: started, waited for until they say that they are ready, and ended by their id."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from broker.core.errors import NodeError

__all__ = ["NodeNotReady", "NodeProcess", "node_process"]

READY_SECONDS = 30.0  # an idle machine needs one or two
STOP_SECONDS = 10.0  # then it is killed
LOG_NAME = "node.log"


class NodeNotReady(NodeError):
    """A node's process did not become ready."""

    code = "node-not-ready"


class NodeProcess:
    """A running node and the address of its API."""

    def __init__(self, process: asyncio.subprocess.Process, home: Path, url: str) -> None:
        self._process = process
        self.home = home
        self.url = url
        self.pid = process.pid

    async def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._process.kill()
        await self._process.communicate()


@asynccontextmanager
async def node_process(home: Path) -> AsyncIterator[NodeProcess]:
    """Run the node of that home while the block runs.

    Raises:
        NodeNotReady: it ended before it was ready, or took too long; the sentence is its own.
    """
    with (home / LOG_NAME).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "broker.cli", "serve", "--home", str(home), "--json", "--until-eof",
            # The pipe is the leash: should this process be killed, the node sees its end and stops by itself.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={name: value for name, value in os.environ.items() if not name.startswith("TRM_")},
            start_new_session=True,  # Ctrl-C is for us; the nodes are stopped in order
        )  # fmt: skip
    try:
        yield NodeProcess(process, home, await _ready(process, home))
    finally:
        await asyncio.shield(_stop(process))


async def _ready(process: asyncio.subprocess.Process, home: Path) -> str:
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe")
    where = str(home / LOG_NAME)
    try:
        async with asyncio.timeout(READY_SECONDS):
            said = await process.stdout.readline()
            event = _parsed(said)
            if event is not None and event.get("event") == "ready":
                return str(event["url"])
            said += await process.stdout.read()
    except TimeoutError:
        raise NodeNotReady(f"The node was not ready within {READY_SECONDS:.0f} seconds.", where=where) from None
    error = (_parsed(said) or {}).get("error") or {}
    sentence = f" {error['code']}: {error['detail']}" if "code" in error and "detail" in error else ""
    raise NodeNotReady(f"The node ended before it was ready.{sentence}", where=where)


def _parsed(said: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(said)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
