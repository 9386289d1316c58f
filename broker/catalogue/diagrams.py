# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A state diagram in Mermaid's notation, made of a procedure table alone."""

from __future__ import annotations

from broker.core.procedures import Act, ActKind, ProcedureTable, Role

__all__ = ["diagram", "standing"]

_SIDE = {Role.REQUESTING: "→", Role.REQUESTED: "←"}


def diagram(table: ProcedureTable) -> str:
    """Return the states and the moves between them; acts that leave the state as it is are not drawn (`standing`).

    ``→`` is sent by the requesting side, ``←`` by the requested one; ``!`` marks a stop, ``*`` a fact, ``‡`` what no
    message can undo.
    """
    labels: dict[tuple[str, str], list[str]] = {}
    for act in table.acts.values():
        for (source, role), target in act.moves.items():
            if source != target:
                label = f"{_SIDE[role]} {act.name}{_marks(act)}"
                labels.setdefault((source, target), []).append(label)
    lines = ["stateDiagram-v2", f"    [*] --> {table.initial}"]
    lines += [f"    {source} --> {target}: {', '.join(names)}" for (source, target), names in labels.items()]
    lines += [f"    {state} --> [*]" for state in table.states if state in table.final]
    return "\n".join(lines) + "\n"


def standing(table: ProcedureTable) -> tuple[str, ...]:
    """Return the acts that never move the state, in the table's order."""
    return tuple(
        act.name for act in table.acts.values() if all(source == target for (source, _), target in act.moves.items())
    )


def _marks(act: Act) -> str:
    return f"{'!' * act.stop}{'*' * (act.kind is ActKind.FACT)}{'‡' * act.irreversible}"
