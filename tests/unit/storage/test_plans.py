# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The statements of the hot path use the indexes that were made for them, however large the tables grow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, text
from sqlalchemy.dialects import sqlite

from broker.core.ids import MessageType
from broker.storage import (
    declarations,
    future,
    inbox,
    keys,
    migrate,
    outbox,
    outbox_steps,
    procedures,
    receipts,
    search,
)
from broker.storage.execution import PerDialect
from broker.storage.schema import exclusively, parse_url, writing_engine


def plan(path: Path, statement: Any) -> str:
    """Return SQLite's plan of a statement."""
    if isinstance(statement, PerDialect):
        statement = statement.sqlite
    url = f"sqlite:///{path / 'store.db'}"
    migrate(url)
    if isinstance(statement, Select):
        statement = statement.params(dict.fromkeys(("procedure_", "author_", "message_", "most", "peer"), "1"))
    compiled = statement.compile(
        dialect=sqlite.dialect(paramstyle="named"), compile_kwargs={"render_postcompile": True}
    )
    engine = writing_engine(parse_url(url))
    with exclusively(engine) as connection:
        driver: Any = connection.connection.dbapi_connection
        names = dict.fromkeys(re.findall(r":(\w+)", str(compiled)), 1)
        rows = driver.execute(f"EXPLAIN QUERY PLAN {compiled}", names).fetchall()
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()
    return "\n".join(str(row[3]) for row in rows)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (outbox._LEASE.all, "ix_outbox_owed"),
        (outbox._OVERDUE, "ix_outbox_state"),
        (outbox_steps._HELD.sized(32), "PRIMARY KEY"),
        (outbox_steps._PUBLISHED.sized(32), "PRIMARY KEY"),
        (outbox._RECEIPTED, "ix_outbox_receipted"),
        (inbox._LEASE.all, "ix_inbox_owed"),
        (inbox._OVERDUE, "ix_inbox_state"),
        (receipts._WAITING, "ix_receipt_waiting"),
        (receipts._PEERS, "ix_receipt_waiting"),
        (receipts._PEERS, "ix_outbox_owed_receipts"),
        (receipts._QUEUE, "PRIMARY KEY"),
        (receipts._OF_PROCEDURE, "PRIMARY KEY"),
        (receipts._HEARD_OF, "PRIMARY KEY"),
        (receipts._OF_PROCEDURES.sized(32), "PRIMARY KEY"),
        (procedures._OPENED_BY_OTHERS, "ix_procedure_opened"),
        (procedures._RECORD, "PRIMARY KEY"),
        (procedures._RECORDS.sized(32), "PRIMARY KEY"),
        (procedures._LOCK_SOME.sized(32), "PRIMARY KEY"),
        (keys._FIND, "PRIMARY KEY"),
        (search._KNOWN, "PRIMARY KEY"),
        (future._STATEMENTS[0], "ix_outbox_state"),
        (future._STATEMENTS[1], "ix_inbox_state"),
        (future._STATEMENTS[3], "ix_attention_at"),
        (future._STATEMENTS[4], "ix_attachment_owed"),
        (future._STATEMENTS[5], "ix_attachment_owed"),
    ],
)
def test_a_statement_uses_its_index(tmp_path: Path, statement: Any, index: str) -> None:
    """It is in the plan, and no table is read from end to end."""
    steps = plan(tmp_path, statement)
    assert index in steps
    harmless = ("INDEX", "due", "CONSTANT ROW")
    scans = [
        step for step in steps.splitlines() if step.startswith("SCAN") and not any(word in step for word in harmless)
    ]
    assert scans == []


@pytest.mark.parametrize(
    ("sides", "index"), [(declarations._OURS, "ix_outbox_procedure"), (declarations._THEIRS, "ix_inbox_procedure")]
)
def test_what_stands_declared_is_found_by_its_procedures(tmp_path: Path, sides: Any, index: str) -> None:
    """It is asked of every list: only those procedures are looked at, and of the messages only theirs."""
    kind = MessageType("surge.registration")
    steps = plan(tmp_path, declarations._by(kind, frozenset({"CLOSED"}), *sides))
    assert index in steps
    assert "ix_procedure_surge" in steps
    scans = [step for step in steps.splitlines() if step.startswith("SCAN")]
    assert all("ix_procedure_surge" in step for step in scans)
