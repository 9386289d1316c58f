# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message's content, ``{"header": {…}, "body": {…}}``, as canonical bytes and back (PROTOCOL section 4).

The JSON form of the header is decided here alone; `schemas/messages/header/1.0.json` holds the same shape for people
and other implementations, and a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from broker.core import canonical
from broker.core.attachments import decode_attachments, encode_attachment
from broker.core.errors import HeaderInvalid
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
from broker.core.messages import (
    ClearedMessage,
    Header,
    LegalBasis,
    OutboxEntry,
    OutboxKind,
    Party,
    ProcedureRef,
    Urgency,
)

__all__ = ["compose", "decode_header", "encode", "encode_header", "time_from_text", "time_to_text"]

_UP_TO_ZONE = len("2026-11-22T03:00:00.000")
# No hour 24: from Python 3.14 on `fromisoformat` takes it, and two nodes would judge one message differently.
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", re.ASCII)


def time_to_text(moment: datetime) -> str:
    """Return RFC 3339 UTC with milliseconds, the one spelling used in messages: ``2026-11-22T03:00:00.000Z``."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:_UP_TO_ZONE] + "Z"


def time_from_text(text: str) -> datetime:
    """Return the moment of that one spelling.

    Raises:
        ValueError: any other spelling.
    """
    if not isinstance(text, str) or _TIME.fullmatch(text) is None:
        raise ValueError("not the canonical time")
    return datetime.fromisoformat(text)


def encode_header(header: Header) -> dict[str, Any]:
    """Return the JSON form in plain texts; a member that does not apply is absent, never null."""
    data: dict[str, Any] = {
        "id": str(header.id),
        "type": str(header.type),
        "version": str(header.version),
        "sender": header.sender.to_json(),
        "recipient": header.recipient.to_json(),
        "created": time_to_text(header.created),
        "exercise": header.exercise,
        "nonce": header.nonce,
        "parents": [str(parent) for parent in header.parents],
    }
    optional = {
        "language": header.language,
        "urgency": header.urgency,
        "purpose": header.purpose,
        "case_ref": header.case_ref,
    }
    data.update((name, str(value)) for name, value in optional.items() if value is not None)
    if header.legal_basis is not None:
        basis = header.legal_basis
        citation = {} if basis.citation is None else {"citation": basis.citation}
        data["legal_basis"] = {"code": basis.code, **citation}
    if header.procedure is not None:
        ref = header.procedure
        data["procedure"] = {
            "id": str(ref.id),
            "name": ref.name,
            "version": str(ref.version),
            "digest": str(ref.digest),
        }
    if header.attachments:
        data["attachments"] = [encode_attachment(item) for item in header.attachments]
    return data


def encode(header: Header, body: Mapping[str, Any]) -> bytes:
    """Return the canonical content bytes; their SHA-256 is the message digest.

    Raises:
        NotCanonical: the body has no canonical form.
    """
    return canonical.dump({"header": encode_header(header), "body": body})


def compose(
    cleared: ClearedMessage, *, parents: tuple[Digest, ...], created: datetime, nonce: str | None = None
) -> OutboxEntry:
    """Complete the header with the heads of our record and fix the message's bytes for good.

    Args:
        cleared: the message.
        parents: the heads.
        created: when it is recorded.
        nonce: what nobody else can guess; None: that of the header.
    """
    header = cleared.message.header
    header = replace(header, parents=tuple(sorted(parents)), created=created, nonce=nonce or header.nonce)
    return entry_of(header, cleared.message.body, OutboxKind.MESSAGE)


def entry_of(header: Header, body: Mapping[str, Any], kind: OutboxKind) -> OutboxEntry:
    """Return the outbox entry of a complete header and body."""
    content = encode(header, body)
    return OutboxEntry(
        id=header.id,
        kind=kind,
        recipient=header.recipient.country,
        exercise=header.exercise,
        content=content,
        digest=canonical.digest(content),
        created=header.created,
        header=header,
        procedure=header.procedure_id,
    )


def decode_header(data: Any) -> Header:
    """Return the typed header of a JSON object.

    Raises:
        HeaderInvalid: a member is missing, unknown or not of its form; ``where`` points at it.
    """
    return Header(**_members(data, _HEADER, _NEEDED, "/header"))


def _members(data: Any, parsers: _Parsers, needed: Collection[str], where: str = "") -> dict[str, Any]:
    """Return the members of an object, each as its parser reads it."""
    if type(data) is not dict and not isinstance(data, Mapping):
        raise HeaderInvalid("This must be an object.", where=where or None)
    for name in needed:
        if name not in data:
            raise HeaderInvalid("A required member is missing.", where=f"{where}/{name}")
    if not data.keys() <= parsers.keys():  # not named: a name could stand in the place of a member name
        raise HeaderInvalid("An unknown member.", where=where or None)
    members = {}
    for name, parse in parsers.items():  # names of ours: a constructor knows them by their place in memory
        if name not in data:
            continue
        try:
            members[name] = parse(data[name])
        except HeaderInvalid as error:
            raise HeaderInvalid(error.detail, where=f"{where}/{name}{error.where or ''}") from None
        except (ValueError, TypeError):  # their texts quote the value
            raise HeaderInvalid("The member does not have its form.", where=f"{where}/{name}") from None
    return members


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not a boolean")
    return value


def _nonce(value: Any) -> str:
    if len(canonical.b64url_decode(_text(value))) != 16:
        raise ValueError("not 16 bytes")
    return str(value)


def _parents(value: Any) -> tuple[Digest, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    parents = tuple(Digest(item) for item in value)
    if list(parents) != sorted(set(parents)):
        raise ValueError("not sorted or not unique")
    return parents


def _party(value: Any) -> Party:
    return Party(**_members(value, _PARTY, _PARTY))


def _legal_basis(value: Any) -> LegalBasis:
    return LegalBasis(**_members(value, _BASIS, ("code",)))


def _procedure(value: Any) -> ProcedureRef:
    return ProcedureRef(**_members(value, _PROCEDURE, _PROCEDURE))


_Parsers = Mapping[str, Callable[[Any], Any]]
_few = lru_cache(maxsize=1024)  # values of which there are few: every header has them
_version = _few(SchemaVersion)
_PARTY: _Parsers = {"country": _few(CountryCode), "authority": _few(AuthorityId)}
_BASIS: _Parsers = {"code": _text, "citation": _text}
_PROCEDURE: _Parsers = {"id": ProcedureId, "name": _text, "version": _version, "digest": _few(Digest)}
_NEEDED: _Parsers = {
    "id": MessageId,
    "type": _few(MessageType),
    "version": _version,
    "sender": _party,
    "recipient": _party,
    "created": time_from_text,
    "exercise": _boolean,
    "nonce": _nonce,
    "parents": _parents,
}
_HEADER: _Parsers = {
    **_NEEDED,
    "language": _text,
    "urgency": Urgency,
    "purpose": _text,
    "legal_basis": _legal_basis,
    "case_ref": CaseRef,
    "procedure": _procedure,
    "attachments": decode_attachments,
}
