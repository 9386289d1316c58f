# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Move the keys of all cases to the next epoch, and destroy the wrapping keys before it: erasing reaches old copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from broker.core.attention import AttentionCode
from broker.core.audit import AuditAction
from broker.core.ids import CaseRef
from broker.core.roles import AuditRole
from broker.ledger import Ledger
from broker.ports import Clock, Compute, Ids, Store, Transaction
from broker.rows import Attention, AuditRow, ProcedureRow
from broker.security.at_rest import NO_PROCEDURE, EpochVault, Scope, WrappedKey, covered

__all__ = ["NextEpoch", "Rotation"]

_LEASE = "epochs"
_LEASE_TIME = timedelta(minutes=10)
_BATCH = 200  # keys in one transaction: a few milliseconds, so that messages go on between two
_PAUSE_SECONDS = 0.2  # while the keys that are left are in use
_MOST_CALLS = 50  # about keys that do not unwrap: more of them are one damage


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What became of a move to the next epoch."""

    number: int  # of the epoch
    stuck: int  # keys that do not unwrap; not 0: earlier wrapping keys may be kept for them
    done: bool  # False: all was as before


class NextEpoch:
    """A new wrapping key, every case key moved to it, the old wrapping keys destroyed; at every point it can go on.

    The key is in the vault for good before anything is wrapped under it; the database names the epoch before the first
    key moves, so that none is made under the old one any more; nothing is destroyed while a key is left there.

    A key that does not unwrap holds up no other. The wrapping key that a good copy of it needs is kept, and so no erasure
    since is noted as final: a person is called, until the case is restored or erased itself.
    """

    def __init__(self, *, store: Store, vault: EpochVault, compute: Compute, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._vault = vault
        self._compute = compute
        self._clock = clock
        self._ids = ids

    async def __call__(self, actor: str = "node", role: AuditRole = AuditRole.NODE) -> Rotation:
        """Begin the next epoch and end all earlier ones that no key needs.

        Raises:
            NodeError: it could not be finished; `if_owed` goes on with it.
        """
        now = self._clock.now()
        await self._compute.run(lambda: self._vault.begin_epoch(now))
        return await self._finish(actor, role)

    async def if_owed(self) -> bool:
        """Do so if a case was erased in the epoch that goes on, or go on where an earlier attempt ended.

        A key of messages between nodes that does not open is replaced whatever is owed.

        Raises:
            NodeError: it could not be finished.
        """
        ring, now = self._vault.ring(), self._clock.now()
        await self._store.run(lambda tx: self._look(tx, ring.oldest))
        owed = await self._store.read(lambda reader: reader.epoch_owed())  # looks through the keys of all cases
        if not (owed or len(ring.epochs) > 1):
            return False
        token = self._ids.token()
        if not await self._store.run(lambda tx: tx.take_lease(_LEASE, token=token, now=now, until=now + _LEASE_TIME)):
            return False
        rotation = await (self() if owed else self._finish("node", AuditRole.NODE))
        done = self._clock.now()  # given back: the next erasure does not wait until the lease has run out
        await self._store.run(lambda tx: tx.take_lease(_LEASE, token=token, now=done, until=done))
        return rotation.done

    async def _finish(self, actor: str, role: AuditRole) -> Rotation:
        ring, now = self._vault.ring(), self._clock.now()
        begun = await self._store.run(lambda tx: self._begin(tx, ring.newest, actor, role))
        moved, stuck = await self._move(ring.newest)
        left = await self._store.run(lambda tx: tx.keys_before(ring.newest))
        needed = min((epoch for epoch in left if epoch >= ring.oldest), default=ring.newest)
        if ended := needed > ring.oldest:
            await self._compute.run(lambda: self._vault.end_epochs(needed, now))
            await self._store.run(lambda tx: self._end(tx, needed, actor, role))
        calls = await self._store.read(lambda reader: reader.open_calls([AttentionCode.KEY_STUCK]))
        if stuck or calls:
            await self._store.run(lambda tx: self._call(tx, stuck, calls))
        return Rotation(number=ring.newest, stuck=len(stuck), done=bool(begun or moved or ended))

    async def _move(self, number: int) -> tuple[int, Sequence[WrappedKey]]:
        """Move every key that unwraps, also those in use; return how many, and which do not unwrap."""
        moved = 0
        while True:
            stuck: list[WrappedKey] = []
            after: WrappedKey | None = None
            while True:
                step = await self._store.run(
                    lambda tx, after=after: tx.rewrap_keys(number, limit=_BATCH, after=after)  # type: ignore[misc]
                )
                moved, after = moved + step.moved, step.last
                stuck += step.stuck
                if after is None:
                    break
            left = await self._store.run(lambda tx: tx.keys_before(number))
            if sum(left.values()) <= len(stuck):
                return moved, stuck
            await self._clock.sleep(_PAUSE_SECONDS)

    def _look(self, tx: Transaction, oldest: int) -> None:
        """Note what became final, and let no damaged key of its own keep the node from sending and receiving."""
        self._finished(tx, oldest)
        if tx.renew_node_key():
            Ledger.call(tx, AttentionCode.NODE_KEY_RENEWED, NO_PROCEDURE, now=self._clock.now())

    def _call(self, tx: Transaction, stuck: Sequence[WrappedKey], calls: Sequence[Attention]) -> None:
        now = self._clock.now()
        found = {subject: row for key in stuck[:_MOST_CALLS] for subject, row in (_subject(tx, key.scope),)}
        for subject, row in found.items():
            peer = row.peer if row else None
            Ledger.call(tx, AttentionCode.KEY_STUCK, subject, peer=peer, row=row, now=now)
        for call in calls:
            if call.subject not in found:
                tx.resolve_attention(call.code, call.subject, at=now, by="node")

    def _end(self, tx: Transaction, number: int, actor: str, role: AuditRole) -> None:
        self._note(tx, AuditAction.EPOCH_ENDED, number, actor, role)
        self._finished(tx, number)

    def _finished(self, tx: Transaction, number: int) -> None:
        """Note which erasures are final when all epochs before that one have ended."""
        for erasure in tx.retention.finish_erasures(number, self._clock.now()):
            tx.audit(
                AuditRow(
                    at=self._clock.now(), actor="node", action=AuditAction.ERASURE_FINAL, subject=erasure.id,
                    authority=erasure.authority, procedure=erasure.procedures[0], peer=erasure.peer,
                )
            )  # fmt: skip

    def _begin(self, tx: Transaction, number: int, actor: str, role: AuditRole) -> bool:
        begun = tx.begin_epoch(number)
        if begun:
            self._note(tx, AuditAction.EPOCH_BEGUN, number, actor, role)
        return begun

    def _note(self, tx: Transaction, action: AuditAction, number: int, actor: str, role: AuditRole) -> None:
        tx.audit(AuditRow(at=self._clock.now(), actor=actor, role=role, action=action, subject=str(number)))


def _subject(tx: Transaction, scope: Scope) -> tuple[str, ProcedureRow | None]:
    """Return what a person is called about, and the procedure whose office is."""
    found = covered(scope)
    if found is None:
        return scope, None
    peer, what = found
    rows = tx.retention.case_of(peer, what) if isinstance(what, CaseRef) else (tx.lock_procedure(what),)
    row = next((row for row in rows if row is not None and row.erased is None), None)
    return (str(row.ref.id), row) if row else (str(what), None)
