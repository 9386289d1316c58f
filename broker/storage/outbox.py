# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Outbox statements: what we owe to other countries, and who sends it now."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    ColumnElement,
    Executable,
    Exists,
    FromClause,
    Row,
    Text,
    bindparam,
    exists,
    insert,
    literal_column,
    or_,
    select,
    type_coerce,
    update,
)

from broker.core.attention import AttentionCode
from broker.core.delivery import AHEAD_SECONDS, RESENDS_BY_ITSELF, SIGN_OF_LOSS_SECONDS
from broker.core.errors import CaseKeyMissing, NodeError, StoreCorrupt
from broker.core.healing import HEAL_TYPES
from broker.core.ids import CountryCode, MessageId
from broker.core.messages import OutboxEntry, OutboxKind, SealedEnvelope
from broker.rows import OutboxBrief, OutboxRow, OutboxState, OverdueEntry, OwedEntry
from broker.security.at_rest import scope_of
from broker.storage import headers
from broker.storage.batches import Batched, Parted
from broker.storage.case_keys import KEY_COLUMNS, READABLE, encrypted, key_for_writing, keyed, opened
from broker.storage.columns import fixed, from_milliseconds
from broker.storage.execution import Execution
from broker.storage.search import add_terms
from broker.storage.tables import attention, healing, outbox, outbox_content, outbox_envelope, receipted

__all__ = [
    "add_outbox", "find_outbox", "lease_outbox", "lost_outbox", "outbox_briefs", "outbox_waits",
    "overdue_outbox",
]  # fmt: skip

_INSERT = insert(outbox)
_INSERT_CONTENT = insert(outbox_content)

_KEPT = keyed(
    outbox.join(outbox_content).outerjoin(outbox_envelope, outbox_envelope.c.id == outbox.c.id), outbox_content
)
_CONTENT = (
    outbox_content.c.scope,
    outbox_content.c.content,
    *KEY_COLUMNS,
    *(column.label(f"sealed_{column.name}") for column in outbox_envelope.c if column.name != "id"),
)
_ROWS = select(outbox, outbox_content.c.header, *_CONTENT).select_from(_KEPT).where(READABLE)
_OWED = (
    select(
        *(
            outbox.c[name]
            for name in ("id", "kind", "recipient", "exercise", "authority", "attempts", "error", "created")
        ),
        *_CONTENT,
    )
    .select_from(_KEPT)
    .where(READABLE)
)
_ONE = _ROWS.where(outbox.c.id == bindparam("message"))
_SOME = Batched(outbox.c.id, _OWED.where)
_SINCE, _AFTER, _UNTIL = (bindparam(name, type_=outbox.c.since.type) for name in ("at", "after", "until"))
_NOW = bindparam("now", type_=outbox.c.next_at.type)


def _called(box: FromClause, codes: ColumnElement[bool]) -> Exists:
    """Return the condition that a call of some codes is open for an entry; by the index of the open ones."""
    subject = bindparam("ours", type_=Text()) + type_coerce(box.c.id, Text())  # as `message_subject` begins
    return exists().where(codes, attention.c.subject == subject, attention.c.resolved.is_(None))


_BRIEFLY = ("id", "recipient", "authority", "procedure", "since", "resends")
_LATE = outbox.alias("late")  # by the index alone: of a hundred thousand that are overdue, nearly all are called for
_OVERDUE = (
    select(*(outbox.c[name] for name in _BRIEFLY))
    .select_from(keyed(_LATE.join(outbox, outbox.c.id == _LATE.c.id).join(outbox_content), outbox_content))
    .where(
        READABLE,
        outbox.c.kind == OutboxKind.MESSAGE,
        _LATE.c.state == bindparam("in_state"),
        _LATE.c.since > _AFTER,
        _LATE.c.since <= _UNTIL,
        ~_called(_LATE, attention.c.code == bindparam("code_")),
    )
    .order_by(_LATE.c.since.desc(), _LATE.c.id.desc())
    .limit(bindparam("most"))
)
_SIGN = literal_column(str(SIGN_OF_LOSS_SECONDS * 1000), BigInteger())  # milliseconds
_OTHER = outbox.alias("other")
_LOST = (
    select(*(outbox.c[name] for name in _BRIEFLY))
    .select_from(keyed(outbox.join(outbox_content), outbox_content))
    .where(
        READABLE,
        outbox.c.kind == OutboxKind.MESSAGE,
        outbox.c.state == OutboxState.PUBLISHED,
        outbox.c.since <= _UNTIL,
        outbox.c.resends < RESENDS_BY_ITSELF,
        exists().where(
            receipted(_OTHER),
            _OTHER.c.recipient == outbox.c.recipient,
            type_coerce(_OTHER.c.published, BigInteger()) > type_coerce(outbox.c.since, BigInteger()) + _SIGN,
            _OTHER.c.published <= _NOW,
        ),
    )
    .order_by(outbox.c.since.desc(), outbox.c.id.desc())
    .limit(bindparam("most"))
)
_WAITS = select(outbox.c.id).where(
    outbox.c.id == bindparam("message"), outbox.c.state == bindparam("in_state"), outbox.c.since == _SINCE
)

_ASKING: list[ColumnClause[str]] = [literal_column(f"'{kind}'") for kind in HEAL_TYPES]
_GOES_ON = exists().where(healing.c.ended.is_(None))
_HEALING = or_(
    _GOES_ON.where(healing.c.peer == type_coerce(outbox.c.recipient, Text())),
    _GOES_ON.where(healing.c.peer == literal_column("''")),
)
_BEYOND = bindparam("beyond", type_=outbox.c.next_at.type)  # what any clock that is right may say
# Only an entry in state RECORDED has a next_at: by this alone the index of what is owed gives them in order.
_DUE = (
    select(outbox.c.id)
    .where(
        outbox.c.next_at.is_not(None),
        or_(outbox.c.next_at <= _NOW, outbox.c.next_at > _BEYOND),
        or_(outbox.c.lease.is_(None), outbox.c.lease_until <= _NOW, outbox.c.lease_until > _BEYOND),
        # After a restore nothing goes to a country that has not said yet what is missing here, but the asking itself.
        or_(outbox.c.type.in_(_ASKING), ~_HEALING),
    )
    .order_by(outbox.c.created, outbox.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


def _lease(chosen: ColumnElement[bool]) -> Executable:
    # A materialised list of ids: PostgreSQL may run a plain IN (SELECT … LIMIT …) more than once and lock too many rows.
    due = _DUE.where(chosen).cte("due")
    return (
        update(outbox)
        .where(outbox.c.id.in_(select(due.c.id)))
        .values(lease=bindparam("token"), lease_until=bindparam("until"))
        .returning(outbox.c.id)
    )


_LEASE = Parted(outbox.c.recipient, _lease)

_BRIEFS = Batched(
    outbox.c.id,
    select(
        outbox.c.id,
        outbox.c.digest,
        outbox.c.recipient,
        outbox.c.procedure,
        # A country that was silent for long comes back with thousands of them.
        _called(outbox, attention.c.code.in_(fixed(*AttentionCode.ended_by_receipt()))).label("attended"),
    ).where,
)


def add_outbox(db: Execution, entry: OutboxEntry, *, next_at: datetime, terms: frozenset[str] = frozenset()) -> None:
    """Owe a message, in state RECORDED."""
    db.write(
        _INSERT,
        {
            "id": entry.id,
            "kind": entry.kind,
            "recipient": entry.recipient,
            "exercise": entry.exercise,
            "digest": entry.digest,
            "created": entry.created,
            "procedure": entry.procedure,
            "type": entry.header.type,
            "authority": entry.header.sender.authority,
            "state": OutboxState.RECORDED,
            "since": entry.created,
            "attempts": 0,
            "resends": 0,
            "next_at": next_at,
        },
    )
    scope = scope_of(entry.recipient, entry.header.case_ref, entry.procedure)
    first = entry.procedure in db.begun
    key = key_for_writing(db, scope, entry.procedure, entry.created, first=first)
    header = encrypted(db, key, outbox_content, "header", headers.of_content(entry.content), entry.id)
    content = encrypted(db, key, outbox_content, "content", entry.content, entry.id)
    db.write(_INSERT_CONTENT, {"id": entry.id, "scope": key.scope, "header": header, "content": content})
    if entry.procedure is not None:
        add_terms(db, key.scope, entry.procedure, terms, first=first)
        db.begun.discard(entry.procedure)


def find_outbox(db: Execution, us: CountryCode, message: MessageId) -> OutboxRow | None:
    """Return one entry of either kind."""
    row = db.first(_ONE, {"message": message})
    return None if row is None else _row(db, us, row)


def outbox_briefs(db: Execution, us: CountryCode, messages: Collection[MessageId]) -> dict[MessageId, OutboxBrief]:
    """Return what receipts are held against, of those messages that there are."""
    ours = {"ours": f"{us}/"}
    return {
        row.id: OutboxBrief(
            digest=row.digest, recipient=row.recipient, procedure=row.procedure, attended=bool(row.attended)
        )
        for statement, wanted in _BRIEFS.parts(messages)
        for row in db.all(statement, {**wanted, **ours})
    }


def lease_outbox(
    db: Execution,
    us: CountryCode,
    *,
    now: datetime,
    until: datetime,
    token: str,
    limit: int,
    only: Collection[CountryCode] = (),
    but: Collection[CountryCode] = (),
) -> tuple[OwedEntry, ...]:
    """Lease what is due, oldest first, and return it with content and sealed bytes."""
    beyond = now + timedelta(seconds=AHEAD_SECONDS)
    lease, chosen = _LEASE.of(only, but)
    leased = db.all(lease, {"now": now, "beyond": beyond, "until": until, "token": token, "most": limit, **chosen})
    rows = _SOME.rows(db, [row.id for row in leased])
    rows.sort(key=lambda row: (row.created, row.id))
    return tuple(_owed(db, us, row) for row in rows)


def overdue_outbox(
    db: Execution,
    us: CountryCode,
    *,
    state: OutboxState,
    code: AttentionCode,
    after: datetime | None,
    until: datetime,
    limit: int,
) -> tuple[OverdueEntry, ...]:
    """Return casework that stepped into the state between two moments and that nobody is called for, latest first."""
    wanted = {"in_state": state, "code_": code, "ours": f"{us}/", "after": after or from_milliseconds(0)}
    return tuple(_overdue(row) for row in db.all(_OVERDUE, {**wanted, "until": until, "most": limit}))


def lost_outbox(db: Execution, *, now: datetime, limit: int) -> tuple[OverdueEntry, ...]:
    """Return what is published and not answered, while something is that was published well after it, latest first."""
    until = now - timedelta(seconds=SIGN_OF_LOSS_SECONDS)
    return tuple(_overdue(row) for row in db.all(_LOST, {"until": until, "now": now, "most": limit}))


def outbox_waits(db: Execution, message: MessageId, *, state: OutboxState, since: datetime) -> bool:
    """Return whether an entry is still in the state that it stepped into at that time."""
    return db.first(_WAITS, {"message": message, "in_state": state, "at": since}) is not None


def _overdue(row: Row[Any]) -> OverdueEntry:
    return OverdueEntry(
        id=row.id,
        recipient=row.recipient,
        authority=row.authority,
        procedure=row.procedure,
        since=row.since,
        resends=row.resends,
    )


def _owed(db: Execution, us: CountryCode, row: Row[Any]) -> OwedEntry:
    content, envelope = b"", None
    fault: NodeError | None = None
    try:
        content = opened(db, row, outbox_content, "content", row.id)
        envelope = None if row.sealed_raw is None else _envelope(db, us, row)
    except (CaseKeyMissing, StoreCorrupt) as error:  # by the disk or a hand: what else is owed leaves all the same
        fault = error
    return OwedEntry(
        id=row.id,
        kind=row.kind,
        recipient=row.recipient,
        exercise=row.exercise,
        authority=row.authority,
        content=content,
        created=row.created,
        attempts=row.attempts,
        error=row.error,
        envelope=envelope,
        fault=fault,
    )


def _row(db: Execution, us: CountryCode, row: Row[Any]) -> OutboxRow:
    entry = OutboxEntry(
        id=row.id,
        kind=row.kind,
        recipient=row.recipient,
        exercise=row.exercise,
        content=opened(db, row, outbox_content, "content", row.id),
        digest=row.digest,
        created=row.created,
        header=headers.from_bytes(opened(db, row, outbox_content, "header", row.id)),
        procedure=row.procedure,
    )
    return OutboxRow(
        entry=entry,
        state=row.state,
        attempts=row.attempts,
        resends=row.resends,
        next_at=row.next_at,
        error=row.error,
        envelope=None if row.sealed_raw is None else _envelope(db, us, row),
        lease=row.lease,
        published=row.published,
        delivered=row.delivered,
        handed_over=row.handed_over,
        opened=row.opened,
        refused=row.refused,
        refusal_code=row.refusal_code,
    )


def _envelope(db: Execution, us: CountryCode, row: Row[Any]) -> SealedEnvelope:
    raw = row.sealed_raw
    if row.sealed_scope is not None:  # an older program did not encrypt what was sealed
        raw = opened(db, row, outbox_envelope, "raw", row.id, named="sealed_raw")
    return SealedEnvelope(
        id=row.id,
        sender=us,
        recipient=row.recipient,
        raw=raw,
        sha256=row.sealed_sha256,
        expires=row.sealed_expires,
        recipient_kid=row.sealed_recipient_kid,
        signer_kids=(row.sealed_ed25519_kid, row.sealed_ml_dsa_kid),
        trust_version=row.sealed_trust_version,
    )
