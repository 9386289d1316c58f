# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One interpreter over procedure tables that are data: what may be done in which state, by which side.

- The member that wrote the first message is REQUESTING, the other REQUESTED, for the procedure's whole life.
- An *act* wants an effect and may be crossed. A *fact* reports what happened and is never crossed. A *stop* (withdrawal,
  cancellation, danger, refusal of consent) is placed before everything else that is ready. *Irreversible* is what no
  message can undo (departure, disclosure of a location, handover).
- ALARM is not a state of a table but lies over it: `State.name` is the underlying state, `State.alarms` what two people
  have to look at. While an alarm is open, acts that are not stops are not allowed; facts and stops still move the
  underlying state where the table allows them.
- An alarm is closed for one side by that side's reserved act ``alarm-closed``, provided that the message descends from
  everything the alarm is about (nobody closes what he has not seen). When both sides have closed it, it is gone and the
  state is the underlying one again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from broker.core import canonical
from broker.core.deadlines import Deadline, parse_deadline
from broker.core.errors import CatalogueInvalid, NotCanonical
from broker.core.ids import Digest, MessageType, SchemaVersion
from broker.core.roles import Role

__all__ = [
    "ALARM_CLOSED",
    "NOT_OPENED",
    "Act",
    "ActKind",
    "Alarm",
    "ProcedureTable",
    "Role",
    "State",
    "allowed",
    "close_alarms",
    "parse_table",
    "raise_alarm",
    "start",
    "step",
]

ALARM_CLOSED = "alarm-closed"  # reserved: every table has it, no table defines it
NOT_OPENED = "NOT_OPENED"  # shown for a procedure whose first message is not recorded yet; no state of any table


class ActKind(StrEnum):
    """Whether a message wants an effect or reports what happened."""

    ACT = "act"
    FACT = "fact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One kind of message of a procedure and the moves it makes."""

    name: str
    kind: ActKind
    stop: bool
    opens: bool
    irreversible: bool
    moves: Mapping[tuple[str, Role], str]  # (state, by) → state
    title: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureTable:
    """A procedure's states and acts, checked for consistency. Built by `parse_table`."""

    procedure: str
    version: SchemaVersion
    digest: Digest  # of the table's canonical bytes: named by every message of the procedure
    title: str
    source: str
    subject: str  # "child" or "none" (CASEWORK E-1)
    roles: tuple[Role, ...]
    initial: str
    final: frozenset[str]
    states: Mapping[str, str]  # name → title
    acts: Mapping[str, Act]
    deadlines: tuple[Deadline, ...]

    @property
    def has_subject(self) -> bool:
        """Whether the procedure is about a child and therefore has a case reference."""
        return self.subject == "child"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that happened although the record did not allow it; a person of each side closes it."""

    message: Digest  # the message whose place in the order raised it
    about: tuple[Digest, ...]  # sorted; a closing message must descend from all of them
    closed_by: frozenset[Role] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a procedure stands: a state of its table and the open alarms over it."""

    name: str
    alarms: tuple[Alarm, ...] = ()  # in the order raised

    @property
    def alarmed(self) -> bool:
        """Whether an alarm is open on both sides."""
        return bool(self.alarms)


def start(table: ProcedureTable) -> State:
    """Return the state before the first message."""
    return State(name=table.initial)


def step(table: ProcedureTable, state: State, act: str, role: Role) -> State | None:
    """Return the state after the act, or None where it is not allowed; ``alarm-closed`` goes through `close_alarms`."""
    definition = table.acts.get(act)
    if definition is None:
        return None
    if state.alarms and definition.kind is ActKind.ACT and not definition.stop:
        return None
    target = definition.moves.get((state.name, role))
    if target is None:
        return None
    return state if target == state.name else State(name=target, alarms=state.alarms)


def allowed(table: ProcedureTable, state: State, role: Role) -> tuple[str, ...]:
    """Return the acts that side may send now, in the table's order."""
    acts = tuple(name for name in table.acts if step(table, state, name, role) is not None)
    closable = any(role not in alarm.closed_by for alarm in state.alarms)
    return (*acts, ALARM_CLOSED) if closable else acts


def raise_alarm(state: State, message: Digest, about: Collection[Digest]) -> State:
    """Return the state with one more open alarm over it."""
    alarm = Alarm(message=message, about=tuple(sorted({message, *about})))
    return replace(state, alarms=(*state.alarms, alarm))


def close_alarms(state: State, role: Role, seen: Collection[Digest]) -> State | None:
    """Close for one side every alarm all of which it has seen; None where there is none that this side could close."""
    alarms = tuple(
        replace(alarm, closed_by=alarm.closed_by | {role}) if all(digest in seen for digest in alarm.about) else alarm
        for alarm in state.alarms
    )
    if alarms == state.alarms:
        return None
    return replace(state, alarms=tuple(alarm for alarm in alarms if len(alarm.closed_by) < len(Role)))


# --- reading a table ------------------------------------------------------------------------------------------------

_TABLE = {"procedure", "version", "title", "source", "subject", "roles", "initial", "final", "states", "acts", "deadlines"}  # fmt: skip
_TABLE_REQUIRED = _TABLE - {"source", "deadlines"}
_ACT = {"title", "kind", "stop", "opens", "irreversible", "moves", "source"}
_ACT_REQUIRED = {"kind", "moves"}
_MOVE = {"from", "by", "to"}


def parse_table(data: Mapping[str, Any], digest: Digest | None = None) -> ProcedureTable:
    """Return the checked table of a JSON object; without a digest it is computed from the object's canonical bytes.

    Raises:
        CatalogueInvalid: the table contradicts itself; ``where`` points at the place.
    """
    _members(data, _TABLE, _TABLE_REQUIRED, "")
    states = {name: _text(_members(item, {"title", "source"}, {"title"}, f"/states/{name}"), "title", f"/states/{name}")
              for name, item in _mapping(data["states"], "/states").items()}  # fmt: skip
    table = ProcedureTable(
        procedure=_text(data, "procedure", ""),
        version=_version(data["version"]),
        digest=digest or _digest(data),
        title=_text(data, "title", ""),
        source=str(data.get("source", "")),
        subject=_text(data, "subject", ""),
        roles=tuple(_role(item, "/roles") for item in _list(data["roles"], "/roles")),
        initial=_state(data["initial"], states, "/initial"),
        final=frozenset(_state(item, states, "/final") for item in _list(data["final"], "/final")),
        states=MappingProxyType(states),
        acts=MappingProxyType(
            {name: _act(name, item, states) for name, item in _mapping(data["acts"], "/acts").items()}
        ),
        deadlines=tuple(
            parse_deadline(item, f"/deadlines/{position}")
            for position, item in enumerate(_list(data.get("deadlines", []), "/deadlines"))
        ),
    )
    _check(table)
    return table


def _check(table: ProcedureTable) -> None:
    """Refuse what no single place shows: names, roles, openings, reachability, dead ends."""
    if table.subject not in {"child", "none"}:
        raise CatalogueInvalid("The subject is child or none.", where="/subject")
    if set(table.roles) != set(Role) or len(table.roles) != len(Role):
        raise CatalogueInvalid("A record has exactly the two sides REQUESTING and REQUESTED.", where="/roles")
    if not table.final or table.initial in table.final:
        raise CatalogueInvalid("There must be final states, and the initial one is not among them.", where="/final")
    if not any(act.opens for act in table.acts.values()):
        raise CatalogueInvalid("No act opens the procedure.", where="/acts")
    for act in table.acts.values():
        _check_opening(table, act)
    _check_deadlines(table)
    reached = {table.initial}
    moves = [(source, target) for act in table.acts.values() for (source, _), target in act.moves.items()]
    for _ in table.states:
        reached |= {target for source, target in moves if source in reached}
    for state in table.states:
        if state == NOT_OPENED:
            raise CatalogueInvalid("This name is reserved.", where=f"/states/{state}")
        if state not in reached:
            raise CatalogueInvalid("No sequence of acts leads to this state.", where=f"/states/{state}")
        if state not in table.final and not any(source == state for source, _ in moves):
            raise CatalogueInvalid("Nothing leads out of this state and it is not final.", where=f"/states/{state}")


def _check_deadlines(table: ProcedureTable) -> None:
    """Refuse a deadline that names an act of no move, that its side cannot settle, or that shares its id."""
    for position, deadline in enumerate(table.deadlines):
        where = f"/deadlines/{position}"
        if deadline.id in {other.id for other in table.deadlines[:position]}:
            raise CatalogueInvalid("Two deadlines have this id.", where=f"{where}/id")
        if deadline.act not in table.acts:
            raise CatalogueInvalid("No act of that name starts it.", where=f"{where}/from_event")
        for act in deadline.until:
            if act not in table.acts or deadline.by not in {role for _, role in table.acts[act].moves}:
                raise CatalogueInvalid("That side has no such act to settle it with.", where=f"{where}/until")
        if deadline.extension is not None and deadline.extension.act not in table.acts:
            raise CatalogueInvalid("No act of that name extends it.", where=f"{where}/extension/act")


def _check_opening(table: ProcedureTable, act: Act) -> None:
    """Refuse an act that could come first without opening, an opening that cannot, and a way back to the start."""
    try:
        MessageType(f"{table.procedure}.{act.name}")
    except ValueError:
        raise CatalogueInvalid("Procedure and act do not form a message type.", where=f"/acts/{act.name}") from None
    sources = {source for source, _ in act.moves}
    if act.opens is not (table.initial in sources):
        raise CatalogueInvalid("Exactly the opening acts leave the initial state.", where=f"/acts/{act.name}/opens")
    if (table.initial, Role.REQUESTED) in act.moves:
        raise CatalogueInvalid("Only the requesting side opens a procedure.", where=f"/acts/{act.name}/moves")
    if table.initial in act.moves.values():
        raise CatalogueInvalid("Nothing leads back to the initial state.", where=f"/acts/{act.name}/moves")


def _act(name: str, data: Any, states: Mapping[str, str]) -> Act:
    where = f"/acts/{name}"
    item = _members(data, _ACT, _ACT_REQUIRED, where)
    if name == ALARM_CLOSED:
        raise CatalogueInvalid("This act is reserved and not defined by a table.", where=where)
    moves: dict[tuple[str, Role], str] = {}
    for position, raw in enumerate(_list(item["moves"], f"{where}/moves")):
        place = f"{where}/moves/{position}"
        move = _members(raw, _MOVE, _MOVE, place)
        role = _role(move["by"], f"{place}/by")
        target = _state(move["to"], states, f"{place}/to")
        sources = [_state(source, states, f"{place}/from") for source in _list(move["from"], f"{place}/from")]
        if not sources:
            raise CatalogueInvalid("A move leaves at least one state.", where=f"{place}/from")
        for source in sources:
            if (source, role) in moves:
                raise CatalogueInvalid("Two moves for one state, side and act.", where=place)
            moves[source, role] = target
    if not moves:
        raise CatalogueInvalid("An act makes at least one move.", where=f"{where}/moves")
    try:
        kind = ActKind(item["kind"])
    except ValueError:
        raise CatalogueInvalid("The kind is act or fact.", where=f"{where}/kind") from None
    return Act(
        name=name,
        kind=kind,
        stop=_flag(item, "stop", where),
        opens=_flag(item, "opens", where),
        irreversible=_flag(item, "irreversible", where),
        moves=MappingProxyType(moves),
        title=str(item.get("title", "")),
        source=str(item.get("source", "")),
    )


def _members(data: Any, known: Collection[str], required: Collection[str], where: str) -> Mapping[str, Any]:
    """Refuse unknown members too: a misspelt "irreversible" would silently be false."""
    item = _mapping(data, where)
    for name in required:
        if name not in item:
            raise CatalogueInvalid("A required member is missing.", where=f"{where}/{name}")
    for name in item:
        if name not in known:
            raise CatalogueInvalid("An unknown member.", where=f"{where}/{name}")
    return item


def _mapping(data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping) or not all(isinstance(name, str) and name for name in data):
        raise CatalogueInvalid("This must be an object.", where=where or "/")
    return data


def _list(data: Any, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise CatalogueInvalid("This must be a list.", where=where)
    return data


def _text(item: Mapping[str, Any], name: str, where: str) -> str:
    value = item[name]
    if not isinstance(value, str) or not value:
        raise CatalogueInvalid("This must be a text.", where=f"{where}/{name}")
    return value


def _flag(item: Mapping[str, Any], name: str, where: str) -> bool:
    value = item.get(name, False)
    if not isinstance(value, bool):
        raise CatalogueInvalid("This must be true or false.", where=f"{where}/{name}")
    return value


def _role(value: Any, where: str) -> Role:
    try:
        return Role(value)
    except ValueError:
        raise CatalogueInvalid("The side is REQUESTING or REQUESTED.", where=where) from None


def _state(value: Any, states: Mapping[str, str], where: str) -> str:
    if not isinstance(value, str) or value not in states:
        raise CatalogueInvalid("There is no state of that name.", where=where)
    return value


def _version(value: Any) -> SchemaVersion:
    try:
        return SchemaVersion(value)
    except ValueError:
        raise CatalogueInvalid("The version is major.minor.", where="/version") from None


def _digest(data: Mapping[str, Any]) -> Digest:
    try:
        return canonical.digest(canonical.dump(dict(data)))
    except NotCanonical:
        raise CatalogueInvalid("The table has no canonical form.", where="/") from None
