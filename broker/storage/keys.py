# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements about idempotency keys, which are kept as index tokens, and named leases."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, exists, literal, or_, select

from broker.core.canonical import b64url_encode
from broker.core.delivery import AHEAD_SECONDS
from broker.core.ids import MessageId
from broker.rows import NOT_KNOWN, Idempotent
from broker.storage.execution import Execution, PerDialect, insert_new
from broker.storage.tables import idempotency, lease

__all__ = ["add_idempotent", "blind", "find_idempotent", "keep_returned", "nonce_of_key", "take_lease"]

_RETURNED = "returned"  # in place of the scope, which is part of the token, for what came back after a restore
_NONCE_BYTES = 16
_FIND = select(idempotency).where(
    or_(
        and_(idempotency.c.scope == bindparam("scope_"), idempotency.c.key == bindparam("key_")),
        and_(idempotency.c.scope == literal(_RETURNED), idempotency.c.key == bindparam("returned_")),
    )
)
_INSERT_NEW = insert_new(idempotency)


def _add() -> PerDialect:
    """Return the insert of a key that neither stands for anything yet nor came back after a restore."""
    names = ("scope", "key", "body_digest", "message", "at")
    values = select(*(bindparam(f"{name}_", type_=idempotency.c[name].type) for name in names)).where(
        ~exists().where(idempotency.c.scope == literal(_RETURNED), idempotency.c.key == bindparam("returned_"))
    )
    return PerDialect(idempotency, lambda insert_: insert_.from_select(names, values).on_conflict_do_nothing())


_ADD = _add()


def _take() -> PerDialect:
    """Return the upsert that takes a lease which is free, over, or ours already."""

    def upsert(insert_: Any) -> Any:
        mine = lease.c.token == insert_.excluded.token
        over = or_(
            lease.c.until <= bindparam("now", type_=lease.c.until.type),
            lease.c.until > bindparam("beyond", type_=lease.c.until.type),
        )
        return insert_.on_conflict_do_update(
            index_elements=["name"],
            set_={"token": insert_.excluded.token, "until": insert_.excluded.until},
            where=or_(mine, over),
        )

    # The values are named here because the extra parameters are no columns.
    values = {name: bindparam(f"{name}_", type_=lease.c[name].type) for name in ("name", "token", "until")}
    return PerDialect(lease, lambda insert_: upsert(insert_.values(values)))


_TAKE = _take()


def find_idempotent(db: Execution, scope: str, key: str) -> Idempotent | None:
    """Return the answer that this key got."""
    returned = _returned(db, nonce_of_key(db, scope, key))
    row = db.first(_FIND, {"scope_": scope, "key_": blind(db, scope, key), "returned_": returned})
    if row is None:
        return None
    return Idempotent(scope=row.scope, key=key, body_digest=row.body_digest, message=row.message)


def add_idempotent(db: Execution, row: Idempotent, now: datetime) -> bool:
    """Keep the answer of a new key; False: it has one."""
    values = {
        "scope_": row.scope,
        "key_": blind(db, row.scope, row.key),
        "body_digest_": row.body_digest,
        "message_": row.message,
        "at_": now,
        "returned_": _returned(db, nonce_of_key(db, row.scope, row.key)),
    }
    return db.changed(_ADD, values) == 1


def keep_returned(db: Execution, nonce: str, message: MessageId, now: datetime) -> None:
    """Keep what a key stood for, by the nonce that followed from it; what was asked under it is not known any more."""
    values = {"scope": _RETURNED, "key": _returned(db, nonce), "body_digest": NOT_KNOWN, "message": message, "at": now}
    db.changed(_INSERT_NEW, values)


def blind(db: Execution, scope: str, key: str) -> str:
    """Return the token that stands for a key: callers choose them, a file's name or what their system calls the case."""
    return db.cipher.token("idempotency", scope, key)


def nonce_of_key(db: Execution, scope: str, key: str) -> str:
    """Return the nonce of the message that a key stands for.

    Nothing that is stored in clear may give it: with a message's nonce, whoever holds its digest could confirm a guess of
    what it said, also after its case was erased. So it is another token than `blind`, and never written here itself.
    """
    token = db.cipher.token("nonce", scope, key)
    return b64url_encode(hashlib.sha256(token.encode()).digest()[:_NONCE_BYTES])


def _returned(db: Execution, nonce: str) -> str:
    return db.cipher.token("returned", nonce)


def take_lease(db: Execution, name: str, *, token: str, now: datetime, until: datetime) -> bool:
    """Take or renew a named lease; one that ends beyond any lease was taken by a clock that has been set right since."""
    beyond = now + timedelta(seconds=AHEAD_SECONDS)
    return db.changed(_TAKE, {"name_": name, "token_": token, "until_": until, "now": now, "beyond": beyond}) == 1
