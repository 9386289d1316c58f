# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""From the files of ``schemas/`` to self-contained schemas, code lists and procedure tables.

A schema refers to shared parts and code lists by path from the folder's root (``"$ref": "/parts/name.json"``). Here each
message schema takes in what it refers to as ``$defs``, so that a validator, the API's description and another country
need one document and no registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from broker.catalogue.dialect import lint
from broker.catalogue.families import check_families, complete
from broker.core.errors import CatalogueInvalid
from broker.core.ids import Digest, MessageType, SchemaVersion
from broker.core.procedures import ProcedureTable
from broker.core.tables import parse_table

__all__ = [
    "DEFINITIONS",
    "HEADER",
    "SUBMISSION",
    "Bundle",
    "CodeList",
    "definition_name",
    "read_bundle",
    "read_tables",
    "self_contained",
]

DEFINITIONS = "#/$defs/"
HEADER = "messages/header/1.0.json"
SUBMISSION = "submission/1.0.json"
MAX_FILES = 5000
MAX_FILE = 1_048_576  # bytes
_FOLDERS = ("messages/", "parts/", "codes/", "procedures/", "submission/")

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeList:
    """One code list: its codes in order, each with title, source and marks."""

    name: str
    title: str
    source: str
    verified: bool | str  # False: not read in the source itself; "PRODUCT_DEFAULT": no law
    codes: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What the files say, checked to be in the dialect and to refer to nothing missing."""

    documents: Mapping[str, Schema]  # by path
    messages: Mapping[tuple[MessageType, SchemaVersion], str]  # → path
    codes: Mapping[str, CodeList]
    tables: Mapping[Digest, ProcedureTable]


def read_bundle(files: Mapping[str, bytes]) -> Bundle:
    """Read the files by their paths below ``schemas/``; others than schemas, lists and tables are passed over.

    Raises:
        CatalogueInvalid: a file is not JSON, outside the dialect, misplaced, or refers to nothing; ``where`` names it.
    """
    wanted = {path: raw for path, raw in files.items() if path.startswith(_FOLDERS) and path.endswith(".json")}
    if len(wanted) > MAX_FILES:
        raise CatalogueInvalid("The catalogue has more files than a node reads.")
    parsed = {path: _parse(path, raw) for path, raw in sorted(wanted.items())}
    written = {path: data for path, data in parsed.items() if not path.startswith("procedures/")}
    tables = _tables({path: data for path, data in parsed.items() if path not in written})
    documents = complete(written, tables.values())
    references = {path: _targets(data) for path, data in documents.items()}
    for path, data in documents.items():
        _check(path, data, documents, references[path])
    for path in (HEADER, SUBMISSION):
        if path not in documents:
            raise CatalogueInvalid("This schema is missing.", where=path)
    check_families(documents, tables.values(), references)
    return Bundle(
        documents=MappingProxyType(documents),
        messages=MappingProxyType(_messages(documents)),
        codes=MappingProxyType({item.name: item for item in map(_code_list, *_code_files(documents))}),
        tables=MappingProxyType(tables),
    )


def self_contained(bundle: Bundle, path: str, *, prefix: str = DEFINITIONS) -> dict[str, Any]:
    """Return the schema with all it refers to as ``$defs``, references written with the prefix."""
    needed: dict[str, dict[str, Any]] = {}
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current not in needed:
            needed[current] = _rewritten(bundle.documents[current], prefix)
            waiting += _targets(bundle.documents[current])
    whole = needed.pop(path)
    for definition in needed.values():
        del definition["$id"], definition["$schema"]
    if needed:
        whole["$defs"] = {definition_name(name): needed[name] for name in sorted(needed)}
    return whole


def definition_name(path: str) -> str:
    """Return the name of a part or list inside ``$defs``: ``parts.name`` for ``parts/name.json``."""
    return path.removesuffix(".json").replace("/", ".")


def _parse(path: str, raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_FILE:
        raise CatalogueInvalid("The file is too large.", where=path)
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise CatalogueInvalid("The file is not JSON.", where=path) from None
    if not isinstance(data, dict):
        raise CatalogueInvalid("The file is not a JSON object.", where=path)
    return data


def _check(path: str, data: Schema, documents: Mapping[str, Schema], targets: frozenset[str]) -> None:
    for problem in lint(data):
        raise CatalogueInvalid("The schema is outside the dialect.", where=f"{path}#{problem}")
    if not str(data["$id"]).endswith(f"/{path}"):
        raise CatalogueInvalid("The schema's $id does not end in its path.", where=path)
    if not targets <= documents.keys():
        where = next(where for where, target in _references(data) if target not in documents)
        raise CatalogueInvalid("A reference leads nowhere.", where=f"{path}#{where}")


def _messages(documents: Mapping[str, Schema]) -> dict[tuple[MessageType, SchemaVersion], str]:
    found: dict[tuple[MessageType, SchemaVersion], str] = {}
    for path, data in documents.items():
        if not path.startswith("messages/") or path.startswith("messages/header/"):
            continue
        try:
            key = MessageType(data.get("x-trm-type", "")), SchemaVersion(data.get("x-trm-version", ""))
        except ValueError:
            raise CatalogueInvalid("x-trm-type or x-trm-version is missing or malformed.", where=path) from None
        if path != f"messages/{key[0].procedure}/{key[0].act}/{key[1]}.json":
            raise CatalogueInvalid("The file does not stand where its type and version say.", where=path)
        found[key] = path
    return found


def _code_files(documents: Mapping[str, Schema]) -> tuple[list[str], list[Schema]]:
    paths = [path for path in documents if path.startswith("codes/")]
    return paths, [documents[path] for path in paths]


def _code_list(path: str, data: Schema) -> CodeList:
    if "x-trm-codes" not in data:
        raise CatalogueInvalid("A code list needs x-trm-codes.", where=path)
    name = path.removeprefix("codes/").removesuffix(".json")
    return CodeList(
        name=name,
        title=data["title"],
        source=str(data.get("x-trm-source", "")),
        verified=data.get("x-trm-verified", True),
        codes=MappingProxyType(dict(data["x-trm-codes"])),
    )


def read_tables(files: Mapping[str, bytes]) -> dict[Digest, ProcedureTable]:
    """Return the tables of these files by their digests; several versions of one procedure may be among them.

    Raises:
        CatalogueInvalid: a file is not JSON, or its table contradicts itself; ``where`` names it.
    """
    return {table.digest: table for table in (_table(path, _parse(path, raw)) for path, raw in files.items())}


def _tables(files: Mapping[str, Schema]) -> dict[Digest, ProcedureTable]:
    tables: dict[Digest, ProcedureTable] = {}
    named: set[tuple[str, SchemaVersion]] = set()
    for path, data in files.items():
        table = _table(path, data)
        if (table.procedure, table.version) in named:
            raise CatalogueInvalid("Two tables have this procedure and version.", where=path)
        named.add((table.procedure, table.version))
        tables[table.digest] = table
    return tables


def _table(path: str, data: Schema) -> ProcedureTable:
    try:
        return parse_table(data)
    except CatalogueInvalid as error:
        raise CatalogueInvalid(error.detail, where=f"{path}#{error.where or ''}") from None


def _targets(schema: Schema) -> frozenset[str]:
    """Return the paths that a document's references lead to."""
    found: set[str] = set()
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            for name, item in node.items():
                if name == "$ref":
                    found.add(str(item).removeprefix("/"))
                elif name != "x-trm-codes" and isinstance(item, (dict, list)):
                    waiting.append(item)
        elif isinstance(node, list):
            waiting.extend(node)
    return frozenset(found)


def _references(schema: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield each reference as its place and the path it leads to."""
    if isinstance(schema, Mapping):
        for name, item in schema.items():
            if name == "$ref":
                yield where, str(item).removeprefix("/")
            elif name != "x-trm-codes":
                yield from _references(item, f"{where}/{name}")
    elif isinstance(schema, list):
        for position, item in enumerate(schema):
            yield from _references(item, f"{where}/{position}")


def _rewritten(schema: Any, prefix: str) -> Any:
    if isinstance(schema, dict):
        return {
            name: prefix + definition_name(str(item).removeprefix("/")) if name == "$ref" else _rewritten(item, prefix)
            for name, item in schema.items()
        }
    if isinstance(schema, list):
        return [_rewritten(item, prefix) for item in schema]
    return schema
