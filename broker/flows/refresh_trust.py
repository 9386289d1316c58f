# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look for a newer trust list; when one comes into force, seal again what used a key that no longer counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from broker.core.delivery import PARKED_MAX_BYTES, PARKED_MAX_ITEMS, TRUST_REFRESH_SECONDS, AttentionCode, AuditAction
from broker.core.errors import TrustListInvalid
from broker.core.ids import KeyId
from broker.core.trust import TrustList
from broker.ledger import Ledger
from broker.ports import Clock, Store, Transaction, TrustSource
from broker.rows import AuditRow

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
        self._last: float | None = None  # monotonic: a clock that is set back must not stop the asking
        self._known = trust.current()
        self._sound = False  # whether the last asking found a list that can be used; a call for a bad one may be open
        self._looked = False  # the first look seals anew too: the list may have changed while no node ran

    async def __call__(self) -> bool:
        """Refresh; return whether a newer list came into force."""
        asked = self._clock.monotonic()
        if self._last is not None and asked - self._last < TRUST_REFRESH_SECONDS:
            return False
        self._last = asked
        mended, self._sound = not self._sound, True
        try:
            newer = await self._trust.refresh()
        except TrustListInvalid as error:
            newer, mended, self._sound, detail = False, False, False, error.detail
            await self._store.run(
                lambda tx: self._ledger.call(
                    tx, AttentionCode.TRUST_LIST, "trust-list", now=self._clock.now(), detail=detail
                )
            )
        trust = self._trust.current()
        changed = trust.version != self._known.version
        if mended:  # also by putting the list back that was in force: no newer one has to come
            await self._store.run(self._close_call)
        if changed or not self._looked:
            await self._store.run(lambda tx: self._apply(tx, trust, changed=changed))
            self._known, self._looked = trust, True
        if changed:
            self._wake()
        return newer

    def _close_call(self, tx: Transaction) -> None:
        tx.resolve_attention(AttentionCode.TRUST_LIST, "trust-list", at=self._clock.now(), by="node")

    def _apply(self, tx: Transaction, trust: TrustList, *, changed: bool) -> None:
        now = self._clock.now()
        for message in tx.outbox_sealed_with(_dead(trust, now) | (_listed(self._known) - _listed(trust))):
            if tx.reopen_outbox(message, now=now, reseal=True, count_resend=False):
                tx.audit(AuditRow(at=now, actor="node", action=AuditAction.RESEALED, subject=message))
        if not changed:
            return
        # Parked messages may be believable now: offer them all again at once, inside the parking limits.
        for held in tx.due_parked(now=now + timedelta(days=3650), limit=PARKED_MAX_ITEMS):
            tx.park(replace(held, next_at=now), max_items=PARKED_MAX_ITEMS, max_bytes=PARKED_MAX_BYTES)
        tx.audit(
            AuditRow(at=now, actor="node", action=AuditAction.TRUST_LIST_CHANGED, subject=f"version-{trust.version}")
        )


def _listed(trust: TrustList) -> frozenset[KeyId]:
    return frozenset(key.kid for member in trust.members.values() for key in member.keys)


def _dead(trust: TrustList, now: datetime) -> frozenset[KeyId]:
    """Return the listed keys that count no longer."""
    return frozenset(
        key.kid
        for member in trust.members.values()
        for key in member.keys
        if now >= key.accept_until or (key.revoked_at is not None and key.revoked_at <= now)
    )
