# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A procedure's table and its messages are one family, or the catalogue is not loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.catalogue.diagrams import diagram, standing
from broker.core.errors import CatalogueInvalid
from broker.core.ids import MessageType, SchemaVersion
from broker.core.messages import LegalBasis
from broker.core.tables import parse_table

SCHEMAS = Path(__file__).parents[2] / "schemas"
V1 = SchemaVersion("1.0")
NEWS = "messages/bulletin/news/1.0.json"
Files = dict[str, bytes]


def _schema(path: str, **more: Any) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://trm.invalid/{path}",
        "title": "Synthetic",
        "description": "Synthetic.",
        **more,
    }


def _news(**text: Any) -> dict[str, Any]:
    properties = {"text": {"title": "Text", **text}}
    return _schema(
        NEWS,
        **{"x-trm-type": "bulletin.news", "x-trm-version": "1.0"},
        type="object",
        required=["text"],
        properties=properties,
        additionalProperties=False,
    )


def _table(**changes: Any) -> dict[str, Any]:
    note = {"kind": "act", "moves": [{"from": ["@open"], "by": ["REQUESTED"], "to": "@same"}]}
    return {
        "procedure": "bulletin",
        "version": "1.0",
        "title": "Bulletin",
        "subject": "none",
        "roles": ["REQUESTING", "REQUESTED"],
        "initial": "NEW",
        "final": ["OVER"],
        "states": {"NEW": {"title": "new"}, "OUT": {"title": "out"}, "OVER": {"title": "over"}},
        "bases": {"NONE_FEDERATION": {"silence": "NO_ANSWER", "source": "synthetic", "exemptions": ["BY_CODE"]}},
        "acts": {
            "news": {"kind": "act", "opens": True, "moves": [{"from": ["NEW"], "by": "REQUESTING", "to": "OUT"}]},
            "status": note,
            "withdrawal": {"kind": "act", "stop": True, "moves": [{"from": ["OUT"], "by": "REQUESTING", "to": "OVER"}]},
        },
        **changes,
    }


@pytest.fixture
def files() -> Files:
    """The shipped files with one more family, which is about nobody."""
    found = {path.relative_to(SCHEMAS).as_posix(): path.read_bytes() for path in SCHEMAS.rglob("*.json")}
    found["procedures/bulletin.json"] = json.dumps(_table()).encode()
    found[NEWS] = json.dumps(_news(**{"$ref": "/parts/note.json"})).encode()
    return found


def test_a_shared_act_is_a_message_type_without_a_file_of_its_own(files: Files) -> None:
    """The schema is the shared one under the family's name, on the bases of the family's table."""
    catalogue = Catalogue.from_files(files)
    kind = MessageType("bulletin.status")
    schema = catalogue.schema(kind, V1)

    assert catalogue.versions(kind) == (V1,)
    assert catalogue.bases(kind) == ("NONE_FEDERATION",)
    assert (schema["title"], schema["$ref"]) == ("Bulletin: status", "#/$defs/parts.acts.status.1.0")
    body = json.loads(files["examples/acts/status-not-started.json"])["body"]
    assert catalogue.explain(kind, V1, body) == ()
    assert catalogue.explain(kind, V1, {}) != ()
    assert MessageType("bulletin.alarm-closed") in catalogue.types()
    assert MessageType("bulletin.refusal") not in catalogue.types()


def test_an_exemption_must_fit_the_legal_basis(files: Files) -> None:
    """CASEWORK C-03: what stands in for consent is looked up under the basis; any other code is refused."""
    schema = _news(**{"$ref": "/parts/note.json"})
    schema["properties"]["exemption"] = {
        "title": "E",
        "type": "string",
        "enum": ["BY_CODE", "OTHER"],
        "x-trm-exemption": True,
    }
    files[NEWS] = json.dumps(schema).encode()
    catalogue = Catalogue.from_files(files)

    def rules(exemption: str) -> list[str]:
        data = {
            "type": "bulletin.news", "sender": {"authority": "a"}, "recipient": {"country": "FI", "authority": "b"},
            "legal_basis": {"code": "NONE_FEDERATION"}, "purpose": "x", "urgency": "ROUTINE", "language": "en",
            "body": {"text": "x", "exemption": exemption},
        }  # fmt: skip
        return [problem.rule for problem in catalogue.explain_submission(data)]

    assert rules("BY_CODE") == []
    assert rules("OTHER") == ["x-trm-exemption"]
    assert LegalBasis(code="NONE_FEDERATION").code in catalogue.bases(MessageType("bulletin.news"))


def _put(path: str, data: dict[str, Any]) -> Callable[[Files], Any]:
    return lambda files: files.update({path: json.dumps(data).encode()})


TABLE = "procedures/bulletin.json"
ACT = {"kind": "act", "moves": [{"from": ["OUT"], "by": "REQUESTED", "to": "OVER"}]}
ACTS = _table()["acts"]
HEALTH = "parts/synthetic-health.json"
SPECIAL = _schema(HEALTH, **{"x-trm-special": True}, type="string", maxLength=10)
BROKEN: dict[str, tuple[list[Callable[[Files], Any]], str]] = {
    "an act has no schema": ([_put(TABLE, _table(acts={**ACTS, "shout": ACT}))], "messages/bulletin/shout/"),
    "a shared act is no stop here": (
        [_put(TABLE, _table(acts={**ACTS, "withdrawal": ACT}))], "messages/bulletin/withdrawal/",
    ),
    "a basis is not the procedure's": (
        [_put(NEWS, {**_news(**{"$ref": "/parts/note.json"}), "x-trm-bases": {"ATD_19A": {}}})], NEWS,
    ),
    "a person where there is none": ([_put(NEWS, _news(**{"$ref": "/parts/child.json"}))], "parts/"),
    "a long text about nobody": ([_put(NEWS, _news(**{"$ref": "/parts/text.json"}))], "parts/text.json"),
    "a sealed part about nobody": (
        [_put(NEWS, _news(**{"$ref": "/parts/sealed.json", "x-trm-sealed": "/parts/handling.json"}))], NEWS,
    ),
    "health data in the open": (
        [_put(NEWS, _news(**{"$ref": f"/{HEALTH}"})), _put(HEALTH, SPECIAL)], HEALTH,
    ),
    "a sealed part of no schema": (
        [_put(NEWS, _news(**{"$ref": "/parts/sealed.json", "x-trm-sealed": "/parts/nothing.json"})),
         _put(TABLE, _table(subject="child"))], NEWS,
    ),
    "a sealed part that does not say what it holds": (
        [_put(NEWS, _news(**{"$ref": "/parts/sealed.json"})), _put(TABLE, _table(subject="child"))], NEWS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_family_that_does_not_hold_together_is_not_loaded(files: Files, case: str) -> None:
    """The refusal names the file."""
    changes, where = BROKEN[case]
    Catalogue.from_files(files)
    for change in changes:
        change(files)

    with pytest.raises(CatalogueInvalid) as refused:
        Catalogue.from_files(files)

    assert (refused.value.where or "").startswith(where)


def test_the_diagram_draws_every_move_and_names_the_acts_that_stay() -> None:
    """Side, stop and final state are to be seen; what leaves the state as it is stands beside."""
    table = parse_table(_table())

    assert diagram(table) == (
        "stateDiagram-v2\n    [*] --> NEW\n    NEW --> OUT: → news\n    OUT --> OVER: → withdrawal!\n    OVER --> [*]\n"
    )
    assert standing(table) == ("status",)
