# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Messages as the rules of casework get them: valid, between two made-up offices."""

from __future__ import annotations

from datetime import UTC, datetime

from broker.core.ids import AuthorityId, CaseRef, CountryCode, MessageId, MessageType, SchemaVersion
from broker.core.messages import Body, Header, LegalBasis, Party, ValidMessage

__all__ = ["valid_message"]


def valid_message(
    kind: str,
    body: Body,
    *,
    sender: str = "EE/board",
    recipient: str = "FI/county",
    basis: str | None = None,
    purpose: str | None = None,
    case_ref: CaseRef | None = None,
) -> ValidMessage:
    """Return a message of version 1.0.

    Args:
        kind: its type.
        body: taken as it is; no schema is asked.
        sender: country and office.
        recipient: the same.
        basis: code of its legal basis.
        purpose: code of what it is for, where it is about no person.
        case_ref: its case.
    """
    header = Header(
        id=MessageId("01890000-0000-7000-8000-000000000001"),
        type=MessageType(kind),
        version=SchemaVersion("1.0"),
        sender=_party(sender),
        recipient=_party(recipient),
        created=datetime(2026, 11, 22, 3, 0, tzinfo=UTC),
        exercise=False,
        nonce="AAAAAAAAAAAAAAAAAAAAAA",
        legal_basis=None if basis is None else LegalBasis(code=basis),
        purpose=purpose,
        case_ref=case_ref,
    )
    return ValidMessage(header=header, body=body)


def _party(text: str) -> Party:
    country, _, authority = text.partition("/")
    return Party(country=CountryCode(country), authority=AuthorityId(authority))
