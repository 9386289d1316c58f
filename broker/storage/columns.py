# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Column types: our parsed values on one side, what both databases keep compactly on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

import orjson
from sqlalchemy import (
    TEXT,
    BigInteger,
    Column,
    ColumnClause,
    ColumnElement,
    Dialect,
    LargeBinary,
    Text,
    TypeDecorator,
    func,
    literal_column,
)
from sqlalchemy.types import TypeEngine

__all__ = ["Kept", "Moment", "Raw", "Word", "Words", "fixed", "from_milliseconds", "to_milliseconds", "unindexed"]

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# Byte order in both databases: PostgreSQL would otherwise sort by its locale and ignore the hyphens of an id.
_TEXT: TypeEngine[str] = Text().with_variant(TEXT(collation="C"), "postgresql")


@lru_cache(maxsize=1024)  # a transaction's few moments stand in all that it writes
def to_milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since 1970, UTC.

    Raises:
        TypeError: the moment is naive.
    """
    return (moment - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=1024)  # and in all that it reads
def from_milliseconds(number: int) -> datetime:
    """Return the aware moment, UTC."""
    return _EPOCH + timedelta(milliseconds=number)


def fixed(*values: str) -> list[ColumnClause[str]]:
    """Return constants of the program's own, never a word from outside, for the text of a statement and not its parameters.

    A planner then sees that a partial index will do, and a list of them is not expanded anew at every execution.
    """
    return [literal_column(f"'{value}'") for value in values]


def unindexed(column: Column[T]) -> ColumnElement[T]:
    """Return what the column holds, in words for which no index of it is looked through.

    SQLite knows no statistics: for one office it would rather read all that this office ever got than the few that wait.
    """
    return func.coalesce(column, literal_column("''"))


class Kept(TypeDecorator[T]):
    """A column type by its two conversions of what is not NULL, which prepared statements call directly."""

    cache_ok = True

    into: Callable[[Any], Any] | None = None  # from our value to the driver's; None: as it is
    out: Callable[[Any], Any] | None = None  # from the driver's value to ours; None: as it is

    def process_bind_param(self, value: T | None, dialect: Dialect) -> Any:
        return value if value is None or self.into is None else self.into(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> T | None:
        return value if value is None or self.out is None else self.out(value)  # type: ignore[no-any-return]


class Moment(Kept[datetime]):
    """An aware moment as integer milliseconds: sorts alike, and alike short, in both databases."""

    impl = BigInteger
    cache_ok = True
    into = staticmethod(to_milliseconds)
    out = staticmethod(from_milliseconds)


class Word(Kept[str]):
    """A text of a parsed kind. Drivers get a plain `str`: for subclasses they search adapters on every value."""

    impl = _TEXT
    cache_ok = True
    into = str

    def __init__(self, kind: Callable[[str], str] = str) -> None:
        self.kind = kind
        self.out = None if kind is str else _recalled(kind)
        super().__init__()


class Words(Kept[tuple[str, ...]]):
    """Texts of a parsed kind, as a JSON array."""

    impl = _TEXT
    cache_ok = True

    def __init__(self, kind: Callable[[str], str] = str) -> None:
        self.kind = kind
        self.into = _to_array
        self._one = kind if kind is str else _recalled(kind)
        self.out = self._from_array
        super().__init__()

    def _from_array(self, value: str) -> tuple[str, ...]:
        return tuple(map(self._one, orjson.loads(value)))


class Raw(Kept[bytes]):
    """Bytes; PostgreSQL's driver may hand over a view of its buffer, which must not outlive the row."""

    impl = LargeBinary
    cache_ok = True
    out = bytes


@lru_cache(maxsize=64)
def _recalled(kind: Callable[[str], str]) -> Callable[[str], str]:
    """Return the kind with its newest values remembered: one message's ids, countries and words come by many times."""
    return lru_cache(maxsize=2048)(kind)


def _to_array(texts: Iterable[str]) -> str:
    return orjson.dumps([str(text) for text in texts]).decode()
