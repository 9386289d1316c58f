# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Column types: our parsed values on one side, what both databases keep compactly on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import TEXT, BigInteger, ColumnClause, Dialect, LargeBinary, Text, TypeDecorator, literal_column
from sqlalchemy.types import TypeEngine

__all__ = ["Moment", "Raw", "Word", "Words", "fixed", "from_milliseconds", "to_milliseconds"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# Byte order in both databases: PostgreSQL would otherwise sort by its locale and ignore the hyphens of an id.
_TEXT: TypeEngine[str] = Text().with_variant(TEXT(collation="C"), "postgresql")


def to_milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since 1970, UTC.

    Raises:
        TypeError: the moment is naive.
    """
    return (moment - _EPOCH) // _MILLISECOND


def from_milliseconds(number: int) -> datetime:
    """Return the aware moment, UTC."""
    return _EPOCH + timedelta(milliseconds=number)


def fixed(*values: StrEnum) -> list[ColumnClause[str]]:
    """Return constants for the text of a statement, not for its parameters.

    A planner then sees that a partial index will do, and a list of them is not expanded anew at every execution.
    """
    return [literal_column(f"'{value.value}'") for value in values]


class Moment(TypeDecorator[datetime]):
    """An aware moment as integer milliseconds: sorts alike, and alike short, in both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_milliseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else from_milliseconds(value)


class Word(TypeDecorator[str]):
    """A text of a parsed kind. Drivers get a plain `str`: for subclasses they search adapters on every value."""

    impl = _TEXT
    cache_ok = True

    def __init__(self, kind: Callable[[str], str] = str) -> None:
        self.kind = kind
        super().__init__()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.kind(value)


class Words(TypeDecorator[tuple[str, ...]]):
    """Texts of a parsed kind, as a JSON array."""

    impl = _TEXT
    cache_ok = True

    def __init__(self, kind: Callable[[str], str] = str) -> None:
        self.kind = kind
        super().__init__()

    def process_bind_param(self, value: Iterable[str] | None, dialect: Dialect) -> str | None:
        return None if value is None else orjson.dumps([str(item) for item in value]).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:
        return None if value is None else tuple(self.kind(item) for item in orjson.loads(value))


class Raw(TypeDecorator[bytes]):
    """Bytes; PostgreSQL's driver may hand over a view of its buffer, which must not outlive the row."""

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else bytes(value)
