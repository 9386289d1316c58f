# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Outbox statements: what we owe to other countries, and its life."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Row,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql import Update

from broker.core.ids import CountryCode, KeyId, MessageId
from broker.core.messages import OutboxEntry, OutboxKind, SealedEnvelope
from broker.core.receipts import Receipt, ReceiptKind
from broker.rows import OutboxBrief, OutboxRow, OutboxState
from broker.storage import headers
from broker.storage.columns import Word, fixed
from broker.storage.execution import Execution, PerDialect
from broker.storage.tables import RECEIPTED, attention, outbox, outbox_content, outbox_envelope

__all__ = [
    "add_outbox", "find_outbox", "find_outbox_brief", "lease_outbox", "mark_published", "newest_receipted", "outbox_sealed_with", "overdue_outbox",
    "reopen_outbox", "retry_outbox", "save_sealed", "settle_outbox",
]  # fmt: skip

_BELOW_REFUSAL = (OutboxState.RECORDED, OutboxState.PUBLISHED)
_LADDER = (*_BELOW_REFUSAL, OutboxState.DELIVERED, OutboxState.HANDED_OVER, OutboxState.OPENED)

_FREE = {"lease": null(), "lease_until": null()}
_NEVER_AGAIN = {**_FREE, "next_at": null()}

_INSERT = insert(outbox)
_INSERT_CONTENT = insert(outbox_content)

_ROWS = select(
    outbox,
    outbox_content.c.header,
    outbox_content.c.content,
    *(column.label(f"sealed_{column.name}") for column in outbox_envelope.c if column.name != "id"),
).select_from(outbox.join(outbox_content).outerjoin(outbox_envelope, outbox_envelope.c.id == outbox.c.id))
_ONE = _ROWS.where(outbox.c.id == bindparam("message"))
_SIZES = (1, 8, 32)  # a list of ids fills the next larger statement by repeating its last: each is prepared once
_SOME = {
    size: _ROWS.where(outbox.c.id.in_([bindparam(f"id_{n}", type_=outbox.c.id.type) for n in range(size)]))
    for size in _SIZES
}
_OVERDUE = (
    _ROWS.where(
        outbox.c.kind == OutboxKind.MESSAGE,
        outbox.c.state == bindparam("in_state"),
        outbox.c.since < bindparam("before"),
    )
    .order_by(outbox.c.since, outbox.c.id)
    .limit(bindparam("most"))
)
_AFTER = bindparam("after_at", type_=outbox.c.since.type)
_OVERDUE_AFTER = _OVERDUE.where(
    or_(outbox.c.since > _AFTER, and_(outbox.c.since == _AFTER, outbox.c.id > bindparam("after_id")))
)

# Only an entry in state RECORDED has a next_at: by this alone the index of what is owed gives them in order.
# A materialised list of ids: PostgreSQL may run a plain IN (SELECT … LIMIT …) more than once and lock too many rows.
_DUE = (
    select(outbox.c.id)
    .where(
        outbox.c.next_at <= bindparam("now", type_=outbox.c.next_at.type),
        or_(outbox.c.lease.is_(None), outbox.c.lease_until <= bindparam("now", type_=outbox.c.next_at.type)),
    )
    .order_by(outbox.c.created, outbox.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_LEASE = (
    update(outbox)
    .where(outbox.c.id.in_(select(_DUE.c.id)))
    .values(lease=bindparam("token"), lease_until=bindparam("until"))
    .returning(outbox.c.id)
)

_BRIEF = select(
    outbox.c.digest,
    outbox.c.recipient,
    outbox.c.procedure,
    exists().where(attention.c.subject == outbox.c.id, attention.c.resolved.is_(None)).label("attended"),
).where(outbox.c.id == bindparam("message"))

_HELD = and_(
    outbox.c.id == bindparam("message"),
    outbox.c.lease == bindparam("token"),
    outbox.c.state == OutboxState.RECORDED,
)
_AT = bindparam("at", type_=outbox.c.since.type)
_IS_HELD = select(outbox.c.id).where(_HELD).with_for_update()
_PUBLISHED = (
    update(outbox)
    .where(_HELD)
    .values(
        # What was delivered before and is sent again for its later receipts goes back to the step that it had reached;
        # its first publishing is the one that was answered.
        state=case(
            (outbox.c.kind == OutboxKind.RECEIPTS, OutboxState.DONE),
            (outbox.c.handed_over.is_not(None), OutboxState.HANDED_OVER),
            (outbox.c.delivered.is_not(None), OutboxState.DELIVERED),
            else_=OutboxState.PUBLISHED,
        ),
        since=func.coalesce(outbox.c.handed_over, outbox.c.delivered, _AT),
        published=case((outbox.c.delivered.is_not(None), outbox.c.published), else_=_AT),
        error=null(),
        **_NEVER_AGAIN,
    )
)
_RETRY = (
    update(outbox)
    .where(_HELD)
    .values(attempts=outbox.c.attempts + 1, next_at=bindparam("again_at"), error=bindparam("why"), **_FREE)
)


def _reopen(*states: OutboxState) -> Update:
    """Return the update that lets an entry in one of these states be published once more.

    The last failure stays noted: at the next publishing it closes the call that was made for it.
    """
    return (
        update(outbox)
        .where(outbox.c.id == bindparam("message"), outbox.c.state.in_(fixed(*states)))
        .values(
            state=OutboxState.RECORDED,
            since=bindparam("now"),
            next_at=bindparam("now"),
            attempts=0,
            resends=outbox.c.resends + bindparam("counted"),
            **_FREE,
        )
    )


_REOPEN = _reopen(*_BELOW_REFUSAL)
_REOPEN_DELIVERED = _reopen(*_BELOW_REFUSAL, OutboxState.DELIVERED, OutboxState.HANDED_OVER)
_UNSEAL = delete(outbox_envelope).where(outbox_envelope.c.id == bindparam("message"))
_KIDS: BindParameter[Any] = bindparam("kids", expanding=True)
_SEALED_WITH = (
    select(outbox.c.id)
    .join_from(outbox, outbox_envelope)
    .where(
        outbox.c.state.in_(fixed(*_BELOW_REFUSAL)),
        or_(
            outbox_envelope.c.recipient_kid.in_(_KIDS),
            outbox_envelope.c.ed25519_kid.in_(_KIDS),
            outbox_envelope.c.ml_dsa_kid.in_(_KIDS),
        ),
    )
    .order_by(outbox.c.created, outbox.c.id)
)
_RECEIPTED = (
    select(outbox.c.published)
    .where(RECEIPTED, outbox.c.recipient == bindparam("peer"), outbox.c.published.is_not(None))
    .order_by(outbox.c.published.desc())
    .limit(1)
)


def _seal() -> PerDialect:
    """Return the upsert of an entry's sealed bytes."""
    changed = [column.name for column in outbox_envelope.c if column.name != "id"]
    return PerDialect(
        outbox_envelope,
        lambda insert_: insert_.on_conflict_do_update(
            index_elements=["id"], set_={name: insert_.excluded[name] for name in changed}
        ),
    )


_SEAL = _seal()


def _climb(step: OutboxState, column: str) -> Update:
    """Return the update for a receipt of that step; one that comes late fills in its time and moves nothing."""
    lower = _LADDER[: _LADDER.index(step)]
    rises = outbox.c.state.in_(fixed(*lower))
    at = bindparam("at", type_=outbox.c.since.type)
    return (
        update(outbox)
        .where(
            outbox.c.id == bindparam("message"),
            outbox.c.kind == OutboxKind.MESSAGE,
            outbox.c.state.in_(fixed(*_LADDER)),
            outbox.c[column].is_(None),
        )
        .values(
            {
                "state": case((rises, step), else_=outbox.c.state),
                "since": case((rises, at), else_=outbox.c.since),
                column: at,
                "error": null(),
                **_NEVER_AGAIN,
            }
        )
    )


_SETTLE = {
    ReceiptKind.DELIVERED: _climb(OutboxState.DELIVERED, "delivered"),
    ReceiptKind.HANDED_OVER: _climb(OutboxState.HANDED_OVER, "handed_over"),
    ReceiptKind.OPENED: _climb(OutboxState.OPENED, "opened"),
}
_REFUSE = (  # a peer that signed "delivered" cannot take it back by a refusal
    update(outbox)
    .where(
        outbox.c.id == bindparam("message"),
        outbox.c.kind == OutboxKind.MESSAGE,
        outbox.c.state.in_(fixed(*_BELOW_REFUSAL)),
    )
    .values(
        state=OutboxState.REFUSED,
        since=bindparam("at"),
        refused=bindparam("at"),
        refusal_code=bindparam("code_", type_=Word()),
        error=null(),
        **_NEVER_AGAIN,
    )
)


def add_outbox(db: Execution, entry: OutboxEntry, *, next_at: datetime) -> None:
    """Owe a message, in state RECORDED."""
    db.changed(
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
    content = {"id": entry.id, "header": headers.to_bytes(entry.header), "content": entry.content}
    db.changed(_INSERT_CONTENT, content)


def find_outbox(db: Execution, us: CountryCode, message: MessageId) -> OutboxRow | None:
    """Return one entry of either kind."""
    row = db.first(_ONE, {"message": message})
    return None if row is None else _row(us, row)


def find_outbox_brief(db: Execution, message: MessageId) -> OutboxBrief | None:
    """Return what a receipt is held against."""
    row = db.first(_BRIEF, {"message": message})
    if row is None:
        return None
    return OutboxBrief(digest=row.digest, recipient=row.recipient, procedure=row.procedure, attended=bool(row.attended))


def lease_outbox(
    db: Execution, us: CountryCode, *, now: datetime, until: datetime, token: str, limit: int
) -> tuple[OutboxRow, ...]:
    """Lease what is due, oldest first, and return it with content and sealed bytes."""
    leased = db.all(_LEASE, {"now": now, "until": until, "token": token, "most": limit})
    ids = [row.id for row in leased]
    rows = [row for start in range(0, len(ids), _SIZES[-1]) for row in _some(db, ids[start : start + _SIZES[-1]])]
    rows.sort(key=lambda row: (row.created, row.id))
    return tuple(_row(us, row) for row in rows)


def save_sealed(db: Execution, envelope: SealedEnvelope, *, token: str) -> bool:
    """Keep sealed bytes while the lease is held."""
    if db.first(_IS_HELD, {"message": envelope.id, "token": token}) is None:
        return False
    db.changed(
        _SEAL,
        {
            "id": envelope.id,
            "sha256": envelope.sha256,
            "expires": envelope.expires,
            "recipient_kid": envelope.recipient_kid,
            "ed25519_kid": envelope.signer_kids[0],
            "ml_dsa_kid": envelope.signer_kids[1],
            "trust_version": envelope.trust_version,
            "raw": envelope.raw,
        },
    )
    return True


def mark_published(db: Execution, message: MessageId, *, at: datetime, token: str) -> bool:
    """RECORDED → PUBLISHED or DONE while the lease is held."""
    return db.changed(_PUBLISHED, {"message": message, "at": at, "token": token}) == 1


def retry_outbox(db: Execution, message: MessageId, *, next_at: datetime, error: str, token: str) -> bool:
    """Count an attempt and give the lease back while it is held."""
    return db.changed(_RETRY, {"message": message, "again_at": next_at, "why": error, "token": token}) == 1


def reopen_outbox(
    db: Execution, message: MessageId, *, now: datetime, reseal: bool, count_resend: bool, delivered_too: bool
) -> bool:
    """Back to RECORDED, with a fresh count of attempts; a worker that holds the lease loses it."""
    statement = _REOPEN_DELIVERED if delivered_too else _REOPEN
    if db.changed(statement, {"message": message, "now": now, "counted": int(count_resend)}) == 0:
        return False
    if reseal:
        db.changed(_UNSEAL, {"message": message})
    return True


def settle_outbox(db: Execution, message: MessageId, receipt: Receipt) -> bool:
    """Move up the ladder by a receipt; also from RECORDED, when only the broker's confirm was lost."""
    if receipt.kind is ReceiptKind.REFUSED:
        return db.changed(_REFUSE, {"message": message, "at": receipt.at, "code_": receipt.code}) == 1
    return db.changed(_SETTLE[receipt.kind], {"message": message, "at": receipt.at}) == 1


def outbox_sealed_with(db: Execution, kids: frozenset[KeyId]) -> tuple[MessageId, ...]:
    """Return what is still undelivered and sealed with one of these keys, theirs or ours."""
    return tuple(row.id for row in db.all(_SEALED_WITH, {"kids": sorted(kids)}))


def overdue_outbox(
    db: Execution,
    us: CountryCode,
    *,
    state: OutboxState,
    before: datetime,
    limit: int,
    after: tuple[datetime, MessageId] | None,
) -> tuple[OutboxRow, ...]:
    """Return casework that has been in the state for too long, longest first, behind an entry if one is named."""
    wanted = {"in_state": state, "before": before, "most": limit}
    if after is None:
        rows = db.all(_OVERDUE, wanted)
    else:
        rows = db.all(_OVERDUE_AFTER, {**wanted, "after_at": after[0], "after_id": after[1]})
    return tuple(_row(us, row) for row in rows)


def newest_receipted(db: Execution, peer: CountryCode) -> datetime | None:
    """Return the publishing time of the latest entry that the peer answered."""
    row = db.first(_RECEIPTED, {"peer": peer})
    return None if row is None else row.published


def _some(db: Execution, ids: Sequence[MessageId]) -> Sequence[Row[Any]]:
    size = next(size for size in _SIZES if len(ids) <= size)
    return db.all(_SOME[size], {f"id_{n}": ids[min(n, len(ids) - 1)] for n in range(size)})


def _row(us: CountryCode, row: Row[Any]) -> OutboxRow:
    entry = OutboxEntry(
        id=row.id,
        kind=row.kind,
        recipient=row.recipient,
        exercise=row.exercise,
        content=row.content,
        digest=row.digest,
        created=row.created,
        header=headers.from_bytes(row.header),
        procedure=row.procedure,
    )
    return OutboxRow(
        entry=entry,
        state=row.state,
        attempts=row.attempts,
        resends=row.resends,
        next_at=row.next_at,
        error=row.error,
        envelope=None if row.sealed_raw is None else _envelope(us, row),
        lease=row.lease,
        published=row.published,
        delivered=row.delivered,
        handed_over=row.handed_over,
        opened=row.opened,
        refused=row.refused,
        refusal_code=row.refusal_code,
    )


def _envelope(us: CountryCode, row: Row[Any]) -> SealedEnvelope:
    return SealedEnvelope(
        id=row.id,
        sender=us,
        recipient=row.recipient,
        raw=row.sealed_raw,
        sha256=row.sealed_sha256,
        expires=row.sealed_expires,
        recipient_kid=row.sealed_recipient_kid,
        signer_kids=(row.sealed_ed25519_kid, row.sealed_ml_dsa_kid),
        trust_version=row.sealed_trust_version,
    )
