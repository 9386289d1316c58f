# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements compiled once and handed to the database's driver directly.

SQLAlchemy writes the statements; its execution of each one costs about four times
what the database needs for it (measured: 80 µs against 20 µs), on a path where every message runs a few dozen. What
this module cannot prepare (lists that are expanded into the text) goes the ordinary way.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import Dialect, Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement, ColumnElement
from sqlalchemy.types import TypeEngine

from broker.storage.columns import Kept

__all__ = ["Cursor", "Driver", "Prepared", "prepare"]

Convert = Callable[[Any], Any]


class Cursor(Protocol):
    """What the drivers' cursors have in common."""

    @property
    def rowcount(self) -> int: ...

    def fetchall(self) -> list[tuple[Any, ...]]: ...


class ManyCursor(Protocol):
    """A cursor that runs one statement for many parameters."""

    @property
    def rowcount(self) -> int: ...

    def executemany(self, text: str, parameters: Any, /) -> object: ...


class Driver(Protocol):
    """What the drivers' connections have in common."""

    def execute(self, text: str, parameters: Any, /) -> Cursor: ...

    def cursor(self) -> ManyCursor: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A statement's text, how its parameters go in and how its rows come out."""

    text: str
    positional: bool  # question marks in the text (SQLite), else names (PostgreSQL)
    binds: tuple[tuple[str, Convert | None], ...]  # in the order of the text's question marks
    fixed: Mapping[str, Any]  # values that stand in the statement itself
    row: Callable[[Any], Any] | None
    columns: tuple[Convert | None, ...]

    def run(self, driver: Driver, given: Mapping[str, Any]) -> Cursor:
        """Execute on a connection of the driver."""
        return driver.execute(self.text, self._values(given))

    def run_each(self, driver: Driver, given: Iterable[Mapping[str, Any]]) -> ManyCursor:
        """Execute once for each of several parameters."""
        cursor = driver.cursor()
        cursor.executemany(self.text, [self._values(each) for each in given])
        return cursor

    def _values(self, given: Mapping[str, Any]) -> list[Any] | dict[str, Any]:
        values = []
        for name, convert in self.binds:
            value = given[name] if name in given else self.fixed[name]
            values.append(value if value is None or convert is None else convert(value))
        if self.positional:
            return values
        return {name: value for (name, _), value in zip(self.binds, values, strict=True)}

    def made(self, raw: tuple[Any, ...]) -> Any:
        """Return a row of the driver as a tuple with names."""
        if self.row is None:
            return raw
        return self.row(
            [
                value if value is None or convert is None else convert(value)
                for convert, value in zip(self.columns, raw, strict=True)
            ]
        )


@lru_cache(maxsize=1024)  # every statement of this package, built once at import, a few parameter sets each
def prepare(statement: Executable, names: tuple[str, ...], dialect: Dialect) -> Prepared | None:
    """Return the statement prepared for parameters of these names; None where it must go the ordinary way."""
    if not isinstance(statement, ClauseElement):
        return None
    inserted = sorted(names) if getattr(statement, "is_insert", False) else None
    compiled = statement.compile(dialect=dialect, column_keys=inserted)
    if not isinstance(compiled, SQLCompiler):
        return None
    if compiled.post_compile_params or compiled.literal_execute_params or compiled.insert_prefetch:
        return None
    order = tuple(compiled.positiontup or compiled.binds)
    types = {name: bind.type for name, bind in compiled.binds.items()}
    fixed = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
    binds = tuple((name, _into(types[name], dialect)) for name in order)
    if any(name not in names and name not in fixed for name, _ in binds):
        return None
    columns: tuple[ColumnElement[Any], ...] = tuple(getattr(statement, "exported_columns", ()))
    return Prepared(
        text=compiled.string,
        positional=compiled.positional,
        binds=binds,
        fixed=fixed,
        row=_row_type(columns)._make if columns else None,
        columns=tuple(_out(column.type, dialect) for column in columns),
    )


def _into(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.into if isinstance(kind, Kept) else kind.dialect_impl(dialect).bind_processor(dialect)


def _out(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.out if isinstance(kind, Kept) else kind.dialect_impl(dialect).result_processor(dialect, None)


def _row_type(columns: tuple[ColumnElement[Any], ...]) -> Any:
    return namedtuple("Row", [column.key or "" for column in columns], rename=True)  # noqa: PYI024 - made at run time
