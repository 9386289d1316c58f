# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The statements of the hot path use the indexes that were made for them, however large the tables grow."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, text
from sqlalchemy.dialects import sqlite

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
    migrate,
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
from broker.storage.schema import exclusively, parse_url, writing_engine
from broker.testing.store_rows import BOARD, FI, digest, procedure_id


def plan(path: Path, statement: Any) -> str:
    """Return SQLite's plan of a statement."""
    if isinstance(statement, PerDialect):
        statement = statement.sqlite
    url = f"sqlite:///{path / 'store.db'}"
    migrate(url)
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
    given = {name: ["1", "2"] if bind.expanding else "1" for name, bind in compiled.binds.items()}
    words = compiled.construct_expanded_state(given).statement
    engine = writing_engine(parse_url(url))
    with exclusively(engine) as connection:
        driver: Any = connection.connection.dbapi_connection
        names = dict.fromkeys(re.findall(r":(\w+)", words), 1)
        rows = driver.execute(f"EXPLAIN QUERY PLAN {words}", names).fetchall()
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()
    return "\n".join(str(row[3]) for row in rows)


def ways(parted: Parted) -> tuple[Executable, ...]:
    """Return a statement about all rows, about some values alone, and about all others."""
    return (parted.all, parted._only, parted._but)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        *((lease, "ix_outbox_owed") for lease in ways(outbox._LEASE)),
        (outbox._OVERDUE, "COVERING INDEX ix_outbox_state (state=? AND since>? AND since<?)"),
        (outbox._OVERDUE, "ux_attention_open (code=? AND subject=?)"),
        (outbox._LOST, "ix_outbox_state (state=? AND since<?)"),
        (outbox._LOST, "ix_outbox_receipted (recipient=? AND published>? AND published<?)"),
        (outbox._BRIEFS.sized(32), "ux_attention_open (code=? AND subject=?)"),
        (outbox_steps._HELD.sized(32), "PRIMARY KEY"),
        (outbox_steps._PUBLISHED.sized(32), "PRIMARY KEY"),
        *((lease, "ix_inbox_owed") for each in (inbox._LEASE, inbox._LEASE_NEW) for lease in ways(each)),
        *((lease, "ix_attachment_owed") for lease in ways(attachments._LEAVING)),
        (attachments._ARRIVING, "ix_attachment_owed"),
        (inbox._OVERDUE, "COVERING INDEX ix_inbox_state (state=? AND since>? AND since<?)"),
        (inbox._OVERDUE, "ux_attention_open (code=? AND subject=?)"),
        (receipts._WAITING, "ix_receipt_waiting"),
        (receipts._PEERS, "ix_receipt_waiting"),
        (receipts._PEERS, "ix_outbox_owed_receipts"),
        (receipts._QUEUE, "PRIMARY KEY"),
        (receipts._OF_PROCEDURE, "PRIMARY KEY"),
        (receipts._HEARD_OF, "PRIMARY KEY"),
        (receipts._OF_PROCEDURES.sized(32), "PRIMARY KEY"),
        (procedures._OPENED_BY_OTHERS, "ix_procedure_opened"),
        (procedures._since("correction"), "ix_procedure_correction"),
        (reader._CALLS_BEHIND, "INTEGER PRIMARY KEY"),
        (reader._NEWEST_CALL, "SEARCH attention"),
        (trail._TOUCHED, "ux_audit_position"),
        (trail._TOUCHED_NOW, "ix_audit_unlinked"),
        (healing._PASSED_ONE, "ix_record_entry_digest"),
        (procedures._RECORD, "PRIMARY KEY"),
        (procedures._RECORDS.sized(32), "PRIMARY KEY"),
        (procedures._LOCK_SOME.sized(32), "PRIMARY KEY"),
        (keys._FIND, "PRIMARY KEY"),
        (search._KNOWN, "PRIMARY KEY"),
        (future._SENT, "ix_outbox_state"),
        (future._STATEMENTS[0], "ix_inbox_state"),
        (future._STATEMENTS[2], "ix_attention_at"),
        (future._STATEMENTS[3], "ix_attachment_owed"),
        (future._STATEMENTS[4], "ix_attachment_owed"),
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


_PLACES = {"outbox": "created", "inbox": "received"}


@pytest.mark.parametrize("table", _PLACES)
@pytest.mark.parametrize(
    ("wanted", "by"),
    [
        (MessageFilter(peer=FI), "ix_{table}_{at}"),
        (MessageFilter(peer=FI, authority=BOARD), "ix_{table}_authority (authority=?)"),
        (MessageFilter(state="opened", authority=BOARD), "ix_{table}_authority (authority=?)"),
        (MessageFilter(type="correction.erase"), "ix_{table}_type (type=?)"),
        (MessageFilter(type="correction.erase", peer=FI, authority=BOARD), "ix_{table}_type (type=?)"),
        (MessageFilter(type="correction.erase", procedure=procedure_id(1)), "ix_{table}_procedure (procedure=?)"),
    ],
)
def test_a_list_goes_by_one_index_in_its_own_order(tmp_path: Path, table: str, wanted: MessageFilter, by: str) -> None:
    """However many messages fit, none is read before it is shown: they come in that order, and the newest are enough."""
    direction = "out" if table == "outbox" else "in"
    (statement,) = lists._statements("sqlite", replace(wanted, direction=direction), None, 50)
    first, *others = plan(tmp_path, statement).splitlines()
    assert f"{table} USING INDEX {by.format(table=table, at=_PLACES[table])}" in first
    assert [step for step in others if step.startswith("SCAN") or "FULL ORDER BY" in step] == []
    assert [step for step in others if "FOR ORDER BY" in step] in ([], ["USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"])


@pytest.mark.parametrize(("direction", "by"), [("out", "PRIMARY KEY (id=?)"), ("in", "ix_inbox_id (id=?)")])
def test_a_message_is_looked_up_by_its_digest(tmp_path: Path, direction: str, by: str) -> None:
    """In the record, and then by its id, whatever else is asked of it."""
    wanted = MessageFilter(direction=direction, peer=FI, authority=BOARD, digest=digest("a message"))
    (statement,) = lists._statements("sqlite", wanted, None, 3)
    steps = plan(tmp_path, statement)
    assert by in steps.splitlines()[0]
    assert "ix_record_entry_digest (digest=?)" in steps


@pytest.mark.parametrize(
    "statement",
    [
        reader._calls(None, None, None, None, True),
        reader._calls(BOARD, FI, AttentionCode.OVERDUE_DELIVERED, (1, 2), True),
        reader._OPEN_CALLS,
    ],
)
def test_open_calls_are_found_among_all_that_there_ever_were(tmp_path: Path, statement: Any) -> None:
    """By an index of their own, whatever else is asked: it is looked at every two seconds."""
    first, *others = plan(tmp_path, statement).splitlines()
    assert "attention USING INDEX ux_attention_open" in first
    assert [step for step in others if "attention" in step] == []


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (reader._calls(None, None, AttentionCode.OVERDUE_DELIVERED, None, True, True), "ix_attention_at"),
        (reader._calls(BOARD, FI, AttentionCode.ALARM, (1, 2), True, True), "ix_attention_authority (authority=?"),
    ],
)
def test_of_thousands_of_open_calls_the_newest_are_read(tmp_path: Path, statement: Any, index: str) -> None:
    """In the order of the list, and none of them is sorted."""
    (step,) = plan(tmp_path, statement).splitlines()
    assert index in step


@pytest.mark.parametrize("table", _PLACES)
@pytest.mark.parametrize(
    ("more", "few", "many"),
    [
        ({}, "ix_{table}_state (state=?)", "ix_{table}_{at}"),
        ({"authority": BOARD}, "ix_{table}_state (state=?)", "ix_{table}_authority (authority=?)"),
        ({"peer": FI}, "ix_{table}_state (state=?)", "ix_{table}_{at}"),
        ({"procedure": procedure_id(1)}, "ix_{table}_procedure (procedure=?)", "ix_{table}_procedure (procedure=?)"),
    ],
)
def test_messages_in_a_state_are_read_by_it_where_they_are_few(
    tmp_path: Path, table: str, more: dict[str, Any], few: str, many: str
) -> None:
    """To sort a hundred thousand with their contents, for the newest fifty, takes half a minute; to pass by as many, seconds."""
    direction = "out" if table == "outbox" else "in"
    wanted = MessageFilter(direction=direction, state="published", **more)
    for found, index in ((frozenset({direction}), few), (frozenset[str](), many)):
        (statement,) = lists._statements("sqlite", wanted, None, 50, found)
        steps = plan(tmp_path, statement)
        assert f"{table} USING INDEX {index.format(table=table, at=_PLACES[table])}" in steps.splitlines()[0]
        assert found or "USE TEMP B-TREE FOR ORDER BY" not in steps


def test_whether_many_are_in_a_state_is_seen_by_the_index_alone(tmp_path: Path) -> None:
    """It is asked before each page that is limited to a state."""
    for direction, table in (("out", "outbox"), ("in", "inbox")):
        assert f"{table} USING COVERING INDEX ix_{table}_state (state=?)" in plan(tmp_path, lists._MANY[direction])
    assert "ux_attention_open" in plan(tmp_path, reader._MANY_OPEN)


def test_an_offices_procedures_are_read_in_their_order(tmp_path: Path) -> None:
    """The newest are enough, however many the office has."""
    steps = plan(tmp_path, reader._of_office(BOARD, "sqlite"))
    assert steps.splitlines()[0] == "SCAN procedure USING INDEX ix_procedure_opened"
    assert "ORDER BY" not in steps
