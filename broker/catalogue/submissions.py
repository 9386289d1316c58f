# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a caller submits, from JSON: the API's POST body, a file of the file-drop adapter, the argument of ``trm submit``.

A composer normalises texts to NFC, so that equal names are equal bytes; a reader never does, for that would change what
was signed. `schemas/submission/1.0.json` decides about the form; here it only becomes typed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from broker.core.canonical import MAX_DEPTH
from broker.core.errors import BadRequest, SchemaInvalid
from broker.core.ids import AuthorityId, CountryCode, MessageType, ProcedureId, SchemaVersion
from broker.core.messages import LegalBasis, Party, Submission, Uploaded, Urgency
from broker.core.roles import AuditRole

__all__ = ["normalised", "to_submission"]

_MAX_INTEGER = 2**53 - 1
_TOO_DEEP = "The objects and lists are nested too deeply."  # the content object stands one level above


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
            _check_names((name,))
            normal[name] = _canonical(item, 1)
        except ValueError as error:
            raise SchemaInvalid(str(error), where=f"/{name}" if name in _MEMBERS else "/") from None
    return normal


_MEMBERS = frozenset(
    {"type", "version", "sender", "recipient", "procedure", "legal_basis", "purpose", "urgency", "language", "exercise", "attachments", "body"}
)  # fmt: skip


def _canonical(value: Any, depth: int) -> Any:
    """Return a value with texts in NFC; most are texts in ASCII, which their container takes as they stand."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", str(_whole(value)))  # an adapter gives our own identifiers back to us
    below = depth + 1
    if isinstance(value, list):
        if below >= MAX_DEPTH and value:
            raise ValueError(_TOO_DEEP)
        return [item if type(item) is str and item.isascii() else _canonical(item, below) for item in value]
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101 - to ask for a dict costs a tenth
        _check_names(value)
        if below >= MAX_DEPTH and value:
            raise ValueError(_TOO_DEEP)
        normal = {}
        for name, item in value.items():
            normal[name] = item if type(item) is str and item.isascii() else _canonical(item, below)
        return normal
    return _whole_number(value) if isinstance(value, int | float) else value


def _whole_number(value: float) -> float:
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError("Numbers are whole numbers.")
        value = int(value)  # 12.0 from a spreadsheet means 12
    if not -_MAX_INTEGER <= value <= _MAX_INTEGER:
        raise ValueError("A number is too large.")
    return value


def _check_names(names: Iterable[Any]) -> None:
    try:
        plain = "".join(names).isascii()
    except TypeError:
        plain = False
    if not plain:
        raise ValueError("A member name is not ASCII.")


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("A text holds half of a character.") from None
    return text
