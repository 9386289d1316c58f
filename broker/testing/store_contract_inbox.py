# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite about the inbox: recording once, handing over, opening."""

# ruff: noqa: S105, S106 - tokens here are those of leases, no secrets

from __future__ import annotations

import asyncio
from dataclasses import replace

from broker.core.attention import AttentionCode, message_subject
from broker.ports import Store
from broker.rows import InboxRow, InboxState
from broker.testing.store_rows import BOARD, COURT, FI, NOW, SE, attention, incoming, kid, later, message_id

__all__ = ["InboxContract"]

_TOKEN = "worker-1"


async def take(store: Store, *, now: float = 0, token: str = _TOKEN, limit: int = 10) -> tuple[InboxRow, ...]:
    """Lease for a minute."""
    due = await store.run(lambda tx: tx.lease_inbox(now=later(now), until=later(now + 60), token=token, limit=limit))
    rows = tuple(row for row in due if isinstance(row, InboxRow))
    assert len(rows) == len(due)  # nothing is damaged here
    return rows


async def believe(store: Store, *numbers: int) -> None:
    """Record messages of FI that are due to be handed over."""
    for number in numbers:
        entry = incoming(number)
        assert await store.run(lambda tx, entry=entry: tx.add_inbox(entry, next_at=NOW))  # type: ignore[misc]


async def row(store: Store, number: int) -> InboxRow:
    """Return an entry of FI that is there."""
    found = await store.run(lambda tx: tx.inbox(FI, message_id(number)))
    assert found is not None
    return found


class InboxContract:
    """What we believed."""

    async def test_a_clock_that_was_ahead_holds_back_nothing_that_came(self, store: Store) -> None:
        """Nothing is put off or leased for hours: what says so was written before the clock was set to its own time zone."""
        hours = 2 * 3600
        await believe(store, 1, 2)
        assert len(await take(store, now=hours)) == 2
        assert await store.run(
            lambda tx: tx.retry_inbox(
                FI, message_id(1), next_at=later(hours + 300), error="adapter-failed", token=_TOKEN
            )
        )
        assert [row.entry.id for row in await take(store, token="now")] == [message_id(1), message_id(2)]
        assert await take(store, token="beside it") == ()

    async def test_what_fails_again_and_again_comes_before_nothing_that_is_new(self, store: Store) -> None:
        """Thousands of which each is due every few minutes: what came since has its turn beside them, the oldest first."""
        await believe(store, 1, 2, 3)
        for number in [leased.entry.id for leased in await take(store, limit=2)]:
            await store.run(
                lambda tx, number=number: tx.retry_inbox(  # type: ignore[misc]
                    FI, number, next_at=later(5), error="adapter-failed", token=_TOKEN
                )
            )
        await believe(store, 4, 5)
        batch = await take(store, now=10, limit=2)
        assert [leased.entry.id for leased in batch] == [message_id(number) for number in (1, 2, 3, 4)]
        assert [leased.entry.id for leased in await take(store, now=10, token="next")] == [message_id(5)]

    async def test_leases_go_to_some_offices_only_or_to_all_others(self, store: Store) -> None:
        """Whoever names none leases for all; what is left is due as before."""
        for number, office in ((1, BOARD), (2, COURT), (3, BOARD)):
            entry = incoming(number, authority=office)
            await store.run(lambda tx, entry=entry: tx.add_inbox(entry, next_at=NOW))  # type: ignore[misc]
        leased = []
        for only, but, token in (((), (BOARD,), "a"), ((COURT,), (), "b"), ((BOARD,), (), "c"), ((), (), "d")):
            rows = await store.run(
                lambda tx, only=only, but=but, token=token: tx.lease_inbox(  # type: ignore[misc]
                    now=NOW, until=later(60), token=token, limit=9, only=only, but=but
                )
            )
            leased.append(sorted(row.entry.id for row in rows if isinstance(row, InboxRow)))
        assert leased == [[message_id(2)], [], [message_id(1), message_id(3)], []]

    async def test_a_received_message_comes_back_as_it_was(self, store: Store) -> None:
        """Content, keys, list version and times are kept."""
        assert await store.run(lambda tx: tx.add_inbox(incoming(1), next_at=later(1))) is True
        assert await row(store, 1) == InboxRow(entry=incoming(1), state=InboxState.RECORDED, next_at=later(1))
        assert await store.run(lambda tx: tx.inbox(SE, message_id(1))) is None

    async def test_messages_are_found_by_the_keys_that_signed_them(self, store: Store) -> None:
        """Either signature counts, from a moment on, oldest first, whatever became of them."""
        for number, seconds, signers in ((1, 1, "em"), (2, 3, "em"), (3, 2, "ex"), (4, 4, "xy")):
            entry = replace(incoming(number), received=later(seconds), signer_kids=(kid(signers[0]), kid(signers[1])))
            await store.run(lambda tx, e=entry: tx.add_inbox(e, next_at=None, handed_over=NOW))  # type: ignore[misc]
        ids = {number: message_id(number) for number in (1, 2, 3)}

        async def found(letter: str, since: float) -> tuple[str, ...]:
            return await store.run(lambda tx: tx.inbox_signed_with(kid(letter), since=later(since)))

        for letter, since, expected in (("e", 0, (1, 3, 2)), ("e", 2, (3, 2)), ("m", 1, (1, 2)), ("q", 0, ())):
            assert await found(letter, since) == tuple(ids[number] for number in expected)

    async def test_what_no_adapter_takes_is_handed_over_at_once(self, store: Store) -> None:
        """State and time are kept, and it is never leased."""
        entry = incoming(1)
        assert await store.run(lambda tx: tx.add_inbox(entry, next_at=None, handed_over=later(2))) is True
        handed = InboxRow(entry=entry, state=InboxState.HANDED_OVER, next_at=None, handed_over=later(2))
        assert await row(store, 1) == handed
        assert await take(store, now=1000) == ()
        assert await row(store, 1) == handed

    async def test_a_message_is_recorded_once(self, store: Store) -> None:
        """The same id of the same sender is not written again; another sender's is another message."""
        await believe(store, 1)
        second = incoming(1, act="result")
        assert await store.run(lambda tx: tx.add_inbox(second, next_at=NOW)) is False
        assert (await row(store, 1)).entry == incoming(1)
        assert await store.run(lambda tx: tx.add_inbox(incoming(1, sender=SE), next_at=NOW)) is True
        assert (await row(store, 1)).entry.sender == FI

    async def test_the_unique_key_decides_between_workers(self, store: Store, another: Store) -> None:
        """Of many that record the same message at once, one hears True."""
        entry = incoming(1)
        added = await asyncio.gather(
            *(worker.run(lambda tx: tx.add_inbox(entry, next_at=NOW)) for worker in (store, another) for _ in range(6))
        )
        assert sorted(added) == [False] * 11 + [True]

    async def test_hand_over_is_leased_oldest_first(self, store: Store) -> None:
        """What is due, within the limit, and not again before the lease is over."""
        await believe(store, 2, 1, 3)
        await store.run(lambda tx: tx.add_inbox(incoming(0), next_at=later(500)))
        first = await take(store, limit=2)
        assert [r.entry.id for r in first] == [message_id(1), message_id(2)]
        assert [r.entry.id for r in await take(store, token="worker-2")] == [message_id(3)]
        assert await take(store, now=59.999) == ()
        assert len(await take(store, now=60, token="worker-3")) == 3

    async def test_handing_over_ends_the_lease(self, store: Store) -> None:
        """State and time are kept, and it is not leased again."""
        await believe(store, 1)
        await take(store)
        assert await store.run(lambda tx: tx.mark_handed_over(FI, message_id(1), at=later(5), token=_TOKEN)) is True
        handed = await row(store, 1)
        assert (handed.state, handed.handed_over, handed.lease) == (InboxState.HANDED_OVER, later(5), None)
        assert await take(store, now=1000) == ()
        assert await store.run(lambda tx: tx.mark_handed_over(FI, message_id(1), at=later(6), token=_TOKEN)) is False
        assert await row(store, 1) == handed

    async def test_who_lost_the_lease_hands_nothing_over(self, store: Store) -> None:
        """The worker that was too slow learns it, and the entry is as the second one has it."""
        await believe(store, 1)
        await take(store, token="first")
        await take(store, now=60, token="second")
        before, message = await row(store, 1), message_id(1)
        assert await store.run(lambda tx: tx.mark_handed_over(FI, message, at=NOW, token="first")) is False
        assert (
            await store.run(lambda tx: tx.retry_inbox(FI, message, next_at=NOW, error="adapter-failed", token="first"))
            is False
        )
        assert await row(store, 1) == before

    async def test_a_failed_hand_over_counts_and_waits(self, store: Store) -> None:
        """The attempt and its code are kept; it is leased again when its time has come."""
        await believe(store, 1)
        await take(store)
        assert await store.run(
            lambda tx: tx.retry_inbox(FI, message_id(1), next_at=later(30), error="adapter-failed", token=_TOKEN)
        )
        failed = await row(store, 1)
        assert (failed.attempts, failed.error, failed.next_at, failed.lease) == (1, "adapter-failed", later(30), None)
        assert await take(store, now=29.999) == ()
        assert len(await take(store, now=30)) == 1

    async def test_opening_is_noted_once(self, store: Store) -> None:
        """The first time stays."""
        await believe(store, 1)
        await take(store)
        await store.run(lambda tx: tx.mark_handed_over(FI, message_id(1), at=later(5), token=_TOKEN))
        assert await store.run(lambda tx: tx.mark_opened(FI, message_id(1), at=later(7))) is True
        opened = await row(store, 1)
        assert (opened.state, opened.handed_over, opened.opened) == (InboxState.OPENED, later(5), later(7))
        assert await store.run(lambda tx: tx.mark_opened(FI, message_id(1), at=later(9))) is False
        assert await row(store, 1) == opened
        assert await store.run(lambda tx: tx.mark_opened(SE, message_id(1), at=later(9))) is False

    async def test_what_was_opened_first_is_still_handed_over(self, store: Store) -> None:
        """An officer who was faster than the national system does not keep the message from it."""
        await believe(store, 1)
        await store.run(lambda tx: tx.mark_opened(FI, message_id(1), at=later(3)))
        (leased,) = await take(store)
        assert leased.state is InboxState.OPENED
        assert await store.run(lambda tx: tx.mark_handed_over(FI, message_id(1), at=later(5), token=_TOKEN)) is True
        both = await row(store, 1)
        assert (both.state, both.handed_over, both.opened) == (InboxState.OPENED, later(5), later(3))
        assert await take(store, now=1000) == ()

    async def test_unread_is_measured_from_the_step_into_the_state(self, store: Store) -> None:
        """Recorded since reception, handed over since then; latest first, and with office and step, not content."""
        await believe(store, 2, 1)

        async def overdue(state: InboxState, until: float, after: float | None = None, limit: int = 9) -> list[str]:
            since = None if after is None else later(after)
            rows = await store.read(
                lambda reader: reader.overdue_inbox(
                    state=state, code=AttentionCode.UNREAD, after=since, until=later(until), limit=limit
                )
            )
            for row in rows:
                held = await store.run(lambda tx, row=row: tx.inbox(row.sender, row.id))  # type: ignore[misc]
                assert row.authority == held.entry.header.recipient.authority
                assert await store.run(
                    lambda tx, row=row: tx.inbox_waits(row.sender, row.id, state=state, since=row.since)  # type: ignore[misc]
                )
            return [row.id for row in rows]

        assert await overdue(InboxState.RECORDED, 0.9) == []
        assert await overdue(InboxState.RECORDED, 2) == [message_id(2), message_id(1)]
        assert await overdue(InboxState.RECORDED, 2, limit=1) == [message_id(2)]
        assert await overdue(InboxState.RECORDED, 2, after=1) == [message_id(2)]
        await take(store, limit=1)
        await store.run(lambda tx: tx.mark_handed_over(FI, message_id(1), at=later(50), token=_TOKEN))
        assert await overdue(InboxState.RECORDED, 100) == [message_id(2)]
        assert await overdue(InboxState.HANDED_OVER, 49) == []
        assert await overdue(InboxState.HANDED_OVER, 50) == [message_id(1)]

    async def test_what_an_office_is_called_for_is_not_found_unread_again(self, store: Store) -> None:
        """While the call is open, and by its own code; another country's message of one id has a call of its own."""
        await believe(store, 1)
        code = AttentionCode.UNREAD

        async def overdue(of: AttentionCode) -> int:
            rows = await store.read(
                lambda reader: reader.overdue_inbox(
                    state=InboxState.RECORDED, code=of, after=None, until=later(9), limit=9
                )
            )
            return len(rows)

        await store.run(
            lambda tx: tx.raise_attention(replace(attention(message_subject(SE, message_id(1))), code=code))
        )
        assert await overdue(code) == 1
        subject = message_subject(FI, message_id(1))
        await store.run(lambda tx: tx.raise_attention(replace(attention(subject), code=code)))
        assert (await overdue(code), await overdue(AttentionCode.UNREAD_LONG)) == (0, 1)
        await store.run(lambda tx: tx.resolve_attention(code, subject, at=NOW, by="officer"))
        assert await overdue(code) == 1

    async def test_what_was_read_as_unread_may_be_opened_since(self, store: Store) -> None:
        """Nobody is called for what went on meanwhile, nor for what waits in that state since another time."""
        await believe(store, 1)

        async def waits(state: InboxState, since: float) -> bool:
            return await store.run(lambda tx: tx.inbox_waits(FI, message_id(1), state=state, since=later(since)))

        assert await waits(InboxState.RECORDED, 1)
        assert not await waits(InboxState.RECORDED, 2)
        await store.run(lambda tx: tx.mark_opened(FI, message_id(1), at=later(3)))
        assert not await waits(InboxState.RECORDED, 1)
