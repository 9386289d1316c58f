# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Reads procedure tables: from a JSON object to a checked `ProcedureTable`.

Short forms in moves, so that a table stays readable:

- ``from``: ``@open`` is each state that is neither initial nor final, ``@closed`` each final one, ``@any`` both.
- ``by``: one side, or a list of both.
- ``to``: ``@same`` leaves the state as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from broker.core import canonical
from broker.core.deadline_tables import parse_deadline
from broker.core.errors import CatalogueInvalid, NotCanonical
from broker.core.ids import Digest, MessageType, SchemaVersion
from broker.core.procedures import (
    ALARM_CLOSED,
    NOT_OPENED,
    Act,
    ActKind,
    Basis,
    Clearance,
    ParticipantRole,
    ProcedureTable,
    Role,
    Silence,
)

__all__ = ["parse_table"]

E = TypeVar("E", bound=StrEnum)

_TABLE = {"procedure", "version", "title", "description", "source", "subject", "roles", "initial", "final", "states", "acts", "deadlines", "bases"}  # fmt: skip
_TABLE_REQUIRED = _TABLE - {"description", "source", "deadlines", "bases"}
_STATE = {"title", "source", "waits_for"}
_ACT = {"title", "kind", "stop", "opens", "reopens", "irreversible", "sender", "clearance", "moves", "source"}
_ACT_REQUIRED = {"kind", "moves"}
_MOVE = {"from", "by", "to"}
_BASIS = {"silence", "exemptions", "notice_only", "source", "verified"}
_PRODUCT_DEFAULT = "PRODUCT_DEFAULT"
_SAME = "@same"


@dataclass(frozen=True, slots=True, kw_only=True)
class _States:
    """The names that moves refer to."""

    initial: str
    final: tuple[str, ...]
    titles: Mapping[str, str]

    def named(self, value: Any, where: str) -> tuple[str, ...]:
        """Return the states that an item of ``from`` stands for."""
        unfinished = tuple(name for name in self.titles if name != self.initial and name not in self.final)
        groups = {"@open": unfinished, "@closed": self.final, "@any": (*unfinished, *self.final)}
        if isinstance(value, str) and value in groups:
            return groups[value]
        return (_state(value, self.titles, where),)


def parse_table(data: Mapping[str, Any]) -> ProcedureTable:
    """Return the checked table of a JSON object; its digest is over the object's canonical bytes.

    Raises:
        CatalogueInvalid: the table contradicts itself; ``where`` points at the place.
    """
    _members(data, _TABLE, _TABLE_REQUIRED, "")
    found = {name: _members(item, _STATE, {"title"}, f"/states/{name}")
             for name, item in _mapping(data["states"], "/states").items()}  # fmt: skip
    titles = {name: _text(item, "title", f"/states/{name}") for name, item in found.items()}
    states = _States(
        initial=_state(data["initial"], titles, "/initial"),
        final=tuple(_state(item, titles, "/final") for item in _list(data["final"], "/final")),
        titles=titles,
    )
    table = ProcedureTable(
        procedure=_text(data, "procedure", ""),
        version=_version(data["version"]),
        digest=_digest(data),
        title=_text(data, "title", ""),
        description=str(data.get("description", "")),
        source=str(data.get("source", "")),
        subject=_text(data, "subject", ""),
        roles=_sides(data["roles"], "/roles"),
        initial=states.initial,
        final=frozenset(states.final),
        states=MappingProxyType(titles),
        acts=MappingProxyType(
            {name: _act(name, item, states) for name, item in _mapping(data["acts"], "/acts").items()}
        ),
        deadlines=tuple(
            parse_deadline(item, f"/deadlines/{position}")
            for position, item in enumerate(_list(data.get("deadlines", []), "/deadlines"))
        ),
        waits_for=MappingProxyType(
            {name: _sides(item.get("waits_for", []), f"/states/{name}/waits_for") for name, item in found.items()}
        ),
        bases=MappingProxyType(
            {code: _basis(code, item) for code, item in _mapping(data.get("bases", {}), "/bases").items()}
        ),
    )
    _check(table)
    return table


# --- what no single place shows -------------------------------------------------------------------------------------


def _check(table: ProcedureTable) -> None:
    """Refuse names, roles, openings, states and clearances that do not fit together."""
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
        _check_reopening(table, act)
        _check_clearance(table, act)
    _check_deadlines(table)
    _check_states(table)


def _check_states(table: ProcedureTable) -> None:
    reached = {table.initial}
    moves = [(source, target) for act in table.acts.values() for (source, _), target in act.moves.items()]
    for _ in table.states:
        reached |= {target for source, target in moves if source in reached}
    for state in table.states:
        if state == NOT_OPENED:
            raise CatalogueInvalid("This name is reserved.", where=f"/states/{state}")
        if state not in reached:
            raise CatalogueInvalid("No sequence of acts leads to this state.", where=f"/states/{state}")
        if state not in table.final and not any(source == state != target for source, target in moves):
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
        if not set(deadline.replaced_by) <= {other.act for other in table.deadlines}:
            raise CatalogueInvalid("No deadline takes its place then.", where=f"{where}/replaced_by")
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


def _check_reopening(table: ProcedureTable, act: Act) -> None:
    """Refuse a way out of a closed procedure that does not say so; a fact may always tell what happened."""
    leaves = any(source in table.final and target not in table.final for (source, _), target in act.moves.items())
    if act.reopens is not leaves and not (leaves and act.kind is ActKind.FACT):
        raise CatalogueInvalid("Exactly the reopening acts leave a final state.", where=f"/acts/{act.name}/reopens")


def _check_clearance(table: ProcedureTable, act: Act) -> None:
    if act.clearance is None:
        return
    where = f"/acts/{act.name}/clearance"
    if not act.irreversible:
        raise CatalogueInvalid("Only an irreversible act needs a clearance.", where=where)
    for name in (act.clearance.act, act.clearance.covers):
        if name not in table.acts:
            raise CatalogueInvalid("The clearance names no act of this table.", where=where)
    senders = {role for _, role in act.moves}
    if senders & {role for _, role in table.acts[act.clearance.act].moves}:
        raise CatalogueInvalid("The clearance comes from the other side.", where=where)


# --- one place at a time --------------------------------------------------------------------------------------------


def _act(name: str, data: Any, states: _States) -> Act:
    where = f"/acts/{name}"
    item = _members(data, _ACT, _ACT_REQUIRED, where)
    if name == ALARM_CLOSED:
        raise CatalogueInvalid("This act is reserved and not defined by a table.", where=where)
    moves: dict[tuple[str, Role], str] = {}
    for position, raw in enumerate(_list(item["moves"], f"{where}/moves")):
        place = f"{where}/moves/{position}"
        for key, target in _moves(_members(raw, _MOVE, _MOVE, place), states, place):
            if key in moves:
                raise CatalogueInvalid("Two moves for one state, side and act.", where=place)
            moves[key] = target
    if not moves:
        raise CatalogueInvalid("An act makes at least one move.", where=f"{where}/moves")
    return Act(
        name=name,
        kind=_member_of(ActKind, item["kind"], f"{where}/kind"),
        stop=_flag(item, "stop", where),
        opens=_flag(item, "opens", where),
        reopens=_flag(item, "reopens", where),
        irreversible=_flag(item, "irreversible", where),
        moves=MappingProxyType(moves),
        sender=_member_of(ParticipantRole, item["sender"], f"{where}/sender") if "sender" in item else None,
        clearance=_clearance(item["clearance"], f"{where}/clearance") if "clearance" in item else None,
        title=str(item.get("title", "")),
        source=str(item.get("source", "")),
    )


def _moves(move: Mapping[str, Any], states: _States, place: str) -> Iterator[tuple[tuple[str, Role], str]]:
    sides = _sides(move["by"] if isinstance(move["by"], list) else [move["by"]], f"{place}/by")
    target = move["to"] if move["to"] == _SAME else _state(move["to"], states.titles, f"{place}/to")
    named = [states.named(item, f"{place}/from") for item in _list(move["from"], f"{place}/from")]
    if not named or not sides:
        raise CatalogueInvalid("A move leaves at least one state, by at least one side.", where=f"{place}/from")
    for source in (source for group in named for source in group):
        for role in sides:
            yield (source, role), source if target == _SAME else target


def _clearance(data: Any, where: str) -> Clearance:
    item = _members(data, {"act", "covers"}, {"act", "covers"}, where)
    return Clearance(act=_text(item, "act", where), covers=_text(item, "covers", where))


def _basis(code: str, data: Any) -> Basis:
    where = f"/bases/{code}"
    item = _members(data, _BASIS, {"silence", "source"}, where)
    exemptions = _list(item.get("exemptions", []), f"{where}/exemptions")
    if not all(isinstance(exemption, str) for exemption in exemptions):
        raise CatalogueInvalid("An exemption is a code.", where=f"{where}/exemptions")
    return Basis(
        silence=_member_of(Silence, item["silence"], f"{where}/silence"),
        exemptions=frozenset(exemptions),
        notice_only=_flag(item, "notice_only", where),
        source=_text(item, "source", where),
        verified=_verified(item, where),
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


def _verified(item: Mapping[str, Any], where: str) -> bool | str:
    value = item.get("verified", True)
    if isinstance(value, bool) or value == _PRODUCT_DEFAULT:
        return value if isinstance(value, bool) else _PRODUCT_DEFAULT
    raise CatalogueInvalid("This must be true, false or PRODUCT_DEFAULT.", where=f"{where}/verified")


def _sides(value: Any, where: str) -> tuple[Role, ...]:
    return tuple(_member_of(Role, item, where) for item in _list(value, where))


def _member_of(kind: type[E], value: Any, where: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise CatalogueInvalid(f"This must be one of: {', '.join(kind)}.", where=where) from None


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
