# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The table of case keys: made in the transaction that first needs one, moved to the next epoch, destroyed.

- A destroyed key leaves its row without it: it is never silently made anew, and what it encrypted is shown nowhere.
- A key whose row is lost, by the disk or a hand, is made anew for what comes next, unless its procedure is erased: a child
  in new danger waits for no repair. What the lost one encrypted does not open and is told so wherever it is read.
- A new key is wrapped under the epoch that the database names, not the newest that a vault knows: a worker that missed
  a rotation must never wrap anything under a key that is about to be destroyed.
- Encrypting happens inside the transaction: which key counts is only certain under its lock, and the cipher takes
  microseconds where a statement takes dozens.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Row, Table, and_, bindparam, delete, func, null, or_, select, update

from broker.core.errors import CaseErased, CaseKeyMissing, StoreCorrupt
from broker.core.ids import ProcedureId
from broker.security.at_rest import NO_PROCEDURE, Rewrapped, Scope, WrappedKey, place
from broker.storage.execution import Execution, PerDialect, insert_new
from broker.storage.tables import case_key, key_epoch, procedure, search_term

__all__ = [
    "KEY_COLUMNS", "READABLE", "begin_epoch", "count_keys", "destroy_case", "drop_key", "encrypted", "epoch_owed", "hold_case", "key_for_writing", "keyed",
    "left_before", "opened", "own_key", "renew_node_key", "rewrap",
]  # fmt: skip

_ONE = 1  # the only row of key_epoch

_FIND = (
    select(case_key.c.epoch, case_key.c.wrapped, case_key.c.destroyed)
    .where(case_key.c.scope == bindparam("scope_"))
    .with_for_update(read=True)  # PostgreSQL: a key in use is not destroyed before what it encrypted is committed
)
_ADD = insert_new(case_key)


def _add_current() -> PerDialect:
    """Return the insert of a key that is wrapped under the epoch which the database names; else it writes nothing."""
    names = ("scope", "epoch", "wrapped", "created")
    values = (
        select(*(bindparam(f"{name}_", type_=case_key.c[name].type) for name in names))
        .where(key_epoch.c.id == _ONE, key_epoch.c.epoch == bindparam("epoch_"))
        .with_for_update(read=True)  # PostgreSQL: the epoch does not change before the key is committed
    )
    return PerDialect(case_key, lambda insert_: insert_.from_select(names, values).on_conflict_do_nothing())


_ADD_CURRENT = _add_current()
_EPOCH = select(key_epoch.c.epoch).where(key_epoch.c.id == _ONE).with_for_update(read=True)
_FIRST_EPOCH = insert_new(key_epoch)
_BEGIN = update(key_epoch).where(key_epoch.c.id == _ONE, key_epoch.c.epoch < bindparam("number")).values(
    epoch=bindparam("number")
)  # fmt: skip
_PROCEDURE = select(procedure.c.opened, procedure.c.erased).where(procedure.c.id == bindparam("procedure_"))
_DESTROY = (
    update(case_key)
    .where(case_key.c.scope == bindparam("scope_"), case_key.c.destroyed.is_(None))
    .values(epoch=bindparam("number"), wrapped=null(), destroyed=bindparam("at"))
)
_FOUND_NO_MORE = delete(search_term).where(search_term.c.scope == bindparam("scope_"))
_OLD = (
    select(case_key.c.scope, case_key.c.epoch, case_key.c.wrapped)
    .where(
        case_key.c.epoch < bindparam("number"),
        case_key.c.destroyed.is_(None),
        or_(
            case_key.c.epoch > bindparam("after_epoch"),
            and_(case_key.c.epoch == bindparam("after_epoch"), case_key.c.scope > bindparam("after_scope")),
        ),
    )
    .order_by(case_key.c.epoch, case_key.c.scope)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_MOVE = (
    update(case_key)
    .where(case_key.c.scope == bindparam("scope_"))
    .values(epoch=bindparam("number"), wrapped=bindparam("fresh"))
)
_NODE_KEY = select(case_key.c.epoch, case_key.c.wrapped).where(case_key.c.scope == NO_PROCEDURE)
_RENEW = _MOVE.where(case_key.c.wrapped == bindparam("spoilt"))
_LEFT = (
    select(case_key.c.epoch, func.count().label("number"))
    .where(case_key.c.epoch < bindparam("number"), case_key.c.destroyed.is_(None))
    .group_by(case_key.c.epoch)
)
_EVERY = select(case_key.c.scope, case_key.c.epoch, case_key.c.wrapped).where(case_key.c.destroyed.is_(None))
_HOLD = select(case_key.c.scope).where(case_key.c.scope == bindparam("scope_")).with_for_update()
_FORGET = delete(case_key).where(case_key.c.scope == bindparam("scope_"))
_CURRENT = select(key_epoch.c.epoch).where(key_epoch.c.id == _ONE)
_OWED = (
    select(case_key.c.scope)
    .where(case_key.c.epoch >= _CURRENT.scalar_subquery(), case_key.c.destroyed.is_not(None))
    .limit(1)
)

KEY_COLUMNS = (case_key.c.epoch.label("key_epoch"), case_key.c.wrapped.label("key_wrapped"))
# True also where a key is missing: that is told, not hidden.
READABLE: ColumnElement[bool] = case_key.c.destroyed.is_(None)


def keyed(tables: FromClause, content: Table) -> FromClause:
    """Return the tables joined with the key of each content; to be limited to what is `READABLE`."""
    return tables.outerjoin(case_key, case_key.c.scope == content.c.scope)


def key_for_writing(
    db: Execution, scope: Scope, message_procedure: ProcedureId | None, at: datetime, *, first: bool = False
) -> WrappedKey:
    """Return the key under which a message is stored now, made if it is the first of its scope.

    A procedure that is opened after its case was erased, under the same reference, is a new beginning: a child in new
    danger must not be refused for what was erased. Its messages get a key of their own.

    Args:
        db: the transaction.
        scope: what covers the message.
        message_procedure: that it belongs to.
        at: when it was made or came.
        first: it opens its procedure, and so mostly its case towards that country too: a key is made before one is looked for.

    Raises:
        CaseErased: the message belongs to what was erased.
        KeyMissing, VaultLocked: the vault gives no key.
    """
    row = (_add_first(db, scope, at) if first else None) or _find_or_add(db, scope, at, message_procedure)
    if row.destroyed is None:
        return _wrapped(scope, row.epoch, row.wrapped)
    found = _procedure(db, message_procedure)
    if found is None or found.opened <= row.destroyed:
        raise CaseErased
    own = Scope(f"{scope.partition(':')[0]}:{message_procedure}")
    row = _find_or_add(db, own, at, message_procedure)
    if row.destroyed is not None:
        raise CaseErased
    return _wrapped(own, row.epoch, row.wrapped)


def own_key(db: Execution, scope: Scope, at: datetime) -> WrappedKey:
    """Return the key of something that belongs to no case yet; it goes with `drop_key`.

    Raises:
        KeyMissing, VaultLocked: the vault gives no key.
    """
    row = _find_or_add(db, scope, at)
    return _wrapped(scope, row.epoch, row.wrapped)


def drop_key(db: Execution, scope: Scope) -> None:
    """Forget such a key: copies of it die with the epoch, as those of an erased case do."""
    db.changed(_FORGET, {"scope_": scope})


def encrypted(db: Execution, key: WrappedKey, table: Table, column: str, plain: bytes, *row: str) -> bytes:
    """Return the bytes to store in that column of that row."""
    return db.cipher.encrypt(key, plain, place(table.name, column, *row))


def opened(db: Execution, row: Row[Any], table: Table, column: str, *identity: str, named: str | None = None) -> bytes:
    """Return the content that a row of a `keyed` statement has in that column.

    Args:
        db: the connection.
        row: what the statement gave.
        table, column, identity: where the content stands.
        named: what the statement calls the column, if otherwise.

    Raises:
        CaseKeyMissing: its case has no key here.
        KeyMissing, VaultLocked: nothing can be opened here.
        StoreCorrupt: it does not open.
    """
    if row.key_wrapped is None:
        raise CaseKeyMissing
    key = _wrapped(row.scope, row.key_epoch, row.key_wrapped)
    return db.cipher.decrypt(key, getattr(row, named or column), place(table.name, column, *identity))


def hold_case(db: Execution, scope: Scope) -> None:
    """Wait for whoever stores something under that key now, and let nobody else do so until the end of the transaction."""
    db.first(_HOLD, {"scope_": scope})


def destroy_case(db: Execution, scope: Scope, at: datetime) -> bool:
    """Destroy the key of a scope and leave its mark, also where there was none. False: it was destroyed before.

    Copies of the wrapped key in journals, free pages and backups die with the epoch's key: the mark says in which epoch
    it was destroyed, so that a next one is owed until it has begun.
    """
    db.cipher.forget()
    db.changed(_FOUND_NO_MORE, {"scope_": scope})
    row = db.first(_EPOCH)
    number = 0 if row is None else int(row.epoch)
    mark = {"scope": scope, "epoch": number, "wrapped": None, "created": at, "destroyed": at}
    if db.changed(_ADD, mark) == 1:
        return True
    return db.changed(_DESTROY, {"scope_": scope, "number": number, "at": at}) == 1


def begin_epoch(db: Execution, number: int) -> bool:
    """Wrap every new key under that epoch from now on; waits for whoever makes one under the last. False: it is so."""
    added = db.changed(_FIRST_EPOCH, {"id": _ONE, "epoch": number})
    return added + db.changed(_BEGIN, {"number": number}) > 0


def rewrap(db: Execution, number: int, limit: int, after: WrappedKey | None = None) -> Rewrapped:
    """Move some keys of earlier epochs to that one, behind a key if one is named.

    Keys that another worker uses now are passed by, and so is one that does not unwrap: it holds up no other.

    Raises:
        KeyMissing, VaultLocked: an epoch's key is not to be had.
    """
    behind = {"after_epoch": after.epoch if after else -1, "after_scope": after.scope if after else ""}
    keys = [
        _wrapped(row.scope, row.epoch, row.wrapped) for row in db.all(_OLD, {"number": number, "most": limit, **behind})
    ]
    stuck = []
    for key in keys:
        try:
            fresh = db.cipher.rewrap(key, number)
        except (CaseKeyMissing, StoreCorrupt):
            stuck.append(key)
        else:
            db.changed(_MOVE, {"scope_": key.scope, "number": number, "fresh": fresh.wrapped})
    return Rewrapped(moved=len(keys) - len(stuck), stuck=tuple(stuck), last=keys[-1] if keys else None)


def renew_node_key(db: Execution) -> bool:
    """Put another key in the place of the one of messages between nodes, if that does not unwrap. False: all is well.

    Raises:
        KeyMissing, VaultLocked: the vault gives no key.
    """
    row = db.first(_NODE_KEY)  # not locked: two workers that then change it would wait for each other
    if row is None:
        return False
    try:
        db.cipher.rewrap(_wrapped(NO_PROCEDURE, row.epoch, row.wrapped), row.epoch)
    except (CaseKeyMissing, StoreCorrupt):
        fresh = db.cipher.new_key(NO_PROCEDURE, _epoch(db))
        renewed = {"scope_": NO_PROCEDURE, "number": fresh.epoch, "fresh": fresh.wrapped, "spoilt": row.wrapped}
        return db.changed(_RENEW, renewed) == 1  # else another worker was first, and may have written under its own
    return False


def count_keys(db: Execution) -> tuple[int, int]:
    """Return how many keys there are, and how many of them do not unwrap: some ten microseconds each.

    Raises:
        KeyMissing, VaultLocked: an epoch's key is not to be had.
    """
    number = spoilt = 0
    for row in db.all(_EVERY):
        number += 1
        try:
            db.cipher.rewrap(_wrapped(row.scope, row.epoch, row.wrapped), row.epoch)
        except (CaseKeyMissing, StoreCorrupt):
            spoilt += 1
    return number, spoilt


def left_before(db: Execution, number: int) -> Mapping[int, int]:
    """Return for each earlier epoch how many keys are still wrapped under it, if any."""
    return {row.epoch: row.number for row in db.all(_LEFT, {"number": number})}


def epoch_owed(db: Execution) -> bool:
    """Return whether a key was destroyed in the epoch that still goes on."""
    return db.first(_OWED) is not None


class _Found(NamedTuple):
    """A key as `_FIND` gives it."""

    epoch: int
    wrapped: bytes
    destroyed: datetime | None


def _add_first(db: Execution, scope: Scope, at: datetime) -> _Found | None:
    """Make a key without looking; None: there is one, or the newest epoch of the vault is not the database's."""
    key = db.cipher.new_key(scope, db.cipher.newest_epoch())
    if db.changed(_ADD_CURRENT, {"scope_": scope, "epoch_": key.epoch, "wrapped_": key.wrapped, "created_": at}) == 0:
        return None
    return _Found(epoch=key.epoch, wrapped=key.wrapped, destroyed=None)


def _find_or_add(db: Execution, scope: Scope, at: datetime, of: ProcedureId | None = None) -> _Found | Row[Any]:
    row = db.first(_FIND, {"scope_": scope})
    if row is not None:
        return row
    belongs = _procedure(db, of)
    if belongs is not None and belongs.erased is not None:
        raise CaseErased
    key = db.cipher.new_key(scope, _epoch(db))
    made = {"scope": scope, "epoch": key.epoch, "wrapped": key.wrapped, "created": at, "destroyed": None}
    if db.changed(_ADD, made) == 1:
        return _Found(epoch=key.epoch, wrapped=key.wrapped, destroyed=None)
    row = db.first(_FIND, {"scope_": scope})  # another worker was first
    if row is None:
        raise RuntimeError("a case key that was just written is not there")
    return row


def _procedure(db: Execution, procedure_id: ProcedureId | None) -> Row[Any] | None:
    return None if procedure_id is None else db.first(_PROCEDURE, {"procedure_": procedure_id})


def _epoch(db: Execution) -> int:
    row = db.first(_EPOCH)
    if row is None:
        db.changed(_FIRST_EPOCH, {"id": _ONE, "epoch": db.cipher.newest_epoch()})
        row = db.first(_EPOCH)
    if row is None:
        raise RuntimeError("the epoch that was just written is not there")
    return int(row.epoch)


def _wrapped(scope: str, epoch: int, wrapped: bytes) -> WrappedKey:
    return WrappedKey(scope=Scope(scope), epoch=epoch, wrapped=wrapped)
