# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL goes by index from the first message on: a plan that was made over an empty table is kept while it grows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Executable, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import ClauseElement

from broker.core.attention import AttentionCode
from broker.core.ids import MessageType
from broker.rows import MessageFilter
from broker.storage import (
    attachments,
    declarations,
    future,
    healing,
    inbox,
    keys,
    lists,
    outbox,
    outbox_steps,
    procedures,
    reader,
    receipts,
    search,
    trail,
)
from broker.storage.batches import Parted
from broker.storage.execution import PerDialect
from broker.storage.postgres import postgres_engine
from broker.testing.store_rows import BOARD, FI, digest

pytestmark = pytest.mark.postgres

_SURGE = MessageType("surge.registration")
_OVER = frozenset({"CLOSED"})
_ONE_ROW_A_COUNTRY = "Seq Scan on healing"  # PostgreSQL 18 reads all of it once where 15 looks for each entry
_DIALECT = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]


@pytest.fixture
def connection(postgres_store_url: str) -> Iterator[Connection]:
    """A node's own connection to a database in which nothing is yet."""
    engine = postgres_engine(make_url(postgres_store_url), read_only=False)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def plan(connection: Connection, statement: Executable | PerDialect) -> list[str]:
    """Return PostgreSQL's plan of a statement, whatever its parameters are."""
    words = statement.postgresql if isinstance(statement, PerDialect) else statement
    assert isinstance(words, ClauseElement)
    compiled: Any = words.compile(dialect=_DIALECT)
    given = {name: ["1", "2"] if bind.expanding else "1" for name, bind in compiled.binds.items()}
    written = compiled.construct_expanded_state(given).statement
    kinds = re.findall(r"%\((\w+)\)s(?:::(\w+))?", written)
    values = {name: 1 if kind in {"BIGINT", "INTEGER"} else "1" for name, kind in kinds}
    return [row[0].strip() for row in connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {written}", values)]


def ways(parted: Parted) -> tuple[Executable, ...]:
    """Return a statement about all rows, about some values alone, and about all others."""
    return (parted.all, parted._only, parted._but)


@pytest.mark.parametrize(
    "statement",
    [
        *ways(outbox._LEASE),
        outbox._OVERDUE,
        outbox._LOST,
        trail._TOUCHED,
        trail._TOUCHED_NOW,
        outbox._BRIEFS.sized(32),
        outbox_steps._HELD.sized(32),
        outbox_steps._PUBLISHED.sized(32),
        *ways(inbox._LEASE),
        *ways(inbox._LEASE_NEW),
        *ways(attachments._LEAVING),
        attachments._ARRIVING,
        inbox._OVERDUE,
        receipts._WAITING,
        receipts._PEERS,
        receipts._QUEUE,
        receipts._OF_PROCEDURE,
        receipts._OF_PROCEDURES.sized(32),
        receipts._HEARD_OF,
        procedures._OPENED_BY_OTHERS,
        procedures._since("correction"),
        *lists._statements("postgresql", MessageFilter(peer=FI, authority=BOARD, digest=digest("a message")), None, 3),
        healing._PASSED_ONE,
        reader._calls(BOARD, FI, AttentionCode.OVERDUE_DELIVERED, (1, 2), True),
        reader._calls(BOARD, FI, AttentionCode.OVERDUE_DELIVERED, (1, 2), True, True),
        reader._MANY_OPEN,
        reader._OPEN_CALLS,
        reader._CALLS_BEHIND,
        reader._NEWEST_CALL,
        procedures._RECORD,
        procedures._RECORDS.sized(32),
        procedures._LOCK_SOME.sized(32),
        keys._FIND,
        search._KNOWN,
        future._SENT,
        *(future._STATEMENTS[at] for at in (0, 2, 3, 4)),
        declarations._by(_SURGE, _OVER, *declarations._OURS),
        declarations._by(_SURGE, _OVER, *declarations._THEIRS),
    ],
)
def test_no_table_that_grows_is_read_from_end_to_end(connection: Connection, statement: Any) -> None:
    """Also while all of them are empty, which to a planner makes reading all of one the cheapest way."""
    steps = [step for step in plan(connection, statement) if _ONE_ROW_A_COUNTRY not in step]
    assert any("Index" in step for step in steps)
    assert [step for step in steps if "Seq Scan" in step or "Materialize" in step or "Hash Join" in step] == []
