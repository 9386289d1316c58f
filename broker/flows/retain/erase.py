# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Erase a case: one person proposes exactly what is listed, another confirms it within a week (GDPR 17, LED 16)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction, AuditRow, Who
from broker.core.erasures import Erasure, ErasureState, Listed
from broker.core.errors import AlreadySettled, BadRequest, ErasureChanged, Forbidden, NotFound, SenderError
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, ErasureId, ProcedureId
from broker.core.retention import PROPOSAL_DAYS, EraseReason, KeepReason
from broker.core.roles import PEOPLE
from broker.flows.retain.destroy import destroy
from broker.flows.retain.list_case import (
    Case,
    case_named,
    corrections_pending,
    corrects_open,
    hindrances,
    list_case,
    locked_case,
)
from broker.flows.retain.pass_on import Answer, Outcome, PassOn
from broker.ledger import Ledger
from broker.ports import Clock, Ids, Reader, Store, Transaction
from broker.security.at_rest import Scope

__all__ = ["Erase"]

_UNDECIDED = frozenset({ErasureState.ASKED, ErasureState.PROPOSED})


class Erase:
    """Lists, proposes, confirms and rejects; nobody confirms what they proposed themselves."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        ledger: Ledger,
        clock: Clock,
        ids: Ids,
        pass_on: PassOn,
    ) -> None:
        """Args:
        pass_on: tells another country that asked for an erasure what became of it.
        """
        self._us = us
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._ids = ids
        self._pass_on = pass_on

    async def look(
        self, wanted: CaseRef | ProcedureId, reason: EraseReason, *, authority: AuthorityId | None
    ) -> tuple[Case, Listed]:
        """Return exactly what an erasure takes away and what speaks against it now; nothing is changed.

        Raises:
            NotFound, Forbidden, CaseErased: the office cannot erase it.
        """
        return await self._store.read(lambda reader: self._look(reader, wanted, reason, authority))

    async def propose(self, wanted: CaseRef | ProcedureId, reason: EraseReason, who: Who) -> Erasure:
        """Propose to erase what is listed now; a second person has a week.

        Raises:
            Forbidden, NotFound, CaseErased: this caller cannot erase it.
            LegalHold, CaseOpen, MessagesOwed, CorrectionPending: not now.
            AlreadySettled: an erasure of it is proposed already.
        """
        _check_person(who)
        if reason not in EraseReason.of_people():
            raise BadRequest("Exercises are erased by the node itself.", where="reason")
        case, listed = await self.look(wanted, reason, authority=who.authority)
        for hindrance in listed.hindrances:
            raise hindrance.error
        made = case.proposal(ErasureId(self._ids.message_id()), reason, listed.digest, who, self._clock.now())
        return await self._store.run(lambda tx: self._add(tx, made, who))

    async def confirm(self, erasure: ErasureId, who: Who) -> Erasure:
        """Erase what another person proposed; it is final when the next epoch has begun.

        Raises:
            Forbidden: who proposed it does not confirm it.
            NotFound, AlreadySettled: it does not wait for that office any more.
            ErasureChanged: something came or went since.
            LegalHold, CaseOpen, MessagesOwed, CorrectionPending: not now.
        """
        found = await self._waiting(erasure, who)
        if found.proposed_by == who.actor:
            raise Forbidden("A second person confirms an erasure, never the one who proposed it.")
        if found.state is not ErasureState.PROPOSED:
            raise AlreadySettled("Another country asks for this erasure: one of this office proposes it first.")
        case, listed = await self.look(found.procedures[0], found.reason, authority=who.authority)
        _check(listed, found)
        kind = await self._pass_on.kind_of(found.authority)  # asked before what says so may be gone
        done = await self._store.run(lambda tx: self._carry_out(tx, case, found, who))
        await self._report(done, Answer(outcome=Outcome.DONE, office_kind=kind), who)
        return done

    async def reject(self, erasure: ErasureId, who: Who, why: KeepReason | None = None) -> Erasure:
        """Say that a case is not erased; who proposed it may take it back so.

        Raises:
            Forbidden: no person rejects.
            BadRequest: another country asked for it, and is told why not.
            NotFound, AlreadySettled: it does not wait for that office any more.
        """
        found = await self._waiting(erasure, who)
        if found.asked_by is not None and why is None:
            raise BadRequest("Another country asked for this erasure: say why the case is kept.", where="why")
        settled = replace(found, state=ErasureState.REJECTED, decided=self._clock.now(), decided_by=who.actor)
        await self._store.run(lambda tx: self._settle(tx, settled, found.state, AuditAction.ERASURE_REJECTED, who))
        if why is not None:
            await self._report(settled, Answer(outcome=Outcome.KEPT, why=why.law), who)
        return settled

    async def _report(self, erasure: Erasure, answer: Answer, who: Who) -> None:
        """Answer the country that asked, when all cases that its message names are decided about.

        What does not leave now is owed by the deadline of its message.
        """
        if erasure.asked_by is None:
            return
        each = await self._store.read(lambda reader: _outcomes(reader, erasure))
        if each is not None:
            with suppress(SenderError):
                await self._pass_on.answer(erasure.asked_by, replace(answer, each=each), who)

    def _look(
        self, reader: Reader, wanted: CaseRef | ProcedureId, reason: EraseReason, authority: AuthorityId | None
    ) -> tuple[Case, Listed]:
        case = case_named(reader, wanted, authority)
        listed = list_case(reader, case, self._us)
        found = (
            *hindrances(reader, self._ledger, case, listed, reason, self._clock.now()),
            *corrections_pending(reader, case, listed, reason),
            *corrects_open(reader, self._ledger, case, listed, reason),
        )
        return case, replace(listed, hindrances=found)

    def _add(self, tx: Transaction, made: Erasure, who: Who) -> Erasure:
        asked = tx.retention.open_erasure(Scope(made.scope))
        if asked is not None and asked.state is ErasureState.ASKED:
            made = replace(made, id=asked.id, asked_by=asked.asked_by)
            new = tx.retention.settle_erasure(made, was=ErasureState.ASKED)
        else:
            new = tx.retention.add_erasure(made)
        if not new:
            raise AlreadySettled("An erasure of this case waits already: trm case erasures.")
        self._note(tx, made, AuditAction.ERASURE_PROPOSED, who)
        self._ledger.call(
            tx, AttentionCode.ERASURE_WAITS, made.id, peer=made.peer, authority=made.authority, now=made.proposed
        )
        return made

    async def _waiting(self, erasure: ErasureId, who: Who) -> Erasure:
        _check_person(who)
        found = await self._store.read(lambda reader: reader.retention.erasure(erasure))
        if found is None or who.authority not in {None, found.authority}:
            raise NotFound
        late = found.proposed + timedelta(days=PROPOSAL_DAYS) < self._clock.now()
        if found.state not in _UNDECIDED or (found.state is ErasureState.PROPOSED and late):
            raise AlreadySettled("This erasure waits no more.")
        return found

    def _carry_out(self, tx: Transaction, case: Case, found: Erasure, who: Who) -> Erasure:
        """Look once more with the case locked: what came in between is not erased unseen."""
        case = locked_case(tx, case)
        now = self._clock.now()
        listed = list_case(tx, case, self._us)
        against = hindrances(tx, self._ledger, case, listed, found.reason, now)
        _check(replace(listed, hindrances=tuple(against)), found)
        done = replace(found, state=ErasureState.ERASED, decided=now, decided_by=who.actor)
        if not tx.retention.settle_erasure(done, was=ErasureState.PROPOSED):
            raise AlreadySettled("This erasure waits no more: somebody else has decided.")
        destroy(tx, case, listed, done, who, self._us)
        self._close_calls(tx, done, who)
        return done

    def _settle(self, tx: Transaction, settled: Erasure, was: ErasureState, action: AuditAction, who: Who) -> Erasure:
        if not tx.retention.settle_erasure(settled, was=was):
            raise AlreadySettled("This erasure waits no more: somebody else has decided.")
        self._note(tx, settled, action, who)
        self._close_calls(tx, settled, who)
        return settled

    def _close_calls(self, tx: Transaction, erasure: Erasure, who: Who) -> None:
        now = self._clock.now()
        tx.resolve_attention(AttentionCode.ERASURE_WAITS, erasure.id, at=now, by=who.actor)
        if erasure.asked_by is not None and not _others_wait(tx, erasure):
            asked = message_subject(erasure.peer, erasure.asked_by)
            tx.resolve_attention(AttentionCode.ERASURE_ASKED, asked, at=now, by=who.actor)

    def _note(self, tx: Transaction, erasure: Erasure, action: AuditAction, who: Who) -> None:
        tx.audit(
            AuditRow(
                at=self._clock.now(), actor=who.actor, role=who.role, authority=erasure.authority, action=action,
                subject=erasure.id, procedure=erasure.procedures[0], peer=erasure.peer, reason=erasure.reason,
            )
        )  # fmt: skip


def _others_wait(store: Reader | Transaction, erasure: Erasure) -> bool:
    """Whether the message that asked for an erasure names a case that nobody has decided about."""
    if erasure.asked_by is None:
        return False
    return any(one.state in _UNDECIDED for one in store.retention.asked_for(erasure.peer, erasure.asked_by))


def _outcomes(reader: Reader, erasure: Erasure) -> Mapping[Digest, Outcome] | None:
    """Return what became of each message whose erasure was asked for together; None: it is not decided about all of them."""
    if erasure.asked_by is None or _others_wait(reader, erasure):
        return None
    became = {ErasureState.ERASED: Outcome.DONE, ErasureState.REJECTED: Outcome.KEPT}
    return {
        entry.digest: became[one.state]
        for one in reader.retention.asked_for(erasure.peer, erasure.asked_by)
        if one.state in became
        for procedure in one.procedures
        for entry in reader.record(procedure)
    }


def _check(listed: Listed, found: Erasure) -> None:
    if listed.digest != found.listed or listed.procedures != found.procedures:
        raise ErasureChanged
    for hindrance in listed.hindrances:
        raise hindrance.error


def _check_person(who: Who) -> None:
    if who.role not in PEOPLE:
        raise Forbidden("A person of the office decides about erasing a case.")
