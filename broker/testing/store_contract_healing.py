# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What every store must do after a restore, and for another country that was restored; part of `StoreContract`."""

# ruff: noqa: S106 - tokens here are those of leases, no secrets

from __future__ import annotations

from dataclasses import replace
from typing import Any

from broker.core.healing import REFUSED, Missed, MissedState, Place, RestoredMark
from broker.core.messages import OutboxKind, RecordEntry
from broker.core.receipts import ReceiptKind
from broker.ports import Store, Transaction
from broker.rows import Idempotent, OutboxState
from broker.security.at_rest import Scope
from broker.storage.healing import begin_healing
from broker.testing.store_rows import (
    CASE,
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
    sealed,
)

__all__ = ["HealingContract"]


def restored(tx: Any) -> None:
    """Leave what a restore leaves."""
    begin_healing(tx, since=NOW, restored=later(100), position=7, head=digest("head"))


def missed(number: int, author: Any = FI) -> Missed:
    """Return a message that the backup did not hold."""
    return Missed(
        peer=FI, author=author, message=message_id(number), digest=digest(number), procedure=procedure_id(1),
        opener=EE, act="result",
    )  # fmt: skip


def noted(number: int, author: Any = EE) -> RecordEntry:
    """Return the place of a message in the record."""
    return RecordEntry(digest=digest(number), message=message_id(number), author=author, act="request", parents=())


class HealingContract:
    """Nothing leaves before a country has answered; what is missed is kept until it is found or lost."""

    async def test_after_a_restore_nothing_but_the_asking_is_leased(self, store: Store) -> None:
        """Everybody waits until it is known whom to ask; then each country until it is done with."""

        def leased(tx: Transaction) -> list[str]:
            rows = tx.lease_outbox(now=later(200), until=later(201), token="t", limit=10)
            return sorted(row.recipient for row in rows)

        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        await store.run(lambda tx: tx.add_outbox(outgoing(2, recipient=SE), next_at=NOW))
        await store.run(restored)
        assert await store.run(leased) == []
        assert await store.run(lambda tx: (tx.healing.unfinished(), tx.healing.waits(FI), tx.healing.rows())) == (
            True,
            True,
            (),
        )
        assert await store.run(lambda tx: tx.healing.begin([FI, SE]))
        assert not await store.run(lambda tx: tx.healing.begin([FI]))
        (row, _) = await store.read(lambda reader: reader.healing.rows())
        assert (row.peer, row.since, row.restored, row.position, row.head) == (FI, NOW, later(100), 7, digest("head"))
        changed = replace(
            row, listed=True, after=Place(message=message_id(3), author=EE), question=message_id(4), attempts=2,
            next_at=later(9),
        )  # fmt: skip
        await store.run(lambda tx: tx.healing.save(changed))
        assert await store.run(lambda tx: (tx.healing.row(FI), tx.healing.lock(FI))) == (changed, changed)
        assert await store.run(lambda tx: (tx.healing.row(EE), tx.healing.lock(EE))) == (None, None)
        await store.run(lambda tx: tx.healing.save(replace(changed, peer=SE, ended=later(150))))
        assert await store.run(leased) == [SE]
        assert await store.run(lambda tx: (tx.healing.waits(FI), tx.healing.waits(SE))) == (True, False)

    async def test_what_is_missed_is_wanted_until_it_is_in_the_record(self, store: Store) -> None:
        """Our own comes first; noting it again changes nothing; who opened the procedure with that peer is known by it."""

        def note(tx: Transaction) -> None:
            for item in (missed(1), missed(2, EE), missed(3)):
                assert tx.healing.note_missed(item)
            tx.healing.save_missed(replace(missed(3), state=MissedState.LOST, code="not-held", attempts=1))
            assert not tx.healing.note_missed(missed(3))

        await store.run(note)
        wanted = await store.read(lambda reader: reader.healing.missed(FI, (MissedState.WANTED,), 10))
        assert wanted == (missed(2, EE), missed(1))
        assert await store.run(lambda tx: (tx.healing.count_missed(FI), tx.healing.count_missed(SE))) == (3, 0)
        assert await store.run(lambda tx: tx.healing.opener(FI, procedure_id(1))) == EE
        assert await store.run(lambda tx: tx.healing.opener(FI, procedure_id(9))) is None
        assert await store.run(lambda tx: tx.healing.opener(SE, procedure_id(1))) is None
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        await store.run(lambda tx: tx.add_record_entry(procedure_id(1), noted(1, FI)))
        assert await store.run(lambda tx: tx.healing.recorded(procedure_id(1), digest(1))) == (FI, message_id(1))
        assert await store.run(lambda tx: tx.healing.recorded(procedure_id(1), digest(9))) is None
        assert await store.run(lambda tx: tx.healing.settle_found(FI)) == 1
        states = await store.run(lambda tx: [tx.healing.missed_one(FI, digest(n)) for n in (1, 2, 3, 4)])
        assert [one and (one.state, one.code, one.attempts) for one in states] == [
            (MissedState.FOUND, None, 0), (MissedState.WANTED, None, 0), (MissedState.LOST, "not-held", 1), None
        ]  # fmt: skip

    async def test_what_was_refused_is_looked_for_once_more_when_its_procedure_is_here(self, store: Store) -> None:
        """One that is in the record, or of a procedure that is not here or with another country, is not."""

        def note(tx: Transaction) -> None:
            tx.add_procedure(procedure(1))
            tx.add_procedure(procedure(2, peer=SE))
            tx.add_record_entry(procedure_id(1), replace(noted(1, FI), code="schema-invalid"))
            for number, of in ((1, 1), (2, 1), (3, 2), (4, 3)):
                item = replace(missed(number), procedure=procedure_id(of), state=MissedState.LOST, code=REFUSED)
                tx.healing.note_missed(item)
            tx.healing.note_missed(replace(missed(5), state=MissedState.LOST, code="not-held"))

        await store.run(note)
        assert await store.run(lambda tx: [tx.healing.misplaced(FI), tx.healing.misplaced(FI)]) == [1, 0]
        again = await store.run(lambda tx: tx.healing.missed_one(FI, digest(2)))
        assert again is not None
        assert (again.state, again.code, again.attempts) == (MissedState.LOST, REFUSED, 1)

    async def test_what_passed_since_is_listed_page_by_page(self, store: Store) -> None:
        """Of either side, in the order of ids; not what was answered before, nor another country's."""

        def fill(tx: Transaction) -> None:
            tx.add_procedure(procedure(1))
            tx.add_procedure(procedure(2, peer=SE))
            for number in range(1, 5):
                tx.add_record_entry(procedure_id(1), noted(number))
            tx.add_record_entry(procedure_id(1), replace(noted(5, FI), code="refused"))
            tx.add_record_entry(procedure_id(2), noted(6))
            tx.add_receipt(receipt(1, at=10), issued=False)
            tx.add_receipt(receipt(2, at=100), issued=False)
            tx.add_receipt(receipt(3, ReceiptKind.OPENED, at=10), issued=False)

        await store.run(fill)
        first = await store.read(lambda reader: reader.healing.passed(FI, since=later(50), after=None, limit=2))
        assert [(one.message, one.author, one.opener) for one in first] == [
            (message_id(2), EE, EE),
            (message_id(3), EE, EE),
        ]
        place = Place(message=first[-1].message, author=first[-1].author)
        rest = await store.read(lambda reader: reader.healing.passed(FI, since=later(50), after=place, limit=9))
        assert [(one.message, one.code) for one in rest] == [(message_id(4), None), (message_id(5), "refused")]
        assert await store.run(lambda tx: tx.healing.passed_one(FI, digest(2))) == first[0]
        assert await store.run(lambda tx: tx.healing.passed_one(SE, digest(2))) is None

    async def test_whatever_step_it_reached_it_is_sent_again_and_goes_back_there(self, store: Store) -> None:
        """Its seal is made anew; nothing of its evidence is forgotten."""

        def opened(tx: Transaction) -> None:
            tx.add_outbox(outgoing(1), next_at=NOW)
            tx.lease_outbox(now=later(0), until=later(9), token="t", limit=1)
            tx.save_sealed([sealed(1)], token="t")
            tx.mark_published([message_id(1)], at=later(1), token="t")
            for kind in (ReceiptKind.DELIVERED, ReceiptKind.HANDED_OVER, ReceiptKind.OPENED):
                tx.settle_outbox([receipt(1, kind, at=5)])

        await store.run(opened)
        before = await store.run(lambda tx: tx.outbox(message_id(1)))
        assert await store.run(lambda tx: tx.healing.send_again(message_id(1), now=later(20)))
        (row,) = await store.run(lambda tx: tx.lease_outbox(now=later(20), until=later(29), token="u", limit=1))
        assert row.envelope is None
        assert await store.run(lambda tx: tx.mark_published([message_id(1)], at=later(21), token="u"))
        after = await store.run(lambda tx: tx.outbox(message_id(1)))
        assert before is not None
        assert after == replace(before, envelope=None)
        assert not await store.run(lambda tx: tx.healing.send_again(message_id(2), now=NOW))

    async def test_what_was_given_up_is_not_sent_again(self, store: Store) -> None:
        """It does not open: who wants to say it says it anew."""

        def given_up(tx: Transaction) -> None:
            tx.add_outbox(outgoing(1, kind=OutboxKind.RECEIPTS), next_at=NOW)
            tx.lease_outbox(now=later(0), until=later(9), token="t", limit=1)
            assert tx.give_up_receipts(message_id(1), at=later(1), error="store-corrupt", token="t")

        await store.run(given_up)
        assert not await store.run(lambda tx: tx.healing.send_again(message_id(1), now=later(20)))

    async def test_a_message_that_came_back_was_sent_and_its_key_is_known(self, store: Store) -> None:
        """It is owed nothing; the caller's key, from which its nonce followed, stands for it."""
        nonce = await store.run(lambda tx: tx.idempotency_nonce("scope", "key"))
        await store.run(lambda tx: tx.healing.add_sent(outgoing(1), published=later(1), terms=frozenset()))
        await store.run(lambda tx: tx.keep_returned(nonce, message_id(1), NOW))
        row = await store.run(lambda tx: tx.outbox(message_id(1)))
        assert row is not None
        assert (row.state, row.published, row.next_at) == (OutboxState.PUBLISHED, later(1), None)
        known = await store.run(lambda tx: tx.find_idempotent("scope", "key"))
        assert known is not None
        assert known.message == message_id(1)
        again = Idempotent(scope="scope", key="key", body_digest=digest("body"), message=message_id(2))
        assert await store.run(lambda tx: tx.add_idempotent(again, NOW)) is False
        assert await store.run(lambda tx: tx.find_idempotent("scope", "key")) == known
        assert await store.run(lambda tx: tx.find_idempotent("another scope", "key")) is None

    async def test_signatures_and_statements_are_kept(self, store: Store) -> None:
        """Both signatures of what came, and when another country said that it was restored."""
        await store.run(lambda tx: tx.add_inbox(replace(incoming(1), signatures=b"[both]"), next_at=None))
        assert await store.run(lambda tx: tx.healing.signatures(FI, message_id(1))) == b"[both]"
        assert await store.run(lambda tx: tx.healing.signatures(FI, message_id(2))) is None
        mark = RestoredMark(country=FI, at=later(3), position=9, head=digest("x"))
        assert await store.run(lambda tx: (tx.healing.note_mark(mark), tx.healing.note_mark(mark))) == (True, False)
        assert await store.run(lambda tx: (tx.healing.marks(FI), tx.healing.marks(SE))) == ((mark,), ())
        scope = Scope(f"{FI}:{CASE}")
        assert not await store.run(lambda tx: tx.healing.is_destroyed(scope))
        await store.run(lambda tx: tx.destroy_case(scope, later(9)))
        assert await store.run(lambda tx: tx.healing.is_destroyed(scope))
