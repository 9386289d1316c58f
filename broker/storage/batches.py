# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One statement about several rows, of some sizes of list, or about some values of a column only, or all but those."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Executable, Row, bindparam, true

from broker.storage.columns import unindexed
from broker.storage.execution import Execution

__all__ = ["Batched", "Parted"]

T = TypeVar("T")

_SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32)  # a list fills the next larger statement by repeating its last
_NAMES = [f"id_{n}" for n in range(_SIZES[-1])]  # of its parameters


class Batched:
    """A statement in which a column is one of a list; for each size written when it is first needed, and prepared once."""

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


class Parted:
    """A statement about all rows, prepared; seldom about some values of a column only, or about all but some."""

    def __init__(self, column: Column[Any], words: Callable[[ColumnElement[bool]], Executable]) -> None:
        """Args:
        column: that chooses.
        words: makes the statement with that further condition.
        """
        some: Any = bindparam("some", type_=column.type, expanding=True)
        self.all = words(true())
        named = unindexed(column)
        self._only, self._but = words(named.in_(some)), words(named.not_in(some))

    def of(self, only: Collection[Any], but: Collection[Any]) -> tuple[Executable, dict[str, Any]]:
        """Return the statement and its parameters about those only, if any are named; else about all but those."""
        if only:
            return self._only, {"some": sorted(only)}
        return (self._but, {"some": sorted(but)}) if but else (self.all, {})


def _filled(given: list[T]) -> Iterator[list[T]]:
    """Return the parts of a list, each filled to the next of the sizes."""
    for start in range(0, len(given), _SIZES[-1]):
        part = given[start : start + _SIZES[-1]]
        size = next(size for size in _SIZES if len(part) <= size)
        yield part + [part[-1]] * (size - len(part))
