# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What of a case went to whom, when, on which basis and for what, and which corrections are not confirmed yet.

For an access request (GDPR 15(1)(b), (c) and (g); LED 14) and the record of disclosures (LED 25). Headers say all of it; no
content is read. The answer is given only when it is on record that it was given.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.core.audit import AuditAction, AuditReason, AuditRow, Who
from broker.core.errors import NotFound
from broker.core.ids import AuthorityId, CaseRef, ProcedureId
from broker.derived.disclosed import Correction, Disclosure, corrections_of, disclosures_of
from broker.ports import Clock, Reader, Store, Transaction
from broker.rows import ProcedureRow

__all__ = ["CaseDisclosures", "Disclosures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDisclosures:
    """Everything that is known about the exchanges of a case, oldest first."""

    procedures: tuple[ProcedureRow, ...]
    items: tuple[Disclosure, ...]
    corrections: tuple[Correction, ...]  # that we passed on


class Disclosures:
    """Reads what an office exchanged about a case."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def __call__(self, case: CaseRef | ProcedureId, who: Who, *, reason: AuditReason) -> CaseDisclosures:
        """Return the exchanges of the procedures under that reference, or of that one procedure.

        Raises:
            NotFound: the office has no such procedure.
            StoreUnavailable, DiskFull: it is not on record, and not given.
        """
        found = await self._store.read(lambda reader: _look(reader, case, who.authority))
        if not found.procedures:
            raise NotFound
        entries = [self._entry(row, case, len(found.items), who, reason) for row in found.procedures]

        def record(tx: Transaction) -> None:
            for entry in entries:
                tx.audit(entry)

        await self._store.run(record)
        return found

    def _entry(
        self, row: ProcedureRow, case: CaseRef | ProcedureId, items: int, who: Who, reason: AuditReason
    ) -> AuditRow:
        return AuditRow(
            at=self._clock.now(),
            actor=who.actor,
            role=who.role,
            authority=row.our_authority,
            action=AuditAction.DISCLOSURES_SHOWN,
            subject=case,
            detail=f"items={items}",
            procedure=row.ref.id,
            peer=row.peer,
            reason=reason,
        )


def _look(reader: Reader, case: CaseRef | ProcedureId, authority: AuthorityId | None) -> CaseDisclosures:
    if isinstance(case, CaseRef):
        rows = reader.procedures_of(case, authority)
    else:
        one = reader.procedure(case, authority)
        rows = () if one is None else (one,)
    items = disclosures_of(reader, rows)
    found = corrections_of(reader, rows, frozenset(item.digest for item in items))
    passed_on = tuple(item for item in found if item.disclosure.direction == "out")
    return CaseDisclosures(procedures=rows, items=items, corrections=passed_on)
