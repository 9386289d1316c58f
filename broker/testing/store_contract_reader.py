# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite about reading: pages, filters, what an authority may see, gauges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from broker.core.errors import BadCursor
from broker.core.ids import AuthorityId, MessageType
from broker.core.messages import OutboxKind, RecordEntry
from broker.core.receipts import ReceiptKind
from broker.ports import Reader, Store, Transaction
from broker.rows import AuditRow, MessageFilter, MessageRow, Page
from broker.testing.store_rows import (
    BOARD,
    COURT,
    EE,
    FI,
    NOW,
    SE,
    digest,
    incoming,
    later,
    message_id,
    outgoing,
    procedure,
    procedure_id,
    receipt,
    record_entry,
)

__all__ = ["ReaderContract"]

Listing = Callable[[Reader, str | None, int], Page]


async def walk(store: Store, listing: Listing, *, limit: int) -> list[Any]:
    """Return all items of a list, page by page."""
    items: list[Any] = []
    cursor: str | None = None
    while True:
        page = await store.read(lambda reader, cursor=cursor: listing(reader, cursor, limit))  # type: ignore[misc]
        assert len(page.items) <= limit
        items += page.items
        cursor = page.next
        if cursor is None:
            return items


def messages(wanted: MessageFilter) -> Listing:
    """Return the listing of messages."""
    return lambda reader, cursor, limit: reader.messages(wanted, cursor=cursor, limit=limit)


async def fill(store: Store) -> None:
    """Write six messages of three countries and two of our authorities, and one envelope of receipts."""
    await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
    await store.run(lambda tx: tx.add_outbox(outgoing(3, recipient=SE, authority=COURT), next_at=NOW))
    await store.run(lambda tx: tx.add_outbox(outgoing(5, act="result", in_procedure=2), next_at=NOW))
    await store.run(lambda tx: tx.add_outbox(outgoing(7, kind=OutboxKind.RECEIPTS), next_at=NOW))
    await store.run(lambda tx: tx.add_inbox(incoming(2), next_at=NOW))
    await store.run(lambda tx: tx.add_inbox(incoming(4, sender=SE, authority=COURT), next_at=NOW))
    await store.run(lambda tx: tx.add_inbox(incoming(5, in_procedure=2), next_at=NOW))


def named(rows: list[MessageRow]) -> list[tuple[str, int]]:
    """Return direction and number of each."""
    return [(row.direction, int(row.id[-12:], 16)) for row in rows]


_ALL = [("out", 5), ("in", 5), ("in", 4), ("out", 3), ("in", 2), ("out", 1)]


class ReaderContract:
    """What can be looked at."""

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_messages_of_both_directions_are_one_list(self, store: Store, limit: int) -> None:
        """Newest first, page by page without gap or repetition; receipts' envelopes are not casework."""
        await fill(store)
        assert named(await walk(store, messages(MessageFilter()), limit=limit)) == _ALL

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (MessageFilter(direction="in"), [("in", 5), ("in", 4), ("in", 2)]),
            (MessageFilter(direction="out"), [("out", 5), ("out", 3), ("out", 1)]),
            (MessageFilter(peer=SE), [("in", 4), ("out", 3)]),
            (MessageFilter(procedure=procedure_id(2)), [("out", 5), ("in", 5)]),
            (MessageFilter(type="family-tracing.result"), [("out", 5)]),
            (MessageFilter(state="recorded"), _ALL),
            (MessageFilter(state="opened"), []),
            (MessageFilter(authority=COURT), [("in", 4), ("out", 3)]),
            (MessageFilter(authority=COURT, direction="in", peer=SE), [("in", 4)]),
            (MessageFilter(authority=AuthorityId("nobody")), []),
        ],
    )
    async def test_a_filter_limits_the_list(
        self, store: Store, wanted: MessageFilter, expected: list[tuple[str, int]]
    ) -> None:
        """Each condition narrows it, on every page."""
        await fill(store)
        assert named(await walk(store, messages(wanted), limit=1)) == expected

    async def test_a_state_that_a_thousand_messages_are_in_is_listed_as_any_other(self, store: Store) -> None:
        """The newest first, page by page, also of one office."""
        count = 1_004
        ours = [outgoing(n, authority=COURT if n % 500 == 0 else BOARD) for n in range(count)]

        def owe(tx: Transaction) -> None:
            for entry in ours:
                tx.add_outbox(entry, next_at=NOW)

        await store.run(owe)
        await store.run(lambda tx: tx.settle_outbox([receipt(count - 1)]))
        recorded = MessageFilter(state="recorded")
        found = await walk(store, messages(recorded), limit=400)
        assert named(found) == [("out", n) for n in reversed(range(count - 1))]
        assert named(await walk(store, messages(replace(recorded, authority=COURT)), limit=2)) == [
            ("out", 1000),
            ("out", 500),
            ("out", 0),
        ]

    async def test_a_message_is_found_by_its_digest_in_whichever_record(self, store: Store) -> None:
        """Also limited by a country; what another country wrote under the same id has another one."""
        await fill(store)
        theirs = incoming(5, in_procedure=2)
        await store.run(lambda tx: tx.add_procedure(procedure(2)))
        for entry in (outgoing(5, act="result", in_procedure=2), theirs):
            noted = RecordEntry.of(entry.header, entry.digest)
            await store.run(lambda tx, noted=noted: tx.add_record_entry(procedure_id(2), noted))  # type: ignore[misc]
        for wanted, expected in (
            (MessageFilter(digest=theirs.digest), [("in", 5)]),
            (MessageFilter(digest=theirs.digest, peer=FI, authority=BOARD), [("in", 5)]),
            (MessageFilter(digest=theirs.digest, peer=SE), []),
            (MessageFilter(digest=digest("nothing")), []),
        ):
            assert named(await walk(store, messages(wanted), limit=1)) == expected

    async def test_procedures_that_are_over_are_left_out(self, store: Store) -> None:
        """Of those that go on, the newest first, page by page; what is erased goes on no more."""
        for number, state in enumerate(("OPEN", "CLOSED", "REFUSED", "OPEN", "OPEN", "STRANGE"), start=1):
            row = replace(procedure(number), state=state)
            await store.run(lambda tx, row=row: tx.add_procedure(row))  # type: ignore[misc]
        await store.run(lambda tx: tx.retention.mark_erased(procedure_id(4), NOW))

        def going_on(reader: Reader, cursor: str | None, limit: int) -> Page:
            return reader.open_procedures({"CLOSED", "REFUSED"}, cursor=cursor, limit=limit)

        for limit in (1, 9):
            assert [row.ref.id[-1] for row in await walk(store, going_on, limit=limit)] == ["6", "5", "1"]

    async def test_a_listed_message_has_its_life_but_no_content(self, store: Store) -> None:
        """Header, times and codes as they stand."""
        await fill(store)
        refusal = receipt(1, ReceiptKind.REFUSED, at=9, code="expired")
        await store.run(lambda tx: tx.settle_outbox([refusal]))
        page = await store.read(
            lambda reader: reader.messages(MessageFilter(direction="out", state="refused"), cursor=None, limit=5)
        )
        assert page.items == (
            MessageRow(
                direction="out",
                id=message_id(1),
                digest=outgoing(1).digest,
                peer=FI,
                authority=BOARD,
                header=outgoing(1).header,
                state="refused",
                at=later(1),
                refused=later(9),
                refusal_code="expired",
            ),
        )

    async def test_a_message_alone_has_its_content(self, store: Store) -> None:
        """Outbound first where both directions use the id."""
        await fill(store)
        sent, *_ = await store.read(lambda reader: reader.messages_of(message_id(5), None))
        assert (sent.direction, sent.content) == ("out", outgoing(5, act="result", in_procedure=2).content)
        await store.run(lambda tx: tx.mark_opened(FI, message_id(2), at=later(50)))
        (received,) = await store.read(lambda reader: reader.messages_of(message_id(2), BOARD))
        assert (received.direction, received.content, received.peer) == ("in", incoming(2).content, FI)
        assert (received.header, received.state, received.opened) == (incoming(2).header, "opened", later(50))

    async def test_a_message_is_hidden_from_other_authorities(self, store: Store) -> None:
        """Another authority's is as absent as an unknown one, and a namesake of its own stands beside it."""
        await fill(store)
        assert await store.read(lambda reader: reader.messages_of(message_id(3), BOARD)) == ()
        assert await store.read(lambda reader: reader.messages_of(message_id(99), BOARD)) == ()
        assert await store.read(lambda reader: reader.messages_of(message_id(7), None)) == ()
        await store.run(lambda tx: tx.add_inbox(incoming(2, sender=SE, authority=COURT), next_at=NOW))
        for authority, sender in ((BOARD, FI), (COURT, SE)):
            rows = await store.read(lambda reader, a=authority: reader.messages_of(message_id(2), a))  # type: ignore[misc]
            assert [row.peer for row in rows] == [sender]
        every = await store.read(lambda reader: reader.messages_of(message_id(2), None))
        assert {row.peer for row in every} == {FI, SE}

    async def test_procedures_are_listed_per_authority(self, store: Store) -> None:
        """Newest first; one alone only to its own authority."""
        for number in (1, 2, 3, 4):
            row = procedure(number, authority=COURT if number == 2 else BOARD)
            await store.run(lambda tx, row=row: tx.add_procedure(row))  # type: ignore[misc]

        def listing(authority: AuthorityId | None) -> Listing:
            return lambda reader, cursor, limit: reader.procedures(authority, cursor=cursor, limit=limit)

        everything = await walk(store, listing(None), limit=2)
        assert [row.ref.id for row in everything] == [procedure_id(n) for n in (4, 3, 2, 1)]
        ours = await walk(store, listing(BOARD), limit=1)
        assert [row.ref.id for row in ours] == [procedure_id(n) for n in (4, 3, 1)]
        assert await store.read(lambda reader: reader.procedure(procedure_id(2), COURT)) == everything[2]
        assert await store.read(lambda reader: reader.procedure(procedure_id(2), None)) == everything[2]
        assert await store.read(lambda reader: reader.procedure(procedure_id(2), BOARD)) is None
        assert await store.read(lambda reader: reader.procedure(procedure_id(9), None)) is None

    async def test_a_record_and_its_evidence_can_be_read(self, store: Store) -> None:
        """The same values as in a transaction."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        await store.run(lambda tx: tx.add_record_entry(procedure_id(1), record_entry(1)))
        delivered, opened = receipt(1, at=1), receipt(1, ReceiptKind.OPENED, at=2)
        for row in (opened, delivered, receipt(2)):
            await store.run(lambda tx, row=row: tx.add_receipt(row, issued=False))  # type: ignore[misc]
        assert await store.read(lambda reader: reader.record(procedure_id(1))) == (record_entry(1),)
        assert await store.read(lambda reader: reader.procedure_receipts(procedure_id(1))) == (delivered,)
        assert await store.read(lambda reader: reader.procedure_evidence(procedure_id(1))) == (delivered, opened)
        assert await store.read(lambda reader: reader.receipts_about(EE, message_id(1))) == (delivered, opened)
        assert await store.read(lambda reader: reader.receipts_about(FI, message_id(1))) == ()

    async def test_how_far_the_messages_of_a_procedure_got_needs_no_content(self, store: Store) -> None:
        """Our own ones of that procedure alone, with the time at which each was confirmed."""
        await fill(store)
        found = await store.read(lambda reader: reader.procedure_sent(procedure_id(1)))
        listed = await walk(store, messages(MessageFilter(direction="out", procedure=procedure_id(1))), limit=50)
        assert [(row.id, row.at, row.published) for row in found] == [
            (row.id, row.at, row.published) for row in reversed(listed)
        ]
        assert {row.direction for row in found} == {"out"}
        assert await store.read(lambda reader: reader.procedure_sent(procedure_id(9))) == ()

    async def test_what_stands_declared_is_by_the_openers_of_what_is_open(self, store: Store) -> None:
        """Of each the newest, ours first; not what was refused, what is over, or what the other side of one says."""
        kind = MessageType("family-tracing.request")
        theirs = replace(procedure(2), opener=FI)
        over = replace(procedure(3), state="CLOSED")
        for row in (procedure(1), theirs, over):
            await store.run(lambda tx, row=row: tx.add_procedure(row))  # type: ignore[misc]
        assert await store.read(lambda reader: reader.declarations(kind, over=frozenset({"CLOSED"}), limit=5)) == ()
        for number, within in ((1, 1), (3, 1), (5, 1), (6, 2), (7, 3)):
            entry = outgoing(number, in_procedure=within)
            await store.run(lambda tx, entry=entry: tx.add_outbox(entry, next_at=NOW))  # type: ignore[misc]
        for number, within in ((2, 2), (4, 2), (8, 1)):
            came = incoming(number, in_procedure=within)
            await store.run(lambda tx, came=came: tx.add_inbox(came, next_at=NOW))  # type: ignore[misc]
        await store.run(lambda tx: tx.settle_outbox([receipt(5, ReceiptKind.REFUSED, at=9, code="expired")]))

        found = await store.read(lambda reader: reader.declarations(kind, over=frozenset({"CLOSED"}), limit=5))
        assert [(said.opener, said.message) for said in found] == [
            (EE, message_id(3)),
            (FI, message_id(4)),
        ]
        assert [said.procedure for said in found] == [procedure_id(1), procedure_id(2)]
        assert (found[0].content, found[1].content) == (
            outgoing(3).content,
            incoming(4, in_procedure=2).content,
        )
        newest = await store.read(lambda reader: reader.declarations(kind, over=frozenset({"CLOSED"}), limit=1))
        assert [said.message for said in newest] == [message_id(3), message_id(4)]
        other = MessageType("placement.request")
        assert await store.read(lambda reader: reader.declarations(other, over=frozenset(), limit=5)) == ()

    async def test_audit_is_paged(self, store: Store) -> None:
        """Newest first without gap."""
        for number in range(5):
            row = AuditRow(at=NOW, actor="officer-1", action="submit", subject=str(number))
            await store.run(lambda tx, row=row: tx.audit(row))  # type: ignore[misc]
        rows = await walk(store, lambda reader, cursor, limit: reader.audit(cursor=cursor, limit=limit), limit=2)
        assert [row.subject for row in rows] == ["4", "3", "2", "1", "0"]

    @pytest.mark.parametrize(
        "cursor",
        ["", "?", "WzFd=", "bm8", "W10", "WzFd", "WyJhIl0", "WzEsMl0", "WzEsIngiLCJvdXQiLDFd",
         "WzE4NDQ2NzQ0MDczNzA5NTUxNjE2LCJ4IiwieCIsIngiXQ", "WzEsIlx1MDAwMCIsIngiLCJ4Il0", "é", "x" * 10_000],
    )  # fmt: skip
    async def test_a_cursor_that_is_none_of_ours_is_refused(self, store: Store, cursor: str) -> None:
        """Malformed ones and those of other lists alike."""
        with pytest.raises(BadCursor):
            await store.read(lambda reader: reader.messages(MessageFilter(), cursor=cursor, limit=5))

    async def test_a_cursor_of_another_list_is_refused(self, store: Store) -> None:
        """Each list takes its own kind."""
        for number in (1, 2):
            await store.run(lambda tx, n=number: tx.add_outbox(outgoing(n), next_at=NOW))  # type: ignore[misc]
        page = await store.read(lambda reader: reader.messages(MessageFilter(), cursor=None, limit=1))
        assert page.next is not None
        for listing in (
            lambda reader: reader.procedures(None, cursor=page.next, limit=1),
            lambda reader: reader.attention(None, open_only=True, cursor=page.next, limit=1),
            lambda reader: reader.audit(cursor=page.next, limit=1),
        ):
            with pytest.raises(BadCursor):
                await store.read(listing)

    async def test_gauges_are_there_before_anything_is(self, store: Store) -> None:
        """Every state has its number, zero at first."""
        counts = await store.read(lambda reader: reader.counts())
        assert set(counts.values()) == {0}
        assert {"outbox.recorded", "outbox.done", "inbox.opened", "quarantine", "parked", "attention"} < set(counts)
        await fill(store)
        counts = await store.read(lambda reader: reader.counts())
        assert (counts["outbox.recorded"], counts["inbox.recorded"], counts["outbox.published"]) == (4, 3, 0)
