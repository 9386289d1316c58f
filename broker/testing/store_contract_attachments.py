# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite about uploads, attachments and parked chunks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from broker.core.ids import AuthorityId, CountryCode
from broker.core.owed_chunks import OwedChunks
from broker.ports import Store
from broker.rows import AttachmentRow, InboxRow, ParkedChunk, UploadRow
from broker.testing.store_rows import EE, FI, NOW, SE, digest, incoming, later, message_id, outgoing

__all__ = ["AttachmentContract"]

_LEASE = "a worker"
_OFFICE = AuthorityId("social-insurance-board")


def upload(number: int, **changes: Any) -> UploadRow:
    """An upload that was begun a second after the one before."""
    plain = UploadRow(id=f"{number:032x}", authority=_OFFICE, size=5, key=bytes([number]) * 32, at=later(number))
    return replace(plain, **changes)


def attachment(number: int, *, author: CountryCode = EE, **changes: Any) -> AttachmentRow:
    """An attachment of that message, of which everything is owed."""
    plain = AttachmentRow(
        author=author, message=message_id(number), handle=digest(("handle", number)), peer=FI, place=0,
        blob=f"{number:032x}", size=3_000_000, chunks=3, owed=OwedChunks.all_of(3), at=NOW, moved=NOW, next_at=NOW,
    )  # fmt: skip
    return replace(plain, **changes)


def parked(number: int, *, publisher: str = "FI", message: int = 1) -> ParkedChunk:
    """A chunk of that message's attachment."""
    return ParkedChunk(
        publisher=publisher, sender=FI, message=message_id(message), handle=digest(("handle", message)), index=number,
        blob=f"{publisher.encode().hex()}{number:028x}", received=later(number),
    )  # fmt: skip


class AttachmentContract:
    """What lacks is never forgotten, what is due is taken by one worker, and what is parked keeps to its places."""

    async def test_an_upload_is_kept_as_far_as_it_is(self, store: Store, another: Store) -> None:
        """It comes back for every worker, counts for its office, and is gone with its key."""
        begun = upload(1)
        await store.run(lambda tx: tx.add_upload(begun))
        assert await another.run(lambda tx: tx.upload(begun.id)) == begun
        whole = replace(begun, received=5, media_type="text/plain", digest=digest("x"))
        await store.run(lambda tx: tx.save_upload(whole))
        assert await another.read(lambda reader: reader.upload(begun.id)) == whole
        assert await store.run(lambda tx: (tx.count_uploads(_OFFICE), tx.count_uploads(AuthorityId("other")))) == (1, 0)
        await store.run(lambda tx: tx.drop_upload(begun.id))
        assert await store.run(lambda tx: (tx.upload(begun.id), tx.count_uploads(_OFFICE))) == (None, 0)

    async def test_old_uploads_are_found_oldest_first(self, store: Store) -> None:
        """Only those begun before the time, at most so many."""
        for number in (3, 1, 2):
            await store.run(lambda tx, number=number: tx.add_upload(upload(number)))  # type: ignore[misc]
        assert await store.run(lambda tx: tx.old_uploads(before=later(3), limit=1)) == (upload(1).id,)

    async def test_an_attachment_is_kept_once_and_changes(self, store: Store, another: Store) -> None:
        """The same message does not add it twice; what is saved is what every worker sees."""
        row = attachment(1)
        assert await store.run(lambda tx: tx.add_attachment(row)) is True
        assert await store.run(lambda tx: tx.add_attachment(replace(row, blob="f" * 32))) is False
        moved = replace(
            row, owed=OwedChunks([1]), moved=later(5), next_at=later(9), attempts=2, complete=later(7), code="x",
            asked=later(8),
        )  # fmt: skip
        await store.run(lambda tx: tx.save_attachment(moved))
        assert await another.run(lambda tx: tx.attachment(EE, row.message, row.handle)) == moved
        assert await another.read(lambda reader: reader.attachments_of(EE, row.message)) == (moved,)
        assert await another.read(lambda reader: reader.attachment(FI, row.message, row.handle)) is None

    async def test_chunks_leave_behind_their_message_and_never_after_its_refusal(self, store: Store) -> None:
        """Not before it is published; then one worker has them until its lease ends."""
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        await store.run(lambda tx: tx.add_attachment(attachment(1)))
        await store.run(lambda tx: tx.add_attachment(attachment(2, author=FI)))

        async def leaving(now: float) -> list[str]:
            rows = await store.run(lambda tx: tx.lease_leaving(now=later(now), until=later(now + 60), limit=5))
            return [row.message for row in rows]

        assert await leaving(1) == []
        await store.run(lambda tx: tx.lease_outbox(now=later(1), until=later(60), token=_LEASE, limit=5))
        assert await store.run(lambda tx: tx.mark_published([message_id(1)], at=later(2), token=_LEASE)) == 1
        for named in ({"only": {SE}}, {"but": {FI}}):
            rows = await store.run(
                lambda tx, named=named: tx.lease_leaving(now=later(3), until=later(63), limit=5, **named)  # type: ignore[misc]
            )
            assert rows == ()
        assert await leaving(3) == [message_id(1)]
        assert await leaving(4) == []
        assert await leaving(64) == [message_id(1)]

    async def test_what_arrives_is_due_by_its_time(self, store: Store) -> None:
        """Others' attachments only, and none that owes nothing any more."""
        await store.run(lambda tx: tx.add_inbox(incoming(1), next_at=None))
        for row in (attachment(1, author=FI), attachment(2), attachment(3, author=FI, next_at=None)):
            await store.run(lambda tx, row=row: tx.add_attachment(row))  # type: ignore[misc]
        due = await store.run(lambda tx: tx.lease_arriving(now=later(1), until=later(60), limit=5))
        assert [row.message for row in due] == [message_id(1)]
        assert await store.run(lambda tx: tx.lease_arriving(now=later(2), until=later(60), limit=5)) == ()
        hours = later(2 * 3_600)  # by a clock that was set right since
        await store.run(lambda tx: tx.lease_arriving(now=later(61), until=hours, limit=5))
        assert len(await store.run(lambda tx: tx.lease_arriving(now=later(62), until=later(90), limit=5))) == 1

    async def test_a_question_for_chunks_may_wait_for_hours_but_not_for_days(self, store: Store) -> None:
        """Asked again and again its pause grows to six hours; a later moment was written before a clock was set right."""
        await store.run(lambda tx: tx.add_inbox(incoming(1), next_at=None))
        await store.run(lambda tx: tx.add_attachment(attachment(1, author=FI)))
        due = []
        for ahead in (6 * 3_600, 3 * 86_400):
            asked = replace(attachment(1, author=FI), attempts=5, next_at=later(ahead))
            await store.run(lambda tx, asked=asked: tx.save_attachment(asked))  # type: ignore[misc]
            due.append(len(await store.run(lambda tx: tx.lease_arriving(now=NOW, until=later(60), limit=5))))
        assert due == [0, 1]

    async def test_a_message_that_waited_for_its_attachments_goes_on(self, store: Store) -> None:
        """Either its adapter is offered it, or the officers' inbox has it."""
        for number, handed_over in ((1, None), (2, later(9))):
            await store.run(lambda tx, number=number: tx.add_inbox(incoming(number), next_at=None))  # type: ignore[misc]
            await store.run(
                lambda tx, number=number, handed_over=handed_over: tx.complete_inbox(  # type: ignore[misc]
                    FI, message_id(number), next_at=None if handed_over else later(5), handed_over=handed_over
                )
            )
        due = await store.run(lambda tx: tx.lease_inbox(now=later(6), until=later(60), token=_LEASE, limit=5))
        taken = await store.run(lambda tx: tx.inbox(FI, message_id(2)))
        assert [row.entry.id for row in due if isinstance(row, InboxRow)] == [message_id(1)]
        assert taken is not None
        assert (taken.state, taken.handed_over) == ("handed-over", later(9))

    async def test_parked_chunks_keep_to_the_places_of_their_user(self, store: Store) -> None:
        """The newest stay; a repeat makes way itself; another user's are not touched."""
        assert await store.run(lambda tx: tx.park_chunk(parked(0, publisher="SE"), max_items=2)) == ()
        for number in (1, 2):
            assert await store.run(lambda tx, number=number: tx.park_chunk(parked(number), max_items=2)) == ()  # type: ignore[misc]
        again = replace(parked(2), blob="e" * 32)
        assert await store.run(lambda tx: tx.park_chunk(again, max_items=2)) == (again,)
        assert await store.run(lambda tx: tx.park_chunk(parked(3), max_items=2)) == (parked(1),)
        names = [parked(0, publisher="SE").blob, parked(1).blob, parked(2).blob, parked(3).blob, "d" * 32]
        known = await store.read(lambda reader: reader.known_blobs(names))
        assert known == {names[0], names[2], names[3]}

    async def test_a_parked_chunk_is_adopted_when_its_message_is_here(self, store: Store) -> None:
        """Not before; and not any more once it is forgotten."""
        await store.run(lambda tx: tx.park_chunk(parked(1), max_items=5))
        assert await store.read(lambda reader: reader.adoptable_chunks(5)) == ()
        assert not await store.run(lambda tx: tx.heard_of(EE, FI, message_id(1)))
        await store.run(lambda tx: tx.add_attachment(attachment(1, author=FI)))
        assert await store.run(lambda tx: tx.heard_of(EE, FI, message_id(1)))
        assert await store.read(lambda reader: reader.adoptable_chunks(5)) == (parked(1),)
        await store.run(lambda tx: tx.unpark_chunk(parked(1).blob))
        assert await store.read(lambda reader: reader.adoptable_chunks(5)) == ()
