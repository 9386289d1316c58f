# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Files: uploaded, travelling, and chunks that came before their message."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, text

from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId
from broker.storage.columns import Moment, Raw, Word
from broker.storage.tables.metadata import metadata

__all__ = ["attachment", "parked_chunk", "upload"]

upload = Table(
    "upload",
    metadata,
    Column("id", Word(), primary_key=True),
    Column("authority", Word(AuthorityId), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("key", Raw, nullable=False),
    Column("at", Moment, nullable=False),
    Column("media_type", Word()),
    Column("digest", Word(Digest)),
    Column("scope", Word()),  # of the key that encrypts `key`; NULL: an older program stored it in clear
    Index("ix_upload_at", "at"),
)

attachment = Table(
    "attachment",
    metadata,
    Column("author", Word(CountryCode), primary_key=True),
    Column("message", Word(MessageId), primary_key=True),
    Column("handle", Word(Digest), primary_key=True),
    Column("peer", Word(CountryCode), nullable=False),
    Column("place", Integer, nullable=False),
    Column("blob", Word(), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("owed", Word(), nullable=False),  # `core.owed_chunks`
    Column("at", Moment, nullable=False),
    Column("moved", Moment, nullable=False),
    Column("next_at", Moment),
    Column("attempts", Integer, nullable=False),
    Column("complete", Moment),
    Column("code", Word()),
    Column("asked", Moment),
    Index("ix_attachment_blob", "blob"),
    sqlite_with_rowid=False,
)
_OWED = text("next_at IS NOT NULL")
Index("ix_attachment_owed", attachment.c.next_at, sqlite_where=_OWED)

parked_chunk = Table(
    "parked_chunk",
    metadata,
    Column("publisher", Word(), primary_key=True),
    Column("sender", Word(CountryCode), primary_key=True),
    Column("message", Word(MessageId), primary_key=True),
    Column("handle", Word(Digest), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("blob", Word(), nullable=False),
    Column("received", Moment, nullable=False),
    Index("ix_parked_chunk_blob", "blob"),
    Index("ix_parked_chunk_publisher", "publisher", "received", "blob"),
    sqlite_with_rowid=False,
)
