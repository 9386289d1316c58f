# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about procedure tables and their interpreter."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.core import canonical
from broker.core.errors import CatalogueInvalid
from broker.core.ids import Digest
from broker.core.procedures import (
    ALARM_CLOSED,
    ProcedureTable,
    Role,
    State,
    allowed,
    close_alarms,
    parse_table,
    raise_alarm,
    start,
    step,
)

SHIPPED = Path(__file__).parents[3] / "schemas" / "procedures"
FIRST, SECOND, THIRD = (Digest(character * 64) for character in "abc")


def _data() -> dict[str, Any]:
    return {
        "procedure": "small",
        "version": "1.0",
        "title": "Small",
        "subject": "child",
        "roles": ["REQUESTING", "REQUESTED"],
        "initial": "NEW",
        "final": ["DONE"],
        "states": {"NEW": {"title": "new"}, "OPEN": {"title": "open"}, "DONE": {"title": "done"}},
        "acts": {
            "ask": {"kind": "act", "opens": True, "moves": [{"from": ["NEW"], "by": "REQUESTING", "to": "OPEN"}]},
            "reply": {"kind": "act", "moves": [{"from": ["OPEN"], "by": "REQUESTED", "to": "DONE"}]},
            "found": {"kind": "fact", "moves": [{"from": ["OPEN"], "by": "REQUESTED", "to": "OPEN"}]},
            "cancel": {"kind": "act", "stop": True, "moves": [{"from": ["OPEN"], "by": "REQUESTING", "to": "DONE"}]},
        },
        "deadlines": [
            {
                "id": "answer",
                "title": "Answer",
                "from_event": "ask.delivered",
                "until": ["reply"],
                "limit": {"months": 3},
                "kind": "STATUTORY",
                "source": "a source",
                "silence": "Silence is never an answer.",
            }
        ],
    }


def _table() -> ProcedureTable:
    return parse_table(_data())


def test_a_table_is_named_by_the_digest_of_its_canonical_bytes() -> None:
    """Without a given digest the table's own canonical bytes name it; a given one is taken."""
    assert _table().digest == canonical.digest(canonical.dump(_data()))
    assert parse_table(_data(), FIRST).digest == FIRST


def test_a_table_has_its_deadlines_and_tells_whether_there_is_a_case() -> None:
    """Deadlines are read with the table; the subject tells whether there is a case."""
    table = _table()
    assert table.has_subject
    assert table.deadlines[0].id == "answer"
    assert not parse_table({**_data(), "subject": "none"}).has_subject


def test_an_act_moves_only_from_its_state_and_by_its_side() -> None:
    """A step exists exactly where the table has a move."""
    table = _table()
    opened = step(table, start(table), "ask", Role.REQUESTING)
    assert opened == State(name="OPEN")
    assert step(table, start(table), "ask", Role.REQUESTED) is None
    assert step(table, start(table), "reply", Role.REQUESTED) is None
    assert step(table, start(table), "no-such-act", Role.REQUESTING) is None
    assert step(table, State(name="DONE"), "cancel", Role.REQUESTING) is None


def test_what_is_allowed_is_listed_in_the_tables_order() -> None:
    """Each side is offered its own acts; nothing is left in a final state."""
    table = _table()
    assert allowed(table, State(name="OPEN"), Role.REQUESTED) == ("reply", "found")
    assert allowed(table, State(name="OPEN"), Role.REQUESTING) == ("cancel",)
    assert allowed(table, State(name="DONE"), Role.REQUESTING) == ()


def test_an_open_alarm_lets_only_facts_and_stops_through() -> None:
    """While an alarm is open ordinary acts are not allowed; stops and facts move the underlying state."""
    table = _table()
    alarmed = raise_alarm(State(name="OPEN"), FIRST, (SECOND,))
    assert alarmed.alarmed
    assert step(table, alarmed, "reply", Role.REQUESTED) is None
    assert step(table, alarmed, "found", Role.REQUESTED) == alarmed
    stopped = step(table, alarmed, "cancel", Role.REQUESTING)
    assert stopped is not None
    assert (stopped.name, stopped.alarms) == ("DONE", alarmed.alarms)
    assert allowed(table, alarmed, Role.REQUESTED) == ("found", ALARM_CLOSED)


def test_an_alarm_is_over_when_both_sides_have_closed_it() -> None:
    """One side's closing leaves the alarm open for both; the second one's ends it and the state is the underlying one."""
    alarmed = raise_alarm(State(name="OPEN"), FIRST, (SECOND,))
    once = close_alarms(alarmed, Role.REQUESTING, {FIRST, SECOND})
    assert once is not None
    assert once.alarmed
    assert close_alarms(once, Role.REQUESTING, {FIRST, SECOND}) is None
    assert ALARM_CLOSED not in allowed(_table(), once, Role.REQUESTING)
    assert ALARM_CLOSED in allowed(_table(), once, Role.REQUESTED)
    assert close_alarms(once, Role.REQUESTED, {FIRST, SECOND}) == State(name="OPEN")


def test_nobody_closes_an_alarm_that_he_has_not_seen_whole() -> None:
    """A closing counts only for alarms all of whose messages its author had seen."""
    alarmed = raise_alarm(raise_alarm(State(name="OPEN"), FIRST, (SECOND,)), THIRD, ())
    assert close_alarms(alarmed, Role.REQUESTING, {FIRST}) is None
    partly = close_alarms(alarmed, Role.REQUESTING, {THIRD})
    assert partly is not None
    assert [bool(alarm.closed_by) for alarm in partly.alarms] == [False, True]


def _set(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for name in path[:-1]:
            data = data[name]
        data[path[-1]] = value

    return change


def _drop(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for name in path[:-1]:
            data = data[name]
        del data[path[-1]]

    return change


BACK = [{"from": ["OPEN"], "by": "REQUESTED", "to": "NEW"}]
TWICE = [{"from": ["OPEN"], "by": "REQUESTED", "to": target} for target in ("OPEN", "DONE")]
REFUSED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a member is missing": (_drop("title"), "/title"),
    "a member is unknown": (_set("extra", value=1), "/extra"),
    "a flag is misspelt": (_set("acts", "reply", "irreversable", value=True), "/acts/reply/irreversable"),
    "a flag is no boolean": (_set("acts", "reply", "stop", value="no"), "/acts/reply/stop"),
    "the kind is unknown": (_set("acts", "reply", "kind", value="wish"), "/acts/reply/kind"),
    "the version is no version": (_set("version", value="one"), "/version"),
    "the subject is unknown": (_set("subject", value="adult"), "/subject"),
    "a side is missing": (_set("roles", value=["REQUESTING"]), "/roles"),
    "a side is unknown": (_set("roles", value=["REQUESTING", "OBSERVING"]), "/roles"),
    "the initial state does not exist": (_set("initial", value="NOWHERE"), "/initial"),
    "there is no final state": (_set("final", value=[]), "/final"),
    "the initial state is final": (_set("final", value=["NEW"]), "/final"),
    "a move leads nowhere": (_set("acts", "reply", "moves", 0, "to", value="NOWHERE"), "/acts/reply/moves/0/to"),
    "a move starts nowhere": (_set("acts", "reply", "moves", 0, "from", value=["X"]), "/acts/reply/moves/0/from"),
    "a move has no start": (_set("acts", "reply", "moves", 0, "from", value=[]), "/acts/reply/moves/0/from"),
    "an act makes no move": (_set("acts", "reply", "moves", value=[]), "/acts/reply/moves"),
    "two moves contradict": (_set("acts", "found", "moves", value=TWICE), "/acts/found/moves/1"),
    "no act opens": (_set("acts", "ask", "opens", value=False), "/acts"),
    "an act comes first without opening": (_set("acts", "found", "opens", value=True), "/acts/found/opens"),
    "the requested side opens": (_set("acts", "ask", "moves", 0, "by", value="REQUESTED"), "/acts/ask/moves"),
    "the start is reached again": (_set("acts", "found", "moves", value=BACK), "/acts/found/moves"),
    "a state is unreachable": (_set("states", "LOST", value={"title": "lost"}), "/states/LOST"),
    "an act has no name of a type": (_set("acts", "No Act", value=_data()["acts"]["reply"]), "/acts/No Act"),
    "the reserved act is defined": (_set("acts", ALARM_CLOSED, value=_data()["acts"]["reply"]), "/acts/alarm-closed"),
    "the reserved state is defined": (_set("states", "NOT_OPENED", value={"title": "x"}), "/states/NOT_OPENED"),
    "acts are a list": (_set("acts", value=[]), "/acts"),
    "states have no title": (_set("states", "OPEN", value={}), "/states/OPEN/title"),
    "a fraction has no canonical form": (_set("states", "OPEN", "source", value=0.5), "/"),
    "a deadline lacks its source": (_set("deadlines", 0, value={"id": "x"}), "/deadlines/0/from_event"),
    "a deadline starts with no act": (
        _set("deadlines", 0, "from_event", value="gone.delivered"),
        "/deadlines/0/from_event",
    ),
    "its side cannot settle a deadline": (_set("deadlines", 0, "until", value=["cancel"]), "/deadlines/0/until"),
    "no act extends a deadline": (
        _set("deadlines", 0, "extension", value={"act": "gone", "limit": {"weeks": 2}}),
        "/deadlines/0/extension/act",
    ),
    "two deadlines share an id": (_set("deadlines", value=_data()["deadlines"] * 2), "/deadlines/1/id"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_contradictory_table_is_refused(name: str) -> None:
    """A table that contradicts itself is refused with the place."""
    change, where = REFUSED[name]
    data = copy.deepcopy(_data())
    change(data)
    with pytest.raises(CatalogueInvalid) as caught:
        parse_table(data)
    assert caught.value.where == where


def test_a_state_that_is_left_by_nothing_must_be_final() -> None:
    """A dead end that is not final would keep a procedure open for ever."""
    data = _data()
    data["states"]["STUCK"] = {"title": "stuck"}
    data["acts"]["stick"] = {"kind": "act", "moves": [{"from": ["OPEN"], "by": "REQUESTED", "to": "STUCK"}]}
    with pytest.raises(CatalogueInvalid) as caught:
        parse_table(data)
    assert caught.value.where == "/states/STUCK"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_table_is_consistent(path: Path) -> None:
    """Each table that ships is accepted and named like its file."""
    table = parse_table(json.loads(path.read_text(encoding="utf-8")))
    assert table.procedure == path.stem
