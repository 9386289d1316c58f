# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Inbox statements: what we believed and owe to an adapter or to officers.

Handing over and opening are separate: an officer may open a message before the national system took it, and the
national system still gets it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Row,
    Text,
    and_,
    bindparam,
    case,
    exists,
    insert,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)  # fmt: skip

from broker.core.attention import AttentionCode
from broker.core.delivery import AHEAD_SECONDS
from broker.core.errors import CaseKeyMissing, NodeError, StoreCorrupt
from broker.core.ids import AuthorityId, CountryCode, KeyId, MessageId
from broker.core.messages import InboxEntry
from broker.rows import InboxBrief, InboxRow, InboxState
from broker.security.at_rest import scope_of
from broker.storage import headers
from broker.storage.batches import Parted
from broker.storage.case_keys import KEY_COLUMNS, READABLE, encrypted, key_for_writing, keyed, opened
from broker.storage.columns import from_milliseconds
from broker.storage.execution import Execution, insert_new
from broker.storage.search import add_terms
from broker.storage.tables import attention, inbox, inbox_content

__all__ = [
    "add_inbox", "complete_inbox", "find_inbox", "inbox_signed_with", "inbox_waits", "lease_inbox", "mark_handed_over", "mark_opened",
    "overdue_inbox", "retry_inbox",
]  # fmt: skip

_SIGNED_WITH = (
    select(inbox.c.id)
    .where(
        inbox.c.received >= bindparam("since"),
        or_(inbox.c.ed25519_kid == bindparam("kid"), inbox.c.ml_dsa_kid == bindparam("kid")),
    )
    .order_by(inbox.c.received, inbox.c.id)
)

_FREE = {"lease": null(), "lease_until": null()}

_INSERT = insert_new(inbox)
_INSERT_CONTENT = insert(inbox_content)

_ROWS = (
    select(inbox, inbox_content.c.scope, inbox_content.c.header, inbox_content.c.content, *KEY_COLUMNS)
    .select_from(keyed(inbox.join(inbox_content), inbox_content))
    .where(READABLE)
)
_KEY = and_(inbox.c.sender == bindparam("from_"), inbox.c.id == bindparam("message"))
_ONE = _ROWS.where(_KEY)
_SOME = _ROWS.where(tuple_(inbox.c.sender, inbox.c.id).in_(bindparam("messages", expanding=True))).order_by(
    inbox.c.received, inbox.c.id, inbox.c.sender
)
_SINCE, _AFTER, _UNTIL = (bindparam(name, type_=inbox.c.since.type) for name in ("at", "after", "until"))
_LATE = inbox.alias("late")  # for the reason see outbox.py
_SUBJECT = type_coerce(_LATE.c.sender, Text()) + literal_column("'/'") + type_coerce(_LATE.c.id, Text())
_OVERDUE = (
    select(inbox.c.sender, inbox.c.id, inbox.c.authority, inbox.c.since)
    .join_from(_LATE, inbox, and_(inbox.c.sender == _LATE.c.sender, inbox.c.id == _LATE.c.id))
    .where(
        _LATE.c.state == bindparam("in_state"),
        _LATE.c.since > _AFTER,
        _LATE.c.since <= _UNTIL,
        ~exists().where(
            attention.c.code == bindparam("code_"), attention.c.subject == _SUBJECT, attention.c.resolved.is_(None)
        ),
    )
    .order_by(_LATE.c.since.desc(), _LATE.c.sender.desc(), _LATE.c.id.desc())
    .limit(bindparam("most"))
)
_WAITS = select(inbox.c.id).where(_KEY, inbox.c.state == bindparam("in_state"), inbox.c.since == _SINCE)

_NOW = bindparam("now", type_=inbox.c.next_at.type)
_BEYOND = bindparam("beyond", type_=inbox.c.next_at.type)  # for the reason see outbox.py
_DUE = (
    select(inbox.c.sender, inbox.c.id)
    .where(
        inbox.c.handed_over.is_(None),
        inbox.c.next_at.is_not(None),
        or_(inbox.c.next_at <= _NOW, inbox.c.next_at > _BEYOND),
        or_(inbox.c.lease.is_(None), inbox.c.lease_until <= _NOW, inbox.c.lease_until > _BEYOND),
    )
    .order_by(inbox.c.received, inbox.c.id, inbox.c.sender)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


def _lease(chosen: ColumnElement[bool]) -> Executable:
    due = _DUE.where(chosen).cte("due")  # for the reason see outbox.py
    return (
        update(inbox)
        .where(tuple_(inbox.c.sender, inbox.c.id).in_(select(due.c.sender, due.c.id)))
        .values(lease=bindparam("token"), lease_until=bindparam("until"))
        .returning(inbox.c.sender, inbox.c.id, inbox.c.attempts)
    )


_LEASE = Parted(inbox.c.authority, _lease)
_LEASE_NEW = Parted(inbox.c.authority, lambda chosen: _lease(and_(chosen, inbox.c.attempts == 0)))

_HELD = and_(_KEY, inbox.c.lease == bindparam("token"), inbox.c.handed_over.is_(None))
_RETRY = (
    update(inbox)
    .where(_HELD)
    .values(attempts=inbox.c.attempts + 1, next_at=bindparam("again_at"), error=bindparam("why"), **_FREE)
)
_NOT_OPENED = inbox.c.state == InboxState.RECORDED
_HAND_OVER = (
    update(inbox)
    .where(_HELD)
    .values(
        state=case((_NOT_OPENED, InboxState.HANDED_OVER), else_=inbox.c.state),
        since=case((_NOT_OPENED, bindparam("at", type_=inbox.c.since.type)), else_=inbox.c.since),
        handed_over=bindparam("at"),
        next_at=null(),
        error=null(),
        **_FREE,
    )
)
_OFFER = update(inbox).where(_KEY, inbox.c.handed_over.is_(None)).values(next_at=bindparam("again_at"))
_TAKEN = (
    update(inbox)
    .where(_KEY, inbox.c.handed_over.is_(None))
    .values(handed_over=bindparam("at"), state=InboxState.HANDED_OVER, since=bindparam("at"))
)
_OPEN = (
    update(inbox)
    .where(_KEY, inbox.c.opened.is_(None))
    .values(state=InboxState.OPENED, since=bindparam("at"), opened=bindparam("at"))
)


def find_inbox(db: Execution, sender: CountryCode, message: MessageId) -> InboxRow | None:
    """Return one entry."""
    row = db.first(_ONE, {"from_": sender, "message": message})
    return None if row is None else _row(db, row)


def inbox_signed_with(db: Execution, kid: KeyId, *, since: datetime) -> tuple[MessageId, ...]:
    """Return what was received since then under that key."""
    return tuple(row.id for row in db.all(_SIGNED_WITH, {"since": since, "kid": kid}))


def add_inbox(
    db: Execution,
    entry: InboxEntry,
    *,
    next_at: datetime | None,
    handed_over: datetime | None = None,
    terms: frozenset[str] = frozenset(),
) -> bool:
    """Record a message unless its key is taken."""
    values = {
        "sender": entry.sender,
        "id": entry.id,
        "digest": entry.digest,
        "procedure": entry.procedure,
        "type": entry.header.type,
        "authority": entry.header.recipient.authority,
        "raw_sha256": entry.raw_sha256,
        "received": entry.received,
        "ed25519_kid": entry.signer_kids[0],
        "ml_dsa_kid": entry.signer_kids[1],
        "trust_version": entry.trust_version,
        "mark": entry.mark,
        "state": InboxState.HANDED_OVER if handed_over else InboxState.RECORDED,
        "since": handed_over or entry.received,
        "attempts": 0,
        "next_at": next_at,
        "handed_over": handed_over,
    }
    if db.changed(_INSERT, values) == 0:
        return False
    scope = scope_of(entry.sender, entry.header.case_ref, entry.procedure)
    first = entry.procedure in db.begun
    key = key_for_writing(db, scope, entry.procedure, entry.received, first=first)
    header = encrypted(db, key, inbox_content, "header", headers.of_content(entry.content), entry.sender, entry.id)
    content = encrypted(db, key, inbox_content, "content", entry.content, entry.sender, entry.id)
    row = {
        "sender": entry.sender,
        "id": entry.id,
        "scope": key.scope,
        "header": header,
        "content": content,
        "signatures": entry.signatures,
    }
    db.write(_INSERT_CONTENT, row)
    add_terms(db, key.scope, entry.procedure, terms, first=first)
    db.begun.discard(entry.procedure)
    return True


def lease_inbox(
    db: Execution,
    *,
    now: datetime,
    until: datetime,
    token: str,
    limit: int,
    only: Collection[AuthorityId] = (),
    but: Collection[AuthorityId] = (),
) -> tuple[InboxRow | InboxBrief, ...]:
    """Lease what is due to be handed over, oldest first; what is damaged holds up nothing else.

    As many again that were never tried, where all of those failed before: thousands that fail, each due every few minutes,
    would for ever come before what is new.
    """
    wanted = {
        "now": now,
        "beyond": now + timedelta(seconds=AHEAD_SECONDS),
        "until": until,
        "token": token,
        "most": limit,
    }
    lease, chosen = _LEASE.of(only, but)
    leased = [*db.all(lease, {**wanted, **chosen})]
    if len(leased) == limit and all(row.attempts for row in leased):
        lease, chosen = _LEASE_NEW.of(only, but)
        leased += db.all(lease, {**wanted, **chosen})
    if not leased:
        return ()
    rows = db.all(_SOME, {"messages": [(str(row.sender), str(row.id)) for row in leased]})
    return tuple(_row_or_brief(db, row) for row in rows)


def retry_inbox(
    db: Execution, sender: CountryCode, message: MessageId, *, next_at: datetime, error: str, token: str
) -> bool:
    """Count an attempt and give the lease back while it is held."""
    values = {"from_": sender, "message": message, "again_at": next_at, "why": error, "token": token}
    return db.changed(_RETRY, values) == 1


def mark_handed_over(db: Execution, sender: CountryCode, message: MessageId, *, at: datetime, token: str) -> bool:
    """Note that adapter or officers took it, while the lease is held."""
    return db.changed(_HAND_OVER, {"from_": sender, "message": message, "at": at, "token": token}) == 1


def complete_inbox(
    db: Execution, sender: CountryCode, message: MessageId, *, next_at: datetime | None, handed_over: datetime | None
) -> None:
    """Offer an entry to its adapter, or note that the officers' inbox has it."""
    key = {"from_": sender, "message": message}
    if handed_over is not None:
        db.write(_TAKEN, {**key, "at": handed_over})
    else:
        db.write(_OFFER, {**key, "again_at": next_at})


def mark_opened(db: Execution, sender: CountryCode, message: MessageId, *, at: datetime) -> bool:
    """Note the first time that an officer saw it."""
    return db.changed(_OPEN, {"from_": sender, "message": message, "at": at}) == 1


def overdue_inbox(
    db: Execution, *, state: InboxState, code: AttentionCode, after: datetime | None, until: datetime, limit: int
) -> tuple[InboxBrief, ...]:
    """Return what stepped into the state between two moments and that nobody is called for, latest first."""
    wanted = {"in_state": state, "code_": code, "after": after or from_milliseconds(0), "until": until, "most": limit}
    return tuple(_brief(row) for row in db.all(_OVERDUE, wanted))


def inbox_waits(db: Execution, sender: CountryCode, message: MessageId, *, state: InboxState, since: datetime) -> bool:
    """Return whether an entry is still in the state that it stepped into at that time."""
    wanted = {"from_": sender, "message": message, "in_state": state, "at": since}
    return db.first(_WAITS, wanted) is not None


def _brief(row: Row[Any], fault: NodeError | None = None) -> InboxBrief:
    return InboxBrief(sender=row.sender, id=row.id, authority=row.authority, since=row.since, fault=fault)


def _row_or_brief(db: Execution, row: Row[Any]) -> InboxRow | InboxBrief:
    try:
        return _row(db, row)
    except (CaseKeyMissing, StoreCorrupt) as error:
        return _brief(row, error)


def _row(db: Execution, row: Row[Any]) -> InboxRow:
    entry = InboxEntry(
        id=row.id,
        sender=row.sender,
        digest=row.digest,
        content=opened(db, row, inbox_content, "content", row.sender, row.id),
        header=headers.from_bytes(opened(db, row, inbox_content, "header", row.sender, row.id)),
        procedure=row.procedure,
        raw_sha256=row.raw_sha256,
        received=row.received,
        signer_kids=(row.ed25519_kid, row.ml_dsa_kid),
        trust_version=row.trust_version,
        mark=row.mark,
    )
    return InboxRow(
        entry=entry,
        state=row.state,
        attempts=row.attempts,
        next_at=row.next_at,
        error=row.error,
        lease=row.lease,
        handed_over=row.handed_over,
        opened=row.opened,
    )
