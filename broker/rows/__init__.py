# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the store holds and gives back, as values: the rows of its tables, its lists, and the answer to a submission.

- A module for each waiting place; whoever uses them imports from here.
- All datetimes are aware UTC.
- `None` in a step's time: the step is not reached yet.
"""

from __future__ import annotations

from broker.core.audit import AuditRow
from broker.rows.attachments import AttachmentRow, ParkedChunk, UploadRow
from broker.rows.calls import ARRIVED, Attention, arrival
from broker.rows.incoming import HeldDelivery, InboxBrief, InboxRow, InboxState, SeenRaw
from broker.rows.lists import AuditFilter, MessageFilter, MessageRow, MessageTimes, Page, Touched, about, about_received
from broker.rows.outgoing import OutboxBrief, OutboxRow, OutboxState, OverdueEntry, OwedEntry
from broker.rows.procedures import Declaration, KeptRecord, ProcedureRow
from broker.rows.submissions import NOT_KNOWN, Accepted, DraftState, HeldDraft, Idempotent, Release, salted
from broker.rows.trust import TrustRow

__all__ = [
    "ARRIVED",
    "NOT_KNOWN",
    "Accepted",
    "AttachmentRow",
    "Attention",
    "AuditFilter",
    "AuditRow",
    "Declaration",
    "DraftState",
    "HeldDelivery",
    "HeldDraft",
    "Idempotent",
    "InboxBrief",
    "InboxRow",
    "InboxState",
    "KeptRecord",
    "MessageFilter",
    "MessageRow",
    "MessageTimes",
    "OutboxBrief",
    "OutboxRow",
    "OutboxState",
    "OverdueEntry",
    "OwedEntry",
    "Page",
    "ParkedChunk",
    "ProcedureRow",
    "Release",
    "SeenRaw",
    "Touched",
    "TrustRow",
    "UploadRow",
    "about",
    "about_received",
    "arrival",
    "salted",
]
