# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a catalogue keeps what an earlier one promised: a published version accepts for ever what it accepts.

- A schema, part or list may get other words (titles, descriptions, sources), never another meaning: the country that
  still has the earlier copy decides by it.
- A published message type keeps its versions; a further field, code or bound is a further version.
- A procedure's table is named by its digest in every message: under one version nothing in it changes, not even a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

__all__ = ["broken_promises"]

_WORDS = frozenset({"title", "description", "x-trm-source", "x-trm-verified", "x-trm-codes"})
_PROMISED = ("messages/", "parts/", "codes/", "submission/")
_TABLES = "procedures/"


def broken_promises(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return, sorted, the files of the later catalogue that break what the earlier one promised, each with how.

    Args:
        before: the published catalogue's files by path.
        after: those that are to be published.
    """
    return tuple(sorted([*_schemas(before, after), *_tables(before, after)]))


def _schemas(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[str]:
    for path, raw in before.items():
        if not path.startswith(_PROMISED):
            continue
        if path not in after:
            yield f"{path}: it is gone"
        elif raw != after[path] and _meaning(orjson.loads(raw)) != _meaning(orjson.loads(after[path])):
            yield f"{path}: it no longer accepts the same"


def _tables(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[str]:
    """Compare tables of one procedure and version; an earlier one that is gone is kept by the nodes themselves."""
    known = {_named(data): data for data in _parsed(before)}
    for path, data in ((path, orjson.loads(raw)) for path, raw in after.items() if path.startswith(_TABLES)):
        if known.get(_named(data), data) != data:
            yield f"{path}: it is not the table of that version any more"


def _parsed(files: Mapping[str, bytes]) -> list[Any]:
    return [orjson.loads(raw) for path, raw in files.items() if path.startswith(_TABLES)]


def _named(table: Mapping[str, Any]) -> tuple[str, str]:
    return table["procedure"], table["version"]


def _meaning(schema: Any, *, names: bool = False) -> Any:
    """Return what a schema asks, without its words; ``names``: the members are names of fields and no keywords."""
    if isinstance(schema, dict):
        return {
            name: _meaning(item, names=name == "properties" and not names)
            for name, item in schema.items()
            if names or name not in _WORDS
        }
    return [_meaning(item) for item in schema] if isinstance(schema, list) else schema
