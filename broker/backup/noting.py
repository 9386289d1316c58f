# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The entry of the audit trail that says when a backup was read back whole, and which recovery keys open it.

It is the one mark of a backup in the node: no file can be older or newer than what the trail says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.backup.making import Made
from broker.core.audit import AuditAction, AuditRow, Who
from broker.core.ids import KeyId
from broker.ports import Reader
from broker.rows import AuditFilter

__all__ = ["LastBackup", "last_backup", "note"]

_WRITTEN = AuditFilter(action=AuditAction.BACKED_UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBackup:
    """What the trail says of the newest backup."""

    at: datetime
    kids: frozenset[KeyId]  # of the recovery keys that open it; of older programs' backups none is known


def note(data: Made, who: Who, at: datetime) -> AuditRow:
    """Return the entry about a backup whose two files were written and read back."""
    return AuditRow(
        at=at,
        actor=who.actor,
        role=who.role,
        action=AuditAction.BACKED_UP,
        subject=str(data.digest),
        detail=" ".join(data.kids),
    )


def last_backup(reader: Reader) -> LastBackup | None:
    """Return the newest backup that the trail knows; None: there was none, or its entry is retained no more."""
    found = reader.audit(cursor=None, limit=1, wanted=_WRITTEN).items
    return LastBackup(at=found[0].at, kids=frozenset(map(KeyId, found[0].detail.split()))) if found else None
