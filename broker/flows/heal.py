# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""After a restore: ask every other country what this node misses; until one has answered, nothing else is sent there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from broker.core.attention import AttentionCode
from broker.core.audit import AuditAction, Who
from broker.core.content import entry_of
from broker.core.delivery import HEAL_ASK_MAX_SECONDS, HEAL_PAUSE_SECONDS, is_due
from broker.core.errors import NotFound
from broker.core.healing import MAX_WANTED, RESTORED_TYPE, HealingRow, Missed, MissedState, Question
from broker.core.ids import CountryCode, MessageType, SchemaVersion
from broker.core.messages import OutboxKind
from broker.core.trust import Member, MemberKind
from broker.ledger import Ledger, node_header
from broker.ports import Clock, Ids, Reader, Store, Transaction, TrustSource
from broker.rows import AuditRow

__all__ = ["Heal", "HealingStatus"]

_LISTED = 10_000  # messages that a status names
_VERSION = SchemaVersion("1.0")
_TOO_OLD = "Its program cannot answer yet: telephone it, then end the asking by trm healing end."


class HealingStatus:
    """How far it is with one country, and what could not be got."""

    __slots__ = ("lost", "row", "wanted")

    def __init__(self, row: HealingRow, wanted: tuple[Missed, ...], lost: tuple[Missed, ...]) -> None:
        self.row = row
        self.wanted = wanted
        self.lost = lost


class Heal:
    """Asks for the list, then for what lacks; each question is a transaction, and an answer may come days later."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        trust: TrustSource,
        ledger: Ledger,
        clock: Clock,
        ids: Ids,
        wake: Callable[[], None],
    ) -> None:
        self._us = us
        self._store = store
        self._trust = trust
        self._ledger = ledger
        self._clock = clock
        self._ids = ids
        self._wake = wake

    async def __call__(self) -> int:
        """Ask whoever is due; return how many questions were put, or countries done with."""
        if not await self._store.read(_unfinished):
            return 0
        done = await self._store.run(self._look)
        if done:
            self._wake()
        return done

    async def status(self) -> tuple[HealingStatus, ...]:
        """Return how far it is with each country; none: nothing was ever restored."""
        return await self._store.read(_status)

    async def end(self, peer: CountryCode, who: Who) -> None:
        """Stop asking a country that does not answer: what it would have told is lost, and sending goes on.

        Raises:
            NotFound: it is not asked.
        """
        await self._store.run(lambda tx: self._end(tx, peer, who))
        self._wake()

    def _look(self, tx: Transaction) -> int:
        now = self._clock.now()
        if tx.healing.begin(self._everybody()):
            for row in tx.healing.rows():
                self._ledger.call(tx, AttentionCode.HEALING, row.peer, peer=row.peer, now=now)
        asked = 0
        for due in [row for row in tx.healing.rows() if _is_due(row, now)]:
            locked = tx.healing.lock(due.peer)
            if locked is not None and _is_due(locked, now):  # not asked, answered or ended by another worker meanwhile
                self._ask(tx, locked, now)
                asked += 1
        return asked

    def _everybody(self) -> tuple[CountryCode, ...]:
        members = self._trust.current().members
        return tuple(
            country for country, member in members.items() if country != self._us and member.kind is MemberKind.STATE
        )

    def _ask(self, tx: Transaction, row: HealingRow, now: datetime) -> None:
        wanted: tuple[Missed, ...] = ()
        if row.listed:
            tx.healing.settle_found(row.peer)
            wanted = tx.healing.missed(row.peer, (MissedState.WANTED,), MAX_WANTED)
            # Ours first: what the other side wrote in answer to it would wait for it, and be confirmed without it.
            ours = tuple(item for item in wanted if item.author == self._us)
            if not ours:
                tx.hasten_parked(now=now)  # what waited for them
            wanted = ours or wanted
            if not wanted:
                if not tx.healing.misplaced(row.peer):
                    self._finish(tx, row, now)
                    return
                # The list alone says where they belong, and named them before their procedures were back.
                row = replace(row, listed=False)
        pause = min(3 * HEAL_PAUSE_SECONDS * 2.0 ** min(row.attempts, 10), HEAL_ASK_MAX_SECONDS)
        row = replace(row, attempts=row.attempts + 1, next_at=now + timedelta(seconds=pause))
        if not _answers(self._trust.current().members.get(row.peer)):
            tx.resolve_attention(AttentionCode.HEALING, row.peer, at=now, by="node")
            self._ledger.call(tx, AttentionCode.HEALING_INCOMPLETE, row.peer, peer=row.peer, now=now, detail=_TOO_OLD)
            tx.healing.save(row)
            return
        told = tx.last_call(AttentionCode.HEALING_INCOMPLETE, row.peer)
        if told is not None and told.resolved is None and told.detail == _TOO_OLD:
            # It can by now. Left open, this call would keep the operator from hearing in the end what is lost.
            tx.resolve_attention(AttentionCode.HEALING_INCOMPLETE, row.peer, at=now, by="node")
            self._ledger.call(tx, AttentionCode.HEALING, row.peer, peer=row.peer, now=now)
        if row.question is not None and tx.healing.send_again(row.question, now=now):
            tx.healing.save(row)  # the same question: whichever of its copies is answered counts
            return
        question = Question(
            since=row.since,
            restored=row.restored,
            position=row.position,
            head=row.head,
            after=row.after,
            wanted=tuple(item.digest for item in wanted),
        )
        header = node_header(self._ids, RESTORED_TYPE, us=self._us, peer=row.peer, created=self._clock.now())
        tx.add_outbox(entry_of(header, question.body(), OutboxKind.RECEIPTS), next_at=now)
        tx.healing.save(replace(row, question=header.id))

    def _finish(self, tx: Transaction, row: HealingRow, now: datetime) -> None:
        tx.healing.save(replace(row, ended=now))
        tx.resolve_attention(AttentionCode.HEALING, row.peer, at=now, by="node")
        lost = _lost(tx, row.peer)
        if lost:
            detail = f"{len(lost)} messages: trm healing show."
            self._ledger.call(tx, AttentionCode.HEALING_INCOMPLETE, row.peer, peer=row.peer, now=now, detail=detail)
        tx.audit(
            AuditRow(
                at=now,
                actor="node",
                action=AuditAction.HEALED,
                subject=row.peer,
                peer=row.peer,
                detail=f"lost-{len(lost)}",
            )
        )

    def _end(self, tx: Transaction, peer: CountryCode, who: Who) -> None:
        row, now = tx.healing.lock(peer), self._clock.now()
        if row is None or row.ended is not None:
            raise NotFound("That country is not asked for anything.")
        for item in tx.healing.missed(peer, (MissedState.WANTED,), _LISTED):
            tx.healing.save_missed(replace(item, state=MissedState.LOST, code="given-up"))
        tx.healing.save(replace(row, ended=now))
        tx.resolve_attention(AttentionCode.HEALING, peer, at=now, by=who.actor)
        tx.audit(
            AuditRow(
                at=now, actor=who.actor, role=who.role, action=AuditAction.HEALING_ENDED, subject=peer, peer=peer
            )
        )  # fmt: skip


def _is_due(row: HealingRow, now: datetime) -> bool:
    return row.ended is None and is_due(row.next_at, now)


def _answers(member: Member | None) -> bool:
    return member is not None and _VERSION in member.messages.get(MessageType(RESTORED_TYPE), ())


def _unfinished(reader: Reader) -> bool:
    return reader.healing.unfinished()


def _status(reader: Reader) -> tuple[HealingStatus, ...]:
    return tuple(
        HealingStatus(
            row,
            reader.healing.missed(row.peer, (MissedState.WANTED,), _LISTED),
            _lost(reader, row.peer),
        )
        for row in reader.healing.rows()
    )


def _lost(store: Reader | Transaction, peer: CountryCode) -> tuple[Missed, ...]:
    """Return what could not be got of that country, also of what is here again: its files."""
    found = store.healing.missed(peer, (MissedState.LOST, MissedState.FOUND), _LISTED)
    return tuple(item for item in found if item.state is MissedState.LOST or item.code is not None)
