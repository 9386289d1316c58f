# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One interpreter over procedure tables that are data: what may be done in which state, by which side.

- The member that wrote the first message is REQUESTING, the other REQUESTED, for the procedure's whole life: exactly two
  nodes are the sides of a record. Which *offices* take part, and as what, is told by `broker.core.participants`.
- An *act* wants an effect and may be crossed. A *fact* reports what happened and is never crossed. A *stop* (withdrawal,
  cancellation, danger, refusal of consent) is placed before everything else that is ready. *Irreversible* is what no
  message can undo (departure, disclosure of a location, handover); what it needs from the other side is its clearance.
- A procedure is closed in a final state. Only facts and acts marked as *reopening* lead out of one.
- Silence never moves a state: no clock enters the record. What silence means is told per legal basis.
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

from broker.core.deadlines import Deadline
from broker.core.ids import Digest, SchemaVersion
from broker.core.roles import Role

__all__ = [
    "ALARM_CLOSED",
    "NOT_OPENED",
    "Act",
    "ActKind",
    "Alarm",
    "Basis",
    "Clearance",
    "ParticipantRole",
    "ProcedureTable",
    "Role",
    "Silence",
    "State",
    "allowed",
    "close_alarms",
    "raise_alarm",
    "start",
    "step",
]

ALARM_CLOSED = "alarm-closed"  # reserved: every table has it, no table defines it
NOT_OPENED = "NOT_OPENED"  # shown for a procedure whose first message is not recorded yet; no state of any table


class ParticipantRole(StrEnum):
    """As what an office takes part (CASEWORK E-4)."""

    REQUESTING = "REQUESTING"  # asks, for its side
    REQUESTED = "REQUESTED"  # is asked, for its side
    DECIDING = "DECIDING"
    EXECUTING = "EXECUTING"
    OBSERVING = "OBSERVING"  # is told, and sends nothing


class Silence(StrEnum):
    """What an unanswered request means once its time is over (rule R-08); it never moves a state."""

    NO_ANSWER = "NO_ANSWER"  # overdue, and nothing follows from it
    NOT_CONSENT = "NOT_CONSENT"  # overdue; consent was not given: B2b 82, recital 83; H96 33
    ACCEPTED_ELSEWHERE = "ACCEPTED_ELSEWHERE"  # AMMR 39, 40: counts as yes in the asylum unit's own channel, not here


class ActKind(StrEnum):
    """Whether a message wants an effect or reports what happened."""

    ACT = "act"
    FACT = "fact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """What an irreversible act needs: an act of the other side in effect that names what it covers, and until when."""

    act: str  # of the other side; its body has ``covers`` (a digest) and ``valid_until`` (a day)
    covers: str  # the act whose newest message must be the one that is covered


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What holds for a procedure on one legal basis."""

    silence: Silence
    exemptions: frozenset[str] = frozenset()  # codes that stand in for consent (CASEWORK C-03)
    notice_only: bool = False  # the act itself travels by the channel that the basis prescribes
    source: str = ""
    verified: bool | str = True  # False: not read in the source itself; "PRODUCT_DEFAULT": no law


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One kind of message of a procedure and the moves it makes."""

    name: str
    kind: ActKind
    stop: bool
    opens: bool
    irreversible: bool
    moves: Mapping[tuple[str, Role], str]  # (state, by) → state
    reopens: bool = False  # leads out of a final state
    sender: ParticipantRole | None = None  # where an office plays this role on the author's side, it alone sends it
    clearance: Clearance | None = None
    title: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureTable:
    """A procedure's states and acts, checked for consistency. Built by `broker.core.tables.parse_table`."""

    procedure: str
    version: SchemaVersion
    digest: Digest  # of the table's canonical bytes: named by every message of the procedure
    title: str
    description: str  # what it is for, in one sentence for people
    source: str
    subject: str  # "child" or "none" (CASEWORK E-1)
    roles: tuple[Role, ...]
    initial: str
    final: frozenset[str]
    states: Mapping[str, str]  # name → title
    acts: Mapping[str, Act]
    deadlines: tuple[Deadline, ...]
    waits_for: Mapping[str, tuple[Role, ...]]  # state → the sides that are to act next
    bases: Mapping[str, Basis]  # the legal bases the procedure may rest on

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
    target = None if definition is None else _target(state, definition, role)
    if target is None:
        return None
    return state if target == state.name else State(name=target, alarms=state.alarms)


def _target(state: State, act: Act, role: Role) -> str | None:
    """Return the state that the act leads to; under an alarm only what stops, or what has happened, leads anywhere."""
    if state.alarms and act.kind is ActKind.ACT and not act.stop:
        return None
    return act.moves.get((state.name, role))


def allowed(table: ProcedureTable, state: State, role: Role) -> tuple[str, ...]:
    """Return the acts that side may send now, in the table's order."""
    acts = tuple([name for name, act in table.acts.items() if _target(state, act, role) is not None])
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
