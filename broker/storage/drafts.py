# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Held messages: what waits for a second person, and what became of it. The content of a settled one is gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, BindParameter, Row, bindparam, delete, insert, select, tuple_, type_coerce, update

from broker.core.content import decode_header
from broker.core.ids import AuthorityId, MessageId
from broker.core.reasons import Level, Reason
from broker.rows import DraftState, HeldDraft
from broker.security.at_rest import Scope, scope_of
from broker.storage.case_keys import KEY_COLUMNS, READABLE, encrypted, key_for_writing, keyed, opened
from broker.storage.execution import Execution
from broker.storage.tables import draft, draft_content

__all__ = ["add_draft", "draft_row", "drafts", "drafts_within", "find_draft", "lapsed_drafts", "settle_draft"]

_INSERT = insert(draft)
_INSERT_CONTENT = insert(draft_content)
_COLUMNS = (*draft.c, draft_content.c.content, draft_content.c.scope, *KEY_COLUMNS)
_FROM = keyed(draft.outerjoin(draft_content, draft.c.id == draft_content.c.id), draft_content)
_ONE = select(*_COLUMNS).select_from(_FROM).where(draft.c.id == bindparam("message"), READABLE)
_HELD = draft.c.state == DraftState.HELD
_SINCE: BindParameter[int] = bindparam("since", type_=BigInteger())
_LIST = (
    select(*_COLUMNS)
    .select_from(_FROM)
    .where(
        READABLE, _HELD, tuple_(type_coerce(draft.c.at, BigInteger()), draft.c.id) > tuple_(_SINCE, bindparam("after"))
    )
    .order_by(draft.c.at, draft.c.id)
    .limit(bindparam("most"))
)
_LAPSED = (
    select(*_COLUMNS)
    .select_from(_FROM)
    .where(READABLE, _HELD, draft.c.at <= bindparam("before"))
    .order_by(draft.c.at, draft.c.id)
    .limit(bindparam("most"))
)
_WITHIN = select(*_COLUMNS).select_from(_FROM).where(READABLE, draft_content.c.scope == bindparam("scope_"))
_SETTLE = (
    update(draft)
    .where(draft.c.id == bindparam("message"), _HELD)
    .values(state=bindparam("to"), decided_by=bindparam("by"), decided=bindparam("at_"), decision=bindparam("because"))
)
_FORGET = delete(draft_content).where(draft_content.c.id == bindparam("message"))


def add_draft(db: Execution, row: HeldDraft) -> None:
    """Store a held message."""
    reasons = [[reason.rule, reason.code, reason.level.value, reason.where, reason.text] for reason in row.reasons]
    db.changed(
        _INSERT,
        {
            "id": row.id, "peer": row.peer, "authority": row.authority, "type": row.type, "author": row.author, "role": row.role,
            "route": row.route, "at": row.at, "state": row.state, "reasons": orjson.dumps(reasons).decode(),
        },
    )  # fmt: skip
    header = decode_header(orjson.loads(row.content or b"{}")["header"])
    procedure = header.procedure_id
    key = key_for_writing(db, scope_of(row.peer, header.case_ref, procedure), procedure, row.at)
    content = encrypted(db, key, draft_content, "content", row.content or b"", row.id)
    db.changed(_INSERT_CONTENT, {"id": row.id, "content": content, "scope": key.scope})


def find_draft(db: Execution, message: MessageId, *, opening: bool = True) -> HeldDraft | None:
    """Return one, whatever became of it; unless its content is to be opened, without it."""
    row = db.first(_ONE, {"message": message})
    return None if row is None else draft_row(db, row, opening=opening)


def drafts(
    db: Execution, authority: AuthorityId | None, *, after: tuple[int, str] | None, limit: int
) -> tuple[HeldDraft, ...]:
    """Return what still waits, oldest first, without content: one that does not open hides no other."""
    statement = _LIST if authority is None else _LIST.where(draft.c.authority == authority)
    since, last = after or (-1, "")
    rows = db.listed(statement, {"since": since, "after": last, "most": limit})
    return tuple(draft_row(db, row, opening=False) for row in rows)


def lapsed_drafts(db: Execution, *, before: datetime, limit: int) -> tuple[HeldDraft, ...]:
    """Return what has waited since before that time, oldest first, without content: what does not open ends too."""
    return tuple(draft_row(db, row, opening=False) for row in db.all(_LAPSED, {"before": before, "most": limit}))


def drafts_within(db: Execution, scope: Scope) -> Sequence[Row[Any]]:
    """Return the rows of what waits under a scope's key."""
    return db.all(_WITHIN, {"scope_": scope})


def settle_draft(db: Execution, message: MessageId, state: DraftState, *, by: str, at: datetime, decision: str) -> bool:
    """Say what became of one that waits, and forget its content. False: it waits no more."""
    if not db.changed(_SETTLE, {"message": message, "to": state, "by": by, "at_": at, "because": decision}):
        return False
    db.changed(_FORGET, {"message": message})
    return True


def draft_row(db: Execution, row: Row[Any], *, opening: bool = True) -> HeldDraft:
    """Return the value of a stored row; unless its content is to be opened, without it."""
    found = (
        Reason(rule=rule, code=code, level=Level(level), where=where, text=text)
        for rule, code, level, where, text in orjson.loads(row.reasons)
    )
    return HeldDraft(
        id=row.id,
        peer=row.peer,
        authority=row.authority,
        type=row.type,
        author=row.author,
        role=row.role,
        route=row.route,
        at=row.at,
        reasons=tuple(found),
        content=opened(db, row, draft_content, "content", row.id) if opening and row.content is not None else None,
        state=row.state,
        decided_by=row.decided_by,
        decided=row.decided,
        decision=row.decision,
    )
