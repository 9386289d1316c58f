# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a caller submits, from JSON: the API's POST body, a file of the file-drop adapter, the argument of ``trm submit``.

A composer normalises texts to NFC, so that equal names are equal bytes; a reader never does, for that would change what
was signed. `schemas/submission/1.0.json` decides about the form; here it only becomes typed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from broker.core.canonical import MAX_DEPTH
from broker.core.errors import BadRequest, SchemaInvalid
from broker.core.ids import AuthorityId, CountryCode, MessageType, ProcedureId, SchemaVersion
from broker.core.messages import LegalBasis, Party, Submission, Uploaded, Urgency
from broker.core.roles import AuditRole

__all__ = ["normalised", "to_submission"]

_MAX_INTEGER = 2**53 - 1


def to_submission(
    data: Mapping[str, Any], *, actor: str, role: AuditRole, route: str, idempotency_key: str
) -> Submission:
    """Return the typed submission of an object that fits the submission schema."""
    recipient, basis = data["recipient"], data["legal_basis"]
    return Submission(
        type=MessageType(data["type"]),
        version=SchemaVersion(data["version"]) if "version" in data else None,
        sender_authority=AuthorityId(data["sender"]["authority"]),
        recipient=Party(country=CountryCode(recipient["country"]), authority=AuthorityId(recipient["authority"])),
        procedure=ProcedureId(data["procedure"]) if "procedure" in data else None,
        legal_basis=LegalBasis(code=basis["code"], citation=basis.get("citation")),
        purpose=data["purpose"],
        urgency=Urgency(data["urgency"]),
        language=data["language"],
        exercise=data.get("exercise", False),
        body=data["body"],
        actor=actor,
        role=role,
        route=route,
        idempotency_key=idempotency_key,
        attachments=tuple(Uploaded(**item) for item in data.get("attachments", ())),
    )


def normalised(data: Any) -> dict[str, Any]:
    """Return the object with texts in NFC.

    Raises:
        BadRequest: it is no object.
        SchemaInvalid: something in it has no canonical form. Only the submission's own members are named as the place:
            an unknown one may hold a person's name.
    """
    if not isinstance(data, Mapping):
        raise BadRequest("A submission is a JSON object.", where="/")
    normal: dict[str, Any] = {}
    for name, item in data.items():
        try:
            normal[_name(name)] = _canonical(item, 1)
        except ValueError as error:
            raise SchemaInvalid(str(error), where=f"/{name}" if name in _MEMBERS else "/") from None
    return normal


_MEMBERS = frozenset(
    {"type", "version", "sender", "recipient", "procedure", "legal_basis", "purpose", "urgency", "language", "exercise", "attachments", "body"}
)  # fmt: skip


def _canonical(value: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH:  # the content object stands one level above
        raise ValueError("The objects and lists are nested too deeply.")
    if isinstance(value, str):
        return unicodedata.normalize("NFC", str(_whole(value)))  # an adapter gives our own identifiers back to us
    if isinstance(value, Mapping):
        return {_name(name): _canonical(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item, depth + 1) for item in value]
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 12.0 from a spreadsheet means 12
    if isinstance(value, float):
        raise ValueError("Numbers are whole numbers.")
    if isinstance(value, int) and not -_MAX_INTEGER <= value <= _MAX_INTEGER:
        raise ValueError("A number is too large.")
    return value


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.isascii():
        raise ValueError("A member name is not ASCII.")
    return name


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("A text holds half of a character.") from None
    return text
