# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the running node remembers: leases, counters, whom to call, and the trust list."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, text

from broker.core.ids import AuthorityId, CountryCode, Digest
from broker.storage.columns import Moment, Raw, Word
from broker.storage.tables.metadata import LEFT_OUT, SERIAL, metadata

__all__ = ["attention", "counter", "lease", "trust_list", "trust_memory"]

counter = Table(
    "counter",
    metadata,
    Column("name", Word(), primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

attention = Table(
    "attention",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("code", Word(), nullable=False),
    Column("subject", Word(), nullable=False),
    Column("who", Word(), nullable=False),
    Column("at", Moment, nullable=False),
    Column("peer", Word(CountryCode)),
    Column("authority", Word(AuthorityId)),
    Column("detail", Word(), nullable=False),
    Column("resolved", Moment),
    Column("resolved_by", Word()),
    Index("ix_attention_at", "at", "id"),
    Index("ix_attention_authority", "authority", "at", "id"),
    Index("ix_attention_called", "code", "subject", "id"),
)
_OPEN = text("resolved IS NULL")
Index(
    "ux_attention_open",
    attention.c.code,
    attention.c.subject,
    unique=True,
    sqlite_where=_OPEN,
)

lease = Table(
    "lease",
    metadata,
    Column("name", Word(), primary_key=True),
    Column("token", Word(), nullable=False),
    Column("until", Moment, nullable=False),
    info={LEFT_OUT: "held by a worker that runs"},
    sqlite_with_rowid=False,
)

trust_list = Table(
    "trust_list",
    metadata,
    Column("id", SERIAL, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("root_version", BigInteger, nullable=False),
    Column("digest", Word(Digest), nullable=False),
    Column("accepted", Moment, nullable=False),
    Column("raw", Raw, nullable=False),
    Column("looked", Moment),  # when a look that gave this list last began; null: when it was accepted
    Index("ix_trust_list_version", "version", "accepted"),
)

trust_memory = Table(
    "trust_memory",
    metadata,
    Column("name", Word(), primary_key=True),  # of a file that the list's client keeps between two looks
    Column("raw", Raw, nullable=False),
)
