# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements about the audit trail: its rows, their chain, what was signed of it, and what other countries signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, insert, or_, select, update

from broker.core.audit import GENESIS, AuditAction, AuditRow, Entry, Head, Linked
from broker.core.canonical import dump_known
from broker.core.checkpoints import KeptCheckpoint
from broker.core.ids import CountryCode, Digest, ProcedureId
from broker.rows import AuditFilter, Page, Touched
from broker.storage.columns import fixed
from broker.storage.cursors import from_cursor, to_cursor
from broker.storage.execution import Execution, PerDialect, insert_new
from broker.storage.tables import audit, audit_checkpoint, audit_told, audit_witness
from broker.storage.tables.trail import SHOWN

__all__ = [
    "add", "add_checkpoint", "add_witness", "checkpoint_for", "checkpoints", "entry", "head", "link_at", "linked", "neighbours",
    "newest_checkpoint", "page", "save_links", "shown", "told", "touched", "unlinked", "witnesses",
]  # fmt: skip

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ADD = insert(audit).inline()
_PAGE = select(audit).order_by(audit.c.id.desc())
_UNLINKED = select(audit).where(audit.c.position.is_(None)).order_by(audit.c.id).limit(bindparam("most"))
_HEAD = (
    select(audit.c.position, audit.c.chain)
    .where(audit.c.position.is_not(None))
    .order_by(audit.c.position.desc())
    .limit(1)
)
# Columns as the database has them, in the order of `_linked`: a chain is over what is stored, and a value that is none of
# ours is a finding, not a fault.
_LINKED = (
    select(
        audit.c.position, audit.c.digest, audit.c.chain,
        audit.c.action, audit.c.actor, audit.c.at, audit.c.authority, audit.c.detail, audit.c.id, audit.c.peer,
        audit.c.procedure, audit.c.reason, audit.c.role, audit.c.subject,
    )
    .where(audit.c.position > bindparam("after"))
    .order_by(audit.c.position)
    .limit(bindparam("most"))
)  # fmt: skip
_LINK = (
    update(audit)
    .where(audit.c.id == bindparam("id_"))
    .values(position=bindparam("position_"), digest=bindparam("digest_"), chain=bindparam("chain_"))
)
_LINK_AT = select(audit.c.chain).where(audit.c.position == bindparam("position_"))
_SHOWN = (
    select(audit.c.procedure)
    .where(audit.c.actor == bindparam("actor_"), audit.c.at > bindparam("since_"), SHOWN)
    .distinct()
)

_TOUCHED_AT_ONCE = 20_000  # entries
_TOUCHED_FIRST = 1_000  # likewise, by who has not looked before
_CHANGES_NOTHING = fixed(
    AuditAction.READ, AuditAction.ATTACHMENT_READ, AuditAction.DISCLOSURES_SHOWN, AuditAction.ATTENTION_RAISED
)
_TOUCHES = (audit.c.procedure.is_not(None), audit.c.action.not_in(_CHANGES_NOTHING))
_TOUCHED = (
    select(audit.c.procedure)
    .where(audit.c.position > bindparam("after"), audit.c.position <= bindparam("upto"), *_TOUCHES)
    .distinct()
)
_TOUCHED_NOW = (  # of those that are not linked yet, which are few while the linker works
    select(audit.c.procedure)
    .where(audit.c.position.is_(None), *_TOUCHES)
    .order_by(audit.c.id.desc())
    .limit(_TOUCHED_FIRST)
)

_CHECKPOINT = insert_new(audit_checkpoint)
_NEWEST = select(audit_checkpoint).order_by(audit_checkpoint.c.position.desc()).limit(1)
_CHECKPOINTS = (
    select(audit_checkpoint)
    .where(audit_checkpoint.c.position > bindparam("after"))
    .order_by(audit_checkpoint.c.position)
    .limit(bindparam("most"))
)
_DROP_CHECKPOINT = delete(audit_checkpoint).where(audit_checkpoint.c.position == bindparam("position_"))
_UNTOLD = (
    select(audit_checkpoint)
    .where(
        ~select(audit_told.c.country)
        .where(audit_told.c.country == bindparam("country_"), audit_told.c.position >= audit_checkpoint.c.position)
        .exists()
    )
    .order_by(audit_checkpoint.c.position.desc())
    .limit(1)
)
_TOLD = PerDialect(
    audit_told,
    lambda insert_: insert_.on_conflict_do_update(
        index_elements=["country"], set_={"position": insert_.excluded.position}
    ),
)

_WITNESS = insert_new(audit_witness)
_OF = audit_witness.c.country == bindparam("country_")
_AT = select(audit_witness).where(_OF, audit_witness.c.position == bindparam("position_"))
_BELOW = (
    select(audit_witness)
    .where(_OF, audit_witness.c.position < bindparam("position_"))
    .order_by(audit_witness.c.position.desc())
    .limit(1)
)
_ABOVE = (
    select(audit_witness)
    .where(_OF, audit_witness.c.position > bindparam("position_"))
    .order_by(audit_witness.c.position)
    .limit(1)
)
_WITNESSES = (
    select(audit_witness)
    .where(
        _OF,
        or_(
            audit_witness.c.position > bindparam("after"),
            (audit_witness.c.position == bindparam("after")) & (audit_witness.c.head > bindparam("behind")),
        ),
    )
    .order_by(audit_witness.c.position, audit_witness.c.head)
    .limit(bindparam("most"))
)
_DROP_WITNESS = delete(audit_witness).where(
    _OF, audit_witness.c.position == bindparam("position_"), audit_witness.c.head == bindparam("head_")
)


def add(db: Execution, row: AuditRow) -> None:
    """Add a line; nothing of it is ever changed but that it is linked."""
    db.write(
        _ADD,
        {
            "at": row.at,
            "actor": row.actor,
            "action": row.action,
            "subject": row.subject,
            "detail": row.detail,
            "role": row.role,
            "authority": row.authority,
            "procedure": row.procedure,
            "peer": row.peer,
            "reason": row.reason,
        },
    )


def page(db: Execution, wanted: AuditFilter | None = None, *, cursor: str | None, limit: int) -> Page:
    """Return a page of entries, newest first, whether linked or not.

    Raises:
        BadCursor: the cursor is not one of this list.
    """
    last = from_cursor(cursor, (int,))
    statement = _PAGE if wanted is None else _limited(_PAGE, wanted)
    if last is not None:
        statement = statement.where(audit.c.id < last[0])
    rows = db.listed(statement.limit(limit + 1), {})
    items = tuple(entry(row).row for row in rows[:limit])
    return Page(items=items, next=to_cursor([rows[limit - 1].id]) if items and len(rows) > limit else None)


def _limited(statement: Select[Any], wanted: AuditFilter) -> Select[Any]:
    if wanted.since is not None:
        statement = statement.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(audit.c.at < wanted.until)
    if wanted.actor is not None:
        statement = statement.where(audit.c.actor == wanted.actor)
    if wanted.action is not None:
        statement = statement.where(audit.c.action == wanted.action)
    if wanted.procedures is not None:
        statement = statement.where(audit.c.procedure.in_(wanted.procedures))
    return statement


def shown(db: Execution, actor: str, since: datetime) -> frozenset[ProcedureId]:
    """Return the procedures of which that person was shown something since."""
    return frozenset(row.procedure for row in db.all(_SHOWN, {"actor_": actor, "since_": since}))


def touched(db: Execution, after: int | None) -> Touched:
    """Return in which procedures something happened behind a place of the chain, and up to which place that is told."""
    end = head(db).position
    begin = max(0, end - _TOUCHED_FIRST) if after is None else min(after, end)
    upto = min(end, begin + _TOUCHED_AT_ONCE)
    rows = [*db.all(_TOUCHED, {"after": begin, "upto": upto}), *db.all(_TOUCHED_NOW, {})]
    return Touched(procedures=frozenset(row.procedure for row in rows), place=upto)


def unlinked(db: Execution, limit: int) -> tuple[Entry, ...]:
    """Return the first entries that are in no chain yet, by number."""
    return tuple(entry(row) for row in db.all(_UNLINKED, {"most": limit}))


def head(db: Execution) -> Head:
    """Return the end of the chain."""
    row = db.first(_HEAD)
    return GENESIS if row is None else Head(position=row.position, chain=row.chain)


def linked(db: Execution, after: int, limit: int) -> tuple[Linked, ...]:
    """Return the entries behind a place, in the chain's order."""
    return tuple(map(_linked, db.plain(_LINKED, {"after": after, "most": limit})))


def save_links(db: Execution, entries: Sequence[Entry], links: Sequence[Linked]) -> None:
    """Give entries their places."""
    db.write_each(
        _LINK,
        [
            {"id_": entry.id, "position_": item.position, "digest_": item.digest, "chain_": item.chain}
            for entry, item in zip(entries, links, strict=True)
        ],
    )


def link_at(db: Execution, position: int) -> Digest | None:
    """Return the link at a place."""
    row = db.first(_LINK_AT, {"position_": position})
    return None if row is None else row.chain


def newest_checkpoint(db: Execution) -> KeptCheckpoint | None:
    """Return our checkpoint of the highest place."""
    return _kept(db.first(_NEWEST))


def checkpoints(db: Execution, after: int, limit: int) -> tuple[KeptCheckpoint, ...]:
    """Return our checkpoints behind a place, in order."""
    return tuple(_checkpoint(row) for row in db.all(_CHECKPOINTS, {"after": after, "most": limit}))


def add_checkpoint(db: Execution, kept: KeptCheckpoint, *, instead_of: KeptCheckpoint | None = None) -> bool:
    """Keep a checkpoint of ours; False where there is one of its place."""
    values = {"position": kept.head.position, "head": kept.head.chain, "at": kept.at, "cut": kept.cut, "raw": kept.raw}
    if instead_of is not None:
        db.write(_DROP_CHECKPOINT, {"position_": instead_of.head.position})
    return db.changed(_CHECKPOINT, values) == 1


def checkpoint_for(db: Execution, country: CountryCode) -> KeptCheckpoint | None:
    """Return our newest checkpoint unless that country was sent it."""
    return _kept(db.first(_UNTOLD, {"country_": country}))


def told(db: Execution, country: CountryCode, position: int) -> None:
    """Remember up to where a country was told of our trail."""
    db.write(_TOLD, {"country": country, "position": position})


def neighbours(db: Execution, country: CountryCode, position: int) -> tuple[KeptCheckpoint, ...]:
    """Return what that country stated of a place, and of the nearest ones before and behind it."""
    given = {"country_": country, "position_": position}
    rows = [*db.all(_BELOW, given), *db.all(_AT, given), *db.all(_ABOVE, given)]
    return tuple(_witness(row) for row in rows)


def add_witness(
    db: Execution, country: CountryCode, kept: KeptCheckpoint, *, instead_of: KeptCheckpoint | None = None
) -> bool:
    """Keep another country's checkpoint; False where it is held already."""
    if instead_of is not None:
        old = instead_of.head
        db.write(_DROP_WITNESS, {"country_": country, "position_": old.position, "head_": old.chain})
    values = {
        "country": country,
        "position": kept.head.position,
        "head": kept.head.chain,
        "at": kept.at,
        "raw": kept.raw,
    }
    return db.changed(_WITNESS, values) == 1


def witnesses(db: Execution, country: CountryCode, after: Head, limit: int) -> tuple[KeptCheckpoint, ...]:
    """Return the checkpoints that we hold of a country's trail behind one of them, in order."""
    given = {"country_": country, "after": after.position, "behind": after.chain, "most": limit}
    return tuple(_witness(row) for row in db.all(_WITNESSES, given))


def entry(row: Row[Any]) -> Entry:
    """Return the value of a stored row."""
    return Entry(
        id=row.id,
        row=AuditRow(
            at=row.at,
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            detail=row.detail,
            role=row.role,
            authority=row.authority,
            procedure=row.procedure,
            peer=row.peer,
            reason=row.reason,
            position=row.position,
        ),
    )


def _kept(row: Row[Any] | None) -> KeptCheckpoint | None:
    return None if row is None else _checkpoint(row)


def _checkpoint(row: Row[Any]) -> KeptCheckpoint:
    return KeptCheckpoint(head=Head(position=row.position, chain=row.head), at=row.at, cut=row.cut, raw=row.raw)


def _witness(row: Row[Any]) -> KeptCheckpoint:
    return KeptCheckpoint(head=Head(position=row.position, chain=row.head), at=row.at, cut=False, raw=row.raw)


def _linked(row: tuple[Any, ...]) -> Linked:
    """Return an entry in its place with the bytes of `Entry.canonical`, without making one: whole trails are read here."""
    position, digest, chain, action, actor, at, authority, detail, id_, peer, procedure, reason, role, subject = row
    said = {
        "action": action, "actor": actor, "at": _text(at), "authority": authority, "detail": detail, "id": id_,
        "peer": peer, "procedure": procedure, "reason": reason, "role": role, "subject": subject,
    }  # fmt: skip
    return Linked(position, digest, chain, dump_known(said))


def _text(milliseconds: int) -> str:
    try:
        return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"
    except (ValueError, OverflowError):  # no time that anybody wrote
        return "none"


@lru_cache(maxsize=8)  # entries come by time
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
