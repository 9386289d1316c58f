# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keep a case: a legal hold while there are proceedings, a review with a date and a reason (DOMAIN 6.5; GDPR 17(3), 18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from broker.core.attention import AttentionCode
from broker.core.audit import AuditAction, AuditRow, Who
from broker.core.erasures import Retained
from broker.core.errors import AlreadySettled, BadRequest, Forbidden
from broker.core.ids import AuthorityId, CaseRef, ProcedureId
from broker.core.retention import LONGEST_KEEP_DAYS, HoldReason, KeepReason
from broker.core.roles import PEOPLE
from broker.flows.retain.list_case import Case, case_named
from broker.flows.retain.standing import ReviewDates, Standing
from broker.ports import Clock, Reader, Store, Transaction

__all__ = ["Keep", "RetentionList"]

_MOST = 5_000  # procedures that one list looks at

_Decide = Callable[[Retained], Retained]  # what was decided before → what is now

_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionList:
    """How long an office's cases are kept, the next review first."""

    items: tuple[Standing, ...]
    truncated: bool  # there are more cases than one list shows


class Keep:
    """Holds, reviews and lists; each by a person, for a reason of a list, on record."""

    def __init__(self, *, store: Store, dates: ReviewDates, clock: Clock) -> None:
        """Args:
        dates: when a case is reviewed.
        """
        self._store = store
        self._dates = dates
        self._clock = clock

    async def listed(self, authority: AuthorityId | None, *, due_only: bool) -> RetentionList:
        """Return the review date of every case that is not erased, and who holds it."""
        return await self._store.read(lambda reader: self._list(reader, authority, due_only=due_only))

    async def standing(self, wanted: CaseRef | ProcedureId, authority: AuthorityId | None) -> Standing:
        """Return how long one case is kept.

        Raises:
            NotFound, Forbidden, CaseErased: the office has no such case.
        """
        return await self._store.read(
            lambda reader: self._dates.standing(reader, case_named(reader, wanted, authority), now=self._clock.now())
        )

    async def hold(self, wanted: CaseRef | ProcedureId, why: HoldReason, who: Who) -> Standing:
        """Put a case under a legal hold: nothing of it is erased until that is released.

        Raises:
            NotFound, Forbidden, CaseErased: the office has no such case.
            AlreadySettled: it is under one.
        """

        def decide(before: Retained) -> Retained:
            if before.hold is not None:
                raise AlreadySettled("This case is under a legal hold already.")
            return replace(before, hold=why, held=self._clock.now(), held_by=who.actor)

        return await self._change(wanted, who, decide, AuditAction.LEGAL_HOLD, why)

    async def release(self, wanted: CaseRef | ProcedureId, who: Who) -> Standing:
        """End a legal hold.

        Raises:
            NotFound, Forbidden, CaseErased: the office has no such case.
            AlreadySettled: it is under none.
        """
        held = await self.standing(wanted, who.authority)

        def decide(before: Retained) -> Retained:
            if before.hold is None:
                raise AlreadySettled("This case is under no legal hold.")
            return replace(before, hold=None, held=None, held_by=None)

        reason = held.retained.hold if held.retained else None
        return await self._change(wanted, who, decide, AuditAction.LEGAL_HOLD_ENDED, reason or "")

    async def review(self, wanted: CaseRef | ProcedureId, until: date, why: KeepReason, who: Who) -> Standing:
        """Keep a case until a day, for a reason; it is reviewed again then, or a rule's time after something new came.

        Raises:
            BadRequest: the day is not ahead, or too far.
            NotFound, Forbidden, CaseErased: the office has no such case.
        """
        now = self._clock.now()
        if not now.date() < until <= now.date() + timedelta(days=LONGEST_KEEP_DAYS):
            raise BadRequest("The next review is on a day of the next five years.", where="keep_until")

        def decide(before: Retained) -> Retained:
            return replace(before, keep_until=until, keep=why, reviewed=now, reviewed_by=who.actor)

        return await self._change(wanted, who, decide, AuditAction.REVIEWED, why, detail=f"keep-until={until}")

    async def _change(
        self, wanted: CaseRef | ProcedureId, who: Who, decide: _Decide, action: AuditAction, why: str, detail: str = ""
    ) -> Standing:
        if who.role not in PEOPLE:
            raise Forbidden("A person of the office decides how long a case is kept.")
        case = await self._store.read(lambda reader: case_named(reader, wanted, who.authority))
        await self._store.run(lambda tx: self._save(tx, case, decide, who, action, why, detail))
        return await self.standing(case.rows[0].ref.id, who.authority)

    def _save(
        self, tx: Transaction, case: Case, decide: _Decide, who: Who, action: AuditAction, why: str, detail: str
    ) -> None:
        tx.lock_procedure(case.rows[0].ref.id)  # one decision at a time, and none while it is erased
        now = self._clock.now()
        tx.retention.save_retained(decide(tx.retention.retained(case.scope) or Retained(scope=case.scope)))
        for row in case.rows:
            tx.audit(
                AuditRow(
                    at=now, actor=who.actor, role=who.role, authority=case.authority, action=action,
                    subject=case.case_ref or row.ref.id, detail=detail, procedure=row.ref.id, peer=case.peer, reason=why,
                )
            )  # fmt: skip
        if action is AuditAction.REVIEWED:
            tx.resolve_attention(AttentionCode.REVIEW_DUE, case.rows[0].ref.id, at=now, by=who.actor)

    def _list(self, reader: Reader, authority: AuthorityId | None, *, due_only: bool) -> RetentionList:
        found: list[Standing] = []
        cursor, seen, now = None, 0, self._clock.now()
        while seen < _MOST:
            page = reader.procedures(authority, cursor=cursor, limit=_PAGE)
            for row in page.items:
                standing = self._dates.of_first(reader, row, now=now)
                if standing is not None and (standing.due or not due_only):
                    found.append(standing)
            seen, cursor = seen + len(page.items), page.next
            if cursor is None:
                break
        return RetentionList(items=tuple(sorted(found, key=lambda item: item.review)), truncated=cursor is not None)
