# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Find a case, list exactly what an erasure of it takes away, and what speaks against it now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from broker.core.audit import Who
from broker.core.content import decode_header
from broker.core.corrected import CORRECTING
from broker.core.erasures import CaseMessage, Erasure, ErasureState, Hindrance, Listed, Obstacle, owed
from broker.core.errors import BadRequest, CaseErased, Forbidden, NotFound
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, ErasureId, MessageId, ProcedureId
from broker.core.retention import EraseReason
from broker.derived.archive import CORRECTION, procedures_named
from broker.derived.disclosed import corrections_of
from broker.ledger import Ledger
from broker.ports import Reader, Transaction
from broker.rows import HeldDraft, ProcedureRow
from broker.security.at_rest import Scope, scope_of, scopes_of
from broker.security.chunks import blob_of

__all__ = [
    "Case",
    "author_of",
    "case_named",
    "case_of",
    "corrections_pending",
    "corrects_open",
    "hindrances",
    "list_case",
    "locked_case",
    "uploads_of",
]

_ERASE = "erase"  # another country's: erasing is its answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The procedures that are erased together."""

    peer: CountryCode
    case_ref: CaseRef | None
    authority: AuthorityId
    rows: tuple[ProcedureRow, ...]  # not erased yet, oldest first
    scope: Scope  # of its holds and reviews
    key_scope: Scope  # whose key tells when an erasure is final: a case that goes on after one has another

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """Every scope whose key is destroyed."""
        found = (scope for row in self.rows for scope in scopes_of(self.peer, self.case_ref, row.ref.id))
        return tuple(dict.fromkeys(found))

    @property
    def procedures(self) -> tuple[ProcedureId, ...]:
        """Their ids."""
        return tuple(row.ref.id for row in self.rows)

    def proposal(self, erasure: ErasureId, reason: EraseReason, listed: Digest, who: Who, at: datetime) -> Erasure:
        """Return the proposal to erase it with what was listed."""
        return Erasure(
            id=erasure,
            scope=self.key_scope,
            peer=self.peer,
            case_ref=self.case_ref,
            procedures=self.procedures,
            authority=self.authority,
            reason=reason,
            state=ErasureState.PROPOSED,
            listed=listed,
            proposed=at,
            proposed_by=who.actor,
            role=who.role,
        )


def case_named(reader: Reader, wanted: CaseRef | ProcedureId, authority: AuthorityId | None) -> Case:
    """Return the case of that reference, or the one that a procedure belongs to.

    Raises:
        NotFound: the office has no such case or procedure.
        BadRequest: two countries use one reference.
        Forbidden: another office has a procedure of it too.
        CaseErased: all of it is erased.
    """
    if isinstance(wanted, CaseRef):
        rows = reader.procedures_of(wanted, authority)
        if len({row.peer for row in rows}) > 1:
            raise BadRequest("Several countries use this reference: name one of its procedures instead.", where="case")
    else:
        one = reader.procedure(wanted, authority)
        rows = () if one is None else (one,)
    if not rows:
        raise NotFound
    case = case_of(reader, rows[0])
    if authority is not None and any(row.our_authority != authority for row in case.rows):
        raise Forbidden("Another office has a procedure of this case too: neither decides about it alone.")
    return case


def locked_case(tx: Transaction, case: Case) -> Case:
    """Return the case as it stands now; nothing more of it is stored before the transaction ends.

    A procedure that was opened in it meanwhile is one of its own now, and goes by no lock but that of the case's key.

    Raises:
        CaseErased: all of it is erased.
    """
    first, *_ = [tx.lock_procedure(row.ref.id) or row for row in case.rows]
    for scope in case.scopes:
        tx.hold_case(scope)
    return case_of(tx, first)


def case_of(store: Reader | Transaction, first: ProcedureRow) -> Case:
    """Return the case that a procedure belongs to.

    Raises:
        CaseErased: all of it is erased.
    """
    whole = (first,) if first.case_ref is None else store.retention.case_of(first.peer, first.case_ref)
    live = tuple(row for row in whole if row.erased is None)
    if not live:
        raise CaseErased("This case is erased already.")
    scope = scope_of(first.peer, first.case_ref, first.ref.id)
    again = len(live) < len(whole)
    return Case(
        peer=first.peer,
        case_ref=first.case_ref,
        authority=first.our_authority,
        rows=live,
        scope=scope,
        key_scope=scope_of(first.peer, None, live[0].ref.id) if again else scope,
    )


def list_case(store: Reader | Transaction, case: Case, us: CountryCode) -> Listed:
    """Return exactly what goes."""
    messages = store.retention.case_messages(case.procedures)
    drafts = [draft for scope in case.scopes for draft in store.retention.drafts_of(scope)]
    return Listed(
        procedures=case.procedures,
        messages=messages,
        drafts=tuple(sorted(draft.id for draft in drafts)),
        attachments=sum(len(store.attachments_of(author_of(message, us), message.id)) for message in messages),
        uploads=sum(1 for draft in drafts for _ in uploads_of(draft)),
    )


def hindrances(
    store: Reader | Transaction, ledger: Ledger, case: Case, listed: Listed, reason: EraseReason, now: datetime
) -> Iterator[Hindrance]:
    """Yield what speaks against erasing now, as far as rows tell; the weightiest first."""
    kept = store.retention.retained(case.scope)
    if kept is not None and kept.hold is not None:
        yield Hindrance(obstacle=Obstacle.LEGAL_HOLD, subjects=(kept.hold,))
    going_on = tuple(row.ref.id for row in case.rows if _goes_on(store, ledger, row))
    if going_on and not (reason.ordered or reason is EraseReason.EXERCISE):
        yield Hindrance(obstacle=Obstacle.CASE_OPEN, subjects=going_on)
    waiting = tuple(message.id for message in owed(listed.messages, now))
    if waiting and reason is not EraseReason.EXERCISE:
        yield Hindrance(obstacle=Obstacle.MESSAGES_OWED, subjects=waiting)


def _goes_on(store: Reader | Transaction, ledger: Ledger, row: ProcedureRow) -> bool:
    """Whether it has not come to its end; one whose every message was refused never began, and nobody can end it."""
    if row.state in ledger.table(row).final:
        return False
    return any(entry.code is None for entry in store.record(row.ref.id))


def corrections_pending(reader: Reader, case: Case, listed: Listed, reason: EraseReason) -> Iterator[Hindrance]:
    """Yield the corrections and claims that wait for an answer of either side; an erasure that was asked for does not."""
    if reason.ordered or reason is EraseReason.EXERCISE:
        return
    found = corrections_of(reader, case.rows, frozenset(message.digest for message in listed.messages))
    waiting: list[MessageId] = []
    for item in found:
        kind = item.disclosure.header.type
        asked = item.disclosure.direction == "in" and kind.act == _ERASE
        if item.pending and not asked and item.procedure not in case.procedures:
            waiting.append(item.disclosure.message)
    if waiting:
        yield Hindrance(obstacle=Obstacle.CORRECTION_PENDING, subjects=tuple(waiting))


def corrects_open(
    reader: Reader, ledger: Ledger, case: Case, listed: Listed, reason: EraseReason
) -> Iterator[Hindrance]:
    """Yield the open procedures that the case corrects: without it they would be judged by what was wrong again."""
    if reason.ordered or reason is EraseReason.EXERCISE:
        return
    found: dict[ProcedureId, None] = {}
    for message in listed.messages:
        if message.type.procedure == CORRECTION and message.type.act in CORRECTING:
            for of in procedures_named(reader, case.peer, message.id, message.digest):
                if of.erased is None and of.ref.id not in case.procedures and _goes_on(reader, ledger, of):
                    found[of.ref.id] = None
    if found:
        yield Hindrance(obstacle=Obstacle.CASE_OPEN, subjects=tuple(found))


def author_of(message: CaseMessage, us: CountryCode) -> CountryCode:
    """Return whose message it is."""
    return us if message.direction == "out" else message.peer


def uploads_of(draft: HeldDraft) -> Iterator[str]:
    """Yield the uploads that a held message was to take."""
    content: Any = orjson.loads(draft.content or b'{"header": {}}')
    for attachment in decode_header(content["header"]).attachments if draft.content else ():
        yield blob_of(attachment.key_bytes)
