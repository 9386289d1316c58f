# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Opening at the receiving office: what is inside is held against its schema, for the node could not (PROTOCOL 16.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.catalogue import Catalogue
from broker.core.errors import BadRequest, BrokerError, HeaderInvalid, SchemaInvalid
from broker.core.ids import AuthorityId, CountryCode, MessageType, ProcedureId, SchemaVersion
from broker.core.messages import Party
from broker.core.sealed_parts import PartPlace, put, rest_digest, sealed_parts
from broker.security import nested
from broker.security.nested import PART_LENGTHS, Nested
from broker.security.suite import Opener

__all__ = ["Fault", "OpenedMessage", "Surroundings", "open_parts", "surroundings_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the message says around its sealed parts."""

    sender: Party
    recipient: Party
    type: MessageType
    version: SchemaVersion
    procedure: ProcedureId | None  # None: not known, as in a copy that was kept before the procedure had its id
    exercise: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A part that must not be worked with: it does not open, does not belong here, or does not fit."""

    place: str  # from the body
    code: str
    where: str  # the place, or one inside the part
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedMessage:
    """A body with its parts in clear; a faulty one is left sealed."""

    body: Mapping[str, Any]
    opened: tuple[str, ...]
    faults: tuple[Fault, ...]


def open_parts(around: Surroundings, body: Any, *, opener: Opener, catalogue: Catalogue) -> OpenedMessage:
    """Return the body with every part opened that opens, belongs here and fits its schema.

    Raises:
        NotCanonical: the body has no canonical form.
    """
    found = tuple(sealed_parts(body))
    rest = rest_digest(body, (place for place, _ in found))
    schemas = dict(catalogue.sealed_schemas(around.type, around.version, body))
    clear, opened, faults = body, [], []
    for place, part in found:
        try:
            inside = _opened(around, part, rest=rest, place=place, opener=opener)
            _fits(catalogue, schemas.get(place), inside, place)
        except BrokerError as error:
            faults.append(Fault(place=place, code=error.code, where=error.where or place, detail=error.detail))
            continue
        clear = put(clear, place, inside)
        opened.append(place)
    return OpenedMessage(body=clear, opened=tuple(opened), faults=tuple(faults))


def _opened(around: Surroundings, part: Mapping[str, Any], *, rest: Any, place: str, opener: Opener) -> Any:
    parsed = nested.parse_part(part)
    nested.check_lengths(parsed, PART_LENGTHS)
    expected = PartPlace(
        sender=around.sender,
        recipient=around.recipient,
        type=around.type,
        version=around.version,
        procedure=_procedure(around, parsed),
        exercise=around.exercise,
        rest=rest,
        place=place,
    )
    nested.check_belongs(parsed, expected.to_json())
    return nested.unpadded(nested.decrypt(parsed, opener), PART_LENGTHS)


def _procedure(around: Surroundings, parsed: Nested) -> ProcedureId | None:
    """Return the procedure that a part must name: its own node has seen to it that only an opening names none."""
    return around.procedure if "procedure" in parsed.profile else None


def _fits(catalogue: Catalogue, schema: str | None, inside: Any, place: str) -> None:
    if schema is None:
        raise SchemaInvalid("The message's schema wants nothing sealed here.", where=place)
    problems = catalogue.explain_part(schema, inside, place, leaving=False)
    if problems:
        raise SchemaInvalid(problems[0].sentence, where=problems[0].pointer)


def surroundings_of(document: Any) -> tuple[Surroundings, Mapping[str, Any]]:
    """Return what a message's JSON says around its parts, and its body.

    Taken as nodes and adapters give it: a content of header and body (also as the member ``content``), one object with
    the header's members beside the body, or a submission kept as a copy, where the sender's country must be added.

    Raises:
        BadRequest: it is none of these.
    """
    content = document.get("content", document) if isinstance(document, Mapping) else None
    if not isinstance(content, Mapping) or not isinstance(content.get("body"), Mapping):
        raise BadRequest("This is no message: an object with header and body, as 'trm show --json' writes it.")
    header = content.get("header", content)
    try:
        procedure = header.get("procedure")
        named = procedure["id"] if isinstance(procedure, Mapping) else procedure
        around = Surroundings(
            sender=_party(header["sender"]),
            recipient=_party(header["recipient"]),
            type=MessageType(header["type"]),
            version=SchemaVersion(header["version"]),
            procedure=None if named is None else ProcedureId(named),
            exercise=header.get("exercise", False) is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError, HeaderInvalid):
        raise BadRequest("The message does not say from whom to whom, of which type and version it is.") from None
    return around, content["body"]


def _party(value: Mapping[str, Any]) -> Party:
    return Party(country=CountryCode(value["country"]), authority=AuthorityId(value["authority"]))
