# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Recompute the audit trail from what is stored and hold it against everything that was signed of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from broker.core.audit import GENESIS, AuditAction, Entry, Head, Linked
from broker.core.checkpoints import Checkpoint, KeptCheckpoint
from broker.core.errors import BrokerError, UnknownKey
from broker.core.ids import CountryCode
from broker.core.trail import Anchor, Finding, Tampering, TrailCheck, outside
from broker.core.trust import Member
from broker.ports import Clock, Compute, Reader, Store
from broker.rows import AuditFilter
from broker.security.checkpoints import read_checkpoint

__all__ = ["Missing", "Verdict", "VerifyAudit", "WitnessStatement"]

_RESTORES = 100
_BEHIND = re.compile(r"behind position-([0-9]{1,15})\Z", re.ASCII)
_CHUNK = 5_000  # entries
_CHECKPOINTS = 200
_WAITING = 10_000  # entries that are not linked yet, and are looked at

MemberThen = Callable[[Reader, bytes], Member | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessStatement:
    """A checkpoint of our trail that another country holds."""

    raw: bytes
    held_by: CountryCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a check."""

    start: Head  # of what is there: behind what was taken away when its retention ended
    end: Head
    proven: int  # up to this place a signed head agrees
    checkpoints: int
    witnesses: int
    waiting: int  # entries that are not linked yet
    findings: tuple[Finding, ...]  # the first hundred
    found: int  # all of them
    outside: tuple[Entry, ...] = ()
    restored: tuple[Missing, ...] = ()  # entries that a restore lost, as far as somebody holds a later head

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.found == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Entries that were lost with a disk: the node was restored, and its trail says so."""

    first: int
    last: int
    restored: datetime
    held_by: CountryCode  # who holds the head of the last of them


@dataclass(slots=True)
class _Signed:
    """What was signed of a trail, as far as the signatures are right."""

    anchors: list[Anchor] = field(default_factory=list)
    cuts: dict[int, Head] = field(default_factory=dict)
    newest: Checkpoint | None = None
    bad: list[Finding] = field(default_factory=list)
    restored: tuple[tuple[datetime, int], ...] = ()  # when, and behind which place the trail went on
    missing: list[Missing] = field(default_factory=list)


class VerifyAudit:
    """Checks this node's own trail."""

    def __init__(
        self, *, us: CountryCode, store: Store, compute: Compute, clock: Clock, member_then: MemberThen
    ) -> None:
        """Args:
        us, store, compute, clock: whose trail, where it is, where its digests are computed, and the time.
        member_then: gives our entry in the trust list of a checkpoint's time.
        """
        self._us = us
        self._store = store
        self._compute = compute
        self._clock = clock
        self._member_then = member_then

    async def __call__(self, witnesses: Iterable[WitnessStatement] = ()) -> Verdict:
        """Return what is wrong, and where.

        Raises:
            StoreUnavailable, StoreCorrupt: the trail cannot be read.
        """
        signed, held, own = _Signed(), tuple(witnesses), 0
        signed.restored = await self._store.read(_restored)
        batch: tuple[KeptCheckpoint, ...] = ()
        await self._store.read(lambda reader: self._judge_all(reader, signed, held))
        while batch := await self._checkpoints(batch[-1].head.position if batch else -1):
            ours = [WitnessStatement(raw=kept.raw, held_by=self._us) for kept in batch]
            await self._store.read(partial(self._judge_all, signed=signed, statements=ours))
            own += len(batch)
        check = await self._walk(signed)
        for bad in signed.bad:
            check.note(bad.kind, bad.first, bad.last, bad.held_by)
        waiting = await self._store.read(lambda reader: reader.unlinked_audit(_WAITING))
        # Signed by a clock that was ahead, a head does not say that what waits now should have been linked before it.
        stray = outside(waiting, min(signed.newest.at, self._clock.now()) if signed.newest else None)
        for _ in stray:
            check.note(Tampering.OUTSIDE, check.head.position + 1, check.head.position + 1)
        return Verdict(
            start=check.start,
            end=check.head,
            proven=check.proven,
            checkpoints=own,
            witnesses=len(held),
            waiting=len(waiting),
            findings=tuple(check.findings),
            found=check.found,
            outside=stray,
            restored=tuple(signed.missing),
        )

    async def _walk(self, signed: _Signed) -> TrailCheck:
        first = await self._store.read(lambda reader: reader.audit_trail(0, 1))
        last_cut = max(signed.cuts, default=0)
        start = signed.cuts.get(first[0].position - 1 if first else last_cut, GENESIS)
        check = TrailCheck(signed.anchors, start=start)
        links: tuple[Linked, ...] = ()
        while links := await self._links(links[-1].position if links else 0):
            await self._compute.run(partial(check.take_all, links))
        check.finish()
        return check

    async def _checkpoints(self, after: int) -> tuple[KeptCheckpoint, ...]:
        return await self._store.read(lambda reader: reader.checkpoints(after, _CHECKPOINTS))

    async def _links(self, after: int) -> tuple[Linked, ...]:
        return await self._store.read(lambda reader: reader.audit_trail(after, _CHUNK))

    def _judge_all(self, reader: Reader, signed: _Signed, statements: Iterable[WitnessStatement]) -> None:
        for statement in statements:
            self._judge(reader, signed, statement.raw, statement.held_by)

    def _judge(self, reader: Reader, signed: _Signed, raw: bytes, held_by: CountryCode) -> None:
        """Take a statement whose signatures are ours; one that is not proves nothing against the trail."""
        try:
            checkpoint = _verified(reader, raw, self._member_then)
        except BrokerError:
            signed.bad.append(Finding(kind=Tampering.NOT_SIGNED, first=0, last=0, held_by=held_by))
            return
        place = checkpoint.head.position
        lost = next(((at, behind) for at, behind in signed.restored if checkpoint.at < at and place > behind), None)
        if lost is not None:
            signed.missing.append(Missing(first=lost[1] + 1, last=place, restored=lost[0], held_by=held_by))
            return
        signed.anchors.append(Anchor(head=checkpoint.head, held_by=held_by))
        if checkpoint.cut:
            signed.cuts[checkpoint.head.position] = checkpoint.head
        if held_by == self._us and (signed.newest is None or checkpoint.at > signed.newest.at):
            signed.newest = checkpoint


def _restored(reader: Reader) -> tuple[tuple[datetime, int], ...]:
    """Return when the node was restored, and up to which place its trail is what it was."""
    wanted = AuditFilter(action=AuditAction.RESTORED)
    found = reader.audit(cursor=None, limit=_RESTORES, wanted=wanted).items
    behind = ((row.at, _BEHIND.search(row.detail)) for row in found)
    return tuple((at, int(place[1])) for at, place in behind if place is not None)


def _verified(reader: Reader, raw: bytes, member_then: MemberThen) -> Checkpoint:
    member = member_then(reader, raw)
    if member is None:
        raise UnknownKey
    return read_checkpoint(raw, member)
