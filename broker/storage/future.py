# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements about times that a clock wrote which was hours ahead: nobody would be called before they have come.

Nor would anybody hear of what is called for since: whoever looks for news looks for the newest calls.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, bindparam, case, true, update
from sqlalchemy.sql import Update

from broker.core.delivery import FUTURE_HOURS, FUTURE_SECONDS
from broker.rows import InboxState, OutboxState
from broker.storage.columns import fixed
from broker.storage.execution import Execution
from broker.storage.tables import attachment, attention, inbox, outbox, parked

__all__ = ["set_right"]

_TAKEN = (InboxState.HANDED_OVER, InboxState.OPENED)
_WAITING = (OutboxState.RECORDED, OutboxState.PUBLISHED, OutboxState.DELIVERED, OutboxState.HANDED_OVER)


def _set(table: Table, column: Column[Any], *also: Column[Any], where: ColumnElement[bool] | None = None) -> Update:
    """Return the update that sets a time back from the future, and others that lie there too."""
    now, after, until = (bindparam(name, type_=column.type) for name in ("now", "after", "until"))
    return (
        update(table)
        .where(true() if where is None else where, column > after, column <= until)
        .values({each: case((each > after, now), else_=each) for each in (column, *also)})
    )


_OWED = attachment.c.next_at.is_not(None)
_SENT = _set(outbox, outbox.c.since, where=outbox.c.state.in_(fixed(*_WAITING)))
_STATEMENTS = (
    _set(inbox, inbox.c.since, inbox.c.handed_over, where=inbox.c.state.in_(fixed(*_TAKEN))),
    _set(parked, parked.c.received),
    _set(attention, attention.c.at, where=attention.c.resolved.is_(None)),
    _set(attachment, attachment.c.at, where=_OWED),
    _set(attachment, attachment.c.asked, attachment.c.next_at, where=_OWED),
)


def set_right(db: Execution, *, now: datetime) -> bool:
    """Let what happened here hours ahead of now have happened now; return whether something of ours waits since then."""
    times = {"now": now, "after": now + timedelta(seconds=FUTURE_SECONDS), "until": now + timedelta(hours=FUTURE_HOURS)}
    for statement in _STATEMENTS:
        db.write(statement, times)
    return db.changed(_SENT, times) > 0
