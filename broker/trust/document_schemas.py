# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of the documents that people write by hand: country profiles, the arrangement register, retention rules.

They stand in ``schemas/documents/`` for editors and other programs, made from the same lists that the strict readers use.
The readers decide; what a schema cannot say (an order, an end after its beginning) they alone know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker.core.arrangements import ArrangementStatus
from broker.core.deadlines import DeadlineKind
from broker.core.ids import ArrangementId, AuthorityId, CountryCode
from broker.core.profile_questions import QUESTIONS, SECTIONS, Kind, Question
from broker.core.profiles import Standing
from broker.core.retention import LONGEST_LIMITS
from broker.trust.strict import MAX_ITEMS

__all__ = [
    "ARRANGEMENTS_SCHEMA", "PROFILE_SCHEMA", "RETENTION_SCHEMA", "arrangements_schema", "profile_schema", "retention_schema",
]  # fmt: skip

PROFILE_SCHEMA = "documents/profile.json"  # below schemas/
ARRANGEMENTS_SCHEMA = "documents/arrangements.json"
RETENTION_SCHEMA = "documents/retention.json"

Schema = dict[str, Any]

_END = r"(?![\s\S])"
_LINE: Schema = {"type": "string", "minLength": 1, "maxLength": 300, "pattern": rf"^\S(?:.*\S)?{_END}"}
_TEXT: Schema = {**_LINE, "maxLength": 2000}
_DAY: Schema = {"type": "string", "format": "date", "pattern": rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{_END}"}
_READ: Schema = {
    "type": "string",
    "pattern": rf"^[0-9]{{4}}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?{_END}",
}
_LANGUAGE: Schema = {"type": "string", "pattern": rf"^[a-z]{{2,3}}(?:-[A-Za-z0-9]{{2,8}}){{0,3}}{_END}"}
_PROCEDURE: Schema = {"type": "string", "maxLength": 64, "pattern": rf"^[a-z0-9]+(?:-[a-z0-9]+)*{_END}"}


def profile_schema() -> Schema:
    """Return the schema of ``members/<CC>/profile.json``; every question stands in it with its text."""
    version = _object(
        {
            "valid_from": _DAY,
            "edited": _DAY,
            "editor": {**_LINE, "description": "The office that answers for it, never a person."},
            "because": {**_TEXT, "description": "What the edit rests on."},
            "answers": _object({}, {section: _section(section, title) for section, title in SECTIONS.items()}),
        }
    )
    body = _object(
        {
            "format": {"const": "trm-profile/1"},
            "country": _pattern(CountryCode),
            "versions": _list(version, least=1),
        }
    )
    source = _object({"document": _LINE}, {"place": _LINE, "read": _READ})
    definitions = {_name(question): _answer(question) for question in QUESTIONS.values()}
    return {
        **_document(PROFILE_SCHEMA, "Country profile", body),
        "$defs": {"source": source, "note": _TEXT, **definitions},
    }


def arrangements_schema() -> Schema:
    """Return the schema of ``arrangements.json``."""
    arrangement = _object(
        {
            "id": _pattern(ArrangementId),
            "title": _LINE,
            "agreement": _LINE,
            "source": _LINE,
            "members": {**_list(_pattern(CountryCode), least=2), "uniqueItems": True},
            "procedures": {**_list(_PROCEDURE, least=1), "uniqueItems": True},
            "first_day": _DAY,
            "status": {"enum": [status.value for status in ArrangementStatus]},
        },
        {"last_day": _DAY, "conditions": _list(_TEXT, least=1)},
    )
    required = {"format": {"const": "trm-arrangements/1"}, "arrangements": _list(arrangement)}
    return _document(ARRANGEMENTS_SCHEMA, "Register of arrangements", _object(required))


def retention_schema() -> Schema:
    """Return the schema of a home's ``retention.json``, and of the product's own rules."""
    limits = [_object({unit.value: _number(most)}) for unit, most in LONGEST_LIMITS.items()]
    rule = _object(
        {
            "limit": {"oneOf": limits, "description": "Without anything new for so long, a person reviews the case."},
            "kind": {"enum": [kind.value for kind in DeadlineKind]},
            "source": {
                "type": "string",
                "minLength": 1,
                "description": "The law, agreement or decision that it rests on.",
            },
        }
    )
    named = {"type": "object", "propertyNames": _PROCEDURE, "additionalProperties": {"$ref": "#/$defs/rule"}}
    body = _object({"default": {"$ref": "#/$defs/rule"}, "procedures": named})
    return {**_document(RETENTION_SCHEMA, "Retention rules", body), "$defs": {"rule": rule}}


def _section(section: str, title: str) -> Schema:
    asked = {
        question.entry: {"title": question.text, "$ref": f"#/$defs/{_name(question)}"}
        for question in QUESTIONS.values()
        if question.section == section
    }
    return {"title": title, **_object({}, asked)}


def _name(question: Question) -> str:
    """Return the name of the form that the answer has; questions of one kind and one list of codes share it."""
    kind = question.kind.value.replace(" ", "-")
    shared = next(item for item in QUESTIONS.values() if (item.kind, item.codes) == (question.kind, question.codes))
    return f"{kind}-of-{shared.name}" if question.codes else kind


def _answer(question: Question) -> Schema:
    note: Schema = {"$ref": "#/$defs/note"}
    standing = {"enum": [item.value for item in Standing if item is not Standing.UNKNOWN]}
    known: dict[str, Schema] = {"standing": standing, "source": {"$ref": "#/$defs/source"}}
    return {
        "oneOf": [
            _object({"unknown": {"const": True}, "note": note}),
            _object({**known, "not_applicable": {"const": True}}, {"note": note}),
            _object({**known, "value": _value(question)}, {"note": note}),
        ]
    }


def _value(question: Question) -> Schema:
    office = _object({"name": _LINE}, {"found_by": _LINE, "authority": _pattern(AuthorityId)})
    item = _object({"number": _number(MAX_ITEMS), "text": _TEXT}, {"form": _LINE, "translated": {"type": "boolean"}})
    codes = {"enum": list(question.codes)}
    values: Mapping[Kind, Schema] = {
        Kind.TEXT: _TEXT,
        Kind.YES_NO: {"type": "boolean"},
        Kind.AGE: {"type": "integer", "minimum": 0, "maximum": 21},
        Kind.DAY: _DAY,
        Kind.CODE: codes,
        Kind.CODES: {**_list(codes), "uniqueItems": True},
        Kind.COUNTRIES: {**_list(_pattern(CountryCode)), "uniqueItems": True},
        Kind.LANGUAGES: {**_list(_LANGUAGE, least=1), "uniqueItems": True},
        Kind.OFFICES: _list(office, least=1),
        Kind.ITEMS: _list(item, least=1),
    }
    return values[question.kind]


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


def _number(most: int) -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": most}


def _list(items: Schema, *, least: int = 0) -> Schema:
    return {"type": "array", "minItems": least, "maxItems": MAX_ITEMS, "items": items}


def _pattern(kind: type[CountryCode | ArrangementId | AuthorityId]) -> Schema:
    return {"type": "string", "pattern": f"^(?:{kind.pattern.pattern}){_END}"}


def _document(path: str, title: str, body: Schema) -> Schema:
    head: Sequence[tuple[str, Any]] = (
        ("$schema", "https://json-schema.org/draft/2020-12/schema"),
        ("$id", f"https://trm.invalid/{path}"),
        ("title", title),
    )
    return {**dict(head), **body}
