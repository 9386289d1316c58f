# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Put on record who saw what: whoever shows something calls this first, and shows it only when it returned.

- A message's content is recorded each time that it is shown, also that of one that a safeguard holds.
- A page of a list is one entry: how many it held, the newest and the oldest. What lay between stands in the store.
- A page or a procedure that is shown again unchanged within ten minutes to the same caller is one look: a console that
  refreshes itself every few seconds would otherwise drown what a person did.
- Attention entries, health and metrics say nothing of a case and are not recorded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from broker.core.audit import AuditAction, AuditRow, Who
from broker.core.ids import MessageId, ProcedureId
from broker.derived.restraint import Restraint
from broker.ports import Clock, Store
from broker.rows import HeldDraft, MessageFilter, MessageRow, Page, ProcedureRow, about

__all__ = ["LOOK_SECONDS", "Consult"]

LOOK_SECONDS = 600.0
_REMEMBERED = 10_000  # looks; beyond that the oldest are forgotten, and recorded again when they come again

_Key = tuple[object, ...]


class Consult:
    """Writes the entry of a look."""

    def __init__(self, *, store: Store, clock: Clock, restraint: Restraint) -> None:
        self._store = store
        self._restraint = restraint
        self._clock = clock
        self._looks: dict[_Key, float] = {}  # when each was recorded last, the oldest first

    async def message(self, row: MessageRow, who: Who) -> None:
        """Record that a message's content is shown.

        Raises:
            TooManyCases: it must not be shown (R-38).
            StoreUnavailable, DiskFull: it is not on record; do not show it.
        """
        entry = about(
            row,
            who,
            at=self._clock.now(),
            action=AuditAction.READ,
            detail=row.header.type,
            reason=row.header.legal_basis.code if row.header.legal_basis else "",
        )
        await self._restraint.record(entry)

    async def draft(self, row: HeldDraft, who: Who) -> None:
        """Record that a held message is shown, or what became of it.

        Raises:
            StoreUnavailable, DiskFull: it is not on record; do not show it.
        """
        entry = AuditRow(
            at=self._clock.now(),
            actor=who.actor,
            role=who.role,
            authority=row.authority,
            action=AuditAction.READ,
            subject=row.id,
            detail=f"held.{row.type}",
            peer=row.peer,
        )
        await self._store.run(lambda tx: tx.audit(entry))

    async def drafts(self, page: Page, who: Who) -> None:
        """Record that a page of held messages is shown.

        Raises:
            StoreUnavailable, DiskFull: it is not on record; do not show it.
        """
        await self._list("held", [item.id for item in page.items], who, {}, wanted=MessageFilter())

    async def procedure(self, row: ProcedureRow, who: Who) -> None:
        """Record that a procedure's record is shown.

        Raises:
            TooManyCases: it must not be shown (R-38).
            StoreUnavailable, DiskFull: it is not on record; do not show it.
        """
        entry = AuditRow(
            at=self._clock.now(),
            actor=who.actor,
            role=who.role,
            authority=row.our_authority,
            action=AuditAction.READ,
            subject=row.ref.id,
            detail=f"procedure.{row.ref.name}",
            procedure=row.ref.id,
            peer=row.peer,
        )
        await self._once(entry, (row.ref.id, row.state), self._restraint.record)

    async def messages(self, page: Page, wanted: MessageFilter, who: Who) -> None:
        """Record that a page of messages is shown.

        Raises:
            StoreUnavailable, DiskFull: it is not on record; do not show it.
        """
        limits = {"direction": wanted.direction, "type": wanted.type, "state": wanted.state}
        ids = [item.id for item in page.items]
        await self._list("messages", ids, who, limits, wanted=wanted)

    async def procedures(self, page: Page, who: Who) -> None:
        """Record that a page of procedures is shown.

        Raises:
            StoreUnavailable, DiskFull: it is not on record; do not show it.
        """
        await self._list("procedures", [item.ref.id for item in page.items], who, {}, wanted=MessageFilter())

    async def trail(self, page: Page, who: Who, *, reason: str, position: int | None = None) -> None:
        """Record that a page of the audit trail, or the one entry at a place, is shown.

        Raises:
            StoreUnavailable, DiskFull: it is not on record; do not show it.
        """
        ends = [item.position for item in page.items if item.position is not None]
        detail = (
            f"items={len(page.items)} newest={max(ends)} oldest={min(ends)}" if ends else f"items={len(page.items)}"
        )
        entry = AuditRow(
            at=self._clock.now(),
            actor=who.actor,
            role=who.role,
            authority=who.authority,
            action=AuditAction.TRAIL_SHOWN,
            subject="audit" if position is None else f"audit-{position}",
            detail=detail if position is None else "",
            reason=reason,
        )
        await self._store.run(lambda tx: tx.audit(entry))

    async def _list(
        self,
        name: str,
        ids: list[MessageId] | list[ProcedureId],
        who: Who,
        limits: dict[str, str | None],
        *,
        wanted: MessageFilter,
    ) -> None:
        if not ids:
            return  # nothing was shown
        limited = [f"{limit}={value}" for limit, value in limits.items() if value is not None]
        entry = AuditRow(
            at=self._clock.now(),
            actor=who.actor,
            role=who.role,
            authority=who.authority,
            action=AuditAction.LISTED,
            subject=name,
            detail=" ".join([f"items={len(ids)} newest={ids[0]} oldest={ids[-1]}", *limited]),
            procedure=wanted.procedure,
            peer=wanted.peer,
        )
        await self._once(entry, (entry.detail, entry.procedure, entry.peer))

    async def _once(
        self, entry: AuditRow, shown: _Key, record: Callable[[AuditRow], Awaitable[None]] | None = None
    ) -> None:
        key = (entry.actor, entry.role, entry.authority, entry.action, entry.subject, *shown)
        now = self._clock.monotonic()
        if now - self._looks.get(key, -LOOK_SECONDS) < LOOK_SECONDS:
            return
        if record is None:
            await self._store.run(lambda tx: tx.audit(entry))
        else:
            await record(entry)
        self._looks.pop(key, None)
        self._looks[key] = now
        if len(self._looks) > _REMEMBERED:
            del self._looks[next(iter(self._looks))]
