# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements about idempotency keys, which are kept as index tokens, and named leases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, or_, select

from broker.rows import Idempotent
from broker.storage.execution import Execution, PerDialect
from broker.storage.tables import idempotency, lease

__all__ = ["add_idempotent", "blind", "find_idempotent", "take_lease"]

_FIND = select(idempotency).where(idempotency.c.scope == bindparam("scope_"), idempotency.c.key == bindparam("key_"))
_INSERT = insert(idempotency)


def _take() -> PerDialect:
    """Return the upsert that takes a lease which is free, over, or ours already."""

    def upsert(insert_: Any) -> Any:
        mine = lease.c.token == insert_.excluded.token
        over = lease.c.until <= bindparam("now", type_=lease.c.until.type)
        return insert_.on_conflict_do_update(
            index_elements=["name"],
            set_={"token": insert_.excluded.token, "until": insert_.excluded.until},
            where=or_(mine, over),
        )

    # The values are named here because the extra parameter "now" is no column.
    values = {name: bindparam(f"{name}_", type_=lease.c[name].type) for name in ("name", "token", "until")}
    return PerDialect(lease, lambda insert_: upsert(insert_.values(values)))


_TAKE = _take()


def find_idempotent(db: Execution, scope: str, key: str) -> Idempotent | None:
    """Return the answer that this key got."""
    row = db.first(_FIND, {"scope_": scope, "key_": blind(db, scope, key)})
    if row is None:
        return None
    return Idempotent(scope=row.scope, key=key, body_digest=row.body_digest, message=row.message)


def add_idempotent(db: Execution, row: Idempotent, now: datetime) -> None:
    """Keep the answer of a new key."""
    key = blind(db, row.scope, row.key)
    db.changed(
        _INSERT, {"scope": row.scope, "key": key, "body_digest": row.body_digest, "message": row.message, "at": now}
    )


def blind(db: Execution, scope: str, key: str) -> str:
    """Return the token that stands for a key: callers choose them, a file's name or what their system calls the case."""
    return db.cipher.token("idempotency", scope, key)


def take_lease(db: Execution, name: str, *, token: str, now: datetime, until: datetime) -> bool:
    """Take or renew a named lease."""
    return db.changed(_TAKE, {"name_": name, "token_": token, "until_": until, "now": now}) == 1
