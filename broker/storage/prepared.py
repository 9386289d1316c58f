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
from functools import cache, lru_cache, partial
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Boolean, Dialect, Executable, make_url
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement, ColumnElement
from sqlalchemy.types import TypeEngine

from broker.storage.columns import Kept

__all__ = ["Prepared", "prepare"]

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A statement's text, how its parameters go in and how its rows come out."""

    text: str
    taken: Callable[[Mapping[str, Any]], tuple[Any, ...]]  # the parameters, in the order of the text's places
    converts: tuple[tuple[int, Convert], ...]  # of those that are not handed over as they are
    fixed: Mapping[str, Any]  # values that stand in the statement itself
    row: Callable[[Any], Any] | None
    columns: tuple[tuple[int, Convert], ...]  # in the same way

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """Return what goes to the driver, in the order of the text."""
        return _converted(self.taken({**self.fixed, **given} if self.fixed else given), self.converts)

    def made(self, raw: tuple[Any, ...]) -> Any:
        """Return a row of the driver as a tuple with names."""
        return raw if self.row is None else self.row(_converted(raw, self.columns))


@lru_cache(maxsize=1024)  # every statement of this package, built once at import, a few parameter sets each
def prepare(statement: Executable, names: tuple[str, ...], database: str) -> Prepared | None:
    """Return the statement prepared for parameters of these names; None where it must go the ordinary way.

    Args:
        statement: in SQLAlchemy's words.
        names: of its parameters.
        database: ``sqlite`` or ``postgresql``; all engines of a process share what is prepared.
    """
    if not isinstance(statement, ClauseElement):
        return None
    dialect = _dialect(database)
    inserted = sorted(names) if getattr(statement, "is_insert", False) else None
    compiled = statement.compile(dialect=dialect, column_keys=inserted)
    if not isinstance(compiled, SQLCompiler):
        return None
    if compiled.post_compile_params or compiled.literal_execute_params or compiled.insert_prefetch:
        return None
    order = tuple(compiled.positiontup or ())
    types = {name: bind.type for name, bind in compiled.binds.items()}
    fixed = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
    if any(name not in names and name not in fixed for name in order):
        return None
    columns: tuple[ColumnElement[Any], ...] = tuple(getattr(statement, "exported_columns", ()))
    return Prepared(
        text=compiled.string,
        taken=itemgetter(*order) if len(order) > 1 else lambda given: tuple(given[name] for name in order),
        converts=_at_places(_into(types[name], dialect) for name in order),
        fixed=fixed,
        row=partial(tuple.__new__, _row_type(columns)) if columns else None,
        columns=_at_places(_out(column.type, dialect) for column in columns),
    )


def _converted(raw: tuple[Any, ...], converts: tuple[tuple[int, Convert], ...]) -> list[Any]:
    values = list(raw)
    for place, convert in converts:
        value = values[place]
        if value is not None:
            values[place] = convert(value)
    return values


def _at_places(converts: Iterable[Convert | None]) -> tuple[tuple[int, Convert], ...]:
    return tuple((place, convert) for place, convert in enumerate(converts) if convert is not None)


@cache
def _dialect(database: str) -> Dialect:
    """Return a dialect with places in its texts: question marks (SQLite), or $1, $2 … as PostgreSQL itself has them."""
    driver, places = {"sqlite": ("pysqlite", "qmark"), "postgresql": ("psycopg", "numeric_dollar")}[database]
    kind: Any = make_url(f"{database}+{driver}://").get_dialect()
    return cast("Dialect", kind(paramstyle=places, dbapi=kind.import_dbapi()))


def _into(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    if isinstance(kind, Boolean):  # SQLAlchemy's own conversion costs more than a whole row's others
        return int if dialect.name == "sqlite" else bool  # its driver looks for an adapter of all but texts and numbers
    return kind.into if isinstance(kind, Kept) else kind.dialect_impl(dialect).bind_processor(dialect)


def _out(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.out if isinstance(kind, Kept) else kind.dialect_impl(dialect).result_processor(dialect, None)


def _row_type(columns: tuple[ColumnElement[Any], ...]) -> Any:
    return namedtuple("Row", [column.key or "" for column in columns], rename=True)  # noqa: PYI024 - made at run time
