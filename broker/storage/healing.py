# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements of healing: what lacks after a restore, and what another country is told of the record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Row,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from broker.core.healing import REFUSED, HealingRow, Missed, MissedState, Passed, Place, RestoredMark
from broker.core.ids import CountryCode, Digest, MessageId, ProcedureId
from broker.core.messages import OutboxEntry
from broker.core.receipts import ReceiptKind
from broker.rows import OutboxState
from broker.security.at_rest import Scope
from broker.storage.columns import fixed, unindexed
from broker.storage.execution import Execution, insert_new
from broker.storage.outbox import add_outbox
from broker.storage.tables import (
    case_key,
    healing,
    inbox_content,
    missed,
    outbox,
    outbox_envelope,
    procedure,
    receipt,
    record_entry,
    restored_mark,
)

__all__ = ["NOBODY_YET", "SqlHealing", "begin_healing"]

NOBODY_YET = ""  # the peer of the row that a restore leaves: everybody waits

_COLUMNS = tuple(str(name) for name in healing.c.keys())  # noqa: SIM118
_ROWS = select(healing).where(healing.c.peer != NOBODY_YET).order_by(healing.c.peer)
_ROW = select(healing).where(healing.c.peer == bindparam("peer_"))
_LOCKED = _ROW.with_for_update()  # what another worker saves of it from an older look would end or undo the asking
_GOES_ON = exists().where(healing.c.ended.is_(None))
_WAITS = select(  # two questions: for an IN, and for an OR about one column, SQLite fills a table at each execution
    or_(_GOES_ON.where(healing.c.peer == bindparam("peer_")), _GOES_ON.where(healing.c.peer == literal_column("''")))
)
_UNFINISHED = select(healing.c.peer).where(healing.c.ended.is_(None)).limit(1)
_ADD = insert_new(healing)
_DROP = delete(healing).where(healing.c.peer == bindparam("peer_"))
_SAVE = (
    update(healing)
    .where(healing.c.peer == bindparam("peer_"))
    .values({name: bindparam(f"{name}_") for name in healing.c.keys() if name != "peer"})  # noqa: SIM118
)
_NOTE = insert_new(missed)
_MISSED = (
    select(missed)
    .where(missed.c.peer == bindparam("peer_"), missed.c.state.in_(bindparam("states", expanding=True)))
    .order_by(case((missed.c.author == missed.c.peer, 1), else_=0), missed.c.message, missed.c.digest)
    .limit(bindparam("most"))
)
_COUNT_MISSED = select(func.count().label("number")).select_from(missed).where(missed.c.peer == bindparam("peer_"))
_MISSED_ONE = select(missed).where(missed.c.peer == bindparam("peer_"), missed.c.digest == bindparam("digest_"))
_SAVE_MISSED = (
    update(missed)
    .where(missed.c.peer == bindparam("peer_"), missed.c.digest == bindparam("digest_"))
    .values(state=bindparam("state_"), code=bindparam("code_"), attempts=bindparam("attempts_"))
)
_IN_RECORD = exists().where(record_entry.c.procedure == missed.c.procedure, record_entry.c.digest == missed.c.digest)
_FOUND = (
    update(missed)
    .where(missed.c.peer == bindparam("peer_"), missed.c.state == MissedState.WANTED, _IN_RECORD)
    .values(state=MissedState.FOUND)
)
_MISPLACED = (
    update(missed)
    .where(
        missed.c.peer == bindparam("peer_"),
        missed.c.state == MissedState.LOST,
        missed.c.code == REFUSED,
        missed.c.attempts == 0,
        exists().where(procedure.c.id == missed.c.procedure, procedure.c.peer == missed.c.peer),
        ~_IN_RECORD,
    )
    .values(attempts=1)
)
_OPENER = (
    select(missed.c.opener)
    .where(missed.c.procedure == bindparam("procedure_"), unindexed(missed.c.peer) == bindparam("peer_"))
    .limit(1)
)
_RECORDED = select(record_entry.c.author, record_entry.c.message).where(
    record_entry.c.procedure == bindparam("procedure_"), record_entry.c.digest == bindparam("digest_")
)
_DESTROYED = select(case_key.c.scope).where(case_key.c.scope == bindparam("scope_"), case_key.c.destroyed.is_not(None))
_SENT = (
    update(outbox)
    .where(outbox.c.id == bindparam("message"))
    .values(state=OutboxState.PUBLISHED, published=bindparam("at"), since=bindparam("at"), next_at=null())
)

_PASSED = (
    select(
        record_entry.c.author, record_entry.c.message, record_entry.c.digest, record_entry.c.procedure,
        procedure.c.opener, record_entry.c.act, record_entry.c.code, record_entry.c.parents,
    )
    .join_from(record_entry, procedure)
    .where(procedure.c.peer == bindparam("peer_"))
)  # fmt: skip
_ANSWERED_BEFORE = exists().where(
    receipt.c.author == record_entry.c.author,
    receipt.c.message == record_entry.c.message,
    receipt.c.kind.in_(fixed(ReceiptKind.DELIVERED, ReceiptKind.REFUSED)),
    receipt.c.at < bindparam("since_", type_=receipt.c.at.type),
)
_SINCE = (
    _PASSED.where(~_ANSWERED_BEFORE).order_by(record_entry.c.message, record_entry.c.author).limit(bindparam("most"))
)
_SINCE_AFTER = _SINCE.where(
    or_(
        record_entry.c.message > bindparam("after_message"),
        and_(record_entry.c.message == bindparam("after_message"), record_entry.c.author > bindparam("after_author")),
    )
)
_PASSED_ONE = _PASSED.where(record_entry.c.digest == bindparam("digest_"))
_SIGNATURES = select(inbox_content.c.signatures).where(
    inbox_content.c.sender == bindparam("from_"), inbox_content.c.id == bindparam("message")
)
_AGAIN = (
    update(outbox)
    .where(outbox.c.id == bindparam("message"), outbox.c.state != OutboxState.RECORDED)
    .values(
        state=OutboxState.RECORDED, since=bindparam("now"), next_at=bindparam("now"), attempts=0, lease=null(),
        lease_until=null(),
    )
)  # fmt: skip
_UNSEAL = delete(outbox_envelope).where(outbox_envelope.c.id == bindparam("message"))
_EXISTS = (
    select(func.count().label("number"))
    .select_from(outbox)
    .where(
        outbox.c.id == bindparam("message"),
        or_(outbox.c.state != OutboxState.DONE, outbox.c.error.is_(None)),  # else it was given up: it does not open
    )
)
_MARKS = select(restored_mark).where(restored_mark.c.country == bindparam("country_")).order_by(restored_mark.c.at)
_ADD_MARK = insert_new(restored_mark)
_FIRST = insert(healing)


def begin_healing(db: Execution, *, since: datetime, restored: datetime, position: int, head: Digest) -> None:
    """Let nothing be sent to anybody until the node has asked whoever there is."""
    for table in (healing, missed):
        db.changed(delete(table))  # what an earlier restore had not finished is asked for again, from this backup on
    values = {
        "peer": NOBODY_YET, "since": since, "restored": restored, "position": position, "head": head,
        "next_at": restored, "listed": False, "attempts": 0,
    }  # fmt: skip
    db.changed(_FIRST, values)


class SqlHealing:
    """Implements `ports.HealingWriter`."""

    __slots__ = ("_db",)

    def __init__(self, db: Execution) -> None:
        self._db = db

    def rows(self) -> tuple[HealingRow, ...]:
        return tuple(_row(row) for row in self._db.all(_ROWS))

    def unfinished(self) -> bool:
        return self._db.first(_UNFINISHED) is not None

    def waits(self, peer: CountryCode) -> bool:
        (row,) = self._db.all(_WAITS, {"peer_": peer})
        return bool(row[0])

    def begin(self, peers: Sequence[CountryCode]) -> bool:
        row = self._db.first(_ROW, {"peer_": NOBODY_YET})
        if row is None:
            return False
        for peer in peers:
            self._db.changed(_ADD, {name: getattr(row, name) for name in _COLUMNS} | {"peer": peer})
        self._db.changed(_DROP, {"peer_": NOBODY_YET})
        return True

    def row(self, peer: CountryCode) -> HealingRow | None:
        row = self._db.first(_ROW, {"peer_": str(peer)})
        return None if row is None else _row(row)

    def lock(self, peer: CountryCode) -> HealingRow | None:
        row = self._db.first(_LOCKED, {"peer_": str(peer)})
        return None if row is None else _row(row)

    def save(self, row: HealingRow) -> None:
        self._db.changed(
            _SAVE,
            {
                "peer_": str(row.peer),
                "since_": row.since,
                "restored_": row.restored,
                "position_": row.position,
                "head_": row.head,
                "next_at_": row.next_at,
                "listed_": row.listed,
                "after_message_": row.after.message if row.after else None,
                "after_author_": row.after.author if row.after else None,
                "question_": row.question,
                "attempts_": row.attempts,
                "ended_": row.ended,
            },
        )

    def missed(self, peer: CountryCode, states: Sequence[MissedState], limit: int) -> tuple[Missed, ...]:
        wanted = {"peer_": peer, "states": list(states), "most": limit}
        return tuple(_missed(row) for row in self._db.all(_MISSED, wanted))

    def count_missed(self, peer: CountryCode) -> int:
        row = self._db.first(_COUNT_MISSED, {"peer_": peer})
        return 0 if row is None else int(row.number)

    def missed_one(self, peer: CountryCode, digest: Digest) -> Missed | None:
        row = self._db.first(_MISSED_ONE, {"peer_": peer, "digest_": digest})
        return None if row is None else _missed(row)

    def note_missed(self, item: Missed) -> bool:
        values = {
            "peer": item.peer, "digest": item.digest, "author": item.author, "message": item.message,
            "procedure": item.procedure, "opener": item.opener, "act": item.act, "state": item.state,
            "code": item.code, "attempts": item.attempts,
        }  # fmt: skip
        return self._db.changed(_NOTE, values) == 1

    def save_missed(self, item: Missed) -> None:
        self._db.changed(
            _SAVE_MISSED,
            {
                "peer_": item.peer, "digest_": item.digest, "state_": item.state, "code_": item.code,
                "attempts_": item.attempts,
            },
        )  # fmt: skip

    def settle_found(self, peer: CountryCode) -> int:
        return self._db.changed(_FOUND, {"peer_": peer})

    def misplaced(self, peer: CountryCode) -> int:
        return self._db.changed(_MISPLACED, {"peer_": peer})

    def opener(self, peer: CountryCode, procedure: ProcedureId) -> CountryCode | None:
        row = self._db.first(_OPENER, {"procedure_": procedure, "peer_": peer})
        return None if row is None else row.opener

    def recorded(self, procedure: ProcedureId, digest: Digest) -> tuple[CountryCode, MessageId] | None:
        row = self._db.first(_RECORDED, {"procedure_": procedure, "digest_": digest})
        return None if row is None else (row.author, row.message)

    def is_destroyed(self, scope: Scope) -> bool:
        return self._db.first(_DESTROYED, {"scope_": scope}) is not None

    def add_sent(self, entry: OutboxEntry, *, published: datetime, terms: frozenset[str]) -> None:
        add_outbox(self._db, entry, next_at=published, terms=terms)
        self._db.changed(_SENT, {"message": entry.id, "at": published})

    def passed(self, peer: CountryCode, *, since: datetime, after: Place | None, limit: int) -> tuple[Passed, ...]:
        wanted: dict[str, Any] = {"peer_": peer, "since_": since, "most": limit}
        if after is None:
            rows = self._db.all(_SINCE, wanted)
        else:
            place = {"after_message": after.message, "after_author": after.author}
            rows = self._db.all(_SINCE_AFTER, wanted | place)
        return tuple(_passed(row) for row in rows)

    def passed_one(self, peer: CountryCode, digest: Digest) -> Passed | None:
        row = self._db.first(_PASSED_ONE, {"peer_": peer, "digest_": digest})
        return None if row is None else _passed(row)

    def signatures(self, sender: CountryCode, message: MessageId) -> bytes | None:
        row = self._db.first(_SIGNATURES, {"from_": sender, "message": message})
        return None if row is None else row.signatures

    def send_again(self, message: MessageId, *, now: datetime) -> bool:
        row = self._db.first(_EXISTS, {"message": message})
        if row is None or row.number == 0:
            return False
        if self._db.changed(_AGAIN, {"message": message, "now": now}):
            self._db.changed(_UNSEAL, {"message": message})
        return True

    def marks(self, country: CountryCode) -> tuple[RestoredMark, ...]:
        rows = self._db.all(_MARKS, {"country_": country})
        return tuple(RestoredMark(country=row.country, at=row.at, position=row.position, head=row.head) for row in rows)

    def note_mark(self, mark: RestoredMark) -> bool:
        values = {"country": mark.country, "at": mark.at, "position": mark.position, "head": mark.head}
        return self._db.changed(_ADD_MARK, values) == 1


def _row(row: Row[Any]) -> HealingRow:
    after = None
    if row.after_message is not None:
        after = Place(message=row.after_message, author=row.after_author)
    return HealingRow(
        peer=CountryCode(row.peer),
        since=row.since,
        restored=row.restored,
        position=row.position,
        head=row.head,
        next_at=row.next_at,
        listed=bool(row.listed),
        after=after,
        question=row.question,
        attempts=row.attempts,
        ended=row.ended,
    )


def _missed(row: Row[Any]) -> Missed:
    return Missed(
        peer=row.peer, author=row.author, message=row.message, digest=row.digest, procedure=row.procedure,
        opener=row.opener, act=row.act, state=row.state, code=row.code, attempts=row.attempts,
    )  # fmt: skip


def _passed(row: Row[Any]) -> Passed:
    return Passed(
        author=row.author, message=row.message, digest=row.digest, procedure=row.procedure, opener=row.opener,
        act=row.act, code=row.code, parents=row.parents,
    )  # fmt: skip
