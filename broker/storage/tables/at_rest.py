# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The keys of cases, and by what their people are found: neither is in a backup of data."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from broker.core.ids import ProcedureId
from broker.storage.columns import Moment, Raw, Word
from broker.storage.tables.metadata import LEFT_OUT, metadata

__all__ = ["case_key", "key_epoch", "search_owed", "search_term"]

case_key = Table(  # never part of a backup of data: it has one of its own, of which only the newest is kept
    "case_key",
    metadata,
    Column("scope", Word(), primary_key=True),
    Column("epoch", BigInteger, nullable=False),  # that it is wrapped under, or was destroyed in
    Column("wrapped", Raw),
    Column("created", Moment, nullable=False),
    Column("destroyed", Moment),  # not null: there is no key any more, and none is made again
    Index("ix_case_key_epoch", "epoch", "scope"),
    info={LEFT_OUT: "backed up with the vault"},
    sqlite_with_rowid=False,
)

search_term = Table(  # what the people of a procedure's messages are found by: see `search.py`
    "search_term",
    metadata,
    Column("procedure", Word(ProcedureId), primary_key=True),
    Column("scope", Word(), nullable=False),  # whose key's end is theirs
    Column("buckets", Word(), nullable=False),  # numbers between blanks, also at both ends
    sqlite_with_rowid=False,
    info={LEFT_OUT: "made again from the messages: a restored database owes them to all procedures"},
)

search_owed = Table(  # procedures whose messages are not searchable yet: stored before there was a search, or restored
    "search_owed",
    metadata,
    Column("procedure", Word(ProcedureId), primary_key=True),
    sqlite_with_rowid=False,
    info={LEFT_OUT: "filled after restoring"},
)

key_epoch = Table(  # one row; backed up with case_key
    "key_epoch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),  # that new keys are wrapped under
    info={LEFT_OUT: "backed up with the vault"},
)
