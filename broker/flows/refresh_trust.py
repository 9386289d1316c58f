# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Look for a newer trust list; when one comes into force, seal again what used a key that no longer counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.core.attention import AttentionCode
from broker.core.audit import AuditAction
from broker.core.delivery import TRUST_REFRESH_SECONDS
from broker.core.errors import TrustListInvalid
from broker.core.ids import CountryCode, KeyId
from broker.core.trust import LONGEST_ENVELOPE_LIFE, WARN_DAYS, TrustList, TrustRule
from broker.ledger import Ledger
from broker.ports import Clock, Store, Transaction, TrustSource
from broker.rows import AuditRow

__all__ = ["RefreshTrust"]

_LIST = "trust-list"
_RECEIPTS_BATCH = 200  # envelopes
_NAMED = 20  # messages in one call
_SILENCE_SECONDS = 86_400  # a night without a connection is no news; expiry is told apart from it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revoked:
    """A key that counts no longer, and since when."""

    country: CountryCode
    kid: KeyId
    at: datetime


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
        self._answered = clock.monotonic()  # when the source last gave something; monotonic for the same reason
        self._asked = False
        self._known = trust.current()
        self._late = False  # something verified by the list before may be recorded only now
        self._dead: frozenset[KeyId] | None = None  # None: the list may have changed while no node ran

    def ask(self) -> None:
        """Something came that the list in force does not know: the next look does not wait for its time."""
        self._asked = True

    async def __call__(self) -> bool:
        """Refresh; return whether a newer list came into force."""
        asked = self._clock.monotonic()
        changed = False
        if self._last is None or asked - self._last >= TRUST_REFRESH_SECONDS:
            self._last = asked
            await self._look()
            changed = self._trust.current() is not self._known  # also where an earlier pass failed half way
            await self._store.run(lambda tx: self._warn(tx, self._trust.current()))
            if self._late:
                await self._tell_believed(self._trust.current())
            self._late = changed
        await self._follow(self._trust.current(), changed=changed)
        return changed

    async def _follow(self, trust: TrustList, *, changed: bool) -> None:
        """Make good what keys that count no longer have touched: when a list says so, and when a stated moment comes."""
        dead = _dead(trust, self._clock.now())
        if not changed and dead == self._dead:
            return
        gone = dead | (_listed(self._known) - _listed(trust))
        await self._store.run(lambda tx: self._apply(tx, trust, gone, changed=changed))
        while await self._store.run(lambda tx: self._queue_receipts(tx, gone)):
            pass  # each batch is a transaction of its own
        await self._tell_believed(trust)
        self._known, self._dead = trust, dead
        self._wake()

    async def _look(self) -> None:
        urgent, self._asked = self._asked, False
        try:
            look = await self._trust.refresh(asked=urgent)
        except TrustListInvalid as error:
            refused = error  # the name of an exception is gone when its block ends
            await self._store.run(lambda tx: self._refused(tx, refused))
            return
        if look is not None:
            self._answered = self._clock.monotonic()
            await self._store.run(lambda tx: self._answer(tx, look.troubles, look.unread))

    def _refused(self, tx: Transaction, error: TrustListInvalid) -> None:
        """Call a person: at once when a rule is broken, after a day when nobody answers."""
        now, detail = self._clock.now(), f"{error.rule}: {error.detail}"
        if error.rule != TrustRule.UNREACHABLE:
            self._answered = self._clock.monotonic()
            self._ledger.call(tx, AttentionCode.TRUST_LIST, _LIST, now=now, detail=detail)
        elif self._clock.monotonic() - self._answered >= _SILENCE_SECONDS:
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

    def _apply(self, tx: Transaction, trust: TrustList, gone: frozenset[KeyId], *, changed: bool) -> None:
        now = self._clock.now()
        for message in tx.outbox_sealed_with(gone):
            if tx.reopen_outbox(message, now=now, reseal=True, count_resend=False):
                tx.audit(AuditRow(at=now, actor="node", action=AuditAction.RESEALED, subject=message))
        if not changed:
            return
        tx.hasten_parked(now=now)  # it may be believable now
        tx.audit(
            AuditRow(at=now, actor="node", action=AuditAction.TRUST_LIST_CHANGED, subject=f"version-{trust.version}")
        )

    def _queue_receipts(self, tx: Transaction, gone: frozenset[KeyId]) -> bool:
        """Send again receipts that went out under such a key: nobody answers them, so nobody would miss them."""
        now = self._clock.now()
        envelopes = tx.unseal_receipts(gone, since=now - LONGEST_ENVELOPE_LIFE, limit=_RECEIPTS_BATCH)
        tx.requeue_receipts(envelopes)  # however young they are: whoever holds one does not believe it any more
        for envelope in envelopes:
            tx.audit(AuditRow(at=now, actor="node", action=AuditAction.RECEIPTS_QUEUED, subject=envelope))
        return len(envelopes) == _RECEIPTS_BATCH

    async def _tell_believed(self, trust: TrustList) -> None:
        for key in _revoked(trust, self._clock.now()):
            await self._tell_believed_from(key)

    async def _tell_believed_from(self, key: _Revoked) -> None:
        """Call a person for what was believed from a key after its time: once, and again where some came to it since.

        That is from another worker, or by the list before.
        """
        found = await self._store.run(lambda tx: tx.inbox_signed_with(key.kid, since=key.at))
        if not found:
            return
        code = AttentionCode.BELIEVED_REVOKED
        if await self._store.read(lambda reader: reader.called(code, found[-1])):
            return
        named = ", ".join(found[:_NAMED]) + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
        detail = f"{len(found)} since {key.at:%Y-%m-%d %H:%M} UTC under key {key.kid}: {named}."
        now = self._clock.now()
        await self._store.run(
            lambda tx: self._ledger.call(tx, code, found[-1], peer=key.country, now=now, detail=detail)
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


def _revoked(trust: TrustList, now: datetime) -> tuple[_Revoked, ...]:
    return tuple(
        _Revoked(country=country, kid=key.kid, at=key.revoked_at)
        for country, member in trust.members.items()
        for key in member.keys
        if key.revoked_at is not None and key.revoked_at <= now
    )
