# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the openers of procedures that are not over declare in them: asked of every list that somebody looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, bindparam, select

from broker.core.errors import CaseKeyMissing, KeyMissing, StoreCorrupt, VaultLocked
from broker.core.ids import Digest, MessageId, MessageType
from broker.core.record import moments
from broker.rows import Declaration
from broker.storage.case_keys import KEY_COLUMNS, READABLE, keyed, opened
from broker.storage.columns import fixed, unindexed
from broker.storage.execution import Execution
from broker.storage.procedures import records
from broker.storage.tables import inbox, inbox_content, outbox, outbox_content, procedure

__all__ = ["declarations"]


@cache
def _standing(name: str, over: frozenset[str]) -> Select[Any]:
    """Return the procedures of that name in no such state; the name stands in the text: `ix_procedure_surge` serves it."""
    (named,) = fixed(name)
    return select(procedure.c.id).where(procedure.c.name == named, procedure.c.state.not_in(fixed(*sorted(over))))


@cache
def _any(name: str, over: frozenset[str]) -> Select[Any]:
    return _standing(name, over).limit(1)


@cache
def _by(
    kind: MessageType, over: frozenset[str], message: Table, content: Table, *conditions: ColumnElement[bool]
) -> Select[Any]:
    columns = (procedure.c.id.label("procedure"), procedure.c.opener, procedure.c.peer, procedure.c.exercise)
    joined = message.join(content).join(procedure, message.c.procedure == procedure.c.id)
    standing = message.c.procedure.in_(_standing(kind.procedure, over))
    return (
        select(message.c.id, message.c.digest, *columns, content.c.scope, content.c.content, *KEY_COLUMNS)
        .select_from(keyed(joined, content))
        .where(READABLE, standing, unindexed(message.c.type) == bindparam("kind"), *conditions)
        .order_by(message.c.id.desc())
        .limit(bindparam("most"))
    )


_OURS = (outbox, outbox_content, procedure.c.opener != procedure.c.peer, outbox.c.refused.is_(None))
_THEIRS = (inbox, inbox_content, procedure.c.opener == procedure.c.peer, procedure.c.peer == bindparam("country"))


@cache
def _openers(name: str, over: frozenset[str]) -> Select[Any]:
    """Return the other countries that opened such procedures: one that opens many hides nothing that another one declares."""
    opened_by_peer = procedure.c.opener == procedure.c.peer
    return _standing(name, over).with_only_columns(procedure.c.peer).where(opened_by_peer).distinct()


def declarations(db: Execution, kind: MessageType, *, over: frozenset[str], limit: int) -> tuple[Declaration, ...]:
    """Return of each such procedure the newest message of that type, ours before theirs; what does not open is empty.

    Args:
        db: where they are read.
        kind: their type.
        over: states of a procedure that declares nothing any more.
        limit: how many messages of each author are looked at, those of the highest ids.
    """
    if not db.all(_any(kind.procedure, over)):
        return ()  # nearly always: one statement
    wanted = {"kind": kind, "most": limit}
    ours = db.all(_by(kind, over, *_OURS), wanted)
    countries = [row.peer for row in db.all(_openers(kind.procedure, over))]
    theirs = [row for one in countries for row in db.all(_by(kind, over, *_THEIRS), {**wanted, "country": one})]
    return (
        *(_declaration(db, row, outbox_content, row.id) for row in _newest(db, ours)),
        *(_declaration(db, row, inbox_content, row.peer, row.id) for row in _newest(db, theirs)),
    )


def _newest(db: Execution, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return of each procedure the message that follows the others; see `moments`.

    An id is drawn when a message is first submitted: who waited for a second person has an older one than what left meanwhile.
    """
    often = [procedure for procedure, times in Counter(row.procedure for row in rows).items() if times > 1]
    written: dict[Digest, MessageId] = {row.digest: row.id for row in rows}
    place: dict[Digest, tuple[str, int]] = {digest: (id_, 0) for digest, id_ in written.items()}
    for entries in records(db, often).values():
        place |= moments(entries, {entry.digest: written[entry.digest] for entry in entries if entry.digest in written})
    return list({row.procedure: row for row in sorted(rows, key=lambda row: place[row.digest])}.values())


def _declaration(db: Execution, row: Row[Any], table: Table, *place: str) -> Declaration:
    try:
        content = opened(db, row, table, "content", *place)
    except (CaseKeyMissing, KeyMissing, VaultLocked, StoreCorrupt):
        content = None  # whoever looks at a list for something else is told that it cannot be read, and sees the list
    return Declaration(
        message=row.id,
        procedure=row.procedure,
        opener=row.opener,
        peer=row.peer,
        exercise=row.exercise,
        content=content,
    )
