# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What every store must do with erasures and what keeps a case; part of `StoreContract`."""

# ruff: noqa: S106 - tokens here are those of leases, no secrets

from __future__ import annotations

from dataclasses import replace
from datetime import date

from broker.core.erasures import Duty, DutyKind, Erasure, ErasureState, Retained
from broker.core.ids import ErasureId
from broker.core.owed_chunks import OwedChunks
from broker.core.retention import EraseReason, HoldReason, KeepReason
from broker.core.roles import AuditRole
from broker.ports import Store
from broker.rows import AttachmentRow
from broker.security.at_rest import Scope
from broker.testing.store_rows import (
    BOARD,
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
    sealed,
)

__all__ = ["RetentionContract"]

SCOPE = Scope(f"{FI}:{CASE}")


def erasure(number: int, **changes: object) -> Erasure:
    """Return a proposal."""
    made = Erasure(
        id=ErasureId(message_id(number)),
        scope=SCOPE,
        peer=FI,
        case_ref=CASE,
        procedures=(procedure_id(1),),
        authority=BOARD,
        reason=EraseReason.OBJECTION,
        state=ErasureState.PROPOSED,
        listed=digest("list"),
        proposed=later(number),
        proposed_by="first",
        role=AuditRole.OFFICER,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def file_of(number: int, *, author: object, blob: str) -> AttachmentRow:
    """Return an attachment of a message between EE and FI."""
    return AttachmentRow(
        author=FI if author is FI else EE, message=message_id(number), handle=digest(blob), peer=FI, place=0, blob=blob, size=1,
        chunks=1, owed=OwedChunks.all_of(1), at=NOW, moved=NOW,
    )  # fmt: skip


class RetentionContract:
    """Decisions about keeping and erasing."""

    async def test_a_case_is_listed_without_its_key(self, store: Store) -> None:
        """Its messages are told by their rows, also when it is erased; the newest of them dates it."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        assert await store.read(lambda reader: reader.retention.last_activity(procedure_id(1))) is None
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        await store.run(lambda tx: tx.add_inbox(incoming(2), next_at=None, handed_over=NOW))
        await store.run(lambda tx: tx.destroy_case(SCOPE, later(60)))
        found = await store.read(lambda reader: reader.retention.case_messages([procedure_id(1)]))
        assert {(one.direction, one.id, one.settled) for one in found} == {
            ("out", message_id(1), False), ("in", message_id(2), True),
        }  # fmt: skip
        last = await store.read(lambda reader: reader.retention.last_activity(procedure_id(1)))
        assert last == max(one.at for one in found)
        rows = await store.read(lambda reader: reader.retention.case_of(FI, CASE))
        assert [row.ref.id for row in rows] == [procedure_id(1)]
        assert await store.read(lambda reader: reader.retention.case_of(SE, CASE)) == ()

    async def test_what_keeps_a_case_is_kept(self, store: Store) -> None:
        """The newest decision stands alone, and may be taken back."""
        assert await store.read(lambda reader: reader.retention.retained(SCOPE)) is None
        row = Retained(
            scope=SCOPE, hold=HoldReason.COMPLAINT, held=NOW, held_by="first", keep_until=date(2027, 2, 3),
            keep=KeepReason.DUTY_OF_LAW, reviewed=NOW, reviewed_by="second",
        )  # fmt: skip
        for kept in (row, replace(row, hold=None, held=None, held_by=None)):
            await store.run(lambda tx, kept=kept: tx.retention.save_retained(kept))  # type: ignore[misc]
            assert await store.read(lambda reader: reader.retention.retained(SCOPE)) == kept

    async def test_one_proposal_of_a_case_waits_at_a_time(self, store: Store) -> None:
        """It is decided once; then another may wait. Lists show an office's own, the newest first."""
        one, two = erasure(1), erasure(2)
        assert await store.run(lambda tx: tx.retention.add_erasure(one)) is True
        assert await store.run(lambda tx: tx.retention.add_erasure(two)) is False
        assert await store.read(lambda reader: reader.retention.open_erasure(SCOPE)) == one
        gone = replace(one, state=ErasureState.REJECTED, decided=later(9), decided_by="second")
        assert await store.run(lambda tx: tx.retention.settle_erasure(gone, was=ErasureState.PROPOSED)) is True
        assert await store.run(lambda tx: tx.retention.settle_erasure(one, was=ErasureState.PROPOSED)) is False
        assert await store.run(lambda tx: tx.retention.erasure(one.id)) == gone
        assert await store.read(lambda reader: reader.retention.erasure(one.id)) == gone
        assert await store.run(lambda tx: tx.retention.add_erasure(two)) is True
        for office in (None, BOARD):
            listed = await store.read(lambda reader, office=office: reader.retention.erasures(office, limit=9))  # type: ignore[misc]
            assert listed == (two, gone)
        late = await store.run(lambda tx: tx.retention.lapsed_erasures(before=later(3), limit=9))
        assert late == (two,)

    async def test_what_one_message_asked_to_erase_is_found_together(self, store: Store) -> None:
        """Case by case, whatever became of each; another country may have used the same id."""
        asked = erasure(1, state=ErasureState.ASKED, asked_by=message_id(7))
        other = replace(asked, id=ErasureId(message_id(2)), scope=Scope("FI:other"), state=ErasureState.REJECTED)
        foreign = replace(asked, id=ErasureId(message_id(3)), scope=Scope("SE:other"), peer=SE)
        for row in (asked, other, foreign, erasure(4, scope=Scope("FI:third"))):
            assert await store.run(lambda tx, row=row: tx.retention.add_erasure(row)) is True  # type: ignore[misc]
        for found in (
            await store.read(lambda reader: reader.retention.asked_for(FI, message_id(7))),
            await store.run(lambda tx: tx.retention.asked_for(FI, message_id(7))),
        ):
            assert found == (asked, other)

    async def test_an_erasure_is_final_when_its_epoch_is_over(self, store: Store) -> None:
        """Not before: keys that were destroyed in the epoch that goes on may still stand in a copy."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        await store.run(lambda tx: tx.destroy_case(SCOPE, later(60)))
        done = erasure(1, state=ErasureState.ERASED, decided=later(60), decided_by="second")
        await store.run(lambda tx: tx.retention.add_erasure(done))
        assert await store.run(lambda tx: tx.retention.finish_erasures(1, later(70))) == ()
        assert await store.run(lambda tx: tx.retention.finish_erasures(2, later(80))) == (done,)
        assert await store.run(lambda tx: tx.retention.finish_erasures(2, later(90))) == ()
        found = await store.run(lambda tx: tx.retention.erasure(done.id))
        assert found == replace(done, final=later(80))

    async def test_what_is_forgotten_leaves_its_row_and_names_its_files(self, store: Store) -> None:
        """Ciphertexts and sealed copies go; a file that another message names too stays."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        await store.run(lambda tx: tx.add_inbox(incoming(1), next_at=NOW))
        for row in (file_of(1, author=EE, blob="a"), file_of(1, author=EE, blob="b"), file_of(1, author=FI, blob="c")):
            await store.run(lambda tx, row=row: tx.add_attachment(row))  # type: ignore[misc]
        await store.run(lambda tx: tx.add_attachment(file_of(7, author=EE, blob="b")))
        (_,) = await store.run(lambda tx: tx.lease_outbox(now=NOW, until=later(60), token="t", limit=9))
        assert await store.run(lambda tx: tx.save_sealed([sealed(1)], token="t")) == {message_id(1)}

        found = await store.read(lambda reader: reader.retention.case_messages([procedure_id(1)]))
        ours, theirs = sorted(found, key=lambda one: one.direction, reverse=True)
        assert await store.run(lambda tx: tx.retention.forget(ours)) == ("a",)
        assert await store.run(lambda tx: tx.inbox(FI, message_id(1))) is not None
        assert await store.run(lambda tx: tx.retention.forget(theirs)) == ("c",)
        assert await store.run(lambda tx: tx.outbox(message_id(1))) is None
        assert await store.run(lambda tx: tx.inbox(FI, message_id(1))) is None
        assert await store.run(lambda tx: tx.lease_inbox(now=later(9), until=later(60), token="t", limit=9)) == ()
        left = await store.read(lambda reader: reader.retention.case_messages([procedure_id(1)]))
        assert {one.digest for one in left} == {ours.digest, theirs.digest}

    async def test_a_procedure_says_since_when_it_is_erased(self, store: Store) -> None:
        """The first time stands."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        for at in (later(60), later(90)):
            await store.run(lambda tx, at=at: tx.retention.mark_erased(procedure_id(1), at))  # type: ignore[misc]
        row = await store.read(lambda reader: reader.procedure(procedure_id(1), None))
        assert row is not None
        assert row.erased == later(60)

    async def test_what_is_left_of_an_erased_message_is_found_by_its_id(self, store: Store) -> None:
        """Ours and theirs of one id, once their procedure is erased; which erasure it was, the newest that took it."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW))
        await store.run(lambda tx: tx.add_inbox(incoming(1), next_at=NOW))
        lapsed = erasure(1, state=ErasureState.LAPSED, decided=later(20), decided_by="node")
        done = erasure(
            2, state=ErasureState.ERASED, decided=later(30), decided_by="second", procedures=(procedure_id(1),)
        )
        other = erasure(3, state=ErasureState.ERASED, decided=later(40), decided_by="second", procedures=())
        for one in (lapsed, done, other):
            await store.run(lambda tx, one=one: tx.retention.add_erasure(one))  # type: ignore[misc]
        assert await store.read(lambda reader: reader.retention.erased_messages(message_id(1))) == ()

        await store.run(lambda tx: tx.retention.mark_erased(procedure_id(1), later(30)))
        found = await store.read(lambda reader: reader.retention.erased_messages(message_id(1)))
        assert [(one.direction, one.peer, one.procedure, one.authority) for one in found] == [
            ("out", FI, procedure_id(1), BOARD), ("in", FI, procedure_id(1), BOARD),
        ]  # fmt: skip
        row = await store.read(lambda reader: reader.procedure(procedure_id(1), None))
        assert row is not None
        assert await store.read(lambda reader: reader.retention.erasure_of(row)) == done
        unknown = replace(row, ref=procedure(2).ref)
        assert await store.read(lambda reader: reader.retention.erasure_of(unknown)) is None

    async def test_a_duty_stands_until_it_is_confirmed(self, store: Store) -> None:
        """Nobody else takes it meanwhile; a failed attempt is counted and comes again when it is due."""
        duty = Duty(kind=DutyKind.BLOB, name="a", erasure=erasure(1).id, authority=BOARD)
        for _ in range(2):
            await store.run(lambda tx: tx.retention.add_duty(duty, NOW))
        assert await store.run(lambda tx: tx.retention.lease_duties(now=NOW, until=later(60), limit=9)) == (duty,)
        assert await store.run(lambda tx: tx.retention.lease_duties(now=NOW, until=later(60), limit=9)) == ()
        await store.run(lambda tx: tx.retention.retry_duty(duty, next_at=later(5)))
        again = await store.run(lambda tx: tx.retention.lease_duties(now=later(6), until=later(60), limit=9))
        assert again == (replace(duty, attempts=1),)
        hours = later(2 * 3_600)  # by a clock that was set right since
        await store.run(lambda tx: tx.retention.lease_duties(now=later(61), until=hours, limit=9))
        assert len(await store.run(lambda tx: tx.retention.lease_duties(now=later(62), until=hours, limit=9))) == 1
        assert await store.run(lambda tx: tx.retention.duties_of(duty.erasure)) == 1
        await store.run(lambda tx: tx.retention.drop_duty(duty))
        assert await store.run(lambda tx: tx.retention.duties_of(duty.erasure)) == 0
