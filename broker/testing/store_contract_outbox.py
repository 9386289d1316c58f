# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite about sending: leases, sealed bytes, publishing, and what is sent again."""

# ruff: noqa: S105, S106 - tokens here are those of leases, no secrets

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from broker.core.messages import OutboxKind
from broker.core.receipts import ReceiptKind
from broker.ports import Store, Transaction
from broker.rows import OutboxRow, OutboxState, OwedEntry
from broker.testing.store_rows import FI, NOW, SE, kid, later, message_id, outgoing, receipt, sealed

__all__ = ["TOKEN", "OutboxContract", "lease", "owe", "publish", "row"]

TOKEN = "worker-1"
_DELIVERED, _HANDED_OVER, _OPENED = ReceiptKind.DELIVERED, ReceiptKind.HANDED_OVER, ReceiptKind.OPENED


async def owe(store: Store, *numbers: int, kind: OutboxKind = OutboxKind.MESSAGE) -> None:
    """Add entries that are due now."""
    for number in numbers:
        entry = outgoing(number, kind=kind)
        await store.run(lambda tx, entry=entry: tx.add_outbox(entry, next_at=NOW))  # type: ignore[misc]


async def lease(store: Store, *, now: float = 0, token: str = TOKEN, limit: int = 10) -> tuple[OwedEntry, ...]:
    """Lease for a minute."""
    return await store.run(lambda tx: tx.lease_outbox(now=later(now), until=later(now + 60), token=token, limit=limit))


async def publish(store: Store, number: int, *, at: float = 10) -> bool:
    """Seal and publish a leased entry."""
    assert await store.run(lambda tx: tx.save_sealed([sealed(number)], token=TOKEN))
    return await store.run(lambda tx: tx.mark_published([message_id(number)], at=later(at), token=TOKEN)) == 1


async def row(store: Store, number: int) -> OutboxRow:
    """Return an entry that is there."""
    found = await store.run(lambda tx: tx.outbox(message_id(number)))
    assert found is not None
    return found


class OutboxContract:
    """What we owe."""

    async def test_an_entry_comes_back_as_it_was(self, store: Store) -> None:
        """Content, header and times are kept to the byte and the millisecond."""
        entry = outgoing(1)
        await store.run(lambda tx: tx.add_outbox(entry, next_at=later(0.001)))
        expected = OutboxRow(entry=entry, state=OutboxState.RECORDED, next_at=later(0.001))
        assert await row(store, 1) == expected
        assert await store.run(lambda tx: tx.outbox(message_id(2))) is None

    async def test_leases_go_oldest_first_and_only_to_what_is_due(self, store: Store) -> None:
        """The limit is kept, what is not due is left, what is leased is not leased again until the lease is over."""
        await owe(store, 3, 1, 2)
        await store.run(lambda tx: tx.add_outbox(outgoing(0), next_at=later(500)))
        first = await lease(store, limit=2)
        assert [r.id for r in first] == [message_id(1), message_id(2)]
        assert (await row(store, 1)).lease == TOKEN
        assert [r.id for r in await lease(store, token="worker-2")] == [message_id(3)]
        assert await lease(store, now=59.999, token="worker-3") == ()
        again = await lease(store, now=60, token="worker-3")
        assert [r.id for r in again] == [message_id(1), message_id(2), message_id(3)]

    async def test_leases_go_to_some_recipients_only_or_to_all_others(self, store: Store) -> None:
        """Whoever names none leases to all; what is left is due as before."""
        for number, recipient in ((1, FI), (2, SE), (3, FI)):
            entry = outgoing(number, recipient=recipient)
            await store.run(lambda tx, entry=entry: tx.add_outbox(entry, next_at=NOW))  # type: ignore[misc]
        leased = []
        for only, but, token in (((), (FI,), "a"), ((SE,), (), "b"), ((FI,), (), "c"), ((), (), "d")):
            rows = await store.run(
                lambda tx, only=only, but=but, token=token: tx.lease_outbox(  # type: ignore[misc]
                    now=NOW, until=later(60), token=token, limit=9, only=only, but=but
                )
            )
            leased.append([row.id for row in rows])
        assert leased == [[message_id(2)], [], [message_id(1), message_id(3)], []]

    async def test_a_clock_that_was_ahead_holds_nothing_back(self, store: Store) -> None:
        """Nothing is put off or leased for hours: what says so was written before the clock was set to its own time zone."""
        hours = 2 * 3600
        await owe(store, 1, 2)
        assert len(await lease(store, now=hours)) == 2
        assert await store.run(
            lambda tx: tx.retry_outbox(message_id(1), next_at=later(hours + 300), error="unroutable", token=TOKEN)
        )
        assert [entry.id for entry in await lease(store, token="now")] == [message_id(1), message_id(2)]
        assert await lease(store, token="beside it") == ()

    async def test_a_lease_brings_what_sending_takes(self, store: Store) -> None:
        """Content, addressee, office and the failures so far come with it, and what was sealed before."""
        entry = outgoing(1)
        await store.run(lambda tx: tx.add_outbox(entry, next_at=NOW))
        await lease(store)
        await store.run(lambda tx: tx.save_sealed([sealed(1)], token=TOKEN))
        await store.run(lambda tx: tx.retry_outbox(entry.id, next_at=NOW, error="unroutable", token=TOKEN))
        assert await lease(store) == (
            OwedEntry(
                id=entry.id,
                kind=entry.kind,
                recipient=entry.recipient,
                exercise=entry.exercise,
                authority=entry.header.sender.authority,
                content=entry.content,
                created=entry.created,
                attempts=1,
                error="unroutable",
                envelope=sealed(1),
            ),
        )

    async def test_a_lost_lease_writes_nothing(self, store: Store) -> None:
        """After another worker took over, the first one's writes say False and change nothing."""
        await owe(store, 1)
        await lease(store, token="first")
        await lease(store, now=60, token="second")
        before = await row(store, 1)
        envelope, message = sealed(1), message_id(1)
        assert await store.run(lambda tx: tx.save_sealed([envelope], token="first")) == frozenset()
        assert await store.run(lambda tx: tx.mark_published([message], at=NOW, token="first")) == 0
        assert (
            await store.run(lambda tx: tx.retry_outbox(message, next_at=NOW, error="unroutable", token="first"))
            is False
        )
        assert await row(store, 1) == before
        assert await store.run(lambda tx: tx.save_sealed([envelope], token="second")) == {envelope.id}

    async def test_of_a_batch_what_is_still_held_is_written(self, store: Store) -> None:
        """Whoever lost some of its leases is told of the others, and only those are written."""
        for number in range(1, 11):
            await owe(store, number)
        await lease(store, token="first")
        await store.run(lambda tx: tx.reopen_outbox(message_id(3), now=NOW, reseal=False, count_resend=False))
        ids = [message_id(number) for number in range(1, 11)]
        held = frozenset(ids) - {message_id(3)}
        batch = [sealed(number) for number in range(1, 11)]
        assert await store.run(lambda tx: tx.save_sealed(batch, token="first")) == held
        assert await store.run(lambda tx: tx.mark_published(ids, at=NOW, token="first")) == 9
        rows = [await row(store, number) for number in range(1, 11)]
        assert [item.entry.id for item in rows if item.envelope is None] == [message_id(3)]
        assert [item.entry.id for item in rows if item.state is OutboxState.RECORDED] == [message_id(3)]

    async def test_sealed_bytes_are_kept_before_publishing(self, store: Store) -> None:
        """They come back identical, and newer ones take their place."""
        await owe(store, 1)
        await lease(store)
        assert await store.run(lambda tx: tx.save_sealed([sealed(1)], token=TOKEN))
        assert (await row(store, 1)).envelope == sealed(1)
        newer = replace(sealed(1, size=40_000), trust_version=8, recipient_kid=kid("n"))
        assert await store.run(lambda tx: tx.save_sealed([newer], token=TOKEN))
        assert (await row(store, 1)).envelope == newer
        (leased,) = await lease(store, now=60)
        assert leased.envelope == newer

    async def test_an_envelope_of_receipts_is_given_up_under_its_lease(self, store: Store) -> None:
        """It is DONE without having left, and never leased again; casework is never given up."""
        await owe(store, 1)
        await owe(store, 2, kind=OutboxKind.RECEIPTS)
        await lease(store)

        def give_up(number: int, token: str = TOKEN) -> Callable[[Transaction], bool]:
            return lambda tx: tx.give_up_receipts(message_id(number), at=later(10), error="store-corrupt", token=token)

        assert not await store.run(give_up(1))
        assert not await store.run(give_up(2, token="another"))
        assert await store.run(give_up(2))
        assert not await store.run(give_up(2))
        gone = await row(store, 2)
        assert (gone.state, gone.published, gone.error, gone.lease) == (OutboxState.DONE, None, "store-corrupt", None)
        assert [one.id for one in await lease(store, now=1000)] == [message_id(1)]

    async def test_publishing_ends_the_lease(self, store: Store) -> None:
        """A message is PUBLISHED, an envelope of receipts DONE; neither is leased again."""
        await owe(store, 1)
        await owe(store, 2, kind=OutboxKind.RECEIPTS)
        await lease(store)
        assert await publish(store, 1)
        assert await publish(store, 2)
        message, receipts = await row(store, 1), await row(store, 2)
        assert (message.state, message.published, message.lease) == (OutboxState.PUBLISHED, later(10), None)
        assert (receipts.state, receipts.published) == (OutboxState.DONE, later(10))
        assert await lease(store, now=1000) == ()
        assert await store.run(lambda tx: tx.mark_published([message_id(1)], at=NOW, token=TOKEN)) == 0

    async def test_a_retry_counts_and_waits(self, store: Store) -> None:
        """The attempt and its code are kept, and the entry is leased again only when its time has come."""
        await owe(store, 1)
        await lease(store)
        retry = await store.run(
            lambda tx: tx.retry_outbox(message_id(1), next_at=later(30), error="unroutable", token=TOKEN)
        )
        assert retry is True
        failed = await row(store, 1)
        assert (failed.attempts, failed.error, failed.next_at, failed.lease) == (1, "unroutable", later(30), None)
        assert await lease(store, now=29.999) == ()
        assert len(await lease(store, now=30)) == 1

    async def test_what_failed_is_given_back_alone(self, store: Store) -> None:
        """The others of its batch stay leased, with no failure counted: they are being sent."""
        await owe(store, 1, 2)
        await lease(store)
        for number, message in ((1, message_id(1)), (2, message_id(2))):
            assert await store.run(
                lambda tx, message=message: tx.retry_outbox(  # type: ignore[misc]
                    message, next_at=later(30), error="unroutable", token=TOKEN
                )
            )
            found = [await row(store, one) for one in (1, 2)]
            assert [one.attempts for one in found] == [1, number - 1]
            assert [one.lease for one in found] == [None, TOKEN if number == 1 else None]

    async def test_reopening_publishes_again(self, store: Store) -> None:
        """A published entry goes back to RECORDED, with or without its sealed bytes, and resends are counted."""
        await owe(store, 1)
        await lease(store)
        await publish(store, 1)
        message = message_id(1)
        assert await store.run(lambda tx: tx.reopen_outbox(message, now=later(100), reseal=False, count_resend=True))
        reopened = await row(store, 1)
        assert (reopened.state, reopened.resends, reopened.next_at) == (OutboxState.RECORDED, 1, later(100))
        assert reopened.envelope == sealed(1)
        assert await store.run(lambda tx: tx.reopen_outbox(message, now=later(200), reseal=True, count_resend=False))
        resealed = await row(store, 1)
        assert (resealed.resends, resealed.envelope) == (1, None)
        assert len(await lease(store, now=200)) == 1

    async def test_reopening_takes_the_lease_away(self, store: Store) -> None:
        """A worker that was about to publish bytes under a key that fell away learns that it must not."""
        await owe(store, 1)
        await lease(store)
        await store.run(lambda tx: tx.reopen_outbox(message_id(1), now=NOW, reseal=True, count_resend=False))
        assert await store.run(lambda tx: tx.mark_published([message_id(1)], at=NOW, token=TOKEN)) == 0
        assert (await row(store, 1)).state is OutboxState.RECORDED

    async def test_what_is_final_is_not_reopened(self, store: Store) -> None:
        """A delivered, refused, done or unknown entry stays as it is."""
        await owe(store, 1, 2)
        await owe(store, 3, kind=OutboxKind.RECEIPTS)
        await lease(store)
        await publish(store, 3)
        await store.run(lambda tx: tx.settle_outbox([receipt(1)]))
        refusal = receipt(2, ReceiptKind.REFUSED, code="schema-invalid")
        await store.run(lambda tx: tx.settle_outbox([refusal]))
        for number in (1, 2, 3, 4):
            message = message_id(number)
            assert not await store.run(
                lambda tx, m=message: tx.reopen_outbox(m, now=NOW, reseal=True, count_resend=True)  # type: ignore[misc]
            )
        assert (await row(store, 3)).envelope == sealed(3)

    async def test_what_is_sent_again_for_its_evidence_goes_back_to_its_step(self, store: Store) -> None:
        """Publishing a delivered entry once more changes neither its step nor any of its times."""
        await owe(store, 1, 2, 3)
        await lease(store)
        for number in (1, 2, 3):
            await publish(store, number)
            await store.run(lambda tx, n=number: tx.settle_outbox([receipt(n)]))  # type: ignore[misc]
        await store.run(lambda tx: tx.settle_outbox([receipt(2, _HANDED_OVER, at=50)]))
        await store.run(lambda tx: tx.settle_outbox([receipt(3, _OPENED, at=50)]))
        before = [await row(store, number) for number in (1, 2, 3)]

        def again(number: int) -> Callable[[Transaction], bool]:
            return lambda tx: tx.reopen_outbox(
                message_id(number), now=later(100), reseal=False, count_resend=False, delivered_too=True
            )

        assert [await store.run(again(number)) for number in (1, 2, 3)] == [True, True, False]
        assert [leased.id for leased in await lease(store, now=101)] == [message_id(1), message_id(2)]
        for number in (1, 2):
            await publish(store, number, at=110)
        assert [await row(store, number) for number in (1, 2, 3)] == before
