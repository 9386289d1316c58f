# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Procedure and record statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, delete, func, insert, null, select, update

from broker.core.ids import AuthorityId, CountryCode, Digest, ProcedureId
from broker.core.messages import ProcedureRef, RecordEntry
from broker.rows import ProcedureRow
from broker.storage.batches import Batched
from broker.storage.columns import fixed
from broker.storage.execution import Execution
from broker.storage.tables import participant, procedure, record_entry

__all__ = [
    "add_procedure", "add_record_entry", "find_procedure", "lock_procedure", "lock_procedures", "make_stub", "opened_by_others",
    "procedure_row", "procedures_since", "record", "records", "save_offices", "save_procedure", "takes_part",
]  # fmt: skip

_ONE = select(procedure).where(procedure.c.id == bindparam("procedure_"))
_LOCK = _ONE.with_for_update()  # SQLite: no words for it, and none needed under BEGIN IMMEDIATE
_LOCK_SOME = Batched(  # in one order in every worker: two that lock the same ones must not wait for each other
    procedure.c.id, select(procedure).order_by(procedure.c.id).with_for_update().where
)
_OPENED_BY_OTHERS = (
    select(procedure.c.peer, func.count().label("many"))
    .where(
        procedure.c.opened >= bindparam("since"),
        procedure.c.opened < bindparam("until"),
        procedure.c.opener == procedure.c.peer,
    )
    .group_by(procedure.c.peer)
)
_INSERT = insert(procedure)
_SAVE = (
    update(procedure)
    .where(procedure.c.id == bindparam("procedure_"))
    .values(state=bindparam("state"), alarm=bindparam("alarm"), gap=bindparam("gap"))
)
_SAVE_OFFICES = (
    update(procedure)
    .where(procedure.c.id == bindparam("procedure_"))
    .values(our_authority=bindparam("ours"), peer_authority=bindparam("theirs"))
)
_NOBODY = delete(participant).where(participant.c.procedure == bindparam("procedure_"))
_SOMEBODY = insert(participant)
_TAKES_PART = select(participant.c.authority).where(
    participant.c.procedure == bindparam("procedure_"), participant.c.authority == bindparam("authority_")
)
_RECORD = select(record_entry).where(record_entry.c.procedure == bindparam("procedure_"))
_RECORDS = Batched(record_entry.c.procedure, select(record_entry).where)
_INSERT_ENTRY = insert(record_entry)
_STUB = (
    update(record_entry)
    .where(
        and_(
            record_entry.c.procedure == bindparam("procedure_"),
            record_entry.c.digest == bindparam("digest_"),
            record_entry.c.code == null(),  # the first signed refusal stands
        )
    )
    .values(code=bindparam("code"))
)


@cache
def _since(name: str) -> Select[Any]:
    """Return those of that name; it stands in the text: `ix_procedure_correction` serves it."""
    (named,) = fixed(name)
    return (
        select(procedure)
        .where(
            procedure.c.name == named,
            procedure.c.peer == bindparam("country"),
            procedure.c.opened >= bindparam("since"),
        )
        .order_by(procedure.c.opened, procedure.c.id)
    )


def lock_procedure(db: Execution, procedure_id: ProcedureId) -> ProcedureRow | None:
    """Return the row, locked against other workers until the end of the transaction."""
    row = db.first(_LOCK, {"procedure_": procedure_id})
    return None if row is None else procedure_row(row)


def lock_procedures(db: Execution, ids: Collection[ProcedureId]) -> tuple[ProcedureRow, ...]:
    """Return those rows that there are, locked against other workers until the end of the transaction."""
    return tuple(procedure_row(row) for row in _LOCK_SOME.rows(db, sorted(ids)))


def find_procedure(db: Execution, procedure_id: ProcedureId) -> ProcedureRow | None:
    """Return the row without a lock."""
    row = db.first(_ONE, {"procedure_": procedure_id})
    return None if row is None else procedure_row(row)


def opened_by_others(db: Execution, since: datetime, until: datetime) -> Mapping[CountryCode, int]:
    """Return how many procedures each other country opened here between two moments, the second not included."""
    return {row.peer: row.many for row in db.all(_OPENED_BY_OTHERS, {"since": since, "until": until})}


def procedures_since(db: Execution, name: str, peer: CountryCode, since: datetime) -> tuple[ProcedureRow, ...]:
    """Return those with a country, oldest first."""
    return tuple(procedure_row(row) for row in db.all(_since(name), {"country": peer, "since": since}))


def add_procedure(db: Execution, row: ProcedureRow) -> None:
    """Write a new procedure."""
    db.begun.add(row.ref.id)
    db.write(
        _INSERT,
        {
            "id": row.ref.id,
            "name": row.ref.name,
            "version": row.ref.version,
            "digest": row.ref.digest,
            "peer": row.peer,
            "opener": row.opener,
            "our_authority": row.our_authority,
            "peer_authority": row.peer_authority,
            "case_ref": row.case_ref,
            "exercise": row.exercise,
            "opened": row.opened,
            "state": row.state,
            "alarm": row.alarm,
            "gap": row.gap,
            "erased": row.erased,
        },
    )


def save_procedure(db: Execution, row: ProcedureRow) -> None:
    """Write what folding gave; offices have a statement of their own, everything else is fixed for life."""
    db.write(_SAVE, {"procedure_": row.ref.id, "state": row.state, "alarm": row.alarm, "gap": row.gap})


def save_offices(db: Execution, row: ProcedureRow, taking_part: Sequence[AuthorityId]) -> None:
    """Write which offices are the main ones now, and all of ours that take part."""
    db.write(_SAVE_OFFICES, {"procedure_": row.ref.id, "ours": row.our_authority, "theirs": row.peer_authority})
    db.write(_NOBODY, {"procedure_": row.ref.id})
    for authority in taking_part:
        db.write(_SOMEBODY, {"procedure": row.ref.id, "authority": authority})


def takes_part(db: Execution, procedure_id: ProcedureId, authority: AuthorityId) -> bool:
    """Whether that office of ours takes part beside, or instead of, those of the opening."""
    return db.first(_TAKES_PART, {"procedure_": procedure_id, "authority_": authority}) is not None


def record(db: Execution, procedure_id: ProcedureId) -> tuple[RecordEntry, ...]:
    """Return the whole set."""
    return tuple(_entry(row) for row in db.all(_RECORD, {"procedure_": procedure_id}))


def records(db: Execution, ids: Collection[ProcedureId]) -> dict[ProcedureId, list[RecordEntry]]:
    """Return the whole set of each of several procedures."""
    found = defaultdict[ProcedureId, list[RecordEntry]](list)
    for row in _RECORDS.rows(db, ids):
        found[row.procedure].append(_entry(row))
    return found


def add_record_entry(db: Execution, procedure_id: ProcedureId, entry: RecordEntry) -> None:
    """Write a new member of the set."""
    db.write(
        _INSERT_ENTRY,
        {
            "procedure": procedure_id,
            "digest": entry.digest,
            "message": entry.message,
            "author": entry.author,
            "act": entry.act,
            "parents": entry.parents,
            "code": entry.code,
        },
    )


def make_stub(db: Execution, procedure_id: ProcedureId, digest: Digest, code: str) -> None:
    """Note the refusal's code on the entry."""
    db.write(_STUB, {"procedure_": procedure_id, "digest_": digest, "code": code})


def procedure_row(row: Row[Any]) -> ProcedureRow:
    """Return the value of a stored row."""
    return ProcedureRow(
        ref=ProcedureRef(id=row.id, name=row.name, version=row.version, digest=row.digest),
        peer=row.peer,
        opener=row.opener,
        our_authority=row.our_authority,
        peer_authority=row.peer_authority,
        case_ref=row.case_ref,
        exercise=row.exercise,
        opened=row.opened,
        state=row.state,
        alarm=row.alarm,
        gap=row.gap,
        erased=row.erased,
    )


def _entry(row: Row[Any]) -> RecordEntry:
    return RecordEntry(
        digest=row.digest,
        message=row.message,
        author=row.author,
        act=row.act,
        parents=row.parents,
        code=row.code,
    )
