# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The audit trail: its entries, our signed checkpoints, other countries' and what they were told."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, text

from broker.core.ids import AuthorityId, CountryCode, Digest, ProcedureId
from broker.core.roles import AuditRole
from broker.storage.columns import Moment, Raw, Word
from broker.storage.tables.metadata import SERIAL, metadata

__all__ = ["SHOWN", "audit", "audit_checkpoint", "audit_told", "audit_witness"]

audit = Table(
    "audit",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("actor", Word(), nullable=False),
    Column("action", Word(), nullable=False),
    Column("subject", Word(), nullable=False),
    Column("detail", Word(), nullable=False),
    Column("role", Word(AuditRole), nullable=False, server_default="node"),
    Column("authority", Word(AuthorityId)),  # ours
    Column("procedure", Word(ProcedureId)),
    Column("peer", Word(CountryCode)),
    Column("reason", Word(), nullable=False, server_default=text("''")),
    Column("position", BigInteger),  # in the chain; null: not linked yet, which is all that is ever changed of a row
    Column("digest", Word(Digest)),
    Column("chain", Word(Digest)),
    sqlite_autoincrement=True,  # a number is never given twice, also after the newest rows were retained away
)
_UNLINKED = text("position IS NULL")
Index("ix_audit_unlinked", audit.c.id, sqlite_where=_UNLINKED)  # rows commit in another order than they are numbered
SHOWN = text("procedure IS NOT NULL AND action IN ('read', 'attachment-read')")  # statements say it in the same words
Index("ix_audit_shown", audit.c.actor, audit.c.at, audit.c.procedure, sqlite_where=SHOWN)
_LINKED = text("position IS NOT NULL")
Index("ux_audit_position", audit.c.position, unique=True, sqlite_where=_LINKED)

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("head", Word(Digest), nullable=False),
    Column("at", Moment, nullable=False),
    Column("cut", Boolean, nullable=False),  # what stood up to here was taken away when its retention ended
    Column("raw", Raw, nullable=False),  # as it was signed
)

audit_witness = Table(
    "audit_witness",
    metadata,
    Column("country", Word(CountryCode), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("head", Word(Digest), primary_key=True),  # two of one position are the proof of a contradiction
    Column("at", Moment, nullable=False),
    Column("raw", Raw, nullable=False),
)

audit_told = Table(
    "audit_told",
    metadata,
    Column("country", Word(CountryCode), primary_key=True),
    Column("position", BigInteger, nullable=False),  # of our newest checkpoint that went there
    sqlite_with_rowid=False,
)
