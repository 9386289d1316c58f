# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What one catalogue promised, the next one keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.catalogue.compatibility import broken_promises
from broker.schema_files import read_schema_files

FILES = {
    path: raw
    for path, raw in read_schema_files().items()
    if path.startswith(("messages/placement/", "parts/note.", "codes/yes-no.", "procedures/placement."))
}
DECISION, LIST, TABLE = "messages/placement/decision/1.0.json", "codes/yes-no.json", "procedures/placement.json"


def _changed(path: str, change: Callable[[Any], object]) -> dict[str, bytes]:
    data = json.loads(FILES[path])
    change(data)
    return {**FILES, path: json.dumps(data).encode()}


def test_the_same_catalogue_breaks_nothing() -> None:
    """Whatever way the bytes are written."""
    rewritten = {path: json.dumps(json.loads(raw), sort_keys=True).encode() for path, raw in FILES.items()}

    assert broken_promises(FILES, rewritten) == ()


@pytest.mark.parametrize(
    ("path", "change"),
    {
        "a title": (DECISION, lambda data: data.update(title="Decision")),
        "a field's help": (DECISION, lambda data: data["properties"]["covers"].update(description="By digest.")),
        "a source": (DECISION, lambda data: data["properties"]["covers"].update({"x-trm-source": "B2b 82"})),
        "what a code is called": (LIST, lambda data: data["x-trm-codes"]["YES"].update(title="Yes.")),
    }.values(),
)
def test_other_words_are_no_other_meaning(path: str, change: Callable[[Any], object]) -> None:
    """A text may be made better in place."""
    assert broken_promises(FILES, _changed(path, change)) == ()


@pytest.mark.parametrize(
    ("path", "change"),
    {
        "a field is asked for": (DECISION, lambda data: data["required"].append("exemption")),
        "a field is asked for no more": (DECISION, lambda data: data["required"].remove("care")),
        "a field is new": (DECISION, lambda data: data["properties"].update(more={"$ref": "/parts/note.json"})),
        "a field named like a word is new": (
            DECISION,
            lambda data: data["properties"].update(title={"type": "string"}),
        ),
        "a code is new": (LIST, lambda data: data["enum"].append("MAYBE")),
        "a condition is gone": (DECISION, lambda data: data.pop("allOf")),
        "a basis is new": (DECISION, lambda data: data.update({"x-trm-bases": {"B2B_80": {}}})),
    }.values(),
)
def test_another_meaning_is_named(path: str, change: Callable[[Any], object]) -> None:
    """Wider or narrower: the country with the earlier copy would decide otherwise."""
    assert broken_promises(FILES, _changed(path, change)) == (f"{path}: it no longer accepts the same",)


def test_a_version_never_goes() -> None:
    """A published message type can be read for ever; a further version beside it breaks nothing."""
    without = {path: raw for path, raw in FILES.items() if path != DECISION}

    assert broken_promises(FILES, without) == (f"{DECISION}: it is gone",)
    assert broken_promises(without, FILES) == ()


def test_a_table_changes_under_a_new_version_only() -> None:
    """Its digest stands in every message: another word is another table; a table may go, since nodes keep it."""
    word = _changed(TABLE, lambda data: data.update(title="Placement"))
    later = _changed(TABLE, lambda data: data.update(title="Placement", version="1.1"))

    assert broken_promises(FILES, word) == (f"{TABLE}: it is not the table of that version any more",)
    assert broken_promises(FILES, later) == ()
    assert broken_promises(FILES, {path: raw for path, raw in FILES.items() if path != TABLE}) == ()
