# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One statement about several rows: for some sizes of list, each written when it is first needed and prepared once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Executable, Row, bindparam

from broker.storage.execution import Execution

__all__ = ["Batched"]

T = TypeVar("T")

_SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32)  # a list fills the next larger statement by repeating its last
_NAMES = [f"id_{n}" for n in range(_SIZES[-1])]  # of its parameters


class Batched:
    """A statement in which a column is one of a list."""

    def __init__(self, column: Column[Any], words: Callable[[ColumnElement[bool]], Executable]) -> None:
        """Args:
        column: that the list is of.
        words: makes the statement of that condition.
        """
        self.sized = cache(
            lambda size: words(column.in_([bindparam(name, type_=column.type) for name in _NAMES[:size]]))
        )

    def parts(self, ids: Collection[Any]) -> Iterator[tuple[Executable, dict[str, Any]]]:
        """Return the statements, with their parameters, that together are about all of the list."""
        for part in _filled(list(ids)):
            yield self.sized(len(part)), dict(zip(_NAMES, part, strict=False))

    def rows(self, db: Execution, ids: Collection[Any]) -> list[Row[Any]]:
        """Return every row of all of the list, where the list is all that the statement asks for.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        return [row for statement, wanted in self.parts(ids) for row in db.all(statement, wanted)]


def _filled(given: list[T]) -> Iterator[list[T]]:
    """Return the parts of a list, each filled to the next of the sizes."""
    for start in range(0, len(given), _SIZES[-1]):
        part = given[start : start + _SIZES[-1]]
        size = next(size for size in _SIZES if len(part) <= size)
        yield part + [part[-1]] * (size - len(part))
