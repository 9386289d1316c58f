# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How a command speaks: one JSON document, or text and tables; errors as what, where and who must act.

What a peer wrote reaches a terminal only through `plain`, or in a JSON document through `_json`: control and direction
characters could rewrite the screen.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from broker.core.characters import spelled_out
from broker.core.errors import BrokerError, DiskFull, HomeInvalid, Internal, NodeError
from broker.durable import is_full

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

__all__ = [
    "EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_OK", "EXIT_REFUSED", "EXIT_USAGE",
    "answer", "complain", "console", "follows", "lossless", "plain", "table", "where", "word",
]  # fmt: skip

EXIT_OK = 0
EXIT_REFUSED = 1  # the input was refused, or a check failed
EXIT_USAGE = 2
EXIT_FAILED = 3  # this node or its surroundings failed
EXIT_INTERRUPTED = 130

_KEPT = "\n\t"
_PIPED_WIDTH = 400  # columns, where there is no terminal: nothing is folded


def answer(document: Mapping[str, Any], *, as_json: bool, people: Callable[[], None]) -> None:
    """Write the document as JSON, or let `people` write it for people."""
    if as_json:
        sys.stdout.write(_json(document))
        sys.stdout.flush()
    else:
        people()


def complain(error: Exception, *, as_json: bool) -> int:
    """Say what is wrong, where, and who must act; return the exit code."""
    known = _known(error)
    if as_json:
        sys.stdout.write(_json({"error": error_document(known)}))
    else:
        sys.stderr.write(f"trm: {known.code}: {plain(known.detail)}\n")
        if known.where:
            sys.stderr.write(f"  where: {plain(known.where)}\n")
        sys.stderr.write(f"  who must act: {known.who.value}\n")
    return EXIT_FAILED if isinstance(known, NodeError) else EXIT_REFUSED


def error_document(error: BrokerError) -> dict[str, Any]:
    """Return what is wrong, where, and who must act as JSON."""
    return {"code": error.code, "detail": error.detail, "where": error.where, "who_must_act": error.who.value}


def lossless(stream: object) -> None:
    """Let a terminal of another character set show what it has no letter for as an escape: it fails on none."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _known(error: Exception) -> BrokerError:
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, OSError) and is_full(error):
        return DiskFull(where=_place(error))
    if isinstance(error, OSError) and error.filename is not None and error.errno:
        return HomeInvalid(f"The operating system said no: {os.strerror(error.errno).lower()}.", where=_place(error))
    reference = secrets.token_hex(4)
    return Internal(
        f"Something unforeseen went wrong ({type(error).__name__}, reference {reference}); "
        "run the command again with TRM_DEBUG=1 to see where."
    )


def _place(error: OSError) -> str | None:
    return None if error.filename is None else os.fsdecode(error.filename)


def _json(document: Mapping[str, Any]) -> str:
    """Return the document's lines: the same value to a program, and nothing in it that a terminal would obey."""
    ours = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"  # elsewhere every reader knows ASCII alone
    return spelled_out(json.dumps(document, ensure_ascii=not ours, indent=2, default=str), keep="\n") + "\n"


def plain(text: str) -> str:
    """Return the text with every control and direction character spelled out."""
    return spelled_out(text, keep=_KEPT)


def word(path: object) -> str:
    """Return a path as it stands in a command that people copy: one word to a shell, also with a blank in it."""
    return shlex.quote(str(path))


def where(home: Path, authority: str | None) -> str:
    """Return the options of a command that goes on at the same home, for the same office where one was named."""
    return f"--home {word(home)}" + (f" --authority {authority}" if authority else "")


def follows(cursor: str | None) -> None:
    """Say that a page is not the last one, and how to see the next."""
    if cursor is not None:
        console().print(f"More follow: the same again with --cursor {cursor}", soft_wrap=True)


def console(*, stderr: bool = False) -> Console:
    """Return the terminal, without markup: brackets in our texts are brackets."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(stderr=stderr, markup=False, highlight=False, width=width)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, wide: Sequence[str] = ()) -> None:
    """Write rows under headings; on a narrow terminal the columns named in `wide` fold, and nothing is ever cut off."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [[plain("" if cell is None else str(cell)) for cell in row] for row in rows]
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        folds = heading in wide
        longest = max((len(row[number]) for row in cells), default=0)
        drawn.add_column(heading, no_wrap=not folds, overflow="fold", min_width=None if folds else longest)
    for row in cells:
        drawn.add_row(*map(Text, row))
    console().print(drawn)
