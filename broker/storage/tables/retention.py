# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How long cases are kept, who wants one erased, and what an erasure still owes."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, text

from broker.core.erasures import DutyKind, ErasureState
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, ErasureId, MessageId, ProcedureId
from broker.core.retention import EraseReason, HoldReason, KeepReason
from broker.core.roles import AuditRole
from broker.storage.columns import Moment, Word, Words
from broker.storage.tables.metadata import metadata

__all__ = ["erase_duty", "erasure", "retained"]

retained = Table(
    "retained",
    metadata,
    Column("scope", Word(), primary_key=True),
    Column("hold", Word(HoldReason)),
    Column("held", Moment),
    Column("held_by", Word()),
    Column("keep_until", Word()),  # a day, ISO 8601
    Column("keep", Word(KeepReason)),
    Column("reviewed", Moment),
    Column("reviewed_by", Word()),
    sqlite_with_rowid=False,
)

erasure = Table(
    "erasure",
    metadata,
    Column("id", Word(ErasureId), primary_key=True),
    Column("scope", Word(), nullable=False),
    Column("peer", Word(CountryCode), nullable=False),
    Column("case_ref", Word(CaseRef)),
    Column("procedures", Words(ProcedureId), nullable=False),
    Column("authority", Word(AuthorityId), nullable=False),
    Column("reason", Word(EraseReason), nullable=False),
    Column("state", Word(ErasureState), nullable=False),
    Column("listed", Word(Digest), nullable=False),
    Column("proposed", Moment, nullable=False),
    Column("proposed_by", Word(), nullable=False),
    Column("role", Word(AuditRole), nullable=False),
    Column("asked_by", Word(MessageId)),
    Column("decided", Moment),
    Column("decided_by", Word()),
    Column("final", Moment),
    Index("ix_erasure_authority", "authority", "proposed", "id"),
    sqlite_with_rowid=False,
)
_UNDECIDED = text("decided IS NULL")
Index("ux_erasure_undecided", erasure.c.scope, unique=True, sqlite_where=_UNDECIDED)

erase_duty = Table(
    "erase_duty",
    metadata,
    Column("kind", Word(DutyKind), primary_key=True),
    Column("name", Word(), primary_key=True),
    Column("erasure", Word(ErasureId), nullable=False),
    Column("authority", Word(AuthorityId), nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("ix_erase_duty_next_at", "next_at"),
    Index("ix_erase_duty_erasure", "erasure"),
    sqlite_with_rowid=False,
)
