# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What of a case went to whom, when, on which basis and for what, and which corrections are not confirmed yet.

For an access request (GDPR 15(1)(b), (c) and (g); LED 14) and the record of disclosures (LED 25). Headers say all of it; no
content is read. The answer is given only when it is on record that it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.core.audit import AuditAction, AuditReason, AuditRow, Who
from broker.core.errors import NotFound
from broker.core.ids import AuthorityId, CaseRef, MessageId, ProcedureId
from broker.core.messages import Header
from broker.ports import Clock, Reader, Store, Transaction
from broker.rows import MessageFilter, MessageRow, ProcedureRow

__all__ = ["CaseDisclosures", "Correction", "Disclosure", "Disclosures"]

_PAGE = 200
_CORRECTION = "correction"  # a procedure of its own, and an act that every procedure has
_REPORT = "report"
_PASSED_ON = frozenset({"rectify", "restrict", "erase", "access-forward"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """One message of the case: sent, or received and so a source of what is held."""

    direction: str  # "out": disclosed by us; "in": disclosed to us
    message: MessageId
    header: Header
    at: datetime  # accepted (out) or received (in)
    reached: datetime | None  # since when the other side has it; None for what is on its way, or was refused
    refusal_code: str | None

    @property
    def ours(self) -> AuthorityId:
        """Our office."""
        return (self.header.sender if self.direction == "out" else self.header.recipient).authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A correction, restriction, erasure or claim that we passed on (GDPR 19)."""

    disclosure: Disclosure
    confirmed: datetime | None  # reported back, or seen by an officer there; None: neither yet


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDisclosures:
    """Everything that is known about the exchanges of a case, oldest first."""

    procedures: tuple[ProcedureRow, ...]
    items: tuple[Disclosure, ...]
    corrections: tuple[Correction, ...]


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
    messages = [message for row in rows for message in _messages(reader, row)]
    messages.sort(key=lambda message: (message.at, message.id))
    items = tuple(_disclosure(message) for message in messages)
    return CaseDisclosures(
        procedures=rows,
        items=items,
        corrections=tuple(
            Correction(disclosure=item, confirmed=_confirmed(message, messages))
            for item, message in zip(items, messages, strict=True)
            if _corrects(message)
        ),
    )


def _messages(reader: Reader, row: ProcedureRow) -> list[MessageRow]:
    wanted, found, cursor = MessageFilter(procedure=row.ref.id), list[MessageRow](), None
    while True:
        page = reader.messages(wanted, cursor=cursor, limit=_PAGE)
        found.extend(page.items)
        if page.next is None:
            return found
        cursor = page.next


def _disclosure(row: MessageRow) -> Disclosure:
    return Disclosure(
        direction=row.direction,
        message=row.id,
        header=row.header,
        at=row.at,
        reached=row.delivered if row.direction == "out" else row.at,
        refusal_code=row.refusal_code,
    )


def _corrects(row: MessageRow) -> bool:
    kind = row.header.type
    own = kind.procedure == _CORRECTION and kind.act in _PASSED_ON
    return row.direction == "out" and (own or kind.act == _CORRECTION)


def _confirmed(correction: MessageRow, messages: list[MessageRow]) -> datetime | None:
    """Return when the other side reported what it did; a correction within a procedure is confirmed when it was seen."""
    if correction.header.type.act == _CORRECTION:
        return correction.opened
    ours = correction.header.procedure
    reports = (
        row.at
        for row in messages
        if row.direction == "in" and row.header.procedure == ours and row.header.type.act == _REPORT
    )
    return min(reports, default=None)
