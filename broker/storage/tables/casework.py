# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Procedures, who takes part in them, their records, and the keys by which a caller repeats himself safely."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Table, text

from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, MessageId, ProcedureId, SchemaVersion
from broker.storage.columns import Moment, Word, Words
from broker.storage.tables.metadata import metadata

__all__ = ["idempotency", "participant", "procedure", "record_entry"]

idempotency = Table(
    "idempotency",
    metadata,
    Column("scope", Word(), primary_key=True),
    Column("key", Word(), primary_key=True),
    Column("body_digest", Word(Digest), nullable=False),
    Column("message", Word(MessageId), nullable=False),
    Column("at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

procedure = Table(
    "procedure",
    metadata,
    Column("id", Word(ProcedureId), primary_key=True),
    Column("name", Word(), nullable=False),
    Column("version", Word(SchemaVersion), nullable=False),
    Column("digest", Word(Digest), nullable=False),
    Column("peer", Word(CountryCode), nullable=False),
    Column("opener", Word(CountryCode), nullable=False),
    Column("our_authority", Word(AuthorityId), nullable=False),
    Column("peer_authority", Word(AuthorityId), nullable=False),
    Column("case_ref", Word(CaseRef)),
    Column("exercise", Boolean, nullable=False),
    Column("opened", Moment, nullable=False),
    Column("state", Word(), nullable=False),
    Column("alarm", Boolean, nullable=False),
    Column("gap", Boolean, nullable=False),
    Column("erased", Moment),
    Index("ix_procedure_authority", "our_authority", "opened", "id"),
    Index("ix_procedure_opened", "opened", "id"),
    Index("ix_procedure_case", "case_ref"),
    Index("ix_procedure_surge", "id", sqlite_where=text("name = 'surge'")),  # few of all, and asked of every list
    Index(  # few of all, and asked of every message that weighs in a decision
        "ix_procedure_correction", "peer", "opened", "id", sqlite_where=text("name = 'correction'")
    ),
    sqlite_with_rowid=False,
)

participant = Table(  # our offices that take part, where they are others than those of the opening
    "participant",
    metadata,
    Column("procedure", Word(ProcedureId), ForeignKey("procedure.id"), primary_key=True),
    Column("authority", Word(AuthorityId), primary_key=True),
    Index("ix_participant_authority", "authority"),
    sqlite_with_rowid=False,
)

record_entry = Table(
    "record_entry",
    metadata,
    Column("procedure", Word(ProcedureId), ForeignKey("procedure.id"), primary_key=True),
    Column("digest", Word(Digest), primary_key=True),
    Column("message", Word(MessageId), nullable=False),
    Column("author", Word(CountryCode), nullable=False),
    Column("act", Word(), nullable=False),
    Column("parents", Words(Digest), nullable=False),
    Column("code", Word()),
    Index("ix_record_entry_digest", "digest"),
    sqlite_with_rowid=False,
)
