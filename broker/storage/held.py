# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements about raw deliveries: decided before, quarantined, parked, and broken publishing rules.

What is parked or quarantined is sealed to a key of ours that lives on for weeks, and of a case that nobody knows yet. It
stands under one more key of its own, which goes when it was decided, or when its place is needed.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Table, bindparam, delete, func, insert, or_, select, update

from broker.core.delivery import AHEAD_SECONDS
from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.ids import Digest
from broker.rows import HeldDelivery, SeenRaw
from broker.security.at_rest import Scope
from broker.storage.batches import Batched
from broker.storage.case_keys import KEY_COLUMNS, drop_key, encrypted, keyed, opened, own_key
from broker.storage.execution import Execution, PerDialect, insert_new
from broker.storage.tables import abuse, case_key, counter, parked, quarantine, seen_raw, upload

__all__ = [
    "count_abuse",
    "drop_unreadable",
    "due_parked",
    "hasten_parked",
    "park",
    "quarantine_delivery",
    "save_seen",
    "seen",
    "unpark",
]

_EVICTED_AT_ONCE = 64  # oldest rows looked at together when room is made

_SEEN = Batched(seen_raw.c.sha256, select(seen_raw).where)


def _save_seen() -> PerDialect:
    changed = ("sender", "message", "answered")
    return PerDialect(
        seen_raw,
        lambda insert_: insert_.on_conflict_do_update(
            index_elements=["sha256"], set_={name: insert_.excluded[name] for name in changed}
        ),
    )


def _count(table: Table, keys: list[str], column: str, also: tuple[str, ...] = ()) -> PerDialect:
    """Return an insert that adds to the number of a row that is there, and returns the sum."""

    def upsert(insert_: Any) -> Any:
        changed = {name: insert_.excluded[name] for name in also}
        changed[column] = table.c[column] + insert_.excluded[column]
        return insert_.on_conflict_do_update(index_elements=keys, set_=changed).returning(table.c[column])

    return PerDialect(table, upsert)


_SAVE_SEEN = _save_seen()
_COUNT_ABUSE = _count(abuse, ["publisher", "code"], "count", also=("last",))
_COUNT_DROPPED = _count(counter, ["name"], "value")

_QUARANTINE = insert_new(quarantine)
_PARK_NEW = insert(parked)
_PARK_AGAIN = (
    update(parked)
    .where(parked.c.sha256 == bindparam("sha256_"))
    .values(attempts=parked.c.attempts + 1, next_at=bindparam("again_at"), code=bindparam("why"))
)
_DUE = (
    select(parked, *KEY_COLUMNS)
    .select_from(keyed(parked, parked))
    .where(or_(parked.c.next_at <= bindparam("now"), parked.c.next_at > bindparam("beyond")))
    .order_by(parked.c.next_at, parked.c.sha256)
    .limit(bindparam("most"))
)
_HASTEN = update(parked).where(parked.c.next_at > bindparam("now")).values(next_at=bindparam("now"))
_KEYS = select(case_key.c.scope)
_UNREADABLE = tuple(
    delete(table).where(table.c.scope.is_not(None), table.c.scope.not_in(_KEYS))
    for table in (parked, quarantine, upload)
)
_UNPARK = delete(parked).where(parked.c.sha256 == bindparam("sha256_"))


class _Room:
    """One table's space per broker user, and how its oldest rows make way."""

    def __init__(self, table: Table) -> None:
        mine = table.c.publisher == bindparam("publisher_")
        self.table = table
        self.counter = f"{table.name}.dropped"
        self.used = select(func.count().label("items"), func.coalesce(func.sum(table.c.size), 0).label("bytes")).where(
            mine
        )
        self.oldest = (
            select(table.c.sha256, table.c.size)
            .where(mine)
            .order_by(table.c.received, table.c.sha256)
            .limit(_EVICTED_AT_ONCE)
        )
        self.evict = delete(table).where(table.c.sha256.in_(bindparam("gone", expanding=True)))


_QUARANTINE_ROOM = _Room(quarantine)
_PARKED_ROOM = _Room(parked)


def seen(db: Execution, digests: Collection[Digest]) -> dict[Digest, SeenRaw]:
    """Return what was decided about those of these raw bytes that came before."""
    return {
        row.sha256: SeenRaw(sha256=row.sha256, sender=row.sender, message=row.message, answered=row.answered)
        for row in _SEEN.rows(db, digests)
    }


def save_seen(db: Execution, row: SeenRaw) -> None:
    """Remember a decision, or when it was answered last."""
    db.write(_SAVE_SEEN, {"sha256": row.sha256, "sender": row.sender, "message": row.message, "answered": row.answered})


def quarantine_delivery(db: Execution, held: HeldDelivery, *, max_items: int, max_bytes: int) -> None:
    """Keep sealed bytes that cannot be believed; the same bytes are kept once."""
    if len(held.raw) > max_bytes:
        _drop(db, _QUARANTINE_ROOM, 1)
        return
    if db.changed(_QUARANTINE, _values(db, quarantine, held)) == 1:
        _make_room(db, _QUARANTINE_ROOM, held.user or "", max_items, max_bytes)


def park(db: Execution, held: HeldDelivery, *, max_items: int, max_bytes: int) -> None:
    """Keep sealed bytes that cannot be believed yet; parked again, they keep their place and count an attempt."""
    again = {"sha256_": held.sha256, "again_at": held.next_at, "why": held.code}
    if db.changed(_PARK_AGAIN, again) == 1:
        return
    if len(held.raw) > max_bytes:
        _drop(db, _PARKED_ROOM, 1)
        return
    db.write(_PARK_NEW, {**_values(db, parked, held), "next_at": held.next_at, "attempts": held.attempts})
    _make_room(db, _PARKED_ROOM, held.user or "", max_items, max_bytes)


def due_parked(db: Execution, *, now: datetime, limit: int) -> tuple[HeldDelivery, ...]:
    """Return what is to be offered again, longest due first; what does not open makes way: its sender was not answered."""
    beyond = now + timedelta(seconds=AHEAD_SECONDS)  # for the reason see outbox.py
    found = []
    for row in db.all(_DUE, {"now": now, "beyond": beyond, "most": limit}):
        try:
            found.append(_parked(db, row))
        except (CaseKeyMissing, StoreCorrupt):
            unpark(db, row.sha256)
            _drop(db, _PARKED_ROOM, 1)
    return tuple(found)


def hasten_parked(db: Execution, *, now: datetime) -> None:
    """Let all of it be due, without its bytes being read."""
    db.write(_HASTEN, {"now": now})


def unpark(db: Execution, sha256: Digest) -> None:
    """Forget a parked delivery: it was decided."""
    if db.changed(_UNPARK, {"sha256_": sha256}) == 1:
        drop_key(db, _scope(parked, sha256))


def drop_unreadable(db: Execution) -> None:
    """Forget what the keys are gone of: decided, or attached, after a backup of data was made and before the one of keys."""
    for statement in _UNREADABLE:
        db.write(statement)


def count_abuse(db: Execution, user: str, code: str, at: datetime) -> int:
    """Count one more broken rule and return the total."""
    row = db.first(_COUNT_ABUSE, {"publisher": user, "code": code, "count": 1, "last": at})
    return 0 if row is None else int(row[0])


def _values(db: Execution, table: Table, held: HeldDelivery) -> dict[str, Any]:
    """Return a row, its bytes under a key of their own: nobody knows yet which case they are of."""
    key = own_key(db, _scope(table, held.sha256), held.received)
    return {
        "sha256": held.sha256,
        "publisher": held.user or "",
        "received": held.received,
        "size": len(held.raw),
        "code": held.code,
        "raw": encrypted(db, key, table, "raw", held.raw, held.sha256),
        "scope": key.scope,
    }


def _scope(table: Table, sha256: Digest) -> Scope:
    return Scope(f"{table.name}:{sha256}")


def _make_room(db: Execution, room: _Room, publisher: str, max_items: int, max_bytes: int) -> None:
    used = db.first(room.used, {"publisher_": publisher})
    items, size = (0, 0) if used is None else (int(used.items), int(used.bytes))
    while items > max_items or size > max_bytes:
        gone = []
        for row in db.all(room.oldest, {"publisher_": publisher}):
            if items <= max_items and size <= max_bytes:
                break
            gone.append(row.sha256)
            items, size = items - 1, size - row.size
        db.write(room.evict, {"gone": gone})
        for sha256 in gone:
            drop_key(db, _scope(room.table, sha256))
        _drop(db, room, len(gone))


def _drop(db: Execution, room: _Room, number: int) -> None:
    db.first(_COUNT_DROPPED, {"name": room.counter, "value": number})


def _parked(db: Execution, row: Row[Any]) -> HeldDelivery:
    return HeldDelivery(
        sha256=row.sha256,
        raw=row.raw if row.scope is None else opened(db, row, parked, "raw", row.sha256),
        code=row.code,
        user=row.publisher or None,
        received=row.received,
        next_at=row.next_at,
        attempts=row.attempts,
    )
