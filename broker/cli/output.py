# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How a command speaks: one JSON document, or text and tables; errors as what, where and who must act.

What a peer wrote reaches a terminal only through `plain`: control and direction characters could rewrite the screen.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from broker.core.errors import BrokerError, DiskFull, Internal, NodeError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_OK", "EXIT_REFUSED", "EXIT_USAGE",
    "answer", "complain", "console", "plain", "table",
]  # fmt: skip

EXIT_OK = 0
EXIT_REFUSED = 1  # the input was refused, or a check failed
EXIT_USAGE = 2
EXIT_FAILED = 3  # this node or its surroundings failed
EXIT_INTERRUPTED = 130

_KEPT = "\n\t"


def answer(document: Mapping[str, Any], *, as_json: bool, people: Callable[[], None]) -> None:
    """Write the document as JSON, or let `people` write it for people."""
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")
        sys.stdout.flush()
    else:
        people()


def complain(error: Exception, *, as_json: bool) -> int:
    """Say what is wrong, where, and who must act; return the exit code."""
    known = _known(error)
    if as_json:
        document = {"code": known.code, "detail": known.detail, "where": known.where, "who": known.who.value}
        sys.stdout.write(json.dumps({"error": document}, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stderr.write(f"trm: {known.code}: {plain(known.detail)}\n")
        if known.where:
            sys.stderr.write(f"  where: {plain(known.where)}\n")
        sys.stderr.write(f"  who must act: {known.who.value}\n")
    return EXIT_FAILED if isinstance(known, NodeError) else EXIT_REFUSED


def _known(error: Exception) -> BrokerError:
    if isinstance(error, BrokerError):
        return error
    if isinstance(error, OSError):
        return _from_os(error)
    reference = secrets.token_hex(4)
    return Internal(
        f"Something unforeseen went wrong ({type(error).__name__}, reference {reference}); "
        "run the command again with TRM_DEBUG=1 to see where."
    )


def _from_os(error: OSError) -> NodeError:
    import errno

    where = None if error.filename is None else os.fsdecode(error.filename)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(where=where)
    reason = os.strerror(error.errno).lower() if error.errno else type(error).__name__
    return NodeError(f"The operating system said no: {reason}.", where=where)


def plain(text: str) -> str:
    """Return the text with every control and direction character spelled out."""
    return "".join(
        character
        if character in _KEPT or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else f"\\u{ord(character):04x}"
        for character in text
    )


def console(*, stderr: bool = False) -> Console:
    """Return the terminal, without markup: brackets in our texts are brackets."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, soft_wrap=not sys.stdout.isatty())


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, wide: Sequence[str] = ()) -> None:
    """Write rows under headings; columns named in `wide` may wrap."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        drawn.add_column(heading, no_wrap=heading not in wide, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(plain("" if cell is None else str(cell))) for cell in row))
    console().print(drawn)
