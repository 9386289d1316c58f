# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Chain what was written into the audit trail, and sign its head once a minute of activity (PROTOCOL 14).

A chain in every transaction would be a lock for all workers: rows are written without a link, and one worker links what
is committed. Rows commit in another order than they are numbered; the order in which they are linked is the chain's.
"""

from __future__ import annotations

from datetime import timedelta

from broker.core.attention import AttentionCode
from broker.core.audit import Entry, Head, Linked, chained
from broker.core.checkpoints import CHECKPOINT_SECONDS, Checkpoint, KeptCheckpoint, gives_way
from broker.core.errors import StoreUnavailable
from broker.core.ids import CountryCode
from broker.ledger import Ledger
from broker.ports import Clock, Compute, Ids, Reader, Store, Transaction, TrustSource, Vault
from broker.security.checkpoints import sign_checkpoint

__all__ = ["LinkAudit"]

BATCH = 2_000  # entries
_LEASE = "audit"
_LEASE_SECONDS = 15.0
_PATIENCE = 30  # seconds, twice as long as the lease of a worker that died


class LinkAudit:
    """Entries → chain → checkpoints; at one worker at a time."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        trust: TrustSource,
        vault: Vault,
        compute: Compute,
        clock: Clock,
        ids: Ids,
        ledger: Ledger,
    ) -> None:
        self._us = us
        self._store = store
        self._trust = trust
        self._vault = vault
        self._compute = compute
        self._clock = clock
        self._ledger = ledger
        self._token = ids.token()
        self._signed: float | None = None  # when, by the clock that nobody sets

    async def __call__(self) -> int:
        """Link one batch; when nothing more waits, sign the head if that is due. Return how many were linked.

        Raises:
            KeyMissing: the entries are linked, and their head cannot be signed.
            StoreUnavailable, DiskFull: nothing was linked, or the head was not kept.
        """
        waiting, head, last = await self._store.read(_standing)
        if waiting:
            links = await self._compute.run(lambda: chained(head, waiting))
            if not await self._store.run(lambda tx: self._link(tx, head, waiting, links)):
                return 0
            head = links[-1].head
        if len(waiting) < BATCH and self._due(head, last):
            await self.sign(head, last)
        return len(waiting)

    async def sign(self, head: Head, last: KeptCheckpoint | None) -> KeptCheckpoint:
        """Sign a head and keep the checkpoint; return it.

        Raises:
            KeyMissing: no key may sign now.
            StoreUnavailable, DiskFull: it was not kept.
        """
        now, trust = self._clock.now(), self._trust.current()
        # A clock that was set back must not look like a rewritten trail.
        at = now if last is None else max(now, last.at)
        checkpoint = Checkpoint(country=self._us, head=head, at=at, trust_version=trust.version)
        kept = await self._compute.run(lambda: sign_checkpoint(checkpoint, self._vault.signer(trust, now)))
        await self._store.run(lambda tx: self._keep(tx, kept))
        self._signed = self._clock.monotonic()
        return kept

    async def settle(self) -> KeptCheckpoint:
        """Link everything that waits, together with a running node if there is one, and return the head signed.

        Raises:
            StoreUnavailable: another worker is at it and does not come to an end.
            KeyMissing, DiskFull: the head could not be signed or kept.
        """
        for _ in range(_PATIENCE):
            while await self():
                pass
            waiting, head, last = await self._store.read(_standing)
            if not waiting and head.position:
                return last if last and last.head == head else await self.sign(head, last)
            await self._clock.sleep(1.0)
        raise StoreUnavailable("Another worker links the audit trail and does not come to an end; try again.")

    def _due(self, head: Head, last: KeptCheckpoint | None) -> bool:
        if head.position == 0 or (last is not None and last.head.position >= head.position):
            return False
        return self._signed is None or self._clock.monotonic() - self._signed >= CHECKPOINT_SECONDS

    def _link(self, tx: Transaction, head: Head, entries: tuple[Entry, ...], links: tuple[Linked, ...]) -> bool:
        now = self._clock.now()
        until = now + timedelta(seconds=_LEASE_SECONDS)
        if not tx.take_lease(_LEASE, token=self._token, now=now, until=until) or tx.audit_head() != head:
            return False  # another worker links
        tx.link_audit(entries, links)
        return True

    def _keep(self, tx: Transaction, kept: KeptCheckpoint) -> None:
        """Keep the checkpoint, unless the trail before it is no longer the one that was signed."""
        last = tx.newest_checkpoint()
        intact = last is None or tx.audit_link(last.head.position) in {last.head.chain, None}
        if not intact:
            self._ledger.call(tx, AttentionCode.AUDIT_BROKEN, "audit", now=self._clock.now())
        tx.add_checkpoint(kept, instead_of=last if last and intact and gives_way(last, kept) else None)


def _standing(reader: Reader) -> tuple[tuple[Entry, ...], Head, KeptCheckpoint | None]:
    return reader.unlinked_audit(BATCH), reader.audit_head(), reader.newest_checkpoint()
