# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about how procedure tables are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.core import canonical
from broker.core.errors import CatalogueInvalid
from broker.core.procedures import ALARM_CLOSED, Clearance, ParticipantRole, Role, Silence
from broker.core.tables import parse_table

SHIPPED = Path(__file__).parents[3] / "schemas" / "procedures"


def test_a_table_is_named_by_the_digest_of_its_canonical_bytes(data: dict[str, Any]) -> None:
    """Whoever holds the same table names it alike."""
    assert parse_table(data).digest == canonical.digest(canonical.dump(data))


def test_a_table_has_its_deadlines_and_tells_whether_there_is_a_case(data: dict[str, Any]) -> None:
    """Deadlines are read with the table; the subject tells whether there is a case."""
    table = parse_table(data)
    assert table.has_subject
    assert table.deadlines[0].id == "answer"
    assert not parse_table({**data, "subject": "none"}).has_subject


def test_groups_of_states_and_sides_stand_for_their_members(data: dict[str, Any]) -> None:
    """``@open``, ``@closed``, ``@any``, a list of sides and ``@same`` are written out as single moves."""
    data["acts"]["note"] = {
        "kind": "act",
        "moves": [{"from": ["@any"], "by": ["REQUESTING", "REQUESTED"], "to": "@same"}],
    }
    data["acts"]["give-up"] = {"kind": "act", "moves": [{"from": ["@open"], "by": "REQUESTED", "to": "DONE"}]}
    data["acts"]["again"] = {
        "kind": "act",
        "reopens": True,
        "moves": [{"from": ["@closed"], "by": "REQUESTED", "to": "OPEN"}],
    }
    acts = parse_table(data).acts
    assert acts["note"].moves == {(state, role): state for state in ("OPEN", "DONE") for role in Role}
    assert acts["give-up"].moves == {("OPEN", Role.REQUESTED): "DONE"}
    assert acts["again"].moves == {("DONE", Role.REQUESTED): "OPEN"}


def test_bases_senders_clearances_and_who_is_waited_for_are_read(data: dict[str, Any]) -> None:
    """What a table says beyond its moves is there as values."""
    data["states"]["OPEN"]["waits_for"] = ["REQUESTED"]
    data["bases"] = {"H96_33": {"silence": "NOT_CONSENT", "source": "H96 33", "exemptions": ["X"], "notice_only": True}}
    data["acts"]["reply"]["sender"] = "DECIDING"
    data["acts"]["go"] = {
        "kind": "act", "irreversible": True, "clearance": {"act": "found", "covers": "ask"},
        "moves": [{"from": ["OPEN"], "by": "REQUESTING", "to": "DONE"}],
    }  # fmt: skip
    table = parse_table(data)
    assert table.waits_for["OPEN"] == (Role.REQUESTED,)
    assert table.waits_for["DONE"] == ()
    basis = table.bases["H96_33"]
    assert (basis.silence, basis.exemptions, basis.notice_only) == (Silence.NOT_CONSENT, {"X"}, True)
    assert table.acts["reply"].sender is ParticipantRole.DECIDING
    assert table.acts["go"].clearance == Clearance(act="found", covers="ask")
    assert table.acts["ask"].sender is None


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
AGAIN = [{"from": ["DONE"], "by": "REQUESTED", "to": "OPEN"}]
OVERLAP = [{"from": [source], "by": "REQUESTED", "to": "@same"} for source in ("OPEN", "@open")]
REPLY = {"kind": "act", "moves": [{"from": ["OPEN"], "by": "REQUESTED", "to": "DONE"}]}
CLEARED = {"act": "found", "covers": "ask"}
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
    "an act has no name of a type": (_set("acts", "No Act", value=REPLY), "/acts/No Act"),
    "the reserved act is defined": (_set("acts", ALARM_CLOSED, value=REPLY), "/acts/alarm-closed"),
    "the reserved state is defined": (_set("states", "NOT_OPENED", value={"title": "x"}), "/states/NOT_OPENED"),
    "an act leaves a final state unsaid": (_set("acts", "reply", "moves", value=AGAIN), "/acts/reply/reopens"),
    "a reopening reopens nothing": (_set("acts", "reply", "reopens", value=True), "/acts/reply/reopens"),
    "a group is unknown": (_set("acts", "reply", "moves", 0, "from", value=["@all"]), "/acts/reply/moves/0/from"),
    "a move is by nobody": (_set("acts", "reply", "moves", 0, "by", value=[]), "/acts/reply/moves/0/from"),
    "a group overlaps": (_set("acts", "found", "moves", value=OVERLAP), "/acts/found/moves/1"),
    "a clearance of what can be undone": (_set("acts", "reply", "clearance", value=CLEARED), "/acts/reply/clearance"),
    "a sender is unknown": (_set("acts", "reply", "sender", value="BOSS"), "/acts/reply/sender"),
    "silence has no meaning": (_set("bases", value={"X": {"silence": "YES", "source": "x"}}), "/bases/X/silence"),
    "a basis has no source": (_set("bases", value={"X": {"silence": "NO_ANSWER"}}), "/bases/X/source"),
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
    "no deadline takes its place": (
        _set("deadlines", 0, "replaced_by", value=["cancel"]),
        "/deadlines/0/replaced_by",
    ),
    "two deadlines share an id": (lambda data: data["deadlines"].extend(data["deadlines"]), "/deadlines/1/id"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_contradictory_table_is_refused(data: dict[str, Any], name: str) -> None:
    """A table that contradicts itself is refused with the place."""
    change, where = REFUSED[name]
    change(data)
    with pytest.raises(CatalogueInvalid) as caught:
        parse_table(data)
    assert caught.value.where == where


def test_a_state_that_is_left_by_nothing_must_be_final(data: dict[str, Any]) -> None:
    """A dead end that is not final would keep a procedure open for ever."""
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


@pytest.mark.parametrize(
    ("clearance", "by"),
    [({"act": "no-such-act", "covers": "ask"}, "REQUESTING"), ({"act": "found", "covers": "nothing"}, "REQUESTING"),
     ({"act": "found", "covers": "ask"}, "REQUESTED")],
    ids=["unknown act", "covers nothing", "of one's own side"],
)  # fmt: skip
def test_a_clearance_is_an_act_of_the_other_side(data: dict[str, Any], clearance: dict[str, str], by: str) -> None:
    """Nobody clears himself, and a clearance names acts of its table."""
    data["acts"]["go"] = {
        "kind": "act", "irreversible": True, "clearance": clearance, "moves": [{"from": ["OPEN"], "by": by, "to": "DONE"}],
    }  # fmt: skip
    with pytest.raises(CatalogueInvalid) as caught:
        parse_table(data)
    assert caught.value.where == "/acts/go/clearance"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_table_says_who_is_waited_for_and_what_silence_means(path: Path) -> None:
    """No open state is without a next step, no basis without a meaning of silence, no act without title and source."""
    table = parse_table(json.loads(path.read_text(encoding="utf-8")))
    waiting = {state for state in table.states if state not in {table.initial, *table.final}}
    assert {state for state in waiting if not table.waits_for[state]} == set()
    assert {state for state in table.final if table.waits_for[state]} == set()
    assert table.bases
    assert {act.name for act in table.acts.values() if not (act.title and act.source)} == set()
