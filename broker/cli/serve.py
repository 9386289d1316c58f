# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm serve`: run a node until somebody stops it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from broker import logs
from broker.cli import output
from broker.settings import Settings
from broker.vault import FileVault, Unlocking

if TYPE_CHECKING:
    from broker.node import Node

__all__ = ["built", "serve"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(home: Path, *, until_eof: bool, as_json: bool) -> None:
    """Run the node of that home.

    Raises:
        NodeError: it cannot start, or can no longer do its work.
    """
    settings = Settings.load(home)
    logs.configure(settings.log_level)
    unlocking = Unlocking(settings)
    unlocking.ask()
    asyncio.run(_until_stopped(settings, unlocking, until_eof=until_eof, ready=_announcer(settings, as_json=as_json)))


async def _until_stopped(
    settings: Settings, unlocking: Unlocking, *, until_eof: bool, ready: Callable[[str], None]
) -> None:
    node = await built(settings, unlocking)
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


async def built(settings: Settings, unlocking: Unlocking) -> Node:
    """Return the node of a process that does nothing else.

    Raises:
        NodeError: with what is wrong, where, and who must act.
    """
    # The vault's passphrase is slow to try on purpose: meanwhile the node's code is loaded, on the other core.
    opening = asyncio.get_running_loop().run_in_executor(None, FileVault.open, settings.vault_file, unlocking)
    with _nothing_collected():
        from broker.node import build

        return build(settings, await opening)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Look for no garbage while the node is made, nor ever again among what it is made of: that stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
