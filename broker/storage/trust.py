# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements about trust lists: each one that was in force is kept, and what the next look must know is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from broker.rows import TrustRow
from broker.storage.execution import Execution
from broker.storage.tables import trust_list, trust_memory

__all__ = ["in_force", "memory", "newest", "save"]

_NEWEST = select(trust_list).order_by(trust_list.c.id.desc()).limit(1)
_IN_FORCE = (
    select(trust_list)
    .where(trust_list.c.version == bindparam("version_"), trust_list.c.accepted <= bindparam("at_"))
    .order_by(trust_list.c.id.desc())
    .limit(1)
)
_ADD = insert(trust_list).inline()
_LOOKED = update(trust_list).where(trust_list.c.id == bindparam("id_")).values(looked=bindparam("at_"))
_MEMORY = select(trust_memory)
_FORGET = delete(trust_memory).where(trust_memory.c.name == bindparam("name_"))
_REMEMBER = insert(trust_memory)


def newest(db: Execution) -> TrustRow | None:
    """Return the list that was taken last."""
    return _row(db.first(_NEWEST))


def in_force(db: Execution, version: int, at: datetime) -> TrustRow | None:
    """Return the list of that version that was taken last before a time."""
    return _row(db.first(_IN_FORCE, {"version_": version, "at_": at}))


def memory(db: Execution) -> dict[str, bytes]:
    """Return what the last look left."""
    return {row.name: row.raw for row in db.all(_MEMORY)}


def save(db: Execution, row: TrustRow, fresh: Mapping[str, bytes]) -> bool:
    """Add a list, or note that the newest one was given again, and write what changed of the memory."""
    held = memory(db)
    for name in {name for name in {*held, *fresh} if held.get(name) != fresh.get(name)}:
        db.changed(_FORGET, {"name_": name})
        if name in fresh:
            db.changed(_REMEMBER, {"name": name, "raw": fresh[name]})
    last = db.first(_NEWEST)
    if last is not None and last.digest == row.digest:
        if row.looked is not None:
            db.changed(_LOOKED, {"id_": last.id, "at_": row.looked})
        return False
    values = {
        "version": row.version,
        "root_version": row.root_version,
        "digest": row.digest,
        "accepted": row.accepted,
        "raw": row.raw,
        "looked": row.looked,
    }
    db.changed(_ADD, values)
    return True


def _row(row: Row[Any] | None) -> TrustRow | None:
    if row is None:
        return None
    return TrustRow(
        version=row.version,
        root_version=row.root_version,
        digest=row.digest,
        raw=row.raw,
        accepted=row.accepted,
        looked=row.looked,
    )
