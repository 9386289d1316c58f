# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The tables. Large bytes stand in tables of their own: a change of state would otherwise rewrite them each time.

What protects a child's data at rest (the key of a case is in `case_key`, see `case_keys.py`):
- header and content of both boxes are ciphertext under the key of their case, and dead when that key is destroyed;
- `outbox_envelope.raw` is sealed to the recipient country's key, and that is ciphertext under the key of its case: dead with
  it, whoever holds the country's key; `quarantine.raw` and `parked.raw` are what came, sealed to one of our own encryption
  keys or to nobody's, of a case that nobody knows yet: each is ciphertext under a key of its own, which goes when it was
  decided or its place is needed; so is the key of an uploaded file, which goes when a message takes the file;
- what people are searched by is a bucket that many names share (`search_term`), and goes with the key of its case;
- digests are over bytes with a random nonce: they confirm no guess. Ids, countries, offices, types, states, times and
  codes stand in clear; so does a case reference, which is a pseudonym.

Nothing here creates anything; `schema.py` and `migrations/` do, and a test holds the two together.
A table with `info={LEFT_OUT: why}` is in no backup of data (`dump.py`); every other one is.
A partial index's condition is said once, as ``sqlite_where``; `schema.py` gives it to PostgreSQL too.
"""

from __future__ import annotations

from broker.storage.tables.arrivals import abuse, parked, quarantine, receipt, seen_raw
from broker.storage.tables.at_rest import case_key, key_epoch, search_owed, search_term
from broker.storage.tables.attachments import attachment, parked_chunk, upload
from broker.storage.tables.boxes import (
    OWED_RECEIPTS,
    draft,
    draft_content,
    inbox,
    inbox_content,
    outbox,
    outbox_content,
    outbox_envelope,
    receipted,
)
from broker.storage.tables.casework import idempotency, participant, procedure, record_entry
from broker.storage.tables.healing import healing, missed, restored_mark
from broker.storage.tables.metadata import LEFT_OUT, metadata
from broker.storage.tables.retention import erase_duty, erasure, retained
from broker.storage.tables.running import attention, counter, lease, trust_list, trust_memory
from broker.storage.tables.trail import audit, audit_checkpoint, audit_told, audit_witness

__all__ = [
    "LEFT_OUT",
    "OWED_RECEIPTS",
    "abuse",
    "attachment",
    "attention",
    "audit",
    "audit_checkpoint",
    "audit_told",
    "audit_witness",
    "case_key",
    "counter",
    "draft",
    "draft_content",
    "erase_duty",
    "erasure",
    "healing",
    "idempotency",
    "inbox",
    "inbox_content",
    "key_epoch",
    "lease",
    "metadata",
    "missed",
    "outbox",
    "outbox_content",
    "outbox_envelope",
    "parked",
    "parked_chunk",
    "participant",
    "procedure",
    "quarantine",
    "receipt",
    "receipted",
    "record_entry",
    "restored_mark",
    "retained",
    "search_owed",
    "search_term",
    "seen_raw",
    "trust_list",
    "trust_memory",
    "upload",
]
