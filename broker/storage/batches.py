# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One statement about several rows: written for a few sizes of list, so that each is prepared once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Executable, bindparam

__all__ = ["Batched"]

_SIZES = (1, 8, 32)  # a list fills the next larger statement by repeating its last


class Batched:
    """A statement in which a column is one of a list."""

    def __init__(self, column: Column[Any], words: Callable[[ColumnElement[bool]], Executable]) -> None:
        """Args:
        column: that the list is of.
        words: makes the statement of that condition.
        """
        self._sized = {
            size: words(column.in_([bindparam(f"id_{n}", type_=column.type) for n in range(size)])) for size in _SIZES
        }

    def parts(self, ids: Sequence[Any]) -> Iterator[tuple[Executable, dict[str, Any]]]:
        """Return the statements, with their parameters, that together are about all of the list."""
        for start in range(0, len(ids), _SIZES[-1]):
            part = ids[start : start + _SIZES[-1]]
            size = next(size for size in _SIZES if len(part) <= size)
            yield self._sized[size], {f"id_{n}": part[min(n, len(part) - 1)] for n in range(size)}
