# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm serve`: run a node until somebody stops it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from broker import logs
from broker.cli import output
from broker.settings import Settings
from broker.vault import read_passphrase

__all__ = ["serve"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(home: Path, *, until_eof: bool, as_json: bool) -> None:
    """Run the node of that home.

    Raises:
        NodeError: it cannot start, or can no longer do its work.
    """
    settings = Settings.load(home)
    logs.configure(settings.log_level)
    passphrase = read_passphrase(settings)
    asyncio.run(_until_stopped(settings, passphrase, until_eof=until_eof, ready=_announcer(settings, as_json=as_json)))


async def _until_stopped(
    settings: Settings, passphrase: bytes, *, until_eof: bool, ready: Callable[[str], None]
) -> None:
    from broker.node import build

    node = build(settings, passphrase)
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(node.serve(ready=ready), name="node")
    for number in _SIGNALS:
        loop.add_signal_handler(number, work.cancel)
    if until_eof:
        loop.add_reader(sys.stdin.fileno(), _at_end_of_input, loop, work)
    try:
        with suppress(asyncio.CancelledError):
            await work
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        if until_eof:
            loop.remove_reader(sys.stdin.fileno())


def _at_end_of_input(loop: asyncio.AbstractEventLoop, work: asyncio.Task[None]) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        work.cancel()


def _announcer(settings: Settings, *, as_json: bool) -> Callable[[str], None]:
    def announce(url: str) -> None:
        event = {"event": "ready", "country": str(settings.country), "url": url, "pid": os.getpid()}
        text = json.dumps(event) if as_json else f"Node {settings.country} is ready: {output.plain(url)}"
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    return announce
