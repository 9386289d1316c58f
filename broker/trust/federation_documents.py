# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""``federation.json``: what the federation's officers sign about who is a member (PROTOCOL: trust list)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.core.characters import is_line
from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode
from broker.core.trust import MemberKind, MemberStatus
from broker.trust.strict import Fields, exactly, mapping, placed, read_json, write_json

__all__ = ["FORMAT", "FederationDocument", "Membership", "read_federation", "write_federation"]

FORMAT = "trm-federation/1"
_MAX_TEXT = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What the federation says of one country."""

    status: MemberStatus = MemberStatus.ACTIVE
    kind: MemberKind = MemberKind.STATE
    reason: str | None = None  # why it is suspended


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationDocument:
    """The federation's name and its members."""

    name: str
    members: Mapping[CountryCode, Membership] = field(default_factory=dict)


def read_federation(raw: bytes, *, where: str = "federation.json") -> FederationDocument:
    """Return the value of the document's bytes.

    Raises:
        TrustListInvalid: it does not have its one form; ``where`` names file and place.
    """
    return placed(f"{where}: ", _document, read_json(raw, where=where))


def write_federation(document: FederationDocument) -> bytes:
    """Return the document's bytes; `read_federation` gives the same value back."""
    members = {
        str(country): {"status": item.status.value, "kind": item.kind.value, "reason": item.reason}
        for country, item in document.members.items()
    }
    return write_json({"format": FORMAT, "name": document.name, "members": members})


def _document(data: Any) -> FederationDocument:
    fields = Fields(data)
    fields.take("format", exactly(FORMAT))
    document = FederationDocument(
        name=fields.take("name", _text),
        members=fields.take("members", lambda value: mapping(value, CountryCode, _membership)),
    )
    fields.finish()
    return document


def _membership(data: Any) -> Membership:
    fields = Fields(data)
    membership = Membership(
        status=fields.take("status", MemberStatus),
        kind=fields.take("kind", MemberKind),
        reason=fields.take("reason", lambda value: None if value is None else _text(value)),
    )
    fields.finish()
    if (membership.status is MemberStatus.SUSPENDED) != (membership.reason is not None):
        raise TrustListInvalid("A suspension has a reason, and nothing else has.", where="/reason")
    return membership


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not is_line(value):
        raise ValueError("not a line of text")
    return value
