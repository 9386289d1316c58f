# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite about what was sent: the evidence ladder, overdue steps, and what is found by keys and peers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.core.attention import AttentionCode, message_subject
from broker.core.messages import OutboxKind
from broker.core.receipts import ReceiptKind
from broker.ports import Store
from broker.rows import OutboxRow, OutboxState
from broker.security.at_rest import scope_of
from broker.testing.store_contract_outbox import TOKEN, lease, owe, publish, row
from broker.testing.store_rows import EE, FI, NOW, SE, attention, kid, later, message_id, outgoing, receipt, sealed

__all__ = ["LadderContract"]

_DELIVERED, _HANDED_OVER, _OPENED = ReceiptKind.DELIVERED, ReceiptKind.HANDED_OVER, ReceiptKind.OPENED


async def overdue(
    store: Store,
    state: OutboxState,
    until: float,
    *,
    after: float | None = None,
    limit: int = 9,
    code: AttentionCode = AttentionCode.OVERDUE_DELIVERED,
) -> list[str]:
    """Return what waits in a state since two moments, in seconds, and is not called for."""
    since = None if after is None else later(after)
    rows = await store.read(
        lambda reader: reader.overdue_outbox(EE, state=state, code=code, after=since, until=later(until), limit=limit)
    )
    return [row.id for row in rows]


class LadderContract:
    """What receipts and time make of an entry that was sent."""

    @pytest.mark.parametrize("published", [True, False])
    async def test_receipts_climb_the_ladder(self, store: Store, published: bool) -> None:
        """Each step sets its time and state, also when our own broker's confirm was lost."""
        await owe(store, 1)
        await lease(store)
        if published:
            await publish(store, 1)
        for at, kind in enumerate((_DELIVERED, _HANDED_OVER, _OPENED), start=100):
            evidence = receipt(1, kind, at=at)
            assert await store.run(lambda tx, e=evidence: tx.settle_outbox([e])) == 1  # type: ignore[misc]
            assert await store.run(lambda tx, e=evidence: tx.settle_outbox([e])) == 0  # type: ignore[misc]
            assert (await row(store, 1)).state == OutboxState(kind.value)
        final = await row(store, 1)
        assert (final.delivered, final.handed_over, final.opened) == (later(100), later(101), later(102))
        assert final.published == (later(10) if published else None)
        assert await lease(store, now=1000) == ()

    async def test_the_ladder_is_never_climbed_down(self, store: Store) -> None:
        """A lower step that comes late adds its time and leaves the state; a refusal after delivery is void."""
        await owe(store, 1)
        await store.run(lambda tx: tx.settle_outbox([receipt(1, _OPENED, at=300)]))
        assert await store.run(lambda tx: tx.settle_outbox([receipt(1, _DELIVERED, at=100)])) == 1
        settled = await row(store, 1)
        assert (settled.state, settled.delivered, settled.opened) == (OutboxState.OPENED, later(100), later(300))
        refusal = receipt(1, ReceiptKind.REFUSED, code="schema-invalid")
        assert await store.run(lambda tx: tx.settle_outbox([refusal])) == 0
        assert await row(store, 1) == settled

    async def test_receipts_for_many_entries_settle_together(self, store: Store) -> None:
        """Each entry goes as high as its highest receipt says; a time that is there, and every other entry, stays."""
        count = 25  # more than any prepared statement takes at once
        await owe(store, *range(1, count + 2))
        await store.run(lambda tx: tx.settle_outbox([receipt(1, at=5)]))
        both = [
            receipt(n, kind, at=at) for n in range(1, count) for at, kind in ((100, _HANDED_OVER), (90, _DELIVERED))
        ]
        refusal = receipt(count, ReceiptKind.REFUSED, at=70, code="schema-invalid")
        assert await store.run(lambda tx: tx.settle_outbox([*both, refusal])) == count
        for number in range(1, count):
            settled = await row(store, number)
            assert (settled.state, settled.handed_over) == (OutboxState.HANDED_OVER, later(100))
            assert settled.delivered == later(5 if number == 1 else 90)
        assert (await row(store, count)).state is OutboxState.REFUSED
        assert await row(store, count + 1) == OutboxRow(
            entry=outgoing(count + 1), state=OutboxState.RECORDED, next_at=NOW
        )
        briefs = await store.run(lambda tx: tx.outbox_briefs([message_id(n) for n in range(1, count + 9)]))
        assert set(briefs) == {message_id(n) for n in range(1, count + 2)}
        assert await store.run(lambda tx: tx.settle_outbox([])) == 0

    async def test_a_refusal_is_terminal(self, store: Store) -> None:
        """It keeps code and time, and no other receipt changes the entry."""
        await owe(store, 1)
        refusal = receipt(1, ReceiptKind.REFUSED, at=50, code="schema-invalid")
        assert await store.run(lambda tx: tx.settle_outbox([refusal])) == 1
        refused = await row(store, 1)
        assert (refused.state, refused.refused, refused.refusal_code) == (
            OutboxState.REFUSED,
            later(50),
            "schema-invalid",
        )
        for kind in ReceiptKind:
            evidence = receipt(1, kind, code="other" if kind is ReceiptKind.REFUSED else None)
            assert await store.run(lambda tx, e=evidence: tx.settle_outbox([e])) == 0  # type: ignore[misc]
        assert await row(store, 1) == refused

    async def test_receipts_settle_casework_only(self, store: Store) -> None:
        """An envelope of receipts and an unknown message are not settled."""
        await owe(store, 1, kind=OutboxKind.RECEIPTS)
        for number in (1, 2):
            assert await store.run(lambda tx, n=number: tx.settle_outbox([receipt(n)])) == 0  # type: ignore[misc]
        assert (await row(store, 1)).state is OutboxState.RECORDED

    async def test_a_settled_entry_is_not_published_again(self, store: Store) -> None:
        """A receipt that comes while a worker holds the lease takes the lease away."""
        await owe(store, 1)
        await lease(store)
        await store.run(lambda tx: tx.settle_outbox([receipt(1)]))
        assert await store.run(lambda tx: tx.save_sealed([sealed(1)], token=TOKEN)) == frozenset()
        assert await store.run(lambda tx: tx.mark_published([message_id(1)], at=NOW, token=TOKEN)) == 0

    async def test_entries_are_found_by_the_keys_of_their_seal(self, store: Store) -> None:
        """Theirs and ours alike, while undelivered."""
        await owe(store, 1, 2, 3, 4)
        await lease(store)
        for number, to in ((1, "x"), (2, "y"), (3, "x")):
            envelope = sealed(number, to=to)
            await store.run(lambda tx, e=envelope: tx.save_sealed([e], token=TOKEN))  # type: ignore[misc]
        await store.run(lambda tx: tx.mark_published([message_id(1)], at=NOW, token=TOKEN))
        await store.run(lambda tx: tx.settle_outbox([receipt(3)]))
        ids = {n: message_id(n) for n in (1, 2)}
        assert await store.run(lambda tx: tx.outbox_sealed_with(frozenset({kid("x")}))) == (ids[1],)
        assert await store.run(lambda tx: tx.outbox_sealed_with(frozenset({kid("m"), kid("q")}))) == (ids[1], ids[2])
        assert await store.run(lambda tx: tx.outbox_sealed_with(frozenset({kid("e")}))) == (ids[1], ids[2])
        assert await store.run(lambda tx: tx.outbox_sealed_with(frozenset({kid("q")}))) == ()
        assert await store.run(lambda tx: tx.outbox_sealed_with(frozenset())) == ()

    async def test_receipts_under_a_key_are_unsealed_once(self, store: Store) -> None:
        """Published ones of that key and time, oldest first, so many at a time; casework and other keys are left."""
        await owe(store, 1, 2, 3, 4, kind=OutboxKind.RECEIPTS)
        await owe(store, 5)
        await lease(store)
        for number in (1, 2, 3, 4, 5):
            envelope = sealed(number, to="y" if number == 4 else "x")
            await store.run(lambda tx, e=envelope: tx.save_sealed([e], token=TOKEN))  # type: ignore[misc]
        for number in (1, 2, 3, 4, 5):
            at = later(100 - 10 * number)
            await store.run(lambda tx, n=number, at=at: tx.mark_published([message_id(n)], at=at, token=TOKEN))  # type: ignore[misc]

        async def unseal(since: float, limit: int = 10) -> tuple[str, ...]:
            kids = frozenset({kid("x"), kid("q")})
            return await store.run(lambda tx: tx.unseal_receipts(kids, since=later(since), limit=limit))

        assert await unseal(91) == ()
        assert await unseal(75, limit=1) == (message_id(2),)
        assert await unseal(0) == (message_id(3), message_id(1))
        assert await unseal(0) == ()
        for number in (1, 2, 3):
            found = await row(store, number)
            assert (found.state, found.envelope) == (OutboxState.DONE, None)
        for number in (4, 5):
            assert (await row(store, number)).envelope is not None

    async def test_overdue_is_measured_from_the_step_into_the_state(self, store: Store) -> None:
        """Casework only; recorded since its making, published since publishing, latest first, of one moment by id."""
        await owe(store, 1, 2, 3)
        await owe(store, 4, kind=OutboxKind.RECEIPTS)
        recorded, published = OutboxState.RECORDED, OutboxState.PUBLISHED

        assert await overdue(store, recorded, 0.9) == []
        assert await overdue(store, recorded, 2) == [message_id(2), message_id(1)]
        assert await overdue(store, recorded, 100, limit=1) == [message_id(3)]
        assert await overdue(store, recorded, 100, after=1) == [message_id(3), message_id(2)]
        await lease(store)
        await publish(store, 1, at=200)
        assert await overdue(store, recorded, 100) == [message_id(3), message_id(2)]
        assert await overdue(store, published, 199) == []
        assert await overdue(store, published, 200) == [message_id(1)]
        await publish(store, 3, at=300)
        await publish(store, 2, at=300)
        assert await overdue(store, published, 999) == [message_id(number) for number in (3, 2, 1)]
        await store.run(lambda tx: tx.settle_outbox([receipt(1, at=300)]))
        assert await overdue(store, published, 200) == []
        assert await overdue(store, OutboxState.DELIVERED, 300) == [message_id(1)]

    async def test_what_a_person_is_called_for_is_not_found_overdue_again(self, store: Store) -> None:
        """While the call is open, and by its own code."""
        await owe(store, 1)
        code, subject = AttentionCode.OVERDUE_DELIVERED, message_subject(EE, message_id(1))
        await store.run(lambda tx: tx.raise_attention(replace(attention(subject), code=code)))
        assert await overdue(store, OutboxState.RECORDED, 9) == []
        assert await overdue(store, OutboxState.RECORDED, 9, code=AttentionCode.FAILED_DELIVERED) == [message_id(1)]
        await store.run(lambda tx: tx.resolve_attention(code, subject, at=NOW, by="officer"))
        assert await overdue(store, OutboxState.RECORDED, 9) == [message_id(1)]

    async def test_what_was_read_as_waiting_may_be_settled_since(self, store: Store) -> None:
        """Nobody is called for what went on meanwhile, nor for what waits in that state since another time."""
        await owe(store, 1)

        async def waits(state: OutboxState, since: float) -> bool:
            return await store.run(lambda tx: tx.outbox_waits(message_id(1), state=state, since=later(since)))

        assert await waits(OutboxState.RECORDED, 1)
        assert not await waits(OutboxState.RECORDED, 2)
        await lease(store)
        await publish(store, 1, at=3)
        assert not await waits(OutboxState.RECORDED, 1)
        assert await waits(OutboxState.PUBLISHED, 3)

    async def test_nobody_is_called_for_what_was_erased_and_nothing_of_it_looks_lost(self, store: Store) -> None:
        """From the moment on at which its key is destroyed, whatever else of it is still there."""
        entry = outgoing(1)
        await owe(store, 1, 2)
        await lease(store)
        await publish(store, 1, at=100)
        await publish(store, 2, at=200)
        await store.run(lambda tx: tx.settle_outbox([receipt(2, at=300)]))

        async def found() -> tuple[list[str], list[str]]:
            late = await overdue(store, OutboxState.PUBLISHED, 999)
            lost = await store.read(lambda reader: reader.lost_outbox(now=later(999), limit=9))
            return late, [row.id for row in lost]

        assert await found() == ([message_id(1)], [message_id(1)])
        scope = scope_of(entry.recipient, entry.header.case_ref, entry.procedure)
        await store.run(lambda tx: tx.destroy_case(scope, later(400)))
        assert await found() == ([], [])

    async def test_a_receipt_for_something_published_well_after_it_is_a_sign_of_loss(self, store: Store) -> None:
        """Of the same country, and not from the future; what was sent again often enough is left to a person."""
        await owe(store, 1, 2, 3)
        await store.run(lambda tx: tx.add_outbox(outgoing(4, recipient=SE), next_at=later(0)))
        await lease(store)
        for number, at in ((1, 100), (2, 161), (3, 200), (4, 100)):
            await publish(store, number, at=at)

        async def lost(now: float) -> list[str]:
            rows = await store.read(lambda reader: reader.lost_outbox(now=later(now), limit=9))
            return [row.id for row in rows]

        assert await lost(999) == []
        await store.run(lambda tx: tx.settle_outbox([receipt(3, at=300)]))
        assert await lost(199) == []
        assert await lost(999) == [message_id(1)]
        for _ in range(3):
            await store.run(lambda tx: tx.reopen_outbox(message_id(1), now=later(100), reseal=False, count_resend=True))
        await lease(store, now=500)
        await publish(store, 1, at=100)
        assert await lost(999) == []

    async def test_a_brief_says_whether_somebody_is_called_about_the_message(self, store: Store) -> None:
        """By the id that our message has; a closed call, one about another message or by another country's id are none.

        Nor is one that no receipt resolves.
        """
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))

        async def attended() -> bool:
            briefs = await store.run(lambda tx: tx.outbox_briefs({message_id(1), message_id(9)}))
            assert briefs.keys() == {message_id(1)}
            return briefs[message_id(1)].attended

        await store.run(lambda tx: tx.raise_attention(attention(message_subject(EE, message_id(2)))))
        await store.run(lambda tx: tx.raise_attention(attention(message_subject(FI, message_id(1)))))
        await store.run(lambda tx: tx.raise_attention(attention(message_subject(EE, message_id(1)), code="surge-owed")))
        assert not await attended()
        row = attention(message_subject(EE, message_id(1)))
        await store.run(lambda tx: tx.raise_attention(row))
        assert await attended()
        await store.run(lambda tx: tx.resolve_attention(row.code, row.subject, at=later(1), by="x"))
        assert not await attended()
