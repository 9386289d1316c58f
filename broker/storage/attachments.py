# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Statements about uploads, attachments and parked chunks: what lacks, what is due; the bytes lie in `blobs`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, insert, literal_column, or_, select, update

from broker.core.delivery import AHEAD_SECONDS, ASK_AHEAD_SECONDS
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId
from broker.core.owed_chunks import OwedChunks
from broker.rows import AttachmentRow, ParkedChunk, UploadRow
from broker.security.at_rest import Scope
from broker.storage.batches import Parted
from broker.storage.case_keys import KEY_COLUMNS, drop_key, encrypted, keyed, opened, own_key
from broker.storage.columns import unindexed
from broker.storage.execution import Execution, insert_new
from broker.storage.tables import attachment, outbox, parked_chunk, upload

__all__ = [
    "add_attachment", "add_upload", "adoptable_chunks", "attachments_of", "count_uploads", "doubt", "drop_upload", "find_attachment",
    "find_upload", "keep_upload", "known_blobs", "lease_arriving", "lease_leaving", "old_uploads", "park_chunk", "save_attachment",
    "save_upload", "unpark_chunk",
]  # fmt: skip

_ADD_UPLOAD = insert(upload)
_UPLOADS = select(upload, *KEY_COLUMNS).select_from(keyed(upload, upload))
_SEEN_UPLOAD = _UPLOADS.where(upload.c.id == bindparam("id_"))
_UPLOAD = _SEEN_UPLOAD.with_for_update(of=upload)
_SAVE_UPLOAD = (
    update(upload)
    .where(upload.c.id == bindparam("id_"))
    .values(received=bindparam("now_received"), media_type=bindparam("kind_of"), digest=bindparam("digest_"))
)
_COUNT_UPLOADS = select(func.count().label("number")).where(upload.c.authority == bindparam("office"))
_KEEP_UPLOAD = update(upload).where(upload.c.id == bindparam("id_")).values(at=bindparam("begun"))
_DROP_UPLOAD = delete(upload).where(upload.c.id == bindparam("id_"))
_OLD_UPLOADS = (
    select(upload.c.id).where(upload.c.at < bindparam("before")).order_by(upload.c.at).limit(bindparam("most"))
)

_OF = and_(attachment.c.author == bindparam("author_"), attachment.c.message == bindparam("message_"))
_ONE = and_(_OF, attachment.c.handle == bindparam("handle_"))
_ADD = insert_new(attachment)
_FIND = select(attachment).where(_ONE)
_FIND_LOCKED = _FIND.with_for_update()
_OF_MESSAGE = select(attachment).where(_OF).order_by(attachment.c.place)
_SAVE = (
    update(attachment)
    .where(_ONE)
    .values(
        owed=bindparam("now_owed"), moved=bindparam("moved_at"), next_at=bindparam("again_at"),
        attempts=bindparam("tried"), complete=bindparam("completed"), code=bindparam("why"), asked=bindparam("asked_at"),
    )
)  # fmt: skip

_DOUBT = (
    update(attachment)
    .where(attachment.c.message == bindparam("message_"), attachment.c.author != bindparam("us_"))
    .where(attachment.c.complete.is_not(None))
    .values(complete=None, next_at=bindparam("at_"), attempts=0)
)

_NOW: Any = bindparam("now", type_=attachment.c.next_at.type)
_BEYOND: Any = bindparam("beyond", type_=attachment.c.next_at.type)  # for the reason see outbox.py
_ASK_BEYOND: Any = bindparam("ask_beyond", type_=attachment.c.next_at.type)
_NOT_ASKED = or_(attachment.c.attempts == literal_column("0"), attachment.c.author == bindparam("us"))
_DUE = (
    attachment.c.next_at.is_not(None),
    or_(
        attachment.c.next_at <= _NOW,
        and_(attachment.c.next_at > _BEYOND, _NOT_ASKED),
        attachment.c.next_at > _ASK_BEYOND,
    ),
)
_KEYS = (attachment.c.author, attachment.c.message, attachment.c.handle)
# Chunks leave when their message has left, and no longer when it was refused.
_LEAVING = Parted(
    attachment.c.peer,
    select(*_KEYS)
    .join_from(attachment, outbox, outbox.c.id == attachment.c.message)
    .where(
        *_DUE,
        unindexed(attachment.c.author) == bindparam("us"),
        outbox.c.published.is_not(None),
        outbox.c.refused.is_(None),
    )
    .order_by(attachment.c.next_at, attachment.c.message, attachment.c.handle)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=attachment)
    .where,
)
_ARRIVING = (
    select(*_KEYS)
    .where(*_DUE, attachment.c.author != bindparam("us"))
    .order_by(attachment.c.next_at, attachment.c.message, attachment.c.handle)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_LEASE = update(attachment).where(_ONE).values(next_at=bindparam("until"))

_PARK = insert_new(parked_chunk)
_PARKED = select(func.count().label("number")).where(parked_chunk.c.publisher == bindparam("publisher_"))
_OLDEST = (
    select(parked_chunk)
    .where(parked_chunk.c.publisher == bindparam("publisher_"))
    .order_by(parked_chunk.c.received, parked_chunk.c.blob)
    .limit(bindparam("most"))
)
_UNPARK = delete(parked_chunk).where(parked_chunk.c.blob == bindparam("blob_"))
_ADOPTABLE = (
    select(parked_chunk)
    .join_from(
        parked_chunk,
        attachment,
        and_(
            attachment.c.author == parked_chunk.c.sender,
            attachment.c.message == parked_chunk.c.message,
            attachment.c.handle == parked_chunk.c.handle,
        ),
    )
    .order_by(parked_chunk.c.received, parked_chunk.c.blob)
    .limit(bindparam("most"))
)


# --- uploads --------------------------------------------------------------------------------------------------------


def add_upload(db: Execution, row: UploadRow) -> None:
    """Begin an upload."""
    own = own_key(db, _scope(row.id), row.at)  # until a message takes it, which carries the file's key from then on
    values = {
        "id": row.id, "authority": row.authority, "size": row.size, "received": 0, "at": row.at,
        "key": encrypted(db, own, upload, "key", row.key, row.id), "scope": own.scope,
    }  # fmt: skip
    db.changed(_ADD_UPLOAD, values)


def find_upload(db: Execution, upload_id: str, *, lock: bool) -> UploadRow | None:
    """Return an upload, locked until the end of the transaction where it will be changed."""
    row = db.first(_UPLOAD if lock else _SEEN_UPLOAD, {"id_": upload_id})
    return None if row is None else _upload(db, row)


def save_upload(db: Execution, row: UploadRow) -> None:
    """Store how far it is, and what it turned out to be."""
    db.changed(
        _SAVE_UPLOAD, {"id_": row.id, "now_received": row.received, "kind_of": row.media_type, "digest_": row.digest}
    )


def count_uploads(db: Execution, authority: AuthorityId) -> int:
    """Return how many uploads of an office wait for a message."""
    row = db.first(_COUNT_UPLOADS, {"office": authority})
    return 0 if row is None else int(row.number)


def keep_upload(db: Execution, upload_id: str, *, at: datetime) -> None:
    """Count its age from then on."""
    db.changed(_KEEP_UPLOAD, {"id_": upload_id, "begun": at})


def drop_upload(db: Execution, upload_id: str) -> None:
    """Forget an upload and with it the only copy of its key here."""
    db.changed(_DROP_UPLOAD, {"id_": upload_id})
    drop_key(db, _scope(upload_id))


def old_uploads(db: Execution, *, before: datetime, limit: int) -> tuple[str, ...]:
    """Return the ids of uploads that were begun before that time, also of those whose key does not open."""
    return tuple(row.id for row in db.all(_OLD_UPLOADS, {"before": before, "most": limit}))


# --- attachments ----------------------------------------------------------------------------------------------------


def add_attachment(db: Execution, row: AttachmentRow) -> bool:
    """Note an attachment of a recorded message. False: it is known."""
    values = {
        "author": row.author, "message": row.message, "handle": row.handle, "peer": row.peer, "place": row.place,
        "blob": row.blob, "size": row.size, "chunks": row.chunks, "owed": row.owed.text, "at": row.at,
        "moved": row.moved, "next_at": row.next_at, "attempts": row.attempts,
    }  # fmt: skip
    return db.changed(_ADD, values) == 1


def find_attachment(
    db: Execution, author: CountryCode, message: MessageId, handle: Digest, *, lock: bool
) -> AttachmentRow | None:
    """Return one attachment, locked until the end of the transaction where it will be changed."""
    row = db.first(_FIND_LOCKED if lock else _FIND, {"author_": author, "message_": message, "handle_": handle})
    return None if row is None else _attachment(row)


def attachments_of(db: Execution, author: CountryCode, message: MessageId) -> tuple[AttachmentRow, ...]:
    """Return the attachments of a message in their order."""
    return tuple(_attachment(row) for row in db.all(_OF_MESSAGE, {"author_": author, "message_": message}))


def save_attachment(db: Execution, row: AttachmentRow) -> None:
    """Store how far it is."""
    db.changed(
        _SAVE,
        {
            "author_": row.author, "message_": row.message, "handle_": row.handle, "now_owed": row.owed.text,
            "moved_at": row.moved, "again_at": row.next_at, "tried": row.attempts, "completed": row.complete,
            "why": row.code, "asked_at": row.asked,
        },
    )  # fmt: skip


def doubt(db: Execution, us: CountryCode, messages: Sequence[str], *, at: datetime) -> None:
    """Have the received files of these messages verified anew: what lacks of them is then asked for."""
    for message in messages:
        db.changed(_DOUBT, {"message_": message, "us_": us, "at_": at})


def lease_leaving(
    db: Execution,
    us: CountryCode,
    *,
    now: datetime,
    until: datetime,
    limit: int,
    only: Collection[CountryCode] = (),
    but: Collection[CountryCode] = (),
) -> tuple[AttachmentRow, ...]:
    """Take attachments of ours with chunks to send; nobody else takes them until then."""
    due, chosen = _LEAVING.of(only, but)
    return _lease(db, due, us, now, until, limit, chosen)


def lease_arriving(
    db: Execution, us: CountryCode, *, now: datetime, until: datetime, limit: int
) -> tuple[AttachmentRow, ...]:
    """Take others' attachments that have been without a new chunk for too long."""
    return _lease(db, _ARRIVING, us, now, until, limit, {})


def _lease(
    db: Execution,
    due: Any,
    us: CountryCode,
    now: datetime,
    until: datetime,
    limit: int,
    chosen: Mapping[str, Any],
) -> tuple[AttachmentRow, ...]:
    taken = []
    beyond, ask_beyond = (now + timedelta(seconds=ahead) for ahead in (AHEAD_SECONDS, ASK_AHEAD_SECONDS))
    times = {"now": now, "beyond": beyond, "ask_beyond": ask_beyond}
    for key in db.all(due, {"us": us, **times, "most": limit, **chosen}):
        names = {"author_": key.author, "message_": key.message, "handle_": key.handle}
        db.changed(_LEASE, {**names, "until": until})
        row = db.first(_FIND, names)
        if row is not None:
            taken.append(_attachment(row))
    return tuple(taken)


# --- parked chunks --------------------------------------------------------------------------------------------------


def park_chunk(db: Execution, chunk: ParkedChunk, *, max_items: int) -> tuple[ParkedChunk, ...]:
    """Keep a chunk whose message is not recorded yet; return what must make way for it, itself where it is a repeat."""
    values = {
        "publisher": chunk.publisher, "sender": chunk.sender, "message": chunk.message, "handle": chunk.handle,
        "place": chunk.index, "blob": chunk.blob, "received": chunk.received,
    }  # fmt: skip
    if db.changed(_PARK, values) == 0:
        return (chunk,)
    counted = db.first(_PARKED, {"publisher_": chunk.publisher})
    over = (int(counted.number) if counted else 0) - max_items
    if over <= 0:
        return ()
    gone = tuple(_parked(row) for row in db.all(_OLDEST, {"publisher_": chunk.publisher, "most": over}))
    for old in gone:
        unpark_chunk(db, old.blob)
    return gone


def adoptable_chunks(db: Execution, limit: int) -> tuple[ParkedChunk, ...]:
    """Return parked chunks whose message is recorded now."""
    return tuple(_parked(row) for row in db.all(_ADOPTABLE, {"most": limit}))


def unpark_chunk(db: Execution, blob: str) -> None:
    """Forget a parked chunk."""
    db.changed(_UNPARK, {"blob_": blob})


def known_blobs(db: Execution, names: Sequence[str]) -> frozenset[str]:
    """Return which of these blobs any row names."""
    wanted = list(names)
    found: set[str] = set()
    for column in (upload.c.id, attachment.c.blob, parked_chunk.c.blob):
        statement = select(column).where(column.in_(wanted))
        found.update(str(row[0]) for row in db.listed(statement, {}))
    return frozenset(found)


def _scope(upload_id: str) -> Scope:
    return Scope(f"upload:{upload_id}")


def _upload(db: Execution, row: Row[Any]) -> UploadRow:
    key = row.key if row.scope is None else opened(db, row, upload, "key", row.id)
    return UploadRow(
        id=row.id, authority=row.authority, size=row.size, received=row.received, key=key, at=row.at,
        media_type=row.media_type, digest=row.digest,
    )  # fmt: skip


def _attachment(row: Row[Any]) -> AttachmentRow:
    return AttachmentRow(
        author=row.author, message=row.message, handle=row.handle, peer=row.peer, place=row.place, blob=row.blob,
        size=row.size, chunks=row.chunks, owed=OwedChunks.from_text(row.owed), at=row.at, moved=row.moved,
        next_at=row.next_at, attempts=row.attempts, complete=row.complete, code=row.code, asked=row.asked,
    )  # fmt: skip


def _parked(row: Row[Any]) -> ParkedChunk:
    return ParkedChunk(
        publisher=row.publisher, sender=row.sender, message=row.message, handle=row.handle, index=row.place,
        blob=row.blob, received=row.received,
    )  # fmt: skip
