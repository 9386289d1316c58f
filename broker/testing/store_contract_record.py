# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite about procedures, their record, and receipts."""

# ruff: noqa: S106 - tokens here are those of leases, no secrets

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.core.ids import AuthorityId, CountryCode, MessageId, MessageType
from broker.core.messages import OutboxKind
from broker.core.receipts import Receipt, ReceiptKind
from broker.ports import Store, Transaction
from broker.rows import Idempotent, MessageFilter
from broker.testing.store_rows import (
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

__all__ = ["RecordContract"]


async def keep(store: Store, *receipts: Receipt, issued: bool) -> None:
    """Add receipts that are not there yet."""
    for row in receipts:
        assert await store.run(lambda tx, row=row: tx.add_receipt(row, issued=issued))  # type: ignore[misc]


class RecordContract:
    """What both countries hold, and the evidence of it."""

    async def test_an_idempotency_key_keeps_its_answer(self, store: Store) -> None:
        """It is found by scope and key together."""
        row = Idempotent(scope="board/api", key="k", body_digest=digest("body"), message=message_id(1))
        assert await store.run(lambda tx: tx.add_idempotent(row, NOW)) is True
        assert await store.run(lambda tx: tx.add_idempotent(replace(row, message=message_id(2)), NOW)) is False
        assert await store.run(lambda tx: tx.find_idempotent("board/api", "k")) == row
        assert await store.run(lambda tx: tx.find_idempotent("court/api", "k")) is None
        assert await store.run(lambda tx: tx.find_idempotent("board/api", "l")) is None

    async def test_a_procedure_comes_back_as_it_was(self, store: Store) -> None:
        """Saving changes what folding gave and nothing else."""
        row = procedure(1)
        assert await store.run(lambda tx: tx.lock_procedure(procedure_id(1))) is None
        await store.run(lambda tx: tx.add_procedure(row))
        assert await store.run(lambda tx: tx.lock_procedure(procedure_id(1))) == row
        folded = replace(row, state="REQUESTED", alarm=True, gap=True)
        await store.run(lambda tx: tx.save_procedure(replace(folded, peer=SE)))
        assert await store.run(lambda tx: tx.lock_procedure(procedure_id(1))) == folded

    async def test_what_others_opened_is_counted_by_country(self, store: Store) -> None:
        """Between two moments, the second not included; what this country opened is not among it."""
        theirs = [replace(procedure(n), opener=FI) for n in (1, 2, 3)]
        swedish = replace(procedure(4), peer=SE, opener=SE)
        for row in (*theirs, swedish, procedure(5)):
            await store.run(lambda tx, row=row: tx.add_procedure(row))  # type: ignore[misc]
        assert await store.run(lambda tx: tx.opened_by_others(NOW, later(9))) == {FI: 3, SE: 1}
        assert await store.run(lambda tx: tx.opened_by_others(later(2), later(4))) == {FI: 2}
        assert await store.run(lambda tx: tx.opened_by_others(later(8), later(9))) == {}

    async def test_the_newest_that_is_declared_is_what_follows_the_others(self, store: Store) -> None:
        """Ours and theirs, also behind a message of the other side, and whatever their ids say."""
        for row in (procedure(1), replace(procedure(2), opener=FI)):
            await store.run(lambda tx, row=row: tx.add_procedure(row))  # type: ignore[misc]
        ours, theirs = [outgoing(n) for n in (5, 3, 1)], [incoming(n, in_procedure=2) for n in (6, 4, 2)]
        for out in ours:
            await store.run(lambda tx, out=out: tx.add_outbox(out, next_at=NOW))  # type: ignore[misc]
        for came in theirs:
            await store.run(lambda tx, came=came: tx.add_inbox(came, next_at=NOW))  # type: ignore[misc]
        for number, (first, second, third) in ((1, ours), (2, theirs)):
            chain = (first.digest, second.digest, digest("a word between"), third.digest)
            for at, one in enumerate(chain):
                entry = replace(record_entry(at), digest=one, parents=chain[max(at - 1, 0) : at])
                within = procedure_id(number)
                await store.run(lambda tx, within=within, entry=entry: tx.add_record_entry(within, entry))  # type: ignore[misc]

        kind = MessageType("family-tracing.request")
        found = await store.read(lambda reader: reader.declarations(kind, over=frozenset(), limit=5))
        assert [said.message for said in found] == [message_id(1), message_id(2)]

    async def test_the_procedures_of_a_name_with_a_country_are_found_by_their_age(self, store: Store) -> None:
        """Oldest first, from a moment on; those of another name or country are not among them."""
        named = [replace(procedure(n), ref=replace(procedure(n).ref, name="correction")) for n in (1, 2, 3)]
        for row in (*named, replace(named[0], ref=replace(named[0].ref, id=procedure_id(4)), peer=SE), procedure(5)):
            await store.run(lambda tx, row=row: tx.add_procedure(row))  # type: ignore[misc]
        since = named[1].opened
        assert await store.run(lambda tx: tx.procedures_since("correction", FI, since)) == tuple(named[1:])
        assert await store.read(lambda reader: reader.procedures_since("correction", FI, since)) == tuple(named[1:])

    async def test_a_procedure_has_the_offices_that_were_stored_last(self, store: Store) -> None:
        """Each of ours that takes part sees it and all of its messages; who left sees what it had alone."""
        row, court, ministry = procedure(1), AuthorityId("court"), AuthorityId("ministry")
        await store.run(lambda tx: tx.add_procedure(row))
        await store.run(lambda tx: tx.add_inbox(incoming(2), next_at=NOW))
        seated = replace(row, our_authority=court, peer_authority=AuthorityId("elsewhere"))
        await store.run(lambda tx: tx.save_offices(seated, (court, ministry)))
        assert await store.run(lambda tx: tx.lock_procedure(procedure_id(1))) == seated
        wanted = MessageFilter(procedure=procedure_id(1))
        for office, sees, has in ((court, True, True), (ministry, True, True), (row.our_authority, False, True)):
            mine = replace(wanted, authority=office)
            found = await store.read(lambda reader, who=office: reader.procedure(procedure_id(1), who))  # type: ignore[misc]
            page = await store.read(lambda reader, who=office: reader.procedures(who, cursor=None, limit=5))  # type: ignore[misc]
            listed = await store.read(lambda reader, one=mine: reader.messages(one, cursor=None, limit=5))  # type: ignore[misc]
            alone = await store.read(lambda reader, who=office: reader.messages_of(message_id(2), who))  # type: ignore[misc]
            assert (found is not None, len(page.items) == 1) == (sees, sees)
            assert (len(listed.items) == 1, len(alone) == 1) == (has, has)
        await store.run(lambda tx: tx.save_offices(row, ()))
        assert await store.read(lambda reader: reader.procedure(procedure_id(1), ministry)) is None
        assert await store.read(lambda reader: reader.messages_of(message_id(2), ministry)) == ()

    async def test_a_procedure_may_have_no_case(self, store: Store) -> None:
        """An absent case reference stays absent."""
        row = replace(procedure(1), case_ref=None, exercise=True)
        await store.run(lambda tx: tx.add_procedure(row))
        assert await store.run(lambda tx: tx.lock_procedure(procedure_id(1))) == row

    async def test_a_record_is_a_set_of_its_own_procedure(self, store: Store) -> None:
        """Entries keep their parents and stay apart from other procedures'."""
        for number in (1, 2):
            await store.run(lambda tx, n=number: tx.add_procedure(procedure(n)))  # type: ignore[misc]
        first = record_entry(1)
        second = record_entry(2, author=FI, parents=(first.digest, digest("x")))
        for entry in (first, second):
            await store.run(lambda tx, e=entry: tx.add_record_entry(procedure_id(1), e))  # type: ignore[misc]
        assert set(await store.run(lambda tx: tx.record(procedure_id(1)))) == {first, second}
        assert await store.run(lambda tx: tx.record(procedure_id(2))) == ()

    async def test_the_first_refusal_makes_a_stub(self, store: Store) -> None:
        """The entry keeps digest and parents, gets the code, and a second code changes nothing."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        for number in (1, 2):
            entry = record_entry(number)
            await store.run(lambda tx, e=entry: tx.add_record_entry(procedure_id(1), e))  # type: ignore[misc]
        for code in ("schema-invalid", "expired"):
            await store.run(lambda tx, c=code: tx.make_stub(procedure_id(1), digest(1), c))  # type: ignore[misc]
        stub = replace(record_entry(1), code="schema-invalid")
        assert set(await store.run(lambda tx: tx.record(procedure_id(1)))) == {stub, record_entry(2)}

    async def test_a_record_entry_needs_its_procedure(self, store: Store) -> None:
        """The database refuses an entry of an unknown procedure."""
        with pytest.raises(RuntimeError):
            await store.run(lambda tx: tx.add_record_entry(procedure_id(9), record_entry(1)))
        assert await store.run(lambda tx: tx.record(procedure_id(9))) == ()

    async def test_a_receipt_is_kept_once(self, store: Store) -> None:
        """The key is issuer, author, message and kind; the first one stays."""
        first = receipt(1)
        assert await store.run(lambda tx: tx.add_receipt(first, issued=False)) is True
        other = replace(first, at=later(999), digest=digest("other"))
        assert await store.run(lambda tx: tx.add_receipt(other, issued=False)) is False
        assert await store.run(lambda tx: tx.receipt(FI, EE, message_id(1), ReceiptKind.DELIVERED)) == first
        assert await store.run(lambda tx: tx.receipt(SE, EE, message_id(1), ReceiptKind.DELIVERED)) is None
        assert await store.run(lambda tx: tx.receipt(FI, EE, message_id(1), ReceiptKind.OPENED)) is None

    async def test_many_receipts_are_kept_at_once(self, store: Store) -> None:
        """What was held, and the second of one key, is not new and changes nothing; a later refusal takes its place."""
        held, expired = receipt(1, at=1), receipt(2, ReceiptKind.REFUSED, at=1, code="expired")
        await keep(store, held, expired, issued=False)
        answer = receipt(2, ReceiptKind.REFUSED, at=2, code="schema-invalid")
        fresh = [receipt(n, kind) for n in range(3, 28) for kind in (ReceiptKind.DELIVERED, ReceiptKind.OPENED)]
        second = replace(fresh[0], at=later(99))
        given = [replace(held, at=later(9)), answer, *fresh, second]
        assert set(await store.run(lambda tx: tx.add_receipts(given))) == {answer, *fresh}
        assert await store.run(lambda tx: tx.add_receipts(given)) == ()
        assert await store.run(lambda tx: tx.add_receipts([])) == ()
        for row in (held, answer, *fresh):
            kept = await store.run(lambda tx, r=row: tx.receipt(r.issuer, r.author, r.message, r.kind))  # type: ignore[misc]
            assert kept == row
        assert await store.run(lambda tx: tx.waiting_receipts(EE, 10)) == ()

    async def test_a_message_is_heard_of_once_it_is_answered(self, store: Store) -> None:
        """By the issuer's answer about that author's message of that id; no other receipt is one."""

        async def heard_of(number: int, issuer: CountryCode = EE, author: CountryCode = FI) -> bool:
            return await store.run(lambda tx: tx.heard_of(issuer, author, message_id(number)))

        for number, kind in ((1, ReceiptKind.DELIVERED), (2, ReceiptKind.REFUSED), (3, ReceiptKind.HANDED_OVER)):
            code = "expired" if kind is ReceiptKind.REFUSED else None
            assert not await heard_of(number)
            await keep(store, receipt(number, kind, issuer=EE, author=FI, code=code), issued=True)
            assert await heard_of(number) is (number < 3)
        assert not await heard_of(1, author=SE)
        assert not await heard_of(1, issuer=FI, author=EE)

    async def test_what_we_issue_waits_and_is_kept_once(self, store: Store) -> None:
        """The first of a key stands; a refusal gives way to the answer after it."""
        first, expired = (
            receipt(1, issuer=EE, author=FI, at=1),
            receipt(2, ReceiptKind.REFUSED, issuer=EE, author=FI, at=2, code="expired"),
        )
        answer = replace(expired, at=later(3), code="schema-invalid")
        for row in (first, replace(first, at=later(9)), expired, answer):
            await store.run(lambda tx, row=row: tx.issue_receipt(row))  # type: ignore[misc]
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (first, answer)

    async def test_records_are_read_together(self, store: Store) -> None:
        """Each as it is read alone, of those procedures that there are."""
        for number in range(1, 24):
            await store.run(lambda tx, n=number: tx.add_procedure(procedure(n)))  # type: ignore[misc]
        for number, entry in ((1, record_entry(1)), (1, record_entry(2, author=FI)), (23, record_entry(3))):
            await store.run(lambda tx, n=number, e=entry: tx.add_record_entry(procedure_id(n), e))  # type: ignore[misc]
        await keep(store, receipt(1), receipt(1, ReceiptKind.OPENED), receipt(3), receipt(4), issued=False)
        ids = [procedure_id(n) for n in (*range(1, 24), 99)]
        found = await store.run(lambda tx: tx.lock_records(ids))
        assert {kept.row.ref.id for kept in found} == set(ids[:-1])
        for kept in found:
            one = kept.row.ref.id
            assert kept.row == await store.run(lambda tx, one=one: tx.lock_procedure(one))  # type: ignore[misc]
            assert set(kept.entries) == set(await store.run(lambda tx, one=one: tx.record(one)))  # type: ignore[misc]
            assert kept.receipts == await store.run(lambda tx, one=one: tx.procedure_receipts(one))  # type: ignore[misc]
        assert await store.run(lambda tx: tx.lock_records([])) == ()

    async def test_a_refusal_of_an_envelope_gives_way_to_a_later_one(self, store: Store) -> None:
        """The later one, and the answer after it, take its place and wait for an envelope; nothing replaces an answer."""
        expired = receipt(1, ReceiptKind.REFUSED, issuer=EE, author=FI, at=1, code="expired")
        again = replace(expired, at=later(2))
        answer = receipt(1, ReceiptKind.REFUSED, issuer=EE, author=FI, at=2, code="schema-invalid")
        for row in (expired, again, answer):
            await keep(store, row, issued=True)
            assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (row,)
            await store.run(lambda tx, row=row: tx.assign_receipts([row], message_id(50)))  # type: ignore[misc]
            assert not await store.run(lambda tx: tx.add_receipt(expired, issued=True))
        late = replace(expired, at=later(99))
        assert not await store.run(lambda tx: tx.add_receipt(late, issued=True))
        assert await store.run(lambda tx: tx.answers(EE, FI, message_id(1))) == (answer,)
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == ()

    async def test_a_receipt_without_heads_comes_back_as_it_was(self, store: Store) -> None:
        """Absent parts stay absent."""
        bare = replace(receipt(1, ReceiptKind.OPENED), heads=(), record_digest=None)
        await keep(store, bare, issued=False)
        assert await store.run(lambda tx: tx.receipt(FI, EE, message_id(1), ReceiptKind.OPENED)) == bare

    async def test_answers_are_those_of_one_country_about_one_message(self, store: Store) -> None:
        """Another's answer, or one about another message of that id, would make a first message a repeat or an attack."""
        ours = [receipt(1, kind, issuer=EE, author=FI) for kind in (ReceiptKind.DELIVERED, ReceiptKind.HANDED_OVER)]
        await keep(store, *ours, issued=True)
        others = (receipt(2, issuer=EE, author=FI), receipt(1, issuer=EE, author=SE), receipt(1, ReceiptKind.OPENED))
        await keep(store, *others, issued=True)

        async def answered(author: CountryCode, number: int) -> tuple[bool, tuple[Receipt, ...]]:
            message = message_id(number)
            return await store.run(lambda tx: (tx.heard_of(EE, author, message), tx.answers(EE, author, message)))

        assert await answered(FI, 1) == (True, (ours[0],))
        assert await answered(SE, 1) == (True, (others[1],))
        assert await answered(SE, 2) == (False, ())
        assert await answered(EE, 1) == (False, ())

    async def test_a_procedures_receipts_are_those_about_its_messages(self, store: Store) -> None:
        """Delivered and refused ones of both directions, no other kinds, no other procedure's."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        for entry in (record_entry(1), record_entry(2, author=FI)):
            await store.run(lambda tx, e=entry: tx.add_record_entry(procedure_id(1), e))  # type: ignore[misc]
        theirs = receipt(1, at=10)
        ours = receipt(2, ReceiptKind.REFUSED, issuer=EE, author=FI, at=20, code="expired")
        await keep(store, ours, issued=True)
        await keep(store, theirs, receipt(1, ReceiptKind.OPENED), receipt(3), receipt(2, author=EE, at=5), issued=False)
        assert await store.run(lambda tx: tx.procedure_receipts(procedure_id(1))) == (theirs, ours)
        assert await store.read(lambda reader: reader.procedure_receipts(procedure_id(1))) == (theirs, ours)

    async def test_issued_receipts_wait_for_an_envelope(self, store: Store) -> None:
        """Oldest first, within the limit, until they are assigned; received ones never wait."""
        first, second = (receipt(n, issuer=EE, author=FI, at=n) for n in (1, 2))
        third = receipt(3, issuer=EE, author=SE)
        await keep(store, second, first, third, issued=True)
        await keep(store, receipt(4), issued=False)
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (first, second)
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 1)) == (first,)
        assert await store.run(lambda tx: tx.peers_with_waiting_receipts()) == (FI, SE)
        await store.run(lambda tx: tx.assign_receipts([first, second], message_id(50)))
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == ()
        assert await store.run(lambda tx: tx.peers_with_waiting_receipts()) == (SE,)
        await store.run(lambda tx: tx.assign_receipts([], message_id(51)))
        assert (await store.read(lambda reader: reader.counts()))["receipts.waiting"] == 1

    async def test_one_envelope_of_receipts_is_in_flight_per_peer(self, store: Store) -> None:
        """A peer is not named while an envelope for it is still recorded, and is again after publishing."""
        await keep(store, receipt(1, issuer=EE, author=FI), receipt(2, issuer=EE, author=SE), issued=True)
        await store.run(lambda tx: tx.add_outbox(outgoing(10), next_at=NOW))
        await store.run(lambda tx: tx.add_outbox(outgoing(11, kind=OutboxKind.RECEIPTS), next_at=NOW))
        assert await store.run(lambda tx: tx.peers_with_waiting_receipts()) == (SE,)
        await store.run(lambda tx: tx.lease_outbox(now=NOW, until=later(60), token="t", limit=10))
        assert await store.run(lambda tx: tx.peers_with_waiting_receipts()) == (SE,)
        await store.run(lambda tx: tx.mark_published([message_id(11)], at=NOW, token="t"))
        assert await store.run(lambda tx: tx.peers_with_waiting_receipts()) == (FI, SE)

    async def test_receipts_are_sent_again_at_most_once_a_minute(self, store: Store) -> None:
        """What travelled in an envelope that was made within the last minute does not wait again; the rest does."""
        lately, before = (
            receipt(1, kind, issuer=EE, author=FI) for kind in (ReceiptKind.DELIVERED, ReceiptKind.OPENED)
        )
        await keep(store, lately, before, issued=True)
        for row, made in ((lately, 941), (before, 939)):
            envelope = MessageId.first_of(later(made))
            await store.run(lambda tx, r=row, e=envelope: tx.assign_receipts([r], e))  # type: ignore[misc]
        await store.run(lambda tx: tx.queue_receipts(FI, message_id(1), now=later(1000)))
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (before,)
        await store.run(lambda tx: tx.queue_receipts(FI, message_id(1), now=later(1002)))
        assert set(await store.run(lambda tx: tx.waiting_receipts(FI, 10))) == {lately, before}

    async def test_receipts_that_left_in_the_future_are_sent_again(self, store: Store) -> None:
        """That was before our clock was set right; minutes may be the clock of another machine."""
        hours, minutes = (
            receipt(1, kind, issuer=EE, author=FI) for kind in (ReceiptKind.DELIVERED, ReceiptKind.OPENED)
        )
        await keep(store, hours, minutes, issued=True)
        for row, made in ((hours, 7_200), (minutes, 300)):
            envelope = MessageId.first_of(later(made))
            await store.run(lambda tx, r=row, e=envelope: tx.assign_receipts([r], e))  # type: ignore[misc]
        await store.run(lambda tx: tx.queue_receipts(FI, message_id(1), now=NOW))
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (hours,)

    async def test_receipts_of_an_envelope_are_sent_again_however_lately_it_left(self, store: Store) -> None:
        """What travelled in another one since, or still waits for its first, does not; nor does anything by no envelope."""
        rows = [receipt(number, issuer=EE, author=FI, at=number) for number in range(1, 5)]
        await keep(store, *rows, issued=True)

        def travel(tx: Transaction) -> None:
            tx.assign_receipts(rows[:3], message_id(50))
            tx.assign_receipts(rows[2:3], message_id(51))

        await store.run(travel)
        await store.run(lambda tx: tx.requeue_receipts([]))
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (rows[3],)
        await store.run(lambda tx: tx.requeue_receipts([message_id(50), message_id(52)]))
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (rows[0], rows[1], rows[3])

    async def test_stored_receipts_are_sent_again(self, store: Store) -> None:
        """Ours about that message wait again; those of others and about others do not."""
        delivered = receipt(1, issuer=EE, author=FI, at=1)
        opened = receipt(1, ReceiptKind.OPENED, issuer=EE, author=FI, at=2)
        other = receipt(2, issuer=EE, author=FI)
        await keep(store, delivered, opened, other, issued=True)
        await keep(store, receipt(1), issued=False)
        await store.run(lambda tx: tx.assign_receipts([delivered, opened, other], message_id(50)))
        await store.run(lambda tx: tx.queue_receipts(FI, message_id(1), now=later(1000)))
        assert await store.run(lambda tx: tx.waiting_receipts(FI, 10)) == (delivered, opened)
        await store.run(lambda tx: tx.queue_receipts(EE, message_id(1), now=later(1000)))
        assert await store.run(lambda tx: tx.waiting_receipts(EE, 10)) == ()
