# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Outbox statements that move an entry: sealed, published, tried again, reopened, settled by a receipt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, and_, bindparam, case, delete, func, null, or_, select, update
from sqlalchemy.sql import Update

from broker.core.ids import KeyId, MessageId
from broker.core.messages import OutboxKind, SealedEnvelope
from broker.core.receipts import Receipt, ReceiptKind
from broker.rows import OutboxState
from broker.security.at_rest import Scope, WrappedKey
from broker.storage.batches import Batched
from broker.storage.case_keys import KEY_COLUMNS, READABLE, encrypted, keyed
from broker.storage.columns import Word, fixed
from broker.storage.execution import Execution, PerDialect
from broker.storage.tables import outbox, outbox_content, outbox_envelope

__all__ = [
    "give_up_receipts", "mark_published", "outbox_sealed_with", "reopen_outbox", "retry_outbox", "save_sealed", "settle_outbox",
    "unseal_receipts",
]  # fmt: skip

_BELOW_REFUSAL = (OutboxState.RECORDED, OutboxState.PUBLISHED)
_LADDER = (*_BELOW_REFUSAL, OutboxState.DELIVERED, OutboxState.HANDED_OVER, OutboxState.OPENED)

_FREE = {"lease": null(), "lease_until": null()}
_NEVER_AGAIN = {**_FREE, "next_at": null()}

# In state RECORDED, and in no other, there is a next_at. By the state itself SQLite would go through all that is recorded
# instead of looking for the few ids; and as a parameter that partial indexes name, it would be planned at each execution.
_LEASED = and_(outbox.c.lease == bindparam("token"), outbox.c.next_at.is_not(None))
_AT = bindparam("at", type_=outbox.c.since.type)
_HELD = Batched(
    outbox.c.id,
    select(outbox.c.id, outbox_content.c.scope, *KEY_COLUMNS)
    .select_from(keyed(outbox.join(outbox_content), outbox_content))
    .where(_LEASED, READABLE)
    .with_for_update(of=outbox)
    .where,
)
_PUBLISHED = Batched(
    outbox.c.id,
    update(outbox)
    .where(_LEASED)
    .values(
        # What was delivered before and is sent again for its later receipts goes back to the step that it had reached;
        # its first publishing is the one that was answered.
        state=case(
            (outbox.c.kind == OutboxKind.RECEIPTS, OutboxState.DONE),
            (outbox.c.refused.is_not(None), OutboxState.REFUSED),
            (outbox.c.opened.is_not(None), OutboxState.OPENED),
            (outbox.c.handed_over.is_not(None), OutboxState.HANDED_OVER),
            (outbox.c.delivered.is_not(None), OutboxState.DELIVERED),
            else_=OutboxState.PUBLISHED,
        ),
        since=func.coalesce(outbox.c.refused, outbox.c.opened, outbox.c.handed_over, outbox.c.delivered, _AT),
        published=case((outbox.c.delivered.is_not(None), outbox.c.published), else_=_AT),
        error=null(),
        **_NEVER_AGAIN,
    )
    .where,
)
_RETRY = (
    update(outbox)
    .where(outbox.c.id == bindparam("message"), _LEASED)
    .values(attempts=outbox.c.attempts + 1, next_at=bindparam("again_at"), error=bindparam("why"), **_FREE)
)
_GIVE_UP = (
    update(outbox)
    .where(outbox.c.id == bindparam("message"), outbox.c.kind == OutboxKind.RECEIPTS, _LEASED)
    .values(state=OutboxState.DONE, since=_AT, error=bindparam("why"), **_NEVER_AGAIN)
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
_USED_KIDS = or_(
    outbox_envelope.c.recipient_kid.in_(_KIDS),
    outbox_envelope.c.ed25519_kid.in_(_KIDS),
    outbox_envelope.c.ml_dsa_kid.in_(_KIDS),
)
_SEALED_WITH = (
    select(outbox.c.id)
    .join_from(outbox, outbox_envelope)
    .where(outbox.c.state.in_(fixed(*_BELOW_REFUSAL)), _USED_KIDS)
    .order_by(outbox.c.created, outbox.c.id)
)
_RECEIPTS_SEALED_WITH = (
    select(outbox.c.id)
    .join_from(outbox, outbox_envelope)
    .where(outbox.c.state.in_(fixed(OutboxState.DONE)), outbox.c.since >= bindparam("done_since"), _USED_KIDS)
    .order_by(outbox.c.since, outbox.c.id)
    .limit(bindparam("most"))
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


_STEPS = {  # highest first: of several receipts for one message the highest says its state
    OutboxState.OPENED: outbox.c.opened,
    OutboxState.HANDED_OVER: outbox.c.handed_over,
    OutboxState.DELIVERED: outbox.c.delivered,
}
_STEP_AT = {step: bindparam(f"{column.name}_at", type_=column.type) for step, column in _STEPS.items()}
_STEP_NEW = {step: and_(column.is_(None), _STEP_AT[step].is_not(None)) for step, column in _STEPS.items()}
_RISES = {
    step: and_(new, outbox.c.state.in_(fixed(*_LADDER[: _LADDER.index(step)]))) for step, new in _STEP_NEW.items()
}
_CLIMB = (  # a receipt that comes late fills in its time and moves nothing
    update(outbox)
    .where(
        outbox.c.id == bindparam("message"),
        outbox.c.kind.in_(fixed(OutboxKind.MESSAGE)),
        outbox.c.state.in_(fixed(*_LADDER)),
        or_(*_STEP_NEW.values()),
    )
    .values(
        {
            "state": case(*((rises, step) for step, rises in _RISES.items()), else_=outbox.c.state),
            "since": case(*((rises, _STEP_AT[step]) for step, rises in _RISES.items()), else_=outbox.c.since),
            **{column.name: func.coalesce(column, _STEP_AT[step]) for step, column in _STEPS.items()},
            "error": null(),
            **_NEVER_AGAIN,
        }
    )
)
_REFUSE = (  # a peer that signed "delivered" cannot take it back by a refusal
    update(outbox)
    .where(
        outbox.c.id == bindparam("message"),
        outbox.c.kind.in_(fixed(OutboxKind.MESSAGE)),
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


def save_sealed(db: Execution, envelopes: Sequence[SealedEnvelope], *, token: str) -> frozenset[MessageId]:
    """Keep sealed bytes while leases are held, under the key of their case too: an erasure reaches every copy of them."""
    ids = [envelope.id for envelope in envelopes]
    held = [row for statement, wanted in _HELD.parts(ids) for row in db.all(statement, {**wanted, "token": token})]
    keys = {
        row.id: WrappedKey(scope=Scope(row.scope), epoch=row.key_epoch, wrapped=row.key_wrapped)
        for row in held
        if row.key_wrapped is not None
    }
    db.write_each(
        _SEAL,
        [
            {
                "id": envelope.id,
                "sha256": envelope.sha256,
                "expires": envelope.expires,
                "recipient_kid": envelope.recipient_kid,
                "ed25519_kid": envelope.signer_kids[0],
                "ml_dsa_kid": envelope.signer_kids[1],
                "trust_version": envelope.trust_version,
                "raw": encrypted(db, keys[envelope.id], outbox_envelope, "raw", envelope.raw, envelope.id),
                "scope": keys[envelope.id].scope,
            }
            for envelope in envelopes
            if envelope.id in keys
        ],
    )
    return frozenset(keys)


def mark_published(db: Execution, messages: Sequence[MessageId], *, at: datetime, token: str) -> int:
    """RECORDED → PUBLISHED or DONE while their leases are held."""
    parts = _PUBLISHED.parts(messages)
    return sum(db.changed(statement, {**wanted, "at": at, "token": token}) for statement, wanted in parts)


def retry_outbox(db: Execution, message: MessageId, *, next_at: datetime, error: str, token: str) -> bool:
    """Count an attempt and give the lease back while it is held."""
    return db.changed(_RETRY, {"message": message, "again_at": next_at, "why": error, "token": token}) == 1


def give_up_receipts(db: Execution, message: MessageId, *, at: datetime, error: str, token: str) -> bool:
    """RECORDED → DONE without having left, while the lease is held: the error stays noted, and tells it apart."""
    return db.changed(_GIVE_UP, {"message": message, "at": at, "why": error, "token": token}) == 1


def reopen_outbox(
    db: Execution,
    message: MessageId,
    *,
    now: datetime,
    reseal: bool,
    count_resend: bool,
    delivered_too: bool = False,
) -> bool:
    """Back to RECORDED, with a fresh count of attempts; a worker that holds the lease loses it."""
    statement = _REOPEN_DELIVERED if delivered_too else _REOPEN
    if db.changed(statement, {"message": message, "now": now, "counted": int(count_resend)}) == 0:
        return False
    if reseal:
        db.write(_UNSEAL, {"message": message})
    return True


def settle_outbox(db: Execution, receipts: Iterable[Receipt]) -> int:
    """Move up the ladder by receipts; also from RECORDED, when only the broker's confirm was lost."""
    refused, times = 0, defaultdict[MessageId, dict[str, datetime]](dict)
    for receipt in receipts:
        if receipt.kind is ReceiptKind.REFUSED:
            refused += db.changed(_REFUSE, {"message": receipt.message, "at": receipt.at, "code_": receipt.code})
        else:
            times[receipt.message][_STEP_AT[OutboxState(receipt.kind)].key] = receipt.at
    nothing = dict.fromkeys(at.key for at in _STEP_AT.values())
    # In one order in every worker: two that settle the same ones must not wait for each other.
    climbed = db.changed_each(_CLIMB, [nothing | {"message": message} | at for message, at in sorted(times.items())])
    return refused + sum(climbed)


def outbox_sealed_with(db: Execution, kids: frozenset[KeyId]) -> tuple[MessageId, ...]:
    """Return what is still undelivered and sealed with one of these keys, theirs or ours."""
    return tuple(row.id for row in db.all(_SEALED_WITH, {"kids": sorted(kids)}))


def unseal_receipts(db: Execution, kids: frozenset[KeyId], *, since: datetime, limit: int) -> tuple[MessageId, ...]:
    """Forget the bytes of receipts that were published under one of these keys; return their envelopes, oldest first."""
    wanted = {"kids": sorted(kids), "done_since": since, "most": limit}
    found: tuple[MessageId, ...] = tuple(row.id for row in db.all(_RECEIPTS_SEALED_WITH, wanted))
    for message in found:
        db.write(_UNSEAL, {"message": message})
    return found
