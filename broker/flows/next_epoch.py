# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Move the keys of all cases to the next epoch, and destroy the wrapping keys before it: erasing reaches old copies."""

from __future__ import annotations

from datetime import timedelta

from broker.core.audit import AuditAction
from broker.core.roles import AuditRole
from broker.ports import Clock, Compute, Ids, Store, Transaction
from broker.rows import AuditRow
from broker.security.at_rest import EpochVault

__all__ = ["NextEpoch"]

_LEASE = "epochs"
_LEASE_TIME = timedelta(minutes=10)
_BATCH = 200  # keys in one transaction: a few milliseconds, so that messages go on between two
_PAUSE_SECONDS = 0.2  # while the keys that are left are in use


class NextEpoch:
    """A new wrapping key, every case key moved to it, the old wrapping keys destroyed; at every point it can go on.

    The key is in the vault for good before anything is wrapped under it; the database names the epoch before the first
    key moves, so that none is made under the old one any more; nothing is destroyed while a key is left there.
    """

    def __init__(self, *, store: Store, vault: EpochVault, compute: Compute, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._vault = vault
        self._compute = compute
        self._clock = clock
        self._ids = ids

    async def __call__(self, actor: str = "node", role: AuditRole = AuditRole.NODE) -> int:
        """Begin the next epoch and end all earlier ones; return its number.

        Raises:
            NodeError: it could not be finished; `if_owed` goes on with it.
        """
        now = self._clock.now()
        await self._compute.run(lambda: self._vault.begin_epoch(now))
        return await self._finish(actor, role)

    async def if_owed(self) -> bool:
        """Do so if a case was erased in the epoch that goes on, or go on where an earlier attempt ended.

        Raises:
            NodeError: it could not be finished.
        """
        ring, now = self._vault.ring(), self._clock.now()
        unfinished = len(ring.epochs) > 1
        owed = await self._store.run(lambda tx: tx.epoch_owed() or (not unfinished and self._finished(tx, ring.newest)))
        if not (unfinished or owed):
            return False
        token = self._ids.token()
        if not await self._store.run(lambda tx: tx.take_lease(_LEASE, token=token, now=now, until=now + _LEASE_TIME)):
            return False
        await (self() if owed else self._finish("node", AuditRole.NODE))
        done = self._clock.now()  # given back: the next erasure does not wait until the lease has run out
        await self._store.run(lambda tx: tx.take_lease(_LEASE, token=token, now=done, until=done))
        return True

    async def _finish(self, actor: str, role: AuditRole) -> int:
        number = self._vault.ring().newest
        await self._store.run(lambda tx: self._begin(tx, number, actor, role))
        while await self._store.run(lambda tx: tx.keys_before(number)):
            if not await self._store.run(lambda tx: tx.rewrap_keys(number, limit=_BATCH)):
                await self._clock.sleep(_PAUSE_SECONDS)
        now = self._clock.now()
        await self._compute.run(lambda: self._vault.end_epochs(number, now))
        await self._store.run(lambda tx: self._end(tx, number, actor, role))
        return number

    def _end(self, tx: Transaction, number: int, actor: str, role: AuditRole) -> None:
        self._note(tx, AuditAction.EPOCH_ENDED, number, actor, role)
        self._finished(tx, number)

    def _finished(self, tx: Transaction, number: int) -> bool:
        """Note which erasures are final now, also where an earlier attempt ended before it could; nothing is owed for it."""
        for erasure in tx.retention.finish_erasures(number, self._clock.now()):
            tx.audit(
                AuditRow(
                    at=self._clock.now(), actor="node", action=AuditAction.ERASURE_FINAL, subject=erasure.id,
                    authority=erasure.authority, procedure=erasure.procedures[0], peer=erasure.peer,
                )
            )  # fmt: skip
        return False

    def _begin(self, tx: Transaction, number: int, actor: str, role: AuditRole) -> None:
        tx.begin_epoch(number)
        self._note(tx, AuditAction.EPOCH_BEGUN, number, actor, role)

    def _note(self, tx: Transaction, action: AuditAction, number: int, actor: str, role: AuditRole) -> None:
        tx.audit(AuditRow(at=self._clock.now(), actor=actor, role=role, action=action, subject=str(number)))
