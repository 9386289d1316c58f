# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of both directions in one list or alone, limited to what the asking authority may see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import BigInteger, Column, Row, Select, bindparam, literal, select, tuple_, type_coerce

from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.ids import AuthorityId, MessageId, ProcedureId
from broker.core.messages import OutboxKind
from broker.rows import MessageFilter, MessageRow, MessageTimes, Page
from broker.storage import headers
from broker.storage.case_keys import KEY_COLUMNS, READABLE, keyed, opened
from broker.storage.columns import to_milliseconds, unindexed
from broker.storage.cursors import Key, from_cursor, to_cursor
from broker.storage.execution import Execution
from broker.storage.procedures import find_procedure, takes_part
from broker.storage.tables import inbox, inbox_content, outbox, outbox_content, record_entry

__all__ = ["list_messages", "message_times", "messages_of", "procedure_sent"]

_SHAPE = (int, str, str, str)  # of a sort key: at, id, direction, peer

_OUT = (
    select(
        literal("out").label("direction"),
        outbox.c.id,
        outbox.c.digest,
        outbox.c.recipient.label("peer"),
        outbox.c.authority,
        outbox_content.c.scope,
        outbox_content.c.header,
        *KEY_COLUMNS,
        outbox.c.state,
        outbox.c.created.label("at"),
        outbox.c.published,
        outbox.c.delivered,
        outbox.c.handed_over,
        outbox.c.opened,
        outbox.c.refused,
        outbox.c.refusal_code,
        outbox.c.error,
    )
    .select_from(keyed(outbox.join(outbox_content), outbox_content))
    .where(outbox.c.kind == OutboxKind.MESSAGE, READABLE)
    .order_by(outbox.c.created.desc(), outbox.c.id.desc(), outbox.c.recipient.desc())
)
_IN = (
    select(
        literal("in").label("direction"),
        inbox.c.id,
        inbox.c.digest,
        inbox.c.sender.label("peer"),
        inbox.c.authority,
        inbox_content.c.scope,
        inbox_content.c.header,
        *KEY_COLUMNS,
        inbox.c.state,
        inbox.c.received.label("at"),
        inbox.c.handed_over,
        inbox.c.opened,
        inbox.c.error,
    )
    .select_from(keyed(inbox.join(inbox_content), inbox_content))
    .where(READABLE)
    .order_by(inbox.c.received.desc(), inbox.c.id.desc(), inbox.c.sender.desc())
)
_TIMES_OUT = (
    select(
        outbox.c.id, outbox.c.recipient.label("peer"), outbox.c.created.label("at"),
        outbox.c.delivered, outbox.c.handed_over, outbox.c.opened, outbox.c.refused,
    )
    .where(outbox.c.kind == OutboxKind.MESSAGE)
    .order_by(outbox.c.created.desc(), outbox.c.id.desc())
    .limit(bindparam("most"))
)  # fmt: skip
_SENT = (
    select(
        outbox.c.id, outbox.c.recipient.label("peer"), outbox.c.created.label("at"), outbox.c.published,
        outbox.c.delivered, outbox.c.handed_over, outbox.c.opened, outbox.c.refused,
    )
    .where(outbox.c.kind == OutboxKind.MESSAGE, outbox.c.procedure == bindparam("procedure_"))
    .order_by(outbox.c.created, outbox.c.id)
)  # fmt: skip
_TIMES_IN = (
    select(inbox.c.id, inbox.c.sender.label("peer"), inbox.c.received.label("at"), inbox.c.handed_over, inbox.c.opened)
    .order_by(inbox.c.received.desc(), inbox.c.id.desc())
    .limit(bindparam("most"))
)
_FEW = 1000  # messages in a state: read all, and sort
_MANY = {  # one row where more than a few are in a state
    direction: select(box.c.id).where(box.c.state == bindparam("in_state")).limit(1).offset(_FEW)
    for direction, box in (("out", outbox), ("in", inbox))
}
_ONE_OUT = _OUT.add_columns(outbox_content.c.content).where(outbox.c.id == bindparam("message"))
_ALL_IN = _IN.add_columns(inbox_content.c.content).where(inbox.c.id == bindparam("message"))


def list_messages(
    db: Execution, wanted: MessageFilter, *, cursor: str | None, limit: int, readable_only: bool = False
) -> Page:
    """Return a page of both directions merged, newest first.

    Raises:
        BadCursor: the cursor is not one of this list.
        CaseKeyMissing, StoreCorrupt: one of them does not open, and `readable_only` is not set.
    """
    last = from_cursor(cursor, _SHAPE)
    few = _few(db, wanted)
    asked = _statements(db.dialect, wanted, last, limit + 1, few)
    found = [row for statement in asked for row in db.listed(statement, {})]
    found.sort(key=_key, reverse=True)
    items, unreadable = list[MessageRow](), 0
    for row in found[:limit]:
        try:
            items.append(_row(db, row))
        except (CaseKeyMissing, StoreCorrupt):
            if not readable_only:
                raise
            unreadable += 1
    next_ = to_cursor(_key(found[limit - 1])) if len(found) > limit else None
    return Page(items=tuple(items), next=next_, unreadable=unreadable)


def messages_of(db: Execution, message: MessageId, authority: AuthorityId | None) -> tuple[MessageRow, ...]:
    """Return what may be seen of the messages that have this id, ours first, with their content."""
    rows = [*db.all(_ONE_OUT, {"message": message}), *db.all(_ALL_IN, {"message": message})]
    found = (_row(db, row) for row in rows)
    return tuple(row for row in found if authority in {None, row.authority} or _shares(db, row, authority))


def _shares(db: Execution, row: MessageRow, authority: AuthorityId | None) -> bool:
    """Whether an office takes part in the procedure of a message that another office of ours sent or was sent."""
    procedure = row.header.procedure
    if procedure is None or authority is None:
        return False
    held = find_procedure(db, procedure.id)
    return held is not None and (held.our_authority == authority or takes_part(db, procedure.id, authority))


def message_times(db: Execution, limit: int) -> tuple[MessageTimes, ...]:
    """Return the newest messages of each direction without header and content."""
    sent = (MessageTimes(direction="out", **row._asdict()) for row in db.all(_TIMES_OUT, {"most": limit}))
    came = (MessageTimes(direction="in", **row._asdict()) for row in db.all(_TIMES_IN, {"most": limit}))
    return (*sent, *came)


def procedure_sent(db: Execution, procedure: ProcedureId) -> tuple[MessageTimes, ...]:
    """Return how far our messages of a procedure got, oldest first."""
    return tuple(MessageTimes(direction="out", **row._asdict()) for row in db.all(_SENT, {"procedure_": procedure}))


def _few(db: Execution, wanted: MessageFilter) -> frozenset[str]:
    """Return the directions in which a few messages are in the state that is asked for: SQLite does not know that."""
    if wanted.state is None or db.dialect != "sqlite":
        return frozenset()
    return frozenset(way for way, many in _MANY.items() if db.first(many, {"in_state": wanted.state}) is None)


def _statements(
    dialect: str, wanted: MessageFilter, last: Key | None, most: int, few: frozenset[str] = frozenset()
) -> Iterator[Select[Any]]:
    """Yield what asks for so many messages behind a place, for each direction of its own.

    Args:
        dialect, wanted, last, most: of the list.
        few: directions in which so few are in the state that is asked for that all of them may be read.
    """
    if wanted.direction in {None, "out"}:
        peer, at = outbox.c.recipient, outbox.c.created
        yield _limited(_OUT, outbox.c, "out", peer, at, wanted, last, dialect, "out" in few).limit(most)
    if wanted.direction in {None, "in"}:
        peer, at = inbox.c.sender, inbox.c.received
        yield _limited(_IN, inbox.c, "in", peer, at, wanted, last, dialect, "in" in few).limit(most)


def _limited(
    statement: Select[Any], columns: Any, direction: str, peer: Column[Any], at: Column[Any],
    wanted: MessageFilter, last: Key | None, dialect: str, few_in_state: bool,
) -> Select[Any]:  # fmt: skip
    """Return the statement with these conditions.

    SQLite, which knows no statistics, is left the index of one: that of the fewest messages, or of the list's own order.
    By the index of states it would read all messages in a state, with their contents, to sort them for one page.
    """
    led = wanted.digest is not None
    if led:  # each message is in a record, and those have an index for both directions
        recorded = select(record_entry.c.message).where(record_entry.c.digest == wanted.digest)
        statement = statement.where(columns.digest == wanted.digest, columns.id.in_(recorded))
    state = [(columns.state, wanted.state)]
    fewest_first = [
        (columns.procedure, wanted.procedure),
        *(state if few_in_state else ()),
        (columns.type, wanted.type),
        (columns.authority, wanted.authority),
        (peer, wanted.peer),
        *(() if few_in_state else state),
    ]
    unfit = (peer,) if few_in_state else (peer, columns.state)
    for column, value in fewest_first:
        if value is not None:
            hidden = dialect == "sqlite" and (led or any(column is one for one in unfit))
            statement = statement.where((unindexed(column) if hidden else column) == value)
            led = True
    if last is not None:
        mine = tuple_(type_coerce(at, BigInteger()), columns.id, literal(direction), peer)
        statement = statement.where(mine < tuple_(*(literal(part) for part in last)))
    return statement


def _key(row: Row[Any]) -> Key:
    return to_milliseconds(row.at), str(row.id), str(row.direction), str(row.peer)


def _row(db: Execution, row: Row[Any]) -> MessageRow:
    given = row._asdict()
    place = (outbox_content, (row.id,)) if row.direction == "out" else (inbox_content, (row.peer, row.id))
    return MessageRow(
        direction=row.direction,
        id=row.id,
        digest=row.digest,
        peer=row.peer,
        authority=row.authority,
        header=headers.from_bytes(opened(db, row, place[0], "header", *place[1])),
        state=row.state,
        at=row.at,
        published=given.get("published"),
        delivered=given.get("delivered"),
        handed_over=row.handed_over,
        opened=row.opened,
        refused=given.get("refused"),
        refusal_code=given.get("refusal_code"),
        error=row.error,
        content=opened(db, row, place[0], "content", *place[1]) if "content" in given else None,
    )
