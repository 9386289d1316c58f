# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Receipts, and what came in that was decided before, is not believed, or not yet."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, text

from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.receipts import ReceiptKind
from broker.storage.columns import Moment, Raw, Word, Words
from broker.storage.tables.metadata import metadata

__all__ = ["abuse", "parked", "quarantine", "receipt", "seen_raw"]

receipt = Table(
    "receipt",
    metadata,
    Column("author", Word(CountryCode), primary_key=True),
    Column("message", Word(MessageId), primary_key=True),
    Column("kind", Word(ReceiptKind), primary_key=True),
    Column("issuer", Word(CountryCode), primary_key=True),
    Column("digest", Word(Digest), nullable=False),
    Column("at", Moment, nullable=False),
    Column("code", Word()),
    Column("heads", Words(Digest), nullable=False),
    Column("record_digest", Word(Digest)),
    Column("issued", Boolean, nullable=False),
    Column("queued", Moment),  # not null: waits for an envelope
    Column("envelope", Word(MessageId)),  # the one that it travelled in last
    sqlite_with_rowid=False,
)
_WAITING = text("queued IS NOT NULL")
Index("ix_receipt_waiting", receipt.c.author, receipt.c.queued, sqlite_where=_WAITING)

seen_raw = Table(
    "seen_raw",
    metadata,
    Column("sha256", Word(Digest), primary_key=True),
    Column("sender", Word(CountryCode)),
    Column("message", Word(MessageId)),
    Column("answered", Moment, nullable=False),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("sha256", Word(Digest), primary_key=True),
    Column("publisher", Word(), nullable=False),  # broker user; empty: unknown
    Column("received", Moment, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes of raw
    Column("code", Word(), nullable=False),
    Column("raw", Raw, nullable=False),
    Column("scope", Word()),  # of a key of its own; NULL: an older program stored it as it came
    Index("ix_quarantine_publisher", "publisher", "received", "sha256", "size"),
)

parked = Table(
    "parked",
    metadata,
    Column("sha256", Word(Digest), primary_key=True),
    Column("publisher", Word(), nullable=False),
    Column("received", Moment, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("code", Word(), nullable=False),
    Column("next_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("raw", Raw, nullable=False),
    Column("scope", Word()),
    Index("ix_parked_publisher", "publisher", "received", "sha256", "size"),
    Index("ix_parked_next_at", "next_at", "sha256"),
)

abuse = Table(
    "abuse",
    metadata,
    Column("publisher", Word(), primary_key=True),
    Column("code", Word(), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("last", Moment, nullable=False),
    sqlite_with_rowid=False,
)
