# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements about what people must look at; codes and ids only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from broker.rows import Attention
from broker.storage.execution import Execution, insert_new
from broker.storage.tables import attention

__all__ = ["attention_row", "last_call", "raise_attention", "resolve_attention", "resolve_attentions"]

_RAISE = insert_new(attention)
_RESOLVE = (
    update(attention)
    .where(
        attention.c.code == bindparam("code_"),
        attention.c.subject == bindparam("subject_"),
        attention.c.resolved.is_(None),
    )
    .values(resolved=bindparam("at_"), resolved_by=bindparam("by"))
)
_RESOLVE_ALL = (
    update(attention)
    .where(
        attention.c.code.in_(bindparam("codes", expanding=True)),
        attention.c.subject == bindparam("subject_"),
        attention.c.resolved.is_(None),
    )
    .values(resolved=bindparam("at_"), resolved_by=bindparam("by"))
)
_LAST = (
    select(attention)
    .where(attention.c.code == bindparam("code_"), attention.c.subject == bindparam("subject_"))
    .order_by(attention.c.id.desc())
    .limit(1)
)


def raise_attention(db: Execution, row: Attention) -> bool:
    """Open an entry unless one of that code and subject is open."""
    values = {
        "code": row.code,
        "subject": row.subject,
        "who": row.who,
        "at": row.at,
        "peer": row.peer,
        "authority": row.authority,
        "detail": row.detail,
        "resolved": row.resolved,
        "resolved_by": row.resolved_by,
    }
    return db.changed(_RAISE, values) == 1


def resolve_attention(db: Execution, code: str, subject: str, *, at: datetime, by: str) -> bool:
    """Close the open entry of that code and subject."""
    return db.changed(_RESOLVE, {"code_": code, "subject_": subject, "at_": at, "by": by}) == 1


def resolve_attentions(db: Execution, codes: Sequence[str], subject: str, *, at: datetime, by: str) -> int:
    """Close every open entry of these codes and that subject."""
    return db.changed(_RESOLVE_ALL, {"codes": list(codes), "subject_": subject, "at_": at, "by": by})


def last_call(db: Execution, code: str, subject: str) -> Attention | None:
    """Return the newest entry of that code and subject, open or closed."""
    row = db.first(_LAST, {"code_": code, "subject_": subject})
    return None if row is None else attention_row(row)


def attention_row(row: Row[Any]) -> Attention:
    """Return the value of a stored row."""
    return Attention(
        code=row.code,
        subject=row.subject,
        who=row.who,
        at=row.at,
        peer=row.peer,
        authority=row.authority,
        detail=row.detail,
        resolved=row.resolved,
        resolved_by=row.resolved_by,
        id=row.id,
    )
