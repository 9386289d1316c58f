# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about the interpreter of procedure tables."""

from __future__ import annotations

from broker.core.ids import Digest
from broker.core.procedures import (
    ALARM_CLOSED,
    ProcedureTable,
    Role,
    State,
    allowed,
    close_alarms,
    raise_alarm,
    start,
    step,
)

FIRST, SECOND, THIRD = (Digest(character * 64) for character in "abc")


def test_an_act_moves_only_from_its_state_and_by_its_side(table: ProcedureTable) -> None:
    """A step exists exactly where the table has a move."""
    opened = step(table, start(table), "ask", Role.REQUESTING)
    assert opened == State(name="OPEN")
    assert step(table, start(table), "ask", Role.REQUESTED) is None
    assert step(table, start(table), "reply", Role.REQUESTED) is None
    assert step(table, start(table), "no-such-act", Role.REQUESTING) is None
    assert step(table, State(name="DONE"), "cancel", Role.REQUESTING) is None


def test_what_is_allowed_is_listed_in_the_tables_order(table: ProcedureTable) -> None:
    """Each side is offered its own acts; nothing is left in a final state."""
    assert allowed(table, State(name="OPEN"), Role.REQUESTED) == ("reply", "found")
    assert allowed(table, State(name="OPEN"), Role.REQUESTING) == ("cancel",)
    assert allowed(table, State(name="DONE"), Role.REQUESTING) == ()


def test_an_open_alarm_lets_only_facts_and_stops_through(table: ProcedureTable) -> None:
    """While an alarm is open ordinary acts are not allowed; stops and facts move the underlying state."""
    alarmed = raise_alarm(State(name="OPEN"), FIRST, (SECOND,))
    assert alarmed.alarmed
    assert step(table, alarmed, "reply", Role.REQUESTED) is None
    assert step(table, alarmed, "found", Role.REQUESTED) == alarmed
    stopped = step(table, alarmed, "cancel", Role.REQUESTING)
    assert stopped is not None
    assert (stopped.name, stopped.alarms) == ("DONE", alarmed.alarms)
    assert allowed(table, alarmed, Role.REQUESTED) == ("found", ALARM_CLOSED)


def test_an_alarm_is_over_when_both_sides_have_closed_it(table: ProcedureTable) -> None:
    """One side's closing leaves the alarm open for both; the second one's ends it and the state is the underlying one."""
    alarmed = raise_alarm(State(name="OPEN"), FIRST, (SECOND,))
    once = close_alarms(alarmed, Role.REQUESTING, {FIRST, SECOND})
    assert once is not None
    assert once.alarmed
    assert close_alarms(once, Role.REQUESTING, {FIRST, SECOND}) is None
    assert ALARM_CLOSED not in allowed(table, once, Role.REQUESTING)
    assert ALARM_CLOSED in allowed(table, once, Role.REQUESTED)
    assert close_alarms(once, Role.REQUESTED, {FIRST, SECOND}) == State(name="OPEN")


def test_nobody_closes_an_alarm_that_he_has_not_seen_whole() -> None:
    """A closing counts only for alarms all of whose messages its author had seen."""
    alarmed = raise_alarm(raise_alarm(State(name="OPEN"), FIRST, (SECOND,)), THIRD, ())
    assert close_alarms(alarmed, Role.REQUESTING, {FIRST}) is None
    partly = close_alarms(alarmed, Role.REQUESTING, {THIRD})
    assert partly is not None
    assert [bool(alarm.closed_by) for alarm in partly.alarms] == [False, True]
