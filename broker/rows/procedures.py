# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures with their records, and what their openers declare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.core.ids import AuthorityId, CaseRef, CountryCode, MessageId, ProcedureId
from broker.core.messages import ProcedureRef, RecordEntry
from broker.core.receipts import Receipt
from broker.core.roles import Role

__all__ = ["Declaration", "KeptRecord", "ProcedureRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureRow:
    """A procedure as this node holds it."""

    ref: ProcedureRef
    peer: CountryCode
    opener: CountryCode  # author of the first message: the requesting side
    our_authority: AuthorityId
    peer_authority: AuthorityId
    case_ref: CaseRef | None
    exercise: bool
    opened: datetime
    state: str = ""  # last folded state, for lists; the fold is the truth
    alarm: bool = False
    gap: bool = False
    erased: datetime | None = None  # since when nothing of its contents is here

    def role_of(self, country: CountryCode) -> Role:
        """Return the side that a country is on: who opened the procedure is the requesting one."""
        return Role.REQUESTING if self.opener == country else Role.REQUESTED


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """A procedure with its record and the answers to the record's messages."""

    row: ProcedureRow
    entries: tuple[RecordEntry, ...]
    receipts: tuple[Receipt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A message by which the opener of a procedure that is not over says what holds while it is open."""

    message: MessageId
    procedure: ProcedureId
    opener: CountryCode
    peer: CountryCode
    exercise: bool
    content: bytes | None  # canonical {"header", "body"}; None: it does not open here
