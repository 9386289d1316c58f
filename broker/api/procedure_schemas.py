# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON schemas of procedures, their records, deadlines and timelines, for the OpenAPI document: what `views` writes."""

from __future__ import annotations

from broker.api.schema_forms import (
    SURGE,
    TEXT,
    TIME,
    TRUTH,
    Schema,
    array_of,
    identifier,
    list_of,
    object_of,
    reference,
)
from broker.core.audit import SearchReason
from broker.core.deadlines import DeadlineKind, Phase
from broker.core.ids import (
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    MessageId,
    MessageType,
    ProcedureId,
    SchemaVersion,
)
from broker.core.persons import MAX_NAME
from broker.core.procedures import ParticipantRole, Role

__all__ = ["procedure_schemas"]


def procedure_schemas() -> dict[str, Schema]:
    """Return the schemas by name."""
    procedure = _procedure_item()
    return {
        "ProcedureItem": procedure,
        "ProcedureList": list_of("ProcedureItem"),
        "CaseSearch": _case_search(),
        "CasesFound": object_of(
            {
                "items": array_of(reference("ProcedureItem")),
                "more": {"type": "boolean", "description": "There are more: ask more exactly."},
                "whole": {"type": "boolean", "description": "false: older messages are still being made searchable."},
                "unreadable": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "Procedures that may speak of the person and do not open: the operator restores the newest "
                    "backup.",
                },
            },
            optional=("unreadable",),
        ),
        "Participant": _participant(),
        "RecordLine": _record_line(),
        "Procedure": _procedure(procedure),
        "Actions": object_of(
            {"procedure": identifier(ProcedureId), "state": TEXT, "items": array_of(identifier(MessageType))}
        ),
        "TimelineLine": _timeline_line(),
        "Deadline": _deadline(),
        "Timeline": object_of({"procedure": identifier(ProcedureId), "items": array_of(reference("TimelineLine"))}),
    }


def _procedure_item() -> Schema:
    properties = {
        "id": identifier(ProcedureId),
        "name": TEXT,
        "version": identifier(SchemaVersion),
        "table": identifier(Digest, "Of the procedure table that governs it for its whole life."),
        "peer": identifier(CountryCode),
        "role": {"type": "string", "enum": [role.value for role in Role]},
        "our_authority": identifier(AuthorityId),
        "peer_authority": identifier(AuthorityId),
        "case_ref": identifier(CaseRef),
        "exercise": TRUTH,
        "opened": TIME,
        "state": TEXT,
        "alarm": TRUTH,
        "gap": TRUTH,
        "erased": {**TIME, "description": "Since when its contents are gone; absent while they are here."},
    }
    return object_of(properties, optional=("case_ref", "erased"))


def _record_line() -> Schema:
    properties = {
        "digest": identifier(Digest),
        "message": identifier(MessageId),
        "author": identifier(CountryCode),
        "act": TEXT,
        "mark": TEXT,
        "final": {**TRUTH, "description": "The other country proved that it holds this and all before it."},
        "code": {"type": "string", "description": "Of a refusal."},
    }
    return object_of(properties, optional=("code",))


def _procedure(item: Schema) -> Schema:
    more = {
        "digest": identifier(Digest, "Of the whole record; absent while something is missing."),
        "heads": array_of(identifier(Digest)),
        "participants": array_of(reference("Participant")),
        "entries": array_of(reference("RecordLine")),
        "deadlines": array_of(reference("Deadline")),
        "surge": SURGE,
        "coming_of_age": {
            **object_of({"on": {"type": "string", "format": "date"}, "reached": TRUTH, "meaning": TEXT}),
            "description": "From six months before the child is of age by its recorded birth; else absent.",
        },
    }
    return {
        **item,
        "properties": {**item["properties"], **more},
        "required": [*item["required"], "heads", "participants", "entries", "deadlines"],
    }


def _case_search() -> Schema:
    about = "Whole words, in any order; case, accents and marks do not count. Nothing is found by a part of a word."
    found = object_of(
        {
            "name": {"type": "string", "maxLength": MAX_NAME, "description": about},
            "born": {
                "type": "string",
                "description": "As much as is known: 2014-05-03, 2014-05 or 2014. Alone it must be a whole date.",
                "pattern": "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$",
            },
            "procedure": {
                **identifier(ProcedureId),
                "description": "Instead of name and born: the other procedures that may be about the child of this one.",
            },
            "reason": {"type": "string", "enum": [reason.value for reason in SearchReason]},
        },
        optional=("name", "born", "procedure"),
    )
    alone = {"required": ["procedure"], "properties": {"name": False, "born": False}}
    return {**found, "anyOf": [{"required": ["name"]}, {"required": ["born"]}, alone]}


def _participant() -> Schema:
    properties = {
        "country": identifier(CountryCode),
        "authority": identifier(AuthorityId),
        "role": {"type": "string", "enum": [role.value for role in ParticipantRole]},
    }
    return object_of(properties)


def _deadline() -> Schema:
    return object_of(
        {
            "id": TEXT,
            "title": TEXT,
            "by": {"type": "string", "enum": [role.value for role in Role]},
            "ours": {**TRUTH, "description": "This side must act."},
            "due": {**TIME, "description": "The first moment that is too late."},
            "due_local": {"type": "string", "description": "Last day in time; of hours the moment, in that time zone."},
            "time_zone": TEXT,
            "calendar": identifier(CountryCode),
            "holidays_known": {**TRUTH, "description": "False: only weekends were taken into account."},
            "open_questions": {**array_of(TEXT), "description": "What nobody has said of that country's calendar."},
            "phase": {"type": "string", "enum": [phase.value for phase in Phase]},
            "meaning": {"type": "string", "description": "What it means that it stands so; silence is never consent."},
            "extended": TRUTH,
            "extendable": {**TRUTH, "description": "Its source allows a longer time, once, and it has not passed."},
            "extendable_until": {
                "type": "string",
                "format": "date",
                "description": "Absent where it is not extendable: the last day that its source allows.",
            },
            "met": {**TIME, "description": "The date of the message that settled it: its author's word."},
            "came": {**TIME, "description": "When that was with the other side; absent: not yet, as far as is known."},
            "kind": {"type": "string", "enum": [kind.value for kind in DeadlineKind]},
            "source": TEXT,
            "source_read": {**TRUTH, "description": "False: taken from a secondary source, not verified."},
            "silence": TEXT,
        },
        optional=("met", "came", "extendable_until"),
    )


def _timeline_line() -> Schema:
    return object_of(
        {
            "at": TIME,
            "who": identifier(CountryCode),
            "what": TEXT,
            "state": TEXT,
            "evidence": TEXT,
            "message": identifier(MessageId),
        }
    )
