# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look for a newer trust list; when one comes into force, seal again what used a key that no longer counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from broker.core.delivery import PARKED_MAX_BYTES, PARKED_MAX_ITEMS, TRUST_REFRESH_SECONDS, AttentionCode, AuditAction
from broker.core.errors import TrustListInvalid
from broker.core.trust import TrustList
from broker.ledger import Ledger
from broker.ports import AuditRow, Clock, Store, Transaction, TrustSource

__all__ = ["RefreshTrust"]


class RefreshTrust:
    """Asks the trust source, at most once a minute, whatever asks for it."""

    def __init__(
        self, *, store: Store, trust: TrustSource, ledger: Ledger, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._store = store
        self._trust = trust
        self._ledger = ledger
        self._clock = clock
        self._wake = wake
        self._last = clock.now() - timedelta(days=1)

    async def __call__(self) -> bool:
        """Refresh; return whether a newer list came into force."""
        now = self._clock.now()
        if now - self._last < timedelta(seconds=TRUST_REFRESH_SECONDS):
            return False
        self._last = now
        try:
            newer = await self._trust.refresh()
        except TrustListInvalid as error:
            detail = error.detail
            await self._store.run(
                lambda tx: self._ledger.call(tx, AttentionCode.TRUST_LIST, "trust-list", now=now, detail=detail)
            )
            return False
        if newer:
            trust = self._trust.current()
            await self._store.run(lambda tx: self._apply(tx, trust))
            self._wake()
        return newer

    def _apply(self, tx: Transaction, trust: TrustList) -> None:
        now = self._clock.now()
        dead = frozenset(
            key.kid
            for member in trust.members.values()
            for key in member.keys
            if now >= key.accept_until or (key.revoked_at is not None and key.revoked_at <= now)
        )
        for message in tx.outbox_sealed_with(dead):
            tx.reopen_outbox(message, now=now, reseal=True, count_resend=False)
        # Parked messages may be believable now: offer them all again at once, inside the parking limits.
        for held in tx.due_parked(now=now + timedelta(days=3650), limit=PARKED_MAX_ITEMS):
            tx.park(replace(held, next_at=now), max_items=PARKED_MAX_ITEMS, max_bytes=PARKED_MAX_BYTES)
        tx.resolve_attention(AttentionCode.TRUST_LIST, "trust-list", at=now, by="node")
        tx.audit(
            AuditRow(at=now, actor="node", action=AuditAction.TRUST_LIST_CHANGED, subject=f"version-{trust.version}")
        )
