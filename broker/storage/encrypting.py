# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Encrypting what an older program wrote in clear, once, at the first start that has the vault open.

The upgrade of the tables marks a database that holds such contents; the mark goes when nothing clear is left in it. What
the operating system, a server's own write-ahead log or a backup keeps of older states is out of reach from here.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, delete, select, update

from broker.core.errors import StoreNeedsMigration
from broker.rows import salted
from broker.security.at_rest import scope_of
from broker.storage import headers
from broker.storage.at_rest import Cipher
from broker.storage.case_keys import encrypted, key_for_writing
from broker.storage.execution import Execution
from broker.storage.keys import blind
from broker.storage.schema import exclusive, reading, rewrite_files
from broker.storage.tables import counter, idempotency, inbox, inbox_content, outbox, outbox_content

__all__ = ["CLEAR_MARK", "encrypt_clear", "refuse_clear"]

CLEAR_MARK = "contents.clear"  # the row of `counter` that says so
_BATCH = 500  # messages in one transaction

_MARKED = select(counter.c.value).where(counter.c.name == CLEAR_MARK)
_UNMARK = delete(counter).where(counter.c.name == CLEAR_MARK)
_OUT = (
    select(
        outbox_content,
        outbox.c.recipient.label("peer"),
        outbox.c.procedure,
        outbox.c.created.label("at"),
        idempotency.c.scope.label("asked_scope"),
        idempotency.c.key.label("asked_key"),
        idempotency.c.body_digest,
    )
    .select_from(outbox_content.join(outbox).outerjoin(idempotency, idempotency.c.message == outbox.c.id))
    .where(outbox_content.c.scope.is_(None))
    .order_by(outbox_content.c.id)
    .limit(_BATCH)
)
_IN = (
    select(inbox_content, inbox.c.procedure, inbox.c.received.label("at"))
    .join_from(inbox_content, inbox)
    .where(inbox_content.c.scope.is_(None))
    .order_by(inbox_content.c.sender, inbox_content.c.id)
    .limit(_BATCH)
)
_NEW: dict[str, Any] = {
    "scope": bindparam("scope_"),
    "header": bindparam("header_"),
    "content": bindparam("content_"),
}
_SAVE_OUT = update(outbox_content).where(outbox_content.c.id == bindparam("message")).values(_NEW)
_SAVE_IN = (
    update(inbox_content)
    .where(inbox_content.c.sender == bindparam("from_"), inbox_content.c.id == bindparam("message"))
    .values(_NEW)
)
_BLIND = (
    update(idempotency)
    .where(idempotency.c.scope == bindparam("scope_"), idempotency.c.key == bindparam("key_"))
    .values(key=bindparam("token"), body_digest=bindparam("digest_"))
)


def refuse_clear(connection: Connection) -> None:
    """Return where no older program left contents in clear.

    Raises:
        StoreNeedsMigration: it did.
        StoreUnavailable: the database does not answer.
    """
    if Execution(connection).first(_MARKED) is not None:
        raise StoreNeedsMigration(
            "An older program left messages in clear: start the node once, it encrypts them under its vault's keys."
        )


def encrypt_clear(url: str, cipher: Cipher) -> int:
    """Encrypt what was left in clear and let no copy of it stay in the files; return how many messages it was.

    Interrupted, the next call goes on.

    Raises:
        KeyMissing, VaultLocked: the vault gives no key.
        StoreUnavailable, DiskFull, StoreCorrupt: it could not be finished.
    """
    with reading(url) as connection:
        if Execution(connection).first(_MARKED) is None:
            return 0
    done = 0
    while moved := _batch(url, cipher):
        done += moved
    rewrite_files(url)
    with exclusive(url) as connection:
        Execution(connection).changed(_UNMARK)
    return done


def _batch(url: str, cipher: Cipher) -> int:
    with exclusive(url) as connection:
        db = Execution(connection, cipher)
        sent, received = db.all(_OUT), db.all(_IN)
        for row in sent:
            nonce = _encrypt(db, row, outbox_content, row.peer, row.id)
            if row.asked_key is not None:
                values = {"token": blind(db, row.asked_scope, row.asked_key), "digest_": salted(row.body_digest, nonce)}
                db.changed(_BLIND, {"scope_": row.asked_scope, "key_": row.asked_key, **values})
        for row in received:
            _encrypt(db, row, inbox_content, row.sender, row.sender, row.id)
        return len(sent) + len(received)


def _encrypt(db: Execution, row: Row[Any], table: Table, peer: Any, *identity: str) -> str:
    header = headers.from_bytes(row.header)
    key = key_for_writing(db, scope_of(peer, header.case_ref, row.procedure), row.procedure, row.at)
    values = {
        "message": row.id,
        "scope_": key.scope,
        "header_": encrypted(db, key, table, "header", row.header, *identity),
        "content_": encrypted(db, key, table, "content", row.content, *identity),
    }
    if table is outbox_content:
        db.changed(_SAVE_OUT, values)
    else:
        db.changed(_SAVE_IN, {"from_": peer, **values})
    return header.nonce
