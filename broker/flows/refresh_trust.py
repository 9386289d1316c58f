# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look for a newer trust list; when one comes into force, seal again what used a key that no longer counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from broker.core.delivery import PARKED_MAX_BYTES, PARKED_MAX_ITEMS, TRUST_REFRESH_SECONDS, AttentionCode, AuditAction
from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode, KeyId
from broker.core.trust import WARN_DAYS, TrustList, TrustRule
from broker.ledger import Ledger
from broker.ports import Clock, Store, Transaction, TrustLook, TrustSource
from broker.rows import AuditRow

__all__ = ["RefreshTrust"]

_LIST = "trust-list"
_SILENCE = timedelta(days=1)  # a night without a connection is no news; expiry is told apart from it


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
        self._answered = clock.now()  # when the source last gave something
        self._asked = False
        self._known = trust.current()
        self._looked = False  # the first look seals anew too: the list may have changed while no node ran

    def ask(self) -> None:
        """Something came that the list in force does not know: the next look does not wait for its time."""
        self._asked = True

    async def __call__(self) -> bool:
        """Refresh; return whether a newer list came into force."""
        asked = self._clock.monotonic()
        if self._last is not None and asked - self._last < TRUST_REFRESH_SECONDS:
            return False
        self._last = asked
        look = await self._look()
        trust = self._trust.current()
        changed = trust.version != self._known.version or look.newer
        if changed or not self._looked:
            await self._store.run(lambda tx: self._apply(tx, trust, changed=changed))
            self._known, self._looked = trust, True
        await self._store.run(lambda tx: self._warn(tx, trust))
        if changed:
            self._wake()
        return changed

    async def _look(self) -> TrustLook:
        urgent, self._asked = self._asked, False
        try:
            look = await self._trust.refresh(asked=urgent)
        except TrustListInvalid as error:
            refused = error  # the name of an exception is gone when its block ends
            await self._store.run(lambda tx: self._refused(tx, refused))
            return TrustLook(newer=False)
        if look.troubles is not None:
            troubles, self._answered = look.troubles, self._clock.now()
            await self._store.run(lambda tx: self._answer(tx, troubles, look.unread))
        return look

    def _refused(self, tx: Transaction, error: TrustListInvalid) -> None:
        """Call a person: at once when a rule is broken, after a day when nobody answers."""
        now, detail = self._clock.now(), f"{error.rule}: {error.detail}"
        if error.rule != TrustRule.UNREACHABLE:
            self._answered = now
            self._ledger.call(tx, AttentionCode.TRUST_LIST, _LIST, now=now, detail=detail)
        elif now - self._answered >= _SILENCE:
            self._ledger.call(tx, AttentionCode.TRUST_SOURCE, _LIST, now=now, detail=detail)

    def _answer(self, tx: Transaction, troubles: Mapping[CountryCode, str], unread: Mapping[str, str]) -> None:
        """Close what a good look settles, and tell which document was not taken."""
        now = self._clock.now()
        for code in (AttentionCode.TRUST_LIST, AttentionCode.TRUST_SOURCE):
            tx.resolve_attention(code, _LIST, at=now, by="node")
        if unread:
            detail = " ".join(f"{document}: {unread[document]}" for document in sorted(unread))
            self._ledger.call(tx, AttentionCode.TRUST_NEWER, _LIST, now=now, detail=detail)
        else:
            tx.resolve_attention(AttentionCode.TRUST_NEWER, _LIST, at=now, by="node")
        for country in self._trust.current().members:
            if country in troubles:
                detail = troubles[country]
                self._ledger.call(tx, AttentionCode.TRUST_MEMBER, country, peer=country, now=now, detail=detail)
            else:
                tx.resolve_attention(AttentionCode.TRUST_MEMBER, country, at=now, by="node")

    def _warn(self, tx: Transaction, trust: TrustList) -> None:
        """Tell people in time that something of the list runs out."""
        now = self._clock.now()
        ends: dict[str, datetime | None] = {_LIST: trust.expires}
        ends |= {country: member.expires for country, member in trust.members.items()}
        for subject, end in ends.items():
            if end is not None and now >= end - timedelta(days=WARN_DAYS):
                detail = f"It ends on {end:%Y-%m-%d}."
                peer = None if subject == _LIST else CountryCode(subject)
                self._ledger.call(tx, AttentionCode.TRUST_EXPIRING, subject, peer=peer, now=now, detail=detail)
            elif end is not None:
                tx.resolve_attention(AttentionCode.TRUST_EXPIRING, subject, at=now, by="node")

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
