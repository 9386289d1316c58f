# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements about erasures, what keeps a case, and what is to be removed outside of the database.

The key of a case is destroyed by `case_keys`; here its dead ciphertexts and the copies sealed for others go as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, insert, or_, select, update

from broker.core.delivery import AHEAD_SECONDS
from broker.core.erasures import CaseMessage, Duty, Erasure, ErasureState, Retained
from broker.core.ids import AuthorityId, CaseRef, CountryCode, ErasureId, MessageId, ProcedureId
from broker.core.messages import OutboxKind
from broker.rows import HeldDraft, OutboxState, ProcedureRow
from broker.security.at_rest import Scope, covered, scopes_of
from broker.storage.drafts import draft_row, drafts_within
from broker.storage.execution import Execution, insert_new
from broker.storage.procedures import procedure_row
from broker.storage.tables import (
    attachment,
    case_key,
    erase_duty,
    erasure,
    inbox,
    inbox_content,
    outbox,
    outbox_content,
    outbox_envelope,
    procedure,
    retained,
)

__all__ = ["SqlRetention", "erased_cases", "mark_destroyed"]

_DESTROYED = select(case_key.c.scope, case_key.c.destroyed).where(case_key.c.destroyed.is_not(None))
_ERASED_ROWS = select(procedure.c.peer, procedure.c.case_ref, procedure.c.id).where(procedure.c.erased.is_not(None))
_UNSETTLED = frozenset({OutboxState.RECORDED, OutboxState.PUBLISHED})

_CASE = (
    select(procedure)
    .where(procedure.c.case_ref == bindparam("case"), procedure.c.peer == bindparam("peer_"))
    .order_by(procedure.c.opened, procedure.c.id)
)
_OUT = select(
    outbox.c.id, outbox.c.digest, outbox.c.recipient.label("peer"), outbox.c.authority, outbox.c.type,
    outbox.c.created.label("at"), outbox.c.state,
).where(outbox.c.procedure == bindparam("procedure_"), outbox.c.kind == OutboxKind.MESSAGE)  # fmt: skip
_IN = select(
    inbox.c.id, inbox.c.digest, inbox.c.sender.label("peer"), inbox.c.authority, inbox.c.type,
    inbox.c.received.label("at"), inbox.c.handed_over,
).where(inbox.c.procedure == bindparam("procedure_"))  # fmt: skip
_LAST_OUT = select(func.max(outbox.c.created, type_=outbox.c.created.type).label("at")).where(
    outbox.c.procedure == bindparam("procedure_")
)
_LAST_IN = select(func.max(inbox.c.received, type_=inbox.c.received.type).label("at")).where(
    inbox.c.procedure == bindparam("procedure_")
)

_GONE_OUT = (
    select(
        outbox.c.id, outbox.c.digest, outbox.c.recipient.label("peer"), outbox.c.authority, outbox.c.type,
        outbox.c.created.label("at"), outbox.c.procedure,
    )
    .join_from(outbox, procedure, procedure.c.id == outbox.c.procedure)
    .where(
        outbox.c.id == bindparam("message"), outbox.c.kind == OutboxKind.MESSAGE, procedure.c.erased.is_not(None)
    )
)  # fmt: skip
_GONE_IN = (
    select(
        inbox.c.id, inbox.c.digest, inbox.c.sender.label("peer"), inbox.c.authority, inbox.c.type,
        inbox.c.received.label("at"), inbox.c.procedure,
    )
    .join_from(inbox, procedure, procedure.c.id == inbox.c.procedure)
    .where(inbox.c.id == bindparam("message"), procedure.c.erased.is_not(None))
    .order_by(inbox.c.sender)
)  # fmt: skip

_RETAINED = select(retained).where(retained.c.scope == bindparam("scope_"))
_NO_RETAINED = delete(retained).where(retained.c.scope == bindparam("scope_"))
_ADD_RETAINED = insert(retained)

_ERASURE = select(erasure).where(erasure.c.id == bindparam("id_"))
_LOCKED = _ERASURE.with_for_update()
_UNDECIDED = select(erasure).where(erasure.c.scope == bindparam("scope_"), erasure.c.decided.is_(None))
_ERASURES = select(erasure).order_by(erasure.c.proposed.desc(), erasure.c.id.desc()).limit(bindparam("most"))
_ERASURES_OF = _ERASURES.where(erasure.c.authority == bindparam("office"))
_ASKED_FOR = (
    select(erasure)
    .where(erasure.c.peer == bindparam("from_"), erasure.c.asked_by == bindparam("message"))
    .order_by(erasure.c.id)
)
_CARRIED_OUT = (
    select(erasure)
    .where(erasure.c.scope.in_(bindparam("scopes", expanding=True)), erasure.c.state == ErasureState.ERASED)
    .order_by(erasure.c.decided.desc(), erasure.c.id.desc())
)
_ADD_ERASURE = insert_new(erasure)
_SETTLE = (
    update(erasure)
    .where(erasure.c.id == bindparam("id_"), erasure.c.state == bindparam("was"))
    .values(
        procedures=bindparam("of"), reason=bindparam("why"), state=bindparam("to"), listed=bindparam("shown"),
        proposed=bindparam("since"), proposed_by=bindparam("by"), role=bindparam("as_"), decided=bindparam("at"),
        decided_by=bindparam("second"),
    )
)  # fmt: skip
_LAPSED = (
    select(erasure)
    .where(erasure.c.state == ErasureState.PROPOSED, erasure.c.proposed < bindparam("before"))
    .order_by(erasure.c.proposed, erasure.c.id)
    .limit(bindparam("most"))
)
_FINAL = (
    select(erasure)
    .join_from(erasure, case_key, case_key.c.scope == erasure.c.scope)
    .where(
        erasure.c.state == ErasureState.ERASED,
        erasure.c.final.is_(None),
        case_key.c.destroyed.is_not(None),
        case_key.c.epoch < bindparam("number"),
    )
    .order_by(erasure.c.decided, erasure.c.id)
)
_FINISH = update(erasure).where(erasure.c.id == bindparam("id_")).values(final=bindparam("at"))

_MARK = (
    update(procedure)
    .where(procedure.c.id == bindparam("procedure_"), procedure.c.erased.is_(None))
    .values(erased=bindparam("at"))
)
_FORGET_OUT = delete(outbox_content).where(outbox_content.c.id == bindparam("message"))
_FORGET_SEALED = delete(outbox_envelope).where(outbox_envelope.c.id == bindparam("message"))
_FORGET_IN = delete(inbox_content).where(
    inbox_content.c.sender == bindparam("from_"), inbox_content.c.id == bindparam("message")
)
_STOP_OUT = update(outbox).where(outbox.c.id == bindparam("message")).values(next_at=None, lease=None)
_STOP_IN = (
    update(inbox)
    .where(inbox.c.sender == bindparam("from_"), inbox.c.id == bindparam("message"))
    .values(next_at=None, lease=None)
)
_OUR_FILES = and_(
    attachment.c.message == bindparam("message"),
    attachment.c.peer == bindparam("with_"),
    attachment.c.author != bindparam("with_"),
)
_THEIR_FILES = and_(attachment.c.message == bindparam("message"), attachment.c.author == bindparam("with_"))
_BLOBS = {"out": select(attachment.c.blob).where(_OUR_FILES), "in": select(attachment.c.blob).where(_THEIR_FILES)}
_DROP_FILES = {"out": delete(attachment).where(_OUR_FILES), "in": delete(attachment).where(_THEIR_FILES)}
_NAMED = select(attachment.c.message).where(attachment.c.blob == bindparam("blob_")).limit(1)

_THIS = and_(erase_duty.c.kind == bindparam("kind_"), erase_duty.c.name == bindparam("name_"))
_ADD_DUTY = insert_new(erase_duty)
_DUE = (
    select(erase_duty)
    .where(or_(erase_duty.c.next_at <= bindparam("now"), erase_duty.c.next_at > bindparam("beyond")))
    .order_by(erase_duty.c.next_at, erase_duty.c.kind, erase_duty.c.name)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_LEASE = update(erase_duty).where(_THIS).values(next_at=bindparam("until"))
_RETRY = update(erase_duty).where(_THIS).values(next_at=bindparam("until"), attempts=erase_duty.c.attempts + 1)
_DROP = delete(erase_duty).where(_THIS)
_DUTIES = select(func.count().label("number")).where(erase_duty.c.erasure == bindparam("erasure_"))


def mark_destroyed(db: Execution) -> None:
    """Mark every procedure whose own key is destroyed: rows of an older backup do not know yet that it was erased.

    Unmarked it would stand in lists as a case that is kept, and call people to what nobody can read any more.
    """
    for row in db.all(_DESTROYED, {}):
        _, named = covered(Scope(row.scope)) or (None, None)
        if isinstance(named, ProcedureId):
            db.changed(_MARK, {"procedure_": named, "at": row.destroyed})


def erased_cases(db: Execution) -> int:
    """Return how many cases towards one country are erased: each of their procedures may have a destroyed key of its own.

    A procedure without a case counts as one.
    """
    found: set[tuple[CountryCode, str]] = {(row.peer, row.case_ref or row.id) for row in db.all(_ERASED_ROWS, {})}
    for row in db.all(_DESTROYED, {}):
        peer, named = covered(Scope(row.scope)) or (None, None)
        if peer is not None and isinstance(named, CaseRef):
            found.add((peer, named))
    return len(found)


class SqlRetention:
    """Implements `ports.RetentionWriter`; its docstrings stand there."""

    __slots__ = ("_db", "_one")

    def __init__(self, db: Execution, *, lock: bool) -> None:
        """Args:
        lock: what is found will be changed; never on a read-only connection.
        """
        self._db = db
        self._one = _LOCKED if lock else _ERASURE

    # cases

    def case_of(self, peer: CountryCode, case: CaseRef) -> tuple[ProcedureRow, ...]:
        return tuple(procedure_row(row) for row in self._db.all(_CASE, {"peer_": peer, "case": case}))

    def case_messages(self, procedures: Sequence[ProcedureId]) -> tuple[CaseMessage, ...]:
        found: list[CaseMessage] = []
        for one in procedures:
            sent, came = self._db.all(_OUT, {"procedure_": one}), self._db.all(_IN, {"procedure_": one})
            found += [_message(row, "out", one, settled=row.state not in _UNSETTLED) for row in sent]
            found += [_message(row, "in", one, settled=row.handed_over is not None) for row in came]
        return tuple(sorted(found, key=lambda message: (message.at, message.direction, message.id)))

    def erased_messages(self, message: MessageId) -> tuple[CaseMessage, ...]:
        found = [("out", row) for row in self._db.all(_GONE_OUT, {"message": message})]
        found += [("in", row) for row in self._db.all(_GONE_IN, {"message": message})]
        return tuple(_message(row, direction, row.procedure, settled=True) for direction, row in found)

    def erasure_of(self, procedure: ProcedureRow) -> Erasure | None:
        scopes = scopes_of(procedure.peer, procedure.case_ref, procedure.ref.id)
        found = (_known(row) for row in self._db.all(_CARRIED_OUT, {"scopes": list(scopes)}))
        return next((one for one in found if procedure.ref.id in one.procedures), None)

    def drafts_of(self, scope: Scope) -> tuple[HeldDraft, ...]:
        return tuple(draft_row(self._db, row) for row in drafts_within(self._db, scope))

    def last_activity(self, procedure: ProcedureId) -> datetime | None:
        found = [self._db.first(one, {"procedure_": procedure}) for one in (_LAST_OUT, _LAST_IN)]
        return max((row.at for row in found if row is not None and row.at is not None), default=None)

    def mark_erased(self, procedure: ProcedureId, at: datetime) -> None:
        self._db.changed(_MARK, {"procedure_": procedure, "at": at})

    def forget(self, message: CaseMessage) -> tuple[str, ...]:
        if message.direction == "out":
            # First of all the lease goes: who seals it just now is waited for, and what that one has written goes as well.
            for statement in (_STOP_OUT, _FORGET_OUT, _FORGET_SEALED):
                self._db.changed(statement, {"message": message.id})
        else:
            for statement in (_FORGET_IN, _STOP_IN):
                self._db.changed(statement, {"from_": message.peer, "message": message.id})
        files = {"message": message.id, "with_": message.peer}
        blobs = sorted({str(row.blob) for row in self._db.all(_BLOBS[message.direction], files)})
        self._db.changed(_DROP_FILES[message.direction], files)
        return tuple(blob for blob in blobs if self._db.first(_NAMED, {"blob_": blob}) is None)

    # what keeps a case

    def retained(self, scope: Scope) -> Retained | None:
        row = self._db.first(_RETAINED, {"scope_": scope})
        if row is None:
            return None
        return Retained(
            scope=row.scope, hold=row.hold, held=row.held, held_by=row.held_by,
            keep_until=None if row.keep_until is None else date.fromisoformat(row.keep_until),
            keep=row.keep, reviewed=row.reviewed, reviewed_by=row.reviewed_by,
        )  # fmt: skip

    def save_retained(self, row: Retained) -> None:
        self._db.changed(_NO_RETAINED, {"scope_": row.scope})
        values = {
            "scope": row.scope, "hold": row.hold, "held": row.held, "held_by": row.held_by,
            "keep_until": None if row.keep_until is None else row.keep_until.isoformat(),
            "keep": row.keep, "reviewed": row.reviewed, "reviewed_by": row.reviewed_by,
        }  # fmt: skip
        self._db.changed(_ADD_RETAINED, values)

    # erasures

    def erasure(self, erasure: ErasureId) -> Erasure | None:
        return _erasure(self._db.first(self._one, {"id_": erasure}))

    def open_erasure(self, scope: Scope) -> Erasure | None:
        return _erasure(self._db.first(_UNDECIDED, {"scope_": scope}))

    def erasures(self, authority: AuthorityId | None, *, limit: int) -> tuple[Erasure, ...]:
        statement, more = (_ERASURES, {}) if authority is None else (_ERASURES_OF, {"office": authority})
        return tuple(_known(row) for row in self._db.all(statement, {"most": limit, **more}))

    def asked_for(self, peer: CountryCode, message: MessageId) -> tuple[Erasure, ...]:
        return tuple(_known(row) for row in self._db.all(_ASKED_FOR, {"from_": peer, "message": message}))

    def add_erasure(self, row: Erasure) -> bool:
        values = {
            "id": row.id, "scope": row.scope, "peer": row.peer, "case_ref": row.case_ref, "procedures": row.procedures,
            "authority": row.authority, "reason": row.reason, "state": row.state, "listed": row.listed,
            "proposed": row.proposed, "proposed_by": row.proposed_by, "role": row.role, "asked_by": row.asked_by,
            "decided": row.decided, "decided_by": row.decided_by, "final": row.final,
        }  # fmt: skip
        return self._db.changed(_ADD_ERASURE, values) == 1

    def settle_erasure(self, erasure: Erasure, *, was: ErasureState) -> bool:
        values = {
            "id_": erasure.id, "was": was, "of": erasure.procedures, "why": erasure.reason, "to": erasure.state,
            "shown": erasure.listed, "since": erasure.proposed, "by": erasure.proposed_by, "as_": erasure.role,
            "at": erasure.decided, "second": erasure.decided_by,
        }  # fmt: skip
        return self._db.changed(_SETTLE, values) == 1

    def lapsed_erasures(self, *, before: datetime, limit: int) -> tuple[Erasure, ...]:
        return tuple(_known(row) for row in self._db.all(_LAPSED, {"before": before, "most": limit}))

    def finish_erasures(self, epoch: int, at: datetime) -> tuple[Erasure, ...]:
        done = tuple(_known(row) for row in self._db.all(_FINAL, {"number": epoch}))
        for one in done:
            self._db.changed(_FINISH, {"id_": one.id, "at": at})
        return done

    # what is to be removed outside

    def add_duty(self, duty: Duty, at: datetime) -> None:
        self._db.changed(
            _ADD_DUTY,
            {
                "kind": duty.kind, "name": duty.name, "erasure": duty.erasure, "authority": duty.authority,
                "next_at": at, "attempts": duty.attempts,
            },
        )  # fmt: skip

    def lease_duties(self, *, now: datetime, until: datetime, limit: int) -> tuple[Duty, ...]:
        beyond = now + timedelta(seconds=AHEAD_SECONDS)  # for the reason see outbox.py
        rows = self._db.all(_DUE, {"now": now, "beyond": beyond, "most": limit})
        for row in rows:
            self._db.changed(_LEASE, {"kind_": row.kind, "name_": row.name, "until": until})
        return tuple(
            Duty(kind=row.kind, name=row.name, erasure=row.erasure, authority=row.authority, attempts=row.attempts)
            for row in rows
        )

    def retry_duty(self, duty: Duty, *, next_at: datetime) -> None:
        self._db.changed(_RETRY, {"kind_": duty.kind, "name_": duty.name, "until": next_at})

    def drop_duty(self, duty: Duty) -> None:
        self._db.changed(_DROP, {"kind_": duty.kind, "name_": duty.name})

    def duties_of(self, erasure: ErasureId) -> int:
        row = self._db.first(_DUTIES, {"erasure_": erasure})
        return 0 if row is None else int(row.number)


def _message(row: Row[Any], direction: str, procedure: ProcedureId, *, settled: bool) -> CaseMessage:
    return CaseMessage(
        direction=direction, id=row.id, digest=row.digest, peer=row.peer, authority=row.authority, procedure=procedure,
        type=row.type, at=row.at, settled=settled,
    )  # fmt: skip


def _erasure(row: Row[Any] | None) -> Erasure | None:
    return None if row is None else _known(row)


def _known(row: Row[Any]) -> Erasure:
    return Erasure(
        id=row.id, scope=row.scope, peer=row.peer, case_ref=row.case_ref, procedures=row.procedures,
        authority=row.authority, reason=row.reason, state=row.state, listed=row.listed, proposed=row.proposed,
        proposed_by=row.proposed_by, role=row.role, asked_by=row.asked_by, decided=row.decided,
        decided_by=row.decided_by, final=row.final,
    )  # fmt: skip
