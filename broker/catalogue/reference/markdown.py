# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Small pieces of Markdown that every page of the reference is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable

from broker.core.procedures import Role

__all__ = ["Row", "anchor", "joined", "names", "sides", "source_cell", "table", "verified_words"]

Row = tuple[str, ...]
_NO_ANCHOR = re.compile(r"[^a-z0-9 _-]")


def table(head: Row, rows: Iterable[Row]) -> str:
    """Return a table; nothing where it would have no row."""
    written = [f"| {' | '.join(cell.replace('|', '/').strip() for cell in row)} |" for row in rows]
    if not written:
        return ""
    return "\n".join((f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *written)) + "\n"


def anchor(heading: str) -> str:
    """Return the address below a page that readers of Markdown give to a heading."""
    return _NO_ANCHOR.sub("", heading.lower().replace("`", "")).replace(" ", "-")


def names(items: Iterable[str]) -> str:
    """Return names as code, with commas."""
    return ", ".join(f"`{item}`" for item in items)


def joined(items: Iterable[str], word: str) -> str:
    """Return a list as people write it: a, b or c."""
    *first, last = items
    return f"{', '.join(first)} {word} {last}" if first else last


def sides(found: Iterable[Role]) -> str:
    """Return the sides of a procedure in words."""
    return " and ".join(str(side).lower() for side in found)


def source_cell(source: str, verified: bool | str) -> str:
    """Return a source with how far it is to be relied on."""
    words = verified_words(verified)
    return " ".join(part for part in (source, f"**{words}**" if words else "") if part)


def verified_words(verified: bool | str) -> str:
    """Return how far a source is to be relied on; nothing where it was read itself."""
    if verified is True:
        return ""
    return "unverified" if verified is False else "product default"
