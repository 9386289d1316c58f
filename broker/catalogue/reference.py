# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The reference for people, made of the catalogue's data alone: procedures, messages, parts, codes, with their sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from broker.catalogue.bundle import Bundle, CodeList
from broker.catalogue.diagrams import diagram
from broker.catalogue.families import SHARED
from broker.core.deadlines import Deadline
from broker.core.procedures import Act, ActKind, ProcedureTable, Role, Silence

__all__ = ["reference"]

Schema = Mapping[str, Any]

_HEAD = """# Reference: every procedure, message, part and code

Made by `python -m broker.manual` from the files of this folder; do not edit. *Product default* is the design of this product
and no law; *unverified* was taken from a secondary source. In the diagrams `→` is sent by the requesting side, `←` by the
requested one; `!` marks a stop, `*` a fact, `‡` what no message can undo.
"""
_SILENCE = {
    Silence.NO_ANSWER: "no answer; nothing follows from it",
    Silence.NOT_CONSENT: "**not consent**",
    Silence.ACCEPTED_ELSEWHERE: "counts as yes in the official channel, not here",
}
_FACT = "/parts/fact.json"


def reference(bundle: Bundle) -> str:
    """Return the reference in Markdown: the newest table of each procedure, every schema and every list."""
    newest = {table.procedure: table for table in sorted(bundle.tables.values(), key=lambda table: table.version.key)}
    messages = {str(kind): bundle.documents[path] for (kind, _), path in sorted(bundle.messages.items())}
    own = {kind: data for kind, data in messages.items() if not str(data.get("$ref", "")).startswith(f"/{SHARED}")}
    acts = {path.split("/")[2]: data for path, data in bundle.documents.items() if path.startswith(SHARED)}
    parts = {
        path.removeprefix("parts/").removesuffix(".json"): data
        for path, data in bundle.documents.items()
        if path.startswith("parts/") and path not in {f"{SHARED}{name}/1.0.json" for name in acts}
    }
    lines = [_HEAD, *_contents(newest.values(), messages, own, acts, bundle)]
    lines += [line for name in sorted(newest) for line in _procedure(newest[name])]
    lines += ["## Messages\n", *(line for kind in own for line in _schema(f"`{kind}`", own[kind]))]
    lines += ["## Shared acts\n", *(line for name in sorted(acts) for line in _schema(f"`{name}`", acts[name]))]
    lines += ["## Parts\n", *(line for name in sorted(parts) for line in _schema(f"Part `{name}`", parts[name]))]
    lines += ["## Codes\n", *(line for name in sorted(bundle.codes) for line in _codes(bundle.codes[name]))]
    return "\n".join(lines)


def _contents(
    tables: Iterable[ProcedureTable], messages: Mapping[str, Any], own: Mapping[str, Any], acts: Any, bundle: Bundle
) -> list[str]:
    named = ", ".join(
        f"{table.title} (`{table.procedure}`)" for table in sorted(tables, key=lambda item: item.procedure)
    )
    count = f"{len(messages)} message types: {len(own)} have a schema of their own, the others are one of {len(acts)} shared"
    return [
        f"Procedures: {named}.\n",
        f"{count} acts under their procedure's name. {len(bundle.codes)} code lists.\n",
    ]


def _procedure(table: ProcedureTable) -> Iterator[str]:
    about = "About a child." if table.has_subject else "About nobody: no message can name a person."
    yield f"## Procedure `{table.procedure}` {table.version}: {table.title}\n"
    yield f"{about} Source: {table.source}\n"
    yield f"```mermaid\n{diagram(table)}```\n"
    states = (
        (f"`{name}`", title, "closed" if name in table.final else _sides(table.waits_for[name]))
        for name, title in table.states.items()
    )
    yield _table(("state", "means", "next to act"), states)
    yield _table(("act", "says", "by", "kind", "source"), map(_act, table.acts.values()))
    bases = (
        (
            f"`{code}`{' (notice only)' if basis.notice_only else ''}",
            _SILENCE[basis.silence],
            _names(sorted(basis.exemptions)),
            basis.source,
        )
        for code, basis in table.bases.items()
    )
    yield _table(("legal basis", "silence means", "exemptions", "source"), bases)
    yield _table(
        ("deadline", "runs from", "limit", "settled by", "on", "kind", "source"), map(_deadline, table.deadlines)
    )


def _act(act: Act) -> tuple[str, ...]:
    marks = {
        "fact": act.kind is ActKind.FACT,
        "stop": act.stop,
        "opens": act.opens,
        "reopens": act.reopens,
        "cannot be undone": act.irreversible,
    }
    sides = [role for role in Role if any(by is role for _, by in act.moves)]
    return (
        f"`{act.name}`",
        act.title,
        _sides(sides),
        ", ".join(name for name, holds in marks.items() if holds),
        act.source,
    )


def _deadline(deadline: Deadline) -> tuple[str, ...]:
    limit = f"{deadline.limit.count} {str(deadline.limit.unit).replace('_', ' ')}{' before' if deadline.before else ''}"
    kind = str(deadline.kind).replace("_", " ").lower() + ("" if deadline.verified else ", unverified")
    return (
        deadline.title,
        f"`{deadline.act}` {deadline.moment}",
        limit,
        _names(deadline.until),
        _names(sorted(deadline.basis | deadline.urgency)) or "every basis",
        kind,
        deadline.source,
    )


def _schema(name: str, data: Schema) -> Iterator[str]:
    yield f"### {name}: {data['title']}\n"
    yield f"{data['description']}{_marks(data)}{_cited(data)}\n"
    if "x-trm-type" in data and "x-trm-bases" in data:
        yield f"On: {_names(data['x-trm-bases'])}.\n"
    rows = [
        (
            f"`{field}`",
            item.get("title", ""),
            _form(item),
            "yes" if field in data.get("required", ()) else "",
            _source(item),
        )
        for field, item in data.get("properties", {}).items()
    ]
    if rows:
        yield _table(("field", "says", "form", "required", "source"), rows)


def _form(item: Schema) -> str:
    if "x-trm-sealed" in item:
        return f"sealed {_link(item['x-trm-sealed'])}"
    if item.get("$ref") == _FACT:
        value = item.get("properties", {}).get("value", {})
        return f"fact: {_form(value)}" if value else "fact"
    if "$ref" in item:
        return _link(item["$ref"])
    if item.get("type") == "array":
        return f"list of {_form(item['items'])}"
    if item.get("type") == "object":
        return f"object of {_names(item.get('properties', {}))}"
    return str(item.get("type", item.get("const", "")))


def _link(path: str) -> str:
    kind, _, name = path.removeprefix("/").removesuffix(".json").partition("/")
    return f"code `{name}`" if kind == "codes" else f"`{name}`"


def _codes(codes: CodeList) -> Iterator[str]:
    yield f"### Codes `{codes.name}`: {codes.title}\n"
    rows = (
        (f"`{code}`", item["title"], item.get("source", "") + _verified(item.get("verified", True)))
        for code, item in codes.codes.items()
    )
    yield _table(("code", "means", "source"), rows)


def _marks(data: Schema) -> str:
    marks = {"about a person": data.get("x-trm-person"), "only inside a sealed part": data.get("x-trm-special")}
    found = [name for name, holds in marks.items() if holds]
    return f" *({'; '.join(found)})*" if found else ""


def _cited(data: Schema) -> str:
    source = _source(data)
    return f" Source: {source}" if source else ""


def _source(data: Schema) -> str:
    return str(data.get("x-trm-source", "")) + _verified(data.get("x-trm-verified", True))


def _verified(value: bool | str) -> str:
    if value is True:
        return ""
    return " (unverified)" if value is False else " (product default)"


def _sides(sides: Iterable[Role]) -> str:
    return " and ".join(str(side).lower() for side in sides)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/').strip() for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"
