# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What makes a procedure's table and its messages one family: shared acts, legal bases, no person where there is none.

- A table's act without a file of its own in ``messages/<procedure>/`` is the shared act of that name: its schema is the
  reference to ``parts/acts/<act>/<version>.json``, here written out as the message schema that it stands for.
- A message schema without ``x-trm-bases`` rests on the bases of its procedure's newest table; what the table says of a
  basis (exemptions, notice only) holds for every message on it.
- Messages of a procedure without a subject reach no part about a person, no sealed part and no long text (E-1).
- A part marked ``x-trm-special`` (health, place of shelter …) is reached as what a sealed part holds, and no other way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from broker.core.errors import CatalogueInvalid
from broker.core.ids import SchemaVersion
from broker.core.procedures import ALARM_CLOSED, Act, ProcedureTable

__all__ = ["MAX_TEXT_WITHOUT_SUBJECT", "SHARED", "check_families", "complete"]

MAX_TEXT_WITHOUT_SUBJECT = 2000  # characters: CASEWORK E-1
SHARED = "parts/acts/"  # one folder per act, one file per version

Schema = Mapping[str, Any]


def complete(documents: Mapping[str, Schema], tables: Iterable[ProcedureTable]) -> dict[str, Schema]:
    """Return the documents with the shared acts of every table as message schemas, and bases where none stand.

    Raises:
        CatalogueInvalid: a table and a shared act contradict each other, or an act has no schema.
    """
    found = dict(documents)
    newest = _newest(tables)
    folders: dict[str, list[str]] = {}
    for path in documents:
        folders.setdefault(path.rpartition("/")[0], []).append(path)
    for table in tables:
        for name in (*table.acts, ALARM_CLOSED):
            found.update(_derived(found, folders, table, name))
    for path, data in found.items():
        table_of = newest.get(str(data.get("x-trm-type", "")).split(".", 1)[0])
        if path.startswith("messages/") and table_of is not None:
            known = _bases(table_of)
            stated = data.get("x-trm-bases", {code: {} for code in known})
            found[path] = {**data, "x-trm-bases": {code: {**known.get(code, {}), **stated[code]} for code in stated}}
    return found


def check_families(
    documents: Mapping[str, Schema],
    tables: Iterable[ProcedureTable],
    references: Mapping[str, frozenset[str]],
) -> None:
    """Refuse messages of a procedure without a subject that could name a person, and bases beyond the table's.

    Raises:
        CatalogueInvalid: where a family does not hold together.
    """
    newest = _newest(tables)
    families: dict[str, list[str]] = {procedure: [] for procedure in newest}
    for path in documents:
        folder, _, below = path.partition("/")
        if folder == "messages" and (own := families.get(below.partition("/")[0])) is not None:
            own.append(path)
    for path in sorted(_reached((path for own in families.values() for path in own), references)):
        _check_sealed(path, documents)
    for procedure, own in families.items():
        table = newest[procedure]
        for path in own:
            beyond = documents[path].get("x-trm-bases", {}).keys() - table.bases.keys()
            if table.bases and beyond:
                raise CatalogueInvalid("The message rests on a basis that its procedure does not know.", where=path)
        if not table.has_subject:
            for path in sorted(_reached(own, references)):
                _check_impersonal(path, documents[path])


def _newest(tables: Iterable[ProcedureTable]) -> dict[str, ProcedureTable]:
    ordered = sorted(tables, key=lambda table: table.version.key)
    return {table.procedure: table for table in ordered}


def _derived(
    documents: Mapping[str, Schema], folders: Mapping[str, list[str]], table: ProcedureTable, name: str
) -> Iterator[tuple[str, Schema]]:
    own = f"messages/{table.procedure}/{name}/"
    shared = folders.get(f"{SHARED}{name}", [])
    if not shared and own.removesuffix("/") not in folders and name != ALARM_CLOSED:
        raise CatalogueInvalid("This act has neither a message schema nor a shared act.", where=f"{own}1.0.json")
    for path in shared:
        part = documents[path]
        act = table.acts.get(name)
        if act is not None and not _agrees(act, part.get("x-trm-act", {})):
            raise CatalogueInvalid("The table and the shared act differ in kind or stop.", where=own)
        version = SchemaVersion(path.removeprefix(f"{SHARED}{name}/").removesuffix(".json"))
        target = f"{own}{version}.json"
        if target not in documents:
            yield target, _message(table, part, path, target, f"{table.procedure}.{name}", version)


def _message(
    table: ProcedureTable, part: Schema, path: str, target: str, kind: str, version: SchemaVersion
) -> dict[str, Any]:
    """Return the message schema that a family would otherwise have to write: nothing but names and a reference."""
    kept = {name: part[name] for name in ("x-trm-source", "x-trm-verified") if name in part}
    return {
        "$schema": part["$schema"],
        "$id": str(part["$id"]).removesuffix(path) + target,
        "title": f"{table.title}: {part['title'][0].lower()}{part['title'][1:]}",
        "description": part["description"],
        **kept,
        "x-trm-type": kind,
        "x-trm-version": str(version),
        "$ref": f"/{path}",
    }


def _agrees(act: Act, stated: Mapping[str, Any]) -> bool:
    return (act.kind.value, act.stop, act.reopens, act.irreversible) == (
        stated.get("kind", "act"),
        stated.get("stop", False),
        stated.get("reopens", False),
        False,
    )


def _bases(table: ProcedureTable) -> dict[str, Any]:
    return {
        code: {
            **({"notice_only": True} if basis.notice_only else {}),
            **({"exemptions": sorted(basis.exemptions)} if basis.exemptions else {}),
        }
        for code, basis in table.bases.items()
    }


def _reached(paths: Iterable[str], references: Mapping[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(paths)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(references.get(path, ()))
    return found


def _check_sealed(path: str, documents: Mapping[str, Schema]) -> None:
    """DESIGN 6: special categories and places of shelter travel sealed to one office, never in the open body (R-18)."""
    if documents[path].get("x-trm-special"):
        raise CatalogueInvalid("This part may be reached as what a sealed part holds alone.", where=path)
    for node in _nodes(documents[path]):
        if "x-trm-sealed" in node and str(node["x-trm-sealed"]).removeprefix("/") not in documents:
            where = f"{path}#{_place(documents[path], node)}"
            raise CatalogueInvalid("There is no schema of what the sealed part holds.", where=where)


def _check_impersonal(path: str, data: Schema) -> None:
    if data.get("x-trm-person"):
        raise CatalogueInvalid("A procedure without a subject reaches a part about a person.", where=path)
    for node in _nodes(data):
        if "x-trm-sealed" in node:
            where = f"{path}#{_place(data, node)}"
            raise CatalogueInvalid("A procedure without a subject reaches a sealed part.", where=where)
        length = node.get("maxLength", 0)
        if node.get("type") == "string" and "pattern" not in node and length > MAX_TEXT_WITHOUT_SUBJECT:
            where = f"{path}#{_place(data, node)}"
            raise CatalogueInvalid("A text is too long for a procedure without a subject.", where=where)


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):  # what was read is one; asking for any mapping takes ten times as long
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _place(schema: Any, wanted: Mapping[str, Any]) -> str | None:
    """Return where in the schema that node stands: asked for only when it is refused."""
    if schema is wanted:
        return ""
    if not isinstance(schema, (dict, list)):
        return None
    for name, item in schema.items() if isinstance(schema, dict) else enumerate(schema):
        below = _place(item, wanted)
        if below is not None:
            return f"/{name}{below}"
    return None
