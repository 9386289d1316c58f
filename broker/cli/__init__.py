# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The command `trm`: what a person or a script asks of a node at its own machine.

- Each command answers people in sentences and tables, and with ``--json`` one JSON document on standard output.
- Exit codes: 0 done · 1 refused, or a check failed · 2 the command was typed wrongly · 3 this node or its surroundings
  failed · 130 interrupted.
- An error says what, where and who must act. Nothing ends in a bare traceback; ``TRM_DEBUG=1`` shows one on purpose.
- Heavy imports stand inside the commands, so that ``trm --help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    from broker.cli import output
    from broker.cli.app import run

    output.lossless(sys.stdout)
    # Another library's warnings would reach the terminal whole, with values in them; `serve` sets up the node's log.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        with _first_interrupt_counts():
            code = run(arguments)
    except KeyboardInterrupt:
        code = output.EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone: nothing can be said any more, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return output.EXIT_REFUSED
    except Exception as error:
        if os.environ.get("TRM_DEBUG"):
            traceback.print_exc()
        return output.complain(error, as_json="--json" in arguments)
    if code == output.EXIT_INTERRUPTED:
        sys.stderr.write("trm: interrupted\n")
    return code


@contextmanager
def _first_interrupt_counts() -> Iterator[None]:
    """Let the first Ctrl-C end a command: asyncio's own handler waits for the next await, and no prompt has one."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)  # asyncio puts its own in the place of Python's alone
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
