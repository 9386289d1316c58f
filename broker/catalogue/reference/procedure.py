# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The page of one procedure: what it is for, its diagram, who may do what, the law, the clocks, its own messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broker.catalogue.bundle import CodeList
from broker.catalogue.diagrams import diagram, standing
from broker.catalogue.reference.fields import schema_section
from broker.catalogue.reference.markdown import Row, anchor, names, sides, source_cell, table
from broker.core.deadlines import Deadline, Limit
from broker.core.procedures import Act, ActKind, ProcedureTable, Role, Silence

__all__ = ["DEADLINE_HEAD", "SILENCE", "deadline_row", "procedure_page"]

Schema = Mapping[str, Any]

SILENCE = {
    Silence.NO_ANSWER: "no answer; nothing follows from it",
    Silence.NOT_CONSENT: "**not consent**",
    Silence.ACCEPTED_ELSEWHERE: "counts as yes in the official channel, not here",
}
DEADLINE_HEAD = ("deadline", "runs from", "limit", "who must act", "settled by", "where", "kind", "source")


def procedure_page(
    table_of: ProcedureTable, own: Mapping[str, Schema], shared: frozenset[str], bases: CodeList
) -> Iterator[str]:
    """Yield the page's lines.

    Args:
        table_of: the newest table of the procedure.
        own: the schemas of the messages that are this procedure's own, by type.
        shared: the acts whose schema every procedure shares.
        bases: the list that says what the legal bases are called.
    """
    yield f"# {table_of.title}\n"
    about = "About a child." if table_of.has_subject else "About nobody: no message can name a person."
    yield f"{table_of.description}\n"
    yield f"{about} `{table_of.procedure}`, table {table_of.version}. Source: {table_of.source}\n"
    yield (
        "[All procedures](../../README.md) · [shared acts](../acts.md) · [parts](../parts.md) · [codes](../codes.md) · "
        "[all deadlines](../deadlines.md) · [what to check](../to-check.md)\n"
    )
    yield f"## How it goes\n\n```mermaid\n{diagram(table_of)}```\n"
    yield (
        "`→` is sent by the requesting side, `←` by the requested one; `!` marks a stop, `*` a fact, `‡` what no message "
        f"can undo. Acts that leave the state as it is: {names(standing(table_of)) or 'none'}.\n"
    )
    states = (
        (f"`{name}`", title, "closed" if name in table_of.final else sides(table_of.waits_for[name]))
        for name, title in table_of.states.items()
    )
    yield table(("state", "means", "next to act"), states)
    yield "## Who may do what\n"
    yield table(
        ("act", "says", "by", "kind", "source"),
        (_act(act, table_of.procedure, shared) for act in table_of.acts.values()),
    )
    yield "## Legal bases, and what silence means\n"
    yield table(("legal basis", "is", "silence means", "without consent where", "source"), _bases(table_of, bases))
    yield "## Deadlines\n"
    yield table(DEADLINE_HEAD, map(deadline_row, table_of.deadlines)) or "None.\n"
    yield from _silences(table_of)
    yield "## Messages of its own\n"
    for kind, data in own.items():
        yield from schema_section(kind, data, "../")


def _act(act: Act, procedure: str, shared: frozenset[str]) -> Row:
    marks = {
        "fact": act.kind is ActKind.FACT,
        "stop": act.stop,
        "opens": act.opens,
        "reopens": act.reopens,
        "cannot be undone": act.irreversible,
        f"needs `{act.clearance.act}` in effect for the newest `{act.clearance.covers}`" if act.clearance else "": True,
    }
    by = sides(role for role in Role if any(side is role for _, side in act.moves))
    if act.sender is not None:
        by += f"; once an office is {act.sender}, that one alone"
    where = f"../acts.md#{anchor(act.name)}" if act.name in shared else f"#{anchor(f'{procedure}.{act.name}')}"
    return (
        f"[{act.name}]({where})",
        act.title,
        by,
        ", ".join(name for name, holds in marks.items() if holds and name),
        act.source,
    )


def _bases(table_of: ProcedureTable, bases: CodeList) -> Iterator[Row]:
    for code, basis in table_of.bases.items():
        yield (
            f"`{code}`{' (notice only)' if basis.notice_only else ''}",
            str(bases.codes[code]["title"]),
            SILENCE[basis.silence],
            names(sorted(basis.exemptions)),
            source_cell(basis.source, basis.verified),
        )


def deadline_row(deadline: Deadline) -> Row:
    """Return a deadline as its row in a table."""
    kind = str(deadline.kind).replace("_", " ").lower()
    limit = _limit(deadline.limit) + (" before" if deadline.before else "")
    if deadline.extension is not None:
        limit += f"; {_limit(deadline.extension.limit)} more by `{deadline.extension.act}`"
    return (
        deadline.title,
        f"`{deadline.act}` {deadline.moment}",
        limit,
        str(deadline.by).lower(),
        names(deadline.until) + (f"; another one after {names(deadline.replaced_by)}" if deadline.replaced_by else ""),
        names(sorted(deadline.basis | deadline.urgency)) or "every basis",
        f"**{kind}**" if deadline.kind == "PRODUCT_DEFAULT" else kind,
        source_cell(deadline.source, deadline.verified),
    )


def _limit(limit: Limit) -> str:
    unit = str(limit.unit).replace("_", " ")
    return "that day" if limit.count == 0 else f"{limit.count} {unit.removesuffix('s') if limit.count == 1 else unit}"


def _silences(table_of: ProcedureTable) -> Iterator[str]:
    """Say once for each sentence which deadlines it belongs to."""
    found: dict[str, list[str]] = {}
    for deadline in table_of.deadlines:
        found.setdefault(deadline.silence, []).append(deadline.title)
    if found:
        yield "If nothing comes:\n"
        yield "\n".join(f"- *{'; '.join(dict.fromkeys(titles))}*: {words}" for words, titles in found.items()) + "\n"
