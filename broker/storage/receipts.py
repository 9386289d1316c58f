# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Receipt statements: evidence issued and received, and what of it waits for an envelope."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, bindparam, exists, null, or_, select, true, update

from broker.core.delivery import FUTURE_SECONDS, REANSWER_SECONDS
from broker.core.ids import CountryCode, MessageId, ProcedureId
from broker.core.receipts import Receipt, ReceiptKind, supersedes
from broker.storage.batches import Batched
from broker.storage.columns import fixed
from broker.storage.execution import Execution, insert_new
from broker.storage.tables import OWED_RECEIPTS, attachment, outbox, receipt, record_entry

__all__ = [
    "add_receipt", "add_receipts", "answers", "assign_receipts", "find_receipt", "heard_of", "issue_receipt", "peers_with_waiting_receipts",
    "procedure_evidence", "procedure_receipts", "queue_receipts", "receipts_about", "receipts_of_procedures",
    "requeue_receipts", "waiting_receipts",
]  # fmt: skip

_SAID = ("author", "message", "kind", "issuer", "digest", "at", "code", "heads", "record_digest")
_ORDER = (receipt.c.at, receipt.c.author, receipt.c.message, receipt.c.kind, receipt.c.issuer)
_ABOUT = and_(receipt.c.author == bindparam("author_"), receipt.c.message == bindparam("message_"))
_BY = and_(_ABOUT, receipt.c.issuer == bindparam("issuer_"))
_THIS = and_(_BY, receipt.c.kind == bindparam("kind_"))

_ANSWERS_ARE = fixed(ReceiptKind.DELIVERED, ReceiptKind.REFUSED)
_ANSWERING = receipt.c.kind.in_(_ANSWERS_ARE)

_INSERT = insert_new(receipt)
_SUPERSEDE = (
    update(receipt)
    .where(_THIS)
    .values(
        digest=bindparam("digest_"),
        at=bindparam("at_"),
        code=bindparam("code_"),
        heads=bindparam("heads_"),
        record_digest=bindparam("record_digest_"),
        queued=bindparam("queued_"),
        envelope=null(),
    )
)
_ROWS = select(*(receipt.c[name] for name in _SAID))
_ONE = _ROWS.where(_THIS)
_ANSWERS = _ROWS.where(_BY, _ANSWERING)
_HEARD_OF = select(
    or_(
        # One by one: for an IN over a key SQLite fills a table at each execution.
        *(exists().where(_BY, receipt.c.kind == kind) for kind in _ANSWERS_ARE),
        exists().where(attachment.c.author == bindparam("author_"), attachment.c.message == bindparam("message_")),
    )
)
_ALL_ABOUT = _ROWS.where(_ABOUT).order_by(*_ORDER)
_IN_RECORDS = (
    _ROWS.add_columns(record_entry.c.procedure)
    .join_from(
        record_entry,
        receipt,
        and_(receipt.c.author == record_entry.c.author, receipt.c.message == record_entry.c.message),
    )
    .order_by(*_ORDER)
)
_EVIDENCE = _IN_RECORDS.where(record_entry.c.procedure == bindparam("procedure_"))
_OF_PROCEDURE = _EVIDENCE.where(_ANSWERING)
_OF_PROCEDURES = Batched(record_entry.c.procedure, _IN_RECORDS.where(_ANSWERING).where)
# The id of the envelope in which a receipt last travelled tells when that was: no message is answered faster than this.
_QUEUE = (
    update(receipt)
    .where(
        _ABOUT,
        receipt.c.issued == true(),
        or_(
            receipt.c.envelope.is_(None),
            receipt.c.envelope < bindparam("sent_before", type_=receipt.c.envelope.type),
            receipt.c.envelope > bindparam("sent_ahead", type_=receipt.c.envelope.type),
        ),
    )
    .values(queued=receipt.c.at)
)
# Without an index, which every receipt would pay for: it is asked when a key counts no longer, for many envelopes at once.
_REQUEUE = (
    update(receipt).where(receipt.c.envelope.in_(bindparam("envelopes", expanding=True))).values(queued=receipt.c.at)
)
# Locked: what takes a receipt's place before it is assigned would be taken for sent. What another worker is at is passed by.
_WAITING = (
    _ROWS.where(receipt.c.author == bindparam("author_"), receipt.c.queued.is_not(None))
    .order_by(receipt.c.queued, receipt.c.message, receipt.c.kind)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_PEERS = (
    select(receipt.c.author)
    .where(
        receipt.c.queued.is_not(None),
        ~exists().where(OWED_RECEIPTS, outbox.c.recipient == receipt.c.author),
    )
    .distinct()
    .order_by(receipt.c.author)
)
_ASSIGN = update(receipt).where(_THIS).values(queued=null(), envelope=bindparam("in_envelope"))


def add_receipt(db: Execution, row: Receipt, *, issued: bool) -> bool:
    """Keep the first receipt of its key, or one that supersedes it; one that we issue waits for an envelope."""
    if db.changed(_INSERT, _values(row, issued=issued)) == 1:
        return True
    held = find_receipt(db, row.issuer, row.author, row.message, row.kind)
    if held is None or not supersedes(row, held):
        return False
    changed = {
        "author_": row.author,
        "message_": row.message,
        "kind_": row.kind,
        "issuer_": row.issuer,
        "digest_": row.digest,
        "at_": row.at,
        "code_": row.code,
        "heads_": row.heads,
        "record_digest_": row.record_digest,
        "queued_": row.at if issued else None,
    }
    return db.changed(_SUPERSEDE, changed) == 1


def add_receipts(db: Execution, rows: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Keep what a peer says as `add_receipt` does, and return what was new; of two of one key the first counts."""
    new: list[Receipt] = []
    others: dict[tuple[str, ...], Receipt] = {}
    for row in rows:
        if row.kind is not ReceiptKind.REFUSED:
            others.setdefault((row.author, row.message, row.kind, row.issuer), row)
        elif add_receipt(db, row, issued=False):  # nothing but a refusal gives way to another
            new.append(row)
    written = db.changed_each(_INSERT, [_values(row, issued=False) for row in others.values()])
    return (*new, *(row for row, count in zip(others.values(), written, strict=True) if count))


def issue_receipt(db: Execution, row: Receipt) -> None:
    """Keep what we say as `add_receipt` does, where nobody asks whether it was held."""
    if row.kind is ReceiptKind.REFUSED:  # it may take the place of another
        add_receipt(db, row, issued=True)
    else:
        db.write(_INSERT, _values(row, issued=True))


def find_receipt(
    db: Execution, issuer: CountryCode, author: CountryCode, message: MessageId, kind: ReceiptKind
) -> Receipt | None:
    """Return the one receipt of that key."""
    row = db.first(_ONE, {"issuer_": issuer, "author_": author, "message_": message, "kind_": kind})
    return None if row is None else _receipt(row)


def answers(db: Execution, issuer: CountryCode, author: CountryCode, message: MessageId) -> tuple[Receipt, ...]:
    """Return what an issuer answered about a message."""
    return _receipts(db.all(_ANSWERS, {"issuer_": issuer, "author_": author, "message_": message}))


def heard_of(db: Execution, issuer: CountryCode, author: CountryCode, message: MessageId) -> bool:
    """Return whether an issuer answered about a message, or attachments of it are known: for nearly none that comes."""
    (row,) = db.all(_HEARD_OF, {"issuer_": issuer, "author_": author, "message_": message})
    return bool(row[0])


def receipts_about(db: Execution, author: CountryCode, message: MessageId) -> tuple[Receipt, ...]:
    """Return every receipt about a message, oldest first."""
    return _receipts(db.all(_ALL_ABOUT, {"author_": author, "message_": message}))


def procedure_receipts(db: Execution, procedure: ProcedureId) -> tuple[Receipt, ...]:
    """Return delivered and refused receipts about the record's messages, oldest first."""
    return _receipts(db.all(_OF_PROCEDURE, {"procedure_": procedure}))


def receipts_of_procedures(db: Execution, ids: Collection[ProcedureId]) -> dict[ProcedureId, list[Receipt]]:
    """Return the same of each of several procedures."""
    found = defaultdict[ProcedureId, list[Receipt]](list)
    for row in _OF_PROCEDURES.rows(db, ids):
        found[row.procedure].append(_receipt(row))
    return found


def procedure_evidence(db: Execution, procedure: ProcedureId) -> tuple[Receipt, ...]:
    """Return every receipt about the record's messages, oldest first."""
    return _receipts(db.all(_EVIDENCE, {"procedure_": procedure}))


def queue_receipts(db: Execution, author: CountryCode, message: MessageId, *, now: datetime) -> None:
    """Let our receipts about a message wait again, but for those that went out within the last minute.

    An envelope from the future went out before our clock was set right, and however lately, not within that minute.
    """
    before = MessageId.first_of(now - timedelta(seconds=REANSWER_SECONDS))
    ahead = MessageId.first_of(now + timedelta(seconds=FUTURE_SECONDS))
    db.write(_QUEUE, {"author_": author, "message_": message, "sent_before": before, "sent_ahead": ahead})


def requeue_receipts(db: Execution, envelopes: Sequence[MessageId]) -> None:
    """Let receipts wait again that last travelled in one of these envelopes, whenever that was; looks at every receipt."""
    if envelopes:
        db.write(_REQUEUE, {"envelopes": list(envelopes)})


def waiting_receipts(db: Execution, peer: CountryCode, limit: int) -> tuple[Receipt, ...]:
    """Return what that peer is owed, oldest first."""
    return _receipts(db.all(_WAITING, {"author_": peer, "most": limit}))


def peers_with_waiting_receipts(db: Execution) -> tuple[CountryCode, ...]:
    """Return whom to write envelopes of receipts: those to whom none is on its way."""
    return tuple(row.author for row in db.all(_PEERS))


def assign_receipts(db: Execution, receipts: Sequence[Receipt], envelope: MessageId) -> None:
    """Let receipts travel in an envelope; they wait no longer."""
    keys = [
        {
            "author_": row.author,
            "message_": row.message,
            "kind_": row.kind,
            "issuer_": row.issuer,
            "in_envelope": envelope,
        }
        for row in receipts
    ]
    db.write_each(_ASSIGN, keys)


def _values(row: Receipt, *, issued: bool) -> dict[str, Any]:
    values = {
        "author": row.author,
        "message": row.message,
        "kind": row.kind,
        "issuer": row.issuer,
        "digest": row.digest,
        "at": row.at,
        "heads": row.heads,
        "record_digest": row.record_digest,
        "issued": issued,
    }
    if issued:
        values["queued"] = row.at
    if row.kind is ReceiptKind.REFUSED:
        values["code"] = row.code
    return values


def _receipts(rows: Iterable[Row[Any]]) -> tuple[Receipt, ...]:
    return tuple(_receipt(row) for row in rows)


def _receipt(row: Row[Any]) -> Receipt:
    return Receipt(
        issuer=row.issuer,
        author=row.author,
        message=row.message,
        digest=row.digest,
        kind=row.kind,
        at=row.at,
        code=row.code,
        heads=row.heads,
        record_digest=row.record_digest,
    )
