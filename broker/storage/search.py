# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Finding procedures by the people that their messages speak of, without storing who they are.

- Of a word of a name, or a whole date of birth, a procedure's row holds the bucket that a key of the vault puts it into.
  Many words share a bucket: what is found here is what may fit, and whoever asked opens and compares.
- A row says nothing of which message a bucket is of, nor of which person; it goes in the transaction that destroys the key
  of its case.
- A search reads every row: some tens of milliseconds for 100,000 procedures. An index would cost each message several times
  as much as its row does, for a question that is asked a few times a day.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    Select,
    Text,
    bindparam,
    delete,
    insert,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)

from broker.core.errors import CaseErased
from broker.core.ids import AuthorityId, ProcedureId
from broker.rows import Page
from broker.security.at_rest import Scope, scope_of
from broker.storage.case_keys import key_for_writing
from broker.storage.columns import to_milliseconds
from broker.storage.cursors import from_cursor, to_cursor
from broker.storage.execution import Execution
from broker.storage.procedures import lock_procedure, procedure_row
from broker.storage.tables import participant, procedure, search_owed, search_term

__all__ = ["add_terms", "owe_all", "owed", "possible", "settle"]

_PURPOSE = "person"
_KNOWN = select(search_term.c.buckets).where(search_term.c.procedure == bindparam("procedure_"))
_ADD = insert(search_term)
_MORE = (
    update(search_term)
    .where(search_term.c.procedure == bindparam("procedure_"))
    .values(buckets=bindparam("now_buckets"))
)
_OWED = (
    select(search_owed.c.procedure)
    .where(search_owed.c.procedure > bindparam("after"))
    .order_by(search_owed.c.procedure)
    .limit(bindparam("most"))
)
_NOTHING_OWED = delete(search_owed)
_OWE_ALL = insert(search_owed).from_select(["procedure"], select(procedure.c.id))
_SETTLED = delete(search_owed).where(search_owed.c.procedure == bindparam("procedure_"))


def add_terms(
    db: Execution, scope: Scope, procedure_id: ProcedureId, terms: Iterable[str], *, first: bool = False
) -> None:
    """Let a procedure, which is locked, be found by those terms as well, as long as the key of that scope is there.

    Args:
        db: the transaction.
        scope: whose key's end is the terms' end.
        procedure_id: of the procedure.
        terms: what its message says of people.
        first: this transaction began the procedure, and nothing of it is stored yet.

    Raises:
        KeyMissing, VaultLocked: the vault gives no index key.
    """
    fresh = _buckets(db, terms)
    if not fresh:
        return
    row = None if first else db.first(_KNOWN, {"procedure_": procedure_id})
    if row is None:
        db.write(_ADD, {"procedure": procedure_id, "scope": scope, "buckets": _written(fresh)})
        return
    known = frozenset(map(int, row.buckets.split()))
    if not fresh <= known:
        db.write(_MORE, {"procedure_": procedure_id, "now_buckets": _written(fresh | known)})


def possible(
    db: Execution, terms: frozenset[str], authority: AuthorityId | None, *, cursor: str | None, limit: int
) -> Page:
    """Return the procedures that may speak of all of the terms, newest first.

    Raises:
        KeyMissing, VaultLocked: the vault gives no index key.
        BadCursor: the cursor is not one of this list.
    """
    last = from_cursor(cursor, (int, str))
    statement = _matching(_buckets(db, terms)).limit(limit + 1)
    if authority is not None:
        joined = select(participant.c.procedure).where(participant.c.authority == authority)
        statement = statement.where(or_(procedure.c.our_authority == authority, procedure.c.id.in_(joined)))
    if last is not None:
        at = type_coerce(procedure.c.opened, BigInteger())
        statement = statement.where(tuple_(at, procedure.c.id) < tuple_(*(literal(part) for part in last)))
    rows = db.listed(statement, {})
    items = tuple(procedure_row(row) for row in rows[:limit])
    ends = [(to_milliseconds(item.opened), str(item.ref.id)) for item in items]
    return Page(items=items, next=to_cursor(ends[-1]) if ends and len(rows) > limit else None)


def owed(db: Execution, limit: int, after: ProcedureId | None = None) -> tuple[ProcedureId, ...]:
    """Return some procedures whose messages are not found by people yet, behind one if it is named."""
    return tuple(row.procedure for row in db.all(_OWED, {"after": after or "", "most": limit}))


def owe_all(db: Execution) -> None:
    """Owe every procedure its terms: they were left out of the backup that the database was filled from."""
    db.changed(_NOTHING_OWED)
    db.changed(_OWE_ALL)


def settle(db: Execution, procedure_id: ProcedureId, terms: frozenset[str]) -> None:
    """Let such a procedure be found by all that its messages say; what was erased meanwhile is found by nothing.

    Raises:
        KeyMissing, VaultLocked: the vault gives no key.
    """
    row = lock_procedure(db, procedure_id)
    if row is not None and terms:
        try:
            key = key_for_writing(db, scope_of(row.peer, row.case_ref, procedure_id), procedure_id, row.opened)
        except CaseErased:
            pass  # nobody may find it any more: it is settled without terms
        else:
            add_terms(db, key.scope, procedure_id, terms)
    db.changed(_SETTLED, {"procedure_": procedure_id})


def _buckets(db: Execution, terms: Iterable[str]) -> frozenset[int]:
    return db.cipher.buckets(_PURPOSE, terms)


def _written(buckets: Iterable[int]) -> str:
    """Return them in rising order: which came first, and with which message, is nobody's business."""
    return f" {' '.join(map(str, sorted(buckets)))} "


def _matching(buckets: Iterable[int]) -> Select[tuple[object, ...]]:
    return (
        select(procedure)
        .join_from(procedure, search_term, search_term.c.procedure == procedure.c.id)
        .where(*(type_coerce(search_term.c.buckets, Text()).contains(f" {bucket} ") for bucket in sorted(buckets)))
        .order_by(procedure.c.opened.desc(), procedure.c.id.desc())
    )
