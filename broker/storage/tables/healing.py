# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a node that was restored from a backup asks the others for, and what it lacks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table

from broker.core.healing import MissedState
from broker.core.ids import CountryCode, Digest, MessageId, ProcedureId
from broker.storage.columns import Moment, Word
from broker.storage.tables.metadata import metadata

__all__ = ["healing", "missed", "restored_mark"]

restored_mark = Table(  # of other countries
    "restored_mark",
    metadata,
    Column("country", Word(CountryCode), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("head", Word(Digest), nullable=False),
    sqlite_with_rowid=False,
)

healing = Table(
    "healing",
    metadata,
    Column("peer", Word(), primary_key=True),  # empty: it is not known yet whom to ask
    Column("since", Moment, nullable=False),
    Column("restored", Moment, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("head", Word(Digest), nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("after_message", Word(MessageId)),
    Column("after_author", Word(CountryCode)),
    Column("question", Word(MessageId)),
    Column("attempts", Integer, nullable=False),
    Column("ended", Moment),
    sqlite_with_rowid=False,
)

missed = Table(
    "missed",
    metadata,
    Column("peer", Word(CountryCode), primary_key=True),
    Column("digest", Word(Digest), primary_key=True),
    Column("author", Word(CountryCode), nullable=False),
    Column("message", Word(MessageId), nullable=False),
    Column("procedure", Word(ProcedureId), nullable=False),
    Column("opener", Word(CountryCode), nullable=False),
    Column("act", Word(), nullable=False),
    Column("state", Word(MissedState), nullable=False),
    Column("code", Word()),
    Column("attempts", Integer, nullable=False),
    Index("ix_missed_procedure", "procedure"),
    sqlite_with_rowid=False,
)
