# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look at all cases for people: what is to be reviewed, what another country asks to erase, which proposals lapsed.

The one thing that this erases by itself are exercises, a fixed time after the drill (CASEWORK R-40).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction, AuditRow, Who
from broker.core.delivery import REMIND_BATCH, WATCH_BATCH
from broker.core.erasures import Erasure, ErasureState
from broker.core.errors import CaseErased, CaseKeyMissing, StoreCorrupt
from broker.core.ids import CountryCode, ErasureId, ProcedureId
from broker.core.retention import EXERCISE_KEPT, PROPOSAL_DAYS, EraseReason
from broker.core.roles import AuditRole
from broker.derived.archive import procedures_named
from broker.flows.retain.destroy import destroy
from broker.flows.retain.list_case import Case, case_of, hindrances, list_case, locked_case
from broker.flows.retain.standing import ReviewDates, Standing
from broker.ledger import Ledger
from broker.ports import Clock, Ids, Reader, Store, Transaction
from broker.rows import MessageFilter, MessageRow, ProcedureRow

__all__ = ["Review"]

_NODE = Who(actor="node", role=AuditRole.NODE)
_ASKS = "correction.erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one look found."""

    due: tuple[Standing, ...]
    drilled: tuple[Case, ...]  # exercises that are over for long enough
    asked: tuple[tuple[MessageRow, tuple[Case, ...]], ...]  # messages that ask for an erasure, and of which cases
    settled: tuple[str, ...]  # procedures of calls that are due no more: something new came, or they are erased
    place: int  # in the audit trail, up to which something was seen to happen
    next: str | None


class Review:
    """Calls a person once for each review and each erasure that is asked for; ends proposals that nobody confirmed.

    Each look takes a bounded number of procedures and the next one goes on behind them; a case that is called about, and to
    which something new came, does not wait for its turn.
    """

    def __init__(
        self, *, us: CountryCode, store: Store, ledger: Ledger, dates: ReviewDates, clock: Clock, ids: Ids
    ) -> None:
        self._us = us
        self._store = store
        self._ledger = ledger
        self._dates = dates
        self._clock = clock
        self._ids = ids
        self._cursor: str | None = None  # where the last look ended; None: begin anew
        self._place: int | None = None  # in the audit trail, where the last look ended; None: there was none

    async def __call__(self) -> int:
        """Look once; return how much was done."""
        seen = await self._store.read(self._look)
        self._cursor = seen.next
        done = await self._store.run(self._lapse)
        if seen.due or seen.asked or seen.settled:
            done += await self._store.run(lambda tx: self._call(tx, seen))
        self._place = seen.place  # only now: what could not be closed is looked at again
        for case in seen.drilled:
            done += await self._store.run(lambda tx, case=case: self._erase(tx, case))  # type: ignore[misc]
        return done

    # --- looking ----------------------------------------------------------------------------------------------------

    def _look(self, reader: Reader) -> _Seen:
        now = self._clock.now()
        page = reader.procedures(None, cursor=self._cursor, limit=REMIND_BATCH)
        called = {call.subject for call in reader.open_calls([AttentionCode.REVIEW_DUE])}
        touched = reader.touched(self._place)
        rows = [*page.items, *(_firsts(reader, touched.procedures, called) if called else ())]
        found = {row.ref.id: self._dates.of_first(reader, row, now=now) for row in rows}
        standing = {first: item for first, item in found.items() if item is not None}
        due = {first: item for first, item in standing.items() if item.due}
        # A call that a person closed without a decision is made again: a review without a date is none.
        anew = (item for first, item in due.items() if first not in called)
        return _Seen(
            due=tuple(item for item in anew if reader.retention.open_erasure(item.case.key_scope) is None),
            drilled=tuple(
                item.case for item in standing.values() if _is_drill(item) and item.last + EXERCISE_KEPT < now
            ),
            asked=tuple(self._asked(reader)),
            settled=tuple(first for first in found if first in called and first not in due),
            place=touched.place,
            next=page.next,
        )

    def _asked(self, reader: Reader) -> list[tuple[MessageRow, tuple[Case, ...]]]:
        wanted = MessageFilter(direction="in", type=_ASKS)
        # For what does not open `Remind` calls the operator; it is told here once it is restored, and holds up no other case.
        page = reader.messages(wanted, cursor=None, limit=WATCH_BATCH, readable_only=True)
        found = []
        for brief in page.items:
            subject = message_subject(brief.peer, brief.id)
            if not reader.called(AttentionCode.ERASURE_ASKED, subject):
                found.append((brief, self._cases(reader, brief)))
        return found

    def _cases(self, reader: Reader, brief: MessageRow) -> tuple[Case, ...]:
        """Return the cases with what the sender itself had sent, or was sent, and wants erased."""
        cases: dict[ProcedureId, Case] = {}
        for row in procedures_named(reader, brief.peer, brief.id, brief.digest, readable_only=True):
            if row.erased is None:
                case = case_of(reader, row)
                cases.setdefault(case.rows[0].ref.id, case)
        return tuple(cases.values())

    # --- acting -----------------------------------------------------------------------------------------------------

    def _call(self, tx: Transaction, seen: _Seen) -> int:
        now = self._clock.now()
        for item in seen.due:
            row = item.case.rows[0]
            detail = f"{AttentionCode.REVIEW_DUE.meaning} Rule: {item.rule.limit.count} {item.rule.limit.unit}."
            self._ledger.call(tx, AttentionCode.REVIEW_DUE, row.ref.id, peer=row.peer, row=row, detail=detail, now=now)
        for message, cases in seen.asked:
            self._ledger.call(
                tx, AttentionCode.ERASURE_ASKED, message_subject(message.peer, message.id), peer=message.peer,
                authority=message.authority, now=now,
            )  # fmt: skip
            for case in cases:
                with suppress(CaseKeyMissing, StoreCorrupt):  # a held message of it: a person lists it, and is told so
                    tx.retention.add_erasure(self._asked_erasure(tx, case, message))
        for subject in seen.settled:
            tx.resolve_attention(AttentionCode.REVIEW_DUE, subject, at=now, by=_NODE.actor)
        return len(seen.due) + len(seen.asked) + len(seen.settled)

    def _asked_erasure(self, tx: Transaction, case: Case, message: MessageRow) -> Erasure:
        return replace(
            self._proposal(tx, case, EraseReason.LEGAL_OBLIGATION),
            state=ErasureState.ASKED,
            proposed_by=str(message.peer),
            role=AuditRole.PEER,
            asked_by=message.id,
        )

    def _proposal(self, tx: Transaction, case: Case, reason: EraseReason) -> Erasure:
        listed = list_case(tx, case, self._us).digest
        return case.proposal(ErasureId(self._ids.message_id()), reason, listed, _NODE, self._clock.now())

    def _erase(self, tx: Transaction, case: Case) -> int:
        """Erase an exercise, unless something came to it meanwhile, or a person decides about it."""
        now = self._clock.now()
        try:
            case = locked_case(tx, case)
        except CaseErased:
            return 0
        if tx.retention.open_erasure(case.key_scope) is not None:
            return 0
        if any((tx.retention.last_activity(row.ref.id) or row.opened) + EXERCISE_KEPT >= now for row in case.rows):
            return 0
        listed, drill = list_case(tx, case, self._us), EraseReason.EXERCISE
        if any(hindrances(tx, self._ledger, case, listed, drill, now)):
            return 0
        done = replace(self._proposal(tx, case, drill), state=ErasureState.ERASED, decided=now, decided_by=_NODE.actor)
        tx.retention.add_erasure(done)
        destroy(tx, case, listed, done, _NODE, self._us)
        return 1

    def _lapse(self, tx: Transaction) -> int:
        now = self._clock.now()
        late = tx.retention.lapsed_erasures(before=now - timedelta(days=PROPOSAL_DAYS), limit=WATCH_BATCH)
        for one in late:
            lapsed = replace(one, state=ErasureState.LAPSED, decided=now, decided_by=_NODE.actor)
            if not tx.retention.settle_erasure(lapsed, was=ErasureState.PROPOSED):
                continue
            tx.audit(
                AuditRow(
                    at=now, actor=_NODE.actor, action=AuditAction.ERASURE_LAPSED, subject=one.id,
                    authority=one.authority, procedure=one.procedures[0], peer=one.peer, reason=one.reason,
                )
            )  # fmt: skip
            tx.resolve_attention(AttentionCode.ERASURE_WAITS, one.id, at=now, by=_NODE.actor)
            self._ledger.call(tx, AttentionCode.ERASURE_LAPSED, one.id, peer=one.peer, authority=one.authority, now=now)
            if one.asked_by is not None:  # that country waits for its answer all the same
                tx.retention.add_erasure(
                    replace(
                        one, id=ErasureId(self._ids.message_id()), state=ErasureState.ASKED, proposed=now,
                        proposed_by=str(one.peer), role=AuditRole.PEER,
                    )
                )  # fmt: skip
        return len(late)


def _is_drill(item: Standing) -> bool:
    return all(row.exercise for row in item.case.rows)


def _firsts(reader: Reader, touched: Collection[ProcedureId], called: Collection[str]) -> Iterator[ProcedureRow]:
    """Yield the first procedures of cases in which something happened, where somebody is called about them."""
    for procedure in touched:
        row = reader.procedure(procedure, None)
        if row is None or row.erased is not None:
            continue
        first = case_of(reader, row).rows[0]
        if first.ref.id in called:
            yield first
