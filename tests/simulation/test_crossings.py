# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Every shipped procedure, played by two sides whose messages cross: at least 10,000 interleavings in all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from broker.core.ids import CountryCode
from broker.core.messages import RecordEntry
from broker.core.procedures import ProcedureTable, Role, State, start, step
from broker.core.receipts import Receipt
from broker.core.record import Folded, Mark, fold
from broker.core.tables import parse_table
from broker.schema_files import load_catalogue
from broker.testing.record_pair import EE, FI, Fold, Side, check_pair, play

TABLES = {table.procedure: table for table in load_catalogue().tables()}
RUNS = 10_000 // len(TABLES) + 1  # of each table


@pytest.mark.parametrize("name", TABLES)
def test_crossing_messages_end_alike_on_both_sides(name: str) -> None:
    """Same state, marks and digest on both sides; nothing final changes; no fact is without effect; all acts are met."""
    table = TABLES[name]
    effective: set[str] = set()
    crossed = 0
    for seed in range(RUNS):
        ee, fi = play(table, seed)
        folded = check_pair(ee, fi)
        effective |= {ee.entries[digest].act for digest, mark in folded.marks.items() if mark is not Mark.CROSSED}
        crossed += Mark.CROSSED in folded.marks.values() or folded.state.alarmed

    assert set(table.acts) - effective == set(), "acts that never took effect: the runs do not reach them"
    assert crossed > 0


@pytest.mark.parametrize("name", TABLES)
def test_each_transition_is_walked_through_the_record(name: str) -> None:
    """From the opening to each state and along each of its moves, the record of two sides ends where the table says."""
    table = TABLES[name]
    paths = _paths(table)
    walked = 0
    for act in table.acts.values():
        for (source, role), target in act.moves.items():
            ee, fi = Side(us=EE, table=table), Side(us=FI, table=table)
            for number, (step_act, step_role) in enumerate((*paths[source], (act.name, role))):
                side, other = (ee, fi) if step_role is Role.REQUESTING else (fi, ee)
                side.send(number, step_act, side.folded().heads)
                for sender, receiver in ((side, other), (other, side)):
                    while sender.out:
                        receiver.take(sender.out.pop(0))
            folded = check_pair(ee, fi)
            assert (folded.state.name, folded.state.alarmed) == (target, False), (source, role, act.name)
            walked += 1

    assert walked == sum(len(act.moves) for act in table.acts.values())


def _paths(table: ProcedureTable) -> dict[str, tuple[tuple[str, Role], ...]]:
    """Return a shortest way from the start to each state."""
    paths: dict[str, tuple[tuple[str, Role], ...]] = {start(table).name: ()}
    waiting = [table.initial]
    while waiting:
        state = waiting.pop(0)
        for act in table.acts:
            for role in Role:
                after = step(table, State(name=state), act, role)
                if after is not None and after.name not in paths:
                    paths[after.name] = (*paths[state], (act, role))
                    waiting.append(after.name)
    return paths


@pytest.mark.parametrize("name", TABLES)
def test_every_open_state_has_a_way_to_an_end(name: str) -> None:
    """No procedure can be caught in a state from which no final one is reached (promise P9)."""
    table = TABLES[name]
    ends = set(table.final)
    for _ in table.states:
        ends |= {source for act in table.acts.values() for (source, _), target in act.moves.items() if target in ends}

    assert set(table.states) - ends == set()


def _constant(*args: Any) -> Folded:
    folded = fold(*args)
    return replace(folded, state=State(name=next(name for name in args[0].states if name != args[0].initial)))


def _last_writer_wins(
    table: ProcedureTable, opener: CountryCode, entries: Iterable[RecordEntry], receipts: Iterable[Receipt]
) -> Folded:
    held = list(entries)
    folded = fold(table, opener, held, receipts)
    for entry in reversed(held):  # the order of arrival, which differs between the sides
        moves = table.acts[entry.act].moves.values() if entry.act in table.acts else ()
        for target in moves:
            return replace(folded, state=State(name=target))
    return folded


@pytest.mark.parametrize("planted", [_constant, _last_writer_wins], ids=["constant state", "last writer wins"])
@pytest.mark.parametrize("name", TABLES)
def test_a_planted_interpreter_is_caught(name: str, planted: Fold) -> None:
    """An interpreter that ignores the record, or takes what came last, does not pass the interleavings of any table."""
    caught = 0
    for seed in range(60):
        try:
            check_pair(*play(TABLES[name], seed, fold=planted))
        except AssertionError:
            caught += 1

    assert caught > 0


JOURNEY = parse_table(
    {
        "procedure": "journey", "version": "1.0", "title": "Journey", "subject": "child", "roles": ["REQUESTING", "REQUESTED"],
        "initial": "NEW", "final": ["ARRIVED", "STOPPED"],
        "states": {name: {"title": name} for name in ("NEW", "READY", "GONE", "ARRIVED", "STOPPED")},
        "acts": {
            "plan": {"kind": "act", "opens": True, "moves": [{"from": ["NEW"], "by": "REQUESTING", "to": "READY"}]},
            "departure": {"kind": "act", "irreversible": True, "moves": [{"from": ["READY"], "by": "REQUESTING", "to": "GONE"}]},
            "arrival": {"kind": "fact", "moves": [{"from": ["GONE"], "by": "REQUESTED", "to": "ARRIVED"}]},
            "stop": {"kind": "act", "stop": True, "moves": [{"from": ["READY", "GONE"], "by": "REQUESTED", "to": "STOPPED"}]},
        },
    }
)  # fmt: skip


def test_a_stop_that_crosses_a_departure_is_an_alarm_on_both_sides() -> None:
    """Whatever the order, a stop that its author sent without knowing of the departure shows as ALARM on both sides."""
    met = 0
    for seed in range(400):
        ee, fi = play(JOURNEY, seed)
        folded = check_pair(ee, fi)
        met += Mark.ALARM in folded.marks.values() and {"departure", "stop"} <= {
            item.act for item in ee.entries.values()
        }

    assert met > 10
