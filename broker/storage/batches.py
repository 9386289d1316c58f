# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One statement about several rows: for some sizes of list, each written when it is first needed and prepared once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Column, ColumnElement, Executable, Row, bindparam

from broker.core.receipts import MAX_RECEIPTS
from broker.storage.execution import Execution, PerDialect

__all__ = ["Batched", "BatchedInsert"]

T = TypeVar("T")

_SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32)  # a list fills the next larger statement by repeating its last
_ENVELOPE = (1, *range(2, MAX_RECEIPTS + 1, 2))  # what receipts bring: mostly two of each message


class Batched:
    """A statement in which a column is one of a list."""

    def __init__(self, column: Column[Any], words: Callable[[ColumnElement[bool]], Executable]) -> None:
        """Args:
        column: that the list is of.
        words: makes the statement of that condition.
        """
        self.sized = cache(
            lambda size: words(column.in_([bindparam(f"id_{n}", type_=column.type) for n in range(size)]))
        )

    def parts(self, ids: Collection[Any]) -> Iterator[tuple[Executable, dict[str, Any]]]:
        """Return the statements, with their parameters, that together are about all of the list."""
        for part in _filled(list(ids), _SIZES):
            yield self.sized(len(part)), {f"id_{n}": one for n, one in enumerate(part)}

    def rows(self, db: Execution, ids: Collection[Any]) -> list[Row[Any]]:
        """Return every row of all of the list, where the list is all that the statement asks for.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        return [row for statement, wanted in self.parts(ids) for row in db.all(statement, wanted)]


class BatchedInsert:
    """An insert of several rows that writes nothing where a unique key is taken and returns the keys that it wrote."""

    def __init__(self, columns: Sequence[Column[Any]], keys: Sequence[Column[Any]]) -> None:
        """Args:
        columns: those that are written, of one table.
        keys: what is returned of every new row.
        """
        self._columns = [column.name for column in columns]
        self._sized = cache(lambda size: _inserting(columns, keys, size))
        self._names = [f"{name}_{n}" for n in range(_ENVELOPE[-1]) for name in self._columns]

    def rows(self, db: Execution, given: Sequence[Mapping[str, Any]]) -> list[Row[Any]]:
        """Return the keys of the rows that were new.

        Raises:
            StoreUnavailable, DiskFull, StoreCorrupt: the transaction is lost.
        """
        found: list[Row[Any]] = []
        for part in _filled(given, _ENVELOPE):
            values = (row[name] for row in part for name in self._columns)
            found.extend(db.all(self._sized(len(part)), dict(zip(self._names, values, strict=False))))
        return found


def _inserting(columns: Sequence[Column[Any]], keys: Sequence[Column[Any]], size: int) -> PerDialect:
    def value(column: Column[Any], number: int) -> BindParameter[Any]:
        return bindparam(f"{column.name}_{number}", type_=column.type)

    rows = [{column.name: value(column, number) for column in columns} for number in range(size)]
    return PerDialect(columns[0].table, lambda insert: insert.values(rows).on_conflict_do_nothing().returning(*keys))


def _filled(given: Sequence[T], sizes: tuple[int, ...]) -> Iterator[list[T]]:
    """Return the parts of a list, each filled to the next of the sizes."""
    for start in range(0, len(given), sizes[-1]):
        part = list(given[start : start + sizes[-1]])
        size = next(size for size in sizes if len(part) <= size)
        yield part + [part[-1]] * (size - len(part))
